//! Functions of `math` on whole numbers and on a float's parts, and those that `CPython` computes
//! itself.

use iris_jit::Value;
use iris_jit::ir::{
    BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, GuardKind, Math1, Math2, Span, UnaryOp,
    Val,
};

use super::arguments::Params;
use super::math::Errors;
use super::reduce::Fold;
use super::{Datum, Lowered, Lowerer, Operand, bool, float, int, refuse};
use crate::hir::Call;

impl Lowerer<'_> {
    /// A call of `math.<name>`, if it is one of these.
    pub(super) fn math_exact(
        &mut self,
        name: &str,
        call: &Call,
        at: Span,
    ) -> Lowered<Option<Datum>> {
        let path = format!("math.{name}");
        let scalar = match name {
            "gcd" => self.divisors(CheckedBinaryOp::IntGcd, 0, call, &path, at)?,
            "lcm" => self.divisors(CheckedBinaryOp::IntLcm, 1, call, &path, at)?,
            "comb" => self.ways(CheckedBinaryOp::IntComb, call, &path, at)?,
            "perm" if call.args.len() == 1 => {
                let op = CheckedUnaryOp::IntFactorial;
                self.of_whole(op, call, &path, at)?
            }
            "perm" => self.ways(CheckedBinaryOp::IntPerm, call, &path, at)?,
            "factorial" => self.of_whole(CheckedUnaryOp::IntFactorial, call, &path, at)?,
            "isqrt" => self.of_whole(CheckedUnaryOp::IntSqrt, call, &path, at)?,
            "ldexp" => self.ldexp(call, &path, at)?,
            "frexp" => return self.frexp(call, &path, at).map(Some),
            "modf" => return self.modf(call, &path, at).map(Some),
            "ulp" => {
                let [x] = self.floats(call, &path, at)?;
                float(self.b.math1(Math1::Ulp, x))
            }
            "nextafter" => {
                let [x, y] = self.floats(call, &path, at)?;
                float(self.b.math2(Math2::Nextafter, x, y))
            }
            "remainder" => {
                let [x, y] = self.floats(call, &path, at)?;
                let result = self.b.math2(Math2::Remainder, x, y);
                self.guard_domain2(result, x, y, at);
                float(result)
            }
            "isclose" => self.isclose(call, &path, at)?,
            "hypot" => {
                let [x, y] = self.floats(call, &path, at)?;
                self.hypot(x, y, at)
            }
            "dist" => self.dist(call, &path, at)?,
            "gamma" | "lgamma" => self.gamma(name, call, &path, at)?,
            "prod" => {
                let params = Params {
                    names: &["", "start"],
                    required: 1,
                    positional: 1,
                };
                let args = super::arguments::arguments(call, params, &path, at)?;
                let items = args[0].expect("it is required");
                self.fold(Fold::Product, items, args[1], at)?
            }
            _ => return Ok(None),
        };
        Ok(Some(Datum::Scalar(scalar)))
    }

    fn floats<const N: usize>(
        &mut self,
        call: &Call,
        function: &str,
        at: Span,
    ) -> Lowered<[Val; N]> {
        let operands = self.positional::<N>(call, function, at)?;
        Ok(operands.map(|operand| self.widen(operand.plain()).val))
    }

    /// `gcd` and `lcm` of any number of ints.
    fn divisors(
        &mut self,
        op: CheckedBinaryOp,
        of_none: i64,
        call: &Call,
        function: &str,
        at: Span,
    ) -> Lowered<Operand> {
        if !call.keywords.is_empty() {
            let mend = "pass its arguments by position";
            return refuse(at, format!("a keyword argument of {function}"), mend);
        }
        let mut operands = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            let operand = self.scalar(arg)?;
            operands.push(self.whole(operand, function, arg.span)?);
        }
        let Some((first, rest)) = operands.split_first() else {
            return Ok(self.constant(Value::I64(of_none)));
        };
        if rest.is_empty() {
            let (op, kind) = (CheckedUnaryOp::IntAbs, GuardKind::Overflow);
            return Ok(int(self.b.checked_unary(op, first.val, kind, at)));
        }
        let all = rest.iter().fold(first.val, |so_far, next| {
            let kind = GuardKind::Overflow;
            self.b.checked_binary(op, so_far, next.val, kind, at)
        });
        Ok(int(all))
    }

    fn ways(
        &mut self,
        op: CheckedBinaryOp,
        call: &Call,
        function: &str,
        at: Span,
    ) -> Lowered<Operand> {
        let [n, k] = self.positional(call, function, at)?;
        let (n, k) = (self.whole(n, function, at)?, self.whole(k, function, at)?);
        let kind = GuardKind::Overflow;
        Ok(int(self.b.checked_binary(op, n.val, k.val, kind, at)))
    }

    fn of_whole(
        &mut self,
        op: CheckedUnaryOp,
        call: &Call,
        function: &str,
        at: Span,
    ) -> Lowered<Operand> {
        let [n] = self.positional(call, function, at)?;
        let n = self.whole(n, function, at)?;
        let kind = match op {
            CheckedUnaryOp::IntSqrt => GuardKind::Domain,
            _ => GuardKind::Overflow,
        };
        Ok(int(self.b.checked_unary(op, n.val, kind, at)))
    }

    fn ldexp(&mut self, call: &Call, function: &str, at: Span) -> Lowered<Operand> {
        let [x, by] = self.positional(call, function, at)?;
        let x = self.widen(x.plain()).val;
        let by = self.count(by, "the exponent of math.ldexp", at)?;
        let by = self.widen(by).val;
        let result = self.b.math2(Math2::Scale, x, by);
        let infinite = self.b.unary(UnaryOp::FloatIsInf, result);
        let finite = self.b.unary(UnaryOp::FloatIsFinite, x);
        self.guard_not_both(infinite, finite, GuardKind::Range, at);
        Ok(float(result))
    }

    fn frexp(&mut self, call: &Call, function: &str, at: Span) -> Lowered<Datum> {
        let [x] = self.floats(call, function, at)?;
        let mantissa = self.b.math1(Math1::Mantissa, x);
        let exponent = self.b.math1(Math1::Exponent, x);
        let (op, kind) = (CheckedUnaryOp::FloatToInt, GuardKind::Conversion);
        let exponent = self.b.checked_unary(op, exponent, kind, at);
        let parts = [float(mantissa), int(exponent)].map(Datum::Scalar);
        Ok(Datum::Tuple(parts.into()))
    }

    /// Both parts have the sign of the whole; an infinity has no fraction.
    fn modf(&mut self, call: &Call, function: &str, at: Span) -> Lowered<Datum> {
        let [x] = self.floats(call, function, at)?;
        let whole = self.b.unary(UnaryOp::FloatTrunc, x);
        let rest = self.b.binary(BinaryOp::FloatSub, x, whole);
        let infinite = self.b.unary(UnaryOp::FloatIsInf, x);
        let zero = self.float(0.0);
        let rest = self.b.select(infinite, zero, rest);
        let fraction = self.b.binary(BinaryOp::FloatCopysign, rest, x);
        let parts = [float(fraction), float(whole)].map(Datum::Scalar);
        Ok(Datum::Tuple(parts.into()))
    }

    /// Within the larger of both tolerances; equal infinities are close, others are not.
    fn isclose(&mut self, call: &Call, function: &str, at: Span) -> Lowered<Operand> {
        let params = Params {
            names: &["a", "b", "rel_tol", "abs_tol"],
            required: 2,
            positional: 2,
        };
        let operands = self.operands(call, params, function, at)?;
        let mut floats = [None; 4];
        for (float, operand) in floats.iter_mut().zip(operands) {
            *float = operand.map(|operand| self.widen(operand.plain()).val);
        }
        let [Some(a), Some(b), relative, absolute] = floats else {
            unreachable!("both are required")
        };
        let relative = relative.unwrap_or_else(|| self.float(1e-9));
        let absolute = absolute.unwrap_or_else(|| self.float(0.0));
        let zero = self.float(0.0);
        for tolerance in [relative, absolute] {
            let negative = self.b.compare(Comparison::Lt, tolerance, zero);
            let fine = self.b.unary(UnaryOp::BoolNot, negative);
            self.b.guard(fine, GuardKind::Raise, at);
        }
        let equal = self.b.compare(Comparison::Eq, a, b);
        let difference = self.b.binary(BinaryOp::FloatSub, b, a);
        let difference = self.b.unary(UnaryOp::FloatAbs, difference);
        let mut close = self.b.compare(Comparison::Le, difference, absolute);
        for of in [b, a] {
            let bound = self.b.binary(BinaryOp::FloatMul, relative, of);
            let bound = self.b.unary(UnaryOp::FloatAbs, bound);
            let within = self.b.compare(Comparison::Le, difference, bound);
            close = self.b.binary(BinaryOp::BoolOr, close, within);
        }
        for side in [a, b] {
            let infinite = self.b.unary(UnaryOp::FloatIsInf, side);
            let other = self.b.unary(UnaryOp::BoolNot, infinite);
            close = self.b.binary(BinaryOp::BoolAnd, close, other);
        }
        Ok(bool(self.b.binary(BinaryOp::BoolOr, equal, close)))
    }

    fn dist(&mut self, call: &Call, function: &str, at: Span) -> Lowered<Operand> {
        let ([p, q], []) = (&call.args[..], &call.keywords[..]) else {
            let mend = "pass two tuples of two numbers";
            return refuse(at, "such a call of math.dist", mend);
        };
        let (p, q) = (self.point(p, function)?, self.point(q, function)?);
        let x = self.b.binary(BinaryOp::FloatSub, p[0], q[0]);
        let y = self.b.binary(BinaryOp::FloatSub, p[1], q[1]);
        Ok(self.hypot(x, y, at))
    }

    /// Its one NaN of numbers is where versions of `CPython` differ.
    fn hypot(&mut self, x: Val, y: Val, at: Span) -> Operand {
        let length = self.b.math2(Math2::Hypot, x, y);
        self.guard_domain2(length, x, y, at);
        float(length)
    }

    fn gamma(&mut self, name: &str, call: &Call, function: &str, at: Span) -> Lowered<Operand> {
        let [x] = self.floats(call, function, at)?;
        Ok(float(match name {
            "gamma" => self.libm(Math1::Gamma, Errors::Both, x, at),
            _ => self.libm(Math1::Lgamma, Errors::Range, x, at),
        }))
    }
}
