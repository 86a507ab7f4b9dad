//! Handlers that are async functions, and how async actors share the workers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver as Heard, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use iris::JoinError;
use iris::prelude::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn one_worker() -> Runtime {
    Runtime::builder().workers(1).start().unwrap()
}

fn text(message: &Message) -> String {
    String::from_utf8(message.as_user().unwrap().to_vec()).unwrap()
}

fn hear<T>(from: &Heard<T>) -> T {
    from.recv_timeout(PATIENCE).expect("something was said")
}

/// Waits once: gives the thread back and is woken by itself.
async fn wait_once() {
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_future_runs_to_its_end_before_the_next_message() {
    let rt = Runtime::builder().workers(2).start().unwrap();
    let (say, heard) = channel();
    let behavior = async_handler(move |message| {
        let say = say.clone();
        async move {
            say.send(format!("{} begins", text(&message))).unwrap();
            wait_once().await;
            say.send(format!("{} ends", text(&message))).unwrap();
        }
    });
    let pid = rt.spawn(behavior).start().unwrap();
    for word in ["one", "two"] {
        rt.send_user(pid, word).unwrap();
    }
    for expected in ["one begins", "one ends", "two begins", "two ends"] {
        assert_eq!(hear(&heard), expected);
    }
}

#[test]
fn it_may_end_the_process_whether_it_waited_or_not() {
    let rt = one_worker();
    for waits in [false, true] {
        let behavior = async_handler(move |_| async move {
            if waits {
                wait_once().await;
            }
            Step::stop()
        });
        let pid = rt.spawn(behavior).start().unwrap();
        rt.send_user(pid, "x").unwrap();
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert_eq!(rt.exit_counts().clean, 2);
}

fn fail() {
    panic!("on purpose");
}

#[test]
fn its_panic_is_the_end_of_the_process_alone() {
    let rt = one_worker();
    for waits in [false, true] {
        let behavior = async_handler(move |_| async move {
            if waits {
                wait_once().await;
            }
            fail();
        });
        let pid = rt.spawn(behavior).start().unwrap();
        rt.send_user(pid, "x").unwrap();
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert_eq!(rt.exit_counts().failed, 2);
}

#[test]
fn told_to_stop_it_is_dropped_where_it_waits() {
    let rt = one_worker();
    let (say, heard) = channel();
    let behavior = async_handler(move |_| {
        let say = say.clone();
        async move {
            say.send("waits").unwrap();
            pending::<()>().await;
        }
    });
    let pid = rt.spawn(behavior).start().unwrap();
    rt.send_user(pid, "x").unwrap();
    rt.send_user(pid, "behind it").unwrap();
    assert_eq!(hear(&heard), "waits");
    rt.stop(pid, ExitReason::Killed);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.dead_letters(), 1);
}

/// D2f, for code that runs outside of a handler's call.
#[test]
fn nobody_waits_for_its_own_end() {
    let rt = Runtime::builder().workers(2).start().unwrap();
    let (say, heard) = channel();

    let (inside, tell) = (rt.clone(), say.clone());
    let receiving = rt.spawn_actor(move |mut rx| async move {
        rx.recv().await;
        tell.send(inside.join(rx.pid(), None)).unwrap();
    });
    let (inside, tell) = (rt.clone(), say.clone());
    let pull = rt.receiver("pull").start_pull(move |mut rx| {
        rx.recv_blocking(None).ok();
        tell.send(inside.join(rx.pid(), None)).unwrap();
    });
    let own = Arc::new(Mutex::new(None));
    let (inside, tell, own_pid) = (rt.clone(), say, own.clone());
    let waiting = rt.spawn(async_handler(move |_| {
        let (inside, tell, own_pid) = (inside.clone(), tell.clone(), own_pid.clone());
        async move {
            wait_once().await;
            let own = own_pid.lock().unwrap().unwrap();
            tell.send(inside.join(own, None)).unwrap();
        }
    }));
    let waiting = waiting.start().unwrap();
    *own.lock().unwrap() = Some(waiting);

    for pid in [receiving, pull.unwrap(), waiting] {
        rt.send_user(pid, "x").unwrap();
        assert_eq!(hear(&heard), Err(JoinError::Itself(pid)));
    }
}

#[test]
fn one_actor_may_wait_for_the_end_of_another() {
    let rt = Runtime::builder().workers(2).start().unwrap();
    let (say, heard) = channel();
    let short = rt.spawn_actor(|mut rx| async move {
        rx.recv().await;
    });
    let inside = rt.clone();
    let waiting = rt.receiver("waiting").start_pull(move |_| {
        say.send(inside.join(short, Some(PATIENCE))).unwrap();
    });
    waiting.unwrap();
    rt.send_user(short, "x").unwrap();
    assert_eq!(hear(&heard), Ok(true));
}

#[test]
fn an_async_actor_with_much_mail_lets_others_run() {
    const MAIL: u32 = 2_000;
    let rt = one_worker();
    let received = Arc::new(AtomicU32::new(0));
    let (say, heard) = channel();
    let so_far = received.clone();
    let say = Mutex::new(say);
    let other = rt
        .spawn(handler(move |_, _| {
            let so_far = so_far.load(Ordering::Relaxed);
            say.lock().unwrap().send(so_far).unwrap();
            Step::Done
        }))
        .start()
        .unwrap();

    // Its mail is there before it begins, since the one worker is held until then.
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let blocker = rt
        .spawn(handler(move |_, _| {
            gate.lock().unwrap().recv().ok();
            Step::stop()
        }))
        .start()
        .unwrap();
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    rt.send_user(blocker, "x").unwrap();
    let inside = rt.clone();
    let busy = rt.spawn_child_with_budget(
        parent,
        move |mut rx| async move {
            while rx.recv().await.is_some() {
                if received.fetch_add(1, Ordering::Relaxed) == 0 {
                    inside.send_user(other, "your turn").unwrap();
                }
            }
        },
        10,
    );
    for _ in 0..MAIL {
        rt.send_user(busy, Bytes::new()).unwrap();
    }
    drop(release);
    let so_far = hear(&heard);
    assert!((1..MAIL).contains(&so_far), "{so_far} before the other ran");
}

#[test]
fn an_actor_with_much_mail_still_learns_that_it_is_to_stop() {
    let rt = one_worker();
    let (say, heard) = channel();
    let (go, mut gate) = tokio::sync::mpsc::unbounded_channel::<()>();
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    // With a budget of one its third receive would let others run first.
    let busy = rt.spawn_child_with_budget(
        parent,
        |mut rx| async move {
            rx.recv().await;
            rx.recv().await;
            say.send("has two").unwrap();
            gate.recv().await;
            let next = rx.recv().await;
            say.send(if next.is_none() { "told" } else { "not told" })
                .unwrap();
        },
        1,
    );
    for _ in 0..10 {
        rt.send_user(busy, Bytes::new()).unwrap();
    }
    assert_eq!(hear(&heard), "has two");
    // Both before its next poll, for the one worker is held.
    let (entered, inside) = channel();
    let (release, hold) = channel::<()>();
    let hold = Mutex::new((entered, hold));
    let blocker = handler(move |_, _| {
        let hold = hold.lock().unwrap();
        hold.0.send(()).unwrap();
        hold.1.recv().ok();
        Step::stop()
    });
    let blocker = rt.spawn(blocker).start().unwrap();
    rt.send_user(blocker, "x").unwrap();
    hear(&inside);
    go.send(()).unwrap();
    rt.stop(busy, ExitReason::Killed);
    drop(release);
    assert_eq!(hear(&heard), "told");
    assert_eq!(rt.join(busy, Some(PATIENCE)), Ok(true));
}
