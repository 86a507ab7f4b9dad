//! Raw Tokio: an unbounded channel and a task for each actor.

use std::fmt;
use std::marker::PhantomData;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::{Asks, Payload, Peer, on_a_worker, produce, tokio_runtime};
use crate::producer::Producer;
use crate::role::{Reaction, Role};

/// A message, and where the answer goes if it is an ask.
type Envelope<M> = (M, Option<oneshot::Sender<u64>>);

/// Actors by hand, with messages of type `M`.
pub struct Tokio<M> {
    runtime: Runtime,
    messages: PhantomData<fn() -> M>,
}

/// Spawns an actor on the current runtime.
fn spawn<M: Payload>(mut role: Role<UnboundedSender<Envelope<M>>>) -> UnboundedSender<Envelope<M>> {
    let (sender, mut receiver) = unbounded_channel::<Envelope<M>>();
    tokio::spawn(async move {
        while let Some((message, asker)) = receiver.recv().await {
            match role.on(message.word()) {
                Reaction::Forward(next) => {
                    assert!(next.send((message, None)).is_ok(), "the next one lives");
                }
                Reaction::Reply(answer) => {
                    if let Some(asker) = asker {
                        asker.send(answer).expect("who asked waits");
                    }
                }
            }
        }
    });
    sender
}

#[inline]
fn send<M: Payload>(to: &UnboundedSender<Envelope<M>>, word: u64) {
    assert!(to.send((M::new(word), None)).is_ok(), "the target lives");
}

impl<M: Payload> Peer for Tokio<M> {
    type Address = UnboundedSender<Envelope<M>>;

    fn start(workers: usize) -> Self {
        Self {
            runtime: tokio_runtime(workers),
            messages: PhantomData,
        }
    }

    fn spawn(&self, role: Role<Self::Address>) -> Self::Address {
        let _inside = self.runtime.enter();
        spawn(role)
    }

    fn spawn_many(&self, role: &Role<Self::Address>, count: usize) -> Vec<Self::Address> {
        let role = role.clone();
        on_a_worker(&self.runtime, async move {
            (0..count).map(|_| spawn(role.clone())).collect()
        })
    }

    fn send(&self, to: &Self::Address, word: u64) {
        send(to, word);
    }

    fn produce(&self, producer: Producer<Self::Address>) {
        self.runtime.spawn(produce(producer, send));
    }
}

impl<M: Payload> Asks for Tokio<M> {
    fn ask_many(&self, to: &Self::Address, count: u64) -> u64 {
        let to = to.clone();
        on_a_worker(&self.runtime, async move {
            let mut sum = 0;
            for word in 0..count {
                let (asker, answer) = oneshot::channel();
                let sent = to.send((M::new(word), Some(asker)));
                assert!(sent.is_ok(), "the target lives");
                sum += answer.await.expect("the actor answers");
            }
            sum
        })
    }
}

impl<M> fmt::Debug for Tokio<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").finish_non_exhaustive()
    }
}
