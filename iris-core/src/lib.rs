//! The words of the system, and what its parts may ask of each other.
//!
//! Nothing here runs: there is no thread, no queue and no clock in this crate.
//! It names what all others talk about.
//!
//! **Invariant:** whatever leaves this crate by value can be given back. A
//! [`Message`] that could not be delivered comes home inside a [`SendError`] or
//! is reported as a [`DeadLetter`]; it is never dropped in silence.
//!
//! In reading order:
//!
//! | module | says |
//! |---|---|
//! | [`pid`] | who: a slot and a generation in one number |
//! | [`payload`] | a user's bytes: inline if they are few |
//! | [`foreign`] | bytes that stay in a guest language's object |
//! | [`message`] | what travels, and in which lane |
//! | [`ask`] | a question and its answer |
//! | [`exit`] | why a process ended, and who is told |
//! | [`behavior`] | what a process does with a message |
//! | [`context`] | what a behavior may do while it handles one |
//! | [`host`] | what parts ask of the runtime around them |
//! | [`clock`] | where time comes from |

#![forbid(unsafe_code)]

pub mod ask;
pub mod behavior;
pub mod clock;
pub mod context;
pub mod exit;
pub mod foreign;
pub mod host;
pub mod message;
pub mod payload;
pub mod pid;

pub use ask::{Answer, AskError, Reply, ReplyTo, question};
pub use behavior::{
    BatchBehavior, Behavior, BehaviorVersion, BoxFuture, MigrationError, State, Step, handler,
};
pub use clock::{Clock, SystemClock};
pub use context::Context;
pub use exit::{Exit, ExitInfo, ExitReason, ExitSink, Exited, Failure, MonitorRef};
pub use foreign::{Foreign, Keeper, Object};
pub use host::Host;
pub use message::{
    DeadLetter, DeadLetterReason, Envelope, Lane, Message, NodeNews, SendError, SystemMessage,
};
pub use payload::{Baggage, Payload};
pub use pid::Pid;
