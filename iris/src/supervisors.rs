//! Supervisors: who starts processes again when they end.
//!
//! | | restarts | of |
//! |---|---|---|
//! | [`Runtime::supervisor`] | children that it starts itself | a tree of its own |
//! | [`Runtime::supervise_with_factory`] | a process that runs already | the global supervisor |
//! | [`Runtime::path_supervise_with_factory`] | a process that runs already | the supervisor of a path |
//!
//! A child's *factory* spawns a process and returns its pid. It is called for each start, on a
//! thread of its own where it may block, and never for a process that runs already. What the
//! process before was registered as leads to the new one once the factory has returned.
//!
//! A child of a supervisor may also be the child of a [parent](crate::SpawnBuilder::child_of).
//! It ends with that one and is not started again then; its successors are children of the
//! same parent.

use std::sync::Arc;

use iris_core::{Failure, Pid};
use iris_registry::RegisterError;
use iris_supervise::{
    AddError, ChildInfo, ChildSpec, Event, GaveUp, ScopeError, Status, Strategy, SupervisorId,
    SupervisorSpec,
};
use thiserror::Error;

use crate::names::PlaceError;
use crate::runtime::Runtime;
use crate::spawn::SpawnError;
use crate::supervision::{Desk, Factory, Todo};

/// Something cannot be supervised.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The process is not alive.
    #[error("no process with pid {0} is alive; only live processes can be supervised")]
    NoProc(Pid),
    /// That is not a path.
    #[error(transparent)]
    Path(#[from] RegisterError),
    /// The path has no supervisor, or has one already.
    #[error(transparent)]
    Scope(ScopeError),
    /// The supervisor does not take it.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The runtime has been shut down.
    #[error("the runtime has been shut down")]
    ShutDown,
}

impl From<ScopeError> for SuperviseError {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::Add(error) => Self::Add(error),
            error => Self::Scope(error),
        }
    }
}

impl From<SpawnError> for Failure {
    /// What a supervisor is told of a factory that could not spawn.
    fn from(error: SpawnError) -> Self {
        failure("SpawnError", &error)
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        failure("PlaceError", &error)
    }
}

fn failure(kind: &str, error: &dyn std::error::Error) -> Failure {
    Failure {
        kind: kind.to_owned(),
        message: error.to_string(),
        traceback: String::new(),
    }
}

/// Supervisors and children that are about to be: `rt.supervisor(spec).child(..).start()`.
#[must_use = "nothing is started until `start` is called"]
pub struct SupervisorBuilder<'a> {
    runtime: &'a Runtime,
    plan: Plan,
}

/// What a supervisor below another is to look after.
#[must_use = "a plan does nothing by itself"]
pub struct Plan {
    spec: SupervisorSpec,
    children: Vec<(ChildSpec, Planned)>,
}

enum Planned {
    Worker(Arc<Factory>),
    Supervisor(Plan),
}

impl Plan {
    /// A supervisor without children.
    pub fn new(spec: SupervisorSpec) -> Self {
        let children = Vec::new();
        Self { spec, children }
    }

    /// Adds a process, as the last child.
    pub fn child<F>(mut self, child: ChildSpec, factory: F) -> Self
    where
        F: Fn(&Runtime) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        let planned = Planned::Worker(Arc::new(factory));
        self.children.push((child, planned));
        self
    }

    /// Adds a supervisor, as the last child: best with [`ChildSpec::supervisor`].
    pub fn supervisor(mut self, child: ChildSpec, plan: Self) -> Self {
        self.children.push((child, Planned::Supervisor(plan)));
        self
    }

    fn build(self, desk: &mut Desk, id: SupervisorId, todo: &mut Todo) -> Result<(), AddError> {
        for (spec, planned) in self.children {
            match planned {
                Planned::Worker(factory) => {
                    let child = desk.tree.add(todo.now, id, spec, &mut todo.tree)?;
                    desk.add_post(id, child, factory);
                }
                Planned::Supervisor(plan) => {
                    let tree = &mut desk.tree;
                    let below =
                        tree.add_supervisor(todo.now, id, spec, plan.spec, &mut todo.tree)?;
                    plan.build(desk, below, todo)?;
                }
            }
        }
        Ok(())
    }
}

