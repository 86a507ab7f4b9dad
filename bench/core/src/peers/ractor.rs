//! ractor.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::runtime::Runtime;

use super::{Asks, Payload, Peer, on_a_worker, produce, tokio_runtime};
use crate::producer::Producer;
use crate::role::{Reaction, Role};

/// Actors of ractor.
#[derive(Debug)]
pub struct Ractor {
    runtime: Runtime,
}

/// What such an actor receives.
#[derive(Debug)]
pub enum Order {
    /// A message.
    Tell([u64; 4]),
    /// A message that is to be answered.
    Ask([u64; 4], RpcReplyPort<u64>),
}

/// Does what its role says; the role is ractor's state.
struct Acting;

type Address = ActorRef<Order>;

impl Actor for Acting {
    type Msg = Order;
    type State = Role<Address>;
    type Arguments = Role<Address>;

    async fn pre_start(
        &self,
        _: Address,
        role: Role<Address>,
    ) -> Result<Role<Address>, ActorProcessingErr> {
        Ok(role)
    }

    async fn handle(
        &self,
        _: Address,
        order: Order,
        role: &mut Role<Address>,
    ) -> Result<(), ActorProcessingErr> {
        let (message, asker) = match order {
            Order::Tell(message) => (message, None),
            Order::Ask(message, asker) => (message, Some(asker)),
        };
        match role.on(message.word()) {
            Reaction::Forward(next) => next.send_message(Order::Tell(message))?,
            Reaction::Reply(answer) => {
                if let Some(asker) = asker {
                    asker.send(answer)?;
                }
            }
        }
        Ok(())
    }
}

async fn spawn(role: Role<Address>) -> Address {
    let spawned = Acting::spawn(None, Acting, role).await;
    spawned.expect("nothing in its start can fail").0
}

fn send(to: &Address, word: u64) {
    to.send_message(Order::Tell(Payload::new(word)))
        .expect("the target lives");
}

impl Peer for Ractor {
    type Address = Address;

    fn start(workers: usize) -> Self {
        let runtime = tokio_runtime(workers);
        Self { runtime }
    }

    fn spawn(&self, role: Role<Address>) -> Address {
        on_a_worker(&self.runtime, spawn(role))
    }

    fn spawn_many(&self, role: &Role<Address>, count: usize) -> Vec<Address> {
        let role = role.clone();
        on_a_worker(&self.runtime, async move {
            let mut spawned = Vec::with_capacity(count);
            for _ in 0..count {
                spawned.push(spawn(role.clone()).await);
            }
            spawned
        })
    }

    fn send(&self, to: &Address, word: u64) {
        send(to, word);
    }

    fn produce(&self, producer: Producer<Address>) {
        self.runtime.spawn(produce(producer, send));
    }
}

impl Asks for Ractor {
    fn ask_many(&self, to: &Address, count: u64) -> u64 {
        let to = to.clone();
        on_a_worker(&self.runtime, async move {
            let mut sum = 0;
            for word in 0..count {
                let asked = to.call(|asker| Order::Ask(Payload::new(word), asker), None);
                let answer = asked.await.expect("the target lives");
                sum += answer.expect("the actor answers");
            }
            sum
        })
    }
}
