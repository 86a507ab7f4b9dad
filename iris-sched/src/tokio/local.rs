//! What belongs to one worker, and how `ready` finds it from inside a slice.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::Waker;

use crossbeam_deque::Worker;
use iris_core::Pid;

use super::shared::{Seat, Shared, one};
use crate::duty::Ready;
use crate::shift::Shift;

/// Slices in a row out of the slot for the next process, until the queue has its turn: two
/// processes that wake each other in turns would otherwise never let others run.
const LONGEST_CHAIN: u32 = 256;

/// Slices after which the injector is looked at before the worker's own queue, which a few
/// processes that always have more to do could keep from ever being empty. A prime, so
/// that it falls in step with no ring of processes.
const INJECTOR_STRIDE: u32 = 61;

thread_local! {
    /// The worker that is being polled on this thread. Borrowed mutably only at the two
    /// ends of a poll, when no process runs.
    static POLLED: RefCell<Option<Box<Local>>> = const { RefCell::new(None) };
}

/// Whether the calling thread is inside a worker's poll.
pub(super) fn is_inside_poll() -> bool {
    POLLED.try_with(|polled| polled.borrow().is_some()) == Ok(true)
}

/// Hands the process to the calling thread's worker, or back if that is not one of `shared`.
#[inline]
pub(super) fn offer(shared: &Arc<Shared>, process: Ready) -> Option<Ready> {
    let mut process = Some(process);
    // A thread whose locals are gone is no worker.
    let _ = POLLED.try_with(|polled| {
        if let Some(local) = &*polled.borrow()
            && Arc::ptr_eq(&local.shared, shared)
            && let Some(process) = process.take()
        {
            local.ready(process);
        }
    });
    process
}

/// Calls `f` with the worker in `home`, and has [`offer`] find it on this thread for so long.
/// The worker's task may be polled on another thread next time.
pub(super) fn poll<T>(home: &mut Option<Box<Local>>, f: impl FnOnce(&Local) -> T) -> T {
    let outer = POLLED.replace(home.take());
    debug_assert!(outer.is_none(), "a worker is polled inside another's poll");
    let _back_home = BackHome(home);
    POLLED.with_borrow(|polled| f(polled.as_ref().expect("it was put there just before")))
}

/// Gives the worker back to its task, also when the poll unwinds.
struct BackHome<'a>(&'a mut Option<Box<Local>>);

impl Drop for BackHome<'_> {
    fn drop(&mut self) {
        *self.0 = POLLED.take();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Working,
    Searching,
    Asleep,
}

/// One worker's own part.
pub(super) struct Local {
    shared: Arc<Shared>,
    index: usize,
    queue: Worker<Ready>,
    /// Whose slice is running.
    running: Cell<Option<Pid>>,
    /// Whether something was put into the slot for the next process. Only the worker fills
    /// the slot, so that it is surely empty if this is not set.
    has_next: Cell<bool>,
    chain: Cell<u32>,
    since_injector: Cell<u32>,
    slices: Cell<u64>,
    mood: Cell<Mood>,
}

