//! Time-outs of what async actors wait for.
//!
//! Those of one length end in the order in which they began, so that each length has a queue:
//! what is over is taken from its front, and one timer of asyncio's stands for all of it. A
//! time-out that is not needed after all, as with nearly all of them, costs no timer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Something that may be over before its time is.
pub(crate) trait Wait {
    fn is_over(&self) -> bool;
    fn time_out(&self);
}

pub(crate) struct Deadlines<W>(Mutex<HashMap<Duration, Queue<W>>>);

struct Queue<W> {
    /// Earliest first.
    waits: VecDeque<(Instant, Arc<W>)>,
    /// Whether there is a timer.
    armed: bool,
}

impl<W> Default for Deadlines<W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<W: Wait> Deadlines<W> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Duration, Queue<W>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a wait that began at `now`. Whether a timer is to be set, to call
    /// [`expire`](Self::expire) after `timeout`.
    pub(crate) fn add(&self, timeout: Duration, now: Instant, wait: Arc<W>) -> bool {
        let Some(deadline) = now.checked_add(timeout) else {
            return false;
        };
        let mut queues = self.lock();
        let queue = queues.entry(timeout).or_insert_with(|| Queue {
            waits: VecDeque::new(),
            armed: false,
        });
        let mut over = Vec::new();
        while let Some((_, first)) = queue.waits.front()
            && first.is_over()
        {
            over.extend(queue.waits.pop_front());
        }
        queue.waits.push_back((deadline, wait));
        let arms = !std::mem::replace(&mut queue.armed, true);
        drop(queues);
        drop(over);
        arms
    }

    /// Times out what is due; after what time the timer is to look again, if at all.
    pub(crate) fn expire(&self, timeout: Duration, now: Instant) -> Option<Duration> {
        let mut due = Vec::new();
        let mut queues = self.lock();
        let queue = queues.get_mut(&timeout)?;
        while let Some((deadline, first)) = queue.waits.front()
            && (first.is_over() || *deadline <= now)
        {
            due.extend(queue.waits.pop_front());
        }
        let next = queue
            .waits
            .front()
            .map(|(deadline, _)| deadline.duration_since(now));
        if next.is_none() {
            queues.remove(&timeout);
        }
        drop(queues);
        for (_, wait) in due {
            wait.time_out();
        }
        next
    }
}
