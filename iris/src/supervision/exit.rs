//! The end of a process, as the machines hear of it.

use std::collections::{HashMap, VecDeque};

use iris_core::{Exit, ExitInfo, ExitReason, Host, Pid};

use crate::runtime::Inner;
use crate::supervision::{Desk, Supervision, Todo};

/// Ends that were reported while factories ran: one of them may be that of a process which a
/// factory has made and its supervisor does not know yet.
#[derive(Default)]
pub(crate) struct Early {
    starts: usize,
    by_pid: HashMap<Pid, ExitInfo>,
    by_age: VecDeque<Pid>,
    /// Whether any were thrown away.
    incomplete: bool,
}

impl Early {
    /// At most: beyond it the oldest are forgotten, and a child that ended so early has the
    /// reason `noproc`.
    const MOST: usize = 1_024;

    /// A factory is about to run.
    pub(crate) fn watch(&mut self) {
        self.starts += 1;
    }

    /// A factory has returned.
    pub(crate) fn unwatch(&mut self) {
        self.starts = self.starts.saturating_sub(1);
        if self.starts == 0 {
            *self = Self::default();
        }
    }

    fn note(&mut self, info: &ExitInfo) {
        if self.starts == 0 {
            return;
        }
        if self.by_age.len() == Self::MOST
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.by_pid.remove(&oldest);
            self.incomplete = true;
        }
        self.by_age.push_back(info.target);
        self.by_pid.insert(info.target, info.clone());
    }
}

impl Supervision {
    /// The step of the exit pipeline: names stop resolving, groups are left, and links,
    /// monitors and supervisors hear of it.
    pub(crate) fn exited(&self, inner: &Inner, pid: Pid, exit: &Exit) {
        if !self.lock().used {
            // Whoever asks for anything from now on finds it dead.
            inner.registry.forget(pid);
            return;
        }
        self.update(inner, |desk, todo| desk.exited(inner, pid, exit, todo));
    }
}

impl Desk {
    fn exited(&mut self, inner: &Inner, pid: Pid, exit: &Exit, todo: &mut Todo) {
        // In one critical section with the question: else a supervisor could let go of it in
        // between, and what was reserved would be so for ever.
        let owner = self.tree.owner(pid);
        if owner.is_some() {
            inner.registry.reserve(pid);
        } else {
            inner.registry.forget(pid);
        }
        let info = ExitInfo {
            from: self.cause_of(pid, &exit.reason),
            target: pid,
            reason: exit.reason.clone(),
            metadata: exit.failure.clone(),
        };
        self.links.exited(&info, &mut todo.links);
        self.monitors.exited(&info, &mut todo.downs);
        self.listeners.remove(&pid);
        // Those who are told hear of it before a successor is.
        self.settle(inner, todo);
        if let Some((supervisor, child)) = owner {
            self.note_former(supervisor, child, pid);
            let parent = inner.family.parent_of(pid);
            if let Some(post) = self.post(supervisor, child) {
                post.parent = parent;
            }
            if parent.is_some_and(|parent| !inner.is_alive(parent)) {
                self.orphan(supervisor, child, todo);
            }
        } else {
            self.early.note(&info);
        }
        self.tree.exited(todo.now, &info, &mut todo.tree);
    }

    /// Who is to blame: a process that it was linked to, one that stopped it, or itself.
    fn cause_of(&mut self, pid: Pid, reason: &ExitReason) -> Pid {
        let stopper = self.stoppers.remove(&pid);
        let stopper = stopper.filter(|(_, given)| given == reason);
        let linked = self.links.cause_of(pid, reason);
        linked.or(stopper.map(|(by, _)| by)).unwrap_or(pid)
    }

    /// A process that was taken on turned out to have ended before that.
    pub(crate) fn was_dead(&mut self, inner: &Inner, pid: Pid, todo: &mut Todo) {
        self.settle(inner, todo);
        if self.tree.owner(pid).is_some() {
            inner.registry.reserve(pid);
        }
        let info = self.early.by_pid.remove(&pid).unwrap_or(ExitInfo {
            from: pid,
            target: pid,
            reason: ExitReason::NoProc,
            metadata: None,
        });
        self.tree.exited(todo.now, &info, &mut todo.tree);
    }

    /// Whether the end of a process that a factory has made was reported already; if not, it
    /// will be.
    pub(crate) fn ended_early(&self, inner: &Inner, pid: Pid) -> bool {
        let reported = self.early.by_pid.contains_key(&pid);
        let unknown = inner.table.get(pid).is_none() || self.early.incomplete;
        reported || (!inner.is_alive(pid) && unknown)
    }
}
