//! What there is to know of processes, and warnings that they do not keep up.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::{Debug, Write};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use iris::prelude::*;
use iris::{DeadLetterCounts, Kind, OverflowPolicy, SendError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const PATIENCE: Duration = Duration::from_secs(20);

fn quiet() -> impl Behavior {
    handler(|_, _| Step::Done)
}

#[test]
fn kinds_bounds_and_supervision_are_told() {
    let rt = Runtime::builder().workers(2).start().unwrap();
    let target = rt.spawn(quiet()).start().unwrap();
    let bounded = rt.spawn(quiet()).capacity(3).start().unwrap();
    rt.set_overflow_policy(bounded, OverflowPolicy::Redirect(target))
        .unwrap();
    let info = rt.info(bounded).unwrap();
    assert_eq!((info.pid, info.kind), (bounded, Kind::Push));
    assert_eq!(info.capacity, Some(3));
    assert_eq!(info.overflow, Some(OverflowPolicy::Redirect(target)));
    assert!(!info.is_supervised);
    let info = rt.info(target).unwrap();
    assert_eq!((info.capacity, info.overflow), (None, None));
    let kind = |pid| rt.info(pid).unwrap().kind;
    let is_virtual = rt.spawn(quiet()).virtual_actor(None).start().unwrap();
    assert_eq!(kind(is_virtual), Kind::Virtual);
    assert_eq!(kind(rt.observer().start().unwrap()), Kind::Observer);
    let pull = rt.receiver("pull").start_pull(|mut mailbox| {
        drop(mailbox.recv_blocking(None));
    });
    assert_eq!(kind(pull.unwrap()), Kind::Pull);
    let stats = rt.stats();
    assert_eq!((stats.processes, stats.queued), (5, 0));
}

#[test]
fn the_runtime_s_capacity_is_that_of_processes_without_their_own() {
    let rt = Runtime::builder()
        .workers(2)
        .mailbox_capacity(NonZeroU32::new(2))
        .start()
        .unwrap();
    let (entered, is_inside) = channel();
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let blocking = handler(move |_, _| {
        entered.send(()).unwrap();
        gate.lock().unwrap().recv_timeout(PATIENCE).ok();
        Step::Done
    });
    let pid = rt.spawn(blocking).start().unwrap();
    rt.send(pid, &b"held"[..]).unwrap();
    is_inside.recv_timeout(PATIENCE).unwrap();
    rt.send(pid, &b"1"[..]).unwrap();
    rt.send(pid, &b"2"[..]).unwrap();
    let refused = rt.send(pid, &b"3"[..]);
    assert!(
        matches!(refused, Err(SendError::Full { .. })),
        "{refused:?}"
    );
    rt.set_overflow_policy(pid, OverflowPolicy::DropOld)
        .unwrap();
    rt.send(pid, &b"3"[..]).unwrap();
    let own = rt.spawn(quiet()).capacity(7).start().unwrap();
    assert_eq!(rt.capacity(own), Some(7));
    rt.stop(pid, ExitReason::Killed);
    drop(go);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    let counts = DeadLetterCounts {
        stopped: 2,
        evicted: 1,
        refused: 0,
    };
    assert_eq!(rt.dead_letter_counts(), counts);
    assert_eq!(rt.dead_letters(), 3);
    assert_eq!(rt.stats().dead_letters, counts);
}

#[test]
fn a_reference_does_not_keep_the_runtime() {
    let rt = Runtime::builder().workers(1).start().unwrap();
    let reference = rt.downgrade();
    let pid = rt.spawn(quiet()).start().unwrap();
    assert!(reference.upgrade().is_some_and(|rt| rt.is_alive(pid)));
    drop(rt);
    assert!(reference.upgrade().is_none());
}

/// Hands the warnings of the scheduler to the test, as text.
struct Warnings(Mutex<Sender<String>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target() == "iris_sched::backlog"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().send(text.0).unwrap();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_runtime_is_idle_without_work_and_without_timers() {
    let rt = Runtime::new();
    let (entered, is_inside) = channel();
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let waits = handler(move |_, _| {
        entered.send(()).unwrap();
        gate.lock().unwrap().recv_timeout(PATIENCE).ok();
        Step::Done
    });
    let pid = rt.spawn(waits).start().unwrap();
    assert!(rt.is_idle());
    let timer = rt
        .send_after(pid, Duration::from_hours(1), &b"x"[..])
        .unwrap();
    assert!(!rt.is_idle());
    assert!(rt.cancel_timer(timer) && rt.is_idle());
    rt.send(pid, &b"x"[..]).unwrap();
    is_inside.recv_timeout(PATIENCE).unwrap();
    assert!(!rt.is_idle());
    go.send(()).unwrap();
    assert!(rt.wait_quiet(PATIENCE) && rt.is_idle());
}

#[test]
fn a_mailbox_that_fills_is_told_once_for_each_doubling() {
    let (say, told) = channel();
    tracing::subscriber::set_global_default(Warnings(Mutex::new(say))).unwrap();
    let rt = Runtime::builder().workers(1).start().unwrap();
    let (entered, is_inside) = channel();
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let slow = handler(move |_, data| {
        if &data[..] == b"hold" {
            entered.send(()).unwrap();
            gate.lock().unwrap().recv_timeout(PATIENCE).ok();
        }
        Step::Done
    });
    // One message for each slice, and a look after each.
    let pid = rt.spawn(slow).budget(1).start().unwrap();
    let hold = || {
        rt.send(pid, &b"hold"[..]).unwrap();
        is_inside.recv_timeout(PATIENCE).unwrap();
    };
    let mut seen = Vec::new();
    hold();
    for count in [9_000, 12_000, 13_000, 45_000] {
        for _ in 0..count {
            rt.send(pid, &b"x"[..]).unwrap();
        }
        go.send(()).unwrap();
        hold();
        seen.push(told.try_iter().count());
    }
    // 13,000 are more than 10,000 again, and less than twice that; 45,000 are past two marks.
    assert_eq!(seen, [0, 1, 0, 1]);
    drop(go);
}
