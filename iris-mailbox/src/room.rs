//! Room in a bounded mailbox: its bound, what is pushed out for it, and who waits for it.

use std::num::NonZeroU32;

use iris_core::Envelope;

use crate::head::{COUNT_MASK, Gate};
use crate::mailbox::{BOUNDED, Mailbox, waiting};
use crate::node::NONE;
use crate::runner::Turn;
use crate::sync::{Ordering, fence};

/// What became of an attempt to make room; see [`Mailbox::evict`].
#[derive(Debug)]
pub enum Eviction {
    /// The oldest user message, which had to go.
    Evicted(Envelope),
    /// It was not full any more, or takes nothing at all any more: a push tells.
    NotFull,
    /// It is full, and yet there is no message in it: its receiver has them in its hands.
    NothingToEvict,
}

/// The word for a capacity.
pub(crate) fn bound(capacity: u32) -> u32 {
    BOUNDED | capacity.min(COUNT_MASK)
}

impl<P, R> Mailbox<P, R> {
    /// Takes the oldest user message out of a full mailbox, to make room for a newer one. For
    /// any thread; waits for a runner or another thread that is in the middle of taking one
    /// out, and for no handler.
    ///
    /// A mailbox without bounds is never full, nor is one whose life is over.
    pub fn evict(&self, life: u32) -> Eviction {
        let Some(turn) = self.enter_life(life) else {
            return Eviction::NotFull;
        };
        if self.room_under(&turn) > 0 {
            return Eviction::NotFull;
        }
        loop {
            if turn.is_empty() && !self.take(&turn) {
                return self.nothing_to_evict();
            }
            if !turn.sort() {
                continue;
            }
            if let Some(oldest) = turn.evict() {
                return Eviction::Evicted(oldest.open());
            }
            // Only orders lie on the runner's line. The messages are behind them.
            let stack = self.update(|word| (word.index() != NONE).then(|| word.emptied()));
            let Some(before) = stack else {
                return self.nothing_to_evict();
            };
            // SAFETY: the exchange took the stack, and nobody had its nodes but the stack.
            unsafe { turn.append(before.index()) };
        }
    }

    fn nothing_to_evict(&self) -> Eviction {
        // Who closes a mailbox takes the stack first, and needs no turn for that.
        if self.word().gate() == Gate::Closed {
            Eviction::NotFull
        } else {
            Eviction::NothingToEvict
        }
    }

    /// Changes the bound of a bounded mailbox; `false` and no change for one that has none. With
    /// 0 it takes nothing. Takes effect for messages that are sent from now on: more that wait
    /// already stay.
    ///
    /// What is pushed in the moment of the change may see either bound. Who waits for room
    /// is not told.
    pub fn set_capacity(&self, capacity: u32) -> bool {
        let new = bound(capacity);
        let mut old = self.capacity.load(Ordering::Acquire);
        while old != 0 {
            let change =
                self.capacity
                    .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire);
            match change {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
        false
    }

    /// The bound on user messages that wait, if there is one.
    pub fn capacity(&self) -> Option<u32> {
        let capacity = self.capacity.load(Ordering::Acquire);
        (capacity != 0).then_some(capacity & COUNT_MASK)
    }

    /// How many more user messages a bounded mailbox takes, just now. 0 also if it takes none
    /// for another reason, and `u32::MAX` without bounds.
    pub fn room(&self) -> u32 {
        let word = self.word();
        if word.gate() != Gate::Open {
            return 0;
        }
        let waiting = waiting(word, self.runner.popped());
        self.capacity()
            .map_or(u32::MAX, |capacity| capacity.saturating_sub(waiting))
    }

    /// For a sender that was refused by a full mailbox and has put itself on a list of those who
    /// wait for room: `true` if it may sleep. From now on
    /// [`is_room_awaited`](Self::is_room_awaited) says that there is somebody to be told;
    /// what happened before that is seen here.
    ///
    /// For any thread; waits as [`evict`](Self::evict) does.
    #[must_use]
    pub fn await_room(&self, life: u32) -> bool {
        let Some(turn) = self.enter_life(life) else {
            return false;
        };
        turn.note_awaited();
        // See `gate` for what is asked after the note.
        self.gate() == Gate::Open && self.room_under(&turn) == 0
    }

    /// Whether senders wait for room. For who has just taken a message out, and is relaxed: no
    /// more than a look at a line that it has anyway.
    #[inline]
    pub fn is_room_awaited(&self) -> bool {
        self.runner.is_awaited()
    }

    /// As [`is_room_awaited`](Self::is_room_awaited), for who has closed the mailbox or sealed
    /// it or changed its capacity: of it and a sender that begins to wait, one sees the other.
    pub fn is_room_awaited_after_all(&self) -> bool {
        fence(Ordering::SeqCst);
        self.runner.is_awaited()
    }

    /// Notes that nobody waits for room any more. For who keeps the list, while nobody can put
    /// itself on it.
    pub fn forget_awaited(&self) {
        self.runner.forget_awaited();
    }

    /// The right to take out, in one certain life of a bounded mailbox that still goes on when
    /// this returns. It then goes on for as long as the turn does, for the end of it is a turn.
    fn enter_life(&self, life: u32) -> Option<Turn<'_, R>> {
        if self.life() != life || !self.is_shared() {
            return None;
        }
        let turn = self.enter_shared()?;
        // The word before the life, as in a push.
        let closed = self.word().gate() == Gate::Closed;
        (!closed && self.life() == life && self.is_shared()).then_some(turn)
    }

