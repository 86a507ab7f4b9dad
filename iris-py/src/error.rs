//! The one map from errors to Python exceptions, and from exceptions to failures.

use iris::{
    AskError, Failure, JoinError, MeshError, MonitorError, OverflowError, Pid, PlaceError,
    RegisterError, RollbackError, ScopeError, SpawnError, StartError, SuperviseError, TimerError,
};
use pyo3::exceptions::{PyLookupError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PySet, PyString, PyType};

use crate::runtime::PyRuntime;

use crate::report;
use crate::threads::Full;

/// An exception class of the package's own, made in `iris/_errors.py`.
fn own(py: Python<'_>, class: &'static PyOnceLock<Py<PyType>>, name: &str, text: String) -> PyErr {
    match class.import(py, "iris._errors", name) {
        Ok(class) => PyErr::from_type(class.clone(), text),
        Err(error) => error,
    }
}

/// No actor with this pid, or it is ending.
pub(crate) fn dead_actor(py: Python<'_>, pid: u64) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    own(
        py,
        &CLASS,
        "DeadActorError",
        format!("no actor with pid {pid} is alive"),
    )
}

/// An error if an actor that is not alive in the runtime that was called is in another one.
pub(crate) fn refuse_foreign(py: Python<'_>, pid: u64) -> PyResult<()> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static LIVE: PyOnceLock<Py<PySet>> = PyOnceLock::new();
    let live = LIVE.import(py, "iris._lifecycle", "_live")?;
    if live.len() < 2 {
        return Ok(());
    }
    let is_at_home = |runtime: Bound<'_, PyAny>| {
        let runtime = runtime.cast::<PyRuntime>().ok()?;
        let (runtime, pid) = runtime.get().target(py, pid).ok()?;
        runtime.is_alive(pid?).then_some(())
    };
    let text = || {
        format!(
            "actor {pid} belongs to another Runtime than the one that was called: use the \
             Runtime that spawned it"
        )
    };
    match live.iter().find_map(is_at_home) {
        Some(()) => Err(own(py, &CLASS, "WrongRuntimeError", text())),
        None => Ok(()),
    }
}

