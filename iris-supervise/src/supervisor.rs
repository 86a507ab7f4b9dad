//! One supervisor.
//!
//! A child is in one of six phases, and has a process or a start under way in three of
//! them, never two at a time:
//!
//! ```text
//!            due                answered              told to end
//! Waiting ---------> Starting ------------> Running --------------> Stopping
//!    ^                  | failed               | exit                  | exit, or
//!    |                  v                      v                       v given up on
//!    +------------- (back-off) <--- restart? --+----------> Down <-----+
//!                                                             ^
//! Queued: down, with a turn to come in a group's restart -----+
//! ```
//!
//! What several children do together is a *group*: members are stopped one by one from
//! the last, and when all are down, started one by one from the first. A shutdown is a
//! group that only stops, the beginning one that only starts, a one-for-all restart one
//! that does both. Should a member end while its group is under way, the rest of the
//! group's work is made to include what that end demands.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use iris_core::Pid;

use crate::backoff::Rng;
use crate::child_spec::{ChildSpec, Kind, SupervisorSpec};
use crate::event::{Action, AddError, ChildInfo, ChildNo, Event, GaveUp};
use crate::intensity::Ring;
use crate::supervisor::children::{Child, Children, Phase, Unit, Want};
use crate::supervisor::group::Group;
use crate::supervisor::watched::Watched;

mod children;
mod ending;
mod group;
mod starting;
mod stopping;
mod watched;

/// How long a killed process has to be gone before the supervisor gives up on it: 5 s.
///
/// A process is killed between two messages; this is for a handler that does not return,
/// which no runtime can end.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

/// A failed start is not tried again sooner than this, whatever the back-off says: 10 ms,
/// so that a factory that fails at once does not keep a processor busy.
pub const SHORTEST_RETRY: Duration = Duration::from_millis(10);

/// Starts children, and starts them again when they end, by OTP's rules.
///
/// A machine: [`handle`](Self::handle) takes an [`Event`] and the present, and says what
/// is to be done. Its caller carries the [`Action`]s out in order, outside of any lock,
/// tells it of every end of a process that it may know, and calls with [`Event::Timer`]
/// when the instant of [`next_timeout`](Self::next_timeout) has come.
///
/// An event costs O(log n) for each child that it concerns: one child for a one-for-one
/// restart, whatever the number of its siblings.
///
/// Where this differs from OTP: back-off before restarts; a failed start is tried again
/// instead of failing the supervisor; a transient child that has finished, and a child
/// that was stopped for good, stay down when a sibling's end restarts all.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
/// use iris_core::{ExitInfo, ExitReason, Pid};
/// use iris_supervise::{Action, ChildSpec, Event, Supervisor, SupervisorSpec};
///
/// let now = Instant::now();
/// let pid = Pid::new(1, Pid::FIRST_GENERATION).unwrap();
/// let mut supervisor = Supervisor::new(SupervisorSpec::default(), 42);
/// supervisor.adopt(now, ChildSpec::new("reader"), pid)?;
///
/// let info = ExitInfo { from: pid, target: pid, reason: ExitReason::Crash, metadata: None };
/// let mut actions = Vec::new();
/// supervisor.handle(now, Event::ChildExited { info }, &mut actions);
/// assert!(matches!(actions[..], [Action::Start { old: Some(old), .. }] if old == pid));
/// # Ok::<(), iris_supervise::AddError>(())
/// ```
#[derive(Debug)]
pub struct Supervisor {
    spec: SupervisorSpec,
    children: Children,
    watched: Watched,
    group: Option<Group>,
    /// The deadlines of children's phases, at most one each.
    timers: BTreeSet<(Instant, ChildNo)>,
    ring: Ring,
    rng: Rng,
    life: Life,
    /// The children are being started for the first time in this life.
    beginning: bool,
    starts: u64,
}

