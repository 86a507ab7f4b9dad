//! Expressions: names, conditions, comparisons.

use iris_jit::ir::{Comparison, GuardKind, Span, UnaryOp, Val};
use iris_jit::{Type, Value};

use super::{Lowerer, Operand, Slot, bool, refuse};
use crate::env::Binding;
use crate::hir::{CompareOp, Expr, ExprKind, FreeId, LocalId};
use crate::refusal::Refusal;
use crate::signature::python_name;

/// Which operand decides a chain of `and` or `or`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// `and`: the first false one.
    AtFalse,
    /// `or`: the first true one.
    AtTrue,
}

impl Lowerer<'_> {
    /// The value of an expression.
    pub(super) fn value(&mut self, expr: &Expr) -> Result<Operand, Refusal> {
        match &expr.kind {
            ExprKind::Int(value) => Ok(self.constant(Value::I64(*value))),
            ExprKind::Float(value) => Ok(self.constant(Value::F64(*value))),
            ExprKind::Bool(value) => Ok(self.constant(Value::Bool(*value))),
            ExprKind::Local(local) => self.local(*local, expr.span),
            ExprKind::Free(free) => self.free(*free, expr.span),
            ExprKind::Unary(op, operand) => {
                let operand = self.value(operand)?;
                self.unary(*op, operand, expr.span)
            }
            ExprKind::Not(_) => self.truth(expr).map(bool),
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.binary(*op, a, b, expr.span)
            }
            ExprKind::And(operands) => self.chain(operands, Stop::AtFalse),
            ExprKind::Or(operands) => self.chain(operands, Stop::AtTrue),
            ExprKind::Compare(first, links) => self.comparison(first, links),
            ExprKind::Ternary {
                test,
                then,
                otherwise,
            } => self.ternary(test, then, otherwise),
            ExprKind::Call(callee, args) => self.call(*callee, args, expr.span),
        }
    }

    /// Whether an expression is true. Operands of `and` and `or` may differ in type here: only
    /// their truth matters.
    pub(super) fn truth(&mut self, expr: &Expr) -> Result<Val, Refusal> {
        match &expr.kind {
            ExprKind::Not(operand) => {
                let truth = self.truth(operand)?;
                Ok(self.b.unary(UnaryOp::BoolNot, truth))
            }
            ExprKind::And(operands) => self.truth_chain(operands, Stop::AtFalse),
            ExprKind::Or(operands) => self.truth_chain(operands, Stop::AtTrue),
            _ => {
                let operand = self.value(expr)?;
                Ok(self.truth_of(operand))
            }
        }
    }

    /// Whether a value is true: NaN is, both zeros are not.
    pub(super) fn truth_of(&mut self, operand: Operand) -> Val {
        let zero = match operand.ty {
            Type::Bool => return operand.val,
            Type::I64 => self.int(0),
            Type::F64 => self.float(0.0),
        };
        self.b.compare(Comparison::Ne, operand.val, zero)
    }

    fn local(&self, local: LocalId, span: Span) -> Result<Operand, Refusal> {
        let name = &self.hir.locals[local.0];
        match self.locals[local.0] {
            Slot::Bound(operand) => Ok(operand),
            Slot::Unbound => refuse(
                span,
                format!("{name} is read before its assignment"),
                "assign it first, or pass it in",
            ),
            Slot::PartlyBound => refuse(
                span,
                format!("{name} may be unbound or of two types here"),
                "assign it on every path",
            ),
            Slot::Mixed(a, b) => refuse(
                span,
                format!("{name} is {} or {} here", python_name(a), python_name(b)),
                "assign one type on every path",
            ),
        }
    }

    fn free(&mut self, free: FreeId, span: Span) -> Result<Operand, Refusal> {
        let name = &self.hir.free[free.0];
        let path = name.path();
        match self.env.resolve(name) {
            Binding::Int(value) => Ok(self.constant(Value::I64(value))),
            Binding::Float(value) => Ok(self.constant(Value::F64(value))),
            Binding::Bool(value) => Ok(self.constant(Value::Bool(value))),
            Binding::Unbound => refuse(
                span,
                format!("{path} is not defined"),
                "define or import it before the function is called",
            ),
            Binding::Module(_) => refuse(
                span,
                format!("{path} is a module"),
                "read one of its functions or constants",
            ),
            Binding::MathFn(_) | Binding::Builtin(_) => refuse(
                span,
                format!("{path} is a function used as a value"),
                "call it",
            ),
            Binding::Other(ty) => refuse(
                span,
                format!("{path} is no number but of type {ty}"),
                "use a global int, float or bool, or pass it in",
            ),
        }
    }

    fn ternary(&mut self, test: &Expr, then: &Expr, other: &Expr) -> Result<Operand, Refusal> {
        let cond = self.truth(test)?;
        let (then_block, other_block) = (self.b.create_block(&[]), self.b.create_block(&[]));
        self.b.branch(cond, (then_block, &[]), (other_block, &[]));
        self.b.switch_to(then_block);
        let then_value = self.value(then)?;
        let join = self.b.create_block(&[then_value.ty]);
        self.b.jump(join, &[then_value.val]);
        self.b.switch_to(other_block);
        let other_value = self.value(other)?;
        same_type(then_value, other_value, other.span)?;
        self.b.jump(join, &[other_value.val]);
        self.b.switch_to(join);
        Ok(Operand {
            val: self.b.block_params(join)[0],
            ty: then_value.ty,
            constant: None,
        })
    }

    /// `and` or `or` as a value: one of the operands, evaluated as far as needed.
    fn chain(&mut self, operands: &[Expr], stop: Stop) -> Result<Operand, Refusal> {
        let (first, rest) = operands.split_first().expect("a chain has operands");
        let first = self.value(first)?;
        let join = self.b.create_block(&[first.ty]);
        let mut last = first;
        for expr in rest {
            let truth = self.truth_of(last);
            self.stop_or_go_on(truth, last.val, stop, join);
            last = self.value(expr)?;
            same_type(first, last, expr.span)?;
        }
        self.b.jump(join, &[last.val]);
        self.b.switch_to(join);
        Ok(Operand {
            val: self.b.block_params(join)[0],
            ty: first.ty,
            constant: None,
        })
    }

    fn truth_chain(&mut self, operands: &[Expr], stop: Stop) -> Result<Val, Refusal> {
        let (first, rest) = operands.split_first().expect("a chain has operands");
        let mut last = self.truth(first)?;
        let join = self.b.create_block(&[Type::Bool]);
        for expr in rest {
            self.stop_or_go_on(last, last, stop, join);
            last = self.truth(expr)?;
        }
        self.b.jump(join, &[last]);
        self.b.switch_to(join);
        Ok(self.b.block_params(join)[0])
    }

    /// Leaves for `join` with `value` if `truth` decides the chain; else goes on in a new block.
    fn stop_or_go_on(&mut self, truth: Val, value: Val, stop: Stop, join: iris_jit::ir::Block) {
        let next = self.b.create_block(&[]);
        if stop == Stop::AtFalse {
            self.b.branch(truth, (next, &[]), (join, &[value]));
        } else {
            self.b.branch(truth, (join, &[value]), (next, &[]));
        }
        self.b.switch_to(next);
    }

    /// `a < b < c`: each operand once, and only as far as the links hold.
    fn comparison(
        &mut self,
        first: &Expr,
        links: &[(CompareOp, Expr)],
    ) -> Result<Operand, Refusal> {
        let mut left = self.value(first)?;
        let mut holds = None;
        let join = (links.len() > 1).then(|| self.b.create_block(&[Type::Bool]));
        for (op, right) in links {
            if let (Some(holds), Some(join)) = (holds, join) {
                self.stop_or_go_on(holds, holds, Stop::AtFalse, join);
            }
            let operand = self.value(right)?;
            holds = Some(self.compare(*op, left, operand, right.span));
            left = operand;
        }
        let holds = holds.expect("a comparison has a link");
        let Some(join) = join else {
            return Ok(bool(holds));
        };
        self.b.jump(join, &[holds]);
        self.b.switch_to(join);
        Ok(bool(self.b.block_params(join)[0]))
    }

    /// One comparison. An int and a float compare by their exact values: up to 2**53 the int is
    /// exact as a float, beyond it the call bails out.
    pub(super) fn compare(&mut self, op: CompareOp, a: Operand, b: Operand, at: Span) -> Val {
        let (a, b) = (self.number(a), self.number(b));
        if a.ty == b.ty {
            return self.b.compare(op, a.val, b.val);
        }
        let (a, b) = (self.exact_float(a, at), self.exact_float(b, at));
        self.b.compare(op, a, b)
    }

    /// A float of exactly this value, or a bailout.
    pub(super) fn exact_float(&mut self, operand: Operand, at: Span) -> Val {
        let small = |value: i64| value.unsigned_abs() <= 1 << 53;
        if operand.ty == Type::I64 && !operand.constant_int().is_some_and(small) {
            let fits = self.b.unary(UnaryOp::IntFitsFloat, operand.val);
            self.b.guard(fits, GuardKind::Precision, at);
        }
        self.widen(operand).val
    }
}

fn same_type(first: Operand, other: Operand, span: Span) -> Result<(), Refusal> {
    if first.ty == other.ty {
        return Ok(());
    }
    refuse(
        span,
        format!(
            "the value is {} or {} by the run of the program",
            python_name(first.ty),
            python_name(other.ty)
        ),
        "convert with float() or int() so that both have one type",
    )
}
