//! `erfc`, by the algorithm and with the numbers of fdlibm (`s_erf.c`), which glibc long used, with
//! the terms of its polynomials in pairs as glibc adds them. fdlibm comes with this notice:
//!
//! Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at `SunPro`, a
//! Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is
//! freely granted, provided that this notice is preserved.

use super::exp::exp_within;
use crate::vector::simd::Simd;

/// Coefficients by region; tables are as long as a register.
type PerRegion = [f64; 8];

const fn regions(a: f64, b: f64, c: f64, d: f64) -> PerRegion {
    [a, b, c, d, 0.0, 0.0, 0.0, 0.0]
}

/// erf(1) in 24 bits.
const ERX: f64 = f64::from_bits(0x3feb_0ac1_6000_0000);

/// Where the regions meet: polynomials of the square, of |x| - 1, and twice of the inverse square.
/// The third is where the upper half of a float compares so.
const SMALL: f64 = 0.84375;
const MIDDLE: f64 = 1.25;
const LARGE: f64 = f64::from_bits(0x4006_db6d_0000_0000);

/// Up to here no argument of `exp` is too large for `exp_within`.
const LARGEST: f64 = 22.0;

/// Numerators. A polynomial that is shorter than others ends in zeros, whose terms add nothing.
static P: [PerRegion; 8] = [
    regions(
        f64::from_bits(0x3fc0_6eba_8214_db68),
        f64::from_bits(0xbf63_59b8_bef7_7538),
        f64::from_bits(0xbf84_3412_600d_6435),
        f64::from_bits(0xbf84_3412_39e8_6f4a),
    ),
    regions(
        f64::from_bits(0xbfd4_cd7d_691c_b913),
        f64::from_bits(0x3fda_8d00_ad92_b34d),
        f64::from_bits(0xbfe6_3416_e4ba_7360),
        f64::from_bits(0xbfe9_93ba_70c2_85de),
    ),
    regions(
        f64::from_bits(0xbf9d_2a51_dbd7_194f),
        f64::from_bits(0xbfd7_d240_fbb8_c3f1),
        f64::from_bits(0xc025_1e04_41b0_e726),
        f64::from_bits(0xc031_c209_555f_995a),
    ),
    regions(
        f64::from_bits(0xbf77_a291_2366_68e4),
        f64::from_bits(0x3fd4_5fca_8051_20e4),
        f64::from_bits(0xc04f_300a_e4cb_a38d),
        f64::from_bits(0xc064_145d_43c5_ed98),
    ),
    regions(
        f64::from_bits(0xbef8_ead6_1200_16ac),
        f64::from_bits(0xbfbc_6398_3d3e_28ec),
        f64::from_bits(0xc064_4cb1_8428_2266),
        f64::from_bits(0xc083_ec88_1375_f228),
    ),
    regions(
        0.0,
        f64::from_bits(0x3fa2_2a36_5997_95eb),
        f64::from_bits(0xc067_135c_ebcc_abb2),
        f64::from_bits(0xc090_0461_6a2e_5992),
    ),
    regions(
        0.0,
        f64::from_bits(0xbf61_bf38_0a96_073f),
        f64::from_bits(0xc054_5265_57e4_d2f2),
        f64::from_bits(0xc07e_384e_9bdc_383f),
    ),
    regions(0.0, 0.0, f64::from_bits(0xc023_a0ef_c69a_c25c), 0.0),
];

