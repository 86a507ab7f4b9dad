//! The mailbox itself: the stack of user messages, the signal lane, and the gate.

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;

use iris_core::{Envelope, Exit, Lane, Message};
use thiserror::Error;

use crate::chain::Chain;
use crate::head::{COUNT_MASK, Gate, Word};
use crate::node::NONE;
use crate::pool;
use crate::runner::{Runner, Turn};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, fence};

/// The messages of one process that wait to be handled.
///
/// Two cache lines: one that producers write, one that the runner writes.
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
#[repr(C, align(64))]
pub struct Mailbox {
    head: AtomicU64,
    signals: Mutex<VecDeque<Envelope>>,
    runner: Runner,
}

#[cfg(all(not(feature = "loom"), target_pointer_width = "64"))]
const _: () = {
    assert!(size_of::<Mailbox>() == 128, "two cache lines");
    assert!(std::mem::offset_of!(Mailbox, runner) == 64);
};

/// The mailbox takes nothing more of this kind; here it is back.
#[derive(Debug, Error)]
#[error("the mailbox is closed")]
pub struct PushError(pub Envelope);

/// What [`Mailbox::pop_step`] found.
#[derive(Debug)]
pub enum Popped {
    /// The next signal, or else the oldest user message.
    Envelope(Envelope),
    /// Nothing.
    Empty,
    /// Many messages, which are not all in order yet. Ask again.
    Unsorted,
}

impl Mailbox {
    /// An empty, open mailbox. Allocates nothing.
    pub fn new() -> Self {
        Self {
            head: AtomicU64::new(Word::NEW.0),
            signals: Mutex::new(VecDeque::new()),
            runner: Runner::new(),
        }
    }

    /// Adds `envelope` at the end of `lane`.
    ///
    /// FIFO for each sender and lane. In the user lane it never waits and costs one
    /// compare-and-swap; in the signal lane, which is for the rare, a lock.
    ///
    /// # Errors
    ///
    /// The envelope comes back once the process is ending: at once for the user lane,
    /// after its end for signals.
    ///
    /// # Panics
    ///
    /// In the user lane, when about a billion messages wait in all mailboxes together.
    #[inline]
    pub fn push(&self, lane: Lane, envelope: Envelope) -> Result<(), PushError> {
        match lane {
            Lane::User => self.push_user(envelope, Gate::Open),
            Lane::Signal => self.push_signal(envelope),
        }
    }

    /// Takes no more user messages and queues the order to stop in `lane`.
    ///
    /// In the user lane the process handles what is queued and then ends; in the signal
    /// lane it ends with its next look into the mailbox, also if it was draining before.
    /// `false` if it was already stopping as fast or faster.
    pub fn seal(&self, lane: Lane, exit: Exit) -> bool {
        let sealed = match lane {
            Lane::User => self.push_user(Envelope::Stop(exit), Gate::Draining).is_ok(),
            Lane::Signal => self.stop(exit),
        };
        // See `gate`.
        fence(Ordering::SeqCst);
        sealed
    }

    /// The next signal, or else the oldest user message. For the runner only: one thread
    /// at a time.
    ///
    /// After a burst the first call takes time in proportion to it, some 2 to 50 ns for
    /// each message; [`pop_step`](Self::pop_step) does not.
    #[inline]
    pub fn pop(&self) -> Option<Envelope> {
        let turn = self.enter()?;
        loop {
            match self.look(&turn) {
                Next::Message => return turn.pop(),
                Next::Signal => return self.pop_signal(),
                Next::Nothing => return None,
                Next::Unsorted => {}
            }
        }
    }

    /// Like [`pop`](Self::pop), in steps: at most 1024 messages are put in order before it
    /// returns. A signal is found between two steps.
    #[inline]
    pub fn pop_step(&self) -> Popped {
        let Some(turn) = self.enter() else {
            return Popped::Empty;
        };
        let envelope = match self.look(&turn) {
            Next::Message => turn.pop(),
            Next::Signal => self.pop_signal(),
            Next::Nothing => None,
            Next::Unsorted => return Popped::Unsorted,
        };
        envelope.map_or(Popped::Empty, Popped::Envelope)
    }

