//! Hot swap by hand on raw Tokio: the handler is a box that a message can replace.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Payload, Peer, Swaps, on_a_worker, produce, tokio_runtime};
use crate::producer::Producer;
use crate::role::Role;

/// What such an actor does with a message.
type Logic = Box<dyn Fn(&mut Role<Address>, u64) + Send>;

/// What its channel carries.
enum Order {
    Message([u64; 4]),
    Swap(Logic),
}

/// Whom to send to, and how many swaps took effect there.
#[derive(Clone)]
pub struct Address {
    sender: UnboundedSender<Order>,
    applied: Arc<AtomicU64>,
}

/// Swappable actors by hand.
#[derive(Debug)]
pub struct TokioSwap {
    runtime: Runtime,
}

fn logic() -> Logic {
    Box::new(|role, word| {
        role.on(word);
    })
}

fn spawn(mut role: Role<Address>) -> Address {
    let (sender, mut receiver) = unbounded_channel();
    let applied = Arc::new(AtomicU64::new(0));
    let count = applied.clone();
    tokio::spawn(async move {
        let mut handle = logic();
        while let Some(order) = receiver.recv().await {
            match order {
                Order::Message(message) => handle(&mut role, message.word()),
                Order::Swap(next) => {
                    handle = next;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    Address { sender, applied }
}

fn send(to: &Address, word: u64) {
    let sent = to.sender.send(Order::Message(Payload::new(word)));
    assert!(sent.is_ok(), "the target lives");
}

impl Peer for TokioSwap {
    type Address = Address;

    fn start(workers: usize) -> Self {
        let runtime = tokio_runtime(workers);
        Self { runtime }
    }

    fn spawn(&self, role: Role<Address>) -> Address {
        let _inside = self.runtime.enter();
        spawn(role)
    }

    fn spawn_many(&self, role: &Role<Address>, count: usize) -> Vec<Address> {
        let role = role.clone();
        on_a_worker(&self.runtime, async move {
            (0..count).map(|_| spawn(role.clone())).collect()
        })
    }

    fn send(&self, to: &Address, word: u64) {
        send(to, word);
    }

    fn produce(&self, producer: Producer<Address>) {
        self.runtime.spawn(produce(producer, send));
    }
}

impl Swaps for TokioSwap {
    fn swap(&self, to: &Address, _: &Role<Address>) {
        let sent = to.sender.send(Order::Swap(logic()));
        assert!(sent.is_ok(), "the target lives");
    }

    fn swaps_applied(&self, to: &Address) -> u64 {
        to.applied.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}
