//! The behavior of a process that stands for one of another node.

use std::num::NonZeroU32;

use iris_core::{
    AskError, Behavior, Context, Exit, Failure, Message, Payload, Pid, ReplyTo, State, Step,
    SystemMessage,
};
use iris_mesh::{Remote, Unsent};

use crate::runtime::RuntimeRef;

/// Messages that may wait at a stand-in while the connection takes them: any number. They soon wait
/// there, and a bound that could be met would cost each send a look at the other thread's counter.
pub(super) const ROOM: NonZeroU32 = NonZeroU32::MAX;

/// Messages that may wait while the connection takes none: more would pile up for as long as the
/// peer does not read, so who sends is to wait. Not one at a time on both sides of one number,
/// which costs a wake-up for each: it is all or nothing.
const NO_ROOM: NonZeroU32 = NonZeroU32::MIN;

/// Sends on what it receives.
pub(super) struct StandIn {
    pub(super) remote: Remote,
    pub(super) runtime: RuntimeRef,
}

/// Whether a behavior is that of a stand-in.
pub(super) fn is_one(behavior: &dyn Behavior) -> bool {
    (behavior as &dyn std::any::Any).is::<StandIn>()
}

/// What a behavior stands for, if that is what it does.
pub(super) fn remote_of(behavior: &dyn Behavior) -> Option<&Remote> {
    let stand_in = (behavior as &dyn std::any::Any).downcast_ref::<StandIn>()?;
    Some(&stand_in.remote)
}

impl Behavior for StandIn {
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        match message {
            Message::User(data) => {
                let question = cx.take_reply();
                let sent = try_send(&self.remote, data, question);
                self.after(cx.pid(), sent)
            }
            // Whoever is linked to it is linked to the remote process.
            Message::System(SystemMessage::Exit(info)) => {
                let exit = Exit {
                    reason: info.reason,
                    failure: info.metadata,
                };
                self.remote.exit(info.target, exit);
                Step::Done
            }
            _ => Step::Done,
        }
    }

    fn handle_in_place(&self, _: &mut State, cx: &mut Context<'_>, payload: &mut Payload) -> Step {
        let sent = match cx.take_reply() {
            None => self
                .remote
                .send_copy(payload)
                .map_err(|unsent| (unsent, None)),
            question => {
                let data = std::mem::take(payload).into_bytes();
                try_send(&self.remote, data, question)
            }
        };
        self.after(cx.pid(), sent)
    }

    fn before_stop(&self, _: &mut State, pid: Pid, _: &Exit, _: bool) -> Step {
        self.remote.forget(pid);
        Step::Done
    }

    fn name(&self) -> &'static str {
        "remote process"
    }
}

type Sent = Result<(), (Unsent, Option<ReplyTo>)>;

fn try_send(remote: &Remote, data: bytes::Bytes, question: Option<ReplyTo>) -> Sent {
    match question {
        None => remote.send(data).map_err(|unsent| (unsent, None)),
        Some(question) => {
            let sent = remote.ask(data, question);
            sent.map_err(|(unsent, question)| (unsent, Some(question)))
        }
    }
}

impl StandIn {
    /// What follows on an attempt: nothing, a wait for room, or a dead letter.
    fn after(&self, pid: Pid, sent: Sent) -> Step {
        let Err((unsent, question)) = sent else {
            return Step::Done;
        };
        let Unsent::WouldBlock(data) = unsent else {
            give_up(&self.runtime, pid, unsent, question);
            return Step::Done;
        };
        let (remote, runtime) = (self.remote.clone(), self.runtime.clone());
        set_room(&runtime, pid, NO_ROOM);
        Step::Await(Box::pin(async move {
            let (mut data, mut question) = (data, question);
            loop {
                remote.writable().await;
                match try_send(&remote, data, question) {
                    Ok(()) => break,
                    Err((Unsent::WouldBlock(back), asked)) => (data, question) = (back, asked),
                    Err((unsent, question)) => {
                        give_up(&runtime, pid, unsent, question);
                        break;
                    }
                }
            }
            set_room(&runtime, pid, ROOM);
            Step::Done
        }))
    }
}

/// How many messages may wait for a stand-in from now on.
fn set_room(runtime: &RuntimeRef, pid: Pid, room: NonZeroU32) {
    if let Some(runtime) = runtime.upgrade() {
        // One that ends takes nothing more anyway.
        drop(runtime.set_capacity(pid, room));
    }
}

/// A message that cannot be sent is a dead letter, and who asks is told.
fn give_up(runtime: &RuntimeRef, pid: Pid, unsent: Unsent, question: Option<ReplyTo>) {
    let mut why = None;
    if let Unsent::TooLong { data, limit } = &unsent {
        let len = data.len();
        tracing::warn!(
            pid = pid.raw(),
            len,
            limit,
            "a message is longer than the other node takes"
        );
        // As of an answer that is too long.
        why = Some(Failure {
            kind: "MessageTooLong".to_owned(),
            message: format!(
                "the question has {len} bytes, and the other node takes {limit} at most"
            ),
            traceback: String::new(),
        });
    }
    match (question, why) {
        (Some(question), Some(why)) => {
            question.fail_over(why);
        }
        (Some(question), None) => {
            question.fail(AskError::Dead(pid));
        }
        (None, _) => {
            if let Some(runtime) = runtime.upgrade() {
                runtime.unreachable_letter(pid, Message::User(unsent.into_data()));
            }
        }
    }
}
