//! Loom tries all interleavings of producers and the runner: `cargo test -p iris-mailbox
//! --features loom --test loom_mailbox --release`.
//!
//! The pool has no magazines here, so each message takes its node from the lock-free depot
//! and gives it back, and the next message gets the same node. Loom checks each access to
//! a node's fields, so a node with two owners is a failure of these tests.
#![cfg(feature = "loom")]

use std::sync::Arc;

use iris_core::{Envelope, Exit, Lane, Message};
use iris_mailbox::{Mailbox, PushError};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// Loom explores each interleaving with up to this many forced switches of thread: three
/// find nearly all that more would, and more take hours.
const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

fn mail(number: u8) -> Envelope {
    Envelope::Message(Message::from(vec![number]))
}

fn number(message: &Message) -> u8 {
    message.as_user().expect("a user message")[0]
}

fn popped(mailbox: &Mailbox) -> Option<u8> {
    match mailbox.pop()? {
        Envelope::Message(message) => Some(number(&message)),
        other => panic!("nobody sent {other:?}"),
    }
}

/// Sends what is asked for, in order, and returns what was refused.
fn send(mailbox: &Mailbox, numbers: &[u8]) -> Vec<u8> {
    let refused = |&number| match mailbox.push(Lane::User, mail(number)) {
        Ok(()) => None,
        Err(PushError(Envelope::Message(message))) => Some(self::number(&message)),
        Err(PushError(other)) => panic!("{other:?} came back for a message"),
    };
    numbers.iter().filter_map(refused).collect()
}

fn sender(mailbox: &Arc<Mailbox>, numbers: &'static [u8]) -> thread::JoinHandle<Vec<u8>> {
    let mailbox = Arc::clone(mailbox);
    thread::spawn(move || send(&mailbox, numbers))
}

#[test]
fn two_producers_and_the_runner_keep_the_order_of_each() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let senders = [sender(&mailbox, &[1, 2]), sender(&mailbox, &[11])];
        let mut got: Vec<u8> = (0..2).filter_map(|_| popped(&mailbox)).collect();
        for sender in senders {
            assert!(sender.join().unwrap().is_empty());
        }
        assert_eq!(mailbox.len(), 3 - got.len(), "exact at rest");
        assert_eq!(mailbox.is_empty(), got.len() == 3);
        got.extend(std::iter::from_fn(|| popped(&mailbox)));
        let first: Vec<_> = got.iter().copied().filter(|n| *n < 10).collect();
        assert_eq!(first, [1, 2]);
        assert_eq!(got.len(), 3, "{got:?}");
        assert_eq!(mailbox.len(), 0);
    });
}

#[test]
fn a_push_against_a_close_is_delivered_or_given_back_never_both() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let senders = [sender(&mailbox, &[1, 2]), sender(&mailbox, &[11])];
        let mut seen: Vec<u8> = popped(&mailbox).into_iter().collect();
        seen.extend(mailbox.close().iter().map(number));
        for sender in senders {
            seen.extend(sender.join().unwrap());
        }
        assert_eq!(mailbox.len(), 0);
        assert!(mailbox.pop().is_none());
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 11]);
    });
}

#[test]
fn a_push_against_a_drain_comes_before_the_stop_or_back() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = sender(&mailbox, &[1, 2]);
        assert!(mailbox.seal(Lane::User, Exit::default()));
        assert!(!mailbox.is_open());
        let mut seen = Vec::new();
        loop {
            match mailbox.pop() {
                Some(Envelope::Message(message)) => seen.push(number(&message)),
                Some(Envelope::Stop(_)) => break,
                other => panic!("{other:?} before the stop"),
            }
        }
        assert!(mailbox.pop().is_none(), "nothing follows the stop");
        seen.extend(sender.join().unwrap());
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn a_stop_signal_is_found_by_the_next_look_of_one_who_sees_the_gate() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        assert!(send(&mailbox, &[1]).is_empty());
        let stopper = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.seal(Lane::Signal, Exit::default()))
        };
        if !mailbox.is_alive() {
            assert!(matches!(mailbox.pop(), Some(Envelope::Stop(_))));
        }
        assert!(stopper.join().unwrap());
        assert!(!mailbox.is_alive());
    });
}

#[test]
fn a_signal_overtakes_the_message_that_its_sender_sent_after_it() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                mailbox.push(Lane::Signal, Envelope::Wake).unwrap();
                mailbox.push(Lane::User, mail(1)).unwrap();
            })
        };
        let mut woken = false;
        for _ in 0..2 {
            match mailbox.pop() {
                Some(Envelope::Wake) => woken = true,
                Some(_) => assert!(woken, "the message came first"),
                None => {}
            }
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_signal_against_a_close_is_refused_or_gone() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(Lane::Signal, Envelope::Wake).is_ok())
        };
        let closed = mailbox.close_if_empty();
        let accepted = sender.join().unwrap();
        assert_eq!(closed, !accepted, "one of them wins");
    });
}

#[test]
fn an_idle_close_against_a_push_lets_one_of_them_win() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let sender = sender(&mailbox, &[1]);
        let closed = mailbox.close_if_empty();
        let refused = !sender.join().unwrap().is_empty();
        assert_eq!(closed, refused);
        assert_eq!(mailbox.len(), usize::from(!closed));
    });
}

#[test]
fn a_close_from_outside_and_the_runner_share_what_is_there() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        assert!(send(&mailbox, &[1, 2]).is_empty());
        let outside = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.close())
        };
        let mut seen: Vec<u8> = (0..2).filter_map(|_| popped(&mailbox)).collect();
        seen.extend(outside.join().unwrap().iter().map(number));
        assert_eq!(mailbox.len(), 2 - seen.len(), "exact at rest");
        seen.extend(mailbox.close().iter().map(number));
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        assert_eq!(mailbox.len(), 0);
    });
}

#[test]
fn one_who_looks_on_never_takes_a_message_on_its_way_for_none() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        assert!(send(&mailbox, &[1, 2]).is_empty());
        let onlooker = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || (mailbox.is_empty(), mailbox.len()))
        };
        // One is taken, so that the other goes from the stack to the runner's line.
        assert_eq!(popped(&mailbox), Some(1));
        let (empty, len) = onlooker.join().unwrap();
        assert!(!empty);
        assert!(len == 1 || len == 2, "{len}");
    });
}

#[test]
fn one_who_waits_and_one_who_stops_him_see_each_other() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::new());
        let waiting = Arc::new(AtomicBool::new(false));
        let stopper = {
            let (mailbox, waiting) = (Arc::clone(&mailbox), Arc::clone(&waiting));
            thread::spawn(move || {
                mailbox.seal(Lane::Signal, Exit::default());
                waiting.load(Ordering::Relaxed)
            })
        };
        waiting.store(true, Ordering::Relaxed);
        let stopped = !mailbox.is_alive();
        assert!(stopper.join().unwrap() || stopped, "asleep for good");
    });
}
