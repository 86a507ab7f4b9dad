//! Whom a node lets in, and which rules hold now: they can be changed while it runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iris_wire::NodeId;
use iris_wire::frame::ErrorCode;
use iris_wire::handshake::Peer;

use crate::acl::{Acl, Identity, Names, Peers, Rights};
use crate::config::NodeConfig;
use crate::node::{Node, Shared};

/// The rules of a node.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Counts changes, so that who has looked need not look again.
    version: AtomicU64,
    rules: Mutex<Rules>,
    /// What a peer may do without rules.
    admitted: Rights,
}

#[derive(Debug)]
struct Rules {
    acl: Option<Acl>,
    deny: Vec<Peers>,
}

impl Guard {
    pub(crate) fn new(config: &NodeConfig) -> Self {
        let mut admitted = Rights::ADMITTED;
        if config.allow_spawn {
            admitted.spawn = Names::Everything;
        }
        Self {
            version: AtomicU64::new(1),
            rules: Mutex::new(Rules {
                acl: config.acl.clone(),
                deny: config.deny.clone(),
            }),
            admitted,
        }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.rules();
        change(&mut rules);
        // Under the lock: who sees it finds the new rules.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// What a peer may do now.
    pub(crate) fn rights(&self, peer: &Identity) -> Rights {
        let rules = self.rules();
        match &rules.acl {
            Some(acl) => acl.rights(peer),
            None => self.admitted.clone(),
        }
    }

    fn denies(&self, peer: &Identity) -> bool {
        let rules = self.rules();
        rules.deny.iter().any(|peers| peers.includes(peer))
    }
}

/// The rights of one peer, looked up again after a change.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<(u64, Arc<Rights>)>);

impl Known {
    pub(crate) fn get(&self, guard: &Guard, peer: &Identity) -> Arc<Rights> {
        let version = guard.version.load(Ordering::Acquire);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != version {
            // Newer ones may come out: then the next look finds another number, and looks again.
            *known = (version, Arc::new(guard.rights(peer)));
        }
        known.1.clone()
    }
}

impl Shared {
    /// Who a peer is, given the names that its link has proved.
    pub(crate) fn identify(&self, proven: &[String], peer: &Peer) -> Identity {
        let called = self.config.secret.is_some().then_some(&*peer.name);
        Identity::new(proven, called)
    }

    /// Whether a peer is let in.
    ///
    /// # Errors
    ///
    /// Why not; for the peer, too.
    pub(crate) fn vet(&self, node: NodeId, peer: &Identity) -> Result<(), &'static str> {
        if self.guard.denies(peer) {
            return Err("which this node denies");
        }
        if !peer.belongs_to(&self.config.cluster) {
            return Err("whose certificate is for another cluster");
        }
        // Whoever knows the id of a node could take over its session, and what waits in it.
        let session = self.live_session(node);
        if session.is_some_and(|session| !session.identity().is(peer)) {
            return Err("and claims to be a node that somebody else has proved to be");
        }
        Ok(())
    }
}

impl Node {
    /// What a peer may do, by the rules that hold now.
    pub fn rights(&self, peer: &Identity) -> Rights {
        self.shared.guard.rights(peer)
    }

    /// Whether a peer may publish a name for the whole mesh.
    pub fn may_register(&self, peer: &Identity, name: &str) -> bool {
        self.rights(peer).register.includes(name)
    }

    /// Whether a peer may start a behavior here.
    pub fn may_spawn(&self, peer: &Identity, behavior: &str) -> bool {
        self.rights(peer).spawn.includes(behavior)
    }

    /// Who a peer that there is a session with has proved to be.
    pub fn identity(&self, node: NodeId) -> Option<Identity> {
        let session = self.shared.live_session(node)?;
        Some(session.identity().clone())
    }

    /// Changes the rules, as [`NodeConfig::acl`](crate::NodeConfig::acl). They hold for all that
    /// is handled from now on; names that were published, and monitors, stay.
    pub fn set_acl(&self, acl: Option<Acl>) {
        self.shared.guard.change(|rules| rules.acl = acl);
    }

    /// Changes who is refused, as [`NodeConfig::deny`](crate::NodeConfig::deny). Sessions with peers
    /// that are denied now end at once.
    pub fn set_deny(&self, deny: Vec<Peers>) {
        self.shared.guard.change(|rules| rules.deny = deny);
        for session in self.shared.sessions() {
            if self.shared.guard.denies(session.identity()) {
                tracing::warn!(peer = %session.identity(), "a peer is denied from now on");
                session.close(ErrorCode::Auth, Duration::ZERO);
            }
        }
    }
}
