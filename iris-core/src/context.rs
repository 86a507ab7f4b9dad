//! What a behavior may do while it handles a message.

use std::fmt;

use crate::host::Host;
use crate::message::{Message, SendError};
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
        }
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
