//! The port to what knows which nodes belong to a mesh.
//!
//! | adapter | knows it from |
//! |---|---|
//! | [`Swim`] | rumours between the nodes: the SWIM protocol |
//! | [`StaticList`] | addresses that are given to it |
//! | `NatsPresence` | announcements through a NATS server; with the feature `nats` |

mod static_list;
mod swim;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iris_wire::NodeId;

pub use static_list::StaticList;
pub use swim::Swim;

/// A node of the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Which node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: u64,
    /// Where it can be dialled; empty if that is not known.
    pub address: String,
}

/// What a node does for its membership.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Reaches whoever is at this address, and says whom it has [met](Membership::met).
    Dial(String),
    /// Sends a packet, which may be lost.
    Send {
        /// Whom to; only its node matters, and its address if there is no connection.
        to: Member,
        /// At most 1,400 bytes.
        packet: Bytes,
    },
    /// Keeps a connection to it from now on.
    Up(Member),
    /// No longer.
    Down {
        /// Which node; of another incarnation nothing is known by this.
        member: Member,
        /// For people.
        why: String,
    },
}

/// Knows which nodes belong to a mesh.
///
/// Driven by one task of the node. Methods other than [`next`](Self::next) must not block.
#[async_trait]
pub trait Membership: Send {
    /// This node joins, as `own`; `seeds` are addresses of nodes that may belong to the mesh, its own
    /// perhaps among them. Called first, and again if there are more seeds. `beat` is how often
    /// a node gives a sign of life.
    fn join(&mut self, own: &Member, seeds: Vec<String>, beat: Duration);

    /// There is a connection to `peer`. Said of one connection more than once. Its address is where
    /// it was dialled.
    fn met(&mut self, peer: Member);

    /// There is none any more, and it will not come back by itself.
    fn lost(&mut self, node: NodeId);

    /// What the membership of a peer has [sent](Action::Send).
    fn handle_packet(&mut self, packet: &[u8]);

    /// What is still to be done, now that this node leaves.
    fn leave(&mut self) -> Vec<Action>;

    /// Waits for the next thing to be done. Loses nothing when it is dropped.
    async fn next(&mut self) -> Action;
}
