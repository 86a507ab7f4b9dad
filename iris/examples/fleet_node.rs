//! A node of the fleet in Rust, for `cargo xtask demo --mesh`: a hangar, which opens aircraft.
//!
//! `examples/fleet/mesh_node.py` is the same in Python, and `packets.py` beside it has the bytes.
//! An aircraft here computes what one there does, to the bit: IEEE 754 leaves no choice for the
//! four operations and the square root, as long as their order is the same.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that says where it listens"
)]

use std::io::{Read, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iris::prelude::*;
use iris::{Failure, NodeConfig, Payload, RuntimeRef};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match serve(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet_node: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the standard input ends, so never longer than the parent.
fn serve(mut args: impl Iterator<Item = String>) -> Done<()> {
    let [name, cluster, address] = [next(&mut args)?, next(&mut args)?, next(&mut args)?];
    let rt = Runtime::new();
    rt.configure_mesh(NodeConfig {
        name,
        cluster,
        ..NodeConfig::default()
    });
    let coordinator = rt.resolve_remote(&address, "coordinator")?;
    let fleet = Fleet {
        rt: rt.downgrade(),
        coordinator: coordinator.ok_or("there is no coordinator")?,
        threshold: next(&mut args)?,
        swap_at: next(&mut args)?,
        life: next(&mut args)?,
    };
    let fleet = Arc::new(fleet);
    let dials = Arc::new(Mutex::new(Vec::new()));
    let gauge = Gauge {
        fleet: fleet.clone(),
        dials: dials.clone(),
    };
    rt.spawn(gauge).named("gauge").start()?;
    rt.spawn(Hangar { fleet, dials }).named("hangar").start()?;
    println!("READY {}", rt.listen("127.0.0.1:0")?);
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    rt.shutdown(Duration::from_secs(2));
    Ok(())
}

/// The next argument.
fn next<T>(args: &mut impl Iterator<Item = String>) -> Done<T>
where
    T: FromStr<Err: std::error::Error + 'static>,
{
    let text = args
        .next()
        .ok_or("arguments: name, cluster, coordinator, threshold, swap_at, life")?;
    Ok(text.parse()?)
}

/// What all aircraft of this node have in common.
struct Fleet {
    rt: RuntimeRef,
    coordinator: Pid,
    /// A score above it is an incident.
    threshold: f64,
    /// From this flight on the second detector scores.
    swap_at: u32,
    /// Which start of this node it is, from 1.
    life: u32,
}

/// Opens aircraft, and says how many there are to who asks.
struct Hangar {
    fleet: Arc<Fleet>,
    dials: Arc<Mutex<Vec<Dial>>>,
}

impl Behavior for Hangar {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, message: Message) -> Step {
        let Message::User(order) = message else {
            return Step::Done;
        };
        if order.is_empty() {
            let dials = self.dials.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = u32::try_from(dials.len()).expect("units are numbered in 32 bits");
            return Step::Reply(Payload::copy_of(&opened.to_le_bytes()));
        }
        match self.open(&order) {
            Ok(()) => Step::Done,
            Err(error) => failed("hangar", error.to_string()),
        }
    }
}

impl Hangar {
    fn open(&self, mut order: &[u8]) -> Done<()> {
        let unit = u32::from_le_bytes(take(&mut order).ok_or("an order without a unit")?);
        let past = Past::unpack(&mut order).ok_or("an order without a state")?;
        let path = std::str::from_utf8(order)?;
        let rt = self.fleet.rt.upgrade().ok_or("the node has ended")?;
        let reading = Arc::new(Reading::default());
        reading.take(&past);
        let aircraft = Aircraft {
            fleet: self.fleet.clone(),
            unit,
            past,
            reading: reading.clone(),
            detector: 1,
        };
        let pid = rt.spawn(aircraft).at_path(path).start()?;
        let mut dials = self.dials.lock().unwrap_or_else(PoisonError::into_inner);
        dials.push(Dial { unit, pid, reading });
        Ok(())
    }
}

/// An aircraft as the gauge knows it.
struct Dial {
    unit: u32,
    pid: Pid,
    reading: Arc<Reading>,
}

/// How far an aircraft is: written by it, read by the gauge. The two may be a flight apart.
#[derive(Default)]
struct Reading {
    flights: AtomicU32,
    /// The bits of its mean delay.
    mean: AtomicU64,
}

impl Reading {
    fn take(&self, past: &Past) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of flights, which are numbered in 32 bits"
        )]
        let flights = past.count as u32 + past.cancelled;
        self.flights.store(flights, Ordering::Relaxed);
        self.mean.store(past.mean.to_bits(), Ordering::Relaxed);
    }
}

/// Says how far each aircraft is, to who asks.
struct Gauge {
    fleet: Arc<Fleet>,
    dials: Arc<Mutex<Vec<Dial>>>,
}

impl Behavior for Gauge {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, message: Message) -> Step {
        let (Message::User(_), Some(rt)) = (message, self.fleet.rt.upgrade()) else {
            return Step::Done;
        };
        let dials = self.dials.lock().unwrap_or_else(PoisonError::into_inner);
        let count = u32::try_from(dials.len()).expect("units are numbered in 32 bits");
        let mut answer = Vec::with_capacity(8 + dials.len() * 20);
        answer.extend(self.fleet.life.to_le_bytes());
        answer.extend(count.to_le_bytes());
        for Dial { unit, pid, reading } in dials.iter() {
            let version = rt.behavior_version(*pid).unwrap_or(0);
            let flights = reading.flights.load(Ordering::Relaxed);
            for field in [*unit, flights, version] {
                answer.extend(field.to_le_bytes());
            }
            answer.extend(reading.mean.load(Ordering::Relaxed).to_le_bytes());
        }
        Step::Reply(Bytes::from(answer).into())
    }
}

