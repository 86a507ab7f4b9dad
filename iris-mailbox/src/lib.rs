//! A two-lane queue: signals before user messages.
//!
//! A [`Mailbox`] holds what was sent to one process and not yet taken up by it. Any
//! thread pushes; the one thread that runs the process pops.
//!
//! **Invariant:** what was accepted comes out again, through [`Mailbox::pop`] or as the
//! remainder that [`Mailbox::close`] returns; what is not accepted comes back in the
//! [`PushError`].
//!
//! The lanes sit behind one mutex. Its critical sections move a few words and call
//! nothing, so a pusher waits for tens of nanoseconds at most.

#![forbid(unsafe_code)]

mod lanes;
mod mailbox;

pub use mailbox::{Mailbox, PushError};
