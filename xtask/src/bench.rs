//! `cargo xtask bench`: measurements that print JSON lines.

use crate::py;
use crate::tools::{self, Error, Workspace};

/// What can be measured.
const AREAS: [&str; 1] = ["python"];

/// Areas of the plan that later versions bring.
const LATER: [&str; 4] = ["core", "offload", "mesh", "node"];

/// The flags that the bench programs understand.
const FLAGS: [&str; 2] = ["--json", "--quick"];

/// A checked command line of `cargo xtask bench`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    flags: &'a [String],
}

impl<'a> Options<'a> {
    /// Reads the area and its flags.
    pub(crate) fn parse(args: &'a [String]) -> Result<Self, Error> {
        let Some((area, flags)) = args.split_first() else {
            return Err(Error::usage(format!(
                "`bench` needs an area: {}",
                AREAS.join(", ")
            )));
        };
        if LATER.contains(&area.as_str()) {
            return Err(Error::not_yet(format!("bench {area}")));
        }
        if !AREAS.contains(&area.as_str()) {
            return Err(tools::unknown_argument("bench", area, &AREAS));
        }
        tools::check_flags("bench python", flags, &FLAGS)?;
        Ok(Self { flags })
    }
}

/// Builds the wheel and measures on it.
pub(crate) fn run(workspace: &Workspace, options: Options<'_>) -> Result<(), Error> {
    let venv = py::run(workspace, py::Options::RELEASE_WHEEL)?;
    let mut command = venv.command();
    command
        .arg(workspace.path("bench/python/main.py"))
        .args(options.flags);
    tools::run(&mut command, "the bench")
}
