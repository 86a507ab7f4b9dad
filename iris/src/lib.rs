//! A runtime fabric: actors and native compute offload in one engine.
//!
//! [`Runtime`] puts the parts together: processes that are cheap enough to have by the
//! hundred thousand, a scheduler that keeps busy ones from starving the others, names
//! and paths to find them, behaviors that can be swapped while messages flow, and one
//! place where every end of a process passes.
//!
//! **Invariant:** a message that [`Runtime::send`] accepted is handled, or counted and
//! reported as a dead letter; one that it did not accept is in the error.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use iris::{Runtime, Step, handler};
//!
//! let rt = Runtime::new();
//! let greeter = rt
//!     .spawn(handler(|cx, bytes| {
//!         println!("{} got {}", cx.pid(), String::from_utf8_lossy(&bytes));
//!         Step::Done
//!     }))
//!     .named("greeter")
//!     .start()?;
//! rt.send(greeter, &b"hello"[..])?;
//! rt.send_named("greeter", &b"again"[..])?;
//! let report = rt.shutdown(Duration::from_secs(2));
//! assert_eq!(report.undelivered, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: [`runtime`] is what users hold, [`builder`] and [`spawn`] make
//! runtimes and processes, [`shorthand`] has short forms of that, [`async_handler`](mod@async_handler) is for
//! handlers that wait, [`receive`] for processes that receive instead of being called, on threads of their
//! own with [`pull`], [`ask`] asks them and waits, [`names`] finds them, [`timers`] send to them later,
//! [`overflow`] is for mailboxes with a bound, [`gone`] waits for their end, [`tree`] and [`info`] show them,
//! [`pool`] shares work out among
//! several, `family` ends them
//! together, [`links`] tell others of an end, [`supervisors`] and [`path_supervisors`] start again
//! what has ended, [`groups`] hear the same messages,
//! [`observers`] keep theirs, [`selection`] takes some of that without a thread that waits, `host` answers what parts ask, `exits` is the
//! exit pipeline, `undertaker` its deadline, `supervision` its last step.
//! The parts themselves are re-exported below; each is usable alone.
//!
//! # Features
//!
//! Both are on by default and only switch optional dependencies: `mesh` (processes of other
//! nodes) and `offload` (Python functions to machine code).

#![forbid(unsafe_code)]

pub mod ask;
pub mod async_handler;
pub mod builder;
mod exits;
mod family;
pub mod gone;
pub mod groups;
#[cfg(test)]
mod growth;
mod host;
pub mod info;
mod inside;
pub mod links;
pub mod names;
#[cfg(feature = "mesh")]
pub mod nodes;
pub mod observers;
pub mod overflow;
mod pace;
mod park;
pub mod path_supervisors;
pub mod pool;
pub mod pull;
pub mod receive;
pub mod runtime;
pub mod selection;
pub mod shorthand;
pub mod spawn;
mod supervision;
pub mod supervisors;
pub mod timers;
pub mod tree;
mod undertaker;

pub use ask::{ASK_TIMEOUT, Ask, Asking, Question};
pub use async_handler::async_handler;
pub use builder::{Builder, StartError};
pub use exits::ExitCounts;
pub use gone::Mourner;
pub use info::{DeadLetterCounts, Kind, ProcessInfo, Stats};
pub use links::MonitorError;
pub use names::{NamedSendError, PlaceError};
#[cfg(feature = "mesh")]
pub use nodes::{MeshError, NodeConfig, RemoteSendError};
pub use observers::{Cursor, OBSERVED_MESSAGES, ObserverBuilder};
pub use overflow::mark_worker;
pub use pool::{Pool, PoolBuilder, PoolSendError};
pub use receive::{ApartEnd, Mail, Receiver, ReceiverBuilder, RecvError, Verdict};
pub use runtime::{JoinError, Runtime, RuntimeRef, ShutdownReport};
pub use selection::Selection;
pub use spawn::{SpawnBuilder, SpawnError};
pub use supervision::{succeed, succeeding};
pub use supervisors::{Plan, SuperviseError, SupervisorBuilder};
pub use timers::{Delay, TimerError};
pub use tree::{Tree, TreeEntry};
pub use undertaker::ON_STOP_DEADLINE;

pub use iris_core::{
    Answer, AskError, Baggage, BatchBehavior, Behavior, BoxFuture, Clock, Context, DeadLetter,
    DeadLetterReason, Exit, ExitInfo, ExitReason, Failure, Foreign, Keeper, Message,
    MigrationError, MonitorRef, NodeNews, Object, Payload, Pid, ReplyTo, SendError, State, Step,
    SystemMessage, handler,
};
pub use iris_registry::RegisterError;
pub use iris_sched::{
    Activation, Cohort, OverflowError, OverflowPolicy, Parked, PolicyError, Process, Ready,
    RollbackError, Scheduler, Shift, Status, StopHook, TimerId, current_pid, forget_current_pid,
    run_as,
};
pub use iris_supervise::{
    AddError, ChildInfo, ChildSpec, GaveUp, Restart, ScopeError, Shutdown, Strategy, SupervisorId,
    SupervisorSpec,
};

pub use iris_core as core;
#[cfg(feature = "offload")]
pub use iris_jit as jit;
pub use iris_mailbox as mailbox;
#[cfg(feature = "mesh")]
pub use iris_mesh as mesh;
#[cfg(feature = "offload")]
pub use iris_offload as offload;
pub use iris_registry as registry;
pub use iris_sched as sched;
pub use iris_supervise as supervise;
#[cfg(feature = "mesh")]
pub use iris_wire as wire;

/// What most programs use: `use iris::prelude::*`.
pub mod prelude {
    pub use crate::{
        Behavior, Context, Exit, ExitReason, Message, Pid, Runtime, State, Step, async_handler,
        handler,
    };
}
