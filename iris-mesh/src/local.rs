//! The port to the runtime around a node.

use std::time::Duration;

use bytes::Bytes;
use iris_core::{AskError, BoxFuture, Exit, Payload, Pid, Reply, ReplyTo};
use iris_wire::NodeId;
use iris_wire::frame::Refused;

use crate::remote::Remote;

/// What became of a message from a peer.
#[derive(Debug)]
pub enum Delivered {
    /// It is in the mailbox.
    Done,
    /// It is not wanted; the peer is told why.
    Refused(Refused),
    /// The mailbox is full, and senders wait for room there. The message is back.
    Wait(Bytes),
}

/// The runtime around a node, as the node sees it.
///
/// Called on threads of the mesh, for one peer in the order of what the peer has sent. No method
/// may block, or run user code.
pub trait Local: Send + Sync {
    /// Puts a message into the mailbox of a local process.
    fn deliver(&self, to: Pid, data: Bytes) -> Delivered;

    /// Puts it there once there is room; `Err` if there never will be.
    fn deliver_later(&self, to: Pid, data: Bytes) -> BoxFuture<Result<(), Refused>>;

    /// Asks a local process; the answer comes out of the future.
    ///
    /// # Errors
    ///
    /// Where it is known at once that there is no answer.
    fn ask(&self, to: Pid, data: Bytes) -> Result<Reply, AskError>;

    /// Who has this name or path.
    fn whereis(&self, name: &str) -> Option<Pid>;

    /// Whether the process has a name or a path, and so may be found by anybody.
    fn is_named(&self, pid: Pid) -> bool;

    /// Its names and paths; by them, rules say who may reach it.
    fn names_of(&self, pid: Pid) -> Vec<String>;

    /// Whether it can be reached at all.
    fn is_alive(&self, pid: Pid) -> bool;

    /// Starts a process of a registered behavior; `None` if there is none of that name.
    fn spawn(&self, behavior: &str, init: Bytes) -> Option<BoxFuture<Result<Pid, String>>>;

    /// Whether it stands for a process of another node.
    fn is_stand_in(&self, pid: Pid) -> bool;

    /// Calls [`Node::local_down`](crate::Node::local_down) with `watch` once the process ends; at
    /// once if it has ended.
    fn watch(&self, target: Pid, watch: u64);

    /// No longer.
    fn unwatch(&self, watch: u64);

    /// Makes a local process that stands for a remote one: what it receives goes to `remote`.
    ///
    /// # Errors
    ///
    /// The runtime takes no more processes, or is shut down.
    fn open_stand_in(&self, remote: Remote) -> Result<Pid, String>;

    /// The remote process has ended, or nobody can reach it any more.
    fn close_stand_in(&self, stand_in: Pid, exit: Exit);

    /// Who is linked to `to`, from a process that `from` stands for, has ended.
    fn exit_signal(&self, from: Option<Pid>, to: Pid, exit: Exit);

    /// A message for a remote process was not delivered, or nobody knows: a dead letter.
    fn undelivered(&self, stand_in: Option<Pid>, data: Bytes);

    /// A question for a remote process was not.
    fn unanswered(&self, question: ReplyTo, error: AskError) {
        question.fail(error);
    }

    /// Something has happened to a peer.
    fn node_event(&self, event: NodeEvent);

    /// For how long the guest lanes have had work and made no progress; zero if they move.
    fn lane_age(&self) -> Duration;
}

/// News of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// It can be reached.
    Up {
        /// Which node; `None` for one with the original packets.
        node: Option<NodeId>,
        /// What it calls itself, or its address.
        name: String,
    },
    /// It cannot be reached any more, and all that hung on the connection has ended.
    Down {
        /// Which node.
        node: Option<NodeId>,
        /// What it calls itself, or its address.
        name: String,
        /// Why, for people.
        reason: String,
        /// Whether it said goodbye.
        left: bool,
    },
    /// It lives, but its guest lane makes no progress.
    Stalled {
        /// Which node.
        node: Option<NodeId>,
        /// What it calls itself, or its address.
        name: String,
        /// For how long.
        age: Duration,
    },
    /// Its guest lane moves again.
    Moving {
        /// Which node.
        node: Option<NodeId>,
        /// What it calls itself, or its address.
        name: String,
    },
    /// It has answered a sign of life.
    Heartbeat {
        /// What it calls itself, or its address.
        name: String,
        /// How long that took.
        round_trip: Duration,
    },
    /// Two nodes of the mesh have given a process the same name. Both keep it; who looks it up finds
    /// the one that is told first here.
    NameConflict {
        /// The name or path.
        name: String,
        /// The node that had it first, as far as is known here, as it calls itself.
        first: String,
        /// The other.
        second: String,
    },
}

