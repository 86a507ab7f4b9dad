//! What the workers of one scheduler share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crossbeam_deque::{Injector, Steal, Stealer};
use crossbeam_utils::CachePadded;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::local;
use super::pulse::Pulse;
use super::sleepers::Sleepers;
use super::watch::Alarm;
use crate::duty::{Ready, ReadySlot};

/// The queues and the signs of one scheduler.
pub(super) struct Shared {
    /// What comes from threads that are no workers of this scheduler.
    pub(super) injector: Injector<Ready>,
    pub(super) seats: Box<[CachePadded<Seat>]>,
    pub(super) sleepers: Sleepers,
    pub(super) alarm: Arc<Alarm>,
    stopped: AtomicBool,
    /// Workers that have not ended.
    working: AtomicUsize,
    handle: Handle,
    /// Whether a task that is woken inside a poll can be left waiting for its end.
    parks_woken_tasks: bool,
}

/// What one worker shows to the others.
pub(super) struct Seat {
    /// The other end of the worker's queue.
    pub(super) queue: Stealer<Ready>,
    /// What the worker runs next. Atomic so that it can be taken out of the hands of a
    /// worker whose handler blocks; the exchange that takes it out costs about 6 ns.
    pub(super) next: ReadySlot,
    pub(super) pulse: Pulse,
    waker: Mutex<Option<Waker>>,
}

impl Seat {
    pub(super) fn new(queue: Stealer<Ready>) -> Self {
        Self {
            queue,
            next: ReadySlot::default(),
            pulse: Pulse::default(),
            waker: Mutex::new(None),
        }
    }

    /// How the worker will be woken. Costs a lock that is free nearly always.
    pub(super) fn wait_with(&self, waker: &Waker) {
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn wake(&self) {
        let slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        // None before the first poll, which will come without this.
        if let Some(waker) = &*slot {
            waker.wake_by_ref();
        }
    }
}

impl Shared {
    pub(super) fn new(handle: Handle, seats: Box<[CachePadded<Seat>]>) -> Self {
        Self {
            injector: Injector::new(),
            sleepers: Sleepers::new(seats.len()),
            alarm: Arc::default(),
            stopped: AtomicBool::new(false),
            working: AtomicUsize::new(seats.len()),
            parks_woken_tasks: handle.runtime_flavor() == RuntimeFlavor::MultiThread,
            handle,
            seats,
        }
    }

    /// From a thread that is no worker of this scheduler.
    pub(super) fn push(&self, process: Ready) {
        if self.is_stopped() {
            return;
        }
        self.injector.push(process);
        if let Some(worker) = self.sleepers.pick() {
            self.wake(worker);
        }
        // The last worker may have cleared the queues just before.
        if self.working.load(Ordering::SeqCst) == 0 {
            self.clear();
        }
    }

    /// Wakes a worker that was picked.
    pub(super) fn wake(&self, worker: usize) {
        self.alarm.ring();
        self.seats[worker].wake();
        if self.parks_woken_tasks && local::is_inside_poll() {
            // A task woken inside a poll goes to a slot of this Tokio thread from which no
            // other thread can take it, and would wait until the running handler, which may
            // block, is done. The next task to come pushes it out, to where an idle thread
            // is told of it: one that does nothing is enough.
            self.handle.spawn(async {});
        }
    }

    /// Whether anything is in a queue that a worker can take from.
    pub(super) fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.seats.iter().any(|seat| !seat.queue.is_empty())
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Lets the workers end after the slices they are in.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.alarm.stop();
        // One that is about to sleep looks for the sign after it has left its waker, so
        // either it sees the sign or the waker is found here.
        for seat in &self.seats {
            seat.wake();
        }
    }

    /// A worker is gone. With the last one go the processes that nobody will run, each of
    /// which may hold this scheduler.
    pub(super) fn worker_ended(&self) {
        if self.working.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Also when it was not told to, because its Tokio runtime is shutting down.
            self.stop();
            self.clear();
        }
    }

    fn clear(&self) {
        while let Some(process) = one(|| self.injector.steal()) {
            discard(process);
        }
        for seat in &self.seats {
            seat.next.take().into_iter().for_each(discard);
            while let Some(process) = one(|| seat.queue.steal()) {
                discard(process);
            }
        }
    }
}

/// Steals until it is clear whether there is one.
pub(super) fn one(steal: impl Fn() -> Steal<Ready>) -> Option<Ready> {
    loop {
        match steal() {
            Steal::Success(process) => return Some(process),
            // Another thread has just taken one: there is progress.
            Steal::Retry => {}
            Steal::Empty => return None,
        }
    }
}

/// Drops a process unrun. Its state may be dropped with it, and panic.
fn discard(process: Ready) {
    if catch_unwind(AssertUnwindSafe(|| drop(process))).is_err() {
        tracing::error!("a state panicked while it was dropped with its scheduler");
    }
}
