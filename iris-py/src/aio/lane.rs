//! The queue of async actors, the loop thread and its turns.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use iris::core::Host;
use iris::{BoxFuture, ON_STOP_DEADLINE, Parked, Pid, Ready, Scheduler, Shift, StopHook};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::bell::Bell;
use super::context;
use super::deadlines::Deadlines;
use super::suspension::{self, Suspension};
use super::task::{HandlerTask, Role};
use crate::error;
use crate::lane::GuestLane;
use crate::report;

/// How long a turn runs slices before the loop goes round: as the lane of plain handlers.
const HOLD: Duration = Duration::from_millis(1);

/// Code that keeps the loop thread longer than this is reported, as handlers of Rust are.
const OVERRUN: Duration = Duration::from_millis(100);

/// Stack of the loop's thread; reserved, not used, until a handler recurses.
const STACK_BYTES: usize = 8 << 20;

/// Runs the actors whose handlers are coroutines.
pub(crate) struct LoopLane {
    queue: Mutex<Queue>,
    tools: OnceLock<Tools>,
    turning: Mutex<Turning>,
    /// Tells the loop thread that a process was told to stop.
    stop_hook: Arc<StopHook>,
    pub(crate) host: Weak<dyn Host>,
    rust: Arc<dyn Scheduler>,
    /// Whose threads' fate the loop thread shares.
    threads: OnceLock<Weak<GuestLane>>,
    deadlines: Deadlines<suspension::Shared>,
}

/// Something for the loop thread to do.
pub(crate) enum Work {
    /// A slice.
    Ready(Ready),
    /// What a coroutine waited for is there.
    Step(Py<HandlerTask>),
    /// What tasks of asyncio's own waited for is there.
    Call(Vec<(Py<PyAny>, Py<PyAny>)>, Py<Suspension>),
    /// A process was told to stop.
    Stopped(Pid),
    /// To be called.
    Tell(Py<PyAny>),
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    /// Whether the loop thread knows that there is something, or is about to look.
    signalled: bool,
    phase: Phase,
    bell: Option<Arc<Bell>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    NotStarted,
    Running,
    Stopped,
}

/// What the loop thread calls.
pub(crate) struct Tools {
    pub(crate) event_loop: Py<PyAny>,
    call_soon: Py<PyAny>,
    call_later: Py<PyAny>,
    pub(super) enter_task: Py<PyAny>,
    leave_task: Py<PyAny>,
    register_task: Py<PyAny>,
    unregister_task: Py<PyAny>,
    turn: Py<PyAny>,
    expire: Py<PyAny>,
    /// `{"context": ..}`: where callbacks of our own run, which enter another.
    neutral: Py<PyDict>,
}

/// What only the loop thread uses, but for the map of who waits. Its lock is never held while
/// Python objects are made or dropped, for either may run any code.
#[derive(Default)]
pub(super) struct Turning {
    /// The task of coroutines that do not wait: one after the other.
    pub(super) spare: Option<Py<HandlerTask>>,
    /// How many refer to it when nobody else does; 0 while asyncio does not know it as current.
    pub(super) spare_references: isize,
    /// The context of messages that bring none, for as long as nobody has set anything in it.
    pub(super) blank: Option<Py<PyAny>>,
    /// To be stepped once the loop has gone round.
    next_turn: Vec<Py<HandlerTask>>,
    /// Those that wait, by their process.
    suspended: HashMap<Pid, Py<HandlerTask>>,
    /// Those of reentrant processes.
    flights: HashMap<Pid, Flights>,
}

/// The coroutines of a reentrant process that wait.
#[derive(Default)]
struct Flights {
    tasks: Vec<Py<HandlerTask>>,
    /// The process, if it waits for them to end.
    parked: Option<Parked>,
}

/// What is slow is so again and again: one report in so long.
const REPORTS_APART: Duration = Duration::from_secs(1);

