//! The exit pipeline: the one place that every end of a process passes.
//!
//! In order: the mailbox is closed (by the scheduler, before it reports the exit) →
//! children are stopped, depth first → `on_stop` runs, until its deadline (see `undertaker`) →
//! its timers end → what was queued becomes dead letters → names and paths stop resolving, or are
//! kept for a successor, and groups are left → links and monitors are told → supervisors are told
//! (see `supervision`) → the exit is counted and logged → the pid leaves the table and those who
//! joined it are woken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use iris_core::{DeadLetter, DeadLetterReason, Exit, ExitReason, Exited, Host, Message, Pid};

use crate::runtime::Inner;
use crate::undertaker::{DROPPED, DROPPED_MESSAGE, contain};

/// What a user wants to hear about messages that nobody will handle.
type DeadLetterHook = dyn Fn(&DeadLetter) + Send + Sync;

/// How many processes have ended, by what their end means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitCounts {
    /// For reasons that are no failure: `normal`, `shutdown`, `killed`.
    pub clean: u64,
    /// For all others.
    pub failed: u64,
    /// Of both, those that went on without their `on_stop`, since it did not return by its
    /// deadline.
    pub late: u64,
}

/// The pipeline's own memory.
#[derive(Default)]
pub(crate) struct Exits {
    clean: AtomicU64,
    failed: AtomicU64,
    dead_letters: AtomicU64,
    /// Of those, the ones whose process had not ended.
    evicted: AtomicU64,
    refused: AtomicU64,
    /// Messages behind handlers that were given up: dead letters when those come back.
    behind: AtomicU64,
    hook: RwLock<Option<Arc<DeadLetterHook>>>,
    joiners: AtomicUsize,
    lock: Mutex<()>,
    someone_left: Condvar,
}

impl Exits {
    /// A process has ended: its children are stopped, and then it is finished, at once or
    /// when the last of them is gone; and so may be its own parent.
    pub(crate) fn process_exited(&self, inner: &Inner, exited: Exited) {
        let mut next = match inner.family.begin_exit(exited) {
            Ok(exited) => Some(exited),
            Err(children) => {
                for child in children {
                    Host::stop(inner, child, ExitReason::Shutdown.into());
                }
                None
            }
        };
        while let Some(exited) = next {
            next = self.finish(inner, exited);
        }
    }

    /// What follows on an `on_stop` that is late: the exit goes on without it.
    pub(crate) fn go_on(&self, inner: &Inner, exited: Exited) {
        let mut next = self.conclude(inner, exited);
        while let Some(exited) = next {
            next = self.finish(inner, exited);
        }
    }

    /// The rest of the pipeline, for a process that has no children any more. Returns the
    /// exit of its parent, if that waited for this one.
    pub(crate) fn finish(&self, inner: &Inner, exited: Exited) -> Option<Exited> {
        let exited = inner.undertaker.on_stop(exited)?;
        self.conclude(inner, exited)
    }

    /// All that comes after `on_stop`.
    pub(crate) fn conclude(&self, inner: &Inner, exited: Exited) -> Option<Exited> {
        let Exited {
            pid,
            exit,
            behavior,
            remaining,
            ..
        } = exited;
        contain(pid, DROPPED_MESSAGE, || {
            inner.timers.forget(pid);
        });
        self.bury(pid, &exit.reason, remaining);
        inner.supervision.exited(inner, pid, &exit);
        #[cfg(feature = "mesh")]
        inner.mesh.exited(pid, &exit);
        let name = catch_unwind(AssertUnwindSafe(|| behavior.name().to_owned()));
        // Counted before it leaves the table, which is what a joiner waits for; not again
        // if a shutdown has given it up already.
        if inner.table.get(pid).is_some() {
            self.count(pid, &exit, &name.unwrap_or_default());
        }
        // Before the family knows: of children that end on several threads, the last lets the
        // exit of their parent go on. What is removed may be dropped, which is the user's code.
        contain(pid, DROPPED, || {
            inner.table.remove(pid);
        });
        let parent = inner.family.gone(pid);
        self.wake_joiners(inner, pid);
        // Perhaps the last to hold it. The exit of the parent must not be lost with a panic.
        contain(pid, DROPPED, || drop(behavior));
        parent
    }

