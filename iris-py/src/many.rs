//! Calls for many messages or actors at once.

use iris::ExitReason;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::behavior::Manner;
use crate::convert;
use crate::overflow;
use crate::pid::RawPid;
use crate::runtime::PyRuntime;
use crate::spawn::bounded;

/// After so many items other threads get their turn, and Ctrl-C is heeded: some 0.1 ms.
const TURN: usize = 1_024;

#[pymethods]
impl PyRuntime {
    /// Sends the items of an iterable to `pid`, one message each, as `send` does.
    ///
    /// Returns how many were accepted. Stops at the first that is refused, so that these are
    /// the first ones: what is to be sent again is `items[count:]`. An item that is not
    /// bytes-like raises `TypeError`, with the items before it sent.
    fn send_many(&self, py: Python<'_>, pid: RawPid, items: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (runtime, pid) = self.target(py, pid.0)?;
        let mut accepted = 0;
        for item in items.try_iter()? {
            let payload = convert::message(&item?)?;
            let Some(pid) = pid else { break };
            if !overflow::send(py, runtime, pid, payload)? {
                break;
            }
            accepted += 1;
            if accepted % TURN == 0 {
                py.check_signals()?;
                py.detach(|| ());
            }
        }
        Ok(accepted)
    }

    /// Spawns `count` actors with one handler and returns their pids. Everything else as
    /// `spawn`; if one cannot be spawned, those before it are stopped again.
    #[pyo3(signature = (handler, count, budget=100, *, on_error="crash", system=false, batch=false, capacity=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are keywords where they are used"
    )]
    fn spawn_many(
        &self,
        handler: &Bound<'_, PyAny>,
        count: usize,
        budget: u32,
        on_error: &str,
        system: bool,
        batch: bool,
        capacity: Option<u32>,
    ) -> PyResult<Vec<u64>> {
        if count == 0 {
            return Err(PyValueError::new_err("count must be at least 1"));
        }
        let manner = Manner::new(on_error, system, batch, false)?;
        let mut pids = Vec::new();
        for _ in 0..count {
            let started = self.start(handler, budget, false, None, manner, |builder| {
                bounded(builder, capacity)
            });
            match started {
                Ok(pid) => pids.push(pid),
                Err(error) => {
                    self.stop_all(handler.py(), &pids)?;
                    return Err(error);
                }
            }
        }
        Ok(pids)
    }
}

impl PyRuntime {
    fn stop_all(&self, py: Python<'_>, pids: &[u64]) -> PyResult<()> {
        for pid in pids {
            let (runtime, pid) = self.live_target(py, *pid)?;
            runtime.stop(pid, ExitReason::Killed);
        }
        Ok(())
    }
}