/// Whether a supervisor does its work.
#[derive(Debug, PartialEq, Eq)]
enum Life {
    /// It has not begun.
    Idle,
    Up,
    /// It stops its children, perhaps because it gave up.
    Closing(Option<GaveUp>),
    /// It has ended, and may begin anew.
    Closed,
}

impl Supervisor {
    /// A supervisor without children, which has not begun. `seed` is for the jitter of
    /// its back-off.
    pub fn new(spec: SupervisorSpec, seed: u64) -> Self {
        Self {
            spec,
            children: Children::default(),
            watched: Watched::default(),
            group: None,
            timers: BTreeSet::new(),
            ring: Ring::default(),
            rng: Rng::new(seed),
            life: Life::Idle,
            beginning: false,
            starts: 0,
        }
    }

    /// Something has happened: appends what is to be done to `actions`. Events about
    /// children that do not exist are passed over, but for a process that nobody asked
    /// for, which is killed.
    pub fn handle(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Begin => self.begin(now, actions),
            Event::ChildStarted { child, start, pid } => {
                self.started(now, child, start, pid, actions);
            }
            Event::StartFailed {
                child,
                start,
                failure,
            } => self.start_failed(now, child, start, failure, actions),
            Event::ChildExited { info } => self.exited(now, info, actions),
            Event::StopChild { child } => self.stop_child(now, child, Want::Down, actions),
            Event::RemoveChild { child } => self.stop_child(now, child, Want::Gone, actions),
            Event::StartChild { child } => self.start_child(now, child, actions),
            Event::Shutdown => self.close(now, None, actions),
            Event::Kill => self.kill_all(now, actions),
            Event::Timer => self.timeout(now, actions),
        }
    }

    /// When to call [`handle`](Self::handle) with [`Event::Timer`]. `None` if nothing is
    /// waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Adds a child, as the last; it is started at once if the supervisor has begun.
    ///
    /// # Errors
    ///
    /// [`AddError::IdTaken`], or [`AddError::NotRunning`] while it shuts down.
    pub fn add(
        &mut self,
        now: Instant,
        spec: ChildSpec,
        actions: &mut Vec<Action>,
    ) -> Result<ChildNo, AddError> {
        let no = self.insert(spec, Kind::Worker)?;
        self.start_added(now, no, actions);
        Ok(no)
    }

    /// Adds a child that runs already, as the last. It is not started now, only when it
    /// has ended; a supervisor that has not begun does so for this child alone.
    ///
    /// Whether it is alive is asked afterwards, as with [`Event::ChildStarted`].
    ///
    /// # Errors
    ///
    /// [`AddError::IdTaken`], [`AddError::Supervised`] if the process is a child of this
    /// supervisor already, or [`AddError::NotRunning`] while it shuts down.
    pub fn adopt(&mut self, now: Instant, spec: ChildSpec, pid: Pid) -> Result<ChildNo, AddError> {
        if self.children.of_pid(pid).is_some() {
            return Err(AddError::Supervised { pid });
        }
        let no = self.insert(spec, Kind::Worker)?;
        self.life = Life::Up;
        self.run(now, no, Unit::Process(pid));
        Ok(no)
    }

    /// Observes a process: it is listed with the children, never stopped and never
    /// restarted. `false` if it is a child or observed already.
    pub fn watch(&mut self, pid: Pid) -> bool {
        self.children.of_pid(pid).is_none() && self.watched.add(pid)
    }

    /// Observes a process no more; whether it did.
    pub fn unwatch(&mut self, pid: Pid) -> bool {
        self.watched.remove(pid)
    }

    /// The child that `pid` is the present incarnation of.
    pub fn child_of(&self, pid: Pid) -> Option<ChildNo> {
        self.children.of_pid(pid)
    }

    /// The child of this id.
    pub fn child(&self, id: &str) -> Option<ChildNo> {
        self.children.of_id(id)
    }

    /// The children, in the order in which they were added.
    pub fn children(&self) -> Vec<ChildInfo> {
        self.children.infos().collect()
    }

    /// The processes that are there: children in order, then those that are only watched.
    pub fn pids(&self) -> Vec<Pid> {
        let children = self.children.infos();
        let there = children.filter_map(|child| child.status.pid());
        there.chain(self.watched.pids()).collect()
    }

    /// How many children there are, in whatever state, without those only watched.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether there are no children.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it does its work: it has begun and is not ending.
    pub fn is_up(&self) -> bool {
        self.life == Life::Up
    }

    fn insert(&mut self, spec: ChildSpec, kind: Kind) -> Result<ChildNo, AddError> {
        if matches!(self.life, Life::Closing(_)) {
            return Err(AddError::NotRunning);
        }
        let id = spec.id.clone();
        self.children
            .add(Child::new(spec, kind))
            .ok_or(AddError::IdTaken { id })
    }

    /// A child is there from now on.
    fn run(&mut self, now: Instant, no: ChildNo, unit: Unit) {
        if let Unit::Process(pid) = unit {
            self.watched.remove(pid);
            self.children.bind(pid, no);
        }
        if let Some(child) = self.children.get_mut(no) {
            child.lives += 1;
        }
        self.set_phase(no, Phase::Running { unit, since: now });
    }

    /// Moves a child on, and keeps the timers in step.
    fn set_phase(&mut self, no: ChildNo, phase: Phase) {
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        let before = std::mem::replace(&mut child.phase, phase);
        if let Some(at) = before.deadline() {
            self.timers.remove(&(at, no));
        }
        if let Some(at) = phase.deadline() {
            self.timers.insert((at, no));
        }
    }

    fn phase(&self, no: ChildNo) -> Option<Phase> {
        self.children.get(no).map(|child| child.phase)
    }

    fn is_closing(&self) -> bool {
        matches!(self.life, Life::Closing(_))
    }
}

