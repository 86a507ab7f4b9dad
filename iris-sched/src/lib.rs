//! The process table and the loop that spends reductions.
//!
//! A [`Process`] is a mailbox, a behavior and a state; a [`Scheduler`] runs it whenever
//! there is something in the mailbox. A slice of a process ends when its budget of
//! reductions or [`SLICE_TIME`] is spent, so that a busy process cannot keep a worker
//! from the others.
//!
//! **Invariant:** a process is run by one thread at a time, and one that has something
//! in its mailbox is running, scheduled, or waiting for a future of its own. Both follow from
//! the mailbox's duty to look, which loom checks: whoever has it holds a [`Ready`].
//!
//! In reading order:
//!
//! | module | says |
//! |---|---|
//! | [`scheduler`] | the port: "this process is ready" |
//! | [`process`] | a process as others see it |
//! | `cell` | the 128 bytes that it is made of, and who may touch which |
//! | [`duty`] | the right and the duty to run it |
//! | `arena` | where the cells are |
//! | [`table`] | pids to processes |
//! | [`overflow`] | what becomes of a message that finds a mailbox full |
//! | [`backlog`] | who does not keep up |
//! | [`room`] | who waits until it is not |
//! | [`cohort`] | what processes share: runtime, scheduler, a behavior to swap at once |
//! | `slice` | one turn: pop, handle, charge |
//! | [`shift`] | what a thread holds on to while it runs one after another |
//! | [`activity`] | how many processes have work: for draining a runtime |
//! | [`timers`] | messages and wake-ups at a point in time |
//! | [`turn`] | for actors that receive instead of being called |
//! | [`tokio`] | the adapter over Tokio worker tasks |

#![deny(unsafe_code)]

pub mod activity;
mod arena;
pub mod backlog;
mod cell;
pub mod cohort;
mod contain;
pub mod duty;
pub mod overflow;
pub mod park;
pub mod process;
mod rare;
pub mod room;
pub mod scheduler;
pub mod shift;
mod slice;
mod swap;
pub mod table;
pub mod timers;
pub mod tokio;
pub mod turn;

pub use activity::Activity;
pub use backlog::HIGH_WATER;
pub use cohort::{Cohort, Environment};
pub use duty::Ready;
pub use iris_mailbox::{PushError, Refusal};
pub use overflow::{OverflowError, OverflowPolicy, Overflowed, PolicyError};
pub use park::Parked;
pub use process::{
    Activation, Process, ProcessOptions, Status, current_pid, forget_current_pid, run_as,
};
pub use rare::StopHook;
pub use room::Room;
pub use scheduler::Scheduler;
pub use shift::Shift;
pub use slice::SLICE_TIME;
pub use swap::{KEPT_VERSIONS, RollbackError};
pub use table::{Table, TableFull};
pub use timers::{Due, TimerId, Timers};
pub use tokio::{Overrun, TokioOptions, TokioScheduler};
pub use turn::{Received, Turn};