thread_local! {
    /// When an overrun was reported last.
    static LAST_REPORT: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The lane whose loop thread this is.
    static HERE: RefCell<Option<Arc<LoopLane>>> = const { RefCell::new(None) };
    /// Its address, for a quick look.
    static HERE_AT: Cell<usize> = const { Cell::new(0) };
    /// How deep the thread is inside code of this module that looks at the queue when it is left.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The task that a handler has just begun to wait in.
    static PENDING: RefCell<Option<Py<HandlerTask>>> = const { RefCell::new(None) };
}

/// The lane whose loop thread the calling thread is.
pub(crate) fn here() -> Option<Arc<LoopLane>> {
    HERE.with_borrow(Clone::clone)
}

/// Notes the task that the handler which is about to return [`Step::Park`](iris::Step::Park)
/// waits in.
pub(crate) fn pend(task: Py<HandlerTask>) {
    PENDING.replace(Some(task));
}

impl LoopLane {
    pub(crate) fn new(rust: Arc<dyn Scheduler>, host: Weak<dyn Host>) -> Arc<Self> {
        Arc::new_cyclic(|own: &Weak<Self>| {
            let lane = own.clone();
            Self {
                queue: Mutex::default(),
                tools: OnceLock::new(),
                turning: Mutex::default(),
                stop_hook: Arc::new(move |pid| {
                    if let Some(lane) = lane.upgrade() {
                        lane.push(Work::Stopped(pid));
                    }
                }),
                host,
                rust,
                threads: OnceLock::new(),
                deadlines: Deadlines::default(),
            }
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn turning(&self) -> MutexGuard<'_, Turning> {
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it who starts threads, and waits for them at the end.
    pub(crate) fn starts_on(&self, threads: &Arc<GuestLane>) {
        self.threads.set(Arc::downgrade(threads)).ok();
    }

    /// Starts the loop thread unless it runs: with the first async actor.
    ///
    /// # Errors
    ///
    /// The operating system gave no thread or no descriptor.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut queue = self.queue();
        if queue.phase != Phase::NotStarted {
            return Ok(());
        }
        let Some(threads) = self.threads.get().and_then(Weak::upgrade) else {
            return Ok(());
        };
        let bell = Arc::new(Bell::new()?);
        let lane = self.clone();
        let ears = bell.clone();
        threads.run_named("iris-loop", STACK_BYTES, Box::new(move || lane.live(&ears)))?;
        queue.bell = Some(bell);
        queue.phase = Phase::Running;
        // The loop looks by itself when it begins.
        queue.signalled = true;
        Ok(())
    }

    /// The life of the loop thread.
    fn live(self: Arc<Self>, bell: &Arc<Bell>) {
        HERE_AT.set(Arc::as_ptr(&self).addr());
        HERE.replace(Some(self.clone()));
        iris::mark_worker();
        Python::try_attach(|py| {
            let handle = LaneHandle {
                lane: self.clone(),
                bell: bell.clone(),
            };
            let ran = Py::new(py, handle).and_then(|handle| {
                py.import("iris._async")?
                    .call_method1("run_loop", (handle, bell.watched()))
            });
            if let Err(raised) = ran {
                error::log(py, "the event loop of the async actors has ended", &raised);
            }
            self.clear(py);
        });
        HERE_AT.set(0);
        HERE.replace(None);
    }

    /// Nothing more is run here.
    fn clear(&self, py: Python<'_>) {
        let mut queue = self.queue();
        queue.phase = Phase::Stopped;
        let work = std::mem::take(&mut queue.work);
        drop(queue);
        for waiting in &work {
            // Somebody on another loop waits for it.
            if let Work::Tell(callback) = waiting {
                tell(py, callback);
            }
        }
        let turning = std::mem::take(&mut *self.turning());
        let flights = turning.flights.values().flat_map(|flights| &flights.tasks);
        for task in turning.suspended.values().chain(flights) {
            task.get().abandon();
        }
        // What is dropped here may be code of users.
        drop((work, turning));
    }

    /// Ends the loop thread. Does not wait.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue();
        queue.phase = Phase::Stopped;
        if let Some(bell) = &queue.bell {
            bell.ring();
        }
    }

    /// Whether the calling thread is this lane's.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        HERE_AT.get() == std::ptr::from_ref(self).addr()
    }

