//! kameo, with unbounded mailboxes.

use std::convert::Infallible;
use std::fmt;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::runtime::Runtime;

use super::{Asks, Payload, Peer, on_a_worker, produce, tokio_runtime};
use crate::producer::Producer;
use crate::role::{Reaction, Role};

/// Actors of kameo.
#[derive(Debug)]
pub struct Kameo {
    runtime: Runtime,
}

/// Does what its role says.
pub struct Acting(Role<ActorRef<Acting>>);

/// What such an actor receives; the answer is sent only to who asked.
#[derive(Debug)]
pub struct Words([u64; 4]);

type Address = ActorRef<Acting>;

impl Actor for Acting {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(acting: Self, _: Address) -> Result<Self, Infallible> {
        Ok(acting)
    }
}

impl Message<Words> for Acting {
    type Reply = u64;

    async fn handle(&mut self, message: Words, _: &mut Context<Self, u64>) -> u64 {
        match self.0.on(message.0.word()) {
            Reaction::Forward(next) => {
                next.tell(message).try_send().expect("the next one lives");
                0
            }
            Reaction::Reply(answer) => answer,
        }
    }
}

fn spawn(role: Role<Address>) -> Address {
    Acting::spawn_with_mailbox(Acting(role), mailbox::unbounded())
}

fn send(to: &Address, word: u64) {
    let message = Words(Payload::new(word));
    to.tell(message).try_send().expect("the target lives");
}

impl Peer for Kameo {
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

impl Asks for Kameo {
    fn ask_many(&self, to: &Address, count: u64) -> u64 {
        let to = to.clone();
        on_a_worker(&self.runtime, async move {
            let mut sum = 0;
            for word in 0..count {
                let asked = to.ask(Words(Payload::new(word))).send().await;
                sum += asked.expect("the actor answers");
            }
            sum
        })
    }
}

impl fmt::Debug for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acting").finish_non_exhaustive()
    }
}
