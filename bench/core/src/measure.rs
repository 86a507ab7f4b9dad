//! Clocks and memory of this process.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Nanoseconds since the first call.
pub fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).expect("a run takes less than five hundred years")
}

/// Wall time and processor time since it was made.
#[derive(Debug)]
pub struct Stopwatch {
    start: Instant,
    cpu: Duration,
}

/// What a stopwatch shows.
#[derive(Debug, Clone, Copy)]
pub struct Elapsed {
    /// Time that passed.
    pub seconds: f64,
    /// Processor time of all threads together, those of the system included.
    pub cpu_seconds: f64,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        Self {
            cpu: cpu_time(),
            start: Instant::now(),
        }
    }

    /// What has passed since.
    pub fn elapsed(&self) -> Elapsed {
        let seconds = self.start.elapsed().as_secs_f64();
        let cpu = cpu_time().saturating_sub(self.cpu);
        Elapsed {
            seconds,
            cpu_seconds: cpu.as_secs_f64(),
        }
    }
}

fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage")
}

fn cpu_time() -> Duration {
    let usage = usage();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The most memory that this process ever held.
pub fn peak_rss_bytes() -> f64 {
    let peak = u64::try_from(usage().max_rss()).unwrap_or(0);
    // Kilobytes, but for macOS.
    as_f64(if cfg!(target_os = "macos") {
        peak
    } else {
        peak * 1024
    })
}

/// The memory that this process holds now; `None` where the system has no such file.
pub fn rss_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(as_f64(kilobytes * 1024))
}

/// A count as a figure to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and bytes here are far below 2^53"
)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The value in the middle; of an even number, the mean of the two there.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// The value of sorted `values` that so many of a thousand lie below.
pub fn percentile(values: &[u64], per_mille: usize) -> u64 {
    values[(values.len() * per_mille / 1000).min(values.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_two() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn percentiles_stay_inside() {
        let values: Vec<u64> = (0..1000).collect();
        assert_eq!(percentile(&values, 500), 500);
        assert_eq!(percentile(&values, 999), 999);
        assert_eq!(percentile(&values, 1000), 999);
    }
}
