//! Branches around a few cheap operations become selects: a branch on data that cannot be foretold
//! costs more than both of its arms.

use cranelift_codegen::ir::{BlockArg, InstBuilder};

use super::Emitter;
use crate::ir::{BinaryOp, Function, Op, Target, Terminator, UnaryOp, Val};

/// Most operations in an arm.
const MOST_INSTS: usize = 4;

/// Most values that the arms choose between.
const MOST_VALUES: usize = 3;

impl<'a> Emitter<'a> {
    /// Where the two arms of a branch meet again, if each is a block of a few operations that may
    /// as well be done in vain.
    pub(super) fn diamond(
        &self,
        then: &Target,
        otherwise: &Target,
    ) -> Option<(&'a Target, &'a Target)> {
        let (a, b) = (self.arm(then)?, self.arm(otherwise)?);
        let differ = a.args.iter().zip(&b.args).filter(|(a, b)| a != b).count();
        (a.block == b.block && then.block != otherwise.block && differ <= MOST_VALUES)
            .then_some((a, b))
    }

    fn arm(&self, target: &Target) -> Option<&'a Target> {
        let function: &'a Function = self.function;
        let data = &function.blocks()[target.block.0 as usize];
        let fits = data.params.is_empty() && data.insts.len() <= MOST_INSTS;
        if !fits || !data.insts.iter().all(|inst| is_cheap(inst.op)) {
            return None;
        }
        match &data.terminator {
            Some(Terminator::Jump(end)) if predecessors(function, target) == 1 => Some(end),
            _ => None,
        }
    }

    /// Goes on where the arms meet, with the values of the one that is taken.
    pub(super) fn join_diamond(&mut self, cond: Val, then: &Target, otherwise: &Target) {
        let cond = self.get(cond);
        let mut args = Vec::with_capacity(then.args.len());
        for (&a, &b) in then.args.iter().zip(&otherwise.args) {
            let (x, y) = (self.get(a), self.get(b));
            args.push(BlockArg::Value(if a == b {
                x
            } else {
                self.builder.ins().select(cond, x, y)
            }));
        }
        let join = self.blocks[then.block.0 as usize];
        self.builder.ins().jump(join, &args);
    }
}

/// Whether an operation has a result for all operands, and is done in a few cycles.
fn is_cheap(op: Op) -> bool {
    match op {
        Op::Const(_) | Op::Compare(..) | Op::Select(..) => true,
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
        _ => false,
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
