//! What the runtime has to tell Python code that nobody called it for: log records, dead letters.
//!
//! ```text
//!   lane, workers, watch ──► queue, bounded ──► the reporter: takes the GIL, calls `logging`
//!                                               and the hooks of users
//! ```
//!
//! One thread of the process tells it all. `logging` has locks, and its handlers are users' code:
//! a handler that waits for an actor would hang with the actor if that had to wait for the
//! handler's lock. So nobody who has something to tell takes the GIL for it or waits.
//!
//! `logging` belongs to the process, and so do the queue and its thread; it runs while there are
//! runtimes. What is told is told in the order of the queue. Locks: this queue's is the innermost
//! of all, and nothing of Python's is touched under it.

use std::collections::{HashSet, VecDeque};
use std::ffi::c_long;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use iris::{DeadLetter, Pid, RuntimeRef};
use pyo3::exceptions::PySystemExit;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::bridge;
use crate::convert;
use crate::fork::PerProcess;
use crate::lane::thread_ident;
use crate::pulse::{Call, Pulse};
use crate::wait;

/// Log records that wait at most; what comes on top is counted and dropped.
const MOST_RECORDS: usize = 10_000;

/// Dead letters that wait to be shown to a hook at most; each keeps its bytes.
const MOST_LETTERS: usize = 65_536;

/// Told at a time with the GIL in between.
const BATCH: usize = 64;

/// How long somebody waits at most for what was queued before to be told. A hook or a handler of
/// `logging` may wait for the very thread that waits here.
pub(crate) const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

static REPORTS: PerProcess<Reports> = PerProcess::new(Reports::default);

/// Something to tell.
pub(crate) enum Report {
    Log(Record),
    Overrun(Overrun),
    /// To be shown to a hook.
    DeadLetter(Arc<Py<PyAny>>, DeadLetter),
}

/// A record for `logging`.
pub(crate) struct Record {
    /// The logger.
    pub(crate) logger: String,
    /// A level of `logging`.
    pub(crate) level: u8,
    pub(crate) text: String,
    pub(crate) pid: Option<Pid>,
    pub(crate) raised: Option<PyErr>,
    /// Seconds since 1970, and the thread that has it to tell.
    at: f64,
    thread: String,
}

/// A handler that is at one message for long.
pub(crate) struct Overrun {
    pub(crate) runtime: RuntimeRef,
    pub(crate) thread: Arc<Pulse>,
    pub(crate) call: Call,
    pub(crate) inside: Duration,
}

#[derive(Default)]
struct Reports {
    state: Mutex<State>,
    /// For the reporter: there is something to tell, or nobody needs it any more.
    news: Condvar,
    /// For those who wait: something has been told, or the reporter has ended.
    told: Condvar,
    /// Queued and told since the process began: equal when there is nothing to wait for.
    queued: AtomicU64,
    done: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Report>,
    letters: usize,
    records: usize,
    /// Dropped since the last that could be told.
    lost_letters: u64,
    lost_records: u64,
    /// Runtimes.
    users: usize,
    /// The thread that tells, by number, and what Python calls it.
    reporter: Option<u64>,
    ident: Option<c_long>,
    last_reporter: u64,
    /// Threads that have not ended, be they reporters any more or not.
    alive: usize,
    /// Actors whose crash was told already, with more than the runtime knows of it.
    crashed: HashSet<u64>,
    ending: bool,
}

/// Keeps the reporter going: a runtime has one.
pub(crate) struct Presence(());

impl Record {
    pub(crate) fn new(logger: String, level: u8, text: String) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let thread = thread::current();
        Self {
            logger,
            level,
            text,
            pid: None,
            raised: None,
            at: now.unwrap_or_default().as_secs_f64(),
            thread: thread.name().unwrap_or("unnamed").to_owned(),
        }
    }
}

/// `logging.WARNING`
pub(crate) const WARNING: u8 = 30;
/// `logging.ERROR`
pub(crate) const ERROR: u8 = 40;

impl Presence {
    /// A runtime begins. Starts the reporter if there is none.
    ///
    /// # Errors
    ///
    /// The operating system gave no thread.
    pub(crate) fn begin(py: Python<'_>) -> PyResult<Self> {
        bridge::install();
        bridge::follow_level(py);
        let reports = REPORTS.get();
        let mut state = reports.lock();
        if state.reporter.is_none() {
            let me = state.last_reporter + 1;
            thread::Builder::new()
                .name("iris-reporter".to_owned())
                .spawn(move || reports.serve(me))?;
            state.last_reporter = me;
            state.reporter = Some(me);
            state.alive += 1;
        }
        state.users += 1;
        Ok(Self(()))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let reports = REPORTS.get();
        // In a forked child the runtime is dropped, too, and is none of its users.
        let mut state = reports.lock();
        state.users = state.users.saturating_sub(1);
        drop(state);
        reports.news.notify_all();
    }
}

/// Queues something to be told. Never waits, takes no GIL.
pub(crate) fn tell(report: Report) {
    REPORTS.get().push(report);
}

