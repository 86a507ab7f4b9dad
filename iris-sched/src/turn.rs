//! Taking from a mailbox by hand: for actors that receive, where handlers are called.
//!
//! An async actor or an actor on a thread of its own has the cell, the mailbox and the
//! state word of any other process. Its scheduler does not run slices, but turns each
//! [`Ready`] into a [`Turn`], from which the actor's own code receives.

use std::fmt;

use iris_core::{Envelope, Exit, ExitReason, Message, Payload, Pid, ReplyTo, SystemMessage};
use iris_mailbox::Popped;

use crate::duty::{Duty, Ready};
use crate::process::Process;

/// Messages between two looks at how many more wait.
const BACKLOG_STRIDE: u64 = 64;

/// The right to receive what was sent to one process, while there is something to receive.
///
/// Given up with [`rest`](Self::rest) when there is nothing, or [`end`](Self::end) for good;
/// one that is dropped ends the process as killed, so that nobody waits for it for ever.
pub struct Turn {
    duty: Option<Duty>,
}

/// What a process receives.
#[derive(Debug)]
pub enum Received {
    /// A user's message, and who waits for an answer to it.
    User(Payload, Option<ReplyTo>),
    /// News from the runtime.
    System(SystemMessage),
    /// Nothing at present.
    Empty,
    /// It was told to stop, in this way.
    Stop(Exit),
}

impl Ready {
    /// Spends the right to run a slice on receiving by hand.
    pub fn take_turn(self) -> Turn {
        let duty = self.duty();
        duty.cell().mailbox().set_running(true);
        Turn { duty: Some(duty) }
    }
}

impl Turn {
    fn duty(&self) -> &Duty {
        let duty = self.duty.as_ref();
        duty.expect("only methods that take the turn by value empty it")
    }

    /// Whose turn it is.
    pub fn pid(&self) -> Pid {
        self.duty().pid()
    }

    /// Whether an order to stop at once is what [`receive`](Self::receive) gives next.
    pub fn is_stopped(&self) -> bool {
        !self.duty().cell().mailbox().is_alive()
    }

    /// The next message, signals first.
    pub fn receive(&mut self) -> Received {
        let cell = self.duty().cell();
        loop {
            let envelope = match self.duty().pop_step() {
                Popped::Letter(letter) => letter.open(),
                Popped::Signal => match self.duty().consumer().take_signal() {
                    Some(signal) => signal,
                    // Closed from outside: the runtime has given the process up.
                    None => return Received::Stop(ExitReason::Killed.into()),
                },
                Popped::Unsorted => continue,
                Popped::Empty => return Received::Empty,
            };
            return match envelope {
                Envelope::User(payload, reply) => {
                    cell.count_handled();
                    if cell.handled().is_multiple_of(BACKLOG_STRIDE) {
                        cell.note_backlog(self.pid());
                    }
                    Received::User(payload, reply)
                }
                Envelope::System(message) => {
                    cell.count_handled();
                    Received::System(*message)
                }
                Envelope::Stop(exit) => Received::Stop(exit),
                // Nothing that such a process has: it is not swapped and never dormant.
                _ => continue,
            };
        }
    }

    /// Notes how many messages the actor has set aside; they count as not handled.
    pub fn set_aside(&self, messages: usize) {
        Process::new(self.duty().cell(), self.pid()).set_aside(messages);
    }

    /// Gives the turn up after the mailbox was found empty; it comes back at once if
    /// something has arrived meanwhile.
    pub fn rest(mut self) -> Option<Self> {
        let duty = self.duty.take().expect("a turn is given up once");
        let cohort = duty.cohort().clone();
        match duty.sleep() {
            Ok(()) => {
                cohort.env.activity.end();
                None
            }
            Err(duty) => {
                self.duty = Some(duty);
                Some(self)
            }
        }
    }

    /// Ends the process; what it had set aside and what is still queued is left over.
    pub fn end(mut self, exit: Exit, set_aside: impl IntoIterator<Item = Message>) {
        if let Some(duty) = self.duty.take() {
            finish(duty, exit, set_aside.into_iter().collect());
        }
    }
}

fn finish(duty: Duty, exit: Exit, mut remaining: Vec<Message>) {
    let cohort = duty.cohort().clone();
    remaining.extend(duty.consumer().close());
    if let Some(rare) = duty.cell().rare().as_deref_mut() {
        rare.set_aside = 0;
    }
    let _ends = cohort.env.activity.ends_with_this();
    duty.report_exit(&cohort.env, exit, remaining);
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(duty) = self.duty.take() {
            finish(duty, ExitReason::Killed.into(), Vec::new());
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.pid()).finish()
    }
}
