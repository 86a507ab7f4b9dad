//! A process whose handler waits for something that its scheduler brings.
//!
//! [`Step::Await`] waits for a future, which costs a box, a task and a waker. A scheduler that
//! runs the code which is waited for, such as the coroutines of a guest language, needs none of
//! them: the handler returns [`Step::Park`], the scheduler gets a [`Parked`] and resumes it.

use std::fmt;

use iris_core::{Exit, ExitReason, Message, Pid, ReplyTo, Step};

use crate::duty::Duty;
use crate::process::Process;

/// The right and the duty to go on with a process whose handler has returned [`Step::Park`].
///
/// Messages queue up until it is resumed. One that is dropped ends the process as killed, so
/// that nobody waits for it for ever.
pub struct Parked {
    duty: Option<Duty>,
    /// Who waits for the handler's answer.
    reply: Option<ReplyTo>,
    /// How the process ends afterwards, whatever comes of it.
    ending: Option<Exit>,
}

impl Parked {
    pub(crate) fn new(duty: Duty, reply: Option<ReplyTo>, ending: Option<Exit>) -> Self {
        Self {
            duty: Some(duty),
            reply,
            ending,
        }
    }

    fn duty(&self) -> &Duty {
        let duty = self.duty.as_ref();
        duty.expect("only methods that take it by value empty it")
    }

    /// Who waits.
    pub fn pid(&self) -> Pid {
        self.duty().pid()
    }

    /// As others see it.
    pub fn process(&self) -> Process {
        Process::new(self.duty().cell(), self.pid())
    }

    /// Whether the process was told to stop at once.
    pub fn is_stopped(&self) -> bool {
        !self.duty().cell().mailbox().is_alive()
    }

    /// Whether the process is on its way out, and only waits to be done with that.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes out who waits for the handler's answer, to be answered by other means than a step.
    pub fn take_reply(&mut self) -> Option<ReplyTo> {
        self.reply.take()
    }

    /// As [`resume`](Self::resume), for a handler of a [batch](iris_core::BatchBehavior) that has
    /// come to an end before the end of that: its own, or because the process was told to stop.
    /// `unhandled` is what it has not come to, oldest first. They become dead letters when the
    /// process ends, before those that are still queued.
    pub fn resume_short(self, step: Step, unhandled: Vec<Message>) {
        self.duty().give_back(unhandled);
        self.resume(step);
    }

    /// Goes on as `step` says, which is what the handler has come to. A process that has more to
    /// do goes back to its scheduler. On any thread.
    pub fn resume(mut self, step: Step) {
        if let Some(duty) = self.duty.take() {
            duty.resume(step, self.reply.take(), self.ending.take());
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some(duty) = self.duty.take() {
            duty.resume(
                Step::Stop(ExitReason::Killed.into()),
                self.reply.take(),
                self.ending.take(),
            );
        }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked")
            .field("pid", &self.pid())
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}
