//! Maps in blocks give the interpreter's and Cranelift's answers, in every bit.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::manual_is_multiple_of,
    reason = "numbers of tests are made to fit"
)]

mod maps;

use iris_jit::ir::{
    BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, FunctionBuilder, GuardKind, Math1,
    Math2, UnaryOp, Val,
};
use iris_jit::{Arg, ArrayRef, Bailout, Compiler, Elem, Interpreter, NativeCompiler, Type, Value};
use maps::{AT, FLOATS, Given, LENGTHS, agree, any, array, elem_of, elements, map_of, next, pick};
use proptest::prelude::*;

/// One operation on arrays, and on an array and a scalar, at lengths of all kinds.
fn operation(params: &[Type], result: Type, body: impl Fn(&mut FunctionBuilder, &[Val]) -> Val) {
    let mut state = 0x1234_5678_9abc_def1;
    let out = elem_of(result);
    for scalars in 0..1_u32 << params.len() {
        let types: Vec<Type> = params
            .iter()
            .enumerate()
            .map(|(index, &ty)| match scalars >> index & 1 {
                0 => array(elem_of(ty), true, false),
                _ => ty,
            })
            .collect();
        let function = map_of(&types, out, |b, args| body(b, args));
        for len in [0, 1, 9, 512, 515] {
            let given: Vec<Given> = types
                .iter()
                .map(|ty| match ty.array() {
                    Some(of) => {
                        let ty = iris_jit::ir::element_type(of.elem);
                        elements(of.elem, len, 1, || any(&mut state, ty))
                    }
                    None => Given::Scalar(any(&mut state, *ty)),
                })
                .collect();
            assert!(agree(&function, &given, out, len), "{function}");
        }
    }
}

#[test]
fn every_operation_agrees() {
    for &op in UnaryOp::ALL {
        let (from, to) = op.types();
        operation(&[from], to, |b, args| b.unary(op, args[0]));
    }
    for &op in CheckedUnaryOp::ALL {
        operation(&[op.operand()], Type::I64, |b, args| {
            b.checked_unary(op, args[0], GuardKind::Conversion, AT)
        });
    }
    for &op in Math1::ALL {
        operation(&[Type::F64], Type::F64, |b, args| b.math1(op, args[0]));
    }
    for &op in BinaryOp::ALL {
        operation(&[op.ty(); 2], op.ty(), |b, args| {
            b.binary(op, args[0], args[1])
        });
    }
    for &op in CheckedBinaryOp::ALL {
        operation(&[Type::I64; 2], Type::I64, |b, args| {
            b.checked_binary(op, args[0], args[1], GuardKind::Overflow, AT)
        });
    }
    for &op in Math2::ALL {
        operation(&[Type::F64; 2], Type::F64, |b, args| {
            b.math2(op, args[0], args[1])
        });
    }
    for &op in Comparison::ALL {
        for ty in [Type::I64, Type::F64] {
            operation(&[ty; 2], Type::Bool, |b, args| {
                b.compare(op, args[0], args[1])
            });
        }
    }
    for ty in [Type::I64, Type::F64, Type::Bool] {
        operation(&[Type::Bool, ty, ty], ty, |b, args| {
            b.select(args[0], args[1], args[2])
        });
    }
}

/// A product and a sum in one kernel, in each order of operands, rounds twice.
#[test]
fn products_and_sums_round_twice() {
    for op in [BinaryOp::FloatAdd, BinaryOp::FloatSub] {
        for first in [true, false] {
            operation(&[Type::F64; 3], Type::F64, |b, args| {
                let product = b.binary(BinaryOp::FloatMul, args[0], args[1]);
                if first {
                    b.binary(op, product, args[2])
                } else {
                    b.binary(op, args[2], product)
                }
            });
        }
    }
}

#[test]
fn polynomials_agree() {
    for degree in 1..12 {
        for sub in [false, true] {
            operation(&[Type::F64; 2], Type::F64, |b, args| {
                let mut sum = args[1];
                for at in 0..degree {
                    let c = b.constant(Value::F64(0.3 + f64::from(at) / 7.0));
                    let product = if at % 2 == 0 {
                        b.binary(BinaryOp::FloatMul, sum, args[0])
                    } else {
                        b.binary(BinaryOp::FloatMul, args[0], sum)
                    };
                    sum = match (sub, at % 3) {
                        (true, _) => b.binary(BinaryOp::FloatSub, product, c),
                        (_, 0) => b.binary(BinaryOp::FloatAdd, c, product),
                        _ => b.binary(BinaryOp::FloatAdd, product, c),
                    };
                }
                sum
            });
        }
    }
}

