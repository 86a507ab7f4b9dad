//! Makes runtimes from chosen parts.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use iris_core::{Clock, SystemClock};
use iris_registry::{MemoryRegistry, Registry};
use iris_sched::{Overrun, TokioOptions};
use thiserror::Error;

use crate::pull::{MOST_PULL_ACTORS, PULL_STACK_BYTES};
use crate::runtime::Runtime;
use crate::undertaker::ON_STOP_DEADLINE;

/// The parts of a [`Runtime`]; each has a default.
///
/// | option | default |
/// |---|---|
/// | [`workers`](Self::workers) | one for each processor |
/// | [`registry`](Self::registry) | [`MemoryRegistry`] |
/// | [`clock`](Self::clock) | [`SystemClock`] |
/// | [`pull_actors`](Self::pull_actors) | [10,000](MOST_PULL_ACTORS) |
/// | [`pull_stack_bytes`](Self::pull_stack_bytes) | [256 KiB](PULL_STACK_BYTES) |
/// | [`mailbox_capacity`](Self::mailbox_capacity) | none |
/// | [`overrun_after`](Self::overrun_after) | 100 ms |
/// | [`on_overrun`](Self::on_overrun) | the log |
/// | [`on_stop_deadline`](Self::on_stop_deadline) | [5 s](ON_STOP_DEADLINE) |
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder {
    pub(crate) workers: usize,
    pub(crate) registry: Box<dyn Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pull_actors: usize,
    pub(crate) pull_stack_bytes: usize,
    pub(crate) on_stop_deadline: Duration,
    pub(crate) mailbox_capacity: Option<NonZeroU32>,
    pub(crate) scheduler: TokioOptions,
}

/// A runtime could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operating system gave no threads.
    #[error("the runtime's worker threads could not be started")]
    Threads(#[source] io::Error),
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: available_parallelism().map_or(1, usize::from),
            registry: Box::new(MemoryRegistry::default()),
            clock: Arc::new(SystemClock),
            pull_actors: MOST_PULL_ACTORS,
            pull_stack_bytes: PULL_STACK_BYTES,
            on_stop_deadline: ON_STOP_DEADLINE,
            mailbox_capacity: None,
            scheduler: TokioOptions::default(),
        }
    }
}

impl Builder {
    /// Threads that run Rust handlers and timers; at least one is started.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Where names and paths are kept.
    pub fn registry(mut self, registry: impl Registry + 'static) -> Self {
        self.registry = Box::new(registry);
        self
    }

    /// Where time comes from. It must tell the time that Tokio's timers wait for, or
    /// none of the runtime's wake-ups come.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many pull actors may have a thread at a time; one more is refused with
    /// [`SpawnError::TooManyPullActors`](crate::SpawnError::TooManyPullActors). Async actors
    /// and handlers do not count.
    pub fn pull_actors(mut self, most: usize) -> Self {
        self.pull_actors = most;
        self
    }

    /// Bytes of the stack of each pull actor. Operating systems raise what is too small for
    /// them.
    pub fn pull_stack_bytes(mut self, bytes: usize) -> Self {
        self.pull_stack_bytes = bytes;
        self
    }

    /// How long the exit of a process waits for its [`on_stop`](iris_core::Behavior::on_stop).
    /// After that the exit goes on: what was queued becomes dead
    /// letters, names are free, a parent's exit goes on and joiners are woken. The `on_stop`
    /// itself cannot be ended; it keeps the thread that it blocks, and the process counts among
    /// [`ExitCounts::late`](crate::ExitCounts::late).
    pub fn on_stop_deadline(mut self, deadline: Duration) -> Self {
        self.on_stop_deadline = deadline;
        self
    }

    /// Has mailboxes take at most so many user messages that wait, unless a process is spawned
    /// with a [`capacity`](crate::SpawnBuilder::capacity) of its own. `None`: any number.
    pub fn mailbox_capacity(mut self, messages: Option<NonZeroU32>) -> Self {
        self.mailbox_capacity = messages;
        self
    }

    /// A slice of a Rust handler that runs for longer than this is reported, once, with its pid:
    /// such a handler blocks, or computes without giving way. `None`: none is.
    pub fn overrun_after(mut self, threshold: Option<Duration>) -> Self {
        self.scheduler = self.scheduler.overrun_after(threshold);
        self
    }

    /// Calls `f` with each slice that is reported, beside the warning in the log, on a thread
    /// that runs no processes.
    pub fn on_overrun(mut self, f: impl Fn(Overrun) + Send + Sync + 'static) -> Self {
        self.scheduler = self.scheduler.on_overrun(f);
        self
    }

    /// Starts the runtime's threads.
    ///
    /// # Errors
    ///
    /// [`StartError::Threads`].
    pub fn start(self) -> Result<Runtime, StartError> {
        Runtime::start(self)
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
