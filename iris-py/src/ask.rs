//! Questions: waits on a thread, and answers for an event loop.
//!
//! ```text
//!   await rt.ask(..) ──► Desk::begin ──► facade: the question, with a waker
//!                                            │ answered, on whatever thread, without the GIL
//!        the waker: notes the number; the first since the last look writes one byte
//!                                            │ the loop finds its socket readable
//!   future.set_result ◄── Desk::drain: all that was answered by now
//! ```
//!
//! Who answers never attaches to Python and never blocks: it takes a lock that is held for a
//! few instructions, and writes to a socket that does not block. One wake for all the answers
//! between two looks of the loop.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use iris::{Answer, Ask, Payload, Pid, Question, Runtime};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::actor;
use crate::aio::context;
use crate::codec;
use crate::convert;
use crate::error;
use crate::lane;
use crate::mailbox;
use crate::remote;
use crate::runtime::PyRuntime;
use crate::wait::SIGNAL_INTERVAL;

/// What is asked of whom: for sending it, and for the errors.
pub(crate) struct Inquiry {
    to: u64,
    question: Payload,
    /// The name of the method, for one to an actor of a class.
    method: Option<String>,
}

impl Inquiry {
    pub(crate) fn bytes(to: u64, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            to,
            question: convert::message(data)?,
            method: None,
        })
    }

    pub(crate) fn call(
        to: u64,
        method: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let name = method_name(method)?;
        Ok(Self {
            to,
            question: codec::call(&name, args, kwargs)?,
            method: Some(described(method)),
        })
    }

    /// Asks; what is left are the words for errors.
    pub(crate) fn ask(self, py: Python<'_>, runtime: &Runtime) -> PyResult<(Question, Pid, Asked)> {
        let Self {
            to,
            question,
            method,
        } = self;
        let pid = Pid::from_raw(to).ok_or_else(|| error::dead_actor(py, to))?;
        let question = match context::to_carry(py)? {
            None => question,
            Some(context) => question.with_baggage(context),
        };
        let ask = runtime.ask(pid, question).queued();
        let name = || method.clone().unwrap_or_else(|| to.to_string());
        let question = with_words(runtime, ask, name).begin();
        let question = question.map_err(|error| {
            // Full or ending, it is this runtime's all the same.
            if !runtime.is_alive(pid)
                && let Err(foreign) = error::refuse_foreign(py, to)
            {
                return foreign;
            }
            remote::exception(py, &error)
        })?;
        Ok((question, pid, Asked { method }))
    }
}

/// With the words for a chain of those who wait, which is watched inside an actor.
fn with_words<'a>(runtime: &Runtime, ask: Ask<'a>, question: impl FnOnce() -> String) -> Ask<'a> {
    match runtime.inside() {
        Some(asker) => {
            let doing = actor::doing().unwrap_or_else(|| asker.to_string());
            ask.described(doing, question())
        }
        None => ask,
    }
}

/// What was asked, as errors tell it.
pub(crate) struct Asked {
    method: Option<String>,
}

impl Asked {
    /// What the asker gets for an answer.
    pub(crate) fn result<'py>(
        &self,
        py: Python<'py>,
        answer: Answer,
    ) -> PyResult<Bound<'py, PyAny>> {
        let answer = answer.map_err(|error| remote::exception(py, &error))?;
        match self.method {
            Some(_) => codec::read(py, &answer),
            None => Ok(PyBytes::new(py, &answer).into_any()),
        }
    }

    pub(crate) fn timed_out(
        &self,
        py: Python<'_>,
        runtime: &Runtime,
        pid: Pid,
        after: Option<Duration>,
    ) -> PyErr {
        let what = match &self.method {
            Some(method) => format!("{method} of actor {pid}"),
            None => format!("actor {pid}"),
        };
        let time = after.unwrap_or_default().as_secs_f64();
        let state = match runtime.info(pid) {
            Some(info) => format!(
                "it is {}, {} messages wait in its mailbox",
                info.status.as_str(),
                info.mailbox_size
            ),
            None => "it has ended".to_owned(),
        };
        let text = format!("{what} did not answer within {time} s: {state}");
        error::ask_timeout(py, text)
    }
}

/// The name of a method that is given as a function, or by its name.
pub(crate) fn method_name<'py>(method: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if method.is_instance_of::<pyo3::types::PyString>() {
        return Ok(method.clone());
    }
    method
        .getattr(pyo3::intern!(method.py(), "__name__"))
        .map_err(|_| {
            let kind = error::type_name(method);
            PyTypeError::new_err(format!(
                "a method is given as a function of the actor's class, such as Counter.add, or \
                 by its name, not as {kind}"
            ))
        })
}

