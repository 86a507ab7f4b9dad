//! Several workers of one kind that share work out among them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use iris_core::{Behavior, ExitReason, Host, Message, Pid};
use thiserror::Error;

use crate::runtime::Runtime;
use crate::spawn::SpawnError;

/// Workers that are there for good, and get messages in turn. Cheap to clone.
///
/// It does not keep the runtime alive, so a behavior may hold it. It does not look after its
/// workers either: one that ends is passed over from then on. As children of a parent they end
/// with it.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    host: Weak<dyn Host>,
    workers: Box<[Pid]>,
    next: AtomicUsize,
}

/// A pool that is about to be: `rt.pool(behavior).size(4).child_of(parent).start()`.
#[must_use = "nothing is spawned until `start` is called"]
pub struct PoolBuilder<'a> {
    runtime: &'a Runtime,
    behavior: Box<dyn FnMut(usize) -> Arc<dyn Behavior> + 'a>,
    size: usize,
    budget_reductions: Option<u32>,
    parent: Option<Pid>,
}

/// No worker of a pool took a message; it comes back inside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("none of the {workers} workers of the pool is alive")]
pub struct PoolSendError {
    /// How many there were.
    pub workers: usize,
    /// What could not be sent.
    pub message: Message,
}

/// Workers of a pool by default: 4, as `spawn_child_pool` has it in Python.
pub const POOL_SIZE: usize = 4;

impl Runtime {
    /// Begins a pool of workers with one behavior; each has a state of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let parent = rt.spawn(handler(|_, _| Step::Done)).start()?;
    /// let pool = rt
    ///     .pool(handler(|cx, work| {
    ///         println!("{} does {work:?}", cx.pid());
    ///         Step::Done
    ///     }))
    ///     .size(4)
    ///     .child_of(parent)
    ///     .start()?;
    /// for job in [&b"one"[..], b"two"] {
    ///     pool.send(job)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pool(&self, behavior: impl Behavior) -> PoolBuilder<'_> {
        let behavior: Arc<dyn Behavior> = Arc::new(behavior);
        PoolBuilder::new(self, Box::new(move |_| behavior.clone()))
    }

    /// Begins a pool whose workers have a behavior each: `make` gets the worker's number, from 0.
    pub fn pool_with<'a, B: Behavior>(
        &'a self,
        mut make: impl FnMut(usize) -> B + 'a,
    ) -> PoolBuilder<'a> {
        PoolBuilder::new(self, Box::new(move |worker| Arc::new(make(worker))))
    }
}

impl<'a> PoolBuilder<'a> {
    fn new(
        runtime: &'a Runtime,
        behavior: Box<dyn FnMut(usize) -> Arc<dyn Behavior> + 'a>,
    ) -> Self {
        Self {
            runtime,
            behavior,
            size: POOL_SIZE,
            budget_reductions: None,
            parent: None,
        }
    }

    /// How many workers; [4](POOL_SIZE) by default.
    pub fn size(mut self, workers: usize) -> Self {
        self.size = workers;
        self
    }

    /// Reductions for each slice of a worker, as for any process.
    pub fn budget(mut self, reductions: u32) -> Self {
        self.budget_reductions = Some(reductions);
        self
    }

    /// Makes the workers children of `parent`, to end with it.
    pub fn child_of(mut self, parent: Pid) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Spawns the workers, one after the other.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`], [`SpawnError::NoWorkers`] for a size of 0. Workers that were there by
    /// then are stopped, and count among the clean exits; so they are if a behavior cannot be
    /// made because that panics.
    pub fn start(mut self) -> Result<Pool, SpawnError> {
        if self.size == 0 {
            return Err(SpawnError::NoWorkers);
        }
        let mut hired = Hired {
            runtime: self.runtime,
            workers: Vec::new(),
        };
        for number in 0..self.size {
            hired.workers.push(self.start_worker(number)?);
        }
        let workers = std::mem::take(&mut hired.workers);
        let inner = Inner {
            host: self.runtime.host(),
            workers: workers.into(),
            next: AtomicUsize::new(0),
        };
        Ok(Pool {
            inner: Arc::new(inner),
        })
    }

    fn start_worker(&mut self, number: usize) -> Result<Pid, SpawnError> {
        let mut builder = self.runtime.spawn_shared((self.behavior)(number));
        if let Some(reductions) = self.budget_reductions {
            builder = builder.budget(reductions);
        }
        if let Some(parent) = self.parent {
            builder = builder.child_of(parent);
        }
        builder.start()
    }
}

/// The workers of a pool that is not whole yet. They go if it will not be.
struct Hired<'a> {
    runtime: &'a Runtime,
    workers: Vec<Pid>,
}

impl Drop for Hired<'_> {
    fn drop(&mut self) {
        for worker in &self.workers {
            self.runtime.stop(*worker, ExitReason::Killed);
        }
    }
}

impl Pool {
    /// Sends `message` to the next worker that takes it. Never waits. O(1) while all live, O(n)
    /// in the number of those that do not.
    ///
    /// What one sender sends to a pool is handled side by side and in any order.
    ///
    /// # Errors
    ///
    /// The message comes back in the error if no worker is alive, or the runtime is not.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), PoolSendError> {
        let Inner {
            host,
            workers,
            next,
        } = &*self.inner;
        let mut message = message.into();
        if let Some(host) = host.upgrade() {
            let first = next.fetch_add(1, Ordering::Relaxed) % workers.len();
            let (later, sooner) = workers.split_at(first);
            for worker in sooner.iter().chain(later) {
                match host.send(*worker, message) {
                    Ok(()) => return Ok(()),
                    Err(error) => message = error.into_message(),
                }
            }
        }
        let workers = workers.len();
        Err(PoolSendError { workers, message })
    }

    /// The workers, in the order in which they were spawned; those that have ended included.
    pub fn pids(&self) -> &[Pid] {
        &self.inner.workers
    }

    /// Asks all workers to end at once, as [`Runtime::stop`] with reason `killed`; how many were
    /// alive. Does not wait for them.
    pub fn stop(&self) -> usize {
        let Some(host) = self.inner.host.upgrade() else {
            return 0;
        };
        let workers = self.inner.workers.iter();
        workers
            .filter(|worker| host.stop(**worker, ExitReason::Killed.into()))
            .count()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.inner.workers).finish()
    }
}

impl fmt::Debug for PoolBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("size", &self.size)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}
