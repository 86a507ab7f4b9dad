//! The supervisor port.

use std::time::Instant;

use iris_core::{ExitInfo, ExitReason, Pid};

/// Decides what follows from the end of a process.
///
/// What a caller owes it: the exit pipeline calls [`handle_exit`](Self::handle_exit) once for each
/// process that ends, after its names have stopped resolving, on the thread that ran
/// it; and [`handle_timeout`](Self::handle_timeout) when the instant that
/// [`next_timeout`](Self::next_timeout) named has come. Actions are carried out in
/// order, outside of any lock. An implementor must not block and must answer in
/// O(what it decides), whatever the number of children it does not touch.
pub trait Supervisor: Send {
    /// A process has ended. Appends what is to be done to `actions`.
    fn handle_exit(&mut self, now: Instant, exit: &ExitInfo, actions: &mut Vec<Action>);

    /// A child that [`Action::Start`] asked for is there.
    fn handle_started(&mut self, now: Instant, child: u64, pid: Pid, actions: &mut Vec<Action>);

    /// A child that [`Action::Start`] asked for could not be started.
    fn handle_start_failed(&mut self, now: Instant, child: u64, actions: &mut Vec<Action>);

    /// The instant named by [`next_timeout`](Self::next_timeout) has come.
    fn handle_timeout(&mut self, now: Instant, actions: &mut Vec<Action>);

    /// When to call [`handle_timeout`](Self::handle_timeout): a back-off or a shutdown
    /// deadline. `None` if nothing is waited for.
    fn next_timeout(&self) -> Option<Instant>;
}

/// When a child is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// After any exit.
    #[default]
    Permanent,
    /// After an exit that [is a failure](ExitReason::is_failure).
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    /// Whether a child that ended for `reason` is started again.
    pub fn applies_to(self, reason: &ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => reason.is_failure(),
            Self::Temporary => false,
        }
    }
}

/// What a supervisor wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Start the child of this number from its spec.
    Start {
        /// The supervisor's own number for it.
        child: u64,
    },
    /// Stop this process for this reason.
    Stop {
        /// The child's process.
        pid: Pid,
        /// What its exit will say.
        reason: ExitReason,
    },
    /// Too many restarts in too short a time: the supervisor itself gives up.
    Escalate {
        /// The child whose exit was one too many.
        child: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transient_child_comes_back_after_failures_only() {
        assert!(Restart::Transient.applies_to(&ExitReason::Crash));
        assert!(!Restart::Transient.applies_to(&ExitReason::Killed));
        assert!(Restart::Permanent.applies_to(&ExitReason::Normal));
        assert!(!Restart::Temporary.applies_to(&ExitReason::Panic));
    }
}
