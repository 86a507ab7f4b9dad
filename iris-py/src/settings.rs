//! What of a runtime can be set while it runs, and how those numbers are read.

use std::num::NonZeroU32;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert;
use crate::runtime::PyRuntime;
use crate::threads::MOST;

#[pymethods]
impl PyRuntime {
    /// Changes how many threads actors that are spawned with `release_gil=True` have.
    ///
    /// Up to `max_threads` of them have a thread to themselves (0 to 10,000; 256 by default).
    /// Those that are spawned beyond that share `gil_pool_size` threads (1 to 10,000; 8 by
    /// default), where a handler that blocks keeps one of these. A thread begins with the first
    /// message, and ends with its actor or after 5 s without work. Actors that are there keep
    /// what they have; the size of the pool applies at once. Per runtime. Raises `ValueError` for
    /// other numbers.
    fn set_release_gil_limits(
        &self,
        py: Python<'_>,
        max_threads: i64,
        gil_pool_size: i64,
    ) -> PyResult<()> {
        let own = &self.parts(py)?.own;
        let max_threads = number("max_threads", max_threads, 0)?;
        let pool_size = number("gil_pool_size", gil_pool_size, 1)?;
        py.detach(|| own.set_limits(max_threads, pool_size));
        Ok(())
    }

    /// With `True`, spawning with `release_gil=True` raises `RuntimeError` from now on when all
    /// `max_threads` threads are taken, instead of having the actor share one.
    fn set_release_gil_strict(&self, py: Python<'_>, strict: bool) -> PyResult<()> {
        self.parts(py)?.own.set_strict(strict);
        Ok(())
    }

    /// Changes after how many seconds at one message a handler is reported, as a warning of the
    /// logger `iris.watchdog` with the place in its code where it is; `None`: none is. 10 by
    /// default.
    ///
    /// It is reported up to a quarter of that time late, and again each time that the time has
    /// doubled. Pull actors, which may be at one message for as long as they like, are not watched.
    /// Raises `ValueError` for what is no number above 0.
    fn set_watchdog(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<()> {
        let after = watchdog_time(seconds)?;
        let parts = self.parts(py)?;
        parts.watchdog.set(after);
        py.detach(|| parts.lane.tell_watchdog());
        Ok(())
    }
}

/// The watchdog's time.
pub(crate) fn watchdog_time(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let after = convert::seconds("watchdog", seconds)?;
    if after.is_zero() {
        return Err(PyValueError::new_err(
            "watchdog must be a number of seconds > 0, or None to turn it off",
        ));
    }
    Ok(Some(after))
}

/// The default bound of mailboxes.
pub(crate) fn capacity(messages: Option<i64>) -> PyResult<Option<NonZeroU32>> {
    let capacity = |messages: i64| u32::try_from(messages).ok().and_then(NonZeroU32::new);
    messages
        .map(|messages| {
            capacity(messages).ok_or_else(|| {
                PyValueError::new_err(format!(
                    "mailbox_capacity must be 1 to {} messages, or None for any number, not \
                     {messages}",
                    u32::MAX
                ))
            })
        })
        .transpose()
}

fn number(what: &str, number: i64, least: usize) -> PyResult<usize> {
    let read = usize::try_from(number).ok();
    read.filter(|number| (least..=MOST).contains(number))
        .ok_or_else(|| {
            PyValueError::new_err(format!("{what} must be {least} to {MOST}, not {number}"))
        })
}
