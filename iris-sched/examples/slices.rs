//! Messages per second, most of them with a slice of their own: `cargo run --release --example slices`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use bytes::Bytes;
use iris_core::{Pid, Step};
use iris_sched::TokioScheduler;
use support::Fabric;

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("the operating system gives threads");
    for (name, size, tokens) in [
        ("ring of 1000, 1 message", 1000, 1),
        ("ring of 1000, 8 messages", 1000, 8),
        ("ring of 1000, 1000 messages", 1000, 1000),
        ("ping-pong", 2, 1),
    ] {
        show(name, || ring(&tokio, size, tokens));
    }
    show("one thread to one process", || one_to_one(&tokio));
    show("one process to 20,000", || fan_out(&tokio));
}

/// The best of several runs, which is what a machine with other work disturbs least.
fn show(name: &str, run: impl Fn() -> f64) {
    // Only those whose names contain the argument, if there is one.
    if std::env::args()
        .nth(1)
        .is_some_and(|only| !name.contains(&only))
    {
        return;
    }
    let best = (0..9).map(|_| run()).fold(0.0, f64::max);
    println!("{name:30} {best:6.2} M messages/s");
}

fn fabric(tokio: &tokio::runtime::Runtime) -> Arc<Fabric> {
    Fabric::on(Arc::new(TokioScheduler::start(tokio.handle().clone(), 2)))
}

#[expect(clippy::cast_precision_loss, reason = "the counts are small")]
fn millions_per_second(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64() / 1e6
}

fn ring(tokio: &tokio::runtime::Runtime, size: u32, tokens: u32) -> f64 {
    const HOPS: u64 = 1_000_000;
    let fabric = fabric(tokio);
    let (done, finished) = mpsc::channel();
    let left = Arc::new(AtomicU64::new(HOPS));
    let pids: Arc<std::sync::OnceLock<Vec<Pid>>> = Arc::default();
    let all = (0..size as usize).map(|me| {
        let (left, pids, done) = (left.clone(), pids.clone(), done.clone());
        fabric.spawn(move |cx, bytes| {
            match left.fetch_sub(1, Ordering::Relaxed) {
                1 => done.send(()).expect("main waits"),
                2..=HOPS => {
                    let pids = pids.get().expect("set before the first message");
                    drop(cx.send(pids[(me + 1) % pids.len()], bytes));
                }
                _ => left.store(0, Ordering::Relaxed),
            }
            Step::Done
        })
    });
    let all: Vec<Pid> = all.collect();
    pids.set(all.clone()).expect("set once");
    let started = Instant::now();
    for token in 0..tokens {
        fabric.poke(all[(token * (size / tokens)) as usize]);
    }
    finished.recv().expect("the ring goes on");
    let rate = millions_per_second(HOPS, started);
    fabric.wait_quiet();
    rate
}

fn one_to_one(tokio: &tokio::runtime::Runtime) -> f64 {
    const MESSAGES: u64 = 1_000_000;
    let fabric = fabric(tokio);
    let (done, finished) = mpsc::channel();
    let left = AtomicU64::new(MESSAGES);
    let pid = fabric.spawn(move |_, _| {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            done.send(()).expect("main waits");
        }
        Step::Done
    });
    let started = Instant::now();
    for _ in 0..MESSAGES {
        fabric.poke(pid);
    }
    finished.recv().expect("all arrive");
    millions_per_second(MESSAGES, started)
}

fn fan_out(tokio: &tokio::runtime::Runtime) -> f64 {
    const ROUNDS: u64 = 20;
    const RECEIVERS: u64 = 20_000;
    let fabric = fabric(tokio);
    let (done, finished) = mpsc::channel();
    let left = Arc::new(AtomicU64::new(ROUNDS * RECEIVERS));
    let receivers: Vec<Pid> = (0..RECEIVERS)
        .map(|_| {
            let (left, done) = (left.clone(), done.clone());
            fabric.spawn(move |_, _| {
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    done.send(()).expect("main waits");
                }
                Step::Done
            })
        })
        .collect();
    let source = fabric.spawn(move |cx, bytes: Bytes| {
        for to in &receivers {
            cx.send(*to, bytes.clone()).expect("they are alive");
        }
        Step::Done
    });
    let started = Instant::now();
    for _ in 0..ROUNDS {
        fabric.poke(source);
    }
    finished.recv().expect("all arrive");
    millions_per_second(ROUNDS * RECEIVERS, started)
}
