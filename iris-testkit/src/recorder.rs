//! The smallest runtime that a node can have around it, with a record of all that happens.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use iris_core::{AskError, BoxFuture, Exit, ExitReason, Pid, Reply, question};
use iris_mesh::{Delivered, Local, Node, NodeEvent, Refused, Remote, Unsent};
use tokio::time::sleep;

use crate::{Life, Pair, Rng, Witness};

/// How long a slow mailbox has no room.
const SLOW: Duration = Duration::from_millis(15);

/// Implements [`Local`] for one [`Life`] of a node, and tells a [`Witness`] of everything.
///
/// Its processes have names and count what they receive; the mailboxes of some are slow, so
/// that senders wait. Its stand-ins keep what cannot be sent yet, in order, as those of the
/// facade do, and each of them is a monitor.
pub struct Recorder {
    life: Life,
    witness: Arc<dyn Witness>,
    node: OnceLock<Weak<Node>>,
    /// Itself, for its tasks.
    own: Weak<Self>,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    next: u64,
    processes: HashMap<Pid, Process>,
    names: HashMap<String, Pid>,
    stand_ins: HashMap<Pid, Arc<StandIn>>,
    watches: HashMap<u64, Pid>,
    questions: u64,
    events: Vec<NodeEvent>,
}

struct Process {
    slow: bool,
    watches: Vec<u64>,
}

struct StandIn {
    remote: Remote,
    pair: Pair,
    outgoing: Mutex<Outgoing>,
}

#[derive(Default)]
struct Outgoing {
    waiting: VecDeque<Bytes>,
    /// A task sends what waits.
    drains: bool,
}

