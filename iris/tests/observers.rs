//! Observers: what they keep, and who gets it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, crash, gone, mortal};
use iris::{ExitReason, Message, RecvError, Runtime, SystemMessage, Verdict};

fn word(text: &str) -> Message {
    Message::from(text.as_bytes().to_vec())
}

#[test]
fn an_observer_keeps_what_it_receives_in_order_and_gives_it_once() {
    let rt = Runtime::new();
    let (observer, pid) = (rt.observer().at_path("/o").start().unwrap(), mortal(&rt));
    assert_eq!(rt.whereis_path("/o"), Some(observer));
    rt.link(observer, pid);
    rt.send(observer, word("one")).unwrap();
    crash(&rt, pid);
    gone(&rt, pid);
    let peeked = rt.get_messages(observer, false).unwrap();
    assert_eq!(peeked[0], word("one"));
    assert!(
        matches!(&peeked[1], Message::System(SystemMessage::Exit(info))
        if info.target == pid && info.reason == ExitReason::Crash)
    );
    assert_eq!(rt.get_messages(observer, true), Some(peeked));
    assert_eq!(rt.get_messages(observer, true), Some(vec![]));
    assert_eq!(rt.get_messages(mortal(&rt), true), None);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_selection_is_woken_once_for_what_has_come_and_takes_what_matches() {
    let rt = Runtime::new();
    let observer = rt.observer().start().unwrap();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let rings = || bell.0.load(Ordering::Relaxed);
    let arrived = || rt.get_messages(observer, false).map(|kept| kept.len());
    let mut selection = rt.select_from(observer).unwrap();
    let mut looks = 0;
    let mut choose = |message: &Message| {
        looks += 1;
        Verdict::from(*message == word("b"))
    };
    assert!(selection.poll(&waker, &mut choose).is_pending());
    assert!(selection.poll(&waker, &mut choose).is_pending());
    rt.send(observer, word("a")).unwrap();
    assert_eq!(arrived(), Some(1));
    assert_eq!(rings(), 1, "not for the waker of the first poll, too");
    rt.send(observer, word("b")).unwrap();
    assert_eq!(arrived(), Some(2));
    assert_eq!(rings(), 1, "nobody asked to be woken again");
    assert_eq!(
        selection.poll(&waker, &mut choose),
        Poll::Ready(Ok(word("b")))
    );
    assert!(selection.poll(&waker, &mut choose).is_pending());
    assert_eq!(looks, 2, "what was left is not looked at again");
    drop(selection);
    rt.send(observer, word("c")).unwrap();
    assert_eq!(
        rt.get_messages(observer, true),
        Some(vec![word("a"), word("c")])
    );
    assert_eq!(rings(), 1, "a selection that is gone is not woken");
}

#[test]
fn a_selection_ends_with_its_observer() {
    let rt = Runtime::new();
    let observer = rt.observer().start().unwrap();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut selection = rt.select_from(observer).unwrap();
    let mut choose = |_: &Message| Verdict::Take;
    assert!(selection.poll(&waker, &mut choose).is_pending());
    rt.stop(observer, ExitReason::Killed);
    gone(&rt, observer);
    // Who joins may be told before who selects.
    let end = Instant::now() + PATIENCE;
    while bell.0.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < end, "a selection is woken by the end");
        thread::yield_now();
    }
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    let ended = selection.poll(&waker, &mut choose);
    assert_eq!(ended, Poll::Ready(Err(RecvError::Closed)));
    assert!(rt.select_from(observer).is_none());
}

#[test]
fn beyond_its_cap_the_oldest_is_dropped_and_counted() {
    let rt = Runtime::new();
    let observer = rt.observer().cap(2).start().unwrap();
    for text in ["one", "two", "three"] {
        rt.send(observer, word(text)).unwrap();
    }
    assert_eq!(
        rt.get_messages(observer, false),
        Some(vec![word("two"), word("three")])
    );
    assert_eq!(rt.observer_dropped(observer), Some(1));
    assert!(rt.give_back(observer, word("one")));
    assert_eq!(
        rt.observer_dropped(observer),
        Some(2),
        "the oldest goes first"
    );
}

#[test]
fn a_selective_receive_takes_what_matches_and_leaves_the_rest() {
    let rt = Runtime::new();
    let observer = rt.observer().start().unwrap();
    let other = rt.clone();
    let (say, said) = channel();
    let waiter = thread::spawn(move || {
        let choose = |message: &Message| {
            say.send(message.clone()).unwrap();
            Verdict::from(*message == word("b"))
        };
        other.selective_recv(observer, choose, Some(PATIENCE))
    });
    rt.send(observer, word("a")).unwrap();
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), word("a"));
    rt.send(observer, word("b")).unwrap();
    assert_eq!(waiter.join().unwrap(), Ok(word("b")));
    let any = |_: &Message| Verdict::Take;
    assert_eq!(rt.selective_recv(observer, any, None), Ok(word("a")));
    let nothing = rt.selective_recv(observer, any, Some(Duration::ZERO));
    assert_eq!(nothing, Err(RecvError::Timeout));
    rt.give_back(observer, word("b"));
    assert_eq!(rt.selective_recv(observer, any, None), Ok(word("b")));
}

#[test]
fn who_waits_for_an_observer_that_ends_is_told() {
    let rt = Runtime::new();
    let observer = rt.observer().start().unwrap();
    rt.send(observer, word("a")).unwrap();
    let (other, (say, said)) = (rt.clone(), channel());
    let waiter = thread::spawn(move || {
        let choose = |_: &Message| {
            say.send(()).unwrap();
            Verdict::Leave
        };
        other.selective_recv(observer, choose, None)
    });
    said.recv_timeout(PATIENCE).unwrap();
    rt.stop(observer, ExitReason::Killed);
    assert_eq!(waiter.join().unwrap(), Err(RecvError::Closed));
    gone(&rt, observer);
    assert_eq!(rt.get_messages(observer, true), None);
}
