//! Pids, words and times from JavaScript. `lib/check.js` has refused what is no such thing by then.

use std::str::FromStr;
use std::time::Duration;

use iris::Pid;
use napi::bindgen_prelude::*;

use crate::error;

/// A pid as a number of JavaScript's: it is below 2^53.
#[expect(clippy::cast_precision_loss, reason = "pids are below 2^53")]
pub(crate) fn number(pid: Pid) -> f64 {
    pid.raw() as f64
}

pub(crate) fn numbers(pids: impl IntoIterator<Item = Pid>) -> Vec<f64> {
    pids.into_iter().map(number).collect()
}

/// Whose pid a number is; `None` for one that nobody can have.
pub(crate) fn pid(number: f64) -> Option<Pid> {
    whole(number).and_then(Pid::from_raw)
}

/// A number that counts something, if it is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is looked at before"
)]
pub(crate) fn whole(number: f64) -> Option<u64> {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    ((0.0..=SAFE).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A pid for calls that need somebody to have it.
pub(crate) fn somebody(number: f64) -> Result<Pid> {
    pid(number).ok_or_else(|| error::dead_actor(number))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

/// Seconds that may be waited; more than a thousand years is a thousand years.
pub(crate) fn seconds(seconds: f64) -> Duration {
    const LONGEST: f64 = 3.2e10;
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST))
}

/// Milliseconds, likewise.
pub(crate) fn milliseconds(milliseconds: f64) -> Duration {
    seconds(milliseconds / 1e3)
}

/// A word that stands for something, such as a strategy.
pub(crate) fn word<T>(text: &str) -> Result<T>
where
    T: FromStr<Err: std::fmt::Display>,
{
    text.parse()
        .map_err(|error: T::Err| error::range(error.to_string()))
}
