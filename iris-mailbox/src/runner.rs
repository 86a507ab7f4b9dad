//! What the runner has taken from the stack and not handed out yet.

use iris_core::Envelope;

use crate::chain::{Chain, reverse_some};
use crate::letter::Letter;
use crate::node::{Index, NONE};
use crate::pool;
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// Nodes that are turned around in one step: half a microsecond where they are in the cache,
/// a dozen where none is.
pub(crate) const SORT_STEP: usize = 256;

/// Others than the runner take messages out, so that each turn needs the flag `busy`. Written
/// between lives only.
const SHARED: u8 = 1;

/// Senders wait until there is room. Raised within a turn.
const AWAITED: u8 = 2;

/// The runner's cache line. All of it but the flags is written through a [`Turn`] only.
///
/// `R` is what the runner keeps beside it.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Runner<R> {
    /// Whether the signal lane may hold something. Written under its lock.
    pub(crate) signals: AtomicBool,
    /// [`SHARED`] and [`AWAITED`]: two notes about a bounded mailbox, together since the runner
    /// looks at them for each message.
    bounds: AtomicU8,
    /// Whether there is a [`Turn`].
    busy: AtomicBool,
    /// What the runner says of itself.
    pub(crate) running: AtomicBool,
    /// The rest of a stack that was taken, newest first.
    taken: AtomicU32,
    /// The part of it that has been turned around, oldest first; complete, and so fit to be
    /// handed out, when `taken` is empty.
    sorted: AtomicU32,
    /// User messages ever handed out, modulo 2^32.
    popped: AtomicU32,
    pub(crate) beside: R,
}

impl<R> Runner<R> {
    pub(crate) fn new(beside: R) -> Self {
        Self {
            signals: AtomicBool::new(false),
            bounds: AtomicU8::new(0),
            busy: AtomicBool::new(false),
            running: AtomicBool::new(false),
            taken: AtomicU32::new(NONE),
            sorted: AtomicU32::new(NONE),
            popped: AtomicU32::new(0),
            beside,
        }
    }

    /// Begins another life after so many messages. Nobody has a turn or gets one meanwhile.
    pub(crate) fn reopen(&self, pushed: u32, shared: bool) {
        debug_assert!(self.is_empty(), "a life begins with an empty mailbox");
        self.signals.store(false, Ordering::Relaxed);
        let bounds = if shared { SHARED } else { 0 };
        self.bounds.store(bounds, Ordering::Relaxed);
        self.running.store(false, Ordering::Relaxed);
        self.popped.store(pushed, Ordering::Relaxed);
    }

    /// The right to the nodes of this line, unless another thread holds it.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Turn<'_, R>> {
        // Also a release: who is turned away learns what the other did before it came, which
        // is to close the gate. An exchange that leaves the flag alone when it fails, for
        // loom lets the write of a failed swap overtake the store that gives the turn back.
        self.busy
            .compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            .then(|| Turn {
                runner: self,
                gives_back: true,
            })
    }

    /// The right to the nodes of this line for the one runner of a line that is not shared.
    ///
    /// # Safety
    ///
    /// No other thread has a turn for as long as this one lives.
    #[inline]
    pub(crate) unsafe fn enter_alone(&self) -> Turn<'_, R> {
        Turn {
            runner: self,
            gives_back: false,
        }
    }

    /// Whether each turn needs the flag.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.bounds.load(Ordering::Relaxed) & SHARED != 0
    }

    /// Whether senders wait until there is room.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        self.bounds.load(Ordering::Relaxed) & AWAITED != 0
    }

    /// Notes that none waits any more.
    pub(crate) fn forget_awaited(&self) {
        self.bounds.fetch_and(!AWAITED, Ordering::Relaxed);
    }

    /// User messages ever handed out, modulo 2^32.
    #[inline]
    pub(crate) fn popped(&self) -> u32 {
        self.popped.load(Ordering::Acquire)
    }

    /// Whether there was a moment since the call at which this line held no nodes.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // In this order: a node goes into `sorted` before it leaves `taken`.
        self.taken.load(Ordering::Acquire) == NONE && self.sorted.load(Ordering::Acquire) == NONE
    }

    /// Everything at once, oldest first, for one who has the line for himself.
    pub(crate) fn clear(&mut self) -> Chain {
        // SAFETY: the exclusive borrow means that there is no turn.
        unsafe { self.enter_alone() }.clear()
    }
}

/// The right to the nodes of a runner's line, until it is dropped.
///
/// The loads here are relaxed, for only the holder of a turn writes: `busy` orders one
/// turn after the other. The stores are releases for those who look on from outside.
pub(crate) struct Turn<'a, R> {
    runner: &'a Runner<R>,
    /// Whether `busy` was set for this turn.
    gives_back: bool,
}

