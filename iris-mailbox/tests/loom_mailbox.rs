//! Loom tries all interleavings of producers and the runner: `cargo test -p iris-mailbox
//! --features loom --test loom_mailbox --release`.
//!
//! The pool has no magazines here, so each message takes its node from the lock-free depot
//! and gives it back, and the next message gets the same node. Loom checks each access to
//! a node's fields, so a node with two owners is a failure of these tests.
#![cfg(feature = "loom")]

use std::sync::Arc;

use iris_core::{Envelope, Exit, Lane, Message};
use iris_mailbox::{Eviction, Mailbox, Popped, PushError};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

/// Loom explores each interleaving with up to this many forced switches of thread: three
/// find nearly all that more would, and more take hours.
const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

fn mail(number: u8) -> Envelope {
    Envelope::from(Message::from(vec![number]))
}

fn number(message: &[u8]) -> u8 {
    message[0]
}

fn left(mailbox: &Mailbox) -> impl Iterator<Item = u8> {
    let left = mailbox.close().into_iter();
    left.map(|message| number(message.as_user().expect("a user message")))
}

fn popped(mailbox: &Mailbox) -> Option<u8> {
    match mailbox.pop()? {
        Envelope::User(message, _) => Some(number(&message)),
        other => panic!("nobody sent {other:?}"),
    }
}

/// Sends what is asked for, in order, and returns what was refused.
fn send(mailbox: &Mailbox, numbers: &[u8]) -> Vec<u8> {
    let refused = |&number| match mailbox.push(Lane::User, mail(number)) {
        Ok(_) => None,
        Err(PushError(Envelope::User(message, _), _)) => Some(self::number(&message)),
        Err(PushError(other, _)) => panic!("{other:?} came back for a message"),
    };
    numbers.iter().filter_map(refused).collect()
}

fn sender(mailbox: &Arc<Mailbox>, numbers: &'static [u8]) -> thread::JoinHandle<Vec<u8>> {
    let mailbox = Arc::clone(mailbox);
    thread::spawn(move || send(&mailbox, numbers))
}

#[test]
fn two_producers_and_the_runner_keep_the_order_of_each() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let senders = [sender(&mailbox, &[1, 2]), sender(&mailbox, &[11])];
        let mut got: Vec<u8> = (0..2).filter_map(|_| popped(&mailbox)).collect();
        for sender in senders {
            assert!(sender.join().unwrap().is_empty());
        }
        assert_eq!(mailbox.len(), 3 - got.len(), "exact at rest");
        assert_eq!(mailbox.is_empty(), got.len() == 3);
        got.extend(std::iter::from_fn(|| popped(&mailbox)));
        let first: Vec<_> = got.iter().copied().filter(|n| *n < 10).collect();
        assert_eq!(first, [1, 2]);
        assert_eq!(got.len(), 3, "{got:?}");
        assert_eq!(mailbox.len(), 0);
    });
}

#[test]
fn a_push_against_a_close_is_delivered_or_given_back_never_both() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let senders = [sender(&mailbox, &[1, 2]), sender(&mailbox, &[11])];
        let mut seen: Vec<u8> = popped(&mailbox).into_iter().collect();
        seen.extend(left(&mailbox));
        for sender in senders {
            seen.extend(sender.join().unwrap());
        }
        assert_eq!(mailbox.len(), 0);
        assert!(mailbox.pop().is_none());
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 11]);
    });
}

#[test]
fn a_push_against_a_drain_comes_before_the_stop_or_back() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = sender(&mailbox, &[1, 2]);
        assert!(mailbox.seal(Lane::User, Exit::default()).is_some());
        assert!(!mailbox.is_open());
        let mut seen = Vec::new();
        loop {
            match mailbox.pop() {
                Some(Envelope::User(message, _)) => seen.push(number(&message)),
                Some(Envelope::Stop(_)) => break,
                other => panic!("{other:?} before the stop"),
            }
        }
        assert!(mailbox.pop().is_none(), "nothing follows the stop");
        seen.extend(sender.join().unwrap());
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn a_stop_signal_is_found_by_the_next_look_of_one_who_sees_the_gate() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        assert!(send(&mailbox, &[1]).is_empty());
        let stopper = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.seal(Lane::Signal, Exit::default()))
        };
        if !mailbox.is_alive() {
            assert!(matches!(mailbox.pop(), Some(Envelope::Stop(_))));
        }
        assert!(stopper.join().unwrap().is_some());
        assert!(!mailbox.is_alive());
    });
}

#[test]
fn a_signal_overtakes_the_message_that_its_sender_sent_after_it() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                mailbox.push(Lane::Signal, Envelope::Wake).unwrap();
                mailbox.push(Lane::User, mail(1)).unwrap();
            })
        };
        let mut woken = false;
        for _ in 0..2 {
            match mailbox.pop() {
                Some(Envelope::Wake) => woken = true,
                Some(_) => assert!(woken, "the message came first"),
                None => {}
            }
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_signal_against_a_close_is_refused_or_gone() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(Lane::Signal, Envelope::Wake).is_ok())
        };
        let closed = mailbox.close_if_empty();
        let accepted = sender.join().unwrap();
        assert_eq!(closed, !accepted, "one of them wins");
    });
}

