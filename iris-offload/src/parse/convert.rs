//! The parser's tree to ours. Each construct is either understood in full or refused.

mod expr;

use rustpython_parser::ast;

use super::limits::{MAX_NESTING, too_deep};
use super::text::Text;
use crate::env::FreeName;
use crate::hir::{BinaryOp, Expr, ExprKind, Hir, LocalId, Stmt, StmtKind};
use crate::refusal::Refusal;

/// Converts a function definition; its decorators are not looked at.
pub(super) fn function(text: &Text<'_>, def: &ast::StmtFunctionDef) -> Result<Hir, Refusal> {
    let span = text.span(def);
    if !def.type_params.is_empty() {
        return Err(Refusal::new(
            span,
            "type parameters are not compiled",
            "drop the type parameters",
        ));
    }
    let mut converter = Converter {
        text,
        locals: Vec::new(),
        free: Vec::new(),
        depth: 0,
        params: 0,
    };
    let defaults = converter.params(&def.args)?;
    bound_names(&def.body, &mut |name| converter.bind(name));
    let statements = without_docstring(&def.body);
    let body = converter.body(statements)?;
    let Converter {
        locals,
        free,
        params,
        ..
    } = converter;
    Ok(Hir {
        name: def.name.to_string(),
        span,
        params,
        defaults,
        locals,
        free,
        body,
    })
}

fn without_docstring(body: &[ast::Stmt]) -> &[ast::Stmt] {
    if let [ast::Stmt::Expr(first), rest @ ..] = body
        && let ast::Expr::Constant(constant) = first.value.as_ref()
        && constant.value.is_str()
    {
        return rest;
    }
    body
}

/// Calls `bind` for each name that a statement binds: such a name is local in the whole function.
/// Other statements that bind names are refused by the conversion.
fn bound_names(body: &[ast::Stmt], bind: &mut impl FnMut(&str)) {
    let mut target = |target: &ast::Expr| {
        if let ast::Expr::Name(name) = target {
            bind(name.id.as_str());
        }
    };
    for stmt in body {
        match stmt {
            ast::Stmt::Assign(stmt) => stmt.targets.iter().for_each(&mut target),
            ast::Stmt::AugAssign(stmt) => target(&stmt.target),
            ast::Stmt::AnnAssign(stmt) => target(&stmt.target),
            _ => {}
        }
    }
    for stmt in body {
        if let ast::Stmt::If(stmt) = stmt {
            bound_names(&stmt.body, bind);
            bound_names(&stmt.orelse, bind);
        }
    }
}

fn is_plain_annotation(annotation: &ast::Expr) -> bool {
    matches!(annotation, ast::Expr::Name(_) | ast::Expr::Constant(_))
}

struct Converter<'a> {
    text: &'a Text<'a>,
    locals: Vec<String>,
    free: Vec<FreeName>,
    /// Levels of statements and expressions around the current one.
    depth: usize,
    params: usize,
}

