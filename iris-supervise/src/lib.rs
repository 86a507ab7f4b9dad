//! Links, monitors and restart policies as state machines.
//!
//! This version holds the [`Supervisor`] port and the words it is spoken in: what a
//! runtime tells its supervision when processes end, and what it is told to do. The
//! strategies behind it are not built yet, and no runtime of this version supervises.
//!
//! **Invariant:** supervision is a function of events and time. It never sleeps, reads
//! a clock, takes a lock or calls user code; whoever holds it carries its [`Action`]s
//! out.

#![forbid(unsafe_code)]

mod supervisor;

pub use supervisor::{Action, Restart, Supervisor};
