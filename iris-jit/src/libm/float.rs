//! Exact functions of a float's parts.

use super::{fmod, ldexp};

/// Whole numbers beyond which every scaling gives 0 or infinity.
const FAR: f64 = 5000.0;

/// `x * 2**by`, `by` a whole number.
pub(crate) extern "C" fn scale(x: f64, by: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "its range is clamped")]
    ldexp(x, by.clamp(-FAR, FAR) as i32)
}

/// The part of `x == m * 2**e` with `0.5 <= abs(m) < 1`; zeros, infinities and NaN are their own.
pub(crate) extern "C" fn mantissa(x: f64) -> f64 {
    scale(x, -exponent(x))
}

/// The exponent to [`mantissa`]; 0 for zeros, infinities and NaN.
pub(crate) extern "C" fn exponent(x: f64) -> f64 {
    const BIAS: i32 = 1022;
    const TWO_54: f64 = 18_014_398_509_481_984.0;
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    let bits = |x: f64| i32::try_from(x.to_bits() >> 52 & 0x7ff).unwrap_or(0);
    f64::from(match bits(x) {
        0 => bits(x * TWO_54) - BIAS - 54,
        normal => normal - BIAS,
    })
}

/// The distance to the next float away from zero; of the largest, to the one before.
pub(crate) extern "C" fn ulp(x: f64) -> f64 {
    let x = x.abs();
    if !x.is_finite() {
        return x;
    }
    let above = x.next_up();
    if above.is_infinite() {
        x - x.next_down()
    } else {
        above - x
    }
}

/// The float next to `x` on the way to `y`.
pub(crate) extern "C" fn nextafter(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() {
        f64::NAN
    } else if x == y {
        y
    } else if x < y {
        x.next_up()
    } else {
        x.next_down()
    }
}

/// What is left of `x` by the nearest multiple of `y`, of two the even one; exact. NaN where there
/// is none.
pub(crate) extern "C" fn remainder(x: f64, y: f64) -> f64 {
    if !x.is_finite() || y.is_nan() || y == 0.0 {
        return f64::NAN;
    }
    if y.is_infinite() {
        return x;
    }
    let (size, unit) = (x.abs(), y.abs());
    let below = fmod(size, unit);
    let above = unit - below;
    let rest = if below < above {
        below
    } else if below > above {
        -above
    } else {
        // Half way: the quotient is even if half of its multiple is one too.
        below - 2.0 * fmod(0.5 * (size - below), unit)
    };
    1.0_f64.copysign(x) * rest
}
