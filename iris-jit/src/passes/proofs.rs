//! Which guards never fire.

use std::collections::HashMap;

use super::counter::is_counter;
use super::facts::{Facts, Spot, swapped};
use super::interval::{Interval, checked, checked_unary};
use super::ranges::Ranges;
use crate::ir::{CheckedBinaryOp, Comparison, Function, Op, Val};

/// What is known of one instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// Its guard never fires.
    pub(crate) never: bool,
    /// Bounds of its first integer operand; of the other one of a product by a constant.
    pub(crate) operand: Interval,
    /// Its second operand, an integer, is above 0.
    pub(crate) divisor_is_positive: bool,
}

impl Proof {
    /// That of an instruction about which nothing is known.
    pub(crate) const NONE: Self = Self {
        never: false,
        operand: Interval::ALL,
        divisor_is_positive: false,
    };
}

/// What is known of the instructions of a function, by block and number.
#[derive(Debug, Default)]
pub(crate) struct Proofs(HashMap<(usize, usize), Proof>);

impl Proofs {
    pub(crate) fn of(&self, block: usize, at: usize) -> Proof {
        self.0.get(&(block, at)).copied().unwrap_or(Proof::NONE)
    }
}

/// Functions with more values are compiled without: the time would be felt.
const MOST_VALUES: usize = 4_000;

/// What is known of a verified function.
pub(crate) fn proofs(function: &Function) -> Proofs {
    let insts = || function.blocks().iter().flat_map(|block| &block.insts);
    let is_of_use = |op: Op| {
        matches!(
            op,
            Op::CheckedBinary(..) | Op::CheckedUnary(..) | Op::Index(..) | Op::Store(..)
        )
    };
    if function.value_types.len() > MOST_VALUES || !insts().any(|inst| is_of_use(inst.op)) {
        return Proofs::default();
    }
    let facts = Facts::of(function);
    let ranges = Ranges::of(&facts);
    let mut proofs = HashMap::new();
    for (block, data) in function.blocks().iter().enumerate() {
        for (at, inst) in data.insts.iter().enumerate() {
            let spot = Spot { block, done: at };
            if let Some(proof) = proof(&ranges, inst.op, inst.result, spot) {
                proofs.insert((block, at), proof);
            }
        }
    }
    Proofs(proofs)
}

fn proof(ranges: &Ranges<'_>, op: Op, result: Option<Val>, spot: Spot) -> Option<Proof> {
    let at = |value| ranges.at(value, spot);
    let (never, operand) = match op {
        Op::CheckedBinary(op, a, b, _) => {
            let fires = checked(op, at(a), at(b)).1;
            let sum = matches!(op, CheckedBinaryOp::IntAdd | CheckedBinaryOp::IntSub);
            let counts = || sum && result.is_some_and(|result| is_counter(ranges, result));
            let scaled = op == CheckedBinaryOp::IntMul && ranges.facts.constant(a).is_some();
            (!fires || counts(), at(if scaled { b } else { a }))
        }
        Op::CheckedUnary(op, a, _) if ranges.facts.is_int(a) => {
            (!checked_unary(op, at(a)).1, at(a))
        }
        Op::Index(array, dim, index, _) => {
            let operand = at(index);
            let inside = operand.low >= 0 && is_below_length(ranges, index, array, dim, spot);
            (inside, operand)
        }
        Op::Store(array, _, value, _) => {
            let array = ranges.facts.function.value_types[array.0 as usize].array()?;
            let (low, high) = array.elem.int_range()?;
            let operand = at(value);
            (Interval::new(low, high).contains(operand), operand)
        }
        Op::Guard(cond, _) => (ranges.truth(cond, spot) == Some(true), Interval::ALL),
        _ => return None,
    };
    let divisor_is_positive = match op {
        Op::CheckedBinary(_, _, b, _) => at(b).low > 0,
        _ => false,
    };
    Some(Proof {
        never,
        operand,
        divisor_is_positive,
    })
}

/// Whether an index is below the length of a dimension because something says so.
fn is_below_length(ranges: &Ranges<'_>, index: Val, array: Val, dim: u8, spot: Spot) -> bool {
    let facts = ranges.facts;
    let (base, plus) = offset(ranges, index);
    let (mut at_most, mut differs) = (None::<i128>, false);
    facts.at(spot, |fact| {
        facts.comparisons(fact, &mut |op, a, b| {
            for (op, a, b) in [(op, a, b), (swapped(op), b, a)] {
                let (a, behind) = offset(ranges, a);
                let (limit, beyond) = offset(ranges, resolved(ranges, b, spot));
                if a != base || facts.op(limit) != Some(Op::Length(array, dim)) {
                    continue;
                }
                // The index less the length compares so with this.
                let bound = match (op, beyond - behind + plus) {
                    (Comparison::Lt, bound) => bound - 1,
                    (Comparison::Le | Comparison::Eq, bound) => bound,
                    (Comparison::Ne, bound) => {
                        differs |= bound == 0;
                        continue;
                    }
                    (Comparison::Gt | Comparison::Ge, _) => continue,
                };
                at_most = Some(at_most.map_or(bound, |known| known.min(bound)));
            }
        });
    });
    at_most.is_some_and(|bound| bound < 0 || (bound == 0 && differs))
}

/// A value as another one and a constant, where the sum is exact.
fn offset(ranges: &Ranges<'_>, mut value: Val) -> (Val, i128) {
    let facts = ranges.facts;
    let mut plus = 0_i128;
    // Chains are short; the bound is for the time alone.
    for _ in 0..8 {
        let (rest, by) = match facts.op(value) {
            Some(Op::CheckedBinary(CheckedBinaryOp::IntAdd, a, b, _)) => {
                match (facts.constant(a), facts.constant(b)) {
                    (_, Some(by)) => (a, i128::from(by)),
                    (Some(by), _) => (b, i128::from(by)),
                    _ => break,
                }
            }
            Some(Op::CheckedBinary(CheckedBinaryOp::IntSub, a, b, _)) => match facts.constant(b) {
                Some(by) => (a, -i128::from(by)),
                None => break,
            },
            _ => break,
        };
        (value, plus) = (rest, plus + by);
    }
    (value, plus)
}

/// What a choice gives, where the condition is known.
fn resolved(ranges: &Ranges<'_>, value: Val, spot: Spot) -> Val {
    match ranges.facts.op(value) {
        Some(Op::Select(cond, a, b)) => match ranges.truth(cond, spot) {
            Some(true) => a,
            Some(false) => b,
            None => value,
        },
        _ => value,
    }
}
