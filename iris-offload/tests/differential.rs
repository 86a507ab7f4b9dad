//! Random programs against the `CPython` that is installed.
//!
//! Each program is compiled by both back ends, called with arguments from the edges of the number
//! ranges, and every native result is compared with the plain function, value and type. Calls that
//! bail out are counted, not compared: there the plain function would run.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `IRIS_DIFF_PYTHONS` | interpreters, separated by commas | `python3` |
//! | `IRIS_DIFF_PROGRAMS` | number of random programs | 300 |
//! | `IRIS_DIFF_SEED` | seed of the first program | 1 |
//!
//! Without an interpreter only the back ends are compared with each other.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![allow(
    clippy::print_stdout,
    reason = "the counts are the report of a long run"
)]

mod common;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use iris_jit::{CraneliftCompiler, Interpreter};
use iris_offload::{Env, Program, Signature, Type, Value};

const CALLS: usize = 24;

/// Reads `source TAB args TAB result` lines, the source with `\n` for line breaks; prints one line
/// per mismatch and the number of checked calls.
const CHECKER: &str = r#"
import math, struct, sys
def decode(text):
    kind, _, rest = text.partition(":")
    if kind == "i": return int(rest)
    if kind == "b": return rest == "1"
    return struct.unpack(">d", bytes.fromhex(rest))[0]
def same(a, b):
    if type(a) is not type(b): return False
    if isinstance(a, float):
        if a != a or b != b: return a != a and b != b
        return struct.pack(">d", a) == struct.pack(">d", b)
    return a == b
cache, count = {}, 0
for line in sys.stdin:
    source, args, expected = line.rstrip("\n").split("\t")
    function = cache.get(source)
    if function is None:
        scope = {"math": math}
        exec(source.replace("\\n", "\n"), scope)
        cache.clear()
        function = cache[source] = scope["f"]
    args = [decode(arg) for arg in args.split()]
    try:
        answer = function(*args)
    except Exception as error:
        answer = error
    count += 1
    if not same(answer, decode(expected)):
        print("MISMATCH", source, args, "CPython:", repr(answer), "native:", repr(decode(expected)))
