//! Adapters of the ports for tests.
//!
//! [`StepScheduler`] runs processes one slice at a time on the calling thread, in an
//! order that a seed decides; [`ManualClock`] stands still until it is moved; [`World`]
//! is the smallest host that processes can live in, and keeps record of all that
//! happened. A test built on them needs no sleep and says the same on every run.
//!
//! [`LegacyPeer`] is a node of the earlier release, on both sides of a connection and in both
//! dialects.
//!
//! With the feature `mesh`, for tests of whole nodes:
//!
//! | | |
//! |---|---|
//! | [`Simulated`] | a transport in a network and a clock that `turmoil` simulates |
//! | [`Chaos`] | any transport, with links that are refused, delayed, cut in mid-frame, half-open |
//! | [`Recorder`] | the runtime around a node, which tells a [`Witness`] of everything |
//! | [`History`] | a witness that says what has happened to each message, monitor and question, and whether it may |
//!
//! Use it from `tests/` folders only: a unit test inside a crate that this one depends
//! on would see two versions of that crate.

#![forbid(unsafe_code)]

#[cfg(feature = "mesh")]
mod chaos;
mod history;
mod legacy_peer;
mod manual_clock;
#[cfg(feature = "mesh")]
mod recorder;
mod rng;
#[cfg(feature = "mesh")]
mod simulated;
mod step_scheduler;
mod witness;
mod world;

#[cfg(feature = "mesh")]
pub use chaos::{Chaos, Faults};
pub use history::{Account, Break, History, Life, Note, Pair};
pub use legacy_peer::{LegacyDialect, LegacyListener, LegacyPeer};
pub use manual_clock::ManualClock;
#[cfg(feature = "mesh")]
pub use recorder::Recorder;
pub use rng::Rng;
#[cfg(feature = "mesh")]
pub use simulated::Simulated;
pub use step_scheduler::StepScheduler;
pub use witness::Witness;
pub use world::World;
