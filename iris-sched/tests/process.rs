//! What a process does with its mailbox, step by step.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use iris_core::{
    Behavior, Context, Exit, ExitReason, Failure, Lane, Message, MigrationError, Pid, State, Step,
    handler,
};
use iris_sched::{Activation, ProcessOptions, RollbackError, Status, current_pid};
use iris_testkit::World;

type Log = Arc<Mutex<Vec<String>>>;

/// Notes each message under its own name; knows the words that make it stop or fail.
struct Scribe {
    name: &'static str,
    log: Log,
}

impl Scribe {
    fn new(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            log: log.clone(),
        }
    }
}

impl Behavior for Scribe {
    fn init(&self) -> State {
        self.log.lock().unwrap().push(format!("{} init", self.name));
        Box::new(0_u32)
    }

    fn handle(&self, state: &mut State, _: &mut Context<'_>, message: Message) -> Step {
        let count = state
            .downcast_mut::<u32>()
            .expect("all versions count in a u32");
        *count += 1;
        let word = String::from_utf8(message.as_user().expect("only bytes are sent").to_vec());
        let word = word.expect("tests send text");
        self.log
            .lock()
            .unwrap()
            .push(format!("{} {word} {count}", self.name));
        match word.as_str() {
            "stop" => Step::stop(),
            "crash" => Step::Stop(Exit::crash(Failure {
                kind: "Oops".into(),
                message: "it broke".into(),
                traceback: String::new(),
            })),
            "panic" => panic!("a test panics on purpose"),
            "yield" => Step::Yield,
            "await" => Step::Await(Box::pin(async { Step::Done })),
            "forever" => Step::Await(Box::pin(std::future::pending())),
            _ => Step::Done,
        }
    }

    fn migrate(&self, old: State, from_version: u32) -> Result<State, MigrationError> {
        self.log
            .lock()
            .unwrap()
            .push(format!("{} migrates from {from_version}", self.name));
        if self.name == "picky" {
            let failure = Failure {
                kind: "TypeError".into(),
                ..Failure::default()
            };
            return Err(MigrationError {
                state: old,
                failure,
            });
        }
        Ok(old)
    }

    fn on_stop(&self, _: &mut State, exit: &Exit) {
        self.log
            .lock()
            .unwrap()
            .push(format!("{} on_stop {}", self.name, exit.reason));
    }
}

fn scribe(world: &World, options: ProcessOptions) -> (Pid, Log) {
    let log = Log::default();
    (world.spawn(Scribe::new("A", &log), options), log)
}

fn lines(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

fn remaining(exit: &iris_core::Exited) -> Vec<Message> {
    exit.remaining.clone()
}

#[test]
fn messages_are_handled_in_order_and_counted_down() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    for word in ["one", "two", "three"] {
        world.send(pid, word).unwrap();
    }
    let process = world.process(pid);
    assert_eq!(
        (process.mailbox_size(), process.status()),
        (3, Status::Scheduled)
    );
    world.run();
    assert_eq!(lines(&log), ["A init", "A one 1", "A two 2", "A three 3"]);
    assert_eq!(
        (process.mailbox_size(), process.status()),
        (0, Status::Idle)
    );
    assert_eq!(process.handled(), 3);
    assert_eq!(world.busy(), 0);
}

#[test]
fn a_spent_budget_lets_others_run() {
    let world = World::new(7);
    let options = ProcessOptions {
        budget_reductions: 2,
        ..ProcessOptions::default()
    };
    let (pid, _) = scribe(&world, options);
    for _ in 0..5 {
        world.send(pid, "x").unwrap();
    }
    assert_eq!(world.run(), 3, "two, two and one message");
}

#[test]
fn sends_are_charged_to_the_sender() {
    let world = World::new(7);
    let sink = world.spawn(handler(|_, _| Step::Done), ProcessOptions::default());
    let options = ProcessOptions {
        budget_reductions: 4,
        ..ProcessOptions::default()
    };
    let chatty = world.spawn(
        handler(move |cx, bytes| {
            for _ in 0..3 {
                cx.send(sink, bytes.clone()).unwrap();
            }
            Step::Done
        }),
        options,
    );
    world.send(chatty, "x").unwrap();
    world.send(chatty, "x").unwrap();
    // Each message costs 1 + 3 sends, so each takes a slice; the sink takes one or two.
    let slices = world.run();
    assert!((3..=4).contains(&slices), "{slices}");
}

