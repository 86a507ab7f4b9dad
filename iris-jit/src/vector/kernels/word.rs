//! Integers, truth values and conversions: loops that the compiler makes vectors of.
//!
//! A truth value is a word of ones or of zeros.

use std::marker::PhantomData;

use super::{Args, Body, Extra, Kernel, Level, at};
use crate::ir::{BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, UnaryOp};
use crate::vector::simd::Simd;
use crate::{arith, whole};

/// An operation on words; `None` where a guard fails.
trait Op {
    fn apply(a: u64, b: u64, c: u64) -> Option<u64>;
}

/// Operands are as many as `COUNT`; pointers to others lead nowhere.
struct Map<O, const COUNT: usize>(PhantomData<O>);

impl<O: Op, const COUNT: usize> Body for Map<O, COUNT> {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        let mut failed = false;
        for lane in 0..args.lanes {
            // SAFETY: the caller's promise.
            unsafe {
                let a = args.a.add(lane).read();
                let b = if COUNT > 1 {
                    args.b.add(lane).read()
                } else {
                    0
                };
                let c = if COUNT > 2 {
                    args.c.add(lane).read()
                } else {
                    0
                };
                let result = O::apply(a, b, c);
                failed |= result.is_none();
                args.dst.add(lane).write(result.unwrap_or(0));
            }
        }
        failed
    }
}

macro_rules! ops {
    ($($name:ident = |$a:ident, $b:ident, $c:ident| $body:expr;)*) => {$(
        struct $name;
        impl Op for $name {
            #[inline(always)]
            fn apply($a: u64, $b: u64, $c: u64) -> Option<u64> {
                $body
            }
        }
    )*};
}

#[inline(always)]
fn int(word: u64) -> i64 {
    word.cast_signed()
}

#[inline(always)]
fn word(int: Option<i64>) -> Option<u64> {
    int.map(i64::cast_unsigned)
}

#[inline(always)]
fn truth(holds: bool) -> u64 {
    0_u64.wrapping_sub(u64::from(holds))
}

/// The nearest float, ties to even.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
fn float(word: u64) -> f64 {
    int(word) as f64
}

ops! {
    Select = |mask, a, b| Some(mask & a | !mask & b);
    And = |a, b, _c| Some(a & b);
    Or = |a, b, _c| Some(a | b);
    Xor = |a, b, _c| Some(a ^ b);
    Not = |a, _b, _c| Some(!a);
    AddWrapping = |a, b, _c| Some(a.wrapping_add(b));
    MulWrapping = |a, b, _c| Some(a.wrapping_mul(b));
    BoolToInt = |a, _b, _c| Some(a & 1);
    IntToFloat = |a, _b, _c| Some(float(a).to_bits());
    FitsFloat = |a, _b, _c| Some(truth(arith::int_fits_float(int(a))));
    IntEq = |a, b, _c| Some(truth(a == b));
    IntNe = |a, b, _c| Some(truth(a != b));
    IntLt = |a, b, _c| Some(truth(int(a) < int(b)));
    IntLe = |a, b, _c| Some(truth(int(a) <= int(b)));
    IntGt = |a, b, _c| Some(truth(int(a) > int(b)));
    IntGe = |a, b, _c| Some(truth(int(a) >= int(b)));
    Add = |a, b, _c| word(int(a).checked_add(int(b)));
    Sub = |a, b, _c| word(int(a).checked_sub(int(b)));
    Mul = |a, b, _c| word(int(a).checked_mul(int(b)));
    FloorDiv = |a, b, _c| word(arith::int_floor_div(int(a), int(b)));
    Mod = |a, b, _c| word(arith::int_mod(int(a), int(b)));
    Pow = |a, b, _c| word(arith::int_pow(int(a), int(b)));
    Shl = |a, b, _c| word(arith::int_shl(int(a), int(b)));
    Shr = |a, b, _c| word(arith::int_shr(int(a), int(b)));
    Neg = |a, _b, _c| word(int(a).checked_neg());
    Abs = |a, _b, _c| word(int(a).checked_abs());
    ToInt = |a, _b, _c| word(arith::float_to_int(f64::from_bits(a)));
    BitLength = |a, _b, _c| word(Some(whole::bit_length(int(a))));
    BitCount = |a, _b, _c| word(Some(whole::bit_count(int(a))));
    Sqrt = |a, _b, _c| word(whole::isqrt(int(a)));
    Factorial = |a, _b, _c| word(whole::factorial(int(a)));
    Gcd = |a, b, _c| word(whole::gcd(int(a), int(b)));
    Lcm = |a, b, _c| word(whole::lcm(int(a), int(b)));
    Comb = |a, b, _c| word(whole::comb(int(a), int(b)));
    Perm = |a, b, _c| word(whole::perm(int(a), int(b)));
    Round = |a, b, _c| word(whole::round(int(a), int(b)));
    Copysign = |a, b, _c| Some(f64::from_bits(a).copysign(f64::from_bits(b)).to_bits());
}

/// The second where the first is true, else the third.
pub(in crate::vector) fn select(level: Level) -> Kernel {
    at::<Map<Select, 3>>(level)
}

