//! `cargo xtask node`: the Node.js binding, built by cargo and put beside its package's files.
//!
//! No npm to build it: the package has no dependencies, and the native module is the library that
//! cargo makes under another name. Its types are tested with a pinned TypeScript, which npm installs.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::{self, Error, Workspace};

/// Where the package is.
const PACKAGE: &str = "iris-node";

/// What the package loads first.
const MODULE: &str = "iris-node/iris.node";

/// Cargo's profile for the binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// Quick to build, slow to run.
    Dev,
    /// What users get.
    Release,
}

/// How the binding is to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    profile: Profile,
    /// With links through a NATS server.
    nats: bool,
}

impl Options {
    /// What users get.
    pub(crate) const RELEASE: Self = Self {
        profile: Profile::Release,
        nats: false,
    };

    /// Reads the flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        tools::check_flags("node", args, &["--release", "--nats"])?;
        let has = |flag| args.iter().any(|arg| arg == flag);
        Ok(Self {
            profile: if has("--release") {
                Profile::Release
            } else {
                Profile::Dev
            },
            nats: has("--nats"),
        })
    }
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the binding; `require` of the package then finds it.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<(), Error> {
    let target = workspace.path("target");
    let mut cargo = workspace.cargo(None);
    cargo
        .args(["build", "--locked", "--package", PACKAGE, "--target-dir"])
        .arg(&target);
    let Options { profile, nats } = options;
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    if nats {
        cargo.args(["--features", "nats"]);
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

/// Builds the binding and runs its tests; `peer` is a node in Rust that they talk to.
pub(crate) fn test(workspace: &Workspace, peer: &Path) -> Result<(), Error> {
    run(workspace, Options::RELEASE)?;
    let mut node = Command::new("node");
    // One after the other: some of them measure memory, or load the machine.
    node.current_dir(workspace.root())
        .env("IRIS_RUST_PEER", peer)
        .args(["--test", "--test-concurrency=1", "--test-reporter=dot"])
        .args(tests(workspace)?);
    tools::run(&mut node, "node --test of iris-node")?;
    test_types(workspace)
}

/// Compiles what must and what must not compile with the package's types.
fn test_types(workspace: &Workspace) -> Result<(), Error> {
    let package = workspace.path(PACKAGE);
    if let Err(error) = install(&package) {
        println!("node: the types are not tested: {error}");
        return Ok(());
    }
    let mut tsc = Command::new("node");
    tsc.current_dir(&package)
        .args(["node_modules/typescript/bin/tsc", "--project", "test"]);
    tools::run(&mut tsc, "tsc of iris-node/test/types.test-d.ts")
}

/// Installs what a folder's lock file names, which is pinned, unless it is there already. Needs npm
/// and, the first time, a registry.
pub(crate) fn install(folder: &Path) -> Result<(), Error> {
    let lock = folder.join("package-lock.json");
    let modules = folder.join("node_modules");
    // A copy beside what was installed, so that another lock file is another installation.
    let installed = modules.join(".installed.json");
    let wanted = fs::read(&lock).map_err(Error::io(format!("read {}", lock.display())))?;
    if fs::read(&installed).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut npm = Command::new(npm);
    npm.current_dir(folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    tools::run_aside(&mut npm, "npm ci")?;
    fs::write(&installed, wanted).map_err(Error::io(format!("write {}", installed.display())))
}

/// What the package needs, see `engines` in its package.json.
const OLDEST: u32 = 20;

/// Says what to do if there is no Node.js, or one that is too old, for `who`; `or` is the way around.
pub(crate) fn check_version(who: &str, or: &str) -> Result<(), Error> {
    let output = Command::new("node")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success());
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    fit(said.as_deref()).map_err(|why| {
        Error::Missing(format!(
            "{who} needs Node.js {OLDEST} or later, {why}: install it, or {or}"
        ))
    })
}

/// Whether a version is fit; if not, what there is instead.
fn fit(version: Option<&str>) -> Result<(), String> {
    let Some(version) = version else {
        return Err("and no `node` on PATH works".into());
    };
    let digits = version.trim_start_matches('v').split('.').next();
    match digits.and_then(|digits| digits.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST => Ok(()),
        _ => Err(format!("and `node --version` says `{version}`")),
    }
}

pub(crate) fn is_there() -> bool {
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
    fn a_version_is_fit_or_named() {
        assert_eq!(fit(Some("v20.20.2")), Ok(()));
        assert_eq!(fit(Some("v103.0.0")), Ok(()));
        for old in ["v18.19.0", "v9.11.2", "", "nodejs"] {
            let text = format!("and `node --version` says `{old}`");
            assert_eq!(fit(Some(old)), Err(text));
        }
        assert_eq!(fit(None), Err("and no `node` on PATH works".into()));
    }

    #[test]
    fn the_flags_choose_the_profile_and_nats() {
        let parse = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(String::from).collect();
            Options::parse(&args)
        };
        let options = |profile, nats| Options { profile, nats };
        assert_eq!(parse("").expect("valid"), options(Profile::Dev, false));
        assert_eq!(parse("--release").expect("valid"), Options::RELEASE);
        let both = parse("--nats --release").expect("valid");
        assert_eq!(both, options(Profile::Release, true));
        assert!(parse("--fast").expect_err("no flag").is_usage());
    }
}
