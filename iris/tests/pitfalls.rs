//! Defects that earlier systems had, as far as a Rust program meets them and no other test
//! looks for them. The letters and numbers are the rows of the list of those defects.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver as Heard, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use iris::prelude::*;
use iris::{RecvError, SendError};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
}

fn hear<T>(from: &Heard<T>) -> T {
    from.recv_timeout(PATIENCE).expect("something was said")
}

fn idle(rt: &Runtime, parent: Option<Pid>) -> Pid {
    let builder = rt.spawn(handler(|_, _| Step::Done));
    match parent {
        Some(parent) => builder.child_of(parent).start().unwrap(),
        None => builder.start().unwrap(),
    }
}

/// A process that is inside its handler until the test lets go of the sender.
fn held(rt: &Runtime) -> (Pid, Sender<()>) {
    let (release, gate) = channel::<()>();
    let (enter, entered) = channel();
    let inside = Mutex::new((enter, gate));
    let behavior = handler(move |_, _| {
        let inside = inside.lock().unwrap();
        inside.0.send(()).ok();
        inside.1.recv().ok();
        Step::Done
    });
    let pid = rt.spawn(behavior).start().unwrap();
    rt.send_user(pid, "go in").unwrap();
    hear(&entered);
    (pid, release)
}

/// D1: a child that ended as the last of its parent wedged the parent for ever.
#[test]
fn a_parent_whose_children_end_on_many_threads_takes_new_ones() {
    let rt = runtime();
    let parent = idle(&rt, None);
    let families = (0..4).map(|_| {
        let rt = rt.clone();
        thread::spawn(move || {
            for _ in 0..200 {
                let child = idle(&rt, Some(parent));
                rt.stop(child, ExitReason::Killed);
                assert_eq!(rt.join(child, Some(PATIENCE)), Ok(true));
            }
        })
    });
    let families: Vec<_> = families.collect();
    for family in families {
        family.join().unwrap();
    }
    assert_eq!(rt.info(parent).unwrap().children, []);
    assert!(rt.is_alive(idle(&rt, Some(parent))));
}

/// D1, from the other side: by the time that a parent is gone, all of its children are.
#[test]
fn a_parent_is_not_gone_before_the_last_of_its_children() {
    let rt = Runtime::builder().workers(4).start().unwrap();
    for _ in 0..300 {
        let parent = idle(&rt, None);
        let children: Vec<Pid> = (0..8).map(|_| idle(&rt, Some(parent))).collect();
        let ended = rt.exit_counts().clean;
        rt.stop(parent, ExitReason::Killed);
        assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
        for child in children {
            assert_eq!(rt.join(child, Some(Duration::ZERO)), Ok(true));
        }
        assert_eq!(rt.exit_counts().clean - ended, 9, "and they are counted");
    }
}

/// D2b: two actors that blocked stopped all actors and timers on two processors.
#[test]
fn blocking_pull_actors_hold_nobody_up() {
    let rt = runtime();
    let (entered, inside) = channel();
    let (release, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    for _ in 0..8 {
        let (entered, gate) = (entered.clone(), gate.clone());
        let pull = rt.receiver("blocks").start_pull(move |_| {
            entered.send(()).unwrap();
            gate.lock().unwrap().recv().ok();
        });
        pull.unwrap();
    }
    (0..8).for_each(|_| hear(&inside));

    let (say, heard) = channel();
    let say_async = say.clone();
    let say = Mutex::new(say);
    let push = rt.spawn(handler(move |_, _| {
        say.lock().unwrap().send("push").unwrap();
        Step::Done
    }));
    let push = push.start().unwrap();
    rt.send_user(push, "x").unwrap();
    assert_eq!(hear(&heard), "push");
    rt.send_after(push, 1, &b"timer"[..]).unwrap();
    assert_eq!(hear(&heard), "push");
    let actor = rt.spawn_actor(|mut rx| async move {
        while rx.recv().await.is_some() {
            say_async.send("async").unwrap();
        }
    });
    rt.send_user(actor, "x").unwrap();
    assert_eq!(hear(&heard), "async");
    drop(release);
}

/// D7: a stop dropped what was queued without a word.
#[test]
fn what_a_stop_leaves_is_counted_to_the_last_message() {
    let rt = runtime();
    let (pid, release) = held(&rt);
    for n in 0..2_000_u32 {
        rt.send(pid, n.to_be_bytes().to_vec()).unwrap();
    }
    let first_left = Arc::new(Mutex::new(Vec::new()));
    let note = first_left.clone();
    rt.on_dead_letter(move |letter| note.lock().unwrap().push(letter.message.clone()));
    rt.stop(pid, ExitReason::Killed);
    let refused = rt.send_user(pid, "late").unwrap_err();
    assert!(matches!(refused, SendError::Closed { .. }));
    drop(release);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.dead_letters(), 2_000);
    let expected = (0..2_000_u32).map(|n| Message::from(n.to_be_bytes().to_vec()));
    assert_eq!(*first_left.lock().unwrap(), expected.collect::<Vec<_>>());
}