    /// Whether no reentrant process waits for anything.
    pub(crate) fn is_quiet(&self) -> bool {
        self.turning().flights.is_empty()
    }

    /// Blocks until that is so, at most `timeout`; says whether it is. Looks every millisecond.
    pub(crate) fn wait_quiet(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.is_quiet() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    pub(crate) fn event_loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let tools = self.tools.get()?;
        Some(tools.event_loop.clone_ref(py))
    }

    pub(super) fn tools(&self) -> PyResult<&Tools> {
        self.tools
            .get()
            .ok_or_else(|| PyRuntimeError::new_err("the loop thread is not running"))
    }

    /// Gives the loop thread something to do, and wakes it once for all that it has not seen.
    pub(crate) fn push(&self, work: Work) {
        let mut queue = self.queue();
        if queue.phase == Phase::Stopped {
            // Dropped without the lock: it may be somebody's code.
            drop(queue);
            drop(work);
            return;
        }
        queue.work.push_back(work);
        if std::mem::replace(&mut queue.signalled, true) {
            return;
        }
        if self.is_here() && DEPTH.get() > 0 {
            // Who is inside looks at the queue before it leaves; it must be told to.
            queue.signalled = false;
            return;
        }
        if let Some(bell) = &queue.bell {
            bell.ring();
        }
    }

    /// Runs code that may give the loop something to do, on the loop thread.
    pub(crate) fn inside<T>(
        &self,
        py: Python<'_>,
        whose: Option<Pid>,
        code: impl FnOnce() -> T,
    ) -> T {
        if DEPTH.get() > 0 {
            return code();
        }
        let since = Instant::now();
        DEPTH.set(1);
        let done = code();
        DEPTH.set(0);
        report_overrun(whose, since.elapsed());
        let has_work = !self.turning().next_turn.is_empty() || {
            let queue = self.queue();
            !queue.work.is_empty() || queue.phase == Phase::Stopped
        };
        if has_work && !std::mem::replace(&mut self.queue().signalled, true) {
            self.look_again(py);
        }
        done
    }

    /// Has the loop make a turn when it has gone round.
    fn look_again(&self, py: Python<'_>) {
        let called = self.tools().and_then(|tools| {
            tools
                .call_soon
                .bind(py)
                .call((&tools.turn,), Some(tools.neutral.bind(py)))
        });
        if let Err(closed) = called {
            error::log(py, "the event loop takes nothing more", &closed);
        }
    }

    /// Slices and steps until there are none or the time is over; then the loop goes round.
    fn turn(&self, py: Python<'_>) -> PyResult<()> {
        let until = Instant::now() + HOLD;
        DEPTH.set(DEPTH.get() + 1);
        let yielded = std::mem::take(&mut self.turning().next_turn);
        for task in yielded {
            HandlerTask::step(task.bind(py), None);
        }
        let mut shift = Shift::default();
        let mut since = Instant::now();
        let stopped = loop {
            let mut queue = self.queue();
            if queue.phase == Phase::Stopped {
                break true;
            }
            let Some(work) = queue.work.pop_front() else {
                break false;
            };
            drop(queue);
            let whose = work.whose();
            self.work(py, &mut shift, work);
            let now = Instant::now();
            report_overrun(whose, now.duration_since(since));
            since = now;
            if now >= until {
                break false;
            }
        };
        self.leave_spare(py);
        DEPTH.set(DEPTH.get() - 1);
        let yielded = !self.turning().next_turn.is_empty();
        let mut queue = self.queue();
        queue.signalled = yielded || !queue.work.is_empty();
        let again = queue.signalled;
        drop(queue);
        if stopped {
            self.tools()?.event_loop.bind(py).call_method0("stop")?;
        } else if again {
            self.look_again(py);
        }
        Ok(())
    }

