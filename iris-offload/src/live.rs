//! Which local names are read again: where paths meet, only those need one type.

use crate::hir::{Expr, ExprKind, LocalId, Stmt, StmtKind, Target};

/// A set of locals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(Vec<bool>);

impl Set {
    pub(crate) fn contains(&self, local: usize) -> bool {
        self.0.get(local).copied().unwrap_or(false)
    }

    pub(crate) fn insert(&mut self, LocalId(local): LocalId) {
        if self.0.len() <= local {
            self.0.resize(local + 1, false);
        }
        self.0[local] = true;
    }

    fn remove(&mut self, LocalId(local): LocalId) {
        if let Some(known) = self.0.get_mut(local) {
            *known = false;
        }
    }

    fn union(&mut self, other: &Self) {
        for local in (0..other.0.len()).filter(|&local| other.0[local]) {
            self.insert(LocalId(local));
        }
    }

    fn same(&self, other: &Self) -> bool {
        (0..self.0.len().max(other.0.len()))
            .all(|local| self.contains(local) == other.contains(local))
    }
}

/// The locals that are read later, by the number of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Liveness {
    /// At the start of the function: the parameters that it reads.
    pub(crate) entry: Set,
    /// Behind the statement.
    pub(crate) after: Vec<Set>,
    /// For a loop: before each round.
    pub(crate) round: Vec<Set>,
    /// For a loop: bound by it, whether read or not.
    pub(crate) bound: Vec<Set>,
}

impl Liveness {
    /// Of the body of a function with this many statements.
    pub(crate) fn of(body: &[Stmt], statements: usize) -> Self {
        let mut live = Self {
            entry: Set::default(),
            after: vec![Set::default(); statements],
            round: vec![Set::default(); statements],
            bound: vec![Set::default(); statements],
        };
        live.entry = live.body(body, &Set::default(), &Ends::default());
        live
    }

    /// What is live before these statements.
    fn body(&mut self, body: &[Stmt], after: &Set, ends: &Ends) -> Set {
        let mut live = after.clone();
        for stmt in body.iter().rev() {
            self.after[stmt.id.0] = live.clone();
            live = self.stmt(stmt, &live, ends);
        }
        live
    }

    fn stmt(&mut self, stmt: &Stmt, after: &Set, ends: &Ends) -> Set {
        let mut live = after.clone();
        match &stmt.kind {
            StmtKind::Pass => {}
            StmtKind::Assign(targets, value) => {
                for target in targets {
                    unbind(target, &mut live);
                }
                for target in targets {
                    target_reads(target, &mut live);
                }
                reads(value, &mut live);
            }
            StmtKind::Augment {
                array,
                index,
                value,
                ..
            } => [array, index, value]
                .iter()
                .for_each(|expr| reads(expr, &mut live)),
            StmtKind::Expr(expr) | StmtKind::Assert(expr) => reads(expr, &mut live),
            StmtKind::Return(value) => {
                live = Set::default();
                if let Some(value) = value {
                    reads(value, &mut live);
                }
            }
            StmtKind::Raise => live = Set::default(),
            // It matters whether they are bound.
            StmtKind::Delete(locals) => locals.iter().for_each(|&local| live.insert(local)),
            StmtKind::Break => live = ends.on_break.clone(),
            StmtKind::Continue => live = ends.on_continue.clone(),
            StmtKind::If {
                test,
                then,
                otherwise,
            } => {
                live = self.body(then, after, ends);
                live.union(&self.body(otherwise, after, ends));
                reads(test, &mut live);
            }
            StmtKind::While {
                test,
                body,
                otherwise,
            } => {
                let mut exit = self.body(otherwise, after, ends);
                reads(test, &mut exit);
                live = self.rounds(stmt, body, after, &exit, |_| ());
                bound_by(body, &mut self.bound[stmt.id.0]);
                bound_in(test, &mut self.bound[stmt.id.0]);
            }
            StmtKind::For {
                target,
                iter,
                body,
                otherwise,
            } => {
                let exit = self.body(otherwise, after, ends);
                live = self.rounds(stmt, body, after, &exit, |live| {
                    unbind(target, live);
                    target_reads(target, live);
                });
                reads(iter, &mut live);
                bound_by(body, &mut self.bound[stmt.id.0]);
                target_locals(target, &mut self.bound[stmt.id.0]);
            }
        }
        live
    }

    /// What is live before each round of a loop: a least fixed point, as one round asks for more
    /// of the round before it.
    fn rounds(
        &mut self,
        stmt: &Stmt,
        body: &[Stmt],
        after: &Set,
        exit: &Set,
        bind: impl Fn(&mut Set),
    ) -> Set {
        let mut head = exit.clone();
        loop {
            let ends = Ends {
                on_break: after.clone(),
                on_continue: head.clone(),
            };
            let mut live = self.body(body, &head, &ends);
            bind(&mut live);
            live.union(exit);
            if live.same(&head) {
                self.round[stmt.id.0] = head.clone();
                return head;
            }
            head.union(&live);
        }
    }
}

