//! What the actors of the workloads do, written once for all implementations.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use crate::measure::now_ns;

/// What an actor does with its messages. `A` is an address of the implementation.
///
/// At most 64 bytes, so that the memory of an actor is that of the implementation.
#[derive(Debug)]
pub enum Role<A> {
    /// Counts, and reports when it has as many as it wants.
    Sink {
        /// Messages so far.
        got: u64,
        /// How many make a hit.
        want: u64,
        /// Where to report.
        tally: Arc<Tally>,
    },
    /// Passes each message on.
    Relay {
        /// To whom; set before the first message.
        next: Arc<OnceLock<A>>,
        /// `Some` in the one actor that ends the run: rounds that are left.
        laps: Option<u64>,
        /// Where to report.
        tally: Arc<Tally>,
    },
    /// Notes how old its messages are; each carries the time at which it was sent.
    Probe {
        /// Ages in nanoseconds.
        ages: Vec<u64>,
        /// How many make a hit.
        want: usize,
        /// Where to put them then.
        into: Arc<Mutex<Vec<u64>>>,
        /// Where to report.
        tally: Arc<Tally>,
    },
    /// About a microsecond of work for each message.
    Hot {
        /// Messages so far.
        got: u64,
        /// Where to show them.
        tally: Arc<Tally>,
    },
    /// Answers with one more than what it got.
    Echo,
}

impl<A> Clone for Role<A> {
    /// By hand, since an address need not be `Clone` for this.
    fn clone(&self) -> Self {
        match self {
            Self::Sink { got, want, tally } => Self::Sink {
                got: *got,
                want: *want,
                tally: tally.clone(),
            },
            Self::Relay { next, laps, tally } => Self::Relay {
                next: next.clone(),
                laps: *laps,
                tally: tally.clone(),
            },
            Self::Probe {
                ages,
                want,
                into,
                tally,
            } => Self::Probe {
                ages: ages.clone(),
                want: *want,
                into: into.clone(),
                tally: tally.clone(),
            },
            Self::Hot { got, tally } => Self::Hot {
                got: *got,
                tally: tally.clone(),
            },
            Self::Echo => Self::Echo,
        }
    }
}

/// What follows from a message.
#[derive(Debug)]
pub enum Reaction<'a, A> {
    /// An answer, for who asked.
    Reply(u64),
    /// Send the same message there.
    Forward(&'a A),
}

/// Multiplications that take about a microsecond.
const HOT_STEPS: u32 = 700;

impl<A> Role<A> {
    /// A sink that reports after `want` messages.
    pub fn sink(want: u64, tally: &Arc<Tally>) -> Self {
        Self::Sink {
            got: 0,
            want,
            tally: tally.clone(),
        }
    }

    /// Handles one message; `word` are its first eight bytes.
    #[inline]
    pub fn on(&mut self, word: u64) -> Reaction<'_, A> {
        match self {
            Self::Sink { got, want, tally } => {
                *got += 1;
                if got.is_multiple_of(1024) {
                    tally.show_progress(*got);
                }
                if *got >= *want {
                    tally.reached(*got, *want);
                }
                Reaction::Reply(black_box(word))
            }
            Self::Relay { next, laps, tally } => {
                if let Some(left) = laps {
                    if *left == 0 {
                        tally.hit();
                        return Reaction::Reply(word);
                    }
                    *left -= 1;
                }
                Reaction::Forward(next.get().expect("it is set before the first message"))
            }
            Self::Probe {
                ages,
                want,
                into,
                tally,
            } => {
                ages.push(now_ns().saturating_sub(word));
                if ages.len() == *want {
                    into.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .append(ages);
                    tally.hit();
                }
                Reaction::Reply(0)
            }
            Self::Hot { got, tally } => {
                let mut mixed = word | 1;
                for _ in 0..HOT_STEPS {
                    mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).rotate_left(7);
                }
                black_box(mixed);
                *got += 1;
                if got.is_multiple_of(64) {
                    tally.show_progress(*got);
                }
                Reaction::Reply(0)
            }
            Self::Echo => Reaction::Reply(word + 1),
        }
    }
}

/// How far the actors of a run are, and who waits for them.
#[derive(Debug, Default)]
pub struct Tally {
    hits: AtomicU64,
    /// Hits that the waiting thread wants.
    goal: AtomicU64,
    /// Messages handled by the one actor that shows them, every few.
    progress: AtomicU64,
    /// Messages that came to a sink after it had all.
    excess: AtomicU64,
    lock: Mutex<()>,
    reached: Condvar,
}

impl Tally {
    /// Nothing handled yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// An actor has done its part.
    pub fn hit(&self) {
        // Sequentially consistent, here and in `wait`: either this thread sees the goal or
        // the waiting one sees the hit.
        let hits = self.hits.fetch_add(1, Ordering::SeqCst) + 1;
        if hits >= self.goal.load(Ordering::SeqCst) {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.reached.notify_all();
        }
    }

    #[cold]
    fn reached(&self, got: u64, want: u64) {
        if got == want {
            self.show_progress(got);
            self.hit();
        } else {
            self.excess.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn show_progress(&self, handled: u64) {
        self.progress.store(handled, Ordering::Relaxed);
    }

    /// Blocks until there were `hits` in all.
    pub fn wait(&self, hits: u64) {
        self.goal.store(hits, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.has(hits) {
            guard = self
                .reached
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether there were `hits` by now.
    pub fn has(&self, hits: u64) -> bool {
        self.hits.load(Ordering::SeqCst) >= hits
    }

    /// Messages handled by the actor that shows them, up to a few less than true.
    #[inline]
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Messages that nobody sent: a sink got them after all that it wanted.
    pub fn excess(&self) -> u64 {
        self.excess.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_small_beside_an_actor() {
        assert!(size_of::<Role<u64>>() <= 64);
    }

    #[test]
    fn a_sink_reports_once_and_counts_what_is_too_many() {
        let tally = Tally::new();
        let mut sink: Role<u64> = Role::sink(2, &tally);
        sink.on(0);
        assert!(!tally.has(1));
        sink.on(0);
        assert!(tally.has(1));
        sink.on(0);
        assert!(!tally.has(2));
        assert_eq!(tally.excess(), 1);
    }

    #[test]
    fn a_relay_with_laps_ends_the_run() {
        let tally = Tally::new();
        let next = Arc::new(OnceLock::from(7));
        let mut relay = Role::Relay {
            next,
            laps: Some(1),
            tally: tally.clone(),
        };
        assert!(matches!(relay.on(0), Reaction::Forward(7)));
        assert!(matches!(relay.on(0), Reaction::Reply(_)));
        assert!(tally.has(1));
    }
}