    fn work(&self, py: Python<'_>, shift: &mut Shift, work: Work) {
        match work {
            Work::Ready(ready) => shift.run(ready),
            Work::Step(task) => HandlerTask::step(task.bind(py), None),
            Work::Call(callbacks, own) => {
                let called = self.tools().and_then(|tools| {
                    suspension::call_back(py, tools.event_loop.bind(py), callbacks, &own)
                });
                if let Err(raised) = called {
                    error::log(py, "a coroutine could not be woken", &raised);
                }
            }
            Work::Tell(callback) => tell(py, &callback),
            Work::Stopped(pid) => {
                let mut tasks = Vec::new();
                let turning = self.turning();
                tasks.extend(turning.suspended.get(&pid).map(|task| task.clone_ref(py)));
                if let Some(flights) = turning.flights.get(&pid) {
                    tasks.extend(flights.tasks.iter().map(|task| task.clone_ref(py)));
                }
                drop(turning);
                for task in tasks {
                    HandlerTask::order_stop(task.bind(py));
                }
            }
        }
    }

    /// Has `task` stepped when the loop has gone round.
    pub(crate) fn step_next_turn(&self, task: Py<HandlerTask>) {
        self.turning().next_turn.push(task);
    }

    /// Calls `task._give_up()` if it is not over by the deadline for clean-up.
    pub(crate) fn watch(&self, task: &Bound<'_, HandlerTask>) -> PyResult<()> {
        let py = task.py();
        let tools = self.tools()?;
        let arguments = (ON_STOP_DEADLINE.as_secs_f64(), task.getattr("_give_up")?);
        let neutral = Some(tools.neutral.bind(py));
        tools.call_later.bind(py).call(arguments, neutral)?;
        Ok(())
    }

    /// Wakes a suspension that was not woken by `timeout` after `since`.
    pub(super) fn time_out(
        &self,
        py: Python<'_>,
        timeout: Duration,
        since: Instant,
        suspension: &Suspension,
    ) -> PyResult<()> {
        // Longer than a u64 of nanoseconds is for ever.
        if u64::try_from(timeout.as_nanos()).is_ok()
            && self
                .deadlines
                .add(timeout, since, suspension.shared().clone())
        {
            self.look_at_deadlines(py, timeout, timeout)?;
        }
        Ok(())
    }

    /// Has the loop look at the deadlines of that length after a while.
    fn look_at_deadlines(
        &self,
        py: Python<'_>,
        timeout: Duration,
        after: Duration,
    ) -> PyResult<()> {
        let tools = self.tools()?;
        let expire = tools.expire.bind(py);
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let arguments = (after.as_secs_f64(), expire, nanoseconds);
        let neutral = Some(tools.neutral.bind(py));
        tools.call_later.bind(py).call(arguments, neutral)?;
        Ok(())
    }

    /// Times out what is due among the waits of that length.
    fn expire(&self, py: Python<'_>, timeout: Duration) -> PyResult<()> {
        match self.deadlines.expire(timeout, Instant::now()) {
            Some(after) => self.look_at_deadlines(py, timeout, after),
            None => Ok(()),
        }
    }

    /// Calls `callback(argument)` when the loop has gone round.
    pub(crate) fn call_soon(
        &self,
        py: Python<'_>,
        callback: &Py<PyAny>,
        argument: &Bound<'_, PyAny>,
        context: &Py<PyAny>,
    ) -> PyResult<()> {
        let keywords = PyDict::new(py);
        keywords.set_item("context", context)?;
        let arguments = PyTuple::new(py, [callback.bind(py), argument])?;
        self.tools()?
            .call_soon
            .bind(py)
            .call(arguments, Some(&keywords))?;
        Ok(())
    }

