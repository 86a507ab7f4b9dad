//! Branches around a few cheap operations that become straight code: a branch on data that cannot be
//! foretold costs more than both of its arms.
//!
//! An integer operation that may overflow is done all the same: what it gives where its arm is not
//! taken is not chosen, and its guard asks which arm it is before it leaves.
//!
//! Integers and bools are chosen by a conditional move. A float would be chosen by a jump, so only
//! sums and products are: `if c: total += x` adds `x` or else `-0.0`, which changes no float, and
//! what is chosen are the bits of `x`, out of the way of the chain of additions.

use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, types};

use super::Emitter;
use crate::ir::{BinaryOp, CheckedBinaryOp, Function, Inst, Op, Target, Terminator, UnaryOp, Val};
use crate::types::Type;

/// Most operations in an arm.
const MOST_INSTS: usize = 4;

/// Most values that the arms choose between.
const MOST_VALUES: usize = 3;

/// Two arms that meet again, and what each value is there.
pub(super) struct Diamond<'a> {
    arms: [&'a [Inst]; 2],
    pub(super) blocks: [usize; 2],
    join: usize,
    values: Vec<Joined>,
}

/// What a value is where the arms meet.
#[derive(Clone, Copy)]
enum Joined {
    /// The same from both.
    Same(Val),
    /// That of the arm that is taken.
    Chosen(Val, Val),
    /// `before op by` from one arm, in place of which it is `result`, and `before` from the other.
    Accumulated {
        op: BinaryOp,
        before: Val,
        by: Val,
        result: Val,
        if_true: bool,
    },
}

