//! Pull actors: a Python function on a thread of its own, with a mailbox to receive from.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use iris::{Exit, Failure, Mail, Message, Receiver, RecvError, Verdict};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::behavior::refuse_coroutine;
use crate::convert;
use crate::error;
use crate::fork::{self, Birthplace};
use crate::remote;
use crate::system;
use crate::wait::SIGNAL_INTERVAL;

/// The mailbox of a pull actor. It belongs to the thread of its actor.
#[pyclass(module = "iris._iris", frozen)]
pub(crate) struct Mailbox {
    /// Taken out when the actor ends, however long somebody keeps the object.
    receiver: Mutex<Option<Receiver>>,
    pid: u64,
    /// The actor's own thread, which no signal is for: it waits without looking for them.
    home: ThreadId,
    born: Birthplace,
}

#[pymethods]
impl Mailbox {
    /// The pid of the actor whose mailbox it is.
    #[getter]
    fn pid(&self) -> u64 {
        self.pid
    }

    /// The next message, or `None` if none came within `timeout` seconds (`None`: for ever).
    /// It is `bytes`, or a `PySystemMessage` such as the EXIT of a linked actor.
    ///
    /// Releases the GIL while it waits; on the main thread it heeds Ctrl-C. Raises `MailboxClosed` once the actor was told to
    /// stop; it may leave the actor's function, which is then a quiet end.
    #[pyo3(signature = (timeout=None))]
    fn recv<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let timeout = wait_time(timeout)?;
        match self.next(py, timeout)? {
            Ok(mail) => system::mail(py, &mail).map(Some),
            Err(RecvError::Closed) => Err(error::mailbox_closed(py)),
            Err(_) => Ok(None),
        }
    }

    /// The first message for which `matcher(message)` is true, as `recv`. Those before it keep
    /// their order for later calls. What `matcher` raises is raised here, and the message
    /// that it looked at stays where it is.
    #[pyo3(signature = (matcher, timeout=None))]
    fn selective_recv<'py>(
        &self,
        py: Python<'py>,
        matcher: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !matcher.is_callable() {
            return Err(error::not_callable(matcher));
        }
        let timeout = wait_time(timeout)?;
        let matcher = matcher.clone().unbind();
        let (mut raised, mut seen) = (None, 0);
        let received = self.wait(py, timeout, |receiver, step| {
            let choose = |message: &Message| choose(&matcher, message, &mut raised);
            receiver.recv_chosen_from(&mut seen, choose, step)
        })?;
        match raised {
            Some(raised) => Err(raised),
            None => answer(py, received),
        }
    }

    /// Up to `max` messages: waits for the first as `recv` does, and takes what is there
    /// then. An empty list if none came in time.
    #[pyo3(signature = (max, timeout=None))]
    fn recv_many<'py>(
        &self,
        py: Python<'py>,
        max: usize,
        timeout: Option<f64>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        if max == 0 {
            return Err(PyValueError::new_err("max must be at least 1"));
        }
        let Some(first) = self.recv(py, timeout)? else {
            return Ok(Vec::new());
        };
        let mut batch = vec![first];
        while batch.len() < max {
            // What comes first, a message or the order to stop, is for the next call then.
            match self.with(py, Receiver::try_recv)? {
                Ok(mail) => batch.push(system::mail(py, &mail)?),
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    /// Answers who asked with the message that was received last; `data` must be bytes-like.
    ///
    /// `False` if nobody did, or nobody waits for the answer any more. Who asked and has no
    /// answer by the next receive gets a `NoReplyError`.
    fn reply(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let payload = convert::payload(data)?;
        self.with(py, |receiver| receiver.reply(payload))
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next message; the iteration ends when the actor is told to stop.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let received = self.next(py, None)?.ok();
        received.map(|mail| system::mail(py, &mail)).transpose()
    }
}

impl Mailbox {
    fn new(receiver: Receiver) -> Self {
        let pid = receiver.pid().raw();
        Self {
            receiver: Mutex::new(Some(receiver)),
            pid,
            home: thread::current().id(),
            born: Birthplace::here(),
        }
    }

    /// The next message. Lets go of the GIL to wait for it only: who has mail goes on as long as
    /// any Python thread may.
    fn next(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<Result<Mail, RecvError>> {
        match self.with(py, Receiver::try_recv)? {
            Err(RecvError::Timeout) => self.wait(py, timeout, |receiver, step| {
                receiver.recv_mail_blocking(step)
            }),
            received => Ok(received),
        }
    }

    /// Waits for a message without the GIL; on a thread that was handed the mailbox, and may be
    /// the main one, in steps that heed Ctrl-C.
    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        mut receive: impl FnMut(&mut Receiver, Option<Duration>) -> Result<T, RecvError> + Send,
    ) -> PyResult<Result<T, RecvError>> {
        let at_home = thread::current().id() == self.home;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.with(py, |receiver| {
            loop {
                let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                let step = if at_home {
                    timeout
                } else {
                    Some(left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL)))
                };
                let received = py.detach(|| receive(receiver, step));
                let over = at_home || left.is_some_and(|left| left.is_zero());
                if over || !matches!(received, Err(RecvError::Timeout)) {
                    return Ok(received);
                }
                py.check_signals()?;
            }
        })?
    }

    /// Uses the receiver, which only one call at a time can.
    fn with<T>(&self, py: Python<'_>, receive: impl FnOnce(&mut Receiver) -> T) -> PyResult<T> {
        if !self.born.is_here() {
            return Err(error::forked(py));
        }
        let mut guard: MutexGuard<'_, _> = match self.receiver.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(PyRuntimeError::new_err(
                    "the mailbox is in use, by another thread or by the matcher of a receive",
                ));
            }
        };
        guard
            .as_mut()
            .map(receive)
            .ok_or_else(|| error::mailbox_closed(py))
    }

    /// Tells who asked last, and has no answer yet, what was raised.
    fn reject(&self, py: Python<'_>, raised: &PyErr) {
        if error::is_mailbox_closed(py, raised) {
            return;
        }
        if let Ok(Some(reply)) = self.with(py, Receiver::take_reply) {
            reply.reject(remote::told(py, raised));
        }
    }

    /// Gives the receiver back; nothing can be received any more.
    fn close(&self) {
        // Another thread that was handed the mailbox and waits in it keeps it until the
        // actor is stopped.
        let receiver = self
            .receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(receiver);
    }
}

