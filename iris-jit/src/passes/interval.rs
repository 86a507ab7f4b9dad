//! Sets of integers from one bound to another.

use crate::ir::{BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison};

/// The integers from `low` to `high`, both included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Interval {
    pub(crate) const ALL: Self = Self::new(i64::MIN, i64::MAX);

    pub(crate) const fn new(low: i64, high: i64) -> Self {
        Self { low, high }
    }

    pub(crate) const fn of(value: i64) -> Self {
        Self::new(value, value)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    pub(crate) fn has(self, value: i64) -> bool {
        self.low <= value && value <= self.high
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    /// What is in both; `self` if nothing is: no run comes to a place with such a value.
    pub(crate) fn clip(self, other: Self) -> Self {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        if low <= high {
            Self::new(low, high)
        } else {
            self
        }
    }

    /// What is left of `self` if it compares so with some value of `other`.
    pub(crate) fn where_compared(self, op: Comparison, other: Self) -> Self {
        match op {
            Comparison::Eq => self.clip(other),
            Comparison::Ne if other.low == other.high => {
                let (mut low, mut high) = (self.low, self.high);
                if low == other.low && low < high {
                    low += 1;
                } else if high == other.low && low < high {
                    high -= 1;
                }
                Self::new(low, high)
            }
            Comparison::Ne => self,
            Comparison::Lt => self.clip(Self::new(i64::MIN, other.high.saturating_sub(1))),
            Comparison::Le => self.clip(Self::new(i64::MIN, other.high)),
            Comparison::Gt => self.clip(Self::new(other.low.saturating_add(1), i64::MAX)),
            Comparison::Ge => self.clip(Self::new(other.low, i64::MAX)),
        }
    }

    /// Whether all values of `self` compare so with all of `other`, if that is known.
    pub(crate) fn compare(self, op: Comparison, other: Self) -> Option<bool> {
        let below = self.high < other.low;
        let above = self.low > other.high;
        let at_most = self.high <= other.low;
        let at_least = self.low >= other.high;
        let decide = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
        let equal = at_most && at_least;
        match op {
            Comparison::Eq => decide(equal, below || above),
            Comparison::Ne => decide(below || above, equal),
            Comparison::Lt => decide(below, at_least),
            Comparison::Le => decide(at_most, above),
            Comparison::Gt => decide(above, at_most),
            Comparison::Ge => decide(at_least, below),
        }
    }
}

/// The results that a guarded operation can have, and whether its guard can fire.
pub(crate) fn checked(op: CheckedBinaryOp, a: Interval, b: Interval) -> (Interval, bool) {
    match op {
        CheckedBinaryOp::IntAdd => exact([wide(a.low) + wide(b.low), wide(a.high) + wide(b.high)]),
        CheckedBinaryOp::IntSub => exact([wide(a.low) - wide(b.high), wide(a.high) - wide(b.low)]),
        CheckedBinaryOp::IntMul => {
            let (range, fires) = exact(corners(a, b, |x, y| x * y));
            if !fires {
                return (range, false);
            }
            // Only operands whose product fits come further: 3 * n is at most 2**63 - 2.
            let within = |x: Interval, by: Interval| {
                let factor = (by.low == by.high && by.low.unsigned_abs() >= 2).then_some(by.low)?;
                Some(exact(corners(x.clip(factors(factor)), by, |x, y| x * y)).0)
            };
            let tighter = within(a, b).or_else(|| within(b, a));
            (tighter.unwrap_or(range), true)
        }
        CheckedBinaryOp::IntFloorDiv if b.low > 0 => {
            (exact(corners(a, b, i128::div_euclid)).0, false)
        }
        CheckedBinaryOp::IntMod if b.low > 0 => {
            let fits = a.low >= 0 && a.high < b.low;
            let rest = Interval::new(0, b.high - 1);
            (if fits { a } else { rest }, false)
        }
        CheckedBinaryOp::IntFloorDiv | CheckedBinaryOp::IntMod => {
            (Interval::ALL, division_fails(a, b))
        }
        CheckedBinaryOp::IntShl if a.low >= 0 => (Interval::new(a.low, i64::MAX), true),
        CheckedBinaryOp::IntShr => {
            let result = Interval::new(a.low.min(0), a.high.max(-1));
            (result, b.low < 0)
        }
        CheckedBinaryOp::IntGcd
        | CheckedBinaryOp::IntLcm
        | CheckedBinaryOp::IntComb
        | CheckedBinaryOp::IntPerm => (Interval::new(0, i64::MAX), true),
        CheckedBinaryOp::IntShl | CheckedBinaryOp::IntPow | CheckedBinaryOp::IntRound => {
            (Interval::ALL, true)
        }
    }
}

fn division_fails(a: Interval, b: Interval) -> bool {
    b.has(0) || (b.has(-1) && a.has(i64::MIN))
}

/// The results of an operation on one integer, and whether its guard can fire.
pub(crate) fn checked_unary(op: CheckedUnaryOp, a: Interval) -> (Interval, bool) {
    match op {
        CheckedUnaryOp::IntNeg => exact([-wide(a.high), -wide(a.low)]),
        CheckedUnaryOp::IntAbs if a.low >= 0 => (a, false),
        CheckedUnaryOp::IntAbs => exact([0, wide(a.high).abs().max(wide(a.low).abs())]),
        CheckedUnaryOp::FloatToInt => (Interval::ALL, true),
        CheckedUnaryOp::IntSqrt => (Interval::new(0, i64::MAX), a.low < 0),
        CheckedUnaryOp::IntFactorial => (Interval::new(1, i64::MAX), true),
    }
}

/// The results of an operation on bits, or of a sum that may wrap.
pub(crate) fn total(op: BinaryOp, a: Interval, b: Interval) -> Interval {
    match op {
        BinaryOp::IntAddWrapping => {
            let (sum, wraps) = checked(CheckedBinaryOp::IntAdd, a, b);
            if wraps { Interval::ALL } else { sum }
        }
        // No bit is set that is not set in both.
        BinaryOp::IntAnd => match (a.low >= 0, b.low >= 0) {
            (true, true) => Interval::new(0, a.high.min(b.high)),
            (true, false) => Interval::new(0, a.high),
            (false, true) => Interval::new(0, b.high),
            (false, false) => Interval::ALL,
        },
        // No bit is set above the highest of both.
        BinaryOp::IntOr | BinaryOp::IntXor if a.low >= 0 && b.low >= 0 => {
            let bits = a.high | b.high;
            let mask = u64::MAX >> (bits.leading_zeros().min(63));
            Interval::new(0, if bits == 0 { 0 } else { mask.cast_signed() })
        }
        _ => Interval::ALL,
    }
}

fn wide(value: i64) -> i128 {
    i128::from(value)
}

fn corners(a: Interval, b: Interval, op: fn(i128, i128) -> i128) -> [i128; 2] {
    let (a, b) = ([wide(a.low), wide(a.high)], [wide(b.low), wide(b.high)]);
    let all = [
        op(a[0], b[0]),
        op(a[0], b[1]),
        op(a[1], b[0]),
        op(a[1], b[1]),
    ];
    [
        all.into_iter().fold(all[0], i128::min),
        all.into_iter().fold(all[0], i128::max),
    ]
}

/// The integers whose product with a factor of at least 2 in magnitude fits 64 bits.
pub(crate) fn factors(factor: i64) -> Interval {
    let (a, b) = (i64::MIN / factor, i64::MAX / factor);
    Interval::new(a.min(b), a.max(b))
}

/// The part that 64 bits hold, and whether there is more.
fn exact([low, high]: [i128; 2]) -> (Interval, bool) {
    let clamp = |value: i128| {
        let bounded = value.clamp(wide(i64::MIN), wide(i64::MAX));
        i64::try_from(bounded).expect("clamped to 64 bits")
    };
    let beyond = low < wide(i64::MIN) || high > wide(i64::MAX);
    (Interval::new(clamp(low), clamp(high)), beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All results of an operation on two small sets are in the set that is foretold, and where one
    /// is missing the guard is foretold to fire.
    #[test]
    fn results_are_as_foretold() {
        let edges = [
            i64::MIN,
            i64::MIN + 1,
            -7,
            -2,
            -1,
            0,
            1,
            2,
            3,
            8,
            i64::MAX - 1,
            i64::MAX,
        ];
        for (i, &al) in edges.iter().enumerate() {
            for &ah in &edges[i..] {
                for (j, &bl) in edges.iter().enumerate() {
                    for &bh in &edges[j..] {
                        let (a, b) = (Interval::new(al, ah), Interval::new(bl, bh));
                        check_pair(a, b, &edges);
                    }
                }
            }
        }
    }

    fn check_pair(a: Interval, b: Interval, edges: &[i64]) {
        for &x in edges.iter().filter(|&&x| a.has(x)) {
            for &y in edges.iter().filter(|&&y| b.has(y)) {
                for &op in CheckedBinaryOp::ALL {
                    let (range, fires) = checked(op, a, b);
                    match crate::interp::checked_binary(op, x, y) {
                        Some(result) => assert!(range.has(result), "{op:?} {x} {y} {range:?}"),
                        None => assert!(fires, "{op:?} {x} {y} in {a:?} {b:?}"),
                    }
                }
                for (op, result) in [
                    (BinaryOp::IntAddWrapping, x.wrapping_add(y)),
                    (BinaryOp::IntAnd, x & y),
                    (BinaryOp::IntOr, x | y),
                    (BinaryOp::IntXor, x ^ y),
                ] {
                    assert!(total(op, a, b).has(result), "{op:?} {x} {y}");
                }
                for &op in Comparison::ALL {
                    let holds = crate::interp::compare(op, &x, &y);
                    assert!(a.compare(op, b).is_none_or(|known| known == holds));
                    assert!(!holds || a.where_compared(op, b).has(x), "{op:?} {x} {y}");
                }
            }
            for op in [CheckedUnaryOp::IntNeg, CheckedUnaryOp::IntAbs] {
                let (range, fires) = checked_unary(op, a);
                let result = match op {
                    CheckedUnaryOp::IntNeg => x.checked_neg(),
                    _ => x.checked_abs(),
                };
                match result {
                    Some(result) => assert!(range.has(result), "{op:?} {x}"),
                    None => assert!(fires, "{op:?} {x}"),
                }
            }
        }
    }
}
