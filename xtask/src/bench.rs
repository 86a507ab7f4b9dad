//! `cargo xtask bench`: measurements that print JSON lines.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::node;
use crate::py;
use crate::tools::{self, Error, Venv, Workspace};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    /// The process core in Rust: `bench/core`, a workspace of its own.
    Core,
    /// Crashes and restarts: a program of `bench/core`.
    Supervise,
    /// Two nodes over TCP: a program of `bench/core`.
    Mesh,
    /// The Python binding: `bench/python`, on the installed wheel.
    Python,
    /// Offloaded functions: `bench/offload`, on the installed wheel.
    Offload,
    /// The Node.js binding: `bench/node`.
    Node,
}

/// The areas by their names.
const AREAS: [(&str, Area); 6] = [
    ("core", Area::Core),
    ("supervise", Area::Supervise),
    ("mesh", Area::Mesh),
    ("python", Area::Python),
    ("offload", Area::Offload),
    ("node", Area::Node),
];

/// Where `bench/core` is built, so that it shares nothing with the product's builds.
const CORE_TARGET: &str = "target/bench-core";

impl Area {
    /// The flags that the area's program understands.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Core => &["--json", "--quick", "--full"],
            Self::Supervise | Self::Mesh | Self::Python | Self::Offload | Self::Node => {
                &["--json", "--quick"]
            }
        }
    }
}

/// A checked command line of `cargo xtask bench`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    area: Area,
    flags: &'a [String],
}

impl<'a> Options<'a> {
    /// Reads the area and its flags.
    pub(crate) fn parse(args: &'a [String]) -> Result<Self, Error> {
        let names = AREAS.map(|(name, _)| name);
        let Some((wanted, flags)) = args.split_first() else {
            return Err(Error::usage(format!(
                "`bench` needs an area: {}",
                names.join(", ")
            )));
        };
        let Some((name, area)) = AREAS.into_iter().find(|(name, _)| name == wanted) else {
            return Err(tools::unknown_argument("bench", wanted, &names));
        };
        tools::check_flags(&format!("bench {name}"), flags, area.flags())?;
        Ok(Self { area, flags })
    }
}

/// Builds what the area needs and measures on it.
pub(crate) fn run(workspace: &Workspace, options: Options<'_>) -> Result<(), Error> {
    let mut command = match options.area {
        Area::Core => core(workspace, "bench-core")?,
        Area::Supervise => core(workspace, "bench-supervise")?,
        Area::Mesh => core(workspace, "bench-mesh")?,
        Area::Python => {
            let mut command = python(workspace, "bench/python/main.py")?;
            if let Some(folder) = peers(workspace) {
                command.arg("--extras").arg(folder);
            }
            command
        }
        Area::Offload => {
            rivals(workspace);
            python(workspace, "bench/offload/main.py")?
        }
        Area::Node => node(workspace)?,
    };
    command.args(options.flags);
    tools::run(&mut command, "the bench")
}

/// Builds `bench/core`; this program of it is to be run with the bench's flags.
fn core(workspace: &Workspace, name: &str) -> Result<Command, Error> {
    let target = workspace.path(CORE_TARGET);
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["build", "--release", "--locked", "--bins"])
        .arg("--manifest-path")
        .arg(workspace.path("bench/core/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    tools::run_aside(&mut cargo, "cargo build of bench/core")?;
    Ok(Command::new(program(&target, name)))
}

/// A program of `bench/core` under a target folder.
fn program(target: &Path, name: &str) -> PathBuf {
    target
        .join("release")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION)
}

/// Installs what the bench compares with; it skips what is not there.
fn rivals(workspace: &Workspace) {
    let installed = Venv::ready(workspace).and_then(|venv| {
        let mut pip = venv.command();
        pip.args(["-m", "pip", "install", "--quiet", "numpy", "numba"]);
        tools::run_aside(&mut pip, "pip install of NumPy and Numba")
    });
    if let Err(error) = installed {
        eprintln!("xtask: {error}; the bench goes on without them");
    }
}

/// Installs what the Python bench compares with into a folder of its own: in the environment
/// of the wheel, its dependencies would be the product's. Without it, the bench goes on.
fn peers(workspace: &Workspace) -> Option<PathBuf> {
    let folder = workspace.path("target/bench-python");
    let installed = Venv::ready(workspace).and_then(|venv| {
        let mut pip = venv.command();
        pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"])
            .arg(&folder)
            .arg("--requirement")
            .arg(workspace.path("bench/python/requirements.txt"));
        tools::run_aside(&mut pip, "pip install of bench/python/requirements.txt")
    });
    match installed {
        Ok(()) => Some(folder),
        Err(error) => {
            eprintln!("xtask: {error}; the bench goes on without them");
            None
        }
    }
}

/// Builds the binding, and what the bench compares with, which it goes on without.
fn node(workspace: &Workspace) -> Result<Command, Error> {
    if !node::is_there() {
        return Err(Error::Missing(
            "`bench node` needs a Node.js of version 20 or later on PATH".to_owned(),
        ));
    }
    node::run(workspace, node::Options::RELEASE)?;
    if let Err(error) = node::install(&workspace.path("bench/node")) {
        eprintln!("xtask: {error}; the bench goes on without nact");
    }
    let mut command = Command::new("node");
    match addon(workspace) {
        Ok(addon) => {
            command.env("BENCH_TSFN", addon);
        }
        Err(error) => eprintln!("xtask: {error}; the bench goes on without it"),
    }
    command.arg(workspace.path("bench/node/main.js"));
    Ok(command)
}

/// Builds the addon that calls a thread-safe function for each message, under the name that Node.js
/// takes addons by.
fn addon(workspace: &Workspace) -> Result<PathBuf, Error> {
    let target = workspace.path("target/bench-node");
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(workspace.path("bench/node/tsfn/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    tools::run_aside(&mut cargo, "cargo build of bench/node/tsfn")?;
    let library = format!("{DLL_PREFIX}bench_tsfn{DLL_SUFFIX}");
    let built = target.join("release").join(library);
    let addon = target.join("bench_tsfn.node");
    fs::copy(&built, &addon).map_err(Error::io(format!("copy {}", built.display())))?;
    Ok(addon)
}

/// Builds and installs the wheel.
fn python(workspace: &Workspace, program: &str) -> Result<Command, Error> {
    let venv = py::run(workspace, py::Options::RELEASE_WHEEL)?;
    let mut command = venv.command();
    command.arg(workspace.path(program));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Area, String> {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        let options = Options::parse(&args).map_err(|error| error.to_string())?;
        Ok(options.area)
    }

    #[test]
    fn each_area_knows_its_own_flags() {
        assert_eq!(parse("core --json --quick --full"), Ok(Area::Core));
        assert_eq!(parse("supervise --json --quick"), Ok(Area::Supervise));
        assert_eq!(parse("python --json --quick"), Ok(Area::Python));
        assert_eq!(parse("node --json --quick"), Ok(Area::Node));
        assert_eq!(
            parse("python --full"),
            Err("unknown argument `--full` of `bench python`; valid ones: --json, --quick".into())
        );
    }

    #[test]
    fn a_missing_or_unknown_area_is_answered_with_the_valid_ones() {
        assert_eq!(
            parse(""),
            Err("`bench` needs an area: core, supervise, mesh, python, offload, node".into())
        );
        assert_eq!(
            parse("cores"),
            Err(
                "unknown argument `cores` of `bench`; valid ones: core, supervise, mesh, python, offload, node"
                    .into()
            )
        );
    }
}
