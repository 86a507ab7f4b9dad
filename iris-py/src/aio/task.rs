//! A coroutine of an actor: its steps and its end.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iris::{Context, Parked, Pid, ReplyTo, Step, run_as};
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::context::{self, Sent};
use super::lane::LoopLane;
use super::pull::PullEnd;
use super::suspension::Suspension;
use crate::error;
use crate::fork::{self, Birthplace};

/// What follows for an actor from how a coroutine of its handler has ended.
pub(crate) trait Outcome: Send + Sync {
    /// What follows, once `reply` has its answer. Called with the GIL, once for each coroutine that
    /// has waited.
    fn step(
        &self,
        py: Python<'_>,
        pid: Pid,
        ended: PyResult<Bound<'_, PyAny>>,
        reply: Option<ReplyTo>,
    ) -> Step;

    /// The same for a handler that returned without waiting.
    fn answer(&self, cx: &mut Context<'_>, returned: &Bound<'_, PyAny>) -> PyResult<Step>;
}

/// What a coroutine is to its actor.
#[derive(Default)]
pub(crate) enum Role {
    /// Not (yet or any more) one that anything waits for.
    #[default]
    None,
    /// The handler of the message that the process is at.
    Handler {
        pid: Pid,
        outcome: Arc<dyn Outcome>,
        /// Until it is there, the coroutine has only just begun to wait.
        parked: Option<Parked>,
    },
    /// The handler of one of the messages that a reentrant process is at.
    Flight {
        pid: Pid,
        outcome: Arc<dyn Outcome>,
        reply: Option<ReplyTo>,
    },
    /// The body of an actor that receives.
    Pull(PullEnd),
}

impl Role {
    /// The handler of the message that the process is at.
    pub(crate) fn handler(pid: Pid, outcome: Arc<dyn Outcome>) -> Self {
        Self::Handler {
            pid,
            outcome,
            parked: None,
        }
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        match self {
            Self::None => None,
            Self::Handler { pid, .. } | Self::Flight { pid, .. } => Some(*pid),
            Self::Pull(end) => Some(end.pid()),
        }
    }
}

/// The task that the code of an async actor runs in: what `asyncio.current_task()` gives there.
///
/// It has the methods of `asyncio.Task` and is one of its "third party" kind. Made by the runtime
/// only.
#[pyclass(module = "iris._iris", frozen, weakref)]
pub(crate) struct HandlerTask {
    pub(super) lane: Arc<LoopLane>,
    inner: Mutex<Inner>,
    /// Whether Python code has asked it for anything, and so may know it.
    pub(super) touched: AtomicBool,
    born: Birthplace,
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may be so or not whatever the others are"
)]
pub(super) struct Inner {
    pub(super) coroutine: Option<Py<PyAny>>,
    pub(super) context: Option<Py<PyAny>>,
    pub(super) role: Role,
    pub(super) name: Option<Py<PyAny>>,
    pub(super) started: bool,
    /// Whether `asyncio.all_tasks()` knows it.
    pub(super) registered: bool,
    /// What it waits for.
    pub(super) waiter: Option<Py<PyAny>>,
    /// To be thrown into it at its next step.
    pub(super) thrown: Option<PyErr>,
    pub(super) must_cancel: bool,
    pub(super) cancel_message: Option<Py<PyAny>>,
    pub(super) cancels: u32,
    /// Whether its actor was told to stop.
    pub(super) stopping: bool,
    pub(super) blocking: bool,
    pub(super) callbacks: Vec<(Py<PyAny>, Py<PyAny>)>,
    pub(super) end: Option<Result<Py<PyAny>, Py<PyBaseException>>>,
    pub(super) was_cancelled: bool,
}

fn cancelled_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "asyncio", "CancelledError")
}

/// An `asyncio.CancelledError`.
pub(crate) fn cancelled(py: Python<'_>, message: Option<Py<PyAny>>) -> PyErr {
    match (cancelled_class(py), message) {
        (Ok(class), Some(message)) => PyErr::from_type(class.clone(), (message,)),
        (Ok(class), None) => PyErr::from_type(class.clone(), ()),
        (Err(error), _) => error,
    }
}

pub(crate) fn is_cancelled(py: Python<'_>, raised: &PyErr) -> bool {
    cancelled_class(py).is_ok_and(|class| raised.is_instance(py, class))
}

