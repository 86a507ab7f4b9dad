//! `round(x, digits)` of floats: the float nearest to the decimal that is nearest to `x`.
//!
//! Both steps are exact, as `CPython`'s are: the decimal is chosen by the exact value of `x`, ties
//! to even.

use std::fmt::{self, Write};

use super::float::remainder;

/// Powers of ten that floats hold exactly: the last is 10**22.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Digits behind the point from which on every float is its own rounding.
const MOST_DIGITS: f64 = 323.0;

/// Whole numbers from here on have no half between them.
const TWO_52: f64 = 4_503_599_627_370_496.0;

/// Rounds to so many digits behind the point, a whole number; NaN where it has no answer: 23 digits
/// and more before the point.
pub(crate) extern "C" fn round_digits(x: f64, digits: f64) -> f64 {
    if !x.is_finite() || x == 0.0 || digits > MOST_DIGITS {
        return x;
    }
    #[expect(clippy::cast_possible_truncation, reason = "its range is checked")]
    let digits = digits.max(-1000.0) as i32;
    match usize::try_from(digits) {
        Ok(digits) => behind_the_point(x, digits),
        Err(_) => before_the_point(x, digits.unsigned_abs() as usize),
    }
}

/// The remainder is exact, and so rounds only the last step.
fn before_the_point(x: f64, digits: usize) -> f64 {
    match TENS.get(digits) {
        Some(&unit) => (x - remainder(x, unit)).copysign(x),
        None => f64::NAN,
    }
}

fn behind_the_point(x: f64, digits: usize) -> f64 {
    if x.abs() >= TWO_52 {
        return x;
    }
    let Some(&unit) = TENS.get(digits) else {
        return by_text(x, digits);
    };
    let scaled = x * unit;
    if scaled.abs() >= TWO_52 {
        return by_text(x, digits);
    }
    // `scaled + lost` is exactly `x * unit`, unless it is far below a half. It matters at a tie only:
    // halves are floats here, so rounding does not cross them.
    let lost = x.mul_add(unit, -scaled);
    let nearest = scaled.round_ties_even();
    let over = scaled - nearest;
    let whole = if over == 0.5 && lost > 0.0 {
        nearest + 1.0
    } else if over == -0.5 && lost < 0.0 {
        nearest - 1.0
    } else {
        nearest
    };
    (whole / unit).copysign(x)
}

fn by_text(x: f64, digits: usize) -> f64 {
    let mut text = Text::default();
    if write!(text, "{x:.digits$}").is_err() {
        return f64::NAN;
    }
    text.as_str().parse().unwrap_or(f64::NAN)
}

/// A decimal: a sign, at most 16 digits, the point and [`MOST_DIGITS`] more.
struct Text {
    bytes: [u8; 360],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        let bytes = [0; 360];
        Self { bytes, len: 0 }
    }
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}
