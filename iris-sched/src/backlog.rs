//! Mailboxes that fill faster than they are emptied.
//!
//! A mailbox without bounds takes what it is sent until there is no memory left, so that it fills
//! up must be seen before. Whoever runs a process looks at the end of a slice that leaves
//! something behind; senders are not held up. A process whose handler does not come back has no
//! such end, and is told of as that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use iris_core::Pid;

use crate::cell::Cell;
use crate::process::Process;

/// User messages that wait in one mailbox when that is told for the first time, as a warning;
/// again with each doubling. A process tells each of these once in its life.
pub const HIGH_WATER: usize = 10_000;

impl Cell {
    /// Looks how much is left for the next slice. For the holder of the duty.
    #[inline]
    pub(crate) fn note_backlog(&'static self, pid: Pid) {
        let waiting = self.mailbox().len();
        if waiting >= HIGH_WATER {
            self.tell_backlog(pid, waiting);
        }
    }

    #[cold]
    fn tell_backlog(&'static self, pid: Pid, waiting: usize) {
        let mut rare = self.rare();
        let mark = &mut rare.get_or_insert_default().high_water;
        if waiting < *mark {
            return;
        }
        let mut next = HIGH_WATER;
        while next <= waiting {
            next = next.saturating_mul(2);
        }
        *mark = next;
        drop(rare);
        // Code of users: it must not end a process that is only slow.
        let name = || Process::new(self, pid).behavior_name();
        let behavior = catch_unwind(AssertUnwindSafe(name)).unwrap_or_default();
        tracing::warn!(
            pid = pid.raw(),
            behavior,
            waiting,
            "many messages wait in a mailbox: more come than its process handles"
        );
    }
}
