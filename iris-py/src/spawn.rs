//! How the class `Runtime` makes actors of Python callables.

use iris::{Pid, SpawnBuilder, SpawnError};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;

use crate::behavior::PyBehavior;
use crate::convert::{self, OnError};
use crate::error;
use crate::mailbox;
use crate::runtime::{Parts, PyRuntime};

impl PyRuntime {
    /// A push actor: `shape` adds what this kind of it has.
    pub(crate) fn start(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        name: Option<&str>,
        on_error: &str,
        system: bool,
        shape: impl FnOnce(SpawnBuilder<'_>) -> SpawnBuilder<'_>,
    ) -> PyResult<u64> {
        let py = handler.py();
        let Parts {
            runtime, cohort, ..
        } = self.parts(py)?;
        convert::check_handler(handler)?;
        let behavior = PyBehavior::new(handler, OnError::parse(on_error)?, system);
        let mut builder = runtime.spawn(behavior).budget(budget);
        builder = builder.of_cohort(cohort.clone());
        if let Some(name) = name {
            builder = builder.named(name);
        }
        shape(builder)
            .start()
            .map(Pid::raw)
            .map_err(|error| error::spawn(py, &error))
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
        let Parts { runtime, lane, .. } = self.parts(py)?;
        convert::check_handler(handler)?;
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
        let handler = handler.clone().unbind();
        let body = move |receiver| mailbox::run(&handler, &called, receiver);
        let started = builder.start_thread(|work| lane.run_alone(work), body);
        started
            .map(Pid::raw)
            .map_err(|error| error::spawn(py, &error))
    }
}

/// With the bound on its mailbox, if it is to have one.
pub(crate) fn bounded(builder: SpawnBuilder<'_>, capacity: Option<u32>) -> SpawnBuilder<'_> {
    match capacity {
        Some(capacity) => builder.capacity(capacity),
        None => builder,
    }
}

/// What is not built yet is said so, and not accepted and ignored.
pub(crate) fn refuse_release_gil(release_gil: bool) -> PyResult<()> {
    if release_gil {
        return Err(PyNotImplementedError::new_err(
            "release_gil=True is not in this version yet; a handler that blocks already \
             moves the other actors to another thread after 10 ms",
        ));
    }
    Ok(())
}
