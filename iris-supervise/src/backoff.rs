//! How long to wait before a child that keeps ending is started again.

use std::time::Duration;

/// How long to wait before the next start, by how many there were in a row.
///
/// The first restart of a child that was well is immediate. The ones after it wait
/// `base`, twice that, four times that, and at most `cap`; from each wait up to
/// `jitter_percent` are taken off at random, so that children that ended together do not
/// come back together. A child that stays up for `reset_after` is well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The wait before the second start in a row. Default 100 ms.
    pub base: Duration,
    /// The longest wait. Default 30 s.
    pub cap: Duration,
    /// How much of a wait may be taken off, in percent; more than 100 counts as 100.
    /// Default 50.
    pub jitter_percent: u8,
    /// How long a child must stay up for its next restart to be immediate again. Default
    /// 5 s, the default period of an [`Intensity`](crate::Intensity).
    pub reset_after: Duration,
}

impl Backoff {
    /// No waiting at all: what OTP does. The intensity alone bounds the restarts then.
    pub const NONE: Self = Self {
        base: Duration::ZERO,
        cap: Duration::ZERO,
        jitter_percent: 0,
        reset_after: Duration::ZERO,
    };

    /// The wait before a start that `earlier` others went before.
    pub(crate) fn delay(&self, earlier: u32, rng: &mut Rng) -> Duration {
        let Some(doublings) = earlier.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 2_u32.saturating_pow(doublings);
        let full = self.base.saturating_mul(factor).min(self.cap);
        let jitter = u64::from(self.jitter_percent.min(100));
        let off = rng.below(jitter * 1_000 + 1);
        // In steps of a thousandth of a percent: finer than any timer.
        let keep = u32::try_from(100_000 - off).unwrap_or(100_000);
        full / 100_000 * keep
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(30),
            jitter_percent: 50,
            reset_after: Duration::from_secs(5),
        }
    }
}

/// A small generator for jitter (the `SplitMix64` step): the same seed, the same waits.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is small enough for the bias not to matter.
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_the_second_restart_up_to_the_cap() {
        let backoff = Backoff {
            jitter_percent: 0,
            ..Backoff::default()
        };
        let waits = [0, 1, 2, 3, 9, 10, 200].map(|n| backoff.delay(n, &mut Rng::new(1)));
        let expected = [0, 100, 200, 400, 25_600, 30_000, 30_000].map(Duration::from_millis);
        assert_eq!(waits, expected);
    }

    #[test]
    fn jitter_takes_off_up_to_its_share_and_is_not_always_the_same() {
        let (backoff, mut rng) = (Backoff::default(), Rng::new(7));
        let waits: Vec<_> = (0..1_000).map(|_| backoff.delay(4, &mut rng)).collect();
        let (full, half) = (Duration::from_millis(800), Duration::from_millis(400));
        assert!(waits.iter().all(|wait| (half..=full).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(450)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(750)));
    }

    #[test]
    fn no_back_off_waits_for_nothing() {
        assert_eq!(Backoff::NONE.delay(9, &mut Rng::new(1)), Duration::ZERO);
    }
}
