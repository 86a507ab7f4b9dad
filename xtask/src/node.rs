//! `cargo xtask node`: the Node.js binding, built by cargo and put beside its package's files.
//!
//! No npm: the package has no dependencies, and the native module is the library that cargo makes
//! under another name.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::tools::{self, Error, Workspace};

/// Where the package is.
const PACKAGE: &str = "iris-node";

/// What the package loads first.
const MODULE: &str = "iris-node/iris.node";

/// Cargo's profile for the binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build, slow to run.
    Dev,
    /// What users get.
    Release,
}

impl Profile {
    /// Reads the flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        tools::check_flags("node", args, &["--release"])?;
        Ok(if args.is_empty() {
            Self::Dev
        } else {
            Self::Release
        })
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the binding; `require` of the package then finds it.
pub(crate) fn run(workspace: &Workspace, profile: Profile) -> Result<(), Error> {
    let target = workspace.path("target");
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["build", "--locked", "--package", PACKAGE, "--target-dir"])
        .arg(&target);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    tools::run_aside(&mut cargo, "cargo build of iris-node")?;
    let library = format!("{DLL_PREFIX}iris_node{DLL_SUFFIX}");
    let built = target.join(profile.folder()).join(library);
    let module = workspace.path(MODULE);
    // Put in place at once: a process that has the old one loaded must not see it change.
    let beside = module.with_extension("node.new");
    fs::copy(&built, &beside).map_err(Error::io(format!("copy {}", built.display())))?;
    fs::rename(&beside, &module).map_err(Error::io(format!("make {}", module.display())))?;
    eprintln!("xtask: {MODULE} is built; require(\"./iris-node\") loads it");
    Ok(())
}

/// Builds the binding and runs its tests, if there is a Node.js.
pub(crate) fn test(workspace: &Workspace) -> Result<(), Error> {
    if !is_there() {
        println!("node: skipped, there is no Node.js on PATH");
        return Ok(());
    }
    run(workspace, Profile::Release)?;
    let mut node = Command::new("node");
    // One after the other: some of them measure memory, or load the machine.
    node.current_dir(workspace.root())
        .args(["--test", "--test-concurrency=1", "--test-reporter=dot"])
        .args(tests(workspace)?);
    tools::run(&mut node, "node --test of iris-node")
}

fn is_there() -> bool {
    let mut node = Command::new("node");
    let node = node.arg("--version").stdin(Stdio::null());
    node.stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The files of tests: not every version of Node.js takes a folder.
fn tests(workspace: &Workspace) -> Result<Vec<PathBuf>, Error> {
    let what = "read iris-node/test";
    let entries = fs::read_dir(workspace.path("iris-node/test")).map_err(Error::io(what))?;
    let mut tests = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io(what))?.path();
        if path.to_string_lossy().ends_with(".test.js") {
            tests.push(path);
        }
    }
    tests.sort();
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_chooses_the_profile() {
        let parse = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(String::from).collect();
            Profile::parse(&args)
        };
        assert_eq!(parse("").expect("valid"), Profile::Dev);
        assert_eq!(parse("--release").expect("valid"), Profile::Release);
        assert!(parse("--fast").expect_err("no flag").is_usage());
    }
}
