//! What travels between processes, and what becomes of it when it cannot.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::ask::ReplyTo;
use crate::behavior::BehaviorVersion;
use crate::exit::{Exit, ExitInfo, MonitorRef};
use crate::payload::Payload;
use crate::pid::Pid;

/// What a process receives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Bytes from another process, a timer or the outside. Iris never looks inside.
    User(Bytes),
    /// News from the runtime itself.
    System(SystemMessage),
}

impl Message {
    /// The user's bytes, or `None` for a system message.
    pub fn as_user(&self) -> Option<&Bytes> {
        match self {
            Self::User(bytes) => Some(bytes),
            Self::System(_) => None,
        }
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::User(bytes)
    }
}

impl From<Payload> for Message {
    fn from(payload: Payload) -> Self {
        Self::User(payload.into_bytes())
    }
}

impl From<&'static [u8]> for Message {
    fn from(bytes: &'static [u8]) -> Self {
        Self::User(Bytes::from_static(bytes))
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::User(Bytes::from(bytes))
    }
}

/// News from the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemMessage {
    /// A process that the receiver is linked to has ended.
    Exit(ExitInfo),
    /// A process that the receiver monitors has ended.
    Down {
        /// The monitor that brings it; it is off now.
        reference: MonitorRef,
        /// Who ended, and why.
        info: ExitInfo,
    },
    /// A supervised process has a successor, which has its names and paths already.
    Restarted {
        /// The process that ended.
        old: Pid,
        /// Its successor.
        new: Pid,
    },
    /// Something has happened to another node.
    Node {
        /// What.
        news: NodeNews,
        /// What the node calls itself, or its address.
        node: Arc<str>,
        /// Why, or for how long, for people; may be empty.
        detail: Arc<str>,
    },
    /// A supervised process ended once too often, and has no successor.
    GaveUp {
        /// The id of the child at its supervisor.
        child: Arc<str>,
        /// Its last end; `None` if it never ran.
        last: Option<ExitInfo>,
    },
}

impl SystemMessage {
    /// What guest languages call it: `EXIT`, `DOWN`, `RESTARTED`, `GAVE_UP`, or what has happened
    /// to a node ([`NodeNews::as_str`]).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Exit(_) => "EXIT",
            Self::Down { .. } => "DOWN",
            Self::Restarted { .. } => "RESTARTED",
            Self::GaveUp { .. } => "GAVE_UP",
            Self::Node { news, .. } => news.as_str(),
        }
    }

    /// The end that it tells of, if it tells of one.
    pub fn exit_info(&self) -> Option<&ExitInfo> {
        match self {
            Self::Exit(info) | Self::Down { info, .. } => Some(info),
            Self::GaveUp { last, .. } => last.as_ref(),
            Self::Restarted { .. } | Self::Node { .. } => None,
        }
    }

    /// Who caused or reported it: the process that ended, unless a link or another process ended
    /// it.
    pub fn from_pid(&self) -> Option<Pid> {
        match self {
            Self::Restarted { old, .. } => Some(*old),
            _ => self.exit_info().map(|info| info.from),
        }
    }

    /// The process that it is about: the one that ended, or the successor.
    pub fn target_pid(&self) -> Option<Pid> {
        match self {
            Self::Restarted { new, .. } => Some(*new),
            _ => self.exit_info().map(|info| info.target),
        }
    }

    /// The monitor that brings a `DOWN`.
    pub fn reference(&self) -> Option<MonitorRef> {
        match self {
            Self::Down { reference, .. } => Some(*reference),
            _ => None,
        }
    }
}

/// What can happen to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeNews {
    /// It can be reached.
    Up,
    /// It cannot be reached any more.
    Down,
    /// It lives, but its guest language makes no progress.
    Stalled,
    /// Its guest language makes progress again.
    Moving,
    /// It has answered a sign of life; the detail says how long that took, in milliseconds.
    Heartbeat,
    /// It has given a process a name that another node has given, too. Both keep it; the
    /// detail says who else, and which name.
    NameConflict,
}

