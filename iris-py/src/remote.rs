//! Exceptions on their way from who was asked to who asks.
//!
//! `[module, qualified name, message, traceback, arguments or nil]`. The asker's side looks the
//! class up among what is imported already, see `iris/_remote.py`.

use iris::{AskError, Failure, Payload, Pid};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString};

use crate::codec;
use crate::error;

/// What the asker is told of what was raised.
pub(crate) fn told(py: Python<'_>, raised: &PyErr) -> Payload {
    let failure = error::failure(py, raised);
    let module = raised.get_type(py).module();
    let module = module.unwrap_or_else(|_| PyString::new(py, ""));
    let parts = PyList::empty(py);
    let args = raised.value(py).getattr("args").ok();
    let args = args.filter(|args| codec::value("args", args).is_ok());
    let filled = parts
        .append(module)
        .and_then(|()| parts.append(&failure.kind))
        .and_then(|()| parts.append(&failure.message))
        .and_then(|()| parts.append(&failure.traceback))
        .and_then(|()| parts.append(args));
    // Text that Rust has made is text that can travel.
    let told = filled.and_then(|()| codec::value("error", &parts));
    told.unwrap_or_else(|_| Payload::copy_of(b""))
}

/// The exception that the asker gets for it.
pub(crate) fn rebuilt(py: Python<'_>, by: Pid, told: &[u8]) -> PyErr {
    static REBUILD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let rebuilt = codec::read(py, told).and_then(|parts| {
        let rebuild = REBUILD.import(py, "iris._remote", "rebuilt")?;
        rebuild.call1((by.raw(), parts))
    });
    rebuilt.map_or_else(|error| error, PyErr::from_value)
}

/// The exception for the failure of a handler that is not Python's, or that did not get to
/// tell its own.
pub(crate) fn failed(py: Python<'_>, by: Pid, failure: &Failure) -> PyErr {
    static FAILED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let failed = FAILED
        .import(py, "iris._remote", "failed")
        .and_then(|make| {
            let Failure {
                kind,
                message,
                traceback,
            } = failure;
            make.call1((by.raw(), kind, message, traceback))
        });
    failed.map_or_else(|error| error, PyErr::from_value)
}

/// The exception for a question that has no answer.
pub(crate) fn exception(py: Python<'_>, error: &AskError) -> PyErr {
    match error {
        AskError::Rejected { by, error } => rebuilt(py, *by, error),
        AskError::Handler { by, failure } => failed(py, *by, failure),
        other => error::ask(py, other),
    }
}
