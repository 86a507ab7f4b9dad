//! A node: listens, dials, finds.

mod reach;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use iris_core::{Exit, Pid};
use iris_wire::connection::Config;
use iris_wire::frame::ErrorCode;
use iris_wire::handshake::{Admission, HandshakeConfig, Peer, Refusal, Role, Sessions, feature};
use iris_wire::legacy::HelloLite;
use iris_wire::{Name, NodeId};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::acl::Identity;
use crate::admit::{self, Reached};
use crate::clock;
use crate::config::{Expose, NodeConfig};
use crate::error::{MeshError, NotSpawned};
use crate::exports::Exports;
use crate::gate::{Gate, Limits};
use crate::guard::Guard;
use crate::held_up::HeldUp;
use crate::legacy::LegacyPeer;
use crate::linger::Linger;
use crate::local::Local;
use crate::members::{self, Members};
use crate::session::{Session, Unresolved};
use crate::transport::{Incoming, Listener, Transport};

/// What this version does of what the protocol can.
const FEATURES: u64 = feature::RESUME
    | feature::FRAGMENTS
    | feature::CALLS
    | feature::SIGNALS
    | feature::NAMES
    | feature::SPAWN
    | feature::SWIM;

/// A runtime's place among others.
///
/// Its tasks run on threads of its own, which no handler of the runtime can stall.
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    /// There until it is shut down, unless it runs on another's.
    threads: Mutex<Option<Runtime>>,
}

/// What all tasks of a node know.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) exports: Exports,
    pub(crate) incarnation: u64,
    node_id: NodeId,
    random: SystemRandom,
    local: Weak<dyn Local>,
    handle: Handle,
    table: Mutex<Table>,
    /// A session has come up.
    met: Notify,
    /// How many links peers may have.
    gate: Arc<Gate>,
    /// What they may do.
    pub(crate) guard: Guard,
    next_watch: AtomicU64,
    denied: AtomicU64,
    closing: AtomicBool,
    pub(crate) members: Members,
    pub(crate) held_up: HeldUp,
    pub(crate) linger: Linger,
    /// The first address that it listens at.
    bound: OnceLock<String>,
}

struct Table {
    admissions: Sessions,
    sessions: HashMap<NodeId, Arc<Session>>,
    /// Who was reached where, so that one dial serves all who want to go there.
    addresses: HashMap<String, Arc<AsyncMutex<Option<Known>>>>,
    /// Whose monitor a watch is.
    watches: HashMap<u64, NodeId>,
}

/// Who is at an address.
enum Known {
    Node(NodeId),
    Legacy(Arc<LegacyPeer>),
}

impl Node {
    /// A node over `transport`, with threads of its own.
    ///
    /// # Errors
    ///
    /// The operating system gives no threads or no random numbers.
    pub fn start(
        config: NodeConfig,
        transport: Arc<dyn Transport>,
        local: Weak<dyn Local>,
    ) -> io::Result<Self> {
        let threads = Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name("iris-mesh")
            .enable_all()
            .build()?;
        let node = Self::start_on(config, transport, local, threads.handle().clone())?;
        let kept = node.threads.lock();
        *kept.unwrap_or_else(PoisonError::into_inner) = Some(threads);
        Ok(node)
    }

