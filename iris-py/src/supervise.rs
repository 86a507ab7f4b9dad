//! Supervisors, and factories in Python.

use std::sync::Arc;

use bytes::Bytes;
use iris::{ChildSpec, Failure, GaveUp, Pid, Restart, Runtime, Strategy};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::error;
use crate::lane::GuestLane;
use crate::report::{self, Record, Report};
use crate::runtime::{Parts, PyRuntime};
use crate::system;

#[pymethods]
impl PyRuntime {
    /// Has the global supervisor look after an actor that runs.
    ///
    /// `factory()` spawns a successor and returns its pid. It is called only to restart, on a
    /// thread of its own where it may block; names and paths then lead to the successor. One
    /// that raises is logged, and called again after a growing wait.
    ///
    /// `strategy` says who is restarted: `"restartone"` the actor, `"restartall"` all that the
    /// supervisor looks after, `"restartrest"` it and those taken on after it. `restart` says
    /// when: `"permanent"` after any exit, a stop too, `"transient"` after failures,
    /// `"temporary"` never. `stop_child` ends it for good. An actor that ends more than 3
    /// times in 5 seconds is given up, which is logged.
    ///
    /// Raises `DeadActorError` if nobody has the pid, `ValueError` for unknown words and for an
    /// actor that is supervised already, `TypeError` for a factory that is not callable.
    #[pyo3(signature = (pid, factory, strategy="restartone", *, restart="permanent"))]
    fn supervise_with_factory(
        &self,
        py: Python<'_>,
        pid: u64,
        factory: &Bound<'_, PyAny>,
        strategy: &str,
        restart: &str,
    ) -> PyResult<()> {
        let (runtime, target) = self.live_target(py, pid)?;
        let spec = child_spec(target, strategy, restart)?;
        let factory = self.factory(factory)?;
        let supervisor = runtime.global_supervisor();
        let supervised = runtime.supervise(supervisor, target, spec, factory);
        supervised.map_err(|error| error::supervise(py, &error))
    }

    /// As `supervise_with_factory`, by the supervisor of `path`. Raises `LookupError` if that
    /// has none.
    #[pyo3(signature = (path, pid, factory, strategy="restartone", *, restart="permanent"))]
    fn path_supervise_with_factory(
        &self,
        py: Python<'_>,
        path: &str,
        pid: u64,
        factory: &Bound<'_, PyAny>,
        strategy: &str,
        restart: &str,
    ) -> PyResult<()> {
        let (runtime, target) = self.live_target(py, pid)?;
        let spec = child_spec(target, strategy, restart)?;
        let factory = self.factory(factory)?;
        let supervised = runtime.path_supervise(path, target, spec, factory);
        supervised.map_err(|error| error::supervise(py, &error))
    }

    /// Stops a supervised actor for good: it has no successor. `pid` may also be the one that
    /// ended last, while a restart is under way. `False` if no supervisor has it.
    fn stop_child(&self, py: Python<'_>, pid: u64) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.is_some_and(|pid| runtime.stop_child(pid)))
    }

    /// The pids that the global supervisor has: those that it restarts, and then those that
    /// it only watches.
    fn child_pids(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        Ok(system::raw(self.runtime(py)?.child_pids()))
    }

    /// How many actors the global supervisor has, those that are being restarted included.
    fn children_count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.runtime(py)?.children_count())
    }

    /// Has the global supervisor watch the actors that are registered exactly one level below
    /// `prefix` now; how many it did not know. Watched actors are listed, never restarted.
    fn watch_path(&self, py: Python<'_>, prefix: &str) -> PyResult<usize> {
        let watched = self.runtime(py)?.watch_path(prefix);
        watched.map_err(|error| error::supervise(py, &error))
    }

    /// Makes a supervisor for `path`, independent of those of other paths. Raises `ValueError`
    /// if that is no path or has one already.
    fn create_path_supervisor(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        let created = self.runtime(py)?.create_path_supervisor(path).map(drop);
        created.map_err(|error| error::supervise(py, &error))
    }

    /// Removes the supervisor of `path`. Those that it would restart are stopped for good,
    /// those that it only watched go on. `False` if there is none.
    fn remove_path_supervisor(&self, py: Python<'_>, path: &str) -> PyResult<bool> {
        Ok(self.runtime(py)?.remove_path_supervisor(path))
    }

    /// Has the supervisor of `path` watch an actor, which is listed then and never restarted;
    /// `False` if it has it already. Raises `LookupError` if the path has none, or the pid
    /// is nobody's (`DeadActorError`).
    fn path_supervisor_watch(&self, py: Python<'_>, path: &str, pid: u64) -> PyResult<bool> {
        let (runtime, pid) = self.live_target(py, pid)?;
        let watched = runtime.path_supervisor_watch(path, pid);
        watched.map_err(|error| error::supervise(py, &error))
    }

    /// The pids that the supervisor of `path` has: those that it restarts, and then those that
    /// it only watches. Raises `LookupError` if the path has none.
    fn path_supervisor_children(&self, py: Python<'_>, path: &str) -> PyResult<Vec<u64>> {
        let children = self.runtime(py)?.path_supervisor_children(path);
        let children = children.map_err(|error| error::supervise(py, &error))?;
        Ok(system::raw(children))
    }

    /// An actor gets a `RESTARTED` system message for each supervised actor that has a successor
    /// (`from_pid` the old, `target_pid` the new), and `GAVE_UP` for each that will have none.
    /// Raises `DeadActorError` if nobody has the pid.
    fn watch_supervision(&self, py: Python<'_>, pid: u64) -> PyResult<()> {
        let (runtime, target) = self.live_target(py, pid)?;
        if runtime.watch_supervision(target) {
            return Ok(());
        }
        Err(error::dead_actor(py, pid))
    }
}