#[test]
fn a_long_slice_ends_by_the_clock() {
    let world = World::new(7);
    let clock = world.clock.clone();
    let slow = handler(move |_, _| {
        clock.advance(Duration::from_micros(10));
        Step::Done
    });
    let pid = world.spawn(slow, ProcessOptions::default());
    for _ in 0..8 {
        world.send(pid, "x").unwrap();
    }
    assert_eq!(
        world.run(),
        3,
        "four, four, and one look at the empty mailbox"
    );
}

#[test]
fn a_swap_keeps_its_place_among_the_messages() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    world.send(pid, "before").unwrap();
    assert_eq!(
        process.swap(Lane::User, Arc::new(Scribe::new("B", &log))),
        Some(2)
    );
    world.send(pid, "after").unwrap();
    assert_eq!(process.mailbox_size(), 2, "a swap is not mail");
    assert_eq!(process.behavior_version(), 1, "not yet in force");
    world.run();
    assert_eq!(
        lines(&log),
        ["A init", "A before 1", "B migrates from 1", "B after 2"]
    );
    assert_eq!(process.behavior_version(), 2);
}

#[test]
fn a_swap_in_the_signal_lane_applies_to_the_backlog() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    world.send(pid, "before").unwrap();
    world
        .process(pid)
        .swap(Lane::Signal, Arc::new(Scribe::new("B", &log)));
    world.run();
    assert_eq!(lines(&log), ["B init", "B before 1"]);
}

#[test]
fn a_swap_that_was_overtaken_is_passed_over() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    world.send(pid, "one").unwrap();
    process.swap(Lane::User, Arc::new(Scribe::new("B", &log)));
    world.send(pid, "two").unwrap();
    assert_eq!(
        process.swap(Lane::Signal, Arc::new(Scribe::new("C", &log))),
        Some(3)
    );
    world.run();
    assert_eq!(lines(&log), ["C init", "C one 1", "C two 2"]);
    assert_eq!(process.behavior_version(), 3);
}

#[test]
fn a_rollback_goes_back_in_order_and_to_the_original_too() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    let swap = |name| process.swap(Lane::User, Arc::new(Scribe::new(name, &log)));
    assert_eq!(
        process.roll_back(Lane::User, 1),
        Err(RollbackError::TooFar {
            steps: 1,
            available: 0
        })
    );
    assert_eq!((swap("B"), swap("C")), (Some(2), Some(3)));
    world.send(pid, "one").unwrap();
    assert_eq!(process.roll_back(Lane::User, 2), Ok(1));
    world.send(pid, "two").unwrap();
    assert_eq!(swap("D"), Some(4), "numbers are not used twice");
    assert_eq!(process.roll_back(Lane::User, 1), Ok(1), "what was before D");
    world.send(pid, "three").unwrap();
    world.run();
    let handled: Vec<_> = lines(&log)
        .into_iter()
        .filter(|l| !l.contains("migrates"))
        .collect();
    assert_eq!(handled, ["C init", "C one 1", "A two 2", "A three 3"]);
    assert_eq!(process.behavior_version(), 1);
}

#[test]
fn the_original_outlasts_the_versions_that_are_kept() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    for _ in 0..40 {
        process.swap(Lane::User, Arc::new(Scribe::new("B", &log)));
    }
    assert_eq!(
        process.roll_back(Lane::User, 16),
        Err(RollbackError::TooFar {
            steps: 16,
            available: 15
        })
    );
    assert_eq!(
        process.roll_back(Lane::User, 14),
        Ok(27),
        "the oldest of the others"
    );
    assert_eq!(process.roll_back(Lane::User, 1), Ok(1), "the original");
    process.stop(Lane::Signal, ExitReason::Killed.into());
    assert_eq!(
        process.roll_back(Lane::User, 0),
        Err(RollbackError::NotAlive)
    );
}

#[test]
fn a_draining_process_is_not_swapped() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    world.send(pid, "one").unwrap();
    process.stop(Lane::User, ExitReason::Shutdown.into());
    for lane in [Lane::User, Lane::Signal] {
        assert_eq!(process.swap(lane, Arc::new(Scribe::new("B", &log))), None);
    }
    world.run();
    assert_eq!(lines(&log), ["A init", "A one 1"]);
}

