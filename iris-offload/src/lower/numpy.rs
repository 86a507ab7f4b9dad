//! `NumPy`'s numbers: elements of its arrays, and what is computed with them.
//!
//! They are values as others, with other rules: a comparison is a `numpy.bool`, a quotient of ints
//! rounds both first, and where `CPython` raises or an int grows, `NumPy` warns. Of a float it warns
//! only if the result is infinite or NaN, so that such a result ends the call; the warning and the
//! value are then those of the plain function. (An underflow is silent unless the program asks
//! otherwise, which the caller looks at.) Sums and products keep what is not finite so, hence a
//! chain of them is looked at once, where its value goes elsewhere: see [`Lowerer::settle`].

use iris_jit::ir::{self, CheckedUnaryOp, GuardKind, Span, UnaryOp as Op1};
use iris_jit::{Elem, Shape, Type};

use super::{Datum, Lowered, Lowerer, Operand, float, int, refuse};
use crate::hir::{BinaryOp, Expr, UnaryOp};
use crate::signature::{numpy_name, python_name};

/// Whose number a scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    Python,
    Numpy,
    /// `NumPy`'s, and it may have warned if this is infinite or NaN.
    NumpyUnsettled,
}

impl Operand {
    pub(super) fn is_numpy(self) -> bool {
        self.maker != Maker::Python
    }

    /// The same value as Python's number.
    pub(super) fn plain(self) -> Self {
        Self {
            maker: Maker::Python,
            ..self
        }
    }

    /// The same value as `NumPy`'s number.
    pub(super) fn numpy(self) -> Self {
        Self {
            maker: Maker::Numpy,
            // What is known of Python's constants does not hold for NumPy's.
            constant: None,
            ..self
        }
    }

    /// The same as Python's number or `NumPy`'s.
    pub(super) fn made_by(self, maker: Maker) -> Self {
        match maker {
            Maker::Python => self,
            _ => self.numpy(),
        }
    }

    pub(super) fn shape(self) -> Shape {
        match self.maker {
            Maker::Python => Shape::Scalar(self.ty),
            _ => Shape::Numpy(self.ty),
        }
    }

    /// The name of its type.
    pub(super) fn type_name(self) -> &'static str {
        match self.maker {
            Maker::Python => python_name(self.ty),
            _ => numpy_name(self.ty),
        }
    }
}

impl Lowerer<'_> {
    /// The value of an expression that is a scalar, Python's or `NumPy`'s.
    pub(super) fn scalar(&mut self, expr: &Expr) -> Lowered<Operand> {
        let term = self.term(expr)?;
        Ok(self.settled(term, expr.span))
    }

    /// The same as a term of a sum or a product: it may be unsettled.
    pub(super) fn term(&mut self, expr: &Expr) -> Lowered<Operand> {
        match self.unsettled(expr)? {
            Datum::Scalar(operand) => Ok(operand),
            other => Err(super::expr::not_a_number(&other, expr.span)),
        }
    }

    /// Ends the call where `NumPy` may have warned.
    pub(super) fn settle(&mut self, datum: Datum, at: Span) -> Datum {
        match datum {
            Datum::Scalar(operand) => Datum::Scalar(self.settled(operand, at)),
            Datum::Tuple(items) => {
                let items = items.iter().map(|item| self.settle(item.clone(), at));
                Datum::Tuple(items.collect())
            }
            other => other,
        }
    }

    pub(super) fn settled(&mut self, operand: Operand, at: Span) -> Operand {
        if operand.maker != Maker::NumpyUnsettled {
            return operand;
        }
        let finite = self.b.unary(Op1::FloatIsFinite, operand.val);
        self.b.guard(finite, GuardKind::NumpyWarning, at);
        operand.numpy()
    }

    /// `-`, `+` and `~`.
    pub(super) fn numpy_unary(&mut self, op: UnaryOp, a: Operand, at: Span) -> Lowered<Operand> {
        if a.ty == Type::Bool {
            let what = format!("{} of {}", op.symbol(), a.type_name());
            return refuse(at, what, "use not, or convert with bool() or int()");
        }
        let result = self.unary(op, a.plain(), at)?;
        Ok(Operand {
            maker: a.maker,
            ..result
        })
    }

    /// `abs`
    pub(super) fn numpy_abs(&mut self, a: Operand, at: Span) -> Lowered<Operand> {
        let result = match a.ty {
            Type::F64 => float(self.b.unary(Op1::FloatAbs, a.val)),
            Type::I64 => {
                let (op, kind) = (CheckedUnaryOp::IntAbs, GuardKind::Overflow);
                int(self.b.checked_unary(op, a.val, kind, at))
            }
            _ => return refuse(at, "abs of numpy.bool", "convert it with int()"),
        };
        Ok(Operand {
            maker: a.maker,
            ..result
        })
    }

    /// An operation of which at least one operand is `NumPy`'s.
    pub(super) fn numpy_binary(
        &mut self,
        op: BinaryOp,
        a: Operand,
        b: Operand,
        at: Span,
    ) -> Lowered<Operand> {
        let floats = a.ty == Type::F64 || b.ty == Type::F64;
        let bools = a.ty == Type::Bool && b.ty == Type::Bool;
        let bitwise = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
        if bools && !bitwise {
            // Sums of bools are bools, their quotients ints of 8 bits.
            let what = format!("{} {} {}", a.type_name(), op.symbol(), b.type_name());
            return refuse(at, what, "convert them with int()");
        }
        let (x, y) = (a.plain(), b.plain());
        let result = match op {
            BinaryOp::Pow => self.numpy_power(a, b, at)?,
            BinaryOp::Div if !floats => {
                let (x, y) = (self.number(x), self.number(y));
                self.guard_nonzero(y, at);
                let (x, y) = (self.widen(x), self.widen(y));
                float(self.b.binary(ir::BinaryOp::FloatDiv, x.val, y.val))
            }
            _ => self.binary(op, x, y, at)?,
        };
        Ok(match result.ty {
            Type::F64 => Operand {
                maker: Maker::NumpyUnsettled,
                ..result.numpy()
            },
            _ => result.numpy(),
        })
    }

    /// `a ** b`
    fn numpy_power(&mut self, a: Operand, b: Operand, at: Span) -> Lowered<Operand> {
        let (x, y) = (self.number(a.plain()), self.number(b.plain()));
        if x.ty == Type::F64 || y.ty == Type::F64 {
            // A numpy.float64 asks libm. Of other numbers NumPy makes arrays first, whose powers
            // have algorithms of their own.
            let of_float = |operand: Operand| operand.is_numpy() && operand.ty == Type::F64;
            if !of_float(a) && !of_float(b) {
                let what = format!("{} ** {}", a.type_name(), b.type_name());
                return refuse(at, what, "convert with float()");
            }
            return Ok(self.power(x, y, at));
        }
        match y.constant_int() {
            // An error, not a float.
            Some(..0) => self.diverge(GuardKind::NegativePower, at),
            _ => Ok(self.power(x, y, at)),
        }
    }
}

/// Whether elements of this type are numbers that are computed with as `NumPy` does it.
pub(super) fn is_known(elem: Elem) -> bool {
    matches!(elem, Elem::F64 | Elem::I64 | Elem::Bool)
}
