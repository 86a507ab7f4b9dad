//! Functions of module `math`: libm's, with the rule by which `CPython` turns results into errors.
//!
//! The rule (`math_1` and `math_2` of mathmodule.c): a NaN from arguments that are not NaN is a
//! domain error, an infinity from finite arguments a range or domain error. A result of 0 or a
//! subnormal is never an error.

use iris_jit::Type;
use iris_jit::ir::{
    BinaryOp, CheckedUnaryOp, Comparison, GuardKind, Math1, Math2, Span, UnaryOp, Val,
};

use super::{Datum, Lowered, Lowerer, Operand, bool, float, int, refuse};
use crate::hir::{Call, Expr};

/// How `CPython` computes a function of `math`.
#[derive(Clone, Copy)]
enum MathFn {
    /// libm's function of one argument, and which errors its results may mean.
    Libm(Math1, Errors),
    /// `sqrt`: correctly rounded everywhere, hence one instruction.
    Sqrt,
    /// An exact operation on a float.
    Exact(UnaryOp),
    /// A product with a constant.
    Scale(f64),
    /// Rounds a float to an int; an int is its own result.
    Round(UnaryOp),
    Pow,
    Atan2,
    Fmod,
    Copysign,
}

/// Which results of a function may be errors; the other guards would never fire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Errors {
    None,
    /// NaN may mean an error.
    Domain,
    /// An infinity may mean an error.
    Range,
    Both,
}

fn math_fn(name: &str) -> Option<MathFn> {
    use std::f64::consts::PI;
    Some(match name {
        "acos" => MathFn::Libm(Math1::Acos, Errors::Domain),
        "acosh" => MathFn::Libm(Math1::Acosh, Errors::Domain),
        "cbrt" => MathFn::Libm(Math1::Cbrt, Errors::None),
        "exp2" => MathFn::Libm(Math1::Exp2, Errors::Range),
        "asin" => MathFn::Libm(Math1::Asin, Errors::Domain),
        "asinh" => MathFn::Libm(Math1::Asinh, Errors::None),
        "atan" => MathFn::Libm(Math1::Atan, Errors::None),
        "atanh" => MathFn::Libm(Math1::Atanh, Errors::Both),
        "cos" => MathFn::Libm(Math1::Cos, Errors::Domain),
        "cosh" => MathFn::Libm(Math1::Cosh, Errors::Range),
        "erf" => MathFn::Libm(Math1::Erf, Errors::None),
        "erfc" => MathFn::Libm(Math1::Erfc, Errors::None),
        "exp" => MathFn::Libm(Math1::Exp, Errors::Range),
        "expm1" => MathFn::Libm(Math1::Expm1, Errors::Range),
        "log" => MathFn::Libm(Math1::Log, Errors::Both),
        "log10" => MathFn::Libm(Math1::Log10, Errors::Both),
        "log1p" => MathFn::Libm(Math1::Log1p, Errors::Both),
        "log2" => MathFn::Libm(Math1::Log2, Errors::Both),
        "sin" => MathFn::Libm(Math1::Sin, Errors::Domain),
        "sinh" => MathFn::Libm(Math1::Sinh, Errors::Range),
        "tan" => MathFn::Libm(Math1::Tan, Errors::Domain),
        "tanh" => MathFn::Libm(Math1::Tanh, Errors::None),
        "sqrt" => MathFn::Sqrt,
        "fabs" => MathFn::Exact(UnaryOp::FloatAbs),
        "isnan" => MathFn::Exact(UnaryOp::FloatIsNan),
        "isinf" => MathFn::Exact(UnaryOp::FloatIsInf),
        "isfinite" => MathFn::Exact(UnaryOp::FloatIsFinite),
        "degrees" => MathFn::Scale(180.0 / PI),
        "radians" => MathFn::Scale(PI / 180.0),
        "floor" => MathFn::Round(UnaryOp::FloatFloor),
        "ceil" => MathFn::Round(UnaryOp::FloatCeil),
        "trunc" => MathFn::Round(UnaryOp::FloatTrunc),
        "pow" => MathFn::Pow,
        "atan2" => MathFn::Atan2,
        "fmod" => MathFn::Fmod,
        "copysign" => MathFn::Copysign,
        _ => return None,
    })
}

