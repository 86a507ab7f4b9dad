//! How the class `Runtime` makes actors of Python callables.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use iris::{Pid, SpawnBuilder, SpawnError};
use pyo3::prelude::*;

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
            own,
            ..
        } = self.parts(py)?;
        convert::check_handler(handler)?;
        let behavior = behaviors.of(handler, manner);
        let mut builder = runtime.spawn_shared(behavior).budget(budget);
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

/// The behavior that was made last, for as long as an actor has it: many actors with one handler
/// share one, which saves a hundred bytes for each and keeps it in the cache.
#[derive(Default)]
pub(crate) struct Behaviors(Mutex<Weak<PyBehavior>>);

impl Behaviors {
    fn of(&self, handler: &Bound<'_, PyAny>, manner: Manner) -> Arc<PyBehavior> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last.upgrade();
        if let Some(same) = same.filter(|last| last.calls(handler, manner)) {
            return same;
        }
        let behavior = Arc::new(PyBehavior::new(handler, manner));
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
