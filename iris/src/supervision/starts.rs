//! Factories: how children are started.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use iris_core::{Failure, Host, Pid};
use iris_supervise::{ChildNo, Event, How, StartId, SupervisorId};

use crate::runtime::{Inner, Runtime};
use crate::supervision::errands::Errand;
use crate::supervision::{Desk, Supervision, Todo};

/// Starts a child; called for each start, on a thread that may block.
pub(crate) type Factory = dyn Fn(&Runtime) -> Result<Pid, Failure> + Send + Sync;

/// One start that a supervisor has asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) supervisor: SupervisorId,
    pub(crate) child: ChildNo,
    pub(crate) start: StartId,
    /// Whom the new process succeeds.
    pub(crate) old: Option<Pid>,
}

thread_local! {
    static SUCCEEDING: Cell<Option<Pid>> = const { Cell::new(None) };
}

/// Whether the calling thread is inside the factory of a child whose last incarnation was
/// `old`: what is reserved after that may be taken.
pub(crate) fn is_succeeding(old: Pid) -> bool {
    SUCCEEDING.get() == Some(old)
}

/// Whom the process that the calling thread is to make succeeds, inside a factory.
pub fn succeeding() -> Option<Pid> {
    SUCCEEDING.get()
}

/// Runs a part of a factory on another thread than that which the factory was called on: `old` is
/// what [`succeeding`] said there. What is reserved for the successor can be had in `work`.
pub fn succeed<T>(old: Option<Pid>, work: impl FnOnce() -> T) -> T {
    let _succeeding = Succeeding::enter(old);
    work()
}

/// Names whom a factory's process succeeds, for as long as it lives.
struct Succeeding;

impl Succeeding {
    fn enter(old: Option<Pid>) -> Self {
        SUCCEEDING.set(old);
        Self
    }
}

impl Drop for Succeeding {
    fn drop(&mut self) {
        SUCCEEDING.set(None);
    }
}

/// Why a child is not started whose parent has ended.
pub(crate) fn parent_gone() -> Failure {
    Failure {
        kind: "NoParent".to_owned(),
        message: "the parent that the child was to end with is not alive".to_owned(),
        traceback: String::new(),
    }
}

impl Supervision {
    /// Has the factory run where it may block.
    pub(crate) fn start(&self, inner: &Inner, order: Order, factory: Arc<Factory>) {
        let Some(runtime) = self.runtime.get().cloned() else {
            return;
        };
        inner.handle().spawn_blocking(move || {
            // Without a runtime nobody waits for the answer.
            let Some(runtime) = runtime.upgrade() else {
                return;
            };
            let made = {
                let _succeeding = Succeeding::enter(order.old);
                catch_unwind(AssertUnwindSafe(|| factory(&runtime)))
            };
            let made = made.unwrap_or_else(|panic| Err(Failure::from_panic(&*panic)));
            drop(factory);
            let inner = runtime.inner();
            inner.supervision.update(inner, |desk, todo| {
                desk.answered(inner, order, made, todo);
            });
        });
    }
}

impl Desk {
    /// A factory has returned.
    fn answered(
        &mut self,
        inner: &Inner,
        order: Order,
        made: Result<Pid, Failure>,
        todo: &mut Todo,
    ) {
        let Order {
            supervisor,
            child,
            start,
            ..
        } = order;
        let made = made.and_then(|pid| self.join_family(inner, order, pid, todo));
        let event = match made {
            Ok(pid) => Event::ChildStarted { child, start, pid },
            Err(failure) => Event::StartFailed {
                child,
                start,
                failure,
            },
        };
        let started = match &event {
            Event::ChildStarted { pid, .. } => Some(*pid),
            _ => None,
        };
        self.tree
            .handle(todo.now, supervisor, event, &mut todo.tree);
        // Names first: if it is dead by now, they must be reserved after it.
        self.settle(inner, todo);
        if let Some(pid) = started
            && self.tree.owner(pid).is_some()
            && self.ended_early(inner, pid)
        {
            self.was_dead(inner, pid, todo);
            self.settle(inner, todo);
        }
        self.early.unwatch();
    }

    /// The successor of a process that was to end with a parent ends with that, too.
    fn join_family(
        &mut self,
        inner: &Inner,
        order: Order,
        pid: Pid,
        todo: &mut Todo,
    ) -> Result<Pid, Failure> {
        let parent = self
            .post(order.supervisor, order.child)
            .and_then(|post| post.parent);
        let Some(parent) = parent else {
            return Ok(pid);
        };
        let is_new = self.tree.owner(pid).is_none() && inner.family.parent_of(pid).is_none();
        let alive = || inner.is_alive(parent);
        let present = || inner.table.get(pid).is_some();
        let adopted = || inner.family.adopt(parent, pid, alive, present);
        if !is_new || adopted() || inner.is_alive(parent) {
            return Ok(pid);
        }
        todo.errands.push(Errand::Stop {
            pid,
            how: How::Kill,
        });
        self.orphan(order.supervisor, order.child, todo);
        Err(parent_gone())
    }
}
