//! The floors of the workspace, asserted over `cargo metadata`.
//!
//! ```text
//! floor 4   iris-py    iris-node    xtask (uses no iris crate)
//! floor 3   iris (the facade)       iris-testkit (for tests only)
//! floor 2   iris-sched    iris-mesh    iris-offload
//! floor 1   iris-mailbox  iris-wire    iris-registry   iris-supervise
//! floor 0   iris-core                  iris-jit
//! ```
//!
//! **Invariant:** a crate uses only the crates that its row of [`CRATES`] names, all of them on
//! floors below its own. Development dependencies may go
//! to any crate on a lower floor, and to iris-testkit.
//! A new edge or a new outside crate is a decision: it changes the table here, with its reason.

use std::fmt;
use std::process::Command;

use serde_json::Value;

/// What one crate of the workspace may use.
struct Rule {
    name: &'static str,
    floor: u8,
    /// Crates of the workspace, as normal or build dependencies.
    iris: &'static [&'static str],
    /// Crates of others, as normal or build dependencies, [`ANYWHERE`] apart.
    outside: &'static [&'static str],
}

/// The exact members of the workspace.
const CRATES: [Rule; 14] = [
    Rule {
        name: "iris-core",
        floor: 0,
        iris: &[],
        outside: &["bytes"],
    },
    Rule {
        name: "iris-jit",
        floor: 0,
        iris: &[],
        outside: &[
            "cranelift-codegen",
            "cranelift-frontend",
            "cranelift-jit",
            "cranelift-module",
            "cranelift-native",
            "target-lexicon",
        ],
    },
    Rule {
        name: "iris-mailbox",
        floor: 1,
        iris: &["iris-core"],
        outside: &["bytes"],
    },
    Rule {
        name: "iris-wire",
        floor: 1,
        iris: &["iris-core"],
        outside: &["bytes"],
    },
    Rule {
        name: "iris-registry",
        floor: 1,
        iris: &["iris-core"],
        outside: &[],
    },
    Rule {
        name: "iris-supervise",
        floor: 1,
        iris: &["iris-core"],
        outside: &[],
    },
    Rule {
        name: "iris-sched",
        floor: 2,
        iris: &["iris-core", "iris-mailbox"],
        // crossbeam-deque: the workers' queues; crossbeam-utils: their slot for the next process.
        outside: &[
            "arc-swap",
            "crossbeam-deque",
            "crossbeam-utils",
            "tokio",
            "tracing",
        ],
    },
    Rule {
        name: "iris-mesh",
        floor: 2,
        iris: &["iris-core", "iris-wire"],
        // ring: the handshake's HMAC, and rustls-webpki: the names in certificates, the same that
        // tokio-rustls brings; rand: what foca draws from; rcgen: certificates of one's own; futures-core: the trait of async-nats's
        // subscriptions, which can be read by nothing else.
        outside: &[
            "async-nats",
            "async-trait",
            "bytes",
            "foca",
            "futures-core",
            "rand",
            "rcgen",
            "ring",
            "rustls-webpki",
            "tokio",
            "tokio-rustls",
            "tracing",
        ],
    },
    Rule {
        name: "iris-offload",
        floor: 2,
        iris: &["iris-core", "iris-jit"],
        outside: &["rustpython-parser"],
    },
    Rule {
        name: "iris",
        floor: 3,
        iris: &[
            "iris-core",
            "iris-jit",
            "iris-mailbox",
            "iris-mesh",
            "iris-offload",
            "iris-registry",
            "iris-sched",
            "iris-supervise",
            "iris-wire",
        ],
        outside: &["bytes", "tokio", "tracing"],
    },
    Rule {
        name: "iris-testkit",
        floor: 3,
        iris: &["iris-core", "iris-jit", "iris-mesh", "iris-sched"],
        // turmoil: the network and the clock of the mesh's fault tests.
        outside: &["async-trait", "bytes", "tokio", "turmoil"],
    },
    Rule {
        name: "iris-py",
        floor: 4,
        iris: &["iris"],
        // pyo3-build-config: the run path of programs that embed an interpreter.
        // libmimalloc-sys: settings of mimalloc, which has none of its own.
        // rmp: the msgpack codec, which reads and writes Python objects without a tree between.
        // tracing: the crates' events become records of logging.
        outside: &[
            "bytes",
            "libmimalloc-sys",
            "mimalloc",
            "pyo3",
            "pyo3-build-config",
            "rmp",
            "tracing",
        ],
    },
    Rule {
        name: "iris-node",
        floor: 4,
        iris: &["iris"],
        outside: &[
            "bytes",
            // As for iris-py.
            "libmimalloc-sys",
            "mimalloc",
            "napi",
            "napi-build",
            "napi-derive",
        ],
    },
    Rule {
        name: "xtask",
        floor: 4,
        iris: &[],
        outside: &[],
    },
];

