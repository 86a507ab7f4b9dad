//! Iris, through its facade.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use ::iris::{Behavior, Cohort, Context, Message, Pid, Runtime, SendError, State, Step};
use bytes::Bytes;

use super::{Asks, Payload, Peer, Swaps, SwapsMany, first_word};
use crate::producer::{Next, Producer};
use crate::role::{Reaction, Role};

/// An Iris runtime whose messages are made by `M`.
#[derive(Debug)]
pub struct Iris<M> {
    runtime: Runtime,
    messages: PhantomData<fn() -> M>,
}

/// How a message of 32 bytes is made, and sent from inside and outside of a handler.
pub trait MakeMessage: Send + Sync + 'static {
    /// Sends a message that begins with `word`.
    fn send(runtime: &Runtime, to: Pid, word: u64) -> Result<(), SendError>;

    /// The same, charged to a process.
    fn send_from(cx: &mut Context<'_>, to: Pid, word: u64) -> Result<(), SendError>;
}

/// 32 bytes by value: no allocation.
#[derive(Debug)]
pub struct Inline;

#[inline]
fn contents(word: u64) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&word.to_le_bytes());
    bytes
}

impl MakeMessage for Inline {
    #[inline]
    fn send(runtime: &Runtime, to: Pid, word: u64) -> Result<(), SendError> {
        runtime.send_bytes(to, &contents(word))
    }

    #[inline]
    fn send_from(cx: &mut Context<'_>, to: Pid, word: u64) -> Result<(), SendError> {
        cx.send_bytes(to, &contents(word))
    }
}

/// A fresh allocation for each message.
impl MakeMessage for Bytes {
    #[inline]
    fn send(runtime: &Runtime, to: Pid, word: u64) -> Result<(), SendError> {
        runtime.send_payload(to, <Bytes as Payload>::new(word))
    }

    #[inline]
    fn send_from(cx: &mut Context<'_>, to: Pid, word: u64) -> Result<(), SendError> {
        cx.send_payload(to, <Bytes as Payload>::new(word))
    }
}

/// Begins with a copy of a role, which is its state.
struct Acting(Role<Pid>);

impl Behavior for Acting {
    fn init(&self) -> State {
        Box::new(self.0.clone())
    }

    #[inline]
    fn handle(&self, state: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        let role: &mut Role<Pid> = state.downcast_mut().expect("`init` made it");
        let word = message.as_user().map_or(0, |bytes| first_word(bytes));
        if let Reaction::Forward(next) = role.on(word) {
            cx.send(*next, message).expect("the next one lives");
        }
        Step::Done
    }

    #[inline]
    fn handle_in_place(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
        bytes: &mut ::iris::Payload,
    ) -> Step {
        let role: &mut Role<Pid> = state.downcast_mut().expect("`init` made it");
        match role.on(first_word(bytes)) {
            Reaction::Forward(next) => {
                cx.send_bytes(*next, bytes).expect("the next one lives");
            }
            Reaction::Reply(answer) if cx.is_asked() => {
                cx.reply(::iris::Payload::copy_of(&answer.to_le_bytes()));
            }
            Reaction::Reply(_) => {}
        }
        Step::Done
    }
}

/// A producer as an actor: one burst for each message, which it sends to itself.
///
/// So it gives way after every burst, where a task goes on until its window is full: that is
/// how an actor is written that keeps to its budget.
struct Producing<M> {
    /// Until it becomes the state.
    producer: Mutex<Option<Producer<Pid>>>,
    messages: PhantomData<fn() -> M>,
}

impl<M: MakeMessage> Behavior for Producing<M> {
    fn init(&self) -> State {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        Box::new(producer.take().expect("a process is activated once"))
    }

    fn handle(&self, state: &mut State, cx: &mut Context<'_>, tick: Message) -> Step {
        let producer: &mut Producer<Pid> = state.downcast_mut().expect("`init` made it");
        let next = producer.burst(|to, word| {
            M::send_from(cx, *to, word).expect("the target lives");
        });
        if next == Next::Finished {
            return Step::stop();
        }
        cx.send(cx.pid(), tick).expect("this process lives");
        Step::Done
    }
}

impl<M: MakeMessage> Peer for Iris<M> {
    type Address = Pid;

    fn start(workers: usize) -> Self {
        let runtime = Runtime::builder()
            .workers(workers)
            .start()
            .expect("the system gives threads");
        Self {
            runtime,
            messages: PhantomData,
        }
    }

