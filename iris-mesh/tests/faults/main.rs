//! Whole nodes in a simulated network, through seeded schedules of faults.
//!
//! Each schedule is a world of two or three nodes that talk, ask, look names up and end
//! processes, while partitions, delays, cut and half-open links, refused dials, crashes and
//! restarts happen to them. Then all faults end, each node must find each other again, all
//! processes end, and the history must hold: see [`iris_testkit::History`].
//!
//! `IRIS_FAULTS_SEED=17` runs one schedule and prints it; `IRIS_FAULTS_SCHEDULES=100000` runs so
//! many; `IRIS_FAULTS_FIRST=5000` begins with that seed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail, and says with what seed"
)]

mod host;
mod schedule;
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use iris_testkit::Account;

/// Schedules of one test run.
const SCHEDULES: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A task of a node that panics ends, and nobody else notices.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}

#[test]
fn nothing_is_lost_repeated_or_reordered_whatever_fails() {
    count_panics();
    if let Some(seed) = number("IRIS_FAULTS_SEED") {
        let outcome = world::run(seed, true);
        let account = outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        println!("seed {seed}: {account}");
        return;
    }
    let first = number("IRIS_FAULTS_FIRST").unwrap_or(0);
    let end = first + number("IRIS_FAULTS_SCHEDULES").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let total = Mutex::new(Account::default());
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let run = AssertUnwindSafe(|| world::run(seed, false));
                    let Ok(run) = catch_unwind(run) else {
                        eprintln!("IRIS_FAULTS_SEED={seed} has panicked");
                        failures.lock().unwrap().push(seed);
                        continue;
                    };
                    match run {
                        Ok(account) => *total.lock().unwrap() += account,
                        Err(failure) => {
                            eprintln!("IRIS_FAULTS_SEED={seed}: {failure}");
                            failures.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    let failures = failures.into_inner().unwrap();
    println!(
        "{} schedules in {:?}: {total}",
        end - first,
        begun.elapsed()
    );
    assert!(failures.is_empty(), "failing seeds: {failures:?}");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a task has panicked");
    // Schedules in which nothing happens would prove nothing.
    assert!(total.delivered > 0 && total.returned > 0 && total.downs > 0);
}
