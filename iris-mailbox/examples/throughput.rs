//! Messages for each second through one mailbox, against a mutex around two queues:
//! `cargo run --release -p iris-mailbox --example throughput [messages] [rounds]`.
//!
//! The rounds of the two alternate; what is printed are medians, in nanoseconds for each
//! message and in ratios.
#![expect(clippy::print_stdout, reason = "a measurement shows its figures")]

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use iris_core::{Envelope, Lane, Message};
use iris_mailbox::Mailbox;

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().expect("a number"));
    let messages: usize = args.next().unwrap_or(1_000_000);
    let rounds: usize = args.next().unwrap_or(9);
    println!("{messages} messages, median of {rounds} rounds; ns for each message");
    println!("{:<44} {:>8} {:>8} {:>7}", "", "mutex", "iris", "ratio");
    for workload in WORKLOADS {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            old.push(workload.run::<TwoQueues>(messages));
            new.push(workload.run::<Mailbox>(messages));
        }
        let (old, new) = (median(old), median(new));
        println!(
            "{:<44} {old:>8.1} {new:>8.1} {:>6.2}x",
            workload.name,
            old / new
        );
    }
}

/// What both mailboxes can do.
trait Queue: Default + Sync {
    fn push(&self, envelope: Envelope);
    fn pop(&self) -> Option<Envelope>;
}

impl Queue for Mailbox {
    fn push(&self, envelope: Envelope) {
        Self::push(self, Lane::User, envelope).expect("it is open");
    }

    fn pop(&self) -> Option<Envelope> {
        Self::pop(self)
    }
}

/// The plain way: what a mailbox would be without the stack.
#[derive(Default)]
struct TwoQueues(Mutex<Lanes>);

#[derive(Default)]
struct Lanes {
    signals: VecDeque<Envelope>,
    user: VecDeque<Envelope>,
    user_messages: usize,
}

impl Queue for TwoQueues {
    fn push(&self, envelope: Envelope) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.user_messages += usize::from(envelope.is_user_message());
        lanes.user.push_back(envelope);
    }

    fn pop(&self) -> Option<Envelope> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signal) = lanes.signals.pop_front() {
            return Some(signal);
        }
        let envelope = lanes.user.pop_front()?;
        lanes.user_messages -= usize::from(envelope.is_user_message());
        Some(envelope)
    }
}

/// Where the bytes of a message come from and go.
#[derive(Clone, Copy)]
enum Payload {
    /// Nothing is allocated: the cost of the mailbox alone.
    Static,
    /// 32 bytes, copied by the sender into an allocation that the receiver frees.
    Copied,
    /// 32 bytes that the receiver copies out of the node, as a mailbox with payloads inside
    /// its nodes would have to, and frees.
    CopiedAtPop,
}

struct Workload {
    name: &'static str,
    producers: usize,
    /// Messages that one thread pushes before it pops as many; 0: threads.
    burst: usize,
    payload: Payload,
}

const WORKLOADS: [Workload; 8] = [
    one("1 thread, push and pop in turns", 1, Payload::Static),
    one("1 thread, bursts of 100", 100, Payload::Static),
    one("1 thread, bursts of 100,000", 100_000, Payload::Static),
    to_one("1 -> 1", 1, Payload::Static),
    to_one("2 -> 1", 2, Payload::Static),
    to_one(
        "1 -> 1, Bytes of 32 copied by the sender",
        1,
        Payload::Copied,
    ),
    to_one(
        "2 -> 1, Bytes of 32 copied by the sender",
        2,
        Payload::Copied,
    ),
    to_one(
        "1 -> 1, Bytes of 32 copied at the pop",
        1,
        Payload::CopiedAtPop,
    ),
];

const fn one(name: &'static str, burst: usize, payload: Payload) -> Workload {
    Workload {
        name,
        producers: 1,
        burst,
        payload,
    }
}

const fn to_one(name: &'static str, producers: usize, payload: Payload) -> Workload {
    Workload {
        name,
        producers,
        burst: 0,
        payload,
    }
}

const TEXT: &[u8; 32] = b"what a short message looks like.";

impl Workload {
    fn run<Q: Queue>(&self, messages: usize) -> f64 {
        let queue = Q::default();
        let started = Instant::now();
        if self.burst > 0 {
            self.alone(&queue, messages);
        } else {
            self.threads(&queue, messages);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let each = started.elapsed().as_nanos() as f64 / messages as f64;
        each
    }

    fn alone(&self, queue: &impl Queue, messages: usize) {
        for _ in 0..messages.div_ceil(self.burst) {
            for _ in 0..self.burst {
                queue.push(self.envelope());
            }
            for _ in 0..self.burst {
                self.read(queue.pop().expect("it was pushed"));
            }
        }
    }

    fn threads(&self, queue: &impl Queue, messages: usize) {
        let each = messages / self.producers;
        std::thread::scope(|scope| {
            for _ in 0..self.producers {
                scope.spawn(|| {
                    for _ in 0..each {
                        queue.push(self.envelope());
                    }
                });
            }
            let mut left = each * self.producers;
            while left > 0 {
                match queue.pop() {
                    Some(envelope) => {
                        self.read(envelope);
                        left -= 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
    }

    fn envelope(&self) -> Envelope {
        let bytes = match self.payload {
            Payload::Copied => Bytes::copy_from_slice(std::hint::black_box(TEXT)),
            Payload::Static | Payload::CopiedAtPop => Bytes::from_static(TEXT),
        };
        Envelope::from(Message::User(bytes))
    }

    fn read(&self, envelope: Envelope) {
        let Envelope::User(bytes, _) = envelope else {
            unreachable!("only messages were pushed")
        };
        if matches!(self.payload, Payload::CopiedAtPop) {
            std::hint::black_box(Bytes::copy_from_slice(&bytes));
        }
        std::hint::black_box(bytes);
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
