//! Supervision at work: the machines of `iris-supervise`, and who carries out what they want.
//!
//! ```text
//!   exit pipeline ─┐                     ┌─ under the lock: names, EXIT and DOWN messages
//!   link, monitor ─┼─► desk (one lock) ──┤
//!   supervise, …  ─┤                     └─ after it: stops, starts, the log
//!   clock         ─┘                              │
//!        ▲                                        ▼
//!        └──── ChildStarted, StartFailed ◄── factory, on a thread that may block
//! ```
//!
//! What touches names and mailboxes is done while the desk is locked. Two threads that came
//! out of the lock one after the other may carry on in any order: a name handed to a process
//! after its exit had reserved what it had would lead to the dead for ever.
//!
//! No code of users runs under the lock, and none of it on a thread that others wait for:
//! factories and hooks have the blocking threads of the runtime's Tokio.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use iris_core::{Exit, Host, Pid};
use iris_supervise::GaveUp;
use tokio::sync::Notify;

use crate::runtime::{Inner, RuntimeRef};

pub(crate) mod desk;
mod errands;
mod exit;
mod starts;

pub(crate) use desk::{Desk, Todo};
use errands::Errand;
pub(crate) use starts::{Factory, is_succeeding};
pub use starts::{succeed, succeeding};

type GiveUpHook = dyn Fn(&GaveUp) + Send + Sync;

/// The desk, the clock that it waits for, and what is to be called.
pub(crate) struct Supervision {
    desk: Mutex<Desk>,
    /// Somebody waits for the end of all supervisors.
    done: Condvar,
    /// For the clock: the next time-out is sooner than it was.
    bell: Arc<Notify>,
    hook: RwLock<Option<Arc<GiveUpHook>>>,
    /// For factories, which get the runtime.
    runtime: OnceLock<RuntimeRef>,
}

impl Supervision {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            desk: Mutex::new(Desk::new(seed)),
            done: Condvar::new(),
            bell: Arc::default(),
            hook: RwLock::default(),
            runtime: OnceLock::new(),
        }
    }

    /// Tells it whom factories are to be given. Once, when the runtime is whole.
    pub(crate) fn belongs_to(&self, runtime: RuntimeRef) {
        // Nobody else knows the runtime yet.
        self.runtime.set(runtime).ok();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and carries out what follows.
    pub(crate) fn update<T>(
        &self,
        inner: &Inner,
        change: impl FnOnce(&mut Desk, &mut Todo) -> T,
    ) -> T {
        let mut desk = self.lock();
        let mut todo = Todo::new(inner.now());
        let result = change(&mut desk, &mut todo);
        desk.settle(inner, &mut todo);
        self.wake_clock(&mut desk);
        if todo.errands.iter().any(Errand::ends_a_root) && desk.roots.is_empty() {
            self.done.notify_all();
        }
        drop(desk);
        self.carry_out(inner, todo);
        result
    }

    /// When the first of the machines wants to hear from the clock, if that is sooner than
    /// the clock knows.
    fn wake_clock(&self, desk: &mut Desk) {
        let Some(next) = desk.tree.next_timeout() else {
            return;
        };
        if desk.armed.is_none_or(|armed| next < armed) {
            desk.armed = Some(next);
            self.bell.notify_one();
        }
    }

    /// The clock: lets the machines know when their time-outs have come.
    pub(crate) async fn run_clock(bell: Arc<Notify>, inner: Weak<Inner>) {
        // The runtime may still be in the making, and look like one that has ended.
        bell.notified().await;
        loop {
            let next = {
                let Some(inner) = inner.upgrade() else { return };
                inner.supervision.tick(&inner)
            };
            match next {
                None => bell.notified().await,
                Some(at) => {
                    // Woken early it looks again, as after the time-out.
                    let rung = tokio::time::timeout_at(at.into(), bell.notified());
                    rung.await.ok();
                }
            }
        }
    }

    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// What is due; when to look again.
    fn tick(&self, inner: &Inner) -> Option<Instant> {
        let due = {
            let mut desk = self.lock();
            desk.armed = desk.tree.next_timeout();
            desk.armed.filter(|at| *at <= inner.now())
        };
        if due.is_some() {
            self.update(inner, |desk, todo| {
                desk.tree.timeout(todo.now, &mut todo.tree);
            });
        }
        let mut desk = self.lock();
        desk.armed = desk.tree.next_timeout();
        desk.armed
    }

    /// Ends all supervisors, each with its children in their order, and lets nothing be
    /// supervised any more; waits for that at most `patience`.
    pub(crate) fn close(&self, inner: &Inner, patience: Duration) {
        self.update(inner, Desk::close);
        let deadline = Instant::now() + patience;
        let mut desk = self.lock();
        while !desk.roots.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.done.wait_timeout(desk, left);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(desk);
        self.forget_factories();
    }

    /// For the end of a runtime: nothing is started any more, and what factories hold is
    /// given back.
    pub(crate) fn forget_factories(&self) {
        let mut desk = self.lock();
        desk.closed = true;
        let posts = std::mem::take(&mut desk.posts);
        drop(desk);
        // They are the user's, and so is what happens when they are dropped.
        drop(posts);
        self.set_hook(None);
    }

    pub(crate) fn set_hook(&self, hook: Option<Arc<GiveUpHook>>) {
        let mut current = self.hook.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, hook);
        drop(current);
        drop(old);
    }

    /// Whether a supervisor may have a successor for this process.
    pub(crate) fn is_supervised(&self, pid: Pid) -> bool {
        self.lock().tree.owner(pid).is_some()
    }

    /// Remembers who stops a process, for the `from` of its exit; `stop` says whether it was
    /// there to be stopped.
    pub(crate) fn stopped_by(
        &self,
        by: Pid,
        pid: Pid,
        exit: &Exit,
        stop: impl FnOnce() -> bool,
    ) -> bool {
        let mut desk = self.lock();
        let before = desk.stoppers.insert(pid, (by, exit.reason.clone()));
        desk.used = true;
        // Its end is reported to the desk, which is locked: the note is there by then.
        let stopped = stop();
        if !stopped {
            match before {
                Some(before) => drop(desk.stoppers.insert(pid, before)),
                None => drop(desk.stoppers.remove(&pid)),
            }
        }
        stopped
    }
}
