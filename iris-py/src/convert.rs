//! Pids, payloads and durations from Python.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use iris::Payload;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

use crate::buffers;
use crate::error;
use crate::handed;

/// A message of anything that has the buffer protocol: a `bytes` as it is, else a copy as
/// `bytes(memoryview(data))`.
#[inline]
pub(crate) fn message(data: &Bound<'_, PyAny>) -> PyResult<Payload> {
    match data.cast_exact::<PyBytes>() {
        Ok(data) => Ok(handed::payload(data)),
        Err(_) => payload(data).map(Payload::from),
    }
}

/// The bytes of anything that has the buffer protocol, as `bytes(memoryview(data))`: a copy, unless
/// it is a large `bytes` object.
pub(crate) fn payload(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(data) = data.cast_exact::<PyBytes>() {
        return Ok(handed::bytes(data));
    }
    buffers::copy_of(data)
}

/// Seconds that may be waited: not negative, not NaN. More than a thousand years, infinity
/// too, is a thousand years.
pub(crate) fn seconds(what: &str, seconds: f64) -> PyResult<Duration> {
    const LONGEST: f64 = 3.2e10;
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!(
            "{what} must be a number of seconds >= 0, not {seconds}"
        )));
    }
    Ok(Duration::from_secs_f64(seconds.min(LONGEST)))
}

/// The idle time-out of a virtual actor.
pub(crate) fn idle_timeout(milliseconds: Option<u64>) -> PyResult<Option<Duration>> {
    match milliseconds {
        Some(0) => Err(PyValueError::new_err(
            "idle_timeout_ms must be at least 1, or None for an actor that never times out",
        )),
        other => Ok(other.map(Duration::from_millis)),
    }
}

/// A word that stands for something, such as a strategy.
pub(crate) fn word<T>(text: &str) -> PyResult<T>
where
    T: FromStr<Err: std::fmt::Display>,
{
    text.parse()
        .map_err(|error: T::Err| PyValueError::new_err(error.to_string()))
}

/// What becomes of an actor whose handler raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Crash,
    Resume,
}

impl OnError {
    pub(crate) fn parse(word: &str) -> PyResult<Self> {
        match word {
            "crash" => Ok(Self::Crash),
            "resume" => Ok(Self::Resume),
            other => Err(PyValueError::new_err(format!(
                "on_error must be 'crash' or 'resume', not {other:?}"
            ))),
        }
    }
}

/// Checks that `handler` is something that can handle: callable, and not an async generator,
/// which nobody would go through. Whether it gives coroutines, as far as can be seen.
pub(crate) fn check_handler(handler: &Bound<'_, PyAny>) -> PyResult<bool> {
    const CO_COROUTINE: u32 = 0x80;
    const CO_ASYNC_GENERATOR: u32 = 0x200;
    if !handler.is_callable() {
        return Err(error::not_callable(handler));
    }
    refuse_actor_class(handler)?;
    // Functions and bound methods have it.
    let Ok(code) = handler
        .getattr("__code__")
        .or_else(|_| handler.getattr("__func__")?.getattr("__code__"))
    else {
        let is_async = handler.py().import("iris._handlers")?.getattr("is_async")?;
        return is_async.call1((handler,))?.is_truthy();
    };
    let flags = code
        .getattr("co_flags")
        .and_then(|flags| flags.extract::<u32>())
        .unwrap_or(0);
    if flags & CO_ASYNC_GENERATOR != 0 {
        return Err(PyTypeError::new_err(
            "a handler must not be an async generator, whose body nobody would run: an async \
             def without yield is awaited for each message",
        ));
    }
    Ok(flags & CO_COROUTINE != 0)
}

/// A class of actors would be called for each message, and be an actor of none.
fn refuse_actor_class(handler: &Bound<'_, PyAny>) -> PyResult<()> {
    static ACTOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let Ok(class) = handler.cast::<PyType>() else {
        return Ok(());
    };
    let actor = ACTOR.import(handler.py(), "iris._actor", "Actor")?;
    if class.is_subclass(actor)? {
        let name = class.qualname()?;
        return Err(PyTypeError::new_err(format!(
            "{name} is a class of actors: spawn it with rt.spawn({name}, ..), or with options \
             by rt.spawn_actor({name}, args, kwargs, parent=.., name=..)"
        )));
    }
    Ok(())
}
