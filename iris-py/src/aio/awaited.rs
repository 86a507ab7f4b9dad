//! Answers that async actors await on the loop thread.
//!
//! Asked and answered on one thread, an answer comes without asyncio: the question's waker is a
//! [`Suspension`], which has the asker stepped straight from the lane's queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use iris::{Pid, Question};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::lane::{self, LoopLane};
use super::suspension::Suspension;
use crate::ask::{Asked, Inquiry};
use crate::mailbox;
use crate::runtime::PyRuntime;

/// What `ask` gives on the loop thread of its runtime. Awaited once.
#[pyclass(module = "iris._iris", name = "_Awaited", frozen)]
pub(crate) struct Awaited {
    lane: Arc<LoopLane>,
    runtime: Py<PyRuntime>,
    pid: Pid,
    asked: Asked,
    timeout: Option<Duration>,
    since: Instant,
    /// Until it is answered or given up.
    question: Mutex<Option<Question>>,
}

impl Awaited {
    fn begin(
        runtime: &Bound<'_, PyRuntime>,
        inquiry: Inquiry,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        let timeout = mailbox::wait_time(timeout)?;
        let lane = lane::here().ok_or_else(|| {
            PyRuntimeError::new_err("this is asked on the loop thread of the Runtime only")
        })?;
        let py = runtime.py();
        let (question, pid, asked) = inquiry.ask(py, runtime.get().runtime(py)?)?;
        Ok(Self {
            lane,
            runtime: runtime.clone().unbind(),
            pid,
            asked,
            timeout,
            since: Instant::now(),
            question: Mutex::new(Some(question)),
        })
    }

    fn question(&self) -> MutexGuard<'_, Option<Question>> {
        self.question.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Awaited {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next thing to wait for, or the answer as a `StopIteration`.
    fn __next__(&self, py: Python<'_>) -> PyResult<Py<Suspension>> {
        let suspension = Suspension::new(self.lane.clone());
        let mut held = self.question();
        let Some(question) = held.as_mut() else {
            return Err(PyRuntimeError::new_err("an answer is awaited once"));
        };
        let waker = suspension.waker();
        if let Poll::Ready(answer) = Pin::new(question).poll(&mut Context::from_waker(&waker)) {
            let question = held.take();
            drop(held);
            drop(question);
            let answer = self.asked.result(py, answer)?;
            return Err(PyStopIteration::new_err((answer.unbind(),)));
        }
        drop(held);
        if let Some(timeout) = self.timeout {
            if self.since.elapsed() >= timeout {
                let given_up = self.question().take();
                drop(given_up);
                let runtime = self.runtime.get().runtime(py)?;
                let error = self.asked.timed_out(py, runtime, self.pid, self.timeout);
                return Err(error);
            }
            self.lane.time_out(py, timeout, self.since, &suspension)?;
        }
        suspension.is_awaited();
        Py::new(py, suspension)
    }
}

#[pymethods]
impl PyRuntime {
    /// Whether the calling thread is the one that runs this runtime's async actors.
    fn _on_loop(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.parts(py)?.loop_lane.is_here())
    }

    /// The answer to a question that is asked on the loop thread.
    #[pyo3(signature = (pid, data, timeout))]
    fn _awaited(
        slf: &Bound<'_, Self>,
        pid: u64,
        data: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Awaited> {
        Awaited::begin(slf, Inquiry::bytes(pid, data)?, timeout)
    }

    /// As `_awaited`, for a method of an actor of a class.
    #[pyo3(signature = (pid, method, args, kwargs, timeout))]
    fn _awaited_method(
        slf: &Bound<'_, Self>,
        pid: u64,
        method: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        timeout: Option<f64>,
    ) -> PyResult<Awaited> {
        let inquiry = Inquiry::call(pid, method, args, Some(kwargs))?;
        Awaited::begin(slf, inquiry, timeout)
    }
}
