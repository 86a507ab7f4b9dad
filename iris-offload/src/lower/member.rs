//! `in` and `is`.

use iris_jit::ir::{BinaryOp, CheckedUnaryOp, Comparison, GuardKind, Span, UnaryOp, Val};
use iris_jit::{Elem, Type, Value};

use super::iterate::Bounds;
use super::{Datum, Lowered, Lowerer, Operand, bool, int, refuse};
use crate::env::Binding;
use crate::hir::{Call, Expr, ExprKind};

impl Lowerer<'_> {
    /// `item in container`, or with `negated` that it is not.
    pub(super) fn member(
        &mut self,
        item: &Expr,
        container: &Expr,
        negated: bool,
        at: Span,
    ) -> Lowered<Operand> {
        let item = self.datum(item)?;
        let Datum::Scalar(item) = item else {
            let mend = "look for a number";
            return refuse(at, "a test of membership of what is no number", mend);
        };
        // NaN is in a container that holds the very object.
        if item.ty == Type::F64 && item.constant_float().is_none_or(f64::is_nan) {
            let number = self.b.compare(Comparison::Eq, item.val, item.val);
            self.b.guard(number, GuardKind::Type, at);
        }
        let found = if let Some(call) = self.range_call(container) {
            self.in_range(item, call, container.span)?
        } else {
            self.in_items(item, container, at)?
        };
        Ok(if negated { self.not(found) } else { found })
    }

    fn not(&mut self, operand: Operand) -> Operand {
        match operand.constant_truth() {
            Some(truth) => self.constant(Value::Bool(!truth)),
            None => bool(self.b.unary(UnaryOp::BoolNot, operand.val)),
        }
    }

    /// The call, if it is one of the builtin `range`.
    pub(super) fn range_call<'e>(&self, expr: &'e Expr) -> Option<&'e Call> {
        let ExprKind::Call(call) = &expr.kind else {
            return None;
        };
        let range = Binding::Builtin("range".to_owned());
        let known = self.env.resolve(&self.hir.free[call.callee.0]) == range;
        (known && call.keywords.is_empty() && (1..=3).contains(&call.args.len())).then_some(call)
    }

    /// A whole number between the ends, and so many steps from the start.
    fn in_range(&mut self, item: Operand, call: &Call, at: Span) -> Lowered<Operand> {
        if item.is_numpy() && item.ty != Type::I64 {
            // NumPy compares a float with the float that is nearest to each int.
            let what = format!("a test of membership of {} in a range", item.type_name());
            return refuse(at, what, "convert with float() or int()");
        }
        let Bounds { start, stop, step } = self.bounds(call)?;
        let item = self.number(item.plain());
        let (value, whole) = if item.ty == Type::F64 {
            let (op, kind) = (CheckedUnaryOp::FloatToInt, GuardKind::Conversion);
            let value = self.b.checked_unary(op, item.val, kind, at);
            let floor = self.b.unary(UnaryOp::FloatFloor, item.val);
            let whole = self.b.compare(Comparison::Eq, floor, item.val);
            (value, Some(whole))
        } else {
            (item.val, None)
        };
        let Some(step) = step.constant_int() else {
            let mend = "give the range a constant step";
            return refuse(at, "a test of membership in such a range", mend);
        };
        if step == 0 {
            return self.diverge(GuardKind::Raise, at);
        }
        let (first, last) = if step > 0 {
            (Comparison::Ge, Comparison::Lt)
        } else {
            (Comparison::Le, Comparison::Gt)
        };
        let from = self.b.compare(first, value, start);
        let to = self.b.compare(last, value, stop);
        let mut found = self.b.binary(BinaryOp::BoolAnd, from, to);
        if step.unsigned_abs() != 1 {
            let on = self.on_step(value, start, step, at)?;
            found = self.b.binary(BinaryOp::BoolAnd, found, on);
        }
        if let Some(whole) = whole {
            found = self.b.binary(BinaryOp::BoolAnd, found, whole);
        }
        Ok(bool(found))
    }

    /// Whether both are some steps apart: their remainders are the same.
    fn on_step(&mut self, value: Val, start: Val, step: i64, at: Span) -> Lowered<Val> {
        let step = self.constant(Value::I64(step));
        let mut remainders = Vec::with_capacity(2);
        for whole in [value, start] {
            let remainder = self.binary(crate::hir::BinaryOp::Mod, int(whole), step, at)?;
            remainders.push(remainder.val);
        }
        Ok(self.b.compare(Comparison::Eq, remainders[0], remainders[1]))
    }

    fn in_items(&mut self, item: Operand, container: &Expr, at: Span) -> Lowered<Operand> {
        let mend = "look into a tuple, an array or a range";
        let items = match &container.kind {
            ExprKind::List(items) => self.tuple(items)?,
            _ => self.datum(container)?,
        };
        match items {
            Datum::Tuple(items) => self.in_row(item, &items, at),
            Datum::Array(array) => {
                let ty = self.array_type(array);
                if ty.elem == Elem::U8 && !ty.numpy {
                    // Bytes take ints of a byte only.
                    if item.ty == Type::F64 || item.is_numpy() {
                        let what = format!("a test of membership of {} in bytes", item.type_name());
                        return refuse(at, what, "convert with int()");
                    }
                    let item = self.number(item);
                    let (zero, most) = (self.int(0), self.int(255));
                    let above = self.b.compare(Comparison::Ge, item.val, zero);
                    let below = self.b.compare(Comparison::Le, item.val, most);
                    let fits = self.b.binary(BinaryOp::BoolAnd, above, below);
                    self.b.guard(fits, GuardKind::Raise, at);
                }
                self.any_equal(container, item, at)
            }
            Datum::Scalar(_) | Datum::None => {
                refuse(container.span, "a test of membership in no container", mend)
            }
        }
    }

    fn in_row(&mut self, item: Operand, row: &[Datum], at: Span) -> Lowered<Operand> {
        let mut found: Option<Val> = None;
        for other in row {
            let equal = match other {
                Datum::Scalar(other) => self.compare(Comparison::Eq, item, *other, at),
                // None equals no number.
                Datum::None => continue,
                Datum::Tuple(_) | Datum::Array(_) => {
                    let mend = "look among numbers";
                    return refuse(at, "a test of membership among other than numbers", mend);
                }
            };
            found = Some(match found {
                Some(found) => self.b.binary(BinaryOp::BoolOr, found, equal),
                None => equal,
            });
        }
        Ok(match found {
            Some(found) => bool(found),
            None => self.constant(Value::Bool(false)),
        })
    }

    /// `a is b`, where one is `None`, `True` or `False`: the types tell.
    pub(super) fn identity(
        &mut self,
        a: &Expr,
        b: &Expr,
        negated: bool,
        at: Span,
    ) -> Lowered<Operand> {
        let (a, b) = (self.datum(a)?, self.datum(b)?);
        let same = match (&a, &b) {
            (Datum::None, Datum::None) => self.constant(Value::Bool(true)),
            (Datum::None, _) | (_, Datum::None) => self.constant(Value::Bool(false)),
            // A numpy.bool is none of Python's two.
            (Datum::Scalar(a), Datum::Scalar(b)) if a.is_numpy() != b.is_numpy() => {
                self.constant(Value::Bool(false))
            }
            (Datum::Scalar(a), Datum::Scalar(_)) if a.is_numpy() => {
                let mend = "compare with == or !=";
                return refuse(at, "a test of identity of NumPy's numbers", mend);
            }
            (Datum::Scalar(a), Datum::Scalar(b)) if a.ty == Type::Bool && b.ty == Type::Bool => {
                let differ = self.b.binary(BinaryOp::BoolXor, a.val, b.val);
                bool(self.b.unary(UnaryOp::BoolNot, differ))
            }
            (Datum::Scalar(a), Datum::Scalar(b)) if a.ty == Type::Bool || b.ty == Type::Bool => {
                self.constant(Value::Bool(false))
            }
            _ => {
                let mend = "compare with == or !=";
                return refuse(at, "a test of identity of such values", mend);
            }
        };
        Ok(if negated { self.not(same) } else { same })
    }
}
