//! A node's place in a mesh: what its membership wants is done, members are kept connected, and
//! names are published to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iris_core::Pid;
use iris_wire::NodeId;
use iris_wire::frame::ErrorCode;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::MeshError;
use crate::local::NodeEvent;
use crate::membership::{Action, Member, Membership};
use crate::names::{self, Change, Conflict, NameTable};
use crate::node::Shared;
use crate::session::Session;

/// Packets of the membership protocol that wait for their turn; more are lost, as on any network.
const PACKETS: usize = 1024;

/// What a node knows of the mesh that it has joined.
pub(crate) struct Members {
    inputs: OnceLock<Inputs>,
    known: Mutex<HashMap<NodeId, Member>>,
    count: watch::Sender<usize>,
    names: Mutex<NameTable>,
    /// A name was published somewhere.
    named: Notify,
}

struct Inputs {
    words: mpsc::UnboundedSender<Word>,
    packets: mpsc::Sender<Bytes>,
}

enum Word {
    Join(Member, Vec<String>),
    Met(Member),
    Lost(NodeId),
    Name(Change),
    Introduce(NodeId),
    Leave(oneshot::Sender<()>),
}

impl Members {
    pub(crate) fn new() -> Self {
        Self {
            inputs: OnceLock::new(),
            known: Mutex::default(),
            count: watch::Sender::new(0),
            names: Mutex::default(),
            named: Notify::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<NodeId, Member>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> MutexGuard<'_, NameTable> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, word: Word) {
        if let Some(inputs) = self.inputs.get() {
            // Its task ends with the node.
            let _ = inputs.words.send(word);
        }
    }

    pub(crate) fn has_joined(&self) -> bool {
        self.inputs.get().is_some()
    }

    /// All members that are known, without this node.
    pub(crate) fn list(&self) -> Vec<Member> {
        self.known().values().cloned().collect()
    }

    /// There is a session with a peer, which was dialled at `address` if this node has dialled it.
    pub(crate) fn met(&self, session: &Session) {
        if self.has_joined() {
            self.say(Word::Met(session.as_member()));
            self.say(Word::Introduce(session.node()));
        }
    }

    /// A session has ended for good.
    pub(crate) fn lost(&self, node: NodeId) {
        if self.has_joined() {
            self.names().forget(node);
            self.say(Word::Lost(node));
        }
    }

    pub(crate) fn packet(&self, packet: Bytes) {
        if let Some(inputs) = self.inputs.get() {
            // May be lost.
            let _ = inputs.packets.try_send(packet);
        }
    }

    /// A change of a name of this node.
    pub(crate) fn publish(&self, name: Arc<str>, holder: Option<Pid>) {
        self.say(Word::Name((name, holder)));
    }

    /// Who else has a name, in the order in which this node has heard of them.
    pub(crate) fn holders(&self, name: &str) -> Vec<(NodeId, Pid)> {
        self.names().holders(name).to_vec()
    }

    /// All names that other nodes have published.
    pub(crate) fn all_names(&self) -> Vec<(Arc<str>, NodeId, Pid)> {
        self.names().all()
    }

    pub(crate) fn named(&self) -> Notified<'_> {
        self.named.notified()
    }
}

/// Joins; the first call starts the task that drives `membership`. `true` once another member is
/// known, `false` after `patience` without one.
pub(crate) async fn join(
    shared: &Arc<Shared>,
    own: Member,
    seeds: Vec<String>,
    membership: Box<dyn Membership>,
    patience: Duration,
) -> bool {
    let members = &shared.members;
    let mut membership = Some(membership);
    members.inputs.get_or_init(|| {
        let (words, heard) = mpsc::unbounded_channel();
        let (packets, received) = mpsc::channel(PACKETS);
        if let Some(membership) = membership.take() {
            shared.spawn(drive(shared.clone(), membership, heard, received));
        }
        Inputs { words, packets }
    });
    let mut count = members.count.subscribe();
    let alone = seeds.iter().all(|seed| *seed == own.address);
    members.say(Word::Join(own, seeds));
    for session in shared.sessions() {
        members.met(&session);
    }
    if alone {
        return *count.borrow() > 0;
    }
    let joined = timeout(patience, count.wait_for(|count| *count > 0)).await;
    joined.is_ok_and(|joined| joined.is_ok())
}