impl NodeNews {
    /// What guest languages call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "NODE_UP",
            Self::Down => "NODE_DOWN",
            Self::Stalled => "NODE_STALLED",
            Self::Moving => "NODE_MOVING",
            Self::Heartbeat => "HEARTBEAT",
            Self::NameConflict => "NAME_CONFLICT",
        }
    }
}

/// The two lanes of a mailbox.
///
/// Everything in the signal lane is taken before anything in the user lane; each
/// lane alone is first in, first out for each sender. The lane is what decides
/// *when* an [`Envelope`] acts: a [`Envelope::Swap`] in the user lane applies to
/// what was sent after it, the same swap in the signal lane to the backlog too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Overtakes user messages.
    Signal,
    /// Keeps the order in which things were sent.
    User,
}

/// What lies in a mailbox: a message, or an instruction to the process itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Envelope {
    /// A user's message for the behavior, and who waits for an answer to it.
    User(Payload, Option<ReplyTo>),
    /// News from the runtime for the behavior. Boxed, for it is rare and large.
    System(Box<SystemMessage>),
    /// Go on with this behavior.
    Swap {
        /// The behavior, new or one from before.
        to: BehaviorVersion,
        /// Counts the swaps of a process: one that has been overtaken is passed over.
        order: u64,
    },
    /// End, for this reason. In the signal lane what is queued becomes dead
    /// letters; in the user lane it is handled first.
    Stop(Exit),
    /// A wake-up that was asked of [`Host::wake_at`](crate::Host::wake_at).
    Wake,
}

impl Envelope {
    /// Whether this counts in the size of a mailbox: user messages only.
    #[inline]
    pub fn is_user_message(&self) -> bool {
        matches!(self, Self::User(..))
    }

    /// Whether it holds nothing that needs to be dropped: bytes by value that nobody waits
    /// for an answer to.
    #[inline]
    pub fn owns_nothing(&self) -> bool {
        matches!(self, Self::User(payload, None) if payload.is_inline())
    }

    /// The message inside, for who gets to see it unhandled; who waits for an answer to it
    /// learns that the process is dead. `None` for instructions to the process.
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::User(payload, reply) => {
                if let Some(reply) = reply {
                    reply.fail_dead();
                }
                Some(Message::User(payload.into_bytes()))
            }
            Self::System(message) => Some(Message::System(*message)),
            _ => None,
        }
    }
}

impl From<Message> for Envelope {
    #[inline]
    fn from(message: Message) -> Self {
        match message {
            Message::User(bytes) => Self::User(bytes.into(), None),
            Message::System(message) => Self::System(Box::new(message)),
        }
    }
}

impl From<Payload> for Envelope {
    #[inline]
    fn from(payload: Payload) -> Self {
        Self::User(payload, None)
    }
}

/// Why a message did not reach a mailbox; it comes back inside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// No process has this pid: it never had one, or it has ended.
    #[error("no process with pid {to}")]
    NoProc {
        /// Whom it was for.
        to: Pid,
        /// What could not be sent.
        message: Message,
    },
    /// The process is ending and takes nothing more.
    #[error("process {to} is stopping")]
    Closed {
        /// Whom it was for.
        to: Pid,
        /// What could not be sent.
        message: Message,
    },
    /// The mailbox is full, and its policy refuses what does not fit.
    #[error("the mailbox of process {to} is full")]
    Full {
        /// Whom it was for.
        to: Pid,
        /// What could not be sent.
        message: Message,
    },
    /// The mailbox is full, its policy is to make senders wait, and this one may not: it is
    /// inside a handler or on a thread that others need.
    #[error(
        "the mailbox of process {to} is full and senders wait for room there, which a handler \
         may not: await send_async (a handler returns it as Step::Await), or send from a \
         thread of your own"
    )]
    WouldBlock {
        /// Whom it was for.
        to: Pid,
        /// What could not be sent.
        message: Message,
    },
    /// The mailbox is full, and there was no room in the time that the sender would wait.
    #[error("the mailbox of process {to} had no room in time")]
    Timeout {
        /// Whom it was for.
        to: Pid,
        /// What could not be sent.
        message: Message,
    },
    /// The runtime itself is shutting down.
    #[error("the runtime has been shut down")]
    ShutDown {
        /// Whom it was for.
        to: Pid,
        /// What could not be sent.
        message: Message,
    },
}

