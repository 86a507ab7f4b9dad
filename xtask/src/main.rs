//! `cargo xtask`: builds of the bindings, the demo and all checks.
//!
//! Uses the standard library only, so that it is compiled in seconds before
//! anything else, and no iris crate, so that it works while they do not.
//!
//! Reading order: [`tools`] (errors, processes, the virtual environment), [`py`] (the wheel),
//! [`node`] (the Node.js binding), [`demo`] and [`bench`] (programs that need the wheel), [`tidy`],
//! [`test`], [`fuzz`], [`soak`] and [`mesh_soak`] (the checks).

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its user by printing"
)]

mod bench;
mod demo;
mod fuzz;
mod mesh_soak;
mod node;
mod py;
mod soak;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use tools::{Error, Workspace};

/// What `cargo xtask help` prints.
const USAGE: &str = "\
usage: cargo xtask COMMAND

  py [--release] [--develop]      build the Python wheel into target/wheels/ and install it into
                                  target/venv; --develop installs it in place (maturin develop)
  node [--release] [--nats]       build the Node.js binding into iris-node/, where `require` finds it
  demo [--quick] [--chaos] [--data-dir DIR] [--repeat N] [--threshold X]
                                  the fleet of 2013's flights on actors; --quick needs no network,
                                  --chaos lets one aircraft in a hundred crash on purpose
  demo --mesh [--quick] [--chaos] [--data-dir DIR] [--threshold X]
                                  the same on two nodes in Python and one in Rust; one of them is
                                  killed and comes back, with --chaos each of them
  demo --mesh --gateway [--gateway-port PORT] ..
                                  the same, shown on a page by a node in JavaScript; needs Node.js
  test                            everything that must pass; what .ci/run calls
  bench core [--json] [--quick] [--full]
                                  measures the process core against raw Tokio channels, ractor and
                                  kameo; --full adds the workloads with a million actors
  bench supervise [--json] [--quick]
                                  measures a crash until its successor is reachable by name, beside
                                  Erlang/OTP if `erl` is installed
  bench python [--json] [--quick] measures against asyncio.Queue and others
  bench offload [--json] [--quick]
                                  measures offloaded functions against Numba (if pip can install
                                  it), NumPy and CPython
  bench node [--json] [--quick]   measures against EventEmitter, nact (if npm can install it) and
                                  others
  fuzz offload [--calls N] [--seed S]
                                  compares random programs, compiled, with CPython
  fuzz wire [--calls N] [--seed S]
                                  feeds every decoder of the mesh protocol with good input made bad
  soak [--minutes N] [--seed S]   random traffic, spawns, swaps and stops from eight Python threads,
                                  with an exact account of all messages at the end
  soak --mesh [--minutes N] [--seed S]
                                  three nodes in processes of their own that are killed and, where
                                  network namespaces are allowed, cut off and slowed down, with an
                                  exact account of all messages and monitors at the end
  help                            this text

environment:
  IRIS_PYTHON   the Python interpreter to use (3.9 or later, with venv);
                default: the first fit one of python3 and python on PATH
";

/// Commands that work.
const COMMANDS: [&str; 8] = [
    "py", "node", "demo", "test", "bench", "fuzz", "soak", "help",
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            if error.is_usage() {
                eprintln!("`cargo xtask help` shows all commands and flags");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs the command that `args` (without the program's name) ask for.
fn run(args: &[String]) -> Result<(), Error> {
    let Some((command, rest)) = args.split_first() else {
        return Err(Error::usage(format!(
            "no command; valid ones: {}",
            COMMANDS.join(", ")
        )));
    };
    match command.as_str() {
        "py" => {
            let options = py::Options::parse(rest)?;
            py::run(&Workspace::find(), options).map(drop)
        }
        "node" => {
            let options = node::Options::parse(rest)?;
            node::run(&Workspace::find(), options)
        }
        "demo" => {
            let flags = demo::check_flags(rest)?;
            demo::run(&Workspace::find(), flags)
        }
        "test" => {
            tools::check_flags("test", rest, &[])?;
            test::run(&Workspace::find())
        }
        "bench" => {
            let options = bench::Options::parse(rest)?;
            bench::run(&Workspace::find(), options)
        }
        "fuzz" => {
            let options = fuzz::Options::parse(rest)?;
            fuzz::run(&Workspace::find(), options)
        }
        "soak" => {
            let options = soak::Options::parse(rest)?;
            soak::run(&Workspace::find(), options)
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => Err(Error::usage(format!(
            "unknown command `{unknown}`; valid ones: {}",
            COMMANDS.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(line: &str) -> Error {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        run(&args).expect_err("the line is wrong")
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_valid_ones() {
        let error = error_of("tset");
        assert_eq!(
            error.to_string(),
            "unknown command `tset`; valid ones: py, node, demo, test, bench, fuzz, soak, help"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_missing_command_is_an_error() {
        assert_eq!(error_of("").exit_code(), 2);
    }

    #[test]
    fn an_unknown_flag_is_answered_with_the_valid_ones() {
        for (line, text) in [
            (
                "py --fast",
                "unknown argument `--fast` of `py`; valid ones: --release, --develop",
            ),
            (
                "node --develop",
                "unknown argument `--develop` of `node`; valid ones: --release, --nats",
            ),
            (
                "test --all",
                "unknown argument `--all` of `test`; it takes none",
            ),
            (
                "bench python --csv",
                "unknown argument `--csv` of `bench python`; valid ones: --json, --quick",
            ),
            (
                "bench core --csv",
                "unknown argument `--csv` of `bench core`; valid ones: --json, --quick, --full",
            ),
            (
                "demo --slow",
                "unknown argument `--slow` of `demo`; valid ones: --quick, --chaos, --mesh, --gateway, --gateway-port, --data-dir, --repeat, --threshold",
            ),
        ] {
            let error = error_of(line);
            assert_eq!(error.to_string(), text);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_usage_text_names_every_command() {
        for command in COMMANDS {
            assert!(USAGE.contains(command), "{command}");
        }
    }
}
