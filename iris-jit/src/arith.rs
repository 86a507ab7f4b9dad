//! Arithmetic that is more than one machine instruction, shared by the interpreter and the helpers
//! that compiled code calls. Nothing here panics: a panic may not cross compiled frames.

use crate::libm;

/// Floored quotient, or `None` where 64 bits have none.
pub(crate) fn int_floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let remainder = a.wrapping_sub(quotient.wrapping_mul(b));
    let below = remainder != 0 && (remainder < 0) != (b < 0);
    Some(if below { quotient - 1 } else { quotient })
}

/// Remainder with the sign of the divisor, or `None` where [`int_floor_div`] has none.
pub(crate) fn int_mod(a: i64, b: i64) -> Option<i64> {
    let remainder = a.checked_rem(b)?;
    let below = remainder != 0 && (remainder < 0) != (b < 0);
    Some(if below { remainder + b } else { remainder })
}

/// Exact power, or `None` for a negative exponent or a result beyond 64 bits.
pub(crate) fn int_pow(base: i64, exponent: i64) -> Option<i64> {
    match (base, exponent) {
        (_, ..=-1) => None,
        // Exponents beyond 32 bits have a result for these bases only.
        (0, 1..) => Some(0),
        (1, _) => Some(1),
        (-1, _) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

/// Left shift, or `None` for a negative count or lost bits.
pub(crate) fn int_shl(a: i64, count: i64) -> Option<i64> {
    let count = u32::try_from(count).ok().filter(|&count| count < 64)?;
    let shifted = a << count;
    (shifted >> count == a).then_some(shifted)
}

/// Right shift with sign, or `None` for a negative count.
pub(crate) fn int_shr(a: i64, count: i64) -> Option<i64> {
    (count >= 0).then(|| a >> count.min(63))
}

/// An index into that many elements, negative ones from the end, as one from 0.
pub(crate) fn index(len: i64, index: i64) -> Option<i64> {
    let from_start = if index < 0 { index + len } else { index };
    (0..len).contains(&from_start).then_some(from_start)
}

/// The integral part, or `None` for NaN, infinities and beyond 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
pub(crate) fn float_to_int(x: f64) -> Option<i64> {
    // 2**63 itself is a float but no i64; NaN fails both comparisons.
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&x)
        .then_some(x as i64)
}

/// Whether an integer is at most 2**53 in magnitude.
pub(crate) fn int_fits_float(x: i64) -> bool {
    x.unsigned_abs() <= 1 << 53
}

/// Remainder with the sign of the divisor. The remainder of `fmod` is exact; only the shift by one
/// divisor rounds, and a zero takes the divisor's sign.
pub(crate) fn float_mod(x: f64, y: f64) -> f64 {
    let remainder = libm::fmod(x, y);
    if remainder == 0.0 {
        0.0_f64.copysign(y)
    } else if (y < 0.0) != (remainder < 0.0) {
        remainder + y
    } else {
        remainder
    }
}

/// Floored quotient. It is derived from the exact remainder, not from the rounded quotient, so
/// that `x == (x // y) * y + x % y` holds as closely as floats allow.
pub(crate) fn float_floor_div(x: f64, y: f64) -> f64 {
    let remainder = libm::fmod(x, y);
    let mut quotient = (x - remainder) / y;
    if remainder != 0.0 && (y < 0.0) != (remainder < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0.0_f64.copysign(x / y);
    }
    // `quotient` is a whole number up to rounding: snap to the nearest one.
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_division_rounds_down() {
        assert_eq!(int_floor_div(-7, 2), Some(-4));
        assert_eq!(int_mod(-7, 3), Some(2));
        assert_eq!(int_mod(7, -3), Some(-2));
        assert_eq!(int_floor_div(7, 0), None);
        assert_eq!(int_floor_div(i64::MIN, -1), None);
        assert_eq!(int_mod(i64::MIN, -1), None);
        assert_eq!(int_floor_div(i64::MIN, 1), Some(i64::MIN));
    }

    #[test]
    fn powers_are_exact_or_none() {
        assert_eq!(int_pow(0, 0), Some(1));
        assert_eq!(int_pow(-1, i64::MAX), Some(-1));
        assert_eq!(int_pow(-2, 63), Some(i64::MIN));
        assert_eq!(int_pow(2, 63), None);
        assert_eq!(int_pow(2, -1), None);
        assert_eq!(int_pow(2, 1 << 40), None);
    }

    #[test]
    fn shifts_are_exact_or_none() {
        assert_eq!(int_shl(1, 62), Some(1 << 62));
        assert_eq!(int_shl(1, 63), None);
        assert_eq!(int_shl(-1, 63), Some(i64::MIN));
        assert_eq!(int_shl(1, -1), None);
        assert_eq!(int_shr(-5, 100), Some(-1));
        assert_eq!(int_shr(5, -1), None);
    }

    #[test]
    fn float_remainders_take_the_sign_of_the_divisor() {
        assert!(float_mod(-7.0, 3.0).to_bits() == 2.0_f64.to_bits());
        assert!(float_mod(-6.0, 3.0).to_bits() == 0.0_f64.to_bits());
        assert!(float_mod(6.0, -3.0).to_bits() == (-0.0_f64).to_bits());
        assert!(float_mod(1.0, f64::NEG_INFINITY).to_bits() == f64::NEG_INFINITY.to_bits());
        assert!(float_floor_div(-1.0, f64::INFINITY).to_bits() == (-1.0_f64).to_bits());
        assert!(float_floor_div(-0.0, 3.0).to_bits() == (-0.0_f64).to_bits());
        assert!(float_floor_div(1.0, 0.1).to_bits() == 9.0_f64.to_bits());
        let snapped = float_floor_div(71_460.571_673_566_28, 1.628_448_501_982_140_9);
        assert!(snapped.to_bits() == 43_882.0_f64.to_bits());
    }

    #[test]
    fn conversion_stops_at_the_edge() {
        assert_eq!(float_to_int(9_223_372_036_854_775_808.0), None);
        assert_eq!(float_to_int(-9_223_372_036_854_775_808.0), Some(i64::MIN));
        assert_eq!(float_to_int(-0.9), Some(0));
        assert_eq!(float_to_int(f64::NAN), None);
    }
}
