//! A clock that stands still until it is moved.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use iris_core::Clock;

/// Time under the test's control, from an arbitrary start.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    nanos: AtomicU64,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            nanos: AtomicU64::new(0),
        }
    }
}

impl ManualClock {
    /// Moves time forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).expect("a test spans less than 584 years");
        self.nanos.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }
}
