//! The runtime from outside, on its real threads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iris::prelude::*;
use iris::{
    JoinError, PlaceError, RegisterError, SendError, SpawnError, Status, TimerError, handler,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
}

/// A behavior that hands all it gets to the test.
fn collector() -> (impl Behavior, Receiver<String>) {
    let (tell, hear): (Sender<String>, _) = channel();
    let tell = Mutex::new(tell);
    let behavior = handler(move |_, bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        tell.lock().unwrap().send(text).unwrap();
        Step::Done
    });
    (behavior, hear)
}

fn hear(from: &Receiver<String>) -> String {
    from.recv_timeout(PATIENCE).expect("something was sent")
}

fn send(rt: &Runtime, to: Pid, text: &'static str) -> Result<(), SendError> {
    rt.send(to, text.as_bytes())
}

/// A process that is inside its handler until the test says so; one message each slice.
fn blocked(rt: &Runtime) -> (Pid, Sender<()>, Receiver<String>) {
    let (release, gate) = channel::<()>();
    let (tell, entered) = channel();
    let (gate, tell) = (Mutex::new(gate), Mutex::new(tell));
    let pid = rt
        .spawn(handler(move |_, _| {
            tell.lock().unwrap().send("entered".to_owned()).unwrap();
            // An error means that the test is over.
            gate.lock().unwrap().recv().ok();
            Step::Done
        }))
        .budget(1)
        .start()
        .unwrap();
    (pid, release, entered)
}

#[test]
fn messages_of_one_sender_arrive_in_order() {
    let rt = runtime();
    let (behavior, heard) = collector();
    let pid = rt.spawn(behavior).start().unwrap();
    for n in 0..10_000_u32 {
        rt.send(pid, n.to_string().into_bytes()).unwrap();
    }
    for n in 0..10_000_u32 {
        assert_eq!(hear(&heard), n.to_string());
    }
}

#[test]
fn an_unknown_pid_gives_the_message_back() {
    let rt = runtime();
    let nobody = Pid::new(99, Pid::LAST_GENERATION).unwrap();
    let error = send(&rt, nobody, "x").unwrap_err();
    assert!(matches!(error, SendError::NoProc { .. }));
    assert_eq!(error.into_message(), Message::from(&b"x"[..]));
    assert!(!rt.stop(nobody, ExitReason::Killed));
    assert_eq!(rt.mailbox_size(nobody), None);
    assert_eq!(rt.hot_swap(nobody, handler(|_, _| Step::Done)), None);
    assert_eq!(rt.join(nobody, None), Ok(true), "it is gone");
}

#[test]
fn a_dead_process_takes_nothing_and_has_no_name() {
    let rt = runtime();
    let (behavior, _heard) = collector();
    let pid = rt
        .spawn(behavior)
        .named("x")
        .at_path("/a/x")
        .start()
        .unwrap();
    assert_eq!(
        (rt.whereis("x"), rt.whereis_path("/a/x")),
        (Some(pid), Some(pid))
    );
    assert!(rt.stop(pid, ExitReason::Killed));
    assert!(!rt.is_alive(pid));
    assert_eq!(
        (rt.whereis("x"), rt.whereis_path("/a/x")),
        (None, None),
        "from the very call"
    );
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert!(send(&rt, pid, "late").is_err());
    assert_eq!(rt.register("y", pid), Err(PlaceError::NoProc(pid)));
    assert!(rt.list_children("/a").unwrap().is_empty());
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn a_name_of_the_dying_can_be_taken_at_once() {
    let rt = runtime();
    let (first, release, entered) = blocked(&rt);
    rt.register("x", first).unwrap();
    send(&rt, first, "go").unwrap();
    hear(&entered);
    rt.stop(first, ExitReason::Killed);
    let (behavior, _heard) = collector();
    let second = rt
        .spawn(behavior)
        .named("x")
        .start()
        .expect("the holder is on its way out");
    release.send(()).unwrap();
    rt.join(first, Some(PATIENCE)).unwrap();
    assert_eq!(
        rt.whereis("x"),
        Some(second),
        "the old holder's end leaves the new one alone"
    );
}

#[test]
fn spawning_with_a_taken_name_leaves_nothing_behind() {
    let rt = runtime();
    let (behavior, _heard) = collector();
    let holder = rt.spawn(behavior).named("x").start().unwrap();
    let error = rt
        .spawn(handler(|_, _| Step::Done))
        .named("x")
        .start()
        .unwrap_err();
    let SpawnError::Place(PlaceError::Register(RegisterError::NameTaken { holder: h, .. })) = error
    else {
        panic!("{error}")
    };
    assert_eq!(h, holder);
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.process_count(), 1);
    let error = rt
        .spawn(handler(|_, _| Step::Done))
        .budget(0)
        .start()
        .unwrap_err();
    assert!(matches!(error, SpawnError::NoBudget));
}

