//! Loops that do nothing but `x = (a * x + b) % 2**k`: many rounds in one.
//!
//! Such a step composed with itself is a step of the same form, whose constants are known modulo 2**64.
//! While `x` lies in `0..2**k`, where no product overflows, a block before the loop does many rounds
//! at once; the loop itself does what is left, and a first round from elsewhere with its guards.

use super::interval::{Interval, checked};
use crate::ir::{
    BinaryOp, Block, BlockData, CheckedBinaryOp, Comparison, Function, GuardId, Inst, Op, Target,
    Terminator, Val,
};
use crate::types::{Type, Value};

/// Rounds that are done at once.
const ROUNDS: i64 = 32;

/// A step `x = (factor * x + addend) & mask`.
#[derive(Clone, Copy)]
struct Step {
    factor: i64,
    addend: i64,
    mask: i64,
}

/// A loop that only counts and steps.
struct Stepping {
    header: usize,
    body: usize,
    /// Who enters it.
    before: usize,
    counter: usize,
    bound: Val,
    poll: GuardId,
    /// What becomes of each parameter of the header but the counter; `None` for one that stays.
    steps: Vec<Option<Step>>,
}

/// The function with such loops sped up, if it has any.
pub(crate) fn with_rounds_joined(function: &Function) -> Option<Function> {
    let found: Vec<_> = (0..function.blocks.len())
        .filter_map(|header| stepping(function, header))
        .collect();
    if found.is_empty() {
        return None;
    }
    let mut out = function.clone();
    for stepping in found {
        join(&mut out, &stepping);
    }
    Some(out)
}

fn stepping(function: &Function, header: usize) -> Option<Stepping> {
    let head = &function.blocks[header];
    let Some(Terminator::Branch { cond, then, .. }) = &head.terminator else {
        return None;
    };
    let body = then.block.0 as usize;
    let inside = &function.blocks[body];
    let Some(Terminator::Jump(back)) = &inside.terminator else {
        return None;
    };
    let goes_to = |from: usize, to: usize| {
        let ends = function.blocks[from].terminator.iter();
        let mut targets = ends.flat_map(Terminator::targets);
        targets.any(|target| target.block.0 as usize == to)
    };
    let of = |to: usize| (0..function.blocks.len()).filter(move |&from| goes_to(from, to));
    let mut entries = of(header).filter(|&from| from != body);
    let (before, None) = (entries.next()?, entries.next()) else {
        return None;
    };
    if back.block.0 as usize != header || of(body).count() != 1 || !inside.params.is_empty() {
        return None;
    }
    let Some(Terminator::Jump(entry)) = &function.blocks[before].terminator else {
        return None;
    };
    let op_of = |value: Val| {
        let mut insts = function.blocks.iter().flat_map(|block| &block.insts);
        let inst = insts.find(|inst| inst.result == Some(value));
        inst.map(|inst| inst.op)
    };
    let int = |value: Val| match op_of(value) {
        Some(Op::Const(Value::I64(value))) => Some(value),
        _ => None,
    };
    let Op::Compare(Comparison::Lt, count, bound) = op_of(*cond)? else {
        return None;
    };
    let is_of_loop = |value: Val| {
        let defined = |block: &BlockData| {
            let mut insts = block.insts.iter();
            block.params.contains(&value) || insts.any(|inst| inst.result == Some(value))
        };
        defined(head) || defined(inside)
    };
    let counter = head.params.iter().position(|&param| param == count)?;
    let counts = match op_of(back.args[counter])? {
        Op::Binary(BinaryOp::IntAddWrapping, a, by) => a == count && int(by) == Some(1),
        _ => false,
    };
    let from_start = int(entry.args[counter]).is_some_and(|start| start >= 0);
    if !counts
        || !from_start
        || is_of_loop(bound)
        || head.insts.iter().any(|inst| has_effect(inst.op))
    {
        return None;
    }
    let mut steps = Vec::new();
    let mut used = 0;
    for (index, (&param, &next)) in head.params.iter().zip(&back.args).enumerate() {
        steps.push(if index == counter || param == next {
            None
        } else {
            let (step, ops) = step(&op_of, &int, param, next)?;
            used += ops;
            Some(step)
        });
    }
    // Each guard in the body is one of the steps'.
    let guarded = inside
        .insts
        .iter()
        .filter(|inst| has_effect(inst.op))
        .count();
    let polls = inside.insts.iter().filter_map(|inst| match inst.op {
        Op::Poll(guard) => Some(guard),
        _ => None,
    });
    let polls: Vec<_> = polls.collect();
    let [poll] = polls[..] else {
        return None;
    };
    (used > 0 && guarded == used + 1).then_some(Stepping {
        header,
        body,
        before,
        counter,
        bound,
        poll,
        steps,
    })
}