    /// Refuses everything from now on and returns the user messages and system
    /// messages that were left, signals first, each lane oldest first.
    ///
    /// For the runner, or for who gives up on a runner that does not come back from its
    /// handler. Should that one be in `pop` at this very moment, then what it has taken
    /// from the stack already stays with it, for its later calls of `pop` and `close`.
    pub fn close(&self) -> Vec<Message> {
        let (signals, mut stack) = {
            // The lock decides between this and a push into the signal lane, the exchange
            // between this and one into the user lane.
            let mut signals = self.lock_signals();
            self.runner.signals.store(false, Ordering::Release);
            let before = self
                .update(|word| Some(word.emptied().gated(Gate::Closed)))
                .unwrap_or(Word::NEW);
            // SAFETY: the exchange took the stack, and nobody had its nodes but the stack.
            let stack = unsafe { Chain::new(before.index()) };
            (std::mem::take(&mut *signals), stack)
        };
        let backlog = self.runner.enter().map(|turn| turn.clear());
        stack.reverse();

        let mut left = Vec::new();
        // To be dropped last: dropping a behavior is code of others, and may panic.
        let mut orders = Vec::new();
        let mut keep = |envelope| match envelope {
            Envelope::Message(message) => left.push(message),
            other => orders.push(other),
        };
        signals.into_iter().for_each(&mut keep);
        let mut counted = 0_u32;
        for envelope in backlog.into_iter().flatten().chain(stack) {
            counted += u32::from(envelope.is_user_message());
            keep(envelope);
        }
        // Not to `popped`, which is the runner's to write.
        self.update(|word| Some(word.without(counted)));
        left
    }

    /// Closes the mailbox if nothing is in it; `false` and no change otherwise. For the
    /// runner only.
    pub fn close_if_empty(&self) -> bool {
        let Some(turn) = self.enter() else {
            // Somebody is closing it right now.
            return true;
        };
        // No signal comes in while the lock is held.
        let signals = self.lock_signals();
        turn.is_empty()
            && signals.is_empty()
            && self
                .update(|word| (word.index() == NONE).then(|| word.gated(Gate::Closed)))
                .is_some()
    }

    /// Whether user messages are still accepted: neither draining nor stopped.
    pub fn is_open(&self) -> bool {
        self.gate() == Gate::Open
    }

    /// User messages that no handler has been given yet; signals do not count.
    ///
    /// Exact, unless the runner hands out messages all the while that this looks; then some
    /// of those may be counted still.
    pub fn len(&self) -> usize {
        // Both counts only go up. A look at the second between two equal looks at the first
        // is a snapshot. Bounded, for the runner may be faster.
        let mut popped = self.runner.popped();
        let mut pushed = self.word().pushed();
        for _ in 0..LEN_LOOKS {
            let now = self.runner.popped();
            if now == popped {
                break;
            }
            popped = now;
            pushed = self.word().pushed();
        }
        (pushed.wrapping_sub(popped) & COUNT_MASK) as usize
    }

    /// Whether there is nothing at all to take, signals included.
    ///
    /// Exact for the runner. To others `true` says that all which was in it when they asked
    /// has been taken.
    pub fn is_empty(&self) -> bool {
        // The stack before the runner's line: that is the way that nodes go.
        !self.runner.signals.load(Ordering::Acquire)
            && self.word().index() == NONE
            && self.runner.is_empty()
    }

    /// Whether queued messages can still reach the handler: open or draining.
    pub fn is_alive(&self) -> bool {
        self.gate() < Gate::Stopping
    }

