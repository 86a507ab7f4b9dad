//! Where time comes from.

use std::time::Instant;

/// A source of time that tests can move by hand.
///
/// Called on any thread, once for each slice of a process and once more for every few
/// messages in it; must not block. Time never goes back.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Instant;
}

/// The operating system's monotonic clock; about 30 ns for a reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Instant {
        Instant::now()
    }
}
