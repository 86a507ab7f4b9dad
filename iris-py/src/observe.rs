//! Links, monitors, groups and observers: how Python hears of things.

use std::time::Duration;

use iris::{Cursor, Message, MonitorRef, Pid, RecvError, Verdict};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::error;
use crate::mailbox::{choose, wait_time};
use crate::runtime::PyRuntime;
use crate::system::{self, PySystemMessage};

/// How often a wait for a message looks for signals such as Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

#[pymethods]
impl PyRuntime {
    /// Links two actors: each gets an EXIT system message when the other ends, whatever the
    /// reason, and nobody is killed.
    ///
    /// With `propagate=True` the one that is left ends too, for the same reason, unless that
    /// is `normal` or it traps exits. Observers, pull actors and push actors spawned with
    /// `system=True` receive the messages. One that is dead already is reported at once
    /// (`noproc`). `False` for an actor and itself. Raises `DeadActorError` for a number that
    /// is no pid.
    #[pyo3(signature = (a, b, propagate=false))]
    fn link(&self, py: Python<'_>, a: u64, b: u64, propagate: bool) -> PyResult<bool> {
        let (runtime, a) = self.live_target(py, a)?;
        let (_, b) = self.live_target(py, b)?;
        Ok(if propagate {
            runtime.link_propagating(a, b)
        } else {
            runtime.link(a, b)
        })
    }

    /// Ends the link between two actors; `False` if there was none.
    fn unlink(&self, py: Python<'_>, a: u64, b: u64) -> PyResult<bool> {
        let (runtime, a) = self.target(py, a)?;
        let (_, b) = self.target(py, b)?;
        Ok(a.zip(b).is_some_and(|(a, b)| runtime.unlink(a, b)))
    }

    /// `watcher` gets one DOWN system message when `pid` ends; at once (`noproc`) if it is
    /// dead already. Returns the monitor's reference. Raises `DeadActorError` if nobody has the
    /// pid of the watcher.
    fn monitor(&self, py: Python<'_>, watcher: u64, pid: u64) -> PyResult<u64> {
        let (runtime, watcher) = self.live_target(py, watcher)?;
        let (_, pid) = self.live_target(py, pid)?;
        let monitor = runtime.monitor(watcher, pid);
        monitor
            .map(MonitorRef::raw)
            .map_err(|error| error::monitor(py, &error))
    }

    /// Takes a monitor off; `False` if there is none, or its DOWN has arrived already.
    fn demonitor(&self, py: Python<'_>, reference: u64) -> PyResult<bool> {
        let runtime = self.runtime(py)?;
        Ok(runtime.demonitor(MonitorRef::from_raw(reference)))
    }

    /// Whether an actor gets EXIT messages instead of ending with those that it is linked to
    /// with `propagate=True`. Raises `DeadActorError` if nobody has the pid.
    #[pyo3(signature = (pid, traps=true))]
    fn trap_exit(&self, py: Python<'_>, pid: u64, traps: bool) -> PyResult<()> {
        let (runtime, target) = self.live_target(py, pid)?;
        if runtime.trap_exit(target, traps) {
            return Ok(());
        }
        Err(error::dead_actor(py, pid))
    }

    /// Makes an actor the last member of a group; `False` if it is one already. It leaves
    /// when it ends. Raises `DeadActorError` if nobody has the pid.
    fn join_group(&self, py: Python<'_>, group: &str, pid: u64) -> PyResult<bool> {
        let (runtime, pid) = self.live_target(py, pid)?;
        let joined = runtime.join_group(group, pid);
        joined.map_err(|error| error::place(py, &error))
    }

    /// Takes an actor out of a group; whether it was a member.
    fn leave_group(&self, py: Python<'_>, group: &str, pid: u64) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.is_some_and(|pid| runtime.leave_group(group, pid)))
    }

    /// The pids of a group's live members, in the order of joining.
    fn members(&self, py: Python<'_>, group: &str) -> PyResult<Vec<u64>> {
        Ok(system::raw(self.runtime(py)?.members(group)))
    }

    /// Sends `data` to each member of a group; how many took it. Never waits: a member whose
    /// mailbox is full takes nothing, with the policy `"block"` too.
    fn publish(&self, py: Python<'_>, group: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let payload = convert::payload(data)?;
        Ok(self.runtime(py)?.publish(group, payload))
    }

    /// Spawns an observer, registered under `path`: an actor that keeps what it receives,
    /// system messages included, for `get_messages` and `selective_recv`.
    ///
    /// It keeps 65,536 messages; then the oldest are dropped, and counted by
    /// `observer_dropped`. Errors as `spawn` and `register_path`.
    #[pyo3(signature = (budget, path))]
    fn spawn_with_path_observed(&self, py: Python<'_>, budget: u32, path: &str) -> PyResult<u64> {
        let observer = self.runtime(py)?.observer().budget(budget).at_path(path);
        let pid = observer.start();
        pid.map(Pid::raw).map_err(|error| error::spawn(py, &error))
    }

