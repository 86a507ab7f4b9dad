//! What parts ask of the runtime around them.

use std::time::Instant;

use crate::exit::Exit;
use crate::message::{Message, SendError};
use crate::payload::Payload;
use crate::pid::Pid;

/// The runtime, as seen from a part of it.
///
/// A part that must reach another process, a timer or the clock asks its host; so no
/// part needs to know another. The facade implements it, tests use fakes.
///
/// Called on any thread, from inside handlers, any number of times for each message:
/// no method may block, run user code, or keep a lock while it calls out. Holders keep
/// a `Weak<dyn Host>`, since the host owns them.
pub trait Host: Send + Sync {
    /// Puts `message` into the mailbox of `to`.
    ///
    /// # Errors
    ///
    /// The message comes back if the process does not exist or takes nothing more.
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError>;

    /// As [`send`](Self::send), for bytes that may travel inline.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn send_payload(&self, to: Pid, payload: Payload) -> Result<(), SendError> {
        self.send(to, payload.into())
    }

    /// As [`send`](Self::send), of a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn send_bytes(&self, to: Pid, bytes: &[u8]) -> Result<(), SendError> {
        self.send_payload(to, Payload::copy_of(bytes))
    }

    /// Asks `pid` to end; `false` if it does not exist or is ending already.
    ///
    /// A handler that is running finishes first. What is queued becomes dead letters.
    fn stop(&self, pid: Pid, exit: Exit) -> bool;

    /// Whether `pid` exists and still handles what is queued: it was not stopped, though it
    /// may be draining.
    fn is_alive(&self, pid: Pid) -> bool;

    /// Gives `pid` an [`Envelope::Wake`](crate::Envelope::Wake) once `at` has come, if
    /// it still lives then. Asking again replaces nothing: each ask is one wake-up.
    fn wake_at(&self, pid: Pid, at: Instant);

    /// The present, from the runtime's [`Clock`](crate::Clock).
    fn now(&self) -> Instant;
}
