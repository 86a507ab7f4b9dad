//! Processes of other nodes: this runtime's place in a mesh.
//!
//! A remote process appears as a process of this runtime, its *stand-in*: what that receives goes
//! to the other node, and it ends when the remote process does, for the same reason, or with
//! `noconnection` when nobody can reach it any more. So `send`, `ask`, `monitor` and `link` work
//! with its pid as with any other.
//!
//! | call | gives |
//! |---|---|
//! | [`listen`](Runtime::listen) | the address at which other nodes reach this one |
//! | [`resolve_remote`](Runtime::resolve_remote) | the stand-in of whoever has a name there |
//! | [`send_remote`](Runtime::send_remote), [`monitor_remote`](Runtime::monitor_remote) | by a pid of there |
//! | [`join_mesh`](Runtime::join_mesh), [`lookup`](Runtime::lookup) | all nodes that know one of a mesh, and who has a name there |
//! | [`register_behavior`](Runtime::register_behavior), [`spawn_on`](Runtime::spawn_on) | processes that are started at another node |
//! | [`is_node_up`](Runtime::is_node_up), [`watch_nodes`](Runtime::watch_nodes) | who can be reached |
//!
//! A message that was sent to a stand-in is handled at the other node once, in order; or it is a
//! dead letter ([`DeadLetterReason::Unreachable`]). A lost connection is dialled again, and goes on
//! where it was, for [`resume`](NodeConfig::resume), 5 s by default.
//!
//! The node's tasks run on [threads](NodeConfig::threads) of their own, which no handler can stall. They begin with
//! the first of these calls.

mod behaviors;
mod join;
mod local;
mod stand_in;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use iris_core::{DeadLetterReason, Exit, Message, Pid};
use iris_mesh::{Node, Tcp, Transport};
use thiserror::Error;
use tokio::sync::oneshot;

pub use iris_mesh::{
    Acl, Expose, Identity, Member, Membership, MeshError, Names, NodeConfig, NotSpawned, Peers,
    Rights, Rule, Secret, StaticList, Swim, Tls, TlsError,
};
#[cfg(feature = "authority")]
pub use iris_mesh::{Authority, AuthorityError, Issued};
#[cfg(feature = "nats")]
pub use iris_mesh::{Nats, NatsAuth, NatsConfig, NatsError, NatsPresence, NatsTls};

use crate::inside;
use crate::park;
use crate::runtime::{Inner, Runtime};
use local::Ours;

/// A message for another node was not sent. It is inside.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoteSendError {
    /// The node cannot be reached.
    #[error("{cause}")]
    Unreachable {
        /// Why not.
        #[source]
        cause: Box<MeshError>,
        /// The message.
        message: Message,
    },
    /// The stand-in does not take it.
    #[error(transparent)]
    Refused(#[from] iris_core::SendError),
}

/// How long guest code may make no progress before others are told, as far as it is known here.
type LaneAge = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What a runtime has for the mesh.
#[derive(Default)]
pub(crate) struct Mesh {
    settings: Mutex<Option<(NodeConfig, Arc<dyn Transport>)>>,
    node: OnceLock<Joined>,
    /// Local processes that peers monitor.
    watched: Mutex<Watched>,
    /// How many those are: most runtimes have none.
    watches: AtomicUsize,
    /// Who wants to hear of nodes.
    listeners: Mutex<Vec<Listener>>,
    /// How many of them want to hear of heartbeats: most want the news only.
    counts_beats: AtomicUsize,
    lane_age: RwLock<Option<LaneAge>>,
    /// Whether the registry is followed: what it tells is published.
    follows: AtomicBool,
    /// What other nodes may start.
    behaviors: RwLock<HashMap<String, Arc<behaviors::Factory>>>,
}

#[derive(Default)]
struct Watched {
    by_pid: HashMap<Pid, Vec<u64>>,
    by_watch: HashMap<u64, Pid>,
}

/// Who wants to hear of nodes.
struct Listener {
    pid: Pid,
    /// Of their signs of life, too.
    beats: bool,
}

struct Joined {
    node: Node,
    /// The node holds it weakly.
    _local: Arc<Ours>,
}

impl Mesh {
    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process has ended: those that monitor it from other nodes are told.
    pub(crate) fn exited(&self, pid: Pid, exit: &Exit) {
        // SeqCst here and in `watch`: either this sees the watch, or the watch sees the end.
        if self.watches.load(Ordering::SeqCst) == 0 {
            return;
        }
        let watches = {
            let mut watched = self.watched();
            let watches = watched.by_pid.remove(&pid).unwrap_or_default();
            for watch in &watches {
                watched.by_watch.remove(watch);
            }
            watches
        };
        self.watches.fetch_sub(watches.len(), Ordering::SeqCst);
        if let Some(joined) = self.node.get() {
            for watch in watches {
                joined.node.local_down(watch, exit.clone());
            }
        }
    }

