//! The workloads: actors put together, timed, and their counts checked.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::measure::{Elapsed, Stopwatch, as_f64, now_ns, peak_rss_bytes, percentile, rss_bytes};
use crate::peers::{Asks, Peer, Swaps, SwapsMany};
use crate::producer::{Pressure, Producer};
use crate::role::{Role, Tally};

/// Worker threads of every runtime, but for the skewed load.
pub const WORKERS: usize = 2;

/// Light actors of the skewed load.
pub const LIGHT_ACTORS: usize = 100;

/// Messages that the hot actor is kept behind.
const HOT_BACKLOG: u64 = 50_000;

/// Between two messages to light actors.
const LIGHT_PAUSE_NS: u64 = 50_000;

/// Swaps that may be on the way: as many as messages, among which they wait.
const SWAP_WINDOW: u64 = 65_536;

/// Time for workers to come to rest before memory is read, or for spawned tasks to be polled.
const SETTLE: Duration = Duration::from_millis(150);

/// What one repetition measured.
#[derive(Debug, Clone)]
pub struct Run {
    /// Operations; what one is depends on the workload.
    pub n: u64,
    /// Messages handled.
    pub handled: u64,
    /// What they took.
    pub elapsed: Elapsed,
    /// The most memory that was held, or what is held at the end where that is measured.
    pub rss_bytes: f64,
    /// Figures of this workload alone, each by the name of its field in JSON.
    pub extras: Vec<(&'static str, f64)>,
}

/// Something was handled twice or not at all, so that the time means nothing.
#[derive(Debug)]
pub struct WrongCount {
    what: &'static str,
    found: u64,
    expected: u64,
}

impl fmt::Display for WrongCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            found,
            expected,
        } = self;
        write!(f, "{what}: {found} instead of {expected}")
    }
}

impl std::error::Error for WrongCount {}

fn check(what: &'static str, found: u64, expected: u64) -> Result<(), WrongCount> {
    if found == expected {
        return Ok(());
    }
    Err(WrongCount {
        what,
        found,
        expected,
    })
}

impl Run {
    fn new(n: u64, handled: u64, elapsed: Elapsed) -> Self {
        Self {
            n,
            handled,
            elapsed,
            rss_bytes: peak_rss_bytes(),
            extras: Vec::new(),
        }
    }
}

/// `total` messages from each of some producers to one actor.
///
/// # Errors
///
/// [`WrongCount`], as of all workloads.
pub fn tell<P: Peer>(producers: u64, total: u64, pressure: Pressure) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    let tally = Tally::new();
    let share = total / producers;
    let total = share * producers;
    let sink = peer.spawn(Role::sink(total, &tally));
    let watch = Stopwatch::start();
    for _ in 0..producers {
        peer.produce(Producer {
            to: vec![sink.clone()],
            total: share,
            producers,
            pressure,
            tally: tally.clone(),
            sent: 0,
        });
    }
    tally.wait(1);
    let elapsed = watch.elapsed();
    check("messages too many", tally.excess(), 0)?;
    Ok(Run::new(total, tally.progress(), elapsed))
}

/// One message that goes round `size` actors `laps` times; with two it is a ping-pong, whose
/// operation is the round trip. `n` counts `per_lap` operations for each lap.
///
/// # Errors
///
/// [`WrongCount`].
pub fn ring<P: Peer>(size: usize, laps: u64, per_lap: u64) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    let tally = Tally::new();
    let links: Vec<_> = (0..size).map(|_| Arc::new(OnceLock::new())).collect();
    let mut first = None;
    for at in 0..size {
        let address = peer.spawn(Role::Relay {
            next: links[at].clone(),
            laps: (at == 0).then_some(laps),
            tally: tally.clone(),
        });
        let before = (at + size - 1) % size;
        check(
            "links",
            u64::from(links[before].set(address.clone()).is_ok()),
            1,
        )?;
        first.get_or_insert(address);
    }
    let first = first.expect("a ring has members");
    let watch = Stopwatch::start();
    peer.send(&first, 0);
    tally.wait(1);
    let elapsed = watch.elapsed();
    Ok(Run::new(laps * per_lap, laps * size as u64 + 1, elapsed))
}