#[test]
fn what_a_stopped_process_leaves_is_reported_as_dead_letters() {
    let rt = runtime();
    let letters = Arc::new(Mutex::new(Vec::new()));
    let note = letters.clone();
    rt.on_dead_letter(move |letter| note.lock().unwrap().push(letter.clone()));
    let (pid, release, entered) = blocked(&rt);
    for text in ["running", "one", "two"] {
        send(&rt, pid, text).unwrap();
    }
    hear(&entered);
    assert_eq!(rt.mailbox_size(pid), Some(2));
    rt.stop(pid, ExitReason::Killed);
    release.send(()).unwrap();
    rt.join(pid, Some(PATIENCE)).unwrap();
    let letters: Vec<_> = letters
        .lock()
        .unwrap()
        .iter()
        .map(|l| l.message.clone())
        .collect();
    assert_eq!(
        letters,
        [Message::from(&b"one"[..]), Message::from(&b"two"[..])]
    );
    assert_eq!(rt.dead_letters(), 2);
    assert_eq!(rt.exit_counts().clean, 1);
}

#[test]
fn a_panicking_hook_does_not_stop_the_pipeline() {
    let rt = runtime();
    rt.on_dead_letter(|_| panic!("on purpose"));
    let (pid, release, entered) = blocked(&rt);
    send(&rt, pid, "running").unwrap();
    send(&rt, pid, "queued").unwrap();
    hear(&entered);
    rt.stop(pid, ExitReason::Killed);
    release.send(()).unwrap();
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.dead_letters(), 1);
}

#[test]
fn a_drained_process_handles_its_queue_and_ends() {
    let rt = runtime();
    let (behavior, heard) = collector();
    let pid = rt.spawn(behavior).start().unwrap();
    for text in ["one", "two"] {
        send(&rt, pid, text).unwrap();
    }
    rt.drain(pid);
    rt.join(pid, Some(PATIENCE)).unwrap();
    assert_eq!([hear(&heard), hear(&heard)], ["one", "two"]);
    assert_eq!(rt.dead_letters(), 0);
}

#[test]
fn a_panicking_handler_is_a_counted_failure_and_harms_nobody_else() {
    let rt = runtime();
    let bad = rt
        .spawn(handler(|_, _| panic!("on purpose")))
        .start()
        .unwrap();
    send(&rt, bad, "x").unwrap();
    rt.join(bad, Some(PATIENCE)).unwrap();
    assert_eq!(rt.exit_counts().failed, 1);
    let (behavior, heard) = collector();
    let good = rt.spawn(behavior).start().unwrap();
    send(&rt, good, "fine").unwrap();
    assert_eq!(hear(&heard), "fine");
}

#[test]
fn a_swap_is_in_order_with_the_messages_around_it() {
    let rt = runtime();
    let (a, heard_a) = collector();
    let (b, heard_b) = collector();
    let pid = rt.spawn(a).start().unwrap();
    send(&rt, pid, "before").unwrap();
    assert_eq!(rt.hot_swap(pid, b), Some(2));
    send(&rt, pid, "after").unwrap();
    assert_eq!(
        (hear(&heard_a), hear(&heard_b)),
        ("before".into(), "after".into())
    );
    assert_eq!(rt.behavior_version(pid), Some(2));
}

#[test]
fn a_process_cannot_wait_for_itself() {
    let rt = runtime();
    let (tell, heard) = channel();
    let tell = Mutex::new(tell);
    let inside = rt.clone();
    let pid = rt
        .spawn(handler(move |cx, _| {
            tell.lock()
                .unwrap()
                .send(inside.join(cx.pid(), None))
                .unwrap();
            Step::Done
        }))
        .start()
        .unwrap();
    send(&rt, pid, "x").unwrap();
    assert_eq!(
        heard.recv_timeout(PATIENCE).unwrap(),
        Err(JoinError::Itself(pid))
    );
}

