//! Choosing among variants of one function by how long their calls take.
//!
//! The variants of a function (scalar code, block vectors on one thread, on several) give the same
//! bits, so a choice changes nothing but time. What is fastest depends on the size of the work, so
//! each power of two of it has a choice of its own: every variant is timed [`SAMPLES`] times, the
//! one with the least median is kept, and one call in [`RESAMPLE_EVERY`] tries another again, as
//! long as such trials take no more than a hundredth of the time.
//!
//! This is a state machine: it reads no clock, compiles nothing and holds no lock.

use std::fmt::Write;

/// Calls that each variant is timed for before one is chosen.
pub const SAMPLES: usize = 3;

/// Calls between two trials of a variant that was not chosen.
pub const RESAMPLE_EVERY: u64 = 256;

/// Nanoseconds of work below which a choice costs more than it gives.
pub const LEAST_NANOS: u64 = 2_000;

/// Calls without trials after one in which a guard failed.
pub const COOLDOWN: u64 = 64;

/// The variant that was chosen is timed in one call of so many.
const REFRESH_EVERY: u64 = 16;

/// The share of the time that goes into trials, as one part of so many.
const TRIAL_PART: u64 = 100;

/// Which variant a call runs, and whether to say how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its number.
    pub variant: usize,
    /// Whether the time is to be [recorded](Chooser::record).
    pub timed: bool,
}

/// How a timed call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// With a result, after so many nanoseconds.
    Done(u64),
    /// With a failed guard: the time says nothing of the variant.
    Failed,
}

/// The choices for one function. Variant 0 is there from the start, and the one without a choice.
///
/// # Examples
///
/// ```
/// use iris_jit::speculate::{Chooser, Timed};
///
/// let mut chooser = Chooser::new(2);
/// for _ in 0..6 {
///     let pick = chooser.pick(1_000, |_| true);
///     let nanos = if pick.variant == 0 { 9_000 } else { 4_000 };
///     chooser.record(1_000, pick.variant, Timed::Done(nanos));
/// }
/// assert_eq!(chooser.pick(1_000, |_| true).variant, 1);
/// ```
#[derive(Clone, Debug)]
pub struct Chooser {
    variants: usize,
    /// By the number of bits of the size.
    buckets: Vec<Option<Bucket>>,
}

/// Calls of about one size.
#[derive(Clone, Debug)]
struct Bucket {
    samples: Vec<Samples>,
    /// Calls since there is a choice.
    calls: u64,
    /// Nanoseconds that they took, about.
    spent: u64,
    /// Nanoseconds of those that went into trials.
    tried: u64,
    /// Calls left without trials.
    cooldown: u64,
    /// Trials so far: the next one is of the next variant.
    trials: usize,
}

/// The last times of one variant.
#[derive(Clone, Copy, Debug, Default)]
struct Samples {
    nanos: [u64; SAMPLES],
    count: usize,
}

impl Samples {
    fn push(&mut self, nanos: u64) {
        self.nanos[self.count % SAMPLES] = nanos;
        self.count += 1;
    }

    fn median(&self) -> Option<u64> {
        let mut sorted = self.nanos;
        sorted.sort_unstable();
        (self.count >= SAMPLES).then_some(sorted[SAMPLES / 2])
    }
}

impl Bucket {
    fn new(variants: usize) -> Self {
        Self {
            samples: vec![Samples::default(); variants],
            calls: 0,
            spent: 0,
            tried: 0,
            cooldown: 0,
            trials: 0,
        }
    }

    /// The variant with the least median, and that.
    fn best(&self) -> (usize, u64) {
        let known = self.samples.iter().enumerate();
        let known = known.filter_map(|(variant, samples)| Some((variant, samples.median()?)));
        known.min_by_key(|&(_, nanos)| nanos).unwrap_or((0, 0))
    }

