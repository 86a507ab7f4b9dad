//! What the parts of a runtime ask of it.

use std::time::Instant;

use iris_core::{Exit, ExitSink, Exited, Host, Lane, Message, Pid, SendError};

use crate::runtime::Inner;

impl Host for Inner {
    #[inline]
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        let sent = self.table.with(to, |process| {
            process.send(
                message
                    .take()
                    .expect("this runs once, with the message in place"),
            )
        });
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(message)) if self.is_shut_down() => Err(SendError::ShutDown { to, message }),
            Some(Err(message)) => Err(SendError::Closed { to, message }),
            None => {
                let message = message.expect("nobody was there to take it");
                Err(SendError::NoProc { to, message })
            }
        }
    }

    fn stop(&self, pid: Pid, exit: Exit) -> bool {
        self.table
            .get(pid)
            .is_some_and(|process| process.stop(Lane::Signal, exit))
    }

    fn is_alive(&self, pid: Pid) -> bool {
        self.table
            .with(pid, |process| process.is_alive())
            .unwrap_or(false)
    }

    fn wake_at(&self, pid: Pid, at: Instant) {
        self.timers.wake_at(pid, at);
    }

    fn now(&self) -> Instant {
        self.env.clock.now()
    }
}

impl ExitSink for Inner {
    fn exited(&self, exited: Exited) {
        self.exits.process_exited(self, exited);
    }
}
