//! A Python callable as a behavior.

use std::sync::Arc;

use iris::{
    BatchBehavior, Behavior, Context, Exit, Failure, Message, Payload, Pid, ReplyTo, State, Step,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyType};

use crate::aio::context::{self, Sent};
use crate::aio::lane::{self, LoopLane};
use crate::aio::task::{HandlerTask, Outcome, Role};
use crate::convert::{self, OnError};
use crate::error;
use crate::fork::{self, Birthplace};
use crate::handed;
use crate::remote;
use crate::system;

/// Calls `handler(bytes)` for each user message.
///
/// The lane that runs it is attached to the interpreter for many messages at a time, so
/// attaching here is a look at a thread-local counter.
pub(crate) struct PyBehavior {
    handler: Py<PyAny>,
    manner: Manner,
    ending: Arc<Ending>,
    /// Where coroutines run.
    loop_lane: Arc<LoopLane>,
}

/// How a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) on_error: OnError,
    /// Whether it wants system messages, too.
    pub(crate) system: bool,
    /// Whether it gets lists of messages.
    pub(crate) batch: bool,
    /// Whether it may be at several messages at a time, where it awaits.
    pub(crate) reentrant: bool,
}

impl Manner {
    pub(crate) fn new(
        on_error: &str,
        system: bool,
        batch: bool,
        reentrant: bool,
    ) -> PyResult<Self> {
        Ok(Self {
            on_error: OnError::parse(on_error)?,
            system,
            batch,
            reentrant,
        })
    }
}

/// What becomes of an actor, according to how its handler has ended.
pub(crate) struct Ending {
    name: String,
    on_error: OnError,
    born: Birthplace,
}

impl Ending {
    pub(crate) fn new(name: String, on_error: OnError) -> Self {
        Self {
            name,
            on_error,
            born: Birthplace::here(),
        }
    }
}

impl PyBehavior {
    pub(crate) fn new(
        handler: &Bound<'_, PyAny>,
        manner: Manner,
        loop_lane: &Arc<LoopLane>,
    ) -> Self {
        let ending = Ending::new(Self::name_of(handler), manner.on_error);
        Self {
            handler: handler.clone().unbind(),
            manner,
            ending: Arc::new(ending),
            loop_lane: loop_lane.clone(),
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
        cx: &mut Context<'_>,
        py: Python<'_>,
        message: Bound<'_, PyAny>,
    ) -> PyResult<Step> {
        if self.manner.batch {
            return self.call_with(cx, py, PyList::new(py, [message])?.into_any());
        }
        self.call_with(cx, py, message)
    }

    #[inline]
    fn call_with(
        &self,
        cx: &mut Context<'_>,
        py: Python<'_>,
        argument: Bound<'_, PyAny>,
    ) -> PyResult<Step> {
        if self.loop_lane.is_here() {
            return self.call_on_loop(cx, py, argument);
        }
        let handler = self.handler.bind(py);
        let carried = context::carried(py, cx.take_baggage());
        let returned = if let Some(context) = &carried {
            context::within(context, || handler.call1((argument,)))
        } else {
            let returned = handler.call1((argument,));
            context::cleanse(py)?;
            returned
        }?;
        if returned.is_none() && !cx.is_asked() {
            return Ok(Step::Done);
        }
        match coroutine_of(&returned)? {
            None => answered(cx, &returned),
            // A coroutine where none was expected goes to the loop thread.
            Some(coroutine) => {
                let context = carried.map_or_else(|| context::blank(py), Ok)?;
                let role = Role::handler(cx.pid(), self.ending.clone());
                send_to_loop(&self.loop_lane, coroutine, context, role)
            }
        }
    }

    /// Calls the handler, and steps its coroutine as far as that goes without waiting.
    fn call_on_loop(
        &self,
        cx: &mut Context<'_>,
        py: Python<'_>,
        argument: Bound<'_, PyAny>,
    ) -> PyResult<Step> {
        let carried = context::carried(py, cx.take_baggage());
        let handler = self.handler.bind(py);
        let begin = || handler.call1((argument,));
        let how = OnLoop {
            ending: self.ending.clone(),
            reentrant: self.manner.reentrant,
        };
        run_on_loop(&self.loop_lane, cx, py, carried, how, begin)
    }
}

/// What becomes of a coroutine that waits.
pub(crate) struct OnLoop<O> {
    pub(crate) ending: Arc<O>,
    pub(crate) reentrant: bool,
}

/// Has a coroutine that was made elsewhere run on the loop thread; the process waits for it.
pub(crate) fn send_to_loop<'py>(
    loop_lane: &Arc<LoopLane>,
    coroutine: Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
    role: Role,
) -> PyResult<Step> {
    let py = coroutine.py();
    loop_lane.start()?;
    let task = lane::new_task(py, loop_lane, coroutine, context, role)?;
    lane::pend(task.unbind());
    Ok(Step::Park)
}

