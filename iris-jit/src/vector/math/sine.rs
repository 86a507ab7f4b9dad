//! `sin` and `cos`, by way of how exact libm's are.
//!
//! glibc states the largest error of its results: 0.518 units in the last place for arguments up
//! to 0.855, 0.55 for others (`sysdeps/ieee754/dbl-64/s_sin.c`). So where a result is known well
//! enough to see that it lies further from the middle between two floats than that, libm's is the
//! nearest float. Here it is computed to about 65 bits. Lanes too close to a middle, a few in a
//! hundred, are left to libm.

use super::sine_table::{REST, SINE};
use crate::vector::simd::Simd;

/// 64 / pi, and pi / 64 in two parts, of which multiples of the first up to 2**20 are exact.
const INVERSE: f64 = f64::from_bits(0x4034_5f30_6dc9_c883);
const HIGH: f64 = f64::from_bits(0x3fa9_21fb_5440_0000);
const LOW: f64 = f64::from_bits(0x3d80_b461_1a62_6331);
/// Added and taken away again it rounds to a whole number, which is then in the lowest bits.
const SHIFT: f64 = f64::from_bits(0x4338_0000_0000_0000);

/// Arguments up to here are reduced exactly enough.
const LARGEST: f64 = 32_768.0;
/// The sine of what is smaller is itself, and the cosine 1.
const TINY: f64 = f64::from_bits(0x3e10_0000_0000_0000);
/// Up to here libm's results are the better ones.
const NEAR: f64 = 0.855_468_75;

/// Half of what lies between two middles, less libm's largest error and our own, in units of the
/// last place; times the distance of floats around 1.
const MARGIN_NEAR: f64 = 0.022 * f64::EPSILON;
const MARGIN: f64 = 0.054 * f64::EPSILON;

/// The sine, or the cosine, and the lanes that are left to libm.
#[inline(always)]
fn sine_or<S: Simd, const COSINE: bool>(s: S, x: S::F) -> (S::F, u8) {
    let c = |value: f64| s.splat(value);
    let a = s.abs(x);
    // x = k pi / 64 + r + rest
    let shifted = s.fma(c(INVERSE), x, c(SHIFT));
    let index = s.words(shifted);
    let k = s.sub(shifted, c(SHIFT));
    let part = s.fma(k, c(-HIGH), x);
    let r = s.fma(k, c(-LOW), part);
    let rest = s.fma(k, c(-LOW), s.sub(part, r));
    let ahead = s.add_words(index, s.splat_words(32));
    let (of_sine, of_cosine) = if COSINE {
        (ahead, s.add_words(index, s.splat_words(64)))
    } else {
        (index, ahead)
    };
    let (sine, sine_rest) = (s.gather(&SINE, of_sine), s.gather(&REST, of_sine));
    let (cosine, cosine_rest) = (s.gather(&SINE, of_cosine), s.gather(&REST, of_cosine));
    let (sine, sine_rest) = (s.floats(sine), s.floats(sine_rest));
    let (cosine, cosine_rest) = (s.floats(cosine), s.floats(cosine_rest));
    // sin(a + r) = sin a + cos a r + sin a (cos r - 1) + cos a (sin r - r)
    let product = s.mul(cosine, r);
    let product_rest = s.fma(cosine, r, s.sub(c(-0.0), product));
    let high = s.add(sine, product);
    let high_rest = s.sub(product, s.sub(high, sine));
    let r2 = s.mul(r, r);
    let of_cos = s.fma(r2, c(1.0 / 40_320.0), c(-1.0 / 720.0));
    let of_cos = s.fma(r2, s.fma(r2, of_cos, c(1.0 / 24.0)), c(-0.5));
    let of_sin = s.fma(r2, c(1.0 / 362_880.0), c(-1.0 / 5040.0));
    let of_sin = s.fma(r2, s.fma(r2, of_sin, c(1.0 / 120.0)), c(-1.0 / 6.0));
    let low = s.fma(cosine, rest, s.fma(cosine_rest, r, sine_rest));
    let low = s.add(low, s.add(product_rest, high_rest));
    let low = s.fma(s.mul(cosine, s.mul(r, r2)), of_sin, low);
    let low = s.fma(s.mul(sine, r2), of_cos, low);
    // The same float from both ends of what the result may be.
    let near = s.lt(a, c(NEAR));
    let margin = s.select(near, c(MARGIN_NEAR), c(MARGIN));
    let reduction = s.mul(s.abs(k), c(f64::from_bits(0x3a50_0000_0000_0000)));
    let doubt = s.fma(s.abs(high), margin, reduction);
    let (least, most) = (
        s.add(high, s.sub(low, doubt)),
        s.add(high, s.add(low, doubt)),
    );
    let sure = s.and(s.eq(least, most), s.lt(a, c(LARGEST)));
    let tiny = s.lt(a, c(TINY));
    let y = s.select(tiny, if COSINE { c(1.0) } else { x }, least);
    (y, !s.bits(s.or(sure, tiny)))
}

#[inline(always)]
pub(in crate::vector) fn sin<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    sine_or::<S, false>(s, x)
}

#[inline(always)]
pub(in crate::vector) fn cos<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    sine_or::<S, true>(s, x)
}
