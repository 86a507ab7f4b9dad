//! What a scheduler over Tokio can be told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use iris_core::Pid;
use tokio::runtime::Handle;

use super::TokioScheduler;

/// A slice that goes on for longer than it should: its handler blocks or computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrun {
    /// Whose slice it is.
    pub pid: Pid,
    /// How long it has been seen running, and still is. It began up to one sample earlier:
    /// a quarter of the threshold, between 1 and 10 milliseconds.
    pub running_for: Duration,
}

/// Who is told of an [`Overrun`].
pub(super) type OnOverrun = Arc<dyn Fn(Overrun) + Send + Sync>;

/// How a [`TokioScheduler`] is to be.
///
/// | option | default |
/// |---|---|
/// | [`workers`](Self::workers) | 1 |
/// | [`overrun_after`](Self::overrun_after) | 100 milliseconds |
/// | [`on_overrun`](Self::on_overrun) | nobody is told, beside the log |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use iris_sched::TokioOptions;
///
/// let tokio = tokio::runtime::Builder::new_multi_thread().build().unwrap();
/// let scheduler = TokioOptions::default()
///     .workers(2)
///     .overrun_after(Some(Duration::from_millis(250)))
///     .start(tokio.handle().clone());
/// # drop(scheduler);
/// ```
#[derive(Clone)]
pub struct TokioOptions {
    pub(super) workers: usize,
    pub(super) overrun_after: Option<Duration>,
    pub(super) on_overrun: Option<OnOverrun>,
}

impl Default for TokioOptions {
    fn default() -> Self {
        Self {
            workers: 1,
            overrun_after: Some(Duration::from_millis(100)),
            on_overrun: None,
        }
    }
}

impl TokioOptions {
    /// Worker tasks, at least one. More than the runtime has threads is of no use.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// A slice that runs for longer than this is reported, once; `None`: none is.
    #[must_use]
    pub fn overrun_after(mut self, threshold: Option<Duration>) -> Self {
        self.overrun_after = threshold;
        self
    }

    /// Calls `f` with each slice that is reported, beside the warning in the log, on a
    /// thread that runs no processes. Until it returns nothing else is reported.
    #[must_use]
    pub fn on_overrun(mut self, f: impl Fn(Overrun) + Send + Sync + 'static) -> Self {
        self.on_overrun = Some(Arc::new(f));
        self
    }

    /// Starts the worker tasks on the runtime behind `handle`, and one thread that watches
    /// them and sleeps while they all do.
    pub fn start(self, handle: Handle) -> TokioScheduler {
        TokioScheduler::start_with(handle, self)
    }
}

impl fmt::Debug for TokioOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioOptions")
            .field("workers", &self.workers)
            .field("overrun_after", &self.overrun_after)
            .finish_non_exhaustive()
    }
}
