//! Frames: what nodes say to each other, as values and as bytes.
//!
//! A frame is a [`Header`] and a body. Frames of the sequenced types
//! ([`header::is_sequenced`]) begin their body with a number that counts them within the
//! session; it is not part of [`Frame`], since it changes with every place a frame is sent at.
//!
//! ```text
//! | type:1 | flags:1 | lane:2 | len:4 |  [trace:25]  [seq:8]  fields ...  data |
//! ```

pub mod codes;
mod decode;
mod encode;
mod error;
mod exit;
pub mod header;
mod input;
mod name;
pub(crate) mod reader;

use bytes::Bytes;
use iris_core::{Exit, Pid};

pub use codes::{AuthMethod, ErrorCode, Refused};
pub(crate) use decode::decode_head;
pub use decode::{Decoded, fuzz_decode};
pub use encode::Extra;
pub(crate) use encode::{SHARE_FROM, put_small_send};
pub use error::FrameError;
pub use header::{Header, flag, kind};
pub use input::{InputBuffer, RawFrame};
pub use name::{Name, NameError, NodeId};

/// A `traceparent` of the W3C in binary: version, trace id, parent id, flags. Iris carries it
/// and never looks inside.
pub type Trace = Box<[u8; 25]>;

/// A message of a user, in one of the four ways that they travel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// To a process of the receiving node.
    Send {
        /// Who is to have it, a pid of the receiver.
        dst: Pid,
        /// Who sends it, a pid of the sender; `None` if that is no process.
        src: Option<Pid>,
        /// The bytes.
        data: Bytes,
    },
    /// To whoever has a name at the receiver when it arrives.
    SendName {
        /// The name.
        name: Name,
        /// Who sends it.
        src: Option<Pid>,
        /// The bytes.
        data: Bytes,
    },
    /// A question.
    Call {
        /// The asker's number for it, not used again within the session.
        req: u64,
        /// Who is asked.
        dst: Pid,
        /// Who asks.
        src: Option<Pid>,
        /// For how long an answer is of use, in milliseconds; 0 is for ever.
        deadline_ms: u32,
        /// The bytes.
        data: Bytes,
    },
    /// The answer to a question.
    Reply {
        /// The number of the question.
        req: u64,
        /// 0 is an answer; the rest is agreed on between the meshes above.
        status: u8,
        /// The bytes.
        data: Bytes,
    },
}

impl Message {
    /// The user's bytes.
    #[inline]
    pub fn data(&self) -> &Bytes {
        let (Self::Send { data, .. }
        | Self::SendName { data, .. }
        | Self::Call { data, .. }
        | Self::Reply { data, .. }) = self;
        data
    }

    /// The user's bytes, to put others in their place.
    #[inline]
    pub fn data_mut(&mut self) -> &mut Bytes {
        let (Self::Send { data, .. }
        | Self::SendName { data, .. }
        | Self::Call { data, .. }
        | Self::Reply { data, .. }) = self;
        data
    }

    /// The type byte.
    #[inline]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Send { .. } => kind::SEND,
            Self::SendName { .. } => kind::SEND_NAME,
            Self::Call { .. } => kind::CALL,
            Self::Reply { .. } => kind::REPLY,
        }
    }

    /// Bytes of the fields between the sequence number and the data.
    #[inline]
    pub(crate) fn fields_len(&self) -> usize {
        match self {
            Self::Send { .. } => 16,
            Self::SendName { name, .. } => 10 + name.as_bytes().len(),
            Self::Call { .. } => 28,
            Self::Reply { .. } => 9,
        }
    }
}

/// A node's introduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest version of the protocol that it speaks.
    pub ver_min: u16,
    /// The newest.
    pub ver_max: u16,
    /// Bits of `handshake::feature`.
    pub features: u64,
    /// Which node it is.
    pub node_id: NodeId,
    /// Which life of it; grows with every start.
    pub incarnation: u64,
    /// The longest message that it takes, in bytes of data.
    pub max_msg: u32,
    /// Bytes of charged bodies that it may be sent before it grants more.
    pub credit_bytes: u32,
    /// Messages that it may be sent before it grants more.
    pub credit_msgs: u32,
    /// It sends something at least this often, in milliseconds.
    pub hb_ms: u32,
    /// For how long it keeps a session whose connection is lost, in milliseconds.
    pub resume_ms: u32,
    /// Random bytes, new for each connection.
    pub nonce: [u8; 32],
    /// The cluster that it belongs to; at most 255 bytes.
    pub cluster: String,
    /// What it calls itself; at most 255 bytes.
    pub name: String,
}

