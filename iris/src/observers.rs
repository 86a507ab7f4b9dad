//! Observers: actors that keep what they receive until somebody asks for it.
//!
//! ```text
//!   send, EXIT, DOWN ──► mailbox ──► log (the last 65,536) ──► get_messages, selective_recv
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use iris_core::{Behavior, Context, Message, Pid, State, Step};

use crate::receive::{RecvError, Verdict};
use crate::runtime::Runtime;
use crate::spawn::{SpawnBuilder, SpawnError};

/// Messages that an observer keeps by default: 65,536. Then the oldest are dropped and
/// counted, for an observer that nobody asks must not fill the memory.
pub const OBSERVED_MESSAGES: usize = 65_536;

/// The logs of a runtime's observers.
pub(crate) type Logs = Mutex<HashMap<Pid, Arc<Log>>>;

/// What an observer has received and nobody has taken.
pub(crate) struct Log {
    state: Mutex<LogState>,
    arrived: Condvar,
    cap: usize,
}

pub(crate) struct LogState {
    /// With numbers that grow, by which a message is found again.
    messages: VecDeque<(u64, Message)>,
    last_number: u64,
    dropped: u64,
    /// Messages that were given back: who waits looks at all of them again.
    given_back: u64,
    pub(crate) closed: bool,
    /// Of selections that have nothing, by their numbers.
    pub(crate) wakers: Vec<(u64, Waker)>,
    pub(crate) last_selection: u64,
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            // With room below for what is given back.
            last_number: 1 << 62,
            dropped: 0,
            given_back: 0,
            closed: false,
            wakers: Vec::new(),
            last_selection: 0,
        }
    }
}

impl Log {
    pub(crate) fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, message: Message) {
        let mut state = self.lock();
        state.last_number += 1;
        let number = state.last_number;
        let full = state.messages.len() == self.cap;
        let oldest = if full {
            state.messages.pop_front()
        } else {
            None
        };
        state.dropped += u64::from(full);
        state.messages.push_back((number, message));
        self.tell(state);
        drop(oldest);
    }

    fn give_back(&self, message: Message) {
        let mut state = self.lock();
        if state.messages.len() == self.cap {
            // It is the oldest, which goes first.
            state.dropped += 1;
            return;
        }
        let first = state.messages.front().map(|(number, _)| number - 1);
        let number = first.unwrap_or(state.last_number);
        state.messages.push_front((number, message));
        state.given_back += 1;
        self.tell(state);
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.tell(state);
    }

    /// Takes the first message that is chosen of those that the cursor has not seen.
    ///
    /// # Errors
    ///
    /// [`RecvError::Aborted`].
    pub(crate) fn look<'a>(
        &'a self,
        cursor: &mut Cursor,
        choose: &mut dyn FnMut(&Message) -> Verdict,
    ) -> Result<Looked<'a>, RecvError> {
        let mut state = self.lock();
        while let Some((number, message)) = state.next(cursor) {
            drop(state);
            let verdict = choose(&message);
            state = self.lock();
            cursor.seen = number;
            match verdict {
                Verdict::Abort => return Err(RecvError::Aborted),
                Verdict::Leave => {}
                Verdict::Take => {
                    // Unless somebody else was quicker.
                    if let Some(message) = state.take(number) {
                        return Ok(Looked::Taken(message));
                    }
                }
            }
        }
        Ok(Looked::Nothing(state))
    }

    /// Wakes all who wait. Without the lock: a waker is somebody else's code.
    fn tell(&self, mut state: MutexGuard<'_, LogState>) {
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.arrived.notify_all();
        for (_, waker) in wakers {
            waker.wake();
        }
    }
}

/// What a look through a log has come to.
pub(crate) enum Looked<'a> {
    Taken(Message),
    /// All that is left was not chosen. Nothing more arrives while this is kept.
    Nothing(MutexGuard<'a, LogState>),
}

impl LogState {
    /// The first message that a cursor has not seen.
    fn next(&self, cursor: &mut Cursor) -> Option<(u64, Message)> {
        if self.given_back != cursor.given_back {
            cursor.seen = 0;
            cursor.given_back = self.given_back;
        }
        self.after(cursor.seen)
    }

