//! Full mailboxes and their policies, against a model of plain queues.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use iris_core::{AskError, Envelope, Payload};
use iris_core::{
    DeadLetterReason, Exit, Host, Lane, Message, Pid, SendError, Step, handler, question,
};
use iris_sched::{OverflowError, OverflowPolicy, PolicyError, ProcessOptions, Room};
use iris_testkit::World;
use proptest::prelude::*;

#[test]
fn a_policy_is_read_from_the_word_that_it_gives() {
    let pid = Pid::new(1, 1).unwrap();
    for policy in [
        OverflowPolicy::DropNew,
        OverflowPolicy::DropOld,
        OverflowPolicy::Redirect(pid),
        OverflowPolicy::Spill(pid),
        OverflowPolicy::Block,
    ] {
        let word = policy.as_str();
        let shouted = format!("_{}", word.to_uppercase());
        assert_eq!(
            OverflowPolicy::from_word(&shouted, policy.target()),
            Ok(policy)
        );
        let (other, refused) = match policy.target() {
            Some(_) => (None, PolicyError::NeedsTarget(word)),
            None => (Some(pid), PolicyError::HasNoTarget(word)),
        };
        assert_eq!(OverflowPolicy::from_word(word, other), Err(refused));
    }
    let unknown = Err(PolicyError::Unknown("drop".to_owned()));
    assert_eq!(OverflowPolicy::from_word("drop", None), unknown);
    assert_eq!(OverflowPolicy::from_word("drop", Some(pid)), unknown);
}

const PROCESSES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(usize),
    Step,
    Policy(usize, Kind, usize),
    Capacity(usize, u32),
    Stop(usize),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    DropNew,
    DropOld,
    Redirect,
    Spill,
    Block,
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 0..PROCESSES;
    let kind = prop_oneof![
        1 => Just(Kind::DropNew),
        1 => Just(Kind::DropOld),
        2 => Just(Kind::Redirect),
        2 => Just(Kind::Spill),
        1 => Just(Kind::Block),
    ];
    prop_oneof![
        20 => who().prop_map(Op::Send),
        8 => Just(Op::Step),
        6 => (who(), kind, who()).prop_map(|(of, kind, to)| Op::Policy(of, kind, to)),
        1 => (who(), 1_u32..4).prop_map(|(of, capacity)| Op::Capacity(of, capacity)),
        1 => who().prop_map(Op::Stop),
    ]
}

/// One process as it should be.
struct Model {
    waits: VecDeque<u64>,
    capacity: usize,
    policy: OverflowPolicy,
    alive: bool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    Full,
    WouldBlock,
    Dead,
}

struct Pair {
    world: Arc<World>,
    pids: Vec<Pid>,
    models: Vec<Model>,
    handled: Arc<Mutex<Vec<(Pid, u64)>>>,
    lost: Vec<(Pid, u64, DeadLetterReason)>,
    sent: u64,
    copies: usize,
    handled_count: usize,
    lost_count: usize,
    back_count: usize,
}

fn number(message: &Message) -> u64 {
    u64::from_le_bytes(message.as_user().unwrap()[..].try_into().unwrap())
}

impl Pair {
    fn new(seed: u64, capacities: &[u32]) -> Self {
        let world = World::new(seed);
        let handled = Arc::new(Mutex::new(Vec::new()));
        let spawn = |capacity: &u32| {
            let log = handled.clone();
            let behavior = handler(move |cx, bytes| {
                let number = number(&Message::User(bytes));
                log.lock().unwrap().push((cx.pid(), number));
                Step::Done
            });
            let options = ProcessOptions {
                budget_reductions: 1,
                capacity: NonZeroU32::new(*capacity),
                ..ProcessOptions::default()
            };
            world.spawn(behavior, options)
        };
        let pids = capacities.iter().map(spawn).collect();
        let model = |capacity: &u32| Model {
            waits: VecDeque::new(),
            capacity: if *capacity == 0 {
                usize::MAX
            } else {
                *capacity as usize
            },
            policy: OverflowPolicy::DropNew,
            alive: true,
        };
        Self {
            world,
            pids,
            models: capacities.iter().map(model).collect(),
            handled,
            lost: Vec::new(),
            sent: 0,
            copies: 0,
            handled_count: 0,
            lost_count: 0,
            back_count: 0,
        }
    }

