//! Answers and bailouts that `CPython`'s rules fix; the values were taken from `CPython` 3.11.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod common;

use common::{call_in, eval};
use iris_jit::ir::GuardKind::{
    self, Conversion, Domain, NanResult, NegativePower, Overflow, Precision, Range,
};
use iris_jit::ir::GuardKind::{Shift, ZeroDivision};
use iris_offload::{Bailout, Env, Value};

const BIG: i64 = 1 << 53;
const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

trait Scalar {
    fn value(self) -> Value;
}

impl Scalar for i64 {
    fn value(self) -> Value {
        Value::I64(self)
    }
}

impl Scalar for f64 {
    fn value(self) -> Value {
        Value::F64(self)
    }
}

impl Scalar for bool {
    fn value(self) -> Value {
        Value::Bool(self)
    }
}

macro_rules! args {
    ($($arg:expr),*) => { &[$(Scalar::value($arg)),*] };
}

#[track_caller]
fn gives(expr: &str, args: &[Value], expected: impl Scalar) {
    let (found, expected) = (eval(expr, args), expected.value());
    let same = matches!(&found, Ok(found) if found.same(expected));
    assert!(same, "{expr} of {args:?} is {found:?}, not {expected:?}");
}

#[track_caller]
fn bails(expr: &str, args: &[Value], expected: GuardKind) {
    match eval(expr, args) {
        Err(Bailout::Guard { guard, .. }) if guard == expected => {}
        other => panic!("{expr} of {args:?} gives {other:?}, not {expected:?}"),
    }
}

#[test]
fn ints_stay_ints_and_overflow_bails() {
    gives("x * 1", args![BIG + 1], BIG + 1);
    gives("x + y", args![i64::MAX - 1, 1], i64::MAX);
    bails("x + y", args![i64::MAX, 1], Overflow);
    bails("x - y", args![i64::MIN, 1], Overflow);
    bails("x * y", args![1_i64 << 32, 1_i64 << 31], Overflow);
    bails("-x", args![i64::MIN], Overflow);
    bails("abs(x)", args![i64::MIN], Overflow);
    gives("~x", args![5], -6);
}

#[test]
fn bools_are_ints_in_arithmetic_only() {
    gives("x + y", args![true, true], 2);
    gives("-x", args![true], -1);
    gives("+x", args![true], 1);
    gives("x & y", args![true, false], false);
    gives("x | y", args![true, 2], 3);
    gives("x ^ y", args![true, true], false);
    gives("x << y", args![true, true], 2);
    gives("abs(x)", args![true], 1);
    gives("x == y", args![true, 1], true);
    gives("x < y", args![false, true], true);
    gives("max(x, y)", args![false, true], true);
    gives("x ** y", args![false, false], 1);
    gives("x / y", args![true, 4.0], 0.25);
    gives("not x", args![0.0], true);
    gives("not x", args![NAN], false);
}

#[test]
fn division_floors_and_zero_bails() {
    gives("x // y", args![-7, 2], -4);
    gives("x % y", args![-7, 3], 2);
    gives("x % y", args![7, -3], -2);
    bails("x // y", args![7, 0], ZeroDivision);
    bails("x % y", args![7, 0], ZeroDivision);
    bails("x // y", args![i64::MIN, -1], Overflow);
    gives("x // y", args![-7.5, 2.0], -4.0);
    gives("x % y", args![-7.5, 2.0], 0.5);
    gives("x % y", args![-6.0, 3.0], 0.0);
    gives("x % y", args![6.0, -3.0], -0.0);
    gives("x // y", args![1.0, 0.1], 9.0);
    // The quotient is not whole before it is snapped to the nearest whole number.
    gives(
        "x // y",
        args![71_460.571_673_566_28, 1.628_448_501_982_140_9],
        43_882.0,
    );
    gives(
        "x // y",
        args![641_271_018_162_135.1, 1.616_902_648_224_911_6],
        396_604_593_891_996.0,
    );
    bails("x // y", args![INF, 1.0], NanResult);
    gives("math.isnan(x // y)", args![INF, 1.0], true);
    gives("x % y", args![-1.0, INF], INF);
    gives("x // y", args![-1.0, INF], -1.0);
    bails("x % y", args![1.0, -0.0], ZeroDivision);
    bails("x / y", args![1.0, 0.0], ZeroDivision);
    bails("x / y", args![1, false], ZeroDivision);
}

#[test]
fn true_division_of_ints_is_correctly_rounded_or_bails() {
    gives("x / y", args![1, 3], 1.0 / 3.0);
    gives("x / y", args![6, 3], 2.0);
    gives("x / y", args![BIG, 3], 3_002_399_751_580_330.5);
    bails("x / y", args![BIG + 1, 3], Precision);
    bails("x / y", args![3, -BIG - 1], Precision);
}

