//! Long native calls: Ctrl-C ends them, and other threads of Python run beside them.
//!
//! A loop asks the hook here every few thousand rounds. The first time, a call that writes nothing
//! of its caller's lets go of the GIL. Now and then the hook looks for signals: if a handler raises,
//! the call ends with that exception.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::ffi;
use pyo3::prelude::*;

/// How long signals may wait.
const SIGNAL_DELAY: Duration = Duration::from_millis(10);

/// A native call in progress on this thread.
struct Running {
    /// Whether nobody minds if other threads run meanwhile.
    may_release: bool,
    /// The thread's state while the GIL is let go of.
    released: Cell<*mut ffi::PyThreadState>,
    looked: Cell<Option<Instant>>,
    raised: RefCell<Option<PyErr>>,
}

thread_local! {
    static CURRENT: Cell<*const Running> = const { Cell::new(ptr::null()) };
    /// Whether who waits for the call on this thread, which is none of Python's, has given up.
    static CANCELLED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

pub(crate) fn set_hook() {
    iris::jit::poll::set_hook(go_on);
}

/// Runs native code with loops; the exception of a signal handler if one has ended it.
pub(crate) fn run<T>(may_release: bool, call: impl FnOnce() -> T) -> PyResult<T> {
    let running = Running {
        may_release,
        released: Cell::new(ptr::null_mut()),
        looked: Cell::new(None),
        raised: RefCell::new(None),
    };
    let outer = CURRENT.replace(&raw const running);
    let result = call();
    CURRENT.set(outer);
    let state = running.released.get();
    if !state.is_null() {
        // SAFETY: the state that `release` saved on this thread, which is not attached.
        unsafe { ffi::PyEval_RestoreThread(state) };
    }
    match running.raised.into_inner() {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

/// Runs native code on a thread that is none of Python's, until `cancelled` ends its loops.
pub(super) fn cancellable<T>(cancelled: &Arc<AtomicBool>, call: impl FnOnce() -> T) -> T {
    CANCELLED.replace(Some(cancelled.clone()));
    let result = call();
    CANCELLED.take();
    result
}

/// How many calls of a native function may be in each other: fewer than Python has left before it
/// raises `RecursionError`. Frames are counted; calls between C functions may take two further
/// levels for each.
pub(crate) fn recursion_depth(py: Python<'_>) -> PyResult<u64> {
    let threading = py.import("threading")?;
    if threading.call_method0("stack_size")?.extract::<usize>()? != 0 {
        // A stack of unknown size: `stack_floor` takes the usual one for granted.
        return Ok(0);
    }
    let mut frames = 0_u64;
    let mut frame = py.import("sys")?.call_method0("_getframe")?;
    while !frame.is_none() {
        frames += 1;
        frame = frame.getattr("f_back")?;
    }
    // SAFETY: attached.
    let limit = u64::try_from(unsafe { ffi::Py_GetRecursionLimit() }).unwrap_or(0);
    Ok(limit.saturating_sub(3 * frames + 50))
}

/// The lowest address that native calls may take of this thread's stack.
pub(crate) fn stack_floor() -> u64 {
    const STACK_BYTES: usize = 256 << 10;
    let here = 0_u8;
    (&raw const here).addr().saturating_sub(STACK_BYTES) as u64
}

fn go_on() -> bool {
    let current = CURRENT.get();
    if current.is_null() {
        return CANCELLED.with_borrow(|cancelled| {
            let cancelled = cancelled.as_ref();
            !cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
        });
    }
    // SAFETY: `run` keeps it on its stack until the call, which this is part of, has ended.
    let running = unsafe { &*current };
    let now = Instant::now();
    let Some(looked) = running.looked.get() else {
        running.looked.set(Some(now));
        release(running);
        return true;
    };
    if now.duration_since(looked) < SIGNAL_DELAY {
        return true;
    }
    running.looked.set(Some(now));
    attach(running);
    // SAFETY: attached again.
    let raised = unsafe { ffi::PyErr_CheckSignals() } != 0;
    if raised {
        // SAFETY: as above.
        let py = unsafe { Python::assume_attached() };
        *running.raised.borrow_mut() = Some(PyErr::fetch(py));
        return false;
    }
    release(running);
    true
}

fn release(running: &Running) {
    if running.may_release {
        // SAFETY: this thread is attached, and asks nothing of Python until it is so again.
        running.released.set(unsafe { ffi::PyEval_SaveThread() });
    }
}

fn attach(running: &Running) {
    let state = running.released.replace(ptr::null_mut());
    if !state.is_null() {
        // SAFETY: the state that `release` saved on this thread.
        unsafe { ffi::PyEval_RestoreThread(state) };
    }
}
