//! `exp`, by the algorithm and with the numbers of ARM optimized-routines (`math/exp.c`, copyright
//! 2018 Arm Limited, MIT OR Apache-2.0 WITH LLVM-exception), which glibc and musl use too.

use super::exp_table::{SCALE, TAIL};
use crate::vector::simd::Simd;

/// 128 / ln(2).
const INVERSE: f64 = f64::from_bits(0x4067_1547_652b_82fe);
/// -ln(2) / 128, in two parts.
const HIGH: f64 = f64::from_bits(0xbf76_2e42_fefa_0000);
const LOW: f64 = f64::from_bits(0xbd0c_f79a_bc9e_3b3a);
/// Added and taken away again it rounds to a whole number, which is then in the lowest bits.
const SHIFT: f64 = f64::from_bits(0x4338_0000_0000_0000);
const C2: f64 = f64::from_bits(0x3fdf_ffff_ffff_fdbd);
const C3: f64 = f64::from_bits(0x3fc5_5555_5555_543c);
const C4: f64 = f64::from_bits(0x3fa5_5555_cf17_2b91);
const C5: f64 = f64::from_bits(0x3f81_1111_67a4_d017);

/// `exp(x)` for arguments of less than [`LARGEST`] in magnitude.
#[inline(always)]
pub(super) fn exp_within<S: Simd>(s: S, x: S::F) -> S::F {
    let c = |value: f64| s.splat(value);
    // x = k ln(2) / 128 + r
    let shifted = s.fma(c(INVERSE), x, c(SHIFT));
    let k = s.words(shifted);
    let whole = s.sub(shifted, c(SHIFT));
    let r = s.fma(whole, c(LOW), s.fma(whole, c(HIGH), x));
    let tail = s.floats(s.gather(&TAIL, k));
    let scale = s.floats(s.add_words(s.gather(&SCALE, k), s.shl::<45>(k)));
    let r2 = s.mul(r, r);
    let low = s.fma(r2, s.fma(r, c(C3), c(C2)), s.add(tail, r));
    let rest = s.fma(s.mul(r2, r2), s.fma(r, c(C5), c(C4)), low);
    s.fma(scale, rest, scale)
}

/// From here on libm rounds in other places, since a result may be infinite or subnormal.
pub(super) const LARGEST: f64 = 512.0;

/// The results, and the lanes that are left to libm.
#[inline(always)]
pub(in crate::vector) fn exp<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    let rest = s.not(s.lt(s.abs(x), s.splat(LARGEST)));
    let y = exp_within(s, x);
    if s.bits(rest) == 0 {
        return (y, 0);
    }
    let (over, under) = (s.le(s.splat(1024.0), x), s.le(x, s.splat(-1024.0)));
    let y = s.select(
        over,
        s.splat(f64::INFINITY),
        s.select(under, s.splat(0.0), y),
    );
    (y, s.bits(s.and(rest, s.not(s.or(over, under)))))
}
