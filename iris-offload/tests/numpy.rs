//! Numbers of `NumPy`'s: what their types are, and what is refused. What they are worth is compared
//! with `NumPy` itself by the tests of `iris-py`.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod common;

use common::{compile_in, expression, numpy_array, refusal};
use expect_test::{Expect, expect};
use iris_offload::lower::lower;
use iris_offload::{Elem, Env, Program, Shape, Signature, Type};

const FLOATS: (Elem, u8) = (Elem::F64, 1);
const INTS: (Elem, u8) = (Elem::I64, 1);
const BOOLS: (Elem, u8) = (Elem::Bool, 1);

/// What an expression of an array `x` and an int `y` may give.
fn results(expr: &str, (elem, ndim): (Elem, u8)) -> Vec<Shape> {
    let types = [numpy_array(elem, ndim), Type::I64];
    let made = compile_in(&expression(expr, 2), &types, &Env::standard());
    let (native, _) = made.unwrap_or_else(|refusal| panic!("{expr}: {refusal}"));
    native.prototype().returns.clone()
}

fn gives(expr: &str, array: (Elem, u8), result: Shape) {
    assert_eq!(results(expr, array), [result], "{expr}");
}

fn refused(expr: &str, (elem, ndim): (Elem, u8), reason: &str) {
    let types = [numpy_array(elem, ndim), Type::I64];
    assert_eq!(refusal(expr, &types), reason, "{expr}");
}

#[test]
fn what_is_computed_with_an_element_is_numpys() {
    let (float, int, bool) = (Type::F64, Type::I64, Type::Bool);
    for expr in [
        "x[y]",
        "x[0] + 1",
        "2.0 * x[0]",
        "-x[0]",
        "abs(x[0])",
        "x[0] ** 2",
    ] {
        gives(expr, FLOATS, Shape::Numpy(float));
    }
    gives("x[y] // 2 % y", INTS, Shape::Numpy(int));
    gives("x[y] / 2", INTS, Shape::Numpy(float));
    gives("x[y] + True", INTS, Shape::Numpy(int));
    gives("x[y] < 1", FLOATS, Shape::Numpy(bool));
    gives("0 < x[y] < x[0]", FLOATS, Shape::Numpy(bool));
    gives("x[0] & x[1]", BOOLS, Shape::Numpy(bool));
    gives("x[0] & 3", BOOLS, Shape::Numpy(int));
    gives("sum(x)", FLOATS, Shape::Numpy(float));
    gives("sum(v > 0 for v in x)", FLOATS, Shape::Numpy(int));
    gives("max(x)", INTS, Shape::Numpy(int));
    gives("x[0, y]", (Elem::F64, 2), Shape::Numpy(float));
}

#[test]
fn what_asks_for_pythons_number_gets_it() {
    for expr in ["float(x[0])", "math.sqrt(x[0])", "sum(float(v) for v in x)"] {
        gives(expr, FLOATS, Shape::Scalar(Type::F64));
    }
    for expr in ["int(x[0])", "round(x[0])", "len(x)", "math.floor(x[0])"] {
        gives(expr, FLOATS, Shape::Scalar(Type::I64));
    }
    for expr in ["not x[0]", "bool(x[0])", "any(x)", "math.isnan(x[0])"] {
        gives(expr, FLOATS, Shape::Scalar(Type::Bool));
    }
}

#[test]
fn what_is_not_known_to_be_equal_is_refused() {
    for elem in [Elem::F32, Elem::I32, Elem::U8, Elem::U64] {
        refused(
            "x[0]",
            (elem, 1),
            &format!("an element of a NumPy array of {elem}"),
        );
    }
    refused("x[x[0]]", BOOLS, "an index of type bool");
    refused("x[0] + x[1]", BOOLS, "numpy.bool + numpy.bool");
    refused("x[0] << True", BOOLS, "numpy.bool << bool");
    refused("-x[0]", BOOLS, "- of numpy.bool");
    refused("round(x[0])", BOOLS, "round of numpy.bool");
    refused("x[0] ** 0.5", INTS, "numpy.int64 ** float");
    refused("math.trunc(x[0])", INTS, "math.trunc of numpy.int64");
    refused("max(x[0], 0.0)", FLOATS, "min or max of different types");
    refused(
        "0 < y < x[0]",
        FLOATS,
        "comparisons of Python's and NumPy's numbers",
    );
    refused(
        "sum(x, True)",
        INTS,
        "a sum of NumPy's numbers that starts with a bool",
    );
    refused("sum(v for v in x)", (Elem::F64, 2), "a loop over rows");
    let types = [numpy_array(Elem::F64, 1), Type::I64];
    assert_eq!(
        refusal("(x[0] if y else 0.0) * 2", &types),
        "the value is numpy.float64 or float by the run of the program"
    );
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect!` makes a value")]
fn check(expr: &str, expected: Expect) {
    let program = Program::parse(&expression(expr, 1), "f", 1).unwrap();
    let signature = Signature::new([numpy_array(Elem::F64, 1)]);
    let function = lower(program.hir(), &signature, &Env::standard()).unwrap();
    expected.assert_eq(&function.to_string());
}

#[test]
fn a_chain_of_sums_and_products_is_looked_at_once() {
    check(
        "1.0 / ((x[0] * x[0] - 1.0) / 2)",
        expect![[r#"
            fn f([mut f64; 1d numpy]) -> numpy f64
            b0(v0: [mut f64; 1d numpy]):
                v1: f64 = const 1.0
                v2: i64 = const 0
                v3: i64 = index v0.0, v2 else g0
                v4: f64 = load v0[v3] else g1
                v5: i64 = const 0
                v6: i64 = index v0.0, v5 else g2
                v7: f64 = load v0[v6] else g3
                v8: f64 = float.mul v4, v7
                v9: f64 = const 1.0
                v10: f64 = float.sub v8, v9
                v11: i64 = const 2
                v12: f64 = const 2.0
                v13: f64 = float.div v10, v12
                v14: bool = float.is_finite v13
                guard v14 else g4
                v15: f64 = const 0.0
                v16: bool = ne v13, v15
                guard v16 else g5
                v17: f64 = float.div v1, v13
                v18: bool = float.is_finite v17
                guard v18 else g6
                v19: bool = eq v17, v17
                guard v19 else g7
                return v17
            g0: index out of range at 2:22
            g1: integer overflow at 2:20
            g2: index out of range at 2:29
            g3: integer overflow at 2:27
            g4: NumPy's number that is not finite at 2:19
            g5: zero division at 2:12
            g6: NumPy's number that is not finite at 2:12
            g7: NaN as the result at 2:12
        "#]],
    );
}
