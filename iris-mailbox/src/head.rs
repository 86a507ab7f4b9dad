//! The word that producers fight for: what lies on the stack, what is still let in, and
//! whether anybody is there to take it.

use crate::node::{Index, NONE};

/// What a mailbox still takes in. It only ever moves down this list, until the mailbox is
/// opened for another life.
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
const ASLEEP_SHIFT: u32 = 61;
const GATE_SHIFT: u32 = 62;

/// The bit that says that nobody will look into the mailbox by itself.
pub(crate) const ASLEEP: u64 = 1 << ASLEEP_SHIFT;

/// Bits of a count of user messages.
pub(crate) const COUNT_MASK: u32 = (1 << (ASLEEP_SHIFT - PUSHED_SHIFT)) - 1;

impl Word {
    /// Open, nothing on the stack, the runner asleep, so many pushed in earlier lives.
    pub(crate) const fn opened(pushed: u32) -> Self {
        Self::new(NONE, pushed, ASLEEP, Gate::Open)
    }

    const fn new(index: Index, pushed: u32, asleep: u64, gate: Gate) -> Self {
        Self(
            index as u64
                | ((pushed & COUNT_MASK) as u64) << PUSHED_SHIFT
                | asleep
                | (gate as u64) << GATE_SHIFT,
        )
    }

    /// The node on top of the stack.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub(crate) const fn index(self) -> Index {
        self.0 as u32
    }

    /// User messages that were ever pushed, modulo 2^29.
    pub(crate) const fn pushed(self) -> u32 {
        (self.0 >> PUSHED_SHIFT) as u32 & COUNT_MASK
    }

    pub(crate) const fn is_asleep(self) -> bool {
        self.0 & ASLEEP != 0
    }

    pub(crate) const fn gate(self) -> Gate {
        match self.0 >> GATE_SHIFT {
            0 => Gate::Open,
            1 => Gate::Draining,
            2 => Gate::Stopping,
            _ => Gate::Closed,
        }
    }

    /// With another node on top, which the runner must look at.
    #[must_use]
    pub(crate) const fn with(self, index: Index, is_user_message: bool) -> Self {
        let pushed = self.pushed().wrapping_add(is_user_message as u32);
        Self::new(index, pushed, 0, self.gate())
    }

    /// With another gate.
    #[must_use]
    pub(crate) const fn gated(self, gate: Gate) -> Self {
        Self::new(self.index(), self.pushed(), self.0 & ASLEEP, gate)
    }

    /// With nothing on the stack.
    #[must_use]
    pub(crate) const fn emptied(self) -> Self {
        Self::new(NONE, self.pushed(), self.0 & ASLEEP, self.gate())
    }

    /// With the runner asleep.
    #[must_use]
    pub(crate) const fn put_to_sleep(self) -> Self {
        Self(self.0 | ASLEEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_wraps_leaves_its_neighbors_alone() {
        let full = Word::new(u32::MAX, COUNT_MASK, 0, Gate::Draining);
        let wrapped = full.with(7, true);
        assert_eq!(
            (wrapped.index(), wrapped.pushed(), wrapped.gate()),
            (7, 0, Gate::Draining)
        );
        assert!(!wrapped.is_asleep());
        assert_eq!(full.with(u32::MAX, false), full);
    }

    #[test]
    fn each_gate_reads_as_it_was_written() {
        for gate in [Gate::Open, Gate::Draining, Gate::Stopping, Gate::Closed] {
            let word = Word::opened(0).with(1, true).gated(gate).emptied();
            assert_eq!((word.gate(), word.pushed(), word.index()), (gate, 1, NONE));
        }
    }

    #[test]
    fn a_push_wakes_and_other_changes_do_not() {
        let new = Word::opened(3);
        assert!(new.is_asleep() && new.gated(Gate::Closed).emptied().is_asleep());
        assert!(!new.with(1, false).is_asleep());
        assert!(new.with(1, false).put_to_sleep().is_asleep());
    }
}
