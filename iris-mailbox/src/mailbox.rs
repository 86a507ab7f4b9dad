//! The mailbox itself: the stack of user messages, the signal lane, and the gate.

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;

use iris_core::{Envelope, Exit, Lane, Payload};
use thiserror::Error;

use crate::chain::Chain;
use crate::head::{ASLEEP, COUNT_MASK, Gate, Word};
use crate::letter::Letter;
use crate::node::{NONE, Node};
use crate::pool;
use crate::runner::{Runner, Turn};
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, fence, relax};

mod consumer;
mod end;

pub use self::consumer::Consumer;

/// The signal lane. Boxed, so that the many mailboxes without a signal pay one word for it.
type Signals = Option<Box<VecDeque<Envelope>>>;

/// The messages of one process that wait to be handled.
///
/// Two cache lines: one that producers write, one that the runner writes. `P` and `R` are
/// room on them for what the owner wants to have there: 32 and 48 bytes keep the mailbox at
/// 128.
///
/// # Examples
///
/// ```
/// use iris_core::{Envelope, Lane, Payload};
/// use iris_mailbox::Mailbox;
///
/// let mailbox = Mailbox::new();
/// let wake = mailbox.push(Lane::User, Payload::copy_of(b"first").into()).unwrap();
/// assert!(wake, "nobody was looking");
/// mailbox.push(Lane::Signal, Envelope::Wake).unwrap();
/// assert_eq!(mailbox.len(), 1, "signals are not mail");
/// assert!(matches!(mailbox.pop(), Some(Envelope::Wake)), "but they come first");
/// ```
#[repr(C, align(128))]
pub struct Mailbox<P = (), R = ()> {
    head: AtomicU64,
    /// In which life the mailbox is. Written under the lock of `signals`.
    pub(crate) life: AtomicU32,
    /// [`BOUNDED`] and how many user messages it takes, or 0: any number. Whether it is 0
    /// changes between lives only.
    pub(crate) capacity: AtomicU32,
    /// `None` until there is a signal.
    signals: Mutex<Signals>,
    /// What the owner keeps beside what producers look at.
    pub beside_producers: P,
    pub(crate) runner: Runner<R>,
}

#[cfg(all(not(feature = "loom"), target_pointer_width = "64"))]
const _: () = {
    type Full = Mailbox<[u64; 4], [u64; 6]>;
    assert!(size_of::<Full>() == 128, "two cache lines");
    assert!(std::mem::offset_of!(Full, runner) == 64);
};

/// The mailbox does not take this; here it is back.
#[derive(Debug, Error)]
#[error("the mailbox does not take it: {1:?}")]
pub struct PushError(pub Envelope, pub Refusal);

/// Why a mailbox takes no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The process is ending: it takes no more of this kind.
    Closed,
    /// As many user messages wait as it has room for.
    Full,
    /// The life that the message was for is over, and another may have begun.
    Over,
}

/// What [`Mailbox::pop_step`] found.
#[derive(Debug)]
pub enum Popped {
    /// The oldest of the user lane.
    Letter(Letter),
    /// There is a signal, or the mailbox was closed from outside: see
    /// [`take_signal`](Mailbox::take_signal).
    Signal,
    /// Nothing.
    Empty,
    /// Many messages, which are not all in order yet. Ask again.
    Unsorted,
}

impl Mailbox {
    /// An empty, open mailbox with nobody looking into it. Allocates nothing.
    pub fn new() -> Self {
        Self::with((), ())
    }
}

impl<P, R> Mailbox<P, R> {
    /// An empty, open mailbox and what its owner keeps beside it.
    pub fn with(beside_producers: P, beside_runner: R) -> Self {
        Self {
            head: AtomicU64::new(Word::opened(0).0),
            life: AtomicU32::new(0),
            capacity: AtomicU32::new(0),
            signals: Mutex::new(None),
            beside_producers,
            runner: Runner::new(beside_runner),
        }
    }

    /// A closed mailbox, whose first life begins with [`reopen`](Self::reopen) and is to have
    /// the number `life`.
    pub fn unborn(life: u32, beside_producers: P, beside_runner: R) -> Self {
        let unborn = Self::with(beside_producers, beside_runner);
        unborn.life.store(life, Ordering::Relaxed);
        let closed = Word::opened(0).gated(Gate::Closed);
        unborn.head.store(closed.0, Ordering::Relaxed);
        unborn
    }

    /// Notes for onlookers whether the runner is at work. For the runner only.
    #[inline]
    pub fn set_running(&self, running: bool) {
        self.runner.running.store(running, Ordering::Relaxed);
    }

