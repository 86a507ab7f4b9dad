//! Waits that let go of the GIL and heed Ctrl-C.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How often a wait looks for signals such as Ctrl-C.
pub(crate) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Calls `wait` with the GIL released, in steps short enough for Ctrl-C, until it says
/// yes or `timeout` is over; returns which.
pub(crate) fn interruptibly(
    py: Python<'_>,
    timeout: Option<Duration>,
    wait: impl Fn(Duration) -> bool + Sync,
) -> PyResult<bool> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let step = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
        if py.detach(|| wait(step)) {
            return Ok(true);
        }
        py.check_signals()?;
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(false);
        }
    }
}
