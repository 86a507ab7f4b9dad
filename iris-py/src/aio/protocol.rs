//! What asyncio, and code that knows it, asks of a task of theirs.

use std::mem;
use std::sync::atomic::Ordering;

use iris::run_as;
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::context;
use super::task::{HandlerTask, cancelled, invalid_state};
use crate::error;
use crate::report;

fn as_error(py: Python<'_>, raised: &Py<PyBaseException>) -> PyErr {
    PyErr::from_value(raised.bind(py).clone().into_any())
}

#[pymethods]
impl HandlerTask {
    /// An exception leads to frames, and those often back to their task.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Locked by whoever is at it, and so in use.
        let Some(inner) = self.try_lock() else {
            return Ok(());
        };
        let plain = [&inner.coroutine, &inner.context, &inner.waiter, &inner.name];
        for held in plain {
            visit.call(held)?;
        }
        for (callback, context) in &inner.callbacks {
            visit.call(callback)?;
            visit.call(context)?;
        }
        match &inner.end {
            Some(Ok(value)) => visit.call(value),
            Some(Err(raised)) => visit.call(raised),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        let Some(mut inner) = self.try_lock() else {
            return;
        };
        let left = (
            inner.coroutine.take(),
            inner.context.take(),
            inner.waiter.take(),
            mem::take(&mut inner.callbacks),
            inner.end.take(),
        );
        drop(inner);
        drop(left);
    }

    /// What it has waited for is there. Called by that, on the loop thread.
    fn _wakeup(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) {
        let result = future.call_method0(intern!(slf.py(), "result"));
        Self::step(slf, result.err());
    }

    /// The deadline for cleaning up after a stop is over.
    fn _give_up(slf: &Bound<'_, Self>) {
        let (py, this) = (slf.py(), slf.get());
        let inner = this.lock();
        let coroutine = inner.coroutine.as_ref().map(|own| own.clone_ref(py));
        let Some((coroutine, pid)) = coroutine.zip(inner.role.pid()) else {
            return;
        };
        drop(inner);
        report::tell_warning(
            Some(pid),
            format!(
                "actor {pid} was told to stop and did not finish its clean-up in {} s; it is \
                 ended where it waits",
                iris::ON_STOP_DEADLINE.as_secs()
            ),
        );
        let closed = run_as(pid, || coroutine.bind(py).call_method0("close"));
        if let Err(raised) = closed {
            error::log(py, &format!("the clean-up of actor {pid} raised"), &raised);
        }
        this.lane.inside(py, Some(pid), || {
            Self::finish(slf, Err(cancelled(py, None)));
        });
    }

    /// Requests that the code is interrupted by a `CancelledError` where it waits; `False` if it
    /// is over.
    #[pyo3(signature = (msg=None))]
    fn cancel(&self, py: Python<'_>, msg: Option<Py<PyAny>>) -> bool {
        self.touched.store(true, Ordering::Relaxed);
        self.cancel_with(py, msg)
    }

    /// Takes a request back, and returns how many are left.
    fn uncancel(&self) -> u32 {
        let mut inner = self.touch();
        inner.cancels = inner.cancels.saturating_sub(1);
        if inner.cancels == 0 {
            inner.must_cancel = false;
        }
        inner.cancels
    }

    /// How many requests to cancel it there are.
    fn cancelling(&self) -> u32 {
        self.touch().cancels
    }

    fn done(&self) -> bool {
        self.touch().end.is_some()
    }