#[test]
fn powers_follow_the_sign_of_the_exponent() {
    gives("x ** y", args![3, 4], 81);
    gives("x ** 2", args![-3_037_000_499], 9_223_372_030_926_249_001);
    bails("x ** 2", args![3_037_000_500], Overflow);
    gives("x ** 3", args![-5], -125);
    gives("x ** 0", args![0], 1);
    bails("x ** y", args![2, 63], Overflow);
    bails("x ** y", args![2, -1], NegativePower);
    gives("x ** -1", args![4], 0.25);
    bails("x ** -1", args![0], ZeroDivision);
    gives("-x ** 2", args![3], -9);
    gives("x ** y ** 2", args![2, 3], 512);
    gives("x ** 0.5", args![2.0], 2.0_f64.powf(0.5));
    bails("x ** (1 / 3)", args![-8.0], Domain);
    gives("x ** y", args![-8.0, 3.0], -512.0);
    bails("x ** y", args![0.0, -1.0], ZeroDivision);
    bails("x ** y", args![10.0, 400.0], Range);
    gives("x ** y", args![10.0, -400.0], 0.0);
    gives("x ** y", args![NAN, 0.0], 1.0);
    gives("x ** y", args![1.0, NAN], 1.0);
    gives("x ** y", args![-1.0, INF], 1.0);
    gives("x ** y", args![-0.0, 3.0], -0.0);
    gives("x ** y", args![-INF, 3.0], -INF);
    gives("pow(x, y)", args![2, 10], 1024);
}

#[test]
fn shifts_are_exact_or_bail() {
    gives("x << 2", args![5], 20);
    gives("x >> 1", args![-5], -3);
    gives("x >> y", args![-5, 1000], -1);
    bails("x << y", args![1, 63], Shift);
    bails("x << y", args![1, -1], Shift);
    bails("x >> y", args![1, -1], Shift);
}

#[test]
fn floats_are_never_folded() {
    bails("x * 0", args![INF], NanResult);
    gives("math.isnan(x * 0)", args![INF], true);
    gives("x * 0", args![-1.0], -0.0);
    bails("x - x", args![INF], NanResult);
    gives("math.isnan(x - x)", args![INF], true);
    bails("x / x", args![NAN], NanResult);
    gives("math.isnan(x / x)", args![NAN], true);
    gives("x == x", args![NAN], false);
    gives("x <= x", args![NAN], false);
    gives("x != x", args![NAN], true);
    gives("x + 0.0", args![-0.0], 0.0);
    gives("-x", args![0.0], -0.0);
    gives("0 - x", args![0.0], 0.0);
    // A fused multiply-add would keep the product's low bits.
    gives(
        "x * x - y",
        args![1.0 + f64::EPSILON, 1.0 + 2.0 * f64::EPSILON],
        0.0,
    );
    gives("x + y + z", args![1e16, 1.0, -1e16], 0.0);
}

#[test]
fn ints_and_floats_compare_exactly_or_bail() {
    gives("x == y", args![BIG, 9_007_199_254_740_992.0], true);
    bails("x == y", args![BIG + 1, 9_007_199_254_740_992.0], Precision);
    gives("x < y", args![1, NAN], false);
    gives("x < y", args![1, INF], true);
    gives("x < 1.5 < y", args![1, 2], true);
    gives("x == y", args![BIG + 1, BIG], false);
    gives("x + y", args![BIG + 1, 0.0], 9_007_199_254_740_992.0);
}

#[test]
fn chains_stop_where_python_stops() {
    gives("x < y < 1 // x", args![0, 0], false);
    bails("x <= y < 1 // x", args![0, 0], ZeroDivision);
    gives("x and 1 // x", args![0], 0);
    gives("x or 1 // x", args![5], 5);
    gives("x and y", args![2, 3], 3);
    gives("x or y", args![0.0, -0.0], -0.0);
    gives("1 // x if x else 0", args![0], 0);
    gives("not (x and y)", args![1, 0.0], true);
    gives("1 if x and y or z else 2", args![0, 1.5, true], 1);
    gives("x < y == y", args![1, 2], true);
}

#[test]
fn min_and_max_keep_the_first_of_equals() {
    gives("min(x, y)", args![0.0, -0.0], 0.0);
    gives("max(x, y)", args![-0.0, 0.0], -0.0);
    bails("min(x, y)", args![NAN, 1.0], NanResult);
    gives("math.isnan(min(x, y))", args![NAN, 1.0], true);
    gives("min(x, y)", args![1.0, NAN], 1.0);
    gives("max(x, y, z)", args![1, 3, 2], 3);
}