/// Denominators; the first coefficient is 1.
static Q: [PerRegion; 9] = [
    regions(1.0, 1.0, 1.0, 1.0),
    regions(
        f64::from_bits(0x3fd9_7779_cdda_dc09),
        f64::from_bits(0x3fbb_3e66_18ee_e323),
        f64::from_bits(0x4033_a6b9_bd70_7687),
        f64::from_bits(0x403e_568b_261d_5190),
    ),
    regions(
        f64::from_bits(0x3fb0_a54c_5536_ceba),
        f64::from_bits(0x3fe1_4af0_92eb_6f33),
        f64::from_bits(0x4061_350c_526a_e721),
        f64::from_bits(0x4074_5cae_221b_9f0a),
    ),
    regions(
        f64::from_bits(0x3f74_d022_c4d3_6b0f),
        f64::from_bits(0x3fb2_635c_d99f_e9a7),
        f64::from_bits(0x407b_290d_d58a_1a71),
        f64::from_bits(0x4098_02eb_189d_5118),
    ),
    regions(
        f64::from_bits(0x3f21_5dc9_221c_1a10),
        f64::from_bits(0x3fc0_2660_e763_351f),
        f64::from_bits(0x4084_2b19_21ec_2868),
        f64::from_bits(0x40a8_ffb7_688c_246a),
    ),
    regions(
        f64::from_bits(0xbed0_9c43_42a2_6120),
        f64::from_bits(0x3f8b_edc2_6b51_dd1c),
        f64::from_bits(0x407a_d021_5770_0314),
        f64::from_bits(0x40a3_f219_cedf_3be6),
    ),
    regions(
        0.0,
        f64::from_bits(0x3f88_8b54_5735_151d),
        f64::from_bits(0x405b_28a3_ee48_ae2c),
        f64::from_bits(0x407d_a874_e79f_e763),
    ),
    regions(
        0.0,
        0.0,
        f64::from_bits(0x401a_47ef_8e48_4a93),
        f64::from_bits(0xc036_70e2_4271_2d62),
    ),
    regions(0.0, 0.0, f64::from_bits(0xbfae_eff2_ee74_9a62), 0.0),
];

/// The quotient of the polynomials of a region.
macro_rules! rational {
    ($s:ident, $z:ident, $region:ident, near: $near:expr) => {{
        // Pairs of terms, each product and each sum rounded, as glibc has them.
        let p = |at: usize| $s.lookup(&P[at], $region);
        let q = |at: usize| $s.lookup(&Q[at], $region);
        let pair = |low: S::F, high: S::F| $s.add(low, $s.mul($z, high));
        let z2 = $s.mul($z, $z);
        let z4 = $s.mul(z2, z2);
        let z6 = $s.mul(z4, z2);
        let over = $s.add(pair(p(0), p(1)), $s.mul(z2, pair(p(2), p(3))));
        let over = $s.add(over, $s.mul(z4, pair(p(4), p(5))));
        let under = $s.add(pair($s.splat(1.0), q(1)), $s.mul(z2, pair(q(2), q(3))));
        let under = $s.add(under, $s.mul(z4, pair(q(4), q(5))));
        let (over, under) = if $near {
            // The others are 0.
            (
                $s.add(over, $s.mul(z6, p(6))),
                $s.add(under, $s.mul(z6, q(6))),
            )
        } else {
            let over = $s.add(over, $s.mul(z6, pair(p(6), p(7))));
            let under = $s.add(under, $s.mul(z6, pair(q(6), q(7))));
            (over, $s.add(under, $s.mul($s.mul(z4, z4), q(8))))
        };
        $s.div(over, under)
    }};
}

/// 1 where a number is not below the limit.
#[inline(always)]
fn beyond<S: Simd>(s: S, below: S::M) -> S::I {
    s.select_words(below, s.splat_words(0), s.splat_words(1))
}

/// The results, and the lanes that are left to libm.
#[inline(always)]
pub(in crate::vector) fn erfc<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    let c = |value: f64| s.splat(value);
    let a = s.abs(x);
    let within = s.lt(a, c(LARGEST));
    // What is computed beyond is thrown away; it must not be slow with tiny numbers.
    let a = s.select(within, a, c(LARGEST));
    let (small, middle) = (s.lt(a, c(SMALL)), s.lt(a, c(MIDDLE)));
    let region = s.add_words(beyond(s, small), beyond(s, middle));
    let region = s.add_words(region, beyond(s, s.lt(a, c(LARGE))));
    let square = s.mul(a, a);
    let inverse = s.div(c(1.0), square);
    let z = s.select(middle, s.sub(a, c(1.0)), inverse);
    let z = s.select(small, square, z);
    let ratio = rational!(s, z, region, near: false);
    let near = s.select(small, around_zero(s, x, ratio), around_one(s, x, ratio));
    let y = s.select(middle, near, tail(s, x, a, ratio));
    finished(s, y, x, within)
}

