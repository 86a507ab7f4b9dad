//! Loom on the ends and beginnings of lives, and on who has the duty to look then: `cargo test
//! -p iris-mailbox --features loom --test loom_lives --release`.
//!
//! Each model does what a process table does with the mailbox of a cell, and nothing else: so
//! the steps of a runner ([`run`]) and of one who gives a process up ([`give_up`]) are those of
//! `iris-sched`, in their order.
#![cfg(feature = "loom")]

use std::num::NonZeroU32;
use std::sync::Arc;

use iris_core::{BehaviorVersion, Envelope, Exit, ExitReason, Lane, Message, Step, handler};
use iris_mailbox::{Eviction, Mailbox, Popped};
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// As in `loom_mailbox`: three forced switches find nearly all that more would.
const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

const ONE: NonZeroU32 = NonZeroU32::new(1).unwrap();

fn mail(number: u8) -> Envelope {
    Envelope::from(Message::from(vec![number]))
}

fn number(envelope: &Envelope) -> u8 {
    match envelope {
        Envelope::User(message, _) => message[0],
        other => panic!("nobody sent {other:?}"),
    }
}

fn numbers(left: Vec<Message>) -> impl Iterator<Item = u8> {
    let number = |message: Message| message.as_user().expect("a user message")[0];
    left.into_iter().map(number)
}

/// A process: its mailbox, one life of it, and what its handler has seen.
struct Model {
    mailbox: Mailbox,
    life: u32,
    running: AtomicBool,
    handled: Mutex<Vec<u8>>,
}

/// What became of a duty to look.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The process is at rest or its end is reported, and nobody has the duty.
    Resigned,
    /// The life was over: whoever had the duty buries.
    Buries,
}

impl Model {
    fn new() -> Arc<Self> {
        Self::with(Mailbox::new())
    }

    fn with(mailbox: Mailbox) -> Arc<Self> {
        Arc::new(Self {
            life: mailbox.life(),
            mailbox,
            running: AtomicBool::new(false),
            handled: Mutex::new(Vec::new()),
        })
    }

    fn push(&self, lane: Lane, envelope: Envelope) -> bool {
        let pushed = self.mailbox.push_in(self.life, lane, envelope);
        pushed.expect("the process is alive")
    }

    fn note(&self, numbers: impl IntoIterator<Item = u8>) {
        self.handled.lock().unwrap().extend(numbers);
    }

    fn seen(&self) -> Vec<u8> {
        let mut seen = self.handled.lock().unwrap().clone();
        seen.sort_unstable();
        seen
    }

    /// What a holder of the duty does: handles all there is, and sleeps or ends.
    fn run(&self) -> Outcome {
        loop {
            let before = self.running.swap(true, Ordering::Relaxed);
            assert!(!before, "two threads run one process");
            // SAFETY: whoever runs has the duty, as the line above has just checked.
            let consumer = unsafe { self.mailbox.consumer() };
            let ended = loop {
                match consumer.pop_step() {
                    Popped::Letter(letter) => self.note([number(letter.envelope())]),
                    Popped::Signal => match consumer.take_signal() {
                        Some(Envelope::Wake) => {}
                        // None: closed from outside.
                        Some(Envelope::Stop(_)) | None => break true,
                        Some(other) => panic!("nobody sent {other:?}"),
                    },
                    Popped::Unsorted => {}
                    Popped::Empty => break self.mailbox.is_closed(),
                }
            };
            if ended {
                self.note(numbers(consumer.close()));
                self.running.store(false, Ordering::Relaxed);
                let resigned = self.mailbox.resign(self.life);
                return if resigned {
                    Outcome::Resigned
                } else {
                    Outcome::Buries
                };
            }
            self.running.store(false, Ordering::Relaxed);
            if self.mailbox.sleep_in(self.life) {
                return Outcome::Resigned;
            }
        }
    }

    /// What one does who gives the process up, whatever it is doing.
    fn give_up(&self) -> Outcome {
        let (left, _) = self.mailbox.close_from_outside(self.life);
        self.note(numbers(left));
        let asleep = self.mailbox.end_life(self.life, self.life + 1);
        if !asleep.expect("it lives until here") {
            return Outcome::Resigned;
        }
        self.bury();
        Outcome::Buries
    }

    /// Empties the mailbox of a life that is over, and begins the next.
    fn bury(&self) {
        let before = self.running.swap(true, Ordering::Relaxed);
        assert!(!before, "it is buried while it runs");
        self.note(numbers(self.mailbox.close()));
        self.running.store(false, Ordering::Relaxed);
        self.mailbox.reopen(None);
    }

    fn assert_successor_is_untouched(&self) {
        assert!(self.mailbox.is_open() && self.mailbox.is_empty());
        assert!(self.mailbox.is_asleep(), "it has work of another life");
    }
}