/// The answer to a remote asker: what travels in a REPLY.
pub(crate) mod answer {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::{AskError, Payload, Pid, ReplyTo};
    use iris_core::Failure;

    const DONE: u8 = 0;
    const DEAD: u8 = 1;
    const FULL: u8 = 2;
    const TIMEOUT: u8 = 3;
    const NO_REPLY: u8 = 4;
    const HANDLER: u8 = 5;
    const REJECTED: u8 = 6;
    const DENIED: u8 = 7;

    /// Status and data of an answer.
    pub(crate) fn encode(answer: Result<Payload, AskError>) -> (u8, Bytes) {
        match answer {
            Ok(payload) => (DONE, payload.into_bytes()),
            Err(AskError::Rejected { error, .. }) => (REJECTED, error.into_bytes()),
            Err(AskError::Handler { failure, .. }) => (HANDLER, failure_bytes(&failure)),
            Err(AskError::Dead(_)) => (DEAD, Bytes::new()),
            Err(AskError::Full(_)) => (FULL, Bytes::new()),
            Err(AskError::Timeout(_)) => (TIMEOUT, Bytes::new()),
            Err(_) => (NO_REPLY, Bytes::new()),
        }
    }

    /// The answer of somebody who failed over the question.
    pub(crate) fn failed(failure: &Failure) -> (u8, Bytes) {
        (HANDLER, failure_bytes(failure))
    }

    pub(crate) fn denied() -> (u8, Bytes) {
        (DENIED, Bytes::new())
    }

    /// Tells who has asked, in whose eyes `by` was asked.
    pub(crate) fn tell(question: ReplyTo, by: Pid, status: u8, data: Bytes) {
        let error = match status {
            DONE => {
                question.reply(Payload::from(data));
                return;
            }
            REJECTED => AskError::Rejected {
                by,
                error: Box::new(Payload::from(data)),
            },
            HANDLER => AskError::Handler {
                by,
                failure: Box::new(read_failure(&data)),
            },
            FULL => AskError::Full(by),
            TIMEOUT => AskError::Timeout(by),
            NO_REPLY => AskError::NoReply(by),
            _ => AskError::Dead(by),
        };
        question.fail(error);
    }

    fn failure_bytes(failure: &Failure) -> Bytes {
        let mut out = BytesMut::new();
        for part in [&failure.kind, &failure.message, &failure.traceback] {
            // An answer is bounded: a long traceback is cut.
            let mut end = part.len().min(1 << 16);
            while !part.is_char_boundary(end) {
                end -= 1;
            }
            out.put_u32(u32::try_from(end).unwrap_or(0));
            out.put_slice(&part.as_bytes()[..end]);
        }
        out.freeze()
    }

    fn read_failure(mut data: &[u8]) -> Failure {
        let mut part = || {
            let (len, rest) = data.split_first_chunk::<4>()?;
            let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
            let text = rest.get(..len)?;
            data = &rest[len..];
            Some(String::from_utf8_lossy(text).into_owned())
        };
        Failure {
            kind: part().unwrap_or_else(|| "unknown".to_owned()),
            message: part().unwrap_or_default(),
            traceback: part().unwrap_or_default(),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_failure_travels() {
            let failure = Failure {
                kind: "ValueError".to_owned(),
                message: "größer".to_owned(),
                traceback: "line 1".to_owned(),
            };
            assert_eq!(read_failure(&failure_bytes(&failure)), failure);
            assert_eq!(read_failure(b"\xff\xff\xff\xffabc").kind, "unknown");
        }

        #[test]
        fn a_long_part_is_cut_at_a_character() {
            let failure = Failure {
                traceback: "ß".repeat(1 << 16),
                ..Failure::default()
            };
            let read = read_failure(&failure_bytes(&failure));
            assert_eq!(read.traceback, "ß".repeat(1 << 15));
        }
    }
}