/// The lanes that [`erfc_near`] leaves out and [`erfc_far`] does not.
#[inline(always)]
pub(in crate::vector) fn is_far<S: Simd>(s: S, x: S::F) -> u8 {
    !s.bits(s.lt(s.abs(x), s.splat(MIDDLE)))
}

/// The results up to the middle, and the lanes that are left to libm: none.
#[inline(always)]
pub(in crate::vector) fn erfc_near<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    let c = |value: f64| s.splat(value);
    let a = s.abs(x);
    let small = s.lt(a, c(SMALL));
    let region = beyond(s, small);
    let z = s.select(small, s.mul(a, a), s.sub(a, c(1.0)));
    let ratio = rational!(s, z, region, near: true);
    let y = s.select(small, around_zero(s, x, ratio), around_one(s, x, ratio));
    (y, 0)
}

/// The results beyond the middle, and the lanes that are left to libm.
#[inline(always)]
pub(in crate::vector) fn erfc_far<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
    let c = |value: f64| s.splat(value);
    let a = s.abs(x);
    let within = s.lt(a, c(LARGEST));
    let a = s.select(within, a, c(LARGEST));
    let region = s.add_words(beyond(s, s.lt(a, c(LARGE))), s.splat_words(2));
    let z = s.div(c(1.0), s.mul(a, a));
    let ratio = rational!(s, z, region, near: false);
    finished(s, tail(s, x, a, ratio), x, within)
}

/// The lanes that are not within: 0 or 2 far out, else left to libm.
#[inline(always)]
fn finished<S: Simd>(s: S, y: S::F, x: S::F, within: S::M) -> (S::F, u8) {
    let rest = s.not(within);
    if s.bits(rest) == 0 {
        return (y, 0);
    }
    let (over, under) = (s.le(s.splat(28.0), x), s.le(x, s.splat(-6.0)));
    let y = s.select(over, s.splat(0.0), s.select(under, s.splat(2.0), y));
    (y, s.bits(s.and(rest, s.not(s.or(over, under)))))
}

#[inline(always)]
fn around_zero<S: Simd>(s: S, x: S::F, ratio: S::F) -> S::F {
    let (half, one) = (s.splat(0.5), s.splat(1.0));
    let correction = s.mul(x, ratio);
    let below = s.sub(one, s.add(x, correction));
    let above = s.sub(half, s.add(correction, s.sub(x, half)));
    s.select(s.lt(x, s.splat(0.25)), below, above)
}

#[inline(always)]
fn around_one<S: Simd>(s: S, x: S::F, ratio: S::F) -> S::F {
    let positive = s.sub(s.splat(1.0 - ERX), ratio);
    let negative = s.add(s.splat(1.0), s.add(s.splat(ERX), ratio));
    s.select(s.lt(s.splat(0.0), x), positive, negative)
}

/// `exp(-x*x) / x * exp(ratio)`, with `x*x` in two parts.
#[inline(always)]
fn tail<S: Simd>(s: S, x: S::F, a: S::F, ratio: S::F) -> S::F {
    let upper = s.floats(s.and_words(s.words(a), s.splat_words(0xffff_ffff << 32)));
    let first = s.sub(s.splat(-0.5625), s.mul(upper, upper));
    let second = s.add(s.mul(s.sub(upper, a), s.add(upper, a)), ratio);
    let product = s.mul(exp_within(s, first), exp_within(s, second));
    let tail = s.div(product, a);
    s.select(s.lt(s.splat(0.0), x), tail, s.sub(s.splat(2.0), tail))
}