    /// As [`room`](Self::room), whatever the gate. Messages leave within turns only, so that
    /// during this one there can only be less.
    fn room_under(&self, _: &Turn<'_, R>) -> u32 {
        let waiting = waiting(self.word(), self.runner.popped());
        self.capacity()
            .map_or(u32::MAX, |capacity| capacity.saturating_sub(waiting))
    }
}

impl Mailbox {
    /// As [`new`](Self::new), with room for so many user messages.
    pub fn bounded(capacity: NonZeroU32) -> Self {
        let unborn = Self::unborn(0, (), ());
        unborn.reopen(Some(capacity));
        unborn
    }
}

#[cfg(test)]
mod tests {
    use iris_core::{Lane, Message};

    use super::*;
    use crate::Refusal;

    fn bounded(capacity: u32) -> Mailbox {
        Mailbox::bounded(NonZeroU32::new(capacity).expect("not zero"))
    }

    fn push(mailbox: &Mailbox) -> Result<(), Refusal> {
        let pushed = mailbox.push(Lane::User, Message::from(&b"x"[..]).into());
        pushed.map(drop).map_err(|error| error.1)
    }

    fn is_evicted(mailbox: &Mailbox) -> bool {
        matches!(mailbox.evict(mailbox.life()), Eviction::Evicted(_))
    }

    #[test]
    fn a_mailbox_that_has_room_evicts_nothing() {
        let mailbox = bounded(2);
        assert_eq!(push(&mailbox), Ok(()));
        assert!(!is_evicted(&mailbox));
        assert_eq!(push(&mailbox), Ok(()));
        assert_eq!(push(&mailbox), Err(Refusal::Full));
        assert!(is_evicted(&mailbox));
        assert!(!is_evicted(&mailbox), "one is enough");
        assert_eq!(mailbox.len(), 1);
        let unbounded = Mailbox::new();
        assert_eq!(push(&unbounded), Ok(()));
        assert!(!is_evicted(&unbounded));
    }

    #[test]
    fn the_oldest_goes_and_orders_stay() {
        let mailbox = bounded(2);
        for word in ["one", "two"] {
            let message = Message::from(word.as_bytes());
            mailbox
                .push(Lane::User, message.into())
                .expect("there is room");
            // An order in the user lane, which takes up no room.
            mailbox
                .push(Lane::User, Envelope::Wake)
                .expect("it does not count");
        }
        let Eviction::Evicted(Envelope::User(oldest, _)) = mailbox.evict(mailbox.life()) else {
            panic!("it is full");
        };
        assert_eq!(&oldest[..], b"one");
        assert!(matches!(mailbox.pop(), Some(Envelope::Wake)));
        assert!(matches!(mailbox.pop(), Some(Envelope::User(..))));
    }

    #[test]
    fn a_bound_may_shrink_to_nothing_and_grow_again() {
        let mailbox = bounded(3);
        assert_eq!(push(&mailbox), Ok(()));
        assert!(mailbox.set_capacity(0));
        assert_eq!((mailbox.capacity(), mailbox.room()), (Some(0), 0));
        assert_eq!(push(&mailbox), Err(Refusal::Full));
        assert!(is_evicted(&mailbox));
        let nothing = mailbox.evict(mailbox.life());
        assert!(matches!(nothing, Eviction::NothingToEvict), "{nothing:?}");
        assert!(mailbox.set_capacity(2));
        assert_eq!(mailbox.room(), 2);
        assert_eq!(push(&mailbox), Ok(()));
        assert!(
            !Mailbox::new().set_capacity(2),
            "whether there is a bound holds for life"
        );
    }
}
