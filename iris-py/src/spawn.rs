//! How the class `Runtime` makes actors of Python callables.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use iris::{Pid, SpawnBuilder, SpawnError};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::aio::lane::LoopLane;
use crate::aio::pull;
use crate::behavior::{Manner, PyBehavior};
use crate::convert;
use crate::error;
use crate::mailbox;
use crate::runtime::{Parts, PyRuntime};

impl PyRuntime {
    /// A push actor: `shape` adds what this kind of it has.
    pub(crate) fn start(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        release_gil: bool,
        name: Option<&str>,
        manner: Manner,
        shape: impl FnOnce(SpawnBuilder<'_>) -> SpawnBuilder<'_>,
    ) -> PyResult<u64> {
        let py = handler.py();
        let Parts {
            runtime,
            cohort,
            behaviors,
            loop_cohort,
            loop_lane,
            own,
            ..
        } = self.parts(py)?;
        let is_async = convert::check_handler(handler)?;
        if manner.reentrant && !is_async {
            return Err(PyValueError::new_err(
                "reentrant=True is for async def handlers: others are never at two messages",
            ));
        }
        if release_gil && is_async {
            return Err(PyValueError::new_err(
                "release_gil=True is for plain handlers: an async def handler runs on the loop \
                 thread, where it awaits what would keep it",
            ));
        }
        let behavior = behaviors.of(handler, manner, loop_lane);
        let mut builder = runtime.spawn_shared(behavior).budget(budget);
        let cohort = if is_async {
            self.start_loop(py)?;
            loop_cohort
        } else {
            cohort
        };
        if let Some(name) = name {
            builder = builder.named(name);
        }
        let builder = shape(builder);
        let started = if release_gil {
            let place = own.place(runtime).map_err(|full| error::no_seat(&full))?;
            let seat = place.seat();
            let started = builder.of_cohort(place.cohort).start();
            if let Ok(pid) = started {
                own.seated(&seat, pid);
            }
            started
        } else {
            builder.of_cohort(cohort.clone()).start()
        };
        started
            .map(Pid::raw)
            .map_err(|error| error::spawn(py, &error))
    }

    /// Starts the thread of coroutines, unless it runs.
    pub(crate) fn start_loop(&self, py: Python<'_>) -> PyResult<()> {
        static NEEDED: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
        // Here and not by the thread itself: a process that is forked in the middle of an import
        // has half a module.
        NEEDED.get_or_try_init(py, || py.import("iris._async").map(Bound::unbind))?;
        self.parts(py)?
            .loop_lane
            .start()
            .map_err(|cause| PyOSError::new_err(format!("no thread for the event loop: {cause}")))
    }

    /// A pull actor.
    pub(crate) fn start_pull(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        name: Option<&str>,
        parent: Option<Pid>,
        capacity: Option<u32>,
    ) -> PyResult<u64> {
        let py = handler.py();
        let Parts {
            runtime,
            lane,
            loop_lane,
            ..
        } = self.parts(py)?;
        let is_async = convert::check_handler(handler)?;
        if budget == 0 {
            return Err(error::spawn(py, &SpawnError::NoBudget));
        }
        let called = PyBehavior::name_of(handler);
        let mut builder = runtime.receiver(called.clone());
        if let Some(name) = name {
            builder = builder.named(name);
        }
        if let Some(parent) = parent {
            builder = builder.child_of(parent);
        }
        if let Some(capacity) = capacity {
            builder = builder.capacity(capacity);
        }
        if is_async {
            self.start_loop(py)?;
            let started = builder.budget(budget).start_apart();
            let (receiver, end) = started.map_err(|error| error::spawn(py, &error))?;
            let pid = receiver.pid().raw();
            pull::start(loop_lane, handler, budget, called, receiver, end)?;
            return Ok(pid);
        }
        let handler = handler.clone().unbind();
        let body = move |receiver| mailbox::run(&handler, &called, receiver);
        let started = builder.start_thread(|work| lane.run_alone(work), body);
        started
            .map(Pid::raw)
            .map_err(|error| error::spawn(py, &error))
    }
}

/// The behavior that was made last, for as long as an actor has it: many actors with one handler
/// share one, which saves a hundred bytes for each and keeps it in the cache.
#[derive(Default)]
pub(crate) struct Behaviors(Mutex<Weak<PyBehavior>>);

impl Behaviors {
    fn of(
        &self,
        handler: &Bound<'_, PyAny>,
        manner: Manner,
        loop_lane: &Arc<LoopLane>,
    ) -> Arc<PyBehavior> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last.upgrade();
        if let Some(same) = same.filter(|last| last.calls(handler, manner)) {
            return same;
        }
        let behavior = Arc::new(PyBehavior::new(handler, manner, loop_lane));
        *last = Arc::downgrade(&behavior);
        behavior
    }
}

/// With the bound on its mailbox, if it is to have one.
pub(crate) fn bounded(builder: SpawnBuilder<'_>, capacity: Option<u32>) -> SpawnBuilder<'_> {
    match capacity {
        Some(capacity) => builder.capacity(capacity),
        None => builder,
    }
}