impl Lowerer<'_> {
    /// A call of `math.<name>`.
    pub(super) fn math(&mut self, name: &str, call: &Call, at: Span) -> Lowered<Datum> {
        if self.env.doubtful.contains(name) {
            let what = format!("math.{name} gives other bits in this Python");
            return refuse(at, what, "compute it in the caller and pass the result");
        }
        if let Some(datum) = self.math_exact(name, call, at)? {
            return Ok(datum);
        }
        let Some(function) = math_fn(name) else {
            let what = format!("math.{name} is not compiled");
            return refuse(at, what, "compute it in the caller and pass the result");
        };
        if !call.keywords.is_empty() {
            let what = format!("a keyword argument of math.{name}");
            return refuse(at, what, "pass it by position");
        }
        self.math_fn(name, function, &call.args, at)
            .map(Datum::Scalar)
    }

    fn math_fn(
        &mut self,
        name: &str,
        function: MathFn,
        args: &[Expr],
        at: Span,
    ) -> Lowered<Operand> {
        if let ("log", [x, base]) = (name, args) {
            return self.log_of_base(x, base, at);
        }
        let arity = match function {
            MathFn::Pow | MathFn::Atan2 | MathFn::Fmod | MathFn::Copysign => 2,
            _ => 1,
        };
        if args.len() != arity {
            return refuse(
                at,
                format!("math.{name} with {} arguments is not compiled", args.len()),
                if arity == 1 {
                    "pass one argument"
                } else {
                    "pass two arguments"
                },
            );
        }
        let first = self.scalar(&args[0])?;
        if let MathFn::Round(op) = function {
            if first.is_numpy() && first.ty != Type::F64 {
                let what = format!("math.{name} of {}", first.type_name());
                return refuse(at, what, "convert with int() or float()");
            }
            return Ok(self.round_to_int(op, first.plain(), at));
        }
        let x = self.widen(first.plain()).val;
        if let Some(second) = args.get(1) {
            let second = self.scalar(second)?;
            let y = self.widen(second.plain()).val;
            return Ok(float(self.math2(function, x, y, at)));
        }
        Ok(match function {
            MathFn::Libm(op, errors) => float(self.libm(op, errors, x, at)),
            MathFn::Sqrt => {
                let root = self.b.unary(UnaryOp::FloatSqrt, x);
                self.guard_domain1(root, x, at);
                float(root)
            }
            MathFn::Exact(op) => {
                let result = self.b.unary(op, x);
                if op.types().1 == Type::Bool {
                    bool(result)
                } else {
                    float(result)
                }
            }
            MathFn::Scale(by) => {
                let by = self.float(by);
                float(self.b.binary(BinaryOp::FloatMul, x, by))
            }
            _ => unreachable!("functions of two arguments and roundings are done"),
        })
    }

    /// `math.log(x, base)`: the quotient of the logarithms, with its own zero division.
    fn log_of_base(&mut self, x: &Expr, base: &Expr, at: Span) -> Lowered<Operand> {
        let (x, base) = (self.scalar(x)?, self.scalar(base)?);
        let (x, base) = (self.widen(x.plain()).val, self.widen(base.plain()).val);
        let numerator = self.libm(Math1::Log, Errors::Both, x, at);
        let denominator = self.libm(Math1::Log, Errors::Both, base, at);
        let zero = self.float(0.0);
        let some = self.b.compare(Comparison::Ne, denominator, zero);
        self.b.guard(some, GuardKind::ZeroDivision, at);
        let quotient = self.b.binary(BinaryOp::FloatDiv, numerator, denominator);
        Ok(float(quotient))
    }

    /// A float rounded and converted to an int; an int (or a bool as an int) as it is.
    pub(super) fn round_to_int(&mut self, op: UnaryOp, operand: Operand, at: Span) -> Operand {
        let operand = self.number(operand);
        if operand.ty == Type::I64 {
            return operand;
        }
        // The conversion itself truncates.
        let rounded = match op {
            UnaryOp::FloatTrunc => operand.val,
            _ => self.b.unary(op, operand.val),
        };
        let kind = GuardKind::Conversion;
        int(self
            .b
            .checked_unary(CheckedUnaryOp::FloatToInt, rounded, kind, at))
    }

    pub(super) fn libm(&mut self, op: Math1, errors: Errors, x: Val, at: Span) -> Val {
        let result = self.b.math1(op, x);
        if matches!(errors, Errors::Domain | Errors::Both) {
            self.guard_domain1(result, x, at);
        }
        if matches!(errors, Errors::Range | Errors::Both) {
            let infinite = self.b.unary(UnaryOp::FloatIsInf, result);
            let finite = self.b.unary(UnaryOp::FloatIsFinite, x);
            self.guard_not_both(infinite, finite, GuardKind::Range, at);
        }
        result
    }

    fn guard_domain1(&mut self, result: Val, x: Val, at: Span) {
        let nan = self.b.unary(UnaryOp::FloatIsNan, result);
        let number = self.b.compare(Comparison::Eq, x, x);
        self.guard_not_both(nan, number, GuardKind::Domain, at);
    }

    fn math2(&mut self, function: MathFn, x: Val, y: Val, at: Span) -> Val {
        let op = match function {
            MathFn::Copysign => {
                // The sign of a NaN depends on how each build propagates NaNs. A result that is
                // NaN never leaves native code; this function would show it in another.
                let number = self.b.compare(Comparison::Eq, y, y);
                self.b.guard(number, GuardKind::Domain, at);
                return self.b.binary(BinaryOp::FloatCopysign, x, y);
            }
            // CPython's own treatment of zeros and infinities is that of C's Annex F.
            MathFn::Atan2 => return self.b.math2(Math2::Atan2, x, y),
            MathFn::Fmod => Math2::Fmod,
            _ => Math2::Pow,
        };
        let result = self.b.math2(op, x, y);
        self.guard_domain2(result, x, y, at);
        if op == Math2::Pow {
            // 0 ** -inf raises up to Python 3.10 and is inf later.
            let zero = self.float(0.0);
            let of_zero = self.b.compare(Comparison::Eq, x, zero);
            let negative = self.b.compare(Comparison::Lt, y, zero);
            self.guard_not_both(of_zero, negative, GuardKind::Domain, at);
            self.guard_range2(result, x, y, at);
        }
        result
    }

    /// Bails out if the result is NaN although neither argument is.
    pub(super) fn guard_domain2(&mut self, result: Val, x: Val, y: Val, at: Span) {
        let nan = self.b.unary(UnaryOp::FloatIsNan, result);
        let x_number = self.b.compare(Comparison::Eq, x, x);
        let y_number = self.b.compare(Comparison::Eq, y, y);
        let numbers = self.b.binary(BinaryOp::BoolAnd, x_number, y_number);
        self.guard_not_both(nan, numbers, GuardKind::Domain, at);
    }

    /// Bails out if the result is infinite although both arguments are finite.
    pub(super) fn guard_range2(&mut self, result: Val, x: Val, y: Val, at: Span) {
        let infinite = self.b.unary(UnaryOp::FloatIsInf, result);
        let x_finite = self.b.unary(UnaryOp::FloatIsFinite, x);
        let y_finite = self.b.unary(UnaryOp::FloatIsFinite, y);
        let finite = self.b.binary(BinaryOp::BoolAnd, x_finite, y_finite);
        self.guard_not_both(infinite, finite, GuardKind::Range, at);
    }
}
