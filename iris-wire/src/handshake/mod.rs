//! Two nodes introduce themselves, and prove it.
//!
//! ```text
//! dialler                     acceptor
//!    | ---------- HELLO ---------> |   who I am, versions, features, limits, a nonce
//!    | <--------- HELLO ---------- |
//!    | ---------- AUTH ----------> |   the dialler proves itself first
//!    |                             |   one link for each pair of nodes? (`Sessions`)
//!    | <--------- AUTH ----------- |
//!    | <--- READY, and READY ----> |   from here on `Connection`
//! ```
//!
//! All of it within 5 s. The codes of both AUTHs cover both HELLOs, nonces included, so that
//! neither can be replayed, or sent back to who made it.

mod auth;
mod error;
mod machine;
mod sessions;

use std::time::Duration;

use bytes::Bytes;

pub use auth::{Auth, Mac};
pub use error::HandshakeError;
pub use machine::{Handshake, Progress};
pub use sessions::{Admission, Refusal, Sessions};

use crate::frame::{AuthMethod, Hello, NodeId};
use crate::limits::DEFAULT_MAX_MESSAGE;

/// The only version of the framed protocol so far; the original packets count as the first.
pub const VERSION: u16 = 2;

/// Bits of what a node can do. Both use what both have.
pub mod feature {
    /// Keeps a session whose connection is lost, and goes on with it.
    pub const RESUME: u64 = 1;
    /// Messages in fragments.
    pub const FRAGMENTS: u64 = 1 << 1;
    /// CALL, REPLY and CANCEL.
    pub const CALLS: u64 = 1 << 2;
    /// Links and monitors.
    pub const SIGNALS: u64 = 1 << 3;
    /// Look-ups and watches of names.
    pub const NAMES: u64 = 1 << 4;
    /// Starts registered behaviors for others.
    pub const SPAWN: u64 = 1 << 5;
    /// Carries packets of the membership protocol.
    pub const SWIM: u64 = 1 << 6;
    /// Passes trace contexts on.
    pub const TRACE: u64 = 1 << 7;
    /// All that this version knows.
    pub const ALL: u64 = (1 << 8) - 1;
}

/// Who has dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// This node has.
    Dialler,
    /// The peer has.
    Acceptor,
}

/// What a node says of itself, and what it asks of others.
#[derive(Clone, Debug)]
pub struct HandshakeConfig {
    /// The introduction; its nonce is replaced for each connection.
    pub hello: Hello,
    /// Features without which there is no connection.
    pub required: u64,
    /// How both prove who they are.
    pub auth: Auth,
}

impl HandshakeConfig {
    /// The defaults for a node: all features and none required, messages of up to 64 MiB, credit
    /// for 8 MiB and 65,536 messages, a heartbeat each second, 30 s to resume.
    pub fn new(node_id: NodeId, incarnation: u64, auth: Auth) -> Self {
        let hello = Hello {
            ver_min: VERSION,
            ver_max: VERSION,
            features: feature::ALL,
            node_id,
            incarnation,
            max_msg: DEFAULT_MAX_MESSAGE,
            credit_bytes: 8 << 20,
            credit_msgs: 65_536,
            hb_ms: 1000,
            resume_ms: 30_000,
            nonce: [0; 32],
            cluster: String::new(),
            name: String::new(),
        };
        Self {
            hello,
            required: 0,
            auth,
        }
    }
}

/// What is known of the other node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which node it is.
    pub node_id: NodeId,
    /// Which life of it.
    pub incarnation: u64,
    /// What it calls itself. Its own word; only the id is compared.
    pub name: String,
    /// The version that both will speak.
    pub version: u16,
    /// What both can do.
    pub features: u64,
    /// The longest message that it takes.
    pub max_msg: u32,
    /// Bytes that it may be sent at first.
    pub credit_bytes: u32,
    /// Messages that it may be sent at first.
    pub credit_msgs: u32,
    /// It sends something at least this often.
    pub heartbeat: Duration,
    /// For how long both keep a session whose connection is lost; the shorter of the two times,
    /// zero unless both can resume.
    pub resume: Duration,
}

/// The end of a handshake: what [`Connection::attach`](crate::Connection::attach) wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who has dialled.
    pub role: Role,
    /// Who it is.
    pub peer: Peer,
    /// How it was proved.
    pub method: AuthMethod,
    /// The id of the session that begins, if none is resumed: made of both nonces, so that both
    /// sides have the same.
    pub session: [u8; 16],
    /// What has arrived after the handshake.
    pub rest: Bytes,
}
