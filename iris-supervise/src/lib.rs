//! Links, monitors and restart policies as state machines.
//!
//! **Invariant:** supervision is a function of events and time. It never sleeps, reads
//! a clock, takes a lock or calls user code; whoever holds it carries out what it
//! answers with.
//!
//! Begin at [`Supervisor`], which looks after children, and [`Tree`], which holds many of
//! them, one above the other.
//!
//! | module | says |
//! |---|---|
//! | [`links`], [`monitors`] | who hears of the end of a process |
//! | [`child_spec`], [`strategy`] | what a supervisor has to know |
//! | [`intensity`], [`backoff`] | how often, and how soon, it restarts |
//! | [`event`], [`supervisor`] | one supervisor: what it is told, what it wants done |
//! | [`tree`] | supervisors of supervisors |
//! | [`path_scope`] | a supervisor for each path prefix |

#![forbid(unsafe_code)]

pub mod backoff;
pub mod child_spec;
pub mod event;
pub mod intensity;
pub mod links;
pub mod monitors;
pub mod path_scope;
pub mod strategy;
pub mod supervisor;
pub mod tree;

pub use backoff::Backoff;
pub use child_spec::{ChildSpec, Kind, ParseRestartError, Restart, Shutdown, SupervisorSpec};
pub use event::{Action, AddError, ChildInfo, ChildNo, Event, GaveUp, How, StartId, Status};
pub use intensity::{Budget, Intensity};
pub use iris_core::MonitorRef;
pub use links::{LinkAction, LinkId, LinkKind, Links};
pub use monitors::{Demonitored, Down, Monitors};
pub use path_scope::{PathScopes, ScopeError};
pub use strategy::{ParseStrategyError, Strategy};
pub use supervisor::Supervisor;
pub use tree::{SupervisorId, Tree, TreeAction};