    fn place(&self, pid: Pid) -> usize {
        self.pids.iter().position(|known| *known == pid).unwrap()
    }

    fn send_in_model(&mut self, to: usize, number: u64) -> Fate {
        let pid = self.pids[to];
        let model = &mut self.models[to];
        if !model.alive {
            return Fate::Dead;
        }
        if model.waits.len() < model.capacity {
            model.waits.push_back(number);
            return Fate::Taken;
        }
        match model.policy {
            OverflowPolicy::DropOld => {
                while model.waits.len() >= model.capacity {
                    let oldest = model.waits.pop_front().unwrap();
                    self.lost.push((pid, oldest, DeadLetterReason::Evicted));
                }
                model.waits.push_back(number);
                Fate::Taken
            }
            OverflowPolicy::Redirect(target) => self.send_in_model(self.place(target), number),
            OverflowPolicy::Spill(target) => {
                model.waits.push_back(number);
                self.copies += 1;
                let (at, fate) = self.send_copy(self.place(target), number);
                if fate != Fate::Taken {
                    self.lost.push((at, number, DeadLetterReason::Refused));
                }
                Fate::Taken
            }
            OverflowPolicy::Block => Fate::WouldBlock,
            _ => Fate::Full,
        }
    }

    /// As a message, and who was the last to be tried.
    fn send_copy(&mut self, to: usize, number: u64) -> (Pid, Fate) {
        let mut last = to;
        while self.models[last].alive && self.models[last].waits.len() >= self.models[last].capacity
        {
            let OverflowPolicy::Redirect(next) = self.models[last].policy else {
                break;
            };
            last = self.place(next);
        }
        (self.pids[last], self.send_in_model(to, number))
    }

    fn send(&mut self, to: usize) {
        self.sent += 1;
        let number = self.sent;
        let expected = self.send_in_model(to, number);
        let message = Message::from(number.to_le_bytes().to_vec());
        let fate = match Host::send(&*self.world, self.pids[to], message.clone()) {
            Ok(()) => Fate::Taken,
            Err(error) => {
                self.back_count += 1;
                let fate = match &error {
                    SendError::Full { .. } => Fate::Full,
                    SendError::WouldBlock { .. } => Fate::WouldBlock,
                    _ => Fate::Dead,
                };
                assert_eq!(error.into_message(), message, "it comes back whole");
                fate
            }
        };
        assert_eq!(fate, expected);
    }

    fn step(&mut self) -> bool {
        let stepped = self.world.scheduler.step();
        for (pid, number) in std::mem::take(&mut *self.handled.lock().unwrap()) {
            self.handled_count += 1;
            let place = self.place(pid);
            assert_eq!(
                self.models[place].waits.pop_front(),
                Some(number),
                "in order"
            );
        }
        for exited in self.world.exits() {
            let place = self.place(exited.pid);
            assert!(!self.models[place].alive);
            let left: Vec<_> = exited.remaining.iter().map(number).collect();
            self.lost_count += left.len();
            assert_eq!(
                left,
                Vec::from(std::mem::take(&mut self.models[place].waits))
            );
        }
        stepped
    }

    fn set_policy(&mut self, of: usize, kind: Kind, to: usize) {
        let (pid, target) = (self.pids[of], self.pids[to]);
        let policy = match kind {
            Kind::DropNew => OverflowPolicy::DropNew,
            Kind::DropOld => OverflowPolicy::DropOld,
            Kind::Redirect => OverflowPolicy::Redirect(target),
            Kind::Spill => OverflowPolicy::Spill(target),
            Kind::Block => OverflowPolicy::Block,
        };
        let way = policy.target().map(|_| self.way(of, to));
        let expected = if !self.models[of].alive {
            Err(OverflowError::NotAlive(pid))
        } else if self.models[of].capacity == usize::MAX {
            Err(OverflowError::NotBounded(pid))
        } else if way.is_some() && !self.models[to].alive {
            Err(OverflowError::NoTarget(target))
        } else {
            match way {
                Some(way) if way.last() == Some(&pid) => Err(OverflowError::Cycle(way)),
                _ => Ok(()),
            }
        };
        assert_eq!(self.world.table.set_overflow_policy(pid, policy), expected);
        if expected.is_ok() {
            self.models[of].policy = policy;
        }
    }