/// D7: a pull actor that was stopped got 2 of 10 messages.
#[test]
fn a_drained_pull_actor_receives_all_that_was_sent() {
    let rt = runtime();
    let (go, gate) = channel::<()>();
    let (say, heard) = channel();
    let pull = rt.receiver("slow").start_pull(move |mut rx| {
        gate.recv().ok();
        let mut received = 0;
        let end = loop {
            match rx.recv_blocking(None) {
                Ok(_) => received += 1,
                Err(end) => break end,
            }
        };
        say.send((received, end)).unwrap();
    });
    let pull = pull.unwrap();
    for _ in 0..10 {
        rt.send_user(pull, "x").unwrap();
    }
    assert!(rt.drain(pull));
    drop(go);
    assert_eq!(hear(&heard), (10, RecvError::Closed));
    assert_eq!(rt.join(pull, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.dead_letters(), 0);
}

/// D8: a swap overtook what was queued.
#[test]
fn a_swap_keeps_its_place_in_a_long_queue() {
    const EACH: usize = 1_000;
    let rt = runtime();
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(Some(gate));
    let (say, heard) = channel();
    let says = |who: &'static str| {
        let say = Mutex::new(say.clone());
        move || say.lock().unwrap().send(who).unwrap()
    };
    let (old, new) = (says("old"), says("new"));
    let first = handler(move |_, _| {
        // Held with its first message, until all others are queued.
        if let Some(gate) = gate.lock().unwrap().take() {
            gate.recv().ok();
        }
        old();
        Step::Done
    });
    let second = handler(move |_, _| {
        new();
        Step::Done
    });
    let pid = rt.spawn(first).start().unwrap();
    let send = || (0..EACH).for_each(|_| rt.send_user(pid, "x").unwrap());
    send();
    assert_eq!(rt.hot_swap(pid, second), Some(2));
    send();
    drop(release);
    let order: Vec<&str> = (0..2 * EACH).map(|_| hear(&heard)).collect();
    assert!(order[..EACH].iter().all(|who| *who == "old"));
    assert!(order[EACH..].iter().all(|who| *who == "new"));
}

/// Says how a process ended.
struct Says(Mutex<Sender<ExitReason>>);

impl Behavior for Says {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, message: Message) -> Step {
        match message.as_user().map(|bytes| &bytes[..]) {
            Some(b"end") => Step::stop(),
            Some(b"fail") => Step::Stop(ExitReason::Crash.into()),
            _ => Step::Done,
        }
    }

    fn on_stop(&self, _: &mut State, exit: &Exit) {
        let say = self.0.lock().unwrap();
        say.send(exit.reason.clone()).unwrap();
    }
}

/// D14: stops, and the ends of children, went by the name of `normal`.
#[test]
fn an_end_has_the_reason_that_it_has() {
    let rt = runtime();
    let (say, heard) = channel();
    let behavior = Arc::new(Says(Mutex::new(say)));
    let spawn = |parent: Option<Pid>| {
        let builder = rt.spawn_shared(behavior.clone());
        let pid = match parent {
            Some(parent) => builder.child_of(parent).start().unwrap(),
            None => builder.start().unwrap(),
        };
        rt.send_user(pid, "wake up").unwrap();
        assert!(rt.wait_quiet(PATIENCE));
        pid
    };
    rt.send_user(spawn(None), "end").unwrap();
    assert_eq!(hear(&heard), ExitReason::Normal);
    rt.send_user(spawn(None), "fail").unwrap();
    assert_eq!(hear(&heard), ExitReason::Crash);
    rt.stop(spawn(None), ExitReason::Killed);
    assert_eq!(hear(&heard), ExitReason::Killed);
    rt.drain(spawn(None));
    assert_eq!(hear(&heard), ExitReason::Shutdown);
    let parent = idle(&rt, None);
    spawn(Some(parent));
    rt.stop(parent, ExitReason::Killed);
    assert_eq!(
        hear(&heard),
        ExitReason::Shutdown,
        "the child of one that ended"
    );
}

