//! `cargo xtask py`: the Python wheel, built by maturin and installed into `target/venv`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tools::{self, Error, Venv, Workspace};

/// The flags of `cargo xtask py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// Which optimizations.
    pub(crate) profile: Profile,
    /// How the package reaches the environment.
    pub(crate) install: Install,
}

/// Cargo's profile for the extension module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build, slow to run.
    Dev,
    /// What users get.
    Release,
}

/// How the package reaches the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    /// Through a wheel in `target/wheels/`, as users install it.
    Wheel,
    /// In place: Python files are read from the checkout (`maturin develop`).
    Develop,
}

impl Options {
    /// An optimized wheel: what the demo, the tests and the benches run on.
    pub(crate) const RELEASE_WHEEL: Self = Self {
        profile: Profile::Release,
        install: Install::Wheel,
    };

    /// Reads the flags.
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        tools::check_flags("py", args, &["--release", "--develop"])?;
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        Ok(Self {
            profile: if has("--release") {
                Profile::Release
            } else {
                Profile::Dev
            },
            install: if has("--develop") {
                Install::Develop
            } else {
                Install::Wheel
            },
        })
    }
}

/// Builds and installs; the environment that holds the package is the answer.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<Venv, Error> {
    let venv = Venv::ready(workspace)?;
    match options.install {
        Install::Wheel => {
            let wheel = build_wheel(workspace, &venv, options.profile)?;
            install_wheel(&venv, &wheel)?;
            eprintln!("xtask: {} is in target/venv", file_name(&wheel));
        }
        Install::Develop => {
            develop(workspace, &venv, options.profile)?;
            eprintln!("xtask: the package is in target/venv, its Python files in place");
        }
    }
    Ok(venv)
}

fn build_wheel(workspace: &Workspace, venv: &Venv, profile: Profile) -> Result<PathBuf, Error> {
    let out = workspace.path("target/wheels");
    remove_wheels(&out)?;
    let mut maturin = venv.command();
    maturin
        .current_dir(workspace.root())
        .args(["-m", "maturin", "build", "--locked", "--interpreter"])
        .arg(venv.python())
        .arg("--out")
        .arg(&out);
    if profile == Profile::Release {
        maturin.arg("--release");
    }
    tools::run_aside(&mut maturin, "maturin build")?;
    match wheels_in(&out)?.as_slice() {
        [wheel] => Ok(wheel.clone()),
        found => Err(Error::Missing(format!(
            "maturin left {} wheels in {}, not one",
            found.len(),
            out.display()
        ))),
    }
}

fn install_wheel(venv: &Venv, wheel: &Path) -> Result<(), Error> {
    let mut pip = venv.command();
    // Forced, because the version number stays the same between two builds of one day.
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--force-reinstall",
        "--no-deps",
    ])
    .arg(wheel);
    tools::run_aside(&mut pip, "pip install of the wheel")
}

fn develop(workspace: &Workspace, venv: &Venv, profile: Profile) -> Result<(), Error> {
    let mut maturin = venv.command();
    maturin
        .current_dir(workspace.root())
        .args(["-m", "maturin", "develop", "--locked"]);
    if profile == Profile::Release {
        maturin.arg("--release");
    }
    tools::run_aside(&mut maturin, "maturin develop")
}

/// Old wheels go first: what lies there after the build is then what the build made.
fn remove_wheels(dir: &Path) -> Result<(), Error> {
    for wheel in wheels_in(dir)? {
        fs::remove_file(&wheel).map_err(Error::io(format!("remove {}", wheel.display())))?;
    }
    Ok(())
}

/// The wheels in a folder; none if there is no such folder.
fn wheels_in(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut wheels = Vec::new();
    let entries = fs::read_dir(dir).map_err(Error::io("read target/wheels"))?;
    for entry in entries {
        let path = entry.map_err(Error::io("read target/wheels"))?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            wheels.push(path);
        }
    }
    Ok(wheels)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_choose_profile_and_installation() {
        let parse = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(String::from).collect();
            Options::parse(&args).expect("valid flags")
        };
        assert_eq!(parse("--release"), Options::RELEASE_WHEEL);
        assert_eq!(
            parse(""),
            Options {
                profile: Profile::Dev,
                install: Install::Wheel
            }
        );
        assert_eq!(
            parse("--develop --release"),
            Options {
                profile: Profile::Release,
                install: Install::Develop
            }
        );
    }

    #[test]
    fn stale_wheels_are_removed_and_other_files_stay() {
        let dir = std::env::temp_dir().join(format!("iris-xtask-wheels-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        for name in ["iris-0.1.0-cp311.whl", "iris-0.2.0-cp312.whl", "notes.txt"] {
            fs::write(dir.join(name), name).expect("a file");
        }
        remove_wheels(&dir).expect("removable");
        let left = wheels_in(&dir).expect("readable");
        let notes = dir.join("notes.txt").is_file();
        fs::remove_dir_all(&dir).expect("removable");
        assert!(left.is_empty(), "{left:?}");
        assert!(notes);
    }

    #[test]
    fn a_folder_that_is_not_there_holds_no_wheel() {
        let dir = std::env::temp_dir().join("iris-xtask-no-such-folder");
        assert!(wheels_in(&dir).expect("no error").is_empty());
    }
}