pub(super) fn invalid_state(py: Python<'_>, text: &'static str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "asyncio", "InvalidStateError") {
        Ok(class) => PyErr::from_type(class.clone(), text),
        Err(error) => error,
    }
}

impl HandlerTask {
    /// One without a coroutine.
    pub(crate) fn spare(lane: Arc<LoopLane>) -> Self {
        Self {
            lane,
            inner: Mutex::default(),
            touched: AtomicBool::new(false),
            born: Birthplace::here(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the garbage collector, which must not wait.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Inner>> {
        self.inner.try_lock().ok()
    }

    /// As [`lock`](Self::lock), for methods that Python code calls.
    pub(super) fn touch(&self) -> MutexGuard<'_, Inner> {
        self.touched.store(true, Ordering::Relaxed);
        self.lock()
    }

    /// Whose code it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.lock().role.pid()
    }

    /// Whether it may serve another coroutine.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.touched.load(Ordering::Relaxed)
    }

    /// Gives it a coroutine.
    pub(crate) fn begin(&self, coroutine: Py<PyAny>, context: Option<Py<PyAny>>, role: Role) {
        let mut inner = self.lock();
        inner.coroutine = Some(coroutine);
        inner.context = context;
        inner.role = role;
    }

    /// The coroutine that it served has ended without waiting.
    pub(crate) fn ended_at_once(&self) {
        let coroutine = self.lock().coroutine.take();
        drop(coroutine);
    }

    /// It serves no other: somebody may ask it how the last one has ended.
    pub(crate) fn retire(&self, py: Python<'_>, raised: Option<&PyErr>) {
        let end = match raised {
            Some(raised) => Err(raised.clone_ref(py).into_value(py)),
            None => Ok(py.None()),
        };
        let mut inner = self.lock();
        inner.was_cancelled = raised.is_some_and(|raised| is_cancelled(py, raised));
        inner.end = Some(end);
    }

    /// The first step of its coroutine has come to a wait for `yielded`.
    pub(crate) fn suspended_at(
        slf: &Bound<'_, Self>,
        context: Bound<'_, PyAny>,
        role: Role,
        yielded: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let mut inner = slf.get().lock();
        inner.context = Some(context.unbind());
        inner.role = role;
        inner.started = true;
        drop(inner);
        slf.get().lane.keep_spare(slf)?;
        Self::wait_for(slf, yielded);
        Ok(())
    }

    /// The process waits for it now; whether it has not been stepped yet.
    pub(crate) fn attach(&self, by: Parked) -> bool {
        let mut inner = self.lock();
        if let Role::Handler { parked, .. } = &mut inner.role {
            *parked = Some(by);
        }
        !inner.started
    }