#[test]
fn a_runner_that_falls_asleep_against_a_giving_up_leaves_one_of_them_to_bury() {
    explore(|| {
        let model = Model::new();
        assert!(model.push(Lane::User, mail(1)));
        let outside = {
            let model = model.clone();
            thread::spawn(move || model.give_up())
        };
        let runner = model.run();
        let outside = outside.join().unwrap();
        assert_ne!(runner, outside, "exactly one buries");
        if runner == Outcome::Buries {
            model.bury();
        }
        assert_eq!(model.seen(), [1]);
        model.assert_successor_is_untouched();
    });
}

#[test]
fn a_signal_against_a_giving_up_of_a_process_at_rest_leaves_one_to_bury() {
    explore(|| {
        let model = Model::new();
        let sender = {
            let model = model.clone();
            thread::spawn(move || {
                let wake = Envelope::Wake;
                match model.mailbox.push_in(model.life, Lane::Signal, wake) {
                    Ok(true) => Some(model.run()),
                    Ok(false) | Err(_) => None,
                }
            })
        };
        let outside = model.give_up();
        let runner = sender.join().unwrap();
        assert!(
            (runner == Some(Outcome::Buries)) != (outside == Outcome::Buries),
            "{runner:?} and {outside:?}"
        );
        if runner == Some(Outcome::Buries) {
            model.bury();
        }
        model.assert_successor_is_untouched();
    });
}

#[test]
fn a_duty_that_is_dropped_against_a_giving_up_leaves_nothing_behind() {
    explore(|| {
        let model = Model::new();
        assert!(model.push(Lane::User, mail(1)));
        assert!(!model.push(Lane::User, mail(2)));
        // SAFETY: this thread has the duty until it leaves.
        let consumer = unsafe { model.mailbox.consumer() };
        // So the other lies on the runner's line.
        assert!(matches!(consumer.pop_step(), Popped::Letter(_)));
        let outside = {
            let model = model.clone();
            thread::spawn(move || model.give_up())
        };
        let left = consumer.leave(model.life);
        let outside = outside.join().unwrap();
        assert_ne!(left.is_err(), outside == Outcome::Buries, "one buries");
        if let Err(left) = left {
            model.note(numbers(left));
            assert!(model.mailbox.is_empty(), "a successor would get it");
            model.mailbox.reopen(None);
        }
        assert_eq!(model.seen(), [2]);
        model.assert_successor_is_untouched();
    });
}

#[test]
fn a_late_order_to_drain_does_not_reach_the_successor() {
    explore(|| {
        let model = Model::new();
        let late = {
            let model = model.clone();
            thread::spawn(move || {
                let exit = Exit::default();
                model.mailbox.seal_in(model.life, Lane::User, exit)
            })
        };
        let outside = model.give_up();
        let sealed = late.join().unwrap();
        // Sealed in time, it made somebody look, who would bury.
        assert_eq!(sealed == Some(true), outside == Outcome::Resigned);
        if outside == Outcome::Buries {
            model.assert_successor_is_untouched();
        }
    });
}

/// The number of a message that was evicted.
fn evicted(model: &Model) -> Option<u8> {
    match model.mailbox.evict(model.life) {
        Eviction::Evicted(envelope) => Some(number(&envelope)),
        Eviction::NotFull | Eviction::NothingToEvict => None,
    }
}

#[test]
fn a_late_eviction_does_not_reach_the_successor() {
    explore(|| {
        let model = Model::with(Mailbox::bounded(ONE));
        assert!(model.push(Lane::User, mail(1)));
        let late = {
            let model = model.clone();
            thread::spawn(move || evicted(&model))
        };
        // The process ends by itself, and another begins in its place.
        let mut seen: Vec<u8> = numbers(model.mailbox.close()).collect();
        assert!(model.mailbox.resign(model.life));
        let next = model.life + 1;
        assert_eq!(model.mailbox.end_life(model.life, next), Some(true));
        model.mailbox.reopen(Some(ONE));
        model.mailbox.push_in(next, Lane::User, mail(2)).unwrap();
        seen.extend(late.join().unwrap());
        assert_eq!(seen, [1], "the successor's is not anybody else's");
        assert_eq!(model.mailbox.len(), 1);
        assert_eq!(model.mailbox.pop().as_ref().map(number), Some(2));
    });
}

#[test]
fn an_eviction_a_runner_and_a_close_share_what_is_there() {
    explore(|| {
        let model = Model::with(Mailbox::bounded(ONE));
        assert!(model.push(Lane::User, mail(1)));
        let over = model.mailbox.push_over(model.life, mail(2));
        assert!(!over.expect("it is open"));
        let evicting = {
            let model = model.clone();
            thread::spawn(move || evicted(&model))
        };
        let popped = model.mailbox.pop().as_ref().map(number);
        assert!(popped.is_some(), "one is not enough for two");
        model.note(popped);
        model.note(numbers(model.mailbox.close()));
        let evicted = evicting.join().unwrap();
        assert!(evicted.is_none() || popped != evicted);
        model.note(evicted);
        assert_eq!(model.seen(), [1, 2]);
        assert_eq!(model.mailbox.len(), 0);
    });
}

