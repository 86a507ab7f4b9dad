//! `cargo xtask fuzz`: long runs of the tests that make up their own inputs.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::tools::{self, Error, Workspace};

/// Native results that one random program gives, about.
const CALLS_PER_PROGRAM: u64 = 5;

/// A checked command line of `cargo xtask fuzz offload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    calls: u64,
    seed: Option<u64>,
}

impl Options {
    /// Reads the area and its flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        let Some((area, rest)) = args.split_first() else {
            return Err(Error::usage("`fuzz` needs an area: offload".to_owned()));
        };
        if area != "offload" {
            return Err(tools::unknown_argument("fuzz", area, &["offload"]));
        }
        let [calls, seed] = tools::numbers("fuzz offload", rest, ["--calls", "--seed"])?;
        Ok(Self {
            calls: calls.unwrap_or(100_000),
            seed,
        })
    }
}

/// Compares random programs with the installed `CPython`s; the seed is printed, and the same seed
/// gives the same programs.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<(), Error> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = options
        .seed
        .unwrap_or_else(|| clock.map_or(1, |time| time.as_secs() << 20));
    let programs = options.calls.div_ceil(CALLS_PER_PROGRAM);
    println!(
        "xtask: fuzz offload --calls {} --seed {seed}",
        options.calls
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        Options::parse(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn calls_and_seed_are_numbers() {
        let expected = Options {
            calls: 7,
            seed: Some(3),
        };
        assert_eq!(parse("offload --calls 7 --seed 3"), Ok(expected));
        assert_eq!(parse("offload").map(|options| options.seed), Ok(None));
        assert_eq!(
            parse("offload --seed x"),
            Err("`--seed` needs a number".into())
        );
        assert_eq!(parse(""), Err("`fuzz` needs an area: offload".into()));
        assert_eq!(
            parse("offload --cals 7"),
            Err("unknown argument `--cals` of `fuzz offload`; valid ones: --calls, --seed".into())
        );
    }
}
