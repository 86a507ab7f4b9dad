//! `cargo xtask demo`: the main job on real data, `examples/fleet`.

use std::path::PathBuf;

use crate::tools::{self, Error, Venv, Workspace};
use crate::{node, py};

/// Flags that `examples/fleet/main.py` understands, and whether a value follows.
const FLAGS: [(&str, bool); 8] = [
    ("--quick", false),
    ("--chaos", false),
    ("--mesh", false),
    ("--gateway", false),
    ("--gateway-port", true),
    ("--data-dir", true),
    ("--repeat", true),
    ("--threshold", true),
];

/// Refuses wrong flags here: the program would say so only after the build.
pub(crate) fn check_flags(args: &[String]) -> Result<&[String], Error> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (name, has_value) = match arg.split_once('=') {
            Some((name, _)) => (name, true),
            None => (arg.as_str(), false),
        };
        match FLAGS.iter().find(|(flag, _)| *flag == name) {
            Some((_, true)) if !has_value => {
                if rest.next().is_none() {
                    return Err(Error::usage(format!("`{name}` of `demo` needs a value")));
                }
            }
            Some((_, takes_value)) if *takes_value == has_value => {}
            _ => {
                return Err(tools::unknown_argument(
                    "demo",
                    arg,
                    &FLAGS.map(|(flag, _)| flag),
                ));
            }
        }
    }
    if is_mesh(args) && args.iter().any(|arg| arg.starts_with("--repeat")) {
        let text = "`--repeat` of `demo` is not for `--mesh`, which runs once";
        return Err(Error::usage(text.into()));
    }
    if has(args, "--gateway") && !is_mesh(args) {
        let text = "`--gateway` of `demo` is for `--mesh`, whose nodes it shows";
        return Err(Error::usage(text.into()));
    }
    if !has(args, "--gateway") && args.iter().any(|arg| arg.starts_with("--gateway-port")) {
        let text = "`--gateway-port` of `demo` is for `--gateway`";
        return Err(Error::usage(text.into()));
    }
    Ok(args)
}

fn has(flags: &[String], name: &str) -> bool {
    flags.iter().any(|flag| flag == name)
}

fn is_mesh(flags: &[String]) -> bool {
    has(flags, "--mesh")
}

/// Builds the wheel, and the node in Rust and the binding for Node.js where they are asked for, and
/// runs the demo on them.
pub(crate) fn run(workspace: &Workspace, flags: &[String]) -> Result<(), Error> {
    if has(flags, "--gateway") {
        node::check_version("the gateway", "leave --gateway out")?;
        node::run(workspace, node::Options::RELEASE)?;
    }
    let venv = py::run(workspace, py::Options::RELEASE_WHEEL)?;
    let mut flags = flags.to_vec();
    if is_mesh(&flags) {
        let node = fleet_node(workspace)?;
        flags.extend(["--rust-node".into(), node.to_string_lossy().into_owned()]);
    }
    run_on(workspace, &venv, &flags)
}

/// Where cargo puts the node in Rust, below the folder of a profile.
const FLEET_NODE: &str = "examples/fleet_node";

/// Builds the node in Rust with what it needs, which is not the offload and its compiler.
fn fleet_node(workspace: &Workspace) -> Result<PathBuf, Error> {
    let target = workspace.path("target");
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["build", "--release", "--locked", "--package", "iris"])
        .args(["--no-default-features", "--features", "mesh"])
        .args(["--example", "fleet_node", "--target-dir"])
        .arg(&target);
    tools::run_aside(&mut cargo, "cargo build of the node in Rust")?;
    let program = target.join("release").join(FLEET_NODE);
    Ok(program.with_extension(std::env::consts::EXE_EXTENSION))
}

/// Runs the demo on an environment that holds the package already.
pub(crate) fn run_on(workspace: &Workspace, venv: &Venv, flags: &[String]) -> Result<(), Error> {
    let mut command = venv.command();
    command
        .arg(workspace.path("examples/fleet/main.py"))
        .args(flags);
    tools::run(&mut command, "the demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<(), String> {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        check_flags(&args)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_may_follow_or_be_joined() {
        for line in [
            "",
            "--quick",
            "--quick --chaos",
            "--mesh --chaos --quick --threshold 3.5",
            "--repeat 3 --quick",
            "--data-dir=somewhere --threshold 3.5",
            "--mesh --gateway",
            "--gateway --gateway-port 8080 --mesh",
        ] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn a_missing_value_is_an_error() {
        assert_eq!(
            check("--repeat"),
            Err("`--repeat` of `demo` needs a value".into())
        );
    }

    #[test]
    fn the_run_on_nodes_is_not_repeated() {
        for line in ["--mesh --repeat 3", "--repeat=3 --mesh"] {
            assert_eq!(
                check(line),
                Err("`--repeat` of `demo` is not for `--mesh`, which runs once".into()),
                "{line}"
            );
        }
    }

    #[test]
    fn the_gateway_is_for_the_run_on_nodes() {
        for line in ["--gateway", "--quick --gateway --gateway-port 1"] {
            assert_eq!(
                check(line),
                Err("`--gateway` of `demo` is for `--mesh`, whose nodes it shows".into()),
                "{line}"
            );
        }
        for line in ["--mesh --gateway-port 1", "--gateway-port=1"] {
            assert_eq!(
                check(line),
                Err("`--gateway-port` of `demo` is for `--gateway`".into()),
                "{line}"
            );
        }
    }

    #[test]
    fn a_value_for_a_bare_flag_is_an_error() {
        assert!(check("--quick=yes").is_err());
        assert!(check("yes").is_err());
    }
}
