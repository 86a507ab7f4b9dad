//! Between which bounds each integer of a function is.
//!
//! Values start without any, and grow by what defines them until nothing changes; a parameter of a
//! block that goes on growing jumps to the next bound that the function itself names, so that this
//! ends. Two more rounds then take back what the jumps gave away: each of them maps bounds that hold
//! to bounds that hold.

use super::facts::{Entry, Fact, Facts, Spot, swapped};
use super::interval::{Interval, checked, checked_unary, factors, total};
use crate::ir::{Comparison, Op, UnaryOp, Val};
use crate::types::{Type, Value};

/// Rounds after which a parameter that still grows jumps.
const PATIENCE: usize = 3;

/// Rounds after which nothing is claimed about any value.
const MOST_ROUNDS: usize = 64;

/// Rounds back.
const NARROWING: usize = 2;

/// The bounds of all integers of a function.
pub(super) struct Ranges<'a> {
    pub(super) facts: &'a Facts<'a>,
    /// `None` for a value that no run defines, as far as is known.
    known: Vec<Option<Interval>>,
    /// Bounds to jump to, in order.
    steps: Vec<i64>,
}

impl<'a> Ranges<'a> {
    pub(super) fn of(facts: &'a Facts<'a>) -> Self {
        let mut ranges = Self {
            facts,
            known: vec![None; facts.function.value_types.len()],
            steps: steps(facts),
        };
        for &param in &facts.function.blocks()[0].params {
            ranges.known[param.0 as usize] = Some(Interval::ALL);
        }
        let settled = (0..MOST_ROUNDS).any(|round| !ranges.grow(round));
        if !settled {
            ranges.known.fill(Some(Interval::ALL));
            return ranges;
        }
        for _ in 0..NARROWING {
            ranges.shrink();
        }
        ranges
    }

    /// The bounds of a value at a place that a run has come to.
    pub(super) fn at(&self, value: Val, spot: Spot) -> Interval {
        self.try_at(value, spot).unwrap_or(Interval::ALL)
    }

    fn base(&self, value: Val) -> Option<Interval> {
        self.known[value.0 as usize]
    }

    fn try_at(&self, value: Val, spot: Spot) -> Option<Interval> {
        let mut range = self.base(value)?;
        self.facts
            .at(spot, |fact| range = self.refined(range, value, fact));
        Some(range)
    }

    /// What a fact leaves of a value's bounds.
    fn refined(&self, mut range: Interval, value: Val, fact: Fact) -> Interval {
        if let Fact::Fits(a, b) = fact {
            if a == value && b == value {
                // The root of the largest integer.
                const ROOT: i64 = 3_037_000_499;
                return range.clip(Interval::new(-ROOT, ROOT));
            }
            let factor = match (a == value, b == value) {
                (true, false) => self.facts.constant(b),
                (false, true) => self.facts.constant(a),
                _ => None,
            };
            return match factor.filter(|factor| factor.unsigned_abs() >= 2) {
                Some(factor) => range.clip(factors(factor)),
                None => range,
            };
        }
        let mut clip = |op: Comparison, a: Val, b: Val| {
            let (op, other) = if a == value {
                (op, b)
            } else if b == value {
                (swapped(op), a)
            } else {
                return;
            };
            if let Some(other) = self.base(other) {
                range = range.where_compared(op, other);
            }
        };
        self.facts.comparisons(fact, &mut clip);
        range
    }

    /// One round upwards; whether anything has changed.
    fn grow(&mut self, round: usize) -> bool {
        let mut changed = false;
        let facts = self.facts;
        for &block in &facts.order {
            let data = &facts.function.blocks()[block];
            for (index, &param) in data.params.iter().enumerate() {
                if block == 0 || !facts.is_int(param) {
                    continue;
                }
                let (old, new) = (self.base(param), self.entering(block, index));
                let mut joined = join(old, new);
                if let (Some(old), Some(grown)) = (old, joined)
                    && round >= PATIENCE
                {
                    joined = Some(self.jump(old, grown));
                }
                changed |= self.set(param, joined);
            }
            for (done, inst) in data.insts.iter().enumerate() {
                if let Some(result) = inst.result.filter(|&result| facts.is_int(result)) {
                    let new = self.result(inst.op, Spot { block, done });
                    let joined = join(self.base(result), new);
                    changed |= self.set(result, joined);
                }
            }
        }
        changed
    }