impl Recorder {
    /// A runtime without processes. Its pids tell which life they are of.
    pub fn new(life: Life, witness: Arc<dyn Witness>, seed: u64) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            life,
            witness,
            node: OnceLock::new(),
            own: own.clone(),
            state: Mutex::new(State {
                rng: Rng::new(seed),
                next: 1,
                processes: HashMap::new(),
                names: HashMap::new(),
                stand_ins: HashMap::new(),
                watches: HashMap::new(),
                questions: 0,
                events: Vec::new(),
            }),
        })
    }

    /// Its node, once that is started.
    pub fn set_node(&self, node: &Arc<Node>) {
        let set = self.node.set(Arc::downgrade(node));
        debug_assert!(set.is_ok(), "a runtime has one node");
    }

    /// Which life it is.
    pub fn life(&self) -> Life {
        self.life
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process with this name. That of a slow one has room in its mailbox half of the
    /// time only.
    pub fn spawn(&self, name: &str, slow: bool) -> Pid {
        let mut state = self.lock();
        let pid = self.new_pid(&mut state);
        state.names.insert(name.to_owned(), pid);
        if slow {
            self.witness.slow(pid.raw());
        }
        let process = Process {
            slow,
            watches: Vec::new(),
        };
        state.processes.insert(pid, process);
        pid
    }

    /// Ends the process with this name; those that monitor it from elsewhere are told.
    pub fn exit(&self, name: &str, reason: &ExitReason) {
        let watches = {
            let mut state = self.lock();
            let Some(pid) = state.names.remove(name) else {
                return;
            };
            let process = state.processes.remove(&pid);
            let watches = process.map_or_else(Vec::new, |process| process.watches);
            for watch in &watches {
                state.watches.remove(watch);
            }
            watches
        };
        self.tell_downs(watches, reason);
    }

    fn tell_downs(&self, watches: Vec<u64>, reason: &ExitReason) {
        let node = self.node.get().and_then(Weak::upgrade);
        for watch in watches {
            if let Some(node) = &node {
                node.local_down(watch, reason.clone().into());
            }
        }
    }

    /// The names of its processes, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.lock().names.keys().cloned().collect();
        names.sort();
        names
    }

    /// Its stand-ins that have not ended.
    pub fn stand_ins(&self) -> Vec<Pid> {
        let mut pids: Vec<_> = self.lock().stand_ins.keys().copied().collect();
        pids.sort();
        pids
    }

    /// What has happened to peers since the last call.
    pub fn take_events(&self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.lock().events)
    }

    /// Whether nothing that was sent through a stand-in waits for room; `false` if it has ended.
    pub fn has_room(&self, stand_in: Pid) -> bool {
        let known = self.lock().stand_ins.get(&stand_in).cloned();
        known.is_some_and(|known| !known.lock().drains)
    }

    /// Sends a message of about `len` bytes through a stand-in; `false` if that has ended, and the
    /// message was not accepted.
    pub fn send(&self, stand_in: Pid, len: usize) -> bool {
        let Some(known) = self.lock().stand_ins.get(&stand_in).cloned() else {
            return false;
        };
        let mut outgoing = known.lock();
        let data = self.witness.accepted(known.pair).encode(len);
        if outgoing.drains {
            outgoing.waiting.push_back(data);
            return true;
        }
        let sent = if len.is_multiple_of(2) {
            known.remote.send(data)
        } else {
            known.remote.send_copy(&data)
        };
        match sent {
            Ok(()) => {}
            Err(Unsent::WouldBlock(data)) => {
                outgoing.waiting.push_back(data);
                outgoing.drains = true;
                drop(outgoing);
                self.run(|own| async move { own.drain(&known).await });
            }
            Err(unsent) => self.witness.returned(&unsent.into_data()),
        }
        true
    }

    /// Sends what waits for room, in order.
    async fn drain(&self, stand_in: &StandIn) {
        loop {
            stand_in.remote.writable().await;
            let mut outgoing = stand_in.lock();
            loop {
                let Some(data) = outgoing.waiting.pop_front() else {
                    outgoing.drains = false;
                    return;
                };
                match stand_in.remote.send(data) {
                    Ok(()) => {}
                    Err(Unsent::WouldBlock(data)) => {
                        outgoing.waiting.push_front(data);
                        break;
                    }
                    Err(unsent) => self.witness.returned(&unsent.into_data()),
                }
            }
        }
    }

    /// Asks the process behind a stand-in; gives up, and so cancels, after `patience`.
    pub fn ask(&self, stand_in: Pid, patience: Duration) {
        let known = {
            let mut state = self.lock();
            let known = state.stand_ins.get(&stand_in).cloned();
            state.questions += 1;
            known.map(|known| (known, state.questions))
        };
        let Some((known, number)) = known else { return };
        self.witness.asks(self.life, number);
        let mut text = b"?".to_vec();
        text.push(self.life.node);
        text.extend(self.life.start.to_be_bytes());
        text.extend(number.to_be_bytes());
        let (asked, reply) = question(stand_in);
        let sent = known.remote.ask(text.clone().into(), asked);
        if let Err((_, asked)) = sent {
            asked.fail_dead();
        }
        self.run(|own| async move {
            let answer = tokio::time::timeout(patience, reply).await;
            let by_asked = match answer {
                Ok(Ok(payload)) => {
                    let right = payload.into_bytes() == text;
                    if !right {
                        own.witness.breaks(format!("a wrong answer to {number}"));
                    }
                    right
                }
                _ => false,
            };
            own.witness.answered(own.life, number, by_asked);
        });
    }

    /// Gives a stand-in up: it is no monitor any more.
    pub fn forget(&self, stand_in: Pid) {
        let known = self.lock().stand_ins.remove(&stand_in);
        if let Some(known) = known {
            self.witness.forgets(self.life, stand_in.raw());
            known.close(&*self.witness);
            known.remote.forget(stand_in);
        }
    }

    fn run<F>(&self, work: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let node = self.node.get().and_then(Weak::upgrade);
        if let (Some(node), Some(own)) = (node, self.own.upgrade()) {
            node.handle().spawn(work(own));
        }
    }

    fn new_pid(&self, state: &mut State) -> Pid {
        let number = state.next;
        state.next += 1;
        let life = (u64::from(self.life.node) + 1) << 44 | u64::from(self.life.start) << 24;
        Pid::from_raw(life | number).expect("below 2^53, and not zero")
    }

    fn has(&self, pid: Pid) -> bool {
        self.lock().processes.contains_key(&pid)
    }
}

/// The life that a pid is of.
fn life_of(pid: Pid) -> Life {
    let raw = pid.raw();
    Life {
        node: u8::try_from((raw >> 44) - 1).unwrap_or(u8::MAX),
        start: u32::try_from((raw >> 24) & 0xF_FFFF).expect("20 bits"),
    }
}

impl StandIn {
    fn lock(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits is a dead letter.
    fn close(&self, witness: &dyn Witness) {
        for data in self.lock().waiting.drain(..) {
            witness.returned(&data);
        }
    }
}

impl Local for Recorder {
    fn deliver(&self, to: Pid, data: Bytes) -> Delivered {
        let mut state = self.lock();
        let Some(process) = state.processes.get(&to) else {
            self.witness.refused(&data);
            return Delivered::Refused(Refused::NoPid);
        };
        if process.slow && state.rng.chance(500) {
            self.witness.held(&data);
            return Delivered::Wait(data);
        }
        self.witness.delivered(self.life, to.raw(), &data);
        Delivered::Done
    }

