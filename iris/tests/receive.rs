//! Actors that receive: async ones and ones on threads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::mpsc::{Receiver as Heard, Sender, channel};
use std::thread;
use std::time::Duration;

use iris::prelude::*;
use iris::{Failure, Receiver, RecvError, SendError, SpawnError};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
}

fn text(message: &Message) -> String {
    String::from_utf8(message.as_user().unwrap().to_vec()).unwrap()
}

fn hear<T>(from: &Heard<T>) -> T {
    from.recv_timeout(PATIENCE).expect("something was said")
}

fn send(rt: &Runtime, to: Pid, text: &'static str) -> Result<(), SendError> {
    rt.send(to, text.as_bytes())
}

fn on_thread(rt: &Runtime, body: impl FnOnce(Receiver) -> Exit + Send + 'static) -> Pid {
    rt.receiver("on a thread")
        .start_thread(|run| thread::Builder::new().spawn(run).map(drop), body)
        .unwrap()
}

/// An async actor that says what it receives.
fn echo(rt: &Runtime) -> (Pid, Heard<String>) {
    let (say, heard): (Sender<String>, _) = channel();
    let pid = rt.spawn_actor(|mut rx| async move {
        while let Some(message) = rx.recv().await {
            say.send(text(&message)).unwrap();
        }
        say.send("told to stop".to_owned()).unwrap();
    });
    (pid, heard)
}

#[test]
fn an_async_actor_receives_in_order() {
    let rt = runtime();
    let (pid, heard) = echo(&rt);
    for n in 0..5_000_u32 {
        rt.send(pid, n.to_string().into_bytes()).unwrap();
    }
    for n in 0..5_000_u32 {
        assert_eq!(hear(&heard), n.to_string());
    }
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.info(pid).unwrap().handled, 5_000);
}

#[test]
fn it_ends_when_its_future_returns() {
    let rt = runtime();
    let parent = rt.spawn_actor(|mut rx| async move {
        rx.recv().await;
    });
    let child = rt.spawn_child(parent, |mut rx| async move {
        while rx.recv().await.is_some() {}
    });
    rt.send(parent, &b"quit"[..]).unwrap();
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    assert!(!rt.is_alive(child), "the child ends with its parent");
    assert_eq!(rt.exit_counts().clean, 2);
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn what_it_leaves_is_dead_letters() {
    let rt = runtime();
    let (go, gate) = channel::<()>();
    let pid = on_thread(&rt, move |mut rx| {
        rx.recv_matching_blocking(|m| text(m) == "second", None)
            .unwrap();
        gate.recv().ok();
        Exit::default()
    });
    for word in ["first", "second", "third"] {
        send(&rt, pid, word).unwrap();
    }
    go.send(()).unwrap();
    rt.join(pid, Some(PATIENCE)).unwrap();
    assert_eq!(
        rt.dead_letters(),
        2,
        "what was passed over, and what was never received"
    );
}

#[test]
fn told_to_stop_it_may_finish_what_it_is_at() {
    let rt = runtime();
    let (pid, heard) = echo(&rt);
    assert!(rt.stop(pid, ExitReason::Killed));
    assert!(!rt.is_alive(pid));
    assert_eq!(hear(&heard), "told to stop");
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.exit_counts().clean, 1);

    let (pid, heard) = echo(&rt);
    send(&rt, pid, "one").unwrap();
    rt.drain(pid);
    assert_eq!([hear(&heard), hear(&heard)], ["one", "told to stop"]);
}

#[test]
fn one_that_waits_for_something_else_is_dropped_there() {
    struct Flag(Sender<&'static str>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.send("dropped").ok();
        }
    }
    let rt = runtime();
    let (say, heard) = channel();
    let pid = rt.spawn_actor(|mut rx| async move {
        let _flag = Flag(say.clone());
        rx.recv().await;
        say.send("waiting").unwrap();
        std::future::pending::<()>().await;
    });
    send(&rt, pid, "x").unwrap();
    assert_eq!(hear(&heard), "waiting");
    rt.stop(pid, ExitReason::Killed);
    assert_eq!(hear(&heard), "dropped");
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
}

#[test]
fn a_panic_is_its_end_alone() {
    let rt = runtime();
    let pid = rt.spawn_actor(|mut rx| async move {
        rx.recv().await;
        panic!("on purpose");
    });
    let threaded = on_thread(&rt, |_| panic!("on purpose"));
    send(&rt, pid, "x").unwrap();
    for pid in [pid, threaded] {
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert_eq!(rt.exit_counts().failed, 2);
    let (pid, heard) = echo(&rt);
    send(&rt, pid, "fine").unwrap();
    assert_eq!(hear(&heard), "fine");
}

#[test]
fn selective_receive_keeps_the_order_of_the_others() {
    let rt = runtime();
    let (say, heard) = channel();
    let pid = rt.spawn_actor(|mut rx| async move {
        let first = rx.recv_matching(|m| text(m) == "c").await.unwrap();
        say.send(text(&first)).unwrap();
        while let Some(message) = rx.recv().await {
            say.send(text(&message)).unwrap();
        }
    });
    for word in ["a", "b"] {
        send(&rt, pid, word).unwrap();
    }
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.mailbox_size(pid), Some(2), "passed over is not handled");
    for word in ["c", "d"] {
        send(&rt, pid, word).unwrap();
    }
    assert_eq!([0; 4].map(|_| hear(&heard)), ["c", "a", "b", "d"]);
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.mailbox_size(pid), Some(0));
}

