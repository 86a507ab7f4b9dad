//! Random programs against the `CPython` that is installed.
//!
//! Each program is compiled by both back ends, called with arguments from the edges of the number
//! ranges, and every native result is compared with the plain function, value and type; so are
//! arrays that it wrote to. Calls that bail out are counted, not compared: there the plain function
//! would run.
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

mod generate;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use generate::{Rng, expression, program};
use iris_jit::{Compiler, CraneliftCompiler, Interpreter, NativeCompiler};
use iris_offload::{
    Arg, ArrayRef, Bailout, Binding, Compiled, Elem, Env, Helper, Output, Program, Shape,
    Signature, Type, Value,
};

const CALLS: usize = 12;

const CHECKER: &str = include_str!("checker.py");

/// An argument that outlives its call.
#[derive(Clone)]
enum Given {
    Scalar(Value),
    Array(Elem, Vec<u8>),
}

impl Given {
    fn arg(&mut self) -> Arg<'_> {
        match self {
            Self::Scalar(value) => Arg::Scalar(*value),
            Self::Array(elem, bytes) => Arg::Array(ArrayRef::from_bytes(*elem, bytes)),
        }
    }

    fn encode(&self) -> String {
        match self {
            Self::Scalar(value) => encode(*value),
            Self::Array(elem, bytes) => {
                let mut text = format!("@{}:", typecode(*elem));
                for byte in bytes {
                    let _ = write!(text, "{byte:02x}");
                }
                text
            }
        }
    }
}

fn typecode(elem: Elem) -> char {
    match elem {
        Elem::F64 => 'd',
        Elem::F32 => 'f',
        Elem::I8 => 'b',
        Elem::I16 => 'h',
        Elem::I32 => 'i',
        Elem::I64 => 'q',
        Elem::U8 => 'B',
        Elem::U16 => 'H',
        Elem::U32 => 'I',
        Elem::U64 => 'Q',
        Elem::Bool => '?',
    }
}

fn encode(value: Value) -> String {
    match value {
        Value::I64(value) => format!("i:{value}"),
        Value::F64(value) => format!("x:{:016x}", value.to_bits()),
        Value::Bool(value) => format!("b:{}", i32::from(value)),
    }
}