/// How every crate that can fail says so. Not for xtask, which uses nothing.
const ANYWHERE: [&str; 1] = ["thiserror"];

/// Outside crates that change a crate only when its tests ask for it: they must be optional.
const OPTIONAL_ONLY: [&str; 1] = ["loom"];

/// Outside crates that are bound to a place, development dependencies included.
struct Bound {
    /// The crate's name, or its start.
    prefix: &'static str,
    allowed: fn(&Rule) -> bool,
    why: &'static str,
}

const BOUND: [Bound; 5] = [
    Bound {
        prefix: "tokio",
        allowed: |user| user.floor >= 2,
        why: "tokio is never used below floor 2",
    },
    Bound {
        prefix: "pyo3",
        allowed: |user| user.floor >= 4,
        why: "pyo3 is never used below floor 4",
    },
    Bound {
        prefix: "napi",
        allowed: |user| user.floor >= 4,
        why: "napi is never used below floor 4",
    },
    Bound {
        prefix: "cranelift",
        allowed: |user| user.name == "iris-jit",
        why: "cranelift is used in iris-jit only",
    },
    Bound {
        prefix: "rustpython",
        allowed: |user| user.name == "iris-offload",
        why: "the Python parser is used in iris-offload only",
    },
];

/// Where a reader finds, and changes, what was violated.
const RULE_STANDS_IN: &str = "xtask/tests/layers.rs";

/// The part of `cargo metadata` that the rules speak of.
#[derive(Debug, Default)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    dev: bool,
    optional: bool,
    default_features: bool,
}

/// Something in the workspace that the rules forbid.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// The crate, or the edge as in `iris-core -> iris-sched`.
    subject: String,
    why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (rule: {RULE_STANDS_IN})", self.subject, self.why)
    }
}

/// Everything in the workspace that the rules forbid.
fn check(metadata: &Metadata) -> Vec<Violation> {
    let mut violations = Vec::new();
    for rule in &CRATES {
        if !metadata
            .packages
            .iter()
            .any(|package| package.name == rule.name)
        {
            violations.push(Violation {
                subject: rule.name.into(),
                why: "is in the table CRATES but not in the workspace".into(),
            });
        }
    }
    for package in &metadata.packages {
        let Some(user) = rule_of(&package.name) else {
            violations.push(Violation {
                subject: package.name.clone(),
                why: "is in the workspace but has no row, and so no floor, in the table CRATES"
                    .into(),
            });
            continue;
        };
        for dependency in &package.dependencies {
            violations.extend(
                check_edge(user, dependency)
                    .into_iter()
                    .map(|why| Violation {
                        subject: format!("{} -> {}", user.name, dependency.name),
                        why,
                    }),
            );
        }
    }
    violations
}

fn rule_of(name: &str) -> Option<&'static Rule> {
    CRATES.iter().find(|rule| rule.name == name)
}

/// Why an edge is forbidden, if it is; the most telling reason only.
fn check_edge(user: &Rule, edge: &Dependency) -> Option<String> {
    match rule_of(&edge.name) {
        Some(used) => check_iris_edge(user, used, edge.dev),
        None => check_outside_edge(user, edge),
    }
}

fn check_iris_edge(user: &Rule, used: &Rule, dev: bool) -> Option<String> {
    if user.iris.contains(&used.name) || (dev && used.name == "iris-testkit") {
        return None;
    }
    if dev && user.name != "xtask" && used.floor < user.floor {
        return None;
    }
    Some(if user.iris.is_empty() {
        format!("{} uses no crate of the workspace", user.name)
    } else if used.floor >= user.floor {
        format!(
            "{} stands on floor {} and may use only floors below; {} stands on floor {}",
            user.name, user.floor, used.name, used.floor
        )
    } else {
        format!("{} may use only {}", user.name, user.iris.join(", "))
    })
}