/// A total operation on two integers.
pub(in crate::vector) fn int_binary(level: Level, op: BinaryOp) -> Option<Kernel> {
    Some(match op {
        BinaryOp::IntAddWrapping => at::<Map<AddWrapping, 2>>(level),
        BinaryOp::IntMulWrapping => at::<Map<MulWrapping, 2>>(level),
        BinaryOp::IntAnd => at::<Map<And, 2>>(level),
        BinaryOp::IntOr => at::<Map<Or, 2>>(level),
        BinaryOp::IntXor => at::<Map<Xor, 2>>(level),
        _ => return None,
    })
}

/// An operation on two truth values.
pub(in crate::vector) fn bool_binary(level: Level, op: BinaryOp) -> Option<Kernel> {
    Some(match op {
        BinaryOp::BoolAnd => at::<Map<And, 2>>(level),
        BinaryOp::BoolOr => at::<Map<Or, 2>>(level),
        BinaryOp::BoolXor => at::<Map<Xor, 2>>(level),
        _ => return None,
    })
}

/// Conversions, and total operations on an integer.
pub(in crate::vector) fn int_not(level: Level, op: UnaryOp) -> Option<Kernel> {
    Some(match op {
        UnaryOp::IntNot => at::<Map<Not, 1>>(level),
        UnaryOp::BoolToInt => at::<Map<BoolToInt, 1>>(level),
        UnaryOp::IntBitLength => at::<Map<BitLength, 1>>(level),
        UnaryOp::IntBitCount => at::<Map<BitCount, 1>>(level),
        UnaryOp::IntToFloat => at::<Map<IntToFloat, 1>>(level),
        UnaryOp::IntFitsFloat => at::<Map<FitsFloat, 1>>(level),
        _ => return None,
    })
}

/// The complement of a truth value.
pub(in crate::vector) fn bool_not(level: Level) -> Kernel {
    at::<Map<Not, 1>>(level)
}

/// A comparison of integers.
pub(in crate::vector) fn compare_ints(level: Level, op: Comparison) -> Kernel {
    match op {
        Comparison::Eq => at::<Map<IntEq, 2>>(level),
        Comparison::Ne => at::<Map<IntNe, 2>>(level),
        Comparison::Lt => at::<Map<IntLt, 2>>(level),
        Comparison::Le => at::<Map<IntLe, 2>>(level),
        Comparison::Gt => at::<Map<IntGt, 2>>(level),
        Comparison::Ge => at::<Map<IntGe, 2>>(level),
    }
}

/// An operation that fails where an integer has no result.
pub(in crate::vector) fn checked_binary(level: Level, op: CheckedBinaryOp) -> Kernel {
    match op {
        CheckedBinaryOp::IntAdd => at::<Map<Add, 2>>(level),
        CheckedBinaryOp::IntSub => at::<Map<Sub, 2>>(level),
        CheckedBinaryOp::IntMul => at::<Map<Mul, 2>>(level),
        CheckedBinaryOp::IntFloorDiv => at::<Map<FloorDiv, 2>>(level),
        CheckedBinaryOp::IntMod => at::<Map<Mod, 2>>(level),
        CheckedBinaryOp::IntPow => at::<Map<Pow, 2>>(level),
        CheckedBinaryOp::IntShl => at::<Map<Shl, 2>>(level),
        CheckedBinaryOp::IntShr => at::<Map<Shr, 2>>(level),
        CheckedBinaryOp::IntGcd => at::<Map<Gcd, 2>>(level),
        CheckedBinaryOp::IntLcm => at::<Map<Lcm, 2>>(level),
        CheckedBinaryOp::IntComb => at::<Map<Comb, 2>>(level),
        CheckedBinaryOp::IntPerm => at::<Map<Perm, 2>>(level),
        CheckedBinaryOp::IntRound => at::<Map<Round, 2>>(level),
    }
}

/// An operation that fails where there is no integer.
pub(in crate::vector) fn checked_unary(level: Level, op: CheckedUnaryOp) -> Kernel {
    match op {
        CheckedUnaryOp::IntNeg => at::<Map<Neg, 1>>(level),
        CheckedUnaryOp::IntAbs => at::<Map<Abs, 1>>(level),
        CheckedUnaryOp::FloatToInt => at::<Map<ToInt, 1>>(level),
        CheckedUnaryOp::IntSqrt => at::<Map<Sqrt, 1>>(level),
        CheckedUnaryOp::IntFactorial => at::<Map<Factorial, 1>>(level),
    }
}

/// Floored quotients, remainders and signs of floats, with what else the kernel needs.
pub(in crate::vector) fn slow_float(level: Level, op: BinaryOp) -> Option<(Kernel, Extra)> {
    Some(match op {
        BinaryOp::FloatFloorDiv => (each, Extra::Float(arith::float_floor_div)),
        BinaryOp::FloatMod => (each, Extra::Float(arith::float_mod)),
        BinaryOp::FloatCopysign => (at::<Map<Copysign, 2>>(level), Extra::None),
        _ => return None,
    })
}

/// A function for each lane; the extra is the function.
unsafe fn each(args: &Args) -> bool {
    let Extra::Float(function) = args.extra else {
        return true;
    };
    for lane in 0..args.lanes {
        // SAFETY: the caller's promise.
        unsafe {
            let x = args.a.add(lane).cast::<f64>().read();
            let y = args.b.add(lane).cast::<f64>().read();
            args.dst.add(lane).cast::<f64>().write(function(x, y));
        }
    }
    false
}
