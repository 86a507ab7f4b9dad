//! The scheduler port.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use iris_core::{BoxFuture, Pid};

use crate::process::Process;

/// Runs processes that have something to do.
///
/// A process belongs to one scheduler for life. Adapters: [`TokioScheduler`] for Rust
/// handlers, the guest lanes of the bindings for handlers of a guest language, and the
/// deterministic scheduler of `iris-testkit`.
///
/// [`TokioScheduler`]: crate::TokioScheduler
pub trait Scheduler: Send + Sync {
    /// `process` has something to do: call [`Ready::run`] once, soon, on a thread of the
    /// scheduler's own.
    ///
    /// Called on the thread of whoever sent a message, or at the end of a slice; once
    /// for each time a process goes from idle to scheduled, so rarely more often than
    /// once per message and usually far less. It must not block, and must not run the
    /// process before it returns: the caller may be in the middle of another process.
    ///
    /// Dropping a [`Ready`] unrun leaves its process for ever unscheduled; only a
    /// scheduler that has shut down may do so.
    fn ready(&self, process: Ready);

    /// Polls `future` to its end, on any thread.
    ///
    /// Called when a handler returned [`Step::Await`](iris_core::Step::Await), on the
    /// thread that ran the handler. Must not block.
    fn drive(&self, future: BoxFuture<()>);
}

/// The right to run one slice of one process, which is spent by doing so.
///
/// There is never more than one for a process: that is what keeps two threads out of it.
pub struct Ready(pub(crate) Arc<Process>);

impl Ready {
    /// Whose turn it is.
    pub fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Runs one slice: until the mailbox is empty, or the process's budget or
    /// [`SLICE_TIME`](crate::SLICE_TIME) is spent. A process that has more to do comes
    /// back through [`Scheduler::ready`] before this returns.
    ///
    /// Never panics over user code: a panic ends the process.
    pub fn run(self) {
        let pid = self.pid();
        // Handlers are guarded one by one. What is left is a behavior or a state that
        // panics while it is dropped: it must not take the worker along.
        if catch_unwind(AssertUnwindSafe(|| Process::run_slice(self.0))).is_err() {
            tracing::error!(pid = pid.raw(), "a behavior panicked while it was dropped");
        }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ready").field(&self.pid()).finish()
    }
}
