//! Messages and wake-ups at a point in time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iris_core::{Clock, Message, Pid};
use tokio::sync::Notify;

/// Names one timer of one runtime, for [`Timers::cancel`]. Never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(NonZeroU64);

impl TimerId {
    /// The id as a plain number, from 1.
    pub const fn raw(self) -> u64 {
        self.0.get()
    }

    /// Reads an id that came as a plain number; `None` for 0.
    pub fn from_raw(raw: u64) -> Option<Self> {
        NonZeroU64::new(raw).map(Self)
    }
}

/// Something whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Give the process its wake-up.
    Wake(Pid),
    /// Send the process this message.
    Send(Pid, Message),
    /// The same for a timer that fires again and again; not if the one before
    /// [still waits](Timers::last_tick).
    Tick(TimerId, Pid, Message),
}

/// What is still to come, soonest first.
///
/// A state machine with a driver: [`take_due`](Self::take_due) is told the time, and one
/// task, [`run`](Self::run), waits for all timers of a runtime. Adding and cancelling are
/// O(log n), amortized; a timer costs about 150 bytes, a wake-up 32.
pub struct Timers {
    queue: Mutex<Queue>,
    earlier: Notify,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Queue {
    /// By time, and by number for one time. An entry whose timer is gone was cancelled.
    entries: BinaryHeap<Reverse<(Instant, u64, What)>>,
    timers: HashMap<TimerId, Timer>,
    of_process: HashMap<Pid, Vec<TimerId>>,
    last_number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Wake(Pid),
    Timer(TimerId),
}

struct Timer {
    to: Pid,
    message: Message,
    /// `None` for a timer that fires once.
    period: Option<Duration>,
    /// Where its last message stands in the mailbox.
    last: Option<u32>,
}

impl Timers {
    /// Nothing to come yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            queue: Mutex::default(),
            earlier: Notify::new(),
            clock,
        }
    }

    /// Asks for a wake-up of `pid` at `at`. Never waits.
    pub fn wake_at(&self, pid: Pid, at: Instant) {
        let mut queue = self.lock();
        let number = queue.next_number();
        let soonest = queue.add(at, number, What::Wake(pid));
        drop(queue);
        self.announce(soonest);
    }

    /// Sends `message` to `to` once, after `delay`. Never waits.
    pub fn send_after(&self, to: Pid, delay: Duration, message: Message) -> TimerId {
        self.start(to, delay, message, None)
    }

    /// Sends `message` to `to` every `period`, the first time after one period, until it is
    /// cancelled or `to` ends. Never waits.
    ///
    /// Ticks that were missed, because the machine slept or was busy or the one before still
    /// waits to be handled, are not made up for; the later ones keep their beat.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    pub fn send_interval(&self, to: Pid, period: Duration, message: Message) -> TimerId {
        assert!(
            !period.is_zero(),
            "a timer cannot fire without end at one instant"
        );
        self.start(to, period, message, Some(period))
    }

    fn start(
        &self,
        to: Pid,
        delay: Duration,
        message: Message,
        period: Option<Duration>,
    ) -> TimerId {
        let mut queue = self.lock();
        let number = queue.next_number();
        let id = TimerId(NonZeroU64::new(number).expect("numbers begin at 1"));
        let timer = Timer {
            to,
            message,
            period,
            last: None,
        };
        queue.timers.insert(id, timer);
        queue.of_process.entry(to).or_default().push(id);
        // A time beyond what the clock can tell never comes.
        let soonest = match self.clock.now().checked_add(delay) {
            Some(at) => queue.add(at, number, What::Timer(id)),
            None => false,
        };
        drop(queue);
        self.announce(soonest);
        id
    }

    /// Where the last message of a timer stands in its process's mailbox, as
    /// [`Process::end_of_queue`](crate::Process::end_of_queue) said after it was sent.
    pub fn last_tick(&self, id: TimerId) -> Option<u32> {
        self.lock().timers.get(&id)?.last
    }

    /// Notes that.
    pub fn note_tick(&self, id: TimerId, last: u32) {
        if let Some(timer) = self.lock().timers.get_mut(&id) {
            timer.last = Some(last);
        }
    }

    /// Ends a timer; `false` if it has fired, was cancelled or never was.
    pub fn cancel(&self, id: TimerId) -> bool {
        let mut queue = self.lock();
        let Some(timer) = queue.timers.remove(&id) else {
            return false;
        };
        queue.unlist(timer.to, id);
        queue.drop_cancelled();
        // Its message may be more than bytes, and ask for a timer while it is dropped.
        drop(queue);
        drop(timer);
        true
    }

    /// Ends all timers of a process; how many. O(what it has).
    pub fn forget(&self, pid: Pid) -> usize {
        let mut queue = self.lock();
        let ids = queue.of_process.remove(&pid).unwrap_or_default();
        let timers = &mut queue.timers;
        let ended: Vec<Timer> = ids.iter().filter_map(|id| timers.remove(id)).collect();
        queue.drop_cancelled();
        drop(queue);
        ended.len()
    }

    /// Takes out what is due at `now`, soonest first, and says when the next is.
    pub fn take_due(&self, now: Instant) -> (Vec<Due>, Option<Instant>) {
        let mut queue = self.lock();
        let mut due = Vec::new();
        while let Some(Reverse((at, ..))) = queue.entries.peek() {
            if *at > now {
                return (due, Some(*at));
            }
            let Some(Reverse((at, _, what))) = queue.entries.pop() else {
                break;
            };
            match what {
                What::Wake(pid) => due.push(Due::Wake(pid)),
                What::Timer(id) => due.extend(queue.fire(id, at, now)),
            }
        }
        (due, None)
    }

    /// Timers that have not fired for the last time.
    pub fn len(&self) -> usize {
        self.lock().timers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `fire` for each thing when its time has come, until dropped. Cancel safe.
    pub async fn run(self: Arc<Self>, fire: impl Fn(Due) + Send) {
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

    fn announce(&self, soonest: bool) {
        if soonest {
            self.earlier.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Whether it is now the first to come.
    fn add(&mut self, at: Instant, number: u64, what: What) -> bool {
        let first = self.entries.peek();
        let soonest = first.is_none_or(|Reverse((first, ..))| at < *first);
        self.entries.push(Reverse((at, number, what)));
        soonest
    }

    /// What comes of a timer that was to fire at `at`; nothing if it was cancelled.
    fn fire(&mut self, id: TimerId, at: Instant, now: Instant) -> Option<Due> {
        let timer = self.timers.get(&id)?;
        let (to, message) = (timer.to, timer.message.clone());
        if let Some(period) = timer.period {
            let number = self.next_number();
            if let Some(next) = next_beat(at, period, now) {
                self.add(next, number, What::Timer(id));
            }
            return Some(Due::Tick(id, to, message));
        }
        self.timers.remove(&id);
        self.unlist(to, id);
        Some(Due::Send(to, message))
    }

    fn unlist(&mut self, pid: Pid, id: TimerId) {
        if let Some(ids) = self.of_process.get_mut(&pid) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.of_process.remove(&pid);
            }
        }
    }

    /// Rids the heap of cancelled entries once they are most of it, so that a program that
    /// cancels what it starts needs no more memory than what it keeps.
    fn drop_cancelled(&mut self) {
        const TOO_FEW_TO_BOTHER: usize = 64;
        if self.entries.len() > TOO_FEW_TO_BOTHER && self.entries.len() > 2 * self.timers.len() {
            let timers = &self.timers;
            self.entries.retain(|Reverse((_, _, what))| match what {
                What::Wake(_) => true,
                What::Timer(id) => timers.contains_key(id),
            });
        }
    }
}

/// The first beat after `now` of those that follow `at`.
fn next_beat(at: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let missed = now.saturating_duration_since(at).as_nanos() / period.as_nanos();
    let beats = u32::try_from(missed + 1).unwrap_or(u32::MAX);
    at.checked_add(period.checked_mul(beats)?)
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("timers", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use iris_core::SystemClock;

    use super::*;

    /// Timers of a clock that stands still, and the instant that it shows.
    struct Stopped(Instant);

    impl Clock for Stopped {
        fn now(&self) -> Instant {
            self.0
        }
    }

    fn timers() -> (Timers, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |ms| start + Duration::from_millis(ms);
        (Timers::new(Arc::new(Stopped(start))), at)
    }

    fn pid(slot: u32) -> Pid {
        Pid::new(slot, 1).unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn tick() -> Message {
        Message::from(&b"tick"[..])
    }

    fn sends(due: &[Due]) -> usize {
        due.iter()
            .filter(|due| matches!(due, Due::Send(..) | Due::Tick(..)))
            .count()
    }

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let (timers, at) = timers();
        timers.wake_at(pid(3), at(30));
        timers.wake_at(pid(1), at(10));
        timers.send_after(pid(2), ms(10), tick());
        assert_eq!(timers.take_due(at(9)), (vec![], Some(at(10))));
        let ten = vec![Due::Wake(pid(1)), Due::Send(pid(2), tick())];
        assert_eq!(timers.take_due(at(10)), (ten, Some(at(30))));
        assert_eq!(timers.take_due(at(99)), (vec![Due::Wake(pid(3))], None));
        assert_eq!(timers.take_due(at(99)), (vec![], None));
        assert!(timers.is_empty());
    }

    #[test]
    fn an_interval_keeps_its_beat_and_makes_up_for_nothing() {
        let (timers, at) = timers();
        timers.send_interval(pid(1), ms(10), tick());
        assert_eq!(timers.take_due(at(10)).1, Some(at(20)));
        let (due, next) = timers.take_due(at(1005));
        assert_eq!(
            (sends(&due), next),
            (1, Some(at(1010))),
            "a second of stall is one tick"
        );
        assert_eq!(sends(&timers.take_due(at(1010)).0), 1);
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let (timers, at) = timers();
        let once = timers.send_after(pid(1), ms(10), tick());
        let often = timers.send_interval(pid(1), ms(10), tick());
        assert_eq!(sends(&timers.take_due(at(10)).0), 2);
        assert!(!timers.cancel(once), "it has fired");
        assert!(timers.cancel(often));
        assert!(!timers.cancel(often), "only once");
        assert_eq!(sends(&timers.take_due(at(99)).0), 0);
        assert!(!timers.cancel(TimerId::from_raw(u64::MAX).unwrap()));
    }

    #[test]
    fn the_timers_of_one_process_end_together() {
        let (timers, at) = timers();
        timers.send_after(pid(1), ms(10), tick());
        timers.send_interval(pid(1), ms(10), tick());
        timers.send_after(pid(2), ms(10), tick());
        assert_eq!(timers.forget(pid(1)), 2);
        assert_eq!(timers.forget(pid(1)), 0);
        assert_eq!(
            timers.take_due(at(99)),
            (vec![Due::Send(pid(2), tick())], None)
        );
    }

    #[test]
    fn cancelling_what_was_started_keeps_memory_flat() {
        let timers = Timers::new(Arc::new(SystemClock));
        for _ in 0..10_000 {
            let id = timers.send_after(pid(1), Duration::from_hours(1), tick());
            timers.cancel(id);
        }
        let queue = timers.lock();
        assert!(queue.entries.len() <= 65, "{}", queue.entries.len());
        assert!(queue.timers.is_empty() && queue.of_process.is_empty());
    }

    #[test]
    fn a_time_beyond_the_clock_never_comes() {
        let (timers, at) = timers();
        let id = timers.send_after(pid(1), Duration::MAX, tick());
        timers.send_interval(pid(1), Duration::MAX, tick());
        assert_eq!(timers.take_due(at(99)), (vec![], None));
        assert!(timers.cancel(id));
    }
}
