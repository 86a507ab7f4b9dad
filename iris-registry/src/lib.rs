//! Names and hierarchical paths to pids.
//!
//! A *name* is a flat word for one process; a *path* like `/fleet/UA/N14228` places it
//! in a hierarchy whose branches can be listed. One process may have any number of
//! either.
//!
//! **Invariant:** a name or path leads to at most one process, and once
//! [`Registry::forget`] was called for a process none leads to it any more.
//!
//! | module | says |
//! |---|---|
//! | [`registry`] | the port |
//! | [`memory`] | the adapter for one runtime, in memory |
//! | [`names`], [`paths`] | the tables inside it, without locks |

#![forbid(unsafe_code)]

pub mod memory;
pub mod names;
pub mod paths;
pub mod registry;

pub use memory::MemoryRegistry;
pub use registry::{RegisterError, Registry};