    /// Whether the runner was at work just now, as it said.
    pub fn is_running(&self) -> bool {
        self.runner.running.load(Ordering::Relaxed)
    }

    /// What the owner keeps beside what the runner writes.
    #[inline]
    pub fn beside_runner(&self) -> &R {
        &self.runner.beside
    }

    /// The number of the life that the mailbox is in; see [`reopen`](Self::reopen).
    #[inline]
    pub fn life(&self) -> u32 {
        self.life.load(Ordering::Acquire)
    }

    /// Adds `envelope` at the end of `lane`. `true` if nobody looks into the mailbox: the
    /// caller, and nobody else, must see to it that somebody does.
    ///
    /// FIFO for each sender and lane. In the user lane it never waits and costs one
    /// compare-and-swap; in the signal lane, which is for the rare, a lock.
    ///
    /// # Errors
    ///
    /// The envelope comes back once the process is ending: at once for the user lane,
    /// after its end for signals. User messages also come back while the mailbox is full.
    ///
    /// # Panics
    ///
    /// In the user lane, when about half a billion messages wait in all mailboxes together.
    #[inline]
    pub fn push(&self, lane: Lane, envelope: Envelope) -> Result<bool, PushError> {
        self.push_in(self.life(), lane, envelope)
    }

    /// As [`push`](Self::push), for the process of one certain life: never reaches its
    /// successor.
    ///
    /// # Errors
    ///
    /// As there, and [`Refusal::Over`].
    ///
    /// # Panics
    ///
    /// As there.
    #[inline]
    pub fn push_in(&self, life: u32, lane: Lane, envelope: Envelope) -> Result<bool, PushError> {
        match lane {
            Lane::User => self.push_user(life, envelope, Gate::Open, Room::Bounded),
            Lane::Signal => self.push_signal(life, envelope),
        }
    }

    /// As [`push_in`](Self::push_in) into the user lane, no matter whether it is full.
    ///
    /// # Errors
    ///
    /// As there, but for [`Refusal::Full`].
    ///
    /// # Panics
    ///
    /// As there.
    pub fn push_over(&self, life: u32, envelope: Envelope) -> Result<bool, PushError> {
        self.push_user(life, envelope, Gate::Open, Room::Any)
    }

    /// Takes no more user messages and queues the order to stop in `lane`. `None` if it was
    /// already stopping as fast or faster, or the life is over; else whether the caller must
    /// see to it that somebody looks, as with [`push`](Self::push).
    ///
    /// In the user lane the process handles what is queued and then ends; in the signal
    /// lane it ends with its next look into the mailbox, also if it was draining before.
    pub fn seal(&self, lane: Lane, exit: Exit) -> Option<bool> {
        self.seal_in(self.life(), lane, exit)
    }

    /// As [`seal`](Self::seal), for the process of one certain life.
    pub fn seal_in(&self, life: u32, lane: Lane, exit: Exit) -> Option<bool> {
        let sealed = match lane {
            Lane::User => self
                .push_user(life, Envelope::Stop(exit), Gate::Draining, Room::Any)
                .ok(),
            Lane::Signal => self.stop(life, exit),
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
        loop {
            match self.pop_step() {
                Popped::Letter(letter) => return Some(letter.open()),
                Popped::Signal => return self.take_signal(),
                Popped::Empty => return None,
                Popped::Unsorted => {}
            }
        }
    }

    /// Like [`pop`](Self::pop), in steps: at most 256 messages are put in order before it
    /// returns. A signal is found between two steps.
    #[inline]
    pub fn pop_step(&self) -> Popped {
        self.enter()
            .map_or(Popped::Empty, |turn| self.pop_in(&turn))
    }

    /// The mailbox for its one runner, which need not ask each time whether it is the only one.
    ///
    /// # Safety
    ///
    /// As long as the consumer lives, no other thread has one of this mailbox, or calls
    /// [`pop`](Self::pop), [`pop_step`](Self::pop_step), [`close`](Self::close) or
    /// [`close_if_empty`](Self::close_if_empty). All else is free to all.
    #[inline]
    pub unsafe fn consumer(&self) -> Consumer<'_, P, R> {
        Consumer(self)
    }

    /// The runner, having found nothing, stops looking: from now on a push tells its caller
    /// to see to it that somebody looks. `false` if something has come meanwhile: the runner
    /// must go on. For the runner only.
    #[inline]
    #[must_use]
    pub fn sleep(&self) -> bool {
        self.sleep_in(self.life())
    }

