//! How many processes have work: for draining a runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts the processes of a runtime that are scheduled, running or awaiting.
///
/// A runtime is quiet when the count is zero: then every mailbox is empty, and nothing
/// but a timer or an outside sender can make it busy again.
#[derive(Debug, Default)]
pub struct Activity {
    busy: AtomicUsize,
    waiters: AtomicUsize,
    lock: Mutex<()>,
    quiet: Condvar,
}

impl Activity {
    /// A process has left idleness.
    #[inline]
    pub(crate) fn begin(&self) {
        self.busy.fetch_add(1, Ordering::SeqCst);
    }

    /// A process has become idle or has ended.
    #[inline]
    pub(crate) fn end(&self) {
        // SeqCst on both words: either this sees a waiter, or the waiter sees zero.
        if self.busy.fetch_sub(1, Ordering::SeqCst) == 1 && self.waiters.load(Ordering::SeqCst) > 0
        {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.quiet.notify_all();
        }
    }

    /// Processes that have work at this moment.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    /// Blocks the calling thread until no process has work, or until `timeout` is over;
    /// says whether it is quiet. Not for threads that run processes.
    pub fn wait_quiet(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = loop {
            if self.busy() == 0 {
                break true;
            }
            let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break false;
            }
            guard = self
                .quiet
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        };
        drop(guard);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        quiet
    }
}
