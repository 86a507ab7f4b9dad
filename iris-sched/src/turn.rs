//! Taking from a mailbox by hand: for actors that receive, where handlers are called.
//!
//! An async actor or an actor on a thread of its own has the cell, the mailbox and the
//! state word of any other process. Its scheduler does not run slices, but turns each
//! [`Ready`] into a [`Turn`], from which the actor's own code receives.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use iris_core::{Envelope, Exit, ExitReason, Message, Pid};

use crate::process::Process;
use crate::scheduler::Ready;

/// The right to receive what was sent to one process, while there is something to receive.
///
/// Given up with [`rest`](Self::rest) when there is nothing, or [`end`](Self::end) for good;
/// one that is dropped ends the process as killed, so that nobody waits for it for ever.
pub struct Turn {
    process: Option<Arc<Process>>,
}

/// What a process receives.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Message),
    /// Nothing at present.
    Empty,
    /// It was told to stop, in this way.
    Stop(Exit),
}

impl Ready {
    /// Spends the right to run a slice on receiving by hand.
    pub fn take_turn(self) -> Turn {
        self.0.word.start();
        Turn {
            process: Some(self.0),
        }
    }
}

impl Turn {
    fn process(&self) -> &Arc<Process> {
        let process = self.process.as_ref();
        process.expect("only methods that take the turn by value empty it")
    }

    /// Whose turn it is.
    pub fn pid(&self) -> Pid {
        self.process().pid()
    }

    /// Whether an order to stop at once is what [`receive`](Self::receive) gives next.
    pub fn is_stopped(&self) -> bool {
        !self.process().is_alive()
    }

    /// The next message, signals first.
    pub fn receive(&mut self) -> Received {
        let process = self.process();
        loop {
            return match process.mailbox.pop() {
                // Closed from outside: the runtime has given the process up.
                None if !process.is_alive() => Received::Stop(ExitReason::Killed.into()),
                None => Received::Empty,
                Some(Envelope::Message(message)) => {
                    process.handled.fetch_add(1, Ordering::Relaxed);
                    Received::Message(message)
                }
                Some(Envelope::Stop(exit)) => Received::Stop(exit),
                // Nothing that such a process has: it is not swapped and never dormant.
                Some(_) => continue,
            };
        }
    }

    /// Notes how many messages the actor has set aside; they count as not handled.
    pub fn set_aside(&self, messages: usize) {
        self.process().set_aside.store(messages, Ordering::Relaxed);
    }

    /// Gives the turn up after the mailbox was found empty; it comes back at once if
    /// something has arrived meanwhile.
    pub fn rest(mut self) -> Option<Self> {
        let process = self.process.take().expect("a turn is given up once");
        if process.word.finish() {
            process.word.start();
            self.process = Some(process);
            return Some(self);
        }
        process.env.activity.end();
        None
    }

    /// Ends the process; what it had set aside and what is still queued is left over.
    pub fn end(mut self, exit: Exit, set_aside: impl IntoIterator<Item = Message>) {
        if let Some(process) = self.process.take() {
            finish(&process, exit, set_aside.into_iter().collect());
        }
    }
}

fn finish(process: &Arc<Process>, exit: Exit, mut remaining: Vec<Message>) {
    remaining.extend(process.mailbox.close());
    process.set_aside.store(0, Ordering::Relaxed);
    {
        let mut body = process.body.lock().unwrap_or_else(PoisonError::into_inner);
        process.report_exit(&mut body, exit, remaining);
    }
    process.env.activity.end();
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            finish(&process, ExitReason::Killed.into(), Vec::new());
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.pid()).finish()
    }
}