/// D15: after a stall of a second, 50 ticks that were missed came at once.
#[test]
fn missed_ticks_are_not_made_up_for() {
    const PERIOD: Duration = Duration::from_millis(2);
    const MISSED: u32 = 150;
    // One worker, which also drives the timers: who holds it stalls both.
    let rt = Runtime::builder().workers(1).start().unwrap();
    let ticks = Arc::new(AtomicU32::new(0));
    let (say, heard) = channel();
    let (count, say) = (ticks.clone(), Mutex::new(say));
    let ticking = rt.spawn(handler(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        say.lock().unwrap().send(()).ok();
        Step::Done
    }));
    let ticking = ticking.start().unwrap();
    let beat = rt.send_interval(ticking, PERIOD, &b"tick"[..]).unwrap();
    hear(&heard);
    let (_, release) = held(&rt);
    let before = ticks.load(Ordering::Relaxed);
    // The stall itself, not a wait for anybody.
    thread::sleep(PERIOD * MISSED);
    drop(release);
    while heard.try_recv().is_ok() {}
    // Three beats after the stall; on a slow machine the timer may get in a few more.
    (0..3).for_each(|_| hear(&heard));
    rt.cancel_timer(beat);
    assert!(rt.wait_quiet(PATIENCE));
    let after = ticks.load(Ordering::Relaxed) - before;
    assert!(
        after < MISSED / 2,
        "{after} ticks after {MISSED} were missed"
    );
}

/// D26: handlers leaked when dead pids were swapped.
#[test]
fn a_behavior_that_nobody_takes_is_let_go() {
    let rt = runtime();
    let alive = Arc::new(());
    let held_by = |alive: &Arc<()>| {
        let alive = alive.clone();
        handler(move |_, _| {
            let _ = &alive;
            Step::Done
        })
    };
    let dead = idle(&rt, None);
    rt.stop(dead, ExitReason::Killed);
    assert_eq!(rt.join(dead, Some(PATIENCE)), Ok(true));
    let receiving = rt.spawn_actor(|mut rx| async move { while rx.recv().await.is_some() {} });
    for _ in 0..100 {
        assert_eq!(rt.hot_swap(dead, held_by(&alive)), None);
        assert_eq!(rt.hot_swap(receiving, held_by(&alive)), None);
        let orphan = rt.spawn(held_by(&alive)).child_of(dead).start();
        orphan.unwrap_err();
    }
    // A worker may still be about to let the last one go.
    let began = Instant::now();
    while Arc::strong_count(&alive) > 1 {
        assert!(began.elapsed() < PATIENCE, "somebody keeps a behavior");
        thread::yield_now();
    }
}

/// D35: a pid that was used again let a message reach the wrong process.
#[test]
fn thirty_thousand_short_lives_have_as_many_pids() {
    const LIVES: usize = 30_000;
    let rt = runtime();
    let mut pids = HashSet::new();
    let mut slots = HashSet::new();
    let mut last = None;
    for _ in 0..LIVES {
        let pid = idle(&rt, None);
        assert!(pids.insert(pid), "{pid} is used again");
        slots.insert(pid.slot());
        if let Some(last) = last.replace(pid) {
            assert!(rt.send_user(last, "late").is_err(), "{last} has ended");
        }
        rt.stop(pid, ExitReason::Killed);
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert!(slots.len() < LIVES / 10, "{} slots", slots.len());
}

/// D35: two runtimes handed out equal pids, and the wrong one took the message.
#[test]
fn a_pid_of_one_runtime_means_nothing_to_another() {
    let (ours, theirs) = (runtime(), runtime());
    let ours_pids: HashSet<Pid> = (0..1_000).map(|_| idle(&ours, None)).collect();
    for _ in 0..1_000 {
        let pid = idle(&theirs, None);
        assert!(!ours_pids.contains(&pid), "{pid} belongs to two runtimes");
        assert!(!ours.is_alive(pid));
        let refused = ours.send_user(pid, "astray").unwrap_err();
        assert!(matches!(refused, SendError::NoProc { .. }));
    }
}
