//! One worker: a Tokio task that runs slices.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_deque::Worker;

use super::local::{self, Local};
use super::shared::Shared;
use crate::duty::Ready;
use crate::shift::Shift;

/// How long a poll goes on, with work in plenty, until the other tasks of Tokio have their
/// turn: timers, and the futures of processes that wait.
///
/// Each return makes Tokio tell an idle thread of the task that wants to go on, which costs
/// some microseconds: with this about two percent, with a tenth of a millisecond eight.
const POLL_TIME: Duration = Duration::from_micros(250);

/// Slices between two looks at the clock, each of which costs about 30 ns.
const CLOCK_STRIDE: u32 = 16;

/// Polled by Tokio, on a thread of its choice.
pub(super) struct WorkerTask {
    /// Away for the length of a poll.
    local: Option<Box<Local>>,
    shared: Arc<Shared>,
}

impl WorkerTask {
    pub(super) fn new(shared: Arc<Shared>, index: usize, queue: Worker<Ready>) -> Self {
        Self {
            local: Some(Box::new(Local::new(shared.clone(), index, queue))),
            shared,
        }
    }
}

impl Future for WorkerTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Dropped after the poll: with it may go the last reference to the runtime.
        let mut shift = Shift::default();
        let polled = local::poll(&mut self.local, |local| work(local, cx.waker(), &mut shift));
        if polled.is_ready() {
            self.end();
        }
        polled
    }
}

impl WorkerTask {
    /// Says once that this worker will run nothing more.
    fn end(&mut self) {
        if let Some(local) = self.local.take() {
            drop(local);
            self.shared.worker_ended();
        }
    }
}

impl Drop for WorkerTask {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs slices until the scheduler stops, there is nothing to do, or the poll has been long
/// enough.
fn work(local: &Local, waker: &Waker, shift: &mut Shift) -> Poll<()> {
    local.get_up();
    let mut turn = Turn::default();
    while !local.shared().is_stopped() {
        let Some(process) = local.find() else {
            // Without waiting for more to come: on this very thread, behind this task, there
            // may be one that the last slice has woken, with the answer to its question.
            if local.sleep(waker) {
                return Poll::Pending;
            }
            continue;
        };
        local.run(process, shift);
        if turn.is_over() {
            local.clear_desk();
            waker.wake_by_ref();
            return Poll::Pending;
        }
    }
    Poll::Ready(())
}

/// The length of one poll.
#[derive(Default)]
struct Turn {
    slices: u32,
    /// Set with the first look at the clock, which short polls do without.
    since: Option<Instant>,
}

impl Turn {
    /// Called after each slice.
    #[inline]
    fn is_over(&mut self) -> bool {
        self.slices += 1;
        if !self.slices.is_multiple_of(CLOCK_STRIDE) {
            return false;
        }
        let now = Instant::now();
        now.duration_since(*self.since.get_or_insert(now)) >= POLL_TIME
    }
}
