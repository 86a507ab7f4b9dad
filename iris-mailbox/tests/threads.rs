//! Real threads on one mailbox, and what they leave behind.
#![cfg(not(feature = "loom"))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use iris_core::{Envelope, Exit, Lane, Message};
use iris_mailbox::{Mailbox, Popped, PushError};

/// Few under Miri, which checks each access and takes its time.
const EACH: u32 = if cfg!(miri) { 300 } else { 30_000 };
const PRODUCERS: u32 = 4;

fn mail(producer: u32, number: u32) -> Envelope {
    let both = u64::from(producer) << 32 | u64::from(number);
    Envelope::from(Message::from(both.to_le_bytes().to_vec()))
}

/// Who sent it, and which of them it was.
fn read(bytes: &[u8]) -> (u64, u32) {
    let both = u64::from_le_bytes(bytes[..].try_into().expect("eight bytes"));
    let number = u32::try_from(both & u64::from(u32::MAX)).expect("32 bits");
    (both >> 32, number)
}

/// Sends until it is refused or done; how many were accepted.
fn produce(mailbox: &Mailbox, producer: u32) -> u32 {
    for number in 0..EACH {
        if let Err(PushError(back, _)) = mailbox.push(Lane::User, mail(producer, number)) {
            let Envelope::User(back, _) = back else {
                panic!("{back:?} came back for a message")
            };
            assert_eq!(read(&back), (producer.into(), number));
            return number;
        }
    }
    EACH
}

/// The next number that is due from each producer.
#[derive(Default)]
struct Due([u32; PRODUCERS as usize]);

impl Due {
    fn take(&mut self, message: &[u8]) {
        let (producer, number) = read(message);
        let due = &mut self.0[usize::try_from(producer).expect("one of four")];
        assert_eq!(number, *due, "out of order from producer {producer}");
        *due += 1;
    }
}

#[test]
fn each_message_arrives_once_and_in_order_on_whichever_thread_runs() {
    let mailbox = Mailbox::new();
    let due = Mutex::new(Due::default());
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let mailbox = &mailbox;
            scope.spawn(move || assert_eq!(produce(mailbox, producer), EACH));
        }
        // Two runners take turns; the lock is the right to run.
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let mut due = due.lock().unwrap();
                    for _ in 0..50 {
                        match mailbox.pop_step() {
                            Popped::Letter(letter) => match letter.envelope() {
                                Envelope::User(message, _) => due.take(message),
                                other => panic!("{other:?}"),
                            },
                            Popped::Signal => panic!("nobody sent a signal"),
                            Popped::Unsorted => {}
                            Popped::Empty => break,
                        }
                    }
                    if due.0 == [EACH; PRODUCERS as usize] {
                        break;
                    }
                    drop(due);
                    thread::yield_now();
                }
            });
        }
    });
    assert!(mailbox.is_empty());
    assert_eq!(mailbox.len(), 0);
}

/// `end` stops the mailbox in some way and says what it got out of it.
fn nothing_is_lost(end: impl Fn(&Mailbox, &mut Due)) {
    for round in 0..if cfg!(miri) { 2 } else { 40 } {
        let mailbox = Mailbox::new();
        let mut due = Due::default();
        let accepted = thread::scope(|scope| {
            let mailbox = &mailbox;
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|producer| scope.spawn(move || produce(mailbox, producer)))
                .collect();
            let mut left = round * 100;
            while left > 0 {
                if let Some(Envelope::User(message, _)) = mailbox.pop() {
                    due.take(&message);
                    assert!(mailbox.len() <= (EACH * PRODUCERS) as usize);
                }
                left -= 1;
            }
            end(mailbox, &mut due);
            producers
                .into_iter()
                .map(|producer| producer.join().expect("a producer does not panic"))
                .collect::<Vec<_>>()
        });
        assert_eq!(due.0.as_slice(), accepted, "accepted is what was seen");
        assert_eq!(mailbox.len(), 0);
        assert!(mailbox.is_empty());
    }
}

#[test]
fn a_close_amid_pushes_loses_nothing() {
    nothing_is_lost(|mailbox, due| {
        for message in mailbox.close() {
            due.take(message.as_user().expect("only user messages were sent"));
        }
    });
}

#[test]
fn a_drain_amid_pushes_hands_out_what_was_accepted_and_then_stops() {
    nothing_is_lost(|mailbox, due| {
        assert!(mailbox.seal(Lane::User, Exit::default()).is_some());
        loop {
            match mailbox.pop() {
                Some(Envelope::User(message, _)) => due.take(&message),
                Some(Envelope::Stop(_)) => break,
                other => panic!("{other:?} before the stop"),
            }
        }
        assert!(mailbox.pop().is_none());
    });
}

#[test]
fn who_closes_from_outside_and_the_runner_get_everything_between_them() {
    for _ in 0..if cfg!(miri) { 3 } else { 300 } {
        let mailbox = Mailbox::new();
        for number in 0..100 {
            mailbox.push(Lane::User, mail(0, number)).unwrap();
        }
        let popping = AtomicBool::new(false);
        let (popped, left) = thread::scope(|scope| {
            let outside = scope.spawn(|| {
                while !popping.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                mailbox.close().len()
            });
            let mut popped = 0;
            while mailbox.pop().is_some() {
                popped += 1;
                popping.store(true, Ordering::Relaxed);
            }
            popping.store(true, Ordering::Relaxed);
            (popped, outside.join().unwrap())
        });
        assert_eq!(popped + left + mailbox.close().len(), 100);
        assert_eq!(mailbox.len(), 0);
    }
}

/// A payload that counts its end.
struct Counted(Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        b"counted"
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted(dropped: &Arc<AtomicUsize>) -> Envelope {
    let bytes = Bytes::from_owner(Counted(Arc::clone(dropped)));
    Envelope::from(Message::User(bytes))
}

#[test]
fn a_dropped_mailbox_drops_what_is_in_it_wherever_it_is() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let push = |mailbox: &Mailbox, count: usize| {
        for _ in 0..count {
            mailbox.push(Lane::User, counted(&dropped)).unwrap();
        }
    };
    let sorted = Mailbox::new();
    push(&sorted, 10);
    drop(sorted.pop());
    push(&sorted, 10);
    sorted.push(Lane::Signal, counted(&dropped)).unwrap();
    drop(sorted);
    assert_eq!(dropped.swap(0, Ordering::Relaxed), 21);

    let half_sorted = Mailbox::new();
    push(&half_sorted, 3000);
    assert!(matches!(half_sorted.pop_step(), Popped::Unsorted));
    push(&half_sorted, 5);
    drop(half_sorted);
    assert_eq!(dropped.swap(0, Ordering::Relaxed), 3005);

    let closed = Mailbox::new();
    push(&closed, 3);
    drop(closed.close());
    assert!(closed.push(Lane::User, counted(&dropped)).is_err());
    drop(closed);
    assert_eq!(dropped.load(Ordering::Relaxed), 4);
}

struct Late(Mailbox);

impl Drop for Late {
    fn drop(&mut self) {
        self.0
            .push(Lane::User, Envelope::Wake)
            .expect("it is open until the end");
        assert!(self.0.pop().is_some());
    }
}

thread_local! {
    static LATE: Late = Late(Mailbox::new());
}

#[test]
fn a_mailbox_outlives_the_magazines_of_an_ending_thread() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let ending = Arc::clone(&dropped);
    // Touched before the first push, so that it is destroyed after the magazines.
    thread::spawn(move || LATE.with(|late| late.0.push(Lane::User, counted(&ending)).unwrap()))
        .join()
        .unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}
