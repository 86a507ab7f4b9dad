//! The silent wrong answers of an earlier implementation: each is right here, or refused.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod common;

use common::{call_in, compile_in, eval, refusal, source_refusal};
use iris_jit::{Compiler, CraneliftCompiler};
use iris_offload::{Bailout, Binding, Env, Program, Signature, Type, Value};

const F: &[Type] = &[Type::F64];
const I: &[Type] = &[Type::I64];

fn bails(expr: &str, args: &[Value]) {
    assert!(
        matches!(eval(expr, args), Err(Bailout::Guard { .. })),
        "{expr}"
    );
}

#[test]
fn unknown_names_are_refused_and_never_read_an_argument() {
    assert_eq!(refusal("x * K", F), "K is not defined");
    assert_eq!(refusal("x * math.K()", F), "math.K is not compiled");
    assert_eq!(
        eval("x * math.pi", &[Value::F64(1.0)]),
        Ok(Value::F64(std::f64::consts::PI))
    );
    bails("math.nan", &[]);
    assert_eq!(eval("math.isnan(math.nan)", &[]), Ok(Value::Bool(true)));
    let mut env = Env::standard();
    env.bind("K", Binding::Float(3.0));
    let source = common::expression("x * K", 1);
    assert_eq!(
        call_in(&source, &[Value::F64(2.0)], &env),
        Ok(Value::F64(6.0))
    );
}

#[test]
fn names_of_libc_are_never_called() {
    for name in ["exit", "abort", "gamma", "system", "sin", "floor"] {
        assert_eq!(
            refusal(&format!("{name}(x)"), F),
            format!("{name} is not defined")
        );
        let mut env = Env::standard();
        env.bind(name, Binding::Builtin(name.to_owned()));
        let source = common::expression(&format!("{name}(x)"), 1);
        assert!(compile_in(&source, F, &env).is_err(), "{name}");
        env.bind(name, Binding::Other("function".to_owned()));
        assert!(compile_in(&source, F, &env).is_err(), "{name}");
    }
    for name in ["abort", "exit", "tgamma", "y0", "fsum"] {
        assert_eq!(
            refusal(&format!("math.{name}(x)"), F),
            format!("math.{name} is not compiled")
        );
    }
}

#[test]
fn nothing_behind_an_understood_prefix_is_dropped() {
    let (five, six) = (Value::I64(5), Value::I64(6));
    assert_eq!(eval("x << 2", &[five]), Ok(Value::I64(20)));
    assert_eq!(eval("x & y", &[five, six]), Ok(Value::I64(4)));
    assert_eq!(eval("~x", &[five]), Ok(Value::I64(-6)));
    assert_eq!(
        eval("x // y", &[Value::I64(-7), Value::I64(2)]),
        Ok(Value::I64(-4))
    );
    for (expr, reason) in [
        (
            "(lambda y: y)(x)",
            "a call of a computed function is not compiled",
        ),
        ("f'{x}'", "an f-string is not compiled"),
        ("(x, x) + x", "a tuple where a number is needed"),
        ("[x]", "a list that is kept is not compiled"),
        ("x + 1j", "a complex number is not compiled"),
        ("x @ x", "matrix multiplication is not compiled"),
        ("abs(x=x)", "abs with x is not compiled"),
        (
            "sum([i for i in range(3)])",
            "a comprehension is not compiled",
        ),
        ("(i for i in range(3))", "a generator used as a value"),
        ("sum({x}) + x", "a set is not compiled"),
        ("sum(x) + x", "a loop over a float"),
        (
            "1 + (x if x else None)",
            "the value is float or None by the run of the program",
        ),
        ("x[0]", "an index into a float"),
        ("x[0:1]", "a slice is not compiled"),
        ("x.real", "real of a float is not compiled"),
        ("x is x", "a test of identity of such values"),
        ("x in x", "a test of membership in no container"),
        (
            "math.sqrt.real",
            "an attribute of an expression is not compiled",
        ),
        ("abs(*x)", "a starred argument is not compiled"),
        ("x & 1", "float & int"),
        ("~x", "~ of a float"),
        ("math", "math is a module"),
        ("abs", "abs is a function used as a value"),
        (
            "9223372036854775808 * x",
            "an integer beyond 64 bits is not compiled",
        ),
        (
            "x and 1",
            "the value is float or int by the run of the program",
        ),
        (
            "-(x if x else 1)",
            "the value is float or int by the run of the program",
        ),
        ("min(x, 1)", "min or max of different types"),
        ("min(x)", "a loop over a float"),
        ("min()", "min with 0 arguments is not compiled"),
        ("round(x, 1, 2)", "round with 3 arguments is not compiled"),
        ("int()", "int with 0 arguments is not compiled"),
        (
            "math.log(x, 2, 3)",
            "math.log with 3 arguments is not compiled",
        ),
        (
            "math.hypot(x, x, x)",
            "math.hypot with 3 arguments is not compiled",
        ),
        ("(yield x)", "await or yield is not compiled"),
    ] {
        assert_eq!(refusal(expr, F), reason, "{expr}");
    }
    assert_eq!(refusal("~x", &[Type::Bool]), "~ of a bool");
}

