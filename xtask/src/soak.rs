//! `cargo xtask soak`: random traffic on the installed wheel for a while, with an exact account.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::py;
use crate::tools::{self, Error, Workspace};

/// A checked command line of `cargo xtask soak`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    minutes: u64,
    seed: Option<u64>,
}

impl Options {
    /// Reads the flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        let [minutes, seed] = tools::numbers("soak", args, ["--minutes", "--seed"])?;
        Ok(Self {
            minutes: minutes.unwrap_or(1),
            seed,
        })
    }
}

/// Runs the program of the tests; the same seed gives the same choices, not the same timing.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<(), Error> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = options
        .seed
        .unwrap_or_else(|| clock.map_or(1, |time| time.as_secs()));
    let venv = py::run(workspace, py::Options::RELEASE_WHEEL)?;
    println!("xtask: soak --minutes {} --seed {seed}", options.minutes);
    let mut command = venv.command();
    command
        .arg(workspace.path("iris-py/tests/soak.py"))
        .arg((options.minutes * 60).to_string())
        .arg(seed.to_string());
    tools::run(&mut command, "the soak")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        Options::parse(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn minutes_and_seed_are_numbers() {
        let expected = Options {
            minutes: 7,
            seed: Some(3),
        };
        assert_eq!(parse("--minutes 7 --seed 3"), Ok(expected));
        assert_eq!(parse("").map(|options| options.minutes), Ok(1));
        assert_eq!(parse("--minutes"), Err("`--minutes` needs a number".into()));
        assert_eq!(
            parse("--hours 1"),
            Err("unknown argument `--hours` of `soak`; valid ones: --minutes, --seed".into())
        );
    }
}