    /// As [`sleep`](Self::sleep), for the runner of one certain life. Also `true` if the life
    /// was ended right after it fell asleep: whoever ended it has found nobody with the duty,
    /// and sees to what is left. A closed mailbox lets nobody sleep, but [`resign`](Self::resign).
    #[inline]
    #[must_use]
    pub fn sleep_in(&self, life: u32) -> bool {
        let mut seen = self.word();
        loop {
            let closed = seen.gate() == Gate::Closed;
            if seen.index() != NONE || closed || !self.runner.is_empty() {
                return false;
            }
            match self.head.compare_exchange_weak(
                seen.0,
                seen.put_to_sleep().0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => seen = Word(now),
            }
        }
        // A signal raises its flag and then wakes, which is an exchange of the same word: it
        // comes before the one above and is seen here, or after and finds the runner asleep.
        // From the exchange on the life may end, and with it the right to touch the word.
        !self.runner.signals.load(Ordering::Acquire) || !self.wake_in(life)
    }

    /// Wakes whoever should look, in one certain life: `true` if the caller must see to it that
    /// somebody does. For when there is another reason to look than a push.
    #[must_use]
    pub fn wake_in(&self, life: u32) -> bool {
        let _signals = self.lock_signals();
        self.life.load(Ordering::Relaxed) == life && self.wake()
    }

    #[inline]
    fn wake(&self) -> bool {
        // A read-modify-write even where it changes nothing: see `sleep`.
        Word(self.head.fetch_and(!ASLEEP, Ordering::AcqRel)).is_asleep()
    }

    /// Gives up the duty to look without looking: what is in the mailbox stays there until
    /// the next push wakes somebody. For who holds that duty and cannot fulfil it.
    fn abandon_look(&self) {
        self.head.fetch_or(ASLEEP, Ordering::AcqRel);
    }

    /// Whether nobody has the duty to look.
    #[inline]
    pub fn is_asleep(&self) -> bool {
        self.word().is_asleep()
    }

    /// Whether user messages are still accepted: neither draining nor stopped.
    pub fn is_open(&self) -> bool {
        self.gate() == Gate::Open
    }

    /// Whether nothing is accepted any more.
    pub fn is_closed(&self) -> bool {
        self.gate() == Gate::Closed
    }

    /// User messages that were ever taken out, modulo 2^32.
    pub fn popped(&self) -> u32 {
        self.runner.popped()
    }

