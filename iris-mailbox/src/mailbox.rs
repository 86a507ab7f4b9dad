//! The mailbox itself: lanes, and the gate in front of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use iris_core::{Envelope, Exit, Lane, Message};
use thiserror::Error;

use crate::lanes::Lanes;

/// The messages of one process that wait to be handled.
///
/// # Examples
///
/// ```
/// use iris_core::{Envelope, Lane, Message};
/// use iris_mailbox::Mailbox;
///
/// let mailbox = Mailbox::new();
/// mailbox.push(Lane::User, Envelope::Message(Message::from(&b"first"[..]))).unwrap();
/// mailbox.push(Lane::Signal, Envelope::Wake).unwrap();
/// assert_eq!(mailbox.len(), 1, "signals are not mail");
/// assert!(matches!(mailbox.pop(), Some(Envelope::Wake)), "but they come first");
/// ```
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lanes: Lanes,
    gate: Gate,
}

/// What a mailbox still takes in. It only ever moves down this list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gate {
    /// Everything.
    #[default]
    Open,
    /// Signals; the queue will be handled and then the process ends.
    Draining,
    /// Signals; the process ends as soon as it looks.
    Stopping,
    /// Nothing: the process has ended.
    Closed,
}

/// The mailbox takes nothing more of this kind; here it is back.
#[derive(Debug, Error)]
#[error("the mailbox is closed")]
pub struct PushError(pub Envelope);

impl Mailbox {
    /// An empty, open mailbox. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `envelope` at the end of `lane`.
    ///
    /// FIFO for each sender and lane. Costs one uncontended lock.
    ///
    /// # Errors
    ///
    /// The envelope comes back once the process is ending: at once for the user lane,
    /// after its end for signals.
    pub fn push(&self, lane: Lane, envelope: Envelope) -> Result<(), PushError> {
        let mut inner = self.lock();
        let last_open = if lane == Lane::User {
            Gate::Open
        } else {
            Gate::Stopping
        };
        if inner.gate > last_open {
            return Err(PushError(envelope));
        }
        inner.lanes.push(lane, envelope);
        Ok(())
    }

    /// Takes no more user messages and queues the order to stop in `lane`.
    ///
    /// In the user lane the process handles what is queued and then ends; in the signal
    /// lane it ends with its next look into the mailbox, also if it was draining before.
    /// `false` if it was already stopping as fast or faster.
    pub fn seal(&self, lane: Lane, exit: Exit) -> bool {
        let mut inner = self.lock();
        let gate = if lane == Lane::User {
            Gate::Draining
        } else {
            Gate::Stopping
        };
        if inner.gate >= gate {
            return false;
        }
        inner.gate = gate;
        inner.lanes.push(lane, Envelope::Stop(exit));
        true
    }

    /// The next signal, or else the oldest user message. For the runner only.
    pub fn pop(&self) -> Option<Envelope> {
        self.lock().lanes.pop()
    }

    /// Refuses everything from now on and returns the user messages and system
    /// messages that were left, signals first, each lane oldest first.
    pub fn close(&self) -> Vec<Message> {
        let lanes = {
            let mut inner = self.lock();
            inner.gate = Gate::Closed;
            std::mem::take(&mut inner.lanes)
        };
        remaining(lanes)
    }

    /// Closes the mailbox if nothing is in it; `false` and no change otherwise.
    pub fn close_if_empty(&self) -> bool {
        let mut inner = self.lock();
        let empty = inner.lanes.is_empty();
        if empty {
            inner.gate = Gate::Closed;
        }
        empty
    }

    /// Whether user messages are still accepted: neither draining nor stopped.
    pub fn is_open(&self) -> bool {
        self.lock().gate == Gate::Open
    }

    /// User messages that no handler has been given yet; signals do not count.
    pub fn len(&self) -> usize {
        self.lock().lanes.user_messages()
    }

    /// Whether there is nothing at all to take, signals included.
    pub fn is_empty(&self) -> bool {
        self.lock().lanes.is_empty()
    }

