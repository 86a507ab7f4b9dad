//! Cranelift gives the interpreter's answers.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use iris_jit::ir::Place;
use iris_jit::ir::{
    BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, Function, FunctionBuilder, GuardKind,
    Math1, Math2, Span, UnaryOp, Val,
};
use iris_jit::{
    Arg, ArrayRef, ArrayType, Bailout, Compiler, CraneliftCompiler, Elem, Interpreter, Shape, Type,
    Value,
};
use proptest::prelude::*;

const INTS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    3,
    -7,
    62,
    63,
    64,
    1 << 53,
    (1 << 53) + 1,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

const FLOATS: [f64; 20] = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.0,
    -1.0,
    1.5,
    2.5,
    -7.0,
    3.0,
    1e308,
    5e-324,
    9_007_199_254_740_993.0,
    9_223_372_036_854_775_808.0,
    -9_223_372_036_854_775_808.0,
    9_223_372_036_854_774_784.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    710.0,
];

fn same(a: &Result<Value, Bailout>, b: &Result<Value, Bailout>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a.same(*b),
        (a, b) => a == b,
    }
}

fn agree(function: &Function, calls: &[Vec<Value>]) {
    let native = CraneliftCompiler::new().unwrap().compile(function).unwrap();
    let oracle = Interpreter.compile(function).unwrap();
    for args in calls {
        let (found, expected) = (native.call(args), oracle.call(args));
        assert!(
            same(&found, &expected),
            "{function}{args:?}: {found:?}, not {expected:?}"
        );
    }
}

fn pool(ty: Type) -> Vec<Value> {
    match ty {
        Type::I64 => INTS.into_iter().map(Value::I64).collect(),
        Type::F64 => FLOATS.into_iter().map(Value::F64).collect(),
        Type::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Type::Array(_) => Vec::new(),
    }
}

fn unary_function(ty: Type, ret: Type, op: impl Fn(&mut FunctionBuilder, Val) -> Val) {
    let mut b = FunctionBuilder::new("unary", &[ty], ret);
    let x = b.param(0);
    let y = op(&mut b, x);
    b.ret(y);
    let calls: Vec<_> = pool(ty).into_iter().map(|x| vec![x]).collect();
    agree(&b.finish().unwrap(), &calls);
}

fn binary_function(ty: Type, ret: Type, op: impl Fn(&mut FunctionBuilder, Val, Val) -> Val) {
    let mut b = FunctionBuilder::new("binary", &[ty, ty], ret);
    let (x, y) = (b.param(0), b.param(1));
    let z = op(&mut b, x, y);
    b.ret(z);
    let pairs = pool(ty)
        .into_iter()
        .flat_map(|x| pool(ty).into_iter().map(move |y| vec![x, y]));
    agree(&b.finish().unwrap(), &pairs.collect::<Vec<_>>());
}

const AT: Span = Span { line: 1, column: 1 };

#[test]
fn every_operation_agrees_at_the_edges() {
    for &op in UnaryOp::ALL {
        let (from, to) = op.types();
        unary_function(from, to, |b, x| b.unary(op, x));
    }
    for &op in CheckedUnaryOp::ALL {
        let kind = GuardKind::Conversion;
        unary_function(op.operand(), Type::I64, |b, x| {
            b.checked_unary(op, x, kind, AT)
        });
    }
    for &op in Math1::ALL {
        unary_function(Type::F64, Type::F64, |b, x| b.math1(op, x));
    }
    for &op in BinaryOp::ALL {
        binary_function(op.ty(), op.ty(), |b, x, y| b.binary(op, x, y));
    }
    for &op in CheckedBinaryOp::ALL {
        let kind = GuardKind::Overflow;
        binary_function(Type::I64, Type::I64, |b, x, y| {
            b.checked_binary(op, x, y, kind, AT)
        });
    }
    for &op in Math2::ALL {
        binary_function(Type::F64, Type::F64, |b, x, y| b.math2(op, x, y));
    }
    for &op in Comparison::ALL {
        for ty in [Type::I64, Type::F64] {
            binary_function(ty, Type::Bool, |b, x, y| b.compare(op, x, y));
        }
    }
}

