//! What a worker shows of the slice it is in.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use iris_core::Pid;

/// Written by one worker, with plain stores; read now and then by the watch.
///
/// `slice` is 0 between slices. The worker stores the pid after the 0 of the slice before
/// and before the number of the new one, so a reader that sees the same number before and
/// after it read the pid has the pid of that slice.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    slice: AtomicU64,
    pid: AtomicU64,
}

impl Pulse {
    /// Slice `number`, not 0 and never used before, begins.
    #[inline]
    pub(super) fn begin(&self, number: u64, pid: Pid) {
        // Release: who sees this pid also sees that the slice before it is over.
        self.pid.store(pid.raw(), Ordering::Release);
        self.slice.store(number, Ordering::Release);
    }

    /// The slice is over.
    #[inline]
    pub(super) fn end(&self) {
        self.slice.store(0, Ordering::Release);
    }

    /// The slice that is running and whose it is; `None` between slices.
    pub(super) fn read(&self) -> Option<(u64, Pid)> {
        let slice = self.slice.load(Ordering::Acquire);
        let pid = self.pid.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if slice == 0 || self.slice.load(Ordering::Relaxed) != slice {
            return None;
        }
        Some((slice, Pid::from_raw(pid)?))
    }
}