#[test]
fn charging_more_than_there_is_is_no_overflow() {
    let world = World::new(7);
    let costly = handler(|cx, _| {
        cx.charge(u32::MAX);
        cx.charge(u32::MAX);
        Step::Done
    });
    let pid = world.spawn(costly, ProcessOptions::default());
    world.send(pid, "x").unwrap();
    world.send(pid, "x").unwrap();
    assert_eq!(
        world.run(),
        3,
        "a slice for each, and a look at the empty mailbox"
    );
}

#[test]
fn a_failed_migration_leaves_the_old_behavior_with_its_state() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    world.send(pid, "one").unwrap();
    process.swap(Lane::User, Arc::new(Scribe::new("picky", &log)));
    world.send(pid, "two").unwrap();
    world.run();
    assert_eq!(
        lines(&log),
        ["A init", "A one 1", "picky migrates from 1", "A two 2"]
    );
    assert_eq!(process.behavior_version(), 1);
}

#[test]
fn stopping_kills_at_once_and_leaves_the_queue_over() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    let process = world.process(pid);
    world.send(pid, "one").unwrap();
    world.run();
    world.send(pid, "two").unwrap();
    world.send(pid, "three").unwrap();
    assert!(process.stop(Lane::Signal, ExitReason::Killed.into()));
    assert!(!process.is_alive(), "from the very call");
    assert!(world.send(pid, "late").is_err());
    assert!(
        !process.stop(Lane::Signal, ExitReason::Killed.into()),
        "only once"
    );
    assert_eq!(
        process.swap(Lane::User, Arc::new(Scribe::new("B", &log))),
        None
    );
    world.run();
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert_eq!(exit.exit.reason, ExitReason::Killed);
    assert_eq!(
        remaining(exit),
        ["two", "three"].map(|w| Message::from(w.as_bytes()))
    );
    assert!(exit.state.is_some(), "for on_stop");
    assert_eq!(lines(&log), ["A init", "A one 1"]);
}

#[test]
fn draining_handles_the_queue_first() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    world.send(pid, "one").unwrap();
    assert!(
        world
            .process(pid)
            .stop(Lane::User, ExitReason::Shutdown.into())
    );
    assert!(world.send(pid, "late").is_err());
    world.run();
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert_eq!(exit.exit.reason, ExitReason::Shutdown);
    assert!(exit.remaining.is_empty());
    assert_eq!(lines(&log), ["A init", "A one 1"]);
}

#[test]
fn a_crash_ends_the_process_with_its_details() {
    let world = World::new(7);
    let (pid, _) = scribe(&world, ProcessOptions::default());
    world.send(pid, "crash").unwrap();
    world.send(pid, "unheard").unwrap();
    world.run();
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert_eq!(exit.exit.reason, ExitReason::Crash);
    assert_eq!(
        exit.exit.failure.as_ref().unwrap().to_string(),
        "Oops: it broke"
    );
    assert_eq!(remaining(exit), [Message::from(&b"unheard"[..])]);
    assert_eq!(world.busy(), 0);
}

#[test]
fn a_panic_is_contained_and_its_state_forgotten() {
    let world = World::new(7);
    let (pid, _) = scribe(&world, ProcessOptions::default());
    let (other, log) = scribe(&world, ProcessOptions::default());
    world.send(pid, "panic").unwrap();
    world.send(other, "fine").unwrap();
    world.run();
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert_eq!((exit.pid, &exit.exit.reason), (pid, &ExitReason::Panic));
    assert!(
        exit.exit
            .failure
            .as_ref()
            .unwrap()
            .message
            .contains("on purpose")
    );
    assert!(exit.state.is_none());
    assert_eq!(lines(&log), ["A init", "A fine 1"]);
}

#[test]
fn an_awaiting_process_keeps_its_messages_waiting() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, ProcessOptions::default());
    world.send(pid, "await").unwrap();
    world.send(pid, "next").unwrap();
    world.scheduler.step();
    assert_eq!(world.process(pid).status(), Status::Running);
    assert_eq!(lines(&log), ["A init", "A await 1"]);
    world.run();
    assert_eq!(lines(&log), ["A next 2"]);
    assert_eq!(world.busy(), 0);
}

