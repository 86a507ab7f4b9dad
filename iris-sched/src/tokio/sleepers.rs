//! Who sleeps, who searches, and whom a push wakes.
//!
//! A worker is awake with work, searching for work, or asleep. One word counts the
//! searching and the sleeping ones; a list under a lock, off the fast path, says who
//! sleeps.
//!
//! ```text
//!   who pushes               a worker that finds nothing
//!   ----------               ---------------------------
//!   push                     lie_down: searching -1, sleeping +1
//!   fence(SeqCst)            fence(SeqCst)
//!   read the counts          look everywhere again
//! ```
//!
//! The two fences are in one order. If the worker's comes first, the pusher reads that it
//! sleeps and wakes it; if the pusher's comes first, the worker's second look sees what was
//! pushed. The same holds for a searcher that finds something and searches no more
//! ([`Sleepers::found`]): a pusher that was content with its searching is seen by the look
//! that must follow. So nothing is ever queued with all workers asleep, which loom checks.
//!
//! A push wakes one worker, and none while another searches. The woken one counts as
//! searching from the moment it is picked, long before its thread runs.

#[cfg(feature = "loom")]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering, fence},
};
use std::sync::PoisonError;
#[cfg(not(feature = "loom"))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering, fence},
};

const SEARCHER: usize = 1;
const SLEEPER: usize = 1 << (usize::BITS / 2);

/// The workers of one scheduler that have no work.
#[derive(Debug)]
pub struct Sleepers {
    /// Searching workers in the lower half of the bits, sleeping ones in the upper.
    counts: AtomicUsize,
    /// Who sleeps; the last to lie down, whose cache is the warmest, gets up first.
    asleep: Mutex<Vec<usize>>,
}

impl Sleepers {
    /// `workers` workers, all of them asleep.
    pub fn new(workers: usize) -> Self {
        Self {
            counts: AtomicUsize::new(workers * SLEEPER),
            asleep: Mutex::new((0..workers).rev().collect()),
        }
    }

    /// Something was pushed to where every worker looks: the worker to wake, if any.
    #[inline]
    pub fn pick(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        self.pick_unfenced()
    }

    /// As [`pick`](Self::pick), for a worker that pushed to its own queue and is awake
    /// itself. Without the fence it may miss one that is just lying down, which costs some
    /// parallelism until it asks again, but leaves nothing behind. About a nanosecond.
    #[inline]
    pub fn pick_unfenced(&self) -> Option<usize> {
        if self.is_anyone_wanted() {
            self.take_one(false)
        } else {
            None
        }
    }

    /// Whether there is someone to wake and nobody searching; out of date at once.
    #[inline]
    pub fn is_anyone_wanted(&self) -> bool {
        let counts = self.counts.load(Ordering::Relaxed);
        counts >= SLEEPER && counts.is_multiple_of(SLEEPER)
    }

    /// A sleeping worker even if others search: for work that has been waiting too long.
    pub fn pick_in_need(&self) -> Option<usize> {
        self.take_one(true)
    }

    /// A worker that was awake begins to search.
    pub fn search(&self) {
        self.counts.fetch_add(SEARCHER, Ordering::Relaxed);
    }

    /// A searching worker has found something. `true` if nobody searches any more: the
    /// caller must then look everywhere, and [`pick`](Self::pick) if there is more.
    #[must_use]
    pub fn found(&self) -> bool {
        let before = self.counts.fetch_sub(SEARCHER, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        before % SLEEPER == SEARCHER
    }

    /// A searching worker goes to sleep. It must look everywhere once more before it really
    /// does, and [`get_up`](Self::get_up) if there is something.
    pub fn lie_down(&self, worker: usize) {
        let mut asleep = self.lock();
        asleep.push(worker);
        self.counts.fetch_add(SLEEPER - SEARCHER, Ordering::Relaxed);
        drop(asleep);
        fence(Ordering::SeqCst);
    }

    /// A worker is awake and searches, whether it was picked or came by itself; `true` if
    /// it was picked.
    pub fn get_up(&self, worker: usize) -> bool {
        let mut asleep = self.lock();
        let Some(at) = asleep.iter().position(|one| *one == worker) else {
            return true;
        };
        asleep.remove(at);
        self.counts.fetch_sub(SLEEPER - SEARCHER, Ordering::Relaxed);
        false
    }

    /// Whether all of `workers` are asleep; out of date at once.
    pub fn are_all_asleep(&self, workers: usize) -> bool {
        self.counts.load(Ordering::Relaxed) == workers * SLEEPER
    }

    #[cold]
    fn take_one(&self, though_others_search: bool) -> Option<usize> {
        let mut asleep = self.lock();
        // Again under the lock: of many that push at once, one wakes somebody.
        if !though_others_search && !self.is_anyone_wanted() {
            return None;
        }
        let worker = asleep.pop()?;
        self.counts.fetch_sub(SLEEPER - SEARCHER, Ordering::Relaxed);
        Some(worker)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
