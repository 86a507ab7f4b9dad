//! What a session tells its owner.

use std::time::Duration;

use bytes::Bytes;
use iris_core::Pid;

use crate::frame::{ErrorCode, Frame, FrameError, Message, Trace};

/// Names one link of a session: input and output of an earlier one are of no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) u32);

/// What a session holds of what it was given to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes of messages, and of what they need beside their data, that wait for their turn.
    pub queued_bytes: usize,
    /// Signals that wait for theirs.
    pub queued_signals: usize,
    /// Bytes of frames that are encoded and not acknowledged.
    pub unacked_bytes: usize,
}

/// What a message holds of the peer's credit until it is
/// [released](super::Connection::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the peer may send less for each cost that is not released"]
pub struct Cost {
    pub(super) bytes: u32,
    /// Its bytes were given back when they arrived as fragments.
    pub(super) in_fragments: bool,
}

/// Something that has happened. To be taken after each call that can cause some.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A link is up. Unless `resumed`, a session begins.
    Ready {
        /// The link.
        link: LinkId,
        /// Nothing was lost: it is the session of before.
        resumed: bool,
    },
    /// A message, in the order of its pair, once.
    Message {
        /// Its number, for an UNDELIVERED.
        seq: u64,
        /// The message. Its data shares memory with the input; copy what is kept for long.
        message: Message,
        /// Its trace context.
        trace: Option<Trace>,
        /// To be released once the message is where it belongs.
        cost: Cost,
    },
    /// Any other sequenced frame, in order, once.
    Signal {
        /// Its number.
        seq: u64,
        /// The frame.
        frame: Frame,
    },
    /// A packet of the membership protocol.
    Swim(Bytes),
    /// The peer has limited what one of its processes takes.
    PidCredit {
        /// The process.
        pid: Pid,
        /// Bytes in all.
        limit_bytes: u64,
        /// Messages in all.
        limit_msgs: u64,
    },
    /// The peer has answered a ping.
    Pong {
        /// How long it took.
        round_trip: Duration,
    },
    /// The peer lives, but its guest lane has made no progress for this long.
    NodeStalled {
        /// For how long.
        lane_age: Duration,
    },
    /// The peer's guest lane makes progress again.
    NodeMoving,
    /// There is room again, after [`SendError::WouldBlock`].
    Writable,
    /// The peer takes nothing new and will close.
    GoAway {
        /// Why.
        reason: ErrorCode,
        /// For how long it waits for what is under way.
        drain: Duration,
    },
    /// A frame has not been delivered, or nobody knows: it is yours again.
    Undelivered {
        /// The frame.
        frame: Frame,
        /// Its trace context.
        trace: Option<Trace>,
        /// `true`: it has certainly not arrived. `false`: the connection was lost before an
        /// acknowledgement.
        certain: bool,
    },
    /// The link is of no use any more: close it. The session waits for another.
    LinkDown {
        /// The link.
        link: LinkId,
        /// Why.
        reason: LinkError,
    },
    /// A session is over: all that hangs on it (monitors, links, names) ends with
    /// `noconnection`. What it had not delivered came before this. If the connection is not
    /// [closed](super::Connection::is_closed), another session follows on the link that is
    /// there.
    Lost(Lost),
}

/// Why a link is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing has come for three and a half of its heartbeats.
    #[error("the peer has sent nothing for {after:?}; it is gone, or the network between is")]
    Silent {
        /// The limit.
        after: Duration,
    },
    /// The peer has not said where to go on.
    #[error("the peer was not ready within {after:?} after the handshake")]
    NotReady {
        /// The limit.
        after: Duration,
    },
    /// A newer link has taken its place.
    #[error("a newer connection to the same node has taken its place")]
    Replaced,
}

/// Why a session has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// No new link within the time to resume.
    #[error("no new connection within {after:?}")]
    Unreachable {
        /// The limit.
        after: Duration,
    },
    /// Its owner has not waited for a new link.
    #[error("the peer is gone: {why}")]
    Gone {
        /// How that is known.
        why: String,
    },
    /// The peer does not know the session any more.
    #[error("the peer has given the session up")]
    Forgotten,
    /// The peer was started again, or the owner wants it so.
    #[error("closed by this node ({0})")]
    Closed(ErrorCode),
    /// The peer went away as it had announced.
    #[error("the peer has left ({0})")]
    PeerLeft(ErrorCode),
    /// The peer says that something is wrong.
    #[error("the peer has closed ({code}): {message}")]
    ByPeer {
        /// Why.
        code: ErrorCode,
        /// The same for people.
        message: String,
    },
    /// Something is wrong with what the peer sends.
    #[error("the peer breaks the protocol: {0}")]
    Protocol(#[from] Violation),
    /// More signals wait than may be kept.
    #[error("{limit} signals wait for a peer that does not take them")]
    Overflow {
        /// The limit.
        limit: usize,
    },
}

/// How a peer can break the rules of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Bytes that are no frame, or a frame at the wrong time.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A gap in the numbers.
    #[error("frame {got} after frame {after}")]
    Sequence {
        /// The last one before.
        after: u64,
        /// The one that came.
        got: u64,
    },
    /// An acknowledgement, or a place to resume from, that cannot be.
    #[error("an acknowledgement of frame {got}; frames {from} to {to} can be")]
    Ack {
        /// What it says.
        got: u64,
        /// The first that makes sense.
        from: u64,
        /// The last that was sent.
        to: u64,
    },
    /// More than there was credit for.
    #[error("more was sent than this node had granted")]
    Credit,
    /// Fragments that do not make a message.
    #[error("message {msg} in fragments: {why}")]
    Fragment {
        /// The number of the message.
        msg: u64,
        /// What is wrong.
        why: &'static str,
    },
}

impl Violation {
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Frame(error) => error.code(),
            Self::Sequence { .. } | Self::Ack { .. } => ErrorCode::Sequence,
            Self::Credit => ErrorCode::Credit,
            Self::Fragment { .. } => ErrorCode::Malformed,
        }
    }
}

/// Why a message was not taken. It is inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Longer than the peer takes.
    #[error("{} bytes are more than the {limit} that the peer takes", message.data().len())]
    TooLong {
        /// The message.
        message: Box<Message>,
        /// The limit.
        limit: usize,
    },
    /// Too much waits already. [`Event::Writable`] tells when to try again.
    #[error("too much waits for the peer; try again when there is room")]
    WouldBlock {
        /// The message.
        message: Box<Message>,
    },
    /// The session is over, or either side drains.
    #[error("the connection is closed or closing")]
    Closed {
        /// The message.
        message: Box<Message>,
    },
}

impl SendError {
    /// The message.
    pub fn into_message(self) -> Message {
        match self {
            Self::TooLong { message, .. }
            | Self::WouldBlock { message }
            | Self::Closed { message } => *message,
        }
    }
}

/// A link and a session that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The connection is closed: make a new one.
    #[error("the connection is closed; make a new one for this peer")]
    Closed,
    /// Another node, or another life of it: make a new connection.
    #[error("the link leads to another node or another life of it; make a connection for that")]
    OtherPeer,
}
