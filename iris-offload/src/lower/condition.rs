//! Conditions: expressions as the two sets of paths on which they are true and false.

use super::numpy::Maker;
use super::state::{Arm, State};
use super::{Datum, Lowered, Lowerer, Operand, Stop, refuse};
use crate::hir::{CompareOp, Expr, ExprKind};
use iris_jit::Value;
use iris_jit::ir::Span;

/// Where an expression is true, and where it is false.
pub(super) type Ways = (Vec<State>, Vec<State>);

impl Lowerer<'_> {
    /// The paths on which an expression is true and false. Operands of `and` and `or` may differ
    /// in type here: only their truth matters.
    pub(super) fn condition(&mut self, expr: &Expr) -> Lowered<Ways> {
        match &expr.kind {
            ExprKind::Not(operand) => {
                let (yes, no) = self.condition(operand)?;
                Ok((no, yes))
            }
            ExprKind::And(operands) => {
                let (mut yes, mut no) = self.condition(&operands[0])?;
                for operand in &operands[1..] {
                    let (more_yes, more_no) = self.condition_on(yes, operand)?;
                    yes = more_yes;
                    no.extend(more_no);
                }
                Ok((yes, no))
            }
            ExprKind::Or(operands) => {
                let (mut yes, mut no) = self.condition(&operands[0])?;
                for operand in &operands[1..] {
                    let (more_yes, more_no) = self.condition_on(no, operand)?;
                    no = more_no;
                    yes.extend(more_yes);
                }
                Ok((yes, no))
            }
            ExprKind::Compare(first, links) if links.len() > 1 => Ok(self.chain(first, links)?.0),
            _ => {
                let datum = self.datum(expr)?;
                self.split_datum(&datum, expr.span)
            }
        }
    }

    /// The same on each of these paths.
    fn condition_on(&mut self, states: Vec<State>, expr: &Expr) -> Lowered<Ways> {
        let mut ways = (Vec::new(), Vec::new());
        for state in self.merge(states) {
            self.resume(state);
            match self.condition(expr) {
                Ok((yes, no)) => {
                    ways.0.extend(yes);
                    ways.1.extend(no);
                }
                Err(Stop::Diverged) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(ways)
    }

    /// The same of any value: None is false, and so is the empty tuple.
    pub(super) fn split_datum(&mut self, datum: &Datum, at: Span) -> Lowered<Ways> {
        let truth = match datum {
            Datum::Scalar(operand) => return Ok(self.split(*operand)),
            Datum::None => false,
            Datum::Tuple(items) => !items.is_empty(),
            Datum::Array(_) => return Err(super::expr::not_a_number(datum, at)),
        };
        let here = vec![self.state()];
        Ok(if truth {
            (here, Vec::new())
        } else {
            (Vec::new(), here)
        })
    }

    /// The current path by the truth of a value.
    pub(super) fn split(&mut self, operand: Operand) -> Ways {
        match operand.constant_truth() {
            Some(true) => return (vec![self.state()], Vec::new()),
            Some(false) => return (Vec::new(), vec![self.state()]),
            None => {}
        }
        let truth = self.truth_of(operand);
        let (then, other) = (self.b.create_block(&[]), self.b.create_block(&[]));
        self.b.branch(truth, (then, &[]), (other, &[]));
        let state = |block| State {
            block,
            locals: self.locals.clone(),
        };
        (vec![state(then)], vec![state(other)])
    }

    /// `a < b < c`: each operand once, and only as far as the links hold.
    /// The makers of the links' truth come with the ways.
    fn chain(&mut self, first: &Expr, links: &[(CompareOp, Expr)]) -> Lowered<(Ways, Vec<Maker>)> {
        let mut left = self.scalar(first)?;
        let mut no = Vec::new();
        let mut makers = Vec::new();
        for (index, (op, right)) in links.iter().enumerate() {
            let operand = match self.scalar(right) {
                Ok(operand) => operand,
                Err(Stop::Diverged) if index > 0 => return Ok(((Vec::new(), no), makers)),
                Err(stop) => return Err(stop),
            };
            let holds = self.compared(*op, left, operand, right.span);
            makers.push(holds.maker);
            let (mut yes, more) = self.split(holds);
            no.extend(more);
            let Some(state) = yes.pop() else {
                return Ok(((yes, no), makers));
            };
            self.resume(state);
            left = operand;
        }
        Ok(((vec![self.state()], no), makers))
    }

    /// `a < b < c` as a value: the first comparison that does not hold, or else the last.
    pub(super) fn chain_value(
        &mut self,
        first: &Expr,
        links: &[(CompareOp, Expr)],
        span: Span,
    ) -> Lowered<Operand> {
        let ((yes, no), makers) = self.chain(first, links)?;
        let maker = makers[0];
        if makers.iter().any(|&other| other != maker) {
            let mend = "write it with and";
            return refuse(span, "comparisons of Python's and NumPy's numbers", mend);
        }
        let truth = self.joined_truth(yes, no, span)?;
        Ok(truth.made_by(maker))
    }

    /// A condition as a value.
    pub(super) fn truth_value(&mut self, expr: &Expr) -> Lowered<Operand> {
        let (yes, no) = self.condition(expr)?;
        self.joined_truth(yes, no, expr.span)
    }

    fn joined_truth(&mut self, yes: Vec<State>, no: Vec<State>, span: Span) -> Lowered<Operand> {
        let arms = self.truth_arms(yes, no, span);
        match self.join_arms(arms)? {
            Datum::Scalar(operand) => Ok(operand),
            _ => unreachable!("arms of bools"),
        }
    }

    pub(super) fn truth_arms(&mut self, yes: Vec<State>, no: Vec<State>, span: Span) -> Vec<Arm> {
        let mut arms = Vec::new();
        for (states, truth) in [(yes, true), (no, false)] {
            for state in states {
                self.resume(state);
                let value = Datum::Scalar(self.constant(Value::Bool(truth)));
                let state = self.state();
                arms.push(Arm { state, value, span });
            }
        }
        arms
    }
}