/// Calls `begin` on the loop thread, and steps the coroutine that it gives, if it does, as far
/// as that goes without waiting.
pub(crate) fn run_on_loop<'py, O: Outcome + 'static>(
    loop_lane: &Arc<LoopLane>,
    cx: &mut Context<'_>,
    py: Python<'py>,
    carried: Option<Bound<'py, PyAny>>,
    how: OnLoop<O>,
    begin: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Step> {
    let context = carried.map_or_else(|| loop_lane.take_blank(py), Ok)?;
    let spare = loop_lane.take_spare(py)?;
    let sent = context::within(&context, || {
        let returned = begin()?;
        match coroutine_of(&returned)? {
            None => Ok(Sent::Returned(returned)),
            Some(coroutine) => {
                spare
                    .get()
                    .begin(coroutine.clone().unbind(), None, Role::None);
                context::send(&coroutine)
            }
        }
    });
    let ended = match sent {
        Ok(Sent::Returned(returned)) => how.ending.answer(cx, &returned),
        Err(raised) => Err(raised),
        Ok(Sent::Yielded(yielded)) => {
            return wait_on_loop(loop_lane, cx, how, &spare, context, &yielded);
        }
    };
    spare.get().ended_at_once();
    loop_lane.return_spare(spare, ended.as_ref().err())?;
    loop_lane.return_blank(context);
    ended
}

/// The coroutine waits, and with it the process, unless that goes on with other messages.
fn wait_on_loop<'py, O: Outcome + 'static>(
    loop_lane: &LoopLane,
    cx: &mut Context<'_>,
    how: OnLoop<O>,
    task: &Bound<'py, HandlerTask>,
    context: Bound<'py, PyAny>,
    yielded: &Bound<'py, PyAny>,
) -> PyResult<Step> {
    let pid = cx.pid();
    if !how.reentrant {
        HandlerTask::suspended_at(task, context, Role::handler(pid, how.ending), yielded)?;
        lane::pend(task.clone().unbind());
        return Ok(Step::Park);
    }
    let role = Role::Flight {
        pid,
        outcome: how.ending,
        reply: cx.take_reply(),
    };
    loop_lane.add_flight(pid, task.clone().unbind());
    HandlerTask::suspended_at(task, context, role, yielded)?;
    Ok(Step::Done)
}

/// What a handler wants that has returned this, and what it answers if somebody `is_asking`.
fn meaning(returned: &Bound<'_, PyAny>, is_asking: bool) -> PyResult<(Payload, Step)> {
    if returned.is_none() {
        Ok((Payload::default(), Step::Done))
    } else if returned.is_exact_instance_of::<Stop>() {
        Ok((Payload::default(), Step::stop()))
    } else if is_asking {
        Ok((convert::message(returned)?, Step::Done))
    } else {
        Ok((Payload::default(), Step::Done))
    }
}

/// Answers who asked, if anybody did, with what the handler has returned.
#[inline]
fn answered(cx: &mut Context<'_>, returned: &Bound<'_, PyAny>) -> PyResult<Step> {
    if returned.is_none() && !cx.is_asked() {
        return Ok(Step::Done);
    }
    let (answer, step) = meaning(returned, cx.is_asked())?;
    if cx.is_asked() {
        cx.reply(answer);
    }
    Ok(step)
}

impl Outcome for Ending {
    fn step(
        &self,
        py: Python<'_>,
        pid: Pid,
        ended: PyResult<Bound<'_, PyAny>>,
        reply: Option<ReplyTo>,
    ) -> Step {
        let meant = ended.and_then(|returned| meaning(&returned, reply.is_some()));
        match meant {
            Ok((answer, step)) => {
                if let Some(reply) = reply {
                    reply.reply(answer);
                }
                step
            }
            Err(raised) => self.on_error.raised(py, pid, &self.name, reply, &raised),
        }
    }

    fn answer(&self, cx: &mut Context<'_>, returned: &Bound<'_, PyAny>) -> PyResult<Step> {
        answered(cx, returned)
    }
}

/// The coroutine to be run of what a handler has returned, if that is to be awaited.
pub(crate) fn coroutine_of<'py>(
    returned: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if returned.is_none() || returned.is_exact_instance_of::<Stop>() {
        return Ok(None);
    }
    let py = returned.py();
    if returned.is_exact_instance(coroutine_type(py)?) {
        return Ok(Some(returned.clone()));
    }
    if !returned.get_type().hasattr(intern!(py, "__await__"))? {
        return Ok(None);
    }
    let around = py.import("iris._async")?.getattr("awaited")?;
    around.call1((returned,)).map(Some)
}