#[test]
fn division_by_constants_rounds_down() {
    for &op in &[CheckedBinaryOp::IntFloorDiv, CheckedBinaryOp::IntMod] {
        for by in [
            1,
            2,
            3,
            7,
            10,
            1 << 31,
            1 << 62,
            -1,
            -2,
            -7,
            i64::MAX,
            i64::MIN,
            0,
        ] {
            unary_function(Type::I64, Type::I64, |b, x| {
                let by = b.constant(Value::I64(by));
                b.checked_binary(op, x, by, GuardKind::Overflow, AT)
            });
        }
    }
}

#[test]
fn the_untaken_arm_does_not_fire_its_guard() {
    let mut b = FunctionBuilder::new("f", &[Type::Bool, Type::I64], Type::I64);
    let (cond, x) = (b.param(0), b.param(1));
    let (then, join) = (b.create_block(&[]), b.create_block(&[Type::I64]));
    b.branch(cond, (then, &[]), (join, &[x]));
    b.switch_to(then);
    let ten = b.constant(Value::I64(10));
    let kind = GuardKind::ZeroDivision;
    let quotient = b.checked_binary(CheckedBinaryOp::IntFloorDiv, ten, x, kind, AT);
    b.jump(join, &[quotient]);
    b.switch_to(join);
    b.ret(b.block_params(join)[0]);
    let function = b.finish().unwrap();
    let native = CraneliftCompiler::new()
        .unwrap()
        .compile(&function)
        .unwrap();
    let call = |cond, x| native.call(&[Value::Bool(cond), Value::I64(x)]);
    assert_eq!(call(false, 0), Ok(Value::I64(0)));
    assert_eq!(call(true, 5), Ok(Value::I64(2)));
    assert_eq!(
        call(true, 0),
        Err(Bailout::Guard {
            guard: kind,
            span: AT
        })
    );
}

#[test]
fn what_one_arm_adds_or_multiplies_is_not_seen_from_the_other() {
    use BinaryOp::{FloatAdd, FloatMul, FloatSub};
    for (op, swapped, if_true) in [
        (FloatAdd, false, true),
        (FloatAdd, true, false),
        (FloatSub, false, true),
        (FloatSub, false, false),
        (FloatSub, true, true),
        (FloatMul, false, false),
        (FloatMul, true, true),
    ] {
        let params = [Type::Bool, Type::F64, Type::F64, Type::I64];
        let mut b = FunctionBuilder::new("f", &params, Type::F64);
        let [cond, total, x, n] = [0, 1, 2, 3].map(|index| b.param(index));
        let join = b.create_block(&[Type::F64, Type::I64]);
        let (arm, plain) = (b.create_block(&[]), b.create_block(&[]));
        let (then, otherwise) = if if_true { (arm, plain) } else { (plain, arm) };
        b.branch(cond, (then, &[]), (otherwise, &[]));
        b.switch_to(arm);
        let (left, right) = if swapped { (x, total) } else { (total, x) };
        let value = b.binary(op, left, right);
        let one = b.constant(Value::I64(1));
        let more = b.binary(BinaryOp::IntAddWrapping, n, one);
        b.jump(join, &[value, more]);
        b.switch_to(plain);
        b.jump(join, &[total, n]);
        b.switch_to(join);
        let [value, n] = [0, 1].map(|index| b.block_params(join)[index]);
        // Both: the count must not change, and the signs of zeros show in the quotient.
        let n = b.unary(UnaryOp::IntToFloat, n);
        let scaled = b.binary(FloatMul, value, n);
        b.ret(scaled);
        let function = b.finish().unwrap();
        let mut calls = Vec::new();
        for cond in [true, false] {
            for total in FLOATS {
                for x in FLOATS {
                    let floats = [Value::F64(total), Value::F64(x)];
                    calls.push(vec![Value::Bool(cond), floats[0], floats[1], Value::I64(7)]);
                }
            }
        }
        agree(&function, &calls);
    }
}

