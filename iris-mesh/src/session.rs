//! A peer that speaks the framed protocol: a [`Connection`] of `iris-wire` behind a lock, the tasks
//! that carry its bytes, and what its events mean here.

mod answering;
mod dispatch;
mod pump;
mod spawn;

pub(crate) use pump::Halves;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_core::{AskError, Exit, ExitReason, Pid, ReplyTo};
use iris_wire::connection::{Config, Lost, SendError};
use iris_wire::frame::{ErrorCode, Frame, Message, Name};
use iris_wire::handshake::{Authenticated, Peer};
use iris_wire::{Connection, NodeId};
use tokio::sync::{Notify, oneshot};

use crate::acl::{Identity, Linked, Rights};
use crate::clock;
use crate::guard::Known;
use crate::local::{Local, NodeEvent};
use crate::membership::Member;
use crate::node::Shared;
use crate::remote::{Remote, Unsent};
use answering::Answering;

/// What travels in [`Frame::Resolved`] as status.
mod resolved {
    pub(super) const FOUND: u8 = 0;
    pub(super) const NONE: u8 = 1;
    pub(super) const DENIED: u8 = 2;
}

/// One life of one peer.
pub(crate) struct Session {
    shared: Arc<Shared>,
    node: NodeId,
    incarnation: u64,
    identity: Identity,
    rights: Known,
    name: String,
    state: Mutex<State>,
    /// Events are handled one after the other, by whichever task has found some.
    turn: Mutex<Turn>,
    /// There is output, after the writer has found none.
    output: Notify,
    writer_sleeps: AtomicBool,
    /// The way out of the writer that sleeps.
    outlet: Mutex<Option<pump::Outlet>>,
    /// The time of the next time-out may have changed.
    timer: Notify,
    /// There may be room for messages again, or the session is over.
    room: Notify,
    /// Another link is in use, or none.
    relinked: Notify,
    /// A task dials it again.
    redials: AtomicBool,
    /// Where to dial if the link is lost; empty if only the peer knows how to reach this node.
    address: Mutex<String>,
}

/// What is kept from one event to the next.
#[derive(Default)]
struct Turn {
    /// Who may be reached for certain: looked up once for many messages.
    allowed: Option<Pid>,
}

struct State {
    connection: Connection,
    /// Local processes that stand for the peer's, by the peer's pid; each is a monitor there.
    stand_ins: HashMap<Pid, StandIn>,
    by_monitor: HashMap<u64, Pid>,
    /// Local processes that the peer monitors: its reference and its watcher, by our number.
    watches: HashMap<u64, Watched>,
    by_reference: HashMap<u64, u64>,
    /// Questions that the peer has not answered.
    calls: HashMap<u64, Asked>,
    /// Questions of the peer that local processes have not answered.
    answering: HashMap<u64, Answering>,
    /// Look-ups of names.
    resolving: HashMap<u64, oneshot::Sender<Result<Option<Pid>, Unresolved>>>,
    /// Orders to start processes.
    spawning: HashMap<u64, oneshot::Sender<spawn::Answer>>,
    /// Links of the peer's processes to local ones.
    linked: Linked,
    /// How many sessions this one has seen end.
    life: u64,
    next: u64,
    /// The peer is told this node's names.
    has_names: bool,
    over: bool,
    /// When the clock's task looks next; `None` before it sleeps for the first time.
    clock_due: Option<Instant>,
}

#[derive(Clone, Copy)]
struct StandIn {
    pid: Pid,
    monitor: u64,
}

#[derive(Clone, Copy)]
struct Watched {
    reference: u64,
    watcher: Pid,
    target: Pid,
}

struct Asked {
    question: ReplyTo,
    stand_in: Pid,
}