#[test]
fn a_thread_waits_for_a_message_for_a_time() {
    let rt = runtime();
    let (say, heard) = channel();
    let pid = on_thread(&rt, move |mut rx| {
        say.send(rx.recv_blocking(Some(Duration::ZERO)).map(|m| text(&m)))
            .unwrap();
        say.send(
            rx.recv_blocking(Some(Duration::from_millis(1)))
                .map(|m| text(&m)),
        )
        .unwrap();
        say.send(rx.recv_blocking(None).map(|m| text(&m))).unwrap();
        say.send(rx.recv_blocking(None).map(|m| text(&m))).unwrap();
        Exit::crash(Failure::default())
    });
    assert_eq!(
        [hear(&heard), hear(&heard)],
        [Err(RecvError::Timeout), Err(RecvError::Timeout)]
    );
    send(&rt, pid, "x").unwrap();
    assert_eq!(hear(&heard), Ok("x".to_owned()));
    rt.stop(pid, ExitReason::Killed);
    assert_eq!(hear(&heard), Err(RecvError::Closed));
    rt.join(pid, Some(PATIENCE)).unwrap();
    assert_eq!(
        rt.exit_counts().failed,
        1,
        "its own crash says more than the order to stop"
    );
}

#[test]
fn an_order_to_stop_overtakes_what_was_passed_over() {
    let rt = runtime();
    let (say, heard) = channel();
    let (go, gate) = channel::<()>();
    let pid = on_thread(&rt, move |mut rx| {
        let taken = rx.recv_matching_blocking(|m| text(m) == "b", None);
        say.send(taken.map(|m| text(&m))).unwrap();
        gate.recv().ok();
        say.send(rx.recv_blocking(None).map(|m| text(&m))).unwrap();
        Exit::default()
    });
    send(&rt, pid, "a").unwrap();
    send(&rt, pid, "b").unwrap();
    assert_eq!(hear(&heard), Ok("b".to_owned()));
    rt.stop(pid, ExitReason::Killed);
    go.send(()).unwrap();
    assert_eq!(hear(&heard), Err(RecvError::Closed));
    rt.join(pid, Some(PATIENCE)).unwrap();
    assert_eq!(rt.dead_letters(), 1);
}

#[test]
fn it_has_no_behavior_to_swap() {
    let rt = runtime();
    let (pid, heard) = echo(&rt);
    assert_eq!(rt.hot_swap(pid, handler(|_, _| Step::stop())), None);
    send(&rt, pid, "still here").unwrap();
    assert_eq!(hear(&heard), "still here");
}

#[test]
fn without_a_thread_there_is_no_actor() {
    let rt = runtime();
    let error = rt
        .receiver("none")
        .named("none")
        .start_thread(
            |_| Err(std::io::Error::other("no more threads")),
            |_| Exit::default(),
        )
        .unwrap_err();
    assert!(matches!(error, SpawnError::NoThread(_)));
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!((rt.process_count(), rt.whereis("none")), (0, None));
}

#[test]
fn a_shutdown_ends_receiving_actors_too() {
    let rt = runtime();
    let (_, heard) = echo(&rt);
    let (say, ended) = channel();
    on_thread(&rt, move |mut rx| {
        say.send(rx.recv_blocking(None).map(|m| text(&m))).unwrap();
        Exit::default()
    });
    let report = rt.shutdown(Duration::ZERO);
    assert_eq!(report, iris::ShutdownReport::default());
    assert_eq!(hear(&heard), "told to stop");
    assert_eq!(hear(&ended), Err(RecvError::Closed));
}

#[test]
fn many_async_actors_cost_no_threads() {
    let rt = runtime();
    let (say, heard) = channel();
    let pids: Vec<Pid> = (0..20_000)
        .map(|_| {
            let say = say.clone();
            rt.spawn_actor(|mut rx| async move {
                rx.recv().await;
                say.send(()).unwrap();
            })
        })
        .collect();
    for pid in &pids {
        send(&rt, *pid, "x").unwrap();
    }
    for _ in &pids {
        hear(&heard);
    }
}

#[test]
fn a_dropped_runtime_lets_its_actors_go() {
    let alive = std::sync::Arc::new(());
    let rt = runtime();
    let (say, ended) = channel();
    let held = alive.clone();
    on_thread(&rt, move |mut rx| {
        let _ = &held;
        say.send(rx.recv_blocking(None).map(|m| text(&m))).unwrap();
        Exit::default()
    });
    for _ in 0..10 {
        let held = alive.clone();
        rt.spawn_actor(|mut rx| async move {
            let _ = &held;
            rx.recv().await;
        });
    }
    drop(rt);
    assert_eq!(
        hear(&ended),
        Err(RecvError::Closed),
        "the thread is not left waiting"
    );
    // Tokio's workers drop the tasks in their own time.
    for _ in 0..10_000 {
        if std::sync::Arc::strong_count(&alive) == 1 {
            return;
        }
        thread::yield_now();
        thread::sleep(Duration::from_millis(1));
    }
    panic!(
        "{} are still held",
        std::sync::Arc::strong_count(&alive) - 1
    );
}
