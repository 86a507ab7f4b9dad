//! Messages between two processes over TCP on loopback, beside raw batched TCP in the same run.
//!
//! `cargo xtask bench mesh [--json] [--quick]`. The program starts itself as the other node. A
//! one-way run ends when the receiving actor, asked behind all messages, says how many it has
//! handled.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints what it has measured"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "counts that a float holds exactly"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris::{Behavior, Context, Message, Payload, Pid, Runtime, State, Step};

type Done<T> = Result<T, Box<dyn Error>>;

/// Beyond this a message has been lost.
const PATIENCE: Duration = Duration::from_secs(60);

const SMALL: usize = 32;
const LARGE: usize = 64 << 10;

/// One measured row: what it is, what is measured, its goal, and whether more is better.
struct Row {
    workload: &'static str,
    unit: &'static str,
    goal: f64,
    more_is_better: bool,
    iris: Vec<f64>,
    raw: Vec<f64>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let done = match args.first().map(String::as_str) {
        Some("serve") => serve(),
        Some("serve-raw") => serve_raw(),
        _ => measure(has("--quick"), has("--json")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench mesh: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts what it gets, and says how much that was when it is asked.
struct Sink;

impl Behavior for Sink {
    fn init(&self) -> State {
        Box::new(0_u64)
    }

    fn handle(&self, state: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        if let Message::User(_) = message {
            return count(state, cx);
        }
        Step::Done
    }

    fn handle_in_place(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
        _: &mut Payload,
    ) -> Step {
        count(state, cx)
    }
}

fn count(state: &mut State, cx: &Context<'_>) -> Step {
    let Some(count) = state.downcast_mut::<u64>() else {
        return Step::Done;
    };
    if cx.is_asked() {
        let handled = std::mem::take(count);
        return Step::Reply(Payload::copy_of(&handled.to_be_bytes()));
    }
    *count += 1;
    Step::Done
}

/// The other node, until its standard input ends.
fn serve() -> Done<()> {
    let rt = Runtime::builder().workers(1).start()?;
    rt.spawn(Sink).named("sink").start()?;
    println!("{}", rt.listen("127.0.0.1:0")?);
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The other end of raw streams: answers each message of one byte, and counts the rest.
fn serve_raw() -> Done<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let mut buffer = vec![0; 256 << 10];
    for stream in listener.incoming() {
        let mut stream = stream?;
        stream.set_nodelay(true)?;
        loop {
            match stream.read(&mut buffer)? {
                0 => break,
                1 => stream.write_all(&[1])?,
                // The last byte of a run is a 1.
                n if buffer[n - 1] == 1 => stream.write_all(&[1])?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn start(role: &str) -> Done<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    let out = child.stdout.take().ok_or("no output of the other node")?;
    BufReader::new(out).read_line(&mut address)?;
    Ok((child, address.trim().to_owned()))
}

fn measure(quick: bool, json: bool) -> Done<()> {
    let (mut node, address) = start("serve")?;
    let (mut plain, raw_address) = start("serve-raw")?;
    let rt = Runtime::builder().workers(1).start()?;
    let sink = rt.resolve_remote(&address, "sink")?.ok_or("no sink")?;
    let mut stream = TcpStream::connect(&raw_address)?;
    stream.set_nodelay(true)?;
    let (small, large, trips) = if quick {
        (300_000, 2_000, 2_000)
    } else {
        (2_000_000, 8_000, 10_000)
    };
    let mut rows = [
        row("mesh: 32 B one way, TCP", "messages/s", 5e6, true),
        row("mesh: 64 KiB one way, TCP", "bytes/s", 2e9, true),
        row("mesh: round trip, TCP, p50", "us", 20.0, false),
    ];
    for _ in 0..if quick { 1 } else { 5 } {
        rows[0].iris.push(one_way(&rt, sink, SMALL, small)?);
        rows[0].raw.push(raw_one_way(&mut stream, SMALL, small)?);
        let bytes = LARGE as f64;
        rows[1].iris.push(bytes * one_way(&rt, sink, LARGE, large)?);
        rows[1].raw.push(bytes * raw_one_way(&mut stream, LARGE, large)?);
        rows[2].iris.push(round_trip(&rt, sink, trips)?);
        rows[2].raw.push(raw_round_trip(&mut stream, trips)?);
    }
    for row in &rows {
        print(row, json);
    }
    rt.shutdown(Duration::from_secs(1));
    for child in [&mut node, &mut plain] {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn row(workload: &'static str, unit: &'static str, goal: f64, more_is_better: bool) -> Row {
    Row {
        workload,
        unit,
        goal,
        more_is_better,
        iris: Vec::new(),
        raw: Vec::new(),
    }
}

/// Messages a second from here to the actor that counts them.
fn one_way(rt: &Runtime, sink: Pid, size: usize, count: u64) -> Done<f64> {
    let message = Bytes::from(vec![0; size]);
    let began = Instant::now();
    for _ in 0..count {
        // No more waits here than a second's worth: memory is not what is measured.
        while rt.mailbox_size(sink).is_some_and(|waiting| waiting > 100_000) {
            std::thread::sleep(Duration::from_micros(200));
        }
        if size <= Payload::INLINE {
            rt.send_bytes(sink, &message)?;
        } else {
            rt.send(sink, message.clone())?;
            while rt.mailbox_size(sink).is_some_and(|waiting| waiting > 64) {
                std::thread::yield_now();
            }
        }
    }
    let handled = rt.ask(sink, &b"?"[..]).timeout(PATIENCE).wait()?;
    let took = began.elapsed();
    let handled = u64::from_be_bytes(handled[..].try_into()?);
    if handled != count {
        return Err(format!("{handled} of {count} messages were handled").into());
    }
    Ok(count as f64 / took.as_secs_f64())
}

/// The same bytes over a bare stream, in writes of 64 KiB and more.
fn raw_one_way(stream: &mut TcpStream, size: usize, count: u64) -> Done<f64> {
    let batch = (LARGE / size).max(1);
    let mut bytes = vec![0; batch * size];
    let batches = count / batch as u64;
    let began = Instant::now();
    for _ in 1..batches {
        stream.write_all(&bytes)?;
    }
    let last = bytes.len() - 1;
    bytes[last] = 1;
    stream.write_all(&bytes)?;
    stream.read_exact(&mut [0])?;
    let took = began.elapsed();
    Ok((batches * batch as u64) as f64 / took.as_secs_f64())
}

/// The median of questions and answers, in microseconds.
fn round_trip(rt: &Runtime, sink: Pid, trips: usize) -> Done<f64> {
    let mut took = Vec::with_capacity(trips);
    for _ in 0..trips {
        let began = Instant::now();
        rt.ask(sink, &b"?"[..]).timeout(PATIENCE).wait()?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&mut took))
}

fn raw_round_trip(stream: &mut TcpStream, trips: usize) -> Done<f64> {
    let mut took = Vec::with_capacity(trips);
    for _ in 0..trips {
        let began = Instant::now();
        stream.write_all(&[1])?;
        stream.read_exact(&mut [0])?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&mut took))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(row: &Row, json: bool) {
    let (ours, raw) = (median(&mut row.iris.clone()), median(&mut row.raw.clone()));
    let Row {
        workload,
        unit,
        goal,
        more_is_better,
        ..
    } = row;
    let ratio = if *more_is_better {
        ours / goal
    } else {
        goal / ours
    };
    if json {
        println!(
            r#"{{"workload": "{workload}", "impl": "iris", "unit": "{unit}", "value": {ours:.1}, "raw_tcp": {raw:.1}, "ratio": {ratio:.3}, "goal": 1.0}}"#
        );
    } else {
        println!(
            "{workload}: {ours:.3e} {unit}, raw batched TCP {raw:.3e}; {ratio:.2} of the goal"
        );
    }
}
