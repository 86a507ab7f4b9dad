//! The IR of small functions.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod common;

use expect_test::{Expect, expect};
use iris_offload::lower::lower;
use iris_offload::{Env, Program, Signature, Type};

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect!` makes a value")]
fn check(expr: &str, types: &[Type], expected: Expect) {
    let program = Program::parse(&common::expression(expr, types.len()), "f", 1).unwrap();
    let function = lower(program.hir(), &Signature::new(types), &Env::standard()).unwrap();
    expected.assert_eq(&function.to_string());
}

#[test]
fn an_int_sum_is_guarded() {
    check(
        "x + y",
        &[Type::I64, Type::I64],
        expect![[r"
        fn f(i64, i64) -> i64
        b0(v0: i64, v1: i64):
            v2: i64 = int.add v0, v1 else g0
            return v2
        g0: integer overflow at 2:12
    "]],
    );
}

#[test]
fn a_mixed_comparison_is_exact() {
    check(
        "x < y",
        &[Type::I64, Type::F64],
        expect![[r"
        fn f(i64, f64) -> bool
        b0(v0: i64, v1: f64):
            v2: bool = int.fits_float v0
            guard v2 else g0
            v3: f64 = int.to_float v0
            v4: bool = lt v3, v1
            return v4
        g0: integer above 2**53 at 2:16
    "]],
    );
}

#[test]
fn the_second_operand_of_or_stands_behind_a_branch() {
    check(
        "x or 1 / x",
        &[Type::F64],
        expect![[r#"
            fn f(f64) -> f64
            b0(v0: f64):
                v1: f64 = const 0.0
                v2: bool = ne v0, v1
                branch v2, b1, b2
            b1:
                jump b3(v0)
            b2:
                v3: i64 = const 1
                v4: f64 = const 1.0
                v5: f64 = const 0.0
                v6: bool = ne v0, v5
                guard v6 else g0
                v7: f64 = float.div v4, v0
                jump b3(v7)
            b3(v8: f64):
                v9: bool = eq v8, v8
                guard v9 else g1
                return v8
            g0: zero division at 2:17
            g1: NaN as the result at 2:12
        "#]],
    );
}

#[test]
fn a_libm_call_is_followed_by_its_guards() {
    check(
        "math.log(x)",
        &[Type::I64],
        expect![[r#"
            fn f(i64) -> f64
            b0(v0: i64):
                v1: f64 = int.to_float v0
                v2: f64 = log v1
                v3: bool = float.is_nan v2
                v4: bool = eq v1, v1
                v5: bool = bool.and v3, v4
                v6: bool = bool.not v5
                guard v6 else g0
                v7: bool = float.is_inf v2
                v8: bool = float.is_finite v1
                v9: bool = bool.and v7, v8
                v10: bool = bool.not v9
                guard v10 else g1
                v11: bool = eq v2, v2
                guard v11 else g2
                return v2
            g0: domain error at 2:12
            g1: float range error at 2:12
            g2: NaN as the result at 2:12
        "#]],
    );
}

#[test]
fn a_constant_divisor_needs_no_zero_guard() {
    check(
        "x % 7",
        &[Type::I64],
        expect![[r"
        fn f(i64) -> i64
        b0(v0: i64):
            v1: i64 = const 7
            v2: i64 = int.mod v0, v1 else g0
            return v2
        g0: integer overflow at 2:12
    "]],
    );
}
