//! All repetitions of all implementations in turn, each in a child process.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use crate::catalogue::{Impl, Scale, Workload};
use crate::child;
use crate::report::{Output, Sample};

/// What the program understands.
const USAGE: &str = "\
usage: bench-core [--json] [--quick] [--full] [WORKLOAD...]

  --json   JSON lines only
  --quick  smaller sizes and 3 repetitions instead of 5, for a first look
  --full   the workloads with a million actors, too (ractor and kameo need 7 GB)
";

/// A checked command line.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// One repetition.
    Child(Impl, Workload, Scale),
    /// All of them.
    Parent(Options),
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    json: bool,
    scale: Scale,
    workloads: Vec<Workload>,
}

/// A repetition gave no figures.
#[derive(Debug)]
enum ChildError {
    /// The program could not be started.
    Start(io::Error),
    /// It failed; it has said why.
    Status(ExitStatus),
    /// Its figures cannot be read.
    Garbled(String),
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "its process could not be started: {error}"),
            Self::Status(status) => write!(f, "its process failed ({status})"),
            Self::Garbled(line) => write!(f, "its figures cannot be read: {line:?}"),
        }
    }
}

impl std::error::Error for ChildError {}

/// The program, with its arguments. A goal that is not met is a figure, not a failure.
#[expect(
    clippy::print_stderr,
    reason = "a command line tool says what is wrong"
)]
pub fn main(args: &[String]) -> ExitCode {
    match parse(args) {
        Ok(Task::Child(imp, workload, scale)) => child::run(imp, workload, scale),
        Ok(Task::Parent(options)) => run(&options),
        Err(wrong) => {
            eprintln!("bench-core: {wrong}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(args: &[String]) -> Result<Task, String> {
    if let [first, imp, workload, scale] = args
        && first == "child"
    {
        let imp = Impl::ALL.into_iter().find(|known| known.name() == imp);
        let scale = match &**scale {
            "quick" => Scale::Quick,
            _ => Scale::Normal,
        };
        let imp = imp.ok_or("an unknown implementation")?;
        return Ok(Task::Child(imp, workload_of(workload)?, scale));
    }
    let (mut json, mut scale, mut full) = (false, Scale::Normal, false);
    let mut workloads = Vec::new();
    for arg in args {
        match &**arg {
            "--json" => json = true,
            "--quick" => scale = Scale::Quick,
            "--full" => full = true,
            other => workloads.push(workload_of(other)?),
        }
    }
    if workloads.is_empty() {
        let wanted = |workload: &Workload| full || !workload.only_in_full();
        workloads = Workload::ALL.into_iter().filter(wanted).collect();
    }
    Ok(Task::Parent(Options {
        json,
        scale,
        workloads,
    }))
}

fn workload_of(id: &str) -> Result<Workload, String> {
    let found = Workload::ALL.into_iter().find(|known| known.id() == id);
    found.ok_or_else(|| {
        let ids = Workload::ALL.map(Workload::id).join(", ");
        format!("unknown argument `{id}`; workloads: {ids}")
    })
}

#[expect(
    clippy::print_stderr,
    reason = "a command line tool says what is wrong"
)]
fn run(options: &Options) -> ExitCode {
    let repetitions = match options.scale {
        Scale::Quick => 3,
        Scale::Normal => 5,
    };
    let mut output = Output::new(options.json);
    let mut failures = 0;
    for &workload in &options.workloads {
        let impls = workload.impls();
        let mut samples: Vec<(Impl, Vec<Sample>)> =
            impls.iter().map(|&imp| (imp, Vec::new())).collect();
        for _ in 0..repetitions {
            for (imp, samples) in &mut samples {
                match repeat(*imp, workload, options.scale) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => {
                        failures += 1;
                        eprintln!("bench-core: {} on {}: {error}", workload.id(), imp.name());
                    }
                }
            }
        }
        output.workload(workload, &samples);
    }
    output.end();
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One repetition in a process of its own.
fn repeat(imp: Impl, workload: Workload, scale: Scale) -> Result<Sample, ChildError> {
    let scale = match scale {
        Scale::Quick => "quick",
        Scale::Normal => "normal",
    };
    let output = Command::new(program(imp).map_err(ChildError::Start)?)
        .args(["child", imp.name(), workload.id(), scale])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(ChildError::Start)?;
    if !output.status.success() {
        return Err(ChildError::Status(output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    read_line(text.trim()).ok_or_else(|| ChildError::Garbled(text.trim().to_owned()))
}

/// The program that an implementation's repetitions run in; both lie in one folder.
fn program(imp: Impl) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let name = if imp.wants_mimalloc() {
        "bench-core-mimalloc"
    } else {
        "bench-core"
    };
    Ok(own
        .with_file_name(name)
        .with_extension(std::env::consts::EXE_EXTENSION))
}

/// Reads what a child prints; `None` if it lacks a figure that all have.
fn read_line(line: &str) -> Option<Sample> {
    let mut figures = Vec::new();
    for word in line.split_whitespace() {
        let (name, value) = word.split_once('=')?;
        figures.push((name.to_owned(), value.parse::<f64>().ok()?));
    }
    let mut take = |name: &str| {
        let at = figures.iter().position(|(known, _)| known == name)?;
        Some(figures.remove(at).1)
    };
    Some(Sample {
        n: take("n")?,
        seconds: take("seconds")?,
        cpu_seconds: take("cpu_seconds")?,
        rss_bytes: take("rss_bytes")?,
        extras: figures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        let args: Vec<_> = line.split_whitespace().map(String::from).collect();
        parse(&args)
    }

    #[test]
    fn a_million_actors_are_for_a_full_run() {
        for (line, there) in [("--quick", false), ("--full --quick", true)] {
            let Ok(Task::Parent(options)) = parsed(line) else {
                panic!("{line} is a command line of the parent")
            };
            assert_eq!(options.workloads.contains(&Workload::SpawnMillion), there);
            assert_eq!(options.scale, Scale::Quick);
        }
    }

    #[test]
    fn an_unknown_workload_is_answered_with_the_valid_ones() {
        let wrong = parsed("--json tel").expect_err("no such workload");
        assert!(wrong.starts_with("unknown argument `tel`; workloads: tell, "));
    }

    #[test]
    fn a_child_is_told_all_it_needs() {
        assert_eq!(
            parsed("child tokio_mimalloc tell-bytes quick"),
            Ok(Task::Child(
                Impl::TokioMimalloc,
                Workload::TellBytes,
                Scale::Quick
            ))
        );
    }

    #[test]
    fn the_figures_of_a_child_come_back() {
        let line = "n=2 seconds=0.5 cpu_seconds=0.25 rss_bytes=1024 p99_us=7.5";
        let sample = read_line(line).expect("it is whole");
        assert!((sample.per_sec() - 4.0).abs() < 1e-9);
        assert!((sample.extra("p99_us").expect("it is there") - 7.5).abs() < 1e-9);
        assert!(read_line("n=2 seconds=0.5").is_none());
    }
}