    fn pick(&mut self, mut ready: impl FnMut(usize) -> bool) -> Pick {
        let Some(first) = self.samples[0].median() else {
            return Pick {
                variant: 0,
                timed: true,
            };
        };
        let (best, nanos) = self.best();
        if first < LEAST_NANOS || self.cooldown > 0 {
            self.cooldown = self.cooldown.saturating_sub(1);
            return Pick {
                variant: best,
                timed: false,
            };
        }
        let unknown = (1..self.samples.len())
            .filter(|&variant| self.samples[variant].median().is_none() && ready(variant))
            .min_by_key(|&variant| self.samples[variant].count);
        if let Some(variant) = unknown {
            return Pick {
                variant,
                timed: true,
            };
        }
        self.calls += 1;
        self.spent = self.spent.saturating_add(nanos);
        if self.calls.is_multiple_of(RESAMPLE_EVERY)
            && let Some(variant) = self.trial(best)
        {
            return Pick {
                variant,
                timed: true,
            };
        }
        Pick {
            variant: best,
            timed: self.calls.is_multiple_of(REFRESH_EVERY),
        }
    }

    /// Another variant to try, if its turn costs little enough.
    fn trial(&mut self, best: usize) -> Option<usize> {
        let known = |variant: usize| self.samples[variant].median();
        let others: Vec<(usize, u64)> = (0..self.samples.len())
            .filter(|&variant| variant != best)
            .filter_map(|variant| Some((variant, known(variant)?)))
            .collect();
        let &(variant, nanos) = others.get(self.trials % others.len().max(1))?;
        if self.tried.saturating_add(nanos) > self.spent / TRIAL_PART {
            return None;
        }
        self.trials += 1;
        self.tried += nanos;
        Some(variant)
    }
}

impl Chooser {
    /// No choice yet among so many variants, 1 at least.
    pub fn new(variants: usize) -> Self {
        Self {
            variants: variants.max(1),
            buckets: Vec::new(),
        }
    }

    fn bucket(&mut self, size: usize) -> &mut Bucket {
        let bits = (usize::BITS - size.leading_zeros()) as usize;
        if self.buckets.len() <= bits {
            self.buckets.resize(bits + 1, None);
        }
        let variants = self.variants;
        self.buckets[bits].get_or_insert_with(|| Bucket::new(variants))
    }

    /// The variant for the next call on so many elements.
    ///
    /// `ready` says whether a variant other than 0 can run; it is asked only where the work is
    /// worth a choice, so it may start to compile one.
    pub fn pick(&mut self, size: usize, ready: impl FnMut(usize) -> bool) -> Pick {
        self.bucket(size).pick(ready)
    }

    /// What became of a call that [`Chooser::pick`] wanted timed; of others only failures.
    pub fn record(&mut self, size: usize, variant: usize, timed: Timed) {
        let bucket = self.bucket(size);
        match timed {
            Timed::Done(nanos) => bucket.samples[variant].push(nanos),
            Timed::Failed => bucket.cooldown = COOLDOWN,
        }
    }

