//! The two queues behind a mailbox's lock, and their count.

use std::collections::VecDeque;

use iris_core::{Envelope, Lane};

/// Both lanes of one mailbox. Not a thread-safe type: the mailbox locks it.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    signals: VecDeque<Envelope>,
    user: VecDeque<Envelope>,
    user_messages: usize,
}

impl Lanes {
    pub(crate) fn push(&mut self, lane: Lane, envelope: Envelope) {
        match lane {
            Lane::Signal => self.signals.push_back(envelope),
            Lane::User => {
                self.user_messages += usize::from(envelope.is_user_message());
                self.user.push_back(envelope);
            }
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Envelope> {
        if let Some(signal) = self.signals.pop_front() {
            return Some(signal);
        }
        let envelope = self.user.pop_front()?;
        self.user_messages -= usize::from(envelope.is_user_message());
        if self.user.is_empty() && self.user.capacity() > RETAINED_SLOTS {
            // A burst must not hold its memory for the rest of the process's life.
            self.user.shrink_to(RETAINED_SLOTS);
        }
        Some(envelope)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.user.is_empty()
    }

    pub(crate) fn user_messages(&self) -> usize {
        self.user_messages
    }
}

/// Slots of the user lane that an emptied mailbox keeps: about 48 KiB.
const RETAINED_SLOTS: usize = 1024;