/// What a PING or PONG says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// A number of the pinging side, which the answer repeats.
    pub t: u64,
    /// The highest sequence number that has arrived.
    pub rx_seq: u64,
    /// For how long the sender's guest lane has had work and made no progress, in
    /// milliseconds.
    pub lane_age_ms: u32,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// 10
    Hello(Box<Hello>),
    /// 11: who the sender is, proved.
    Auth {
        /// How.
        method: AuthMethod,
        /// The code; zeros unless the method is [`AuthMethod::Psk`].
        mac: [u8; 32],
    },
    /// 12: the sender is ready, and how far it has come in the session that it remembers.
    Ready {
        /// The session; zeros for none.
        session: [u8; 16],
        /// The highest sequence number that has arrived in it.
        rx_seq: u64,
    },
    /// 13: the sender takes nothing new and will close.
    GoAway {
        /// Why.
        reason: ErrorCode,
        /// The highest sequence number that has arrived.
        rx_seq: u64,
        /// For how long it waits for what is under way.
        drain_ms: u32,
    },
    /// 14: the sender closes the connection now.
    Error {
        /// Why.
        code: ErrorCode,
        /// The same for people.
        message: String,
    },
    /// 15: are you there?
    Ping(Beat),
    /// 16: yes.
    Pong(Beat),
    /// 17: all up to here has arrived.
    Ack {
        /// The highest sequence number that has arrived.
        rx_seq: u64,
    },
    /// 20 to 23
    Message(Message),
    /// 24: a message could not be delivered.
    Undelivered {
        /// The sequence number that it, or its first fragment, had.
        of: u64,
        /// Who should have had it; `None` for a name.
        dst: Option<Pid>,
        /// Why not.
        reason: Refused,
    },
    /// 25: an answer is of no use any more.
    Cancel {
        /// The number of the question.
        req: u64,
    },
    /// 28: the first part of a long message.
    FragFirst {
        /// The sender's number for it within the session.
        msg: u64,
        /// Bytes of data in all.
        total: u32,
        /// Its type, 20 to 23.
        inner: u8,
        /// Its fields, without the data.
        head: Bytes,
        /// The first bytes of the data.
        data: Bytes,
    },
    /// 29: a further part.
    FragNext {
        /// The number of the message.
        msg: u64,
        /// The next bytes of the data.
        data: Bytes,
        /// Whether they are the last.
        last: bool,
    },
    /// 2A: the rest does not follow (from the sender), or is not wanted (from the receiver).
    FragAbort {
        /// The number of the message.
        msg: u64,
        /// Whose number it is: `true` if the receiver of the message says it.
        by_receiver: bool,
        /// Why.
        reason: Refused,
    },
    /// 30: how much may have been sent in all since the session began. Limits, not increments:
    /// one that is lost or comes twice does no harm.
    Credit {
        /// The process that it is about; `None` for the connection.
        pid: Option<Pid>,
        /// Bytes of charged bodies.
        limit_bytes: u64,
        /// Messages.
        limit_msgs: u64,
    },
    /// 38: tell the watcher when the target ends.
    Monitor {
        /// The watcher's reference.
        monitor: u64,
        /// Who wants to know, at the sender.
        watcher: Pid,
        /// About whom, at the receiver.
        target: Pid,
    },
    /// 39: no longer.
    Demonitor {
        /// The watcher's reference.
        monitor: u64,
    },
    /// 3A: a monitored process has ended.
    Down {
        /// The watcher's reference.
        monitor: u64,
        /// Who has ended.
        target: Pid,
        /// How.
        exit: Exit,
    },
    /// 3B: `from`, at the sender, links itself to `to`.
    Link {
        /// At the sender.
        from: Pid,
        /// At the receiver.
        to: Pid,
    },
    /// 3C: and removes the link.
    Unlink {
        /// The sender's number for it.
        id: u64,
        /// At the sender.
        from: Pid,
        /// At the receiver.
        to: Pid,
    },
    /// 3D: the link is removed; an EXIT that was under way before this does not count.
    UnlinkAck {
        /// The number of the UNLINK.
        id: u64,
        /// At the sender of this.
        from: Pid,
        /// At the receiver of this.
        to: Pid,
    },
    /// 3E: a linked process has ended, or one is told to.
    Exit {
        /// Who has.
        from: Pid,
        /// Who is told.
        to: Pid,
        /// How.
        exit: Exit,
    },
    /// 40: who has this name?
    Resolve {
        /// The asker's number.
        req: u64,
        /// The name.
        name: Name,
    },
    /// 41: the answer.
    Resolved {
        /// The number of the question.
        req: u64,
        /// 0 found, 1 none, 2 denied.
        status: u8,
        /// Who has it.
        pid: Option<Pid>,
        /// Of the node that answers.
        incarnation: u64,
        /// For how long the answer may be kept, in milliseconds.
        lease_ms: u32,
    },
    /// 42: tell me of names with this prefix; `None` for all.
    WatchName {
        /// The asker's number.
        req: u64,
        /// How they begin.
        prefix: Option<Name>,
    },
    /// 43: something has happened to a name.
    NameEvent {
        /// The number of the watch.
        req: u64,
        /// 0 registered, 1 gone, 2 conflict.
        event: u8,
        /// Who has, or had it.
        pid: Option<Pid>,
        /// The name.
        name: Name,
    },
    /// 48: start a process of a behavior that the receiver has registered.
    Spawn {
        /// The asker's number.
        req: u64,
        /// Who becomes its parent.
        parent: Option<Pid>,
        /// Bit 0: link; bit 1: monitor.
        opts: u16,
        /// The name of the behavior.
        behavior: Name,
        /// What it is started with.
        init: Bytes,
    },
    /// 49: it runs, or why not.
    Spawned {
        /// The number of the order.
        req: u64,
        /// 0 runs, 1 unknown behavior, 2 denied, 3 failed.
        status: u8,
        /// The process.
        pid: Option<Pid>,
        /// Why it does not run, for people; at most 1,024 bytes.
        text: String,
    },
    /// 50: a packet of the membership protocol. May be lost.
    Swim {
        /// Opaque.
        data: Bytes,
    },
    /// 51: which of whose names the sender knows.
    NamesDigest {
        /// Opaque to this crate.
        data: Bytes,
    },
    /// 52: names that the receiver lacks.
    NamesDelta {
        /// Opaque to this crate.
        data: Bytes,
    },
    /// 53: group members that the receiver lacks.
    GroupsDelta {
        /// Opaque to this crate.
        data: Bytes,
    },
    /// 60 to 6F: what users add. Whoever does not know it passes over it.
    Extension {
        /// The type byte.
        kind: u8,
        /// Opaque.
        data: Bytes,
    },
    /// A type that this version does not know, marked as one that may be passed over.
    Unknown {
        /// The type byte.
        kind: u8,
    },
}

