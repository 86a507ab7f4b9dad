//! What the parts of a runtime ask of it.

use std::time::Instant;

use iris_core::{Exit, ExitSink, Exited, Host, Lane, Message, Payload, Pid, SendError};
use iris_mailbox::{PushError, Refusal};

use crate::runtime::Inner;

impl Host for Inner {
    #[inline]
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
        match message {
            Message::User(bytes) => self.send_payload(to, bytes.into()),
            message => {
                let sent = self.table.push(to, Lane::User, message.into());
                sent.or_else(|error| self.refused(to, error))
            }
        }
    }

    #[inline]
    fn send_payload(&self, to: Pid, payload: Payload) -> Result<(), SendError> {
        let sent = self.table.push(to, Lane::User, payload.into());
        sent.or_else(|error| self.refused(to, error))
    }

    #[inline]
    fn send_bytes(&self, to: Pid, bytes: &[u8]) -> Result<(), SendError> {
        if bytes.len() > Payload::INLINE {
            return self.send_payload(to, Payload::copy_of(bytes));
        }
        let sent = self.table.push_inline(to, bytes);
        sent.or_else(|refusal| {
            let envelope = Payload::copy_of(bytes).into();
            self.refused(to, PushError(envelope, refusal))
        })
    }

    fn stop(&self, pid: Pid, exit: Exit) -> bool {
        self.table
            .get(pid)
            .is_some_and(|process| process.stop(Lane::Signal, exit))
    }

    fn is_alive(&self, pid: Pid) -> bool {
        self.table
            .get(pid)
            .is_some_and(|process| process.is_alive())
    }

    fn wake_at(&self, pid: Pid, at: Instant) {
        self.timers.wake_at(pid, at);
    }

    fn now(&self) -> Instant {
        self.env.clock.now()
    }
}

impl Inner {
    /// What a sender is told, with the message back.
    #[cold]
    pub(crate) fn send_error(&self, to: Pid, PushError(envelope, refusal): PushError) -> SendError {
        let message = envelope.into_message().expect("a message was sent");
        match refusal {
            Refusal::Over => SendError::NoProc { to, message },
            Refusal::Full => SendError::Full { to, message },
            _ if self.is_shut_down() => SendError::ShutDown { to, message },
            _ => SendError::Closed { to, message },
        }
    }
}

impl ExitSink for Inner {
    fn exited(&self, exited: Exited) {
        self.exits.process_exited(self, exited);
    }
}