    /// Nobody will step it again: what waits in it is closed.
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        let left = (inner.coroutine.take(), inner.waiter.take());
        drop(inner);
        drop(left);
    }

    /// Its actor was told to stop: it is cancelled, and has until a deadline to clean up.
    pub(crate) fn order_stop(slf: &Bound<'_, Self>) {
        let py = slf.py();
        let mut inner = slf.get().lock();
        if inner.end.is_some() || mem::replace(&mut inner.stopping, true) {
            return;
        }
        // One that waits for a message has just received the order.
        let knows = matches!(&inner.role, Role::Pull(end) if end.order_received());
        drop(inner);
        if !knows {
            slf.get().cancel_with(py, None);
        }
        if let Err(raised) = slf.get().lane.watch(slf) {
            error::log(py, "a stop has no deadline", &raised);
        }
    }

    /// Runs it until it waits again or is over. On the loop thread.
    pub(crate) fn step(slf: &Bound<'_, Self>, thrown: Option<PyErr>) {
        let (py, this) = (slf.py(), slf.get());
        let mut inner = this.lock();
        if inner.end.is_some() {
            return;
        }
        let waited_for = inner.waiter.take();
        inner.started = true;
        let mut thrown = thrown.or(inner.thrown.take());
        let mut message = None;
        let mut cancels = false;
        if mem::take(&mut inner.must_cancel) {
            cancels = true;
            message = inner.cancel_message.take();
        }
        let parts = inner
            .coroutine
            .as_ref()
            .zip(inner.context.as_ref())
            .map(|(coroutine, context)| (coroutine.clone_ref(py), context.clone_ref(py)));
        let pid = inner.role.pid();
        drop(inner);
        drop(waited_for);
        let (Some((coroutine, context)), Some(pid)) = (parts, pid) else {
            return;
        };
        if cancels
            && !thrown
                .as_ref()
                .is_some_and(|raised| is_cancelled(py, raised))
        {
            thrown = Some(cancelled(py, message));
        }
        this.lane.inside(py, Some(pid), || {
            let sent = this.sent(slf, pid, &coroutine, &context, thrown);
            if !this.born.is_here() {
                fork::leave_child(py, sent.err());
            }
            match sent {
                Ok(Sent::Yielded(yielded)) => Self::wait_for(slf, &yielded),
                Ok(Sent::Returned(value)) => Self::finish(slf, Ok(value)),
                Err(raised) => Self::finish(slf, Err(raised)),
            }
        });
    }

    /// One step, as the current task.
    fn sent<'py>(
        &self,
        slf: &Bound<'py, Self>,
        pid: Pid,
        coroutine: &Py<PyAny>,
        context: &Py<PyAny>,
        thrown: Option<PyErr>,
    ) -> PyResult<Sent<'py>> {
        let py = slf.py();
        self.lane.enter(slf)?;
        let sent = run_as(pid, || {
            context::step(context.bind(py), coroutine.bind(py), thrown)
        });
        self.lane.leave(slf)?;
        sent
    }

    /// Has it stepped when what it has yielded is there.
    fn wait_for(slf: &Bound<'_, Self>, yielded: &Bound<'_, PyAny>) {
        if let Err(wrong) = Self::try_wait_for(slf, yielded) {
            slf.get().lock().thrown = Some(wrong);
            slf.get().lane.step_next_turn(slf.clone().unbind());
        }
    }

    fn try_wait_for(slf: &Bound<'_, Self>, yielded: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let own = || slf.clone().unbind();
        if yielded.is_none() {
            this.lane.step_next_turn(own());
            return Ok(());
        }
        if let Ok(suspension) = yielded.cast_exact::<Suspension>() {
            let mut inner = this.lock();
            inner.waiter = Some(yielded.clone().unbind());
            let cancels = inner.must_cancel;
            drop(inner);
            if cancels || !suspension.get().resumes(own()) {
                this.lane.push(super::lane::Work::Step(own()));
            }
            return Ok(());
        }
        let blocking = intern!(py, "_asyncio_future_blocking");
        let Ok(is_blocking) = yielded.getattr(blocking) else {
            return Err(PyRuntimeError::new_err(format!(
                "Task got bad yield: {}",
                yielded.repr()?
            )));
        };
        if is_blocking.is_none() {
            return Err(PyRuntimeError::new_err("Task got bad yield: not a future"));
        }
        let of_loop = yielded.call_method0(intern!(py, "get_loop"))?;
        if !this
            .lane
            .event_loop(py)
            .is_some_and(|event_loop| event_loop.is(&of_loop))
        {
            return Err(PyRuntimeError::new_err(format!(
                "Task {} got Future {} attached to a different loop",
                slf.repr()?,
                yielded.repr()?
            )));
        }
        if !is_blocking.is_truthy()? {
            return Err(PyRuntimeError::new_err(format!(
                "yield was used instead of yield from in task {} with {}",
                slf.repr()?,
                yielded.repr()?
            )));
        }
        if yielded.is(slf) {
            return Err(PyRuntimeError::new_err(format!(
                "Task cannot await on itself: {}",
                slf.repr()?
            )));
        }
        // asyncio's book of all tasks costs more than a microsecond. Those that only let others run,
        // or wait for another actor, are not in it.
        if !mem::replace(&mut this.lock().registered, true) {
            this.lane.register(slf, true)?;
        }
        yielded.setattr(blocking, false)?;
        let wakeup = slf.getattr(intern!(py, "_wakeup"))?;
        yielded.call_method(
            intern!(py, "add_done_callback"),
            (wakeup,),
            Some(&this.lane.neutral(py)?),
        )?;
        let mut inner = this.lock();
        inner.waiter = Some(yielded.clone().unbind());
        let message = inner.must_cancel.then(|| inner.cancel_message.take());
        drop(inner);
        if let Some(message) = message
            && cancel_future(yielded, message.as_ref())?
        {
            this.lock().must_cancel = false;
        }
        Ok(())
    }

    /// It is over, and so the actor goes on, or ends.
    pub(crate) fn finish(slf: &Bound<'_, Self>, ended: PyResult<Bound<'_, PyAny>>) {
        let (py, this) = (slf.py(), slf.get());
        let was_cancelled = ended.as_ref().is_err_and(|raised| is_cancelled(py, raised));
        let end = match &ended {
            Ok(value) => Ok(value.clone().unbind()),
            Err(raised) => Err(raised.clone_ref(py).into_value(py)),
        };
        let mut inner = this.lock();
        inner.end = Some(end);
        inner.was_cancelled = was_cancelled;
        let role = mem::take(&mut inner.role);
        let callbacks = mem::take(&mut inner.callbacks);
        let stopping = inner.stopping;
        let registered = mem::take(&mut inner.registered);
        let left = (inner.coroutine.take(), inner.context.take());
        drop(inner);
        drop(left);
        let mut told = if registered {
            this.lane.register(slf, false)
        } else {
            Ok(())
        };
        for (callback, context) in callbacks {
            told = told.and(this.lane.call_soon(py, &callback, slf.as_any(), &context));
        }
        if let Err(raised) = told {
            error::log(py, "asyncio was not told of the end of a task", &raised);
        }
        // Then the order to stop is next in the mailbox.
        let gives_way = stopping && was_cancelled;
        let step = |pid, outcome: &Arc<dyn Outcome>, ended, reply| {
            run_as(pid, || outcome.step(py, pid, ended, reply))
        };
        match role {
            Role::None => {}
            Role::Handler {
                pid,
                outcome,
                mut parked,
            } => {
                let step = if gives_way {
                    Step::Yield
                } else {
                    let reply = parked.as_mut().and_then(Parked::take_reply);
                    step(pid, &outcome, ended, reply)
                };
                this.lane.end_suspended(pid);
                match parked {
                    Some(parked) => parked.resume(step),
                    None => drop(step),
                }
            }
            Role::Flight {
                pid,
                outcome,
                reply,
            } => {
                if gives_way {
                    if let Some(reply) = reply {
                        reply.fail_dead();
                    }
                } else if let Step::Stop(exit) = step(pid, &outcome, ended, reply)
                    && let Some(host) = this.lane.host.upgrade()
                {
                    host.stop(pid, exit);
                }
                let own = slf.clone().unbind();
                if let Some(parked) = this.lane.end_flight(pid, &own) {
                    parked.resume(Step::Done);
                }
            }
            Role::Pull(end) => {
                this.lane.end_suspended(end.pid());
                end.conclude(py, stopping, was_cancelled, ended);
            }
        }
    }

    pub(super) fn cancel_with(&self, py: Python<'_>, message: Option<Py<PyAny>>) -> bool {
        let mut inner = self.lock();
        if inner.end.is_some() {
            return false;
        }
        inner.cancels += 1;
        let waiter = inner.waiter.as_ref().map(|waiter| waiter.clone_ref(py));
        if let Some(waiter) = &waiter {
            let waiter = waiter.bind(py);
            if let Ok(suspension) = waiter.cast_exact::<Suspension>() {
                inner.must_cancel = true;
                inner.cancel_message = message;
                drop(inner);
                suspension.get().waker().wake();
                return true;
            }
            drop(inner);
            match cancel_future(waiter, message.as_ref()) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(raised) => error::log(py, "a future could not be cancelled", &raised),
            }
            inner = self.lock();
        }
        inner.must_cancel = true;
        inner.cancel_message = message;
        true
    }
}

/// As `future.cancel(msg=message)`.
fn cancel_future(future: &Bound<'_, PyAny>, message: Option<&Py<PyAny>>) -> PyResult<bool> {
    let py = future.py();
    let cancel = intern!(py, "cancel");
    let cancelled = match message {
        Some(message) => {
            let keywords = pyo3::types::PyDict::new(py);
            keywords.set_item("msg", message)?;
            future.call_method(cancel, (), Some(&keywords))?
        }
        None => future.call_method0(cancel)?,
    };
    cancelled.is_truthy()
}