/// A square that is used again is not lost in a polynomial.
#[test]
fn a_polynomial_with_a_shared_part_agrees() {
    operation(&[Type::F64], Type::F64, |b, args| {
        let c = b.constant(Value::F64(0.7));
        let square = b.binary(BinaryOp::FloatMul, args[0], args[0]);
        let first = b.binary(BinaryOp::FloatAdd, square, c);
        let again = b.binary(BinaryOp::FloatMul, first, args[0]);
        let second = b.binary(BinaryOp::FloatSub, again, c);
        let third = b.binary(BinaryOp::FloatMul, second, first);
        b.binary(BinaryOp::FloatAdd, third, square)
    });
}

#[test]
fn every_element_type_and_distance_agrees() {
    let mut state = 77;
    for elem in Elem::ALL {
        let ty = iris_jit::ir::element_type(elem);
        for step in [1, 2, 3, -1, -2] {
            let param = array(elem, step == 1, false);
            let function = map_of(&[param], elem_of(ty), |b, args| match ty {
                Type::F64 => b.binary(BinaryOp::FloatAdd, args[0], args[0]),
                Type::Bool => b.unary(UnaryOp::BoolNot, args[0]),
                _ => {
                    let kind = GuardKind::Overflow;
                    b.checked_binary(CheckedBinaryOp::IntAdd, args[0], args[0], kind, AT)
                }
            });
            for len in LENGTHS {
                let small = || match any(&mut state, ty) {
                    Value::I64(value) if next(&mut state.clone()) % 5000 != 0 => {
                        Value::I64(value % 50)
                    }
                    value => value,
                };
                let given = [elements(elem, len, step, small)];
                assert!(agree(&function, &given, elem_of(ty), len), "{function}");
            }
        }
    }
}

/// An element that does not fit ends the call even if nobody uses it.
#[test]
fn elements_that_are_not_used_are_looked_at() {
    let params = [array(Elem::F64, true, false), array(Elem::U64, true, false)];
    let function = map_of(&params, Elem::F64, |_, args| args[0]);
    for bad in [0, -1] {
        let given = [
            elements(Elem::F64, 20, 1, || Value::F64(1.0)),
            elements(Elem::U64, 20, 1, || Value::I64(bad)),
        ];
        assert!(agree(&function, &given, Elem::F64, 20));
    }
}

/// The first element that fails decides, and the first guard that it fails in.
#[test]
fn the_first_failing_guard_is_the_one_that_is_told() {
    let function = map_of(&[array(Elem::F64, true, false)], Elem::F64, |b, args| {
        let (zero, ten) = (b.constant(Value::F64(0.0)), b.constant(Value::F64(10.0)));
        let small = b.compare(Comparison::Lt, args[0], ten);
        b.guard(small, GuardKind::Range, AT);
        let positive = b.compare(Comparison::Gt, args[0], zero);
        b.guard(positive, GuardKind::Domain, AT);
        b.unary(UnaryOp::FloatSqrt, args[0])
    });
    for len in [1, 20, 600, 2000] {
        for (first, second) in [(-1.0, 11.0), (11.0, -1.0), (f64::NAN, 1.0), (1.0, 1.0)] {
            for at in [0, len / 2, len - 1] {
                let mut index = 0;
                let value = || {
                    index += 1;
                    Value::F64(match index - 1 {
                        i if i == at => first,
                        i if i == at + 1 => second,
                        _ => 2.0,
                    })
                };
                let given = [elements(Elem::F64, len, 1, value)];
                assert!(agree(&function, &given, Elem::F64, len));
            }
        }
    }
}

/// What a guard protects on one side of a branch does not end the call on the other.
#[test]
fn guards_on_a_side_hold_there_only() {
    let function = map_of(&[array(Elem::F64, true, false)], Elem::F64, |b, args| {
        let zero = b.constant(Value::F64(0.0));
        let positive = b.compare(Comparison::Gt, args[0], zero);
        let (then, join) = (b.create_block(&[]), b.create_block(&[Type::F64]));
        b.branch(positive, (then, &[]), (join, &[args[0]]));
        b.switch_to(then);
        let log = b.math1(Math1::Log, args[0]);
        let finite = b.unary(UnaryOp::FloatIsFinite, log);
        b.guard(finite, GuardKind::Range, AT);
        let large = b.constant(Value::F64(3.0));
        let big = b.compare(Comparison::Gt, log, large);
        let (stop, more) = (b.create_block(&[]), b.create_block(&[]));
        b.branch(big, (stop, &[]), (more, &[]));
        b.switch_to(stop);
        b.bail(GuardKind::Raise, AT);
        b.switch_to(more);
        b.jump(join, &[log]);
        b.switch_to(join);
        b.block_params(join)[0]
    });
    let mut ran = 0;
    for len in [1, 100, 700] {
        for special in [
            -1.0,
            0.0,
            f64::NEG_INFINITY,
            f64::INFINITY,
            f64::NAN,
            20.0,
            21.0,
        ] {
            let mut index = 0;
            let value = || {
                index += 1;
                Value::F64(if index == len {
                    special
                } else {
                    f64::from(index % 19) - 5.0
                })
            };
            let size = usize::try_from(len).unwrap();
            let given = [elements(Elem::F64, size, 1, value)];
            assert!(agree(&function, &given, Elem::F64, size));
            ran += 1;
        }
    }
    assert_eq!(ran, 21);
}