    /// What an observer has received, oldest first: `bytes` and `PySystemMessage`s.
    ///
    /// What the caller has sent to it before is among them. The messages are taken; with
    /// `drain=False` they stay. An empty list for a pid that nobody has any more; `ValueError`
    /// for an actor that is no observer.
    #[pyo3(signature = (pid, drain=true))]
    fn get_messages<'py>(
        &self,
        py: Python<'py>,
        pid: u64,
        drain: bool,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let (runtime, target) = self.target(py, pid)?;
        let Some(target) = target else {
            return Ok(Vec::new());
        };
        match py.detach(|| runtime.get_messages(target, drain)) {
            Some(found) => found.iter().map(|one| system::object(py, one)).collect(),
            None if runtime.is_alive(target) => Err(not_an_observer(pid)),
            None => Ok(Vec::new()),
        }
    }

    /// How many messages an observer has dropped because nobody took them; `None` if the pid
    /// is not an observer's.
    fn observer_dropped(&self, py: Python<'_>, pid: u64) -> PyResult<Option<u64>> {
        let (runtime, pid) = self.target(py, pid)?;
        Ok(pid.and_then(|pid| runtime.observer_dropped(pid)))
    }

    /// Takes the first message of an observer for which `matcher(message)` is true; blocks for
    /// it, at most `timeout` seconds (`None`: for ever). `None` if none came in time.
    ///
    /// Releases the GIL and heeds Ctrl-C while it waits. What `matcher` raises is raised here.
    /// Raises `ValueError` for an actor that is no observer, and `MailboxClosed` for one that
    /// is dead or ends meanwhile.
    #[pyo3(signature = (pid, matcher, timeout=None))]
    fn selective_recv_blocking<'py>(
        &self,
        py: Python<'py>,
        pid: u64,
        matcher: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let taken = self.take(py, pid, matcher, timeout, || false)?;
        taken
            .map(|message| system::object(py, &message))
            .transpose()
    }

    /// As `selective_recv_blocking`; gives up when `cancelled()` is true.
    fn _selective_recv<'py>(
        &self,
        py: Python<'py>,
        pid: u64,
        matcher: &Bound<'py, PyAny>,
        timeout: Option<f64>,
        cancelled: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let cancelled = || {
            cancelled
                .call0()
                .and_then(|it| it.is_truthy())
                .unwrap_or(true)
        };
        let taken = self.take(py, pid, matcher, timeout, cancelled)?;
        taken
            .map(|message| system::object(py, &message))
            .transpose()
    }

    /// Gives a message back that was taken from an observer and not used.
    fn _give_back(&self, py: Python<'_>, pid: u64, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let (runtime, Some(pid)) = self.target(py, pid)? else {
            return Ok(());
        };
        let message = if let Ok(news) = message.cast::<PySystemMessage>() {
            Message::System(news.get().message())
        } else {
            let data = message.cast::<PyBytes>()?;
            Message::from(data.as_bytes().to_vec())
        };
        runtime.give_back(pid, message);
        Ok(())
    }
}

impl PyRuntime {
    fn take(
        &self,
        py: Python<'_>,
        pid: u64,
        matcher: &Bound<'_, PyAny>,
        timeout: Option<f64>,
        cancelled: impl Fn() -> bool,
    ) -> PyResult<Option<Message>> {
        if !matcher.is_callable() {
            return Err(error::not_callable(matcher));
        }
        let timeout = wait_time(timeout)?;
        let (runtime, target) = self.live_target(py, pid)?;
        if runtime.observer_dropped(target).is_none() && runtime.is_alive(target) {
            return Err(not_an_observer(pid));
        }
        let deadline = timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout));
        let matcher = matcher.clone().unbind();
        let mut cursor = Cursor::default();
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(std::time::Instant::now()));
            let step = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
            let mut raised = None;
            let taken = py.detach(|| {
                let choose =
                    |message: &Message| -> Verdict { choose(&matcher, message, &mut raised) };
                runtime.selective_recv_from(&mut cursor, target, choose, Some(step))
            });
            match (raised, taken) {
                (Some(raised), _) => return Err(raised),
                (None, Ok(message)) => return Ok(Some(message)),
                (None, Err(RecvError::Timeout)) => {}
                (None, Err(_)) => return Err(error::mailbox_closed(py)),
            }
            py.check_signals()?;
            if cancelled() || left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }
}

fn not_an_observer(pid: u64) -> PyErr {
    PyValueError::new_err(format!(
        "actor {pid} is no observer and keeps no messages; spawn one with \
         spawn_with_path_observed()"
    ))
}
