//! Nodes talking to nodes over a transport.
//!
//! **Invariant:** a message for a remote process is handled there once, behind those that were sent
//! to it before, or it comes back to the sender's runtime as undelivered; every monitor of a
//! remote process gets exactly one DOWN. Nothing here runs a guest's code: heartbeats are sent and
//! answered on threads of the mesh's own.
//!
//! | module | says |
//! |---|---|
//! | [`transport`] | the port to whatever carries bytes |
//! | [`tcp`], [`tls`], [`memory`] | its adapters |
//! | `authority` | certificates of one's own |
//! | `nats` | another, through a NATS server; with the feature of that name |
//! | [`local`] | the port to the runtime around a node |
//! | [`config`] | what a node is called, whom it trusts, how long it waits |
//! | [`node`] | a node: listens, dials, finds |
//! | [`membership`] | the port to what knows which nodes belong to a mesh, and its adapters |
//! | `members`, `join`, `names` | a node in a mesh: members are kept connected, names published |
//! | `gate` | how many links there may be, and which has to go |
//! | [`acl`] | what a peer may do, by who it has proved to be |
//! | `guard` | whom a node lets in, and which rules hold now |
//! | `admit` | a link's first seconds: which protocol, and who is there |
//! | `session` | a peer that speaks the framed protocol |
//! | `held_up` | messages that wait for room in a mailbox |
//! | `linger` | stays awake for what follows on a question |
//! | `legacy` | a peer that speaks the original packets |
//! | [`remote`] | a process of a peer, for who sends to it |
//! | `exports` | which local processes peers may reach |
//! | `clock` | what time it is |

#![forbid(unsafe_code)]

pub mod acl;
mod admit;
#[cfg(feature = "authority")]
pub mod authority;
mod clock;
pub mod config;
mod error;
mod exports;
mod gate;
mod guard;
mod held_up;
mod join;
mod legacy;
mod linger;
pub mod local;
mod members;
pub mod membership;
pub mod memory;
mod names;
#[cfg(feature = "nats")]
pub mod nats;
pub mod node;
pub mod remote;
mod session;
pub mod tcp;
pub mod tls;
pub mod transport;

pub use acl::{Acl, Identity, Names, Peers, Rights, Rule};
#[cfg(feature = "authority")]
pub use authority::{Authority, AuthorityError, Issued};
pub use config::{Expose, NodeConfig, Secret};
pub use error::{MeshError, NotSpawned};
pub use iris_wire::NodeId;
pub use iris_wire::frame::Refused;
pub use local::{Delivered, Local, NodeEvent};
pub use membership::{Member, Membership, StaticList, Swim};
pub use memory::Memory;
#[cfg(feature = "nats")]
pub use nats::{Nats, NatsAuth, NatsConfig, NatsError, NatsPresence, NatsTls};
pub use node::Node;
pub use remote::{Remote, Unsent};
pub use tcp::Tcp;
pub use tls::{Tls, TlsError};
pub use transport::{Incoming, Link, Listener, Sink, Source, Transport};