/// Queues a warning of the logger `iris`.
pub(crate) fn tell_warning(pid: Option<Pid>, text: String) {
    let mut record = Record::new("iris".to_owned(), WARNING, text);
    record.pid = pid;
    tell(Report::Log(record));
}

/// Queues an exception that no caller is there to catch, for the logger `iris`.
pub(crate) fn tell_raised(py: Python<'_>, pid: Option<Pid>, text: &str, raised: &PyErr) {
    let mut record = raised_record(py, text, raised);
    record.pid = pid;
    tell(Report::Log(record));
}

fn raised_record(py: Python<'_>, text: &str, raised: &PyErr) -> Record {
    let mut record = Record::new("iris".to_owned(), ERROR, text.to_owned());
    record.raised = Some(raised.clone_ref(py));
    record
}

/// The end of this actor is told by its binding: what the runtime says of it would say less.
pub(crate) fn crash_is_told(pid: Pid) {
    REPORTS.get().lock().crashed.insert(pid.raw());
}

/// Whether [`crash_is_told`] was said of it; once.
pub(crate) fn was_told(pid: u64) -> bool {
    REPORTS.get().lock().crashed.remove(&pid)
}

/// Records and letters that were dropped because too many waited, since the process began.
pub(crate) fn dropped() -> u64 {
    REPORTS.get().dropped.load(Ordering::Relaxed)
}

/// Waits, without the GIL, until all that was queued before has been told; at most `timeout` and
/// [`FLUSH_PATIENCE`]. Not on the reporter itself. Heeds Ctrl-C.
pub(crate) fn flush(py: Python<'_>, timeout: Duration) -> PyResult<bool> {
    let reports = REPORTS.get();
    let goal = reports.queued.load(Ordering::Acquire);
    if reports.done.load(Ordering::Acquire) >= goal {
        return Ok(true);
    }
    if reports.is_me() {
        return Ok(false);
    }
    let timeout = timeout.min(FLUSH_PATIENCE);
    wait::interruptibly(py, Some(timeout), |step| reports.wait(step, goal))?;
    Ok(reports.done.load(Ordering::Acquire) >= goal)
}

/// Waits until what there was to log, and the dead letters for hooks, have been told, at most
/// `timeout` seconds, and no longer than one; whether they have. On the thread that tells, in a hook
/// or a handler of `logging`, it is `False` at once.
#[pyfunction]
#[pyo3(signature = (timeout=1.0))]
pub(crate) fn flush_reports(py: Python<'_>, timeout: f64) -> PyResult<bool> {
    flush(py, convert::seconds("timeout", timeout)?)
}

/// At the interpreter's exit: ends the reporter, and tells the rest on the calling thread.
#[pyfunction]
#[pyo3(name = "_end_reports")]
pub(crate) fn end_reports(py: Python<'_>) {
    let reports = REPORTS.get();
    reports.lock().ending = true;
    reports.news.notify_all();
    if !py.detach(|| reports.wait_ended(FLUSH_PATIENCE)) {
        // A hook or handler of users that waits: it sees this when it comes back to Python.
        if let Some(ident) = reports.lock().ident {
            // SAFETY: the interpreter is attached; an ident that has ended is ignored, and
            // SystemExit lives for ever.
            unsafe { ffi::PyThreadState_SetAsyncExc(ident, ffi::PyExc_SystemExit) };
        }
        if !py.detach(|| reports.wait_ended(FLUSH_PATIENCE)) {
            return;
        }
    }
    while reports.tell_batch(py) {}
}

impl State {
    fn resign(&mut self, me: u64) {
        if self.reporter == Some(me) {
            self.reporter = None;
            self.ident = None;
        }
    }
}

impl Reports {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_me(&self) -> bool {
        self.lock().ident == Some(thread_ident())
    }

    fn push(&self, report: Report) {
        let mut state = self.lock();
        let lost = match &report {
            Report::DeadLetter(..) if state.letters >= MOST_LETTERS => {
                state.lost_letters += 1;
                true
            }
            Report::DeadLetter(..) => {
                state.letters += 1;
                false
            }
            _ if state.records >= MOST_RECORDS => {
                state.lost_records += 1;
                true
            }
            _ => {
                state.records += 1;
                false
            }
        };
        if lost {
            drop(state);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            // With no lock held: what belongs to Python is dropped.
            drop(report);
            return;
        }
        state.queue.push_back(report);
        self.queued.fetch_add(1, Ordering::Release);
        drop(state);
        self.news.notify_one();
    }

    /// The life of the reporter.
    fn serve(&self, me: u64) {
        Python::try_attach(|py| {
            let mut state = self.lock();
            if state.reporter == Some(me) {
                state.ident = Some(thread_ident());
            }
            drop(state);
            py.detach(|| {
                while self.wait_for_news(me) {
                    let went_on = Python::try_attach(|py| self.tell_batch(py));
                    if went_on != Some(true) {
                        break;
                    }
                }
            });
        });
        let mut state = self.lock();
        state.resign(me);
        state.alive -= 1;
        drop(state);
        self.told.notify_all();
    }

