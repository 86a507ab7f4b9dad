//! Counters: sums that no run is long enough to make overflow.
//!
//! What starts near 0 and only ever has small numbers added to it needs 2**58 additions to leave 64
//! bits. Machine code does one at a time: that takes years.

use std::collections::HashSet;

use super::facts::Spot;
use super::interval::Interval;
use super::ranges::Ranges;
use crate::ir::{CheckedBinaryOp, Op, Val};

/// Where a counter may start.
const START: Interval = Interval::new(-(1 << 32), 1 << 32);

/// What one addition may add.
const STEP: Interval = Interval::new(-16, 16);

/// Values that one counter may go through.
const MOST: usize = 64;

/// Whether the result of a guarded sum or difference is one that a counter takes on.
pub(super) fn is_counter(ranges: &Ranges<'_>, result: Val) -> bool {
    let facts = ranges.facts;
    let mut seen = HashSet::from([result]);
    let mut pending = vec![result];
    while let Some(value) = pending.pop() {
        if seen.len() > MOST {
            return false;
        }
        let mut go_on = |from: Val| {
            if seen.insert(from) {
                pending.push(from);
            }
        };
        let Some(&(block, at)) = facts.defined.get(&value) else {
            return false;
        };
        let Some(done) = at else {
            if block == 0 {
                return false;
            }
            let params = &facts.function.blocks()[block].params;
            let index = params.iter().position(|&param| param == value);
            for entry in &facts.entries[block] {
                go_on(entry.args[index.expect("defined as a parameter")]);
            }
            continue;
        };
        let spot = Spot { block, done };
        let small = |value: Val| STEP.contains(ranges.at(value, spot));
        match facts.function.blocks()[block].insts[done].op {
            Op::CheckedBinary(CheckedBinaryOp::IntAdd, a, b, _) if small(b) => go_on(a),
            Op::CheckedBinary(CheckedBinaryOp::IntAdd, a, b, _) if small(a) => go_on(b),
            Op::CheckedBinary(CheckedBinaryOp::IntSub, a, b, _) if small(b) => go_on(a),
            Op::Select(_, a, b) => {
                go_on(a);
                go_on(b);
            }
            _ if START.contains(ranges.at(value, spot)) => {}
            _ => return false,
        }
    }
    true
}