#[test]
fn a_loop_runs_in_both() {
    // sum of 0..n, the counter first: blocks are created in an order that is not theirs to run.
    let mut b = FunctionBuilder::new("sum", &[Type::I64], Type::I64);
    let n = b.param(0);
    let exit = b.create_block(&[]);
    let body = b.create_block(&[]);
    let head = b.create_block(&[Type::I64, Type::I64]);
    let zero = b.constant(Value::I64(0));
    b.jump(head, &[zero, zero]);
    b.switch_to(head);
    let (i, sum) = (b.block_params(head)[0], b.block_params(head)[1]);
    let more = b.compare(Comparison::Lt, i, n);
    b.branch(more, (body, &[]), (exit, &[]));
    b.switch_to(body);
    let one = b.constant(Value::I64(1));
    let next = b.checked_binary(CheckedBinaryOp::IntAdd, i, one, GuardKind::Overflow, AT);
    let total = b.checked_binary(CheckedBinaryOp::IntAdd, sum, i, GuardKind::Overflow, AT);
    b.jump(head, &[next, total]);
    b.switch_to(exit);
    b.ret(sum);
    let function = b.finish().unwrap();
    agree(&function, &[vec![Value::I64(1000)], vec![Value::I64(-3)]]);
}

/// `fn(array, i) -> element` and `fn(array, i, value) -> none` for a type of element.
fn load_and_store(elem: Elem) -> (Function, Function) {
    let array = Type::Array(ArrayType {
        elem,
        ndim: 1,
        contiguous: true,
        writable: true,
        numpy: false,
    });
    let ty = iris_jit::ir::element_type(elem);
    let mut b = FunctionBuilder::new("load", &[array, Type::I64], ty);
    let (memory, i) = (b.param(0), b.param(1));
    let i = b.index(memory, 0, i, AT);
    let value = b.load(memory, Place::At(i), AT);
    b.ret(value);
    let load = b.finish().unwrap();
    let mut b = FunctionBuilder::open("store", &[array, Type::I64, ty]);
    let (memory, i, value) = (b.param(0), b.param(1), b.param(2));
    let i = b.index(memory, 0, i, AT);
    b.store(memory, Place::At(i), value, AT);
    b.ret_shape(Shape::None, &[]);
    (load, b.finish().unwrap())
}

fn elements_agree<T: Copy + std::fmt::Debug>(elem: Elem, zero: T, edges: &[T])
where
    for<'a> ArrayRef<'a>: From<&'a mut [T]>,
{
    let (load, store) = load_and_store(elem);
    let compile = |function| {
        let native = CraneliftCompiler::new().unwrap().compile(function).unwrap();
        [native, Interpreter.compile(function).unwrap()]
    };
    let mut memory = edges.to_vec();
    let len = i64::try_from(memory.len()).unwrap();
    let [native, oracle] = compile(&load);
    for i in -len - 1..=len {
        let mut call = |f: &iris_jit::Compiled| {
            let array = Arg::Array(ArrayRef::from(&mut memory[..]));
            f.call_with(&[array, Arg::Scalar(Value::I64(i))])
        };
        let (found, expected) = (call(&native), call(&oracle));
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{elem} {i}");
        let outside = i >= len || i < -len;
        assert!(found.is_err() == outside || elem == Elem::U64, "{elem} {i}");
    }
    let stores = compile(&store);
    for value in pool(iris_jit::ir::element_type(elem)) {
        let outcomes = stores.each_ref().map(|f| {
            let mut memory = [zero; 3];
            let array = Arg::Array(ArrayRef::from(&mut memory[..]));
            let done = f.call_with(&[array, Arg::Scalar(Value::I64(-2)), Arg::Scalar(value)]);
            format!("{done:?} {memory:?}")
        });
        assert_eq!(outcomes[0], outcomes[1], "{elem} {value:?}");
    }
}

