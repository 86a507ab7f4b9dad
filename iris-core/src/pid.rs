//! Process identifiers.

use std::fmt;
use std::num::NonZeroU64;

/// Identifies one process of one runtime, for ever.
///
/// A pid is a number below 2^53, so that JavaScript can hold it exactly. The low
/// 32 bits are a slot in the process table, bits 32 to 52 the slot's generation:
/// a slot that is used again gets another generation, and so another pid. Zero is
/// never a pid, which makes `Option<Pid>` as small as `Pid`.
///
/// # Examples
///
/// ```
/// use iris_core::Pid;
///
/// let pid = Pid::new(7, Pid::FIRST_GENERATION).unwrap();
/// assert_eq!(Pid::from_raw(pid.raw()), Some(pid));
/// assert_eq!(pid.slot(), 7);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroU64);

impl Pid {
    /// The largest number that can be a pid, `Number.MAX_SAFE_INTEGER`.
    pub const MAX_RAW: u64 = (1 << 53) - 1;

    /// The smallest generation that a runtime gives out.
    ///
    /// Nodes that speak the original packets count from 1 and send pids as they
    /// are; staying well above their range means that a raw pid of theirs is never
    /// mistaken for one of ours, and the two dialects can be told apart exactly.
    pub const FIRST_GENERATION: u32 = 262_400;

    /// The largest generation, 2^21 - 1.
    pub const LAST_GENERATION: u32 = (1 << 21) - 1;

    /// The pid of `slot` in its `generation`.
    ///
    /// `None` if the generation needs more than 21 bits or both are zero.
    #[inline]
    pub fn new(slot: u32, generation: u32) -> Option<Self> {
        Self::from_raw(u64::from(generation) << 32 | u64::from(slot))
    }

    /// Reads a pid that came as a plain number, from a guest language or the wire.
    ///
    /// `None` for zero and for numbers of 2^53 and above. That a number *can* be a
    /// pid says nothing about whether a process with that pid exists.
    #[inline]
    pub fn from_raw(raw: u64) -> Option<Self> {
        if raw > Self::MAX_RAW {
            None
        } else {
            NonZeroU64::new(raw).map(Self)
        }
    }

    /// The pid as a plain number, in `1..=`[`MAX_RAW`](Self::MAX_RAW).
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0.get()
    }

    /// The place in the process table, the low 32 bits.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low 32 bits are what is asked for"
    )]
    pub const fn slot(self) -> u32 {
        self.0.get() as u32
    }

    /// How many times the slot had been used, counted from a random start.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }
}

impl fmt::Display for Pid {
    /// The plain number, as guest languages show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw().fmt(f)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({}.{})", self.slot(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_numbers_beyond_a_safe_integer_are_no_pids() {
        assert_eq!(Pid::from_raw(0), None);
        assert_eq!(Pid::from_raw(Pid::MAX_RAW + 1), None);
        assert_eq!(Pid::from_raw(u64::MAX), None);
        assert_eq!(Pid::new(0, 0), None);
        assert_eq!(Pid::new(0, Pid::LAST_GENERATION + 1), None);
    }

    #[test]
    fn slot_and_generation_come_back_at_the_edges() {
        for (slot, generation) in [
            (0, Pid::FIRST_GENERATION),
            (u32::MAX, Pid::LAST_GENERATION),
            (1, 1),
        ] {
            let pid = Pid::new(slot, generation).unwrap();
            assert_eq!((pid.slot(), pid.generation()), (slot, generation));
            assert!(pid.raw() <= Pid::MAX_RAW);
        }
    }

    #[test]
    fn a_missing_pid_costs_no_space() {
        assert_eq!(size_of::<Option<Pid>>(), size_of::<u64>());
    }
}