    fn cancelled(&self) -> bool {
        self.touch().was_cancelled
    }

    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.touch().end {
            Some(Ok(value)) => Ok(value.clone_ref(py)),
            Some(Err(raised)) => Err(as_error(py, raised)),
            None => Err(invalid_state(py, "Result is not set.")),
        }
    }

    fn exception(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let inner = self.touch();
        match &inner.end {
            Some(Ok(_)) => Ok(None),
            Some(Err(raised)) if inner.was_cancelled => Err(as_error(py, raised)),
            Some(Err(raised)) => Ok(Some(raised.clone_ref(py).into_any())),
            None => Err(invalid_state(py, "Exception is not set.")),
        }
    }

    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let context = match context {
            Some(context) => context,
            None => context::copy_current(py)?.unbind(),
        };
        let mut inner = this.touch();
        if inner.end.is_none() {
            inner.callbacks.push((callback, context));
            return Ok(());
        }
        drop(inner);
        this.lane.call_soon(py, &callback, slf.as_any(), &context)
    }

    fn remove_done_callback(&self, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = callback.py();
        // Compared without the lock, since that is code of users.
        let all = mem::take(&mut self.touch().callbacks);
        let before = all.len();
        let mut kept = Vec::with_capacity(before);
        for (other, context) in all {
            if !other.bind(py).eq(callback)? {
                kept.push((other, context));
            }
        }
        let removed = before - kept.len();
        let mut inner = self.touch();
        kept.append(&mut inner.callbacks);
        inner.callbacks = kept;
        Ok(removed)
    }

    fn get_loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lane.event_loop(py)
    }

    fn get_coro(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let inner = self.touch();
        inner.coroutine.as_ref().map(|own| own.clone_ref(py))
    }

    fn get_context(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let inner = self.touch();
        if let Some(context) = &inner.context {
            return Ok(context.clone_ref(py));
        }
        drop(inner);
        context::copy_current(py).map(Bound::unbind)
    }

    fn get_name(&self, py: Python<'_>) -> Py<PyAny> {
        let inner = self.touch();
        if let Some(name) = &inner.name {
            return name.clone_ref(py);
        }
        let pid = inner.role.pid().or_else(iris::current_pid);
        drop(inner);
        let name = pid.map_or_else(|| "actor".to_owned(), |pid| format!("actor {pid}"));
        PyString::new(py, &name).into_any().unbind()
    }

    fn set_name(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = value.str()?.into_any().unbind();
        let before = self.touch().name.replace(name);
        drop(before);
        Ok(())
    }

    /// The frame that it is in, if it is not over.
    #[pyo3(signature = (*, limit=None))]
    fn get_stack(&self, py: Python<'_>, limit: Option<usize>) -> PyResult<Vec<Py<PyAny>>> {
        let Some(coroutine) = self.get_coro(py) else {
            return Ok(Vec::new());
        };
        let frame = coroutine.bind(py).getattr("cr_frame")?;
        if frame.is_none() || limit == Some(0) {
            return Ok(Vec::new());
        }
        Ok(vec![frame.unbind()])
    }

    #[expect(clippy::unused_self, reason = "the signature that Python wants")]
    fn set_result(&self, _result: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyRuntimeError::new_err(
            "Task does not support set_result operation",
        ))
    }

    #[expect(clippy::unused_self, reason = "the signature that Python wants")]
    fn set_exception(&self, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyRuntimeError::new_err(
            "Task does not support set_exception operation",
        ))
    }

    #[getter]
    fn _fut_waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let inner = self.touch();
        inner.waiter.as_ref().map(|waiter| waiter.clone_ref(py))
    }

    /// As asyncio's own have it: `None`, or callbacks with their contexts.
    #[getter]
    fn _callbacks(&self, py: Python<'_>) -> Option<Vec<(Py<PyAny>, Py<PyAny>)>> {
        let inner = self.touch();
        let all = inner.callbacks.iter();
        let all = all.map(|(callback, context)| (callback.clone_ref(py), context.clone_ref(py)));
        Some(all.collect::<Vec<_>>()).filter(|all| !all.is_empty())
    }

    #[getter(_must_cancel)]
    fn is_to_be_cancelled(&self) -> bool {
        self.touch().must_cancel
    }

    #[setter(_must_cancel)]
    fn set_must_cancel(&self, must: bool) {
        self.touch().must_cancel = must;
    }

    #[getter(_asyncio_future_blocking)]
    fn is_blocking(&self) -> bool {
        self.touch().blocking
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.touch().blocking = blocking;
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_loop(py)
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf.get().touched.store(true, Ordering::Relaxed);
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Py<Self>> {
        let py = slf.py();
        let mut inner = slf.get().touch();
        if inner.end.is_none() {
            inner.blocking = true;
            drop(inner);
            return Ok(slf.clone().unbind());
        }
        drop(inner);
        let value = slf.get().result(py)?;
        // As a tuple, or a value that is one would be taken for several arguments.
        let arguments = PyTuple::new(py, [value])?;
        Err(PyStopIteration::new_err(arguments.unbind()))
    }

    fn __hash__(slf: &Bound<'_, Self>) -> isize {
        // Who asks may keep a weak reference to it, which counts nowhere.
        slf.get().touched.store(true, Ordering::Relaxed);
        (slf.as_ptr().addr() >> 4).cast_signed()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let name = self.get_name(py);
        let inner = self.lock();
        let state = match (&inner.end, inner.was_cancelled) {
            (None, _) => "pending",
            (Some(_), true) => "cancelled",
            (Some(_), false) => "finished",
        };
        drop(inner);
        format!("<HandlerTask {state} name={name}>")
    }
}
