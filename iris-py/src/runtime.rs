//! The class `Runtime`.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iris::nodes::Tls;
use iris::{Cohort, ExitReason, Pid, Runtime, TimerId};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::aio::lane::LoopLane;
use crate::behavior::{Manner, PyBehavior};
use crate::convert;
use crate::error;
use crate::fork::Birthplace;
use crate::lane::GuestLane;
use crate::overflow;
use crate::pid::RawPid;
use crate::report::{self, FLUSH_PATIENCE, Presence};
use crate::settings;
use crate::spawn::{Behaviors, bounded};
use crate::supervise;
use crate::threads::OwnThreads;
use crate::wait;
use crate::watchdog::Watchdog;

/// How long a shutdown waits for the lane's threads.
const LANE_PATIENCE: Duration = Duration::from_secs(1);

/// Actors, their scheduler and all that is around them.
///
/// A runtime has threads of its own from the start. Used as a context manager it is shut
/// down at the end of the block; else at the latest when the interpreter exits. All
/// methods may be called on any thread.
///
/// A handler that is at one message for `watchdog` seconds is reported to the logger
/// `iris.watchdog` with the place in its code where it is; `None`: none is. With
/// `mailbox_capacity` the mailboxes of actors that are spawned without a capacity of their own
/// take so many messages that wait, see `set_overflow_policy`; `None`: any number.
/// Raises `ValueError` for times and capacities that are not above 0.
#[pyclass(module = "iris._iris", name = "Runtime", subclass, weakref, frozen)]
pub(crate) struct PyRuntime {
    /// Not dropped in a forked child, where its threads and locks are not to be touched.
    parts: ManuallyDrop<Parts>,
    born: Birthplace,
}

pub(crate) struct Parts {
    pub(crate) runtime: Runtime,
    pub(crate) lane: Arc<GuestLane>,
    /// Of all push actors that the lane runs.
    pub(crate) cohort: Arc<Cohort>,
    pub(crate) behaviors: Behaviors,
    pub(crate) loop_lane: Arc<LoopLane>,
    /// Of those whose handlers are coroutines.
    pub(crate) loop_cohort: Arc<Cohort>,
    pub(crate) own: OwnThreads,
    pub(crate) watchdog: Arc<Watchdog>,
    /// The certificates of its node, if it has any.
    tls: Mutex<Option<Arc<Tls>>>,
    /// Until the threads have ended.
    presence: Mutex<Option<Presence>>,
}

impl Drop for PyRuntime {
    fn drop(&mut self) {
        if self.born.is_here() {
            // SAFETY: dropped once, here, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.parts) }
        }
    }
}

impl PyRuntime {
    /// The parts, in the process that they were made in.
    #[inline]
    pub(crate) fn parts(&self, py: Python<'_>) -> PyResult<&Parts> {
        if self.born.is_here() {
            Ok(&self.parts)
        } else {
            Err(error::forked(py))
        }
    }

    #[inline]
    pub(crate) fn runtime(&self, py: Python<'_>) -> PyResult<&Runtime> {
        Ok(&self.parts(py)?.runtime)
    }

    /// The runtime and a pid that may or may not be somebody's.
    #[inline]
    pub(crate) fn target(&self, py: Python<'_>, raw: u64) -> PyResult<(&Runtime, Option<Pid>)> {
        Ok((self.runtime(py)?, Pid::from_raw(raw)))
    }

    /// The certificates of its node, if it has any.
    pub(crate) fn tls(&self) -> MutexGuard<'_, Option<Arc<Tls>>> {
        let tls = self.parts.tls.lock();
        tls.unwrap_or_else(PoisonError::into_inner)
    }

    /// The runtime and a pid, for calls that need a live actor.
    pub(crate) fn live_target(&self, py: Python<'_>, raw: u64) -> PyResult<(&Runtime, Pid)> {
        let (runtime, pid) = self.target(py, raw)?;
        let pid = pid.ok_or_else(|| error::dead_actor(py, raw))?;
        if !runtime.is_alive(pid) {
            error::refuse_foreign(py, raw)?;
        }
        Ok((runtime, pid))
    }
}

