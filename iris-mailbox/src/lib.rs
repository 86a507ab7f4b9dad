//! A two-lane queue: signals before user messages.
//!
//! A [`Mailbox`] holds what was sent to one process and not yet taken up by it. Any
//! thread pushes; the one thread that runs the process pops.
//!
//! **Invariant:** a message that was accepted comes out again, through [`Mailbox::pop`] or
//! in the remainder that [`Mailbox::close`] returns; what is not accepted comes back in
//! the [`PushError`].
//!
//! The lanes sit behind one mutex. Its critical sections move a few words, now and then
//! let a queue grow, and call no code of others.

#![forbid(unsafe_code)]

mod lanes;
mod mailbox;

pub use mailbox::{Mailbox, PushError};
