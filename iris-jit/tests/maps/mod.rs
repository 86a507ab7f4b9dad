//! Maps by hand, and their results from every compiler.
#![allow(dead_code, reason = "not each test uses all")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::manual_is_multiple_of,
    reason = "numbers of tests are made to fit"
)]

use iris_jit::ir::{BinaryOp, Comparison, Function, FunctionBuilder, GuardKind, Place, Span, Val};
use iris_jit::{
    Arg, ArrayRef, ArrayType, Bailout, Compiler, CraneliftCompiler, Elem, Interpreter,
    NativeCompiler, Shape, Type, Value,
};

pub(crate) const AT: Span = Span { line: 1, column: 1 };

/// Lengths around those of vectors and blocks.
pub(crate) const LENGTHS: [usize; 14] = [0, 1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 520, 1024, 5000];

pub(crate) const FLOATS: [f64; 26] = [
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
    -1e308,
    5e-324,
    2.2e-308,
    9_007_199_254_740_993.0,
    9_223_372_036_854_775_808.0,
    -9_223_372_036_854_775_808.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    710.0,
    -750.0,
    -708.0,
    0.97,
    26.0,
    -5.5,
];

pub(crate) const INTS: [i64; 14] = [
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

pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

pub(crate) fn array(elem: Elem, contiguous: bool, writable: bool) -> Type {
    Type::Array(ArrayType {
        elem,
        ndim: 1,
        contiguous,
        writable,
        numpy: false,
    })
}

/// A map of `params`, the first arrays of which give elements: `body` gives the result.
pub(crate) fn map_of(
    params: &[Type],
    out: Elem,
    body: impl FnOnce(&mut FunctionBuilder, &[Val]) -> Val,
) -> Function {
    let mut all = params.to_vec();
    all.push(array(out, true, true));
    let mut b = FunctionBuilder::open("map", &all);
    let results = b.param(params.len());
    let len = b.length(results, 0);
    for (index, ty) in params.iter().enumerate() {
        if ty.array().is_some() {
            let param = b.param(index);
            let other = b.length(param, 0);
            let same = b.compare(Comparison::Eq, len, other);
            b.guard(same, GuardKind::Index, AT);
        }
    }
    let zero = b.constant(Value::I64(0));
    let head = b.create_block(&[Type::I64]);
    b.jump(head, &[zero]);
    b.switch_to(head);
    let position = b.block_params(head)[0];
    let len = b.length(results, 0);
    let more = b.compare(Comparison::Lt, position, len);
    let (inside, done) = (b.create_block(&[]), b.create_block(&[]));
    b.branch(more, (inside, &[]), (done, &[]));
    b.switch_to(done);
    b.ret_shape(Shape::None, &[]);
    b.switch_to(inside);
    let mut args = Vec::new();
    for (index, ty) in params.iter().enumerate() {
        let param = b.param(index);
        args.push(match ty {
            Type::Array(_) => b.load(param, Place::At(position), AT),
            _ => param,
        });
    }
    let result = body(&mut b, &args);
    b.store(results, Place::At(position), result, AT);
    b.poll(AT);
    let one = b.constant(Value::I64(1));
    let next = b.binary(BinaryOp::IntAddWrapping, position, one);
    b.jump(head, &[next]);
    b.finish().unwrap()
}

/// An argument of a map: a scalar, or bytes with a distance between elements.
#[derive(Clone)]
pub(crate) enum Given {
    Scalar(Value),
    Array(Elem, Vec<u8>, isize),
}

pub(crate) fn bytes_of(elem: Elem, value: Value) -> Vec<u8> {
    match (elem, value) {
        (Elem::F64, Value::F64(value)) => value.to_ne_bytes().to_vec(),
        (Elem::F32, Value::F64(value)) => (value as f32).to_ne_bytes().to_vec(),
        (Elem::Bool, Value::Bool(value)) => vec![u8::from(value) * 3],
        (elem, Value::I64(value)) => value.to_ne_bytes()[..elem.size()].to_vec(),
        (elem, value) => panic!("{elem} of {value}"),
    }
}

/// `len` elements at a distance of so many elements, which may be negative.
pub(crate) fn elements(
    elem: Elem,
    len: usize,
    step: isize,
    mut value: impl FnMut() -> Value,
) -> Given {
    let size = elem.size();
    let mut bytes = vec![0xa5; size * (len * step.unsigned_abs()).max(1)];
    for index in 0..len {
        let at = size * index * step.unsigned_abs();
        bytes[at..at + size].copy_from_slice(&bytes_of(elem, value()));
    }
    Given::Array(elem, bytes, step * size as isize)
}

/// The results in memory, of the elements that were computed, and how the call ended.
pub(crate) fn outcome(
    compiler: &dyn Compiler,
    function: &Function,
    given: &[Given],
    out: Elem,
    len: usize,
) -> (Result<(), Bailout>, Vec<u8>, &'static str) {
    let compiled = compiler.compile(function).unwrap();
    let mut results = vec![0xee_u8; out.size() * len];
    let mut copies = given.to_vec();
    let mut args = Vec::new();
    for (copy, ty) in copies.iter_mut().zip(&function.params) {
        args.push(match copy {
            Given::Scalar(value) => Arg::Scalar(*value),
            Given::Array(elem, bytes, stride) => {
                let ty = ty.array().unwrap();
                assert_eq!(ty.elem, *elem);
                let size = elem.size();
                let last = stride.unsigned_abs() * len.saturating_sub(1);
                let start = if *stride < 0 { last } else { 0 };
                let data = bytes.as_mut_ptr().wrapping_add(start);
                // SAFETY: `elements` made room for them, from this end or the other.
                let array = unsafe { ArrayRef::from_parts(ty, data, [len, 1], [*stride, 0]) };
                assert!(ty.contiguous == (*stride == size as isize) || !ty.contiguous);
                Arg::Array(array)
            }
        });
    }
    args.push(Arg::Array(ArrayRef::from_bytes(out, &mut results)));
    let end = compiled.call_with(&args).map(|output| {
        assert_eq!(output.shape, Shape::None);
    });
    drop(args);
    (end, results, compiled.backend())
}

/// NaNs as one NaN.
pub(crate) fn plain(out: Elem, bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks_exact(out.size());
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_ne_bytes(word);
        if out == Elem::F64 && f64::from_bits(word).is_nan() {
            return f64::NAN.to_bits();
        }
        word
    };
    words.map(word).collect()
}