#[pymethods]
impl PyRuntime {
    #[new]
    #[pyo3(signature = (*, watchdog=10.0, mailbox_capacity=None))]
    fn new(py: Python<'_>, watchdog: Option<f64>, mailbox_capacity: Option<i64>) -> PyResult<Self> {
        let watchdog = settings::watchdog_time(watchdog)?;
        let capacity = settings::capacity(mailbox_capacity)?;
        let presence = Presence::begin(py)?;
        let runtime = Runtime::builder()
            .mailbox_capacity(capacity)
            .start()
            .map_err(|error| error::start(&error))?;
        let watchdog = Arc::new(Watchdog::new(runtime.downgrade(), watchdog));
        let rust = runtime.rust_scheduler();
        let loop_lane = LoopLane::new(rust.clone(), runtime.host());
        let lane = py.detach(|| GuestLane::start(rust, loop_lane.clone(), watchdog.clone()))?;
        let lane = Arc::new(lane);
        loop_lane.starts_on(&lane);
        let cohort = runtime.lasting_cohort(lane.clone());
        let loop_cohort = runtime.lasting_cohort(loop_lane.clone());
        supervise::tell_of_those_given_up(&runtime);
        runtime.set_lane_age(lane.age());
        let parts = ManuallyDrop::new(Parts {
            runtime,
            own: OwnThreads::new(lane.clone()),
            lane,
            cohort,
            behaviors: Behaviors::default(),
            loop_lane,
            loop_cohort,
            watchdog,
            tls: Mutex::new(None),
            presence: Mutex::new(Some(presence)),
        });
        Ok(Self {
            parts,
            born: Birthplace::here(),
        })
    }

