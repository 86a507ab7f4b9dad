//! The implementations that the workloads run on.

mod iris;
mod kameo;
mod ractor;
mod tokio;
mod tokio_swap;

use std::future::Future;

use bytes::Bytes;

use crate::producer::{Next, Producer};
use crate::role::Role;

pub use iris::{Inline, Iris, IrisAsync};
pub use kameo::Kameo;
pub use ractor::Ractor;
pub use tokio::Tokio;
pub use tokio_swap::TokioSwap;

/// One way to have actors.
///
/// The workloads call it from the main thread, outside the runtime under test.
pub trait Peer: Sized + Send + Sync + 'static {
    /// Whom messages are sent to.
    type Address: Clone + Send + Sync + 'static;

    /// A runtime with that many worker threads.
    fn start(workers: usize) -> Self;

    /// One actor.
    fn spawn(&self, role: Role<Self::Address>) -> Self::Address;

    /// That many actors that all begin with `role`, spawned in the way that is quickest here.
    fn spawn_many(&self, role: &Role<Self::Address>, count: usize) -> Vec<Self::Address>;

    /// Sends a message of 32 bytes, of which `word` are the first eight if the payload has
    /// contents.
    fn send(&self, to: &Self::Address, word: u64);

    /// Runs a producer inside the runtime.
    fn produce(&self, producer: Producer<Self::Address>);
}

/// An implementation that has asks.
pub trait Asks: Peer {
    /// Asks `count` times from one task, each time waiting for the answer; the sum of answers.
    fn ask_many(&self, to: &Self::Address, count: u64) -> u64;
}

/// An implementation whose actors can be given another behavior while messages flow.
pub trait Swaps: Peer {
    /// Has `to` go on with a new behavior that keeps its state; in turn with the messages.
    /// `role` is what it would begin with, had it no state yet.
    fn swap(&self, to: &Self::Address, role: &Role<Self::Address>);

    /// Swaps that have taken effect.
    fn swaps_applied(&self, to: &Self::Address) -> u64;
}

/// An implementation that swaps the behavior of many actors at once.
pub trait SwapsMany: Peer {
    /// What is swapped.
    type Group;

    /// That many actors of one group.
    fn spawn_group(
        &self,
        role: &Role<Self::Address>,
        count: usize,
    ) -> (Self::Group, Vec<Self::Address>);

    /// Has all of them go on with a new behavior that keeps their states.
    fn swap_group(&self, group: &Self::Group, role: &Role<Self::Address>);

    /// Swaps that each of the members has followed.
    fn swaps_followed(&self, members: &[Self::Address]) -> u64;
}

/// What a message carries in the peers.
pub trait Payload: Send + Sync + Sized + 'static {
    /// 32 bytes that begin with `word`.
    fn new(word: u64) -> Self;

    /// The first eight bytes.
    fn word(&self) -> u64;
}

/// By value.
impl Payload for [u64; 4] {
    #[inline]
    fn new(word: u64) -> Self {
        [word, 1, 2, 3]
    }

    #[inline]
    fn word(&self) -> u64 {
        self[0]
    }
}

/// Allocated for each message.
impl Payload for Bytes {
    #[inline]
    fn new(word: u64) -> Self {
        let mut contents = [0; 32];
        contents[..8].copy_from_slice(&word.to_le_bytes());
        Self::copy_from_slice(&contents)
    }

    #[inline]
    fn word(&self) -> u64 {
        first_word(self)
    }
}

/// The first eight bytes of a message as a number.
#[inline]
fn first_word(contents: &[u8]) -> u64 {
    contents
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A Tokio runtime as all peers have it.
fn tokio_runtime(workers: usize) -> ::tokio::runtime::Runtime {
    ::tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_time()
        .build()
        .expect("the system gives threads")
}

/// Runs `work` as a task on a worker and blocks until it is done: a task that spawns and sends
/// is quicker there than on a thread outside.
fn on_a_worker<T: Send + 'static>(
    runtime: &::tokio::runtime::Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime
        .block_on(runtime.spawn(work))
        .expect("no task of a workload panics")
}

/// A producer as a task.
async fn produce<A>(mut producer: Producer<A>, send: impl Fn(&A, u64)) {
    loop {
        match producer.burst(&send) {
            Next::GoOn => {}
            Next::GiveWay => ::tokio::task::yield_now().await,
            Next::Finished => break,
        }
    }
    // The receivers would end with the last of the senders.
    std::mem::forget(producer);
}
