//! A mailbox in the hands of its one runner.

use std::fmt;

use iris_core::{Envelope, Message};

use super::{Mailbox, Next, Popped};
use crate::letter::Letter;
use crate::runner::Turn;

/// A mailbox in the hands of its one runner; see [`Mailbox::consumer`].
pub struct Consumer<'a, P, R>(pub(super) &'a Mailbox<P, R>);

impl<P, R> Consumer<'_, P, R> {
    /// As [`Mailbox::pop_step`].
    #[inline]
    pub fn pop_step(&self) -> Popped {
        self.enter()
            .map_or(Popped::Empty, |turn| self.0.pop_in(&turn))
    }

    /// The next message if it is one that is `wanted` and nothing goes before it; else it stays
    /// where it is. Takes one step of sorting at most.
    pub fn pop_if(&self, wanted: impl FnOnce(&Envelope) -> bool) -> Option<Letter> {
        let turn = self.enter()?;
        match self.0.look(&turn) {
            Next::Message => turn.pop_if(wanted),
            Next::Signal | Next::Nothing | Next::Unsorted => None,
        }
    }

    /// As [`Mailbox::take_signal`].
    pub fn take_signal(&self) -> Option<Envelope> {
        self.0.take_signal()
    }

    /// As [`Mailbox::close`].
    pub fn close(&self) -> Vec<Message> {
        let left = self.0.shut(self.0.life(), false);
        let backlog = self.enter().map(|turn| turn.clear());
        left.unwrap_or_default().with_backlog(backlog)
    }

    /// Gives up the duty to look without looking: what is in the mailbox stays there until the
    /// next push wakes somebody.
    ///
    /// # Errors
    ///
    /// What is left, if the life was ended meanwhile: the caller sees to the rest.
    pub fn leave(&self, life: u32) -> Result<(), Vec<Message>> {
        if self.0.resign(life) {
            return Ok(());
        }
        // Not before: the life may end, and leave the runner's line to the holder of the duty,
        // up to that moment.
        Err(self.close())
    }

    /// As [`Mailbox::close_if_empty`].
    pub fn close_if_empty(&self) -> bool {
        self.enter().is_none_or(|turn| self.0.close_empty(&turn))
    }

    #[inline]
    fn enter(&self) -> Option<Turn<'_, R>> {
        if self.0.is_shared() {
            return self.0.enter_shared();
        }
        // SAFETY: whoever made the consumer answers for it that this is the only thread that
        // takes turns, those who evict apart, and they do so in shared mailboxes only.
        Some(unsafe { self.0.runner.enter_alone() })
    }
}

impl<P, R> fmt::Debug for Consumer<'_, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consumer").field(self.0).finish()
    }
}
