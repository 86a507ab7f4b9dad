//! A world in which a tree of supervisors acts: processes, factories and time, all by hand.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use iris_core::{ExitInfo, ExitReason, Failure, Pid};
use iris_supervise::{
    Action, Backoff, ChildNo, ChildSpec, Event, GaveUp, How, Intensity, StartId, Status, Strategy,
    SupervisorId, SupervisorSpec, Tree, TreeAction,
};

/// The `slot`-th process of a test.
pub(crate) fn pid(slot: u32) -> Pid {
    Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
}

/// The end of a process by itself.
pub(crate) fn exit(pid: Pid, reason: ExitReason) -> ExitInfo {
    ExitInfo {
        from: pid,
        target: pid,
        reason,
        metadata: None,
    }
}

/// What a factory reports that cannot.
pub(crate) fn failure(message: &str) -> Failure {
    Failure {
        kind: "IOError".into(),
        message: message.into(),
        traceback: String::new(),
    }
}

/// A supervisor that restarts at once, as often as it takes.
pub(crate) fn eager(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec {
        strategy,
        intensity: Intensity::new(1_000_000, Duration::from_secs(5)),
        backoff: Backoff::NONE,
        ..SupervisorSpec::default()
    }
}

/// A process and whose child it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) supervisor: SupervisorId,
    pub(crate) child: ChildNo,
    pub(crate) told: Option<How>,
}