impl Frame {
    /// The type byte.
    #[inline]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => kind::HELLO,
            Self::Auth { .. } => kind::AUTH,
            Self::Ready { .. } => kind::READY,
            Self::GoAway { .. } => kind::GOAWAY,
            Self::Error { .. } => kind::ERROR,
            Self::Ping(_) => kind::PING,
            Self::Pong(_) => kind::PONG,
            Self::Ack { .. } => kind::ACK,
            Self::Message(message) => message.kind(),
            Self::Undelivered { .. } => kind::UNDELIVERED,
            Self::Cancel { .. } => kind::CANCEL,
            Self::FragFirst { .. } => kind::FRAG_FIRST,
            Self::FragNext { .. } => kind::FRAG_NEXT,
            Self::FragAbort { .. } => kind::FRAG_ABORT,
            Self::Credit { .. } => kind::CREDIT,
            Self::Monitor { .. } => kind::MONITOR,
            Self::Demonitor { .. } => kind::DEMONITOR,
            Self::Down { .. } => kind::DOWN,
            Self::Link { .. } => kind::LINK,
            Self::Unlink { .. } => kind::UNLINK,
            Self::UnlinkAck { .. } => kind::UNLINK_ACK,
            Self::Exit { .. } => kind::EXIT,
            Self::Resolve { .. } => kind::RESOLVE,
            Self::Resolved { .. } => kind::RESOLVED,
            Self::WatchName { .. } => kind::WATCH_NAME,
            Self::NameEvent { .. } => kind::NAME_EVENT,
            Self::Spawn { .. } => kind::SPAWN,
            Self::Spawned { .. } => kind::SPAWNED,
            Self::Swim { .. } => kind::SWIM,
            Self::NamesDigest { .. } => kind::NAMES_DIGEST,
            Self::NamesDelta { .. } => kind::NAMES_DELTA,
            Self::GroupsDelta { .. } => kind::GROUPS_DELTA,
            Self::Extension { kind, .. } | Self::Unknown { kind } => *kind,
        }
    }
}
