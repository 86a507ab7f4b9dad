//! Makes runtimes from chosen parts.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;

use iris_core::{Clock, SystemClock};
use iris_registry::{MemoryRegistry, Registry};
use thiserror::Error;

use crate::runtime::Runtime;

/// The parts of a [`Runtime`]; each has a default.
///
/// | option | default |
/// |---|---|
/// | [`workers`](Self::workers) | one for each processor |
/// | [`registry`](Self::registry) | [`MemoryRegistry`] |
/// | [`clock`](Self::clock) | [`SystemClock`] |
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder {
    pub(crate) workers: usize,
    pub(crate) registry: Box<dyn Registry>,
    pub(crate) clock: Arc<dyn Clock>,
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
