//! The Rust of the original description, section by section, as written there but for what a
//! test must add to see that it holds.

use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use iris::prelude::*;
use iris::{SendError, Status};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn structured_concurrency() {
    let rt = Runtime::new();
    let parent = rt.spawn_actor(|mut rx| async move {
        // Bytes by themselves end nobody: the actor ends because its future returns.
        while let Some(message) = rx.recv().await {
            if message == Message::User(Bytes::from("quit")) {
                break;
            }
        }
    });
    let child = rt.spawn_child(parent, |mut rx| async move {
        /* will die with parent */
        while rx.recv().await.is_some() {}
    });
    rt.send(parent, Message::User(Bytes::from("stay"))).unwrap();
    rt.wait_quiet(PATIENCE);
    assert!(rt.is_alive(child));
    rt.send(parent, Message::User(Bytes::from("quit"))).unwrap();
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    // after the parent exits the child mailbox is closed as well
    assert!(!rt.is_alive(child));
    let late = Message::User(Bytes::from("late"));
    let error = rt.send(child, late.clone()).unwrap_err();
    assert_eq!(error.into_message(), late, "it is given back");
}

#[test]
fn structured_concurrency_has_three_variants_of_the_api() {
    let rt = Runtime::new();
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let (say, heard) = channel();
    let (say_a, say_b, say_c) = (say.clone(), say.clone(), say);
    let children = [
        rt.spawn_child(parent, |mut rx| async move {
            while let Some(message) = rx.recv().await {
                say_a.send(("spawn_child", message)).unwrap();
            }
        }),
        rt.spawn_child_with_budget(
            parent,
            |mut rx| async move {
                while let Some(message) = rx.recv().await {
                    say_b.send(("with_budget", message)).unwrap();
                }
            },
            50,
        ),
        rt.spawn_child_handler_with_budget(
            parent,
            move |message| {
                let say_c = say_c.clone();
                async move { say_c.send(("handler", message)).unwrap() }
            },
            50,
        ),
    ];
    assert_eq!(rt.info(parent).unwrap().children, children);
    for (child, kind) in children
        .into_iter()
        .zip(["spawn_child", "with_budget", "handler"])
    {
        rt.send_user(child, kind).unwrap();
        let (by, message) = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!((by, message), (kind, Message::User(Bytes::from(kind))));
    }
    assert!(rt.stop(parent, ExitReason::Killed));
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    for child in children {
        assert_eq!(rt.join(child, Some(Duration::ZERO)), Ok(true), "before it");
    }
}

#[test]
fn virtual_lazy_actors() {
    let rt = Runtime::new();
    let (say, heard) = channel();
    let pid = rt.spawn_virtual_handler_with_budget(
        move |msg| {
            let say = say.clone();
            async move {
                // process message once activated
                say.send(msg).unwrap();
            }
        },
        100,
        Some(Duration::from_millis(500)),
    );
    assert_eq!(rt.info(pid).unwrap().status, Status::Reserved);
    // Actor is activated lazily on first send
    rt.send(pid, Message::User(Bytes::from("hello"))).unwrap();
    let message = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(message, Message::User(Bytes::from("hello")));
    // Optional idle timeout can auto-stop an activated virtual actor after inactivity.
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.exit_counts().clean, 1);
}

#[test]
fn virtual_lazy_actors_that_were_never_activated_can_be_stopped() {
    let rt = Runtime::new();
    let pid = rt.spawn_virtual_handler_with_budget(|_| async {}, 100, None);
    assert!(rt.stop(pid, ExitReason::Killed));
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert!(rt.info(pid).is_none() && rt.wait_quiet(PATIENCE));
    assert_eq!(rt.process_count(), 0, "its pid is deallocated");
}

#[test]
fn mailbox_introspection() {
    let rt = Runtime::new();
    let (enter, entered) = channel();
    let (release, gate) = channel::<()>();
    let pid = rt
        .receiver("slow")
        .start_pull(move |mut rx| {
            rx.recv_blocking(None).unwrap();
            enter.send(()).unwrap();
            // An error means that the test lets go.
            gate.recv().ok();
        })
        .unwrap();
    for text in ["one", "two", "three"] {
        rt.send_user(pid, text).unwrap();
    }
    entered.recv_timeout(PATIENCE).unwrap();
    let size: Option<usize> = rt.mailbox_size(pid);
    assert_eq!(size, Some(2), "user messages queued for pid");
    drop(release);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.mailbox_size(pid), None, "the pid is unknown");
}

#[test]
fn actor_local_timers() {
    let rt = Runtime::new();
    let (say, heard) = channel();
    let pid = rt.spawn_actor(|mut rx| async move {
        while let Some(message) = rx.recv().await {
            say.send(message).unwrap();
        }
    });
    let (delay_ms, interval_ms) = (1, 1);
    rt.send_after(pid, delay_ms, Bytes::from("tick")).unwrap();
    let message = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(message, Message::User(Bytes::from("tick")));
    let heartbeat = Bytes::from("heartbeat");
    let timer_id = rt
        .send_interval(pid, interval_ms, heartbeat.clone())
        .unwrap();
    for _ in 0..3 {
        let message = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(message, Message::User(heartbeat.clone()));
    }
    // stop later
    assert!(rt.cancel_timer(timer_id));
    assert!(!rt.cancel_timer(timer_id));
}

#[test]
fn exit_reasons_are_the_words_of_the_description() {
    for (reason, word) in [
        (ExitReason::Normal, "normal"),
        (ExitReason::Killed, "killed"),
        (ExitReason::Panic, "panic"),
        (ExitReason::Crash, "crash"),
    ] {
        assert_eq!(reason.as_str(), word);
    }
}

#[test]
fn a_refused_send_gives_the_message_back() {
    let rt = Runtime::new();
    let pid = rt.spawn_actor(|_rx| async {});
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    let Err(SendError::NoProc { to, message }) = rt.send_user(pid, "late") else {
        panic!("nobody is there");
    };
    assert_eq!((to, message), (pid, Message::User(Bytes::from("late"))));
}
