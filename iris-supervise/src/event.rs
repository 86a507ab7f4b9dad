//! What a supervisor is told, and what it wants done.

use std::sync::Arc;
use std::time::Instant;

use iris_core::{ExitInfo, ExitReason, Failure, Pid};
use thiserror::Error;

use crate::child_spec::Kind;

/// A child of one supervisor, over all its restarts. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildNo(pub(crate) u64);

impl ChildNo {
    /// The number as a plain one, from 1.
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// One start of a child: what [`Action::Start`] asked for and the answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartId(pub(crate) u64);

/// What a supervisor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Start the children, in order. Anew after a shutdown: those that had finished or
    /// were given up are started as well, those that were stopped for good are not.
    Begin,
    /// A start succeeded. Whether the process is alive is asked *afterwards*, and if it
    /// is not, [`ChildExited`](Self::ChildExited) with `noproc` follows: so an end that
    /// came before this event is not lost.
    ChildStarted {
        /// The child.
        child: ChildNo,
        /// Which start of it.
        start: StartId,
        /// The process.
        pid: Pid,
    },
    /// A start failed, and left no process behind.
    StartFailed {
        /// The child.
        child: ChildNo,
        /// Which start of it.
        start: StartId,
        /// What went wrong.
        failure: Failure,
    },
    /// A process has ended. Those that the supervisor does not know, an incarnation that
    /// it has given up among them, are passed over.
    ChildExited {
        /// Who, and why.
        info: ExitInfo,
    },
    /// Stop a child for good: it stays down until [`StartChild`](Self::StartChild).
    StopChild {
        /// The child.
        child: ChildNo,
    },
    /// Start a child that was stopped, has finished or was given up.
    StartChild {
        /// The child.
        child: ChildNo,
    },
    /// Stop a child for good and forget it.
    RemoveChild {
        /// The child.
        child: ChildNo,
    },
    /// Stop all children, the last first, and end with [`Action::Done`].
    Shutdown,
    /// Kill all children at once, and end with [`Action::Done`].
    Kill,
    /// The instant of [`next_timeout`](crate::Supervisor::next_timeout) has come.
    Timer,
}

/// How a process is to be stopped. Each is followed by its exit, or by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Ask it to end, with reason `shutdown`.
    Shutdown,
    /// It did not end in time, or need not be asked: end it, with reason `killed`.
    Kill,
    /// It was killed and has still not ended: its handler does not return. Take its pid
    /// and names away; the supervisor counts it as gone, and a late exit is passed over.
    Abandon,
}

/// What a supervisor wants done; in order, and without asking back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Start a child, which may take as long as it likes on a thread that nobody waits
    /// for. To be answered with [`Event::ChildStarted`] or [`Event::StartFailed`].
    Start {
        /// The child.
        child: ChildNo,
        /// Which start of it.
        start: StartId,
        /// The process that it succeeds, if there was one: its names are reserved.
        old: Option<Pid>,
    },
    /// Stop a process; [`Event::ChildExited`] tells that it is gone.
    Stop {
        /// The process.
        pid: Pid,
        /// How.
        how: How,
    },
    /// The names and paths that are reserved after `from` belong to `to` now.
    HandOver {
        /// The process that ended.
        from: Pid,
        /// Its successor.
        to: Pid,
    },
    /// There will be no successor: free the names and paths reserved after this one.
    GiveUpNames {
        /// The process that ended.
        pid: Pid,
    },
    /// Start this child, a supervisor. Only a [`Tree`](crate::Tree) sees it.
    StartSupervisor {
        /// The child.
        child: ChildNo,
    },
    /// Stop this child, a supervisor. Only a [`Tree`](crate::Tree) sees it.
    StopSupervisor {
        /// The child.
        child: ChildNo,
        /// Asked to or forced to.
        how: How,
    },
    /// Free all names and paths reserved below this child, a supervisor. Only a
    /// [`Tree`](crate::Tree) sees it.
    GiveUpNamesBelow {
        /// The child.
        child: ChildNo,
    },
    /// For the log: a start failed, and is tried again at this instant.
    Retry {
        /// The child.
        child: ChildNo,
        /// How many starts in a row have failed.
        failed_starts: u32,
        /// What went wrong.
        failure: Failure,
        /// When it is tried again.
        at: Instant,
    },
    /// For the log: a process that was only watched has ended.
    Observed {
        /// Who, and why.
        info: ExitInfo,
    },
    /// The answer to [`Event::StopChild`]: the child is down, and stays so.
    Stopped {
        /// The child.
        child: ChildNo,
    },
    /// A child is no more: removed, or a temporary one that has ended.
    Removed {
        /// The child.
        child: ChildNo,
    },
    /// For the log: one restart too many.
    GaveUp(GaveUp),
    /// All children that were to be started are there.
    Ready,
    /// All children are down: the supervisor itself has ended.
    Done {
        /// Because it gave up, so that its parent, if it has one, must act on it; else
        /// it was told to.
        gave_up: Option<GaveUp>,
    },
}

/// Why a supervisor, or one child of it, was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaveUp {
    /// The child that was restarted once too often.
    pub child: ChildNo,
    /// Its id.
    pub id: Arc<str>,
    /// Whether it goes alone, or all of the supervisor with it.
    pub alone: bool,
    /// How often it had been restarted, over all its time.
    pub restarts: u64,
    /// Its last end, with the failure behind it; `None` if it never ran.
    pub last: Option<ExitInfo>,
    /// Why its last start failed, if that was it.
    pub start_failure: Option<Failure>,
}

/// A child, as users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its number.
    pub child: ChildNo,
    /// Its id.
    pub id: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// How it is.
    pub status: Status,
    /// How often it was restarted, over all its time.
    pub restarts: u64,
    /// Why it ended last, if it ever did.
    pub last_reason: Option<ExitReason>,
}

/// How a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It waits for its turn, or for its back-off to be over.
    Waiting,
    /// It is being started.
    Starting,
    /// It runs: as this process, unless it is a supervisor.
    Running(Option<Pid>),
    /// It was told to end and has not yet.
    Stopping(Option<Pid>),
    /// It was stopped for good, or its supervisor has not begun.
    Stopped,
    /// It ended, and its restart type says that this is that.
    Finished,
    /// It was restarted once too often.
    GaveUp,
}

impl Status {
    /// The process that is there, if it is one.
    pub fn pid(self) -> Option<Pid> {
        match self {
            Self::Running(pid) | Self::Stopping(pid) => pid,
            _ => None,
        }
    }
}

/// Why a child cannot be added or a process not be watched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddError {
    /// The supervisor has a child of this id.
    #[error("there is a child {id:?} already")]
    IdTaken {
        /// The id.
        id: Arc<str>,
    },
    /// The process is a child already, here or elsewhere.
    #[error("process {pid} is supervised already")]
    Supervised {
        /// The process.
        pid: Pid,
    },
    /// The supervisor is ending, or waits to be started again by its own.
    #[error("the supervisor is not running")]
    NotRunning,
    /// There is no such supervisor (any more).
    #[error("there is no such supervisor")]
    NoSupervisor,
}

/// What is wrong with a start that returned a process known already.
pub(crate) fn not_new(pid: Pid) -> Failure {
    Failure {
        kind: "factory".to_owned(),
        message: format!("it returned process {pid}, which is not a new one"),
        traceback: String::new(),
    }
}
