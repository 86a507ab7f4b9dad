//! Arithmetic operators.

use iris_jit::ir::{
    self, CheckedBinaryOp, CheckedUnaryOp, Comparison, GuardKind, Math2, Span, UnaryOp as Op1, Val,
};
use iris_jit::{Type, Value};

use super::{Datum, Lowered, Lowerer, Operand, bool, float, int, refuse};
use crate::hir::{BinaryOp, UnaryOp};
use crate::signature::{python_name, with_article};

impl Lowerer<'_> {
    /// A bool as the int that it is in arithmetic; numbers as they are.
    pub(super) fn number(&mut self, operand: Operand) -> Operand {
        match (operand.ty, operand.constant) {
            (Type::Bool, Some(Value::Bool(value))) => self.constant(Value::I64(i64::from(value))),
            (Type::Bool, _) => int(self.b.unary(Op1::BoolToInt, operand.val)),
            _ => operand,
        }
    }

    /// The nearest float, ties to even, as `CPython` converts an int.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest float is what is asked for"
    )]
    pub(super) fn widen(&mut self, operand: Operand) -> Operand {
        let operand = self.number(operand);
        match (operand.ty, operand.constant_int()) {
            (Type::F64, _) => operand,
            (_, Some(value)) => self.constant(Value::F64(value as f64)),
            _ => float(self.b.unary(Op1::IntToFloat, operand.val)),
        }
    }

    pub(super) fn unary(&mut self, op: UnaryOp, a: Operand, at: Span) -> Lowered<Operand> {
        if a.is_numpy() {
            return self.numpy_unary(op, a, at);
        }
        if op == UnaryOp::Invert && a.ty != Type::I64 {
            let mend = "use not for a bool, int() before ~";
            // Python 3.12 warns of ~bool; a warning can be an error.
            return refuse(at, format!("~ of {}", with_article(a.ty)), mend);
        }
        let a = self.number(a);
        Ok(match (op, a.constant) {
            (UnaryOp::Pos, _) => a,
            (UnaryOp::Invert, _) => int(self.b.unary(Op1::IntNot, a.val)),
            (UnaryOp::Neg, Some(Value::F64(value))) => self.constant(Value::F64(-value)),
            (UnaryOp::Neg, Some(Value::I64(value))) if value != i64::MIN => {
                self.constant(Value::I64(-value))
            }
            (UnaryOp::Neg, _) if a.ty == Type::F64 => float(self.b.unary(Op1::FloatNeg, a.val)),
            (UnaryOp::Neg, _) => {
                let (op, kind) = (CheckedUnaryOp::IntNeg, GuardKind::Overflow);
                int(self.b.checked_unary(op, a.val, kind, at))
            }
        })
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        a: Operand,
        b: Operand,
        at: Span,
    ) -> Lowered<Operand> {
        if a.is_numpy() || b.is_numpy() {
            return self.numpy_binary(op, a, b, at);
        }
        if matches!(
            op,
            BinaryOp::Shl | BinaryOp::Shr | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor
        ) {
            return self.bits(op, a, b, at);
        }
        let (a, b) = (self.number(a), self.number(b));
        if op == BinaryOp::Pow {
            return Ok(self.power(a, b, at));
        }
        if op == BinaryOp::Div && a.ty == Type::I64 && b.ty == Type::I64 {
            // Correctly rounded as long as both operands are exact.
            self.guard_nonzero(b, at);
            let (a, b) = (self.exact_float(a, at), self.exact_float(b, at));
            return Ok(float(self.b.binary(ir::BinaryOp::FloatDiv, a, b)));
        }
        Ok(if a.ty == Type::F64 || b.ty == Type::F64 {
            let (a, b) = (self.widen(a), self.widen(b));
            self.float_binary(op, a, b, at)
        } else {
            self.int_binary(op, a, b, at)
        })
    }

    fn float_binary(&mut self, op: BinaryOp, a: Operand, b: Operand, at: Span) -> Operand {
        let op = match op {
            BinaryOp::Add => ir::BinaryOp::FloatAdd,
            BinaryOp::Sub => ir::BinaryOp::FloatSub,
            BinaryOp::Mul => ir::BinaryOp::FloatMul,
            BinaryOp::Div => ir::BinaryOp::FloatDiv,
            BinaryOp::FloorDiv => ir::BinaryOp::FloatFloorDiv,
            BinaryOp::Mod => ir::BinaryOp::FloatMod,
            _ => unreachable!("`binary` keeps {op:?}"),
        };
        if matches!(
            op,
            ir::BinaryOp::FloatDiv | ir::BinaryOp::FloatFloorDiv | ir::BinaryOp::FloatMod
        ) {
            self.guard_nonzero(b, at);
        }
        float(self.b.binary(op, a.val, b.val))
    }

    fn int_binary(&mut self, op: BinaryOp, a: Operand, b: Operand, at: Span) -> Operand {
        let op = match op {
            BinaryOp::Add => CheckedBinaryOp::IntAdd,
            BinaryOp::Sub => CheckedBinaryOp::IntSub,
            BinaryOp::Mul => CheckedBinaryOp::IntMul,
            BinaryOp::FloorDiv => CheckedBinaryOp::IntFloorDiv,
            BinaryOp::Mod => CheckedBinaryOp::IntMod,
            _ => unreachable!("`binary` keeps {op:?}"),
        };
        if matches!(op, CheckedBinaryOp::IntFloorDiv | CheckedBinaryOp::IntMod) {
            self.guard_nonzero(b, at);
        }
        int(self
            .b
            .checked_binary(op, a.val, b.val, GuardKind::Overflow, at))
    }

    pub(super) fn guard_nonzero(&mut self, divisor: Operand, at: Span) {
        match divisor.constant {
            Some(Value::I64(value)) if value != 0 => return,
            Some(Value::F64(value)) if value != 0.0 => return,
            _ => {}
        }
        let nonzero = self.truth_of(divisor);
        self.b.guard(nonzero, GuardKind::ZeroDivision, at);
    }

    fn bits(&mut self, op: BinaryOp, a: Operand, b: Operand, at: Span) -> Lowered<Operand> {
        if a.ty == Type::F64 || b.ty == Type::F64 {
            return refuse(
                at,
                format!(
                    "{} {} {}",
                    python_name(a.ty),
                    op.symbol(),
                    python_name(b.ty)
                ),
                "convert floats with int() first",
            );
        }
        let shift = match op {
            BinaryOp::Shl => Some(CheckedBinaryOp::IntShl),
            BinaryOp::Shr => Some(CheckedBinaryOp::IntShr),
            _ => None,
        };
        let bools = a.ty == Type::Bool && b.ty == Type::Bool;
        if shift.is_none() && bools {
            let op = match op {
                BinaryOp::And => ir::BinaryOp::BoolAnd,
                BinaryOp::Or => ir::BinaryOp::BoolOr,
                _ => ir::BinaryOp::BoolXor,
            };
            return Ok(bool(self.b.binary(op, a.val, b.val)));
        }
        let (a, b) = (self.number(a), self.number(b));
        if let Some(op) = shift {
            return Ok(int(self.b.checked_binary(
                op,
                a.val,
                b.val,
                GuardKind::Shift,
                at,
            )));
        }
        let op = match op {
            BinaryOp::And => ir::BinaryOp::IntAnd,
            BinaryOp::Or => ir::BinaryOp::IntOr,
            _ => ir::BinaryOp::IntXor,
        };
        Ok(int(self.b.binary(op, a.val, b.val)))
    }

    /// `a ** b`. An int power with a negative exponent is a float: known at compile time for a
    /// constant exponent, a bailout otherwise.
    pub(super) fn power(&mut self, a: Operand, b: Operand, at: Span) -> Operand {
        let (a, b) = (self.number(a), self.number(b));
        let exponent = b.constant_int();
        let float_result =
            a.ty == Type::F64 || b.ty == Type::F64 || exponent.is_some_and(|exponent| exponent < 0);
        if float_result {
            let (a, b) = (self.widen(a), self.widen(b));
            return self.float_power(a, b, at);
        }
        if exponent == Some(2) {
            let (op, kind) = (CheckedBinaryOp::IntMul, GuardKind::Overflow);
            return int(self.b.checked_binary(op, a.val, a.val, kind, at));
        }
        if exponent.is_none() {
            let zero = self.int(0);
            let positive = self.b.compare(Comparison::Ge, b.val, zero);
            self.b.guard(positive, GuardKind::NegativePower, at);
        }
        let (op, kind) = (CheckedBinaryOp::IntPow, GuardKind::Overflow);
        int(self.b.checked_binary(op, a.val, b.val, kind, at))
    }

    /// A float power: libm's `pow`, except where `CPython` raises or gives a complex number.
    fn float_power(&mut self, a: Operand, b: Operand, at: Span) -> Operand {
        let (x, y) = (a.val, b.val);
        let zero = self.float(0.0);
        if let Some(fast) = self.fast_power(x, b, at) {
            return fast;
        }
        if !b.constant_float().is_some_and(|y| y >= 0.0) {
            let of_zero = self.b.compare(Comparison::Eq, x, zero);
            let negative = self.b.compare(Comparison::Lt, y, zero);
            self.guard_not_both(of_zero, negative, GuardKind::ZeroDivision, at);
        }
        if !b.constant_float().is_some_and(|y| y.fract() == 0.0) {
            let negative = self.b.compare(Comparison::Lt, x, zero);
            let floor = self.b.unary(Op1::FloatFloor, y);
            let fractional = self.b.compare(Comparison::Ne, floor, y);
            self.guard_not_both(negative, fractional, GuardKind::Domain, at);
        }
        let result = self.b.math2(Math2::Pow, x, y);
        self.guard_range2(result, x, y, at);
        // CPython takes libm's errno for an overflow unless the result is 0; libms differ in
        // whether a subnormal result sets it.
        let magnitude = self.b.unary(Op1::FloatAbs, result);
        let least = self.float(f64::MIN_POSITIVE);
        let tiny = self.b.compare(Comparison::Lt, magnitude, least);
        let nonzero = self.b.compare(Comparison::Ne, result, zero);
        self.guard_not_both(tiny, nonzero, GuardKind::Range, at);
        float(result)
    }

    /// With fast math: roots, reciprocals and small whole powers by a constant, without libm. What
    /// Python raises or makes complex stays Python's.
    fn fast_power(&mut self, x: Val, exponent: Operand, at: Span) -> Option<Operand> {
        const MOST: u8 = 16;
        let exponent = exponent.constant_float().filter(|_| self.fast_math)?;
        let zero = self.float(0.0);
        let is = |power: f64| exponent.abs().to_bits() == power.to_bits();
        let power = if is(0.5) {
            let real = self.b.compare(Comparison::Ge, x, zero);
            self.b.guard(real, GuardKind::Domain, at);
            // The root of -0.0 is -0.0, the power is not.
            let unsigned = self.b.binary(ir::BinaryOp::FloatAdd, x, zero);
            self.b.unary(Op1::FloatSqrt, unsigned)
        } else {
            let whole = (1..=MOST).find(|&power| is(power.into()))?;
            self.squarings(x, whole)
        };
        let mut result = power;
        if exponent < 0.0 {
            let nonzero = self.b.compare(Comparison::Ne, x, zero);
            self.b.guard(nonzero, GuardKind::ZeroDivision, at);
            let one = self.float(1.0);
            result = self.b.binary(ir::BinaryOp::FloatDiv, one, power);
        }
        // An overflow is Python's to raise; of a negative power it is that of the divisor.
        self.guard_range2(power, x, x, at);
        self.guard_range2(result, x, x, at);
        Some(float(result))
    }

    /// `x` to a whole power of 1 at least, by squarings.
    fn squarings(&mut self, x: Val, exponent: u8) -> Val {
        let (mut left, mut square, mut product) = (exponent, x, None);
        loop {
            if left % 2 == 1 {
                product = Some(match product {
                    None => square,
                    Some(product) => self.b.binary(ir::BinaryOp::FloatMul, product, square),
                });
            }
            left /= 2;
            if left == 0 {
                return product.expect("the exponent is 1 at least");
            }
            square = self.b.binary(ir::BinaryOp::FloatMul, square, square);
        }
    }

    /// `divmod(a, b)`
    pub(super) fn divmod(&mut self, a: Operand, b: Operand, at: Span) -> Lowered<Datum> {
        let quotient = self.binary(BinaryOp::FloorDiv, a, b, at)?;
        let remainder = self.binary(BinaryOp::Mod, a, b, at)?;
        let items = [quotient, remainder].map(Datum::Scalar);
        Ok(Datum::Tuple(items.into()))
    }

    pub(super) fn guard_not_both(&mut self, a: Val, b: Val, kind: GuardKind, at: Span) {
        let both = self.b.binary(ir::BinaryOp::BoolAnd, a, b);
        let fine = self.b.unary(Op1::BoolNot, both);
        self.b.guard(fine, kind, at);
    }
}
