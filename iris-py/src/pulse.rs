//! What a thread shows of the slice that it is inside of.
//!
//! Two relaxed stores for each slice, on a line that nobody else writes to: whoever wants to know
//! how long a handler takes looks twice, so that handlers need not look at a clock. A slice that
//! is long is long at one message: it ends after 25 us of short ones.

use std::cell::OnceCell;
use std::ffi::c_long;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use iris::Pid;

/// One thread that runs handlers.
#[repr(align(64))]
pub(crate) struct Pulse {
    /// Whose slice the thread is inside of; 0 between slices.
    pid: AtomicU64,
    /// Slices so far.
    slices: AtomicU64,
    /// What `threading.get_ident()` says there.
    pub(crate) ident: c_long,
}

thread_local! {
    static OWN: OnceCell<Arc<Pulse>> = const { OnceCell::new() };
}

/// One slice of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) pid: Pid,
    number: u64,
}

/// Ends a slice when it is dropped.
pub(crate) struct Inside<'a>(&'a Pulse);

impl Pulse {
    /// Makes the one of the calling thread.
    pub(crate) fn of_this_thread(ident: c_long) -> Arc<Self> {
        let made = || {
            Arc::new(Self {
                pid: AtomicU64::new(0),
                slices: AtomicU64::new(0),
                ident,
            })
        };
        OWN.with(|own| own.get_or_init(made).clone())
    }

    /// The one of the calling thread, if it was made.
    pub(crate) fn own() -> Option<Arc<Self>> {
        OWN.with(|own| own.get().cloned())
    }

    /// The calling thread, whose pulse this is, runs `pid` until what is returned is dropped.
    #[inline]
    pub(crate) fn enter(&self, pid: Pid) -> Inside<'_> {
        // Only this thread writes. The pid last: who sees it sees the number, or a later one.
        let slices = self.slices.load(Ordering::Relaxed);
        self.slices.store(slices + 1, Ordering::Relaxed);
        self.pid.store(pid.raw(), Ordering::Release);
        Inside(self)
    }

    /// The call that the thread is inside of, if any.
    pub(crate) fn call(&self) -> Option<Call> {
        let pid = Pid::from_raw(self.pid.load(Ordering::Acquire))?;
        let number = self.slices.load(Ordering::Relaxed);
        Some(Call { pid, number })
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.pid.store(0, Ordering::Release);
    }
}
