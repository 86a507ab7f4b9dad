//! Messages that are sent later, or again and again.

use std::time::Duration;

use iris_core::{Message, Pid};
use iris_sched::TimerId;
use thiserror::Error;

use crate::runtime::Runtime;

/// A timer could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimerError {
    /// Nobody is there to send to.
    #[error("no process with pid {0} is alive")]
    NoProc(Pid),
    /// An interval of zero would fire without end.
    #[error("the interval of a timer must be longer than zero")]
    NoInterval,
}

/// How long a timer waits: a [`Duration`], or a plain number of milliseconds.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use iris::Delay;
///
/// assert_eq!(Delay::from(200), Duration::from_millis(200).into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(Duration);

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<u64> for Delay {
    /// The number is one of milliseconds.
    fn from(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }
}

impl Runtime {
    /// Sends `message` to `to` after `delay`, which is a [`Duration`] or a number of
    /// milliseconds. The timer ends with the process. Never waits;
    /// O(log n) in the number of timers.
    ///
    /// # Errors
    ///
    /// [`TimerError::NoProc`] if `to` is not alive.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(handler(|_, _| Step::stop())).start()?;
    /// let timer = rt.send_after(pid, 5, &b"tick"[..])?;
    /// assert_eq!(rt.join(pid, Some(Duration::from_secs(10))), Ok(true));
    /// assert!(!rt.cancel_timer(timer), "it has fired");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_after(
        &self,
        to: Pid,
        delay: impl Into<Delay>,
        message: impl Into<Message>,
    ) -> Result<TimerId, TimerError> {
        let Delay(delay) = delay.into();
        self.started(to, self.timers().send_after(to, delay, message.into()))
    }

    /// Sends `message` to `to` every `period`, a [`Duration`] or a number of milliseconds, the
    /// first time after one period, until it is cancelled or the process ends. While
    /// one of them waits to be handled no other is sent, and none is made up for.
    ///
    /// # Errors
    ///
    /// [`TimerError::NoProc`] if `to` is not alive, [`TimerError::NoInterval`] for a period
    /// of zero.
    pub fn send_interval(
        &self,
        to: Pid,
        period: impl Into<Delay>,
        message: impl Into<Message>,
    ) -> Result<TimerId, TimerError> {
        let Delay(period) = period.into();
        if period.is_zero() {
            return Err(TimerError::NoInterval);
        }
        self.started(to, self.timers().send_interval(to, period, message.into()))
    }

    /// Ends a timer; `false` if it has fired for the last time or was cancelled.
    pub fn cancel_timer(&self, timer: TimerId) -> bool {
        self.timers().cancel(timer)
    }

    /// Looks after the timer was started: a process that ends meanwhile has either ended
    /// its timers, this one among them, or is seen here.
    fn started(&self, to: Pid, timer: TimerId) -> Result<TimerId, TimerError> {
        if self.is_alive(to) {
            return Ok(timer);
        }
        self.cancel_timer(timer);
        Err(TimerError::NoProc(to))
    }
}