    /// The end of a process that nobody will run again, or whose handler does not return:
    /// what can be done without it. Should the handler return, its own exit finds the work
    /// done.
    pub(crate) fn abandon(&self, inner: &Inner, pid: Pid) {
        let Some((left, behind)) = inner.table.give_up(pid) else {
            return;
        };
        contain(pid, DROPPED_MESSAGE, || {
            inner.timers.forget(pid);
        });
        self.bury(pid, &ExitReason::Killed, left);
        self.behind.fetch_add(behind as u64, Ordering::Relaxed);
        // What it had is reserved by now if a supervisor gives it up, which expects no exit.
        inner
            .supervision
            .exited(inner, pid, &ExitReason::Killed.into());
        #[cfg(feature = "mesh")]
        inner.mesh.exited(pid, &ExitReason::Killed.into());
        self.failed.fetch_add(1, Ordering::Relaxed);
        if inner.is_shut_down() {
            // Who shuts down is told how many there are.
            tracing::info!(pid = pid.raw(), "process did not end in time");
        } else {
            tracing::error!(pid = pid.raw(), "process did not end in time");
        }
        self.wake_joiners(inner, pid);
    }

    /// Counts and reports what was queued when a process ended for this reason.
    pub(crate) fn bury(&self, to: Pid, reason: &ExitReason, remaining: Vec<Message>) {
        if remaining.is_empty() {
            return;
        }
        self.dead_letters
            .fetch_add(remaining.len() as u64, Ordering::Relaxed);
        let count = remaining.len();
        if reason.is_failure() {
            tracing::warn!(pid = to.raw(), count, "messages became dead letters");
        } else {
            // Who ends a process on purpose need not be warned.
            tracing::info!(pid = to.raw(), count, "messages became dead letters");
        }
        for message in remaining {
            let letter = DeadLetter {
                to,
                message,
                reason: DeadLetterReason::Stopped,
            };
            self.report(&letter);
            // Bytes may belong to somebody who is told when they are dropped.
            contain(to, DROPPED_MESSAGE, || drop(letter));
        }
    }

    /// Counts and reports what overflowed. Quietly, for a full mailbox may lose a message for each
    /// that it is sent.
    pub(crate) fn bury_one(&self, letter: &DeadLetter) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
        match letter.reason {
            DeadLetterReason::Evicted => self.evicted.fetch_add(1, Ordering::Relaxed),
            // Nobody was there to take them, and nobody to give them back to.
            DeadLetterReason::Refused | DeadLetterReason::Unreachable => {
                self.refused.fetch_add(1, Ordering::Relaxed)
            }
            _ => 0,
        };
        let reason = letter.reason.as_str();
        tracing::debug!(
            pid = letter.to.raw(),
            reason,
            "a message became a dead letter"
        );
        self.report(letter);
    }

    fn report(&self, letter: &DeadLetter) {
        let hook = self
            .hook
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(hook) = hook {
            contain(letter.to, "the dead-letter hook panicked", || hook(letter));
        }
    }

    fn count(&self, pid: Pid, exit: &Exit, behavior: &str) {
        if exit.reason.is_failure() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let failure = exit.failure.as_ref().map(tracing::field::display);
            if exit.reason == ExitReason::NoConnection {
                // The node's end is told, which is that of many.
                tracing::debug!(pid = pid.raw(), behavior, "process cannot be reached");
                return;
            }
            tracing::error!(pid = pid.raw(), behavior, reason = %exit.reason, failure, "process failed");
        } else {
            self.clean.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(pid = pid.raw(), behavior, reason = %exit.reason, "process ended");
        }
    }

    pub(crate) fn counts(&self, late: u64) -> ExitCounts {
        ExitCounts {
            late,
            clean: self.clean.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Relaxed)
    }

    /// All of them, those that were evicted and those that were refused.
    pub(crate) fn dead_letters_by_reason(&self) -> (u64, u64, u64) {
        // The whole last: it is never less than its parts.
        let evicted = self.evicted.load(Ordering::Acquire);
        let refused = self.refused.load(Ordering::Acquire);
        (self.dead_letters(), evicted, refused)
    }

    /// Messages behind handlers that were given up.
    pub(crate) fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    pub(crate) fn set_hook(&self, hook: Option<Arc<DeadLetterHook>>) {
        let mut current = self.hook.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, hook);
        drop(current);
        // The old one is the user's code, and may ask for anything while it is dropped.
        drop(old);
    }

    fn wake_joiners(&self, inner: &Inner, pid: Pid) {
        inner.mourners.gone(pid);
        // SeqCst here and in `wait_gone`: either this sees the joiner, or the joiner sees
        // that the process has left the table.
        if self.joiners.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.someone_left.notify_all();
        }
    }

    /// Blocks until `gone` says so or `timeout` is over; returns which.
    pub(crate) fn wait_gone(&self, timeout: Option<Duration>, gone: impl Fn() -> bool) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.joiners.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let result = loop {
            if gone() {
                break true;
            }
            let Some(deadline) = deadline else {
                guard = self
                    .someone_left
                    .wait(guard)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
            }
            let waited = self.someone_left.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(guard);
        self.joiners.fetch_sub(1, Ordering::SeqCst);
        result
    }
}