impl SupervisorBuilder<'_> {
    /// Adds a process, as the last child.
    pub fn child<F>(mut self, child: ChildSpec, factory: F) -> Self
    where
        F: Fn(&Runtime) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        self.plan = self.plan.child(child, factory);
        self
    }

    /// Adds a supervisor, as the last child: best with [`ChildSpec::supervisor`].
    pub fn supervisor(mut self, child: ChildSpec, plan: Plan) -> Self {
        self.plan = self.plan.supervisor(child, plan);
        self
    }

    /// Starts the supervisor, which starts its children one after the other. Does not wait
    /// for them.
    ///
    /// # Errors
    ///
    /// [`SuperviseError::Add`] for two children of one id, [`SuperviseError::ShutDown`].
    /// Nothing is left of it then.
    pub fn start(self) -> Result<SupervisorId, SuperviseError> {
        let plan = self.plan;
        self.runtime.change(|desk, todo| {
            let root = desk.tree.add_root(plan.spec);
            desk.roots.insert(root);
            if let Err(error) = plan.build(desk, root, todo) {
                desk.tree.remove(todo.now, root, &mut todo.tree);
                return Err(error.into());
            }
            desk.tree
                .handle(todo.now, root, Event::Begin, &mut todo.tree);
            Ok(root)
        })
    }
}