#[test]
fn an_idle_close_against_a_push_lets_one_of_them_win() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = sender(&mailbox, &[1]);
        let closed = mailbox.close_if_empty();
        let refused = !sender.join().unwrap().is_empty();
        assert_eq!(closed, refused);
        assert_eq!(mailbox.len(), usize::from(!closed));
    });
}

#[test]
fn a_close_from_outside_and_the_runner_share_what_is_there() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        assert!(send(&mailbox, &[1, 2]).is_empty());
        let outside = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.close_from_outside(mailbox.life()))
        };
        let mut seen: Vec<u8> = Vec::new();
        {
            // SAFETY: the other thread closes from outside, which minds a consumer.
            let consumer = unsafe { mailbox.consumer() };
            for _ in 0..2 {
                if let Popped::Letter(letter) = consumer.pop_step() {
                    let Envelope::User(bytes, _) = letter.envelope() else {
                        panic!("nobody sent {letter:?}")
                    };
                    seen.push(number(bytes));
                }
            }
        }
        let (outside, behind) = outside.join().unwrap();
        assert!(behind + outside.len() + seen.len() >= 2, "{behind} behind");
        seen.extend(outside.iter().map(|left| number(left.as_user().unwrap())));
        seen.extend(left(&mailbox));
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        assert_eq!(mailbox.len(), 0);
    });
}

#[test]
fn one_who_looks_on_never_takes_a_message_on_its_way_for_none() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        assert!(send(&mailbox, &[1, 2]).is_empty());
        let onlooker = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || (mailbox.is_empty(), mailbox.len()))
        };
        // One is taken, so that the other goes from the stack to the runner's line.
        assert_eq!(popped(&mailbox), Some(1));
        let (empty, len) = onlooker.join().unwrap();
        assert!(!empty);
        assert!(len == 1 || len == 2, "{len}");
    });
}

#[test]
fn one_who_waits_and_one_who_stops_him_see_each_other() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let waiting = Arc::new(AtomicBool::new(false));
        let stopper = {
            let (mailbox, waiting) = (Arc::clone(&mailbox), Arc::clone(&waiting));
            thread::spawn(move || {
                mailbox.seal(Lane::Signal, Exit::default());
                waiting.load(Ordering::Relaxed)
            })
        };
        waiting.store(true, Ordering::Relaxed);
        let stopped = !mailbox.is_alive();
        assert!(stopper.join().unwrap() || stopped, "asleep for good");
    });
}

/// What the duty to look is for: runs until there is nothing left, and then sleeps.
fn run(mailbox: &Mailbox, running: &AtomicBool, got: &AtomicUsize) {
    loop {
        assert!(
            !running.swap(true, Ordering::Relaxed),
            "two threads run one process"
        );
        while mailbox.pop().is_some() {
            got.fetch_add(1, Ordering::Relaxed);
        }
        running.store(false, Ordering::Relaxed);
        if mailbox.sleep() {
            return;
        }
    }
}

#[test]
fn whatever_is_pushed_is_run_by_one_thread_and_never_by_two() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let running = Arc::new(AtomicBool::new(false));
        let got = Arc::new(AtomicUsize::new(0));
        let push = |lane: Lane| {
            let (mailbox, running, got) = (mailbox.clone(), running.clone(), got.clone());
            thread::spawn(move || {
                if mailbox.push(lane, Envelope::Wake).unwrap() {
                    run(&mailbox, &running, &got);
                }
            })
        };
        let others = [push(Lane::User), push(Lane::Signal)];
        if mailbox.push(Lane::User, mail(1)).unwrap() {
            run(&mailbox, &running, &got);
        }
        for other in others {
            other.join().unwrap();
        }
        // Nobody is left who would look: so all must have been seen.
        assert_eq!(got.load(Ordering::Relaxed), 3, "a wake-up was lost");
        assert!(mailbox.is_asleep());
    });
}

#[test]
fn a_late_sender_does_not_reach_the_successor() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let life = mailbox.life();
        let late = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                let sent = mailbox.push_in(life, Lane::User, mail(1)).is_ok();
                let signalled = mailbox.push_in(life, Lane::Signal, Envelope::Wake).is_ok();
                let stopped = mailbox
                    .seal_in(life, Lane::Signal, Exit::default())
                    .is_some();
                (sent, signalled || stopped)
            })
        };
        let left = mailbox.close().len();
        // Whoever was told to look is out of this model: the end of a life tells.
        let asleep = mailbox
            .end_life(life, life + 1)
            .expect("it lives until here");
        if asleep {
            mailbox.reopen(None);
            assert!(mailbox.is_asleep() && mailbox.is_open());
            assert!(mailbox.is_empty(), "a message of another life is in it");
        }
        let (sent, signalled) = late.join().unwrap();
        assert_eq!(
            left,
            usize::from(sent),
            "it is the first life's, or came back"
        );
        assert!(asleep || sent || signalled);
        if asleep {
            assert!(mailbox.is_open() && mailbox.is_empty() && mailbox.is_asleep());
        }
    });
}

