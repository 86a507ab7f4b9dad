//! Calls: builtins by their binding, never by their spelling.

use iris_jit::Type;
use iris_jit::ir::{CheckedUnaryOp, Comparison, GuardKind, Span, UnaryOp};

use super::{Lowerer, Operand, bool, float, int, refuse};
use crate::env::Binding;
use crate::hir::{Expr, FreeId};
use crate::refusal::Refusal;

impl Lowerer<'_> {
    pub(super) fn call(
        &mut self,
        callee: FreeId,
        args: &[Expr],
        at: Span,
    ) -> Result<Operand, Refusal> {
        let name = &self.hir.free[callee.0];
        let path = name.path();
        let mend = "call builtins and math functions only";
        match self.env.resolve(name) {
            Binding::MathFn(name) => self.math(&name, args, at),
            Binding::Builtin(name) => self.builtin(&name, args, at),
            Binding::Unbound => refuse(
                at,
                format!("{path} is not defined"),
                "define or import it before the function is called",
            ),
            Binding::Module(_) => refuse(at, format!("{path} is a module"), mend),
            Binding::Int(_) | Binding::Float(_) | Binding::Bool(_) => {
                refuse(at, format!("{path} is a number and cannot be called"), mend)
            }
            Binding::Other(ty) => refuse(
                at,
                format!("a call of {path}, of type {ty}, is not compiled"),
                mend,
            ),
        }
    }

    fn builtin(&mut self, name: &str, args: &[Expr], at: Span) -> Result<Operand, Refusal> {
        match (name, args) {
            ("abs", [x]) => {
                let x = self.value(x)?;
                Ok(self.abs(x, at))
            }
            ("bool", [x]) => self.truth(x).map(bool),
            ("float", [x]) => {
                let x = self.value(x)?;
                Ok(self.widen(x))
            }
            ("int", [x]) => {
                let x = self.value(x)?;
                Ok(self.round_to_int(UnaryOp::FloatTrunc, x, at))
            }
            ("round", [x]) => {
                let x = self.value(x)?;
                Ok(self.round_to_int(UnaryOp::FloatRound, x, at))
            }
            ("pow", [x, y]) => {
                let (x, y) = (self.value(x)?, self.value(y)?);
                Ok(self.power(x, y, at))
            }
            ("min", [first, rest @ ..]) if !rest.is_empty() => {
                self.extreme(Comparison::Lt, first, rest)
            }
            ("max", [first, rest @ ..]) if !rest.is_empty() => {
                self.extreme(Comparison::Gt, first, rest)
            }
            ("abs" | "bool" | "float" | "int" | "round" | "pow" | "min" | "max", _) => refuse(
                at,
                format!("{name} with {} arguments is not compiled", args.len()),
                "pass one number (pow: two; min and max: two or more)",
            ),
            _ => refuse(
                at,
                format!("the builtin {name} is not compiled"),
                "use abs, bool, float, int, max, min, pow or round",
            ),
        }
    }

    fn abs(&mut self, x: Operand, at: Span) -> Operand {
        let x = self.number(x);
        if x.ty == Type::F64 {
            return float(self.b.unary(UnaryOp::FloatAbs, x.val));
        }
        int(self
            .b
            .checked_unary(CheckedUnaryOp::IntAbs, x.val, GuardKind::Overflow, at))
    }

    /// `min` or `max`: a later operand replaces the best one only if it is strictly better, so the
    /// first of equals stays, and NaN neither replaces nor is replaced.
    fn extreme(
        &mut self,
        better: Comparison,
        first: &Expr,
        rest: &[Expr],
    ) -> Result<Operand, Refusal> {
        // All operands are evaluated before any comparison.
        let mut best = self.value(first)?;
        let mut others = Vec::with_capacity(rest.len());
        for expr in rest {
            let other = self.value(expr)?;
            if other.ty != best.ty {
                return refuse(
                    expr.span,
                    "min or max of different types",
                    "convert the arguments with float() or int() to one type",
                );
            }
            others.push((other, expr.span));
        }
        for (other, span) in others {
            let replaces = self.compare(better, other, best, span);
            let join = self.b.create_block(&[best.ty]);
            self.b
                .branch(replaces, (join, &[other.val]), (join, &[best.val]));
            self.b.switch_to(join);
            best = Operand {
                val: self.b.block_params(join)[0],
                constant: None,
                ..best
            };
        }
        Ok(best)
    }
}