#[test]
fn every_kind_of_element_is_read_and_written() {
    elements_agree(
        Elem::F64,
        0.0,
        &[1.5, -0.0, f64::NAN, f64::INFINITY, 5e-324],
    );
    elements_agree(Elem::F32, 0.0, &[1.5_f32, -0.0, f32::NAN, f32::MAX, 1e-45]);
    elements_agree(Elem::I8, 0, &[i8::MIN, -1, i8::MAX]);
    elements_agree(Elem::I16, 0, &[i16::MIN, -1, i16::MAX]);
    elements_agree(Elem::I32, 0, &[i32::MIN, -1, i32::MAX]);
    elements_agree(Elem::I64, 0, &[i64::MIN, -1, i64::MAX]);
    elements_agree(Elem::U8, 0, &[0_u8, u8::MAX]);
    elements_agree(Elem::U16, 0, &[0_u16, u16::MAX]);
    elements_agree(Elem::U32, 0, &[0_u32, u32::MAX]);
    elements_agree(Elem::U64, 0, &[0_u64, i64::MAX as u64, 1 << 63, u64::MAX]);
    elements_agree(Elem::Bool, false, &[true, false]);
}

#[test]
fn rows_and_columns_may_lie_apart() {
    for contiguous in [true, false] {
        let ty = ArrayType {
            elem: Elem::I64,
            ndim: 2,
            contiguous,
            writable: false,
            numpy: false,
        };
        let mut b =
            FunctionBuilder::new("cell", &[Type::Array(ty), Type::I64, Type::I64], Type::I64);
        let (array, i, j) = (b.param(0), b.param(1), b.param(2));
        let (i, j) = (b.index(array, 0, i, AT), b.index(array, 1, j, AT));
        let value = b.load(array, Place::Cell(i, j), AT);
        b.ret(value);
        let function = b.finish().unwrap();
        let mut memory: Vec<i64> = (0..12).collect();
        // Three rows of four, or their transpose.
        let (shape, strides) = if contiguous {
            ([3, 4], [32, 8])
        } else {
            ([4, 3], [8, 32])
        };
        let data = memory.as_mut_ptr().cast();
        for (i, j) in [(0, 0), (1, 2), (-1, -1), (2, 1)] {
            // SAFETY: twelve elements lie at `data`, and these are their strides.
            let array = unsafe { ArrayRef::from_parts(ty, data, shape, strides) };
            let args = [
                Arg::Array(array),
                Arg::Scalar(Value::I64(i)),
                Arg::Scalar(Value::I64(j)),
            ];
            let native = CraneliftCompiler::new()
                .unwrap()
                .compile(&function)
                .unwrap();
            let oracle = Interpreter.compile(&function).unwrap();
            let found = native.call_with(&args).unwrap();
            assert_eq!(found, oracle.call_with(&args).unwrap());
            let row = if i < 0 {
                i + shape[0].cast_signed() as i64
            } else {
                i
            };
            let column = if j < 0 {
                j + shape[1].cast_signed() as i64
            } else {
                j
            };
            let at = if contiguous {
                row * 4 + column
            } else {
                column * 4 + row
            };
            assert_eq!(found.values, [Value::I64(at)]);
        }
    }
}

#[test]
fn a_hook_ends_a_loop_without_end() {
    static ASKED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    iris_jit::poll::set_hook(|| ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 20);
    let mut b = FunctionBuilder::open("ever", &[]);
    let head = b.create_block(&[]);
    b.jump(head, &[]);
    b.switch_to(head);
    b.poll(AT);
    b.jump(head, &[]);
    let function = b.finish().unwrap();
    let ever = CraneliftCompiler::new()
        .unwrap()
        .compile(&function)
        .unwrap();
    let guard = GuardKind::Interrupt;
    assert_eq!(ever.call(&[]), Err(Bailout::Guard { guard, span: AT }));
    iris_jit::poll::set_hook(|| true);
}