    fn deliver_later(&self, to: Pid, data: Bytes) -> BoxFuture<Result<(), Refused>> {
        // What waits behind another comes here without having been tried.
        self.witness.held(&data);
        let own = self.own.clone();
        Box::pin(async move {
            sleep(SLOW).await;
            let Some(own) = own.upgrade() else {
                return Err(Refused::NoPid);
            };
            if !own.has(to) {
                own.witness.refused(&data);
                return Err(Refused::NoPid);
            }
            own.witness.delivered(own.life, to.raw(), &data);
            Ok(())
        })
    }

    fn ask(&self, to: Pid, data: Bytes) -> Result<Reply, AskError> {
        if !self.has(to) {
            return Err(AskError::Dead(to));
        }
        let parsed = data.strip_prefix(b"?").and_then(|rest| {
            let (node, rest) = rest.split_first()?;
            let (start, rest) = rest.split_first_chunk()?;
            let life = Life {
                node: *node,
                start: u32::from_be_bytes(*start),
            };
            Some((life, u64::from_be_bytes(rest.try_into().ok()?)))
        });
        match parsed {
            Some((life, number)) => self.witness.handles(life, number),
            None => self
                .witness
                .breaks("a question that nobody has asked".to_owned()),
        }
        let (asked, reply) = question(to);
        let wait = self.lock().rng.within(0..30);
        self.run(|_| async move {
            sleep(Duration::from_millis(wait)).await;
            asked.reply(data);
        });
        Ok(reply)
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.lock().names.get(name).copied()
    }

    fn is_named(&self, pid: Pid) -> bool {
        // Its processes have names for as long as they live; what it knew must come to be refused,
        // not denied.
        life_of(pid) == self.life
    }

    fn names_of(&self, pid: Pid) -> Vec<String> {
        let state = self.lock();
        let names = state.names.iter().filter(|(_, holder)| **holder == pid);
        names.map(|(name, _)| name.clone()).collect()
    }

    fn is_alive(&self, pid: Pid) -> bool {
        self.has(pid)
    }

    fn spawn(&self, _: &str, _: Bytes) -> Option<BoxFuture<Result<Pid, String>>> {
        None
    }

    fn is_stand_in(&self, pid: Pid) -> bool {
        self.lock().stand_ins.contains_key(&pid)
    }

    fn watch(&self, target: Pid, watch: u64) {
        {
            let mut state = self.lock();
            if let Some(process) = state.processes.get_mut(&target) {
                process.watches.push(watch);
                state.watches.insert(watch, target);
                return;
            }
        }
        self.tell_downs(vec![watch], &ExitReason::NoProc);
    }

    fn unwatch(&self, watch: u64) {
        let mut state = self.lock();
        let target = state.watches.remove(&watch);
        if let Some(process) = target.and_then(|target| state.processes.get_mut(&target)) {
            process.watches.retain(|known| *known != watch);
        }
    }

    fn open_stand_in(&self, remote: Remote) -> Result<Pid, String> {
        let mut state = self.lock();
        let pid = self.new_pid(&mut state);
        let pair = Pair {
            from: self.life,
            to: life_of(remote.pid()),
            process: remote.pid().raw(),
        };
        let stand_in = StandIn {
            remote,
            pair,
            outgoing: Mutex::default(),
        };
        state.stand_ins.insert(pid, Arc::new(stand_in));
        self.witness.monitors(self.life, pid.raw());
        Ok(pid)
    }

    fn close_stand_in(&self, stand_in: Pid, _: Exit) {
        let known = self.lock().stand_ins.remove(&stand_in);
        self.witness.down(self.life, stand_in.raw());
        if let Some(known) = known {
            known.close(&*self.witness);
        }
    }

    fn exit_signal(&self, _: Option<Pid>, _: Pid, _: Exit) {}

    fn undelivered(&self, _: Option<Pid>, data: Bytes) {
        if data.is_empty() {
            self.witness.reported();
        } else {
            self.witness.returned(&data);
        }
    }

    fn node_event(&self, event: NodeEvent) {
        self.lock().events.push(event);
    }

    fn lane_age(&self) -> Duration {
        Duration::ZERO
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
