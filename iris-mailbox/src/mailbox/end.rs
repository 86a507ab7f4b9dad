//! The end of a life, and the beginning of the next.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

use iris_core::{Envelope, Message};

use super::{Mailbox, Signals, waiting};
use crate::chain::Chain;
use crate::head::{Gate, Word};
use crate::node::NONE;
use crate::room;
use crate::runner::Turn;
use crate::sync::Ordering;

impl<P, R> Mailbox<P, R> {
    /// Refuses everything from now on and returns the user messages and system
    /// messages that were left, signals first, each lane oldest first. Who waits for an
    /// answer to one of them is told. For the runner.
    pub fn close(&self) -> Vec<Message> {
        let left = self.shut(self.life(), false);
        let backlog = self.enter().map(|turn| turn.clear());
        left.unwrap_or_default().with_backlog(backlog)
    }

    /// As [`close`](Self::close), for who gives up on a runner of one certain life that does
    /// not come back from its handler; nothing if that life is over. For any thread.
    ///
    /// What the runner has taken from the stack already stays with it: so many user messages
    /// are named beside those that come back. Its next look finds nothing, and its own
    /// [`close`](Self::close) gives them out.
    pub fn close_from_outside(&self, life: u32) -> (Vec<Message>, usize) {
        let Some(left) = self.shut(life, true) else {
            return (Vec::new(), 0);
        };
        let behind = waiting(self.word(), self.runner.popped());
        let left = left.with_backlog(None);
        let taken = left.iter().filter(|message| message.as_user().is_some());
        let behind = (behind as usize).saturating_sub(taken.count());
        (left, behind)
    }

    /// Closes both lanes, and what was in them but for what the runner has taken already.
    ///
    /// With `alarm` raised the runner looks at the signals first, and finds that there is
    /// nothing more to take.
    pub(super) fn shut(&self, life: u32, alarm: bool) -> Option<Left> {
        // The lock decides between this and a push into the signal lane, the exchange
        // between this and one into the user lane.
        let mut signals = self.lock_signals();
        if self.life.load(Ordering::Relaxed) != life {
            return None;
        }
        self.runner.signals.store(alarm, Ordering::Release);
        let before = self.update(|word| Some(word.emptied().gated(Gate::Closed)))?;
        // SAFETY: the exchange took the stack, and nobody had its nodes but the stack.
        let stack = unsafe { Chain::new(before.index()) };
        let signals = signals.take();
        Some(Left { signals, stack })
    }

    /// Closes the mailbox if nothing is in it; `false` and no change otherwise. For the
    /// runner only.
    pub fn close_if_empty(&self) -> bool {
        // Without a turn somebody is closing it right now.
        self.enter().is_none_or(|turn| self.close_empty(&turn))
    }

    pub(super) fn close_empty(&self, turn: &Turn<'_, R>) -> bool {
        // No signal comes in while the lock is held.
        let signals = self.lock_signals();
        turn.is_empty()
            && signals.as_ref().is_none_or(|signals| signals.is_empty())
            && self
                .update(|word| (word.index() == NONE).then(|| word.gated(Gate::Closed)))
                .is_some()
    }

    /// Ends a life for good: whoever still has its number reaches nobody any more. The
    /// mailbox must be closed. `None` if the life was over already; else whether nobody had
    /// the duty to look at that moment, and so nobody ever will in this life.
    pub fn end_life(&self, life: u32, next: u32) -> Option<bool> {
        self.end_life_with(life, next, || ())
    }

    /// As [`end_life`](Self::end_life); calls `last` just before the life is over, if it is not.
    /// No lock may be taken in there.
    pub fn end_life_with(&self, life: u32, next: u32, last: impl FnOnce()) -> Option<bool> {
        // One who evicts looks at the life once it has its turn: that is over when this begins,
        // or the look comes after. Before the lock, which is taken inside of turns.
        let _turn = self.is_shared().then(|| self.enter_shared());
        let _signals = self.lock_signals();
        if self.life.load(Ordering::Relaxed) != life {
            return None;
        }
        let word = self.word();
        debug_assert_eq!(
            word.gate(),
            Gate::Closed,
            "a life ends with a closed mailbox"
        );
        last();
        self.life.store(next, Ordering::Release);
        Some(word.is_asleep())
    }

    /// For who has the duty to look and closed the mailbox, or leaves it as it is: gives the
    /// duty up. `false` if the life has been ended meanwhile, so that nobody else will see to
    /// what is left.
    #[must_use]
    pub fn resign(&self, life: u32) -> bool {
        let _signals = self.lock_signals();
        if self.life.load(Ordering::Relaxed) != life {
            return false;
        }
        self.abandon_look();
        true
    }

    /// Opens a closed mailbox whose life was ended for the next one. For one who has it to
    /// himself.
    ///
    /// The count of messages goes on from life to life, one further at each: so a sender that
    /// slept between its look at the head word and its exchange since an earlier life finds
    /// another word. (It would have to sleep through a multiple of 2^29 messages and lives.)
    ///
    /// `capacity` bounds the user messages that wait; whether there is a bound holds for life.
    pub fn reopen(&self, capacity: Option<NonZeroU32>) {
        let word = self.word();
        debug_assert_eq!(
            word.gate(),
            Gate::Closed,
            "only a closed mailbox is opened again"
        );
        let pushed = word.pushed().wrapping_add(1);
        self.runner.reopen(pushed, capacity.is_some());
        let capacity = capacity.map_or(0, |capacity| room::bound(capacity.get()));
        self.capacity.store(capacity, Ordering::Relaxed);
        self.head.store(Word::opened(pushed).0, Ordering::Release);
    }
}

/// What was in a mailbox when it was closed, but for the runner's line.
///
/// Nothing by default: for a runner whose life is ended while it closes. All but its own line
/// has been taken out then.
#[derive(Default)]
pub(super) struct Left {
    signals: Signals,
    stack: Chain,
}

impl Left {
    /// The messages of all that, in their order.
    pub(super) fn with_backlog(mut self, backlog: Option<Chain>) -> Vec<Message> {
        self.stack.reverse();
        let mut left = Vec::new();
        let signals = self.signals.into_iter().flat_map(|signals| *signals);
        for envelope in signals
            .chain(backlog.into_iter().flatten())
            .chain(self.stack)
        {
            match envelope {
                Envelope::User(..) | Envelope::System(_) => left.extend(envelope.into_message()),
                // Dropping a behavior is code of others. If that panics, the messages and what
                // follows on the end of a process must not be lost with it.
                order => drop(catch_unwind(AssertUnwindSafe(|| drop(order)))),
            }
        }
        left
    }
}
