//! What a behavior does at its end, and what becomes of an exit when that takes too long.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iris::prelude::*;

const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(30);

/// Says when its `on_stop` begins, and hangs there until the test lets go.
struct Hangs {
    enter: Mutex<Sender<()>>,
    gate: Mutex<Receiver<()>>,
}

impl Behavior for Hangs {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::Done
    }

    fn on_stop(&self, _: &mut State, _: &Exit) {
        self.enter.lock().unwrap().send(()).unwrap();
        // An error means that the test lets go.
        self.gate.lock().unwrap().recv().ok();
    }
}

struct Held {
    entered: Receiver<()>,
    release: Sender<()>,
}

impl Held {
    fn is_in_on_stop(&self) {
        self.entered
            .recv_timeout(PATIENCE)
            .expect("on_stop has begun");
    }
}

fn runtime(workers: usize, deadline: Duration) -> Runtime {
    let builder = Runtime::builder().workers(workers);
    builder.on_stop_deadline(deadline).start().unwrap()
}

/// A process that will hang at its end; it has a state, without which it would have no end to
/// speak of.
fn hanging(rt: &Runtime, parent: Option<Pid>) -> (Pid, Held) {
    let (enter, entered) = channel();
    let (release, gate) = channel();
    let builder = rt.spawn(Hangs {
        enter: Mutex::new(enter),
        gate: Mutex::new(gate),
    });
    let pid = match parent {
        Some(parent) => builder.child_of(parent).start().unwrap(),
        None => builder.start().unwrap(),
    };
    wake(rt, pid);
    (pid, Held { entered, release })
}

fn wake(rt: &Runtime, pid: Pid) {
    rt.send_user(pid, "wake up").unwrap();
    assert!(rt.wait_quiet(PATIENCE));
}

fn idle(rt: &Runtime) -> Pid {
    let pid = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    wake(rt, pid);
    pid
}

/// (clean, failed, late)
fn counts(rt: &Runtime) -> (u64, u64, u64) {
    let counts = rt.exit_counts();
    (counts.clean, counts.failed, counts.late)
}

#[test]
fn an_exit_waits_for_its_on_stop() {
    let rt = runtime(2, Duration::from_hours(1));
    let (pid, held) = hanging(&rt, None);
    rt.stop(pid, ExitReason::Killed);
    held.is_in_on_stop();
    assert_eq!(rt.join(pid, Some(SOON)), Ok(false));
    assert_eq!(counts(&rt), (0, 0, 0));
    drop(held);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(counts(&rt), (1, 0, 0));
}

#[test]
fn an_on_stop_that_hangs_is_waited_for_until_the_deadline() {
    let rt = runtime(2, SOON);
    let other = idle(&rt);
    let parent = idle(&rt);
    let (pid, held) = hanging(&rt, Some(parent));
    rt.register("x", pid).unwrap();
    rt.stop(pid, ExitReason::Killed);
    held.is_in_on_stop();
    rt.stop(parent, ExitReason::Killed);

    rt.stop(other, ExitReason::Killed);
    assert_eq!(rt.join(other, Some(PATIENCE)), Ok(true), "others may end");
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    assert_eq!(counts(&rt), (3, 0, 1));
    let next = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    rt.register("x", next).unwrap();

    // It returns after all, and finds that nothing is left to do.
    assert!(held.release.send(()).is_ok(), "it still hangs");
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(counts(&rt), (3, 0, 1));
    assert_eq!(rt.whereis("x"), Some(next));
    assert_eq!(rt.process_count(), 1);
}

/// Held in its handler first, so that there is something queued, and then in `on_stop`.
struct Twice(Mutex<(Sender<()>, Receiver<()>)>, Hangs);

impl Behavior for Twice {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        let gate = self.0.lock().unwrap();
        gate.0.send(()).unwrap();
        gate.1.recv().ok();
        Step::Done
    }

    fn on_stop(&self, state: &mut State, exit: &Exit) {
        self.1.on_stop(state, exit);
    }
}

