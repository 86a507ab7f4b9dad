//! Why two nodes do not come together.

use std::time::Duration;

use crate::frame::{AuthMethod, ErrorCode, FrameError, NodeId};

/// Why a handshake has failed, and what helps. The peer is told the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// No common version.
    #[error(
        "the peer speaks versions {} to {} of the mesh protocol, this node {} to {}; \
         update the older of the two",
        theirs.0, theirs.1, ours.0, ours.1
    )]
    Version {
        /// Oldest and newest of this node.
        ours: (u16, u16),
        /// Oldest and newest of the peer.
        theirs: (u16, u16),
    },
    /// Another cluster.
    #[error(
        "the peer belongs to the cluster {theirs:?}, this node to {ours:?}; \
         configure the same cluster for both, or connect to another address"
    )]
    Cluster {
        /// Of this node.
        ours: String,
        /// Of the peer.
        theirs: String,
    },
    /// Another way of proving who one is.
    #[error("the peer uses {theirs}, this node {ours}; configure the same for both")]
    Method {
        /// Of this node.
        ours: AuthMethod,
        /// Of the peer.
        theirs: AuthMethod,
    },
    /// The proof is wrong.
    #[error(
        "the peer does not know the shared key; give both nodes the same one \
         (a proxy that ends TLS between them has the same effect)"
    )]
    Proof,
    /// The peer has this node's id.
    #[error(
        "the peer has this node's own id {id}: a node does not dial itself, \
         and two nodes must not share an id"
    )]
    OwnNode {
        /// The id.
        id: NodeId,
    },
    /// The peer lacks features that this node requires.
    #[error(
        "the peer lacks the features {missing:#x} that this node requires; \
         update it, or require less"
    )]
    Features {
        /// The bits.
        missing: u64,
    },
    /// The introduction has a value that nothing can work with.
    #[error("the peer announces {value} as its {field}, at least {least} is needed")]
    Hello {
        /// The field.
        field: &'static str,
        /// What it says.
        value: u32,
        /// The least that works.
        least: u32,
    },
    /// The peer is too slow.
    #[error(
        "no {waiting} within {after:?}; the peer is overloaded, or no node of this mesh at all"
    )]
    Timeout {
        /// What was waited for.
        waiting: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The peer says no.
    #[error("the peer refuses ({code}): {message}")]
    Refused {
        /// Why.
        code: ErrorCode,
        /// The same for people.
        message: String,
    },
    /// What the peer says is no handshake.
    #[error("{0}; is this a node of the mesh?")]
    Frame(#[from] FrameError),
}

impl HandshakeError {
    /// The code that tells the peer; `None` if it knows already.
    pub fn code(&self) -> Option<ErrorCode> {
        Some(match self {
            Self::Version { .. } => ErrorCode::Version,
            Self::Cluster { .. } => ErrorCode::Cluster,
            Self::Method { .. } | Self::Proof => ErrorCode::Auth,
            Self::OwnNode { .. } => ErrorCode::OwnNode,
            Self::Features { .. } => ErrorCode::Features,
            Self::Hello { .. } => ErrorCode::Malformed,
            Self::Timeout { .. } => ErrorCode::Timeout,
            Self::Frame(error) => error.code(),
            Self::Refused { .. } => return None,
        })
    }

    /// What the peer is told. Secrets are not in it, and no more than it has to know.
    pub(super) fn for_peer(&self) -> String {
        match self {
            Self::Version { ours, theirs } => format!(
                "this node speaks versions {} to {} of the mesh protocol, you {} to {}; \
                 update the older of the two",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Self::Cluster { .. } => "this node belongs to another cluster".to_owned(),
            Self::Method { ours, theirs } => {
                format!("this node uses {ours}, you {theirs}; configure the same for both")
            }
            Self::Proof => "the shared keys differ".to_owned(),
            Self::OwnNode { .. } => "you have this node's id".to_owned(),
            Self::Features { missing } => {
                format!("this node requires the features {missing:#x}, which you lack")
            }
            error => error.to_string(),
        }
    }
}
