//! A list of filled nodes that its holder owns.

use iris_core::Envelope;

use crate::node::{Index, NONE};
use crate::pool;

/// Filled nodes, linked by `next`. What is left when it is dropped is dropped, too.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    first: Index,
}

impl Chain {
    /// # Safety
    ///
    /// The caller owns all nodes of the list and gives them to the chain; all are filled.
    pub(crate) unsafe fn new(first: Index) -> Self {
        Self { first }
    }

    /// Turns the list around, in one go.
    pub(crate) fn reverse(&mut self) {
        // SAFETY: the nodes are this chain's.
        let (_, reversed) = unsafe { reverse_some(self.first, NONE, usize::MAX) };
        self.first = reversed;
    }
}

impl Iterator for Chain {
    type Item = Envelope;

    fn next(&mut self) -> Option<Envelope> {
        if self.first == NONE {
            return None;
        }
        let (index, node) = (self.first, pool::node(self.first));
        // SAFETY: the node is this chain's, and leaves it here.
        self.first = unsafe { node.next() };
        // SAFETY: the node is filled, and emptied only here, right before it goes back.
        let envelope = unsafe { node.empty() };
        // SAFETY: nobody uses the node after this.
        unsafe { pool::release(index, node) };
        Some(envelope)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// Moves up to `limit` nodes from the front of one list to the front of the other: the
/// rest of the first, and the second.
///
/// # Safety
///
/// The caller owns the nodes of both lists.
#[inline]
pub(crate) unsafe fn reverse_some(
    mut from: Index,
    mut onto: Index,
    limit: usize,
) -> (Index, Index) {
    for _ in 0..limit {
        if from == NONE {
            break;
        }
        let node = pool::node(from);
        // SAFETY: the caller owns the node.
        let rest = unsafe { node.next() };
        // SAFETY: the caller owns the node.
        unsafe { node.set_next(onto) };
        onto = from;
        from = rest;
    }
    (from, onto)
}
