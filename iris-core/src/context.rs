//! What a behavior may do while it handles a message.

use std::fmt;

use crate::ask::ReplyTo;
use crate::host::Host;
use crate::message::{Message, SendError};
use crate::payload::{Baggage, Payload};
use crate::pid::Pid;

/// A handler's view of the runtime, for the length of one call.
///
/// What is done through it is charged to the process in *reductions*, the unit of a
/// scheduler's budget: a process that sends a lot yields sooner than one that only
/// counts. Handling a message costs one by itself.
pub struct Context<'a> {
    pid: Pid,
    host: &'a dyn Host,
    spent: u32,
    reply: Option<ReplyTo>,
    baggage: Option<Baggage>,
}

impl<'a> Context<'a> {
    /// Reductions charged for one send.
    pub const SEND_COST: u32 = 1;

    /// A context for `pid`, with nothing spent. Called by schedulers.
    #[inline]
    pub fn new(pid: Pid, host: &'a dyn Host) -> Self {
        Self {
            pid,
            host,
            spent: 0,
            reply: None,
            baggage: None,
        }
    }

    /// With what has travelled along with the message. Called by schedulers.
    #[inline]
    pub fn carry(&mut self, baggage: Option<Baggage>) {
        self.baggage = baggage;
    }

    /// Takes out what has travelled along with the message, see [`Baggage`].
    #[inline]
    pub fn take_baggage(&mut self) -> Option<Baggage> {
        self.baggage.take()
    }

    /// With somebody who waits for an answer. Called by schedulers.
    #[inline]
    #[must_use]
    pub fn asked(mut self, reply: Option<ReplyTo>) -> Self {
        self.reply = reply;
        self
    }

    /// The process that is handling the message.
    #[inline]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The runtime around it. Calls through here are not charged.
    #[inline]
    pub fn host(&self) -> &'a dyn Host {
        self.host
    }

    /// Sends `message` to `to`; never waits.
    ///
    /// # Errors
    ///
    /// The message comes back in the error if `to` does not exist or is stopping.
    pub fn send(&mut self, to: Pid, message: impl Into<Message>) -> Result<(), SendError> {
        self.charge(Self::SEND_COST);
        self.host.send(to, message.into())
    }

    /// Sends a copy of `bytes` to `to`; never waits. Up to [`Payload::INLINE`] bytes cost no
    /// allocation.
    ///
    /// # Errors
    ///
    /// The message comes back in the error if `to` does not exist or is stopping.
    #[inline]
    pub fn send_bytes(&mut self, to: Pid, bytes: &[u8]) -> Result<(), SendError> {
        self.charge(Self::SEND_COST);
        self.host.send_bytes(to, bytes)
    }

    /// Sends `payload` to `to`; never waits.
    ///
    /// # Errors
    ///
    /// As [`send_bytes`](Self::send_bytes).
    #[inline]
    pub fn send_payload(&mut self, to: Pid, payload: impl Into<Payload>) -> Result<(), SendError> {
        self.charge(Self::SEND_COST);
        self.host.send_payload(to, payload.into())
    }

    /// Whether this message is a question that has no answer yet.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.reply.is_some()
    }

    /// Answers who asked; `false` if nobody did, or nobody waits any more. The first answer
    /// counts. A handler that was asked and returns without one tells the asker so.
    #[inline]
    pub fn reply(&mut self, answer: impl Into<Payload>) -> bool {
        self.reply.take().is_some_and(|reply| reply.reply(answer))
    }

    /// Takes the reply out, to be answered later and from anywhere; `None` if nobody asked.
    pub fn take_reply(&mut self) -> Option<ReplyTo> {
        self.reply.take()
    }

    /// Charges `reductions` for work that the scheduler cannot see.
    #[inline]
    pub fn charge(&mut self, reductions: u32) {
        self.spent = self.spent.saturating_add(reductions);
    }

    /// Reductions charged so far in this call.
    #[inline]
    pub fn spent(&self) -> u32 {
        self.spent
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("pid", &self.pid)
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}