#[test]
fn an_order_to_drain_against_one_to_stop_ends_the_process_once_and_by_the_faster() {
    explore(|| {
        let model = Model::new();
        assert!(model.push(Lane::User, mail(1)));
        let drain = {
            let model = model.clone();
            thread::spawn(move || {
                let exit = ExitReason::Shutdown.into();
                model.mailbox.seal_in(model.life, Lane::User, exit)
            })
        };
        let stop = model
            .mailbox
            .seal_in(model.life, Lane::Signal, ExitReason::Killed.into());
        assert_eq!(stop, Some(false), "this thread has the duty already");
        // Whatever the other has done, the order that overtakes is the next thing found.
        match model.mailbox.pop() {
            Some(Envelope::Stop(exit)) => assert_eq!(exit.reason, ExitReason::Killed),
            other => panic!("{other:?} came before the order to stop"),
        }
        assert_eq!(numbers(model.mailbox.close()).collect::<Vec<_>>(), [1]);
        let drained = drain.join().unwrap();
        assert!(drained.is_none_or(|wake| !wake), "there is one duty");
        assert!(model.mailbox.pop().is_none());
        assert!(model.mailbox.resign(model.life));
    });
}

#[test]
fn a_stop_against_a_runner_that_falls_asleep_is_found() {
    explore(|| {
        let model = Model::new();
        assert!(model.push(Lane::User, mail(1)));
        let stopper = {
            let model = model.clone();
            thread::spawn(move || {
                let exit = Exit::default();
                let sealed = model.mailbox.seal_in(model.life, Lane::Signal, exit);
                if sealed.expect("it lives") {
                    model.run();
                }
            })
        };
        model.run();
        stopper.join().unwrap();
        assert!(model.mailbox.is_closed(), "nobody has found the order");
        assert_eq!(model.seen(), [1]);
        assert_eq!(
            model.mailbox.end_life(model.life, model.life + 1),
            Some(true)
        );
    });
}

/// A process with two behaviors: which was in force for each message, and the swaps.
#[derive(Default)]
struct Swapped {
    version: u32,
    order: u64,
    handled: Vec<(u8, u32)>,
    applied: u32,
}

fn swap(version: u32, order: u64) -> Envelope {
    let behavior = Arc::new(handler(|_, _| Step::Done));
    let to = BehaviorVersion { version, behavior };
    Envelope::Swap { to, order }
}

fn run_swapped(mailbox: &Mailbox, running: &AtomicBool, process: &Mutex<Swapped>) {
    loop {
        assert!(!running.swap(true, Ordering::Relaxed), "two runners");
        {
            let mut process = process.lock().unwrap();
            while let Some(envelope) = mailbox.pop() {
                match envelope {
                    Envelope::User(message, _) => {
                        let version = process.version;
                        process.handled.push((message[0], version));
                    }
                    Envelope::Swap { to, order } if order >= process.order => {
                        process.version = to.version;
                        process.order = order;
                        process.applied += 1;
                    }
                    Envelope::Swap { .. } => {}
                    other => panic!("nobody sent {other:?}"),
                }
            }
        }
        running.store(false, Ordering::Relaxed);
        if mailbox.sleep() {
            return;
        }
    }
}

#[test]
fn a_swap_keeps_its_place_among_the_messages_of_its_sender_and_is_applied_once() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let running = Arc::new(AtomicBool::new(false));
        let process = Arc::new(Mutex::new(Swapped::default()));
        let other = {
            let (mailbox, running, process) = (mailbox.clone(), running.clone(), process.clone());
            thread::spawn(move || {
                for envelope in [swap(1, 1), mail(2)] {
                    if mailbox.push(Lane::User, envelope).unwrap() {
                        run_swapped(&mailbox, &running, &process);
                    }
                }
            })
        };
        if mailbox.push(Lane::User, mail(1)).unwrap() {
            run_swapped(&mailbox, &running, &process);
        }
        other.join().unwrap();
        let process = process.lock().unwrap();
        assert_eq!(process.applied, 1);
        assert_eq!(process.handled.len(), 2, "a wake-up was lost");
        assert!(process.handled.contains(&(2, 1)), "{:?}", process.handled);
    });
}

#[test]
fn a_swap_that_overtakes_is_in_force_for_what_its_sender_sends_next_and_stays() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let running = Arc::new(AtomicBool::new(false));
        let process = Arc::new(Mutex::new(Swapped::default()));
        // Older than the one that overtakes it, so passed over if that came first.
        assert!(mailbox.push(Lane::User, swap(1, 1)).unwrap());
        let other = {
            let (mailbox, running, process) = (mailbox.clone(), running.clone(), process.clone());
            thread::spawn(move || {
                for (lane, envelope) in [(Lane::Signal, swap(2, 2)), (Lane::User, mail(1))] {
                    if mailbox.push(lane, envelope).unwrap() {
                        run_swapped(&mailbox, &running, &process);
                    }
                }
            })
        };
        run_swapped(&mailbox, &running, &process);
        other.join().unwrap();
        let process = process.lock().unwrap();
        assert_eq!((process.version, process.order), (2, 2));
        assert_eq!(process.handled, [(1, 2)]);
        assert!(process.applied == 1 || process.applied == 2);
    });
}