#[test]
fn what_was_queued_is_buried_by_the_deadline() {
    let rt = runtime(2, SOON);
    let (entered, inside) = channel();
    let (release, gate) = channel::<()>();
    let (hang, hung) = channel();
    let (let_go, hold) = channel();
    let twice = Twice(
        Mutex::new((entered, gate)),
        Hangs {
            enter: Mutex::new(hang),
            gate: Mutex::new(hold),
        },
    );
    let pid = rt.spawn(twice).start().unwrap();
    for _ in 0..3 {
        rt.send_user(pid, "x").unwrap();
    }
    inside.recv_timeout(PATIENCE).unwrap();
    rt.stop(pid, ExitReason::Killed);
    drop(release);
    hung.recv_timeout(PATIENCE).unwrap();
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.dead_letters(), 2);
    drop::<Sender<()>>(let_go);
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.dead_letters(), 2, "once");
}

#[test]
fn a_whole_line_of_ancestors_may_hang() {
    let rt = runtime(2, SOON);
    let (grandparent, first) = hanging(&rt, None);
    let (parent, second) = hanging(&rt, Some(grandparent));
    let (child, third) = hanging(&rt, Some(parent));
    rt.stop(grandparent, ExitReason::Killed);
    for (pid, held) in [(child, &third), (parent, &second), (grandparent, &first)] {
        held.is_in_on_stop();
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert_eq!(counts(&rt), (3, 0, 3));
}

#[test]
fn a_shutdown_is_not_held_up_by_an_on_stop() {
    // Its own patience is shorter than this deadline.
    let rt = runtime(2, Duration::from_hours(1));
    let (_, held) = hanging(&rt, None);
    let report = rt.shutdown(Duration::ZERO);
    held.is_in_on_stop();
    assert_eq!(report.stuck, 1);
    assert_eq!(rt.process_count(), 0);
    assert_eq!(counts(&rt), (1, 0, 0));
    drop(held);
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(counts(&rt), (1, 0, 0), "counted once");
}

#[test]
fn a_shutdown_is_not_held_up_by_a_parent_that_it_gives_up() {
    let rt = runtime(2, SOON);
    let (parent, held) = hanging(&rt, None);
    let (entered, inside) = channel();
    let (release, gate) = channel::<()>();
    let stuck = Mutex::new((entered, gate));
    let stuck = handler(move |_, _| {
        let stuck = stuck.lock().unwrap();
        stuck.0.send(()).unwrap();
        stuck.1.recv().ok();
        Step::Done
    });
    let child = rt.spawn(stuck).child_of(parent).start().unwrap();
    rt.send_user(child, "x").unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    rt.shutdown(Duration::ZERO);
    held.is_in_on_stop();
    assert_eq!(rt.process_count(), 0);
    assert_eq!(counts(&rt), (1, 1, 1), "the child failed to end in time");
    drop((held, release));
}

/// Panics when the last of it goes.
struct Brittle;

impl Behavior for Brittle {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::Done
    }

    fn on_stop(&self, _: &mut State, _: &Exit) {
        panic!("in on_stop, on purpose");
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("in drop, on purpose");
    }
}

#[test]
fn a_child_that_panics_at_its_end_lets_its_parent_end() {
    let rt = runtime(2, PATIENCE);
    let parent = idle(&rt);
    for _ in 0..3 {
        let child = rt.spawn(Brittle).child_of(parent).start().unwrap();
        wake(&rt, child);
    }
    rt.stop(parent, ExitReason::Killed);
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn a_process_that_never_had_a_state_has_no_on_stop() {
    let rt = runtime(1, PATIENCE);
    let (enter, entered) = channel();
    let (_release, gate) = channel();
    let behavior = Arc::new(Hangs {
        enter: Mutex::new(enter),
        gate: Mutex::new(gate),
    });
    let pid = rt.spawn_shared(behavior).start().unwrap();
    rt.stop(pid, ExitReason::Killed);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert!(entered.try_recv().is_err());
}