impl Runtime {
    /// Begins a supervisor that stands under no other.
    ///
    /// # Examples
    ///
    /// ```
    /// use iris::prelude::*;
    /// use iris::supervise::{ChildSpec, SupervisorSpec};
    ///
    /// let rt = Runtime::new();
    /// let (started, starts) = std::sync::mpsc::channel();
    /// let supervisor = rt
    ///     .supervisor(SupervisorSpec::default())
    ///     .child(ChildSpec::new("echo"), move |rt| {
    ///         let pid = rt.spawn(handler(|_, _| Step::Stop(ExitReason::Crash.into()))).start()?;
    ///         started.send(pid).ok();
    ///         Ok(pid)
    ///     })
    ///     .start()?;
    /// let first = starts.recv()?;
    /// rt.send(first, &b"crash"[..])?;
    /// let second = starts.recv()?;
    /// assert_ne!(first, second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn supervisor(&self, spec: SupervisorSpec) -> SupervisorBuilder<'_> {
        let plan = Plan::new(spec);
        SupervisorBuilder {
            runtime: self,
            plan,
        }
    }

    /// Adds a child to a supervisor, as the last, and starts it.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`].
    pub fn start_child<F>(
        &self,
        supervisor: SupervisorId,
        spec: ChildSpec,
        factory: F,
    ) -> Result<(), SuperviseError>
    where
        F: Fn(&Self) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        self.change(|desk, todo| {
            let child = desk.tree.add(todo.now, supervisor, spec, &mut todo.tree)?;
            desk.add_post(supervisor, child, Arc::new(factory));
            Ok(())
        })
    }

    /// Has a supervisor look after a process that runs. The factory is called only to restart
    /// it.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`].
    pub fn supervise<F>(
        &self,
        supervisor: SupervisorId,
        pid: Pid,
        spec: ChildSpec,
        factory: F,
    ) -> Result<(), SuperviseError>
    where
        F: Fn(&Self) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        self.change(|desk, todo| {
            if !self.is_alive(pid) {
                return Err(SuperviseError::NoProc(pid));
            }
            let child = desk.tree.adopt(todo.now, supervisor, spec, pid)?;
            desk.add_post(supervisor, child, Arc::new(factory));
            if !self.is_alive(pid) {
                desk.was_dead(self.inner(), pid, todo);
            }
            Ok(())
        })
    }

    /// Has the global supervisor look after a process that runs: it is restarted after any
    /// exit. `strategy` says who else is then.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`].
    pub fn supervise_with_factory<F>(
        &self,
        pid: Pid,
        factory: F,
        strategy: Strategy,
    ) -> Result<(), SuperviseError>
    where
        F: Fn(&Self) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        let spec = ChildSpec::new(pid.to_string()).strategy(strategy);
        self.supervise(self.global_supervisor(), pid, spec, factory)
    }

    /// The supervisor of those that are supervised without saying by whom. It gives up each
    /// of its children by itself.
    pub fn global_supervisor(&self) -> SupervisorId {
        self.supervision().lock().global
    }

    /// Stops a supervised process for good: it has no successor, and its supervisor forgets
    /// it. `pid` may also be the one that ended last, while a restart is under way. `false`
    /// if no supervisor has it.
    pub fn stop_child(&self, pid: Pid) -> bool {
        let inner = self.inner();
        inner.supervision.update(inner, |desk, todo| {
            let Some((supervisor, child)) = desk.child_of(pid) else {
                return false;
            };
            desk.orphan(supervisor, child, todo);
            true
        })
    }

    /// Ends a supervisor and all below it for good. `false` if there is none.
    pub fn remove_supervisor(&self, supervisor: SupervisorId) -> bool {
        let inner = self.inner();
        inner.supervision.update(inner, |desk, todo| {
            supervisor != desk.global && desk.tree.remove(todo.now, supervisor, &mut todo.tree)
        })
    }

    /// The children of a supervisor, in order; none if there is no such supervisor.
    pub fn supervisor_children(&self, supervisor: SupervisorId) -> Vec<ChildInfo> {
        let desk = self.supervision().lock();
        let machine = desk.tree.supervisor(supervisor);
        machine.map_or_else(Vec::new, iris_supervise::Supervisor::children)
    }

    /// The processes that the global supervisor has: those that it restarts, and then those
    /// that it only watches.
    pub fn child_pids(&self) -> Vec<Pid> {
        let desk = self.supervision().lock();
        let machine = desk.tree.supervisor(desk.global);
        machine.map_or_else(Vec::new, iris_supervise::Supervisor::pids)
    }

    /// How many processes the global supervisor has, those that are being restarted included.
    pub fn children_count(&self) -> usize {
        let desk = self.supervision().lock();
        let Some(machine) = desk.tree.supervisor(desk.global) else {
            return 0;
        };
        let on_the_way =
            |child: &ChildInfo| matches!(child.status, Status::Waiting | Status::Starting);
        machine.pids().len()
            + machine
                .children()
                .iter()
                .filter(|child| on_the_way(child))
                .count()
    }

    /// `listener` gets a [`Restarted`](iris_core::SystemMessage::Restarted) message for each
    /// supervised process that has a successor, and [`GaveUp`](iris_core::SystemMessage::GaveUp)
    /// for each child that will have none; `false` if it is not alive.
    pub fn watch_supervision(&self, listener: Pid) -> bool {
        let mut desk = self.supervision().lock();
        let alive = self.is_alive(listener);
        if alive {
            desk.used = true;
            desk.listeners.insert(listener);
        }
        alive
    }

    /// Calls `hook` for each child that is given up, on a thread where it may block; replaces
    /// a hook that was set before.
    pub fn on_give_up(&self, hook: impl Fn(&GaveUp) + Send + Sync + 'static) {
        self.supervision().set_hook(Some(Arc::new(hook)));
    }

    /// A change of what is supervised.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Desk, &mut Todo) -> Result<T, SuperviseError>,
    ) -> Result<T, SuperviseError> {
        let inner = self.inner();
        inner.supervision.update(inner, |desk, todo| {
            if desk.closed || self.is_shut_down() {
                return Err(SuperviseError::ShutDown);
            }
            desk.used = true;
            change(desk, todo)
        })
    }
}

impl std::fmt::Debug for SupervisorBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("spec", &self.spec)
            .field("children", &self.children.len())
            .finish()
    }
}
