//! Guards that are left out, made cheaper or moved: at the edges where they would fire.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod common;

use common::{call_in, compile_in};
use iris_jit::{Arg, Compiled};
use iris_offload::{Bailout, Binding, Env, Type, Value};

const EDGES: [i64; 15] = [
    i64::MIN,
    i64::MIN + 1,
    i64::MIN / 3 - 1,
    i64::MIN / 3,
    i64::MIN / 3 + 1,
    -2,
    -1,
    0,
    1,
    2,
    i64::MAX / 3 - 1,
    i64::MAX / 3,
    i64::MAX / 3 + 1,
    i64::MAX - 1,
    i64::MAX,
];

/// `f` of ints, compiled natively and for the interpreter.
struct Both<'a> {
    source: &'a str,
    native: Compiled,
    oracle: Compiled,
}

impl<'a> Both<'a> {
    fn of(source: &'a str, params: usize, env: &Env) -> Self {
        let compiled = compile_in(source, &[Type::I64, Type::I64, Type::I64][..params], env);
        let (native, oracle) = compiled.unwrap_or_else(|why| panic!("{}", why.render(source)));
        Self {
            source,
            native,
            oracle,
        }
    }

    /// Calls both, which must agree.
    #[track_caller]
    fn call(&self, args: &[i64]) -> Result<Value, Bailout> {
        let words: Vec<_> = args
            .iter()
            .map(|&arg| Arg::Scalar(Value::I64(arg)))
            .collect();
        let (found, expected) = (self.native.call_with(&words), self.oracle.call_with(&words));
        match (found, expected) {
            (Ok(a), Ok(b)) => {
                assert!(a.same(&b), "{}{args:?}: {a:?}, {b:?}", self.source);
                Ok(a.values[0])
            }
            (a, b) => {
                assert_eq!(a, b, "{}{args:?}", self.source);
                Err(a.unwrap_err())
            }
        }
    }
}

/// Calls `f` natively and in the interpreter, which must agree.
fn ints(source: &str, args: &[i64]) -> Result<Value, Bailout> {
    Both::of(source, args.len(), &Env::standard()).call(args)
}

#[test]
fn a_constant_operand_guards_as_any_other_does() {
    for expr in [
        "x * 3",
        "3 * x",
        "x * 5",
        "x * 9",
        "x * 10",
        "x + 1",
        "1 + x",
        "x - 1",
        "x + -1",
        "x - -1",
        "3 * x + 1",
        "x * 3 - 2",
        "x * 9007199254740993",
        "9007199254740993 * x",
    ] {
        let source = format!("def f(x):\n    return {expr}\n");
        let both = Both::of(&source, 1, &Env::standard());
        for x in EDGES {
            let _ = both.call(&[x]);
        }
    }
    assert_eq!(
        ints("def f(x):\n    return 3 * x + 1\n", &[i64::MAX / 3]),
        Ok(Value::I64(i64::MAX)),
    );
}

#[test]
fn a_branch_proves_no_more_than_it_says() {
    for body in [
        "return x + 1 if x < y else 0",
        "return x + 2 if x < y else 0",
        "return x - 1 if x > y else 0",
        "return x - 2 if x > y else 0",
        "return -x if x >= 0 else abs(x)",
        "return x // y if y > 0 else x % y",
        "return x * x if x < 3037000500 and x > -3037000500 else 1",
        "return x * x if x < 3037000501 and x > y else 1",
        "return (x & 255) * (y & 65535) + 7",
        "return (x % 1000) * y if y != 0 else 0",
    ] {
        let source = format!("def f(x, y):\n    {body}\n");
        let both = Both::of(&source, 2, &Env::standard());
        for x in EDGES
            .into_iter()
            .chain([3_037_000_499, 3_037_000_500, -3_037_000_500])
        {
            for y in EDGES {
                let _ = both.call(&[x, y]);
            }
        }
    }
}