print("checked", count)
"#;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn value(&mut self, ty: Type) -> Value {
        match ty {
            Type::Bool => Value::Bool(self.below(2) == 1),
            Type::I64 => Value::I64(self.int()),
            Type::F64 => Value::F64(self.float()),
        }
    }

    fn int(&mut self) -> i64 {
        let edges = [
            i64::MIN,
            i64::MAX,
            1 << 53,
            (1 << 53) + 1,
            -(1 << 53) - 1,
            1 << 31,
            63,
            64,
        ];
        match self.below(8) {
            0 => edges[self.below(edges.len())],
            1 => self.next().cast_signed(),
            2 => self.next().cast_signed() >> self.below(64),
            _ => i64::try_from(self.below(25)).unwrap() - 12,
        }
    }

    fn float(&mut self) -> f64 {
        let edges = [
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            9_223_372_036_854_775_808.0,
            0.499_999_999_999_999_94,
            4_503_599_627_370_497.5,
            710.0,
            -745.5,
        ];
        let int = i32::try_from(self.below(33)).unwrap() - 16;
        match self.below(8) {
            0 | 1 => edges[self.below(edges.len())],
            2 => f64::from_bits(self.next()),
            3 | 4 => f64::from(int) / 4.0,
            5 => f64::from(int),
            _ => f64::from(u32::try_from(self.below(1 << 30)).unwrap()) / 1e8 - 5.0,
        }
    }

    fn leaf(&mut self, names: &[String]) -> String {
        if self.below(5) > 0 {
            return names[self.below(names.len())].clone();
        }
        self.pick(&[
            "0",
            "1",
            "2",
            "3",
            "-1",
            "10",
            "0.0",
            "-0.0",
            "0.5",
            "2.0",
            "-3.0",
            "1e300",
            "1e-300",
            "True",
            "False",
            "math.pi",
            "math.inf",
            "math.nan",
            "9007199254740993",
            "0x7fffffff",
        ])
        .to_owned()
    }

    fn expr(&mut self, names: &[String], depth: usize) -> String {
        if depth == 0 {
            return self.leaf(names);
        }
        let mut sub = || {
            let depth = self.below(depth);
            self.expr(names, depth)
        };
        let (a, b, c) = (sub(), sub(), sub());
        let arith = ["+", "-", "*", "/", "//", "%", "**", "+", "-", "*"];
        let bits = ["<<", ">>", "&", "|", "^"];
        let order = ["<", "<=", ">", ">=", "==", "!="];
        match self.below(16) {
            // Without brackets: precedence is part of what is compared.
            0 | 1 => format!("{a} {} {b} {} {c}", self.pick(&arith), self.pick(&arith)),
            2..=4 => format!("({a}) {} ({b})", self.pick(&arith)),
            5 => format!("({a}) {} ({b})", self.pick(&bits)),
            6 => format!("({}({a}))", self.pick(&["-", "+", "~", "not "])),
            7 => format!("(-{a} ** -{b})"),
            8 => format!("(({a}) {} ({b}))", self.pick(&order)),
            9 => format!(
                "(({a}) {} ({b}) {} ({c}))",
                self.pick(&order),
                self.pick(&order)
            ),
            10 => format!(
                "({a} {} {b} {} {c})",
                self.pick(&["and", "or"]),
                self.pick(&["and", "or"])
            ),
            11 => format!("({a} if {b} else {c})"),
            12 => format!("{}({a}, {b})", self.pick(&["min", "max", "pow"])),
            13 => format!(
                "{}({a})",
                self.pick(&["abs", "int", "float", "bool", "round"])
            ),
            14 => {
                let names = ["pow", "atan2", "fmod", "copysign"];
                format!("math.{}({a}, {b})", self.pick(&names))
            }
            _ => {
                let names = [
                    "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh",
                    "degrees", "exp", "expm1", "fabs", "floor", "isfinite", "isinf", "isnan",
                    "log", "log10", "log1p", "log2", "radians", "sin", "sinh", "sqrt", "tan",
                    "tanh", "trunc",
                ];
                format!("math.{}({a})", self.pick(&names))
            }
        }
    }

    /// A function of `x`, `y` and `z`, often with locals and an `if`.
    fn program(&mut self) -> String {
        let mut names: Vec<String> = ["x", "y", "z"].map(str::to_owned).to_vec();
        let mut source = String::from("def f(x, y, z):\n");
        for n in 0..self.below(3) {
            let depth = 1 + self.below(2);
            let value = self.expr(&names, depth);
            let _ = writeln!(source, "    v{n} = {value}");
            names.push(format!("v{n}"));
        }
        if self.below(3) == 0 {
            let (test, one, two) = (
                self.expr(&names, 1),
                self.expr(&names, 1),
                self.expr(&names, 1),
            );
            let target = names[self.below(names.len())].clone();
            let op = self.pick(&["=", "+=", "*=", "-="]);
            let _ = writeln!(source, "    if {test}:\n        {target} {op} {one}");
            match self.below(3) {
                0 => {
                    let _ = writeln!(source, "    else:\n        {target} = {two}");
                }
                1 => {
                    let _ = writeln!(source, "    elif {two}:\n        return {two}");
                }
                _ => {}
            }
        }
        let depth = 1 + self.below(3);
        let value = self.expr(&names, depth);
        let _ = writeln!(source, "    return {value}");
        source
    }
}

