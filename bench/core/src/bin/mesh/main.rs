//! Messages between two processes over TCP on loopback, beside raw batched TCP and, where it is
//! installed, Erlang distribution and NATS in the same run.
//!
//! `cargo xtask bench mesh [--json] [--quick]`. The program starts itself as the other node. A
//! one-way run ends when the receiving actor, asked behind all messages, says how many it has
//! handled. Plain and mutual TLS; and a probe of 32 bytes beside messages of 16 MiB that fill a
//! link of 1 Gbit/s.

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

mod authority;
mod erlang;
mod narrow;
mod nats;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris::nodes::Tls;
use iris::{Behavior, Context, Message, NodeConfig, Payload, Pid, Runtime, State, Step};

type Done<T> = Result<T, Box<dyn Error>>;

/// Beyond this a message has been lost.
const PATIENCE: Duration = Duration::from_mins(1);

const SMALL: usize = 32;
const LARGE: usize = 64 << 10;

/// One measured row: what it is, what is measured, its goal, and whether more is better.
struct Row {
    workload: &'static str,
    unit: &'static str,
    goal: f64,
    more_is_better: bool,
    iris: Vec<f64>,
    /// The same beside it, where that makes sense.
    raw: Vec<f64>,
    erlang: Option<f64>,
    nats: Option<f64>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let done = match args.first().map(String::as_str) {
        Some("serve") => serve(args.get(1).map(Path::new)),
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

    fn handle_in_place(&self, state: &mut State, cx: &mut Context<'_>, _: &mut Payload) -> Step {
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

/// A node, over TLS if there are certificates.
fn node(certificates: Option<&Path>) -> Done<Runtime> {
    let rt = Runtime::builder().workers(1).start()?;
    if let Some(folder) = certificates {
        let [authority, certificate, key] = authority::files(folder);
        let tls = Tls::from_files(authority, certificate, key)?;
        rt.configure_mesh_over(NodeConfig::default(), Arc::new(tls));
    }
    Ok(rt)
}

/// The other node, until its standard input ends.
fn serve(certificates: Option<&Path>) -> Done<()> {
    let rt = node(certificates)?;
    rt.spawn(Sink).named("sink").start()?;
    rt.spawn(Sink).named("bulk").start()?;
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

/// The other node as a process, ended with this.
struct Other {
    child: Child,
    address: String,
}

impl Other {
    fn start(role: &[&str]) -> Done<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let out = child.stdout.take().ok_or("no output of the other node")?;
        BufReader::new(out).read_line(&mut address)?;
        let address = address.trim().to_owned();
        Ok(Self { child, address })
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How much is sent.
struct Size {
    runs: usize,
    small: u64,
    large: u64,
    trips: usize,
    probes: usize,
}

fn measure(quick: bool, json: bool) -> Done<()> {
    let size = if quick {
        Size {
            runs: 1,
            small: 300_000,
            large: 2_000,
            trips: 2_000,
            probes: 200,
        }
    } else {
        Size {
            runs: 5,
            small: 2_000_000,
            large: 8_000,
            trips: 10_000,
            probes: 1_000,
        }
    };
    let mut rows = between_nodes(&size)?;
    if let Some(beside) = erlang::measure(&size)? {
        for (row, erlang) in rows.iter_mut().zip(beside) {
            row.erlang = Some(erlang);
        }
    }
    if let Some(beside) = nats::measure(&size)? {
        for (row, nats) in rows.iter_mut().zip(beside) {
            row.nats = Some(nats);
        }
    }
    for row in &rows {
        print(row, json);
    }
    Ok(())
}

fn between_nodes(size: &Size) -> Done<Vec<Row>> {
    let folder = authority::make()?;
    let plain = Other::start(&["serve"])?;
    let secure = Other::start(&["serve", folder.to_str().ok_or("a folder's name")?])?;
    let bare = Other::start(&["serve-raw"])?;
    let (here, safe) = (node(None)?, node(Some(&folder))?);
    let find = |rt: &Runtime, address: &str, name: &str| -> Done<Pid> {
        Ok(rt
            .resolve_remote(address, name)?
            .ok_or("nobody has the name")?)
    };
    let sink = find(&here, &plain.address, "sink")?;
    let safe_sink = find(&safe, &secure.address, "sink")?;
    let mut stream = TcpStream::connect(&bare.address)?;
    stream.set_nodelay(true)?;
    let mut rows = vec![
        row("mesh: 32 B one way, TCP", "messages/s", 5e6, true),
        row("mesh: 64 KiB one way, TCP", "bytes/s", 2e9, true),
        row("mesh: round trip, TCP, p50", "us", 20.0, false),
        row("mesh: 32 B one way, mutual TLS", "messages/s", 3e6, true),
        row("mesh: 64 KiB one way, mutual TLS", "bytes/s", 1e9, true),
        row("mesh: round trip, mutual TLS, p50", "us", 30.0, false),
        row(
            "mesh: 32 B beside 16 MiB messages, 1 Gbit/s, p99",
            "us",
            1e4,
            false,
        ),
    ];
    for _ in 0..size.runs {
        let bytes = LARGE as f64;
        rows[0].iris.push(one_way(&here, sink, SMALL, size.small)?);
        rows[0]
            .raw
            .push(raw_one_way(&mut stream, SMALL, size.small)?);
        rows[1]
            .iris
            .push(bytes * one_way(&here, sink, LARGE, size.large)?);
        rows[1]
            .raw
            .push(bytes * raw_one_way(&mut stream, LARGE, size.large)?);
        rows[2].iris.push(round_trip(&here, sink, size.trips)?);
        rows[2].raw.push(raw_round_trip(&mut stream, size.trips)?);
        rows[3]
            .iris
            .push(one_way(&safe, safe_sink, SMALL, size.small)?);
        rows[4]
            .iris
            .push(bytes * one_way(&safe, safe_sink, LARGE, size.large)?);
        rows[5].iris.push(round_trip(&safe, safe_sink, size.trips)?);
    }
    let narrow = node(None)?;
    let link = narrow::link(plain.address.clone())?;
    let (probe, bulk) = (find(&narrow, &link, "sink")?, find(&narrow, &link, "bulk")?);
    rows[6].iris = narrow::probe_p99(&narrow, probe, bulk, size)?;
    for rt in [here, safe, narrow] {
        rt.shutdown(Duration::from_secs(1));
    }
    std::fs::remove_dir_all(folder)?;
    Ok(rows)
}

fn row(workload: &'static str, unit: &'static str, goal: f64, more_is_better: bool) -> Row {
    Row {
        workload,
        unit,
        goal,
        more_is_better,
        iris: Vec::new(),
        raw: Vec::new(),
        erlang: None,
        nats: None,
    }
}

/// Messages a second from here to the actor that counts them.
fn one_way(rt: &Runtime, sink: Pid, size: usize, count: u64) -> Done<f64> {
    let message = Bytes::from(vec![0; size]);
    let began = Instant::now();
    for _ in 0..count {
        // No more waits here than a second's worth: memory is not what is measured.
        while rt
            .mailbox_size(sink)
            .is_some_and(|waiting| waiting > 100_000)
        {
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
    let ours = median(&mut row.iris.clone());
    let raw = (!row.raw.is_empty()).then(|| median(&mut row.raw.clone()));
    let Row {
        workload,
        unit,
        goal,
        more_is_better,
        erlang,
        nats,
        ..
    } = row;
    let over = |other: f64| {
        if *more_is_better {
            ours / other
        } else {
            other / ours
        }
    };
    if json {
        let beside = |name: &str, value: Option<f64>| match value {
            Some(value) => format!(r#", "{name}": {value:.1}"#),
            None => String::new(),
        };
        println!(
            r#"{{"workload": "{workload}", "impl": "iris", "unit": "{unit}", "value": {ours:.1}{}{}{}, "ratio": {:.3}, "goal": 1.0}}"#,
            beside("raw_tcp", raw),
            beside("erlang", *erlang),
            beside("nats", *nats),
            over(*goal)
        );
        return;
    }
    print!(
        "{workload}: {ours:.3e} {unit}, {:.2} of the goal",
        over(*goal)
    );
    if let Some(raw) = raw {
        print!("; raw batched TCP {raw:.3e}");
    }
    if let Some(erlang) = erlang {
        print!("; Erlang {erlang:.3e}, {:.2}x", over(*erlang));
    }
    if let Some(nats) = nats {
        print!("; NATS {nats:.3e}, {:.2}x", over(*nats));
    }
    println!();
}