/// Tells the mesh that this node leaves.
pub(crate) async fn leave(shared: &Arc<Shared>) {
    if !shared.members.has_joined() {
        return;
    }
    let (told, done) = oneshot::channel();
    shared.members.say(Word::Leave(told));
    // Without its task there is nobody to tell it.
    let _ = timeout(Duration::from_millis(200), done).await;
}

async fn drive(
    shared: Arc<Shared>,
    mut membership: Box<dyn Membership>,
    mut words: mpsc::UnboundedReceiver<Word>,
    mut packets: mpsc::Receiver<Bytes>,
) {
    let beat = shared.config.heartbeat;
    let mut look = Instant::now() + beat;
    loop {
        tokio::select! {
            word = words.recv() => match word {
                None => return,
                Some(Word::Join(own, seeds)) => membership.join(&own, seeds, beat),
                Some(Word::Met(peer)) => membership.met(peer),
                Some(Word::Lost(node)) => membership.lost(node),
                Some(Word::Name(change)) => publish(&shared, change),
                Some(Word::Introduce(node)) => introduce(&shared, node),
                Some(Word::Leave(told)) => {
                    for action in membership.leave() {
                        act(&shared, action);
                    }
                    // Who waits may have given up.
                    let _ = told.send(());
                    return;
                }
            },
            Some(packet) = packets.recv() => membership.handle_packet(&packet),
            action = membership.next() => act(&shared, action),
            () = sleep_until(look) => {
                look = Instant::now() + beat;
                connect_missing(&shared);
            }
        }
    }
}

fn act(shared: &Arc<Shared>, action: Action) {
    match action {
        Action::Dial(address) => dial(shared, address),
        Action::Send { to, packet } => match shared.live_session(to.node) {
            Some(session) => session.send_swim(packet),
            // What would be sent is said again if it matters.
            None => dial(shared, to.address),
        },
        Action::Up(member) => up(shared, member),
        Action::Down { member, why } => down(shared, &member, &why),
    }
}

/// Reaches whoever is there, unless somebody tries to already.
fn dial(shared: &Arc<Shared>, address: String) {
    if address.is_empty() {
        return;
    }
    let shared = shared.clone();
    let task = shared.clone();
    shared.spawn(async move {
        match task.reach_once(&address).await {
            Some(Ok(session)) => {
                session.set_address(&address);
                task.members.met(&session);
            }
            Some(Err(error)) => tracing::debug!(%error, "a node of the mesh cannot be reached yet"),
            None => {}
        }
    });
}

fn up(shared: &Arc<Shared>, member: Member) {
    tracing::info!(node = %member.node, address = %member.address, "a node belongs to the mesh");
    let node = member.node;
    let session = shared.live_session(node);
    match &session {
        Some(session) if !member.address.is_empty() => session.set_address(&member.address),
        // Both sides would dial at the same time, and one of them for nothing.
        None if shared.node_id() < node => dial(shared, member.address.clone()),
        _ => {}
    }
    let count = {
        let mut known = shared.members.known();
        known.insert(node, member);
        known.len()
    };
    introduce(shared, node);
    shared.members.count.send_replace(count);
}

fn down(shared: &Arc<Shared>, member: &Member, why: &str) {
    tracing::info!(node = %member.node, why, "a node does not belong to the mesh any more");
    let count = {
        let mut known = shared.members.known();
        let current = known.get(&member.node);
        if current.is_some_and(|current| current.incarnation == member.incarnation) {
            known.remove(&member.node);
        }
        known.len()
    };
    shared.members.count.send_replace(count);
    // A peer that is heard here is not given up for what others say. One whose connection is lost
    // will not be waited for any longer.
    if let Some(session) = shared.live_session(member.node)
        && session.incarnation() == member.incarnation
    {
        session.give_up(why);
    }
}

