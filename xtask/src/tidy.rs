//! The house's own checks, which no standard tool does.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tools::Error;

/// Crates that may hold `unsafe` code; every other one forbids it.
const MAY_BE_UNSAFE: [&str; 5] = [
    "iris-sched",
    "iris-mailbox",
    "iris-jit",
    "iris-py",
    "iris-node",
];

/// Above this a file has more than one subject.
const MAX_LINES: usize = 1000;

/// Endings of the files whose length counts.
const SOURCES: [&str; 7] = ["rs", "py", "pyi", "js", "mjs", "ts", "sh"];

/// Paths of one machine. In two halves, so that this file does not find itself.
const HOME_PATHS: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers"),
];

/// Registries are reached through their clients; a host name in a file is a fixed address.
const REGISTRY_HOSTS: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
];

/// Files that a tool writes, registry addresses included.
const LOCK_FILES: [&str; 3] = ["Cargo.lock", "package-lock.json", "uv.lock"];

/// A line, or a file, against a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// Checks every file of the checkout that git does not ignore, and prints what is wrong.
pub(crate) fn check(root: &Path) -> Result<(), Error> {
    let ignore = Ignore::read(root)?;
    let mut files = Vec::new();
    collect(root, &ignore, &mut files)?;
    files.sort();

    let mut findings = Vec::new();
    for file in &files {
        let bytes = fs::read(file).map_err(Error::io(format!("read {}", file.display())))?;
        // What is not text has no lines to check.
        if let Ok(text) = String::from_utf8(bytes) {
            let path = file.strip_prefix(root).unwrap_or(file);
            findings.extend(check_file(
                &path.to_string_lossy().replace('\\', "/"),
                &text,
            ));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(Error::Findings {
            check: "tidy",
            count,
        }),
    }
}

/// What `.gitignore` leaves out: the patterns in use there are folder names and endings.
///
/// Read from the file instead of asked from git, so that an unpacked archive passes too.
#[derive(Debug, Default)]
struct Ignore {
    folders: Vec<String>,
    endings: Vec<String>,
}

impl Ignore {
    fn read(root: &Path) -> Result<Self, Error> {
        let text =
            fs::read_to_string(root.join(".gitignore")).map_err(Error::io("read .gitignore"))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut ignore = Self::default();
        ignore.folders.push(".git".into());
        for line in text.lines().map(str::trim) {
            if let Some(ending) = line.strip_prefix('*') {
                ignore.endings.push(ending.into());
            } else if let Some(folder) = line.strip_suffix('/') {
                ignore.folders.push(folder.trim_start_matches('/').into());
            }
        }
        ignore
    }

    fn skips_folder(&self, name: &str) -> bool {
        self.folders.iter().any(|folder| folder == name)
    }

    fn skips_file(&self, name: &str) -> bool {
        self.endings
            .iter()
            .any(|ending| name.ends_with(ending.as_str()))
    }
}

fn collect(dir: &Path, ignore: &Ignore, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let what = || format!("read {}", dir.display());
    for entry in fs::read_dir(dir).map_err(Error::io(what()))? {
        let entry = entry.map_err(Error::io(what()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The entry's own kind: a symbolic link is neither, and so never followed.
        let kind = entry.file_type().map_err(Error::io(what()))?;
        if kind.is_dir() && !ignore.skips_folder(&name) {
            collect(&entry.path(), ignore, files)?;
        } else if kind.is_file() && !ignore.skips_file(&name) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// All findings in one file; `path` is relative to the checkout, with slashes.
fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let mut findings = Vec::new();
    let mut add = |line: usize, text: String| {
        findings.push(Finding {
            path: path.into(),
            line,
            text,
        });
    };

    for (number, line) in (1..).zip(text.lines()) {
        if let Some(needle) = HOME_PATHS.iter().find(|needle| line.contains(**needle)) {
            add(
                number,
                format!("a path of one machine (`{needle}`); make it relative"),
            );
        }
        if !LOCK_FILES.contains(&name)
            && let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(**host))
        {
            add(
                number,
                format!("the host of a registry (`{host}`); use the client's default"),
            );
        }
        if ending == "rs"
            && let Some(word) = disabled_test(line)
        {
            add(number, format!("`{word}`: a test runs, or it is removed"));
        }
    }

    if path.starts_with("iris-node/src/") {
        for (number, text) in unguarded_exports(text) {
            add(number, text);
        }
    }

    let lines = text.lines().count();
    if SOURCES.contains(&ending) && lines > MAX_LINES {
        add(
            0,
            format!("{lines} lines, more than {MAX_LINES}: what is its second subject?"),
        );
    }
    if is_crate_root(folder, name) && !text.contains("#![forbid(unsafe_code)]") {
        add(
            0,
            "lacks `#![forbid(unsafe_code)]`; only named crates may be unsafe".into(),
        );
    }
    findings
}

/// Functions that JavaScript calls and whose panics would end the process: napi's attribute must
/// say `catch_unwind`.
fn unguarded_exports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open = None;
    for (number, line) in (1..).zip(text.lines().map(str::trim_start)) {
        if line.starts_with("#[napi") {
            open = (!line.contains("catch_unwind")).then_some(number);
        } else if line.starts_with("#[") || line.starts_with("//") {
            // Other attributes and comments of the same item.
        } else if let Some(at) = open.take()
            && line.split([' ', '(']).any(|word| word == "fn")
        {
            found.push((
                at,
                "`#[napi]` without `catch_unwind`: a panic ends Node".into(),
            ));
        }
    }
    found
}

/// Whether this is the first file of a crate that must forbid `unsafe`.
fn is_crate_root(folder: &str, name: &str) -> bool {
    let Some(package) = folder.strip_suffix("/src") else {
        return false;
    };
    // xtask has only a program; a library's `main.rs` would be a second root, checked as well.
    !package.contains('/')
        && !MAY_BE_UNSAFE.contains(&package)
        && matches!(name, "lib.rs" | "main.rs")
}

/// The word by which an attribute, or the fence of a documentation test, disables a test.
fn disabled_test(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    let comment = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"));
    let fence = comment.and_then(|text| text.trim_start().strip_prefix("```"));
    let marked = match fence {
        Some(info) => info,
        None if line.starts_with("#[") || line.starts_with("#![") => line,
        None => return None,
    };
    // Text in quotes (the reason of an `expect`) is prose.
    let outside_quotes = marked.split('"').step_by(2);
    for part in outside_quotes {
        for word in part.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if let Some(found) = ["ignore", "should_panic"]
                .into_iter()
                .find(|bad| *bad == word)
            {
                return Some(found);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<String> {
        check_file(path, text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_clean_file_has_no_finding() {
        let text = "//! Docs.\n#![forbid(unsafe_code)]\n#[test]\nfn a() {}\n";
        assert_eq!(texts("iris-core/src/lib.rs", text), [""; 0]);
    }

    #[test]
    fn a_path_of_one_machine_is_found_with_its_line() {
        let text = format!("one\ncd {}someone/work\n", HOME_PATHS[0]);
        let found = texts("docs/GUIDE.md", &text);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("docs/GUIDE.md:2: a path of one machine"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn a_registry_host_is_found_but_not_in_lock_files() {
        let text = format!("index = \"https://{}\"\n", REGISTRY_HOSTS[1]);
        assert_eq!(texts("pyproject.toml", &text).len(), 1);
        assert_eq!(texts("Cargo.lock", &text), [""; 0]);
    }

    #[test]
    fn disabled_tests_are_found_in_attributes_and_fences() {
        for line in [
            concat!("#[", "ignore]"),
            concat!("    #[", "ignore = \"slow\"]"),
            concat!("#[cfg_attr(loom, ", "ignore)]"),
            concat!("#[", "should_panic(expected = \"x\")]"),
            concat!("/// ``", "`ignore"),
            concat!("//! ``", "`rust,should_panic"),
        ] {
            assert!(disabled_test(line).is_some(), "{line}");
        }
    }

    #[test]
    fn the_same_words_in_prose_are_no_finding() {
        for line in [
            "// ignore what the peer sends",
            "let ignore = Ignore::read(root)?;",
            "#[expect(dead_code, reason = \"we ignore it\")]",
            "/// ```no_run",
        ] {
            assert_eq!(disabled_test(line), None, "{line}");
        }
    }

    #[test]
    fn a_long_source_file_is_found_and_a_long_table_of_data_not() {
        let text = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(texts("iris-sched/src/table.rs", &text).len(), 1);
        assert_eq!(texts("docs/figures.csv", &text), [""; 0]);
        assert_eq!(
            texts("iris-sched/src/table.rs", &"x\n".repeat(MAX_LINES)),
            [""; 0]
        );
    }

    #[test]
    fn crates_that_need_no_unsafe_forbid_it() {
        for (path, findings) in [
            ("iris-core/src/lib.rs", 1),
            ("xtask/src/main.rs", 1),
            ("iris-sched/src/lib.rs", 0),
            ("iris-core/src/pid.rs", 0),
            ("examples/fleet/src/lib.rs", 0),
        ] {
            assert_eq!(texts(path, "//! Docs.\n").len(), findings, "{path}");
        }
    }

    #[test]
    fn the_patterns_of_gitignore_are_understood() {
        let ignore = Ignore::parse("/target/\n__pycache__/\n*.pyc\n\n# a comment\n");
        assert!(ignore.skips_folder("target") && ignore.skips_folder("__pycache__"));
        assert!(ignore.skips_folder(".git"));
        assert!(!ignore.skips_folder("src"));
        assert!(ignore.skips_file("a.pyc") && !ignore.skips_file("a.py"));
    }

    #[test]
    fn an_export_of_the_node_binding_must_guard_against_panics() {
        let source = "#[napi]\nimpl Core {\n    #[napi(catch_unwind)]\n    pub fn a() {}\n\n    \
            #[napi(constructor)]\n    #[expect(x)]\n    pub fn b() {}\n}\n";
        let found = check_file("iris-node/src/core.rs", source);
        let lines: Vec<usize> = found.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [6], "{found:?}");
        assert!(check_file("iris-py/src/core.rs", source).is_empty());
    }
}