/// One producer that sends to each of very many actors in turn.
///
/// # Errors
///
/// [`WrongCount`].
pub fn fan_out<P: Peer>(actors: usize, rounds: u64) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    let tally = Tally::new();
    let to = peer.spawn_many(&Role::sink(rounds, &tally), actors);
    thread::sleep(SETTLE);
    let total = actors as u64 * rounds;
    let watch = Stopwatch::start();
    peer.produce(Producer {
        to,
        total,
        producers: 1,
        pressure: Pressure::Polite,
        tally: tally.clone(),
        sent: 0,
    });
    tally.wait(actors as u64);
    let elapsed = watch.elapsed();
    check("messages too many", tally.excess(), 0)?;
    // Each hit stands for `rounds` messages.
    Ok(Run::new(total, total, elapsed))
}

/// One task that asks an actor and waits for each answer.
///
/// # Errors
///
/// [`WrongCount`].
pub fn ask<P: Asks>(count: u64) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    let echo = peer.spawn(Role::Echo);
    let watch = Stopwatch::start();
    let sum = peer.ask_many(&echo, count);
    let elapsed = watch.elapsed();
    // Each answer is one more than its word.
    check("sum of the answers", sum, count * (count + 1) / 2)?;
    Ok(Run::new(count, count, elapsed))
}

/// Spawns actors, reads what they hold, and sends a message to each.
///
/// The clock covers the spawning and the first message of the last one. `bytes_idle` and
/// `bytes_touched` are the growth of the process for each actor, its address apart, before and
/// after each has handled a message; the memory of the run is that of the latter.
///
/// # Errors
///
/// [`WrongCount`].
pub fn spawn<P: Peer>(count: usize) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    // One actor that lives and dies before, so that what all share is there.
    let warm = Tally::new();
    peer.send(&peer.spawn(Role::sink(1, &warm)), 0);
    warm.wait(1);
    thread::sleep(SETTLE);

    let tally = Tally::new();
    let before = rss_bytes();
    let watch = Stopwatch::start();
    let spawned = peer.spawn_many(&Role::sink(1, &tally), count);
    let (last, others) = spawned.split_last().expect("there is at least one");
    peer.send(last, 0);
    tally.wait(1);
    let elapsed = watch.elapsed();
    thread::sleep(SETTLE);
    let idle = rss_bytes();
    for address in others {
        peer.send(address, 0);
    }
    tally.wait(count as u64);
    thread::sleep(SETTLE);
    let touched = rss_bytes();
    check("messages too many", tally.excess(), 0)?;

    let mut run = Run::new(count as u64, count as u64, elapsed);
    if let (Some(before), Some(idle), Some(touched)) = (before, idle, touched) {
        let addresses = as_f64((count * size_of::<P::Address>()) as u64);
        let each = |now: f64| (now - before - addresses) / as_f64(count as u64);
        run.extras.push(("bytes_idle", each(idle)));
        run.extras.push(("bytes_touched", each(touched)));
        run.rss_bytes = touched;
    }
    Ok(run)
}

