//! What every command needs: errors, child processes, the workspace and its virtual environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is wrong.
    Usage(String),
    /// Something that a step needs is absent or unfit; the text names the mend.
    Missing(String),
    /// A file or folder could not be read or written.
    Io {
        /// What was tried, as in "read requirements.txt".
        what: String,
        /// What the system answered.
        source: io::Error,
    },
    /// A program could not be started.
    Start {
        /// The program.
        program: OsString,
        /// What the system answered.
        source: io::Error,
    },
    /// A program ended with a status other than success.
    Status {
        /// What the program was to do, as in "maturin build".
        what: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A check that xtask does itself found something; it has been printed.
    Findings {
        /// The check's name.
        check: &'static str,
        /// How many things it found.
        count: usize,
    },
    /// A step of `cargo xtask test` failed.
    Step {
        /// The step's name.
        name: &'static str,
        /// Why.
        source: Box<Error>,
    },
}

impl Error {
    /// A wrong command line.
    pub(crate) fn usage(text: String) -> Self {
        Self::Usage(text)
    }

    /// A closure for `map_err` that says what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            what: what.into(),
            source,
        }
    }

    /// Whether the user's next step is to read the usage text.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    /// The exit code of xtask: 2 for a wrong command line, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_usage() { 2 } else { 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) => f.write_str(text),
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Self::Start { program, source } => {
                write!(f, "cannot start {}: {source}", program.display())
            }
            Self::Status { what, status } => write!(f, "{what} failed ({status})"),
            Self::Findings { check, count } => {
                write!(f, "{check} found {count} problem(s), see above")
            }
            Self::Step { name, source } => write!(f, "step `{name}` failed: {source}"),
        }
    }
}

impl std::error::Error for Error {}

/// Refuses every argument that is not one of `valid`.
pub(crate) fn check_flags(command: &str, args: &[String], valid: &[&str]) -> Result<(), Error> {
    match args.iter().find(|arg| !valid.contains(&arg.as_str())) {
        None => Ok(()),
        Some(wrong) => Err(unknown_argument(command, wrong, valid)),
    }
}

/// The error for an argument that `command` does not know.
pub(crate) fn unknown_argument(command: &str, wrong: &str, valid: &[&str]) -> Error {
    let mend = if valid.is_empty() {
        String::from("it takes none")
    } else {
        format!("valid ones: {}", valid.join(", "))
    };
    Error::usage(format!("unknown argument `{wrong}` of `{command}`; {mend}"))
}

/// The numbers behind the flags of `command`, in the order of `valid`.
pub(crate) fn numbers<const N: usize>(
    command: &str,
    mut args: &[String],
    valid: [&str; N],
) -> Result<[Option<u64>; N], Error> {
    let mut found = [None; N];
    while let Some((flag, more)) = args.split_first() {
        let Some(at) = valid.iter().position(|name| name == flag) else {
            return Err(unknown_argument(command, flag, &valid));
        };
        let number = more.first().and_then(|text| text.parse().ok());
        let missing = || Error::usage(format!("`{flag}` needs a number"));
        found[at] = Some(number.ok_or_else(missing)?);
        args = &more[1..];
    }
    Ok(found)
}

/// Runs a program to its end; `what` names it in the error.
///
/// Its input is empty: no step may wait for a person.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<(), Error> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|source| Error::Start {
            program: command.get_program().to_owned(),
            source,
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Status {
            what: what.into(),
            status,
        })
    }
}

/// As [`run`], with the program's output on our error stream: for steps on the way to a result,
/// so that a result on standard output (JSON lines) stays alone there.
pub(crate) fn run_aside(command: &mut Command, what: &str) -> Result<(), Error> {
    run(command.stdout(io::stderr()), what)
}

/// The checkout.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that xtask belongs to, whatever the current folder.
    pub(crate) fn find() -> Self {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .expect("xtask is a folder of the checkout")
            .to_owned();
        Self { root }
    }

    /// The checkout's top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the checkout.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A cargo call in the checkout. With `venv`, pyo3 is built for that interpreter.
    pub(crate) fn cargo(&self, venv: Option<&Venv>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        if let Some(venv) = venv {
            venv.set_build_env(&mut command);
        }
        command
    }
}