/// Whether an operation does more than give a value.
fn has_effect(op: Op) -> bool {
    op.guard().is_some() || matches!(op, Op::Assume(_))
}

/// `next` as a step of `param`, and how many guarded operations that takes.
fn step(
    op_of: &impl Fn(Val) -> Option<Op>,
    int: &impl Fn(Val) -> Option<i64>,
    param: Val,
    next: Val,
) -> Option<(Step, usize)> {
    let (mut value, mask, mut guarded) = match op_of(next)? {
        Op::CheckedBinary(CheckedBinaryOp::IntMod, a, by, _) => {
            let by = int(by).filter(|&by| by > 1 && by.count_ones() == 1)?;
            (a, by - 1, 1)
        }
        Op::Binary(BinaryOp::IntAnd, a, mask) => {
            let is_mask = |&mask: &i64| mask > 0 && (mask & mask.wrapping_add(1)) == 0;
            (a, int(mask).filter(is_mask)?, 0)
        }
        _ => return None,
    };
    // From the outside in, then applied from the inside out.
    let mut ops = Vec::new();
    while value != param {
        let Op::CheckedBinary(op, a, b, _) = op_of(value)? else {
            return None;
        };
        guarded += 1;
        let (rest, by) = match (op, int(a), int(b)) {
            (_, None, Some(by)) => (a, by),
            (CheckedBinaryOp::IntAdd | CheckedBinaryOp::IntMul, Some(by), None) => (b, by),
            _ => return None,
        };
        ops.push((op, by));
        value = rest;
    }
    let mut range = Interval::new(0, mask);
    let (mut factor, mut addend) = (1_i64, 0_i64);
    for (op, by) in ops.into_iter().rev() {
        let (result, overflows) = checked(op, range, Interval::of(by));
        if overflows {
            return None;
        }
        range = result;
        match op {
            CheckedBinaryOp::IntAdd => addend = addend.wrapping_add(by),
            CheckedBinaryOp::IntSub => addend = addend.wrapping_sub(by),
            CheckedBinaryOp::IntMul => {
                (factor, addend) = (factor.wrapping_mul(by), addend.wrapping_mul(by));
            }
            _ => return None,
        }
    }
    let step = Step {
        factor,
        addend,
        mask,
    };
    Some((step, guarded))
}

/// The step done so many times.
fn repeated(step: Step, times: i64) -> Step {
    let (mut factor, mut addend) = (1_i64, 0_i64);
    for _ in 0..times {
        addend = addend.wrapping_mul(step.factor).wrapping_add(step.addend);
        factor = factor.wrapping_mul(step.factor);
    }
    Step {
        factor,
        addend,
        ..step
    }
}