/// Members without a connection are dialled: by both sides, for one may not be able to.
fn connect_missing(shared: &Arc<Shared>) {
    for member in shared.members.list() {
        if shared.live_session(member.node).is_none() {
            dial(shared, member.address);
        }
    }
}

/// A member is told all names of this node, once in a session.
fn introduce(shared: &Arc<Shared>, node: NodeId) {
    if !shared.members.known().contains_key(&node) {
        return;
    }
    if let Some(session) = shared.live_session(node)
        && session.begin_names()
    {
        let rights = session.rights();
        let may_know = |name: &str| rights.resolve.includes(name);
        for frame in shared.members.names().snapshot(may_know) {
            session.send_names(frame);
        }
    }
}

fn publish(shared: &Arc<Shared>, change: Change) {
    let (name, holder) = &change;
    // Another node's process is not ours to name, and not every name can travel.
    let Some(local) = shared.local() else { return };
    let is_ours = holder.is_none_or(|pid| !local.is_stand_in(pid));
    if !is_ours || iris_wire::Name::try_from(&**name).is_err() {
        return;
    }
    if let Some(pid) = *holder {
        // Who has found it by this name reaches it without, too.
        shared.exports.give(&*local, pid);
    }
    let frames = names::encode(false, [(&**name, *holder)]);
    let told = name.clone();
    let conflict = shared.members.names().publish(change);
    shared.members.named.notify_waiters();
    for session in shared.sessions() {
        if session.has_names() && session.rights().resolve.includes(&told) {
            for frame in &frames {
                session.send_names(frame.clone());
            }
        }
    }
    tell(shared, conflict);
}

/// What a peer has published.
pub(crate) fn hear(shared: &Arc<Shared>, session: &Arc<Session>, data: &[u8]) {
    if !shared.members.has_joined() {
        return;
    }
    let (from_scratch, mut changes) = match names::decode(data) {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!(peer = %session.called(), %error, "names of a peer cannot be read");
            return session.close(ErrorCode::Malformed, Duration::ZERO);
        }
    };
    let rights = session.rights();
    changes.retain(|(name, holder)| {
        let allowed = holder.is_none() || rights.register.includes(name);
        if !allowed {
            shared.denied();
            tracing::warn!(peer = %session.identity(), %name, "a peer may not publish this name");
        }
        allowed
    });
    let heard = shared
        .members
        .names()
        .hear(session.node(), from_scratch, changes);
    let (conflicts, kept) = heard;
    if !kept {
        let most = names::MOST_NAMES;
        tracing::warn!(peer = %session.called(), most, "a peer publishes too many names");
    }
    shared.members.named.notify_waiters();
    tell(shared, conflicts);
}

fn tell(shared: &Arc<Shared>, conflicts: impl IntoIterator<Item = Conflict>) {
    let Some(local) = shared.local() else { return };
    let called = |node: Option<NodeId>| match node {
        None => "this node".to_owned(),
        Some(node) => match shared.live_session(node) {
            Some(session) => session.called(),
            None => node.to_string(),
        },
    };
    for conflict in conflicts {
        local.node_event(NodeEvent::NameConflict {
            name: conflict.name.to_string(),
            first: called(conflict.first),
            second: called(conflict.second),
        });
    }
}

impl Shared {
    /// Checks that this node can be dialled by others, and says how.
    pub(crate) fn own_member(&self) -> Result<Member, MeshError> {
        let advertised = self.config.advertise.clone();
        let bound = self.bound().ok_or(MeshError::NotListening)?;
        let address = advertised.unwrap_or(bound);
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        if matches!(host, "0.0.0.0" | "[::]") || address.len() > usize::from(u8::MAX) {
            return Err(MeshError::NoAddress { bound: address });
        }
        Ok(Member {
            node: self.node_id(),
            incarnation: self.incarnation,
            address,
        })
    }
}
