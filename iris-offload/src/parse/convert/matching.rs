//! `match` of scalars: as a chain of `if`.

use iris_jit::ir::Span;
use rustpython_parser::ast;

use super::super::limits::{MAX_NESTING, too_deep};
use super::Converter;
use crate::hir::{CompareOp, Expr, ExprKind, LocalId, Stmt, StmtId, StmtKind, Target};
use crate::refusal::Refusal;

/// A pattern: when it matches, if not always, and the name that it binds to the subject.
struct Matched {
    test: Option<Expr>,
    name: Option<LocalId>,
}

impl Converter<'_> {
    pub(super) fn match_stmt(&mut self, stmt: &ast::StmtMatch) -> Result<StmtKind, Refusal> {
        let span = self.text.span(stmt);
        if self.depth + stmt.cases.len() > MAX_NESTING {
            return Err(too_deep(span));
        }
        let value = self.expr(&stmt.subject)?;
        // A name with a dot is none that a program can spell.
        let subject = LocalId(self.locals.len());
        self.locals.push(format!("match.{}", subject.0));
        let target = vec![Target::Local(subject)];
        let bind = self.made(StmtKind::Assign(target, value), span);
        let cases = self.cases(subject, &stmt.cases)?;
        let then = std::iter::once(bind).chain(cases).collect();
        // A block of statements: the `if` that is always taken.
        Ok(StmtKind::If {
            test: Expr {
                kind: ExprKind::Bool(true),
                span,
            },
            then,
            otherwise: Vec::new(),
        })
    }

    fn cases(&mut self, subject: LocalId, cases: &[ast::MatchCase]) -> Result<Vec<Stmt>, Refusal> {
        let Some((case, rest)) = cases.split_first() else {
            return Ok(Vec::new());
        };
        let span = self.text.span(&case.pattern);
        let Matched { test, name } = self.pattern(subject, &case.pattern)?;
        let guard = case.guard.as_ref().map(|guard| self.expr(guard));
        let guard = guard.transpose()?;
        if name.is_some() && test.is_some() && guard.is_some() {
            let mend = "test in the body of the case";
            return self.refuse(&case.pattern, "a name and a guard of one pattern", mend);
        }
        let bind = name.map(|name| {
            let kind = ExprKind::Local(subject);
            let value = Expr { kind, span };
            self.made(StmtKind::Assign(vec![Target::Local(name)], value), span)
        });
        let test = match (test, guard) {
            (Some(test), Some(guard)) => Some(Expr {
                kind: ExprKind::And(vec![test, guard]),
                span,
            }),
            (test, guard) => test.or(guard),
        };
        let mut body = self.body(&case.body)?;
        let always =
            matches!(case.pattern, ast::Pattern::MatchAs(ref pattern) if pattern.pattern.is_none());
        let Some(test) = test else {
            body.splice(0..0, bind);
            return Ok(body);
        };
        let otherwise = self.cases(subject, rest)?;
        // An irrefutable pattern binds before its guard is asked.
        let mut made = Vec::new();
        if always {
            made.extend(bind);
        } else {
            body.splice(0..0, bind);
        }
        let kind = StmtKind::If {
            test,
            then: body,
            otherwise,
        };
        made.push(self.made(kind, span));
        Ok(made)
    }

    fn pattern(&mut self, subject: LocalId, pattern: &ast::Pattern) -> Result<Matched, Refusal> {
        let span = self.text.span(pattern);
        let local = || Box::new(expr(ExprKind::Local(subject), span));
        let test = match pattern {
            ast::Pattern::MatchValue(value) => {
                let value = self.expr(&value.value)?;
                ExprKind::Compare(local(), vec![(CompareOp::Eq, value)])
            }
            ast::Pattern::MatchSingleton(value) => {
                let value = match &value.value {
                    ast::Constant::Bool(value) => ExprKind::Bool(*value),
                    _ => ExprKind::None,
                };
                ExprKind::Is(local(), Box::new(expr(value, span)), false)
            }
            ast::Pattern::MatchOr(any) => {
                let mut tests = Vec::with_capacity(any.patterns.len());
                for pattern in &any.patterns {
                    let Matched {
                        test: Some(test),
                        name: None,
                    } = self.pattern(subject, pattern)?
                    else {
                        let mend = "give it a case of its own";
                        return self.refuse(pattern, "such an alternative", mend);
                    };
                    tests.push(test);
                }
                ExprKind::Or(tests)
            }
            ast::Pattern::MatchAs(named) => {
                let inner = named.pattern.as_ref();
                let test = match inner {
                    Some(inner) => self.pattern(subject, inner)?.test,
                    None => None,
                };
                let name = named.name.as_ref().map(|name| {
                    let local = self.local(name.as_str());
                    local.expect("bound_names saw each name")
                });
                return Ok(Matched { test, name });
            }
            _ => {
                let mend = "match numbers, True, False, None, names and _";
                return self.refuse(pattern, "such a pattern", mend);
            }
        };
        Ok(Matched {
            test: Some(expr(test, span)),
            name: None,
        })
    }

    /// A statement that the text does not spell so.
    fn made(&mut self, kind: StmtKind, span: Span) -> Stmt {
        let id = StmtId(self.statements);
        self.statements += 1;
        Stmt { kind, span, id }
    }
}

fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, span }
}

/// Calls `bind` for each name that a pattern binds.
pub(super) fn pattern_names(pattern: &ast::Pattern, bind: &mut impl FnMut(&str)) {
    match pattern {
        ast::Pattern::MatchAs(named) => {
            if let Some(inner) = &named.pattern {
                pattern_names(inner, bind);
            }
            if let Some(name) = &named.name {
                bind(name.as_str());
            }
        }
        ast::Pattern::MatchOr(any) => {
            for pattern in &any.patterns {
                pattern_names(pattern, bind);
            }
        }
        // Others are refused.
        _ => {}
    }
}