#[test]
fn threads_compile_call_and_drop_at_once() {
    let compiler = CraneliftCompiler::new().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let compiler = &compiler;
            scope.spawn(move || {
                for n in 0..50 {
                    let mut b = FunctionBuilder::new("add", &[Type::I64], Type::I64);
                    let (x, y) = (b.param(0), b.constant(Value::I64(thread * 100 + n)));
                    let kind = GuardKind::Overflow;
                    let sum = b.checked_binary(CheckedBinaryOp::IntAdd, x, y, kind, AT);
                    b.ret(sum);
                    let add = compiler.compile(&b.finish().unwrap()).unwrap();
                    assert_eq!(
                        add.call(&[Value::I64(1)]),
                        Ok(Value::I64(thread * 100 + n + 1))
                    );
                }
            });
        }
    });
}

/// One random step: which operation, and which earlier values it takes.
type Step = (u8, u8, u8, u8);

/// A function of two ints and two floats that chains random operations and, now and then, puts
/// one behind a branch.
fn chain(steps: &[Step]) -> Function {
    let params = [Type::I64, Type::I64, Type::F64, Type::F64];
    let mut builder = FunctionBuilder::new("chain", &params, Type::F64);
    let mut ints = vec![builder.param(0), builder.param(1)];
    let mut floats = vec![builder.param(2), builder.param(3)];
    for &(op, which, x, y) in steps {
        let pick = |from: &[Val], n: u8| from[usize::from(n) % from.len()];
        let which = usize::from(which);
        let (int, int2, float, float2) = (
            pick(&ints, x),
            pick(&ints, y),
            pick(&floats, x),
            pick(&floats, y),
        );
        match op % 6 {
            0 => {
                let op = CheckedBinaryOp::ALL[which % CheckedBinaryOp::ALL.len()];
                ints.push(builder.checked_binary(op, int, int2, GuardKind::Overflow, AT));
            }
            1 => {
                let float_ops: Vec<_> = BinaryOp::ALL
                    .iter()
                    .filter(|op| op.ty() == Type::F64)
                    .collect();
                floats.push(builder.binary(*float_ops[which % float_ops.len()], float, float2));
            }
            2 => floats.push(builder.math1(Math1::ALL[which % Math1::ALL.len()], float)),
            3 => floats.push(builder.unary(UnaryOp::IntToFloat, int)),
            4 => {
                ints.push(builder.checked_unary(
                    CheckedUnaryOp::FloatToInt,
                    float,
                    GuardKind::Conversion,
                    AT,
                ));
            }
            _ => {
                let op = Comparison::ALL[which % Comparison::ALL.len()];
                let cond = builder.compare(op, float, float2);
                let (then, join) = (
                    builder.create_block(&[]),
                    builder.create_block(&[Type::F64]),
                );
                builder.branch(cond, (then, &[]), (join, &[float]));
                builder.switch_to(then);
                let other = builder.binary(BinaryOp::FloatSub, float2, float);
                builder.jump(join, &[other]);
                builder.switch_to(join);
                floats.push(builder.block_params(join)[0]);
            }
        }
    }
    // The last int counts too.
    let last = builder.unary(UnaryOp::IntToFloat, ints[ints.len() - 1]);
    let sum = builder.binary(BinaryOp::FloatAdd, last, floats[floats.len() - 1]);
    builder.ret(sum);
    builder.finish().unwrap()
}

fn any_int() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -20_i64..20,
        proptest::sample::select(&INTS[..])
    ]
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -20.0_f64..20.0,
        proptest::sample::select(&FLOATS[..])
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_chains_agree(
        steps in proptest::collection::vec(any::<Step>(), 1..14),
        args in proptest::collection::vec((any_int(), any_int(), any_float(), any_float()), 12),
    ) {
        let calls: Vec<_> = args
            .into_iter()
            .map(|(a, b, c, d)| vec![Value::I64(a), Value::I64(b), Value::F64(c), Value::F64(d)])
            .collect();
        agree(&chain(&steps), &calls);
    }
}
