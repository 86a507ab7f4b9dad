//! `cargo xtask fuzz`: long runs of programs that make up their own inputs.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::tools::{self, Error, Workspace};

/// Native results that one random program gives, about.
const CALLS_PER_PROGRAM: u64 = 5;

/// What is fed with made-up input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    /// The compiler, compared with `CPython`.
    Offload,
    /// The decoders and machines of the mesh protocol.
    Wire,
}

/// A checked command line of `cargo xtask fuzz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    area: Area,
    calls: u64,
    seed: Option<u64>,
}

impl Options {
    /// Reads the area and its flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        let Some((area, rest)) = args.split_first() else {
            return Err(Error::usage(
                "`fuzz` needs an area: offload, wire".to_owned(),
            ));
        };
        let (area, command, default) = match area.as_str() {
            "offload" => (Area::Offload, "fuzz offload", 100_000),
            "wire" => (Area::Wire, "fuzz wire", 10_000_000),
            unknown => {
                return Err(tools::unknown_argument(
                    "fuzz",
                    unknown,
                    &["offload", "wire"],
                ));
            }
        };
        let [calls, seed] = tools::numbers(command, rest, ["--calls", "--seed"])?;
        Ok(Self {
            area,
            calls: calls.unwrap_or(default),
            seed,
        })
    }
}

/// Runs the area with a seed, which is printed; the same seed gives the same inputs.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<(), Error> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = options
        .seed
        .unwrap_or_else(|| clock.map_or(1, |time| time.as_secs() << 20));
    match options.area {
        Area::Offload => fuzz_offload(workspace, options.calls, seed),
        Area::Wire => fuzz_wire(workspace, options.calls, seed),
    }
}

/// Compares random programs with the installed `CPython`s.
fn fuzz_offload(workspace: &Workspace, calls: u64, seed: u64) -> Result<(), Error> {
    let programs = calls.div_ceil(CALLS_PER_PROGRAM);
    println!("xtask: fuzz offload --calls {calls} --seed {seed}");
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["test", "--release", "--locked", "-p", "iris-offload"])
        .args([
            "--test",
            "differential",
            "--",
            "--nocapture",
            "random_programs",
        ])
        .env("IRIS_DIFF_PROGRAMS", programs.to_string())
        .env("IRIS_DIFF_SEED", seed.to_string());
    tools::run(&mut cargo, "the differential test")
}

/// Feeds the decoders and machines of the mesh protocol with good input made bad.
fn fuzz_wire(workspace: &Workspace, calls: u64, seed: u64) -> Result<(), Error> {
    println!("xtask: fuzz wire --calls {calls} --seed {seed}");
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["run", "--release", "--locked", "--quiet"])
        .args(["-p", "iris-wire", "--example", "fuzz", "--"])
        .args([calls.to_string(), seed.to_string()]);
    tools::run(&mut cargo, "the fuzzer of iris-wire")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        Options::parse(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn calls_and_seed_are_numbers() {
        let mut expected = Options {
            area: Area::Offload,
            calls: 7,
            seed: Some(3),
        };
        assert_eq!(parse("offload --calls 7 --seed 3"), Ok(expected));
        expected.area = Area::Wire;
        assert_eq!(parse("wire --calls 7 --seed 3"), Ok(expected));
        assert_eq!(
            parse("wires"),
            Err("unknown argument `wires` of `fuzz`; valid ones: offload, wire".into())
        );
        assert_eq!(parse("offload").map(|options| options.seed), Ok(None));
        assert_eq!(
            parse("offload --seed x"),
            Err("`--seed` needs a number".into())
        );
        assert_eq!(parse(""), Err("`fuzz` needs an area: offload, wire".into()));
        assert_eq!(
            parse("offload --cals 7"),
            Err("unknown argument `--cals` of `fuzz offload`; valid ones: --calls, --seed".into())
        );
    }
}
