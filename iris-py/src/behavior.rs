//! A Python callable as a behavior.

use iris::{BatchBehavior, Behavior, Context, Exit, Failure, Message, Payload, State, Step};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyType};

use crate::convert::{self, OnError};
use crate::error;
use crate::fork::{self, Birthplace};
use crate::handed;
use crate::pulse::Pulse;
use crate::remote;
use crate::system;

/// Calls `handler(bytes)` for each user message.
///
/// The lane that runs it is attached to the interpreter for many messages at a time, so
/// attaching here is a look at a thread-local counter.
pub(crate) struct PyBehavior {
    handler: Py<PyAny>,
    name: String,
    manner: Manner,
    born: Birthplace,
}

/// How a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) on_error: OnError,
    /// Whether it wants system messages, too.
    pub(crate) system: bool,
    /// Whether it gets lists of messages.
    pub(crate) batch: bool,
}

impl Manner {
    pub(crate) fn new(on_error: &str, system: bool, batch: bool) -> PyResult<Self> {
        Ok(Self {
            on_error: OnError::parse(on_error)?,
            system,
            batch,
        })
    }
}

impl PyBehavior {
    pub(crate) fn new(handler: &Bound<'_, PyAny>, manner: Manner) -> Self {
        let name = Self::name_of(handler);
        Self {
            handler: handler.clone().unbind(),
            name,
            manner,
            born: Birthplace::here(),
        }
    }

    /// Whether it calls `handler` in this manner.
    pub(crate) fn calls(&self, handler: &Bound<'_, PyAny>, manner: Manner) -> bool {
        self.handler.is(handler) && self.manner == manner
    }

    /// What to call a handler in logs.
    pub(crate) fn name_of(handler: &Bound<'_, PyAny>) -> String {
        handler
            .getattr("__qualname__")
            .and_then(|name| name.extract::<String>())
            .unwrap_or_else(|_| error::type_name(handler))
    }

    fn call(
        &self,
        py: Python<'_>,
        cx: &mut Context<'_>,
        message: Bound<'_, PyAny>,
    ) -> PyResult<Step> {
        if self.manner.batch {
            return self.call_with(cx, PyList::new(py, [message])?.into_any());
        }
        self.call_with(cx, message)
    }

    #[inline]
    fn call_with(&self, cx: &mut Context<'_>, argument: Bound<'_, PyAny>) -> PyResult<Step> {
        let handler = self.handler.bind(argument.py());
        let returned = handler.call1((argument,))?;
        if returned.is_none() {
            return Ok(no_answer(cx, Step::Done));
        }
        if returned.is_exact_instance_of::<Stop>() {
            return Ok(no_answer(cx, Step::stop()));
        }
        refuse_coroutine(&returned)?;
        if cx.is_asked() {
            return convert::message(&returned).map(Step::Reply);
        }
        Ok(Step::Done)
    }

    fn failed(&self, cx: &mut Context<'_>, py: Python<'_>, raised: &PyErr) -> Step {
        if let Some(reply) = cx.take_reply() {
            reply.reject(remote::told(py, raised));
        }
        let outcome = match self.manner.on_error {
            OnError::Crash => "it is stopped (crash)",
            OnError::Resume => "it goes on with the next message (on_error=\"resume\")",
        };
        let text = format!("actor {} ({}) raised; {outcome}", cx.pid(), self.name);
        match self.manner.on_error {
            OnError::Crash => {
                error::log_crash(py, cx.pid(), &text, raised);
                Step::Stop(Exit::crash(error::failure(py, raised)))
            }
            OnError::Resume => {
                error::log(py, &text, raised);
                Step::Done
            }
        }
    }
}

/// `step`, after an answer without a byte to who asked, if anybody did.
fn no_answer(cx: &mut Context<'_>, step: Step) -> Step {
    if cx.is_asked() {
        cx.reply(Payload::copy_of(b""));
    }
    step
}

/// A coroutine that a handler returned would never be awaited, and its body never run.
pub(crate) fn refuse_coroutine(returned: &Bound<'_, PyAny>) -> PyResult<()> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let coroutine = COROUTINE.import(returned.py(), "types", "CoroutineType")?;
    if returned.is_exact_instance(coroutine) {
        returned.call_method0("close")?;
        return Err(pyo3::exceptions::PyTypeError::new_err(
            "the handler returned a coroutine, which nobody awaits: async handlers are not in \
             this version yet",
        ));
    }
    Ok(())
}

impl Behavior for PyBehavior {
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        match message {
            Message::User(bytes) => self.attached(cx, |py, cx| {
                self.call(py, cx, PyBytes::new(py, &bytes).into_any())
            }),
            message if self.manner.system => self.attached(cx, |py, cx| {
                self.call(py, cx, system::object(py, &message)?)
            }),
            _ => Step::Done,
        }
    }

    fn handle_in_place(&self, _: &mut State, cx: &mut Context<'_>, payload: &mut Payload) -> Step {
        self.attached(cx, |py, cx| {
            self.call(py, cx, handed::object(py, payload).into_any())
        })
    }

    fn as_batch(&self) -> Option<&dyn BatchBehavior> {
        self.manner.batch.then_some(self)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl BatchBehavior for PyBehavior {
    fn handle_batch(&self, _: &mut State, cx: &mut Context<'_>, batch: Vec<Payload>) -> Step {
        self.attached(cx, |py, cx| {
            let messages = batch.iter().map(|payload| handed::object(py, payload));
            let list = PyList::new(py, messages)?;
            drop(batch);
            self.call_with(cx, list.into_any())
        })
    }
}

impl PyBehavior {
    /// Calls with the GIL, which the lane has taken; what the handler raises is its end, unless
    /// it is to go on.
    fn attached(
        &self,
        cx: &mut Context<'_>,
        call: impl FnOnce(Python<'_>, &mut Context<'_>) -> PyResult<Step>,
    ) -> Step {
        let called = Python::try_attach(|py| {
            let inside = Pulse::enter(cx.pid());
            let called = call(py, cx);
            drop(inside);
            if !self.born.is_here() {
                fork::leave_child(py, called.err());
            }
            called.unwrap_or_else(|raised| self.failed(cx, py, &raised))
        });
        called.unwrap_or_else(|| {
            Step::Stop(Exit::crash(Failure {
                kind: "RuntimeError".to_owned(),
                message: "the Python interpreter is gone".to_owned(),
                traceback: String::new(),
            }))
        })
    }
}

/// The type of `iris.STOP`: what a handler returns to end its actor with reason `normal`.
#[pyclass(module = "iris", name = "StopType", frozen)]
pub(crate) struct Stop;

#[pymethods]
impl Stop {
    #[expect(clippy::unused_self, reason = "the signature that Python wants")]
    fn __repr__(&self) -> &'static str {
        "iris.STOP"
    }
}

/// The one object of that type.
pub(crate) fn stop_object(py: Python<'_>) -> PyResult<Py<Stop>> {
    static STOP: PyOnceLock<Py<Stop>> = PyOnceLock::new();
    STOP.get_or_try_init(py, || Py::new(py, Stop))
        .map(|stop| stop.clone_ref(py))
}
