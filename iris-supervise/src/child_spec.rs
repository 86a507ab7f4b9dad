//! What a supervisor has to know about a child, and about itself.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use iris_core::ExitReason;
use thiserror::Error;

use crate::backoff::Backoff;
use crate::intensity::{Budget, Intensity};
use crate::strategy::{Strategy, plain};

/// When a child is started again.
///
/// | restart | `normal`, `shutdown`, `killed` | any other reason |
/// |---|---|---|
/// | permanent | restarted | restarted |
/// | transient | finished | restarted |
/// | temporary | forgotten | forgotten |
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

impl FromStr for Restart {
    type Err = ParseRestartError;

    /// Reads `permanent`, `transient` and `temporary` in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match plain(text).as_str() {
            "permanent" => Ok(Self::Permanent),
            "transient" => Ok(Self::Transient),
            "temporary" => Ok(Self::Temporary),
            _ => Err(ParseRestartError(text.to_owned())),
        }
    }
}

/// No restart type has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a restart type: there are permanent, transient and temporary")]
pub struct ParseRestartError(pub String);

/// How a child is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Asked to end, and killed if it has not after this long.
    Timeout(Duration),
    /// Killed at once.
    BrutalKill,
    /// Asked to end, and waited for as long as it takes.
    Infinity,
}

impl Default for Shutdown {
    /// Five seconds, as for OTP's workers.
    fn default() -> Self {
        Self::Timeout(Duration::from_secs(5))
    }
}

/// What a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A process.
    Worker,
    /// A supervisor with children of its own.
    Supervisor,
}

/// What a supervisor has to know about a child. How to start it is known elsewhere.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use iris_supervise::{ChildSpec, Restart, Shutdown};
///
/// let spec = ChildSpec::new("reader")
///     .restart(Restart::Transient)
///     .shutdown(Shutdown::Timeout(Duration::from_secs(1)));
/// assert_eq!(spec.id(), "reader");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSpec {
    pub(crate) id: Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) strategy: Option<Strategy>,
}

impl ChildSpec {
    /// A permanent child of this id, which no other child of its supervisor may have.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            restart: Restart::default(),
            shutdown: Shutdown::default(),
            strategy: None,
        }
    }

    /// A permanent child that is a supervisor: like [`new`](Self::new), but it gets
    /// [as long as it takes](Shutdown::Infinity) to shut down, since it ends when its own
    /// children have.
    pub fn supervisor(id: impl Into<Arc<str>>) -> Self {
        Self::new(id).shutdown(Shutdown::Infinity)
    }

    /// When it is started again; by default [after any exit](Restart::Permanent).
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is stopped; by default it gets five seconds.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// What its own end does to its siblings, where that differs from the supervisor's
    /// strategy: it is the child that ended whose strategy counts.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// How a supervisor looks after its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SupervisorSpec {
    /// Which children are restarted when one ends; one-for-one by default.
    pub strategy: Strategy,
    /// How many restarts are too many; by default more than 3 in 5 s.
    pub intensity: Intensity,
    /// Whose restarts count together; all of the supervisor's by default.
    pub budget: Budget,
    /// How long to wait between restarts.
    pub backoff: Backoff,
    /// After how many starts in a row that *failed* a child counts as one restart too
    /// many. `None`, the default, tries for ever: a start that fails leaves no process
    /// behind, and the waits grow to the back-off's cap. OTP counts each as a restart.
    pub start_attempts: Option<u32>,
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

    #[test]
    fn names_are_read_in_any_case_with_underscores() {
        for name in ["restartone", "RestartOne", "RESTART_ONE", "one_for_one"] {
            assert_eq!(name.parse(), Ok(Strategy::OneForOne), "{name}");
        }
        for name in ["restartall", "RestartAll", "restart_all", "OneForAll"] {
            assert_eq!(name.parse(), Ok(Strategy::OneForAll), "{name}");
        }
        for name in ["restartrest", "RestartRest", "Restart_Rest", "rest_for_one"] {
            assert_eq!(name.parse(), Ok(Strategy::RestForOne), "{name}");
        }
        assert_eq!("simple_one_for_one".parse(), Ok(Strategy::Pool));
        let error = "restart".parse::<Strategy>().unwrap_err();
        assert!(error.to_string().contains("restartone"), "{error}");
        assert_eq!("Transient".parse(), Ok(Restart::Transient));
        assert!("sometimes".parse::<Restart>().is_err());
    }
}