#[test]
fn statements_beyond_the_language_are_refused() {
    for (body, reason) in [
        (
            "global K\n    return x",
            "a global or nonlocal statement is not compiled",
        ),
        ("a, b = x\n    return a", "unpacking of what is no tuple"),
        (
            "a, *b = x, x\n    return a",
            "a starred target is not compiled",
        ),
        (
            "x[0] = 1\n    return x",
            "an assignment into what is no array",
        ),
        (
            "x.y = 1\n    return x",
            "an assignment to an attribute is not compiled",
        ),
        ("print(x)\n    return x", "print is not defined"),
        ("for i in x: pass\n    return x", "a loop over a float"),
        ("for i in range(x): pass\n    return x", "a range of floats"),
        (
            "try:\n        return x\n    finally:\n        pass",
            "a try statement is not compiled",
        ),
        ("with x: return x", "a with statement is not compiled"),
        ("import math\n    return x", "an import is not compiled"),
        (
            "def g(): pass\n    return x",
            "a nested def is not compiled",
        ),
        ("class G: pass\n    return x", "a class is not compiled"),
        (
            "del x[0]\n    return 1",
            "a del of what is no plain name is not compiled",
        ),
        (
            "match x:\n        case [_, _]: return x",
            "such a pattern is not compiled",
        ),
        (
            "if x: abs = 1\n    return abs(x)",
            "a call or an attribute of a local name is not compiled",
        ),
        ("y: int\n    return x", "a declaration is not compiled"),
        (
            "y: (K := 1) = x\n    return y",
            "a declaration is not compiled",
        ),
        ("return __k + x", "a private name is not compiled"),
        ("return x + é", "a name beyond ASCII is not compiled"),
    ] {
        let source = format!("def f(x):\n    {body}\n");
        assert_eq!(source_refusal(&source, F), reason, "{source}");
    }
}

#[test]
fn signatures_beyond_plain_parameters_are_refused() {
    for (def, reason) in [
        ("def f(*x): return 1", "a starred parameter is not compiled"),
        (
            "def f(**x): return 1",
            "a starred parameter is not compiled",
        ),
        ("async def f(x): return 1", "f is async"),
        ("def g(x): return 1", "the source has no def named f"),
        ("f = lambda x: x", "the source has no def named f"),
        (
            "def f(x): return 1\ndef f(x): return 2",
            "f is defined twice in the source",
        ),
        (
            "class C:\n    def f(x): return 1",
            "the source has no def named f",
        ),
    ] {
        assert_eq!(source_refusal(def, F), reason);
    }
    let program = Program::parse("def f(a, /, b, c=1, d=2): return a", "f", 1).unwrap();
    assert_eq!(program.params(), ["a", "b", "c", "d"]);
    assert_eq!(program.defaults(), 2);
    let compiler = CraneliftCompiler::new().unwrap();
    let refusal = program
        .compile(&compiler, &Signature::new(I), &Env::new())
        .unwrap_err();
    assert_eq!(refusal.reason, "f takes 4 arguments, given 1");
}

