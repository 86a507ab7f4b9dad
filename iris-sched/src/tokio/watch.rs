//! The thread that looks after workers whose handlers do not return.
//!
//! A task could not do it: it may wait for the very thread that is stuck. The thread looks
//! every few milliseconds while any worker is awake, and waits for [`Alarm::ring`] while all
//! sleep, so that an idle program has no wake-ups.
//!
//! Whether it may wait is decided as in [`sleepers`](super::sleepers): it says that it
//! waits, then reads the counts of the sleepers; who picks a sleeper changes the counts,
//! then reads whether the watch waits. With a fence between on both sides, one of them sees
//! the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use iris_core::Pid;

use super::options::{OnOverrun, Overrun, TokioOptions};
use super::pulse::Pulse;
use super::shared::Shared;

/// The longest time between two looks. A process that waits for a stuck worker is passed on
/// after one to two of them.
const LONGEST_SAMPLE: Duration = Duration::from_millis(10);
const SHORTEST_SAMPLE: Duration = Duration::from_millis(1);

/// Wakes the watch.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    waits: AtomicBool,
    stopped: Mutex<bool>,
    bell: Condvar,
}

impl Alarm {
    /// A worker was asleep and is about to work.
    pub(super) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.waits.load(Ordering::Relaxed) && self.waits.swap(false, Ordering::Relaxed) {
            // With the lock, so that it does not fall between the last look at `waits` and
            // the waiting.
            drop(self.lock());
            self.bell.notify_all();
        }
    }

    /// Ends the watch.
    pub(super) fn stop(&self) {
        *self.lock() = true;
        self.waits.store(false, Ordering::Relaxed);
        self.bell.notify_all();
    }

    /// Waits for the time to take a sample; `false` if the watch is to end.
    fn wait_for(&self, sample: Duration) -> bool {
        let stopped = self.lock();
        if *stopped {
            return false;
        }
        let (stopped, _) = self
            .bell
            .wait_timeout(stopped, sample)
            .unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }

    /// Waits for the alarm, unless `is_needed` says after the announcement that there is
    /// no reason to.
    fn wait_unless(&self, is_needed: impl FnOnce() -> bool) {
        self.waits.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_needed() {
            self.waits.store(false, Ordering::Relaxed);
        }
        let mut stopped = self.lock();
        while self.waits.load(Ordering::Relaxed) && !*stopped {
            stopped = self
                .bell
                .wait(stopped)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the watch over the workers of `shared`, which it does not keep alive.
pub(super) fn start(shared: &Arc<Shared>, options: TokioOptions) {
    let alarm = shared.alarm.clone();
    let watch = Watch {
        watched: shared.seats.iter().map(|_| Watched::default()).collect(),
        shared: Arc::downgrade(shared),
        overrun_after: options.overrun_after,
        on_overrun: options.on_overrun,
    };
    let thread = std::thread::Builder::new().name("iris-watch".into());
    if let Err(error) = thread.spawn(move || watch.run(&alarm)) {
        tracing::warn!(%error, "no thread to watch for handlers that overrun");
    }
}

struct Watch {
    shared: Weak<Shared>,
    watched: Vec<Watched>,
    overrun_after: Option<Duration>,
    on_overrun: Option<OnOverrun>,
}

impl Watch {
    fn run(mut self, alarm: &Alarm) {
        let sample = self.overrun_after.map_or(LONGEST_SAMPLE, |threshold| {
            (threshold / 4).clamp(SHORTEST_SAMPLE, LONGEST_SAMPLE)
        });
        let mut was_quiet = false;
        while alarm.wait_for(sample) {
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            self.look(&shared, Instant::now());
            let workers = shared.seats.len();
            let is_quiet = shared.sleepers.are_all_asleep(workers);
            drop(shared);
            // Twice in a row: a program with little to do, but often, need not ring.
            if is_quiet && was_quiet {
                let shared = self.shared.clone();
                alarm.wait_unless(|| {
                    !shared
                        .upgrade()
                        .is_some_and(|shared| shared.sleepers.are_all_asleep(workers))
                });
            }
            was_quiet = is_quiet;
        }
    }

    fn look(&mut self, shared: &Shared, now: Instant) {
        for (seat, watched) in shared.seats.iter().zip(&mut self.watched) {
            let Some((pid, running_for)) = watched.observe(&seat.pulse, now) else {
                continue;
            };
            if let Some(next) = seat.next.take() {
                shared.push(next);
            }
            let is_overrun = self.overrun_after.is_some_and(|after| running_for >= after);
            if is_overrun && !watched.reported {
                watched.reported = true;
                report(Overrun { pid, running_for }, self.on_overrun.as_ref());
            }
        }
        // Whoever should have come for it is stuck, or waits behind one that is.
        if shared.has_work()
            && let Some(worker) = shared.sleepers.pick_in_need()
        {
            shared.wake(worker);
        }
    }
}

fn report(overrun: Overrun, on_overrun: Option<&OnOverrun>) {
    tracing::warn!(
        pid = overrun.pid.raw(),
        running_for = ?overrun.running_for,
        "a handler keeps a worker from all other processes"
    );
    if let Some(f) = on_overrun
        && catch_unwind(AssertUnwindSafe(|| f(overrun))).is_err()
    {
        tracing::error!("the callback for handlers that overrun panicked");
    }
}

/// What is known of one worker's slice.
#[derive(Debug, Default)]
struct Watched {
    /// The slice that was seen last, and when it was first seen.
    seen: Option<(u64, Instant)>,
    reported: bool,
}

impl Watched {
    /// Whose slice is still running since an earlier look, and for how long.
    fn observe(&mut self, pulse: &Pulse, now: Instant) -> Option<(Pid, Duration)> {
        let Some((slice, pid)) = pulse.read() else {
            self.seen = None;
            return None;
        };
        match self.seen {
            Some((seen, since)) if seen == slice => Some((pid, now.duration_since(since))),
            _ => {
                self.seen = Some((slice, now));
                self.reported = false;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_ends_a_wait_and_a_stop_ends_all() {
        let alarm = Arc::new(Alarm::default());
        alarm.wait_unless(|| true);
        let (waiting, waits) = std::sync::mpsc::channel();
        let watch = {
            let alarm = alarm.clone();
            std::thread::spawn(move || {
                alarm.wait_unless(|| waiting.send(()).is_err());
                assert!(alarm.wait_for(Duration::ZERO));
                alarm.wait_unless(|| waiting.send(()).is_err());
                assert!(!alarm.wait_for(Duration::MAX));
            })
        };
        waits.recv().unwrap();
        alarm.ring();
        waits.recv().unwrap();
        alarm.stop();
        watch.join().unwrap();
    }

    #[test]
    fn only_a_slice_that_is_seen_twice_is_stuck() {
        let (mut watched, pulse) = (Watched::default(), Pulse::default());
        let pid = Pid::from_raw(7).unwrap();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(watched.observe(&pulse, at(0)), None, "between slices");
        pulse.begin(1, pid);
        assert_eq!(
            watched.observe(&pulse, at(10)),
            None,
            "it may just have begun"
        );
        assert_eq!(
            watched.observe(&pulse, at(30)),
            Some((pid, Duration::from_millis(20)))
        );
        pulse.end();
        pulse.begin(2, pid);
        assert_eq!(watched.observe(&pulse, at(40)), None, "another slice");
        pulse.end();
        assert_eq!(watched.observe(&pulse, at(50)), None);
    }
}
