//! What a thread shows of the call that it is inside of.
//!
//! Two relaxed stores for each call, on a line that nobody else writes to: whoever wants to know
//! how long a call takes looks twice, so that calls need not look at a clock.

use std::cell::OnceCell;
use std::ffi::c_long;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use iris::Pid;

/// One thread that runs handlers.
#[repr(align(64))]
pub(crate) struct Pulse {
    /// Whose handler the thread is inside of; 0 between calls.
    pid: AtomicU64,
    /// Calls so far.
    calls: AtomicU64,
    /// What `threading.get_ident()` says there.
    pub(crate) ident: c_long,
}

thread_local! {
    static OWN: OnceCell<Arc<Pulse>> = const { OnceCell::new() };
}

/// One call of one handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) pid: Pid,
    number: u64,
}

/// Ends a call when it is dropped.
pub(crate) struct Inside;

impl Pulse {
    /// Makes the one of the calling thread.
    pub(crate) fn of_this_thread(ident: c_long) -> Arc<Self> {
        let made = || {
            Arc::new(Self {
                pid: AtomicU64::new(0),
                calls: AtomicU64::new(0),
                ident,
            })
        };
        OWN.with(|own| own.get_or_init(made).clone())
    }

    /// The calling thread is inside a handler of `pid` until what is returned is dropped.
    #[inline]
    pub(crate) fn enter(pid: Pid) -> Inside {
        OWN.with(|own| {
            if let Some(own) = own.get() {
                // Only this thread writes. The pid last: who sees it sees the number, or a later
                // one.
                let calls = own.calls.load(Ordering::Relaxed);
                own.calls.store(calls + 1, Ordering::Relaxed);
                own.pid.store(pid.raw(), Ordering::Release);
            }
        });
        Inside
    }

    /// The call that the thread is inside of, if any.
    pub(crate) fn call(&self) -> Option<Call> {
        let pid = Pid::from_raw(self.pid.load(Ordering::Acquire))?;
        let number = self.calls.load(Ordering::Relaxed);
        Some(Call { pid, number })
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        // Fails while the thread ends, where nobody looks any more.
        OWN.try_with(|own| {
            if let Some(own) = own.get() {
                own.pid.store(0, Ordering::Release);
            }
        })
        .ok();
    }
}