    /// `{"context": ..}` for callbacks of our own.
    pub(crate) fn neutral<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.tools()?.neutral.bind(py).clone())
    }

    pub(crate) fn enter(&self, task: &Bound<'_, HandlerTask>) -> PyResult<()> {
        let py = task.py();
        self.leave_spare(py);
        let tools = self.tools()?;
        tools
            .enter_task
            .bind(py)
            .call1((&tools.event_loop, task))
            .map(drop)
    }

    pub(crate) fn leave(&self, task: &Bound<'_, HandlerTask>) -> PyResult<()> {
        let py = task.py();
        let tools = self.tools()?;
        tools
            .leave_task
            .bind(py)
            .call1((&tools.event_loop, task))
            .map(drop)
    }

    pub(crate) fn register(&self, task: &Bound<'_, HandlerTask>, known: bool) -> PyResult<()> {
        let tools = self.tools()?;
        let call = if known {
            &tools.register_task
        } else {
            &tools.unregister_task
        };
        call.bind(task.py()).call1((task,)).map(drop)
    }

    /// A coroutine of a reentrant process waits from now on.
    pub(crate) fn add_flight(&self, pid: Pid, task: Py<HandlerTask>) {
        let mut turning = self.turning();
        turning.flights.entry(pid).or_default().tasks.push(task);
    }

    /// It is over; the process, if it has waited for this.
    pub(crate) fn end_flight(&self, pid: Pid, task: &Py<HandlerTask>) -> Option<Parked> {
        let mut turning = self.turning();
        let flights = turning.flights.get_mut(&pid)?;
        let at = flights.tasks.iter().position(|other| other.is(task))?;
        let ended = flights.tasks.swap_remove(at);
        let is_last = flights.tasks.is_empty();
        let last = if is_last {
            turning.flights.remove(&pid)
        } else {
            None
        };
        drop(turning);
        drop(ended);
        last?.parked
    }

    /// Whether coroutines of a reentrant process wait; cancels them if it ends at once.
    pub(crate) fn has_flights(&self, pid: Pid, cancels: bool) -> bool {
        let has = self.turning().flights.contains_key(&pid);
        if has && cancels {
            self.push(Work::Stopped(pid));
        }
        has
    }

    /// Keeps track of a task that waits, by its process.
    pub(crate) fn add_suspended(&self, pid: Pid, task: Py<HandlerTask>) {
        let before = self.turning().suspended.insert(pid, task);
        drop(before);
    }

    pub(crate) fn end_suspended(&self, pid: Pid) {
        let task = self.turning().suspended.remove(&pid);
        drop(task);
    }

    pub(crate) fn stop_hook(&self) -> &Arc<StopHook> {
        &self.stop_hook
    }

    /// For both lanes: a handler that ran on the calling thread waits.
    pub(crate) fn park(&self, parked: Parked) {
        let pid = parked.pid();
        parked.process().when_told_to_stop(&self.stop_hook);
        let told = parked.is_stopped();
        if parked.is_ending() {
            // The coroutines of a reentrant process, which need not be there any more.
            let mut turning = self.turning();
            if let Some(flights) = turning.flights.get_mut(&pid) {
                flights.parked = Some(parked);
                return;
            }
            drop(turning);
            return parked.resume(iris::Step::Done);
        }
        let Some(task) = PENDING.take() else {
            return drop(parked);
        };
        // Without an interpreter the process ends with what is dropped here.
        Python::try_attach(|py| {
            let is_new = task.get().attach(parked);
            self.add_suspended(pid, task.clone_ref(py));
            if is_new {
                self.push(Work::Step(task));
            }
            if told {
                self.push(Work::Stopped(pid));
            }
        });
    }
}