/// Runs the function of a pull actor; how the actor ends.
pub(crate) fn run(handler: &Py<PyAny>, name: &str, receiver: Receiver) -> Exit {
    let pid = receiver.pid();
    let ended = Python::try_attach(|py| {
        let mailbox = Py::new(py, Mailbox::new(receiver));
        let result = mailbox.and_then(|mailbox| {
            let returned = handler.bind(py).call1((&mailbox,));
            if !mailbox.get().born.is_here() {
                fork::leave_child(py, returned.err());
            }
            let returned = returned.and_then(|returned| refuse_coroutine(&returned));
            if let Err(raised) = &returned {
                mailbox.get().reject(py, raised);
            }
            py.detach(|| mailbox.get().close());
            returned
        });
        match result {
            Ok(()) => Exit::default(),
            Err(raised) if error::is_mailbox_closed(py, &raised) => Exit::default(),
            Err(raised) => {
                let text = format!("actor {pid} ({name}) raised; it is stopped (crash)");
                error::log_crash(py, pid, &text, &raised);
                Exit::crash(error::failure(py, &raised))
            }
        }
    });
    ended.unwrap_or_else(|| Exit::crash(Failure::default()))
}

pub(crate) fn wait_time(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    timeout
        .map(|timeout| convert::seconds("timeout", timeout))
        .transpose()
}

fn answer(
    py: Python<'_>,
    received: Result<Message, RecvError>,
) -> PyResult<Option<Bound<'_, PyAny>>> {
    match received {
        Ok(message) => system::object(py, &message).map(Some),
        Err(RecvError::Closed) => Err(error::mailbox_closed(py)),
        Err(_) => Ok(None),
    }
}

/// What a matcher says of a message.
pub(crate) fn choose(
    matcher: &Py<PyAny>,
    message: &Message,
    raised: &mut Option<PyErr>,
) -> Verdict {
    let matched = Python::try_attach(|py| {
        let message = system::object(py, message)?;
        matcher.bind(py).call1((message,))?.is_truthy()
    });
    match matched {
        Some(Ok(matched)) => matched.into(),
        Some(Err(error)) => {
            *raised = Some(error);
            Verdict::Abort
        }
        None => Verdict::Abort,
    }
}
