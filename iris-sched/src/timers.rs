//! Wake-ups at a point in time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use iris_core::{Clock, Pid};
use tokio::sync::Notify;

/// Wake-ups that are still to come, soonest first.
///
/// One task, [`Timers::run`], waits for all of them, so a process that sleeps costs an
/// entry of 32 bytes. Adding one is O(log n).
pub struct Timers {
    queue: Mutex<Queue>,
    earlier: Notify,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Queue {
    entries: BinaryHeap<Reverse<(Instant, u64, Pid)>>,
    /// Keeps wake-ups for one instant in the order in which they were asked for.
    asked: u64,
}

impl Timers {
    /// No wake-ups yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            queue: Mutex::default(),
            earlier: Notify::new(),
            clock,
        }
    }

    /// Asks for a wake-up of `pid` at `at`. Never waits.
    pub fn wake_at(&self, pid: Pid, at: Instant) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let soonest = queue
            .entries
            .peek()
            .is_none_or(|Reverse((first, ..))| at < *first);
        queue.asked += 1;
        let asked = queue.asked;
        queue.entries.push(Reverse((at, asked, pid)));
        drop(queue);
        if soonest {
            self.earlier.notify_one();
        }
    }

    /// Takes out what is due at `now`, soonest first, and says when the next is.
    pub fn take_due(&self, now: Instant) -> (Vec<Pid>, Option<Instant>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while let Some(Reverse((at, _, pid))) = queue.entries.peek() {
            if *at > now {
                return (due, Some(*at));
            }
            due.push(*pid);
            queue.entries.pop();
        }
        (due, None)
    }

    /// Calls `fire` for each wake-up when its time has come, until dropped. Cancel safe.
    pub async fn run(self: Arc<Self>, fire: impl Fn(Pid) + Send) {
        loop {
            let (due, next) = self.take_due(self.clock.now());
            due.into_iter().for_each(&fire);
            match next {
                // Either way round the loop looks again, so it does not matter which.
                Some(at) => drop(tokio::time::timeout_at(at.into(), self.earlier.notified()).await),
                None => self.earlier.notified().await,
            }
        }
    }
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Timers")
            .field("pending", &queue.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iris_core::SystemClock;

    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let timers = Timers::new(Arc::new(SystemClock));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let pid = |slot| Pid::new(slot, 1).unwrap();
        timers.wake_at(pid(3), at(30));
        timers.wake_at(pid(1), at(10));
        timers.wake_at(pid(2), at(10));
        assert_eq!(timers.take_due(at(9)), (vec![], Some(at(10))));
        assert_eq!(
            timers.take_due(at(10)),
            (vec![pid(1), pid(2)], Some(at(30)))
        );
        assert_eq!(timers.take_due(at(99)), (vec![pid(3)], None));
        assert_eq!(timers.take_due(at(99)), (vec![], None));
    }
}
