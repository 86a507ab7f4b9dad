//! Waiting for the end of an actor without a thread.

use iris::{Mourner, Pid};
use pyo3::prelude::*;

use crate::aio::lane::Work;
use crate::runtime::{Parts, PyRuntime};

/// What takes a wait back.
#[pyclass(module = "iris._iris", name = "_Mourner", frozen)]
pub(crate) struct PyMourner(Mourner);

#[pymethods]
impl PyRuntime {
    /// Calls `callback()` on the loop thread once the actor is gone.
    fn _when_gone(
        &self,
        py: Python<'_>,
        pid: u64,
        callback: Py<PyAny>,
    ) -> PyResult<Option<PyMourner>> {
        let Some(pid) = Pid::from_raw(pid) else {
            return Ok(None);
        };
        self.start_loop(py)?;
        let Parts {
            runtime, loop_lane, ..
        } = self.parts(py)?;
        let lane = loop_lane.clone();
        // What ends an actor never waits for the GIL: the loop thread calls.
        let mourner = runtime.when_gone(pid, move || lane.push(Work::Tell(callback)));
        Ok(Some(PyMourner(mourner)))
    }

    /// Takes it back.
    fn _forget_gone(&self, py: Python<'_>, mourner: &PyMourner) -> PyResult<bool> {
        Ok(self.runtime(py)?.forget_when_gone(mourner.0))
    }
}