    /// Takes a watch off; `false` if there was none.
    fn unwatch(&self, watch: u64) -> bool {
        let mut watched = self.watched();
        let Some(pid) = watched.by_watch.remove(&watch) else {
            return false;
        };
        if let Some(watches) = watched.by_pid.get_mut(&pid) {
            watches.retain(|known| *known != watch);
            if watches.is_empty() {
                watched.by_pid.remove(&pid);
            }
        }
        drop(watched);
        self.watches.fetch_sub(1, Ordering::SeqCst);
        true
    }

    /// Ends the node's threads, without waiting for them.
    pub(crate) fn stop(&self) {
        if let Some(joined) = self.node.get() {
            joined.node.stop();
        }
    }
}

impl Runtime {
    /// Says how this runtime's node is to be, before the first call that needs it; `false` if
    /// that has come already.
    pub fn configure_mesh(&self, config: NodeConfig) -> bool {
        self.configure_mesh_over(config, Arc::new(Tcp))
    }

    /// As [`configure_mesh`](Self::configure_mesh), over another transport than TCP.
    pub fn configure_mesh_over(&self, config: NodeConfig, transport: Arc<dyn Transport>) -> bool {
        let mesh = &self.inner().mesh;
        if mesh.node.get().is_some() {
            return false;
        }
        let mut settings = mesh.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *settings = Some((config, transport));
        true
    }

    /// This runtime's node, started if it has not been.
    ///
    /// # Errors
    ///
    /// [`MeshError::ShutDown`], or the system gives no threads.
    pub fn node(&self) -> Result<&Node, MeshError> {
        let mesh = &self.inner().mesh;
        if let Some(joined) = mesh.node.get() {
            return Ok(&joined.node);
        }
        if self.is_shut_down() {
            return Err(MeshError::ShutDown);
        }
        let mut settings = mesh.settings.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have started it meanwhile.
        if mesh.node.get().is_none() {
            let (config, transport) = match settings.take() {
                Some(settings) => settings,
                None => (NodeConfig::default(), Arc::new(Tcp) as Arc<dyn Transport>),
            };
            let local = Arc::new(Ours::new(self.downgrade()));
            let weak = Arc::downgrade(&local);
            let node = Node::start(config, transport, weak).map_err(|cause| {
                let address = "this node".to_owned();
                MeshError::Listen { address, cause }
            })?;
            let joined = Joined {
                node,
                _local: local,
            };
            // Nobody else sets it: the lock is held.
            let _ = mesh.node.set(joined);
        }
        drop(settings);
        let joined = mesh.node.get().expect("it was set above");
        Ok(&joined.node)
    }