/// Handles its flights, and acknowledges each with all that has come of it.
///
/// Its first flight from the swap on has it change its behavior: nothing is scored by the first
/// detector after it, and it keeps its state.
#[derive(Clone)]
struct Aircraft {
    fleet: Arc<Fleet>,
    unit: u32,
    /// What it knows when it is opened.
    past: Past,
    reading: Arc<Reading>,
    /// Which detector scores: 1 or 2.
    detector: u8,
}

impl Behavior for Aircraft {
    fn init(&self) -> State {
        Box::new(self.past.clone())
    }

    fn handle(&self, state: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        let Message::User(flight) = message else {
            return Step::Done;
        };
        let past: &mut Past = state.downcast_mut().expect("init makes it");
        if flight.is_empty() {
            return Step::Reply(Bytes::from(past.pack()).into());
        }
        let Some((index, delay)) = unpack_flight(&flight) else {
            let text = format!("a flight of {} bytes", flight.len());
            return failed("aircraft", text);
        };
        if self.detector == 1 && index >= self.fleet.swap_at {
            let second = Self {
                detector: 2,
                ..self.clone()
            };
            if let Some(rt) = self.fleet.rt.upgrade() {
                // Before what waits in its mailbox: those flights are later than this one.
                rt.hot_swap_now(cx.pid(), second);
            }
        }
        let incident = self.take_in(past, index, delay);
        self.reading.take(past);
        let mut ack = Vec::with_capacity(96);
        for field in [self.unit, self.fleet.life, index] {
            ack.extend(field.to_le_bytes());
        }
        ack.extend(past.pack());
        ack.extend(incident);
        // Without its coordinator nothing that an aircraft does counts.
        cx.send(self.fleet.coordinator, ack)
            .map_or_else(|_| failed("aircraft", "no coordinator".into()), Step::from)
    }
}

impl Aircraft {
    /// Takes one flight into the past; the incident that it is, if it is one, else nothing.
    fn take_in(&self, past: &mut Past, index: u32, delay: f64) -> Vec<u8> {
        let mut incident = Vec::new();
        if delay.is_nan() {
            past.cancelled += 1;
            return incident;
        }
        let (version, score) = if index < self.fleet.swap_at {
            (1_u8, score_v1(delay, past.count, past.mean, past.m2))
        } else {
            (2, score_v2(delay, past.count, past.mean, past.m2))
        };
        if score > self.fleet.threshold {
            incident.extend(index.to_le_bytes());
            incident.push(version);
            incident.extend(delay.to_le_bytes());
            incident.extend(score.to_le_bytes());
        }
        past.add(delay, score);
        incident
    }
}

/// `detector.score_v1`.
fn score_v1(delay: f64, count: f64, mean: f64, m2: f64) -> f64 {
    let variance = if count > 1.0 { m2 / (count - 1.0) } else { 0.0 };
    let deviation = variance.sqrt() + 10.0;
    let score = (delay - mean) / deviation;
    if count >= 5.0 { score } else { 0.0 }
}

/// `detector.score_v2`.
fn score_v2(delay: f64, count: f64, mean: f64, m2: f64) -> f64 {
    let (variance, error) = if count > 1.0 {
        let variance = m2 / (count - 1.0);
        (variance, (variance / count).sqrt())
    } else {
        (0.0, 0.0)
    };
    let deviation = variance.sqrt() + 4.0 + error;
    let excess = delay - mean;
    let late = if excess > 0.0 { excess } else { excess * 0.5 };
    if count >= 3.0 { late / deviation } else { 0.0 }
}

/// `detector.Stats`: what one aircraft knows of its own past.
#[derive(Clone)]
struct Past {
    count: f64,
    mean: f64,
    m2: f64,
    last_score: f64,
    score_sum: f64,
    cancelled: u32,
}

impl Past {
    fn add(&mut self, delay: f64, score: f64) {
        let count = self.count + 1.0;
        let delta = delay - self.mean;
        let mean = self.mean + delta / count;
        self.count = count;
        self.mean = mean;
        // In two roundings, as Python does it.
        self.m2 += delta * (delay - mean);
        self.last_score = score;
        self.score_sum += score;
    }

    fn pack(&self) -> Vec<u8> {
        let mut packed = Vec::with_capacity(44);
        for figure in [
            self.count,
            self.mean,
            self.m2,
            self.last_score,
            self.score_sum,
        ] {
            packed.extend(figure.to_le_bytes());
        }
        packed.extend(self.cancelled.to_le_bytes());
        packed
    }

    fn unpack(packed: &mut &[u8]) -> Option<Self> {
        let mut figure = || take(packed).map(f64::from_le_bytes);
        Some(Self {
            count: figure()?,
            mean: figure()?,
            m2: figure()?,
            last_score: figure()?,
            score_sum: figure()?,
            cancelled: u32::from_le_bytes(take(packed)?),
        })
    }
}

fn unpack_flight(mut packed: &[u8]) -> Option<(u32, f64)> {
    let index = u32::from_le_bytes(take(&mut packed)?);
    let delay = f64::from_le_bytes(take(&mut packed)?);
    packed.is_empty().then_some((index, delay))
}

/// The next bytes.
fn take<const N: usize>(packed: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = packed.split_first_chunk()?;
    *packed = rest;
    Some(*first)
}

/// A crash with its reason on the node's error stream: nothing here may go wrong unseen.
fn failed(who: &str, message: String) -> Step {
    eprintln!("fleet_node: {who}: {message}");
    Step::Stop(Exit::crash(Failure {
        kind: who.to_owned(),
        message,
        traceback: String::new(),
    }))
}