#[test]
fn the_first_hour_of_wrong_answers() {
    let int = Value::I64;
    assert_eq!(eval("(2**53 + 1) * x", &[int(1)]), Ok(int((1 << 53) + 1)));
    assert_eq!(eval("3 * x", &[int(4)]), Ok(int(12)));
    assert_eq!(eval("1 < x", &[int(2)]), Ok(Value::Bool(true)));
    assert_eq!(eval("-7 % x", &[int(3)]), Ok(int(2)));
    assert_eq!(eval("-7 // x", &[int(2)]), Ok(int(-4)));
    bails("1 / x", &[int(0)]);
    bails("7 % x", &[int(0)]);
    bails("math.sqrt(x)", &[int(-1)]);
    bails("math.log(x)", &[int(0)]);
    bails("x ** (1 / 3)", &[int(-8)]);
    bails("10.0 ** x", &[int(400)]);
    bails("2 ** x", &[int(-1)]);
}

#[test]
fn a_nan_payload_is_data() {
    let sentinel = f64::from_bits(0x7ff8_0000_0000_0b01);
    let x = [Value::F64(sentinel)];
    assert_eq!(eval("math.isnan(x + 1.0)", &x), Ok(Value::Bool(true)));
    assert_eq!(eval("2.0 if x != x else x", &x), Ok(Value::F64(2.0)));
}

#[test]
fn each_program_has_its_own_code() {
    // Code that outlived its function answered for the next one at the same address.
    let compiler = CraneliftCompiler::new().unwrap();
    for n in 0..200 {
        let source = format!("def f(x): return x + {n}\n");
        let program = Program::parse(&source, "f", 1).unwrap();
        let f = program
            .compile(&compiler, &Signature::new(I), &Env::new())
            .unwrap();
        assert_eq!(f.call(&[Value::I64(1)]), Ok(Value::I64(n + 1)));
        drop((program, f));
    }
    assert_eq!(compiler.name(), "cranelift");
}

#[test]
fn hostile_text_is_refused_without_a_crash() {
    let deep = |open: &str, close: &str, n: usize| {
        format!("def f(x): return {}x{}\n", open.repeat(n), close.repeat(n))
    };
    let chained = |link: &str, n: usize| format!("def f(x): return x{}\n", link.repeat(n));
    let mut sources = vec![
        deep("(", ")", 199),
        deep("(", ")", 5_000),
        deep("abs(", ")", 150),
        deep("[", "]", 30_000),
        deep("{", "", 30_000),
        deep("-", "", 1_900),
        deep("-", "", 60_000),
        deep("not ", "", 1_900),
        deep("not ", "", 16_000),
        deep("lambda: ", "", 900),
        deep("x if x else ", "", 900),
        deep("x if x else ", "", 5_000),
        deep("x ** ", "", 1_900),
        chained(" + 1", 1_900),
        chained(" + 1", 15_000),
        chained("()", 1_900),
        chained("()", 30_000),
        chained(".a", 1_900),
        chained("[0]", 1_900),
        chained(" < x", 1_900),
        chained(" and x", 1_900),
        format!(
            "def f(x):\n    return f'{{{}x{}}}'\n",
            "(".repeat(9_000),
            ")".repeat(9_000)
        ),
        "x".repeat(70_000),
        "def f(x): return (".to_owned(),
        "def f(x): return 1 +\n".to_owned(),
        "def f(x): return '".to_owned(),
        "\0".to_owned(),
        "    ".to_owned(),
        String::new(),
        "  def f(x):\n return x\n".to_owned(),
    ];
    let elifs = "    elif x: return 1\n".repeat(1_000);
    sources.push(format!(
        "def f(x):\n    if x: return 1\n{elifs}    return 2\n"
    ));
    let blocks: Vec<String> = (1..180).map(|n| " ".repeat(n) + "if x:\n").collect();
    sources.push(format!(
        "def f(x):\n{}{}return 1\n",
        blocks.concat(),
        " ".repeat(200)
    ));
    for source in sources {
        // Accepted or refused: either way without a crash, on a test thread's 2 MiB.
        let _ = compile_in(&source, F, &Env::standard());
    }
    let long = chained(" + 1", 150);
    assert_eq!(
        call_in(&long, &[Value::I64(0)], &Env::standard()),
        Ok(Value::I64(150)),
        "ordinary lengths compile"
    );
}

#[test]
fn the_sum_of_nothing_is_the_bool_that_it_starts_with() {
    let nothing = "sum((i for i in range(x)), x == 0)";
    bails(nothing, &[Value::I64(0)]);
    assert_eq!(eval(nothing, &[Value::I64(3)]), Ok(Value::I64(3)));
}