    /// Whether queued messages can still reach the handler: open or draining.
    pub fn is_alive(&self) -> bool {
        self.lock().gate < Gate::Stopping
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under the lock, so a poisoned one is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remaining(mut lanes: Lanes) -> Vec<Message> {
    let mut left = Vec::with_capacity(lanes.user_messages());
    while let Some(envelope) = lanes.pop() {
        if let Envelope::Message(message) = envelope {
            left.push(message);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use iris_core::ExitReason;

    use super::*;

    fn mail(text: &'static str) -> Envelope {
        Envelope::Message(Message::from(text.as_bytes()))
    }

    fn text(envelope: Option<Envelope>) -> String {
        match envelope {
            Some(Envelope::Message(Message::User(bytes))) => {
                String::from_utf8(bytes.to_vec()).unwrap()
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn user_messages_come_out_in_order_after_all_signals() {
        let mailbox = Mailbox::new();
        for word in ["a", "b", "c"] {
            mailbox.push(Lane::User, mail(word)).unwrap();
        }
        mailbox.push(Lane::Signal, Envelope::Wake).unwrap();
        assert_eq!(text(mailbox.pop()), "Some(Wake)");
        assert_eq!([0; 3].map(|_| text(mailbox.pop())), ["a", "b", "c"]);
        assert!(mailbox.pop().is_none());
    }

    #[test]
    fn a_sealed_mailbox_gives_user_messages_back() {
        let mailbox = Mailbox::new();
        assert!(mailbox.seal(Lane::User, Exit::default()));
        let PushError(back) = mailbox.push(Lane::User, mail("late")).unwrap_err();
        assert_eq!(text(Some(back)), "late");
    }

    #[test]
    fn draining_lets_the_queue_out_before_the_stop() {
        let mailbox = Mailbox::new();
        mailbox.push(Lane::User, mail("queued")).unwrap();
        mailbox.seal(Lane::User, ExitReason::Shutdown.into());
        assert!(mailbox.is_alive());
        assert_eq!(text(mailbox.pop()), "queued");
        assert!(matches!(mailbox.pop(), Some(Envelope::Stop(_))));
    }

    #[test]
    fn stopping_overtakes_draining_but_not_the_other_way() {
        let mailbox = Mailbox::new();
        mailbox.push(Lane::User, mail("queued")).unwrap();
        assert!(mailbox.seal(Lane::User, ExitReason::Shutdown.into()));
        assert!(mailbox.seal(Lane::Signal, ExitReason::Killed.into()));
        assert!(!mailbox.seal(Lane::User, ExitReason::Shutdown.into()));
        assert!(!mailbox.seal(Lane::Signal, ExitReason::Killed.into()));
        assert!(!mailbox.is_alive());
        let Some(Envelope::Stop(exit)) = mailbox.pop() else {
            panic!("the stop comes first")
        };
        assert_eq!(exit.reason, ExitReason::Killed);
    }

    #[test]
    fn closing_returns_every_message_that_was_accepted() {
        let mailbox = Mailbox::new();
        mailbox.push(Lane::User, mail("one")).unwrap();
        mailbox.push(Lane::Signal, Envelope::Wake).unwrap();
        mailbox.push(Lane::User, mail("two")).unwrap();
        let left: Vec<_> = mailbox
            .close()
            .into_iter()
            .map(|m| text(Some(Envelope::Message(m))))
            .collect();
        assert_eq!(left, ["one", "two"]);
        assert_eq!(mailbox.len(), 0);
        assert!(mailbox.push(Lane::Signal, Envelope::Wake).is_err());
    }

    #[test]
    fn a_mailbox_with_mail_does_not_close_for_idleness() {
        let mailbox = Mailbox::new();
        mailbox.push(Lane::User, mail("just in time")).unwrap();
        assert!(!mailbox.close_if_empty());
        assert_eq!(text(mailbox.pop()), "just in time");
        assert!(mailbox.close_if_empty());
        assert!(mailbox.push(Lane::User, mail("late")).is_err());
    }
}
