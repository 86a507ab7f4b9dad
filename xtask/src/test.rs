//! `cargo xtask test`: everything that must pass, in the order in which it fails fastest.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::tools::{self, Error, Venv, Workspace};
use crate::{demo, node, py, tidy};

/// One step: its name, and what it does.
type Step = (&'static str, fn(&Workspace) -> Result<(), Error>);

/// All steps, in order. The wheel stands before clippy, which needs the environment's
/// interpreter to compile the Python binding.
const STEPS: [Step; 11] = [
    ("fmt", fmt),
    ("tidy", |workspace| tidy::check(workspace.root())),
    ("wheel", |workspace| {
        py::run(workspace, py::Options::RELEASE_WHEEL).map(drop)
    }),
    ("clippy", clippy),
    ("cargo test", cargo_test),
    ("nats", nats),
    ("loom", loom),
    ("pytest", pytest),
    ("node", node_tests),
    ("fleet tests", fleet_tests),
    ("fleet demo", fleet_demo),
];

/// Runs all steps; the first failure ends the run.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let start = Instant::now();
    for (name, step) in STEPS {
        println!("== {name}");
        let step_start = Instant::now();
        let outcome = step(workspace);
        let seconds = step_start.elapsed().as_secs_f64();
        if let Err(source) = outcome {
            println!("== {name}: FAILED after {seconds:.1} s");
            return Err(Error::Step {
                name,
                source: Box::new(source),
            });
        }
        println!("== {name}: ok, {seconds:.1} s");
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("== all {} steps passed in {seconds:.1} s", STEPS.len());
    Ok(())
}

fn fmt(workspace: &Workspace) -> Result<(), Error> {
    tools::run(
        workspace.cargo(None).args(["fmt", "--all", "--check"]),
        "cargo fmt",
    )
}

fn clippy(workspace: &Workspace) -> Result<(), Error> {
    let venv = Venv::ready(workspace)?;
    let mut cargo = workspace.cargo(Some(&venv));
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]);
    tools::run(&mut cargo, "cargo clippy")
}

/// Unit, integration, documentation and layer tests of the default members.
fn cargo_test(workspace: &Workspace) -> Result<(), Error> {
    let venv = Venv::ready(workspace)?;
    let mut cargo = workspace.cargo(Some(&venv));
    cargo.args(["test", "--locked"]);
    run_showing_results(&mut cargo, "cargo test")
}

/// The feature `nats`, which is off by default: clippy, unit tests, links, and runtimes over them.
/// Without a `nats-server` the last two say so, and test nothing.
fn nats(workspace: &Workspace) -> Result<(), Error> {
    let venv = Venv::ready(workspace)?;
    let mut cargo = workspace.cargo(Some(&venv));
    cargo.args(["clippy", "--locked", "--all-targets"]);
    cargo.args(["--package", "iris-mesh", "--package", "iris"]);
    cargo.args(["--package", "iris-py", "--features", "iris-py/nats"]);
    cargo.args(["--package", "iris-node", "--features", "iris-node/nats"]);
    cargo.args(["--", "-D", "warnings"]);
    tools::run(&mut cargo, "cargo clippy of the feature nats")?;
    let mut cargo = workspace.cargo(None);
    cargo.args(["test", "--locked", "--lib", "--test", "nats"]);
    cargo.args(["--package", "iris-mesh", "--package", "iris"]);
    cargo.args(["--no-default-features", "--features"]);
    cargo.arg("iris-mesh/nats,iris/nats");
    run_showing_results(&mut cargo, "cargo test of the feature nats")
}

/// The crates with a loom test, and its name.
const LOOM_TESTS: [(&str, &str); 3] = [
    ("iris-mailbox", "loom_mailbox"),
    ("iris-mailbox", "loom_lives"),
    ("iris-sched", "loom_sleepers"),
];

/// Every interleaving of the mailbox and of the workers' sleep; in release, since loom
/// runs very many.
fn loom(workspace: &Workspace) -> Result<(), Error> {
    for (package, test) in LOOM_TESTS {
        let mut cargo = workspace.cargo(None);
        cargo.args(["test", "--locked", "--package", package]);
        cargo.args(["--features", "loom", "--test", test, "--release"]);
        run_showing_results(&mut cargo, "cargo test of a loom model")?;
    }
    Ok(())
}

fn pytest(workspace: &Workspace) -> Result<(), Error> {
    pytest_in(workspace, "iris-py/tests", "pytest of iris-py", &[])
}