    /// The first message after number `seen`.
    fn after(&self, seen: u64) -> Option<(u64, Message)> {
        let at = self.messages.partition_point(|(number, _)| *number <= seen);
        self.messages.get(at).cloned()
    }

    fn take(&mut self, number: u64) -> Option<Message> {
        let at = self.messages.binary_search_by_key(&number, |entry| entry.0);
        self.messages.remove(at.ok()?).map(|(_, message)| message)
    }
}

/// How far a selective receive has looked, to go on there: see
/// [`Runtime::selective_recv_from`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    seen: u64,
    given_back: u64,
}

/// The behavior.
struct Observer {
    log: Arc<Log>,
    logs: Weak<Logs>,
    pid: Arc<OnceLock<Pid>>,
}

impl Behavior for Observer {
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        if cx.is_asked() {
            // What was sent before is in the log by now: that is the answer.
            cx.reply(&b""[..]);
        } else {
            self.log.push(message);
        }
        Step::Done
    }

    fn name(&self) -> &'static str {
        "observer"
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.log.close();
        if let (Some(pid), Some(logs)) = (self.pid.get(), self.logs.upgrade()) {
            logs.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(pid);
        }
    }
}

/// An observer that is about to be: `rt.observer().at_path("/svc/test").start()`.
#[must_use = "nothing is spawned until `start` is called"]
#[derive(Debug)]
pub struct ObserverBuilder<'a> {
    runtime: &'a Runtime,
    builder: Builder<'a>,
    cap: usize,
}

#[derive(Debug, Default)]
struct Builder<'a> {
    budget: Option<u32>,
    name: Option<&'a str>,
    path: Option<&'a str>,
    parent: Option<Pid>,
}

impl<'a> ObserverBuilder<'a> {
    /// Reductions for each slice, as for any process.
    pub fn budget(mut self, reductions: u32) -> Self {
        self.builder.budget = Some(reductions);
        self
    }

    /// Registers it under a name before anybody can send to it.
    pub fn named(mut self, name: &'a str) -> Self {
        self.builder.name = Some(name);
        self
    }

    /// Registers it under a path before anybody can send to it.
    pub fn at_path(mut self, path: &'a str) -> Self {
        self.builder.path = Some(path);
        self
    }

    /// Makes it a child of `parent`, to end with it.
    pub fn child_of(mut self, parent: Pid) -> Self {
        self.builder.parent = Some(parent);
        self
    }

    /// How many messages it keeps, at least 1; by default [`OBSERVED_MESSAGES`].
    pub fn cap(mut self, messages: usize) -> Self {
        self.cap = messages.max(1);
        self
    }

    /// Spawns it.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`].
    pub fn start(self) -> Result<Pid, SpawnError> {
        let log = Arc::new(Log {
            state: Mutex::default(),
            arrived: Condvar::new(),
            cap: self.cap,
        });
        let logs = &self.runtime.inner().logs;
        let own = Arc::<OnceLock<Pid>>::default();
        let observer = Observer {
            log: log.clone(),
            logs: Arc::downgrade(logs),
            pid: own.clone(),
        };
        let pid = self.builder.apply(self.runtime.spawn(observer)).start()?;
        let lock = || logs.lock().unwrap_or_else(PoisonError::into_inner);
        lock().insert(pid, log.clone());
        // Set only once by nobody else. An end before this is seen below, one after it
        // removes the log.
        own.set(pid).ok();
        if log.lock().closed {
            lock().remove(&pid);
        }
        Ok(pid)
    }
}