fn encode_result(shape: &Shape, values: &mut impl Iterator<Item = Value>) -> String {
    match shape {
        Shape::Scalar(_) | Shape::Numpy(_) => encode(values.next().unwrap()),
        Shape::None => "n:".to_owned(),
        Shape::Tuple(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| encode_result(item, values))
                .collect();
            format!("( {} )", items.join(" "))
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A call that gave a native result, to be called again while it is made smaller.
#[derive(Clone)]
struct Case {
    source: String,
    types: Vec<Type>,
    args: Vec<Given>,
    len: usize,
}

/// What became of the random programs.
#[derive(Default)]
struct Counts {
    tried: u64,
    compiled: u64,
    ok: u64,
    bailed: u64,
    /// Refusals and bailouts by their reason.
    reasons: BTreeMap<String, u64>,
}

impl Counts {
    fn record(&mut self, reason: String) {
        *self.reasons.entry(reason).or_default() += 1;
    }
}

/// The environment of a program, with its helpers.
fn env_of(source: &str, version: (u8, u8)) -> Env {
    let standard = || {
        let mut env = Env::standard();
        env.compensated_sum = version >= (3, 12);
        env.python = version;
        let mut doubt = |function: &str, since| {
            if version < since {
                env.doubtful.insert(function.to_owned());
            }
        };
        doubt("hypot", (3, 10));
        doubt("dist", (3, 10));
        doubt("cbrt", (3, 11));
        doubt("exp2", (3, 11));
        env
    };
    let mut env = standard();
    for (name, defaults) in [
        ("g", vec![]),
        ("h", vec![Binding::Int(2), Binding::Bool(true)]),
    ] {
        if let Ok(program) = Program::parse(source, name, 1) {
            let helper = Helper {
                program,
                env: standard(),
                defaults,
                keyword_defaults: vec![("k".to_owned(), Binding::None)],
            };
            env.bind(name, Binding::Function(Arc::new(helper)));
        }
    }
    env
}

/// Compiles and calls random programs; gives the checker's input, and the case behind each line.
fn generate(programs: u64, seed: u64, version: (u8, u8)) -> (String, Vec<Case>) {
    let (blocks, cranelift) = (
        NativeCompiler::new().unwrap(),
        CraneliftCompiler::new().unwrap(),
    );
    let (mut lines, mut cases, mut counts) = (String::new(), Vec::new(), Counts::default());
    while counts.compiled < programs {
        let seed = seed.wrapping_add(counts.tried);
        let mut rng = Rng(
            seed.wrapping_mul(0xd134_2543_de82_ef95),
            counts.tried % 3 > 0,
        );
        counts.tried += 1;
        let (map, arrays) = (rng.below(4) == 0, rng.below(3));
        let source = if map {
            expression(&mut rng)
        } else {
            program(&mut rng, arrays, version >= (3, 10))
        };
        let types = rng.signature(if map { arrays.max(1) } else { arrays });
        let parsed = Program::parse(&source, "f", 1)
            .unwrap_or_else(|refusal| panic!("{}", refusal.render(&source)));
        let signature = Signature::new(types.clone());
        let env = env_of(&source, version);
        // Maps in blocks, and now and then as machine code.
        let compiler: &dyn Compiler = if counts.tried % 5 == 0 {
            &cranelift
        } else {
            &blocks
        };
        let native = match parsed.compile(compiler, &signature, &env) {
            Ok(native) => native,
            Err(refusal) => {
                assert!(
                    !refusal.reason.contains("internal"),
                    "{refusal} in\n{source}"
                );
                counts.record(refusal.reason.into_owned());
                continue;
            }
        };
        counts.compiled += 1;
        let oracle = parsed.compile(&Interpreter, &signature, &env).unwrap();
        for _ in 0..CALLS {
            let len = rng.length();
            let args: Vec<Given> = types
                .iter()
                .map(|&ty| given(&mut rng, ty, map, len))
                .collect();
            let case = Case {
                source: source.clone(),
                types: types.clone(),
                args,
                len,
            };
            match call(&native, &oracle, case.clone()) {
                Ok(line) => {
                    counts.ok += 1;
                    lines += &line;
                    cases.push(case);
                }
                Err(bailout) => {
                    counts.bailed += 1;
                    if let Bailout::Guard { guard, .. } = bailout {
                        counts.record(guard.to_string());
                    }
                }
            }
        }
    }
    let Counts {
        tried,
        compiled,
        ok,
        bailed,
        reasons,
    } = counts;
    if std::env::var_os("IRIS_DIFF_REASONS").is_some() {
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            println!("{count:6} {reason}");
        }
    }
    println!(
        "seed {seed}: {tried} programs, {compiled} compiled; {ok} native results, {bailed} bailouts"
    );
    assert!(compiled * 5 > tried, "too few programs compile");
    assert!(ok * 2 > bailed, "too few calls run natively");
    (lines, cases)
}

fn given(rng: &mut Rng, ty: Type, map: bool, len: usize) -> Given {
    match ty {
        Type::Array(array) => {
            // The arrays of a map are of one length.
            let len = if map { len } else { rng.length() };
            Given::Array(array.elem, rng.memory(array.elem, len))
        }
        ty => Given::Scalar(rng.value(ty)),
    }
}

/// Calls both back ends, which must agree; gives a line for the checker.
fn call(native: &Compiled, oracle: &Compiled, case: Case) -> Result<String, Bailout> {
    let Case {
        source,
        mut args,
        len,
        ..
    } = case;
    let before: Vec<String> = args.iter().map(Given::encode).collect();
    let out = match native.prototype().params.get(args.len()) {
        Some(Type::Array(array)) => Some(array.elem),
        _ => None,
    };
    // The last one takes the results of a map.
    args.extend(out.map(|elem| Given::Array(elem, vec![0; len * elem.size()])));
    let mut copy = args.clone();
    let run = |f: &Compiled, args: &mut [Given]| {
        let args: Vec<Arg<'_>> = args.iter_mut().map(Given::arg).collect();
        f.call_with(&args)
    };
    let (found, expected) = (run(native, &mut args), run(oracle, &mut copy));
    let arrays = |args: &[Given]| {
        let arrays = args.iter().filter(|arg| matches!(arg, Given::Array(..)));
        arrays.map(Given::encode).collect::<Vec<_>>()
    };
    let Output { shape, values } = match (found, expected) {
        (Ok(found), Ok(expected)) => {
            assert!(
                found.same(&expected),
                "{source}{before:?}: {found:?}, {expected:?}"
            );
            found
        }
        (found, expected) => {
            assert_eq!(found, expected, "{source}{before:?}");
            return Err(found.unwrap_err());
        }
    };
    let (kind, result) = match out {
        Some(_) => ("map", args.pop().unwrap().encode()),
        None => ("call", encode_result(&shape, &mut values.into_iter())),
    };
    let (text, after) = (source.replace('\n', "\\n"), arrays(&args).join(" "));
    let before = before.join(" ");
    Ok(format!("{text}\t{kind}\t{before}\t{result}\t{after}\n"))
}

/// The mismatch of a case, if it has one.
fn mismatch(python: &str, case: &Case, version: (u8, u8)) -> Option<String> {
    let program = Program::parse(&case.source, "f", 1).ok()?;
    let (signature, env) = (
        Signature::new(case.types.clone()),
        env_of(&case.source, version),
    );
    let oracle = program.compile(&Interpreter, &signature, &env).ok()?;
    let (blocks, cranelift) = (NativeCompiler::new().ok()?, CraneliftCompiler::new().ok()?);
    let compilers: [&dyn Compiler; 2] = [&blocks, &cranelift];
    compilers.into_iter().find_map(|compiler| {
        let native = program.compile(compiler, &signature, &env).ok()?;
        let found = check(python, &call(&native, &oracle, case.clone()).ok()?);
        found.starts_with('M').then_some(found)
    })
}

/// A smaller program with a mismatch: lines are left out, each with the block that it opens, as
/// long as the rest still answers wrongly.
fn shrink(python: &str, mut case: Case, version: (u8, u8)) -> String {
    let mut found = mismatch(python, &case, version);
    let mut at = 0;
    while at < case.source.lines().count() {
        let lines: Vec<&str> = case.source.lines().collect();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let block = lines[at + 1..]
            .iter()
            .take_while(|line| indent(line) > indent(lines[at]));
        let end = at + 1 + block.count();
        let rest: Vec<&str> = [&lines[..at], &lines[end..]].concat();
        let smaller = Case {
            source: rest.join("\n") + "\n",
            ..case.clone()
        };
        match mismatch(python, &smaller, version) {
            Some(text) => (case, found) = (smaller, Some(text)),
            None => at += 1,
        }
    }
    found.unwrap_or_else(|| "the mismatch did not come back".to_owned())
}

/// The version of this interpreter; `None` if there is no such interpreter.
fn version_of(python: &str) -> Option<(u8, u8)> {
    let script = "import sys; print(*sys.version_info[:2])";
    // A shim may exist without an interpreter behind it.
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What the checker prints.
fn check(python: &str, lines: &str) -> String {
    let mut child = Command::new(python)
        .args(["-W", "ignore", "-c", CHECKER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{python} failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn random_programs_answer_as_cpython_does() {
    let (programs, seed) = (
        setting("IRIS_DIFF_PROGRAMS", 300),
        setting("IRIS_DIFF_SEED", 1),
    );
    let pythons = std::env::var("IRIS_DIFF_PYTHONS").unwrap_or_else(|_| "python3".to_owned());
    for python in pythons.split(',') {
        let version = version_of(python);
        let (lines, cases) = generate(programs, seed, version.unwrap_or((3, 13)));
        let Some(version) = version else {
            println!("no {python} here: compared the back ends only");
            continue;
        };
        let calls = lines.lines().count();
        let found = check(python, &lines);
        let mut mismatches = found.lines().filter(|line| line.starts_with('M'));
        if let Some(first) = mismatches.next() {
            let number: usize = first.split(' ').nth(1).unwrap().parse().unwrap();
            let smaller = shrink(python, cases[number].clone(), version);
            let count = 1 + mismatches.count();
            let smaller = smaller.replace("\\n", "\n");
            panic!("seed {seed}: {python}: {count} of {calls} differ; made smaller:\n{smaller}");
        }
        assert_eq!(found.trim(), format!("checked {calls}"), "{python}");
    }
}

#[test]
fn the_checker_notices_wrong_values_and_types() {
    if version_of("python3").is_none() {
        return;
    }
    let line = |result: &str| format!("def f(x):\\n    return x + 1\tcall\ti:1\t{result}\t\n");
    assert_eq!(check("python3", &line("i:2")).trim(), "checked 1");
    for wrong in ["i:3", "x:4000000000000000", "b:1", "n:", "( i:2 )"] {
        assert!(
            check("python3", &line(wrong)).starts_with("MISMATCH"),
            "{wrong}"
        );
    }
    let zero = "def f(x):\\n    return -x\tcall\tx:0000000000000000\tx:0000000000000000\t\n";
    assert!(check("python3", zero).starts_with("MISMATCH"));
    let store = |after: &str| format!("def f(x):\\n    x[0] = 7\tcall\t@B:0102\tn:\t@B:{after}\n");
    assert_eq!(check("python3", &store("0702")).trim(), "checked 1");
    assert!(check("python3", &store("0102")).starts_with("MISMATCH"));
}
