//! Idle, scheduled, running: the word that lets one thread in at a time.
//!
//! ```text
//!            notify: caller schedules            start
//!    IDLE ------------------------> SCHEDULED ----------> RUNNING ---+
//!     ^                                 ^                  |   ^     | notify
//!     |            finish               |                  |   |     v
//!     +---------------------------------|------------------+   |  NOTIFIED
//!     |                                 |     finish: true     |     |
//!     |                                 +----------------------|-----+
//!     |                                 |     requeue          |
//!     |                                 +----------------------+
//!     |                                               end: ENDED (for good)
//! ```
//!
//! Who pushes into a mailbox calls [`StateWord::notify`] *after* the push; the runner
//! calls [`StateWord::finish`] *after* it found the mailbox empty. Both are read-modify-
//! write operations on the same word with acquire and release, so one of them sees the
//! other: either the runner learns that it was notified and goes round again, or the
//! pusher finds the word idle and schedules. No wake-up is lost, and only the one caller
//! that moved the word out of IDLE, or that takes NOTIFIED back to SCHEDULED, holds the
//! right to run.

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicU8, Ordering};

const IDLE: u8 = 0;
const SCHEDULED: u8 = 1;
const RUNNING: u8 = 2;
const NOTIFIED: u8 = 3;
const ENDED: u8 = 4;

/// Where a process stands between its mailbox and its scheduler.
#[derive(Debug)]
pub struct StateWord(AtomicU8);

/// A snapshot of a [`StateWord`], out of date as soon as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing to do.
    Idle,
    /// In its scheduler's queue.
    Scheduled,
    /// Being run, or waiting for a future that its handler returned.
    Running,
    /// Gone for good.
    Ended,
}

impl Default for StateWord {
    fn default() -> Self {
        Self(AtomicU8::new(IDLE))
    }
}

impl StateWord {
    /// There is something in the mailbox. `true` if the caller must schedule the process.
    #[inline]
    #[must_use]
    pub fn notify(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = match seen {
                IDLE => SCHEDULED,
                RUNNING => NOTIFIED,
                // Even where nothing changes the exchange must happen: it is what makes
                // the push before it visible to the runner.
                same => same,
            };
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return seen == IDLE,
                Err(now) => seen = now,
            }
        }
    }

    /// The holder of the right to run begins. Call once for each `true` of
    /// [`notify`](Self::notify) or [`finish`](Self::finish) and each
    /// [`requeue`](Self::requeue).
    #[inline]
    pub fn start(&self) {
        let before = self.0.swap(RUNNING, Ordering::AcqRel);
        debug_assert_eq!(
            before, SCHEDULED,
            "a process was run that nobody had scheduled"
        );
    }

    /// The runner found the mailbox empty. `true` if something came meanwhile: the
    /// process is scheduled again and the caller holds the right to run.
    #[inline]
    #[must_use]
    pub fn finish(&self) -> bool {
        if self
            .0
            .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            return false;
        }
        self.requeue();
        true
    }

    /// The slice is over with the mailbox not empty; the right to run stays with the
    /// caller.
    #[inline]
    pub fn requeue(&self) {
        let before = self.0.swap(SCHEDULED, Ordering::AcqRel);
        debug_assert!(
            before == RUNNING || before == NOTIFIED,
            "only a runner gives up its turn"
        );
    }

    /// The process has ended; no notification will schedule it again.
    pub fn end(&self) {
        self.0.swap(ENDED, Ordering::AcqRel);
    }

    /// What the word says at this moment.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            IDLE => Phase::Idle,
            SCHEDULED => Phase::Scheduled,
            ENDED => Phase::Ended,
            _ => Phase::Running,
        }
    }
}
