//! Full mailboxes: policies by name, and sends that wait without the GIL.

use iris::{Message, OverflowPolicy, Payload, Pid, Runtime, SendError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::aio::context;
use crate::error;
use crate::wait::SIGNAL_INTERVAL;

/// Sends; whether it was accepted. Waits, without the GIL, where the policy of a full mailbox is
/// to have senders wait.
#[inline]
pub(crate) fn send(py: Python<'_>, runtime: &Runtime, to: Pid, payload: Payload) -> PyResult<bool> {
    let payload = match context::to_carry(py)? {
        None => payload,
        Some(context) => payload.with_baggage(context),
    };
    match runtime.try_send_payload(to, payload) {
        Ok(()) => Ok(true),
        Err(SendError::WouldBlock { message, .. }) => send_waiting(py, runtime, to, message),
        Err(_) if runtime.is_alive(to) => Ok(false),
        Err(_) => error::refuse_foreign(py, to.raw()).map(|()| false),
    }
}

/// In steps short enough for Ctrl-C.
#[cold]
fn send_waiting(
    py: Python<'_>,
    runtime: &Runtime,
    to: Pid,
    mut message: Message,
) -> PyResult<bool> {
    loop {
        match py.detach(|| runtime.send_timeout(to, message, SIGNAL_INTERVAL)) {
            Ok(()) => return Ok(true),
            Err(SendError::Timeout { message: back, .. }) => message = back,
            Err(SendError::WouldBlock { to, .. }) => return Err(error::would_block(py, to.raw())),
            Err(_) => return Ok(false),
        }
        py.check_signals()?;
    }
}

/// The policy that a word stands for, in any case and with or without underscores.
pub(crate) fn policy(py: Python<'_>, word: &str, target: Option<u64>) -> PyResult<OverflowPolicy> {
    let somebody = |raw| Pid::from_raw(raw).ok_or_else(|| error::dead_actor(py, raw));
    let target = target.map(somebody).transpose()?;
    OverflowPolicy::from_word(word, target)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}
