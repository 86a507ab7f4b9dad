//! `cargo xtask soak`: random traffic on the installed wheel, or over a mesh of processes, for a
//! while, with an exact account.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::mesh_soak;
use crate::py;
use crate::tools::{self, Error, Workspace};

/// A checked command line of `cargo xtask soak`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// Nodes in processes of their own instead of the wheel.
    mesh: bool,
    minutes: u64,
    seed: Option<u64>,
}

impl Options {
    /// Reads the flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        const FLAGS: [&str; 3] = ["--mesh", "--minutes", "--seed"];
        let mut flags = args.iter().filter(|arg| arg.starts_with('-'));
        if let Some(unknown) = flags.find(|arg| !FLAGS.contains(&arg.as_str())) {
            return Err(tools::unknown_argument("soak", unknown, &FLAGS));
        }
        let (mesh, numbers): (Vec<_>, Vec<_>) =
            args.iter().cloned().partition(|arg| arg == FLAGS[0]);
        let [minutes, seed] = tools::numbers("soak", &numbers, [FLAGS[1], FLAGS[2]])?;
        Ok(Self {
            mesh: !mesh.is_empty(),
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
    if options.mesh {
        return mesh_soak::run(workspace, options.minutes, seed);
    }
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
        let mut expected = Options {
            mesh: false,
            minutes: 7,
            seed: Some(3),
        };
        assert_eq!(parse("--minutes 7 --seed 3"), Ok(expected));
        expected.mesh = true;
        for line in ["--mesh --minutes 7 --seed 3", "--minutes 7 --mesh --seed 3"] {
            assert_eq!(parse(line), Ok(expected));
        }
        assert_eq!(parse("").map(|options| options.minutes), Ok(1));
        for line in ["--minutes", "--minutes --mesh"] {
            assert_eq!(parse(line), Err("`--minutes` needs a number".into()));
        }
        assert_eq!(
            parse("--hours 1"),
            Err(
                "unknown argument `--hours` of `soak`; valid ones: --mesh, --minutes, --seed"
                    .into()
            )
        );
    }
}
