//! `round` with a number of digits.

use iris_jit::Type;
use iris_jit::ir::{CheckedBinaryOp, Comparison, GuardKind, Math2, Span, UnaryOp};

use super::arguments::Params;
use super::{Datum, Lowered, Lowerer, Operand, float, int, refuse};
use crate::hir::{Call, ExprKind};

impl Lowerer<'_> {
    /// `round(x)`, `round(x, None)`, `round(x, digits)`.
    pub(super) fn round(&mut self, call: &Call, at: Span) -> Lowered<Operand> {
        let params = Params {
            names: &["number", "ndigits"],
            required: 1,
            positional: 2,
        };
        let found = super::arguments::arguments(call, params, "round", at)?;
        let whole = match found[1] {
            None => true,
            Some(digits) => match &digits.kind {
                ExprKind::None => true,
                ExprKind::Local(_) => matches!(self.datum(digits)?, Datum::None),
                _ => false,
            },
        };
        if whole {
            let x = self.scalar(found[0].expect("it is required"))?;
            if x.is_numpy() && x.ty == Type::Bool {
                return refuse(at, "round of numpy.bool", "convert it with int()");
            }
            return Ok(self.round_to_int(UnaryOp::FloatRound, x.plain(), at));
        }
        let operands = self.operands(call, params, "round", at)?;
        let [Some(x), Some(digits)] = operands[..] else {
            unreachable!("both are given")
        };
        if x.is_numpy() {
            // It multiplies, rounds and divides.
            let what = format!("round of {} to digits", x.type_name());
            return refuse(at, what, "convert with float() or int() first");
        }
        let digits = self.count(digits, "the digits of round", at)?;
        let x = self.number(x);
        if x.ty == Type::I64 {
            if digits.constant_int().is_some_and(|digits| digits >= 0) {
                return Ok(x);
            }
            let (op, kind) = (CheckedBinaryOp::IntRound, GuardKind::Overflow);
            return Ok(int(self.b.checked_binary(op, x.val, digits.val, kind, at)));
        }
        let digits = self.widen(digits).val;
        let result = self.b.math2(Math2::RoundDigits, x.val, digits);
        // NaN: Python is asked; an infinity of a finite number: Python raises.
        let nan = self.b.unary(UnaryOp::FloatIsNan, result);
        let number = self.b.compare(Comparison::Eq, x.val, x.val);
        self.guard_not_both(nan, number, GuardKind::Range, at);
        Ok(float(result))
    }
}