/// A question that nobody answered, or could.
pub(crate) fn ask(py: Python<'_>, error: &AskError) -> PyErr {
    static NO_REPLY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match error {
        AskError::Dead(pid) => dead_actor(py, pid.raw()),
        AskError::Full(pid) => mailbox_full(py, pid.raw()),
        AskError::Timeout(pid) => ask_timeout(py, format!("actor {pid} did not answer in time")),
        AskError::Cycle { chain, .. } => {
            let text = format!(
                "the answer would have to wait for itself: {chain}; tell instead of asking, or \
                 let one of them answer before it asks"
            );
            deadlock(py, text)
        }
        AskError::NoReply(pid) => {
            let text = format!(
                "actor {pid} took the question and did not answer: a handler answers with what \
                 it returns, a pull actor with mailbox.reply(..) before it receives again"
            );
            own(py, &NO_REPLY, "NoReplyError", text)
        }
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

/// Somebody would wait for itself, directly or through others.
fn deadlock(py: Python<'_>, text: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    own(py, &CLASS, "DeadlockError", text)
}

fn mailbox_full(py: Python<'_>, pid: u64) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let text = format!("the mailbox of actor {pid} is full and refuses what does not fit");
    own(py, &CLASS, "MailboxFullError", text)
}

/// A message that was not accepted: its actor is dead, or its mailbox is full.
pub(crate) fn not_accepted(py: Python<'_>, pid: u64, is_alive: bool) -> PyErr {
    if is_alive {
        mailbox_full(py, pid)
    } else {
        refuse_foreign(py, pid).map_or_else(|foreign| foreign, |()| dead_actor(py, pid))
    }
}

pub(crate) fn ask_timeout(py: Python<'_>, text: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    own(py, &CLASS, "AskTimeout", text)
}

/// Another node cannot be reached, or this one cannot be.
pub(crate) fn mesh(py: Python<'_>, error: &MeshError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if let MeshError::Name(name) = error {
        return PyValueError::new_err(name.to_string());
    }
    own(py, &CLASS, "MeshError", error.to_string())
}

pub(crate) fn monitor(py: Python<'_>, error: &MonitorError) -> PyErr {
    match error {
        MonitorError::NoWatcher(watcher) => dead_actor(py, watcher.raw()),
        MonitorError::Mesh(error) => mesh(py, error),
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

/// A value that cannot travel.
pub(crate) fn codec(py: Python<'_>, text: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    own(py, &CLASS, "CodecError", text)
}

/// Bytes that are not what they should be.
pub(crate) fn protocol(py: Python<'_>, text: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    own(py, &CLASS, "ProtocolError", text)
}

/// The lane has no thread left to run others while a handler waits.
pub(crate) fn no_spare_thread() -> PyErr {
    PyRuntimeError::new_err(
        "too many handlers wait for answers at the same time, a thread each: ask in turn, or \
         tell and be told",
    )
}

/// The runtime belongs to a parent process.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let text = "this Runtime was made before os.fork() and its threads did not come along; \
                create the Runtime in the child, or start workers with the 'spawn' method";
    own(py, &CLASS, "ForkError", text.to_owned())
}

/// The runtime has been shut down.
pub(crate) fn shut_down() -> PyErr {
    PyRuntimeError::new_err("the Runtime has been shut down; create a new one")
}

pub(crate) fn start(error: &StartError) -> PyErr {
    match error {
        StartError::Threads(cause) => PyOSError::new_err(format!("{error}: {cause}")),
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

pub(crate) fn register(py: Python<'_>, error: &RegisterError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match error {
        RegisterError::NameTaken { .. } => own(py, &CLASS, "NameTakenError", error.to_string()),
        other => PyValueError::new_err(other.to_string()),
    }
}

pub(crate) fn place(py: Python<'_>, error: &PlaceError) -> PyErr {
    match error {
        PlaceError::NoProc(pid) => dead_actor(py, pid.raw()),
        PlaceError::Register(error) => register(py, error),
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

pub(crate) fn spawn(py: Python<'_>, error: &SpawnError) -> PyErr {
    match error {
        SpawnError::NoBudget | SpawnError::NoCapacity => PyValueError::new_err(error.to_string()),
        SpawnError::Overflow(error) => overflow(py, error),
        SpawnError::Place(error) => place(py, error),
        SpawnError::ShutDown => shut_down(),
        SpawnError::NoParent => parent_is_dead(py),
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

pub(crate) fn overflow(py: Python<'_>, error: &OverflowError) -> PyErr {
    match error {
        OverflowError::NotAlive(pid) | OverflowError::NoTarget(pid) => dead_actor(py, pid.raw()),
        OverflowError::NotBounded(pid) => PyValueError::new_err(format!(
            "the mailbox of actor {pid} has no bound: spawn it with capacity=.."
        )),
        other => PyValueError::new_err(other.to_string()),
    }
}

/// A handler would have to wait for room in a mailbox.
pub(crate) fn would_block(py: Python<'_>, pid: u64) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let text = format!(
        "the mailbox of actor {pid} is full and its policy is 'block', but a handler cannot wait \
         for room, nor an actor for room in its own mailbox: send from a thread or a pull actor, \
         or choose another policy"
    );
    own(py, &CLASS, "WouldBlockError", text)
}

pub(crate) fn rollback(py: Python<'_>, pid: u64, error: RollbackError) -> PyErr {
    match error {
        RollbackError::NotAlive => dead_actor(py, pid),
        other => PyValueError::new_err(other.to_string()),
    }
}

pub(crate) fn timer(py: Python<'_>, error: TimerError) -> PyErr {
    match error {
        TimerError::NoProc(pid) => dead_actor(py, pid.raw()),
        other => PyValueError::new_err(other.to_string()),
    }
}

pub(crate) fn supervise(py: Python<'_>, error: &SuperviseError) -> PyErr {
    match error {
        SuperviseError::NoProc(pid) => dead_actor(py, pid.raw()),
        SuperviseError::Path(error) => register(py, error),
        SuperviseError::ShutDown => shut_down(),
        SuperviseError::Scope(ScopeError::NoScope { .. }) => {
            PyLookupError::new_err(error.to_string())
        }
        other => PyValueError::new_err(other.to_string()),
    }
}

/// `release_gil=True` and no thread left for it, which is not to share one.
pub(crate) fn no_seat(full: &Full) -> PyErr {
    let max = full.max_threads;
    PyRuntimeError::new_err(format!(
        "no thread of its own is left for the actor: release_gil=True has all {max} of them in \
         use, and set_release_gil_strict(True) keeps it from sharing one; stop an actor that has \
         one, or raise max_threads with set_release_gil_limits()"
    ))
}

fn parent_is_dead(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let text = "the parent is not alive: a child cannot outlive it";
    own(py, &CLASS, "DeadActorError", text.to_owned())
}

fn mailbox_closed_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "iris._errors", "MailboxClosed")
}

/// A pull actor was told to stop.
pub(crate) fn mailbox_closed(py: Python<'_>) -> PyErr {
    match mailbox_closed_class(py) {
        Ok(class) => PyErr::from_type(class.clone(), "the actor was told to stop"),
        Err(error) => error,
    }
}

pub(crate) fn is_mailbox_closed(py: Python<'_>, raised: &PyErr) -> bool {
    mailbox_closed_class(py).is_ok_and(|class| raised.is_instance(py, class))
}

pub(crate) fn join(py: Python<'_>, error: JoinError) -> PyErr {
    deadlock(py, error.to_string())
}

/// What was given instead of something that can be called.
pub(crate) fn not_callable(handler: &Bound<'_, PyAny>) -> PyErr {
    let kind = type_name(handler);
    PyTypeError::new_err(format!(
        "a handler must be callable with one argument, not {kind}"
    ))
}

/// What was given instead of bytes.
pub(crate) fn not_bytes_like(data: &Bound<'_, PyAny>) -> PyErr {
    let kind = type_name(data);
    let mend = if kind == "str" {
        "; encode it: text.encode()"
    } else {
        "; serialize it first"
    };
    PyTypeError::new_err(format!(
        "a message must be bytes-like (bytes, bytearray, memoryview, array), not {kind}{mend}"
    ))
}

pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

/// An exception as text, for an exit's metadata: it outlives the interpreter's objects.
pub(crate) fn failure(py: Python<'_>, error: &PyErr) -> Failure {
    let kind = error
        .get_type(py)
        .qualname()
        .map_or_else(|_| "Exception".into(), |n| n.to_string());
    let message = error
        .value(py)
        .str()
        .map_or_else(|_| "(no text)".into(), |text| text.to_string());
    let traceback = formatted(py, error).unwrap_or_default();
    Failure {
        kind,
        message,
        traceback,
    }
}

/// As the interpreter itself would print it, causes and notes included.
fn formatted(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let arguments = (error.get_type(py), error.value(py), error.traceback(py));
    let lines = py
        .import("traceback")?
        .call_method1("format_exception", arguments)?;
    // Joined by Python, since text with lone surrogates is none of Rust's.
    let text = PyString::new(py, "").call_method1("join", (lines,))?;
    Ok(text.cast::<PyString>()?.to_string_lossy().into_owned())
}

/// Has an exception that no caller is there to catch written to the logger `iris`, which prints it
/// to stderr if nobody has configured logging.
pub(crate) fn log(py: Python<'_>, text: &str, error: &PyErr) {
    report::tell_raised(py, None, text, error);
}

/// As [`log`], for one that an actor ends with.
pub(crate) fn log_crash(py: Python<'_>, pid: Pid, text: &str, error: &PyErr) {
    report::crash_is_told(pid);
    report::tell_raised(py, Some(pid), text, error);
}