/// A node in Rust as the tests of the workspace have built it: the same packages and features, so
/// that nothing is compiled twice.
fn example(workspace: &Workspace, name: &str) -> Result<PathBuf, Error> {
    let venv = Venv::ready(workspace)?;
    let target = workspace.path("target");
    let mut cargo = workspace.cargo(Some(&venv));
    cargo
        .args(["build", "--locked", "--example", name, "--target-dir"])
        .arg(&target);
    tools::run(&mut cargo, "cargo build of the node in Rust")?;
    let program = target.join("debug").join("examples").join(name);
    Ok(program.with_extension(std::env::consts::EXE_EXTENSION))
}

fn node_tests(workspace: &Workspace) -> Result<(), Error> {
    if !node::is_there() {
        println!("node: skipped, there is no Node.js on PATH");
        return Ok(());
    }
    node::test(workspace, &example(workspace, "mesh_peer")?)
}

fn fleet_tests(workspace: &Workspace) -> Result<(), Error> {
    let node = example(workspace, "fleet_node")?;
    pytest_in(
        workspace,
        "examples/fleet/tests",
        "pytest of examples/fleet",
        &[("IRIS_FLEET_NODE", node)],
    )
}

fn fleet_demo(workspace: &Workspace) -> Result<(), Error> {
    let flags = ["--quick", "--chaos"].map(str::to_owned);
    demo::run_on(workspace, &Venv::ready(workspace)?, &flags)
}

/// Runs the tests of a folder against the installed wheel.
///
/// `python -m pytest` puts the current folder first on the import path, and the checkout has a
/// folder `iris` (the Rust facade): so the current folder is an empty one.
fn pytest_in(
    workspace: &Workspace,
    folder: &str,
    what: &str,
    env: &[(&str, PathBuf)],
) -> Result<(), Error> {
    let venv = Venv::ready(workspace)?;
    let elsewhere = EmptyDir::create(workspace)?;
    let mut command = venv.command();
    command
        .current_dir(&elsewhere.path)
        .args([
            "-m",
            "pytest",
            "-q",
            // What is skipped is said, with its reason.
            "-rs",
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
        ])
        .arg("--rootdir")
        .arg(workspace.root())
        .arg("-c")
        .arg(workspace.path("pyproject.toml"))
        .arg(workspace.path(folder))
        // No bytecode beside the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(env.iter().map(|(name, value)| (name, value)));
    tools::run(&mut command, what)
}

/// A folder of our own that goes away with this value.
struct EmptyDir {
    path: PathBuf,
}

impl EmptyDir {
    fn create(workspace: &Workspace) -> Result<Self, Error> {
        let path = workspace
            .path("target/xtask")
            .join(format!("cwd-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(Error::io(format!("make {}", path.display())))?;
        Ok(Self { path })
    }
}

impl Drop for EmptyDir {
    fn drop(&mut self) {
        // A test may have left files; what cannot be removed lies under target/, which is scratch.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Runs `cargo test`, and shows the `test result:` lines as they come; everything, if it fails.
///
/// Thousands of lines of passed tests hide the one that matters, and `--quiet` drops the names
/// of the test programs, which cargo writes to the error stream and which stay visible here.
fn run_showing_results(command: &mut Command, what: &str) -> Result<(), Error> {
    let start = |source| Error::Start {
        program: "cargo".into(),
        source,
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let stdout = child.stdout.take().expect("its output is piped to us");
    let mut full = String::new();
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(Error::io("read cargo's output"))?;
        if read == 0 {
            break;
        }
        // Lossy: a test may print anything.
        let text = String::from_utf8_lossy(&line);
        if is_result(&text) {
            print!("{text}");
        }
        full.push_str(&text);
    }
    let status = child.wait().map_err(Error::io("wait for cargo"))?;
    if status.success() {
        return Ok(());
    }
    print!("{full}");
    Err(Error::Status {
        what: what.into(),
        status,
    })
}

/// Whether a line of `cargo test` sums a test program up.
fn is_result(line: &str) -> bool {
    line.starts_with("test result:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_sum_up_are_shown_and_the_others_not() {
        assert!(is_result(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n"
        ));
        assert!(!is_result("test a_test_result ... ok\n"));
        assert!(!is_result("running 3 tests\n"));
    }

    #[test]
    fn the_binding_for_node_is_there_before_the_steps_that_need_it() {
        let position = |name: &str| STEPS.iter().position(|(step, _)| *step == name);
        assert!(position("node") < position("fleet tests"));
    }

    #[test]
    fn the_wheel_is_there_before_the_steps_that_need_it() {
        let position = |name: &str| STEPS.iter().position(|(step, _)| *step == name);
        for needs_wheel in ["clippy", "pytest", "node", "fleet tests", "fleet demo"] {
            assert!(position("wheel") < position(needs_wheel), "{needs_wheel}");
        }
    }
}