impl<'a> Builder<'a> {
    fn apply(self, mut spawn: SpawnBuilder<'a>) -> SpawnBuilder<'a> {
        if let Some(budget) = self.budget {
            spawn = spawn.budget(budget);
        }
        if let Some(name) = self.name {
            spawn = spawn.named(name);
        }
        if let Some(path) = self.path {
            spawn = spawn.at_path(path);
        }
        match self.parent {
            Some(parent) => spawn.child_of(parent),
            None => spawn,
        }
    }
}

impl Runtime {
    /// Begins an observer: an actor that keeps what it receives, system messages included,
    /// for [`get_messages`](Self::get_messages) and [`selective_recv`](Self::selective_recv).
    /// It answers questions with nothing and does not keep them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let observer = rt.observer().at_path("/svc/test/one").start()?;
    /// rt.send(observer, &b"hello"[..])?;
    /// assert_eq!(rt.get_messages(observer, true), Some(vec![Message::from(&b"hello"[..])]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observer(&self) -> ObserverBuilder<'_> {
        ObserverBuilder {
            runtime: self,
            builder: Builder::default(),
            cap: OBSERVED_MESSAGES,
        }
    }

    /// What an observer has received, oldest first; `None` if `pid` is no observer that is
    /// there. With `drain` the messages are taken, else they stay.
    ///
    /// What the caller has sent to it before is among them: the call waits for that, but not
    /// inside a handler, whose thread others need.
    pub fn get_messages(&self, pid: Pid, drain: bool) -> Option<Vec<Message>> {
        let log = self.log_of(pid)?;
        self.ask(pid, &b""[..]).wait().ok();
        let mut state = log.lock();
        if drain {
            let taken = std::mem::take(&mut state.messages);
            drop(state);
            return Some(taken.into_iter().map(|(_, message)| message).collect());
        }
        Some(
            state
                .messages
                .iter()
                .map(|(_, message)| message.clone())
                .collect(),
        )
    }

    /// How many messages an observer has dropped because nobody took them.
    pub fn observer_dropped(&self, pid: Pid) -> Option<u64> {
        Some(self.log_of(pid)?.lock().dropped)
    }

    /// Takes the first message of an observer that is chosen; blocks the calling thread for
    /// it, at most `timeout` (`None`: for ever). `choose` is called without any lock, once for
    /// each message at least.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; [`RecvError::Closed`] if `pid` is no observer, or ends meanwhile.
    pub fn selective_recv(
        &self,
        pid: Pid,
        choose: impl FnMut(&Message) -> Verdict,
        timeout: Option<Duration>,
    ) -> Result<Message, RecvError> {
        self.selective_recv_from(&mut Cursor::default(), pid, choose, timeout)
    }

    /// As [`selective_recv`](Self::selective_recv), for who waits in several steps: what was
    /// looked at and left before the cursor is not looked at again.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn selective_recv_from(
        &self,
        cursor: &mut Cursor,
        pid: Pid,
        mut choose: impl FnMut(&Message) -> Verdict,
        timeout: Option<Duration>,
    ) -> Result<Message, RecvError> {
        let log = self.log_of(pid).ok_or(RecvError::Closed)?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match log.look(cursor, &mut choose)? {
                Looked::Taken(message) => return Ok(message),
                Looked::Nothing(state) if state.closed => return Err(RecvError::Closed),
                Looked::Nothing(state) => drop(wait(&log, state, deadline)?),
            }
        }
    }

    /// Gives a message back that was taken from an observer and not used: it is the oldest
    /// again. `false` if `pid` is no observer any more.
    pub fn give_back(&self, pid: Pid, message: Message) -> bool {
        self.log_of(pid).map(|log| log.give_back(message)).is_some()
    }

    pub(crate) fn log_of(&self, pid: Pid) -> Option<Arc<Log>> {
        // The log outlives the observer by a moment, which nobody is to see.
        if !self.is_alive(pid) {
            return None;
        }
        let logs = self.inner().logs.lock();
        logs.unwrap_or_else(PoisonError::into_inner)
            .get(&pid)
            .cloned()
    }
}

/// Sleeps until something has arrived.
fn wait<'a>(
    log: &'a Log,
    state: MutexGuard<'a, LogState>,
    deadline: Option<Instant>,
) -> Result<MutexGuard<'a, LogState>, RecvError> {
    let Some(deadline) = deadline else {
        return Ok(log
            .arrived
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner));
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(RecvError::Timeout);
    }
    let waited = log.arrived.wait_timeout(state, left);
    Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
}