impl PyRuntime {
    fn factory(
        &self,
        factory: &Bound<'_, PyAny>,
    ) -> PyResult<impl Fn(&Runtime) -> Result<Pid, Failure> + Send + Sync + 'static> {
        let (lane, factory) = self.factory_parts(factory, "without arguments")?;
        Ok(move |_: &Runtime| {
            let made = lane.visit(|py| {
                let made = made(factory.bind(py).call0());
                made.map_err(|raised| {
                    let text = "the factory of a supervised actor raised; it is called again";
                    error::log(py, text, &raised);
                    error::failure(py, &raised)
                })
            });
            made.unwrap_or_else(|| Err(Failure::default()))
        })
    }

    /// A factory that gets what another node has given along.
    pub(crate) fn behavior_factory(
        &self,
        factory: &Bound<'_, PyAny>,
    ) -> PyResult<impl Fn(&Runtime, Bytes) -> Result<Pid, Failure> + Send + Sync + 'static> {
        let (lane, factory) = self.factory_parts(factory, "with one argument, bytes")?;
        Ok(move |_: &Runtime, init: Bytes| {
            let made = lane.visit(|py| {
                let made = made(factory.bind(py).call1((PyBytes::new(py, &init),)));
                made.map_err(|raised| {
                    let text = "the factory of a behavior raised; the node that asked is told";
                    error::log(py, text, &raised);
                    error::failure(py, &raised)
                })
            });
            made.unwrap_or_else(|| Err(Failure::default()))
        })
    }

    fn factory_parts(
        &self,
        factory: &Bound<'_, PyAny>,
        how: &str,
    ) -> PyResult<(Arc<GuestLane>, Py<PyAny>)> {
        if !factory.is_callable() {
            let kind = error::type_name(factory);
            let text = format!("a factory must be callable {how}, not {kind}");
            return Err(PyTypeError::new_err(text));
        }
        let Parts { lane, .. } = self.parts(factory.py())?;
        Ok((lane.clone(), factory.clone().unbind()))
    }
}

/// The pid that a factory has returned.
fn made(returned: PyResult<Bound<'_, PyAny>>) -> PyResult<Pid> {
    returned.and_then(|made| {
        let pid = made.extract::<u64>().ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| {
            let kind = error::type_name(&made);
            PyTypeError::new_err(format!("a factory must return a pid, not {kind}"))
        })
    })
}

fn child_spec(pid: Pid, strategy: &str, restart: &str) -> PyResult<ChildSpec> {
    let strategy: Strategy = convert::word(strategy)?;
    let restart: Restart = convert::word(restart)?;
    let spec = ChildSpec::new(pid.to_string());
    Ok(spec.strategy(strategy).restart(restart))
}

/// Tells the logger `iris` of actors that are given up.
pub(crate) fn tell_of_those_given_up(runtime: &Runtime) {
    runtime.on_give_up(move |given_up| {
        let record = Record::new("iris".to_owned(), report::WARNING, obituary(given_up));
        report::tell(Report::Log(record));
    });
}

fn obituary(given_up: &GaveUp) -> String {
    let last = given_up.last.as_ref();
    let reason = last.map_or("it never ran", |last| last.reason.as_str());
    let failure = last.and_then(|last| last.metadata.as_deref());
    let failure = given_up.start_failure.as_ref().or(failure);
    let why = failure.map_or_else(String::new, |failure| {
        let text = if failure.traceback.is_empty() {
            failure.to_string()
        } else {
            failure.traceback.clone()
        };
        format!("\n{}", text.trim_end())
    });
    format!(
        "supervised actor {} ended too often and is given up after {} restarts (last exit: \
         {reason}){why}",
        given_up.id, given_up.restarts
    )
}