#[test]
fn stopping_ends_a_wait_that_would_never_end() {
    for stop_first in [false, true] {
        let world = World::new(7);
        let (pid, _) = scribe(&world, ProcessOptions::default());
        world.send(pid, "forever").unwrap();
        world.scheduler.step();
        if !stop_first {
            world.run();
        }
        assert!(
            world
                .process(pid)
                .stop(Lane::Signal, ExitReason::Killed.into())
        );
        world.run();
        assert_eq!(
            world.exits().len(),
            1,
            "stopped before its first poll: {stop_first}"
        );
    }
}

#[test]
fn a_panic_while_awaiting_is_a_panic() {
    let world = World::new(7);
    let pid = world.spawn(
        handler(|_, _| Step::Await(Box::pin(async { panic!("late, on purpose") }))),
        ProcessOptions::default(),
    );
    world.send(pid, "x").unwrap();
    world.run();
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert_eq!(exit.exit.reason, ExitReason::Panic);
}

#[test]
fn a_handler_knows_whose_it_is() {
    let world = World::new(7);
    let seen = Arc::new(Mutex::new(None));
    let note = seen.clone();
    let pid = world.spawn(
        handler(move |cx, _| {
            *note.lock().unwrap() = Some((current_pid(), cx.pid()));
            Step::Done
        }),
        ProcessOptions::default(),
    );
    world.send(pid, "x").unwrap();
    world.run();
    assert_eq!(*seen.lock().unwrap(), Some((Some(pid), pid)));
    assert_eq!(current_pid(), None);
}

fn lazy(idle_ms: Option<u64>, reactivate: bool) -> ProcessOptions {
    let idle_timeout = idle_ms.map(Duration::from_millis);
    ProcessOptions {
        activation: Activation::Virtual {
            idle_timeout,
            reactivate,
        },
        ..ProcessOptions::default()
    }
}

#[test]
fn a_virtual_actor_is_activated_by_its_first_message() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, lazy(None, false));
    assert_eq!(world.process(pid).status(), Status::Reserved);
    assert_eq!(lines(&log), [""; 0]);
    world.send(pid, "hello").unwrap();
    world.run();
    assert_eq!(world.process(pid).status(), Status::Idle);
    assert_eq!(lines(&log), ["A init", "A hello 1"]);
    world.advance(Duration::from_hours(1));
    assert_eq!(world.exits().len(), 0, "without a time-out it stays");
}

#[test]
fn an_idle_virtual_actor_ends_normally() {
    let world = World::new(7);
    let (pid, _) = scribe(&world, lazy(Some(100), false));
    world.advance(Duration::from_secs(1));
    assert_eq!(world.exits().len(), 0, "not activated is not idle");
    world.send(pid, "hello").unwrap();
    world.run();
    world.advance(Duration::from_millis(60));
    world.send(pid, "again").unwrap();
    world.run();
    world.advance(Duration::from_millis(60));
    assert_eq!(world.exits().len(), 0, "60 ms after its last message");
    world.advance(Duration::from_millis(40));
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert_eq!((exit.pid, &exit.exit.reason), (pid, &ExitReason::Normal));
    assert!(exit.state.is_some(), "for on_stop");
}

#[test]
fn a_reactivated_actor_keeps_its_pid_and_begins_anew() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, lazy(Some(100), true));
    world.send(pid, "one").unwrap();
    world.run();
    world.advance(Duration::from_millis(100));
    assert_eq!(world.process(pid).status(), Status::Reserved);
    world.send(pid, "two").unwrap();
    world.run();
    assert_eq!(
        lines(&log),
        ["A init", "A one 1", "A on_stop normal", "A init", "A two 1"]
    );
    world.advance(Duration::from_millis(100));
    assert_eq!(
        world.process(pid).status(),
        Status::Reserved,
        "idle a second time"
    );
    assert_eq!(world.exits().len(), 0);
}

#[test]
fn a_virtual_actor_that_was_never_activated_can_be_stopped() {
    let world = World::new(7);
    let (pid, log) = scribe(&world, lazy(Some(100), false));
    assert!(
        world
            .process(pid)
            .stop(Lane::Signal, ExitReason::Killed.into())
    );
    world.run();
    let [exit] = &world.exits()[..] else {
        panic!("one exit")
    };
    assert!(exit.state.is_none());
    assert_eq!(lines(&log), [""; 0]);
    assert!(world.table.is_empty());
}
