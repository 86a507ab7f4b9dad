//! Expressions.

use iris_jit::ir::Span;
use rustpython_parser::ast;

use super::Converter;
use crate::env::FreeName;
use crate::hir::{CompareOp, Expr, ExprKind, FreeId, UnaryOp};
use crate::refusal::Refusal;

impl Converter<'_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr, Refusal> {
        self.deeper(expr, |this| {
            Ok(Expr {
                kind: this.expr_kind(expr)?,
                span: this.text.span(expr),
            })
        })
    }

    fn boxed(&mut self, expr: &ast::Expr) -> Result<Box<Expr>, Refusal> {
        self.expr(expr).map(Box::new)
    }

    fn exprs(&mut self, exprs: &[ast::Expr]) -> Result<Vec<Expr>, Refusal> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn expr_kind(&mut self, expr: &ast::Expr) -> Result<ExprKind, Refusal> {
        Ok(match expr {
            ast::Expr::Constant(constant) => self.constant(constant)?,
            ast::Expr::Name(name) => {
                self.check_name(name.id.as_str(), expr)?;
                match self.local(name.id.as_str()) {
                    Some(local) => ExprKind::Local(local),
                    None => ExprKind::Free(self.free_name(expr)?),
                }
            }
            ast::Expr::Attribute(_) => ExprKind::Free(self.free_name(expr)?),
            ast::Expr::UnaryOp(unary) => self.unary(unary)?,
            ast::Expr::BinOp(binary) => {
                let op = self.binary_op(binary.op, expr)?;
                ExprKind::Binary(op, self.boxed(&binary.left)?, self.boxed(&binary.right)?)
            }
            ast::Expr::BoolOp(bool_op) => {
                let operands = self.exprs(&bool_op.values)?;
                match bool_op.op {
                    ast::BoolOp::And => ExprKind::And(operands),
                    ast::BoolOp::Or => ExprKind::Or(operands),
                }
            }
            ast::Expr::Compare(compare) => self.compare(compare)?,
            ast::Expr::IfExp(ternary) => ExprKind::Ternary {
                test: self.boxed(&ternary.test)?,
                then: self.boxed(&ternary.body)?,
                otherwise: self.boxed(&ternary.orelse)?,
            },
            ast::Expr::Call(call) => self.call(call)?,
            other => return self.refuse_expr(other),
        })
    }

    fn constant(&self, constant: &ast::ExprConstant) -> Result<ExprKind, Refusal> {
        let mend = "compute with int, float and bool only";
        let what = match &constant.value {
            ast::Constant::Bool(value) => return Ok(ExprKind::Bool(*value)),
            ast::Constant::Float(value) => return Ok(ExprKind::Float(*value)),
            ast::Constant::Int(value) => {
                return i64::try_from(value).map(ExprKind::Int).or_else(|_| {
                    self.refuse(
                        constant,
                        "an integer beyond 64 bits",
                        "use a smaller constant",
                    )
                });
            }
            ast::Constant::None => "None",
            ast::Constant::Str(_) => "a string",
            ast::Constant::Bytes(_) => "a bytes literal",
            ast::Constant::Complex { .. } => "a complex number",
            ast::Constant::Ellipsis => "an ellipsis",
            ast::Constant::Tuple(_) => "a tuple",
        };
        self.refuse(constant, what, mend)
    }

    fn unary(&mut self, unary: &ast::ExprUnaryOp) -> Result<ExprKind, Refusal> {
        let op = match unary.op {
            ast::UnaryOp::Not => return Ok(ExprKind::Not(self.boxed(&unary.operand)?)),
            ast::UnaryOp::UAdd => UnaryOp::Pos,
            ast::UnaryOp::USub => UnaryOp::Neg,
            ast::UnaryOp::Invert => UnaryOp::Invert,
        };
        Ok(ExprKind::Unary(op, self.boxed(&unary.operand)?))
    }

    fn compare(&mut self, compare: &ast::ExprCompare) -> Result<ExprKind, Refusal> {
        let first = self.boxed(&compare.left)?;
        let mut links = Vec::with_capacity(compare.ops.len());
        for (op, operand) in compare.ops.iter().zip(&compare.comparators) {
            let op = match op {
                ast::CmpOp::Eq => CompareOp::Eq,
                ast::CmpOp::NotEq => CompareOp::Ne,
                ast::CmpOp::Lt => CompareOp::Lt,
                ast::CmpOp::LtE => CompareOp::Le,
                ast::CmpOp::Gt => CompareOp::Gt,
                ast::CmpOp::GtE => CompareOp::Ge,
                ast::CmpOp::Is | ast::CmpOp::IsNot => {
                    return self.refuse(compare, "a test of identity", "compare with == or !=");
                }
                ast::CmpOp::In | ast::CmpOp::NotIn => {
                    return self.refuse(compare, "a test of membership", "compare with ==");
                }
            };
            links.push((op, self.expr(operand)?));
        }
        Ok(ExprKind::Compare(first, links))
    }

    fn call(&mut self, call: &ast::ExprCall) -> Result<ExprKind, Refusal> {
        if !matches!(*call.func, ast::Expr::Name(_) | ast::Expr::Attribute(_)) {
            let mend = "call a builtin or a math function by its name";
            return self.refuse(call.func.as_ref(), "a call of a computed function", mend);
        }
        if let Some(keyword) = call.keywords.first() {
            return self.refuse(keyword, "a keyword argument", "pass it by position");
        }
        let callee = self.free_name(&call.func)?;
        Ok(ExprKind::Call(callee, self.exprs(&call.args)?))
    }

    /// Registers `name` or `name.attribute`; the name must not be a local.
    fn free_name(&mut self, expr: &ast::Expr) -> Result<FreeId, Refusal> {
        let (name, attribute) = match expr {
            ast::Expr::Name(name) => (name.id.as_str(), None),
            ast::Expr::Attribute(attribute) => {
                let ast::Expr::Name(name) = attribute.value.as_ref() else {
                    let mend = "read one attribute of a module, as math.sqrt";
                    return self.refuse(expr, "an attribute of an expression", mend);
                };
                self.check_name(attribute.attr.as_str(), expr)?;
                (name.id.as_str(), Some(attribute.attr.as_str()))
            }
            other => return self.refuse_expr(other),
        };
        self.check_name(name, expr)?;
        if self.local(name).is_some() {
            let mend = "call a builtin or a math function by its name";
            return self.refuse(expr, "a call or an attribute of a local name", mend);
        }
        let span = self.text.span(expr);
        Ok(FreeId(self.intern(name, attribute, span)))
    }

    fn intern(&mut self, name: &str, attribute: Option<&str>, span: Span) -> usize {
        let same = |free: &FreeName| free.name == name && free.attribute.as_deref() == attribute;
        self.free.iter().position(same).unwrap_or_else(|| {
            let attribute = attribute.map(str::to_owned);
            self.free.push(FreeName {
                name: name.to_owned(),
                attribute,
                span,
            });
            self.free.len() - 1
        })
    }

    fn refuse_expr<T>(&self, expr: &ast::Expr) -> Result<T, Refusal> {
        let scalars = "compute with int, float and bool only";
        let (what, mend) = match expr {
            ast::Expr::NamedExpr(_) => ("an assignment expression", "assign in its own statement"),
            ast::Expr::Lambda(_) => ("a lambda", "write the expression in place"),
            ast::Expr::Dict(_) => ("a dict", scalars),
            ast::Expr::Set(_) => ("a set", scalars),
            ast::Expr::List(_) => ("a list", scalars),
            ast::Expr::Tuple(_) => ("a tuple", scalars),
            ast::Expr::ListComp(_)
            | ast::Expr::SetComp(_)
            | ast::Expr::DictComp(_)
            | ast::Expr::GeneratorExp(_) => ("a comprehension", scalars),
            ast::Expr::Await(_) | ast::Expr::Yield(_) | ast::Expr::YieldFrom(_) => (
                "await or yield",
                "use a plain def: compiled code cannot be suspended",
            ),
            ast::Expr::FormattedValue(_) | ast::Expr::JoinedStr(_) => {
                ("an f-string", "keep text out of the function")
            }
            ast::Expr::Subscript(_) | ast::Expr::Slice(_) => ("a subscript", "pass the element"),
            ast::Expr::Starred(_) => ("a starred argument", "pass each argument"),
            _ => ("this expression", scalars),
        };
        self.refuse(expr, what, mend)
    }
}