/// The virtual environment under `target/venv`.
#[derive(Debug, Clone)]
pub(crate) struct Venv {
    dir: PathBuf,
    /// What maturin calls the interpreter, as in `cpython-3.11-64bit`.
    signature: String,
}

impl Venv {
    /// Makes the environment and installs the pinned tools; quick when both are there already.
    ///
    /// # Errors
    /// No fit interpreter, or `venv` or `pip` failed.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self, Error> {
        let base = Interpreter::choose(std::env::var_os("IRIS_PYTHON"))?;
        let venv = Self {
            dir: workspace.path("target/venv"),
            signature: base.signature.clone(),
        };
        let requirements = workspace.path("xtask/requirements.txt");
        let wanted_tools =
            fs::read_to_string(&requirements).map_err(Error::io("read xtask/requirements.txt"))?;

        // Two stamps: another interpreter needs a new environment, other tools only pip.
        let base_stamp = venv.dir.join("iris-base.stamp");
        let tools_stamp = venv.dir.join("iris-tools.stamp");
        let wanted_base = base.stamp();
        if !venv.python().is_file() || !stamp_is(&base_stamp, &wanted_base) {
            venv.create(&base)?;
            write_stamp(&base_stamp, &wanted_base)?;
        }
        if !stamp_is(&tools_stamp, &wanted_tools) {
            eprintln!("xtask: installing the tools of xtask/requirements.txt");
            let mut pip = venv.command();
            pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
                .arg(&requirements);
            run_aside(&mut pip, "pip install of xtask/requirements.txt")?;
            write_stamp(&tools_stamp, &wanted_tools)?;
        }
        Ok(venv)
    }

    fn create(&self, base: &Interpreter) -> Result<(), Error> {
        eprintln!(
            "xtask: making target/venv with {}",
            base.executable.display()
        );
        if let Some(parent) = self.dir.parent() {
            fs::create_dir_all(parent).map_err(Error::io("make the folder target"))?;
        }
        // `--clear` also takes the stamps of a half-made or older environment away.
        let mut command = Command::new(&base.executable);
        command.args(["-m", "venv", "--clear"]).arg(&self.dir);
        clean_python_env(&mut command);
        run_aside(&mut command, "python -m venv")
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        // Windows keeps the programs of an environment in another folder.
        let parts = if cfg!(windows) {
            ["Scripts", "python.exe"]
        } else {
            ["bin", "python"]
        };
        self.dir.join(parts[0]).join(parts[1])
    }

    /// A call of the environment's interpreter, undisturbed by the user's Python settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.python());
        self.set_build_env(&mut command);
        clean_python_env(&mut command);
        command
    }

    /// What every cargo call that may reach pyo3 must have, and always the same: pyo3's build
    /// script runs again, and pyo3 with it, whenever one of these variables changes.
    fn set_build_env(&self, command: &mut Command) {
        command
            .env("PYO3_PYTHON", self.python())
            .env("PYO3_BUILD_EXTENSION_MODULE", "1")
            // maturin sets it, plain cargo calls must follow.
            .env("PYO3_ENVIRONMENT_SIGNATURE", &self.signature)
            .env("VIRTUAL_ENV", &self.dir)
            // maturin refuses to choose between two active environments.
            .env_remove("CONDA_PREFIX");
    }
}

/// Takes away the variables that would let another `iris` or another library in.
fn clean_python_env(command: &mut Command) {
    command
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
}

fn stamp_is(path: &Path, wanted: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == wanted)
}

fn write_stamp(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))
}

/// A Python that `target/venv` can be made with.
#[derive(Debug)]
struct Interpreter {
    executable: PathBuf,
    version: String,
    signature: String,
}

/// Prints the facts that [`Interpreter::probe`] reads. `ensurepip` is what Debian leaves out of
/// its interpreter, and `venv` cannot work without.
const PROBE: &str = "\
import sys
try:
    import ensurepip, venv
    fit = 'venv'
except ImportError:
    fit = 'novenv'
