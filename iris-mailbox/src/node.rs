//! One slot for an envelope, of one cache line.

use std::mem::MaybeUninit;

use iris_core::Envelope;

use crate::sync::{AtomicU32, UnsafeCell};

/// The number of a node in the pool; 0 is no node.
pub(crate) type Index = u32;

/// The index that no node has: the end of a list.
pub(crate) const NONE: Index = 0;

/// A link of a list, with room for one envelope.
///
/// **Ownership.** At each moment a node belongs to exactly one of: the pool, the thread
/// that got it from [`pool::acquire`](crate::pool::acquire) and has not pushed it yet, a
/// mailbox's stack (nobody touches it there), or the runner that took that stack. Only
/// the owner uses `next` and `envelope`. Each change of owner goes through an atomic with
/// release and acquire: the mailbox's head word, its `busy` flag, or the depot's head.
#[repr(C, align(64))]
pub(crate) struct Node {
    next: UnsafeCell<Index>,
    /// The next chunk in the depot. An atomic, for a thread that is about to lose the race
    /// for a chunk still reads it.
    pub(crate) link: AtomicU32,
    envelope: UnsafeCell<MaybeUninit<Envelope>>,
}

#[cfg(not(feature = "loom"))]
const _: () = assert!(size_of::<Node>() == 64, "a node is one cache line");

// SAFETY: an envelope is `Send`, and what is not atomic here is touched by one owner at a
// time, which is the contract of the four methods below.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new() -> Self {
        Self {
            next: UnsafeCell::new(NONE),
            link: AtomicU32::new(NONE),
            envelope: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// # Safety
    ///
    /// The caller owns the node.
    #[inline]
    pub(crate) unsafe fn next(&self) -> Index {
        // SAFETY: nobody else touches the field while the caller owns the node.
        self.next.with(|next| unsafe { *next })
    }

    /// # Safety
    ///
    /// The caller owns the node.
    #[inline]
    pub(crate) unsafe fn set_next(&self, index: Index) {
        // SAFETY: nobody else touches the field while the caller owns the node.
        self.next.with_mut(|next| unsafe { *next = index });
    }

    /// Fills the node. What was in it is forgotten, not dropped.
    ///
    /// # Safety
    ///
    /// The caller owns the node.
    #[inline]
    pub(crate) unsafe fn fill(&self, envelope: Envelope) {
        self.envelope.with_mut(|slot| {
            // SAFETY: nobody else touches the field while the caller owns the node.
            unsafe { (*slot).write(envelope) };
        });
    }

    /// Whether a user message is inside.
    ///
    /// # Safety
    ///
    /// The caller owns the node, and it is filled.
    #[inline]
    pub(crate) unsafe fn has_user_message(&self) -> bool {
        // SAFETY: nobody else touches the field while the caller owns the node, and there
        // is an envelope in it.
        self.envelope
            .with(|slot| unsafe { (*slot).assume_init_ref() }.is_user_message())
    }

    /// The envelope inside.
    ///
    /// # Safety
    ///
    /// The caller owns the node for as long as it uses the reference, and it is filled.
    #[inline]
    pub(crate) unsafe fn envelope(&self) -> &Envelope {
        // SAFETY: nobody else touches the field while the caller owns the node, and there is
        // an envelope in it.
        self.envelope
            .with(|slot| unsafe { (*slot).assume_init_ref() })
    }

    /// As [`envelope`](Self::envelope), to change.
    ///
    /// # Safety
    ///
    /// As there, and it is the only reference.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "who owns the node has it to itself")]
    pub(crate) unsafe fn envelope_mut(&self) -> &mut Envelope {
        // SAFETY: as in `envelope`, and the caller has no other reference.
        self.envelope
            .with_mut(|slot| unsafe { (*slot).assume_init_mut() })
    }

    /// Moves the envelope out.
    ///
    /// # Safety
    ///
    /// The caller owns the node, and it was filled since it was last emptied.
    #[inline]
    pub(crate) unsafe fn empty(&self) -> Envelope {
        // SAFETY: nobody else touches the field while the caller owns the node, and there
        // is an envelope in it that nobody has moved out.
        self.envelope
            .with(|slot| unsafe { (*slot).assume_init_read() })
    }
}
