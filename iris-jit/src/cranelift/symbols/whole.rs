//! Operations on integers that machine code calls: each writes its result and returns 1, or
//! returns 0 where there is none.

use crate::ir::{CheckedBinaryOp, CheckedUnaryOp};
use crate::{arith, whole};

type Unary = unsafe extern "C" fn(i64, *mut i64) -> i32;

type Binary = unsafe extern "C" fn(i64, i64, *mut i64) -> i32;

/// # Safety
///
/// `out` is writable.
unsafe fn write(result: Option<i64>, out: *mut i64) -> i32 {
    let Some(result) = result else {
        return 0;
    };
    // SAFETY: by contract; `emit` passes a stack slot of the calling frame.
    unsafe { *out = result };
    1
}

macro_rules! helpers {
    ($($name:ident($($arg:ident),*) = $function:path;)*) => {$(
        /// # Safety
        ///
        /// `out` is writable.
        unsafe extern "C" fn $name($($arg: i64,)* out: *mut i64) -> i32 {
            // SAFETY: by contract.
            unsafe { write($function($($arg),*), out) }
        }
    )*};
}

helpers! {
    isqrt(n) = whole::isqrt;
    factorial(n) = whole::factorial;
    pow(base, exponent) = arith::int_pow;
    gcd(a, b) = whole::gcd;
    lcm(a, b) = whole::lcm;
    comb(n, k) = whole::comb;
    perm(n, k) = whole::perm;
    round(n, digits) = whole::round;
}

/// The helper of an operation that has one.
pub(super) fn unary(op: CheckedUnaryOp) -> Option<Unary> {
    Some(match op {
        CheckedUnaryOp::IntSqrt => isqrt,
        CheckedUnaryOp::IntFactorial => factorial,
        CheckedUnaryOp::IntNeg | CheckedUnaryOp::IntAbs | CheckedUnaryOp::FloatToInt => {
            return None;
        }
    })
}

/// The helper of an operation that has one.
pub(super) fn binary(op: CheckedBinaryOp) -> Option<Binary> {
    Some(match op {
        CheckedBinaryOp::IntPow => pow,
        CheckedBinaryOp::IntGcd => gcd,
        CheckedBinaryOp::IntLcm => lcm,
        CheckedBinaryOp::IntComb => comb,
        CheckedBinaryOp::IntPerm => perm,
        CheckedBinaryOp::IntRound => round,
        CheckedBinaryOp::IntAdd
        | CheckedBinaryOp::IntSub
        | CheckedBinaryOp::IntMul
        | CheckedBinaryOp::IntFloorDiv
        | CheckedBinaryOp::IntMod
        | CheckedBinaryOp::IntShl
        | CheckedBinaryOp::IntShr => return None,
    })
}
