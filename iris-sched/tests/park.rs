//! Handlers that wait for what their scheduler brings.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::{Arc, Mutex};

use iris_core::{
    Behavior, BoxFuture, Context, Exit, ExitReason, Host, Lane, Message, Payload, Pid, State, Step,
};
use iris_sched::{Parked, Ready, Scheduler, Status};
use support::Fabric;

/// Keeps what is ready and what is parked for the test.
#[derive(Default)]
struct Hands {
    ready: Mutex<Vec<Ready>>,
    parked: Mutex<Vec<Parked>>,
}

impl Hands {
    fn run(&self) {
        loop {
            // Without the lock: it may be ready again.
            let next = self.ready.lock().unwrap().pop();
            let Some(ready) = next else {
                return;
            };
            ready.run();
        }
    }

    fn unpark(&self) -> Parked {
        self.parked.lock().unwrap().pop().expect("one is parked")
    }

    fn is_parked(&self) -> bool {
        !self.parked.lock().unwrap().is_empty()
    }
}

impl Scheduler for Hands {
    fn ready(&self, process: Ready) {
        self.ready.lock().unwrap().push(process);
    }

    fn drive(&self, _: BoxFuture<()>) {}

    fn park(&self, parked: Parked) {
        self.parked.lock().unwrap().push(parked);
    }
}

/// Parks at `wait`, and before its end if it is told to linger.
struct Waits {
    log: Mutex<Vec<String>>,
    lingers: bool,
}

impl Behavior for Waits {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, message: Message) -> Step {
        let text = String::from_utf8(message.as_user().unwrap().to_vec()).unwrap();
        self.log.lock().unwrap().push(text.clone());
        match text.as_str() {
            "wait" => Step::Park,
            "stop" => Step::stop(),
            _ => Step::Done,
        }
    }

    fn before_stop(&self, _: &mut State, _: Pid, exit: &Exit, at_once: bool) -> Step {
        let text = format!("before {} {at_once}", exit.reason);
        self.log.lock().unwrap().push(text);
        if self.lingers { Step::Park } else { Step::Done }
    }
}

struct Setup {
    hands: Arc<Hands>,
    fabric: Arc<Fabric>,
    waits: Arc<Waits>,
    pid: Pid,
}

impl Setup {
    fn new(lingers: bool) -> Self {
        let hands = Arc::new(Hands::default());
        let fabric = Fabric::on(hands.clone());
        let waits = Arc::new(Waits {
            log: Mutex::default(),
            lingers,
        });
        let pid = fabric.spawn_behavior(waits.clone());
        Self {
            hands,
            fabric,
            waits,
            pid,
        }
    }

    fn send(&self, text: &'static str) {
        self.fabric
            .send(self.pid, Message::from(text.as_bytes()))
            .unwrap();
        self.hands.run();
    }

    fn log(&self) -> Vec<String> {
        self.waits.log.lock().unwrap().clone()
    }

    fn exits(&self) -> Vec<(ExitReason, usize)> {
        let exits = self.fabric.exits();
        let exits = exits.iter();
        exits
            .map(|exited| (exited.exit.reason.clone(), exited.remaining.len()))
            .collect()
    }
}

#[test]
fn messages_wait_until_it_is_resumed() {
    let setup = Setup::new(false);
    setup.send("wait");
    setup.send("later");
    assert_eq!(setup.log(), ["wait"]);
    let process = setup.fabric.process(setup.pid);
    assert_eq!(
        (process.mailbox_size(), process.status()),
        (1, Status::Running)
    );
    assert_eq!(setup.fabric.busy(), 1);
    setup.hands.unpark().resume(Step::Done);
    setup.hands.run();
    assert_eq!(setup.log(), ["wait", "later"]);
    assert_eq!((setup.fabric.busy(), process.status()), (0, Status::Idle));
}

#[test]
fn a_resumed_process_without_mail_rests_at_once() {
    let setup = Setup::new(false);
    setup.send("wait");
    setup.hands.unpark().resume(Step::Done);
    assert!(setup.hands.ready.lock().unwrap().is_empty());
    assert_eq!(setup.fabric.busy(), 0);
}

#[test]
fn it_goes_on_as_the_step_says() {
    for (step, reason) in [
        (Step::stop(), ExitReason::Normal),
        (Step::Stop(ExitReason::Crash.into()), ExitReason::Crash),
    ] {
        let setup = Setup::new(false);
        setup.send("wait");
        setup.send("left");
        setup.hands.unpark().resume(step);
        assert_eq!(setup.exits(), [(reason, 1)]);
        assert_eq!(setup.fabric.busy(), 0);
    }
    let setup = Setup::new(false);
    setup.send("wait");
    setup.hands.unpark().resume(Step::Park);
    setup
        .hands
        .unpark()
        .resume(Step::Reply(Payload::copy_of(b"")));
    assert!(!setup.hands.is_parked());
    assert_eq!(setup.fabric.busy(), 0);
}

