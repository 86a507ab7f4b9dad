//! The process table and the loop that spends reductions.
//!
//! A [`Process`] is a mailbox, a behavior and a state; a [`Scheduler`] runs it whenever
//! there is something in the mailbox. A slice of a process ends when its budget of
//! reductions or [`SLICE_TIME`] is spent, so that a busy process cannot keep a worker
//! from the others.
//!
//! **Invariant:** a process is run by one thread at a time, and one that has something
//! in its mailbox is running, scheduled, or waiting for a future of its own. Both are
//! kept by one atomic word, [`state`], which loom checks.
//!
//! In reading order:
//!
//! | module | says |
//! |---|---|
//! | [`scheduler`] | the port: "this process is ready" |
//! | [`state`] | idle, scheduled, running: one word |
//! | [`process`] | mailbox, behavior and state as one thing |
//! | [`table`] | pids to processes |
//! | [`activity`] | how many processes have work: for draining a runtime |
//! | [`timers`] | messages and wake-ups at a point in time |
//! | [`turn`] | for actors that receive instead of being called |
//! | [`tokio`] | the adapter over Tokio worker tasks |

#![forbid(unsafe_code)]

pub mod activity;
pub mod process;
pub mod scheduler;
mod slice;
pub mod state;
mod swap;
pub mod table;
pub mod timers;
pub mod tokio;
pub mod turn;

pub use activity::Activity;
pub use process::{
    Activation, Environment, Process, ProcessOptions, Status, current_pid, forget_current_pid,
};
pub use scheduler::{Ready, Scheduler};
pub use slice::SLICE_TIME;
pub use swap::{KEPT_VERSIONS, RollbackError};
pub use table::{Table, TableFull};
pub use timers::{Due, TimerId, Timers};
pub use tokio::TokioScheduler;
pub use turn::{Received, Turn};