    /// One round downwards.
    fn shrink(&mut self) {
        let facts = self.facts;
        for &block in &facts.order {
            let data = &facts.function.blocks()[block];
            for (index, &param) in data.params.iter().enumerate() {
                if block != 0 && facts.is_int(param) {
                    let new = self.entering(block, index);
                    self.set(param, new);
                }
            }
            for (done, inst) in data.insts.iter().enumerate() {
                if let Some(result) = inst.result.filter(|&result| facts.is_int(result)) {
                    let new = self.result(inst.op, Spot { block, done });
                    self.set(result, new);
                }
            }
        }
    }

    fn set(&mut self, value: Val, to: Option<Interval>) -> bool {
        let slot = &mut self.known[value.0 as usize];
        let changed = *slot != to;
        *slot = to;
        changed
    }

    /// What comes into a parameter of a block.
    fn entering(&self, block: usize, index: usize) -> Option<Interval> {
        let one = |entry: &Entry| {
            let (arg, block) = (entry.args[index], entry.from);
            let done = usize::MAX;
            let mut range = self.try_at(arg, Spot { block, done })?;
            if let Some(fact) = entry.fact {
                range = self.refined(range, arg, fact);
            }
            Some(range)
        };
        let entries = self.facts.entries[block].iter();
        entries.filter_map(one).reduce(Interval::union)
    }

    /// From `old` to what holds `grown` and has bounds of the list.
    fn jump(&self, old: Interval, grown: Interval) -> Interval {
        let mut to = grown;
        if grown.low < old.low {
            let below = self.steps.iter().rev().find(|&&step| step <= grown.low);
            to.low = below.copied().unwrap_or(i64::MIN);
        }
        if grown.high > old.high {
            let above = self.steps.iter().find(|&&step| step >= grown.high);
            to.high = above.copied().unwrap_or(i64::MAX);
        }
        to
    }

    /// The results of an operation that has one.
    fn result(&self, op: Op, spot: Spot) -> Option<Interval> {
        let at = |value| self.try_at(value, spot);
        Some(match op {
            Op::Const(Value::I64(value)) => Interval::of(value),
            Op::CheckedBinary(op, a, b, _) => checked(op, at(a)?, at(b)?).0,
            Op::CheckedUnary(op, a, _) if self.facts.is_int(a) => checked_unary(op, at(a)?).0,
            Op::Binary(op, a, b) => total(op, at(a)?, at(b)?),
            Op::Unary(UnaryOp::BoolToInt, _) => Interval::new(0, 1),
            Op::Unary(UnaryOp::IntNot, a) => {
                let a = at(a)?;
                Interval::new(!a.high, !a.low)
            }
            Op::Select(cond, a, b) => {
                let chosen = |value, truth| {
                    let range = at(value)?;
                    Some(self.refined(range, value, Fact::Holds(cond, truth)))
                };
                return match self.truth(cond, spot) {
                    Some(true) => chosen(a, true),
                    Some(false) => chosen(b, false),
                    None => join(chosen(a, true), chosen(b, false)),
                };
            }
            Op::Length(..) => Interval::new(0, i64::MAX),
            Op::Index(..) => Interval::new(0, i64::MAX - 1),
            Op::Load(array, ..) => self.element(array),
            _ => Interval::ALL,
        })
    }

    fn element(&self, array: Val) -> Interval {
        let elem = self.facts.function.value_types[array.0 as usize].array();
        let range = elem.and_then(|array| array.elem.int_range());
        range.map_or(Interval::ALL, |(low, high)| Interval::new(low, high))
    }

    /// Whether a bool is true at a place, if that is known.
    pub(super) fn truth(&self, cond: Val, spot: Spot) -> Option<bool> {
        match self.facts.op(cond)? {
            Op::Const(Value::Bool(value)) => Some(value),
            Op::Compare(op, a, b) if self.facts.function.value_types[a.0 as usize] == Type::I64 => {
                self.try_at(a, spot)?.compare(op, self.try_at(b, spot)?)
            }
            Op::Unary(UnaryOp::BoolNot, inner) => self.truth(inner, spot).map(|truth| !truth),
            _ => None,
        }
    }
}

fn join(a: Option<Interval>, b: Option<Interval>) -> Option<Interval> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.union(b)),
        (a, b) => a.or(b),
    }
}

/// Bounds that the function names.
fn steps(facts: &Facts<'_>) -> Vec<i64> {
    let insts = facts
        .function
        .blocks()
        .iter()
        .flat_map(|block| &block.insts);
    let mut steps = vec![-1, 0, 1, i64::from(i32::MAX), i64::from(i32::MIN)];
    for inst in insts {
        if let Op::Const(Value::I64(value)) = inst.op {
            steps.extend([value.saturating_sub(1), value, value.saturating_add(1)]);
        }
    }
    steps.sort_unstable();
    steps.dedup();
    steps
}