#[test]
fn conversions_round_as_python_does() {
    gives("int(x)", args![-2.9], -2);
    gives("int(x)", args![true], 1);
    gives("round(x)", args![2.5], 2);
    gives("round(x)", args![-3.5], -4);
    gives("round(x)", args![0.499_999_999_999_999_94], 0);
    gives("math.floor(x)", args![-0.5], -1);
    gives("math.ceil(x)", args![-0.5], 0);
    gives("math.floor(x)", args![BIG + 1], BIG + 1);
    gives("float(x)", args![BIG + 1], 9_007_199_254_740_992.0);
    gives("bool(x)", args![NAN], true);
    bails("int(x)", args![INF], Conversion);
    bails("round(x)", args![NAN], Conversion);
    bails(
        "math.ceil(x)",
        args![9_223_372_036_854_775_808.0],
        Conversion,
    );
}

#[test]
fn math_errors_bail() {
    gives("math.sqrt(x)", args![-0.0], -0.0);
    gives("math.sqrt(x)", args![4], 2.0);
    bails("math.sqrt(x)", args![-1], Domain);
    bails("math.sqrt(x)", args![NAN], NanResult);
    gives("math.isnan(math.sqrt(x))", args![NAN], true);
    bails("math.log(x)", args![0], Range);
    bails("math.log(x)", args![-1.0], Domain);
    gives("math.log(x)", args![INF], INF);
    bails("math.sin(x)", args![INF], Domain);
    bails("math.sin(x)", args![NAN], NanResult);
    gives("math.isnan(math.sin(x))", args![NAN], true);
    bails("math.exp(x)", args![710.0], Range);
    gives("math.exp(x)", args![-INF], 0.0);
    bails("math.acos(x)", args![1.5], Domain);
    bails("math.atanh(x)", args![1.0], Range);
    bails("math.log1p(x)", args![-1.0], Range);
    bails("math.fmod(x, y)", args![1.0, 0.0], Domain);
    gives("math.fmod(x, y)", args![-5.0, 3.0], -2.0);
    gives("math.fmod(x, y)", args![5.0, INF], 5.0);
    bails("math.pow(x, y)", args![0.0, -1.0], Domain);
    bails("math.pow(x, y)", args![-8.0, 0.5], Domain);
    gives("math.atan2(x, y)", args![INF, -INF], 2.356_194_490_192_345);
    gives("math.copysign(x, y)", args![3, -0.0], -3.0);
    bails("math.copysign(x, y)", args![NAN, -1.0], NanResult);
    gives("math.isnan(math.copysign(x, y))", args![NAN, -1.0], true);
    bails("math.copysign(x, y)", args![1.0, NAN], Domain);
    gives("math.isnan(x)", args![NAN], true);
    gives("math.isnan(x)", args![3], false);
    gives("math.isinf(x)", args![-INF], true);
    gives("math.isfinite(x)", args![NAN], false);
    gives("math.degrees(x)", args![1.0], 57.295_779_513_082_32);
    gives("math.fabs(x)", args![-3], 3.0);
    gives(
        "x * math.tau + math.pi - math.e",
        args![0.0],
        0.423_310_825_130_748,
    );
}

#[test]
fn names_are_what_the_binding_says() {
    let mut env = Env::standard();
    env.bind("K", iris_offload::Binding::Float(3.0));
    env.bind("root", iris_offload::Binding::MathFn("sqrt".to_owned()));
    env.bind("E", iris_offload::Binding::Int(-1));
    let call = |expr, x| call_in(&common::expression(expr, 1), &[x], &env);
    assert_eq!(call("x * K", Value::F64(2.0)), Ok(Value::F64(6.0)));
    assert_eq!(call("root(x)", Value::F64(9.0)), Ok(Value::F64(3.0)));
    assert_eq!(call("x ** E", Value::I64(4)), Ok(Value::F64(0.25)));
}