    /// A node whose tasks run on the Tokio runtime behind `handle`, by its clock: for simulations,
    /// and for programs that have a runtime which no handler stalls. The runtime needs the timer,
    /// and what the transport needs; the tasks end with it.
    ///
    /// # Errors
    ///
    /// The operating system gives no random numbers.
    pub fn start_on(
        config: NodeConfig,
        transport: Arc<dyn Transport>,
        local: Weak<dyn Local>,
        handle: Handle,
    ) -> io::Result<Self> {
        let random = SystemRandom::new();
        let node_id = match config.node_id {
            Some(node_id) => node_id,
            None => NodeId(fill(&random)?),
        };
        let incarnation = config.incarnation.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            let micros = since.map_or(0, |since| since.as_micros());
            u64::try_from(micros).unwrap_or(u64::MAX)
        });
        let shared = Arc::new(Shared {
            exports: Exports::new(config.expose),
            linger: Linger::new(config.linger),
            gate: Gate::new(Limits {
                links: config.max_links,
                half_open: config.max_unproven,
                half_open_of_one: config.max_unproven_per_ip,
            }),
            guard: Guard::new(&config),
            config,
            transport,
            incarnation,
            node_id,
            random,
            local,
            handle,
            table: Mutex::new(Table {
                admissions: Sessions::new(node_id),
                sessions: HashMap::new(),
                addresses: HashMap::new(),
                watches: HashMap::new(),
            }),
            met: Notify::new(),
            next_watch: AtomicU64::new(1),
            denied: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            members: Members::new(),
            held_up: HeldUp::default(),
            bound: OnceLock::new(),
        });
        Ok(Self {
            shared,
            threads: Mutex::new(None),
        })
    }

    /// Which node it is.
    pub fn id(&self) -> NodeId {
        self.shared.node_id
    }

    /// The runtime that its tasks run on, to wait for what is asked of it.
    pub fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    /// Opens an address for peers; gives the address that was bound, so port 0 is welcome.
    /// `insecure` as [`NodeConfig::insecure`].
    ///
    /// # Errors
    ///
    /// [`MeshError::Insecure`] beyond loopback without proof of who dials, and
    /// [`MeshError::Listen`] if the address cannot be had.
    pub async fn listen(&self, address: &str, insecure: bool) -> Result<String, MeshError> {
        let shared = &self.shared;
        let demanded = std::env::var_os("IRIS_MESH_INSECURE").is_some_and(|it| it == "1");
        let insecure = insecure || shared.config.insecure || demanded;
        shared.check_open()?;
        let failed = |cause| MeshError::Listen {
            address: address.to_owned(),
            cause,
        };
        let proven = shared.transport.is_secure() || shared.config.secret.is_some();
        let private = shared.transport.is_private(address);
        let open = !proven && !private.await.map_err(failed)?;
        if open && !insecure {
            return Err(MeshError::Insecure {
                address: address.to_owned(),
            });
        }
        let listener = shared.transport.listen(address).await.map_err(failed)?;
        let bound = listener.local_address();
        if open {
            tracing::warn!(
                address = %bound,
                "anybody who reaches this address can send to processes here: peers need not prove \
                 who they are (mend: certificates, or a secret)"
            );
        }
        shared.bound.get_or_init(|| bound.clone());
        shared.spawn(accept_all(shared.clone(), listener));
        Ok(bound)
    }

    /// Who has `name` at the node behind `address`: the local process that stands for it; `None`
    /// if nobody has it.
    ///
    /// # Errors
    ///
    /// Why the node cannot be asked.
    pub async fn resolve(&self, address: &str, name: &str) -> Result<Option<Pid>, MeshError> {
        let wanted = Name::try_from(name)?;
        let shared = &self.shared;
        let after = shared.config.connect_timeout;
        let lost = || MeshError::Lost {
            address: address.to_owned(),
        };
        let ask = async {
            let reached = shared.reach(address).await?;
            let found = match &reached {
                Reached::Session(session) => match session.resolve(wanted).await {
                    Ok(found) => found,
                    Err(Unresolved::Gone) => return Err(lost()),
                    Err(Unresolved::Denied) => {
                        return Err(MeshError::Denied {
                            address: address.to_owned(),
                            name: name.to_owned(),
                        });
                    }
                },
                Reached::Legacy(peer) => peer.resolve(&wanted).await.ok_or_else(lost)?,
            };
            found.map(|pid| stand_in(&reached, pid)).transpose()
        };
        match timeout(after, ask).await {
            Ok(done) => done,
            Err(_) => Err(MeshError::Timeout {
                address: address.to_owned(),
                after,
            }),
        }
    }

    /// Has the node behind `address` start a process of a behavior that is registered there; the
    /// local process that stands for it.
    ///
    /// # Errors
    ///
    /// [`MeshError::NotSpawned`], and why the node cannot be asked. After
    /// [`MeshError::Timeout`] and [`MeshError::Lost`] nobody knows whether it runs.
    pub async fn spawn(
        &self,
        address: &str,
        behavior: &str,
        init: Bytes,
    ) -> Result<Pid, MeshError> {
        let name = Name::try_from(behavior)?;
        let after = self.shared.config.connect_timeout;
        let lost = |_| MeshError::Lost {
            address: address.to_owned(),
        };
        let refused = |why| MeshError::NotSpawned {
            address: address.to_owned(),
            behavior: behavior.to_owned(),
            why,
        };
        let ask = async {
            match self.shared.reach(address).await? {
                Reached::Legacy(_) => Err(refused(NotSpawned::Unsupported)),
                Reached::Session(session) => {
                    let spawned = session.spawn(name, init).await.map_err(lost)?;
                    let pid = spawned.map_err(refused)?;
                    session.stand_in(pid).map_err(MeshError::NoRoom)
                }
            }
        };
        let timed_out = |_| MeshError::Timeout {
            address: address.to_owned(),
            after,
        };
        timeout(after, ask)
            .await
            .unwrap_or_else(|late| Err(timed_out(late)))
    }

    /// The local process that stands for the process with this pid at the node behind `address`.
    /// Whether there is such a process shows later: a stand-in of nobody ends with `noproc`.
    ///
    /// # Errors
    ///
    /// Why the node cannot be reached.
    pub async fn stand_in(&self, address: &str, pid: Pid) -> Result<Pid, MeshError> {
        let reached = self.shared.reach(address).await?;
        stand_in(&reached, pid)
    }

    /// Whether the node behind `address` answers now.
    pub async fn is_up(&self, address: &str) -> bool {
        match self.shared.reach(address).await {
            Ok(Reached::Session(session)) => {
                let after = self.shared.config.connect_timeout;
                timeout(after, session.opened()).await.unwrap_or(false)
            }
            Ok(Reached::Legacy(peer)) => peer.is_connected(),
            Err(_) => false,
        }
    }

    /// A process that a peer monitors has ended: to be called once for each
    /// [`Local::watch`].
    pub fn local_down(&self, watch: u64, exit: Exit) {
        let session = {
            let mut table = self.shared.lock();
            let node = table.watches.remove(&watch);
            node.and_then(|node| table.sessions.get(&node).cloned())
        };
        if let Some(session) = session {
            session.local_down(watch, exit);
        }
    }

    /// Changes which local processes peers may reach.
    pub fn expose(&self, expose: Expose) {
        self.shared.exports.expose(expose);
    }

    /// Allows peers to reach a process by its pid.
    pub fn export(&self, pid: Pid) {
        if let Some(local) = self.shared.local() {
            self.shared.exports.give(&*local, pid);
        }
    }

    /// Peers that it has sessions with, by what they call themselves.
    pub fn peers(&self) -> Vec<(NodeId, String)> {
        let table = self.shared.lock();
        let sessions = table.sessions.values();
        sessions
            .filter(|session| session.is_open())
            .map(|session| (session.node(), session.called()))
            .collect()
    }

    /// How often a peer wanted what it may not have: a process that it may not reach, or what the
    /// [rules](NodeConfig::acl) do not allow it, or to be let in although it is denied.
    pub fn denied(&self) -> u64 {
        self.shared.denied.load(Ordering::Relaxed)
    }

    /// How many links were closed because too many were open, see
    /// [`max_links`](NodeConfig::max_links).
    pub fn turned_away(&self) -> u64 {
        self.shared.gate.turned_away()
    }

    /// Ends all sessions; for `drain` what waits is sent first. Nothing is done after it.
    pub async fn close(&self, drain: Duration) {
        members::leave(&self.shared).await;
        self.shared.closing.store(true, Ordering::Relaxed);
        let sessions = self.shared.sessions();
        for session in &sessions {
            session.close(ErrorCode::Leaving, drain);
        }
        let over = async {
            while sessions.iter().any(|session| !session.is_over()) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        // What is not over then is so by force.
        let _ = timeout(drain + Duration::from_millis(200), over).await;
    }

    /// Ends its threads without waiting for them. [`close`](Self::close) comes first.
    pub fn stop(&self) {
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(threads) = threads {
            threads.shutdown_background();
        }
        // Sessions and what all tasks know hold each other, and a writer that sleeps leaves its half
        // of the link in the session: without this the links of a node that was not closed would
        // stay open.
        let sessions = std::mem::take(&mut self.shared.lock().sessions);
        for session in sessions.into_values() {
            session.drop_outlet();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

fn stand_in(reached: &Reached, pid: Pid) -> Result<Pid, MeshError> {
    match reached {
        Reached::Session(session) => session.stand_in(pid),
        Reached::Legacy(peer) => peer.stand_in(pid),
    }
    .map_err(MeshError::NoRoom)
}

fn fill<const N: usize>(random: &SystemRandom) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    random
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(bytes)
}

/// Takes in whoever connects, for as long as the node lives.
async fn accept_all(shared: Arc<Shared>, mut listener: Box<dyn Listener>) {
    /// After an error, such as too many open files.
    const PAUSE: Duration = Duration::from_millis(50);
    loop {
        if shared.closing.load(Ordering::Relaxed) {
            return;
        }
        match listener.accept().await {
            Ok(incoming) => accepted(&shared, incoming),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return,
            Err(error) => {
                tracing::warn!(%error, "no link could be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

fn accepted(shared: &Arc<Shared>, incoming: Incoming) {
    let Some(pass) = shared.gate.enter(&incoming.from) else {
        return;
    };
    let id = pass.id();
    let task = shared.spawn(admit::accept(shared.clone(), incoming, pass));
    shared.gate.serve(id, task.abort_handle());
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn local(&self) -> Option<Arc<dyn Local>> {
        self.local.upgrade()
    }

    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handle.spawn(work)
    }

    /// A peer wanted what it may not have.
    pub(crate) fn denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn check_open(&self) -> Result<(), MeshError> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(MeshError::ShutDown);
        }
        Ok(())
    }

    /// Whether a dialler with the original packets is served.
    pub(crate) fn check_legacy(&self, is_local: bool) -> Result<(), String> {
        let config = &self.config;
        let proof = config.secret.is_some() || self.transport.is_secure();
        if config.allow_legacy || (is_local && !proof) {
            return Ok(());
        }
        let why = if proof {
            "this node wants a proof of who dials, which the original packets do not have"
        } else {
            "the original packets are served on this machine only"
        };
        Err(format!("{why} (mend: allow_legacy)"))
    }

    pub(crate) fn nonce(&self) -> [u8; 32] {
        // A system that gave random numbers at the start does so later.
        fill(&self.random).unwrap_or_else(|_| {
            let mut nonce = [0; 32];
            let now = Instant::now();
            let unique = format!("{now:?}{:p}", &raw const nonce);
            let digest = ring::digest::digest(&ring::digest::SHA256, unique.as_bytes());
            nonce.copy_from_slice(digest.as_ref());
            nonce
        })
    }

    /// For a link with this [binding](crate::Link::binding).
    pub(crate) fn handshake(&self, binding: &[u8]) -> HandshakeConfig {
        let auth = self.config.auth(self.transport.is_secure(), binding);
        let mut config = HandshakeConfig::new(self.node_id, self.incarnation, auth);
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        config.hello.features = FEATURES;
        config.hello.max_msg = self.config.max_message;
        config.hello.hb_ms = millis(self.config.heartbeat);
        config.hello.resume_ms = millis(self.config.resume);
        config.hello.cluster.clone_from(&self.config.cluster);
        config.hello.name.clone_from(&self.config.name);
        config
    }

    pub(crate) fn hello_lite(&self) -> HelloLite {
        HelloLite {
            node_id: self.node_id,
            incarnation: self.incarnation,
            features: FEATURES,
        }
    }

    /// A link that was admitted has come to nothing.
    pub(crate) fn not_attached(&self, node: NodeId) {
        self.lock().admissions.detached(node);
    }

    pub(crate) fn admit(
        &self,
        node: NodeId,
        incarnation: u64,
        role: Role,
    ) -> Result<Admission, Refusal> {
        let now = clock::now();
        self.lock().admissions.admit(now, node, incarnation, role)
    }

    /// The session of a link that was admitted; `None` if it is somebody else's meanwhile.
    pub(crate) fn session_for(
        self: &Arc<Self>,
        admission: Admission,
        hello: &HandshakeConfig,
        peer: &Peer,
        identity: Identity,
        address: Option<&str>,
    ) -> Option<Arc<Session>> {
        let known = self.lock().sessions.get(&peer.node_id).cloned();
        let mut earlier = None;
        if let Some(known) = known {
            if !known.is_over() && !known.identity().is(&identity) {
                return None;
            }
            if admission != Admission::Supersede && !known.is_over() {
                if let Some(address) = address {
                    known.set_address(address);
                }
                return Some(known);
            }
            earlier = Some(known);
        }
        let mut config = Config::new(&hello.hello);
        config.stalled_after = self.config.stalled_after;
        let session = Session::new(self.clone(), config, peer.clone(), identity, address);
        self.lock().sessions.insert(peer.node_id, session.clone());
        if let Some(earlier) = earlier {
            // Now that it is not the node's session any more: what is known of the new one stays.
            earlier.close(ErrorCode::Stale, Duration::ZERO);
        }
        self.met.notify_waiters();
        Some(session)
    }

    pub(crate) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Where it listens.
    pub(crate) fn bound(&self) -> Option<String> {
        self.bound.get().cloned()
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.lock().sessions.values().cloned().collect()
    }

    pub(crate) fn live_session(&self, node: NodeId) -> Option<Arc<Session>> {
        let session = self.lock().sessions.get(&node).cloned();
        session.filter(|session| !session.is_over())
    }

    /// A session has ended.
    pub(crate) fn session_over(&self, session: &Session) {
        let mut table = self.lock();
        let node = session.node();
        let current = table.sessions.get(&node);
        if current.is_some_and(|current| std::ptr::eq(Arc::as_ptr(current), session)) {
            table.sessions.remove(&node);
            table.admissions.remove(node);
        }
    }

    /// A number for a monitor of `node`.
    pub(crate) fn new_watch(&self, node: NodeId) -> u64 {
        let watch = self.next_watch.fetch_add(1, Ordering::Relaxed);
        self.lock().watches.insert(watch, node);
        watch
    }

    /// Its monitor is taken off.
    pub(crate) fn forget_watch(&self, watch: u64) {
        self.lock().watches.remove(&watch);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.shared.node_id)
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}
