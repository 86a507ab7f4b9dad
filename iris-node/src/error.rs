//! The one map from errors to codes; `lib/errors.js` makes classes of them.

use iris::{
    AskError, JoinError, MeshError, MonitorError, OverflowError, PlaceError, RegisterError,
    RollbackError, ScopeError, SpawnError, StartError, SuperviseError, TimerError,
};
use napi::bindgen_prelude::*;

use crate::convert;

/// An error on its way to JavaScript, made on any thread.
#[derive(Debug)]
pub(crate) struct Told {
    /// Which class, as in `lib/errors.js`.
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

impl Told {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

impl From<Told> for Error {
    /// The code travels in front of the text.
    fn from(told: Told) -> Self {
        Self::from_reason(format!("{}|{}", told.code, told.text))
    }
}

fn thrown(code: &'static str, text: impl Into<String>) -> Error {
    Told::new(code, text).into()
}

pub(crate) fn range(text: impl Into<String>) -> Error {
    thrown("RANGE", text)
}

pub(crate) fn dead_actor(pid: f64) -> Error {
    told_dead(pid).into()
}

pub(crate) fn told_dead(pid: f64) -> Told {
    Told::new("DEAD_ACTOR", format!("no actor with pid {pid} is alive"))
}

pub(crate) fn shut_down() -> Error {
    thrown(
        "SHUT_DOWN",
        "the runtime has been shut down; create a new one",
    )
}

pub(crate) fn start(error: &StartError) -> Error {
    thrown("OTHER", error.to_string())
}

pub(crate) fn other(error: impl std::fmt::Display) -> Error {
    thrown("OTHER", error.to_string())
}

pub(crate) fn no_reply_now() -> Error {
    thrown("CLOSED", "the actor was told to stop")
}

pub(crate) fn not_an_observer(pid: f64) -> Error {
    range(format!(
        "actor {pid} is no observer and keeps no messages; spawn one with \
         spawnWithPathObserved()"
    ))
}

pub(crate) fn spawn(error: &SpawnError) -> Error {
    match error {
        SpawnError::NoBudget | SpawnError::NoCapacity | SpawnError::NoWorkers => {
            range(error.to_string())
        }
        SpawnError::Overflow(error) => overflow(error),
        SpawnError::Place(error) => place(error),
        SpawnError::ShutDown => shut_down(),
        SpawnError::NoParent => thrown("DEAD_ACTOR", error.to_string()),
        other => thrown("OTHER", other.to_string()),
    }
}

pub(crate) fn place(error: &PlaceError) -> Error {
    match error {
        PlaceError::NoProc(pid) => dead_actor(convert::number(*pid)),
        PlaceError::Register(error) => register(error),
        other => thrown("OTHER", other.to_string()),
    }
}

pub(crate) fn register(error: &RegisterError) -> Error {
    match error {
        RegisterError::NameTaken { .. } => thrown("NAME_TAKEN", error.to_string()),
        other => range(other.to_string()),
    }
}

pub(crate) fn overflow(error: &OverflowError) -> Error {
    match error {
        OverflowError::NotAlive(pid) | OverflowError::NoTarget(pid) => {
            dead_actor(convert::number(*pid))
        }
        OverflowError::NotBounded(pid) => range(format!(
            "the mailbox of actor {pid} has no bound: spawn it with spawnBounded()"
        )),
        other => range(other.to_string()),
    }
}

pub(crate) fn rollback(pid: f64, error: RollbackError) -> Error {
    match error {
        RollbackError::NotAlive => dead_actor(pid),
        other => range(other.to_string()),
    }
}

pub(crate) fn timer(error: TimerError) -> Error {
    match error {
        TimerError::NoProc(pid) => dead_actor(convert::number(pid)),
        other => range(other.to_string()),
    }
}

pub(crate) fn supervise(error: &SuperviseError) -> Error {
    match error {
        SuperviseError::NoProc(pid) => dead_actor(convert::number(*pid)),
        SuperviseError::Path(error) => register(error),
        SuperviseError::ShutDown => shut_down(),
        SuperviseError::Scope(ScopeError::NoScope { .. }) => {
            thrown("NO_SUPERVISOR", error.to_string())
        }
        other => range(other.to_string()),
    }
}

pub(crate) fn monitor(error: &MonitorError) -> Told {
    match error {
        MonitorError::NoWatcher(watcher) => told_dead(convert::number(*watcher)),
        MonitorError::Mesh(error) => mesh(error),
        other => Told::new("OTHER", other.to_string()),
    }
}

pub(crate) fn join(error: JoinError) -> Error {
    thrown("DEADLOCK", error.to_string())
}

pub(crate) fn mesh(error: &MeshError) -> Told {
    match error {
        MeshError::Name(name) => Told::new("RANGE", name.to_string()),
        other => Told::new("MESH", other.to_string()),
    }
}

/// A question that nobody answered, or could.
pub(crate) fn ask(error: &AskError) -> Told {
    match error {
        AskError::Dead(pid) => told_dead(convert::number(*pid)),
        AskError::Full(pid) => Told::new(
            "MAILBOX_FULL",
            format!("the mailbox of actor {pid} is full and refuses what does not fit"),
        ),
        AskError::Timeout(pid) => {
            Told::new("ASK_TIMEOUT", format!("actor {pid} did not answer in time"))
        }
        AskError::Cycle { chain, .. } => Told::new(
            "DEADLOCK",
            format!(
                "the answer would have to wait for itself: {chain}; send instead of asking, or \
                 let one of them answer before it asks"
            ),
        ),
        AskError::NoReply(pid) => Told::new(
            "NO_REPLY",
            format!(
                "actor {pid} took the question and did not answer: a handler answers with what it \
                 returns, a pull actor with mailbox.reply(..) before it receives again"
            ),
        ),
        AskError::Handler { by, failure } => Told::new(
            "HANDLER",
            format!("actor {by} failed over the question: {failure}"),
        ),
        other => Told::new("OTHER", other.to_string()),
    }
}