    /// Whether there is something to tell; `false` if nobody needs the reporter any more.
    fn wait_for_news(&self, me: u64) -> bool {
        let mut state = self.lock();
        loop {
            if state.ending {
                return false;
            }
            if !state.queue.is_empty() {
                return true;
            }
            if state.users == 0 {
                // Under the lock: a runtime that begins now starts another one.
                state.resign(me);
                return false;
            }
            state = self
                .news
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells some of what is queued; `false` if there was nothing, or the thread is to end.
    fn tell_batch(&self, py: Python<'_>) -> bool {
        let mut state = self.lock();
        let count = state.queue.len().min(BATCH);
        let batch: Vec<Report> = state.queue.drain(..count).collect();
        for report in &batch {
            match report {
                Report::DeadLetter(..) => state.letters -= 1,
                _ => state.records -= 1,
            }
        }
        let lost = [
            (std::mem::take(&mut state.lost_records), "log records"),
            (
                std::mem::take(&mut state.lost_letters),
                "dead letters for the hook",
            ),
        ];
        drop(state);
        if batch.is_empty() {
            return false;
        }
        bridge::follow_level(py);
        let mut interrupted = false;
        for report in batch {
            if !interrupted {
                let told = tell_one(py, report);
                // Anybody may raise it; it only counts at the exit, from `end_reports`.
                interrupted = told.is_err_and(|error| error.is_instance_of::<PySystemExit>(py))
                    && self.lock().ending;
            }
            self.done.fetch_add(1, Ordering::Release);
        }
        for (count, what) in lost {
            if count > 0 {
                let text = format!("{count} {what} were dropped: more came than could be told");
                emit(py, Record::new("iris".to_owned(), WARNING, text)).ok();
            }
        }
        drop(self.lock());
        self.told.notify_all();
        !interrupted
    }

    fn wait(&self, timeout: Duration, goal: u64) -> bool {
        let open = |state: &mut State| {
            self.done.load(Ordering::Acquire) < goal && state.reporter.is_some() && !state.ending
        };
        let waited = self.told.wait_timeout_while(self.lock(), timeout, open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn wait_ended(&self, timeout: Duration) -> bool {
        let waited = self
            .told
            .wait_timeout_while(self.lock(), timeout, |state| state.alive > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Calls Python; what that raises has nowhere else to go.
fn tell_one(py: Python<'_>, report: Report) -> PyResult<()> {
    let told = match report {
        Report::Log(record) => emit(py, record),
        Report::Overrun(overrun) => emit_overrun(py, &overrun),
        Report::DeadLetter(hook, letter) => show(py, &hook, &letter),
    };
    if let Err(raised) = &told {
        raised.clone_ref(py).write_unraisable(py, None);
    }
    told
}

fn emit(py: Python<'_>, record: Record) -> PyResult<()> {
    let details = PyDict::new(py);
    if let Some(raised) = &record.raised {
        // The value alone may not know its traceback before Python 3.12.
        let raised = (raised.get_type(py), raised.value(py), raised.traceback(py));
        details.set_item("raised", raised)?;
    }
    let arguments = (
        record.logger,
        record.level,
        record.text,
        record.pid.map(Pid::raw),
        record.at,
        record.thread,
    );
    py.import("iris._logging")?
        .call_method("emit", arguments, Some(&details))
        .map(drop)
}

fn emit_overrun(py: Python<'_>, overrun: &Overrun) -> PyResult<()> {
    let still = overrun.thread.call() == Some(overrun.call);
    let pid = overrun.call.pid;
    let info = overrun
        .runtime
        .upgrade()
        .and_then(|runtime| runtime.info(pid));
    let (name, behavior, queued) = info.map_or_else(
        || (None, "?".to_owned(), 0),
        |info| {
            let name = info.names.into_iter().chain(info.paths).next();
            (name, info.behavior, info.mailbox_size)
        },
    );
    let arguments = (
        pid.raw(),
        name,
        behavior,
        overrun.inside.as_secs_f64(),
        queued,
        still.then_some(overrun.thread.ident),
    );
    py.import("iris._logging")?
        .call_method1("emit_overrun", arguments)
        .map(drop)
}

fn show(py: Python<'_>, hook: &Py<PyAny>, letter: &DeadLetter) -> PyResult<()> {
    let Some(data) = letter.message.as_user() else {
        return Ok(());
    };
    let arguments = (
        letter.to.raw(),
        PyBytes::new(py, data),
        letter.reason.as_str(),
    );
    match hook.call1(py, arguments) {
        Ok(_) => Ok(()),
        Err(raised) if raised.is_instance_of::<PySystemExit>(py) => Err(raised),
        Err(raised) => {
            // At once: who waits for the letter waits for this, too.
            emit(
                py,
                raised_record(py, "the dead-letter hook raised", &raised),
            )
        }
    }
}
