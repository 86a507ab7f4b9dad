//! The word that producers fight for: what lies on the stack, and what is still let in.

use crate::node::{Index, NONE};

/// What a mailbox still takes in. It only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// Everything.
    Open,
    /// Signals; the queue will be handled and then the process ends.
    Draining,
    /// Signals; the process ends as soon as it looks.
    Stopping,
    /// Nothing: the process has ended.
    Closed,
}

/// One value of the head word; the crate's doc draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

const PUSHED_SHIFT: u32 = 32;
const GATE_SHIFT: u32 = 62;

/// Bits of a count of user messages.
pub(crate) const COUNT_MASK: u32 = (1 << (GATE_SHIFT - PUSHED_SHIFT)) - 1;

impl Word {
    /// Open, nothing on the stack, nothing ever pushed.
    pub(crate) const NEW: Self = Self(0);

    const fn new(index: Index, pushed: u32, gate: Gate) -> Self {
        Self(
            index as u64
                | ((pushed & COUNT_MASK) as u64) << PUSHED_SHIFT
                | (gate as u64) << GATE_SHIFT,
        )
    }

    /// The node on top of the stack.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub(crate) const fn index(self) -> Index {
        self.0 as u32
    }

    /// User messages that were ever pushed, modulo 2^30.
    pub(crate) const fn pushed(self) -> u32 {
        (self.0 >> PUSHED_SHIFT) as u32 & COUNT_MASK
    }

    pub(crate) const fn gate(self) -> Gate {
        match self.0 >> GATE_SHIFT {
            0 => Gate::Open,
            1 => Gate::Draining,
            2 => Gate::Stopping,
            _ => Gate::Closed,
        }
    }

    /// With another node on top.
    #[must_use]
    pub(crate) const fn with(self, index: Index, is_user_message: bool) -> Self {
        let pushed = self.pushed().wrapping_add(is_user_message as u32);
        Self::new(index, pushed, self.gate())
    }

    /// With another gate.
    #[must_use]
    pub(crate) const fn gated(self, gate: Gate) -> Self {
        Self::new(self.index(), self.pushed(), gate)
    }

    /// With nothing on the stack.
    #[must_use]
    pub(crate) const fn emptied(self) -> Self {
        Self::new(NONE, self.pushed(), self.gate())
    }

    /// As if so many user messages had never been pushed.
    #[must_use]
    pub(crate) const fn without(self, messages: u32) -> Self {
        let pushed = self.pushed().wrapping_sub(messages);
        Self::new(self.index(), pushed, self.gate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_wraps_leaves_its_neighbors_alone() {
        let full = Word::new(u32::MAX, COUNT_MASK, Gate::Draining);
        let wrapped = full.with(7, true);
        assert_eq!(
            (wrapped.index(), wrapped.pushed(), wrapped.gate()),
            (7, 0, Gate::Draining)
        );
        assert_eq!(wrapped.without(1).pushed(), COUNT_MASK);
        assert_eq!(full.with(u32::MAX, false), full);
    }

    #[test]
    fn each_gate_reads_as_it_was_written() {
        for gate in [Gate::Open, Gate::Draining, Gate::Stopping, Gate::Closed] {
            let word = Word::NEW.with(1, true).gated(gate).emptied();
            assert_eq!((word.gate(), word.pushed(), word.index()), (gate, 1, NONE));
        }
    }
}
