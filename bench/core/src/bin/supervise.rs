//! How long a supervised crash takes, until the successor is there and reachable by name; and
//! whether the last of many crashes costs what the first did.
//!
//! `cargo xtask bench supervise [--json] [--quick]`. Erlang/OTP runs beside it if `erl` is on
//! the path.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints what it has measured"
)]

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use iris::supervise::{Backoff, Intensity};
use iris::{
    ChildSpec, ExitReason, Failure, Message, Pid, Runtime, Step, SupervisorSpec, SystemMessage,
    Verdict, handler,
};

/// A crash is to be over within a millisecond.
const GOAL_US: f64 = 1_000.0;

/// The second half of the crashes may cost this much more than the first: what two runs of the
/// same work differ by on a machine that others use, too.
const GOAL_HALVES: f64 = 0.8;

/// Beyond this a crash has been lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measured with Erlang/OTP: the same, with a process under a `supervisor`.
const OTP: &str = include_str!("../../erlang/restart.erl");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let crashes = if has("--quick") { 2_000 } else { 20_000 };
    match run(crashes, has("--json")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench supervise: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(crashes: usize, json: bool) -> Result<(), Box<dyn Error>> {
    let took = crash_again_and_again(crashes)?;
    let (first, second) = took.split_at(crashes / 2);
    let (median_us, halves) = (median(&took), median(first) / median(second));
    let rows = [
        ("crash to reachable by name", GOAL_US / median_us, 1.0),
        (
            "first half of the crashes over the second",
            halves,
            GOAL_HALVES,
        ),
    ];
    for (workload, ratio, goal) in rows {
        if json {
            println!(
                r#"{{"workload": "{workload}", "ratio": {ratio:.3}, "goal": {goal}, "impl": "iris", "crashes": {crashes}, "median_us": {median_us:.1}}}"#
            );
        }
    }
    if !json {
        println!("{crashes} crashes of one supervised actor, each until it is reachable by name");
        println!(
            "  median {median_us:.1} us, 99th percentile {:.1} us",
            percentile(&took, 99)
        );
        println!(
            "  median of the first half {:.1} us, of the second {:.1} us",
            median(first),
            median(second)
        );
    }
    erlang(crashes, median_us, json)
}

/// Microseconds that each crash took.
fn crash_again_and_again(crashes: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let rt = Runtime::builder().workers(2).start()?;
    let observer = rt.observer().start()?;
    rt.watch_supervision(observer);
    let spec = SupervisorSpec {
        intensity: Intensity::new(u32::MAX, Duration::from_hours(1)),
        backoff: Backoff::NONE,
        ..SupervisorSpec::default()
    };
    let supervisor = rt.supervisor(spec).start()?;
    let pid = mortal(&rt).map_err(|failure| failure.to_string())?;
    rt.register("worker", pid)?;
    rt.supervise(supervisor, pid, ChildSpec::new("worker"), mortal)?;
    let mut took = Vec::with_capacity(crashes);
    for _ in 0..crashes {
        let start = Instant::now();
        rt.send_named("worker", &b"crash"[..])?;
        rt.selective_recv(observer, is_restart, Some(PATIENCE))?;
        rt.send_named("worker", &b""[..])?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

fn mortal(rt: &Runtime) -> Result<Pid, Failure> {
    let mortal = handler(|_, bytes| {
        if bytes.is_empty() {
            Step::Done
        } else {
            Step::Stop(ExitReason::Crash.into())
        }
    });
    Ok(rt.spawn(mortal).start()?)
}

fn is_restart(message: &Message) -> Verdict {
    matches!(message, Message::System(SystemMessage::Restarted { .. })).into()
}

/// The same with OTP, if it is there.
fn erlang(crashes: usize, ours_us: f64, json: bool) -> Result<(), Box<dyn Error>> {
    if Command::new("erl").arg("-version").output().is_err() {
        eprintln!("bench supervise: `erl` is not installed (erlang-base), so OTP is left out");
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("iris-otp-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("restart.erl"), OTP)?;
    let eval = format!("{{ok,_}}=c:c(restart),restart:main({crashes}),halt(0).");
    let output = Command::new("erl")
        .current_dir(&folder)
        .args([
            "-noshell",
            "-kernel",
            "logger_level",
            "none",
            "-eval",
            &eval,
        ])
        .output()?;
    std::fs::remove_dir_all(&folder)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let theirs_us: f64 = text.lines().last().unwrap_or_default().trim().parse()?;
    if json {
        println!(
            r#"{{"workload": "crash to reachable by name", "impl": "otp", "median_us": {theirs_us:.1}}}"#
        );
    } else {
        println!(
            "  OTP: median {theirs_us:.1} us, {:.2} of ours",
            theirs_us / ours_us
        );
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len() * percent / 100;
    sorted.get(at).copied().unwrap_or_default()
}