fn encode(value: Value) -> String {
    match value {
        Value::I64(value) => format!("i:{value}"),
        Value::F64(value) => format!("f:{:016x}", value.to_bits()),
        Value::Bool(value) => format!("b:{}", i32::from(value)),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Compiles and calls random programs; gives the checker's input.
fn generate(programs: u64, seed: u64) -> String {
    let (cranelift, env) = (CraneliftCompiler::new().unwrap(), Env::standard());
    let (mut lines, mut compiled, mut tried, mut ok, mut bailed) = (String::new(), 0, 0, 0, 0);
    while compiled < programs {
        let mut rng = Rng(seed.wrapping_add(tried).wrapping_mul(0xd134_2543_de82_ef95));
        tried += 1;
        let source = rng.program();
        let types: Vec<Type> = (0..3)
            .map(|_| [Type::I64, Type::F64, Type::F64, Type::Bool][rng.below(4)])
            .collect();
        let program = Program::parse(&source, "f", 1)
            .unwrap_or_else(|refusal| panic!("{}", refusal.render(&source)));
        let signature = Signature::new(types.clone());
        let Ok(native) = program.compile(&cranelift, &signature, &env) else {
            continue;
        };
        compiled += 1;
        let oracle = program.compile(&Interpreter, &signature, &env).unwrap();
        for _ in 0..CALLS {
            let args: Vec<Value> = types.iter().map(|&ty| rng.value(ty)).collect();
            match (native.call(&args), oracle.call(&args)) {
                (Ok(found), Ok(expected)) => {
                    assert!(
                        found.same(expected),
                        "{source}{args:?}: {found:?}, {expected:?}"
                    );
                    let words: Vec<String> = args.iter().map(|&arg| encode(arg)).collect();
                    let (text, words) = (source.replace('\n', "\\n"), words.join(" "));
                    let _ = writeln!(lines, "{text}\t{words}\t{}", encode(found));
                    ok += 1;
                }
                (found, expected) => {
                    assert_eq!(found, expected, "{source}{args:?}");
                    bailed += 1;
                }
            }
        }
    }
    println!("{tried} programs, {compiled} compiled; {ok} native results, {bailed} bailouts");
    assert!(compiled * 5 > tried, "too few programs compile");
    assert!(ok > bailed, "too few calls run natively");
    lines
}

/// What the checker prints; `None` if there is no such interpreter.
fn check(python: &str, lines: &str) -> Option<String> {
    // A shim may exist without an interpreter behind it.
    let works = Command::new(python)
        .args(["-c", "import struct"])
        .output()
        .ok()?;
    if !works.status.success() {
        return None;
    }
    let mut child = Command::new(python)
        .args(["-W", "ignore::SyntaxWarning", "-c", CHECKER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{python} failed");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn random_programs_answer_as_cpython_does() {
    let lines = generate(
        setting("IRIS_DIFF_PROGRAMS", 300),
        setting("IRIS_DIFF_SEED", 1),
    );
    let calls = lines.lines().count();
    let pythons = std::env::var("IRIS_DIFF_PYTHONS").unwrap_or_else(|_| "python3".to_owned());
    for python in pythons.split(',') {
        match check(python, &lines) {
            None => println!("no {python} here: compared the back ends only"),
            Some(found) => {
                let mismatches: Vec<&str> = found.lines().filter(|l| l.starts_with('M')).collect();
                let shown = mismatches
                    .iter()
                    .take(10)
                    .copied()
                    .collect::<Vec<_>>()
                    .join("\n");
                assert!(
                    mismatches.is_empty(),
                    "{python}: {} of {calls}\n{shown}",
                    mismatches.len()
                );
                assert_eq!(found.trim(), format!("checked {calls}"), "{python}");
            }
        }
    }
}

#[test]
fn the_checker_notices_wrong_values_and_types() {
    let right = "def f(x):\\n    return x + 1\ti:1\ti:2\n";
    let Some(found) = check("python3", right) else {
        return;
    };
    assert_eq!(found.trim(), "checked 1");
    for wrong in ["i:3", "f:4000000000000000", "b:1"] {
        let line = format!("def f(x):\\n    return x + 1\ti:1\t{wrong}\n");
        assert!(
            check("python3", &line).unwrap().starts_with("MISMATCH"),
            "{wrong}"
        );
    }
    let zero = "def f(x):\\n    return -x\tf:0000000000000000\tf:0000000000000000\n";
    assert!(check("python3", zero).unwrap().starts_with("MISMATCH"));
}