    /// Spawns an actor that calls `handler(data: bytes)` for each message.
    ///
    /// The handler runs on the runtime's Python threads, one message at a time in the order
    /// in which each sender sent them. Returning `iris.STOP` ends the actor (reason
    /// `normal`); an exception is logged and ends it (reason `crash`) unless
    /// `on_error="resume"`.
    ///
    /// With `release_gil=True` the handler runs on a thread apart from the others, so that one
    /// that blocks, or computes in C without the GIL, holds nobody up and needs no help: see
    /// `set_release_gil_limits`. Everything else stays as it is.
    /// An `async def` handler, and any other that gives a coroutine, is awaited on the runtime's one
    /// asyncio loop thread, which the first of them starts. The next message comes when the
    /// coroutine is over, unless `reentrant=True`: then others are handled while it waits, in any
    /// order. Only code that does not await keeps other async actors waiting, and is warned of
    /// after 100 ms, at most once a second. Told to stop, such an actor is cancelled where it awaits, and has 5 s to clean
    /// up (1 s at a shutdown). A message whose coroutine does not wait costs some 150 ns more than a
    /// plain call.
    ///
    /// Context variables that are set where a message is sent are set where it is handled; what a
    /// handler sets is gone after it. They stay behind where a sender waits for room, with timers,
    /// and for pull actors.
    ///
    /// `budget` is the number of messages after which other actors get their turn. `name` registers the actor before anybody can send to it.
    /// `capacity` bounds the messages that wait to be handled, see `set_overflow_policy`.
    ///
    /// With `system=True` the handler gets system messages, too, as `PySystemMessage`s.
    ///
    /// With `batch=True` it is called with a list: the messages that are there, in their
    /// order, at least one and at most `budget`. All of them count as handled once it is
    /// called, whatever it raises. With `send_many` some 40 ns a message.
    ///
    /// Returns the pid. Raises `TypeError` for a handler that is not callable,
    /// `ValueError` for a budget or capacity of 0, `NameTakenError` for a name that is in use,
    /// `RuntimeError` if no thread is left after `set_release_gil_strict(True)`.
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "Python's keyword arguments, which it names"
    )]
    #[pyo3(signature = (handler, budget=100, release_gil=false, *, name=None, on_error="crash", system=false, batch=false, capacity=None, reentrant=false))]
    fn spawn(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        release_gil: bool,
        name: Option<&str>,
        on_error: &str,
        system: bool,
        batch: bool,
        capacity: Option<u32>,
        reentrant: bool,
    ) -> PyResult<u64> {
        let manner = Manner::new(on_error, system, batch, reentrant)?;
        self.start(handler, budget, release_gil, name, manner, |builder| {
            bounded(builder, capacity)
        })
    }

    /// Spawns an actor with room for `capacity` messages that wait to be handled; the one that its
    /// handler is at is not counted. Everything else as `spawn`.
    ///
    /// A message that finds the mailbox full is refused: `send` returns `False`. Other policies
    /// are set with `set_overflow_policy`. Raises `ValueError` for a capacity of 0.
    #[pyo3(signature = (handler, budget, capacity, release_gil=false, *, name=None, on_error="crash"))]
    fn spawn_py_handler_bounded(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        capacity: u32,
        release_gil: bool,
        name: Option<&str>,
        on_error: &str,
    ) -> PyResult<u64> {
        self.spawn(
            handler,
            budget,
            release_gil,
            name,
            on_error,
            false,
            false,
            Some(capacity),
            false,
        )
    }

    /// Changes what becomes of messages that find the mailbox of `pid` full, from now on.
    ///
    /// - `"dropnew"`, with which every bounded actor begins: `send` returns `False`.
    /// - `"dropold"`: the oldest message that waits becomes a dead letter (reason `evicted`), the
    ///   new one is accepted.
    /// - `"redirect"`: the new one is sent to `target` instead, where that one's policy applies.
    ///   Once the target has ended, `send` returns `False`.
    /// - `"spill"`: the new one is accepted beyond the bound, and a copy is sent to `target`. A
    ///   copy that is not accepted there is a dead letter (reason `refused`).
    /// - `"block"`: `send` waits until there is room, without the GIL, and heeds Ctrl-C. Once
    ///   the actor stops it returns `False`. Inside a handler, which must not wait, it raises
    ///   `WouldBlockError` at once.
    ///
    /// Timers never wait: what they cannot deliver is a dead letter (`refused`). Raises
    /// `DeadActorError` if nobody has the pid or the target's, `ValueError` for an actor without a
    /// capacity, an unknown policy, a target that is missing or not needed, and for policies
    /// by which a message could go in a circle.
    #[pyo3(signature = (pid, policy, target=None))]
    fn set_overflow_policy(
        &self,
        py: Python<'_>,
        pid: u64,
        policy: &str,
        target: Option<u64>,
    ) -> PyResult<()> {
        let policy = overflow::policy(py, policy, target)?;
        let (runtime, pid) = self.live_target(py, pid)?;
        let set = runtime.set_overflow_policy(pid, policy);
        set.map_err(|error| error::overflow(py, &error))
    }

    /// Reserves a pid for an actor that is activated by its first message.
    ///
    /// With `idle_timeout_ms` it ends (reason `normal`) after that long without a message;
    /// with `reactivate=True` it then only goes back to being reserved, and a later message
    /// activates it again. Everything else as `spawn`.
    #[pyo3(signature = (handler, budget=100, idle_timeout_ms=None, *, reactivate=false, name=None, on_error="crash", system=false))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are keywords where they are used"
    )]
    fn spawn_virtual(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        idle_timeout_ms: Option<u64>,
        reactivate: bool,
        name: Option<&str>,
        on_error: &str,
        system: bool,
    ) -> PyResult<u64> {
        let idle = convert::idle_timeout(idle_timeout_ms)?;
        let manner = Manner::new(on_error, system, false, false)?;
        self.start(handler, budget, false, name, manner, |builder| {
            if reactivate {
                builder.reactivated_actor(idle)
            } else {
                builder.virtual_actor(idle)
            }
        })
    }

    /// Runs `handler(mailbox)` as an actor on a thread of its own, where it may block; an `async
    /// def` on the runtime's loop thread, with an `AsyncMailbox`, where it awaits. Of those there
    /// may be any number, `budget` is the messages that one receives before others get their
    /// turn, and one that awaits something else than a message when it is stopped is cancelled.
    ///
    /// The actor ends when the function returns (reason `normal`) or raises (`crash`, logged);
    /// a `MailboxClosed` that leaves it after a stop is no crash. For threads `budget` has no effect: the
    /// operating system shares the time between them. 10,000 of them at most. `capacity` bounds
    /// the messages that wait to be received, those that were set aside included.
    #[pyo3(signature = (handler, budget=100, *, name=None, capacity=None))]
    fn spawn_with_mailbox(
        &self,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        name: Option<&str>,
        capacity: Option<u32>,
    ) -> PyResult<u64> {
        self.start_pull(handler, budget, name, None, capacity)
    }

    /// As `spawn_with_mailbox`, for an actor that ends with `parent`.
    #[pyo3(signature = (parent, handler, budget=100, *, name=None))]
    fn spawn_child_with_mailbox(
        &self,
        py: Python<'_>,
        parent: u64,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        name: Option<&str>,
    ) -> PyResult<u64> {
        let (_, parent) = self.live_target(py, parent)?;
        self.start_pull(handler, budget, name, Some(parent), None)
    }

    /// Spawns an actor that ends with `parent`: when that ends, for whatever reason, the child
    /// is stopped (reason `shutdown`), and its exit comes before the parent's. Everything else
    /// as `spawn`. Raises `DeadActorError` if the parent is not alive.
    #[pyo3(signature = (parent, handler, budget=100, release_gil=false, *, name=None, on_error="crash", system=false, reentrant=false))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are keywords where they are used"
    )]
    fn spawn_child(
        &self,
        py: Python<'_>,
        parent: u64,
        handler: &Bound<'_, PyAny>,
        budget: u32,
        release_gil: bool,
        name: Option<&str>,
        on_error: &str,
        system: bool,
        reentrant: bool,
    ) -> PyResult<u64> {
        let (_, of) = self.live_target(py, parent)?;
        let manner = Manner::new(on_error, system, false, reentrant)?;
        self.start(handler, budget, release_gil, name, manner, |builder| {
            builder.child_of(of)
        })
    }

    /// Spawns `workers` actors with one handler that end with `parent`, and returns their
    /// pids. Everything else as `spawn_child`; `ValueError` for no workers. If one cannot be
    /// spawned, none is left.
    #[pyo3(signature = (parent, handler, workers=4, budget=100, release_gil=false))]
    fn spawn_child_pool(
        &self,
        py: Python<'_>,
        parent: u64,
        handler: &Bound<'_, PyAny>,
        workers: usize,
        budget: u32,
        release_gil: bool,
    ) -> PyResult<Vec<u64>> {
        if workers == 0 {
            return Err(PyValueError::new_err("a pool needs at least 1 worker"));
        }
        let spawn = |_| {
            self.spawn_child(
                py,
                parent,
                handler,
                budget,
                release_gil,
                None,
                "crash",
                false,
                false,
            )
        };
        let mut pool = Vec::new();
        for worker in 0..workers {
            match spawn(worker) {
                Ok(pid) => pool.push(pid),
                Err(error) => {
                    // All or none.
                    for pid in pool {
                        self.stop(py, pid, false)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// Goes back to the handler before the last `steps` swaps and returns its number.
    ///
    /// The original and the last 15 others are kept. What was sent before is handled by the
    /// present handler, what is sent after by the earlier one. Raises `DeadActorError` if
    /// nobody has the pid and `ValueError` if there is no version so far back, or no step.
    #[pyo3(signature = (pid, steps=1))]
    fn rollback_behavior(&self, py: Python<'_>, pid: u64, steps: usize) -> PyResult<u32> {
        if steps == 0 {
            return Err(PyValueError::new_err("steps must be at least 1, not 0"));
        }
        let (runtime, target) = self.live_target(py, pid)?;
        let version = runtime.rollback_behavior(target, steps);
        version.map_err(|error| error::rollback(py, pid, error))
    }

    /// Puts `data`, which must be bytes-like, into the mailbox of `pid`. Waits for nothing but
    /// room in a full mailbox with the policy `"block"`, see `set_overflow_policy`.
    ///
    /// Returns whether it was accepted: `False` for a pid that nobody has or whose actor is
    /// stopping, and for a full mailbox that refuses it. What is accepted is handled, or counted by `dead_letters()` once its actor
    /// has ended.
    fn send(&self, py: Python<'_>, pid: RawPid, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid.0)?;
        let payload = convert::message(data)?;
        pid.map_or(Ok(false), |pid| overflow::send(py, runtime, pid, payload))
    }

    /// Sends to whom `name` leads to; `False` also if it leads nowhere.
    fn send_named(&self, py: Python<'_>, name: &str, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let payload = convert::message(data)?;
        let runtime = self.runtime(py)?;
        let pid = runtime.whereis(name);
        pid.map_or(Ok(false), |pid| overflow::send(py, runtime, pid, payload))
    }

    /// Sends `data` to `pid` once, after `ms` milliseconds. Returns the timer's id.
    ///
    /// The timer ends with the actor. Raises `DeadActorError` if nobody has the pid.
    fn send_after(
        &self,
        py: Python<'_>,
        pid: u64,
        ms: u64,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let payload = convert::payload(data)?;
        let (runtime, pid) = self.live_target(py, pid)?;
        let timer = runtime.send_after(pid, Duration::from_millis(ms), payload);
        timer
            .map(TimerId::raw)
            .map_err(|error| error::timer(py, error))
    }

    /// Sends `data` to `pid` every `ms` milliseconds, the first time after one interval,
    /// until it is cancelled or the actor ends. Returns the timer's id.
    ///
    /// While one of its messages waits to be handled it sends no other, and makes up for none.
    /// Raises `DeadActorError` if nobody has
    /// the pid and `ValueError` for an interval of 0.
    fn send_interval(
        &self,
        py: Python<'_>,
        pid: u64,
        ms: u64,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let payload = convert::payload(data)?;
        let (runtime, pid) = self.live_target(py, pid)?;
        let timer = runtime.send_interval(pid, Duration::from_millis(ms), payload);
        timer
            .map(TimerId::raw)
            .map_err(|error| error::timer(py, error))
    }

    /// Ends a timer; `False` if it has fired for the last time, was cancelled or never was.
    fn cancel_timer(&self, py: Python<'_>, timer: u64) -> PyResult<bool> {
        let runtime = self.runtime(py)?;
        Ok(TimerId::from_raw(timer).is_some_and(|timer| runtime.cancel_timer(timer)))
    }

    /// Ends an actor; `False` if nobody has the pid or it was stopped already. One that drains
    /// can still be stopped.
    ///
    /// A handler that is running finishes first. What is queued becomes dead letters; with
    /// `drain=True` it is handled first. Either way nothing more is accepted.
    #[pyo3(signature = (pid, drain=false))]
    fn stop(&self, py: Python<'_>, pid: u64, drain: bool) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.is_some_and(|pid| {
            if drain {
                runtime.drain(pid)
            } else {
                runtime.stop(pid, ExitReason::Killed)
            }
        }))
    }

    /// Waits until an actor has ended, at most `timeout` seconds (`None`: for ever).
    ///
    /// Returns whether it has; a pid that nobody has is one that has ended. What there is to log
    /// of its end, and its dead letters, have been told by then, unless that takes longer than a
    /// second. Releases the GIL and heeds Ctrl-C. Raises `DeadlockError`, which is a `RuntimeError`,
    /// inside the handler of that very actor.
    #[pyo3(signature = (pid, timeout=None))]
    fn join(&self, py: Python<'_>, pid: u64, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = timeout
            .map(|timeout| convert::seconds("timeout", timeout))
            .transpose()?;
        let (runtime, Some(pid)) = self.target(py, pid)? else {
            return Ok(true);
        };
        if let Err(error) = runtime.join(pid, Some(Duration::ZERO)) {
            return Err(error::join(py, error));
        }
        let ended = wait::interruptibly(py, timeout, |step| {
            runtime.join(pid, Some(step)).unwrap_or(true)
        })?;
        if ended {
            report::flush(py, timeout.unwrap_or(FLUSH_PATIENCE))?;
        }
        Ok(ended)
    }

    /// Whether an actor with this pid exists and was not stopped; one that drains is alive.
    fn is_alive(&self, py: Python<'_>, pid: u64) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.is_some_and(|pid| runtime.is_alive(pid)))
    }

    /// Messages not yet handed to the handler, or `None` if nobody has the pid.
    fn mailbox_size(&self, py: Python<'_>, pid: u64) -> PyResult<Option<usize>> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.and_then(|pid| runtime.mailbox_size(pid)))
    }

    /// Replaces the handler of an actor and returns the new version's number.
    ///
    /// What was sent before is handled by the old handler, what is sent after by the new;
    /// with `now=True` what is queued is handled by the new one, too. State that the
    /// handlers share survives; `on_error`, `system` and `batch` are the new handler's. An actor
    /// keeps the kind of thread that it was spawned on: a plain handler in the place of an async
    /// one runs on the loop thread, which it must not block; an async one in the place of a plain
    /// one is awaited there, at the cost of a change of threads for each message. Raises
    /// `DeadActorError` (a `LookupError`) if nobody has the pid.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are keywords where they are used"
    )]
    #[pyo3(signature = (pid, handler, *, now=false, on_error="crash", system=false, batch=false))]
    fn hot_swap(
        &self,
        py: Python<'_>,
        pid: u64,
        handler: &Bound<'_, PyAny>,
        now: bool,
        on_error: &str,
        system: bool,
        batch: bool,
    ) -> PyResult<u32> {
        convert::check_handler(handler)?;
        let manner = Manner::new(on_error, system, batch, false)?;
        let behavior = PyBehavior::new(handler, manner, &self.parts(py)?.loop_lane);
        let (runtime, target) = self.live_target(py, pid)?;
        let version = if now {
            runtime.hot_swap_now(target, behavior)
        } else {
            runtime.hot_swap(target, behavior)
        };
        version.ok_or_else(|| error::dead_actor(py, pid))
    }

    /// The number of the handler in force, or `None` if nobody has the pid. The original
    /// is 1.
    fn behavior_version(&self, py: Python<'_>, pid: u64) -> PyResult<Option<u32>> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.and_then(|pid| runtime.behavior_version(pid)))
    }

    /// Makes `name` lead to an actor.
    ///
    /// Raises `NameTakenError` if it leads to another live one, `DeadActorError` if nobody
    /// has the pid, `ValueError` if it cannot be a name.
    fn register(&self, py: Python<'_>, name: &str, pid: u64) -> PyResult<()> {
        let (runtime, pid) = self.live_target(py, pid)?;
        runtime
            .register(name, pid)
            .map_err(|error| error::place(py, &error))
    }

    /// Frees a name; whether it led to an actor.
    fn unregister(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        Ok(self.runtime(py)?.unregister(name).is_some())
    }

    /// The pid of the live actor that `name` leads to, or `None`.
    fn whereis(&self, py: Python<'_>, name: &str) -> PyResult<Option<u64>> {
        Ok(self.runtime(py)?.whereis(name).map(Pid::raw))
    }

    /// The same as `whereis`.
    fn resolve(&self, py: Python<'_>, name: &str) -> PyResult<Option<u64>> {
        self.whereis(py, name)
    }

    /// Makes `path`, such as `/system/service/one`, lead to an actor. Errors as `register`.
    fn register_path(&self, py: Python<'_>, path: &str, pid: u64) -> PyResult<()> {
        let (runtime, pid) = self.live_target(py, pid)?;
        runtime
            .register_path(path, pid)
            .map_err(|error| error::place(py, &error))
    }

    /// Frees a path; whether it led to an actor.
    fn unregister_path(&self, py: Python<'_>, path: &str) -> PyResult<bool> {
        Ok(self.runtime(py)?.unregister_path(path).is_some())
    }

    /// The pid of the live actor that `path` leads to, or `None`.
    fn whereis_path(&self, py: Python<'_>, path: &str) -> PyResult<Option<u64>> {
        Ok(self.runtime(py)?.whereis_path(path).map(Pid::raw))
    }

    /// `(path, pid)` of all live actors below `prefix` at any depth, by path.
    fn list_children(&self, py: Python<'_>, prefix: &str) -> PyResult<Vec<(String, u64)>> {
        let found = self.runtime(py)?.list_children(prefix);
        Ok(plain(found.map_err(|error| error::register(py, &error))?))
    }

    /// `(path, pid)` of the live actors exactly one level below `prefix`, by path.
    fn list_children_direct(&self, py: Python<'_>, prefix: &str) -> PyResult<Vec<(String, u64)>> {
        let found = self.runtime(py)?.list_children_direct(prefix);
        Ok(plain(found.map_err(|error| error::register(py, &error))?))
    }

    /// Waits up to `drain` seconds for all that is queued to be handled, then stops every
    /// actor and the runtime's threads. Returns how many messages were not handled. An actor
    /// that is still inside its handler 1 s later is left behind with a logged warning.
    ///
    /// Releases the GIL and heeds Ctrl-C while it drains. A second call returns 0. Raises
    /// `RuntimeError` inside a handler, which would wait for itself.
    #[pyo3(signature = (drain=2.0))]
    fn shutdown(&self, py: Python<'_>, drain: f64) -> PyResult<u64> {
        let drain = convert::seconds("drain", drain)?;
        let Parts {
            runtime,
            lane,
            own,
            loop_lane,
            ..
        } = self.parts(py)?;
        if runtime.inside_handler() {
            return Err(PyRuntimeError::new_err(
                "shutdown() inside a handler would wait for that handler; call it elsewhere",
            ));
        }
        if runtime.is_shut_down() {
            return Ok(0);
        }
        wait::interruptibly(py, Some(drain), |step| {
            // What a reentrant handler awaits may send, and so make others busy.
            loop_lane.wait_quiet(step) && runtime.wait_quiet(step) && loop_lane.is_quiet()
        })?;
        let report = py.detach(|| {
            let report = runtime.shutdown(Duration::ZERO);
            lane.stop();
            own.stop();
            // A thread that is stuck in a handler will not end for being waited for.
            if report.stuck == 0 {
                lane.wait_ended(LANE_PATIENCE);
            }
            report
        });
        if report.stuck > 0 {
            let stuck = report.stuck;
            let text = format!("{stuck} actors were still inside a handler at shutdown");
            report::tell_warning(None, text);
        }
        report::flush(py, FLUSH_PATIENCE)?;
        Ok(report.undelivered)
    }

    /// Waits for the threads of a runtime that was shut down, interrupts handlers that are
    /// still running, and waits again; says whether all have ended. For the interpreter's
    /// exit.
    fn _end_threads(&self, py: Python<'_>) -> PyResult<bool> {
        let lane = &self.parts(py)?.lane;
        if py.detach(|| lane.wait_ended(LANE_PATIENCE / 4)) {
            return Ok(true);
        }
        lane.interrupt_handlers(py);
        Ok(py.detach(|| lane.wait_ended(LANE_PATIENCE)))
    }

    /// Whether the threads of a runtime that was shut down have ended.
    fn _ended(&self, py: Python<'_>) -> PyResult<bool> {
        let parts = self.parts(py)?;
        let ended = parts.lane.wait_ended(Duration::ZERO);
        if ended {
            let presence = parts.presence.lock();
            presence.unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(ended)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.shutdown(py, 2.0).map(drop)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let runtime = self.runtime(py)?;
        let state = if runtime.is_shut_down() {
            "shut down"
        } else {
            "running"
        };
        Ok(format!(
            "<iris.Runtime {state}, {} actors>",
            runtime.process_count()
        ))
    }
}

fn plain(found: Vec<(String, Pid)>) -> Vec<(String, u64)> {
    found
        .into_iter()
        .map(|(path, pid)| (path, pid.raw()))
        .collect()
}
