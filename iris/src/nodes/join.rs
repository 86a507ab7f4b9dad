//! This runtime in a mesh: who belongs to it, and who has a name in it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iris_core::Pid;
use iris_mesh::{Member, Membership, MeshError, Swim};
use iris_registry::Follower;
use tokio::time::timeout;

use super::Pending;
use crate::runtime::{Runtime, RuntimeRef};

/// Publishes this runtime's names.
struct Publisher(RuntimeRef);

impl Follower for Publisher {
    fn changed(&self, word: &Arc<str>, leads_to: Option<Pid>) {
        if let Some(runtime) = self.0.upgrade()
            && let Some(joined) = runtime.inner().mesh.node.get()
        {
            joined.node.publish(word.clone(), leads_to);
        }
    }
}

impl Runtime {
    /// Joins the mesh that the nodes at `seeds` belong to: one that answers is enough to get to
    /// know all. This node must [listen](Self::listen) already. From then on members stay
    /// connected, [`watch_nodes`](Self::watch_nodes) tells who comes and goes, and names and paths
    /// that are registered at one are found at all with [`lookup`](Self::lookup).
    ///
    /// `true` once another member is known; `false` if there is none within
    /// [`connect_timeout`](super::NodeConfig::connect_timeout), 5 s, or if this node is the only
    /// seed: the seeds are tried on until they answer, so the order in which nodes start does not
    /// matter. Who belongs to the mesh is told by rumour ([`Swim`]); a node that is silent is
    /// suspected for four heartbeats before it is given up. A second call adds seeds.
    ///
    /// # Errors
    ///
    /// [`MeshError::NotListening`]; [`MeshError::NoAddress`] if it listens at all addresses and
    /// [`advertise`](super::NodeConfig::advertise) does not say which one others can dial;
    /// [`MeshError::WouldBlock`] in a handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use iris::{Runtime, Step, handler};
    ///
    /// let (here, there) = (Runtime::new(), Runtime::new());
    /// let seed = here.listen("127.0.0.1:0")?;
    /// here.join_mesh([&seed])?;
    /// there.listen("127.0.0.1:0")?;
    /// assert!(there.join_mesh([&seed])?);
    ///
    /// here.spawn(handler(|_, bytes| Step::Reply(bytes.into()))).named("echo").start()?;
    /// let echo = there.lookup_within("echo", Duration::from_secs(5))?.expect("it has a name");
    /// assert_eq!(&there.ask(echo, &b"hello"[..]).wait()?[..], b"hello");
    /// # there.shutdown(Duration::from_secs(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_mesh<S: AsRef<str>>(
        &self,
        seeds: impl IntoIterator<Item = S>,
    ) -> Result<bool, MeshError> {
        self.begin_join(seeds, Box::new(Swim::new()))?.wait()
    }

    /// As [`join_mesh`](Self::join_mesh), without waiting, and with another membership than
    /// rumours: [`StaticList`](super::StaticList), or one of your own.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node); the others come out of the wait.
    pub fn begin_join<S: AsRef<str>>(
        &self,
        seeds: impl IntoIterator<Item = S>,
        membership: Box<dyn Membership>,
    ) -> Result<Pending<bool>, MeshError> {
        let seeds = seeds.into_iter().map(|seed| seed.as_ref().to_owned());
        let seeds: Vec<_> = seeds.collect();
        self.begin(|own| async move {
            let node = own.node()?;
            // It is ready for what the registry tells before that begins to.
            let joining = node.join(seeds, membership);
            let mut joining = std::pin::pin!(joining);
            let begun =
                std::future::poll_fn(|cx| std::task::Poll::Ready(joining.as_mut().poll(cx)));
            let begun = begun.await;
            if node.has_joined() && !own.inner().mesh.follows.swap(true, Ordering::Relaxed) {
                own.registry().follow(Box::new(Publisher(own.downgrade())));
            }
            match begun {
                std::task::Poll::Ready(joined) => joined,
                std::task::Poll::Pending => joining.await,
            }
        })
    }

    /// Who has `name`, or is at that path, in this runtime or at a node of the mesh that it has
    /// joined: a process of this runtime comes first, then the [stand-in](super) of who is at the
    /// node that this one heard of first. `None` if nobody is known to have it. Asks nobody, so it
    /// may be called in handlers; a name that was registered a moment ago at another node may not
    /// have been heard of yet.
    ///
    /// Two nodes that give the same name both keep it: `watch_nodes` tells of it with
    /// [`NodeNews::NameConflict`](iris_core::NodeNews::NameConflict).
    ///
    /// # Errors
    ///
    /// [`MeshError::NoRoom`] if this runtime takes no more processes.
    pub fn lookup(&self, name: &str) -> Result<Option<Pid>, MeshError> {
        let own = self.inner().found(name).filter(|pid| self.is_alive(*pid));
        match self.inner().mesh.node.get() {
            Some(joined) if own.is_none() => joined.node.lookup(name),
            _ => Ok(own),
        }
    }

    /// As [`lookup`](Self::lookup), but waits up to `patience` until somebody has the name.
    ///
    /// # Errors
    ///
    /// As there, [`MeshError::NotJoined`], and [`MeshError::WouldBlock`] in a handler.
    pub fn lookup_within(&self, name: &str, patience: Duration) -> Result<Option<Pid>, MeshError> {
        self.begin_lookup(name, patience)?.wait()
    }

    /// As [`lookup_within`](Self::lookup_within), without waiting.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node); the others come out of the wait.
    pub fn begin_lookup(
        &self,
        name: &str,
        patience: Duration,
    ) -> Result<Pending<Option<Pid>>, MeshError> {
        let name = name.to_owned();
        self.begin(|own| async move {
            let node = own.node()?;
            let found = async {
                loop {
                    let mut named = std::pin::pin!(node.named());
                    // Before the look: what is published after it is not missed.
                    named.as_mut().enable();
                    match own.lookup(&name)? {
                        None if node.has_joined() => named.await,
                        None => return Err(MeshError::NotJoined),
                        found => return Ok(found),
                    }
                }
            };
            timeout(patience, found).await.unwrap_or(Ok(None))
        })
    }

    /// The members of the mesh that this node knows, without itself.
    pub fn mesh_members(&self) -> Vec<Member> {
        let node = self.inner().mesh.node.get();
        node.map_or_else(Vec::new, |joined| joined.node.members())
    }
}
