//! Async actors that receive: one coroutine for life, with a mailbox.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use iris::{ApartEnd, Exit, ExitReason, Message, Pid, Receiver, RecvError, Verdict};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::context;
use super::lane::{self, LoopLane, Work};
use super::suspension::Suspension;
use super::task::Role;
use crate::error;
use crate::mailbox;
use crate::system;

/// What an async mailbox is made of. Only the loop thread uses it.
#[pyclass(module = "iris._iris", name = "_Inbox", frozen)]
pub(crate) struct Inbox {
    /// Taken out when the actor ends.
    receiver: Mutex<Option<Receiver>>,
    pid: u64,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Option<Receiver>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll<'py>(
        &self,
        py: Python<'py>,
        waker: &Waker,
        seen: &mut usize,
        matcher: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Taken out for as long as it is looked through: the matcher may come back here.
        let receiver = self.lock().take();
        let Some(mut receiver) = receiver else {
            return Err(error::mailbox_closed(py));
        };
        let matcher = matcher.map(|matcher| matcher.clone().unbind());
        let mut raised = None;
        let mut choose = |message: &Message| match &matcher {
            None => Verdict::Take,
            Some(matcher) => mailbox::choose(matcher, message, &mut raised),
        };
        let polled = receiver.poll_chosen(waker, seen, &mut choose);
        *self.lock() = Some(receiver);
        if let Some(raised) = raised {
            return Err(raised);
        }
        match polled {
            Poll::Ready(Ok(message)) => system::object(py, &message).map(Some),
            Poll::Ready(Err(RecvError::Closed)) => Err(error::mailbox_closed(py)),
            Poll::Ready(Err(error)) => Err(PyRuntimeError::new_err(error.to_string())),
            Poll::Pending => Ok(None),
        }
    }
}

#[pymethods]
impl Inbox {
    #[getter]
    fn pid(&self) -> u64 {
        self.pid
    }

    /// The next message, if there is one.
    fn take<'py>(
        &self,
        py: Python<'py>,
        matcher: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.poll(py, Waker::noop(), &mut 0, matcher)
    }

    /// As `take`; without one, `suspension` is woken when there is news. `seen` messages that
    /// were set aside are not looked at; second comes their number for the next time.
    fn poll_for<'py>(
        &self,
        py: Python<'py>,
        suspension: &Bound<'py, Suspension>,
        mut seen: usize,
        matcher: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, usize)> {
        let waker = suspension.get().waker();
        let found = self.poll(py, &waker, &mut seen, matcher)?;
        Ok((found, seen))
    }
}

/// What is to be done when the coroutine of such an actor is over.
pub(crate) struct PullEnd {
    pid: Pid,
    end: ApartEnd,
    inbox: Py<Inbox>,
    name: String,
}

impl PullEnd {
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn order_received(&self) -> bool {
        self.end.order_received()
    }

    pub(crate) fn conclude(
        self,
        py: Python<'_>,
        stopping: bool,
        was_cancelled: bool,
        ended: PyResult<Bound<'_, PyAny>>,
    ) {
        let Self {
            pid,
            end,
            inbox,
            name,
        } = self;
        let receiver = inbox.get().lock().take();
        if let Some(mut receiver) = receiver {
            if stopping {
                // It learns how it was told to stop.
                receiver.recv_blocking(Some(Duration::ZERO)).ok();
            }
            drop(receiver);
        }
        let exit = match ended {
            Ok(_) => Exit::default(),
            Err(_) if stopping && was_cancelled => ExitReason::Killed.into(),
            Err(raised) if error::is_mailbox_closed(py, &raised) => Exit::default(),
            Err(raised) => {
                let text = format!("actor {pid} ({name}) raised; it is stopped (crash)");
                error::log(py, &text, &raised);
                Exit::crash(error::failure(py, &raised))
            }
        };
        end.end(exit);
    }
}

/// Calls `handler(mailbox)` on the loop thread when its turn comes, and runs what it returns.
pub(crate) fn start(
    lane: &Arc<LoopLane>,
    handler: &Bound<'_, PyAny>,
    budget: u32,
    name: String,
    receiver: Receiver,
    end: ApartEnd,
) -> PyResult<()> {
    let py = handler.py();
    let pid = receiver.pid();
    end.when_told_to_stop(lane.stop_hook());
    let told = end.is_stopped();
    let inbox = Bound::new(
        py,
        Inbox {
            receiver: Mutex::new(Some(receiver)),
            pid: pid.raw(),
        },
    )?;
    let role = Role::Pull(PullEnd {
        pid,
        end,
        inbox: inbox.clone().unbind(),
        name,
    });
    let body = py.import("iris._async")?.getattr("run_body")?;
    let coroutine = body.call1((handler, inbox, budget))?;
    let task = lane::new_task(py, lane, coroutine, context::copy_current(py)?, role)?;
    lane.add_suspended(pid, task.clone().unbind());
    lane.push(Work::Step(task.unbind()));
    if told {
        // Before there was a hook.
        lane.push(Work::Stopped(pid));
    }
    Ok(())
}