impl<R> Turn<'_, R> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.taken() == NONE && self.sorted() == NONE
    }

    /// Announces the stack that is about to be taken, so that nobody who looks on sees its
    /// nodes neither there nor here; [`NONE`] to take the announcement back.
    #[inline]
    pub(crate) fn announce(&self, top: Index) {
        debug_assert_eq!(
            self.sorted(),
            NONE,
            "a stack is taken when the last is spent"
        );
        self.runner.taken.store(top, Ordering::Release);
    }

    /// One step of turning a taken stack around; `true` once it is done.
    #[inline]
    pub(crate) fn sort(&self) -> bool {
        let taken = self.taken();
        if taken == NONE {
            return true;
        }
        // SAFETY: both lists belong to the holder of the turn.
        let (taken, sorted) = unsafe { reverse_some(taken, self.sorted(), SORT_STEP) };
        self.runner.sorted.store(sorted, Ordering::Release);
        self.runner.taken.store(taken, Ordering::Release);
        taken == NONE
    }

    /// The oldest envelope, in its node. All must be sorted.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Letter> {
        debug_assert_eq!(self.taken(), NONE, "the oldest is known after sorting");
        let oldest = self.sorted();
        if oldest == NONE {
            return None;
        }
        let node = pool::node(oldest);
        // SAFETY: the list belongs to the holder of the turn, and all of it is filled.
        let (rest, is_user_message) = unsafe { (node.next(), node.has_user_message()) };
        self.runner.sorted.store(rest, Ordering::Release);
        if is_user_message {
            self.count_popped();
        }
        // SAFETY: the node was filled, and left the list above.
        Some(unsafe { Letter::new(oldest, node) })
    }

    /// As [`pop`](Self::pop), if the oldest envelope is one that is `wanted`.
    pub(crate) fn pop_if(&self, wanted: impl FnOnce(&Envelope) -> bool) -> Option<Letter> {
        let oldest = self.sorted();
        // SAFETY: the list belongs to the holder of the turn, and all of it is filled.
        let is_wanted = oldest != NONE && wanted(unsafe { pool::node(oldest).envelope() });
        is_wanted.then(|| self.pop()).flatten()
    }

    #[inline]
    fn count_popped(&self) {
        let popped = self.runner.popped.load(Ordering::Relaxed).wrapping_add(1);
        self.runner.popped.store(popped, Ordering::Release);
    }

    /// The oldest user message, from among what else is queued. All must be sorted.
    pub(crate) fn evict(&self) -> Option<Letter> {
        debug_assert_eq!(self.taken(), NONE, "the oldest is known after sorting");
        let (mut before, mut at) = (NONE, self.sorted());
        while at != NONE {
            let node = pool::node(at);
            // SAFETY: the list belongs to the holder of the turn, and all of it is filled.
            let (rest, is_user_message) = unsafe { (node.next(), node.has_user_message()) };
            if !is_user_message {
                (before, at) = (at, rest);
                continue;
            }
            if before == NONE {
                self.runner.sorted.store(rest, Ordering::Release);
            } else {
                // SAFETY: as above.
                unsafe { pool::node(before).set_next(rest) };
            }
            self.count_popped();
            // SAFETY: the node was filled, and left the list above.
            return Some(unsafe { Letter::new(at, node) });
        }
        None
    }

    /// Puts a stack behind what is sorted, which must be something.
    ///
    /// # Safety
    ///
    /// The caller owns the nodes of the stack and gives them to the runner's line.
    pub(crate) unsafe fn append(&self, stack: Index) {
        // SAFETY: the nodes are the caller's.
        let (_, sorted) = unsafe { reverse_some(stack, NONE, usize::MAX) };
        let mut last = self.sorted();
        loop {
            let node = pool::node(last);
            // SAFETY: the list belongs to the holder of the turn.
            let next = unsafe { node.next() };
            if next == NONE {
                // SAFETY: as above.
                unsafe { node.set_next(sorted) };
                return;
            }
            last = next;
        }
    }

    /// Notes that senders wait. Whoever has the next turn sees it.
    pub(crate) fn note_awaited(&self) {
        // The turn's end is a release, the next one's begin an acquire.
        self.runner.bounds.fetch_or(AWAITED, Ordering::Relaxed);
    }

    /// Everything at once, oldest first. Leaves `popped` alone.
    pub(crate) fn clear(&self) -> Chain {
        while !self.sort() {}
        let first = self.sorted();
        self.runner.sorted.store(NONE, Ordering::Release);
        // SAFETY: the list belongs to the holder of the turn, who just gave it up.
        unsafe { Chain::new(first) }
    }

    #[inline]
    fn taken(&self) -> Index {
        self.runner.taken.load(Ordering::Relaxed)
    }

    #[inline]
    fn sorted(&self) -> Index {
        self.runner.sorted.load(Ordering::Relaxed)
    }
}

impl<R> Drop for Turn<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if self.gives_back {
            self.runner.busy.store(false, Ordering::Release);
        }
    }
}
