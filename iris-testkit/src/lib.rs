//! Adapters of the ports for tests.
//!
//! [`StepScheduler`] runs processes one slice at a time on the calling thread, in an
//! order that a seed decides; [`ManualClock`] stands still until it is moved; [`World`]
//! is the smallest host that processes can live in, and keeps record of all that
//! happened. A test built on them needs no sleep and says the same on every run.
//!
//! Use it from `tests/` folders only: a unit test inside a crate that this one depends
//! on would see two versions of that crate.

#![forbid(unsafe_code)]

mod manual_clock;
mod step_scheduler;
mod world;

pub use manual_clock::ManualClock;
pub use step_scheduler::StepScheduler;
pub use world::World;
