//! Statements.

use iris_jit::ir::{Comparison, GuardKind, Span};
use iris_jit::{Shape, Type, Value};

use super::state::{State, values};
use super::{Datum, Lowered, Lowerer, Slot, Stop, refuse};
use crate::hir::{Expr, ExprKind, Stmt, StmtKind, Target};
use crate::refusal::Refusal;

/// Most combinations of types of local names at one place.
const MOST_STATES: usize = 8;

/// Most statements that are translated for one function, each as often as types differ.
const MOST_STATEMENTS: usize = 20_000;

impl Lowerer<'_> {
    pub(super) fn function(&mut self) -> Result<(), Refusal> {
        let hir = self.hir;
        let ends = match self.body(&hir.body) {
            Ok(ends) => ends,
            Err(Stop::Refusal(refusal)) => return Err(refusal),
            Err(Stop::Diverged | Stop::Retype(..)) => Vec::new(),
        };
        for end in ends {
            self.resume(end);
            match self.ret(Datum::None, hir.span) {
                Ok(()) | Err(Stop::Diverged | Stop::Retype(..)) => {}
                Err(Stop::Refusal(refusal)) => return Err(refusal),
            }
        }
        Ok(())
    }

    /// Statements from the current state on; gives the states behind the last one.
    pub(super) fn body(&mut self, body: &[Stmt]) -> Lowered<Vec<State>> {
        let mut states = vec![self.state()];
        for stmt in body {
            let mut next = Vec::new();
            for state in states {
                self.resume(state);
                match self.stmt(stmt) {
                    Ok(ends) => next.extend(ends),
                    Err(Stop::Diverged) => {}
                    Err(stop) => return Err(stop),
                }
            }
            Self::forget(&mut next, &self.hir.live.after[stmt.id.0]);
            states = self.merge(next);
            if states.len() > MOST_STATES {
                return refuse(
                    stmt.span,
                    "the types of local names depend on too many paths",
                    "give each name one type",
                );
            }
        }
        Ok(states)
    }

    fn stmt(&mut self, stmt: &Stmt) -> Lowered<Vec<State>> {
        self.statements += 1;
        if self.statements > MOST_STATEMENTS {
            return refuse(
                stmt.span,
                "the function is too large with all that it calls",
                "split it, or give each name one type",
            );
        }
        match &stmt.kind {
            StmtKind::Pass => {}
            StmtKind::Assign(targets, value) => {
                if let Some(ends) = self.assign_ternary(stmt, targets, value)? {
                    return Ok(ends);
                }
                let value = self.datum(value)?;
                for target in targets {
                    self.bind(target, value.clone(), stmt.span)?;
                }
            }
            StmtKind::Augment {
                array,
                index,
                op,
                value,
            } => self.augment(array, index, *op, value, stmt.span)?,
            StmtKind::Expr(expr) => {
                if !matches!(expr.kind, ExprKind::None) {
                    self.datum(expr)?;
                }
            }
            StmtKind::Return(value) => return self.return_stmt(value.as_ref(), stmt.span),
            StmtKind::If {
                test,
                then,
                otherwise,
            } => return self.branch(test, then, otherwise),
            StmtKind::While {
                test,
                body,
                otherwise,
            } => return self.while_loop(stmt, test, body, otherwise),
            StmtKind::For {
                target,
                iter,
                body,
                otherwise,
            } => return self.for_loop(stmt, target, iter, body, otherwise),
            StmtKind::Break => {
                let state = self.state();
                self.frame().breaks.push(state);
                return Ok(Vec::new());
            }
            StmtKind::Continue => {
                let state = self.state();
                self.frame().continues.push(state);
                return Ok(Vec::new());
            }
            StmtKind::Assert(test) => {
                let (holds, fails) = self.condition(test)?;
                self.bail_all(fails, GuardKind::Raise, stmt.span);
                return Ok(holds);
            }
            StmtKind::Raise => return self.diverge(GuardKind::Raise, stmt.span),
            StmtKind::Delete(locals) => {
                for &local in locals {
                    self.local(local, stmt.span)?;
                    self.locals[local.0] = Slot::Unbound;
                }
            }
        }
        Ok(vec![self.state()])
    }

    /// Ends native code at the end of each path.
    pub(super) fn bail_all(&mut self, states: Vec<State>, kind: GuardKind, at: Span) {
        for state in states {
            self.resume(state);
            self.b.bail(kind, at);
        }
    }

    /// `x = a if test else b` as an `if`: each arm may have its own type.
    fn assign_ternary(
        &mut self,
        stmt: &Stmt,
        targets: &[Target],
        value: &Expr,
    ) -> Lowered<Option<Vec<State>>> {
        let (ExprKind::Ternary { .. }, [Target::Local(_)]) = (&value.kind, targets) else {
            return Ok(None);
        };
        let mut ends = Vec::new();
        for (state, arm) in self.ternary_arms(value)? {
            self.resume(state);
            let bound = self
                .datum(arm)
                .and_then(|datum| self.bind(&targets[0], datum, stmt.span));
            match bound {
                Ok(()) => ends.push(self.state()),
                Err(Stop::Diverged) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(Some(ends))
    }

    /// The arms of a ternary, and of ternaries that are its arms, with the states that reach them.
    fn ternary_arms<'e>(&mut self, value: &'e Expr) -> Lowered<Vec<(State, &'e Expr)>> {
        let ExprKind::Ternary {
            test,
            then,
            otherwise,
        } = &value.kind
        else {
            return Ok(vec![(self.state(), value)]);
        };
        let (yes, no) = self.condition(test)?;
        let mut arms = Vec::new();
        for (states, arm) in [(yes, then), (no, otherwise)] {
            for state in self.merge(states) {
                self.resume(state);
                match self.ternary_arms(arm) {
                    Ok(more) => arms.extend(more),
                    Err(Stop::Diverged) => {}
                    Err(stop) => return Err(stop),
                }
            }
        }
        Ok(arms)
    }

    fn return_stmt(&mut self, value: Option<&Expr>, at: Span) -> Lowered<Vec<State>> {
        let Some(value) = value else {
            self.ret(Datum::None, at)?;
            return Ok(Vec::new());
        };
        for (state, arm) in self.ternary_arms(value)? {
            self.resume(state);
            let done = self.datum(arm).and_then(|datum| self.ret(datum, arm.span));
            match done {
                Ok(()) | Err(Stop::Diverged) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(Vec::new())
    }

    /// Returns from the function, or from the call that is being inlined.
    fn ret(&mut self, datum: Datum, at: Span) -> Lowered<()> {
        if !self.calls.is_empty() {
            self.inlined_return(datum, at);
            return Ok(());
        }
        let shape = shape(&datum, at)?;
        self.guard_nan_results(&datum, at);
        let mut vals = Vec::new();
        values(&datum, &mut vals);
        self.b.ret_shape(shape, &vals);
        Ok(())
    }

    fn guard_nan_results(&mut self, datum: &Datum, at: Span) {
        match datum {
            Datum::Scalar(operand) if operand.ty == Type::F64 => {
                let settled =
                    matches!(operand.constant, Some(Value::F64(value)) if !value.is_nan());
                if !settled {
                    let number = self.b.compare(Comparison::Eq, operand.val, operand.val);
                    self.b.guard(number, GuardKind::NanResult, at);
                }
            }
            Datum::Tuple(items) => items
                .iter()
                .for_each(|item| self.guard_nan_results(item, at)),
            _ => {}
        }
    }

    /// Binds a target to a value.
    pub(super) fn bind(&mut self, target: &Target, datum: Datum, at: Span) -> Lowered<()> {
        match target {
            Target::Local(local) => {
                self.locals[local.0] = Slot::Bound(datum);
                Ok(())
            }
            Target::Tuple(targets, span) => {
                let Datum::Tuple(items) = datum else {
                    let mend = "assign a tuple of as many items";
                    return refuse(*span, "unpacking of what is no tuple", mend);
                };
                if items.len() != targets.len() {
                    return self.diverge(GuardKind::Raise, *span);
                }
                let mut pairs = targets.iter().zip(items.iter());
                pairs.try_for_each(|(target, item)| self.bind(target, item.clone(), at))
            }
            Target::Element(array, index) => self.store(array, index, &datum, at),
        }
    }

    fn branch(&mut self, test: &Expr, then: &[Stmt], other: &[Stmt]) -> Lowered<Vec<State>> {
        let (yes, no) = self.condition(test)?;
        let mut ends = Vec::new();
        for (states, body) in [(yes, then), (no, other)] {
            for state in self.merge(states) {
                self.resume(state);
                ends.extend(self.body(body)?);
            }
        }
        Ok(ends)
    }
}

/// The shape of a result.
fn shape(datum: &Datum, at: Span) -> Lowered<Shape> {
    Ok(match datum {
        Datum::Scalar(operand) => operand.shape(),
        Datum::None => Shape::None,
        Datum::Tuple(items) => {
            let items = items.iter().map(|item| shape(item, at));
            Shape::Tuple(items.collect::<Lowered<_>>()?)
        }
        Datum::Array(_) => {
            return refuse(
                at,
                "a return of an array",
                "return a number, or store into it",
            );
        }
    })
}