#[test]
fn statements_run_in_order_and_join() {
    let source = "
@iris.offload(strategy=\"jit\")
def f(x: float, y: float = 1.0) -> float:
    '''Doc.'''
    a = b = x
    a += y
    c: float = a * b
    if c > 10:
        c = 10.0
        d = 1.0
    elif c < 0:
        return 0.0
    else:
        d = 2.0
        pass
    return c + d
";
    let f = |x, y| call_in(source, &[Value::F64(x), Value::F64(y)], &Env::standard());
    assert_eq!(f(3.0, 1.0), Ok(Value::F64(11.0)));
    assert_eq!(f(1.0, 1.0), Ok(Value::F64(4.0)));
    assert_eq!(f(-0.5, 1.0), Ok(Value::F64(0.0)));
    let indented = "    @deco\n    def f(x):\n        return x + 1\n";
    assert_eq!(
        call_in(indented, &[Value::I64(1)], &Env::new()),
        Ok(Value::I64(2))
    );
}

#[test]
fn operators_bind_as_in_python() {
    gives("not x == y", args![1, 2], true);
    gives("x and not y or z", args![true, true, true], true);
    gives("~-x", args![1], 0);
    gives("-x // 2", args![3], -2);
    gives("x | y ^ z & 12 << 1", args![1, 2, 24], 27);
    gives("x - y - z", args![1, 2, 3], -4);
    gives("x if y else z if x else 7", args![1, 0, 3], 3);
    gives("2 ** x ** 0", args![3], 2);
    gives("x + y if z else -x", args![1, 2, false], -1);
    gives("1 + (x < y) * 2", args![1, 2], 3);
}

#[test]
fn literals_read_as_in_python() {
    for (literal, expected) in [("0x_ff", 255), ("0o17", 15), ("0b101", 5), ("1_000", 1000)] {
        gives(literal, &[], expected);
    }
    for (literal, expected) in [("1_0.5", 10.5), (".5", 0.5), ("5.", 5.0), ("1e-1_0", 1e-10)] {
        gives(literal, &[], expected);
    }
    gives("0.1 + 0.2", &[], 0.300_000_000_000_000_04);
    gives("9223372036854775807", &[], i64::MAX);
    gives("-0.0", &[], -0.0);
}

#[test]
fn a_function_may_have_no_parameters() {
    assert_eq!(eval("6 * 7", &[]), Ok(Value::I64(42)));
    assert_eq!(eval("True", &[]), Ok(Value::Bool(true)));
    assert_eq!(eval("1e400", &[]), Ok(Value::F64(INF)));
}

#[test]
fn whole_numbers_and_parts_of_floats() {
    gives(
        "math.comb(x, y)",
        args![66_i64, 33_i64],
        7_219_428_434_016_265_740_i64,
    );
    bails("math.comb(x, y)", args![68_i64, 34_i64], Overflow);
    bails("math.comb(x, y)", args![-1_i64, 2_i64], Overflow);
    gives("math.gcd(x, y, 6)", args![12_i64, -18_i64], 6_i64);
    gives("math.lcm(x, y)", args![4_i64, 6_i64], 12_i64);
    bails("math.isqrt(x)", args![-1_i64], Domain);
    gives("math.factorial(x)", args![true], 1_i64);
    gives("math.frexp(x)[1]", args![5e-324], -1073_i64);
    gives("math.modf(x)[0]", args![-INF], -0.0);
    bails("math.ldexp(x, y)", args![1.5, 5000_i64], Range);
    gives("math.ldexp(x, y)", args![1.5, i64::MIN], 0.0);
    gives("math.remainder(x, y)", args![5.0, 2.0], 1.0);
    gives("math.nextafter(x, y)", args![0.0, -1.0], -5e-324);
    bails("math.hypot(x, y)", args![3.0, NAN], NanResult);
    gives("math.hypot(x, y)", args![INF, NAN], INF);
    bails("math.gamma(x)", args![-3.0], Domain);
    bails("math.gamma(x)", args![172.0], Range);
    gives("math.isclose(x, y)", args![1.0, 1.0 + 1e-10], true);
    gives("math.prod((x, y, 2))", args![3_i64, 4_i64], 24_i64);
}

#[test]
fn rounding_to_digits_is_exact() {
    gives("round(x, 2)", args![2.675], 2.67);
    gives("round(x, 2)", args![0.125], 0.12);
    gives(
        "round(x, 2)",
        args![70_368_744_177_664.0 + 0.125],
        70_368_744_177_664.12,
    );
    gives("round(x, -2)", args![250.0], 200.0);
    gives("round(x, 0)", args![-0.4], -0.0);
    gives("round(x, y)", args![25_i64, -1_i64], 20_i64);
    bails("round(x, -1)", args![i64::MAX], Overflow);
    bails("round(x, -23)", args![1e30], Range);
}

#[test]
fn membership_and_identity() {
    gives("x in (1, 2.5, True)", args![2.5], true);
    gives("x not in [1, 2]", args![3_i64], true);
    bails("x in (x, 1.0)", args![NAN], GuardKind::Type);
    gives("x in range(9, -9, -4)", args![-3_i64], true);
    gives("x in range(5)", args![2.5], false);
    gives("x is True", args![1_i64], false);
    gives("x is not None", args![1_i64], true);
    gives("(3, 5, 7)[x]", args![-1_i64], 7_i64);
    bails("(3, 5, 7)[x]", args![3_i64], GuardKind::Index);
    gives("max((), default=x)", args![2_i64], 2_i64);
    gives("len(range(x, 0, -3))", args![10_i64], 4_i64);
}
