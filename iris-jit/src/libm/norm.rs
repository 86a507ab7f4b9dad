//! `math.hypot` of two arguments, as `CPython` computes it from 3.10 on: squares and sums as
//! unevaluated pairs of floats, and one step of Newton's behind the root.

/// A sum of two floats, the second what the first has lost.
#[derive(Clone, Copy)]
struct Pair {
    high: f64,
    low: f64,
}

/// Exactly `x * y`.
fn product(x: f64, y: f64) -> Pair {
    let high = x * y;
    let low = x.mul_add(y, -high);
    Pair { high, low }
}

/// Exactly `x + y`, with `x` the larger one.
fn sum(x: f64, y: f64) -> Pair {
    let high = x + y;
    let low = (x - high) + y;
    Pair { high, low }
}

/// Sums of squares that start at 1, so that each addition has its larger operand first.
struct Squares {
    total: f64,
    /// What products and sums have lost.
    lost: [f64; 2],
}

impl Squares {
    fn add(&mut self, x: f64, y: f64) {
        let square = product(x, y);
        let total = sum(self.total, square.high);
        self.total = total.high;
        self.lost[0] += square.low;
        self.lost[1] += total.low;
    }

    fn value(&self) -> f64 {
        self.total - 1.0 + (self.lost[0] + self.lost[1])
    }
}

/// The length of the vector (x, y). An infinity wins over NaN. Of subnormal numbers it is NaN:
/// versions of `CPython` differ there.
pub(crate) extern "C" fn hypot(x: f64, y: f64) -> f64 {
    let (x, y) = (x.abs(), y.abs());
    if x.is_infinite() || y.is_infinite() {
        return f64::INFINITY;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let largest = if x > y { x } else { y };
    if largest == 0.0 {
        return largest;
    }
    let exponent = super::float::exponent(largest);
    if exponent < -1023.0 {
        return f64::NAN;
    }
    let scale = super::float::scale(1.0, -exponent);
    let mut squares = Squares {
        total: 1.0,
        lost: [0.0; 2],
    };
    for part in [x, y] {
        let scaled = part * scale;
        squares.add(scaled, scaled);
    }
    let root = squares.value().sqrt();
    squares.add(-root, root);
    let corrected = root + squares.value() / (2.0 * root);
    corrected / scale
}