    /// The gate, and a promise: if a thread writes something and then asks for the gate,
    /// and another seals and then reads what the first wrote, then one of them sees the
    /// other. A process that begins to wait and one who stops it rely on that.
    fn gate(&self) -> Gate {
        fence(Ordering::SeqCst);
        self.word().gate()
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.head.load(Ordering::Acquire))
    }

    /// Exchanges the head word for what `next` makes of it and returns the old one; `None`
    /// and no change if `next` declines.
    #[inline]
    fn update(&self, next: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let mut seen = self.word();
        loop {
            let new = next(seen)?;
            match self.head.compare_exchange_weak(
                seen.0,
                new.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(seen),
                Err(now) => seen = Word(now),
            }
        }
    }

    /// Puts `envelope` on the stack and moves the gate to `gate`, unless it is beyond: for
    /// messages that is [`Gate::Open`], for the order to drain [`Gate::Draining`].
    #[inline]
    fn push_user(&self, envelope: Envelope, gate: Gate) -> Result<(), PushError> {
        let refuses = |word: Word| match gate {
            Gate::Open => word.gate() > Gate::Open,
            _ => word.gate() >= gate,
        };
        let mut seen = self.word();
        if refuses(seen) {
            return Err(PushError(envelope));
        }
        let is_user_message = envelope.is_user_message();
        let (index, node) = pool::acquire();
        // SAFETY: `acquire` made this thread the owner, until the exchange succeeds.
        unsafe { node.fill(envelope) };
        loop {
            // SAFETY: as above; the exchange has not succeeded yet.
            unsafe { node.set_next(seen.index()) };
            let new = seen.with(index, is_user_message).gated(gate);
            match self.head.compare_exchange_weak(
                seen.0,
                new.0,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => seen = Word(now),
            }
            if refuses(seen) {
                // SAFETY: the node never left this thread, and was filled above.
                let envelope = unsafe { node.empty() };
                // SAFETY: nobody uses the node after this.
                unsafe { pool::release(index, node) };
                return Err(PushError(envelope));
            }
        }
    }

    #[cold]
    fn push_signal(&self, envelope: Envelope) -> Result<(), PushError> {
        let mut signals = self.lock_signals();
        // The gate closes only under the lock.
        if self.word().gate() == Gate::Closed {
            return Err(PushError(envelope));
        }
        signals.push_back(envelope);
        self.runner.signals.store(true, Ordering::Release);
        Ok(())
    }

    fn stop(&self, exit: Exit) -> bool {
        let mut signals = self.lock_signals();
        // The gate goes to these two only under the lock, so what is read here holds.
        if self.word().gate() >= Gate::Stopping {
            return false;
        }
        signals.push_back(Envelope::Stop(exit));
        // Before the gate: a runner that sees itself stopped finds the order.
        self.runner.signals.store(true, Ordering::Release);
        self.update(|word| Some(word.gated(Gate::Stopping)))
            .is_some()
    }

    /// What there is to pop, after a step of sorting if that is needed.
    #[inline]
    fn look(&self, turn: &Turn<'_>) -> Next {
        if self.runner.signals.load(Ordering::Acquire) {
            return Next::Signal;
        }
        if turn.is_empty() {
            if !self.take(turn) {
                return Next::Nothing;
            }
            // Who sent a signal and then one of these messages must see the signal go
            // first. It was there by the time of the take, if not by that of the look above.
            if self.runner.signals.load(Ordering::Acquire) {
                return Next::Signal;
            }
        }
        if turn.sort() {
            Next::Message
        } else {
            Next::Unsorted
        }
    }

    #[cold]
    fn pop_signal(&self) -> Option<Envelope> {
        let mut signals = self.lock_signals();
        let signal = signals.pop_front();
        if signals.is_empty() {
            self.runner.signals.store(false, Ordering::Release);
            // Most processes never get a second one.
            *signals = VecDeque::new();
        }
        signal
    }

    /// Moves the stack to the runner's line; `false` if it is empty.
    #[inline]
    fn take(&self, turn: &Turn<'_>) -> bool {
        let taken = self.update(|word| {
            turn.announce(word.index());
            (word.index() != NONE).then(|| word.emptied())
        });
        taken.is_some()
    }

    /// The right to pop. `None` while the mailbox is closed from outside, which is to say
    /// that there is nothing in it.
    #[inline]
    fn enter(&self) -> Option<Turn<'_>> {
        let turn = self.runner.enter();
        debug_assert!(
            turn.is_some() || self.word().gate() == Gate::Closed,
            "two threads take from one mailbox at once"
        );
        turn
    }

    fn lock_signals(&self) -> MutexGuard<'_, VecDeque<Envelope>> {
        // No code that can panic runs under the lock, so a poisoned one is whole.
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look found.
enum Next {
    Signal,
    Message,
    Unsorted,
    Nothing,
}

/// Looks at the counts in [`Mailbox::len`] before it settles for what it has.
const LEN_LOOKS: usize = 4;

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("gate", &self.gate())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        drop(self.runner.clear());
        // SAFETY: nobody else has the mailbox any more, so the stack is this thread's.
        drop(unsafe { Chain::new(self.word().index()) });
    }
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
