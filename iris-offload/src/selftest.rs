//! Whether the running Python computes a function of `math` as this crate does.
//!
//! `hypot` has changed from version to version, and a build of Python may fuse products and sums of
//! `gamma`, or bring a libm of its own. So these functions are compared at some points, in every
//! bit, before the first function that calls them is compiled.

use iris_jit::ir::{FunctionBuilder, Math1, Math2};
use iris_jit::{Compiler, Interpreter, Type, Value};

/// Points at which a function is compared.
const POINTS: u64 = 512;

enum Op {
    One(Math1),
    Two(Math2),
}

fn op(name: &str) -> Option<Op> {
    Some(match name {
        "cbrt" => Op::One(Math1::Cbrt),
        "gamma" => Op::One(Math1::Gamma),
        "lgamma" => Op::One(Math1::Lgamma),
        "hypot" | "dist" => Op::Two(Math2::Hypot),
        _ => return None,
    })
}

/// Whether a function of `math` is to be compared at all.
pub fn is_asked(name: &str) -> bool {
    op(name).is_some()
}

/// Whether this crate computes a function in other bits than the one that is asked: `ask` gives the
/// result for its arguments, which are positive, or `None` where there is no such function.
/// For `dist`, the arguments are those of `hypot`.
pub fn differs(name: &str, mut ask: impl FnMut(&[f64]) -> Option<f64>) -> bool {
    let Some(op) = op(name) else {
        return false;
    };
    let count = if matches!(op, Op::One(_)) { 1 } else { 2 };
    let mut b = FunctionBuilder::new(name, &[Type::F64; 2][..count], Type::F64);
    let result = match op {
        Op::One(op) => b.math1(op, b.param(0)),
        Op::Two(op) => b.math2(op, b.param(0), b.param(1)),
    };
    b.ret(result);
    let Some(own) = b.finish().ok().and_then(|f| Interpreter.compile(&f).ok()) else {
        return true;
    };
    (0..POINTS).any(|number| {
        let args = [point(2 * number), point(2 * number + 1)];
        let values = args.map(Value::F64);
        match (own.call(&values[..count]), ask(&args[..count])) {
            (Ok(Value::F64(own)), Some(other)) => own.to_bits() != other.to_bits(),
            _ => true,
        }
    })
}

/// Floats from 0.01 to 100, with bits in all places.
fn point(number: u64) -> f64 {
    // splitmix64
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = f64::from_bits(0x3ff0_0000_0000_0000 | (z ^ (z >> 31)) >> 12) - 1.0;
    0.01 + unit * unit * unit * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_other_bits_is_noticed() {
        let root = |args: &[f64]| Some((args[0] * args[0] + args[1] * args[1]).sqrt());
        assert!(differs("hypot", root));
        assert!(differs("cbrt", |args| Some(args[0].powf(1.0 / 3.0))));
        assert!(differs("gamma", |_| None));
        assert!(!differs("sin", |_| None));
    }
}