fn coroutine_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    COROUTINE.import(py, "types", "CoroutineType")
}

/// What `what` has returned is a coroutine, which nobody would await.
pub(crate) fn refuse_coroutine(returned: &Bound<'_, PyAny>) -> PyResult<()> {
    if returned.is_exact_instance(coroutine_type(returned.py())?) {
        returned.call_method0("close")?;
        return Err(pyo3::exceptions::PyTypeError::new_err(
            "the function of a pull actor returned a coroutine, which nobody awaits: make it an \
             async def, which is seen when the actor is spawned",
        ));
    }
    Ok(())
}

impl Behavior for PyBehavior {
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        match message {
            Message::User(bytes) => self.attached(cx, |cx, py| {
                self.call(cx, py, PyBytes::new(py, &bytes).into_any())
            }),
            message if self.manner.system => self.attached(cx, |cx, py| {
                self.call(cx, py, system::object(py, &message)?)
            }),
            _ => Step::Done,
        }
    }

    fn handle_in_place(&self, _: &mut State, cx: &mut Context<'_>, payload: &mut Payload) -> Step {
        self.attached(cx, |cx, py| {
            self.call(cx, py, handed::object(py, payload).into_any())
        })
    }

    fn as_batch(&self) -> Option<&dyn BatchBehavior> {
        self.manner.batch.then_some(self)
    }

    fn before_stop(&self, _: &mut State, pid: Pid, _: &Exit, at_once: bool) -> Step {
        if self.manner.reentrant && self.loop_lane.has_flights(pid, at_once) {
            Step::Park
        } else {
            Step::Done
        }
    }

    fn name(&self) -> &str {
        &self.ending.name
    }
}

impl BatchBehavior for PyBehavior {
    fn handle_batch(&self, _: &mut State, cx: &mut Context<'_>, batch: Vec<Payload>) -> Step {
        self.attached(cx, |cx, py| {
            let messages = batch.iter().map(|payload| handed::object(py, payload));
            let list = PyList::new(py, messages)?;
            drop(batch);
            self.call_with(cx, py, list.into_any())
        })
    }
}

impl PyBehavior {
    /// Calls with the GIL, which the lane has taken; what the handler raises is its end, unless
    /// it is to go on.
    fn attached(
        &self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Context<'_>, Python<'_>) -> PyResult<Step>,
    ) -> Step {
        let called = Python::try_attach(|py| {
            let called = call(cx, py);
            if !self.ending.born.is_here() {
                fork::leave_child(py, called.err());
            }
            called.unwrap_or_else(|raised| {
                let reply = cx.take_reply();
                let ending = &self.ending;
                ending
                    .on_error
                    .raised(py, cx.pid(), &ending.name, reply, &raised)
            })
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

impl OnError {
    /// What follows on an exception in a handler: who asked is told, the log is, and the actor is
    /// stopped or goes on.
    pub(crate) fn raised(
        self,
        py: Python<'_>,
        pid: Pid,
        name: &str,
        reply: Option<ReplyTo>,
        raised: &PyErr,
    ) -> Step {
        if let Some(reply) = reply {
            reply.reject(remote::told(py, raised));
        }
        let outcome = match self {
            Self::Crash => "it is stopped (crash)",
            Self::Resume => "it goes on with the next message (on_error=\"resume\")",
        };
        let text = format!("actor {pid} ({name}) raised; {outcome}");
        match self {
            Self::Crash => {
                error::log_crash(py, pid, &text, raised);
                Step::Stop(Exit::crash(error::failure(py, raised)))
            }
            Self::Resume => {
                error::log(py, &text, raised);
                Step::Done
            }
        }
    }
}
