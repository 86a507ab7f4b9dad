//! `contextvars`: the context that Python code runs in.
//!
//! A message carries a copy of its sender's context if anything is set there, and its handler runs
//! inside of that; else in an empty one. Whether anything is set is asked with every send and
//! after every handler. The interface has no cheap way to ask: a copy takes 20 to 25 ns, a tenth of
//! a send. So where the thread state has its context is found out once, by entering one and
//! looking for it, see [`find_place`].

#![expect(unsafe_code, reason = "the C interface of contexts")]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use iris::Baggage;
use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;

/// What came of a step of a coroutine.
pub(crate) enum Sent<'py> {
    Returned(Bound<'py, PyAny>),
    Yielded(Bound<'py, PyAny>),
}

/// A copy of the calling thread's context.
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: attached; a new reference or an error.
    unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent())
    }
    #[cfg(Py_LIMITED_API)]
    py.import("contextvars")?.call_method0("copy_context")
}

/// What a message takes along of its sender's context variables.
struct Sender(Py<PyAny>);

/// The calling thread's context, to travel with a message; `None` if nothing is set in it.
#[inline]
pub(crate) fn to_carry(py: Python<'_>) -> PyResult<Option<Baggage>> {
    if is_blank(py) {
        return Ok(None);
    }
    let copy = copy_current(py)?;
    if copy.len()? == 0 {
        return Ok(None);
    }
    Ok(Some(Arc::new(Sender(copy.unbind()))))
}

/// The context that a message has brought.
pub(crate) fn carried(py: Python<'_>, baggage: Option<Baggage>) -> Option<Bound<'_, PyAny>> {
    let baggage = baggage?;
    let sender = baggage.downcast_ref::<Sender>()?;
    Some(sender.0.bind(py).clone())
}

/// Whether certainly nothing is set in the calling thread's context.
#[inline]
fn is_blank(_: Python<'_>) -> bool {
    let place = PLACE.load(Ordering::Relaxed);
    if place == UNKNOWN {
        return false;
    }
    // SAFETY: attached, so there is a thread state; `place` was found to be where one of this
    // interpreter's version has its context, a live object or nothing.
    unsafe {
        let state = ffi::PyThreadState_Get().cast::<*mut ffi::PyObject>();
        let context = *state.add(place);
        context.is_null() || ffi::PyObject_Size(context) == 0
    }
}

/// How far, in words, the context is from the beginning of a thread state.
static PLACE: AtomicUsize = AtomicUsize::new(UNKNOWN);

const UNKNOWN: usize = usize::MAX;

/// Looks for the place: the word of the thread state that names a context while that is entered,
/// another one while another is, and neither afterwards. No version of Python from 3.9 on has
/// it further than the last word that is looked at, and all states are longer. Called at import.
#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED)))]
pub(crate) fn find_place(py: Python<'_>) -> PyResult<()> {
    const FIRST_WORDS: usize = 40;
    // SAFETY: attached; the words are those of this thread's own state, which nobody else writes
    // while the GIL is held.
    let named = |context: &Bound<'_, PyAny>| unsafe {
        let state = ffi::PyThreadState_Get().cast::<*mut ffi::PyObject>();
        (0..FIRST_WORDS)
            .find(|place| std::ptr::read_volatile(state.add(*place)) == context.as_ptr())
    };
    let (one, other) = (blank(py)?, blank(py)?);
    let places = [
        within(&one, || Ok(named(&one)))?,
        within(&other, || Ok(named(&other)))?,
    ];
    let gone = named(&one).or(named(&other)).is_none();
    if let [Some(place), Some(same)] = places
        && place == same
        && gone
    {
        PLACE.store(place, Ordering::Relaxed);
    }
    Ok(())
}

/// Looks for nothing: it is not this interpreter's version alone that this is for.
#[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED))]
pub(crate) fn find_place(_: Python<'_>) -> PyResult<()> {
    Ok(())
}

thread_local! {
    /// The empty context that the calling thread is inside of, if it is one of the lane's.
    static ENTERED: RefCell<Option<Py<PyAny>>> = const { RefCell::new(None) };
}