pub(crate) struct World {
    pub(crate) tree: Tree,
    pub(crate) now: Instant,
    pub(crate) alive: BTreeMap<Pid, Life>,
    /// Factories that run: answered with [`World::answer`].
    pub(crate) starting: Vec<(SupervisorId, ChildNo, StartId)>,
    /// Whether processes end as soon as they are told to.
    pub(crate) obedient: bool,
    /// Whether factories answer at once.
    pub(crate) prompt: bool,
    /// Whether a child may be started while an earlier start of it is still running: only
    /// when that was given up in a shutdown.
    pub(crate) overlapping_starts: bool,
    /// The ended whose names are kept for a successor.
    pub(crate) reserved: BTreeSet<Pid>,
    /// Stops of children that nobody has answered yet.
    pub(crate) unanswered: BTreeSet<(SupervisorId, ChildNo)>,
    /// What was done, in order.
    pub(crate) log: Vec<String>,
    pub(crate) ids: BTreeMap<(SupervisorId, ChildNo), String>,
    pub(crate) gave_up: Vec<GaveUp>,
    pub(crate) done: Vec<(SupervisorId, bool)>,
    pub(crate) actions: Vec<TreeAction>,
    born: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            tree: Tree::new(42),
            now: Instant::now(),
            alive: BTreeMap::new(),
            starting: Vec::new(),
            obedient: true,
            prompt: true,
            overlapping_starts: false,
            reserved: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            log: Vec::new(),
            ids: BTreeMap::new(),
            gave_up: Vec::new(),
            done: Vec::new(),
            actions: Vec::new(),
            born: 0,
        }
    }

    /// A world with one supervisor and children of these ids, which has begun.
    pub(crate) fn with(spec: SupervisorSpec, ids: &[&str]) -> (Self, SupervisorId) {
        let mut world = Self::new();
        let root = world.tree.add_root(spec);
        for id in ids {
            world.add(root, ChildSpec::new(*id));
        }
        world.tell(root, Event::Begin);
        world.log.clear();
        (world, root)
    }

    pub(crate) fn add(&mut self, supervisor: SupervisorId, spec: ChildSpec) -> ChildNo {
        let id = spec.id().to_owned();
        let mut actions = Vec::new();
        let added = self.tree.add(self.now, supervisor, spec, &mut actions);
        let child = added.unwrap();
        self.ids.insert((supervisor, child), id);
        self.carry_out(actions);
        child
    }

    pub(crate) fn tell(&mut self, supervisor: SupervisorId, event: Event) {
        if let Event::StopChild { child } = event
            && self
                .tree
                .children(supervisor)
                .iter()
                .any(|(info, _)| info.child == child)
        {
            self.unanswered.insert((supervisor, child));
        }
        let mut actions = Vec::new();
        self.tree.handle(self.now, supervisor, event, &mut actions);
        self.carry_out(actions);
    }

    /// A process ends, if it lives.
    pub(crate) fn end(&mut self, pid: Pid, reason: ExitReason) {
        if self.alive.contains_key(&pid) {
            self.end_with(&exit(pid, reason));
        }
    }

    /// A process ends, whoever it was.
    pub(crate) fn end_with(&mut self, info: &ExitInfo) {
        self.alive.remove(&info.target);
        if self.tree.owner(info.target).is_some() {
            self.reserved.insert(info.target);
        }
        let mut actions = Vec::new();
        self.tree.exited(self.now, info, &mut actions);
        self.carry_out(actions);
    }

    /// Time passes, with all timers that fall into it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.tree.next_timeout()
            && at <= until
        {
            self.now = self.now.max(at);
            let mut actions = Vec::new();
            self.tree.timeout(self.now, &mut actions);
            self.carry_out(actions);
        }
        self.now = until;
    }

    /// The oldest running factory comes to an end.
    pub(crate) fn answer(&mut self, result: Result<(), Failure>) {
        if !self.starting.is_empty() {
            self.answer_at(0, result);
        }
    }

    /// A running factory comes to an end; the process that it started, if it did.
    pub(crate) fn answer_at(&mut self, at: usize, result: Result<(), Failure>) -> Option<Pid> {
        let (supervisor, child, start) = self.starting.remove(at);
        if let Err(failure) = result {
            let event = Event::StartFailed {
                child,
                start,
                failure,
            };
            self.tell(supervisor, event);
            return None;
        }
        self.born += 1;
        let pid = pid(self.born);
        let told = None;
        let life = Life {
            supervisor,
            child,
            told,
        };
        self.alive.insert(pid, life);
        self.tell(supervisor, Event::ChildStarted { child, start, pid });
        Some(pid)
    }

    /// What holds at any time: a child lives once, and who lives is looked after or was
    /// killed.
    pub(crate) fn check(&self) {
        let mut owned = BTreeSet::new();
        for (pid, life) in &self.alive {
            let child = (life.supervisor, life.child);
            if let Some(owner) = self.tree.owner(*pid) {
                assert_eq!(owner, child);
                assert!(
                    owned.insert(child),
                    "{} lives twice",
                    self.name(child.0, child.1)
                );
            } else {
                assert_eq!(life.told, Some(How::Kill), "{pid} is an orphan");
            }
        }
        assert!(
            self.tree.next_timeout().is_none_or(|at| at > self.now),
            "a timer is late"
        );
    }

    pub(crate) fn carry_out(&mut self, actions: Vec<TreeAction>) {
        let mut ended = Vec::new();
        for TreeAction { supervisor, action } in actions {
            self.actions.push(TreeAction {
                supervisor,
                action: action.clone(),
            });
            match action {
                Action::Start { child, start, .. } => {
                    let name = self.name(supervisor, child);
                    self.log.push(format!("start {name}"));
                    let running = &self.starting;
                    let twice = running.iter().any(|it| (it.0, it.1) == (supervisor, child));
                    assert!(
                        !twice || self.overlapping_starts,
                        "{name} is being started twice"
                    );
                    self.starting.push((supervisor, child, start));
                }
                Action::Stop { pid, how } => {
                    let Some(life) = self.alive.get_mut(&pid) else {
                        continue;
                    };
                    life.told = Some(how);
                    let name = self.ids.get(&(life.supervisor, life.child)).cloned();
                    let name = name.unwrap_or_default();
                    self.log.push(format!("{how:?} {name}").to_lowercase());
                    if how == How::Abandon {
                        self.alive.remove(&pid);
                        self.reserved.insert(pid);
                    } else if self.obedient {
                        ended.push((pid, how));
                    }
                }
                Action::HandOver { from: pid, .. } | Action::GiveUpNames { pid } => {
                    let kept = self.reserved.remove(&pid);
                    assert!(kept, "{pid} has no names: {action:?}");
                }
                Action::Stopped { child } | Action::Removed { child } => {
                    self.unanswered.remove(&(supervisor, child));
                }
                Action::GaveUp(gave_up) => self.gave_up.push(gave_up),
                Action::Done { gave_up } => self.done.push((supervisor, gave_up.is_some())),
                Action::StartSupervisor { .. }
                | Action::StopSupervisor { .. }
                | Action::GiveUpNamesBelow { .. } => panic!("{action:?} left the tree"),
                _ => {}
            }
        }
        for (pid, how) in ended {
            self.end(pid, reason_for(how));
        }
        while self.prompt && !self.starting.is_empty() {
            self.answer(Ok(()));
        }
    }

    pub(crate) fn name(&self, supervisor: SupervisorId, child: ChildNo) -> String {
        let name = self.ids.get(&(supervisor, child));
        name.cloned().unwrap_or_else(|| format!("{child:?}"))
    }

    /// The live process of a child of the first supervisor that has one of this id.
    pub(crate) fn of(&self, id: &str) -> Option<Pid> {
        let lives = self.alive.iter();
        let mut of = lives.filter(|(_, life)| self.name(life.supervisor, life.child) == id);
        of.next().map(|(pid, _)| *pid)
    }

    /// A child of this id ends for this reason.
    pub(crate) fn crash(&mut self, id: &str) {
        let pid = self.of(id).unwrap_or_else(|| panic!("{id} does not live"));
        self.end(pid, ExitReason::Crash);
    }

    pub(crate) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        let actions = std::mem::take(&mut self.actions);
        actions.into_iter().map(|it| it.action).collect()
    }

    pub(crate) fn status(&self, supervisor: SupervisorId, id: &str) -> Option<Status> {
        let children = self.tree.supervisor(supervisor)?.children();
        let mut children = children.into_iter();
        children
            .find(|child| &*child.id == id)
            .map(|child| child.status)
    }

    pub(crate) fn no(&self, supervisor: SupervisorId, id: &str) -> ChildNo {
        let supervisor = self.tree.supervisor(supervisor).unwrap();
        supervisor.child(id).unwrap()
    }
}

pub(crate) fn reason_for(how: How) -> ExitReason {
    match how {
        How::Shutdown => ExitReason::Shutdown,
        How::Kill | How::Abandon => ExitReason::Killed,
    }
}
