//! Notices handlers that are at one message for long.
//!
//! The lane's watch thread looks, which never takes the GIL; the reporter tells, which has to.
//! A call is timed from the first look that finds it: it is reported up to a quarter of the time
//! too late, never too early.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_long;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use iris::RuntimeRef;

use crate::pulse::{Call, Pulse};
use crate::report::{self, Overrun, Report};

/// Looks in the time after which a handler is reported.
const LOOKS: u32 = 4;

/// The settings of one runtime.
pub(crate) struct Watchdog {
    runtime: RuntimeRef,
    /// Nanoseconds; 0: off.
    after: AtomicU64,
}

impl Watchdog {
    pub(crate) fn new(runtime: RuntimeRef, after: Option<Duration>) -> Self {
        let watchdog = Self {
            runtime,
            after: AtomicU64::new(0),
        };
        watchdog.set(after);
        watchdog
    }

    /// `None` turns it off.
    pub(crate) fn set(&self, after: Option<Duration>) {
        let nanos = after.map_or(0, |after| {
            u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        self.after.store(nanos, Ordering::Relaxed);
    }

    fn after(&self) -> Option<Duration> {
        match self.after.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// What the one thread that looks remembers.
    pub(crate) fn looks(self: &Arc<Self>) -> Looks {
        Looks {
            watchdog: self.clone(),
            last: None,
            number: 0,
            seen: HashMap::new(),
        }
    }
}

/// A call that an earlier look has found.
struct Seen {
    call: Call,
    since: Instant,
    /// When it is told next.
    due: Duration,
    /// The number of the look that found it last.
    look: u64,
}

pub(crate) struct Looks {
    watchdog: Arc<Watchdog>,
    last: Option<Instant>,
    number: u64,
    seen: HashMap<c_long, Seen>,
}

impl Looks {
    /// Looks at all threads if it is time, and says how long until the next look; `None` while
    /// the watchdog is off.
    pub(crate) fn look(&mut self, threads: &[Arc<Pulse>]) -> Option<Duration> {
        let Some(after) = self.watchdog.after() else {
            self.seen.clear();
            return None;
        };
        let interval = (after / LOOKS).max(Duration::from_millis(1));
        let now = Instant::now();
        if let Some(last) = self.last {
            let passed = now.duration_since(last);
            if let Some(left) = interval.checked_sub(passed).filter(|left| !left.is_zero()) {
                return Some(left);
            }
        }
        self.last = Some(now);
        self.number += 1;
        for thread in threads {
            let Some(call) = thread.call() else {
                continue;
            };
            let first = Seen {
                call,
                since: now,
                due: after,
                look: self.number,
            };
            let seen = match self.seen.entry(thread.ident) {
                Entry::Occupied(known) if known.get().call == call => known.into_mut(),
                Entry::Occupied(known) => {
                    let known = known.into_mut();
                    *known = first;
                    known
                }
                Entry::Vacant(place) => place.insert(first),
            };
            seen.look = self.number;
            let inside = now.duration_since(seen.since);
            if inside >= seen.due {
                seen.due = inside.max(seen.due) * 2;
                report::tell(Report::Overrun(Overrun {
                    runtime: self.watchdog.runtime.clone(),
                    thread: thread.clone(),
                    call,
                    inside,
                }));
            }
        }
        self.seen.retain(|_, seen| seen.look == self.number);
        Some(interval)
    }
}
