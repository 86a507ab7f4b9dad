//! Methods of numbers, and attributes of arrays.

use iris_jit::ir::{BinaryOp, CheckedBinaryOp, Comparison, GuardKind, Span, UnaryOp};
use iris_jit::{Type, Value};

use super::{Datum, Lowered, Lowerer, Operand, bool, int, refuse};
use crate::hir::Expr;
use crate::signature::with_article;

impl Lowerer<'_> {
    /// `base.method(args)`
    pub(super) fn method(
        &mut self,
        base: &Expr,
        method: &str,
        args: &[Expr],
        at: Span,
    ) -> Lowered<Operand> {
        let receiver = match self.datum(base)? {
            Datum::Scalar(receiver) => receiver,
            other => {
                let what = format!("a method of {} is not compiled", described(&other));
                return refuse(at, what, "call methods of numbers only");
            }
        };
        if receiver.is_numpy() {
            let what = format!("{method} of {} is not compiled", receiver.type_name());
            return refuse(at, what, "convert with float() or int() first");
        }
        let known = ["is_integer", "bit_length", "bit_count", "conjugate"];
        if !args.is_empty() && known.contains(&method) {
            let what = format!("{method} with arguments");
            return refuse(at, what, "call it without arguments");
        }
        match (method, receiver.ty) {
            ("is_integer", Type::F64) => {
                let floor = self.b.unary(UnaryOp::FloatFloor, receiver.val);
                let same = self.b.compare(Comparison::Eq, floor, receiver.val);
                let finite = self.b.unary(UnaryOp::FloatIsFinite, receiver.val);
                Ok(bool(self.b.binary(BinaryOp::BoolAnd, same, finite)))
            }
            ("is_integer", _) if self.env.python >= (3, 12) => Ok(self.constant(Value::Bool(true))),
            ("bit_length", Type::I64 | Type::Bool) => {
                let receiver = self.number(receiver);
                Ok(int(self.b.unary(UnaryOp::IntBitLength, receiver.val)))
            }
            ("bit_count", Type::I64 | Type::Bool) if self.env.python >= (3, 10) => {
                let receiver = self.number(receiver);
                Ok(int(self.b.unary(UnaryOp::IntBitCount, receiver.val)))
            }
            ("conjugate", _) => Ok(self.number(receiver)),
            _ => refuse(
                at,
                format!("{method} of {} is not compiled", with_article(receiver.ty)),
                "use is_integer of floats, bit_length and bit_count of ints",
            ),
        }
    }

    /// `base.attribute`
    pub(super) fn attribute(&mut self, base: &Expr, attribute: &str, at: Span) -> Lowered<Datum> {
        let array = match self.datum(base)? {
            Datum::Array(array) => array,
            other => {
                let what = format!("{attribute} of {} is not compiled", described(&other));
                return refuse(at, what, "compute with arithmetic and calls");
            }
        };
        let ty = self.array_type(array);
        if ty.ndim != 2 && !ty.numpy {
            // array.array has none of them.
            let what = format!("{attribute} of an array of one dimension");
            return refuse(at, what, "use len()");
        }
        let lengths: Vec<_> = (0..ty.ndim).map(|dim| self.b.length(array, dim)).collect();
        let scalar = match attribute {
            "shape" => {
                let shape = lengths.into_iter().map(|len| Datum::Scalar(int(len)));
                return Ok(Datum::Tuple(shape.collect()));
            }
            "ndim" => self.constant(Value::I64(i64::from(ty.ndim))),
            "nbytes" => {
                let mut bytes = self.int(i64::try_from(ty.elem.size()).unwrap_or(i64::MAX));
                for len in lengths {
                    let (op, kind) = (CheckedBinaryOp::IntMul, GuardKind::Overflow);
                    bytes = self.b.checked_binary(op, bytes, len, kind, at);
                }
                int(bytes)
            }
            _ => {
                let what = format!("{attribute} of an array is not compiled");
                return refuse(at, what, "use shape, ndim or nbytes");
            }
        };
        Ok(Datum::Scalar(scalar))
    }
}

fn described(datum: &Datum) -> String {
    match datum {
        Datum::Scalar(operand) => with_article(operand.ty),
        Datum::Array(_) => "an array".to_owned(),
        Datum::Tuple(_) => "a tuple".to_owned(),
        Datum::None => "None".to_owned(),
    }
}