    /// User messages that no handler has been given yet; signals do not count.
    ///
    /// Exact, unless the runner hands out messages all the while that this looks; then some
    /// of those may be counted still.
    pub fn len(&self) -> usize {
        // Both counts only go up. A look at the second between two equal looks at the first
        // is a snapshot. Bounded, for the runner may be faster.
        let mut popped = self.runner.popped();
        let mut word = self.word();
        for _ in 0..LEN_LOOKS {
            let now = self.runner.popped();
            if now == popped {
                break;
            }
            popped = now;
            word = self.word();
        }
        if word.gate() == Gate::Closed {
            return 0;
        }
        waiting(word, popped) as usize
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
    pub(crate) fn gate(&self) -> Gate {
        fence(Ordering::SeqCst);
        self.word().gate()
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word(self.head.load(Ordering::Acquire))
    }

    /// Exchanges the head word for what `next` makes of it and returns the old one; `None`
    /// and no change if `next` declines.
    #[inline]
    pub(crate) fn update(&self, next: impl Fn(Word) -> Option<Word>) -> Option<Word> {
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

    /// What stands against a push, if anything does: for messages the gate must be open, for
    /// the order to drain it must not be there yet.
    #[inline]
    fn refusal(&self, word: Word, life: u32, gate: Gate, room: Room) -> Option<Refusal> {
        // After the word was read: should the life end after this look, then the word
        // changes, and never back (see `reopen`).
        if self.life.load(Ordering::Acquire) != life {
            return Some(Refusal::Over);
        }
        let closed = match gate {
            Gate::Open => word.gate() > Gate::Open,
            _ => word.gate() >= gate,
        };
        if closed {
            return Some(Refusal::Closed);
        }
        let capacity = self.capacity.load(Ordering::Relaxed);
        // What is popped after this look only makes more room. There are no more nodes than
        // `COUNT_MASK`: with that bound it is never full, and the runner's line, which it writes for
        // each message, is left alone.
        let full = capacity != 0
            && capacity & COUNT_MASK != COUNT_MASK
            && room == Room::Bounded
            && waiting(word, self.runner.popped()) >= capacity & COUNT_MASK;
        full.then_some(Refusal::Full)
    }

    /// Puts `envelope` on the stack and moves the gate to `gate`, unless it is beyond.
    #[inline]
    fn push_user(
        &self,
        life: u32,
        envelope: Envelope,
        gate: Gate,
        room: Room,
    ) -> Result<bool, PushError> {
        let is_user_message = envelope.is_user_message();
        let room = if is_user_message { room } else { Room::Any };
        let seen = self.word();
        if let Some(refusal) = self.refusal(seen, life, gate, room) {
            return Err(PushError(envelope, refusal));
        }
        let (index, node) = pool::acquire();
        // SAFETY: `acquire` made this thread the owner.
        unsafe { node.fill(envelope) };
        let admit = |word| match self.refusal(word, life, gate, room) {
            Some(refusal) => Err(refusal),
            None => Ok(word.with(index, is_user_message).gated(gate)),
        };
        // SAFETY: the node is this thread's, and filled.
        unsafe { self.stack(seen, node, admit) }.map_err(|refusal| {
            // SAFETY: the node never left this thread, and was filled above.
            let envelope = unsafe { node.empty() };
            // SAFETY: nobody uses the node after this.
            unsafe { pool::release(index, node) };
            PushError(envelope, refusal)
        })
    }

    /// As [`push_in`](Self::push_in) into the user lane, of at most
    /// [`Payload::INLINE`] bytes: they are written once, to where
    /// they are read.
    ///
    /// # Errors
    ///
    /// Why not; the bytes are the caller's still.
    ///
    /// # Panics
    ///
    /// As there.
    #[inline]
    pub fn push_inline(&self, life: u32, bytes: &[u8]) -> Result<bool, Refusal> {
        let seen = self.word();
        if let Some(refusal) = self.refusal(seen, life, Gate::Open, Room::Bounded) {
            return Err(refusal);
        }
        let (index, node) = pool::acquire();
        // SAFETY: `acquire` made this thread the owner.
        unsafe { node.fill(Envelope::User(Payload::copy_of(bytes), None)) };
        let admit = |word| match self.refusal(word, life, Gate::Open, Room::Bounded) {
            Some(refusal) => Err(refusal),
            None => Ok(word.with(index, true)),
        };
        // SAFETY: the node is this thread's, and filled.
        unsafe { self.stack(seen, node, admit) }.inspect_err(|_| {
            // SAFETY: the node never left this thread, and was filled above.
            drop(unsafe { node.empty() });
            // SAFETY: nobody uses the node after this.
            unsafe { pool::release(index, node) };
        })
    }

    /// Puts a node on the stack, as long as `admit` lets it, which says what becomes of a
    /// word. Whether the runner was asleep.
    ///
    /// # Safety
    ///
    /// The caller owns the node, which is filled, and gives it away with `Ok`.
    #[inline]
    unsafe fn stack(
        &self,
        mut seen: Word,
        node: &Node,
        admit: impl Fn(Word) -> Result<Word, Refusal>,
    ) -> Result<bool, Refusal> {
        loop {
            let new = admit(seen)?;
            // SAFETY: the exchange has not succeeded yet, so the node is the caller's.
            unsafe { node.set_next(seen.index()) };
            match self.head.compare_exchange_weak(
                seen.0,
                new.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(seen.is_asleep()),
                Err(now) => seen = Word(now),
            }
        }
    }

    #[cold]
    fn push_signal(&self, life: u32, envelope: Envelope) -> Result<bool, PushError> {
        let mut signals = self.lock_signals();
        if self.life.load(Ordering::Relaxed) != life {
            return Err(PushError(envelope, Refusal::Over));
        }
        // The gate closes only under the lock.
        if self.word().gate() == Gate::Closed {
            return Err(PushError(envelope, Refusal::Closed));
        }
        signals.get_or_insert_default().push_back(envelope);
        self.runner.signals.store(true, Ordering::Release);
        Ok(self.wake())
    }

    fn stop(&self, life: u32, exit: Exit) -> Option<bool> {
        let mut signals = self.lock_signals();
        // The gate goes to these two only under the lock, so what is read here holds.
        if self.life.load(Ordering::Relaxed) != life || self.word().gate() >= Gate::Stopping {
            return None;
        }
        signals
            .get_or_insert_default()
            .push_back(Envelope::Stop(exit));
        // Before the gate: a runner that sees itself stopped finds the order.
        self.runner.signals.store(true, Ordering::Release);
        self.update(|word| Some(word.gated(Gate::Stopping)))?;
        Some(self.wake())
    }

    #[inline]
    fn pop_in(&self, turn: &Turn<'_, R>) -> Popped {
        match self.look(turn) {
            Next::Message => turn.pop().map_or(Popped::Empty, Popped::Letter),
            Next::Signal => Popped::Signal,
            Next::Nothing => Popped::Empty,
            Next::Unsorted => Popped::Unsorted,
        }
    }

    /// What there is to pop, after a step of sorting if that is needed.
    #[inline]
    fn look(&self, turn: &Turn<'_, R>) -> Next {
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

    /// The next signal, after [`pop_step`](Self::pop_step) has said that there is one; `None` if
    /// the mailbox was closed from outside instead. For the runner only.
    #[cold]
    pub fn take_signal(&self) -> Option<Envelope> {
        let mut signals = self.lock_signals();
        let signal = signals.as_mut().and_then(|signals| signals.pop_front());
        if signals.as_ref().is_none_or(|signals| signals.is_empty()) {
            // Of a mailbox that was closed from outside the alarm stays up.
            let closed = self.word().gate() == Gate::Closed;
            self.runner.signals.store(closed, Ordering::Release);
            // Most processes never get a second one.
            *signals = None;
        }
        signal
    }

    /// Moves the stack to the runner's line; `false` if it is empty.
    #[inline]
    pub(crate) fn take(&self, turn: &Turn<'_, R>) -> bool {
        let taken = self.update(|word| {
            turn.announce(word.index());
            (word.index() != NONE).then(|| word.emptied())
        });
        taken.is_some()
    }

    /// The right to take out. `None` once the mailbox is closed and somebody else has it.
    #[inline]
    fn enter(&self) -> Option<Turn<'_, R>> {
        let turn = self.runner.enter();
        debug_assert!(
            turn.is_some() || self.word().gate() == Gate::Closed || self.is_shared(),
            "two threads take from one mailbox at once"
        );
        turn.or_else(|| self.enter_shared())
    }

    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.runner.is_shared()
    }

    /// As [`enter`](Self::enter), beside others who take one message out at a time.
    #[cold]
    pub(crate) fn enter_shared(&self) -> Option<Turn<'_, R>> {
        loop {
            if let Some(turn) = self.runner.enter() {
                return Some(turn);
            }
            if self.word().gate() == Gate::Closed && !self.is_shared() {
                return None;
            }
            relax();
        }
    }