    /// For each size seen, in order: the medians of the variants by name, the chosen one first.
    pub fn report(&self, names: &[&str]) -> String {
        let mut out = String::new();
        for (bits, bucket) in self.buckets.iter().enumerate() {
            let Some(bucket) = bucket else { continue };
            let mut known: Vec<(u64, &str)> = (bucket.samples.iter().zip(names))
                .filter_map(|(samples, name)| Some((samples.median()?, *name)))
                .collect();
            known.sort_unstable();
            let known = known.iter().map(|(nanos, name)| {
                let micros = *nanos / 1_000;
                let tenth = *nanos % 1_000 / 100;
                format!("{name} {micros}.{tenth} us")
            });
            let known: Vec<String> = known.collect();
            if !known.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "below 2^{bits} elements: {}", known.join(", "));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 5_000;

    /// Runs calls whose variants take these times; gives how many each of them had.
    fn run(chooser: &mut Chooser, calls: usize, nanos: &[u64]) -> Vec<usize> {
        let mut counts = vec![0; nanos.len()];
        for _ in 0..calls {
            let pick = chooser.pick(SIZE, |_| true);
            counts[pick.variant] += 1;
            if pick.timed {
                chooser.record(SIZE, pick.variant, Timed::Done(nanos[pick.variant]));
            }
        }
        counts
    }

    #[test]
    fn the_fastest_is_kept_after_three_samples_of_each() {
        let mut chooser = Chooser::new(3);
        assert_eq!(run(&mut chooser, 9, &[9_000, 5_000, 7_000]), [3, 3, 3]);
        assert_eq!(run(&mut chooser, 100, &[9_000, 5_000, 7_000]), [0, 100, 0]);
    }

    #[test]
    fn one_slow_sample_decides_nothing() {
        let mut chooser = Chooser::new(2);
        for nanos in [[9_000, 9_000, 9_000], [90_000, 5_000, 5_000]].concat() {
            let pick = chooser.pick(SIZE, |_| true);
            chooser.record(SIZE, pick.variant, Timed::Done(nanos));
        }
        assert_eq!(chooser.pick(SIZE, |_| true).variant, 1);
    }

    #[test]
    fn work_that_is_small_is_left_alone() {
        let mut chooser = Chooser::new(2);
        run(&mut chooser, SAMPLES, &[LEAST_NANOS - 1, 1]);
        let pick = chooser.pick(SIZE, |_| panic!("nothing is compiled for it"));
        assert_eq!((pick.variant, pick.timed), (0, false));
    }

    #[test]
    fn a_variant_that_is_not_ready_is_not_run() {
        let mut chooser = Chooser::new(2);
        for _ in 0..10 {
            let pick = chooser.pick(SIZE, |_| false);
            assert_eq!(pick.variant, 0);
            chooser.record(SIZE, 0, Timed::Done(8_000));
        }
        assert_eq!(run(&mut chooser, 4, &[8_000, 4_000]), [0, 4]);
    }

    #[test]
    fn a_choice_is_revised_when_times_change() {
        let mut chooser = Chooser::new(2);
        run(&mut chooser, 6, &[4_000, 5_000]);
        let before = run(&mut chooser, 100, &[4_000, 5_000]);
        assert_eq!(before, [100, 0]);
        // The chosen one is timed now and then, the other is known.
        let after = run(&mut chooser, 1_000, &[40_000, 5_000]);
        assert!(after[1] > 900, "{after:?}");
        // The other one became faster, which only trials can tell.
        let later = run(&mut chooser, 20_000, &[2_500, 5_000]);
        assert!(later[0] > 15_000, "{later:?}");
    }

    #[test]
    fn trials_take_a_hundredth_of_the_time_at_most() {
        let mut chooser = Chooser::new(2);
        let times = [5_000, 400_000];
        run(&mut chooser, 6, &times);
        let counts = run(&mut chooser, 100_000, &times);
        let spent = counts[0] as u64 * times[0];
        assert!(counts[1] > 0, "it is tried at all");
        assert!(
            counts[1] as u64 * times[1] <= spent / TRIAL_PART,
            "{counts:?}"
        );
    }

    #[test]
    fn sizes_have_choices_of_their_own() {
        let mut chooser = Chooser::new(2);
        for size in [1_000, 1_000_000] {
            for _ in 0..6 {
                let pick = chooser.pick(size, |_| true);
                let better = usize::from(size > 1_000);
                let nanos = if pick.variant == better { 3_000 } else { 6_000 };
                chooser.record(size, pick.variant, Timed::Done(nanos));
            }
        }
        assert_eq!(chooser.pick(1_000, |_| true).variant, 0);
        assert_eq!(chooser.pick(1_000_000, |_| true).variant, 1);
    }

    #[test]
    fn a_failed_guard_ends_trials_for_a_while() {
        let mut chooser = Chooser::new(2);
        run(&mut chooser, SAMPLES, &[4_000, 1_000]);
        chooser.record(SIZE, 0, Timed::Failed);
        let cold = usize::try_from(COOLDOWN).unwrap();
        assert_eq!(run(&mut chooser, cold, &[4_000, 1_000]), [cold, 0]);
        assert_eq!(chooser.pick(SIZE, |_| true).variant, 1);
    }

    #[test]
    fn a_report_names_the_chosen_one_first() {
        let mut chooser = Chooser::new(2);
        run(&mut chooser, 6, &[9_050, 5_000]);
        let report = chooser.report(&["scalar", "blocks"]);
        assert_eq!(
            report,
            "below 2^13 elements: blocks 5.0 us, scalar 9.0 us\n"
        );
    }
}
