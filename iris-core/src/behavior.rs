//! What a process does with a message.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::context::Context;
use crate::exit::{Exit, ExitReason, Failure};
use crate::message::Message;
use crate::payload::Payload;
use crate::pid::Pid;

/// What a process remembers between messages. `Box::new(())` costs no memory.
pub type State = Box<dyn Any + Send>;

/// A future that a process waits for before its next message.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a handler wants next.
#[derive(Default)]
#[non_exhaustive]
pub enum Step {
    /// The message is handled; go on with the next.
    #[default]
    Done,
    /// The message is handled; let others run before the next.
    Yield,
    /// End the process.
    Stop(Exit),
    /// Wait for this, and then do as it says. Messages queue up meanwhile.
    Await(BoxFuture<Step>),
    /// Wait until the process's own scheduler resumes it, with another step. Messages queue up
    /// meanwhile. Only for behaviors that are made for one scheduler, which knows what they wait
    /// for; another one ends the process.
    Park,
    /// The message is handled, and this is the answer for who asked, if anybody did.
    Reply(Payload),
}

impl Step {
    /// Ends the process with reason `normal`.
    pub fn stop() -> Self {
        Self::Stop(ExitReason::Normal.into())
    }
}

impl From<()> for Step {
    /// [`Step::Done`]: what a function means that returns nothing.
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Yield => f.write_str("Yield"),
            Self::Stop(exit) => f.debug_tuple("Stop").field(exit).finish(),
            Self::Await(_) => f.write_str("Await(..)"),
            Self::Park => f.write_str("Park"),
            Self::Reply(answer) => f.debug_tuple("Reply").field(answer).finish(),
        }
    }
}

/// What a process does with its messages.
///
/// One behavior may serve any number of processes: what belongs to a single process
/// lives in its [`State`]. `handle` is synchronous, so that a message costs no
/// boxed future; a handler that must wait returns [`Step::Await`].
///
/// The scheduler calls `handle` for one message of a process at a time, on whatever
/// thread has taken the process up; two calls for one process never overlap. A call
/// that blocks holds up the thread that it runs on, since no runtime can preempt it.
/// A panic in `init`, `handle` or `migrate` ends the process with reason `panic`.
pub trait Behavior: Any + Send + Sync {
    /// The state of a process, made just before its first message; for a virtual actor
    /// that is reactivated, before the first message after each time it was given up.
    fn init(&self) -> State {
        Box::new(())
    }

    /// Handles one message.
    fn handle(&self, state: &mut State, cx: &mut Context<'_>, message: Message) -> Step;

    /// Handles a user message whose bytes are [in place](Payload::is_in_place). By default makes
    /// [`Bytes`] of them for [`handle`](Self::handle), some 30 ns; a behavior that needs to look
    /// at the bytes only does better here. What it leaves in `payload` is dropped.
    fn handle_in_place(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
        payload: &mut Payload,
    ) -> Step {
        let payload = std::mem::take(payload);
        self.handle(state, cx, Message::User(payload.into_bytes()))
    }

    /// The behavior as one that handles many messages at once, if it does.
    fn as_batch(&self) -> Option<&dyn BatchBehavior> {
        None
    }

    /// Takes over the state of the version before, when this behavior is swapped in.
    ///
    /// # Errors
    ///
    /// The old state, unharmed, with the failure: the process then goes on with the
    /// old behavior.
    fn migrate(&self, old: State, from_version: u32) -> Result<State, MigrationError> {
        let _ = from_version;
        Ok(old)
    }

    /// Called when the process is about to end, before its mailbox is closed: by an order, or
    /// because `handle` said so; not after a panic, nor for a state that a virtual actor only
    /// gives up. [`Step::Park`] puts the end off until the scheduler resumes the process, for work
    /// that is still under way and for an end that takes its time; any other step ends it now.
    ///
    /// `at_once` is false for a process that was told to finish what it has, and that has.
    fn before_stop(&self, state: &mut State, pid: Pid, exit: &Exit, at_once: bool) -> Step {
        let _ = (state, pid, exit, at_once);
        Step::Done
    }

    /// Called when a state that `init` made is about to be dropped, because the process
    /// ends or a virtual actor gives its state up; not after a panic of `handle`. A panic
    /// in here is logged, and the exit goes on.
    ///
    /// Runs on the thread that ran the process, and keeps it. A runtime may let the exit go on
    /// without one that takes too long, though not when a virtual actor only gives up its state.
    fn on_stop(&self, state: &mut State, exit: &Exit) {
        let _ = (state, exit);
    }

    /// What to call it in logs and `info`.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }
}

/// A behavior that gets the user messages that are there at once.
pub trait BatchBehavior {
    /// Handles messages in the order in which they came: at least one, at most the process's
    /// budget, each of which costs a reduction. All of them count as handled, whatever it
    /// returns. Questions, system messages and what comes after a swap are never among them;
    /// questions come one by one, through [`Behavior::handle_in_place`] or
    /// [`Behavior::handle`].
    fn handle_batch(&self, state: &mut State, cx: &mut Context<'_>, batch: Vec<Payload>) -> Step;
}

impl fmt::Debug for dyn Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Behavior({})", self.name())
    }
}

/// A migration that did not work out.
#[derive(thiserror::Error)]
#[error("state migration failed: {failure}")]
pub struct MigrationError {
    /// The state as it was handed in.
    pub state: State,
    /// What went wrong.
    pub failure: Failure,
}

impl fmt::Debug for MigrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrationError")
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// A behavior and its place in a process's history. The original is version 1.
#[derive(Clone, Debug)]
pub struct BehaviorVersion {
    /// Counts up by one with every swap.
    pub version: u32,
    /// The behavior itself.
    pub behavior: Arc<dyn Behavior>,
}

impl BehaviorVersion {
    /// The first version of a process.
    pub fn original(behavior: Arc<dyn Behavior>) -> Self {
        Self {
            version: 1,
            behavior,
        }
    }
}

struct Handler<F>(F);

impl<F> Behavior for Handler<F>
where
    F: Fn(&mut Context<'_>, Bytes) -> Step + Send + Sync + 'static,
{
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        match message {
            Message::User(bytes) => (self.0)(cx, bytes),
            // A plain function asked for bytes only; system messages are for
            // behaviors that want them.
            Message::System(_) => Step::Done,
        }
    }

    fn name(&self) -> &str {
        std::any::type_name::<F>()
    }
}

/// A behavior from a function of the user's bytes. System messages are passed over.
///
/// # Examples
///
/// ```
/// use iris_core::{Behavior, Step, handler};
///
/// let echo = handler(|cx, bytes| {
///     println!("{} got {} bytes", cx.pid(), bytes.len());
///     if bytes.is_empty() { Step::stop() } else { Step::Done }
/// });
/// assert!(echo.name().contains("closure"));
/// ```
pub fn handler<F>(f: F) -> impl Behavior
where
    F: Fn(&mut Context<'_>, Bytes) -> Step + Send + Sync + 'static,
{
    Handler(f)
}