    fn lock_signals(&self) -> MutexGuard<'_, Signals> {
        // No code that can panic runs under the lock, so a poisoned one is whole.
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// User messages that wait, from what was ever pushed and what was ever handed out.
#[inline]
pub(crate) fn waiting(word: Word, popped: u32) -> u32 {
    word.pushed().wrapping_sub(popped) & COUNT_MASK
}

/// Marks a capacity that is one; a mailbox may have room for none at all.
pub(crate) const BOUNDED: u32 = 1 << 31;

/// Whether a push minds the capacity.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Bounded,
    Any,
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

impl<P, R> fmt::Debug for Mailbox<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("gate", &self.gate())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<P, R> Drop for Mailbox<P, R> {
    fn drop(&mut self) {
        drop(self.runner.clear());
        // SAFETY: nobody else has the mailbox any more, so the stack is this thread's.
        drop(unsafe { Chain::new(self.word().index()) });
    }
}

#[cfg(test)]
mod tests {
    use iris_core::{ExitReason, Message};

    use super::*;

    fn mail(text: &'static str) -> Envelope {
        Envelope::from(Message::from(text.as_bytes()))
    }

    fn text(envelope: Option<Envelope>) -> String {
        match envelope {
            Some(Envelope::User(bytes, _)) => String::from_utf8(bytes.to_vec()).unwrap(),
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
        assert!(mailbox.seal(Lane::User, Exit::default()).is_some());
        let PushError(back, _) = mailbox.push(Lane::User, mail("late")).unwrap_err();
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
        assert!(
            mailbox
                .seal(Lane::User, ExitReason::Shutdown.into())
                .is_some()
        );
        assert!(
            mailbox
                .seal(Lane::Signal, ExitReason::Killed.into())
                .is_some()
        );
        assert!(
            mailbox
                .seal(Lane::User, ExitReason::Shutdown.into())
                .is_none()
        );
        assert!(
            mailbox
                .seal(Lane::Signal, ExitReason::Killed.into())
                .is_none()
        );
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
            .map(|m| text(Some(m.into())))
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
