//! The scheduler over Tokio worker tasks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use iris_core::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::duty::Ready;
use crate::scheduler::Scheduler;

/// Slices that a worker runs before it lets other tasks of Tokio have a turn.
const SLICES_PER_POLL: u32 = 16;

/// Runs processes on a fixed number of Tokio tasks that share one queue.
///
/// A process costs no task of its own: the workers take turns with whatever is ready.
/// They end when the scheduler is dropped or [`shut_down`](Self::shut_down).
#[derive(Debug)]
pub struct TokioScheduler {
    shared: Arc<Shared>,
    handle: Handle,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<VecDeque<Ready>>,
    work: Notify,
    stopped: AtomicBool,
}

impl TokioScheduler {
    /// Starts `workers` worker tasks, at least one, on the runtime behind `handle`.
    pub fn start(handle: Handle, workers: usize) -> Self {
        let shared = Arc::new(Shared::default());
        for _ in 0..workers.max(1) {
            handle.spawn(Arc::clone(&shared).work());
        }
        Self { shared, handle }
    }

    /// Lets the workers finish their slices and then end. What is still queued stays
    /// unrun.
    pub fn shut_down(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.work.notify_waiters();
        // For a worker that was just about to wait.
        self.shared.work.notify_one();
    }
}

impl Drop for TokioScheduler {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Scheduler for TokioScheduler {
    fn ready(&self, process: Ready) {
        self.shared.lock().push_back(process);
        self.shared.work.notify_one();
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.handle.spawn(future);
    }
}

impl Shared {
    async fn work(self: Arc<Self>) {
        let mut until_yield = SLICES_PER_POLL;
        while !self.stopped.load(Ordering::Acquire) {
            let Some(ready) = self.next() else {
                self.work.notified().await;
                continue;
            };
            ready.run();
            until_yield -= 1;
            if until_yield == 0 {
                until_yield = SLICES_PER_POLL;
                tokio::task::yield_now().await;
            }
        }
        // One stored permit wakes one worker; pass it on to the next.
        self.work.notify_one();
    }

    fn next(&self) -> Option<Ready> {
        let mut queue = self.lock();
        let ready = queue.pop_front()?;
        if !queue.is_empty() {
            // Permits do not add up while nobody waits: who finds more than it can take
            // wakes the next.
            self.work.notify_one();
        }
        Some(ready)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Ready>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