impl Converter<'_> {
    fn refuse<T>(
        &self,
        node: &impl ast::Ranged,
        what: &'static str,
        mend: &'static str,
    ) -> Result<T, Refusal> {
        Err(Refusal::new(
            self.text.span(node),
            format!("{what} is not compiled"),
            mend,
        ))
    }

    /// Binds the parameters; gives the number of defaults.
    fn params(&mut self, args: &ast::Arguments) -> Result<usize, Refusal> {
        if let Some(star) = args.vararg.as_ref().or(args.kwarg.as_ref()) {
            return self.refuse(star.as_ref(), "a starred parameter", "name each parameter");
        }
        if let Some(arg) = args.kwonlyargs.first() {
            let mend = "make the parameter positional";
            return self.refuse(&arg.def, "a keyword-only parameter", mend);
        }
        let params = args.posonlyargs.iter().chain(&args.args);
        let mut defaults = 0;
        for param in params {
            self.check_name(param.def.arg.as_str(), &param.def)?;
            self.bind(param.def.arg.as_str());
            self.params += 1;
            defaults += usize::from(param.default.is_some());
        }
        Ok(defaults)
    }

    fn bind(&mut self, name: &str) {
        if self.local(name).is_none() {
            self.locals.push(name.to_owned());
        }
    }

    fn local(&self, name: &str) -> Option<LocalId> {
        self.locals
            .iter()
            .position(|local| local == name)
            .map(LocalId)
    }

    /// Refuses names whose spelling is not what Python looks up.
    fn check_name(&self, name: &str, node: &impl ast::Ranged) -> Result<(), Refusal> {
        if !name.is_ascii() {
            // Python compares such names in their NFKC form.
            return self.refuse(node, "a name beyond ASCII", "use an ASCII name");
        }
        if name.starts_with("__") && !name.ends_with("__") {
            // In the body of a class Python prefixes such names with the class.
            return self.refuse(
                node,
                "a private name",
                "use a name without leading underscores",
            );
        }
        Ok(())
    }

    fn deeper<T>(
        &mut self,
        node: &impl ast::Ranged,
        inner: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if self.depth == MAX_NESTING {
            return Err(too_deep(self.text.span(node)));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn body(&mut self, body: &[ast::Stmt]) -> Result<Vec<Stmt>, Refusal> {
        body.iter()
            .map(|stmt| self.deeper(stmt, |this| this.stmt(stmt)))
            .collect()
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Result<Stmt, Refusal> {
        let span = self.text.span(stmt);
        let kind = match stmt {
            ast::Stmt::Pass(_) => StmtKind::Pass,
            ast::Stmt::Return(ret) => match &ret.value {
                Some(value) => StmtKind::Return(self.expr(value)?),
                None => return self.refuse(stmt, "a return of None", "return a number"),
            },
            ast::Stmt::Assign(assign) => {
                let targets: Result<_, _> = assign
                    .targets
                    .iter()
                    .map(|target| self.target(target))
                    .collect();
                StmtKind::Assign(targets?, self.expr(&assign.value)?)
            }
            ast::Stmt::AugAssign(assign) => {
                let target = self.target(&assign.target)?;
                let op = self.binary_op(assign.op, stmt)?;
                let old = Expr {
                    kind: ExprKind::Local(target),
                    span,
                };
                let value = self.expr(&assign.value)?;
                let kind = ExprKind::Binary(op, Box::new(old), Box::new(value));
                StmtKind::Assign(vec![target], Expr { kind, span })
            }
            ast::Stmt::AnnAssign(assign) => match &assign.value {
                // The annotation of a plain local name is never evaluated, but a walrus or a yield
                // in it would change the function.
                Some(value) if assign.simple && is_plain_annotation(&assign.annotation) => {
                    StmtKind::Assign(vec![self.target(&assign.target)?], self.expr(value)?)
                }
                _ => return self.refuse(stmt, "a declaration", "assign a value to a plain name"),
            },
            ast::Stmt::If(stmt) => StmtKind::If {
                test: self.expr(&stmt.test)?,
                then: self.body(&stmt.body)?,
                otherwise: self.body(&stmt.orelse)?,
            },
            other => return self.refuse_stmt(other),
        };
        Ok(Stmt { kind, span })
    }

    fn target(&self, target: &ast::Expr) -> Result<LocalId, Refusal> {
        let ast::Expr::Name(name) = target else {
            let mend = "assign to one plain name";
            return self.refuse(target, "an assignment to more than a name", mend);
        };
        self.check_name(name.id.as_str(), target)?;
        Ok(self
            .local(name.id.as_str())
            .expect("bound_names saw each target"))
    }

    fn refuse_stmt<T>(&self, stmt: &ast::Stmt) -> Result<T, Refusal> {
        let in_caller = "do it in the caller";
        let (what, mend) = match stmt {
            ast::Stmt::FunctionDef(_) | ast::Stmt::AsyncFunctionDef(_) => {
                ("a nested def", "define it at the top level")
            }
            ast::Stmt::ClassDef(_) => ("a class", "define it at the top level"),
            ast::Stmt::For(_) | ast::Stmt::AsyncFor(_) | ast::Stmt::While(_) => {
                ("a loop", "offload the body as a function of scalars")
            }
            ast::Stmt::With(_) | ast::Stmt::AsyncWith(_) => ("a with statement", in_caller),
            ast::Stmt::Match(_) => ("a match statement", "use if, elif and else"),
            ast::Stmt::Raise(_) => ("a raise", "check the arguments in the caller"),
            ast::Stmt::Assert(_) => ("an assert", "check the arguments in the caller"),
            ast::Stmt::Try(_) | ast::Stmt::TryStar(_) => ("a try statement", in_caller),
            ast::Stmt::Import(_) | ast::Stmt::ImportFrom(_) => {
                ("an import", "import at the top of the file")
            }
            ast::Stmt::Global(_) | ast::Stmt::Nonlocal(_) => (
                "a global or nonlocal statement",
                "pass the value in and return it",
            ),
            ast::Stmt::Delete(_) => ("a del", "leave the name bound"),
            ast::Stmt::Expr(_) => ("an expression without effect", "remove it or assign it"),
            _ => ("this statement", in_caller),
        };
        self.refuse(stmt, what, mend)
    }

    fn binary_op(&self, op: ast::Operator, node: &impl ast::Ranged) -> Result<BinaryOp, Refusal> {
        Ok(match op {
            ast::Operator::Add => BinaryOp::Add,
            ast::Operator::Sub => BinaryOp::Sub,
            ast::Operator::Mult => BinaryOp::Mul,
            ast::Operator::Div => BinaryOp::Div,
            ast::Operator::FloorDiv => BinaryOp::FloorDiv,
            ast::Operator::Mod => BinaryOp::Mod,
            ast::Operator::Pow => BinaryOp::Pow,
            ast::Operator::LShift => BinaryOp::Shl,
            ast::Operator::RShift => BinaryOp::Shr,
            ast::Operator::BitAnd => BinaryOp::And,
            ast::Operator::BitOr => BinaryOp::Or,
            ast::Operator::BitXor => BinaryOp::Xor,
            ast::Operator::MatMult => {
                return self.refuse(node, "matrix multiplication", "multiply in the caller");
            }
        })
    }
}
