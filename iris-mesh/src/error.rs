//! What can go wrong between nodes.

use std::io;
use std::time::Duration;

use iris_wire::frame::NameError;
use iris_wire::handshake::HandshakeError;
use iris_wire::legacy::LegacyError;
use thiserror::Error;

/// Why a node could not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeshError {
    /// Anybody on the network could send to this runtime's processes.
    #[error(
        "{address} can be reached from other machines, and nobody there would have to prove who \
         they are: give the node {}, or say insecure=True (IRIS_MESH_INSECURE=1) if the network is \
         trusted",
        mend_of(address)
    )]
    Insecure {
        /// Where it was to listen.
        address: String,
    },
    /// The address cannot be had.
    #[error("cannot listen at {address}: {cause}")]
    Listen {
        /// Where it was to listen.
        address: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Nobody answers there.
    #[error("no connection to {address}: {cause}")]
    Connect {
        /// Who was dialled.
        address: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The peer did not answer in time.
    #[error("{address} did not answer within {after:?}")]
    Timeout {
        /// Who was asked.
        address: String,
        /// The limit.
        after: Duration,
    },
    /// The two nodes do not agree on who they are.
    #[error("{address}: {cause}")]
    Handshake {
        /// Who was dialled.
        address: String,
        /// What is wrong.
        #[source]
        cause: HandshakeError,
    },
    /// The peer does not speak the original packets either.
    #[error("{address}: {cause}")]
    Legacy {
        /// Who was dialled.
        address: String,
        /// What is wrong.
        #[source]
        cause: LegacyError,
    },
    /// The peer only speaks the original packets, which prove nothing.
    #[error(
        "{address} speaks the original packets only, which carry no proof of who it is; a node \
         with a secret or TLS does not use them"
    )]
    OnlyLegacy {
        /// Who was dialled.
        address: String,
    },
    /// This node refuses the one that it has dialled.
    #[error("{address} is {peer}, {why}")]
    Refused {
        /// Who was dialled.
        address: String,
        /// Who that has proved to be.
        peer: String,
        /// Why it is refused.
        why: String,
    },
    /// The rules of the other node do not let this one ask.
    #[error("{address} does not let this node look up {name:?} (the resolve right of its acl)")]
    Denied {
        /// Who was asked.
        address: String,
        /// The name that was looked up.
        name: String,
    },
    /// The connection was lost before the answer.
    #[error("the connection to {address} was lost; ask again")]
    Lost {
        /// Who was asked.
        address: String,
    },
    /// Not a name.
    #[error("no name of a process: {0}")]
    Name(#[from] NameError),
    /// The peer has not started the process.
    #[error("{address} has not started a {behavior:?}: {why}")]
    NotSpawned {
        /// Who was asked.
        address: String,
        /// What was to be started.
        behavior: String,
        /// Why not.
        #[source]
        why: NotSpawned,
    },
    /// It cannot join a mesh: nobody could dial it.
    #[error("a node that joins a mesh has to be reachable: call listen() first")]
    NotListening,
    /// It cannot join a mesh: others would not know where to dial it.
    #[error(
        "{bound:?} is no address that others can dial: say one of at most 255 bytes that they can \
         (advertise)"
    )]
    NoAddress {
        /// The address that it would be known by.
        bound: String,
    },
    /// It belongs to no mesh.
    #[error(
        "this node has joined no mesh, so nobody publishes names to it: call join_mesh() first"
    )]
    NotJoined,
    /// Inside a handler, whose thread others need.
    #[error(
        "a handler must not wait for another node: await resolve_remote_async or what the begin_ \
         calls give (a handler returns it as Step::Await)"
    )]
    WouldBlock,
    /// The node was shut down.
    #[error("the mesh of this runtime has been shut down")]
    ShutDown,
    /// The runtime around the node takes no more stand-ins.
    #[error("no stand-in for the remote process: {0}")]
    NoRoom(String),
}

/// Why a peer has not started a process.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotSpawned {
    /// It knows no such behavior.
    #[error("no behavior is registered by that name there (register_behavior)")]
    Unknown,
    /// It starts nothing for this node.
    #[error("it does not let this node start processes (allow_spawn)")]
    Denied,
    /// It has tried.
    #[error("{0}")]
    Failed(String),
    /// What the process is to be started with does not fit into one frame.
    #[error("at most 64 KiB can be given to it; send the rest once it runs")]
    TooLong,
    /// Its version cannot, or it speaks the original packets.
    #[error("its version cannot")]
    Unsupported,
}

/// What would prove who a peer is.
fn mend_of(address: &str) -> &'static str {
    if address.starts_with("nats:") {
        "a secret (TLS to a NATS server proves nothing about nodes)"
    } else {
        "TLS or a secret"
    }
}
