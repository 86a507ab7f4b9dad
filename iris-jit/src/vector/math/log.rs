//! `log`, by the algorithm and with the numbers of ARM optimized-routines (`math/log.c`, copyright
//! 2018 Arm Limited, MIT OR Apache-2.0 WITH LLVM-exception), which glibc and musl use too.

use super::log_table::{INVERSE, LOG};
use crate::vector::simd::Simd;

/// ln(2) in two parts; multiples of the first are exact.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
const LN2_LOW: f64 = f64::from_bits(0x3d2e_f357_93c7_6730);

/// Of log(1 + r) - r, for an r below 1/256.
const A: [f64; 5] = [
    f64::from_bits(0xbfe0_0000_0000_0001),
    f64::from_bits(0x3fd5_5555_5551_305b),
    f64::from_bits(0xbfcf_ffff_ffeb_4590),
    f64::from_bits(0x3fc9_99b3_24f1_0111),
    f64::from_bits(0xbfc5_5575_e506_c89f),
];

/// Of log(1 + r) - r, for an r below 1/16.
const B: [f64; 11] = [
    -0.5,
    f64::from_bits(0x3fd5_5555_5555_5577),
    f64::from_bits(0xbfcf_ffff_ffff_fdcb),
    f64::from_bits(0x3fc9_9999_9995_dd0c),
    f64::from_bits(0xbfc5_5555_5567_45a7),
    f64::from_bits(0x3fc2_4924_a344_de30),
    f64::from_bits(0xbfbf_ffff_a442_3d65),
    f64::from_bits(0x3fbc_7184_282a_d6ca),
    f64::from_bits(0xbfb9_99eb_43b0_68ff),
    f64::from_bits(0x3fb7_8182_f7af_d085),
    f64::from_bits(0xbfb5_5213_75d1_45cd),
];

/// Where intervals begin: near 1/sqrt(2).
const OFFSET: u64 = 0x3fe6_0000_0000_0000;

/// Arguments around 1 have a polynomial of their own.
const NEAR: (f64, f64) = (0.9375, 1.064_697_265_625);

/// The lanes that [`log_elsewhere`] leaves out and [`log_near_one`] does not.
#[inline(always)]
pub(in crate::vector) fn near_one<S: Simd>(s: S, x: S::F) -> u8 {
    s.bits(near(s, x))
}

#[inline(always)]
fn near<S: Simd>(s: S, x: S::F) -> S::M {
    s.and(s.le(s.splat(NEAR.0), x), s.lt(x, s.splat(NEAR.1)))
}

/// The lanes that are left to libm.
#[inline(always)]
fn rest<S: Simd>(s: S, x: S::F) -> u8 {
    let (low, high) = (s.splat(f64::MIN_POSITIVE), s.splat(f64::INFINITY));
    !s.bits(s.and(s.le(low, x), s.lt(x, high)))
}

/// The results for arguments that are not around 1, and the lanes that are left to libm.
#[inline(always)]
pub(in crate::vector) fn log_elsewhere<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    (elsewhere(s, x), rest(s, x))
}

/// The results for arguments around 1, and the lanes that are left to libm: none.
#[inline(always)]
pub(in crate::vector) fn log_near_one<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    (around_one(s, x), 0)
}

/// The results, and the lanes that are left to libm.
#[inline(always)]
pub(in crate::vector) fn log<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    let y = s.select(near(s, x), around_one(s, x), elsewhere(s, x));
    (y, rest(s, x))
}

#[inline(always)]
fn elsewhere<S: Simd>(s: S, x: S::F) -> S::F {
    let c = |value: f64| s.splat(value);
    // x = 2**k * z
    let bits = s.words(x);
    let above = s.sub_words(bits, s.splat_words(OFFSET));
    let index = s.shr::<45>(above);
    let exponent = s.and_words(above, s.splat_words(0xfff << 52));
    let z = s.floats(s.sub_words(bits, exponent));
    // k as a float, without an instruction that only newer CPUs have: biased by 2048 it is a
    // positive number, in the lowest bits of a float that starts at 2**52.
    let biased = s.shr::<52>(s.xor_words(above, s.splat_words(1 << 63)));
    let raised = s.floats(s.add_words(biased, s.splat_words(0x4330_0000_0000_0000)));
    let k = s.sub(raised, c(4_503_599_627_370_496.0 + 2048.0));
    let inverse = s.floats(s.gather(&INVERSE, index));
    let center = s.floats(s.gather(&LOG, index));
    let r = s.fma(z, inverse, c(-1.0));
    let sum = s.fma(k, c(LN2_HIGH), center);
    let high = s.add(sum, r);
    let low = s.fma(k, c(LN2_LOW), s.add(s.sub(sum, high), r));
    let r2 = s.mul(r, r);
    let upper = s.fma(r, c(A[4]), c(A[3]));
    let lower = s.fma(r, c(A[2]), c(A[1]));
    let rest = s.fma(r2, upper, lower);
    s.add(s.fma(s.mul(r, r2), rest, s.fma(r2, c(A[0]), low)), high)
}

#[inline(always)]
fn around_one<S: Simd>(s: S, x: S::F) -> S::F {
    let c = |value: f64| s.splat(value);
    let r = s.sub(x, c(1.0));
    let r2 = s.mul(r, r);
    let r3 = s.mul(r, r2);
    let three = |at: usize| s.fma(r2, c(B[at + 2]), s.fma(r, c(B[at + 1]), c(B[at])));
    let last = s.fma(r3, c(B[10]), three(7));
    let poly = s.fma(r3, s.fma(r3, last, three(4)), three(1));
    // The square of r's upper half is exact.
    let wide = s.mul(r, c(134_217_728.0));
    let upper = s.sub(s.add(r, wide), wide);
    let lower = s.sub(r, upper);
    let square = s.mul(s.mul(upper, upper), c(B[0]));
    let high = s.add(r, square);
    let low = s.add(s.sub(r, high), square);
    let low = s.fma(s.mul(c(B[0]), lower), s.add(upper, r), low);
    s.add(s.fma(r3, poly, low), high)
}
