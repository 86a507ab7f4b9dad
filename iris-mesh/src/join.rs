//! A node joins a mesh, and finds processes in it by name.

use std::sync::Arc;

use iris_core::Pid;
use iris_wire::NodeId;
use tokio::sync::futures::Notified;

use crate::error::MeshError;
use crate::members;
use crate::membership::{Member, Membership};
use crate::node::Node;

impl Node {
    /// Joins the mesh that nodes at `seeds` belong to. It must listen already. `true` once another
    /// member is known; `false` if there is none after
    /// [`connect_timeout`](crate::NodeConfig::connect_timeout), or if no seed is another node: the
    /// seeds are dialled on until they answer.
    ///
    /// Members are kept connected, and told the names that this node [publishes](Self::publish). A
    /// second call adds seeds; its `membership` is of no effect.
    ///
    /// # Errors
    ///
    /// [`MeshError::NotListening`], and [`MeshError::NoAddress`] if the node listens at an address
    /// that others cannot dial.
    pub async fn join(
        &self,
        seeds: Vec<String>,
        membership: Box<dyn Membership>,
    ) -> Result<bool, MeshError> {
        let shared = &self.shared;
        shared.check_open()?;
        let own = shared.own_member()?;
        let patience = shared.config.connect_timeout;
        Ok(members::join(shared, own, seeds, membership, patience).await)
    }

    /// A membership through the engine that its links go through, if that knows of nodes.
    pub fn engine_membership(&self) -> Option<Box<dyn Membership>> {
        self.shared.transport.membership()
    }

    /// Tells the mesh who has a name or a path of this node, or that nobody has. Quick, from any
    /// thread, in the order of the calls; of no effect before the node has joined.
    pub fn publish(&self, name: Arc<str>, holder: Option<Pid>) {
        self.shared.members.publish(name, holder);
    }

    /// The local process that stands for who has a name at another node of the mesh; of several,
    /// the one that this node heard of first. Does not wait: asks nobody.
    ///
    /// # Errors
    ///
    /// [`MeshError::NoRoom`].
    pub fn lookup(&self, name: &str) -> Result<Option<Pid>, MeshError> {
        for (node, pid) in self.shared.members.holders(name) {
            if let Some(session) = self.shared.live_session(node) {
                return session.stand_in(pid).map(Some).map_err(MeshError::NoRoom);
            }
        }
        Ok(None)
    }

    /// Completes after the next name is published, here or elsewhere, if it is
    /// [enabled](Notified::enable) before.
    pub fn named(&self) -> Notified<'_> {
        self.shared.members.named()
    }

    /// The members of the mesh that this node knows, without itself.
    pub fn members(&self) -> Vec<Member> {
        self.shared.members.list()
    }

    /// All names that other nodes have published: the name, whose it is, and the pid there.
    pub fn names(&self) -> Vec<(Arc<str>, NodeId, Pid)> {
        self.shared.members.all_names()
    }

    /// Whether it has joined a mesh.
    pub fn has_joined(&self) -> bool {
        self.shared.members.has_joined()
    }
}