impl<'a> Emitter<'a> {
    /// The two arms of a branch, if they may as well be done both.
    pub(super) fn diamond(&self, then: &Target, otherwise: &Target) -> Option<Diamond<'a>> {
        let function: &'a Function = self.function;
        let ((a, a_end), (b, b_end)) = (self.arm(function, then)?, self.arm(function, otherwise)?);
        let pairs = a_end.args.iter().zip(&b_end.args);
        let differ = pairs.clone().filter(|(a, b)| a != b).count();
        if a_end.block != b_end.block || then.block == otherwise.block || differ > MOST_VALUES {
            return None;
        }
        let values = pairs.map(|(&x, &y)| {
            if x == y {
                return Some(Joined::Same(x));
            }
            if function.value_types[x.0 as usize] != Type::F64 {
                return Some(Joined::Chosen(x, y));
            }
            accumulated(a, a_end, x, y, true).or_else(|| accumulated(b, b_end, y, x, false))
        });
        Some(Diamond {
            arms: [a, b],
            blocks: [then.block.0 as usize, otherwise.block.0 as usize],
            join: a_end.block.0 as usize,
            values: values.collect::<Option<_>>()?,
        })
    }

    /// Does both arms, and goes on where they meet.
    pub(super) fn join(&mut self, from: usize, cond: Val, diamond: &Diamond<'_>) {
        let is_last = |inst: &Inst| {
            diamond.values.iter().any(|joined| {
                matches!(joined, Joined::Accumulated { result, .. } if inst.result == Some(*result))
            })
        };
        let taken = self.get(cond);
        let arms = diamond.arms.into_iter().zip(diamond.blocks);
        for ((arm, block), if_true) in arms.zip([true, false]) {
            self.refresh(block);
            self.only_if = Some((taken, if_true));
            for (at, inst) in arm.iter().enumerate() {
                if !is_last(inst) {
                    self.inst(block, at, inst);
                }
            }
        }
        self.only_if = None;
        let mut args = Vec::with_capacity(diamond.values.len());
        for &joined in &diamond.values {
            args.push(BlockArg::Value(self.joined(cond, joined)));
        }
        let join = self.way(from, diamond.join);
        self.builder.ins().jump(join, &args);
    }

    /// The operations of a block that only this branch leads to, and where it goes on.
    fn arm(&self, function: &'a Function, target: &Target) -> Option<(&'a [Inst], &'a Target)> {
        let data = &function.blocks()[target.block.0 as usize];
        let fits = data.params.is_empty() && data.insts.len() <= MOST_INSTS;
        if !fits || !data.insts.iter().all(|inst| self.is_cheap(inst.op)) {
            return None;
        }
        match &data.terminator {
            Some(Terminator::Jump(end)) if predecessors(function, target) == 1 => {
                Some((&data.insts, end))
            }
            _ => None,
        }
    }

    /// Whether an operation has some result for all operands, and is done in a few cycles.
    fn is_cheap(&self, op: Op) -> bool {
        match op {
            Op::Const(_) | Op::Compare(..) => true,
            Op::Unary(op, _) => !matches!(
                op,
                UnaryOp::FloatSqrt
                    | UnaryOp::FloatFloor
                    | UnaryOp::FloatCeil
                    | UnaryOp::FloatTrunc
                    | UnaryOp::FloatRound
            ),
            Op::Binary(op, ..) => !matches!(
                op,
                BinaryOp::FloatDiv | BinaryOp::FloatFloorDiv | BinaryOp::FloatMod
            ),
            Op::CheckedBinary(op, _, by, _) => match op {
                CheckedBinaryOp::IntAdd | CheckedBinaryOp::IntSub | CheckedBinaryOp::IntMul => true,
                // A shift or a mask; a division would stop the machine at a zero.
                CheckedBinaryOp::IntFloorDiv | CheckedBinaryOp::IntMod => {
                    let by = self.constants.get(&by);
                    by.is_some_and(|&by| by > 0 && by.count_ones() == 1)
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn joined(&mut self, cond: Val, joined: Joined) -> cranelift_codegen::ir::Value {
        let cond = self.get(cond);
        match joined {
            Joined::Same(value) => self.get(value),
            Joined::Chosen(a, b) => {
                let (a, b) = (self.get(a), self.get(b));
                self.builder.ins().select(cond, a, b)
            }
            Joined::Accumulated {
                op,
                before,
                by,
                if_true,
                ..
            } => {
                let by = self.get(by);
                let bits = self
                    .builder
                    .ins()
                    .bitcast(types::I64, MemFlagsData::new(), by);
                let nothing = self.int(neutral(op).to_bits().cast_signed());
                let (a, b) = if if_true {
                    (bits, nothing)
                } else {
                    (nothing, bits)
                };
                let chosen = self.builder.ins().select(cond, a, b);
                let by = self
                    .builder
                    .ins()
                    .bitcast(types::F64, MemFlagsData::new(), chosen);
                let before = self.get(before);
                self.binary(op, before, by)
            }
        }
    }
}

/// `result` as what an arm makes of `before` and nothing else needs.
fn accumulated(
    arm: &[Inst],
    end: &Target,
    result: Val,
    before: Val,
    if_true: bool,
) -> Option<Joined> {
    let made = arm.iter().find(|inst| inst.result == Some(result))?;
    let (op, by) = match made.op {
        Op::Binary(op @ (BinaryOp::FloatAdd | BinaryOp::FloatSub | BinaryOp::FloatMul), a, by)
            if a == before =>
        {
            (op, by)
        }
        Op::Binary(op @ (BinaryOp::FloatAdd | BinaryOp::FloatMul), by, b) if b == before => {
            (op, by)
        }
        _ => return None,
    };
    let in_ops = arm
        .iter()
        .any(|inst| inst.op.operands().any(|val| val == result));
    let uses = end.args.iter().filter(|&&arg| arg == result).count();
    (!in_ops && uses == 1).then_some(Joined::Accumulated {
        op,
        before,
        by,
        result,
        if_true,
    })
}

/// The operand that changes nothing, be the other a zero of either sign.
fn neutral(op: BinaryOp) -> f64 {
    match op {
        BinaryOp::FloatAdd => -0.0,
        BinaryOp::FloatSub => 0.0,
        _ => 1.0,
    }
}

fn predecessors(function: &Function, to: &Target) -> usize {
    let ends = function
        .blocks()
        .iter()
        .filter_map(|block| block.terminator.as_ref());
    let targets = ends.flat_map(Terminator::targets);
    targets.filter(|target| target.block == to.block).count()
}