/// A map whose results lie where it reads is not computed in blocks.
#[test]
fn results_over_the_arguments_come_one_after_the_other() {
    let function = map_of(&[array(Elem::F64, true, false)], Elem::F64, |b, args| {
        let one = b.constant(Value::F64(1.0));
        b.binary(BinaryOp::FloatAdd, args[0], one)
    });
    let len = 1000;
    for shift in [0, 1, 3, 999] {
        let run = |compiler: &dyn Compiler| {
            let mut memory: Vec<f64> = (0..2000).map(f64::from).collect();
            let (ty, data) = (function.params[0].array().unwrap(), memory.as_mut_ptr());
            let out = function.params[1].array().unwrap();
            let to = data.wrapping_add(shift);
            // SAFETY: both lie within the memory, which nobody else uses.
            let args = unsafe {
                [
                    Arg::Array(ArrayRef::from_parts(ty, data.cast(), [len, 1], [8, 0])),
                    Arg::Array(ArrayRef::from_parts(out, to.cast(), [len, 1], [8, 0])),
                ]
            };
            compiler
                .compile(&function)
                .unwrap()
                .call_with(&args)
                .unwrap();
            memory
        };
        let expected = run(&Interpreter);
        for compiler in NativeCompiler::of_each_level().unwrap() {
            assert_eq!(run(&compiler), expected);
        }
    }
}

/// Arrays of different lengths, and arrays at odd addresses.
#[test]
fn lengths_and_addresses_do_not_matter() {
    let params = [array(Elem::F64, true, false); 2];
    let function = map_of(&params, Elem::F64, |b, args| {
        b.binary(BinaryOp::FloatMul, args[0], args[1])
    });
    for compiler in NativeCompiler::of_each_level().unwrap() {
        let compiled = compiler.compile(&function).unwrap();
        let mut bytes = vec![0_u8; 8 * 1100];
        let data = bytes.as_mut_ptr();
        let [a, b, out] = [0, 1, 2].map(|at| function.params[at].array().unwrap());
        let call = |lens: [usize; 3]| {
            // SAFETY: three parts of the memory, each of at most 300 elements and at an address
            // of its own kind.
            let args = unsafe {
                [(a, 1, lens[0]), (b, 3002, lens[1]), (out, 6003, lens[2])].map(|(ty, at, len)| {
                    Arg::Array(ArrayRef::from_parts(ty, data.add(at), [len, 1], [8, 0]))
                })
            };
            compiled.call_with(&args).map(|_| ())
        };
        assert_eq!(call([300, 300, 300]), Ok(()));
        let differ = Err(Bailout::Guard {
            guard: GuardKind::Index,
            span: AT,
        });
        assert_eq!(call([299, 300, 300]), differ);
        assert_eq!(call([300, 300, 299]), differ);
    }
}

/// A value of this type, if there is one.
fn of(state: &mut u64, values: &[(Val, Type)], ty: Type) -> Option<Val> {
    let fits: Vec<Val> = values
        .iter()
        .filter(|(_, of)| *of == ty)
        .map(|(v, _)| *v)
        .collect();
    (!fits.is_empty()).then(|| {
        // Rather a late one, so that values depend on each other.
        let late = fits.len() - 1 - (next(state) % fits.len().min(4) as u64) as usize;
        if next(state) % 3 == 0 {
            pick(state, &fits)
        } else {
            fits[late]
        }
    })
}

