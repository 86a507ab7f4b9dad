//! What users leave behind may panic or ask for something while it is dropped: the process
//! goes on, or ends as it was told to, and no message is lost with it.

use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context as TaskContext, Poll};
use std::thread;
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, BoxFuture, Context, Exit, ExitReason, ExitSink, Exited, Host, Lane, Message, Pid,
    SendError, State, Step, SystemClock, handler,
};
use iris_sched::{
    Activity, Cohort, Environment, KEPT_VERSIONS, Process, ProcessOptions, Ready, Received,
    Scheduler, Table,
};
use iris_testkit::World;

/// How long a test waits for what does not come if it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does something when it is dropped.
struct AtEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics when it is dropped.
fn bomb() -> AtEnd<impl FnMut()> {
    AtEnd(|| panic!("dropped, as the test means it to be"))
}

/// Counts messages, and keeps something that is dropped with the last reference.
fn counting<T: Send + Sync + 'static>(count: &Arc<AtomicUsize>, keeps: T) -> impl Behavior {
    let count = count.clone();
    handler(move |_, _| {
        let _ = &keeps;
        count.fetch_add(1, Ordering::Relaxed);
        Step::Done
    })
}

fn spawn(world: &World, behavior: impl Behavior) -> Pid {
    world.spawn(behavior, ProcessOptions::default())
}

#[test]
fn a_message_survives_a_swapped_out_behavior_that_panics_while_it_is_dropped() {
    let world = World::new(1);
    let count = Arc::<AtomicUsize>::default();
    let cohort = world.cohort();
    let behavior = counting(&count, bomb());
    let pid = world.spawn_in(&cohort, behavior, ProcessOptions::default());
    cohort.swap_all(Arc::new(counting(&count, ())));
    for _ in 0..3 {
        world.send(pid, "message").unwrap();
    }
    world.run();
    assert_eq!(count.load(Ordering::Relaxed), 3);
    assert_eq!(world.busy(), 0);
    assert_eq!(world.process(pid).mailbox_size(), 0);
}

#[test]
fn a_process_ends_though_a_swap_that_is_still_queued_panics_while_it_is_dropped() {
    let world = World::new(1);
    let count = Arc::<AtomicUsize>::default();
    let pid = spawn(&world, counting(&count, ()));
    let process = world.process(pid);
    world.send(pid, "left").unwrap();
    let next = Arc::new(counting(&count, bomb()));
    assert_eq!(process.swap(Lane::User, next), Some(2));
    // Now only the queue knows it.
    assert_eq!(process.roll_back(Lane::User, 1), Ok(1));
    assert!(process.stop(Lane::Signal, ExitReason::Killed.into()));
    world.run();
    let exits = world.exits();
    assert_eq!(exits.len(), 1, "its end is reported");
    assert_eq!(exits[0].exit.reason, ExitReason::Killed);
    assert_eq!(exits[0].remaining, [Message::from(&b"left"[..])]);
    assert!(world.table.is_empty());
    assert_eq!(world.busy(), 0);
}

/// Never ready.
struct Never<T>(T);

impl<T: Unpin> Future for Never<T> {
    type Output = Step;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Step> {
        Poll::Pending
    }
}

#[test]
fn a_process_that_was_stopped_ends_though_its_future_panics_while_it_is_dropped() {
    let world = World::new(1);
    let behavior = handler(|cx, _| {
        assert!(cx.host().stop(cx.pid(), ExitReason::Killed.into()));
        Step::Await(Box::pin(Never(bomb())))
    });
    let pid = spawn(&world, behavior);
    world.send(pid, "stop and wait").unwrap();
    world.run();
    assert_eq!(world.exits().len(), 1);
    assert!(world.table.is_empty());
}

#[test]
fn what_a_handler_throws_may_panic_while_it_is_dropped() {
    let world = World::new(1);
    let pid = spawn(&world, handler(|_, _| panic_any(bomb())));
    for _ in 0..2 {
        world.send(pid, "message").unwrap();
    }
    world.run();
    let exits = world.exits();
    assert_eq!(exits.len(), 1);
    assert_eq!(exits[0].exit.reason, ExitReason::Panic);
    assert_eq!(exits[0].remaining.len(), 1);
    assert_eq!(world.busy(), 0);
}

#[test]
fn a_behavior_that_the_history_forgets_may_ask_for_its_process() {
    let (done, finished) = channel();
    thread::spawn(move || {
        let world = World::new(1);
        let count = Arc::<AtomicUsize>::default();
        let pid = spawn(&world, counting(&count, ()));
        let process = world.process(pid);
        let asks = AtEnd(move || assert!(process.swap(Lane::User, Arc::new(nothing())).is_some()));
        process.swap(Lane::User, Arc::new(counting(&count, asks)));
        for _ in 0..KEPT_VERSIONS {
            world.run();
            process.swap(Lane::User, Arc::new(nothing()));
        }
        done.send(process.is_alive()).ok();
    });
    assert_eq!(finished.recv_timeout(PATIENCE), Ok(true));
}

fn nothing() -> impl Behavior {
    handler(|_, _| Step::Done)
}

/// A runtime that runs nothing and keeps exits.
#[derive(Default)]
struct Kept {
    ready: Mutex<Vec<Ready>>,
    exits: Mutex<Vec<Exited>>,
}

impl Scheduler for Kept {
    fn ready(&self, process: Ready) {
        self.ready
            .lock()
            .expect("no panic under the lock")
            .push(process);
    }
    fn drive(&self, _: BoxFuture<()>) {}
}

