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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{ArrayType, Elem};
    use crate::ir::{BinaryOp, FunctionBuilder, GuardKind, Place, Span};
    use crate::types::{Type, Value};

    const AT: Span = Span { line: 1, column: 1 };

    fn array(elem: Elem) -> Type {
        Type::Array(ArrayType {
            elem,
            ndim: 1,
            contiguous: true,
            writable: true,
            numpy: false,
        })
    }

    fn checked(b: &mut FunctionBuilder, op: CheckedBinaryOp, x: Val, y: Val) -> Val {
        b.checked_binary(op, x, y, GuardKind::Overflow, AT)
    }

    /// Whether the guard of each guarded instruction is found never to fire, in order.
    fn never(b: FunctionBuilder) -> Vec<bool> {
        let function = b.finish().expect("a test builds good functions");
        let proofs = proofs(&function);
        let mut found = Vec::new();
        for (block, data) in function.blocks().iter().enumerate() {
            for (at, inst) in data.insts.iter().enumerate() {
                if inst.op.guard().is_some() && !matches!(inst.op, Op::Poll(_) | Op::Load(..)) {
                    found.push(proofs.of(block, at).never);
                }
            }
        }
        found
    }

    /// A loop from `start` while the count is below a bound; `body` gives the next count.
    fn looped(
        b: &mut FunctionBuilder,
        start: Val,
        bound: Val,
        body: impl FnOnce(&mut FunctionBuilder, Val) -> Val,
    ) {
        let head = b.create_block(&[Type::I64]);
        b.jump(head, &[start]);
        b.switch_to(head);
        let count = b.block_params(head)[0];
        let more = b.compare(Comparison::Lt, count, bound);
        let (inside, exit) = (b.create_block(&[]), b.create_block(&[]));
        b.branch(more, (inside, &[]), (exit, &[]));
        b.switch_to(inside);
        let next = body(b, count);
        b.jump(head, &[next]);
        b.switch_to(exit);
        b.ret(count);
    }

    #[test]
    fn a_count_below_a_bound_can_go_up_by_one_and_no_more() {
        for (by, fine) in [(1, true), (2, false), (-1, true), (-2, false)] {
            let mut b = FunctionBuilder::new("f", &[Type::I64; 2], Type::I64);
            let (start, bound) = (b.param(0), b.param(1));
            looped(&mut b, start, bound, |b, count| {
                let by = b.constant(Value::I64(by));
                checked(b, CheckedBinaryOp::IntAdd, count, by)
            });
            // From an unknown start downwards nothing is known.
            assert_eq!(never(b), [fine && by > 0], "{by}");
        }
    }

    #[test]
    fn what_a_mask_leaves_bounds_a_product() {
        let mut b = FunctionBuilder::new("f", &[Type::I64], Type::I64);
        let x = b.param(0);
        let (mask, by) = (b.constant(Value::I64(255)), b.constant(Value::I64(1000)));
        let low = b.binary(BinaryOp::IntAnd, x, mask);
        let product = checked(&mut b, CheckedBinaryOp::IntMul, low, by);
        let other = checked(&mut b, CheckedBinaryOp::IntMul, x, by);
        let sum = checked(&mut b, CheckedBinaryOp::IntAdd, product, other);
        b.ret(sum);
        assert_eq!(never(b), [true, false, false]);
    }

    #[test]
    fn a_counter_overflows_in_no_lifetime_but_a_sum_may() {
        for (start, by, fine) in [
            (Some(0), 1, true),
            (Some(0), 16, true),
            (Some(0), -16, true),
            (Some(0), 17, false),
            (Some(1 << 33), 1, false),
            (None, 1, false),
        ] {
            let mut b = FunctionBuilder::new("f", &[Type::I64, Type::Bool], Type::I64);
            let first = match start {
                Some(start) => b.constant(Value::I64(start)),
                None => b.param(0),
            };
            let head = b.create_block(&[Type::I64]);
            b.jump(head, &[first]);
            b.switch_to(head);
            let total = b.block_params(head)[0];
            let (inside, exit) = (b.create_block(&[]), b.create_block(&[]));
            b.branch(b.param(1), (inside, &[]), (exit, &[]));
            b.switch_to(inside);
            let by_val = b.constant(Value::I64(by));
            let next = checked(&mut b, CheckedBinaryOp::IntAdd, total, by_val);
            b.jump(head, &[next]);
            b.switch_to(exit);
            b.ret(total);
            assert_eq!(never(b), [fine], "{start:?} {by}");
        }
    }

    #[test]
    fn an_index_is_inside_only_of_the_array_whose_length_bounds_it() {
        let types = [array(Elem::F64), array(Elem::F64), Type::I64];
        let mut b = FunctionBuilder::new("f", &types, Type::I64);
        let (x, y, n) = (b.param(0), b.param(1), b.param(2));
        let zero = b.constant(Value::I64(0));
        let length = b.length(x, 0);
        looped(&mut b, zero, length, |b, count| {
            let one = b.constant(Value::I64(1));
            b.index(x, 0, count, AT);
            b.index(y, 0, count, AT);
            let next = checked(b, CheckedBinaryOp::IntAdd, count, one);
            b.index(x, 0, next, AT);
            let before = checked(b, CheckedBinaryOp::IntSub, count, one);
            b.index(x, 0, before, AT);
            b.index(x, 0, n, AT);
            next
        });
        assert_eq!(never(b), [true, false, true, false, true, false, false]);
    }

    #[test]
    fn a_neighbor_is_inside_where_the_bound_leaves_room() {
        for (room, fine) in [(1, true), (0, false)] {
            let mut b = FunctionBuilder::new("f", &[array(Elem::F64)], Type::I64);
            let x = b.param(0);
            let (zero, room) = (b.constant(Value::I64(0)), b.constant(Value::I64(room)));
            let length = b.length(x, 0);
            let bound = checked(&mut b, CheckedBinaryOp::IntSub, length, room);
            looped(&mut b, zero, bound, |b, count| {
                let one = b.constant(Value::I64(1));
                let next = checked(b, CheckedBinaryOp::IntAdd, count, one);
                b.index(x, 0, next, AT);
                next
            });
            assert_eq!(never(b), [true, true, fine]);
        }
    }

    #[test]
    fn a_store_fits_where_its_value_does() {
        for (value, fine) in [(127, true), (-128, true), (128, false), (-129, false)] {
            let mut b = FunctionBuilder::new("f", &[array(Elem::I8)], Type::I64);
            let x = b.param(0);
            let zero = b.constant(Value::I64(0));
            let length = b.length(x, 0);
            looped(&mut b, zero, length, |b, count| {
                let (one, value) = (b.constant(Value::I64(1)), b.constant(Value::I64(value)));
                b.store(x, Place::At(count), value, AT);
                b.binary(BinaryOp::IntAddWrapping, count, one)
            });
            assert_eq!(never(b), [fine], "{value}");
        }
    }

    #[test]
    fn a_divisor_above_zero_needs_no_guard() {
        for (least, fine) in [(1, true), (0, false), (-1, false)] {
            let mut b = FunctionBuilder::new("f", &[Type::I64; 2], Type::I64);
            let (x, y) = (b.param(0), b.param(1));
            let least = b.constant(Value::I64(least));
            let enough = b.compare(Comparison::Ge, y, least);
            b.guard(enough, GuardKind::Domain, AT);
            let quotient = checked(&mut b, CheckedBinaryOp::IntFloorDiv, x, y);
            b.ret(quotient);
            assert_eq!(never(b), [false, fine]);
        }
    }
}
