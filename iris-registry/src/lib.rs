//! Names, hierarchical paths and groups to pids.
//!
//! A *name* is a flat word for one process; a *path* like `/fleet/UA/N14228` places it
//! in a hierarchy whose branches can be listed and watched. One process may have any
//! number of either. A *group* is a word for any number of processes.
//!
//! **Invariant:** a name or path leads to at most one process, and once
//! [`Registry::forget`] or [`Registry::reserve`] was called for a process none leads to
//! it any more and no group has it.
//!
//! | module | says |
//! |---|---|
//! | [`registry`] | the port |
//! | [`memory`] | the adapter for one runtime, in memory |
//! | [`follow`] | who is told of every change |
//! | [`watch`] | what watchers of a path prefix hear |
//! | `names`, `paths`, `groups` | the tables inside, without locks |

#![forbid(unsafe_code)]

pub mod follow;
mod groups;
pub mod memory;
mod names;
mod paths;
pub mod registry;
mod slots;
pub mod watch;

pub use follow::Follower;
pub use memory::MemoryRegistry;
pub use registry::{RegisterError, Registry};
pub use watch::{PathChange, PathEvent, PathEvents};