fn described(method: &Bound<'_, PyAny>) -> String {
    let name = method.getattr("__qualname__");
    let name = name.and_then(|name| name.extract());
    name.or_else(|_| method.extract())
        .unwrap_or_else(|_| "a method".to_owned())
}

/// Waits for an answer, without the GIL, in steps short enough for Ctrl-C.
pub(crate) fn wait<'py>(
    py: Python<'py>,
    runtime: &Runtime,
    inquiry: Inquiry,
    timeout: Option<Duration>,
) -> PyResult<Bound<'py, PyAny>> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let (mut question, pid, asked) = inquiry.ask(py, runtime)?;
    if !lane::step_aside() {
        return Err(error::no_spare_thread());
    }
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let step = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
        if let Some(answer) = py.detach(|| question.wait(step)) {
            return asked.result(py, answer);
        }
        py.check_signals()?;
        if left.is_some_and(|left| left.is_zero()) {
            return Err(asked.timed_out(py, runtime, pid, timeout));
        }
        // Nobody is left to answer, and a handler that waits here keeps its thread.
        if runtime.is_shut_down() && runtime.process_count() == 0 {
            return Err(error::shut_down());
        }
    }
}

/// Has an actor that was just made handle `message` on the calling thread; waits for it if
/// somebody else was first to send it something, and its lane is at it.
pub(crate) fn wake(
    py: Python<'_>,
    runtime: &Runtime,
    pid: Pid,
    message: Payload,
    label: &str,
) -> PyResult<()> {
    let ask = runtime.ask(pid, message).here();
    let question = with_words(runtime, ask, || label.to_owned()).begin();
    let mut question = question.map_err(|error| remote::exception(py, &error))?;
    let answer = match question.wait(Duration::ZERO) {
        Some(answer) => answer,
        None if !lane::step_aside() => return Err(error::no_spare_thread()),
        None => loop {
            if let Some(answer) = py.detach(|| question.wait(SIGNAL_INTERVAL)) {
                break answer;
            }
            py.check_signals()?;
        },
    };
    answer.map_err(|error| remote::exception(py, &error))?;
    Ok(())
}

#[pymethods]
impl PyRuntime {
    /// Asks an actor and blocks for the answer, at most `timeout` seconds (`None`: for ever).
    ///
    /// A handler answers with what it returns, bytes-like or `None` for an answer without a
    /// byte; a pull actor with `mailbox.reply(data)`. Releases the GIL while it waits and heeds
    /// Ctrl-C. In a handler the other actors go on meanwhile, on another thread; on the thread
    /// of an event loop it keeps the loop: `await rt.ask(..)` there.
    ///
    /// What the handler raised is raised here. Raises `DeadActorError`, also when the actor
    /// ends with the question queued, `AskTimeout`, `DeadlockError` when actors would wait for
    /// each other, `MailboxFullError`, whatever the policy, and `NoReplyError`.
    #[pyo3(signature = (pid, data, timeout=5.0))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        pid: u64,
        data: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = mailbox::wait_time(timeout)?;
        let inquiry = Inquiry::bytes(pid, data)?;
        wait(py, self.runtime(py)?, inquiry, timeout)
    }

    /// The actor whose code the calling thread is inside of.
    fn _inside(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        Ok(self.runtime(py)?.inside().map(Pid::raw))
    }
}

/// What was answered for one event loop and not looked at yet.
struct Done {
    state: Mutex<DoneState>,
    /// The end that wakes the loop.
    bell: UnixStream,
}

#[derive(Default)]
struct DoneState {
    numbers: Vec<u64>,
    /// Whether the bell has been rung since the loop last looked.
    rung: bool,
}

impl Done {
    fn lock(&self) -> MutexGuard<'_, DoneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the loop for one question.
struct Bell {
    done: Arc<Done>,
    number: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let mut state = self.done.lock();
        state.numbers.push(self.number);
        let rung = std::mem::replace(&mut state.rung, true);
        drop(state);
        if !rung {
            // It cannot be full of the one byte; a loop that has gone wants to hear of nothing.
            while let Err(error) = (&self.done.bell).write(&[1]) {
                if error.kind() != io::ErrorKind::Interrupted {
                    break;
                }
            }
        }
    }
}

/// The questions of one event loop that are not answered yet. For the thread of the loop.
#[pyclass(module = "iris._iris", name = "_Desk", frozen)]
pub(crate) struct Desk {
    done: Arc<Done>,
    /// The end that the loop watches.
    reader: UnixStream,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    of: HashMap<u64, Waiting>,
    last: u64,
}

