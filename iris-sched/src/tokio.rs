//! The scheduler over Tokio worker tasks.
//!
//! ```text
//!   other threads --> injector --+
//!                                v          half of another's queue, when all is empty
//!   a running slice --> slot for the next --> run
//!                 |                |displaced  ^
//!                 +- own requeue --+-> queue --+
//! ```
//!
//! What the running slice makes ready runs next, while its data is in the cache; what was
//! to run next before goes to the worker's queue, which others may steal from. A process
//! that comes back with more to do goes to the end of the queue. At most 256 processes in a
//! row come out of the slot, and at least every 61 slices, such a row apart, the injector
//! is served first, so that everything gets its turn.
//!
//! | module | says |
//! |---|---|
//! | [`sleepers`] | who sleeps, and whom a push wakes: checked by loom |
//! | `options` | workers, overruns |
//! | `shared` | the queues, waking, the end |
//! | `local` | one worker's own part, and how `ready` finds it |
//! | `worker` | the task: one poll of slices |
//! | `pulse` | what a worker shows of its slice |
//! | `watch` | the thread that looks after workers that are stuck |

mod local;
mod options;
mod pulse;
mod shared;
pub mod sleepers;
mod watch;
mod worker;

use std::fmt;
use std::sync::Arc;

use crossbeam_deque::Worker;
use crossbeam_utils::CachePadded;
use iris_core::BoxFuture;
use tokio::runtime::Handle;

pub use self::options::{Overrun, TokioOptions};
use self::shared::{Seat, Shared};
use self::worker::WorkerTask;
use crate::duty::Ready;
use crate::scheduler::Scheduler;

/// Runs processes on a fixed number of Tokio tasks that take work from each other.
///
/// A process costs no task of its own: the workers take turns with whatever is ready.
/// They end when the scheduler is dropped or [`shut_down`](Self::shut_down).
///
/// A handler that blocks keeps its own worker only: what that worker had queued is taken
/// over by others, what it would have run next within 20 milliseconds.
pub struct TokioScheduler {
    shared: Arc<Shared>,
    handle: Handle,
}

impl TokioScheduler {
    /// Starts `workers` worker tasks, at least one, on the runtime behind `handle`. For
    /// more to choose see [`TokioOptions`].
    pub fn start(handle: Handle, workers: usize) -> Self {
        TokioOptions::default().workers(workers).start(handle)
    }

    fn start_with(handle: Handle, options: TokioOptions) -> Self {
        let queues: Vec<_> = std::iter::repeat_with(Worker::new_fifo)
            .take(options.workers)
            .collect();
        let seats = queues.iter().map(|queue| Seat::new(queue.stealer()));
        let seats = seats.map(CachePadded::new).collect();
        let shared = Arc::new(Shared::new(handle.clone(), seats));
        for (index, queue) in queues.into_iter().enumerate() {
            handle.spawn(WorkerTask::new(shared.clone(), index, queue));
        }
        watch::start(&shared, options);
        Self { shared, handle }
    }

    /// Lets the workers finish their slices and then end. What is still queued stays
    /// unrun. Does not wait, so that a handler may call it.
    pub fn shut_down(&self) {
        self.shared.stop();
    }
}

impl Drop for TokioScheduler {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Scheduler for TokioScheduler {
    #[inline]
    fn ready(&self, process: Ready) {
        if let Some(process) = local::offer(&self.shared, process) {
            self.shared.push(process);
        }
    }

    fn lends(&self) -> bool {
        true
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.handle.spawn(future);
    }
}

impl fmt::Debug for TokioScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioScheduler")
            .field("workers", &self.shared.seats.len())
            .field("is_stopped", &self.shared.is_stopped())
            .finish_non_exhaustive()
    }
}