/// Puts the block that does many rounds before the loop, and on its way back.
fn join(out: &mut Function, of: &Stepping) {
    let types: Vec<Type> = out.blocks[of.header]
        .params
        .iter()
        .map(|param| out.value_types[param.0 as usize])
        .collect();
    let mut make = Maker { out };
    let params: Vec<Val> = types.iter().map(|&ty| make.value(ty)).collect();
    let mut test = Vec::new();
    let less = make.int(&mut test, 1 - ROUNDS);
    let last = make.binary(&mut test, BinaryOp::IntAddWrapping, of.bound, less);
    let count = params[of.counter];
    // The counter is not negative: where it is below the bound, the difference does not wrap.
    let mut all = make.compare(&mut test, count, of.bound);
    let enough = make.compare(&mut test, count, last);
    all = make.binary(&mut test, BinaryOp::BoolAnd, all, enough);
    let mut many = Vec::new();
    let mut next = params.clone();
    for (index, step) in of.steps.iter().enumerate() {
        let Some(step) = *step else {
            continue;
        };
        let x = params[index];
        let (minus_one, beyond) = (make.int(&mut test, -1), make.int(&mut test, step.mask));
        let above = make.compare(&mut test, minus_one, x);
        all = make.binary(&mut test, BinaryOp::BoolAnd, all, above);
        // `x & mask == x` would do for both, but is no bound that others understand.
        let outside = make.compare(&mut test, beyond, x);
        let inside = make.push(&mut test, Op::Unary(crate::ir::UnaryOp::BoolNot, outside));
        all = make.binary(&mut test, BinaryOp::BoolAnd, all, inside);
        let step = repeated(step, ROUNDS);
        let factor = make.int(&mut many, step.factor);
        let addend = make.int(&mut many, step.addend);
        let mask = make.int(&mut many, step.mask);
        let product = make.binary(&mut many, BinaryOp::IntMulWrapping, x, factor);
        let sum = make.binary(&mut many, BinaryOp::IntAddWrapping, product, addend);
        next[index] = make.binary(&mut many, BinaryOp::IntAnd, sum, mask);
    }
    let rounds = make.int(&mut many, ROUNDS);
    next[of.counter] = make.binary(&mut many, BinaryOp::IntAddWrapping, count, rounds);
    many.push(Inst {
        op: Op::Poll(of.poll),
        result: None,
    });
    let first = out.blocks.len();
    let block = |index: usize| Block(u32::try_from(index).expect("few blocks"));
    let (ahead, round) = (block(first), block(first + 1));
    let target = |block, args| Target { block, args };
    out.blocks.push(BlockData {
        terminator: Some(Terminator::Branch {
            cond: all,
            then: target(round, Vec::new()),
            otherwise: target(block(of.header), params.clone()),
        }),
        params,
        insts: test,
    });
    out.blocks.push(BlockData {
        params: Vec::new(),
        insts: many,
        terminator: Some(Terminator::Jump(target(ahead, next))),
    });
    for from in [of.before, of.body] {
        if let Some(Terminator::Jump(to)) = &mut out.blocks[from].terminator {
            to.block = ahead;
        }
    }
}

struct Maker<'a> {
    out: &'a mut Function,
}

impl Maker<'_> {
    fn value(&mut self, ty: Type) -> Val {
        self.out.value_types.push(ty);
        Val(u32::try_from(self.out.value_types.len() - 1).expect("few values"))
    }

    fn push(&mut self, insts: &mut Vec<Inst>, op: Op) -> Val {
        let ty = op.result_type(&self.out.value_types);
        let result = self.value(ty.expect("an operation with a result"));
        insts.push(Inst {
            op,
            result: Some(result),
        });
        result
    }

    fn int(&mut self, insts: &mut Vec<Inst>, value: i64) -> Val {
        self.push(insts, Op::Const(Value::I64(value)))
    }

    fn binary(&mut self, insts: &mut Vec<Inst>, op: BinaryOp, a: Val, b: Val) -> Val {
        self.push(insts, Op::Binary(op, a, b))
    }

    fn compare(&mut self, insts: &mut Vec<Inst>, a: Val, b: Val) -> Val {
        self.push(insts, Op::Compare(Comparison::Lt, a, b))
    }
}