    /// Opens an address for other nodes, such as `127.0.0.1:9000`; gives the address that was
    /// bound, so port 0 is welcome. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`MeshError::Insecure`] beyond this machine unless peers have to prove who they are or
    /// [`NodeConfig::insecure`] is set; [`MeshError::Listen`] if the address cannot be had.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use iris::{Runtime, Step, handler};
    ///
    /// let here = Runtime::new();
    /// let echo = here.spawn(handler(|_, bytes| Step::Reply(bytes.into()))).named("echo").start()?;
    /// let address = here.listen("127.0.0.1:0")?;
    ///
    /// let there = Runtime::new();
    /// let remote = there.resolve_remote(&address, "echo")?.expect("it has a name");
    /// assert_eq!(&there.ask(remote, &b"hello"[..]).wait()?[..], b"hello");
    /// # assert!(here.is_alive(echo));
    /// # there.shutdown(Duration::from_secs(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(&self, address: &str) -> Result<String, MeshError> {
        self.begin_listen(address, false)?.wait()
    }

    /// As [`listen`](Self::listen), without waiting. `insecure` as [`NodeConfig::insecure`].
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node); the others come out of the wait.
    pub fn begin_listen(
        &self,
        address: &str,
        insecure: bool,
    ) -> Result<Pending<String>, MeshError> {
        let address = address.to_owned();
        self.begin(|own| async move { own.node()?.listen(&address, insecure).await })
    }

    /// Who has `name`, or is at that path, at the node behind `address`: the pid of the local
    /// process that stands for it, the same for each call; `None` if nobody has the name there.
    /// Blocks for [`connect_timeout`](NodeConfig::connect_timeout), 5 s, at most: in handlers use
    /// [`resolve_remote_async`](Self::resolve_remote_async).
    ///
    /// # Errors
    ///
    /// Why the node cannot be asked.
    pub fn resolve_remote(&self, address: &str, name: &str) -> Result<Option<Pid>, MeshError> {
        self.begin_resolve(address, name)?.wait()
    }

    /// As [`resolve_remote`](Self::resolve_remote), awaited.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn resolve_remote_async(
        &self,
        address: &str,
        name: &str,
    ) -> Result<Option<Pid>, MeshError> {
        self.begin_resolve(address, name)?.await
    }

    /// As [`resolve_remote`](Self::resolve_remote), without waiting.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node); the others come out of the wait.
    pub fn begin_resolve(
        &self,
        address: &str,
        name: &str,
    ) -> Result<Pending<Option<Pid>>, MeshError> {
        let (address, name) = (address.to_owned(), name.to_owned());
        self.begin(|own| async move { own.node()?.resolve(&address, &name).await })
    }

    /// Sends to a process of the node behind `address`: `pid` is its own pid there, or that of its
    /// stand-in here. Blocks until the node is connected, at first.
    ///
    /// # Errors
    ///
    /// The message comes back if the node cannot be reached, or the stand-in is gone.
    pub fn send_remote(
        &self,
        address: &str,
        pid: Pid,
        message: impl Into<Message>,
    ) -> Result<(), RemoteSendError> {
        let message = message.into();
        match self.remote(address, pid) {
            Ok(stand_in) => Ok(self.send(stand_in, message)?),
            Err(cause) => Err(RemoteSendError::Unreachable {
                cause: Box::new(cause),
                message,
            }),
        }
    }

    /// `watcher` gets one DOWN message when a process of the node behind `address` ends, or cannot
    /// be reached any more; `pid` as for [`send_remote`](Self::send_remote).
    ///
    /// # Errors
    ///
    /// [`MonitorError`](crate::MonitorError): why the node cannot be reached, or that nobody would be told.
    pub fn monitor_remote(
        &self,
        watcher: Pid,
        address: &str,
        pid: Pid,
    ) -> Result<iris_core::MonitorRef, crate::MonitorError> {
        let stand_in = self.remote(address, pid)?;
        self.monitor(watcher, stand_in)
    }

    /// The stand-in of a process by its own pid at the node behind `address`; a stand-in's pid
    /// stands for itself.
    ///
    /// # Errors
    ///
    /// Why the node cannot be reached.
    pub fn remote(&self, address: &str, pid: Pid) -> Result<Pid, MeshError> {
        self.begin_remote(address, pid)?.wait()
    }

    /// As [`remote`](Self::remote), without waiting.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node); the others come out of the wait.
    pub fn begin_remote(&self, address: &str, pid: Pid) -> Result<Pending<Pid>, MeshError> {
        if self.is_stand_in(pid) {
            return Ok(Pending::ready(pid));
        }
        let address = address.to_owned();
        self.begin(|own| async move { own.node()?.stand_in(&address, pid).await })
    }

    /// Tells other nodes of a link between two processes, if one of them stands for one of theirs.
    pub(crate) fn tell_of_link(&self, a: Pid, b: Pid, linked: bool) {
        if self.inner().mesh.node.get().is_none() {
            return;
        }
        for (ours, theirs) in [(a, b), (b, a)] {
            let behavior = self.newest_behavior(theirs);
            if let Some(remote) = behavior.as_deref().and_then(stand_in::remote_of) {
                if linked {
                    remote.link(ours);
                } else {
                    remote.unlink(ours);
                }
            }
        }
    }

    /// Whether a process stands for one of another node.
    pub fn is_stand_in(&self, pid: Pid) -> bool {
        self.newest_behavior(pid)
            .is_some_and(|behavior| stand_in::is_one(&*behavior))
    }

    /// Whether the node behind `address` answers now; dials it if there is no connection. Blocks
    /// for [`connect_timeout`](NodeConfig::connect_timeout) at most.
    pub fn is_node_up(&self, address: &str) -> bool {
        let pending = self.begin_is_up(address);
        pending.and_then(Pending::wait).unwrap_or(false)
    }

    /// As [`is_node_up`](Self::is_node_up), without waiting.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node).
    pub fn begin_is_up(&self, address: &str) -> Result<Pending<bool>, MeshError> {
        let address = address.to_owned();
        self.begin(|own| async move { Ok(own.node()?.is_up(&address).await) })
    }

    /// Runs `work` on the node's threads.
    fn begin<T, F>(&self, work: impl FnOnce(Runtime) -> F) -> Result<Pending<T>, MeshError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MeshError>> + Send + 'static,
    {
        let node = self.node()?;
        let (tell, told) = oneshot::channel();
        let work = work(self.clone());
        node.handle().spawn(async move {
            // Who asked may have given up.
            let _ = tell.send(work.await);
        });
        Ok(Pending(told))
    }

    /// `pid` gets a [`SystemMessage::Node`](iris_core::SystemMessage::Node) when another node can
    /// be reached, cannot be reached any more, stalls or moves again; `false` if it is not alive,
    /// or does so already.
    pub fn watch_nodes(&self, pid: Pid) -> bool {
        self.listen_to_nodes(pid, false)
    }

    /// As [`watch_nodes`](Self::watch_nodes), and `pid` gets a
    /// [`Heartbeat`](iris_core::NodeNews::Heartbeat) for each sign of life of each node, too: one a
    /// second unless configured otherwise. They cost no connection of their own.
    pub fn watch_heartbeats(&self, pid: Pid) -> bool {
        self.listen_to_nodes(pid, true)
    }

    fn listen_to_nodes(&self, pid: Pid, beats: bool) -> bool {
        let mesh = &self.inner().mesh;
        let mut listeners = mesh
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = listeners.iter_mut().find(|listener| listener.pid == pid);
        let news = match known {
            Some(known) if known.beats || !beats => return false,
            Some(known) => {
                known.beats = true;
                true
            }
            None => {
                let alive = self.is_alive(pid);
                if alive {
                    listeners.push(Listener { pid, beats });
                }
                alive
            }
        };
        if news && beats {
            mesh.counts_beats.fetch_add(1, Ordering::Relaxed);
        }
        news
    }

    /// Allows other nodes to reach a process that has no name by its pid.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node).
    pub fn export(&self, pid: Pid) -> Result<(), MeshError> {
        self.node()?.export(pid);
        Ok(())
    }

    /// What tells for how long guest code has had work and made no progress: sent along with
    /// heartbeats, so that others can tell a stalled guest from a dead node.
    pub fn set_lane_age(&self, age: impl Fn() -> Duration + Send + Sync + 'static) {
        let mut known = self
            .inner()
            .mesh
            .lane_age
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::new(age));
    }

    /// Says goodbye to all peers; for `drain` what waits for them is sent first.
    pub(crate) fn close_mesh(&self, drain: Duration) {
        let mesh = &self.inner().mesh;
        if mesh.node.get().is_none() {
            return;
        }
        let closed = self.begin(|own| async move {
            own.node()?.close(drain).await;
            Ok(())
        });
        // Without its threads nothing is open.
        drop(closed.and_then(Pending::wait));
    }

    pub(crate) fn unreachable_letter(&self, to: Pid, message: Message) {
        let letter = iris_core::DeadLetter {
            to,
            message,
            reason: DeadLetterReason::Unreachable,
        };
        self.inner().exits.bury_one(&letter);
    }
}