/// On one worker thread, an actor with a deep queue, and a hundred others that get a message now
/// and then from a thread outside: how long until they handle it? `n` counts their messages.
///
/// # Errors
///
/// [`WrongCount`].
pub fn skew<P: Peer>(per_light: usize, backlog: u64) -> Result<Run, WrongCount> {
    let peer = P::start(1);
    let hot_tally = Tally::new();
    let hot = peer.spawn(Role::Hot {
        got: 0,
        tally: hot_tally.clone(),
    });
    let tally = Tally::new();
    let ages = Arc::new(Mutex::new(Vec::new()));
    let spawn_light = |_| {
        peer.spawn(Role::Probe {
            ages: Vec::with_capacity(per_light),
            want: per_light,
            into: ages.clone(),
            tally: tally.clone(),
        })
    };
    let light: Vec<_> = (0..LIGHT_ACTORS).map(spawn_light).collect();

    let watch = Stopwatch::start();
    let mut sent = 0;
    for address in light.iter().cycle().take(per_light * LIGHT_ACTORS) {
        while sent < hot_tally.progress() + backlog {
            peer.send(&hot, sent);
            sent += 1;
        }
        let now = now_ns();
        peer.send(address, now);
        while now_ns() < now + LIGHT_PAUSE_NS {
            std::hint::spin_loop();
        }
    }
    tally.wait(LIGHT_ACTORS as u64);
    let elapsed = watch.elapsed();

    let mut ages = ages.lock().unwrap_or_else(PoisonError::into_inner);
    let n = (per_light * LIGHT_ACTORS) as u64;
    check("messages to light actors", ages.len() as u64, n)?;
    ages.sort_unstable();
    let micros = |per_mille| as_f64(percentile(&ages, per_mille)) / 1e3;
    let mut run = Run::new(n, n, elapsed);
    run.extras = vec![
        ("p50_us", micros(500)),
        ("p99_us", micros(990)),
        ("p999_us", micros(999)),
        ("max_us", micros(1000)),
        (
            "hot_per_sec",
            as_f64(hot_tally.progress()) / elapsed.seconds,
        ),
    ];
    Ok(run)
}

/// The skewed load as it is measured: with a backlog that never empties.
///
/// # Errors
///
/// [`WrongCount`].
pub fn skewed_load<P: Peer>(per_light: usize) -> Result<Run, WrongCount> {
    skew::<P>(per_light, HOT_BACKLOG)
}

/// Swaps of one actor's behavior from a thread outside, for as long as a producer keeps it busy
/// with `traffic` messages. `n` counts swaps; all have taken effect when the clock stops.
///
/// # Errors
///
/// [`WrongCount`].
pub fn swap<P: Swaps>(traffic: u64, pressure: Pressure) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    let tally = Tally::new();
    let role = Role::sink(traffic + 1, &tally);
    let sink = peer.spawn(role.clone());
    let watch = Stopwatch::start();
    // Its state is there before the first swap.
    peer.send(&sink, 0);
    peer.produce(Producer {
        to: vec![sink.clone()],
        total: traffic,
        producers: 1,
        pressure,
        tally: tally.clone(),
        sent: 0,
    });
    let mut swaps = 0;
    while !tally.has(1) {
        for _ in 0..64 {
            peer.swap(&sink, &role);
        }
        swaps += 64;
        while swaps - peer.swaps_applied(&sink) > SWAP_WINDOW {
            thread::yield_now();
        }
    }
    while peer.swaps_applied(&sink) < swaps {
        thread::yield_now();
    }
    let elapsed = watch.elapsed();
    check("messages too many", tally.excess(), 0)?;
    check("swaps", peer.swaps_applied(&sink), swaps)?;
    let mut run = Run::new(swaps, tally.progress(), elapsed);
    let messages = as_f64(traffic) / elapsed.seconds;
    run.extras.push(("messages_per_sec", messages));
    Ok(run)
}

/// Swaps of the behavior of `members` actors at once, `swaps` times; then a message to each,
/// which must find the last of them in force. `n` counts members swapped; the clock stops when
/// all have handled their message.
///
/// # Errors
///
/// [`WrongCount`].
pub fn swap_group<P: SwapsMany>(members: usize, swaps: u64) -> Result<Run, WrongCount> {
    let peer = P::start(WORKERS);
    let tally = Tally::new();
    let role = Role::sink(2, &tally);
    let (group, pids) = peer.spawn_group(&role, members);
    // The states are there before the first swap.
    for pid in &pids {
        peer.send(pid, 0);
    }
    thread::sleep(SETTLE);
    let watch = Stopwatch::start();
    for _ in 0..swaps {
        peer.swap_group(&group, &role);
    }
    let stores = watch.elapsed();
    for pid in &pids {
        peer.send(pid, 0);
    }
    tally.wait(members as u64);
    let elapsed = watch.elapsed();
    check("swaps followed", peer.swaps_followed(&pids), swaps)?;
    let mut run = Run::new(members as u64 * swaps, members as u64, elapsed);
    let each = stores.seconds * 1e9 / as_f64(swaps);
    run.extras.push(("ns_for_each_group_swap", each));
    Ok(run)
}