impl SendError {
    /// Who did not take it. After a redirection it is the last one that was tried.
    pub fn to(&self) -> Pid {
        match self {
            Self::NoProc { to, .. }
            | Self::Closed { to, .. }
            | Self::Full { to, .. }
            | Self::WouldBlock { to, .. }
            | Self::Timeout { to, .. }
            | Self::ShutDown { to, .. } => *to,
        }
    }

    /// The message, back in the sender's hands.
    pub fn into_message(self) -> Message {
        match self {
            Self::NoProc { message, .. }
            | Self::Closed { message, .. }
            | Self::Full { message, .. }
            | Self::WouldBlock { message, .. }
            | Self::Timeout { message, .. }
            | Self::ShutDown { message, .. } => message,
        }
    }
}

/// A message that was accepted but will never be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The process whose mailbox it was in.
    pub to: Pid,
    /// The message itself.
    pub message: Message,
    /// What came between.
    pub reason: DeadLetterReason,
}

/// What came between a message and its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// The process ended with the message still queued.
    Stopped,
    /// A newer message took its place in a full mailbox.
    Evicted,
    /// A mailbox did not take it, and there was nobody to give it back to: a timer's message, or
    /// the copy that overflowed from a full mailbox.
    Refused,
    /// It was for a process of another node, which did not take it or cannot be reached. Its bytes
    /// are there only if they had not left this node for certain.
    Unreachable,
}

impl DeadLetterReason {
    /// The word that users and logs see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Evicted => "evicted",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitReason;

    #[test]
    fn a_refused_message_comes_back_whole() {
        let to = Pid::new(1, 1).unwrap();
        let message = Message::from(&b"precious"[..]);
        let error = SendError::NoProc {
            to,
            message: message.clone(),
        };
        assert_eq!(error.into_message(), message);
    }

    #[test]
    fn each_system_message_has_a_name_and_those_that_it_is_about() {
        let (a, b) = (Pid::new(1, 1).unwrap(), Pid::new(2, 1).unwrap());
        let info = ExitInfo {
            target: b,
            from: a,
            reason: ExitReason::Killed,
            metadata: None,
        };
        let node = |news| SystemMessage::Node {
            news,
            node: "x".into(),
            detail: "".into(),
        };
        let reference = MonitorRef::from_raw(7);
        let down = SystemMessage::Down {
            reference,
            info: info.clone(),
        };
        assert_eq!(down.reference(), Some(reference));
        let gave_up = |last| SystemMessage::GaveUp {
            child: "x".into(),
            last,
        };
        let about = (Some(a), Some(b));
        for (message, name, pids) in [
            (SystemMessage::Exit(info.clone()), "EXIT", about),
            (down, "DOWN", about),
            (
                SystemMessage::Restarted { old: a, new: b },
                "RESTARTED",
                about,
            ),
            (gave_up(Some(info)), "GAVE_UP", about),
            (gave_up(None), "GAVE_UP", (None, None)),
            (node(NodeNews::Up), "NODE_UP", (None, None)),
            (node(NodeNews::Down), "NODE_DOWN", (None, None)),
            (node(NodeNews::Stalled), "NODE_STALLED", (None, None)),
            (node(NodeNews::Moving), "NODE_MOVING", (None, None)),
            (node(NodeNews::Heartbeat), "HEARTBEAT", (None, None)),
            (node(NodeNews::NameConflict), "NAME_CONFLICT", (None, None)),
        ] {
            assert_eq!(message.type_name(), name);
            assert_eq!((message.from_pid(), message.target_pid()), pids, "{name}");
        }
    }

    #[test]
    fn only_user_messages_count_as_mail() {
        assert!(Envelope::from(Message::from(&b"x"[..])).is_user_message());
        assert!(!Envelope::Wake.is_user_message());
        assert!(!Envelope::Stop(Exit::default()).is_user_message());
    }
}