#[test]
fn a_token_that_comes_back_late_finds_the_life_over_or_ends_its_duty() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let life = mailbox.life();
        assert!(mailbox.push(Lane::User, mail(1)).unwrap());
        mailbox.close();
        let token = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.resign(life))
        };
        let asleep = mailbox
            .end_life(life, life + 1)
            .expect("it lives until here");
        let resigned = token.join().unwrap();
        assert_eq!(resigned, asleep, "exactly one of them cleans up");
    });
}

#[test]
fn eviction_beside_the_runner_takes_each_message_once() {
    explore(|| {
        let one = std::num::NonZeroU32::new(1).expect("one is not zero");
        let mailbox = Arc::new(Mailbox::bounded(one));
        assert!(send(&mailbox, &[1]).is_empty());
        let evicting = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                let refused = send(&mailbox, &[2]);
                let evicted = match mailbox.evict(mailbox.life()) {
                    Eviction::Evicted(Envelope::User(bytes, _)) => Some(number(&bytes)),
                    Eviction::NotFull => None,
                    other => panic!("{other:?} of a mailbox with one message"),
                };
                (refused, evicted)
            })
        };
        let mut seen: Vec<u8> = popped(&mailbox).into_iter().collect();
        let (refused, evicted) = evicting.join().unwrap();
        seen.extend(evicted);
        seen.extend(refused);
        seen.extend(std::iter::from_fn(|| popped(&mailbox)));
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        assert_eq!(mailbox.len(), 0);
    });
}

fn full() -> Arc<Mailbox> {
    let one = std::num::NonZeroU32::new(1).expect("one is not zero");
    let mailbox = Arc::new(Mailbox::bounded(one));
    assert!(send(&mailbox, &[1]).is_empty());
    mailbox
}

/// A sender with a message for a full mailbox: whether it sleeps until it is told.
fn waiting_sender(mailbox: &Arc<Mailbox>) -> thread::JoinHandle<bool> {
    let mailbox = Arc::clone(mailbox);
    thread::spawn(move || {
        let refused = !send(&mailbox, &[2]).is_empty();
        refused && mailbox.await_room(mailbox.life())
    })
}

#[test]
fn a_sender_that_sleeps_until_there_is_room_is_told() {
    explore(|| {
        let mailbox = full();
        let sender = waiting_sender(&mailbox);
        assert_eq!(popped(&mailbox), Some(1));
        let told = mailbox.is_room_awaited();
        assert!(!sender.join().unwrap() || told, "asleep for good");
    });
}

#[test]
fn a_sender_that_sleeps_is_told_of_room_that_an_eviction_made() {
    explore(|| {
        let mailbox = full();
        let sender = waiting_sender(&mailbox);
        let evicted = mailbox.evict(mailbox.life());
        assert!(matches!(evicted, Eviction::Evicted(_)), "{evicted:?}");
        let told = mailbox.is_room_awaited();
        assert!(!sender.join().unwrap() || told, "asleep for good");
    });
}

#[test]
fn a_sender_that_sleeps_is_told_of_the_end() {
    for end in [
        |mailbox: &Mailbox| assert!(mailbox.seal(Lane::Signal, Exit::default()).is_some()),
        |mailbox: &Mailbox| assert!(mailbox.seal(Lane::User, Exit::default()).is_some()),
        |mailbox: &Mailbox| drop(mailbox.close()),
        |mailbox: &Mailbox| drop(mailbox.close_from_outside(mailbox.life())),
        |mailbox: &Mailbox| assert!(mailbox.set_capacity(2)),
    ] {
        explore(move || {
            let mailbox = full();
            let sender = waiting_sender(&mailbox);
            end(&mailbox);
            let told = mailbox.is_room_awaited_after_all();
            assert!(!sender.join().unwrap() || told, "asleep for good");
        });
    }
}

#[test]
fn one_who_evicts_too_late_leaves_the_next_life_alone() {
    explore(|| {
        let mailbox = full();
        let life = mailbox.life();
        let late = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.evict(life))
        };
        let left = mailbox.close().len();
        let asleep = mailbox.end_life(life, life + 1);
        assert!(asleep.is_some());
        mailbox.reopen(std::num::NonZeroU32::new(1));
        assert!(send(&mailbox, &[7]).is_empty());
        let late = late.join().unwrap();
        match late {
            Eviction::Evicted(Envelope::User(bytes, _)) => {
                assert_eq!((number(&bytes), left), (1, 0));
            }
            Eviction::NotFull => assert_eq!(left, 1),
            other => panic!("{other:?} of a mailbox with one message"),
        }
        assert_eq!(popped(&mailbox), Some(7));
    });
}