#[test]
fn one_that_is_dropped_is_killed() {
    let setup = Setup::new(false);
    setup.send("wait");
    drop(setup.hands.unpark());
    assert_eq!(setup.exits(), [(ExitReason::Killed, 0)]);
}

#[test]
fn who_waits_hears_of_an_order_to_stop_and_ends_after_it() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let setup = Setup::new(false);
    setup.send("wait");
    setup.send("left");
    let parked = setup.hands.unpark();
    let heard = told.clone();
    let hook: Arc<iris_sched::StopHook> = Arc::new(move |pid| heard.lock().unwrap().push(pid));
    parked.process().when_told_to_stop(&hook);
    assert!(
        setup
            .fabric
            .process(setup.pid)
            .stop(Lane::User, ExitReason::Shutdown.into())
    );
    assert!(
        told.lock().unwrap().is_empty(),
        "draining is no order to stop at once"
    );
    assert!(setup.fabric.stop(setup.pid, ExitReason::Killed.into()));
    assert_eq!(*told.lock().unwrap(), [setup.pid]);
    assert!(parked.is_stopped());
    parked.resume(Step::Yield);
    setup.hands.run();
    assert_eq!(setup.exits(), [(ExitReason::Killed, 1)]);
    assert_eq!(setup.log(), ["wait", "before killed true"]);
}

#[test]
fn an_end_can_be_put_off() {
    for way in ["stop", "drain", "handler"] {
        let setup = Setup::new(true);
        setup.send("first");
        let (reason, at_once) = match way {
            "stop" => (ExitReason::Killed, true),
            "drain" => (ExitReason::Shutdown, false),
            _ => (ExitReason::Normal, false),
        };
        match way {
            "stop" => drop(setup.fabric.stop(setup.pid, reason.clone().into())),
            "drain" => drop(
                setup
                    .fabric
                    .process(setup.pid)
                    .stop(Lane::User, reason.clone().into()),
            ),
            _ => setup.send("stop"),
        }
        setup.hands.run();
        assert!(setup.exits().is_empty(), "{way}");
        let late = Message::from(&b"late"[..]);
        assert!(setup.fabric.send(setup.pid, late).is_err(), "{way}");
        let parked = setup.hands.unpark();
        assert!(parked.is_ending());
        parked.resume(Step::Done);
        assert_eq!(setup.exits(), [(reason.clone(), 0)], "{way}");
        let last = setup.log().pop().unwrap();
        assert_eq!(last, format!("before {reason} {at_once}"));
        assert_eq!(setup.fabric.busy(), 0);
    }
}

#[test]
fn a_scheduler_that_cannot_resume_crashes_the_process() {
    struct Plain(Mutex<Vec<Ready>>);
    impl Scheduler for Plain {
        fn ready(&self, process: Ready) {
            self.0.lock().unwrap().push(process);
        }
        fn drive(&self, _: BoxFuture<()>) {}
    }
    let plain = Arc::new(Plain(Mutex::default()));
    let fabric = Fabric::on(plain.clone());
    let pid = fabric.spawn(|_, _| Step::Park);
    fabric.poke(pid);
    let ready = plain.0.lock().unwrap().pop().unwrap();
    ready.run();
    assert_eq!(fabric.exits()[0].exit.reason, ExitReason::Crash);
}

#[test]
fn what_a_batch_has_not_come_to_is_left_over_before_what_is_queued() {
    for told in [false, true] {
        let setup = Setup::new(false);
        setup.send("wait");
        setup.send("queued");
        let parked = setup.hands.unpark();
        let process = setup.fabric.process(setup.pid);
        let step = if told {
            process.stop(Lane::Signal, ExitReason::Killed.into());
            Step::Yield
        } else {
            Step::Stop(ExitReason::Crash.into())
        };
        let taken = ["first", "second"].map(|text| Message::from(text.as_bytes()));
        parked.resume_short(step, taken.into());
        setup.hands.run();
        let exits = setup.fabric.exits();
        let left: Vec<String> = exits[0]
            .remaining
            .iter()
            .map(|message| String::from_utf8(message.as_user().unwrap().to_vec()).unwrap())
            .collect();
        assert_eq!(left, ["first", "second", "queued"], "told to stop: {told}");
    }
}
