//! Supervisors of supervisors.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use iris_core::{ExitInfo, Pid};

use crate::backoff::Rng;
use crate::child_spec::{ChildSpec, SupervisorSpec};
use crate::event::{Action, AddError, ChildInfo, ChildNo, Event, GaveUp, How, not_new};
use crate::supervisor::Supervisor;

mod steps;

/// A supervisor of a [`Tree`]. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SupervisorId(u64);

impl SupervisorId {
    /// The id as a plain number, from 1.
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// What a supervisor of a tree wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeAction {
    /// Which supervisor; answers about its children go back to it.
    pub supervisor: SupervisorId,
    /// What. Never one of those that only a tree sees.
    pub action: Action,
}

/// Any number of supervisors, some of them children of others.
///
/// A supervisor that gives up stops its children and ends; to the one above it that is
/// the failure of a child, and so it is started anew, with all its children, or the one
/// above gives up as well. A root that gives up reports [`Action::Done`] and stays empty
/// until it is begun again or given another child.
///
/// Finding the supervisor of a process is O(1); the rest costs what [`Supervisor`] says.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
/// use iris_supervise::{ChildSpec, Event, SupervisorSpec, Tree};
///
/// let (now, mut todo) = (Instant::now(), Vec::new());
/// let mut tree = Tree::new(42);
/// let top = tree.add_root(SupervisorSpec::default());
/// let services = tree.add_supervisor(now, top, ChildSpec::supervisor("services"), SupervisorSpec::default(), &mut todo)?;
/// tree.add(now, services, ChildSpec::new("web"), &mut todo)?;
/// assert!(todo.is_empty(), "nothing has begun");
/// tree.handle(now, top, Event::Begin, &mut todo);
/// assert_eq!(todo[0].supervisor, services);
/// # Ok::<(), iris_supervise::AddError>(())
/// ```
#[derive(Debug)]
pub struct Tree {
    nodes: HashMap<SupervisorId, Node>,
    owners: HashMap<Pid, SupervisorId>,
    observers: HashMap<Pid, BTreeSet<SupervisorId>>,
    timers: BTreeSet<(Instant, SupervisorId)>,
    made: u64,
    seeds: Rng,
}

#[derive(Debug)]
struct Node {
    machine: Supervisor,
    parent: Option<(SupervisorId, ChildNo)>,
    below: HashMap<ChildNo, SupervisorId>,
    timer: Option<Instant>,
    /// To be dropped when it has ended.
    leaving: bool,
}

/// Something for one supervisor of the tree, from outside or from another.
enum Step {
    Event(Event),
    Ready(ChildNo),
    Done(ChildNo, Option<GaveUp>),
}

type Actions = Vec<TreeAction>;

