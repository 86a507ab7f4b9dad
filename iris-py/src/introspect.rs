//! What there is to know of actors and of a runtime, as Python objects.

use std::sync::Arc;

use iris::{DeadLetter, DeadLetterCounts, OverflowPolicy, Pid, TreeEntry};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error;
use crate::report::{self, Report};
use crate::runtime::PyRuntime;

#[pymethods]
impl PyRuntime {
    /// What an actor is doing, or `None` if nobody has the pid.
    ///
    /// A dict with `pid`, `name` (the first of `names`, or `None`), `names`, `paths`, `kind`
    /// (`"push"`, `"virtual"`, `"pull"`, `"observer"`), `alive` (`True`), `status` (`"reserved"`,
    /// `"idle"`, `"scheduled"`, `"running"`), `mailbox_size`, `capacity` (`None`: any number),
    /// `overflow` (the policy, `None` without a capacity), `overflow_target` (a pid or `None`),
    /// `handled`, `behavior_version`, `behavior` (the handler's name), `parent` (a pid or `None`),
    /// `children` and `supervised`.
    fn info<'py>(&self, py: Python<'py>, pid: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (runtime, pid) = self.target(py, pid)?;
        let Some(info) = pid.and_then(|pid| runtime.info(pid)) else {
            return Ok(None);
        };
        let dict = PyDict::new(py);
        dict.set_item("pid", info.pid.raw())?;
        dict.set_item("name", info.names.first())?;
        dict.set_item("kind", info.kind.as_str())?;
        dict.set_item("alive", true)?;
        dict.set_item("status", info.status.as_str())?;
        dict.set_item("mailbox_size", info.mailbox_size)?;
        dict.set_item("capacity", info.capacity)?;
        dict.set_item("overflow", info.overflow.map(OverflowPolicy::as_str))?;
        let target = info.overflow.and_then(OverflowPolicy::target);
        dict.set_item("overflow_target", target.map(Pid::raw))?;
        dict.set_item("handled", info.handled)?;
        dict.set_item("behavior_version", info.behavior_version)?;
        dict.set_item("behavior", info.behavior)?;
        dict.set_item("names", info.names)?;
        dict.set_item("paths", info.paths)?;
        dict.set_item("parent", info.parent.map(Pid::raw))?;
        let children: Vec<u64> = info.children.into_iter().map(Pid::raw).collect();
        dict.set_item("children", children)?;
        dict.set_item("supervised", info.is_supervised)?;
        Ok(Some(dict))
    }

    /// The tree as text, and its entries, each before its children.
    fn _tree<'py>(&self, py: Python<'py>) -> PyResult<(String, Vec<Bound<'py, PyDict>>)> {
        let runtime = self.runtime(py)?;
        let (text, tree) = py.detach(|| {
            let tree = runtime.tree();
            (tree.to_string(), tree)
        });
        let entries = tree.entries().iter().map(|entry| tree_entry(py, entry));
        Ok((text, entries.collect::<PyResult<_>>()?))
    }

    /// Counts of the whole runtime, at about one moment.
    ///
    /// A dict with `actors`, `busy` (those that have something to do), `messages_queued`,
    /// `messages_handled` (by the actors that are there), `exits_clean`, `exits_failed`,
    /// `dead_letters` (a dict by reason: `stopped`, `evicted`, `refused`), `lane_threads`,
    /// `own_threads` (of actors spawned with `release_gil=True`, the pool's included) and
    /// `reports_dropped` (log records and dead letters that were too many for `logging` or the
    /// hook to keep up with, of all runtimes). Costs a walk over all actors.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parts = self.parts(py)?;
        let (stats, (lane, own)) = py.detach(|| (parts.runtime.stats(), parts.lane.threads()));
        let dict = PyDict::new(py);
        dict.set_item("actors", stats.processes)?;
        dict.set_item("busy", stats.busy)?;
        dict.set_item("messages_queued", stats.queued)?;
        dict.set_item("messages_handled", stats.handled)?;
        dict.set_item("exits_clean", stats.exits.clean)?;
        dict.set_item("exits_failed", stats.exits.failed)?;
        dict.set_item("dead_letters", by_reason(py, stats.dead_letters)?)?;
        dict.set_item("lane_threads", lane)?;
        dict.set_item("own_threads", own)?;
        dict.set_item("reports_dropped", report::dropped())?;
        Ok(dict)
    }

    /// Messages that were accepted and will never be handled, since the runtime began. `stats()`
    /// has them by reason.
    fn dead_letters(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.runtime(py)?.dead_letters())
    }

    /// Calls `hook(pid, data, reason)` for each dead letter from now on; replaces a hook
    /// set before, and `None` takes it away. `reason` is `"stopped"` (the actor ended),
    /// `"evicted"` or `"refused"` (a full mailbox).
    ///
    /// It is called on a thread that no actor needs, in order, after the fact: it may block, and
    /// what it raises is logged. 65,536 letters wait for it at most; what comes on top is counted
    /// and logged, not shown. `join` and `shutdown` wait for it up to a second.
    #[pyo3(signature = (hook))]
    fn on_dead_letter(&self, py: Python<'_>, hook: &Bound<'_, PyAny>) -> PyResult<()> {
        let runtime = self.runtime(py)?;
        if hook.is_none() {
            runtime.forget_dead_letter_hook();
            return Ok(());
        }
        if !hook.is_callable() {
            return Err(error::not_callable(hook));
        }
        let hook = Arc::new(hook.clone().unbind());
        runtime.on_dead_letter(move |letter| {
            let letter = DeadLetter {
                to: letter.to,
                message: letter.message.clone(),
                reason: letter.reason,
            };
            report::tell(Report::DeadLetter(hook.clone(), letter));
        });
        Ok(())
    }
}

fn by_reason(py: Python<'_>, counts: DeadLetterCounts) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("stopped", counts.stopped)?;
    dict.set_item("evicted", counts.evicted)?;
    dict.set_item("refused", counts.refused)?;
    Ok(dict)
}

fn tree_entry<'py>(py: Python<'py>, entry: &TreeEntry) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("pid", entry.pid.raw())?;
    dict.set_item("parent", entry.parent.map(Pid::raw))?;
    dict.set_item("depth", entry.depth)?;
    dict.set_item("names", &entry.names)?;
    dict.set_item("paths", &entry.paths)?;
    dict.set_item("behavior", &entry.behavior)?;
    dict.set_item("status", entry.status.as_str())?;
    dict.set_item("mailbox_size", entry.mailbox_size)?;
    Ok(dict)
}
