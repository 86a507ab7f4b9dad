//! The children of one supervisor, in order.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeFrom;
use std::sync::Arc;
use std::time::Instant;

use iris_core::{ExitInfo, Failure, Pid};

use crate::child_spec::{ChildSpec, Kind};
use crate::event::{ChildInfo, ChildNo, StartId, Status};
use crate::intensity::Ring;

/// A child over all its incarnations.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) kind: Kind,
    pub(super) phase: Phase,
    pub(super) want: Want,
    /// The process whose names are reserved for the next incarnation.
    pub(super) old: Option<Pid>,
    /// Starts in a row without staying up: what the back-off grows with.
    pub(super) in_a_row: u32,
    /// Of these, the latest ones that failed.
    pub(super) failed_starts: u32,
    /// How often it came to be there.
    pub(super) lives: u64,
    pub(super) ring: Ring,
    pub(super) last: Option<ExitInfo>,
    pub(super) start_failure: Option<Failure>,
    /// Somebody waits for [`Action::Stopped`](crate::Action::Stopped).
    pub(super) answer: bool,
}

/// Where a child is on its way. Only these have a process or a start under way, one at a
/// time: so a child never lives twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not there.
    Down,
    /// Part of a group, whose turn has not come.
    Queued,
    /// Will be started then.
    Waiting(Instant),
    /// The factory runs. What comes of it after the deadline is unwelcome.
    Starting {
        start: StartId,
        deadline: Option<Instant>,
    },
    /// There.
    Running { unit: Unit, since: Instant },
    /// Told to end.
    Stopping {
        unit: Unit,
        how: Asked,
        deadline: Option<Instant>,
    },
}

/// What stands for a child while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Process(Pid),
    Supervisor,
}

/// What a stopping child was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Politely,
    Killed,
}

/// What is to become of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Up,
    /// Stopped by a user, for good.
    Down,
    /// Its own end was the end.
    Finished,
    /// One restart too many.
    GaveUp,
    /// To be forgotten as soon as it is down.
    Gone,
}

impl Unit {
    fn pid(self) -> Option<Pid> {
        match self {
            Self::Process(pid) => Some(pid),
            Self::Supervisor => None,
        }
    }
}

impl Phase {
    /// The process or supervisor behind it.
    pub(super) fn unit(self) -> Option<Unit> {
        match self {
            Self::Running { unit, .. } | Self::Stopping { unit, .. } => Some(unit),
            _ => None,
        }
    }

    /// Whether something must end before the child is down.
    pub(super) fn is_there(self) -> bool {
        matches!(
            self,
            Self::Starting { .. } | Self::Running { .. } | Self::Stopping { .. }
        )
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Waiting(due) => Some(due),
            Self::Starting { deadline, .. } | Self::Stopping { deadline, .. } => deadline,
            _ => None,
        }
    }
}

impl Child {
    pub(super) fn new(spec: ChildSpec, kind: Kind) -> Self {
        Self {
            spec,
            kind,
            phase: Phase::Down,
            want: Want::Up,
            old: None,
            in_a_row: 0,
            failed_starts: 0,
            lives: 0,
            ring: Ring::default(),
            last: None,
            start_failure: None,
            answer: false,
        }
    }

    /// How often it was there again after its first time.
    pub(super) fn restarts(&self) -> u64 {
        self.lives.saturating_sub(1)
    }

    fn status(&self) -> Status {
        match self.phase {
            Phase::Queued | Phase::Waiting(_) => Status::Waiting,
            Phase::Starting { .. } => Status::Starting,
            Phase::Running { unit, .. } => Status::Running(unit.pid()),
            Phase::Stopping { unit, .. } => Status::Stopping(unit.pid()),
            Phase::Down => match self.want {
                Want::Finished => Status::Finished,
                Want::GaveUp => Status::GaveUp,
                Want::Up | Want::Down | Want::Gone => Status::Stopped,
            },
        }
    }
}

/// Children by number, which is the order of adding, by process and by id.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_no: BTreeMap<ChildNo, Child>,
    by_pid: HashMap<Pid, ChildNo>,
    by_id: HashMap<Arc<str>, ChildNo>,
    added: u64,
    /// How many children were looked at, to show what an exit costs.
    #[cfg(test)]
    pub(super) visits: std::cell::Cell<u64>,
}

impl Children {
    /// `None` if the id is taken.
    pub(super) fn add(&mut self, child: Child) -> Option<ChildNo> {
        if self.by_id.contains_key(&child.spec.id) {
            return None;
        }
        self.added += 1;
        let no = ChildNo(self.added);
        self.by_id.insert(Arc::clone(&child.spec.id), no);
        self.by_no.insert(no, child);
        Some(no)
    }

    pub(super) fn remove(&mut self, no: ChildNo) -> Option<Child> {
        let child = self.by_no.remove(&no)?;
        self.by_id.remove(&child.spec.id);
        Some(child)
    }

    pub(super) fn get(&self, no: ChildNo) -> Option<&Child> {
        self.visit();
        self.by_no.get(&no)
    }

    pub(super) fn get_mut(&mut self, no: ChildNo) -> Option<&mut Child> {
        self.visit();
        self.by_no.get_mut(&no)
    }

    /// The numbers from here on.
    pub(super) fn numbers(&self, from: RangeFrom<ChildNo>) -> Vec<ChildNo> {
        let numbers: Vec<_> = self.by_no.range(from).map(|(no, _)| *no).collect();
        for _ in &numbers {
            self.visit();
        }
        numbers
    }

    pub(super) fn bind(&mut self, pid: Pid, no: ChildNo) {
        self.by_pid.insert(pid, no);
    }

    pub(super) fn unbind(&mut self, pid: Pid) -> Option<ChildNo> {
        self.by_pid.remove(&pid)
    }

    pub(super) fn of_pid(&self, pid: Pid) -> Option<ChildNo> {
        self.by_pid.get(&pid).copied()
    }

    pub(super) fn of_id(&self, id: &str) -> Option<ChildNo> {
        self.by_id.get(id).copied()
    }

    pub(super) fn infos(&self) -> impl Iterator<Item = ChildInfo> {
        self.by_no.iter().map(|(no, child)| ChildInfo {
            child: *no,
            id: Arc::clone(&child.spec.id),
            kind: child.kind,
            status: child.status(),
            restarts: child.restarts(),
            last_reason: child.last.as_ref().map(|info| info.reason.clone()),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.by_no.len()
    }

    /// How many processes are bound to children.
    #[cfg(test)]
    pub(super) fn bound(&self) -> usize {
        self.by_pid.len()
    }

    #[cfg(test)]
    fn visit(&self) {
        self.visits.set(self.visits.get() + 1);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "counts in tests only")]
    fn visit(&self) {}
}