impl Scheduler for LoopLane {
    fn ready(&self, process: Ready) {
        self.push(Work::Ready(process));
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.rust.drive(future);
    }

    fn park(&self, parked: Parked) {
        LoopLane::park(self, parked);
    }
}

/// Says whose code has kept all others of the loop thread waiting: one of many.
fn report_overrun(whose: Option<Pid>, kept: Duration) {
    let Some(pid) = whose.filter(|_| kept >= OVERRUN) else {
        return;
    };
    let is_news = LAST_REPORT.with(|last| {
        let now = Instant::now();
        let is_news = last
            .get()
            .is_none_or(|before| now.duration_since(before) >= REPORTS_APART);
        if is_news {
            last.set(Some(now));
        }
        is_news
    });
    if !is_news {
        return;
    }
    report::tell_warning(
        Some(pid),
        format!(
            "actor {pid} kept the loop thread for {} ms between two awaits, in its own code or \
             while it waited for the GIL, and other async actors waited for it: have what takes \
             time run in an executor, or make the handler a plain function, which blocks nobody",
            kept.as_millis()
        ),
    );
}

impl Work {
    /// The actor whose code it runs, if it is one's.
    fn whose(&self) -> Option<Pid> {
        match self {
            Self::Ready(ready) => Some(ready.pid()),
            Self::Step(task) => task.get().pid(),
            Self::Call(..) | Self::Stopped(_) | Self::Tell(_) => None,
        }
    }
}

fn tell(py: Python<'_>, callback: &Py<PyAny>) {
    if let Err(raised) = callback.call0(py) {
        error::log(py, "a callback raised", &raised);
    }
}

/// The lane, for Python.
#[pyclass(module = "iris._iris", name = "_LoopLane", frozen)]
pub(crate) struct LaneHandle {
    lane: Arc<LoopLane>,
    bell: Arc<Bell>,
}

#[pymethods]
impl LaneHandle {
    /// Tells it what it runs in. The first turn comes by itself.
    fn _begin(slf: &Bound<'_, Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let asyncio = py.import("asyncio.tasks")?;
        let neutral = PyDict::new(py);
        neutral.set_item("context", context::blank(py)?)?;
        let tools = Tools {
            event_loop: event_loop.clone().unbind(),
            call_soon: event_loop.getattr("call_soon")?.unbind(),
            call_later: event_loop.getattr("call_later")?.unbind(),
            enter_task: asyncio.getattr("_enter_task")?.unbind(),
            leave_task: asyncio.getattr("_leave_task")?.unbind(),
            register_task: asyncio.getattr("_register_task")?.unbind(),
            unregister_task: asyncio.getattr("_unregister_task")?.unbind(),
            turn: slf.getattr("_turn")?.unbind(),
            expire: slf.getattr("_expire")?.unbind(),
            neutral: neutral.unbind(),
        };
        let lane = &slf.get().lane;
        lane.tools.set(tools).ok();
        lane.look_again(py);
        Ok(())
    }

    /// One turn.
    fn _turn(&self, py: Python<'_>) -> PyResult<()> {
        self.lane.turn(py)
    }

    /// Waits of so many nanoseconds may be over.
    fn _expire(&self, py: Python<'_>, timeout: u64) -> PyResult<()> {
        self.lane.expire(py, Duration::from_nanos(timeout))
    }

    /// Somebody has woken the loop.
    fn _rung(&self, py: Python<'_>) -> PyResult<()> {
        self.bell.hush();
        self.lane.turn(py)
    }
}

/// How a task of a reentrant process, or of one that receives, is made.
pub(crate) fn new_task<'py>(
    py: Python<'py>,
    lane: &Arc<LoopLane>,
    coroutine: Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
    role: Role,
) -> PyResult<Bound<'py, HandlerTask>> {
    let task = HandlerTask::spare(lane.clone());
    task.begin(coroutine.unbind(), Some(context.unbind()), role);
    Bound::new(py, task)
}