/// Every compiler's results; tells whether the map was computed in blocks.
pub(crate) fn agree(function: &Function, given: &[Given], out: Elem, len: usize) -> bool {
    let (end, expected, _) = outcome(&Interpreter, function, given, out, len);
    let cranelift = CraneliftCompiler::new().unwrap();
    let mut compilers: Vec<Box<dyn Compiler>> = vec![Box::new(cranelift)];
    let levels = NativeCompiler::of_each_level().unwrap();
    compilers.extend(
        levels
            .into_iter()
            .map(|one| Box::new(one) as Box<dyn Compiler>),
    );
    let mut in_blocks = false;
    for compiler in &compilers {
        let (found, results, backend) = outcome(compiler.as_ref(), function, given, out, len);
        assert_eq!(found, end, "{compiler:?}\n{function}");
        // After a bailout nobody looks at the results.
        if end.is_ok() {
            let (results, expected) = (plain(out, &results), plain(out, &expected));
            let differ = results.iter().zip(&expected).position(|(a, b)| a != b);
            assert_eq!(
                differ, None,
                "{compiler:?} {results:x?} {expected:x?}\n{function}"
            );
        }
        in_blocks = backend == "block-vector";
    }
    in_blocks
}

pub(crate) fn pick<T: Copy>(state: &mut u64, from: &[T]) -> T {
    from[(next(state) % from.len() as u64) as usize]
}

pub(crate) fn float(state: &mut u64) -> Value {
    Value::F64(match next(state) % 4 {
        0 => pick(state, &FLOATS),
        1 => f64::from_bits(next(state)),
        _ => (next(state) >> 11) as f64 / (1_u64 << 53) as f64 * 8.0 - 2.0,
    })
}

pub(crate) fn int(state: &mut u64) -> Value {
    Value::I64(match next(state) % 3 {
        0 => pick(state, &INTS),
        _ => (next(state) % 41) as i64 - 20,
    })
}

pub(crate) fn any(state: &mut u64, ty: Type) -> Value {
    match ty {
        Type::F64 => float(state),
        Type::I64 => int(state),
        _ => Value::Bool(next(state) % 2 == 0),
    }
}

pub(crate) fn elem_of(ty: Type) -> Elem {
    match ty {
        Type::F64 => Elem::F64,
        Type::I64 => Elem::I64,
        _ => Elem::Bool,
    }
}
