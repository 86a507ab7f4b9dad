//! Expressions: names, choices, comparisons.

use iris_jit::ir::{Comparison, GuardKind, Span, UnaryOp, Val};
use iris_jit::{Type, Value};

use super::state::{Arm, Kind, name};
use super::{Datum, Lowered, Lowerer, Operand, Slot, Stop, bool, refuse};
use crate::env::Binding;
use crate::hir::{self, CompareOp, Expr, ExprKind, FreeId, LocalId};
use crate::refusal::Refusal;

/// Which operand decides a chain of `and` or `or`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decides {
    /// `and`
    False,
    /// `or`
    True,
}

impl Lowerer<'_> {
    /// The value of an expression that must be Python's number; `scalar` takes `NumPy`'s too.
    pub(super) fn value(&mut self, expr: &Expr) -> Lowered<Operand> {
        match self.datum(expr)? {
            Datum::Scalar(operand) if !operand.is_numpy() => Ok(operand),
            other => Err(not_a_number(&other, expr.span)),
        }
    }

    /// What an expression gives.
    pub(super) fn datum(&mut self, expr: &Expr) -> Lowered<Datum> {
        let datum = self.unsettled(expr)?;
        Ok(self.settle(datum, expr.span))
    }

    /// The same, perhaps before it is looked at whether `NumPy` warns of it.
    pub(super) fn unsettled(&mut self, expr: &Expr) -> Lowered<Datum> {
        let scalar = match &expr.kind {
            ExprKind::Int(value) => self.constant(Value::I64(*value)),
            ExprKind::Float(value) => self.constant(Value::F64(*value)),
            ExprKind::Bool(value) => self.constant(Value::Bool(*value)),
            ExprKind::None => return Ok(Datum::None),
            ExprKind::Tuple(items) => return self.tuple(items),
            ExprKind::Local(local) => return self.local(*local, expr.span),
            ExprKind::Walrus(local, value) => return self.walrus(*local, value),
            ExprKind::Free(free) => return self.free(*free, expr.span),
            ExprKind::In(item, container, negated) => {
                self.member(item, container, *negated, expr.span)?
            }
            ExprKind::Is(a, b, negated) => self.identity(a, b, *negated, expr.span)?,
            ExprKind::Method(base, name, args) => self.method(base, name, args, expr.span)?,
            ExprKind::Attribute(base, name) => return self.attribute(base, name, expr.span),
            ExprKind::List(_) => {
                let mend = "use a tuple, or an array that is passed in";
                return refuse(expr.span, "a list that is kept is not compiled", mend);
            }
            ExprKind::Unary(op, operand) => self.unary_expr(*op, operand, expr.span)?,
            ExprKind::Binary(op, a, b) => self.binary_expr(*op, a, b, expr.span)?,
            ExprKind::Not(operand) if Self::is_plain(operand) => self.complement(operand)?,
            ExprKind::Not(_) => self.truth_value(expr)?,
            ExprKind::And(operands) => return self.decided(operands, Decides::False),
            ExprKind::Or(operands) => return self.decided(operands, Decides::True),
            ExprKind::Compare(first, links) => match links.as_slice() {
                [(op, right)] => self.link(*op, first, right)?,
                links => self.chain_value(first, links, expr.span)?,
            },
            ExprKind::Ternary {
                test,
                then,
                otherwise,
            } => return self.ternary(test, then, otherwise),
            ExprKind::Call(call) => return self.call(call, expr.span),
            ExprKind::Index(base, index) => return self.subscript(base, index, expr.span),
            ExprKind::Generator(_) => {
                let mend = "pass it to sum, any or all";
                return refuse(expr.span, "a generator used as a value", mend);
            }
            ExprKind::While(call) => self.while_call(call, expr.span)?,
        };
        Ok(Datum::Scalar(scalar))
    }

    // One function for each kind of expression that nests: `datum` recurses, and all that it holds
    // in one frame counts at each level.

    pub(super) fn tuple(&mut self, items: &[Expr]) -> Lowered<Datum> {
        let items = items.iter().map(|item| self.datum(item));
        Ok(Datum::Tuple(items.collect::<Lowered<_>>()?))
    }

    fn walrus(&mut self, local: LocalId, value: &Expr) -> Lowered<Datum> {
        let value = self.datum(value)?;
        self.locals[local.0] = Slot::Bound(value.clone());
        Ok(value)
    }

    fn unary_expr(&mut self, op: hir::UnaryOp, operand: &Expr, at: Span) -> Lowered<Operand> {
        let operand = self.term(operand)?;
        self.unary(op, operand, at)
    }

    fn binary_expr(&mut self, op: hir::BinaryOp, a: &Expr, b: &Expr, at: Span) -> Lowered<Operand> {
        let (mut x, mut y) = (self.term(a)?, self.term(b)?);
        let stays = match op {
            hir::BinaryOp::Add | hir::BinaryOp::Sub | hir::BinaryOp::Mul => true,
            hir::BinaryOp::Div => y.constant.is_some(),
            _ => false,
        };
        if !stays {
            // What is not finite here may give a result that is.
            (x, y) = (self.settled(x, a.span), self.settled(y, b.span));
        }
        self.binary(op, x, y, at)
    }

    fn complement(&mut self, operand: &Expr) -> Lowered<Operand> {
        let operand = match self.datum(operand)? {
            Datum::Scalar(operand) => operand,
            Datum::None => return Ok(self.constant(Value::Bool(true))),
            Datum::Tuple(items) => return Ok(self.constant(Value::Bool(items.is_empty()))),
            array @ Datum::Array(_) => return Err(not_a_number(&array, operand.span)),
        };
        if let Some(truth) = operand.constant_truth() {
            return Ok(self.constant(Value::Bool(!truth)));
        }
        let truth = self.truth_of(operand);
        Ok(bool(self.b.unary(UnaryOp::BoolNot, truth)))
    }

    fn link(&mut self, op: CompareOp, left: &Expr, right: &Expr) -> Lowered<Operand> {
        let (a, b) = (self.datum(left)?, self.datum(right)?);
        let (a, b) = match (op, a, b) {
            (_, Datum::Scalar(a), Datum::Scalar(b)) => (a, b),
            // None equals itself and no number of Python's.
            (Comparison::Eq | Comparison::Ne, Datum::None, Datum::None) => {
                return Ok(self.constant(Value::Bool(op == Comparison::Eq)));
            }
            (Comparison::Eq | Comparison::Ne, Datum::None, Datum::Scalar(number))
            | (Comparison::Eq | Comparison::Ne, Datum::Scalar(number), Datum::None)
                if !number.is_numpy() =>
            {
                return Ok(self.constant(Value::Bool(op == Comparison::Ne)));
            }
            (_, Datum::Scalar(_), other) => return Err(not_a_number(&other, right.span)),
            (_, other, _) => return Err(not_a_number(&other, left.span)),
        };
        Ok(self.compared(op, a, b, right.span))
    }

    /// One comparison as a value.
    pub(super) fn compared(&mut self, op: CompareOp, a: Operand, b: Operand, at: Span) -> Operand {
        let truth = bool(self.compare(op, a, b, at));
        if a.is_numpy() || b.is_numpy() {
            truth.numpy()
        } else {
            truth
        }
    }

    /// Whether the truth of an expression takes no branches.
    fn is_plain(expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::And(_) | ExprKind::Or(_) => false,
            ExprKind::Not(inner) => Self::is_plain(inner),
            ExprKind::Compare(_, links) => links.len() == 1,
            _ => true,
        }
    }

    /// Whether a value is true: NaN is, both zeros are not.
    pub(super) fn truth_of(&mut self, operand: Operand) -> Val {
        let zero = match operand.ty {
            Type::I64 => self.int(0),
            Type::F64 => self.float(0.0),
            Type::Bool | Type::Array(_) => return operand.val,
        };
        self.b.compare(Comparison::Ne, operand.val, zero)
    }

    pub(super) fn local(&mut self, local: LocalId, span: Span) -> Lowered<Datum> {
        match &self.locals[local.0] {
            Slot::Bound(datum) => Ok(datum.clone()),
            Slot::Unbound => self.diverge(GuardKind::Unbound, span),
            Slot::Unsure => {
                let known = &self.hir.locals[local.0];
                let known = known.split('.').next().unwrap_or(known);
                refuse(
                    span,
                    format!("{known} may be unbound or of two types here"),
                    "assign it in a statement of its own",
                )
            }
        }
    }

    /// The datum of a binding that is a value.
    pub(super) fn bound_value(&mut self, binding: &Binding) -> Option<Datum> {
        let value = match binding {
            Binding::Int(value) => Value::I64(*value),
            Binding::Float(value) => Value::F64(*value),
            Binding::Bool(value) => Value::Bool(*value),
            Binding::None => return Some(Datum::None),
            Binding::Tuple(items) => {
                let items = items.iter().map(|item| self.bound_value(item));
                return Some(Datum::Tuple(items.collect::<Option<_>>()?));
            }
            _ => return None,
        };
        Some(Datum::Scalar(self.constant(value)))
    }

    fn free(&mut self, free: FreeId, span: Span) -> Lowered<Datum> {
        let name = &self.hir.free[free.0];
        let path = name.path();
        let binding = self.env.resolve(name);
        if let Some(datum) = self.bound_value(&binding) {
            return Ok(datum);
        }
        match binding {
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
            Binding::MathFn(_)
            | Binding::Builtin(_)
            | Binding::Intrinsic(_)
            | Binding::Function(_)
            | Binding::Uncompiled { .. }
            | Binding::Recursion => refuse(
                span,
                format!("{path} is a function used as a value"),
                "call it",
            ),
            Binding::Other(ty) => refuse(
                span,
                format!("{path} is no number but of type {ty}"),
                "use a global number or a tuple of numbers, or pass it in",
            ),
            _ => unreachable!("values are done"),
        }
    }

    pub(super) fn ternary(&mut self, test: &Expr, then: &Expr, other: &Expr) -> Lowered<Datum> {
        let (yes, no) = self.condition(test)?;
        let mut arms = Vec::new();
        for (states, expr) in [(yes, then), (no, other)] {
            for state in self.merge(states) {
                self.resume(state);
                self.arm(expr, &mut arms)?;
            }
        }
        self.join_arms(arms)
    }

    /// Evaluates an expression as one of the arms of another.
    fn arm(&mut self, expr: &Expr, arms: &mut Vec<Arm>) -> Lowered<()> {
        match self.datum(expr) {
            Ok(value) => {
                let (state, span) = (self.state(), expr.span);
                arms.push(Arm { state, value, span });
                Ok(())
            }
            Err(Stop::Diverged) => Ok(()),
            Err(stop) => Err(stop),
        }
    }

    /// `and` or `or` as a value: one of the operands, evaluated as far as needed.
    fn decided(&mut self, operands: &[Expr], by: Decides) -> Lowered<Datum> {
        let (last, rest) = operands.split_last().expect("a chain has operands");
        let mut arms = Vec::new();
        for expr in rest {
            let value = match self.datum(expr) {
                Ok(value) => value,
                Err(Stop::Diverged) if !arms.is_empty() => return self.join_arms(arms),
                Err(stop) => return Err(stop),
            };
            let (yes, no) = self.split_datum(&value, expr.span)?;
            let (go_on, done) = match by {
                Decides::False => (yes, no),
                Decides::True => (no, yes),
            };
            for state in done {
                let (value, span) = (value.clone(), expr.span);
                arms.push(Arm { state, value, span });
            }
            let Some(state) = self.merge(go_on).pop() else {
                return self.join_arms(arms);
            };
            self.resume(state);
        }
        self.arm(last, &mut arms)?;
        self.join_arms(arms)
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

/// The refusal of what is used as a number.
#[cold]
pub(super) fn not_a_number(datum: &Datum, at: Span) -> Stop {
    let kind = Kind::of_datum(datum);
    let what = match &kind {
        Kind::None => "None".to_owned(),
        Kind::Tuple(_) => "a tuple".to_owned(),
        Kind::Numpy(_) => format!("a {}", name(&kind)),
        kind => format!("an {}", name(kind)),
    };
    let what = what + " where a number is needed";
    let mend = match &kind {
        Kind::Numpy(_) => "convert with float(), int() or bool()",
        _ => "compute with int, float and bool only",
    };
    Refusal::new(at, what, mend).into()
}
