//! The examples of the crates, run as a reader of their first line would, say what they said.

use std::process::Command;

/// Package, example, what it prints.
const EXAMPLES: [(&str, &str, &str); 9] = [
    (
        "iris-core",
        "given_back",
        "no process with pid 1126999418470407\n\
         given back: User(b\"precious\")\n\
         killed: failure false\n\
         panic: failure true\n",
    ),
    (
        "iris-mailbox",
        "signals_first",
        "3 messages\n\
         a signal first: true\n\
         then a message: true\n\
         left: [User(b\"two\"), User(b\"three\")]\n\
         too late: true\n",
    ),
    (
        "iris-testkit",
        "one_seed_one_run",
        "20 ran, and 20 ended after an idle hour\n\
         seed 1 again: same order true\n\
         seed 2: same order false\n",
    ),
    (
        "iris-sched",
        "own_scheduler",
        "scheduled once: true\nhandled one\nhandled two\n",
    ),
    (
        "iris-registry",
        "names",
        "restarting: None\n\
         restarted:  [(\"/svc/payment/1\", Pid(2.262400))]\n\
         the topic:  []\n",
    ),
    (
        "iris-supervise",
        "restart",
        "after a crash: [Start { child: ChildNo(1), start: StartId(1), old: Some(Pid(1.262400)) }]\n\
         after its restart: [HandOver { from: Pid(1.262400), to: Pid(2.262400) }]\n\
         the children: [Pid(2.262400)]\n",
    ),
    // Asserts what it shows.
    ("iris-jit", "hypotenuse", ""),
    (
        "iris-offload",
        "area",
        "area(2.0) = F64(12.566370614359172)\n\
         not compiled: an f-string is not compiled\n\
         \x20 |\n\
         2 |     return f'hello {name}'\n\
         \x20 |            ^\n\
         \x20 = mend: keep text out of the function\n\n",
    ),
    ("iris", "actors", "A: before the swap\nB: after the swap\n"),
];

#[test]
fn each_example_prints_what_it_is_to_show() {
    for (package, example, expected) in EXAMPLES {
        let output = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--locked"])
            .args(["--package", package, "--example", example])
            .output()
            .expect("cargo can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{package} {example}: {stderr}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout, expected, "{package} {example}");
    }
}
