//! `math.gamma` and `math.lgamma`, which `CPython` computes itself: by Lanczos' formula, with Boost's
//! coefficients, in an order of operations that decides the last bits.
//!
//! The algorithm and its constants are those of `Modules/mathmodule.c`; see `docs/THIRD_PARTY.md`.

use std::f64::consts::PI;

use super::{fmod, sys};

const G: f64 = 6.024_680_040_776_73;
const G_MINUS_HALF: f64 = 5.524_680_040_776_73;
const LOG_PI: f64 = 1.144_729_885_849_400_2;

const NUMERATOR: [f64; 13] = [
    23_531_376_880.410_76,
    42_919_803_642.649_1,
    35_711_959_237.355_67,
    17_921_034_426.037_21,
    6_039_542_586.352_028,
    1_439_720_407.311_721_6,
    248_874_557.862_054_17,
    31_426_415.585_400_194,
    2_876_370.628_935_372_5,
    186_056.265_395_223_48,
    8_071.672_002_365_816,
    210.824_277_751_579_36,
    2.506_628_274_631_000_2,
];

const DENOMINATOR: [f64; 13] = [
    0.0,
    39_916_800.0,
    120_543_840.0,
    150_917_976.0,
    105_258_076.0,
    45_995_730.0,
    13_339_535.0,
    2_637_558.0,
    357_423.0,
    32_670.0,
    1_925.0,
    66.0,
    1.0,
];

/// The rational function of the formula, for `x > 0`. Large arguments count down, so that neither
/// part overflows.
fn lanczos_sum(x: f64) -> f64 {
    let (mut above, mut below) = (0.0, 0.0);
    if x < 5.0 {
        for (&a, &b) in NUMERATOR.iter().zip(&DENOMINATOR).rev() {
            above = above * x + a;
            below = below * x + b;
        }
    } else {
        for (&a, &b) in NUMERATOR.iter().zip(&DENOMINATOR) {
            above = above / x + a;
            below = below / x + b;
        }
    }
    above / below
}

/// The sine of `PI * x`, exact where it is 0.
fn sin_pi(x: f64) -> f64 {
    let within = fmod(x.abs(), 2.0);
    #[expect(clippy::cast_possible_truncation, reason = "it is 0 to 4")]
    let sine = match (2.0 * within).round() as i32 {
        0 => sys::sin(PI * within),
        1 => sys::cos(PI * (within - 0.5)),
        2 => sys::sin(PI * (1.0 - within)),
        3 => -sys::cos(PI * (within - 1.5)),
        _ => sys::sin(PI * (within - 2.0)),
    };
    1.0_f64.copysign(x) * sine
}

/// The gamma function: NaN or an infinity where Python raises.
pub(crate) extern "C" fn gamma(x: f64) -> f64 {
    /// Factorials that floats hold exactly: up to 22.
    const MOST_EXACT: f64 = 23.0;
    if !x.is_finite() {
        return if x < 0.0 { f64::NAN } else { x };
    }
    if x == 0.0 {
        return f64::INFINITY.copysign(x);
    }
    if x == x.floor() {
        if x < 0.0 {
            return f64::NAN;
        }
        if x <= MOST_EXACT {
            let mut product = 1.0;
            let mut factor = 2.0;
            while factor < x {
                product *= factor;
                factor += 1.0;
            }
            return product;
        }
    }
    let size = x.abs();
    if size < 1e-20 {
        return 1.0 / x;
    }
    if size > 200.0 {
        return if x < 0.0 {
            0.0 / sin_pi(x)
        } else {
            f64::INFINITY
        };
    }
    let y = size + G_MINUS_HALF;
    // What the sum has rounded away.
    let rounded = if size > G_MINUS_HALF {
        (y - size) - G_MINUS_HALF
    } else {
        (y - G_MINUS_HALF) - size
    };
    let z = rounded * G / y;
    if x < 0.0 {
        let mut r = -PI / sin_pi(size) / size * sys::exp(y) / lanczos_sum(size);
        r -= z * r;
        if size < 140.0 {
            r / sys::pow(y, size - 0.5)
        } else {
            let root = sys::pow(y, size / 2.0 - 0.25);
            r / root / root
        }
    } else {
        let mut r = lanczos_sum(size) / sys::exp(y);
        r += z * r;
        if size < 140.0 {
            r * sys::pow(y, size - 0.5)
        } else {
            let root = sys::pow(y, size / 2.0 - 0.25);
            r * root * root
        }
    }
}

/// The logarithm of the magnitude of the gamma function: an infinity where Python raises.
pub(crate) extern "C" fn lgamma(x: f64) -> f64 {
    if !x.is_finite() {
        return if x.is_nan() { x } else { f64::INFINITY };
    }
    if x == x.floor() && x <= 2.0 {
        return if x <= 0.0 { f64::INFINITY } else { 0.0 };
    }
    let size = x.abs();
    if size < 1e-20 {
        return -sys::log(size);
    }
    let mut r = sys::log(lanczos_sum(size)) - G;
    r += (size - 0.5) * (sys::log(size + G - 0.5) - 1.0);
    if x < 0.0 {
        r = LOG_PI - sys::log(sin_pi(size).abs()) - sys::log(size) - r;
    }
    r
}