fn check_outside_edge(user: &Rule, edge: &Dependency) -> Option<String> {
    let name = edge.name.as_str();
    if let Some(bound) = BOUND.iter().find(|bound| name.starts_with(bound.prefix))
        && !(bound.allowed)(user)
    {
        return Some(format!(
            "{}; {} stands on floor {}",
            bound.why, user.name, user.floor
        ));
    }
    if name == "rustpython-parser" && edge.default_features {
        return Some("its default features bring a crate under the LGPL; switch them off".into());
    }
    if edge.dev || user.outside.contains(&name) {
        return None;
    }
    if ANYWHERE.contains(&name) && user.name != "xtask" {
        return None;
    }
    if OPTIONAL_ONLY.contains(&name) {
        return (!edge.optional)
            .then(|| format!("{name} is for tests: an optional or a development dependency"));
    }
    Some(if user.outside.is_empty() {
        format!(
            "{} uses no such outside crate; a new one needs a reason",
            user.name
        )
    } else {
        format!(
            "{} may use of outside crates only {}; a new one needs a reason",
            user.name,
            user.outside.join(", ")
        )
    })
}

/// Reads what `cargo metadata --format-version 1 --no-deps` printed.
fn parse(json: &str) -> Metadata {
    let value: Value = serde_json::from_str(json).expect("cargo prints JSON");
    let packages = array(&value, "packages").iter().map(|package| Package {
        name: text(package, "name"),
        dependencies: array(package, "dependencies")
            .iter()
            .map(dependency)
            .collect(),
    });
    Metadata {
        packages: packages.collect(),
    }
}

fn dependency(value: &Value) -> Dependency {
    Dependency {
        name: text(value, "name"),
        // Normal ones have no kind; "build" counts like them.
        dev: value["kind"] == "dev",
        optional: value["optional"] == true,
        default_features: value["uses_default_features"] == true,
    }
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key]
        .as_array()
        .expect("an array, by the format of cargo metadata")
}

fn text(value: &Value, key: &str) -> String {
    value[key]
        .as_str()
        .expect("a string, by the format of cargo metadata")
        .to_owned()
}

#[test]
fn the_workspace_keeps_its_floors() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {stderr}");

    let violations = check(&parse(&String::from_utf8_lossy(&output.stdout)));
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}", lines.join("\n"));
}

/// The table itself must hold what the floors promise.
#[test]
fn every_row_points_downwards_and_to_rows() {
    for user in &CRATES {
        for name in user.iris {
            let used = rule_of(name).expect("a row of the table");
            assert!(used.floor < user.floor, "{} -> {}", user.name, used.name);
        }
    }
}

/// A workspace of all crates with no dependency but `edges`.
fn workspace(edges: Vec<(&str, Dependency)>) -> Metadata {
    let mut packages: Vec<Package> = CRATES
        .iter()
        .map(|rule| Package {
            name: rule.name.into(),
            dependencies: Vec::new(),
        })
        .collect();
    for (user, edge) in edges {
        let package = packages.iter_mut().find(|package| package.name == user);
        package
            .expect("a crate of the workspace")
            .dependencies
            .push(edge);
    }
    Metadata { packages }
}

fn normal(name: &str) -> Dependency {
    Dependency {
        name: name.into(),
        dev: false,
        optional: false,
        default_features: true,
    }
}

fn dev(name: &str) -> Dependency {
    Dependency {
        dev: true,
        ..normal(name)
    }
}

/// The one line that `edge` of `user` is answered with; empty if it is allowed.
fn verdict(user: &str, edge: Dependency) -> String {
    let lines: Vec<String> = check(&workspace(vec![(user, edge)]))
        .iter()
        .map(ToString::to_string)
        .collect();
    lines.join("\n")
}

#[test]
fn an_edge_upwards_is_reported() {
    assert_eq!(
        verdict("iris-core", normal("iris-sched")),
        "iris-core -> iris-sched: iris-core uses no crate of the workspace \
         (rule: xtask/tests/layers.rs)"
    );
    assert_eq!(
        verdict("iris-mailbox", normal("iris-sched")),
        "iris-mailbox -> iris-sched: iris-mailbox stands on floor 1 and may use only floors \
         below; iris-sched stands on floor 2 (rule: xtask/tests/layers.rs)"
    );
}