/// What is live where a loop's jumps lead.
#[derive(Default)]
struct Ends {
    on_break: Set,
    on_continue: Set,
}

fn unbind(target: &Target, live: &mut Set) {
    match target {
        Target::Local(local) => live.remove(*local),
        Target::Tuple(targets, _) => targets.iter().for_each(|target| unbind(target, live)),
        Target::Element(..) => {}
    }
}

fn target_reads(target: &Target, live: &mut Set) {
    match target {
        Target::Local(_) => {}
        Target::Tuple(targets, _) => targets.iter().for_each(|target| target_reads(target, live)),
        Target::Element(array, index) => {
            reads(array, live);
            reads(index, live);
        }
    }
}

fn target_locals(target: &Target, bound: &mut Set) {
    match target {
        Target::Local(local) => bound.insert(*local),
        Target::Tuple(targets, _) => targets
            .iter()
            .for_each(|target| target_locals(target, bound)),
        Target::Element(array, index) => {
            bound_in(array, bound);
            bound_in(index, bound);
        }
    }
}

/// The locals that statements bind.
fn bound_by(body: &[Stmt], bound: &mut Set) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Assign(targets, value) => {
                for target in targets {
                    target_locals(target, bound);
                }
                bound_in(value, bound);
            }
            StmtKind::Augment {
                array,
                index,
                value,
                ..
            } => [array, index, value]
                .iter()
                .for_each(|expr| bound_in(expr, bound)),
            StmtKind::Expr(expr) | StmtKind::Assert(expr) | StmtKind::Return(Some(expr)) => {
                bound_in(expr, bound);
            }
            StmtKind::If {
                test,
                then,
                otherwise,
            } => {
                bound_in(test, bound);
                bound_by(then, bound);
                bound_by(otherwise, bound);
            }
            StmtKind::While {
                test,
                body,
                otherwise,
            } => {
                bound_in(test, bound);
                bound_by(body, bound);
                bound_by(otherwise, bound);
            }
            StmtKind::For {
                target,
                iter,
                body,
                otherwise,
            } => {
                target_locals(target, bound);
                bound_in(iter, bound);
                bound_by(body, bound);
                bound_by(otherwise, bound);
            }
            StmtKind::Delete(locals) => locals.iter().for_each(|&local| bound.insert(local)),
            StmtKind::Pass
            | StmtKind::Return(None)
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Raise => {}
        }
    }
}

fn reads(expr: &Expr, live: &mut Set) {
    walk(expr, &mut |expr| {
        if let ExprKind::Local(local) = expr.kind {
            live.insert(local);
        }
    });
}

fn bound_in(expr: &Expr, bound: &mut Set) {
    walk(expr, &mut |expr| {
        if let ExprKind::Walrus(local, _) = expr.kind {
            bound.insert(local);
        }
    });
}

/// Calls `see` for an expression and all in it.
pub(crate) fn walk(expr: &Expr, see: &mut impl FnMut(&Expr)) {
    see(expr);
    match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Bool(_)
        | ExprKind::None
        | ExprKind::Local(_)
        | ExprKind::Free(_) => {}
        ExprKind::Unary(_, a)
        | ExprKind::Not(a)
        | ExprKind::Walrus(_, a)
        | ExprKind::Attribute(a, _) => walk(a, see),
        ExprKind::Method(a, _, args) => {
            walk(a, see);
            for arg in args {
                walk(arg, see);
            }
        }
        ExprKind::Binary(_, a, b)
        | ExprKind::Index(a, b)
        | ExprKind::In(a, b, _)
        | ExprKind::Is(a, b, _) => {
            walk(a, see);
            walk(b, see);
        }
        ExprKind::And(all) | ExprKind::Or(all) | ExprKind::Tuple(all) | ExprKind::List(all) => {
            for expr in all {
                walk(expr, see);
            }
        }
        ExprKind::Compare(first, links) => {
            walk(first, see);
            for (_, expr) in links {
                walk(expr, see);
            }
        }
        ExprKind::Ternary {
            test,
            then,
            otherwise,
        } => [test, then, otherwise]
            .iter()
            .for_each(|expr| walk(expr, see)),
        ExprKind::Call(call) => {
            for expr in &call.args {
                walk(expr, see);
            }
            for (_, expr) in &call.keywords {
                walk(expr, see);
            }
        }
        ExprKind::Generator(generator) => {
            walk(&generator.element, see);
            for clause in &generator.clauses {
                walk(&clause.iter, see);
                for expr in &clause.conditions {
                    walk(expr, see);
                }
            }
        }
        ExprKind::While(call) => [&call.init, &call.test, &call.step, &call.body]
            .iter()
            .for_each(|expr| walk(expr, see)),
    }
}
