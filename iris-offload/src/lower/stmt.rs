//! Statements: local names as SSA values, joined by block parameters.

use iris_jit::ir::{Block, Comparison, GuardKind, Val};
use iris_jit::{Type, Value};

use super::{Lowerer, Operand, Slot, refuse};
use crate::hir::{Expr, Stmt, StmtKind};
use crate::refusal::Refusal;
use crate::signature::python_name;

/// Whether control goes on behind a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Next,
    Returned,
}

/// The end of one arm of an `if`.
struct ArmEnd {
    block: Block,
    locals: Vec<Slot>,
}

impl Lowerer<'_> {
    pub(super) fn function(&mut self) -> Result<(), Refusal> {
        match self.body(&self.hir.body)? {
            Flow::Returned => Ok(()),
            Flow::Next => refuse(
                self.hir.span,
                format!(
                    "{} can end without a return, which gives None",
                    self.hir.name
                ),
                "return a number on every path",
            ),
        }
    }

    fn body(&mut self, body: &[Stmt]) -> Result<Flow, Refusal> {
        let mut flow = Flow::Next;
        for stmt in body {
            if flow == Flow::Returned {
                return refuse(
                    stmt.span,
                    "a statement after a return",
                    "remove the dead code",
                );
            }
            flow = self.stmt(stmt)?;
        }
        Ok(flow)
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<Flow, Refusal> {
        match &stmt.kind {
            StmtKind::Pass => Ok(Flow::Next),
            StmtKind::Assign(targets, value) => {
                let value = self.value(value)?;
                for target in targets {
                    self.locals[target.0] = Slot::Bound(value);
                }
                Ok(Flow::Next)
            }
            StmtKind::Return(value) => {
                let operand = self.value(value)?;
                self.ret(value, operand)
            }
            StmtKind::If {
                test,
                then,
                otherwise,
            } => self.branch(test, then, otherwise),
        }
    }

    fn ret(&mut self, value: &Expr, operand: Operand) -> Result<Flow, Refusal> {
        let ret = *self.ret.get_or_insert(operand.ty);
        if ret != operand.ty {
            return refuse(
                value.span,
                format!(
                    "the function returns {} here and {} elsewhere",
                    python_name(operand.ty),
                    python_name(ret)
                ),
                "convert with float() or int() so that every return has one type",
            );
        }
        self.b.set_ret(ret);
        let settled = operand.constant.is_some_and(|constant| match constant {
            Value::F64(value) => !value.is_nan(),
            Value::I64(_) | Value::Bool(_) => true,
        });
        if ret == Type::F64 && !settled {
            let number = self.b.compare(Comparison::Eq, operand.val, operand.val);
            self.b.guard(number, GuardKind::NanResult, value.span);
        }
        self.b.ret(operand.val);
        Ok(Flow::Returned)
    }

    fn branch(&mut self, test: &Expr, then: &[Stmt], other: &[Stmt]) -> Result<Flow, Refusal> {
        let cond = self.truth(test)?;
        let (then_block, other_block) = (self.b.create_block(&[]), self.b.create_block(&[]));
        self.b.branch(cond, (then_block, &[]), (other_block, &[]));
        let before = self.locals.clone();
        let then_end = self.arm(then_block, then)?;
        self.locals = before;
        let other_end = self.arm(other_block, other)?;
        match (then_end, other_end) {
            (None, None) => Ok(Flow::Returned),
            (Some(end), None) | (None, Some(end)) => {
                self.b.switch_to(end.block);
                self.locals = end.locals;
                Ok(Flow::Next)
            }
            (Some(then), Some(other)) => {
                self.join(&then, &other);
                Ok(Flow::Next)
            }
        }
    }

    /// Lowers one arm; gives its end if it does not return.
    fn arm(&mut self, block: Block, body: &[Stmt]) -> Result<Option<ArmEnd>, Refusal> {
        self.b.switch_to(block);
        Ok(match self.body(body)? {
            Flow::Next => Some(ArmEnd {
                block: self.b.current(),
                locals: self.locals.clone(),
            }),
            Flow::Returned => None,
        })
    }

    /// Continues in a new block, which takes each local that the arms bind to different values.
    fn join(&mut self, then: &ArmEnd, other: &ArmEnd) {
        let mut types: Vec<Type> = Vec::new();
        let (mut then_args, mut other_args): (Vec<Val>, Vec<Val>) = (Vec::new(), Vec::new());
        let mut joined: Vec<(usize, Type)> = Vec::new();
        for (local, (&a, &b)) in then.locals.iter().zip(&other.locals).enumerate() {
            self.locals[local] = match (a, b) {
                (Slot::Bound(a), Slot::Bound(b)) if a.val == b.val => Slot::Bound(a),
                (Slot::Bound(a), Slot::Bound(b)) if a.ty == b.ty => {
                    types.push(a.ty);
                    then_args.push(a.val);
                    other_args.push(b.val);
                    joined.push((local, a.ty));
                    continue;
                }
                (Slot::Bound(a), Slot::Bound(b)) => Slot::Mixed(a.ty, b.ty),
                (Slot::Unbound, Slot::Unbound) => Slot::Unbound,
                (Slot::Mixed(a, b), Slot::Mixed(..) | Slot::Bound(_))
                | (Slot::Bound(_), Slot::Mixed(a, b)) => Slot::Mixed(a, b),
                _ => Slot::PartlyBound,
            };
        }
        let block = self.b.create_block(&types);
        for (end, args) in [(then, then_args), (other, other_args)] {
            self.b.switch_to(end.block);
            self.b.jump(block, &args);
        }
        self.b.switch_to(block);
        for (index, (local, ty)) in joined.into_iter().enumerate() {
            let val = self.b.block_params(block)[index];
            self.locals[local] = Slot::Bound(Operand {
                val,
                ty,
                constant: None,
            });
        }
    }
}
