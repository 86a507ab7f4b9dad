//! The parser's tree to ours. Each construct is either understood in full or refused.

mod expr;
mod matching;
mod walrus;

use rustpython_parser::ast;

use super::limits::{MAX_NESTING, too_deep};
use super::text::Text;
use crate::env::FreeName;
use crate::hir::{BinaryOp, Expr, ExprKind, Hir, LocalId, Stmt, StmtId, StmtKind, Target};
use crate::live::Liveness;
use crate::refusal::Refusal;
use walrus::walrus_names;

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
        scopes: Vec::new(),
        depth: 0,
        loops: 0,
        params: 0,
        statements: 0,
    };
    let defaults = converter.params(&def.args)?;
    bound_names(&def.body, &mut |name| converter.bind(name));
    let statements = without_docstring(&def.body);
    let body = converter.body(statements)?;
    let Converter {
        locals,
        free,
        params,
        statements,
        ..
    } = converter;
    let live = Liveness::of(&body, statements);
    Ok(Hir {
        name: def.name.to_string(),
        span,
        params,
        positional_only: def.args.posonlyargs.len(),
        keyword_only: def.args.kwonlyargs.len(),
        defaults,
        nones: 0,
        locals,
        free,
        body,
        live,
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
    for stmt in body {
        match stmt {
            ast::Stmt::Assign(stmt) => stmt.targets.iter().for_each(|t| target_names(t, bind)),
            ast::Stmt::AugAssign(stmt) => target_names(&stmt.target, bind),
            ast::Stmt::AnnAssign(stmt) => target_names(&stmt.target, bind),
            ast::Stmt::For(stmt) => {
                target_names(&stmt.target, bind);
                bound_names(&stmt.body, bind);
                bound_names(&stmt.orelse, bind);
            }
            ast::Stmt::While(stmt) => {
                bound_names(&stmt.body, bind);
                bound_names(&stmt.orelse, bind);
            }
            ast::Stmt::If(stmt) => {
                bound_names(&stmt.body, bind);
                bound_names(&stmt.orelse, bind);
            }
            ast::Stmt::Delete(stmt) => stmt.targets.iter().for_each(|t| target_names(t, bind)),
            ast::Stmt::Match(stmt) => {
                for case in &stmt.cases {
                    matching::pattern_names(&case.pattern, bind);
                    bound_names(&case.body, bind);
                }
            }
            _ => {}
        }
    }
    // After the plain ones, so that the numbers of locals do not depend on walruses.
    for stmt in body {
        walrus_names(stmt, bind);
    }
}

fn target_names(target: &ast::Expr, bind: &mut impl FnMut(&str)) {
    match target {
        ast::Expr::Name(name) => bind(name.id.as_str()),
        ast::Expr::Tuple(tuple) => tuple.elts.iter().for_each(|t| target_names(t, bind)),
        ast::Expr::List(list) => list.elts.iter().for_each(|t| target_names(t, bind)),
        _ => {}
    }
}

fn is_plain_annotation(annotation: &ast::Expr) -> bool {
    matches!(annotation, ast::Expr::Name(_) | ast::Expr::Constant(_))
}

struct Converter<'a> {
    text: &'a Text<'a>,
    locals: Vec<String>,
    free: Vec<FreeName>,
    /// Names that are bound in the generator expressions around the current expression.
    scopes: Vec<(String, LocalId)>,
    /// Levels of statements and expressions around the current one.
    depth: usize,
    /// Loops around the current statement.
    loops: usize,
    params: usize,
    statements: usize,
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
        let positional = args.posonlyargs.iter().chain(&args.args);
        for param in positional.clone().chain(&args.kwonlyargs) {
            self.check_name(param.def.arg.as_str(), &param.def)?;
            self.bind(param.def.arg.as_str());
            self.params += 1;
        }
        Ok(positional.filter(|param| param.default.is_some()).count())
    }

    fn bind(&mut self, name: &str) {
        if self.local(name).is_none() {
            self.locals.push(name.to_owned());
        }
    }

    /// What a name means here: the innermost generator expression that binds it goes first.
    fn local(&self, name: &str) -> Option<LocalId> {
        let inner = self.scopes.iter().rev().find(|(known, _)| known == name);
        inner.map(|(_, local)| *local).or_else(|| {
            let mut names = self.locals.iter();
            names.position(|local| local == name).map(LocalId)
        })
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
        // A plain loop: bodies nest, and adapters would hold each statement in a dozen frames.
        let mut converted = Vec::with_capacity(body.len());
        for stmt in body {
            if self.depth == MAX_NESTING {
                return Err(too_deep(self.text.span(stmt)));
            }
            self.depth += 1;
            let result = self.stmt(stmt);
            self.depth -= 1;
            converted.push(result?);
        }
        Ok(converted)
    }

    fn loop_body(&mut self, body: &[ast::Stmt]) -> Result<Vec<Stmt>, Refusal> {
        self.loops += 1;
        let body = self.body(body);
        self.loops -= 1;
        body
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Result<Stmt, Refusal> {
        let span = self.text.span(stmt);
        let id = StmtId(self.statements);
        self.statements += 1;
        let kind = self.stmt_kind(stmt)?;
        Ok(Stmt { kind, span, id })
    }

    fn stmt_kind(&mut self, stmt: &ast::Stmt) -> Result<StmtKind, Refusal> {
        Ok(match stmt {
            ast::Stmt::Pass(_) => StmtKind::Pass,
            ast::Stmt::Return(ret) => {
                let value = ret.value.as_ref().map(|value| self.expr(value));
                StmtKind::Return(value.transpose()?)
            }
            ast::Stmt::Assign(assign) => {
                let targets = assign.targets.iter().map(|target| self.target(target));
                let targets = targets.collect::<Result<_, _>>()?;
                StmtKind::Assign(targets, self.expr(&assign.value)?)
            }
            ast::Stmt::AugAssign(assign) => self.augment(assign)?,
            ast::Stmt::AnnAssign(assign) => match &assign.value {
                // The annotation of a plain local name is never evaluated, but a walrus or a yield
                // in it would change the function.
                Some(value) if assign.simple && is_plain_annotation(&assign.annotation) => {
                    StmtKind::Assign(vec![self.target(&assign.target)?], self.expr(value)?)
                }
                _ => return self.refuse(stmt, "a declaration", "assign a value to a plain name"),
            },
            ast::Stmt::If(stmt) => self.if_stmt(stmt)?,
            ast::Stmt::While(stmt) => self.while_stmt(stmt)?,
            ast::Stmt::For(stmt) => self.for_stmt(stmt)?,
            ast::Stmt::Break(_) if self.loops > 0 => StmtKind::Break,
            ast::Stmt::Continue(_) if self.loops > 0 => StmtKind::Continue,
            // What they say is for the plain function to raise.
            ast::Stmt::Assert(stmt) => StmtKind::Assert(self.expr(&stmt.test)?),
            ast::Stmt::Raise(_) => StmtKind::Raise,
            ast::Stmt::Expr(stmt) => StmtKind::Expr(self.expr(&stmt.value)?),
            ast::Stmt::Delete(stmt) => self.delete(stmt)?,
            ast::Stmt::Match(stmt) => self.match_stmt(stmt)?,
            other => return self.refuse_stmt(other),
        })
    }

    fn if_stmt(&mut self, stmt: &ast::StmtIf) -> Result<StmtKind, Refusal> {
        Ok(StmtKind::If {
            test: self.expr(&stmt.test)?,
            then: self.body(&stmt.body)?,
            otherwise: self.body(&stmt.orelse)?,
        })
    }

    fn while_stmt(&mut self, stmt: &ast::StmtWhile) -> Result<StmtKind, Refusal> {
        Ok(StmtKind::While {
            test: self.expr(&stmt.test)?,
            body: self.loop_body(&stmt.body)?,
            otherwise: self.body(&stmt.orelse)?,
        })
    }

    fn for_stmt(&mut self, stmt: &ast::StmtFor) -> Result<StmtKind, Refusal> {
        Ok(StmtKind::For {
            target: self.target(&stmt.target)?,
            iter: self.expr(&stmt.iter)?,
            body: self.loop_body(&stmt.body)?,
            otherwise: self.body(&stmt.orelse)?,
        })
    }

    fn delete(&mut self, stmt: &ast::StmtDelete) -> Result<StmtKind, Refusal> {
        let mut locals = Vec::with_capacity(stmt.targets.len());
        for target in &stmt.targets {
            let Target::Local(local) = self.target(target)? else {
                let mend = "delete plain names only";
                return self.refuse(target, "a del of what is no plain name", mend);
            };
            locals.push(local);
        }
        Ok(StmtKind::Delete(locals))
    }

    fn augment(&mut self, assign: &ast::StmtAugAssign) -> Result<StmtKind, Refusal> {
        let span = self.text.span(assign);
        let op = self.binary_op(assign.op, assign)?;
        Ok(match self.target(&assign.target)? {
            Target::Element(array, index) => StmtKind::Augment {
                array: *array,
                index: *index,
                op,
                value: self.expr(&assign.value)?,
            },
            Target::Local(local) => {
                let kind = ExprKind::Local(local);
                let old = Expr { kind, span };
                let value = self.expr(&assign.value)?;
                let kind = ExprKind::Binary(op, Box::new(old), Box::new(value));
                StmtKind::Assign(vec![Target::Local(local)], Expr { kind, span })
            }
            Target::Tuple(..) => unreachable!("the parser refuses to augment a tuple"),
        })
    }

    fn target(&mut self, target: &ast::Expr) -> Result<Target, Refusal> {
        match target {
            ast::Expr::Name(name) => {
                self.check_name(name.id.as_str(), target)?;
                let local = self.local(name.id.as_str());
                Ok(Target::Local(local.expect("bound_names saw each target")))
            }
            ast::Expr::Tuple(ast::ExprTuple { elts, .. })
            | ast::Expr::List(ast::ExprList { elts, .. }) => {
                let targets = elts.iter().map(|target| self.target(target));
                Ok(Target::Tuple(
                    targets.collect::<Result<_, _>>()?,
                    self.text.span(target),
                ))
            }
            ast::Expr::Subscript(subscript) => Ok(Target::Element(
                Box::new(self.expr(&subscript.value)?),
                Box::new(self.expr(&subscript.slice)?),
            )),
            ast::Expr::Starred(_) => {
                self.refuse(target, "a starred target", "give each item its own name")
            }
            _ => {
                let mend = "assign to plain names or to elements of an array";
                self.refuse(target, "an assignment to an attribute", mend)
            }
        }
    }

    fn refuse_stmt<T>(&self, stmt: &ast::Stmt) -> Result<T, Refusal> {
        let in_caller = "do it in the caller";
        let (what, mend) = match stmt {
            ast::Stmt::FunctionDef(_) | ast::Stmt::AsyncFunctionDef(_) => {
                ("a nested def", "define it at the top level")
            }
            ast::Stmt::ClassDef(_) => ("a class", "define it at the top level"),
            ast::Stmt::AsyncFor(_) => ("an async loop", "use a plain for"),
            ast::Stmt::With(_) | ast::Stmt::AsyncWith(_) => ("a with statement", in_caller),
            ast::Stmt::Try(_) | ast::Stmt::TryStar(_) => ("a try statement", in_caller),
            ast::Stmt::Import(_) | ast::Stmt::ImportFrom(_) => {
                ("an import", "import at the top of the file")
            }
            ast::Stmt::Global(_) | ast::Stmt::Nonlocal(_) => (
                "a global or nonlocal statement",
                "pass the value in and return it",
            ),
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
