//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many restarts there may be within a period; one more is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intensity {
    /// So many are allowed in any one period. 0 allows none at all.
    pub restarts: u32,
    /// How long a restart counts. One that is exactly this old counts still.
    pub period: Duration,
}

impl Intensity {
    /// `restarts` within `period`.
    pub const fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period }
    }
}

impl Default for Intensity {
    /// 3 restarts in 5 seconds, the figures of Elixir's supervisors and of most programs
    /// for the original description; OTP's own are 1 in 5.
    fn default() -> Self {
        Self::new(3, Duration::from_secs(5))
    }
}

/// Whose restarts count together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Budget {
    /// All of a supervisor, as in OTP: one too many, and the supervisor gives up.
    #[default]
    Shared,
    /// Each child's by itself: a one-for-one child that exceeds it is given up alone,
    /// and its siblings go on. Where others would have been restarted with it, the
    /// supervisor gives up, since they cannot do without it. For supervisors whose
    /// children have nothing in common.
    PerChild,
}

/// The time stamps of the latest restarts: at most as many as are allowed.
///
/// Remembering one is O(1) amortized: each stamp is put in and thrown out once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring(VecDeque<Instant>);

impl Ring {
    /// Remembers a restart at `now` if it is allowed; whether it is.
    pub(crate) fn allows(&mut self, intensity: Intensity, now: Instant) -> bool {
        while let Some(oldest) = self.0.front()
            && now.saturating_duration_since(*oldest) > intensity.period
        {
            self.0.pop_front();
        }
        let allowed = self.0.len() < intensity.restarts as usize;
        if allowed {
            self.0.push_back(now);
        }
        allowed
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_allowed_within_the_period_is_too_many() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut ring = Ring::default();
        let allowed = [0, 1_000, 5_000].map(|ms| ring.allows(Intensity::default(), at(ms)));
        assert_eq!(allowed, [true; 3]);
        assert!(
            !ring.allows(Intensity::default(), at(5_000)),
            "a fourth in 5 s"
        );
        assert!(
            ring.allows(Intensity::default(), at(5_001)),
            "the first is too old"
        );
        assert!(!ring.allows(Intensity::default(), at(6_000)));
    }

    #[test]
    fn no_restart_is_allowed_at_intensity_0() {
        let none = Intensity::new(0, Duration::from_secs(1));
        assert!(!Ring::default().allows(none, Instant::now()));
    }

    #[test]
    fn only_what_counts_is_kept() {
        let start = Instant::now();
        let mut ring = Ring::default();
        let many = Intensity::new(u32::MAX, Duration::from_secs(1));
        for second in 0..1_000 {
            assert!(ring.allows(many, start + Duration::from_secs(second * 2)));
        }
        assert_eq!(ring.0.len(), 1);
    }
}