bits = 64 if sys.maxsize > 2**32 else 32
signature = '%s-%d.%d-%dbit' % ((sys.implementation.name,) + sys.version_info[:2] + (bits,))
version = '%d.%d.%d' % sys.version_info[:3]
print(version, int(sys.version_info >= (3, 9)), fit, signature, sys.executable)
";

impl Interpreter {
    /// The interpreter that `forced` (`IRIS_PYTHON`) names, else the first fit one on PATH.
    fn choose(forced: Option<OsString>) -> Result<Self, Error> {
        if let Some(program) = forced {
            return Self::probe(&program).map_err(|why| {
                let program = program.display();
                Error::Missing(format!(
                    "IRIS_PYTHON is {program}, which cannot be used: {why}"
                ))
            });
        }
        let mut reasons = Vec::new();
        for program in ["python3", "python"] {
            match Self::probe(OsStr::new(program)) {
                Ok(found) => return Ok(found),
                Err(why) => reasons.push(format!("{program}: {why}")),
            }
        }
        Err(Error::Missing(format!(
            "no fit Python ({}); install Python 3.9 or later with its venv module, \
             or name one in IRIS_PYTHON",
            reasons.join("; ")
        )))
    }

    /// Asks `program` what it is; the error is a fragment that says why it is unfit.
    fn probe(program: &OsStr) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(["-c", PROBE]).stdin(Stdio::null());
        clean_python_env(&mut command);
        let output = command
            .output()
            .map_err(|error| format!("cannot be started ({error})"))?;
        if !output.status.success() {
            return Err(format!("does not run ({})", output.status));
        }
        Self::read_probe(&String::from_utf8_lossy(&output.stdout))
    }

    /// Reads the line that [`PROBE`] prints.
    fn read_probe(line: &str) -> Result<Self, String> {
        let mut words = line.trim().splitn(5, ' ');
        let mut next = || {
            words
                .next()
                .ok_or_else(|| String::from("is not a Python 3"))
        };
        let (version, new_enough, fit) = (next()?, next()?, next()?);
        let (signature, executable) = (next()?, next()?);
        if new_enough != "1" {
            return Err(format!("is Python {version}, 3.9 or later is needed"));
        }
        if fit != "venv" {
            return Err(format!(
                "is Python {version} without venv; on Debian and Ubuntu install python3-venv"
            ));
        }
        Ok(Self {
            executable: executable.into(),
            version: version.into(),
            signature: signature.into(),
        })
    }

    fn stamp(&self) -> String {
        format!("{} {}\n", self.version, self.executable.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_with_venv_is_taken() {
        let found =
            Interpreter::read_probe("3.11.7 1 venv cpython-3.11-64bit /usr/bin/my python3\n")
                .expect("fit");
        assert_eq!(found.stamp(), "3.11.7 /usr/bin/my python3\n");
        assert_eq!(found.signature, "cpython-3.11-64bit");
    }

    #[test]
    fn an_old_python_is_refused_with_its_version() {
        let why = Interpreter::read_probe("3.8.18 0 venv cpython-3.8-64bit /usr/bin/python3")
            .expect_err("old");
        assert_eq!(why, "is Python 3.8.18, 3.9 or later is needed");
    }

    #[test]
    fn a_python_without_venv_is_refused_with_the_mend() {
        let why = Interpreter::read_probe("3.12.1 1 novenv cpython-3.12-64bit /usr/bin/python3")
            .expect_err("bare");
        assert!(why.ends_with("install python3-venv"), "{why}");
    }

    #[test]
    fn a_forced_interpreter_is_never_replaced_by_another() {
        let error = Interpreter::choose(Some("no-such-python".into())).expect_err("absent");
        assert!(
            error
                .to_string()
                .starts_with("IRIS_PYTHON is no-such-python"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_step_error_names_the_step() {
        let error = Error::Step {
            name: "tidy",
            source: Box::new(Error::Findings {
                check: "tidy",
                count: 2,
            }),
        };
        assert_eq!(
            error.to_string(),
            "step `tidy` failed: tidy found 2 problem(s), see above"
        );
    }
}