impl Session {
    /// A session that begins with the link that was just authenticated.
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: Config,
        peer: Peer,
        identity: Identity,
        address: Option<&str>,
    ) -> Arc<Self> {
        let (node, incarnation, name) = (peer.node_id, peer.incarnation, peer.name.clone());
        let connection = Connection::new(clock::now(), config, peer);
        let session = Arc::new(Self {
            shared,
            node,
            incarnation,
            identity,
            rights: Known::default(),
            name,
            state: Mutex::new(State {
                connection,
                stand_ins: HashMap::new(),
                by_monitor: HashMap::new(),
                watches: HashMap::new(),
                by_reference: HashMap::new(),
                calls: HashMap::new(),
                answering: HashMap::new(),
                resolving: HashMap::new(),
                spawning: HashMap::new(),
                linked: Linked::default(),
                life: 0,
                next: 1,
                has_names: false,
                over: false,
                clock_due: None,
            }),
            turn: Mutex::default(),
            output: Notify::new(),
            writer_sleeps: AtomicBool::new(false),
            outlet: Mutex::default(),
            timer: Notify::new(),
            room: Notify::new(),
            relinked: Notify::new(),
            redials: AtomicBool::new(false),
            address: Mutex::new(address.unwrap_or_default().to_owned()),
        });
        session.shared.spawn(pump::watch_clock(session.clone()));
        session
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn local(&self) -> Option<Arc<dyn Local>> {
        self.shared.local()
    }

    /// Which node it is.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Who it has proved to be.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it may do now.
    pub(crate) fn rights(&self) -> Arc<Rights> {
        self.rights.get(&self.shared.guard, &self.identity)
    }

    /// Which life of it.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What the membership knows it by.
    pub(crate) fn as_member(&self) -> Member {
        Member {
            node: self.node,
            incarnation: self.incarnation,
            address: self.address(),
        }
    }

    /// What it calls itself, or where it was dialled.
    pub(crate) fn called(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let address = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if address.is_empty() {
            self.node.to_string()
        } else {
            address.clone()
        }
    }

    pub(crate) fn set_address(&self, address: &str) {
        let mut known = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.clone_into(&mut known);
    }

    /// Where it can be dialled; empty if only the peer can dial.
    pub(crate) fn address(&self) -> String {
        let address = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.clone()
    }

    /// Whether the caller is to dial it again: nobody does yet.
    pub(crate) fn begin_redials(&self) -> bool {
        !self.redials.swap(true, Ordering::AcqRel)
    }

    /// The caller dials no more; `true` if the session needs it again.
    pub(crate) fn end_redials(&self) -> bool {
        self.redials.store(false, Ordering::Release);
        let state = self.lock();
        !state.over && state.connection.link().is_none()
    }

    /// Whether frames can flow now.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().connection.is_open()
    }

    /// Whether it is over for good.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Gives it a link: starts the tasks that carry its bytes.
    pub(crate) fn attach(self: &Arc<Self>, link: Authenticated, halves: Halves) {
        let attached = self.lock().connection.attach(clock::now(), link);
        match attached {
            Ok(link) => {
                self.relinked.notify_waiters();
                self.shared.spawn(pump::write(self.clone(), link, halves.1));
                self.shared.spawn(pump::read(self.clone(), link, halves.0));
                self.dispatch();
                self.changed();
            }
            Err(error) => tracing::warn!(peer = %self.called(), %error, "a link is not wanted"),
        }
    }

    /// Wakes the clock's task if something is due before it would look.
    fn set_clock(&self, state: &mut State) {
        let due = state.connection.poll_timeout();
        if let (Some(due), Some(known)) = (due, state.clock_due)
            && due < known
        {
            state.clock_due = Some(due);
            self.timer.notify_one();
        }
    }

    /// Output or time-outs may have changed.
    fn changed(&self) {
        self.wake_writer();
        self.timer.notify_one();
    }

    #[inline]
    fn wake_writer(&self) {
        // Read first: while it is awake, nobody writes to the line.
        if self.writer_sleeps.load(Ordering::Acquire)
            && self.writer_sleeps.swap(false, Ordering::AcqRel)
        {
            self.output.notify_one();
        }
    }

    /// Sends to a process of the peer.
    pub(crate) fn send(&self, to: Pid, data: Bytes) -> Result<(), Unsent> {
        let message = Message::Send {
            dst: to,
            src: None,
            data,
        };
        let sent = self.lock().connection.send(message, None);
        self.sent(sent)
    }

    #[inline]
    pub(crate) fn send_copy(&self, to: Pid, data: &[u8]) -> Result<(), Unsent> {
        let sent = self.lock().connection.send_copy(to, None, data);
        self.sent(sent)
    }

    #[inline]
    fn sent(&self, sent: Result<(), SendError>) -> Result<(), Unsent> {
        match sent {
            Ok(()) => {
                self.wake_writer();
                Ok(())
            }
            Err(error) => Err(unsent(error)),
        }
    }

    /// Asks a process of the peer.
    pub(crate) fn ask(
        &self,
        to: Pid,
        data: Bytes,
        question: ReplyTo,
    ) -> Result<(), (Unsent, ReplyTo)> {
        let mut state = self.lock();
        let (req, stand_in) = (state.number(), question.asked());
        let message = Message::Call {
            req,
            dst: to,
            src: None,
            // The asker's own time-out ends the question; CANCEL tells the peer.
            deadline_ms: 0,
            data,
        };
        match state.connection.send(message, None) {
            Ok(()) => {
                state.calls.insert(req, Asked { question, stand_in });
                drop(state);
                self.write_now();
                Ok(())
            }
            Err(error) => Err((unsent(error), question)),
        }
    }

    /// Waits until there may be room for messages, after one was refused.
    pub(crate) async fn writable(&self) {
        // Before the look: what comes in between is not missed.
        let room = self.room.notified();
        {
            let state = self.lock();
            if state.over || !state.connection.is_congested() {
                return;
            }
        }
        room.await;
    }

    /// Waits until frames can flow; `false` if the session ends before.
    pub(crate) async fn opened(&self) -> bool {
        loop {
            let changed = self.room.notified();
            if self.is_open() {
                return true;
            }
            if self.is_over() {
                return false;
            }
            changed.await;
        }
    }

    /// A local process is linked to the stand-in of `to` from now on, or no longer.
    pub(crate) fn link(&self, from: Pid, to: Pid, linked: bool) {
        let frame = if linked {
            Frame::Link { from, to }
        } else {
            let id = self.lock().number();
            Frame::Unlink { id, from, to }
        };
        self.signal(frame, None);
    }

    /// A process that is linked to the stand-in of `to` has ended.
    pub(crate) fn exit(&self, from: Pid, to: Pid, exit: Exit) {
        self.signal(Frame::Exit { from, to, exit }, None);
    }

    /// The stand-in of a process has ended by itself.
    pub(crate) fn forget(&self, pid: Pid, stand_in: Pid) {
        let mut state = self.lock();
        let known = state.stand_ins.get(&pid).copied();
        let Some(known) = known.filter(|known| known.pid == stand_in) else {
            return;
        };
        state.stand_ins.remove(&pid);
        state.by_monitor.remove(&known.monitor);
        drop(state);
        let monitor = known.monitor;
        self.signal(Frame::Demonitor { monitor }, Some((stand_in, pid)));
    }

    fn signal(&self, frame: Frame, order: Option<(Pid, Pid)>) {
        let signalled = self.lock().connection.signal(frame, order);
        if let Err(error) = signalled {
            tracing::warn!(peer = %self.called(), %error, "a signal cannot travel");
        }
        // Too many signals end the session, of which the clock's task tells.
        self.timer.notify_one();
        self.wake_writer();
    }

    /// Sends a packet of the membership, which may be lost.
    pub(crate) fn send_swim(&self, packet: Bytes) {
        let sent = self.lock().connection.swim(packet);
        debug_assert!(sent.is_ok(), "the membership keeps its packets short");
        self.wake_writer();
    }

    /// Whether the peer is to be told this node's names from now on; `false` if it is already.
    pub(crate) fn begin_names(&self) -> bool {
        let mut state = self.lock();
        !state.over && !std::mem::replace(&mut state.has_names, true)
    }

    /// Whether the peer is told this node's names.
    pub(crate) fn has_names(&self) -> bool {
        self.lock().has_names
    }

    pub(crate) fn send_names(&self, data: Bytes) {
        self.signal(Frame::NamesDelta { data }, None);
    }

    /// Who has this name at the peer: the local process that stands for it.
    pub(crate) async fn resolve(self: &Arc<Self>, name: Name) -> Result<Option<Pid>, Unresolved> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.over {
                return Err(Unresolved::Gone);
            }
            let req = state.number();
            state.resolving.insert(req, answer);
            let asked = state.connection.signal(Frame::Resolve { req, name }, None);
            debug_assert!(asked.is_ok(), "a name has a bounded length");
        }
        self.wake_writer();
        answered.await.unwrap_or(Err(Unresolved::Gone))
    }

    /// The local process that stands for a process of the peer, made if there is none.
    pub(crate) fn stand_in(self: &Arc<Self>, pid: Pid) -> Result<Pid, String> {
        let local = self.local().ok_or("the runtime is gone")?;
        let mut state = self.lock();
        if state.over {
            return Err(format!("the connection to {} is over", self.called()));
        }
        if let Some(known) = state.stand_ins.get(&pid) {
            return Ok(known.pid);
        }
        // It may be asked for twice at once: the lock is held, and the runtime does not call back.
        let stand_in = local.open_stand_in(Remote::of_session(self, pid))?;
        let monitor = state.number();
        state.stand_ins.insert(
            pid,
            StandIn {
                pid: stand_in,
                monitor,
            },
        );
        state.by_monitor.insert(monitor, pid);
        let frame = Frame::Monitor {
            monitor,
            watcher: stand_in,
            target: pid,
        };
        let asked = state.connection.signal(frame, None);
        debug_assert!(asked.is_ok(), "it has a fixed length");
        drop(state);
        self.wake_writer();
        Ok(stand_in)
    }

    /// A local process that the peer monitors has ended.
    pub(crate) fn local_down(&self, watch: u64, exit: Exit) {
        let known = {
            let mut state = self.lock();
            let known = state.watches.remove(&watch);
            if let Some(known) = known {
                state.by_reference.remove(&known.reference);
                state.linked.ended(known.target);
            }
            known
        };
        if let Some(Watched {
            reference,
            watcher,
            target,
        }) = known
        {
            let frame = Frame::Down {
                monitor: reference,
                target,
                exit,
            };
            self.signal(frame, Some((target, watcher)));
        }
    }

    /// Ends the session; the peer is told, and for `drain` what waits is sent.
    pub(crate) fn close(self: &Arc<Self>, reason: ErrorCode, drain: Duration) {
        self.lock().connection.close(clock::now(), reason, drain);
        self.dispatch();
        self.changed();
    }

    /// Ends a session that waits for another link: the peer will not come back.
    pub(crate) fn give_up(self: &Arc<Self>, why: &str) {
        self.lock().connection.give_up(why.to_owned());
        self.dispatch();
        self.changed();
    }

    /// All that hangs on the session ends with it. The connection may begin another on the link that
    /// it has.
    fn end(&self, why: &Lost) {
        let Some(local) = self.local() else { return };
        let mut state = self.lock();
        if state.over {
            return;
        }
        let closed = state.connection.is_closed();
        state.over = closed;
        state.has_names = false;
        state.life += 1;
        let stand_ins = std::mem::take(&mut state.stand_ins);
        let calls = std::mem::take(&mut state.calls);
        let watches = std::mem::take(&mut state.watches);
        let answering = std::mem::take(&mut state.answering);
        state.by_monitor.clear();
        state.by_reference.clear();
        state.resolving.clear();
        state.spawning.clear();
        state.linked.clear();
        // What waits for room in a mailbox has arrived, and is delivered all the same.
        drop(state);
        for watch in watches.into_keys() {
            self.shared.forget_watch(watch);
            local.unwatch(watch);
        }
        for answering in answering.into_values() {
            answering.give_up();
        }
        for Asked { question, stand_in } in calls.into_values() {
            local.unanswered(question, AskError::Dead(stand_in));
        }
        // Who leaves on purpose has lost nobody.
        let ours = matches!(why, Lost::Closed(ErrorCode::Leaving));
        let reason = if ours {
            ExitReason::Shutdown
        } else {
            ExitReason::NoConnection
        };
        self.shared.members.lost(self.node);
        for StandIn { pid, .. } in stand_ins.into_values() {
            local.close_stand_in(pid, reason.clone().into());
        }
        if closed {
            self.shared.session_over(self);
        }
        if !ours {
            let left = match why {
                Lost::PeerLeft(code) | Lost::ByPeer { code, .. } => *code == ErrorCode::Leaving,
                _ => false,
            };
            local.node_event(NodeEvent::Down {
                node: Some(self.node),
                name: self.called(),
                reason: why.to_string(),
                left,
            });
        }
        self.relinked.notify_waiters();
        // Those that wait for room find that there will be none.
        self.room.notify_waiters();
        self.changed();
    }
}

impl State {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

/// The session is over.
#[derive(Debug)]
pub(crate) struct Gone;

/// Why a name was not looked up.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// The session is over.
    Gone,
    /// The peer does not let this node ask.
    Denied,
}

fn unsent(error: SendError) -> Unsent {
    let data = |message: Message| message.data().clone();
    match error {
        SendError::TooLong { message, limit } => Unsent::TooLong {
            data: data(*message),
            limit,
        },
        SendError::WouldBlock { message } => Unsent::WouldBlock(data(*message)),
        error => Unsent::Closed(data(error.into_message())),
    }
}
