//! Calls: builtins by their binding, never by their spelling.

use iris_jit::Type;
use iris_jit::ir::{CheckedUnaryOp, Comparison, GuardKind, Span, UnaryOp};

use super::arguments::{Params, binds};
use super::reduce::Fold;
use super::{Datum, Lowered, Lowerer, Operand, bool, float, int, refuse};
use crate::env::Binding;
use crate::hir::{BinaryOp, Call, Expr};

impl Lowerer<'_> {
    pub(super) fn call(&mut self, call: &Call, at: Span) -> Lowered<Datum> {
        let name = &self.hir.free[call.callee.0];
        let path = name.path();
        let mend = "call builtins, math functions and plain Python functions only";
        let binding = self.env.resolve(name);
        if let Some(helper) = self.env.helper(name) {
            return self.helper_call(helper, call, at);
        }
        if binding == Binding::Recursion {
            return self.recursion(call, at).map(Datum::Scalar);
        }
        match &binding {
            Binding::MathFn(name) => return self.math(name, call, at),
            Binding::Builtin(name) => return self.builtin(name, call, at),
            _ => {}
        }
        if !call.keywords.is_empty() {
            let what = format!("a keyword argument of {path}");
            return refuse(at, what, "pass it by position");
        }
        let args = call.args.as_slice();
        match binding {
            Binding::Intrinsic(name) => match (name.as_str(), args) {
                ("if_else", [test, then, otherwise]) => self.ternary(test, then, otherwise),
                ("if_else", _) => refuse(
                    at,
                    "if_else without three arguments",
                    "write if_else(condition, when_true, when_false)",
                ),
                _ => refuse(
                    at,
                    format!("{name} outside of a reduction"),
                    "use it as what a generator in sum, any or all gives",
                ),
            },
            Binding::Uncompiled { name, why } => Err(why.seen_from(at, &name).into()),
            Binding::Unbound => refuse(
                at,
                format!("{path} is not defined"),
                "define or import it before the function is called",
            ),
            Binding::Module(_) => refuse(at, format!("{path} is a module"), mend),
            Binding::Int(_) | Binding::Float(_) | Binding::Bool(_) => {
                refuse(at, format!("{path} is a number and cannot be called"), mend)
            }
            Binding::None | Binding::Tuple(_) => {
                refuse(at, format!("{path} is a value and cannot be called"), mend)
            }
            Binding::Function(_)
            | Binding::Recursion
            | Binding::MathFn(_)
            | Binding::Builtin(_) => unreachable!("these are done"),
            Binding::Other(ty) => refuse(
                at,
                format!("a call of {path}, of type {ty}, is not compiled"),
                mend,
            ),
        }
    }

    fn builtin(&mut self, name: &str, call: &Call, at: Span) -> Lowered<Datum> {
        match name {
            "round" => return self.round(call, at).map(Datum::Scalar),
            "pow" => {
                let params = Params {
                    names: &["base", "exp", "mod"],
                    required: 2,
                    positional: 2,
                };
                return match self.operands(call, params, name, at)?[..] {
                    [Some(x), Some(y), None] => {
                        self.binary(BinaryOp::Pow, x, y, at).map(Datum::Scalar)
                    }
                    _ => refuse(at, "pow with a modulus is not compiled", "write x ** y % z"),
                };
            }
            _ => {}
        }
        if let ("min" | "max", [items]) = (name, &call.args[..]) {
            let better = if name == "min" {
                Comparison::Lt
            } else {
                Comparison::Gt
            };
            return self.extreme_of(better, items, call, at).map(Datum::Scalar);
        }
        let (args, start) = match (name, &call.keywords[..]) {
            ("sum", [(keyword, start)]) if keyword == "start" => (&call.args[..], Some(start)),
            (_, []) => (&call.args[..], None),
            (_, [(keyword, _), ..]) => {
                let what = format!("{name} with {keyword} is not compiled");
                return refuse(at, what, "pass it by position, or write it as a loop");
            }
        };
        let scalar = match (name, args) {
            ("abs", [x]) => {
                let x = self.term(x)?;
                self.abs(x, at)?
            }
            ("bool", [x]) => {
                let x = self.scalar(x)?;
                bool(self.truth_of(x))
            }
            ("float", [x]) => {
                let x = self.scalar(x)?;
                self.widen(x.plain())
            }
            ("int", [x]) => {
                let x = self.scalar(x)?;
                self.round_to_int(UnaryOp::FloatTrunc, x.plain(), at)
            }
            ("divmod", [x, y]) => {
                let (x, y) = (self.scalar(x)?, self.scalar(y)?);
                return self.divmod(x, y, at);
            }
            ("len", [x]) => self.length(x)?,
            ("min", [first, rest @ ..]) if !rest.is_empty() => {
                self.extreme(Comparison::Lt, first, rest)?
            }
            ("max", [first, rest @ ..]) if !rest.is_empty() => {
                self.extreme(Comparison::Gt, first, rest)?
            }
            ("sum", [items]) => self.fold(Fold::Sum, items, start, at)?,
            ("sum", [items, start]) if call.keywords.is_empty() => {
                self.fold(Fold::Sum, items, Some(start), at)?
            }
            ("any", [items]) => self.fold(Fold::Any, items, None, at)?,
            ("all", [items]) => self.fold(Fold::All, items, None, at)?,
            _ => return refuse_builtin(name, args.len(), at),
        };
        Ok(Datum::Scalar(scalar))
    }

    fn abs(&mut self, x: Operand, at: Span) -> Lowered<Operand> {
        if x.is_numpy() {
            return self.numpy_abs(x, at);
        }
        let x = self.number(x);
        if x.ty == Type::F64 {
            return Ok(float(self.b.unary(UnaryOp::FloatAbs, x.val)));
        }
        let (op, kind) = (CheckedUnaryOp::IntAbs, GuardKind::Overflow);
        Ok(int(self.b.checked_unary(op, x.val, kind, at)))
    }

    /// `min` or `max` of items, with or without a default.
    fn extreme_of(
        &mut self,
        better: Comparison,
        items: &Expr,
        call: &Call,
        at: Span,
    ) -> Lowered<Operand> {
        match &call.keywords[..] {
            [] => self.fold(Fold::Extreme(better, None), items, None, at),
            [(name, default)] if name == "default" && !binds(default) => {
                // None, as a default, is an answer of another type.
                let default = match self.datum(default)? {
                    Datum::Scalar(default) => Some(default),
                    _ => None,
                };
                self.fold(Fold::Extreme(better, default), items, None, at)
            }
            _ => refuse(
                at,
                "min or max with a key is not compiled",
                "compare in a loop",
            ),
        }
    }

    /// `min` or `max`: a later operand replaces the best one only if it is strictly better, so the
    /// first of equals stays, and NaN neither replaces nor is replaced.
    fn extreme(&mut self, better: Comparison, first: &Expr, rest: &[Expr]) -> Lowered<Operand> {
        // All operands are evaluated before any comparison.
        let mut best = self.scalar(first)?;
        let mut others = Vec::with_capacity(rest.len());
        for expr in rest {
            let other = self.scalar(expr)?;
            if (other.ty, other.maker) != (best.ty, best.maker) {
                return refuse(
                    expr.span,
                    "min or max of different types",
                    "convert the arguments with float() or int() to one type",
                );
            }
            others.push((other, expr.span));
        }
        for (other, span) in others {
            best = self.better(better, other, best, span);
        }
        Ok(best)
    }

    /// The other operand if it is strictly better, else the best one so far.
    pub(super) fn better(
        &mut self,
        better: Comparison,
        other: Operand,
        best: Operand,
        at: Span,
    ) -> Operand {
        let replaces = self.compare(better, other, best, at);
        Operand {
            val: self.b.select(replaces, other.val, best.val),
            constant: None,
            ..best
        }
    }
}

fn refuse_builtin(name: &str, args: usize, at: Span) -> Lowered<Datum> {
    match name {
        "abs" | "all" | "any" | "bool" | "divmod" | "float" | "int" | "len" | "min" | "max"
        | "sum" => refuse(
            at,
            format!("{name} with {args} arguments is not compiled"),
            "pass one number (divmod: two; min and max: two or more)",
        ),
        "range" | "enumerate" | "zip" | "reversed" => refuse(
            at,
            format!("{name} outside of a loop is not compiled"),
            "loop over it",
        ),
        _ => refuse(
            at,
            format!("the builtin {name} is not compiled"),
            "use abs, all, any, bool, divmod, float, int, len, max, min, pow, round or sum",
        ),
    }
}