    /// Where a message would go that goes from one to the other, up to the first one again.
    fn way(&self, from: usize, to: usize) -> Vec<Pid> {
        let mut way = vec![self.pids[from]];
        let mut next = Some(to);
        while let Some(at) = next {
            way.push(self.pids[at]);
            if at == from {
                break;
            }
            // What has left the table has no policy any more.
            let listed = self.world.table.get(self.pids[at]).is_some();
            let target = self.models[at].policy.target().filter(|_| listed);
            next = target.map(|target| self.place(target));
        }
        way
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Send(to) => self.send(to),
            Op::Step => drop(self.step()),
            Op::Policy(of, kind, to) => self.set_policy(of, kind, to),
            Op::Capacity(of, capacity) => {
                let model = &mut self.models[of];
                let Some(process) = self.world.table.get(self.pids[of]) else {
                    return;
                };
                let bounded = model.capacity != usize::MAX;
                assert_eq!(
                    process.set_capacity(NonZeroU32::new(capacity).unwrap()),
                    bounded
                );
                if bounded {
                    model.capacity = capacity as usize;
                    assert_eq!(process.capacity(), Some(capacity));
                }
            }
            Op::Stop(of) => {
                self.models[of].alive = false;
                Host::stop(&*self.world, self.pids[of], Exit::default());
            }
        }
        let letters = self.world.dead_letters();
        self.lost_count += letters.len();
        let letters = letters.iter().map(|l| (l.to, number(&l.message), l.reason));
        assert_eq!(letters.collect::<Vec<_>>(), std::mem::take(&mut self.lost));
        for (pid, model) in self.pids.iter().zip(&self.models) {
            if let Some(process) = self.world.table.get(*pid) {
                assert_eq!(process.mailbox_size(), model.waits.len());
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_handled_or_lost_or_comes_back(
        seed in any::<u64>(),
        capacities in prop::collection::vec(0_u32..4, PROCESSES),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut pair = Pair::new(seed, &capacities);
        for op in ops {
            pair.apply(op);
        }
        while pair.step() {}
        assert_eq!(
            usize::try_from(pair.sent).unwrap() + pair.copies,
            pair.handled_count + pair.lost_count + pair.back_count,
        );
    }
}

fn bounded(world: &World, capacity: u32) -> Pid {
    let options = ProcessOptions {
        capacity: NonZeroU32::new(capacity),
        ..ProcessOptions::default()
    };
    world.spawn(handler(|_, _| Step::Done), options)
}

#[test]
fn a_question_that_is_evicted_is_answered_with_dead() {
    let world = World::new(1);
    let pid = bounded(&world, 1);
    world
        .table
        .set_overflow_policy(pid, OverflowPolicy::DropOld)
        .unwrap();
    let (to, reply) = question(pid);
    let asked = Envelope::User(Payload::copy_of(b"question"), Some(to));
    world.table.push(pid, Lane::User, asked).unwrap();
    world.send(pid, "newer").unwrap();
    assert_eq!(reply.try_take().unwrap(), Err(AskError::Dead(pid)));
}

#[test]
fn a_question_goes_where_the_message_is_redirected_to() {
    let world = World::new(1);
    let (pid, fallback) = (bounded(&world, 1), bounded(&world, 1));
    let redirect = OverflowPolicy::Redirect(fallback);
    world.table.set_overflow_policy(pid, redirect).unwrap();
    world.send(pid, "first").unwrap();
    let (to, reply) = question(pid);
    let asked = Envelope::User(Payload::copy_of(b"question"), Some(to));
    world.table.overflow(pid, asked, &|_| ()).unwrap();
    assert_eq!(world.process(fallback).mailbox_size(), 1);
    assert!(reply.try_take().is_err(), "it is still asked");
}

#[test]
fn a_chain_of_ten_thousand_spills_is_no_recursion() {
    let world = World::new(1);
    let pids: Vec<_> = (0..10_000).map(|_| bounded(&world, 1)).collect();
    for pair in pids.windows(2) {
        let spill = OverflowPolicy::Spill(pair[1]);
        world.table.set_overflow_policy(pair[0], spill).unwrap();
    }
    for pid in &pids {
        world
            .table
            .push(*pid, Lane::User, Payload::copy_of(b"x").into())
            .unwrap();
    }
    world.send(pids[0], "on and on").unwrap();
    assert_eq!(world.process(pids[9_998]).mailbox_size(), 2);
    assert_eq!(
        world.dead_letters().len(),
        1,
        "the last one refuses its copy"
    );
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A sender that waits for room.
struct Sleeper {
    room: Room,
    bell: Arc<Bell>,
}

impl Sleeper {
    fn new(world: &World, pid: Pid) -> Self {
        Self {
            room: world.process(pid).room(),
            bell: Arc::default(),
        }
    }

    fn waits(&mut self) -> bool {
        let waker = Waker::from(self.bell.clone());
        let polled = Pin::new(&mut self.room).poll(&mut Context::from_waker(&waker));
        polled == Poll::Pending
    }

    fn woken(&self) -> usize {
        self.bell.0.swap(0, Ordering::Relaxed)
    }
}

/// A full mailbox, one message each slice, and three senders that wait, the first one first.
fn crowd() -> (Arc<World>, Pid, [Sleeper; 3]) {
    let world = World::new(1);
    let options = ProcessOptions {
        budget_reductions: 1,
        capacity: NonZeroU32::new(2),
        ..ProcessOptions::default()
    };
    let pid = world.spawn(handler(|_, _| Step::Done), options);
    world
        .table
        .set_overflow_policy(pid, OverflowPolicy::Block)
        .unwrap();
    world.send(pid, "one").unwrap();
    world.send(pid, "two").unwrap();
    let mut sleepers = [(); 3].map(|()| Sleeper::new(&world, pid));
    for sleeper in &mut sleepers {
        assert!(sleeper.waits());
    }
    (world, pid, sleepers)
}

fn woken(sleepers: &[Sleeper]) -> Vec<usize> {
    sleepers.iter().map(Sleeper::woken).collect()
}

#[test]
fn room_for_one_wakes_the_first_who_waits() {
    let (world, pid, mut sleepers) = crowd();
    world.scheduler.step();
    assert_eq!(woken(&sleepers), [1, 0, 0]);
    assert!(!sleepers[0].waits());
    world.send(pid, "somebody was faster").unwrap();
    assert!(sleepers[0].waits(), "it waits again, where it was");
    world.scheduler.step();
    assert_eq!(woken(&sleepers), [1, 0, 0]);
    world.scheduler.step();
    assert_eq!(woken(&sleepers), [0, 1, 1], "there is room for two");
}

#[test]
fn one_who_does_not_use_the_room_leaves_it_to_the_next() {
    let (world, _, sleepers) = crowd();
    let [first, second, third] = sleepers;
    drop(second);
    world.scheduler.step();
    assert_eq!((first.woken(), third.woken()), (1, 0));
    drop(first);
    assert_eq!(third.woken(), 1);
}

#[test]
fn all_who_wait_hear_of_the_end_and_of_what_is_changed() {
    let ends: [fn(&World, Pid); 5] = [
        |world, pid| assert!(world.process(pid).stop(Lane::Signal, Exit::default())),
        |world, pid| assert!(world.process(pid).stop(Lane::User, Exit::default())),
        |world, pid| drop(world.table.give_up(pid)),
        |world, pid| {
            world
                .table
                .set_overflow_policy(pid, OverflowPolicy::DropNew)
                .unwrap();
        },
        |world, pid| {
            let five = NonZeroU32::new(5).unwrap();
            assert!(world.process(pid).set_capacity(five));
        },
    ];
    for end in ends {
        let (world, pid, mut sleepers) = crowd();
        end(&world, pid);
        assert_eq!(woken(&sleepers), [1, 1, 1]);
        assert!(!sleepers.iter_mut().any(Sleeper::waits));
    }
}

#[test]
fn all_who_wait_hear_of_a_process_that_ends_by_itself() {
    let world = World::new(1);
    let options = ProcessOptions {
        capacity: NonZeroU32::new(1),
        ..ProcessOptions::default()
    };
    let pid = world.spawn(handler(|_, _| Step::stop()), options);
    world
        .table
        .set_overflow_policy(pid, OverflowPolicy::Block)
        .unwrap();
    world.send(pid, "the last").unwrap();
    let mut sleepers = [(); 3].map(|()| Sleeper::new(&world, pid));
    for sleeper in &mut sleepers {
        assert!(sleeper.waits());
    }
    world.run();
    assert_eq!(woken(&sleepers), [1, 1, 1]);
}