/// Random bodies: operations on what there is, branches, guards now and then.
#[expect(clippy::too_many_lines, reason = "a list of what there is")]
fn random_body(b: &mut FunctionBuilder, args: &[Val], types: &[Type], seed: u64) -> Val {
    let mut state = seed | 1;
    let mut values: Vec<(Val, Type)> = args
        .iter()
        .zip(types)
        .map(|(&value, ty)| {
            (
                value,
                ty.array()
                    .map_or(*ty, |of| iris_jit::ir::element_type(of.elem)),
            )
        })
        .collect();
    for _ in 0..3 {
        let c = pick(&mut state, &FLOATS[..11]);
        values.push((b.constant(Value::F64(c)), Type::F64));
    }
    for _ in 0..14 {
        let f = of(&mut state, &values, Type::F64).unwrap();
        let g = of(&mut state, &values, Type::F64).unwrap();
        match next(&mut state) % 12 {
            0..=4 => {
                let ops = [
                    BinaryOp::FloatAdd,
                    BinaryOp::FloatSub,
                    BinaryOp::FloatMul,
                    BinaryOp::FloatDiv,
                ];
                let op = pick(&mut state, &ops);
                values.push((b.binary(op, f, g), Type::F64));
            }
            5 => {
                let ops = [
                    Math1::Exp,
                    Math1::Log,
                    Math1::Erfc,
                    Math1::Sin,
                    Math1::Cos,
                    Math1::Tanh,
                ];
                let op = pick(&mut state, &ops);
                values.push((b.math1(op, f), Type::F64));
            }
            6 => {
                let ops = [
                    UnaryOp::FloatNeg,
                    UnaryOp::FloatAbs,
                    UnaryOp::FloatSqrt,
                    UnaryOp::FloatFloor,
                    UnaryOp::FloatIsNan,
                    UnaryOp::FloatIsFinite,
                ];
                let op = pick(&mut state, &ops);
                values.push((b.unary(op, f), op.types().1));
            }
            7 => {
                let op = pick(&mut state, Comparison::ALL);
                values.push((b.compare(op, f, g), Type::Bool));
            }
            8 => {
                if let Some(cond) = of(&mut state, &values, Type::Bool) {
                    values.push((b.select(cond, f, g), Type::F64));
                }
            }
            9 => {
                if let Some(cond) = of(&mut state, &values, Type::Bool) {
                    let (then, other) = (b.create_block(&[]), b.create_block(&[]));
                    let join = b.create_block(&[Type::F64]);
                    b.branch(cond, (then, &[]), (other, &[]));
                    b.switch_to(then);
                    let product = b.binary(BinaryOp::FloatMul, f, g);
                    if next(&mut state) % 4 == 0 {
                        let number = b.compare(Comparison::Eq, product, product);
                        b.guard(number, GuardKind::NanResult, AT);
                    }
                    b.jump(join, &[product]);
                    b.switch_to(other);
                    if next(&mut state) % 16 == 0 {
                        b.bail(GuardKind::Raise, AT);
                    } else {
                        let sum = b.binary(BinaryOp::FloatAdd, f, g);
                        b.jump(join, &[sum]);
                    }
                    b.switch_to(join);
                    values.push((b.block_params(join)[0], Type::F64));
                }
            }
            10 => {
                if let Some(i) = of(&mut state, &values, Type::I64) {
                    let j = of(&mut state, &values, Type::I64).unwrap();
                    let kind = GuardKind::Overflow;
                    let op = pick(&mut state, CheckedBinaryOp::ALL);
                    values.push((b.checked_binary(op, i, j, kind, AT), Type::I64));
                    values.push((b.unary(UnaryOp::IntToFloat, i), Type::F64));
                }
            }
            _ if next(&mut state) % 6 == 0 => {
                let number = b.compare(Comparison::Eq, f, f);
                b.guard(number, GuardKind::NanResult, AT);
            }
            _ => {}
        }
    }
    values
        .iter()
        .rev()
        .find(|(_, ty)| *ty == Type::F64)
        .unwrap()
        .0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_maps_agree(seed in prop::num::u64::ANY, calls in prop::collection::vec(any_call(), 3)) {
        let types = [
            array(Elem::F64, true, false),
            array(Elem::F32, false, false),
            Type::F64,
            array(Elem::I16, true, false),
            Type::Bool,
        ];
        let function = map_of(&types, Elem::F64, |b, args| random_body(b, args, &types, seed));
        for (seed, len) in calls {
            let mut state = seed | 1;
            // Half of the calls have tame numbers, so that they get to the end.
            let tame = next(&mut state) % 2 == 0;
            let mut number = |ty: Type| match ty {
                Type::F64 if tame => Value::F64((next(&mut state) % 1000) as f64 / 250.0 + 0.1),
                Type::I64 if tame => Value::I64((next(&mut state) % 30) as i64 + 1),
                Type::I64 => Value::I64((next(&mut state) % 60) as i64 - 30),
                ty => any(&mut state, ty),
            };
            let given = [
                elements(Elem::F64, len, 1, || number(Type::F64)),
                elements(Elem::F32, len, 2, || number(Type::F64)),
                Given::Scalar(number(Type::F64)),
                elements(Elem::I16, len, 1, || number(Type::I64)),
                Given::Scalar(number(Type::Bool)),
            ];
            agree(&function, &given, Elem::F64, len);
        }
    }
}

fn any_call() -> impl Strategy<Value = (u64, usize)> {
    (
        prop::num::u64::ANY,
        prop::sample::select(&[0, 1, 8, 13, 512, 700][..]),
    )
}
