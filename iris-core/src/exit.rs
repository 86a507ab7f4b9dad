//! Why a process ended, and who is told.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::behavior::{Behavior, State};
use crate::message::Message;
use crate::pid::Pid;

/// Why a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitReason {
    /// It had nothing more to do.
    #[default]
    Normal,
    /// It was asked to end after its queue, or its parent or runtime ended.
    Shutdown,
    /// It was stopped; what was queued became dead letters.
    Killed,
    /// Rust code of its behavior panicked.
    Panic,
    /// Its handler reported an unrecoverable error, or guest code raised.
    Crash,
    /// It did not answer or end in time.
    Timeout,
    /// The process that it was to be tied to did not exist.
    NoProc,
    /// The node that it lived on cannot be reached.
    NoConnection,
    /// A reason of the user's own.
    Other(Arc<str>),
}

impl ExitReason {
    /// The word that users, logs and the wire see, in lower case.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::Killed => "killed",
            Self::Panic => "panic",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::NoProc => "noproc",
            Self::NoConnection => "noconnection",
            Self::Other(reason) => reason,
        }
    }

    /// Whether a supervisor should see a failure in it: anything but `Normal`,
    /// `Shutdown` and `Killed`.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown | Self::Killed)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, as text: an exception or a panic outlives its process only so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The type of the error: `"ValueError"`, `"panic"`.
    pub kind: String,
    /// The error's own message.
    pub message: String,
    /// Where it happened, as the language in question prints it; may be empty.
    pub traceback: String,
}

impl Failure {
    /// The failure that a caught panic stands for.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic whose payload is not text".to_owned());
        Self {
            kind: "panic".to_owned(),
            message,
            traceback: String::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// How a process ends: the reason, and the failure behind it if there was one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The reason that links, monitors and supervisors act on.
    pub reason: ExitReason,
    /// What happened in detail. Boxed, since most exits have none.
    pub failure: Option<Box<Failure>>,
}

impl Exit {
    /// A crash with its details.
    pub fn crash(failure: Failure) -> Self {
        Self {
            reason: ExitReason::Crash,
            failure: Some(Box::new(failure)),
        }
    }

    /// A panic with its details.
    pub fn panic(failure: Failure) -> Self {
        Self {
            reason: ExitReason::Panic,
            failure: Some(Box::new(failure)),
        }
    }
}

impl From<ExitReason> for Exit {
    fn from(reason: ExitReason) -> Self {
        Self {
            reason,
            failure: None,
        }
    }
}

impl From<()> for Exit {
    /// Reason `normal`: what the code of an actor means that returns nothing.
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// The news of an exit, as others get to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitInfo {
    /// Who caused or reported it: the process itself unless it was linked or killed.
    pub from: Pid,
    /// The process that ended.
    pub target: Pid,
    /// Why.
    pub reason: ExitReason,
    /// The failure behind it, if there was one.
    pub metadata: Option<Box<Failure>>,
}

/// Names one monitor; a number below 2^53 for as long as a runtime lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorRef(u64);

impl MonitorRef {
    /// The reference as a plain number, from 1.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Reads a reference that came as a plain number. Whether there is such a monitor is
    /// another question.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

/// All that a process leaves behind when it ends.
pub struct Exited {
    /// Who ended.
    pub pid: Pid,
    /// How.
    pub exit: Exit,
    /// The behavior in force at the end, for its `on_stop`.
    pub behavior: Arc<dyn Behavior>,
    /// The state, if the process was ever activated and its behavior did not panic.
    pub state: Option<State>,
    /// What was queued and will not be handled, oldest first.
    pub remaining: Vec<Message>,
}

impl fmt::Debug for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exited")
            .field("pid", &self.pid)
            .field("exit", &self.exit)
            .field("remaining", &self.remaining.len())
            .finish_non_exhaustive()
    }
}

/// Where the end of a process is reported: the one exit pipeline of a runtime.
///
/// Called by the scheduler on the thread that ran the process, once for each
/// process, after its mailbox was closed and with no lock held that anybody else waits
/// for. An implementor may take its own locks and may run the behavior's `on_stop`; it
/// must not run other processes.
pub trait ExitSink: Send + Sync {
    /// `exited.pid` has ended: its handler will never run again.
    fn exited(&self, exited: Exited);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_on_purpose_is_no_failure() {
        for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Killed] {
            assert!(!reason.is_failure(), "{reason}");
        }
        for reason in [
            ExitReason::Panic,
            ExitReason::Crash,
            ExitReason::Other("x".into()),
        ] {
            assert!(reason.is_failure(), "{reason}");
        }
    }

    #[test]
    fn a_panic_keeps_its_text_whatever_its_type() {
        assert_eq!(Failure::from_panic(&"static").message, "static");
        assert_eq!(Failure::from_panic(&String::from("owned")).message, "owned");
        assert!(Failure::from_panic(&17_u8).message.contains("not text"));
    }
}
