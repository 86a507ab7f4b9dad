//! Links, monitors and groups, through the whole of a runtime.

mod common;

use std::sync::{Arc, Barrier};
use std::thread;

use common::{Ear, crash, gone, mortal};
use iris::{ExitReason, Message, MonitorError, Runtime, SystemMessage};

fn exit(news: SystemMessage) -> iris::ExitInfo {
    match news {
        SystemMessage::Exit(info) => info,
        other => panic!("not an EXIT: {other:?}"),
    }
}

#[test]
fn a_link_tells_the_other_side_and_kills_nobody() {
    let rt = Runtime::new();
    let ear = Ear::new(&rt);
    for (word, reason) in [
        ("crash", ExitReason::Crash),
        ("normal", ExitReason::Normal),
        ("panic", ExitReason::Panic),
    ] {
        let pid = mortal(&rt);
        assert!(rt.link(pid, ear.pid));
        rt.send(pid, word.as_bytes().to_vec()).unwrap();
        let info = exit(ear.system());
        assert_eq!((info.from, info.target, &info.reason), (pid, pid, &reason));
        let message = info.metadata.map(|failure| failure.message);
        assert_eq!(message.as_deref(), (word == "panic").then_some("as asked"));
    }
    assert!(rt.is_alive(ear.pid));
}

#[test]
fn an_exit_comes_after_what_the_process_had_sent() {
    let rt = Runtime::new();
    let ear = Ear::new(&rt);
    let to = ear.pid;
    let talker = iris::handler(move |cx, _| {
        for word in [&b"one"[..], b"two"] {
            cx.send(to, Message::from(word.to_vec())).unwrap();
        }
        iris::Step::stop()
    });
    let pid = rt.spawn(talker).start().unwrap();
    rt.link(ear.pid, pid);
    rt.send(pid, &b"go"[..]).unwrap();
    assert_eq!(ear.next(), Message::from(&b"one"[..]));
    assert_eq!(ear.next(), Message::from(&b"two"[..]));
    assert_eq!(exit(ear.system()).target, pid);
}

#[test]
fn a_process_that_is_dead_already_is_reported_at_once() {
    let rt = Runtime::new();
    let (ear, pid) = (Ear::new(&rt), mortal(&rt));
    crash(&rt, pid);
    gone(&rt, pid);
    rt.link(ear.pid, pid);
    assert_eq!(exit(ear.system()).reason, ExitReason::NoProc);
    let reference = rt.monitor(ear.pid, pid).unwrap();
    let SystemMessage::Down {
        reference: of,
        info,
    } = ear.system()
    else {
        panic!("not a DOWN");
    };
    assert_eq!(
        (of, info.target, info.reason),
        (reference, pid, ExitReason::NoProc)
    );
}

#[test]
fn nobody_that_is_dead_is_told() {
    let rt = Runtime::new();
    let (watcher, pid) = (mortal(&rt), mortal(&rt));
    crash(&rt, watcher);
    gone(&rt, watcher);
    let refused = rt.monitor(watcher, pid);
    assert!(matches!(refused, Err(MonitorError::NoWatcher(who)) if who == watcher));
}

#[test]
fn a_propagating_link_takes_the_other_side_along_and_names_the_cause() {
    let rt = Runtime::new();
    let ear = Ear::new(&rt);
    let (a, b) = (mortal(&rt), mortal(&rt));
    assert!(rt.link_propagating(a, b));
    rt.monitor(ear.pid, b).unwrap();
    crash(&rt, a);
    let SystemMessage::Down { info, .. } = ear.system() else {
        panic!("not a DOWN");
    };
    assert_eq!(
        (info.from, info.target, info.reason),
        (a, b, ExitReason::Crash)
    );
}

#[test]
fn one_that_traps_exits_or_hears_of_a_normal_one_goes_on() {
    let rt = Runtime::new();
    let ear = Ear::new(&rt);
    let (normal, crashing) = (mortal(&rt), mortal(&rt));
    rt.link_propagating(ear.pid, normal);
    rt.send(normal, &b"normal"[..]).unwrap();
    gone(&rt, normal);
    ear.is_silent(&rt);
    assert!(rt.trap_exit(ear.pid, true));
    rt.link_propagating(ear.pid, crashing);
    crash(&rt, crashing);
    assert_eq!(exit(ear.system()).target, crashing);
    assert!(rt.is_alive(ear.pid));
}

#[test]
fn nothing_of_a_link_or_monitor_that_was_taken_off_arrives() {
    let rt = Runtime::new();
    let (ear, pid) = (Ear::new(&rt), mortal(&rt));
    rt.link(ear.pid, pid);
    let reference = rt.monitor(ear.pid, pid).unwrap();
    assert_eq!(rt.linked_to(pid), [ear.pid]);
    assert!(rt.unlink(pid, ear.pid));
    assert!(!rt.unlink(pid, ear.pid));
    assert!(rt.demonitor(reference));
    assert!(!rt.demonitor(reference));
    crash(&rt, pid);
    gone(&rt, pid);
    ear.is_silent(&rt);
}

#[test]
fn a_link_that_races_with_the_exit_gives_exactly_one_message() {
    let rt = Runtime::new();
    let ear = Ear::new(&rt);
    for _ in 0..300 {
        let pid = mortal(&rt);
        let start = Arc::new(Barrier::new(2));
        let (other, go) = (rt.clone(), start.clone());
        let killer = thread::spawn(move || {
            go.wait();
            crash(&other, pid);
        });
        start.wait();
        rt.link(ear.pid, pid);
        killer.join().unwrap();
        gone(&rt, pid);
        let info = exit(ear.system());
        assert_eq!(info.target, pid);
        assert!(matches!(
            info.reason,
            ExitReason::Crash | ExitReason::NoProc
        ));
        ear.is_silent(&rt);
    }
}

#[test]
fn who_stopped_a_process_is_its_exit_s_from() {
    let rt = Runtime::new();
    let (ear, pid) = (Ear::new(&rt), mortal(&rt));
    let within = rt.clone();
    let stopper = iris::handler(move |_, _| {
        within.stop(pid, ExitReason::Killed);
        iris::Step::Done
    });
    let stopper = rt.spawn(stopper).start().unwrap();
    rt.link(ear.pid, pid);
    rt.send(stopper, &b"now"[..]).unwrap();
    let info = exit(ear.system());
    assert_eq!(
        (info.from, info.target, info.reason),
        (stopper, pid, ExitReason::Killed)
    );
    rt.shutdown(common::PATIENCE);
}

#[test]
fn a_group_hears_what_is_published_and_loses_those_that_end() {
    let rt = Runtime::new();
    let (a, b, pid) = (Ear::new(&rt), Ear::new(&rt), mortal(&rt));
    for member in [a.pid, b.pid, pid] {
        assert_eq!(rt.join_group("topic", member), Ok(true));
    }
    assert_eq!(rt.join_group("topic", a.pid), Ok(false));
    assert_eq!(rt.members("topic"), [a.pid, b.pid, pid]);
    assert_eq!(rt.publish("topic", &b"news"[..]), 3);
    assert_eq!(a.next(), Message::from(&b"news"[..]));
    assert_eq!(b.next(), Message::from(&b"news"[..]));
    crash(&rt, pid);
    gone(&rt, pid);
    assert!(rt.leave_group("topic", b.pid));
    assert_eq!(rt.members("topic"), [a.pid]);
    assert!(rt.join_group("topic", pid).is_err(), "it is dead");
    assert_eq!(rt.groups(), ["topic"]);
    assert_eq!(rt.publish("nobody", &b"news"[..]), 0);
}