#[test]
fn an_idle_virtual_actor_is_ended_by_the_clock() {
    let rt = runtime();
    let (behavior, heard) = collector();
    let pid = rt
        .spawn(behavior)
        .virtual_actor(Some(Duration::from_millis(5)))
        .start()
        .unwrap();
    assert_eq!(rt.info(pid).unwrap().status, Status::Reserved);
    send(&rt, pid, "hello").unwrap();
    assert_eq!(hear(&heard), "hello");
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.exit_counts().clean, 1);
}

#[test]
fn shutdown_drains_then_stops_and_says_what_was_left() {
    let rt = runtime();
    let (behavior, heard) = collector();
    let pid = rt.spawn(behavior).start().unwrap();
    for _ in 0..1000 {
        send(&rt, pid, "x").unwrap();
    }
    assert_eq!(rt.shutdown(PATIENCE), iris::ShutdownReport::default());
    assert_eq!(heard.try_iter().count(), 1000);
    assert!(matches!(
        send(&rt, pid, "late"),
        Err(SendError::NoProc { .. })
    ));
    let error = rt.spawn(handler(|_, _| Step::Done)).start().unwrap_err();
    assert!(matches!(error, SpawnError::ShutDown));

    let rt = runtime();
    let (pid, release, entered) = blocked(&rt);
    send(&rt, pid, "running").unwrap();
    send(&rt, pid, "queued").unwrap();
    hear(&entered);
    // Released only once the drain is over and the process is told to stop.
    let watch = rt.clone();
    let releaser = std::thread::spawn(move || {
        while watch.is_alive(pid) {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
    });
    assert_eq!(
        rt.shutdown(Duration::ZERO),
        iris::ShutdownReport {
            undelivered: 1,
            stuck: 0
        }
    );
    releaser.join().unwrap();
}

#[test]
fn shutdown_counts_what_waits_behind_a_stuck_handler() {
    let rt = runtime();
    let (pid, release, entered) = blocked(&rt);
    for text in ["stuck", "one", "two"] {
        send(&rt, pid, text).unwrap();
    }
    hear(&entered);
    let report = rt.shutdown(Duration::ZERO);
    assert_eq!(
        report,
        iris::ShutdownReport {
            undelivered: 2,
            stuck: 1
        }
    );
    release.send(()).unwrap();
}

#[test]
fn a_dropped_runtime_leaves_no_process() {
    let alive = Arc::new(());
    let rt = runtime();
    for _ in 0..10 {
        let held = alive.clone();
        rt.spawn(handler(move |_, _| {
            let _ = &held;
            Step::Done
        }))
        .start()
        .unwrap();
    }
    assert_eq!(Arc::strong_count(&alive), 11);
    drop(rt);
    assert_eq!(
        Arc::strong_count(&alive),
        1,
        "nothing keeps a runtime alive but its users"
    );
}

#[test]
fn two_runtimes_do_not_mix_their_pids_up() {
    let (one, two) = (runtime(), runtime());
    let (behavior, _heard) = collector();
    let pid = one.spawn(behavior).start().unwrap();
    assert!(matches!(
        send(&two, pid, "x"),
        Err(SendError::NoProc { .. })
    ));
}

#[test]
fn a_dropped_runtime_buries_what_is_queued() {
    let rt = runtime();
    let (tell, buried) = channel();
    let tell = Mutex::new(tell);
    rt.on_dead_letter(move |letter| tell.lock().unwrap().send(letter.message.clone()).unwrap());
    let (pid, release, entered) = blocked(&rt);
    for text in ["running", "one", "two"] {
        send(&rt, pid, text).unwrap();
    }
    hear(&entered);
    // The handler that is running keeps the runtime until its slice is over.
    drop(rt);
    release.send(()).unwrap();
    for text in ["one", "two"] {
        let letter = buried.recv_timeout(PATIENCE).expect("it was queued");
        assert_eq!(letter, Message::from(text.as_bytes()));
    }
}

/// Panics wherever a behavior can.
struct Brittle;

impl Behavior for Brittle {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::stop()
    }

    fn on_stop(&self, _: &mut State, _: &Exit) {
        panic!("in on_stop, on purpose");
    }

    fn name(&self) -> &'static str {
        panic!("in name, on purpose");
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("in drop, on purpose");
    }
}