    fn spawn(&self, role: Role<Pid>) -> Pid {
        let spawned = self.runtime.spawn(Acting(role)).start();
        spawned.expect("the table has room")
    }

    /// From the main thread; all of them share the behavior.
    fn spawn_many(&self, role: &Role<Pid>, count: usize) -> Vec<Pid> {
        let behavior: Arc<dyn Behavior> = Arc::new(Acting(role.clone()));
        let spawn = |_| {
            let spawned = self.runtime.spawn_shared(behavior.clone()).start();
            spawned.expect("the table has room")
        };
        (0..count).map(spawn).collect()
    }

    #[inline]
    fn send(&self, to: &Pid, word: u64) {
        M::send(&self.runtime, *to, word).expect("the target lives");
    }

    fn produce(&self, producer: Producer<Pid>) {
        let behavior: Producing<M> = Producing {
            producer: Mutex::new(Some(producer)),
            messages: PhantomData,
        };
        let spawned = self.runtime.spawn(behavior).start();
        self.send(&spawned.expect("the table has room"), 0);
    }
}

impl<M: MakeMessage> Asks for Iris<M> {
    fn ask_many(&self, to: &Pid, count: u64) -> u64 {
        let (runtime, to) = (self.runtime.clone(), *to);
        let (done, sum) = std::sync::mpsc::channel();
        // A task on the runtime's own threads, as with the others.
        self.runtime.rust_scheduler().drive(Box::pin(async move {
            let mut sum = 0;
            for word in 0..count {
                let question = ::iris::Payload::copy_of(&contents(word));
                let answer = runtime.ask(to, question).await;
                sum += first_word(&answer.expect("the actor answers"));
            }
            done.send(sum).expect("the main thread waits");
        }));
        sum.recv().expect("the task ends")
    }
}

impl<M: MakeMessage> Swaps for Iris<M> {
    fn swap(&self, to: &Pid, role: &Role<Pid>) {
        let version = self.runtime.hot_swap(*to, Acting(role.clone()));
        version.expect("the target lives");
    }

    fn swaps_applied(&self, to: &Pid) -> u64 {
        let version = self.runtime.behavior_version(*to);
        u64::from(version.expect("the target lives")) - 1
    }
}

impl<M: MakeMessage> SwapsMany for Iris<M> {
    type Group = Arc<Cohort>;

    fn spawn_group(&self, role: &Role<Pid>, count: usize) -> (Arc<Cohort>, Vec<Pid>) {
        let cohort = self.runtime.cohort();
        let behavior: Arc<dyn Behavior> = Arc::new(Acting(role.clone()));
        let spawn = |_| {
            let member = self.runtime.spawn_shared(behavior.clone());
            let spawned = member.of_cohort(cohort.clone()).start();
            spawned.expect("the table has room")
        };
        let members = (0..count).map(spawn).collect();
        (cohort, members)
    }

    fn swap_group(&self, group: &Arc<Cohort>, role: &Role<Pid>) {
        group.swap_all(Arc::new(Acting(role.clone())));
    }

    fn swaps_followed(&self, members: &[Pid]) -> u64 {
        let versions = members
            .iter()
            .map(|pid| self.runtime.behavior_version(*pid));
        let least = versions.map(|version| version.expect("they live")).min();
        u64::from(least.expect("there are members")) - 1
    }
}

/// Iris with actors that receive: a task for each, as with raw Tokio.
#[derive(Debug)]
pub struct IrisAsync(Iris<Inline>);

impl Peer for IrisAsync {
    type Address = Pid;

    fn start(workers: usize) -> Self {
        Self(Iris::start(workers))
    }

    fn spawn(&self, mut role: Role<Pid>) -> Pid {
        self.0.runtime.spawn_actor(move |mut rx| async move {
            while let Some(message) = rx.recv().await {
                let word = message.as_user().map_or(0, |bytes| first_word(bytes));
                let reaction = role.on(word);
                assert!(
                    matches!(reaction, Reaction::Reply(_)),
                    "none of them is a relay"
                );
            }
        })
    }

    fn spawn_many(&self, role: &Role<Pid>, count: usize) -> Vec<Pid> {
        (0..count).map(|_| self.spawn(role.clone())).collect()
    }

    fn send(&self, to: &Pid, word: u64) {
        self.0.send(to, word);
    }

    fn produce(&self, producer: Producer<Pid>) {
        self.0.produce(producer);
    }
}