impl Inner {
    /// Who is at this name, or at this path.
    fn found(&self, name: &str) -> Option<Pid> {
        self.registry
            .whereis(name)
            .or_else(|| self.registry.whereis_path(name))
    }
}

/// What a node was asked for, on its way: a future, or to be waited for.
#[derive(Debug)]
#[must_use = "it is asked for, and nobody looks at what comes"]
pub struct Pending<T>(oneshot::Receiver<Result<T, MeshError>>);

impl<T> Pending<T> {
    fn ready(value: T) -> Self {
        let (tell, told) = oneshot::channel();
        // The other end is here.
        let _ = tell.send(Ok(value));
        Self(told)
    }

    /// Blocks the calling thread until it is there.
    ///
    /// # Errors
    ///
    /// Those of what was asked for, and [`MeshError::WouldBlock`] inside a Rust handler or the code
    /// of an async actor.
    pub fn wait(mut self) -> Result<T, MeshError> {
        if inside::is_shared_thread() {
            return Err(MeshError::WouldBlock);
        }
        let done = park::block_on(&mut self.0, None);
        done.and_then(Result::ok)
            .unwrap_or(Err(MeshError::ShutDown))
    }

    /// Blocks the calling thread for `timeout` at most; `None`: it is not there yet.
    pub fn wait_for(&mut self, timeout: Duration) -> Option<Result<T, MeshError>> {
        let done = park::block_on(&mut self.0, Instant::now().checked_add(timeout))?;
        Some(done.unwrap_or(Err(MeshError::ShutDown)))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, MeshError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = std::task::ready!(Pin::new(&mut self.0).poll(cx));
        // Its threads are gone.
        Poll::Ready(done.unwrap_or(Err(MeshError::ShutDown)))
    }
}
