//! An envelope that was taken out of a mailbox, still in its node.

use std::fmt;
use std::mem::ManuallyDrop;

use iris_core::Envelope;

use crate::node::{Index, Node};
use crate::pool;

/// One envelope, where its sender has put it: looked at in place, it is never copied.
pub struct Letter {
    index: Index,
    node: &'static Node,
}

impl Letter {
    /// # Safety
    ///
    /// The caller owns the node with this index, which is filled, and gives it to the letter.
    #[inline]
    pub(crate) unsafe fn new(index: Index, node: &'static Node) -> Self {
        Self { index, node }
    }

    /// What is inside.
    #[inline]
    pub fn envelope(&self) -> &Envelope {
        // SAFETY: the node is this letter's, and filled for as long as that lives.
        unsafe { self.node.envelope() }
    }

    /// What is inside, to be changed where it is.
    #[inline]
    pub fn envelope_mut(&mut self) -> &mut Envelope {
        // SAFETY: as in `envelope`; the letter is borrowed for as long as the reference.
        unsafe { self.node.envelope_mut() }
    }

    /// Moves it out.
    #[inline]
    pub fn open(self) -> Envelope {
        let this = ManuallyDrop::new(self);
        // SAFETY: the node is this letter's, and filled.
        let envelope = unsafe { this.node.empty() };
        // SAFETY: nobody uses the node after this.
        unsafe { pool::release(this.index, this.node) };
        envelope
    }
}

impl Letter {
    /// Drops a letter whose envelope [owns nothing](Envelope::owns_nothing), without a look;
    /// what another one owns is leaked.
    #[inline]
    pub fn discard(self) {
        debug_assert!(self.envelope().owns_nothing(), "something is leaked");
        let this = ManuallyDrop::new(self);
        // SAFETY: the node is this letter's, and nobody uses it after this.
        unsafe { pool::release(this.index, this.node) };
    }
}

impl Drop for Letter {
    #[inline]
    fn drop(&mut self) {
        if self.envelope().owns_nothing() {
            // SAFETY: nobody uses the node after this, and nothing in it needs a drop.
            unsafe { pool::release(self.index, self.node) };
            return;
        }
        // SAFETY: the node is this letter's, and filled.
        let envelope = unsafe { self.node.empty() };
        // SAFETY: nobody uses the node after this.
        unsafe { pool::release(self.index, self.node) };
        // After that, for it may panic.
        drop(envelope);
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Letter").field(self.envelope()).finish()
    }
}