impl Local {
    /// A worker that has not been polled, which is a way of being asleep.
    pub(super) fn new(shared: Arc<Shared>, index: usize, queue: Worker<Ready>) -> Self {
        Self {
            shared,
            index,
            queue,
            running: Cell::new(None),
            has_next: Cell::new(false),
            chain: Cell::new(0),
            since_injector: Cell::new(0),
            slices: Cell::new(0),
            mood: Cell::new(Mood::Asleep),
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn seat(&self) -> &Seat {
        &self.shared.seats[self.index]
    }

    /// A process was made ready by the slice that is running, or by something that this
    /// thread drops between slices.
    fn ready(&self, process: Ready) {
        // Nobody else makes a process ready that is running: its own slice is over and there
        // is more to do, after the others.
        let is_requeue = self.running.get() == Some(process.pid());
        if is_requeue || self.chain.get() >= LONGEST_CHAIN {
            // A whole slice of one process is over: what came from outside meanwhile goes
            // before its next.
            self.fetch_injected();
            self.queue.push(process);
            // One alone is what this worker runs next. Should it wait for a slice that blocks,
            // the watch sees it.
            if self.has_next.get() || self.queue.len() > 1 {
                self.call_for_help();
            }
            return;
        }
        let before = if self.has_next.replace(true) {
            self.seat().next.take()
        } else {
            None
        };
        self.seat().next.fill(process);
        if let Some(before) = before {
            self.queue.push(before);
            self.call_for_help();
        }
    }

    /// There is more in the queue than this worker runs next.
    #[inline]
    fn call_for_help(&self) {
        if let Some(worker) = self.shared.sleepers.pick_unfenced() {
            self.shared.wake(worker);
        }
    }

    /// The worker is polled: it may have been asleep.
    pub(super) fn get_up(&self) {
        if self.mood.get() == Mood::Asleep {
            if !self.shared.sleepers.get_up(self.index) {
                // Nobody who picked it has told the watch.
                self.shared.alarm.ring();
            }
            self.mood.set(Mood::Searching);
        }
    }

    /// Runs one slice.
    #[inline]
    pub(super) fn run(&self, process: Ready, shift: &mut Shift) {
        let pid = process.pid();
        let number = self.slices.get() + 1;
        self.slices.set(number);
        self.running.set(Some(pid));
        let pulse = &self.seat().pulse;
        pulse.begin(number, pid);
        shift.run(process);
        pulse.end();
        self.running.set(None);
    }

    /// The process to run next, out of the slot, the queues, or another worker's queue.
    #[inline]
    pub(super) fn find(&self) -> Option<Ready> {
        let process = match self.next() {
            Some(process) => process,
            None => self.search()?,
        };
        if self.mood.get() == Mood::Searching {
            self.mood.set(Mood::Working);
            if self.shared.sleepers.found() && self.shared.has_work() {
                self.call_for_help();
            }
        }
        Some(process)
    }

    #[inline]
    fn next(&self) -> Option<Ready> {
        self.since_injector.set(self.since_injector.get() + 1);
        if self.has_next.replace(false)
            && let Some(process) = self.seat().next.take()
        {
            self.chain.set(self.chain.get() + 1);
            return Some(process);
        }
        self.chain.set(0);
        if self.since_injector.get() >= INJECTOR_STRIDE
            && let Some(process) = self.next_injected()
        {
            return Some(process);
        }
        if let Some(process) = self.queue.pop() {
            if self.shared.sleepers.is_anyone_wanted() && !self.queue.is_empty() {
                self.call_for_help();
            }
            return Some(process);
        }
        self.next_injected()
    }

    /// Puts a batch from outside into the own queue.
    fn fetch_injected(&self) {
        if !self.shared.injector.is_empty() {
            while self.shared.injector.steal_batch(&self.queue).is_retry() {}
        }
    }

    /// The oldest from outside, with a batch of those behind it for the own queue.
    fn next_injected(&self) -> Option<Ready> {
        self.since_injector.set(0);
        if self.shared.injector.is_empty() {
            return None;
        }
        one(|| self.shared.injector.steal_batch_and_pop(&self.queue))
    }

    /// Half of what another worker has queued, beginning behind the own seat, so that not
    /// all go for the same.
    #[cold]
    fn search(&self) -> Option<Ready> {
        if self.mood.get() == Mood::Working {
            self.mood.set(Mood::Searching);
            self.shared.sleepers.search();
        }
        let (before, after) = self.shared.seats.split_at(self.index);
        let mut others = after.iter().skip(1).chain(before);
        others
            .find_map(|seat| one(|| seat.queue.steal_batch_and_pop(&self.queue)))
            .or_else(|| self.next_injected())
    }

    /// Goes to sleep after a search; `false` if there was something after all.
    pub(super) fn sleep(&self, waker: &Waker) -> bool {
        self.seat().wait_with(waker);
        self.shared.sleepers.lie_down(self.index);
        self.mood.set(Mood::Asleep);
        if self.shared.has_work() || self.shared.is_stopped() {
            self.get_up();
            return false;
        }
        true
    }

    /// Leaves everything where others can take it: the worker will not be polled for a
    /// while.
    pub(super) fn clear_desk(&self) {
        if self.has_next.replace(false)
            && let Some(process) = self.seat().next.take()
        {
            self.queue.push(process);
        }
    }
}
