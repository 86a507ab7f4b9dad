//! The names that assignment expressions bind.

use rustpython_parser::ast::{self, Expr, Stmt};

/// Calls `bind` for each name that `:=` binds in a statement; statements that are never compiled
/// are not looked at.
pub(super) fn walrus_names(stmt: &Stmt, bind: &mut impl FnMut(&str)) {
    let mut see = |expr: &Expr| in_expr(expr, bind);
    let bodies: &[&[Stmt]] = match stmt {
        Stmt::Return(stmt) => {
            stmt.value.iter().for_each(|value| see(value));
            &[]
        }
        Stmt::Assign(stmt) => {
            stmt.targets.iter().for_each(&mut see);
            see(&stmt.value);
            &[]
        }
        Stmt::AugAssign(stmt) => {
            see(&stmt.target);
            see(&stmt.value);
            &[]
        }
        Stmt::AnnAssign(stmt) => {
            stmt.value.iter().for_each(|value| see(value));
            &[]
        }
        Stmt::Expr(stmt) => {
            see(&stmt.value);
            &[]
        }
        Stmt::Assert(stmt) => {
            see(&stmt.test);
            stmt.msg.iter().for_each(|msg| see(msg));
            &[]
        }
        Stmt::Raise(stmt) => {
            stmt.exc
                .iter()
                .chain(&stmt.cause)
                .for_each(|expr| see(expr));
            &[]
        }
        Stmt::If(stmt) => {
            see(&stmt.test);
            &[&stmt.body, &stmt.orelse]
        }
        Stmt::While(stmt) => {
            see(&stmt.test);
            &[&stmt.body, &stmt.orelse]
        }
        Stmt::For(stmt) => {
            see(&stmt.target);
            see(&stmt.iter);
            &[&stmt.body, &stmt.orelse]
        }
        Stmt::Match(stmt) => {
            see(&stmt.subject);
            for case in &stmt.cases {
                case.guard.iter().for_each(|guard| see(guard));
            }
            for case in &stmt.cases {
                case.body.iter().for_each(|stmt| walrus_names(stmt, bind));
            }
            &[]
        }
        _ => &[],
    };
    let inner = bodies.iter().copied().flatten();
    inner.for_each(|stmt| walrus_names(stmt, bind));
}

fn in_expr(expr: &Expr, bind: &mut impl FnMut(&str)) {
    if let Expr::NamedExpr(named) = expr
        && let Expr::Name(name) = named.target.as_ref()
    {
        bind(name.id.as_str());
    }
    children(expr, &mut |child| in_expr(child, bind));
}

/// Calls `see` for each direct part of an expression that is compiled at all.
fn children(expr: &Expr, see: &mut dyn FnMut(&Expr)) {
    match expr {
        Expr::NamedExpr(e) => see(&e.value),
        Expr::UnaryOp(e) => see(&e.operand),
        Expr::BinOp(e) => {
            see(&e.left);
            see(&e.right);
        }
        Expr::BoolOp(e) => e.values.iter().for_each(see),
        Expr::Compare(e) => {
            see(&e.left);
            e.comparators.iter().for_each(see);
        }
        Expr::IfExp(e) => {
            see(&e.test);
            see(&e.body);
            see(&e.orelse);
        }
        Expr::Call(e) => {
            see(&e.func);
            e.args.iter().for_each(&mut *see);
            e.keywords.iter().for_each(|keyword| see(&keyword.value));
        }
        Expr::Tuple(e) => e.elts.iter().for_each(see),
        Expr::List(e) => e.elts.iter().for_each(see),
        Expr::Set(e) => e.elts.iter().for_each(see),
        Expr::Starred(e) => see(&e.value),
        Expr::Subscript(e) => {
            see(&e.value);
            see(&e.slice);
        }
        Expr::Attribute(e) => see(&e.value),
        Expr::GeneratorExp(e) => {
            see(&e.elt);
            e.generators
                .iter()
                .for_each(|clause| clause_parts(clause, see));
        }
        _ => {}
    }
}

fn clause_parts(clause: &ast::Comprehension, see: &mut dyn FnMut(&Expr)) {
    see(&clause.iter);
    clause.ifs.iter().for_each(see);
}

/// Calls `see` for each name in an expression.
pub(super) fn names_in(expr: &Expr, see: &mut dyn FnMut(&str)) {
    if let Expr::Name(name) = expr {
        see(name.id.as_str());
    }
    children(expr, &mut |child| names_in(child, see));
}