#[test]
fn an_edge_beside_is_reported() {
    assert!(verdict("iris-jit", normal("iris-core")).contains("uses no crate of the workspace"));
    assert!(verdict("iris-registry", normal("iris-mailbox")).contains("stands on floor 1"));
}

#[test]
fn an_edge_downwards_that_no_row_names_is_reported() {
    assert_eq!(
        verdict("iris-mesh", normal("iris-mailbox")),
        "iris-mesh -> iris-mailbox: iris-mesh may use only iris-core, iris-wire \
         (rule: xtask/tests/layers.rs)"
    );
    assert!(verdict("iris-py", normal("iris-sched")).contains("may use only iris "));
    assert!(verdict("iris", normal("iris-testkit")).contains("iris-testkit stands on floor 3"));
    assert!(verdict("xtask", dev("iris-core")).contains("xtask uses no crate"));
}

#[test]
fn bound_crates_are_reported_outside_their_place() {
    assert_eq!(
        verdict("iris-registry", normal("tokio")),
        "iris-registry -> tokio: tokio is never used below floor 2; iris-registry stands on \
         floor 1 (rule: xtask/tests/layers.rs)"
    );
    for (user, used) in [
        ("iris-wire", "tokio-rustls"),
        ("iris", "pyo3"),
        ("iris", "napi-derive"),
        ("iris-offload", "cranelift-codegen"),
        ("iris-py", "rustpython-parser"),
    ] {
        assert_ne!(verdict(user, normal(used)), "", "{user} -> {used}");
        assert_ne!(verdict(user, dev(used)), "", "{user} -> {used} for tests");
    }
}

#[test]
fn an_outside_crate_that_no_row_names_is_reported() {
    assert!(verdict("iris-core", normal("serde")).contains("only bytes; a new one needs a reason"));
    assert_ne!(verdict("xtask", normal("thiserror")), "");
    assert_eq!(verdict("iris-supervise", normal("thiserror")), "");
}

#[test]
fn loom_is_for_tests() {
    assert_ne!(verdict("iris-sched", normal("loom")), "");
    assert_eq!(
        verdict(
            "iris-sched",
            Dependency {
                optional: true,
                ..normal("loom")
            }
        ),
        ""
    );
    assert_eq!(verdict("iris-mailbox", dev("loom")), "");
}

#[test]
fn the_parsers_default_features_are_reported() {
    assert!(verdict("iris-offload", normal("rustpython-parser")).contains("LGPL"));
    let without = Dependency {
        default_features: false,
        ..normal("rustpython-parser")
    };
    assert_eq!(verdict("iris-offload", without), "");
}

#[test]
fn tests_may_use_the_testkit_and_floors_below() {
    assert_eq!(verdict("iris-core", dev("iris-testkit")), "");
    assert_eq!(verdict("iris-sched", dev("iris-testkit")), "");
    assert_ne!(verdict("iris-sched", normal("iris-testkit")), "");
    assert_eq!(verdict("iris-core", dev("proptest")), "");
}

#[test]
fn a_crate_without_a_row_and_a_row_without_a_crate_are_reported() {
    let mut metadata = workspace(Vec::new());
    metadata
        .packages
        .retain(|package| package.name != "iris-wire");
    metadata.packages.push(Package {
        name: "iris-extra".into(),
        dependencies: Vec::new(),
    });
    let subjects: Vec<String> = check(&metadata)
        .into_iter()
        .map(|found| found.subject)
        .collect();
    assert_eq!(subjects, ["iris-wire", "iris-extra"]);
}

#[test]
fn kinds_and_features_are_read_from_cargos_json() {
    let metadata = parse(
        r#"{"packages": [{"name": "iris-core", "dependencies": [
            {"name": "tokio", "kind": null, "optional": false, "uses_default_features": true},
            {"name": "cc", "kind": "build", "optional": false, "uses_default_features": true},
            {"name": "loom", "kind": "dev", "optional": true, "uses_default_features": false}
        ]}]}"#,
    );
    let edges = &metadata.packages[0].dependencies;
    assert_eq!(
        edges.iter().map(|edge| edge.dev).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert!(edges[2].optional && !edges[2].default_features && edges[0].default_features);
    assert_eq!(
        check_edge(&CRATES[0], &edges[1]),
        Some("iris-core may use of outside crates only bytes; a new one needs a reason".into())
    );
}