#[test]
fn strided_ranges_end_where_they_should() {
    let source = "def f(a, b, s):\n    t = 0\n    c = 0\n    for i in range(a, b, s):\n        t = t ^ i\n        c += 1\n        if c > 5:\n            break\n    return t * 0 + c + (t & 1023)\n";
    let steps = [i64::MIN, -(1 << 62), -7, -1, 1, 2, 7, 1 << 62, i64::MAX, 0];
    let both = Both::of(source, 3, &Env::standard());
    for a in EDGES {
        for b in EDGES {
            for s in steps {
                let _ = both.call(&[a, b, s]);
            }
        }
    }
}

#[test]
fn counting_loops_with_jumps_answer_at_every_length() {
    for source in [
        "def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t, i\n",
        "def f(n):\n    t = 0\n    for i in range(n):\n        for j in range(i, n):\n            t = t + j - i\n    return t\n",
        "def f(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a ^ (b + 3)\n    return a * 7 + b\n",
        "def f(n):\n    x = 1.5\n    y = 0.25\n    for i in range(n):\n        x, y = y * 2.0 + i, x * 0.5\n    return x + y\n",
        "def f(n):\n    t = 0\n    for i in range(n):\n        if i == 3:\n            continue\n        t += 2\n    else:\n        t += 100\n    return t\n",
    ] {
        let both = Both::of(source, 1, &Env::standard());
        for n in [-5, -1, 0, 1, 2, 3, 4, 5, 31, 100] {
            let _ = both.call(&[n]);
        }
    }
}

#[test]
fn many_rounds_at_once_are_those_rounds() {
    for step in [
        "(x * 1103515245 + 12345) % 2147483648",
        "(1103515245 * x + 12345) & 2147483647",
        "(5 * x - 3) % 1024",
        "(3 * (x + 1) + 7) & 65535",
        "(x * 4294967296 + 1) % 4294967296",
        "(x - 5) % 8",
        // Products in the range overflow: such loops keep their guards.
        "(x * 6364136223846793005 + 1442695040888963407) % 4294967296",
    ] {
        let source =
            format!("def f(x, n):\n    for _ in range(n):\n        x = {step}\n    return x\n");
        let both = Both::of(&source, 2, &Env::standard());
        for x in EDGES
            .into_iter()
            .chain([1023, 1024, 65_535, 2_147_483_647, 2_147_483_648])
        {
            for n in [-1, 0, 1, 31, 32, 33, 34, 63, 64, 65, 1000] {
                let _ = both.call(&[x, n]);
            }
        }
    }
    // CPython's answer after a thousand rounds.
    let source = "def f(x, n):\n    for _ in range(n):\n        x = (x * 1103515245 + 12345) % 2147483648\n    return x\n";
    assert_eq!(ints(source, &[42, 1000]), Ok(Value::I64(LCG_1000)));
}

/// By `CPython` 3.11.
const LCG_1000: i64 = 1_363_713_826;

#[test]
fn a_recursion_ends_at_the_same_depth_however_it_is_compiled() {
    let mut env = Env::standard();
    env.bind("f", Binding::Recursion);
    for source in [
        "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\n",
        "def f(n):\n    return n if n < 2 else f(n - 2) + f(1)\n",
        "def f(n):\n    return n if n < 1 else f(f(n - 1) * 0)\n",
    ] {
        let both = Both::of(source, 1, &env);
        // The interpreter and native code allow 500 calls in each other.
        for n in (0..6).chain(495..506).chain(990..1010) {
            let _ = both.call(&[n]);
        }
    }
}

#[test]
fn twice_a_float_is_its_product_with_two() {
    let specials = [
        0.0,
        -0.0,
        1.5,
        f64::MAX,
        f64::INFINITY,
        -f64::INFINITY,
        5e-324,
        -f64::MIN_POSITIVE,
    ];
    for x in specials {
        for source in [
            "def f(x):\n    return 2.0 * x\n",
            "def f(x):\n    return x * 2\n",
        ] {
            let _ = call_in(source, &[Value::F64(x)], &Env::standard());
        }
    }
}
