//! Expressions.

use iris_jit::ir::Span;
use rustpython_parser::ast;

use super::Converter;
use crate::env::FreeName;
use crate::hir::{
    Call, Clause, CompareOp, Expr, ExprKind, FreeId, Generator, LocalId, Target, UnaryOp, WhileCall,
};
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
            ast::Expr::Attribute(attribute) if self.is_of_value(attribute) => {
                let base = self.boxed(&attribute.value)?;
                ExprKind::Attribute(base, attribute.attr.to_string())
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
            ast::Expr::Tuple(tuple) => ExprKind::Tuple(self.exprs(&tuple.elts)?),
            ast::Expr::List(list) => ExprKind::List(self.exprs(&list.elts)?),
            ast::Expr::Subscript(subscript) => {
                ExprKind::Index(self.boxed(&subscript.value)?, self.boxed(&subscript.slice)?)
            }
            ast::Expr::NamedExpr(named) => self.walrus(named)?,
            ast::Expr::GeneratorExp(generator) => {
                ExprKind::Generator(Box::new(self.generator(generator)?))
            }
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
            ast::Constant::None => return Ok(ExprKind::None),
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

    /// Whether it is an attribute of a local or of a computed value, and not of a module.
    fn is_of_value(&self, attribute: &ast::ExprAttribute) -> bool {
        match attribute.value.as_ref() {
            ast::Expr::Name(name) => self.local(name.id.as_str()).is_some(),
            ast::Expr::Attribute(_) => false,
            _ => true,
        }
    }

    /// `in` and `is`, and their complements.
    fn identity(
        &mut self,
        op: ast::CmpOp,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Result<ExprKind, Refusal> {
        let item = self.boxed(left)?;
        let negated = matches!(op, ast::CmpOp::IsNot | ast::CmpOp::NotIn);
        if matches!(op, ast::CmpOp::Is | ast::CmpOp::IsNot) {
            return Ok(ExprKind::Is(item, self.boxed(right)?, negated));
        }
        let container = match right {
            // Of numbers, a set has the same as a tuple.
            ast::Expr::Set(set) => Box::new(Expr {
                kind: ExprKind::List(self.exprs(&set.elts)?),
                span: self.text.span(right),
            }),
            _ => self.boxed(right)?,
        };
        Ok(ExprKind::In(item, container, negated))
    }

    fn compare(&mut self, compare: &ast::ExprCompare) -> Result<ExprKind, Refusal> {
        if let ([op], [right]) = (&compare.ops[..], &compare.comparators[..])
            && matches!(
                op,
                ast::CmpOp::Is | ast::CmpOp::IsNot | ast::CmpOp::In | ast::CmpOp::NotIn
            )
        {
            return self.identity(*op, &compare.left, right);
        }
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
                ast::CmpOp::Is | ast::CmpOp::IsNot | ast::CmpOp::In | ast::CmpOp::NotIn => {
                    let mend = "join the tests with and";
                    return self.refuse(compare, "is or in within a chain of comparisons", mend);
                }
            };
            links.push((op, self.expr(operand)?));
        }
        Ok(ExprKind::Compare(first, links))
    }

    fn call(&mut self, call: &ast::ExprCall) -> Result<ExprKind, Refusal> {
        if let ast::Expr::Attribute(method) = call.func.as_ref()
            && self.is_of_value(method)
        {
            if let Some(keyword) = call.keywords.first() {
                let mend = "pass it by position";
                return self.refuse(keyword, "a keyword argument of a method", mend);
            }
            let base = self.boxed(&method.value)?;
            let args = self.exprs(&call.args)?;
            return Ok(ExprKind::Method(base, method.attr.to_string(), args));
        }
        if !matches!(*call.func, ast::Expr::Name(_) | ast::Expr::Attribute(_)) {
            let mend = "call a builtin or a math function by its name";
            return self.refuse(call.func.as_ref(), "a call of a computed function", mend);
        }
        let callee = self.free_name(&call.func)?;
        let name = &self.free[callee.0];
        let name = name.attribute.as_ref().unwrap_or(&name.name);
        if matches!(name.as_str(), "sum_while" | "any_while" | "all_while") {
            return self.while_call(callee, call);
        }
        let args = self.exprs(&call.args)?;
        let mut keywords = Vec::with_capacity(call.keywords.len());
        for keyword in &call.keywords {
            let Some(name) = &keyword.arg else {
                return self.refuse(keyword, "a starred argument", "pass each argument");
            };
            keywords.push((name.to_string(), self.expr(&keyword.value)?));
        }
        Ok(ExprKind::Call(Call {
            callee,
            args,
            keywords,
        }))
    }

    /// `sum_while(i, init, test, step, body)`: `i` is a name of the call's own.
    fn while_call(&mut self, callee: FreeId, call: &ast::ExprCall) -> Result<ExprKind, Refusal> {
        let usage = "write it as (name, first value, condition, next value, contribution)";
        let ([ast::Expr::Name(name), init, test, step, body], []) =
            (call.args.as_slice(), call.keywords.as_slice())
        else {
            return self.refuse(call, "such a call of a while reduction", usage);
        };
        self.check_name(name.id.as_str(), &call.args[0])?;
        let init = self.expr(init)?;
        let depth = self.scopes.len();
        let local = self.scoped(name.id.as_str());
        let parts = [test, step, body].map(|part| self.expr(part));
        self.scopes.truncate(depth);
        let [test, step, body] = parts;
        Ok(ExprKind::While(Box::new(WhileCall {
            callee,
            local,
            init,
            test: test?,
            step: step?,
            body: body?,
        })))
    }

    fn walrus(&mut self, named: &ast::ExprNamedExpr) -> Result<ExprKind, Refusal> {
        if !self.scopes.is_empty() {
            let mend = "assign in its own statement";
            return self.refuse(named, "an assignment in a generator expression", mend);
        }
        let value = self.boxed(&named.value)?;
        match self.target(&named.target)? {
            Target::Local(local) => Ok(ExprKind::Walrus(local, value)),
            _ => unreachable!("the parser takes names only"),
        }
    }

    fn generator(&mut self, generator: &ast::ExprGeneratorExp) -> Result<Generator, Refusal> {
        let depth = self.scopes.len();
        let parts = self.generator_parts(generator);
        self.scopes.truncate(depth);
        parts
    }

    fn generator_parts(&mut self, generator: &ast::ExprGeneratorExp) -> Result<Generator, Refusal> {
        let mut clauses = Vec::with_capacity(generator.generators.len());
        // A target is in scope in all later clauses, but an `iter` sees the names before it.
        let depth = self.scopes.len();
        for (index, clause) in generator.generators.iter().enumerate() {
            if clause.is_async {
                return self.refuse(&clause.target, "an async generator", "use a plain for");
            }
            if self.rebinds(&clause.target, depth) {
                let mend = "give each clause its own names";
                return self.refuse(&clause.target, "a name bound by two clauses", mend);
            }
            let iter = self.expr(&clause.iter)?;
            if Self::reads_unbound(generator, index) {
                let mend = "give each clause its own names";
                return self.refuse(&clause.iter, "a name of a later clause", mend);
            }
            let target = self.scoped_target(&clause.target)?;
            let conditions = self.exprs(&clause.ifs)?;
            clauses.push(Clause {
                target,
                iter,
                conditions,
            });
        }
        let element = self.expr(&generator.elt)?;
        Ok(Generator { element, clauses })
    }

    fn rebinds(&self, target: &ast::Expr, depth: usize) -> bool {
        let mut known = false;
        super::target_names(target, &mut |name| {
            known |= self.scopes[depth..]
                .iter()
                .any(|(scoped, _)| scoped == name);
        });
        known
    }

    /// Whether a clause reads a name that only a later clause binds (or itself, for its `iter`):
    /// in Python that is the unbound name of the generator, not the one around it.
    fn reads_unbound(generator: &ast::ExprGeneratorExp, index: usize) -> bool {
        let clause = &generator.generators[index];
        let bound_from = |from: usize| {
            let mut names = Vec::new();
            for later in &generator.generators[from..] {
                super::target_names(&later.target, &mut |name| names.push(name.to_owned()));
            }
            names
        };
        let reads = |expr: &ast::Expr, names: &[String]| {
            let mut found = false;
            super::walrus::names_in(expr, &mut |name| {
                found |= names.iter().any(|known| known == name);
            });
            found
        };
        let (mine, later) = (bound_from(index), bound_from(index + 1));
        index > 0 && reads(&clause.iter, &mine) || clause.ifs.iter().any(|test| reads(test, &later))
    }

    /// A new local of this name, seen until the scope is truncated.
    fn scoped(&mut self, name: &str) -> LocalId {
        let local = LocalId(self.locals.len());
        // A name with a dot is none that a program can spell.
        self.locals.push(format!("{name}.{}", local.0));
        self.scopes.push((name.to_owned(), local));
        local
    }

    fn scoped_target(&mut self, target: &ast::Expr) -> Result<Target, Refusal> {
        match target {
            ast::Expr::Name(name) => {
                self.check_name(name.id.as_str(), target)?;
                Ok(Target::Local(self.scoped(name.id.as_str())))
            }
            ast::Expr::Tuple(ast::ExprTuple { elts, .. })
            | ast::Expr::List(ast::ExprList { elts, .. }) => {
                let targets = elts.iter().map(|target| self.scoped_target(target));
                Ok(Target::Tuple(
                    targets.collect::<Result<_, _>>()?,
                    self.text.span(target),
                ))
            }
            _ => {
                let mend = "bind plain names";
                self.refuse(target, "such a target of a generator expression", mend)
            }
        }
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
            ast::Expr::Lambda(_) => ("a lambda", "write the expression in place"),
            ast::Expr::Dict(_) => ("a dict", scalars),
            ast::Expr::Set(_) => ("a set", scalars),
            ast::Expr::ListComp(_) | ast::Expr::SetComp(_) | ast::Expr::DictComp(_) => {
                ("a comprehension", scalars)
            }
            ast::Expr::Await(_) | ast::Expr::Yield(_) | ast::Expr::YieldFrom(_) => (
                "await or yield",
                "use a plain def: compiled code cannot be suspended",
            ),
            ast::Expr::FormattedValue(_) | ast::Expr::JoinedStr(_) => {
                ("an f-string", "keep text out of the function")
            }
            ast::Expr::Slice(_) => ("a slice", "loop over the indices"),
            ast::Expr::Starred(_) => ("a starred argument", "pass each argument"),
            _ => ("this expression", scalars),
        };
        self.refuse(expr, what, mend)
    }
}
