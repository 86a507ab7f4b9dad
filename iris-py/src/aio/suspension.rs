//! What a coroutine awaits that something other than asyncio brings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::deadlines::Wait;
use super::lane::{self, LoopLane, Work};
use super::task::HandlerTask;

/// An awaitable that ends when it is woken, from any thread and without the GIL. It is awaited
/// once, on the loop thread of the runtime that it was made for; what it brings lies elsewhere.
///
/// A [`HandlerTask`] that awaits one is stepped straight from the lane's queue. For tasks of
/// asyncio's own, such as those that `gather` makes, it looks like a future of theirs.
#[pyclass(module = "iris._iris", frozen, weakref)]
pub(crate) struct Suspension {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    lane: Arc<LoopLane>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    woken: bool,
    cancelled: bool,
    blocking: bool,
    sleeper: Sleeper,
}

/// Who waits.
#[derive(Default)]
enum Sleeper {
    #[default]
    Nobody,
    Own(Py<HandlerTask>),
    /// Callbacks, each with its context.
    Asyncio(Vec<(Py<PyAny>, Py<PyAny>)>, Py<Suspension>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait; `false` if it was over.
    pub(crate) fn fire(&self) -> bool {
        let mut state = self.lock();
        if state.woken {
            return false;
        }
        state.woken = true;
        let sleeper = std::mem::take(&mut state.sleeper);
        drop(state);
        match sleeper {
            Sleeper::Nobody => {}
            Sleeper::Own(task) => self.lane.push(Work::Step(task)),
            Sleeper::Asyncio(callbacks, own) => self.lane.push(Work::Call(callbacks, own)),
        }
        true
    }
}

impl Wait for Shared {
    fn is_over(&self) -> bool {
        self.lock().woken
    }

    fn time_out(&self) {
        self.fire();
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.fire();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.fire();
    }
}

impl Suspension {
    pub(crate) fn new(lane: Arc<LoopLane>) -> Self {
        let state = Mutex::default();
        Self {
            shared: Arc::new(Shared { lane, state }),
        }
    }

    /// What is woken.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// A coroutine is about to yield it: to asyncio's own tasks it is a future that is waited for.
    pub(super) fn is_awaited(&self) {
        self.shared.lock().blocking = true;
    }

    /// Wakes it; for futures of Rust that are polled by hand.
    pub(crate) fn waker(&self) -> Waker {
        self.shared.clone().into()
    }

    /// Has `task` stepped when it is woken; `false` if it was woken already.
    pub(crate) fn resumes(&self, task: Py<HandlerTask>) -> bool {
        let mut state = self.shared.lock();
        state.blocking = false;
        if state.woken {
            return false;
        }
        state.sleeper = Sleeper::Own(task);
        true
    }
}

#[pymethods]
impl Suspension {
    /// One for the code that the calling thread is inside of, which must be a loop thread of a
    /// runtime.
    #[staticmethod]
    fn _new() -> PyResult<Self> {
        let lane = lane::here().ok_or_else(|| {
            PyRuntimeError::new_err("this awaits on the loop thread of a Runtime only")
        })?;
        Ok(Self::new(lane))
    }

    /// Ends the wait; `False` if it was over. On any thread.
    fn wake(&self) -> bool {
        self.shared.fire()
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: PyRef<'_, Self>) -> Option<PyRef<'_, Self>> {
        let mut state = slf.shared.lock();
        if state.woken {
            return None;
        }
        state.blocking = true;
        drop(state);
        Some(slf)
    }

    #[getter(_asyncio_future_blocking)]
    fn is_blocking(&self) -> bool {
        self.shared.lock().blocking
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.shared.lock().blocking = blocking;
    }

    fn get_loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.shared.lane.event_loop(py)
    }

    /// As a future's; called on the loop thread.
    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let context = match context {
            Some(context) => context,
            None => super::context::copy_current(py)?.unbind(),
        };
        let shared = &slf.get().shared;
        let mut state = shared.lock();
        if state.woken {
            drop(state);
            let callbacks = vec![(callback, context)];
            shared
                .lane
                .push(Work::Call(callbacks, slf.clone().unbind()));
            return Ok(());
        }
        match &mut state.sleeper {
            Sleeper::Asyncio(callbacks, _) => callbacks.push((callback, context)),
            other => *other = Sleeper::Asyncio(vec![(callback, context)], slf.clone().unbind()),
        }
        Ok(())
    }

    #[pyo3(signature = (msg=None))]
    fn cancel(&self, msg: Option<Bound<'_, PyAny>>) -> bool {
        drop(msg);
        let mut state = self.shared.lock();
        if state.woken {
            return false;
        }
        state.cancelled = true;
        drop(state);
        self.shared.fire()
    }

    fn cancelled(&self) -> bool {
        self.shared.lock().cancelled
    }

    fn done(&self) -> bool {
        self.shared.lock().woken
    }

    /// Nothing: it only says that there is news.
    fn result(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.shared.lock();
        if state.cancelled {
            drop(state);
            return Err(super::task::cancelled(py, None));
        }
        Ok(())
    }

    fn exception(&self, py: Python<'_>) -> PyResult<()> {
        self.result(py)
    }
}

/// Calls the callbacks of a suspension that has ended.
pub(crate) fn call_back(
    py: Python<'_>,
    event_loop: &Bound<'_, PyAny>,
    callbacks: Vec<(Py<PyAny>, Py<PyAny>)>,
    own: &Py<Suspension>,
) -> PyResult<()> {
    for (callback, context) in callbacks {
        let keywords = PyDict::new(py);
        keywords.set_item("context", context)?;
        event_loop.call_method("call_soon", (callback, own), Some(&keywords))?;
    }
    Ok(())
}