/// The instant after this wait; one that never comes if the wait is that long.
fn after(now: Instant, wait: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);
    now.checked_add(wait).unwrap_or_else(|| now + CENTURY)
}

#[cfg(test)]
mod tests {
    use iris_core::{ExitInfo, ExitReason};

    use super::*;
    use crate::backoff::Backoff;
    use crate::intensity::Intensity;

    fn pid(slot: u32) -> Pid {
        Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
    }

    /// How many children are looked at in each of 20,000 crashes and restarts, at most,
    /// in a supervisor of so many children.
    fn dearest_crash(children: u32) -> u64 {
        let spec = SupervisorSpec {
            intensity: Intensity::new(1_000_000, Duration::from_hours(1)),
            backoff: Backoff::NONE,
            ..SupervisorSpec::default()
        };
        let (mut supervisor, now) = (Supervisor::new(spec, 1), Instant::now());
        for slot in 0..children {
            let spec = ChildSpec::new(slot.to_string());
            supervisor.adopt(now, spec, pid(slot)).unwrap();
        }
        let mut dearest = 0;
        let mut actions = Vec::new();
        for crash in 0..20_000 {
            let before = supervisor.children.visits.get();
            let info = ExitInfo {
                from: pid(crash),
                target: pid(crash),
                reason: ExitReason::Crash,
                metadata: None,
            };
            supervisor.handle(now, Event::ChildExited { info }, &mut actions);
            let [Action::Start { child, start, .. }] = actions[..] else {
                panic!("crash {crash}: {actions:?}");
            };
            actions.clear();
            let pid = pid(children + crash);
            supervisor.handle(now, Event::ChildStarted { child, start, pid }, &mut actions);
            assert_eq!(actions.len(), 1, "{actions:?}");
            actions.clear();
            dearest = dearest.max(supervisor.children.visits.get() - before);
        }
        assert_eq!(
            supervisor.children.bound(),
            children as usize,
            "nothing is left behind"
        );
        dearest
    }

    #[test]
    fn a_crash_costs_the_same_however_many_went_before_and_stand_beside() {
        let alone = dearest_crash(1);
        assert_eq!(dearest_crash(20_000), alone);
        assert!(alone < 20, "{alone} looks at children for one crash");
    }
}
