//! The four original packets, for nodes of the earlier release.
//!
//! ```text
//! User     00 pid:8 len:4 data     no reply
//! Resolve  01 len:4 name           pid:8, 0 for none
//! Ping     02                      03
//! Pong     03
//! ```
//!
//! They are spoken in two [dialects](Dialect). A connection is half-duplex: the dialler sends,
//! the acceptor only replies, in the order of the requests and without saying to which. So a
//! [`LegacyClient`] and a [`LegacyServer`] are different machines, and two nodes need a
//! connection each way.

mod client;
mod packet;
mod server;
mod sniff;
mod upgrade;

use std::time::Duration;

pub use client::{ClientConfig, ClientEvent, LegacyClient, LegacySendError, Ticket};
pub use server::{LegacyServer, ServerConfig, ServerEvent};
pub use sniff::{Sniff, Sniffed};
pub use upgrade::{HelloLite, PROBE_PREFIX, UpgradeAnswer};

/// How the original packets are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// P: the dialler begins each connection with a version byte `01`. What the release does,
    /// and so what is dialled by default.
    #[default]
    Preface,
    /// B: bare packets, as the original table of packets has them.
    Bare,
}

/// Why a connection with the original packets cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyError {
    /// The first bytes are of none of the protocols.
    #[error(
        "the first byte {first:#04x} begins no protocol of ours; is this a client of another service?"
    )]
    NotOurs {
        /// The byte that fits nowhere.
        first: u8,
    },
    /// A type beyond the four.
    #[error("unknown packet type {kind:#04x} among the original packets")]
    UnknownType {
        /// The byte.
        kind: u8,
    },
    /// A pong that nobody asked for.
    #[error("a pong without a ping")]
    Pong,
    /// A name above the limit.
    #[error("a name of {len} bytes; original packets carry at most 1024")]
    NameTooLong {
        /// What the packet announces.
        len: u32,
    },
    /// Data above the limit.
    #[error("{len} bytes in an original packet, {limit} are allowed; raise the limit or send less")]
    DataTooLong {
        /// What the packet announces.
        len: u32,
        /// The limit of this node.
        limit: usize,
    },
    /// The acceptor has sent something that answers nothing.
    #[error("a reply that answers nothing")]
    UnexpectedReply,
    /// A number that is no pid.
    #[error("the peer resolved a name to {raw}, which is no pid")]
    NotAPid {
        /// The number.
        raw: u64,
    },
    /// No reply for too long.
    #[error("the peer has not replied for {after:?}; it is stalled or gone, dial it again")]
    Silent {
        /// The limit.
        after: Duration,
    },
    /// Only the original packets, where they are not allowed.
    #[error(
        "the peer speaks only the original packets, which prove nothing about who sends them; \
         update it, or allow them for this peer (or somebody between suppresses the upgrade)"
    )]
    NotUpgraded,
    /// No packet for too long.
    #[error("the peer has sent nothing for {after:?}")]
    Idle {
        /// The limit.
        after: Duration,
    },
}
