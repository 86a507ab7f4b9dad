//! Functions of whole numbers, shared by the interpreter and the helpers that compiled code calls:
//! `None` where Python raises, or where 64 bits do not hold the result. Nothing here panics.

/// The floor of the square root, or `None` below zero.
pub(crate) fn isqrt(n: i64) -> Option<i64> {
    (n >= 0).then(|| n.isqrt())
}

/// The product of 1 to `n`, or `None` below zero and from 21 on.
pub(crate) fn factorial(n: i64) -> Option<i64> {
    (0..=20).contains(&n).then(|| (1..=n).product())
}

/// The greatest common divisor, never negative; that of zeros is 0.
pub(crate) fn gcd(a: i64, b: i64) -> Option<i64> {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    // That of the least integer and 0 is 2**63.
    i64::try_from(a).ok()
}

/// The least common multiple, never negative; 0 if one of them is.
pub(crate) fn lcm(a: i64, b: i64) -> Option<i64> {
    if a == 0 || b == 0 {
        return Some(0);
    }
    let divided = a.checked_div(gcd(a, b)?)?;
    divided.checked_mul(b)?.checked_abs()
}

/// How many ways there are to choose `k` of `n`, or `None` below zero.
pub(crate) fn comb(n: i64, k: i64) -> Option<i64> {
    if n < 0 || k < 0 {
        return None;
    }
    if k > n {
        return Some(0);
    }
    // Each round at least doubles the result: there are few before it leaves 64 bits.
    let mut ways: i64 = 1;
    for chosen in 1..=k.min(n - k) {
        let wider = i128::from(ways) * i128::from(n - chosen + 1) / i128::from(chosen);
        ways = i64::try_from(wider).ok()?;
    }
    Some(ways)
}

/// How many ordered ways there are to choose `k` of `n`, or `None` below zero.
pub(crate) fn perm(n: i64, k: i64) -> Option<i64> {
    if n < 0 || k < 0 {
        return None;
    }
    if k > n {
        return Some(0);
    }
    let mut ways: i64 = 1;
    for chosen in 0..k {
        ways = ways.checked_mul(n - chosen)?;
    }
    Some(ways)
}

/// To a multiple of a power of ten, ties to the even multiple; as it is for `digits` from 0 on.
pub(crate) fn round(n: i64, digits: i64) -> Option<i64> {
    /// 10 to this power is more than twice any integer.
    const BEYOND: i64 = 20;
    if digits >= 0 {
        return Some(n);
    }
    if digits <= -BEYOND {
        return Some(0);
    }
    let unit = 10_i128.pow(u32::try_from(-digits).ok()?);
    let n = i128::from(n);
    let (below, over) = (n.div_euclid(unit), n.rem_euclid(unit));
    let up = over * 2 > unit || over * 2 == unit && below % 2 != 0;
    i64::try_from((below + i128::from(up)) * unit).ok()
}

/// Bits of the magnitude, without leading zeros.
pub(crate) fn bit_length(n: i64) -> i64 {
    i64::from(u64::BITS - n.unsigned_abs().leading_zeros())
}

/// Ones among the bits of the magnitude.
pub(crate) fn bit_count(n: i64) -> i64 {
    i64::from(n.unsigned_abs().count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_beyond_64_bits_are_none() {
        assert_eq!(factorial(20), Some(2_432_902_008_176_640_000));
        assert_eq!(factorial(21), None);
        assert_eq!(gcd(i64::MIN, 0), None);
        assert_eq!(gcd(i64::MIN, 6), Some(2));
        assert_eq!(lcm(i64::MIN, 1), None);
        assert_eq!(lcm(-4, 6), Some(12));
        assert_eq!(lcm(i64::MAX, 2), None);
        assert_eq!(comb(66, 33), Some(7_219_428_434_016_265_740));
        assert_eq!(comb(68, 34), None);
        assert_eq!(comb(i64::MAX, i64::MAX - 1), Some(i64::MAX));
        assert_eq!(comb(i64::MAX, 40), None);
        assert_eq!(comb(3, 4), Some(0));
        assert_eq!(perm(20, 20), factorial(20));
        assert_eq!(perm(i64::MAX, 2), None);
        assert_eq!(isqrt(i64::MAX), Some(3_037_000_499));
        assert_eq!(isqrt(-1), None);
    }

    #[test]
    fn ints_round_to_even_multiples() {
        assert_eq!(round(25, -1), Some(20));
        assert_eq!(round(35, -1), Some(40));
        assert_eq!(round(-25, -1), Some(-20));
        assert_eq!(round(-26, -1), Some(-30));
        assert_eq!(round(i64::MIN, 3), Some(i64::MIN));
        assert_eq!(round(i64::MAX, -1), None);
        assert_eq!(round(4_999_999_999_999_999_999, -19), Some(0));
        assert_eq!(round(5_000_000_000_000_000_001, -19), None);
        assert_eq!(round(i64::MAX, -20), Some(0));
    }

    #[test]
    fn bits_are_those_of_the_magnitude() {
        assert_eq!(bit_length(0), 0);
        assert_eq!(bit_length(-8), 4);
        assert_eq!(bit_length(i64::MIN), 64);
        assert_eq!(bit_count(-7), 3);
    }
}