impl Host for Kept {
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
        Err(SendError::NoProc { to, message })
    }
    fn stop(&self, _: Pid, _: Exit) -> bool {
        false
    }
    fn is_alive(&self, _: Pid) -> bool {
        false
    }
    fn wake_at(&self, _: Pid, _: Instant) {}
    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl ExitSink for Kept {
    fn exited(&self, exited: Exited) {
        self.exits
            .lock()
            .expect("no panic under the lock")
            .push(exited);
    }
}

impl Kept {
    fn cohort(self: &Arc<Self>, left: &Arc<AtomicUsize>) -> Arc<Cohort> {
        let kept: Weak<Self> = Arc::downgrade(self);
        let left = left.clone();
        let env = Environment {
            host: kept.clone(),
            exits: kept,
            clock: Arc::new(SystemClock),
            activity: Activity::default(),
            leftovers: Arc::new(move |_, messages| {
                left.fetch_add(messages.len(), Ordering::Relaxed);
            }),
        };
        Cohort::new(Arc::new(env), self.clone())
    }

    fn pop(&self) -> Option<Ready> {
        self.ready.lock().expect("no panic under the lock").pop()
    }
}

#[test]
fn a_process_that_receives_ends_once_though_it_is_given_up_before_it_is_removed() {
    let kept = Arc::<Kept>::default();
    let table = Table::new();
    let options = ProcessOptions {
        receives: true,
        ..ProcessOptions::default()
    };
    let cohort = kept.cohort(&Arc::default());
    let pid = table.spawn(cohort, Arc::new(nothing()), options).unwrap();
    let send = |process: Process| process.send(Message::from(&b"only"[..]));
    assert!(table.get(pid).is_some_and(|process| send(process).is_ok()));
    let mut turn = kept.pop().expect("it has work").take_turn();
    assert!(matches!(turn.receive(), Received::User(..)));
    turn.end(ExitReason::Normal.into(), None);
    assert_eq!(kept.exits.lock().expect("no panic under the lock").len(), 1);
    // The end is under way, and a shutdown that waits no longer comes in between.
    assert!(table.give_up(pid).is_some());
    assert!(kept.pop().is_none(), "nobody is to run what has ended");
    assert!(table.is_empty());
}

/// A process is given up while its turn to run is dropped: what it had queued is accounted for,
/// and what is in the cell of its successor is the successor's.
#[test]
fn a_turn_that_is_dropped_while_its_process_is_given_up_leaves_nothing_behind() {
    const ROUNDS: usize = 3000;
    const MESSAGES: usize = 3;
    let kept = Arc::<Kept>::default();
    let left = Arc::<AtomicUsize>::default();
    let table = Table::new();
    let cohort = kept.cohort(&left);
    let mut back = 0;
    for _ in 0..ROUNDS {
        let options = ProcessOptions {
            budget_reductions: 1,
            ..ProcessOptions::default()
        };
        let pid = table.spawn(cohort.clone(), Arc::new(nothing()), options);
        let pid = pid.unwrap();
        let process = table.get(pid).unwrap();
        for _ in 0..MESSAGES {
            process.send(Message::from(&b"left"[..])).unwrap();
        }
        // One is handled; so the others are on the runner's line.
        kept.pop().expect("it has work").run();
        let ready = kept.pop().expect("there is more");
        back += thread::scope(|scope| {
            let dropping = scope.spawn(move || drop(ready));
            let (left, _) = table.give_up(pid).expect("it lives");
            dropping.join().unwrap();
            left.len()
        });
    }
    let accounted = back + left.load(Ordering::Relaxed);
    assert_eq!(accounted, ROUNDS * (MESSAGES - 1));
    assert!(table.is_empty());
}

/// A walk over all cells gives up what it finds, while processes begin and end.
#[test]
fn whoever_is_found_by_a_walk_over_all_cells_is_whole_and_ends_once() {
    const LIVES: usize = 2000;
    let kept = Arc::<Kept>::default();
    let table = Table::new();
    let cohort = kept.cohort(&Arc::default());
    let begun = AtomicUsize::new(0);
    let spawners = 2;
    let ended = thread::scope(|scope| {
        for _ in 0..spawners {
            scope.spawn(|| {
                for _ in 0..LIVES {
                    // Few cells, so that the walks are short and often come by.
                    while table.len() > 4 {
                        thread::yield_now();
                    }
                    let options = ProcessOptions::default();
                    let behavior = Arc::new(nothing());
                    table.spawn(cohort.clone(), behavior, options).unwrap();
                }
                begun.fetch_add(1, Ordering::Release);
            });
        }
        let walk = || {
            let mut ended = 0;
            loop {
                let all = begun.load(Ordering::Acquire) == spawners;
                let found = table.snapshot();
                let ends = |process: &&Process| table.give_up(process.pid()).is_some();
                ended += found.iter().filter(ends).count();
                if all && found.is_empty() {
                    return ended;
                }
            }
        };
        let walkers = [scope.spawn(walk), scope.spawn(walk)];
        walkers
            .into_iter()
            .map(|walker| walker.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(ended, spawners * LIVES);
    assert_eq!(table.len(), 0);
}

/// Panics over each message, and again when its state is dropped.
struct Fragile;

impl Behavior for Fragile {
    fn init(&self) -> State {
        Box::new(bomb())
    }

    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        panic!("as the test means it to be")
    }
}

#[test]
fn a_state_that_panics_while_it_is_dropped_after_a_panic_is_one_end() {
    let world = World::new(1);
    let pid = spawn(&world, Fragile);
    for _ in 0..2 {
        world.send(pid, "message").unwrap();
    }
    world.run();
    let exits = world.exits();
    assert_eq!(exits.len(), 1);
    assert_eq!(exits[0].exit.reason, ExitReason::Panic);
    assert_eq!(exits[0].remaining.len(), 1);
}
