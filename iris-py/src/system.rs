//! System messages as Python objects.

use iris::{Failure, Mail, Message, MonitorRef, Pid, SystemMessage};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};

use crate::handed;

/// News from the runtime, such as the end of an actor.
///
/// `type_name` says what it is:
///
/// - `"EXIT"`: an actor that the receiver is linked to has ended.
/// - `"DOWN"`: an actor that the receiver monitors has ended; `reference` names the monitor.
/// - `"RESTARTED"`: a supervised actor `from_pid` has the successor `target_pid`.
/// - `"GAVE_UP"`: a supervised actor ended too often, and has no successor.
/// - `"NODE_UP"`, `"NODE_DOWN"`: another node, `node`, can be reached, or cannot any more.
/// - `"NODE_STALLED"`, `"NODE_MOVING"`: its Python or JavaScript makes no progress, or does again.
#[pyclass(module = "iris", name = "PySystemMessage", frozen, eq)]
#[derive(PartialEq)]
pub(crate) struct PySystemMessage(SystemMessage);

#[pymethods]
impl PySystemMessage {
    /// What happened.
    #[getter]
    fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// Who caused or reported it: the actor that ended unless a link or another actor ended
    /// it.
    #[getter]
    #[expect(clippy::wrong_self_convention, reason = "the name that Python sees")]
    fn from_pid(&self) -> Option<u64> {
        self.0.from_pid().map(Pid::raw)
    }

    /// The actor that it is about: the one that ended, or the successor.
    #[getter]
    fn target_pid(&self) -> Option<u64> {
        self.0.target_pid().map(Pid::raw)
    }

    /// Why it ended, as an `iris.ExitReason`, which compares equal to text in any case.
    #[getter]
    fn reason<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let Some(info) = self.0.exit_info() else {
            return Ok(None);
        };
        let class = CLASS.import(py, "iris._system", "ExitReason")?;
        class.call1((info.reason.as_str(),)).map(Some)
    }

    /// A dict with `type`, `message` and `traceback` of the exception or panic behind it, or
    /// `None` if there was none.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let failure = self.0.exit_info().and_then(|info| info.metadata.as_deref());
        failure.map(|failure| dict(py, failure)).transpose()
    }

    /// The monitor that brings a DOWN, as `Runtime.monitor` returned it; `None` for others.
    #[getter]
    fn reference(&self) -> Option<u64> {
        self.0.reference().map(MonitorRef::raw)
    }

    /// What the node that it is about calls itself, or its address; `None` for others.
    #[getter]
    fn node(&self) -> Option<&str> {
        match &self.0 {
            SystemMessage::Node { node, .. } => Some(node),
            _ => None,
        }
    }

    /// Why a node is down, or for how long it is stalled; `None` for others.
    #[getter]
    fn detail(&self) -> Option<&str> {
        match &self.0 {
            SystemMessage::Node { detail, .. } => Some(detail),
            _ => None,
        }
    }

    fn __repr__(&self) -> String {
        if let SystemMessage::Node { node, detail, .. } = &self.0 {
            let name = self.type_name();
            return format!("<iris.PySystemMessage {name} node={node:?} detail={detail:?}>");
        }
        let pid = |pid: Option<u64>| pid.map_or_else(|| "None".to_owned(), |pid| pid.to_string());
        let reason = self
            .0
            .exit_info()
            .map_or("None", |info| info.reason.as_str());
        format!(
            "<iris.PySystemMessage {} from_pid={} target_pid={} reason={reason}>",
            self.type_name(),
            pid(self.from_pid()),
            pid(self.target_pid()),
        )
    }
}

impl PySystemMessage {
    pub(crate) fn message(&self) -> SystemMessage {
        self.0.clone()
    }
}

fn dict<'py>(py: Python<'py>, failure: &Failure) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("type", &failure.kind)?;
    dict.set_item("message", &failure.message)?;
    dict.set_item("traceback", &failure.traceback)?;
    Ok(dict)
}

/// A message as Python sees it: `bytes`, or a `PySystemMessage`.
pub(crate) fn object<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    match message {
        Message::User(data) => Ok(PyBytes::new(py, data).into_any()),
        Message::System(news) => system(py, news),
        // There are no others yet.
        _ => Ok(py.None().into_bound(py)),
    }
}

/// What was received as Python sees it.
pub(crate) fn mail<'py>(py: Python<'py>, mail: &Mail) -> PyResult<Bound<'py, PyAny>> {
    match mail {
        Mail::InPlace(payload) => Ok(handed::object(py, payload).into_any()),
        Mail::Message(message) => object(py, message),
    }
}

pub(crate) fn system<'py>(py: Python<'py>, news: &SystemMessage) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, PySystemMessage(news.clone()))?.into_any())
}

/// Pids as plain numbers.
pub(crate) fn raw(pids: Vec<Pid>) -> Vec<u64> {
    pids.into_iter().map(Pid::raw).collect()
}