/// The calling thread calls handlers from now on, each of them in an empty context.
#[cfg_attr(
    Py_LIMITED_API,
    expect(unused_variables, reason = "contexts cannot be entered")
)]
pub(crate) fn begin_thread(py: Python<'_>) -> PyResult<()> {
    #[cfg(not(Py_LIMITED_API))]
    {
        let fresh = blank(py)?;
        // SAFETY: attached; it is a context that nobody is inside of.
        if unsafe { ffi::PyContext_Enter(fresh.as_ptr()) } < 0 {
            return Err(PyErr::fetch(py));
        }
        ENTERED.set(Some(fresh.unbind()));
    }
    Ok(())
}

/// Leaves what the last handler has set behind, if it has set anything.
#[inline]
pub(crate) fn cleanse(py: Python<'_>) -> PyResult<()> {
    if is_blank(py) {
        Ok(())
    } else {
        leave_soiled(py)
    }
}

#[cold]
#[cfg_attr(
    Py_LIMITED_API,
    expect(unused_variables, reason = "contexts cannot be entered")
)]
fn leave_soiled(py: Python<'_>) -> PyResult<()> {
    #[cfg(not(Py_LIMITED_API))]
    if let Some(soiled) = ENTERED.take() {
        if soiled.bind(py).len()? == 0 {
            ENTERED.set(Some(soiled));
            return Ok(());
        }
        // SAFETY: attached; this thread has entered it, and nobody has entered another since
        // who has not left it.
        if unsafe { ffi::PyContext_Exit(soiled.as_ptr()) } < 0 {
            return Err(PyErr::fetch(py));
        }
        begin_thread(py)?;
    }
    Ok(())
}

/// An empty context.
pub(crate) fn blank(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: attached; a new reference or an error.
    unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyContext_New())
    }
    #[cfg(Py_LIMITED_API)]
    py.import("contextvars")?.getattr("Context")?.call0()
}

/// Calls `code` inside `context`, which nobody is inside of.
///
/// In the limited interface only Python code can enter a context, by a call: the code of a wheel
/// for several versions runs in the context that is there.
pub(crate) fn within<T>(
    context: &Bound<'_, PyAny>,
    code: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    #[cfg(Py_LIMITED_API)]
    let _ = context;
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: attached, and it is a context or an error is raised.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let done = code();
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: as above; it was entered.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } < 0 {
        let left = PyErr::fetch(context.py());
        return done.and(Err(left));
    }
    done
}

/// Steps a coroutine inside a context: sends it nothing, or throws into it.
pub(crate) fn step<'py>(
    context: &Bound<'py, PyAny>,
    coroutine: &Bound<'py, PyAny>,
    thrown: Option<PyErr>,
) -> PyResult<Sent<'py>> {
    within(context, || match thrown {
        None => send(coroutine),
        Some(error) => {
            let error = error.into_value(coroutine.py());
            over(coroutine.py(), coroutine.call_method1("throw", (error,)))
        }
    })
}

/// Sends a coroutine nothing.
#[cfg(Py_3_10)]
#[inline]
pub(crate) fn send<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Sent<'py>> {
    let py = coroutine.py();
    let mut result = std::ptr::null_mut();
    // SAFETY: attached, and all pointers are to live objects; the result is a new reference
    // unless it says that there was an error.
    unsafe {
        match ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &raw mut result) {
            ffi::PySendResult::PYGEN_RETURN => {
                Ok(Sent::Returned(Bound::from_owned_ptr(py, result)))
            }
            ffi::PySendResult::PYGEN_NEXT => Ok(Sent::Yielded(Bound::from_owned_ptr(py, result))),
            ffi::PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
        }
    }
}

/// Sends a coroutine nothing.
#[cfg(not(Py_3_10))]
pub(crate) fn send<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Sent<'py>> {
    let py = coroutine.py();
    over(py, coroutine.call_method1("send", (py.None(),)))
}

/// What a step has come to, where the end of a coroutine is an exception.
fn over<'py>(py: Python<'py>, yielded: PyResult<Bound<'py, PyAny>>) -> PyResult<Sent<'py>> {
    let raised = match yielded {
        Ok(yielded) => return Ok(Sent::Yielded(yielded)),
        Err(raised) => raised,
    };
    // One that the coroutine itself raises never leaves it as such.
    if raised.is_instance_of::<PyStopIteration>(py) {
        return raised.value(py).getattr("value").map(Sent::Returned);
    }
    Err(raised)
}

/// How many refer to an object.
pub(crate) fn references<T>(object: &Bound<'_, T>) -> isize {
    // SAFETY: attached, and the object is alive.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}
