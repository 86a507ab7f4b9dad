//! The process core of Iris against raw Tokio channels, ractor and kameo.
//!
//! `cargo xtask bench core` builds and runs the program. Every repetition of every implementation
//! is a child process of its own, so that neither memory nor an allocator's state passes from one
//! to the next, and the implementations take turns, so that a slow minute of the machine hits
//! them all. Only ratios within one run say something.
//!
//! **Invariant:** a clock stops when the last message has been *handled*; a run whose counts are
//! not exact gives no figure.
//!
//! In reading order: [`role`] and [`producer`] are what actors do, the same for all
//! implementations; [`peers`] are the implementations; [`workloads`] puts actors together and
//! times them; [`catalogue`] lists workloads, sizes and goals; [`child`] is one repetition,
//! [`parent`] all of them, and [`report`] what is printed. [`measure`] reads clocks and memory.
//!
//! # What is compared
//!
//! | implementation | an actor is |
//! |---|---|
//! | `iris` | a `Behavior` with its state, run by the workers of an `iris::Runtime` |
//! | `tokio` | a task that owns the receiver of an unbounded `tokio::sync::mpsc` channel |
//! | `ractor`, `kameo` | an actor of that library, with an unbounded mailbox |
//! | `iris_mimalloc`, `tokio_mimalloc` | the same, in a program that links mimalloc |
//!
//! All run on two Tokio worker threads (one for the skewed load). Messages are 32 bytes by value;
//! a message of `tokio` has room for an answer beside that, as those of the others do. A message
//! of Iris cannot hold 32 bytes of its own yet: its rows send 32 static bytes, which costs no
//! allocation, and the workload with a fresh `Bytes` for each message shows what contents cost.

#![forbid(unsafe_code)]

pub mod catalogue;
pub mod child;
pub mod measure;
pub mod parent;
pub mod peers;
pub mod producer;
pub mod report;
pub mod role;
pub mod workloads;