impl Tree {
    /// An empty tree. `seed` is for the jitter of all its supervisors.
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: HashMap::new(),
            owners: HashMap::new(),
            observers: HashMap::new(),
            timers: BTreeSet::new(),
            made: 0,
            seeds: Rng::new(seed),
        }
    }

    /// Adds a supervisor that stands under no other. It has not begun.
    pub fn add_root(&mut self, spec: SupervisorSpec) -> SupervisorId {
        self.insert(spec, None)
    }

    /// Adds a supervisor as the last child of another; it begins when that does.
    ///
    /// `child` is best made by [`ChildSpec::supervisor`].
    ///
    /// # Errors
    ///
    /// [`AddError`]: the parent does not exist, is ending, or has a child of this id.
    pub fn add_supervisor(
        &mut self,
        now: Instant,
        parent: SupervisorId,
        child: ChildSpec,
        spec: SupervisorSpec,
        actions: &mut Actions,
    ) -> Result<SupervisorId, AddError> {
        let node = self.node_mut(parent)?;
        let mut wanted = Vec::new();
        let no = node.machine.add_supervisor(now, child, &mut wanted)?;
        let id = self.insert(spec, Some((parent, no)));
        self.node_mut(parent)?.below.insert(no, id);
        self.carry_on(now, parent, wanted, actions);
        Ok(id)
    }

    /// Adds a child; see [`Supervisor::add`].
    ///
    /// # Errors
    ///
    /// As there, or [`AddError::NoSupervisor`].
    pub fn add(
        &mut self,
        now: Instant,
        supervisor: SupervisorId,
        spec: ChildSpec,
        actions: &mut Actions,
    ) -> Result<ChildNo, AddError> {
        let mut wanted = Vec::new();
        let no = self
            .node_mut(supervisor)?
            .machine
            .add(now, spec, &mut wanted)?;
        self.carry_on(now, supervisor, wanted, actions);
        Ok(no)
    }

    /// Adds a child that runs already; see [`Supervisor::adopt`].
    ///
    /// # Errors
    ///
    /// As there, [`AddError::NoSupervisor`], [`AddError::Supervised`] also for a child of
    /// another supervisor, and [`AddError::NotRunning`] for one below another that does
    /// not run.
    pub fn adopt(
        &mut self,
        now: Instant,
        supervisor: SupervisorId,
        spec: ChildSpec,
        pid: Pid,
    ) -> Result<ChildNo, AddError> {
        if self.owners.contains_key(&pid) {
            return Err(AddError::Supervised { pid });
        }
        let node = self.node_mut(supervisor)?;
        if node.parent.is_some() && !node.machine.is_up() {
            return Err(AddError::NotRunning);
        }
        let no = node.machine.adopt(now, spec, pid)?;
        self.own(supervisor, pid);
        Ok(no)
    }

    /// Lets a supervisor observe a process; see [`Supervisor::watch`]. `false` if it did
    /// already, or has it as a child.
    ///
    /// # Errors
    ///
    /// [`AddError::NoSupervisor`].
    pub fn watch(&mut self, supervisor: SupervisorId, pid: Pid) -> Result<bool, AddError> {
        let added = self.node_mut(supervisor)?.machine.watch(pid);
        if added {
            self.observers.entry(pid).or_default().insert(supervisor);
        }
        Ok(added)
    }

    /// Lets a supervisor observe a process no more; whether it did.
    pub fn unwatch(&mut self, supervisor: SupervisorId, pid: Pid) -> bool {
        let node = self.nodes.get_mut(&supervisor);
        let was = node.is_some_and(|node| node.machine.unwatch(pid));
        if was {
            self.unobserve(supervisor, pid);
        }
        was
    }

    /// Something has happened to a supervisor; see [`Supervisor::handle`]. What concerns
    /// all of the tree, [`Event::ChildExited`] and [`Event::Timer`], goes to all of it.
    ///
    /// A process that was started for a supervisor which is no more is killed. A
    /// supervisor below another begins with that, and not by [`Event::Begin`].
    pub fn handle(
        &mut self,
        now: Instant,
        supervisor: SupervisorId,
        event: Event,
        actions: &mut Actions,
    ) {
        match event {
            Event::ChildExited { info } => self.exited(now, &info, actions),
            Event::Timer => self.timeout(now, actions),
            Event::ChildStarted { child, start, pid } if self.owners.contains_key(&pid) => {
                let failure = not_new(pid);
                let failed = Event::StartFailed {
                    child,
                    start,
                    failure,
                };
                self.run(now, supervisor, Step::Event(failed), actions);
            }
            Event::ChildStarted { pid, .. } if !self.nodes.contains_key(&supervisor) => {
                let how = How::Kill;
                let action = Action::Stop { pid, how };
                actions.push(TreeAction { supervisor, action });
            }
            // Whether it runs is for the supervisor above it to say.
            Event::Begin if self.parent(supervisor).is_some() => {}
            event => self.run(now, supervisor, Step::Event(event), actions),
        }
    }

    /// A process has ended, supervised or not.
    pub fn exited(&mut self, now: Instant, info: &ExitInfo, actions: &mut Actions) {
        let owner = self.owners.remove(&info.target);
        let observers = self.observers.remove(&info.target).unwrap_or_default();
        for supervisor in owner.into_iter().chain(observers) {
            let info = info.clone();
            let event = Step::Event(Event::ChildExited { info });
            self.run(now, supervisor, event, actions);
        }
    }

    /// The instant of [`next_timeout`](Self::next_timeout) has come.
    pub fn timeout(&mut self, now: Instant, actions: &mut Actions) {
        while let Some((at, supervisor)) = self.timers.first().copied()
            && at <= now
        {
            self.run(now, supervisor, Step::Event(Event::Timer), actions);
        }
    }

    /// When to call [`timeout`](Self::timeout). `None` if nothing is waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Stops a supervisor and all below it for good, and forgets it when that is done.
    /// Processes that were only watched are left alone. `false` if there is none.
    pub fn remove(&mut self, now: Instant, id: SupervisorId, actions: &mut Actions) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else {
            return false;
        };
        let (whom, event) = if let Some((parent, child)) = node.parent {
            (parent, Event::RemoveChild { child })
        } else {
            node.leaving = true;
            (id, Event::Shutdown)
        };
        self.run(now, whom, Step::Event(event), actions);
        true
    }

    /// The supervisor of a process, and which of its children that is.
    ///
    /// The exit pipeline asks for each process that ends: the names of one that is
    /// supervised are reserved, and freed by [`Action::GiveUpNames`] if nothing comes of it.
    pub fn owner(&self, pid: Pid) -> Option<(SupervisorId, ChildNo)> {
        let id = *self.owners.get(&pid)?;
        let child = self.nodes.get(&id)?.machine.child_of(pid)?;
        Some((id, child))
    }

    /// The machine of a supervisor, for what can be asked of it.
    pub fn supervisor(&self, id: SupervisorId) -> Option<&Supervisor> {
        self.nodes.get(&id).map(|node| &node.machine)
    }

    /// The children of a supervisor, each with its own supervisor's id if it is one.
    pub fn children(&self, id: SupervisorId) -> Vec<(ChildInfo, Option<SupervisorId>)> {
        let Some(node) = self.nodes.get(&id) else {
            return Vec::new();
        };
        let children = node.machine.children().into_iter();
        children
            .map(|info| {
                let below = node.below.get(&info.child).copied();
                (info, below)
            })
            .collect()
    }

    fn insert(
        &mut self,
        spec: SupervisorSpec,
        parent: Option<(SupervisorId, ChildNo)>,
    ) -> SupervisorId {
        self.made += 1;
        let id = SupervisorId(self.made);
        let machine = Supervisor::new(spec, self.seeds.next());
        let node = Node {
            machine,
            parent,
            below: HashMap::new(),
            timer: None,
            leaving: false,
        };
        self.nodes.insert(id, node);
        id
    }

    fn node_mut(&mut self, id: SupervisorId) -> Result<&mut Node, AddError> {
        self.nodes.get_mut(&id).ok_or(AddError::NoSupervisor)
    }

    /// A process is a child now, and no longer only observed by the same supervisor.
    fn own(&mut self, supervisor: SupervisorId, pid: Pid) {
        self.owners.insert(pid, supervisor);
        self.unobserve(supervisor, pid);
    }

    fn unobserve(&mut self, supervisor: SupervisorId, pid: Pid) {
        if let Some(observers) = self.observers.get_mut(&pid) {
            observers.remove(&supervisor);
            if observers.is_empty() {
                self.observers.remove(&pid);
            }
        }
    }
}
