//! The scheduler port.

use iris_core::{BoxFuture, Exit, ExitReason, Failure, Step};

use crate::duty::Ready;
use crate::park::Parked;

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
    fn ready(&self, process: Ready);

    /// Whether one message of an idle process may be handled on the thread of somebody who asks
    /// it, instead of on a thread of the scheduler's: who asks would only wait. Asked once for
    /// each cohort; `false` unless handlers can run on any thread.
    fn lends(&self) -> bool {
        false
    }

    /// Polls `future` to its end, on any thread.
    ///
    /// Called when a handler returned [`Step::Await`](iris_core::Step::Await), on the
    /// thread that ran the handler. Must not block.
    fn drive(&self, future: BoxFuture<()>);

    /// A handler has returned [`Step::Park`]: keep this until what it waits for is there.
    ///
    /// Called on the thread that ran the handler, right after it. Must not block. By default the
    /// process ends, reason `crash`.
    fn park(&self, parked: Parked) {
        let failure = Failure {
            kind: "park".to_owned(),
            message: "the scheduler of this process has no way to resume it".to_owned(),
            traceback: String::new(),
        };
        let mut exit = Exit::from(ExitReason::Crash);
        exit.failure = Some(Box::new(failure));
        parked.resume(Step::Stop(exit));
    }
}
