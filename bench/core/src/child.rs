//! One repetition: in a process of its own, which prints its figures as a line of `name=value`.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::catalogue::{Impl, Scale, Workload};
use crate::measure::{as_f64, now_ns};
use crate::peers::{Inline, Iris, IrisAsync, Kameo, Peer, Ractor, Tokio, TokioSwap};
use crate::producer::Pressure;
use crate::workloads::{self, Run, WrongCount};

/// A repetition that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// Messages on the way that make producers hold back.
const WINDOW: Pressure = Pressure::Window(65_536);

/// Runs one repetition and prints its figures; does not return if it hangs.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "the child of a command line tool; taking down a million actors would take longer \
              than the run, and is no part of it"
)]
pub fn run(imp: Impl, workload: Workload, scale: Scale) -> ExitCode {
    now_ns();
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!("bench-core: no end after {} s", PATIENCE.as_secs());
        std::process::exit(3);
    });
    match measure(imp, workload, scale) {
        Ok(run) => {
            println!("{}", line(&run));
            std::process::exit(0);
        }
        Err(wrong) => {
            eprintln!("bench-core: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// The figures of a run in a line.
fn line(run: &Run) -> String {
    let mut figures = vec![
        ("n", as_f64(run.n)),
        ("seconds", run.elapsed.seconds),
        ("cpu_seconds", run.elapsed.cpu_seconds),
        ("rss_bytes", run.rss_bytes),
    ];
    figures.extend(&run.extras);
    let words = figures
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    words.collect::<Vec<_>>().join(" ")
}

/// The workloads that have special demands of the implementation, and the common ones.
fn measure(imp: Impl, workload: Workload, scale: Scale) -> Result<Run, WrongCount> {
    let sizes = Sizes::of(scale);
    let bytes = |run: fn(u64, u64, Pressure) -> _| run(1, sizes.tell, WINDOW);
    match (workload, imp) {
        (Workload::TellBytes, Impl::Iris | Impl::IrisMimalloc) => {
            bytes(workloads::tell::<Iris<Bytes>>)
        }
        (Workload::TellBytes, _) => bytes(workloads::tell::<Tokio<Bytes>>),
        (Workload::Ask, Impl::Iris) => workloads::ask::<Iris<Inline>>(sizes.asks),
        (Workload::Ask, Impl::Ractor) => workloads::ask::<Ractor>(sizes.asks),
        (Workload::Ask, Impl::Kameo) => workloads::ask::<Kameo>(sizes.asks),
        (Workload::Ask, _) => workloads::ask::<Tokio<[u64; 4]>>(sizes.asks),
        (Workload::SwapGroup, _) => workloads::swap_group::<Iris<Inline>>(100_000, 100),
        (Workload::SpawnAsync, Impl::Iris) => workloads::spawn::<IrisAsync>(100_000),
        (Workload::SpawnAsync, _) => workloads::spawn::<Tokio<[u64; 4]>>(100_000),
        (Workload::Swap, Impl::Iris) => workloads::swap::<Iris<Inline>>(sizes.traffic, WINDOW),
        (Workload::Swap, _) => workloads::swap::<TokioSwap>(sizes.traffic, WINDOW),
        (_, Impl::Iris | Impl::IrisMimalloc) => common::<Iris<Inline>>(workload, sizes),
        (_, Impl::Tokio | Impl::TokioMimalloc) => common::<Tokio<[u64; 4]>>(workload, sizes),
        (_, Impl::Ractor) => common::<Ractor>(workload, sizes),
        (_, Impl::Kameo) => common::<Kameo>(workload, sizes),
    }
}

fn common<P: Peer>(workload: Workload, sizes: Sizes) -> Result<Run, WrongCount> {
    match workload {
        Workload::Tell => workloads::tell::<P>(1, sizes.tell, WINDOW),
        Workload::TellTwo => workloads::tell::<P>(2, sizes.tell, WINDOW),
        Workload::TellFree => workloads::tell::<P>(1, sizes.tell, Pressure::Free),
        Workload::PingPong => workloads::ring::<P>(2, sizes.round_trips, 1),
        Workload::Ring => workloads::ring::<P>(1000, sizes.laps, 1000),
        Workload::FanOut => workloads::fan_out::<P>(100_000, sizes.rounds),
        Workload::Spawn => workloads::spawn::<P>(100_000),
        Workload::SpawnMillion => workloads::spawn::<P>(1_000_000),
        Workload::Skew => workloads::skewed_load::<P>(sizes.per_light),
        Workload::TellBytes
        | Workload::Ask
        | Workload::Swap
        | Workload::SwapGroup
        | Workload::SpawnAsync => {
            unreachable!("`measure` has a row for each implementation of it")
        }
    }
}

/// How much each workload does.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Messages of tell.
    tell: u64,
    round_trips: u64,
    /// Of the ring of 1000.
    laps: u64,
    /// Of the fan-out to 100,000.
    rounds: u64,
    asks: u64,
    /// Messages to each light actor.
    per_light: usize,
    /// Messages beside hot swaps.
    traffic: u64,
}

impl Sizes {
    fn of(scale: Scale) -> Self {
        match scale {
            Scale::Normal => Self {
                tell: 5_000_000,
                round_trips: 500_000,
                laps: 1_000,
                rounds: 20,
                asks: 300_000,
                per_light: 300,
                traffic: 2_000_000,
            },
            Scale::Quick => Self {
                tell: 1_000_000,
                round_trips: 100_000,
                laps: 200,
                rounds: 5,
                asks: 60_000,
                per_light: 100,
                traffic: 500_000,
            },
        }
    }
}