struct Waiting {
    question: Question,
    future: Py<PyAny>,
    pid: Pid,
    asked: Asked,
    runtime: Py<PyRuntime>,
}

impl Desk {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(
        &self,
        runtime: &Bound<'_, PyRuntime>,
        future: &Bound<'_, PyAny>,
        inquiry: Inquiry,
    ) -> PyResult<u64> {
        let py = runtime.py();
        let (mut question, pid, asked) = inquiry.ask(py, runtime.get().runtime(py)?)?;
        let mut pending = self.pending();
        pending.last += 1;
        let number = pending.last;
        let waker = Waker::from(Arc::new(Bell {
            done: self.done.clone(),
            number,
        }));
        match Pin::new(&mut question).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => {
                drop(pending);
                let answer = asked.result(py, answer)?;
                future.call_method1(pyo3::intern!(py, "set_result"), (answer,))?;
                Ok(0)
            }
            Poll::Pending => {
                let waiting = Waiting {
                    question,
                    future: future.clone().unbind(),
                    pid,
                    asked,
                    runtime: runtime.clone().unbind(),
                };
                pending.of.insert(number, waiting);
                Ok(number)
            }
        }
    }

    fn take(&self, number: u64) -> Option<Waiting> {
        self.pending().of.remove(&number)
    }
}

/// Ends a future, unless it was cancelled and its task has not heard of that yet.
fn complete(future: &Bound<'_, PyAny>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
    let py = future.py();
    if future
        .call_method0(pyo3::intern!(py, "done"))?
        .is_truthy()?
    {
        return Ok(());
    }
    match result {
        Ok(answer) => future.call_method1(pyo3::intern!(py, "set_result"), (answer,))?,
        Err(error) => {
            future.call_method1(pyo3::intern!(py, "set_exception"), (error.into_value(py),))?
        }
    };
    Ok(())
}

#[pymethods]
impl Desk {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, bell) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        Ok(Self {
            done: Arc::new(Done {
                state: Mutex::default(),
                bell,
            }),
            reader,
            pending: Mutex::default(),
        })
    }

    /// What the loop is to watch.
    fn fileno(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// Asks; `future` gets the answer. The number of the question, or 0 if it has it already.
    /// The time-out is only looked at: the loop keeps it.
    fn ask(
        &self,
        runtime: &Bound<'_, PyRuntime>,
        future: &Bound<'_, PyAny>,
        pid: u64,
        data: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        mailbox::wait_time(timeout)?;
        self.begin(runtime, future, Inquiry::bytes(pid, data)?)
    }

    /// As `ask`, for a method of an actor of a class.
    #[expect(clippy::too_many_arguments, reason = "the package names them")]
    fn ask_method(
        &self,
        runtime: &Bound<'_, PyRuntime>,
        future: &Bound<'_, PyAny>,
        pid: u64,
        method: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        mailbox::wait_time(timeout)?;
        let inquiry = Inquiry::call(pid, method, args, Some(kwargs))?;
        self.begin(runtime, future, inquiry)
    }

    /// Hands the answers that have come to those who await them. For the loop.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let mut bytes = [0; 8];
        match (&self.reader).read(&mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        let numbers = {
            let mut state = self.done.lock();
            state.rung = false;
            std::mem::take(&mut state.numbers)
        };
        for number in numbers {
            // One that was cancelled meanwhile has been forgotten.
            let Some(mut waiting) = self.take(number) else {
                continue;
            };
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(answer) = Pin::new(&mut waiting.question).poll(&mut cx) {
                let result = waiting.asked.result(py, answer);
                complete(waiting.future.bind(py), result)?;
            }
        }
        Ok(())
    }

    /// The time of a question is over.
    fn expire(&self, py: Python<'_>, number: u64, timeout: f64) -> PyResult<()> {
        let Some(waiting) = self.take(number) else {
            return Ok(());
        };
        let after = convert::seconds("timeout", timeout).ok();
        let runtime = waiting.runtime.get().runtime(py)?;
        let error = waiting.asked.timed_out(py, runtime, waiting.pid, after);
        complete(waiting.future.bind(py), Err(error))
    }

    /// Nobody awaits the answer any more.
    fn forget(&self, number: u64) {
        drop(self.take(number));
    }

    /// How many answers are awaited.
    #[pyo3(name = "pending")]
    fn count_pending(&self) -> usize {
        self.pending().of.len()
    }

    /// Gives all answers up that have not come: how many. For a loop that is closed.
    fn close(&self) -> usize {
        let given_up = std::mem::take(&mut self.pending().of);
        given_up.len()
    }
}