#[test]
fn a_behavior_that_panics_everywhere_ends_alone() {
    let rt = Runtime::builder().workers(1).start().unwrap();
    for _ in 0..3 {
        let pid = rt.spawn(Brittle).start().unwrap();
        send(&rt, pid, "x").unwrap();
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    let (behavior, heard) = collector();
    let pid = rt.spawn(behavior).start().unwrap();
    send(&rt, pid, "the one worker is still there").unwrap();
    hear(&heard);
    assert!(rt.wait_quiet(PATIENCE));
}

#[test]
fn timers_fire_in_their_order_and_end_with_their_target() {
    let rt = runtime();
    let (behavior, heard) = collector();
    let pid = rt.spawn(behavior).start().unwrap();
    let ms = Duration::from_millis;
    let late = rt
        .send_after(pid, Duration::from_hours(1), &b"never"[..])
        .unwrap();
    rt.send_after(pid, ms(500), &b"second"[..]).unwrap();
    rt.send_after(pid, ms(1), &b"first"[..]).unwrap();
    assert_eq!([hear(&heard), hear(&heard)], ["first", "second"]);
    assert!(rt.cancel_timer(late));

    let beat = rt.send_interval(pid, ms(1), &b"beat"[..]).unwrap();
    assert_eq!([hear(&heard), hear(&heard)], ["beat", "beat"]);
    rt.stop(pid, ExitReason::Killed);
    rt.join(pid, Some(PATIENCE)).unwrap();
    assert!(!rt.cancel_timer(beat), "it ended with its target");
    assert_eq!(
        rt.send_after(pid, ms(1), &b"x"[..]),
        Err(TimerError::NoProc(pid))
    );
}

#[test]
fn an_interval_sends_nothing_while_its_last_message_waits() {
    let rt = runtime();
    let (heard, messages) = channel();
    let (open, gate) = channel::<()>();
    let held_up = rt.receiver("held up").start_pull(move |mut rx| {
        while gate.recv().is_ok() {
            heard.send(rx.recv_blocking(None)).unwrap();
        }
        Exit::default()
    });
    let held_up = held_up.unwrap();
    let (beat, beats) = channel();
    let other = rt.spawn(handler(move |_, _| {
        beat.send(()).unwrap();
        Step::Done
    }));
    let other = other.start().unwrap();
    rt.send_interval(held_up, 1, &b"tick"[..]).unwrap();
    rt.send_interval(other, 1, &b"beat"[..]).unwrap();
    for _ in 0..20 {
        beats.recv_timeout(PATIENCE).unwrap();
    }
    assert!(rt.mailbox_size(held_up).unwrap() <= 1);
    // And goes on when that one was received.
    for _ in 0..3 {
        open.send(()).unwrap();
        let message = messages.recv_timeout(PATIENCE).unwrap();
        assert_eq!(message, Ok(Message::from(&b"tick"[..])));
    }
}

#[test]
fn an_interval_of_zero_is_refused() {
    let rt = runtime();
    let pid = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    assert_eq!(
        rt.send_interval(pid, Duration::ZERO, &b"x"[..]),
        Err(TimerError::NoInterval)
    );
}

/// Notes its end under a name.
struct Mourned(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Behavior for Mourned {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::Done
    }

    fn on_stop(&self, _: &mut State, exit: &Exit) {
        assert!(matches!(
            exit.reason,
            ExitReason::Shutdown | ExitReason::Killed
        ));
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn a_tree_ends_from_the_leaves_with_its_root() {
    let rt = runtime();
    let ends = Arc::new(Mutex::new(Vec::new()));
    let spawn = |name, parent: Option<Pid>| {
        let builder = rt.spawn(Mourned(name, ends.clone()));
        let pid = match parent {
            Some(parent) => builder.child_of(parent).start().unwrap(),
            None => builder.start().unwrap(),
        };
        // `on_stop` is for processes that have a state.
        send(&rt, pid, "wake up").unwrap();
        pid
    };
    let root = spawn("root", None);
    let left = spawn("left", Some(root));
    let right = spawn("right", Some(root));
    let leaf = spawn("leaf", Some(left));
    assert!(rt.wait_quiet(PATIENCE));
    let info = rt.info(left).unwrap();
    assert_eq!((info.parent, info.children), (Some(root), vec![leaf]));

    rt.stop(root, ExitReason::Killed);
    assert_eq!(rt.join(root, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.process_count(), 0);
    let ends = ends.lock().unwrap();
    let place = |name| ends.iter().position(|end| *end == name).unwrap();
    assert_eq!(ends.len(), 4);
    assert!(place("leaf") < place("left"));
    assert!(place("left") < place("root") && place("right") < place("root"));
    assert!(!rt.is_alive(right));
}

#[test]
fn a_child_that_ends_first_leaves_its_parent_alone() {
    let rt = runtime();
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    for _ in 0..100 {
        let child = rt
            .spawn(handler(|_, _| Step::stop()))
            .child_of(parent)
            .start()
            .unwrap();
        rt.stop(child, ExitReason::Killed);
        // The last child of its parent, again and again: where others have deadlocked.
        assert_eq!(rt.join(child, Some(PATIENCE)), Ok(true));
    }
    assert!(rt.is_alive(parent));
    assert_eq!(rt.info(parent).unwrap().children, []);
    rt.stop(parent, ExitReason::Killed);
    rt.join(parent, Some(PATIENCE)).unwrap();
    let error = rt
        .spawn(handler(|_, _| Step::Done))
        .child_of(parent)
        .start()
        .unwrap_err();
    assert!(matches!(error, SpawnError::NoParent));
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn a_deep_family_ends_without_recursion() {
    let rt = runtime();
    let root = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let mut youngest = root;
    for _ in 0..20_000 {
        let child = rt.spawn(handler(|_, _| Step::Done)).child_of(youngest);
        youngest = child.start().unwrap();
    }
    rt.stop(root, ExitReason::Killed);
    assert_eq!(rt.join(root, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn children_born_while_their_parent_dies_die_with_it() {
    for _ in 0..200 {
        let rt = runtime();
        let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
        let mother = rt.clone();
        let births = std::thread::spawn(move || {
            let child = || {
                mother
                    .spawn(handler(|_, _| Step::Done))
                    .child_of(parent)
                    .start()
            };
            (0..10).filter(|_| child().is_ok()).count()
        });
        rt.stop(parent, ExitReason::Killed);
        births.join().unwrap();
        rt.join(parent, Some(PATIENCE)).unwrap();
        assert!(rt.wait_quiet(PATIENCE));
        assert_eq!(rt.process_count(), 0);
    }
}

#[test]
fn a_shutdown_does_not_forget_a_parent_that_waits_for_a_stuck_child() {
    let rt = runtime();
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let (tell, entered) = channel();
    let (release, gate) = channel::<()>();
    let (tell, gate) = (Mutex::new(tell), Mutex::new(gate));
    let stuck = handler(move |_, _| {
        tell.lock().unwrap().send(()).unwrap();
        gate.lock().unwrap().recv().ok();
        Step::Done
    });
    let child = rt.spawn(stuck).child_of(parent).start().unwrap();
    send(&rt, child, "x").unwrap();
    entered.recv_timeout(PATIENCE).unwrap();
    let report = rt.shutdown(Duration::ZERO);
    assert_eq!((report.undelivered, report.stuck), (0, 1));
    assert_eq!(rt.process_count(), 0, "both are given up");
    release.send(()).unwrap();
}

#[test]
fn a_runtime_dropped_in_full_traffic_accounts_for_every_message() {
    const SENT: usize = 60;
    for _ in 0..300 {
        let rt = runtime();
        let (tell, accounted) = channel();
        let (handled, buried) = (Mutex::new(tell.clone()), Mutex::new(tell));
        rt.on_dead_letter(move |_| buried.lock().unwrap().send(()).unwrap());
        let behavior: Arc<dyn Behavior> = Arc::new(handler(move |_, _| {
            handled.lock().unwrap().send(()).unwrap();
            Step::Done
        }));
        let pids: Vec<Pid> = (0..20)
            .map(|_| rt.spawn_shared(behavior.clone()).budget(1).start().unwrap())
            .collect();
        for pid in pids.iter().cycle().take(SENT) {
            send(&rt, *pid, "x").unwrap();
        }
        drop(rt);
        for _ in 0..SENT {
            hear_any(&accounted);
        }
    }
}

fn hear_any(from: &Receiver<()>) {
    from.recv_timeout(PATIENCE)
        .expect("every message is handled or buried");
}

#[test]
fn a_handler_that_overruns_is_reported_with_its_pid() {
    let (tell, overruns) = channel();
    let tell = Mutex::new(tell);
    let rt = Runtime::builder()
        .workers(1)
        .overrun_after(Some(Duration::from_millis(10)))
        .on_overrun(move |overrun| tell.lock().unwrap().send(overrun).unwrap())
        .start()
        .unwrap();
    let (pid, release, _entered) = blocked(&rt);
    send(&rt, pid, "block").unwrap();
    let overrun = overruns.recv_timeout(PATIENCE).unwrap();
    assert_eq!(overrun.pid, pid);
    assert!(overrun.running_for >= Duration::from_millis(10));
    release.send(()).unwrap();
}
