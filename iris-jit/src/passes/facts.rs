//! What is known at a place because the run has come there: branches taken, guards passed.

use std::collections::HashMap;

use crate::ir::{BinaryOp, CheckedBinaryOp, Comparison, Function, Op, Terminator, UnaryOp, Val};
use crate::types::{Type, Value};
use crate::verify;

/// A place in a function: a block, and how many of its instructions were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    pub(super) block: usize,
    pub(super) done: usize,
}

/// Something that holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fact {
    /// A bool has this value.
    Holds(Val, bool),
    /// The product of two integers fits.
    Fits(Val, Val),
}

/// The graph of a function, and what each block knows.
pub(super) struct Facts<'a> {
    pub(super) function: &'a Function,
    pub(super) order: Vec<usize>,
    idom: Vec<usize>,
    /// Where each value is defined: its block and, but for parameters, its instruction.
    pub(super) defined: HashMap<Val, (usize, Option<usize>)>,
    /// For each block, who jumps there: the block, and the arguments.
    pub(super) entries: Vec<Vec<Entry>>,
    /// What holds at the start of a block since one branch alone leads there.
    at_start: Vec<Option<Fact>>,
    /// What holds from an instruction of a block on.
    inside: Vec<Vec<(usize, Fact)>>,
}

/// A way into a block.
pub(super) struct Entry {
    pub(super) from: usize,
    pub(super) args: Vec<Val>,
    /// The condition of the branch, if its two ways differ.
    pub(super) fact: Option<Fact>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(function: &'a Function) -> Self {
        let order = verify::emission_order(function);
        let mut facts = Self {
            function,
            idom: verify::immediate_dominators(function),
            order,
            defined: HashMap::new(),
            entries: function.blocks().iter().map(|_| Vec::new()).collect(),
            at_start: vec![None; function.blocks().len()],
            inside: vec![Vec::new(); function.blocks().len()],
        };
        for (block, data) in function.blocks().iter().enumerate() {
            for &param in &data.params {
                facts.defined.insert(param, (block, None));
            }
            for (at, inst) in data.insts.iter().enumerate() {
                if let Some(result) = inst.result {
                    facts.defined.insert(result, (block, Some(at)));
                }
                let fact = match inst.op {
                    Op::Guard(cond, _) | Op::Assume(cond) => Fact::Holds(cond, true),
                    Op::CheckedBinary(CheckedBinaryOp::IntMul, a, b, _) => Fact::Fits(a, b),
                    _ => continue,
                };
                facts.inside[block].push((at, fact));
            }
            facts.add_ways(block, data.terminator.as_ref());
        }
        for block in 0..function.blocks().len() {
            if let [only] = facts.entries[block].as_slice() {
                facts.at_start[block] = only.fact;
            }
        }
        facts
    }

    fn add_ways(&mut self, from: usize, terminator: Option<&Terminator>) {
        let mut add = |target: &crate::ir::Target, fact| {
            let args = target.args.clone();
            let entry = Entry { from, args, fact };
            self.entries[target.block.0 as usize].push(entry);
        };
        match terminator {
            Some(Terminator::Jump(target)) => add(target, None),
            Some(Terminator::Branch {
                cond,
                then,
                otherwise,
            }) => {
                let differ = then.block != otherwise.block;
                let fact = |truth| differ.then_some(Fact::Holds(*cond, truth));
                add(then, fact(true));
                add(otherwise, fact(false));
            }
            Some(Terminator::Return { .. } | Terminator::Bail(_)) | None => {}
        }
    }

    /// The operation that defines a value; `None` for parameters.
    pub(super) fn op(&self, value: Val) -> Option<Op> {
        let &(block, at) = self.defined.get(&value)?;
        Some(self.function.blocks()[block].insts[at?].op)
    }

    pub(super) fn constant(&self, value: Val) -> Option<i64> {
        match self.op(value)? {
            Op::Const(Value::I64(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn is_int(&self, value: Val) -> bool {
        self.function.value_types[value.0 as usize] == Type::I64
    }

    /// Calls `each` with all that holds at a place.
    pub(super) fn at(&self, spot: Spot, mut each: impl FnMut(Fact)) {
        let Spot {
            mut block,
            mut done,
        } = spot;
        loop {
            for &(at, fact) in &self.inside[block] {
                if at < done {
                    each(fact);
                }
            }
            if let Some(fact) = self.at_start[block] {
                each(fact);
            }
            if block == 0 {
                return;
            }
            (block, done) = (self.idom[block], usize::MAX);
        }
    }

    /// Calls `each` with the comparisons of integers that a fact means.
    pub(super) fn comparisons(&self, fact: Fact, each: &mut dyn FnMut(Comparison, Val, Val)) {
        let Fact::Holds(cond, truth) = fact else {
            return;
        };
        match self.op(cond) {
            Some(Op::Compare(op, a, b)) if self.is_int(a) => {
                each(if truth { op } else { negated(op) }, a, b);
            }
            Some(Op::Unary(UnaryOp::BoolNot, inner)) => {
                self.comparisons(Fact::Holds(inner, !truth), each);
            }
            Some(Op::Binary(BinaryOp::BoolAnd, a, b)) if truth => {
                self.comparisons(Fact::Holds(a, true), each);
                self.comparisons(Fact::Holds(b, true), each);
            }
            Some(Op::Binary(BinaryOp::BoolOr, a, b)) if !truth => {
                self.comparisons(Fact::Holds(a, false), each);
                self.comparisons(Fact::Holds(b, false), each);
            }
            _ => {}
        }
    }
}

/// The comparison of integers that holds where this one does not.
fn negated(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq => Comparison::Ne,
        Comparison::Ne => Comparison::Eq,
        Comparison::Lt => Comparison::Ge,
        Comparison::Le => Comparison::Gt,
        Comparison::Gt => Comparison::Le,
        Comparison::Ge => Comparison::Lt,
    }
}

/// The comparison with its operands exchanged.
pub(super) fn swapped(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq | Comparison::Ne => op,
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
    }
}
