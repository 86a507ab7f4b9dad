//! Reductions: `sum`, `any`, `all`, `min` and `max` over generator expressions, ranges and arrays,
//! as loops that carry a running total.

mod totals;

use iris_jit::Type;
use iris_jit::ir::{Block, Comparison, Span, UnaryOp, Val};

use super::arguments::binds;
use super::numpy::Maker;
use super::state::{Kind, State};
use super::{Datum, Lowered, Lowerer, Operand, Slot, Stop, bool, refuse};
use crate::env::Binding;
use crate::hir::{Clause, Expr, ExprKind, LocalId, Target};

/// What is done with each element.
#[derive(Clone, Copy)]
pub(super) enum Fold {
    Sum,
    Any,
    All,
    /// `min` and `max`, by the comparison in which a better element stands to the best one, and
    /// what they give without any element.
    Extreme(Comparison, Option<Operand>),
    /// `math.prod`
    Product,
}

/// The end of a path through a loop, with its running totals.
pub(super) type Edge = (Block, Vec<Val>);

/// A reduction while it is translated.
pub(super) struct Reduction {
    fold: Fold,
    /// Type of the total.
    ty: Type,
    /// Whose number the total is.
    maker: Maker,
    /// Running totals, which take turns: more than one only where the order of additions does not
    /// matter, so that an addition need not wait for the one before it.
    parts: usize,
    /// Whether float totals are compensated.
    compensated: bool,
    /// Whether it matters that there was an element at all.
    counts: bool,
    /// Paths that leave the whole reduction.
    exits: Vec<Edge>,
    /// Paths to the next round, for each loop of the reduction, the innermost last.
    latches: Vec<Vec<Edge>>,
}

/// What a reduction takes from an item.
#[derive(Clone, Copy)]
enum Element<'e> {
    Of(&'e Expr),
    Itself,
    /// Whether it equals this, which is not NaN.
    Equals(Operand),
}

impl Lowerer<'_> {
    /// A reduction over `items`.
    pub(super) fn fold(
        &mut self,
        fold: Fold,
        items: &Expr,
        start: Option<&Expr>,
        at: Span,
    ) -> Lowered<Operand> {
        self.folded(fold, start, at, |this, reduction, totals| {
            match &items.kind {
                ExprKind::Generator(generator) => {
                    let element = Element::Of(&generator.element);
                    let end = this.clauses(reduction, &generator.clauses, element, totals);
                    for clause in &generator.clauses {
                        this.unbind(&clause.target);
                    }
                    end
                }
                _ => this.one_loop(reduction, items, &[], &[], Element::Itself, totals),
            }
        })
    }

    /// Runs the loops that `body` makes, which gives the totals at their end; once more with
    /// another type of the total if the first element seen asks for it.
    pub(super) fn folded(
        &mut self,
        fold: Fold,
        start: Option<&Expr>,
        at: Span,
        body: impl Fn(&mut Self, &mut Reduction, Vec<Val>) -> Lowered<Vec<Val>>,
    ) -> Lowered<Operand> {
        let start = start.map(|start| self.start(fold, start)).transpose()?;
        let given = start;
        let start = start.map(|start| match start.maker {
            Maker::Python => self.number(start),
            _ => start,
        });
        // The sum of nothing is the bool itself that it starts with.
        let of_bool = given.is_some_and(|start| start.ty == Type::Bool);
        let (mark, locals) = (self.b.mark(), self.locals.clone());
        let (mut ty, mut maker) = match (fold, start) {
            (Fold::Sum | Fold::Product, Some(start)) => (start.ty, start.maker),
            (Fold::Sum | Fold::Product | Fold::Extreme(..), _) => (Type::I64, Maker::Python),
            (Fold::Any | Fold::All, _) => (Type::Bool, Maker::Python),
        };
        for _ in 0..3 {
            let mut reduction = self.reduction(fold, ty, maker, start);
            reduction.counts |= of_bool;
            let totals = self.first_totals(&reduction, start);
            match body(self, &mut reduction, totals) {
                Ok(totals) => {
                    reduction.exits.push((self.b.current(), totals));
                    let totals = self.join_edges(std::mem::take(&mut reduction.exits));
                    return Ok(self.total(&reduction, &totals, at));
                }
                Err(Stop::Diverged) if !reduction.exits.is_empty() => {
                    let totals = self.join_edges(std::mem::take(&mut reduction.exits));
                    return Ok(self.total(&reduction, &totals, at));
                }
                Err(Stop::Retype(wanted, by)) => {
                    let neutral = match fold {
                        Fold::Product => 1,
                        _ => 0,
                    };
                    let starts_otherwise = start.is_some_and(|start| {
                        start.constant_int() != Some(neutral) && start.ty != wanted
                    });
                    if starts_otherwise {
                        let mend = "start with a float, as 0.0";
                        let what = "a sum or product of floats that starts with an int";
                        return refuse(at, what, mend);
                    }
                    if of_bool && by != Maker::Python {
                        // A bool of NumPy's makes another of it.
                        let mend = "start with an int, as 0";
                        return refuse(
                            at,
                            "a sum of NumPy's numbers that starts with a bool",
                            mend,
                        );
                    }
                    self.b.rewind(&mark);
                    self.locals.clone_from(&locals);
                    (ty, maker) = (wanted, by);
                }
                Err(stop) => return Err(stop),
            }
        }
        refuse(
            at,
            "a reduction over several types",
            "convert each element with float()",
        )
    }

    /// What a sum or a product starts from.
    fn start(&mut self, fold: Fold, start: &Expr) -> Lowered<Operand> {
        if binds(start) {
            // Python computes it behind what it runs over.
            let mend = "assign in a statement of its own";
            return refuse(start.span, "an assignment in the start of a sum", mend);
        }
        let operand = self.scalar(start)?;
        if operand.is_numpy() && matches!(fold, Fold::Product) {
            return totals::refuse_product(operand, start.span);
        }
        if operand.is_numpy() && operand.ty == Type::Bool {
            let mend = "start with int()";
            return refuse(start.span, "a sum that starts with numpy.bool", mend);
        }
        Ok(operand)
    }

    fn clauses(
        &mut self,
        reduction: &mut Reduction,
        clauses: &[Clause],
        element: Element<'_>,
        totals: Vec<Val>,
    ) -> Lowered<Vec<Val>> {
        let (first, rest) = clauses.split_first().expect("a generator has a clause");
        let targets = std::slice::from_ref(first);
        self.one_loop(reduction, &first.iter, targets, rest, element, totals)
    }

    /// The loop of one clause and all in it, from the current block to the one behind the loop.
    fn one_loop(
        &mut self,
        reduction: &mut Reduction,
        iter: &Expr,
        clause: &[Clause],
        rest: &[Clause],
        element: Element<'_>,
        totals: Vec<Val>,
    ) -> Lowered<Vec<Val>> {
        let items = self.items(iter)?;
        if let Some(row) = items.row() {
            let row = row.clone();
            return self.one_row(reduction, &row, iter.span, clause, rest, element, totals);
        }
        let own = items.start.len();
        let args: Vec<Val> = items.start.iter().copied().chain(totals).collect();
        let head = self.header(&args);
        let params = self.b.block_params(head).to_vec();
        let (at, totals) = params.split_at(own);
        let more = self.more_items(&items, at);
        let (body, exit) = (self.b.create_block(&[]), self.b.create_block(&[]));
        self.b.branch(more, (body, &[]), (exit, &[]));
        self.b.switch_to(body);
        reduction.latches.push(Vec::new());
        let item = self.item(&items, at, iter.span);
        let done = item.and_then(|item| {
            self.one_item(reduction, item, iter.span, clause, rest, element, totals)
        });
        match done {
            Ok(()) | Err(Stop::Diverged) => {}
            Err(stop) => return Err(stop),
        }
        let latches = reduction.latches.pop().expect("pushed above");
        if !latches.is_empty() {
            let totals = self.join_edges(latches);
            self.b.poll(iter.span);
            let mut args = self.next_items(&items, at, iter.span);
            args.extend(totals);
            self.b.jump(head, &args);
        }
        self.b.switch_to(exit);
        Ok(totals.to_vec())
    }

    /// The same over so few items that each has code of its own.
    #[expect(clippy::too_many_arguments, reason = "one_loop's, and the items")]
    fn one_row(
        &mut self,
        reduction: &mut Reduction,
        row: &[Datum],
        at: Span,
        clause: &[Clause],
        rest: &[Clause],
        element: Element<'_>,
        mut totals: Vec<Val>,
    ) -> Lowered<Vec<Val>> {
        for item in row {
            reduction.open_loop();
            let item = item.clone();
            match self.one_item(reduction, item, at, clause, rest, element, &totals) {
                Ok(()) | Err(Stop::Diverged) => {}
                Err(stop) => return Err(stop),
            }
            let latches = reduction.close_loop();
            if latches.is_empty() {
                return Err(Stop::Diverged);
            }
            totals = self.join_edges(latches);
        }
        Ok(totals)
    }

    #[expect(clippy::too_many_arguments, reason = "one_loop's, and the item")]
    fn one_item(
        &mut self,
        reduction: &mut Reduction,
        item: Datum,
        at: Span,
        clause: &[Clause],
        rest: &[Clause],
        element: Element<'_>,
        totals: &[Val],
    ) -> Lowered<()> {
        if let [clause] = clause {
            self.bind(&clause.target, item, at)?;
            return self.filtered(reduction, clause, rest, element, totals);
        }
        let item = match (element, item) {
            (Element::Equals(wanted), Datum::Scalar(item)) => {
                Datum::Scalar(bool(self.compare(Comparison::Eq, item, wanted, at)))
            }
            (_, item) => item,
        };
        self.contribute_item(reduction, item, at, totals)
    }

    /// Whether an array has an element that equals `wanted`, which is not NaN.
    pub(super) fn any_equal(
        &mut self,
        items: &Expr,
        wanted: Operand,
        at: Span,
    ) -> Lowered<Operand> {
        self.folded(Fold::Any, None, at, |this, reduction, totals| {
            this.one_loop(reduction, items, &[], &[], Element::Equals(wanted), totals)
        })
    }

    /// A block with parameters for these values, entered with them, and current.
    pub(super) fn header(&mut self, args: &[Val]) -> Block {
        let types: Vec<_> = args.iter().map(|&arg| self.b.type_of(arg)).collect();
        let head = self.b.create_block(&types);
        self.b.jump(head, args);
        self.b.switch_to(head);
        head
    }

    /// The `if`s of a clause, and what stands behind them.
    fn filtered(
        &mut self,
        reduction: &mut Reduction,
        clause: &Clause,
        rest: &[Clause],
        element: Element<'_>,
        totals: &[Val],
    ) -> Lowered<()> {
        for test in &clause.conditions {
            let (yes, no) = self.condition(test)?;
            reduction.skip(no, totals);
            self.go_on(yes)?;
        }
        if !rest.is_empty() {
            let totals = self.clauses(reduction, rest, element, totals.to_vec())?;
            reduction.next((self.b.current(), totals));
            return Ok(());
        }
        match element {
            Element::Of(expr) => self.contribute(reduction, expr, totals),
            Element::Itself | Element::Equals(_) => unreachable!("a clause has an element"),
        }
    }

    fn go_on(&mut self, states: Vec<State>) -> Lowered<()> {
        match self.merge_into_one(states) {
            Some(state) => {
                self.resume(state);
                Ok(())
            }
            None => Err(Stop::Diverged),
        }
    }

    /// What a round adds to the totals. Here the names that steer a reduction have a meaning.
    pub(super) fn contribute(
        &mut self,
        reduction: &mut Reduction,
        expr: &Expr,
        totals: &[Val],
    ) -> Lowered<()> {
        let Some((name, args)) = self.intrinsic(expr) else {
            return self.contribute_value(reduction, expr, totals);
        };
        match (name.as_str(), args) {
            ("if_else", [test, then, otherwise]) => {
                self.contribute_arms(reduction, [test, then, otherwise], totals)
            }
            (
                "break_if" | "break_when" | "break_unless" | "continue_if" | "continue_when"
                | "continue_unless",
                [test, value],
            ) => {
                let (yes, no) = self.condition(test)?;
                let (steer, go_on) = if name.ends_with("unless") {
                    (no, yes)
                } else {
                    (yes, no)
                };
                if name.starts_with("break") {
                    reduction.leave(steer, totals);
                } else {
                    reduction.skip(steer, totals);
                }
                self.go_on(go_on)?;
                self.contribute(reduction, value, totals)
            }
            ("break_on_nan" | "continue_on_nan", [value]) => {
                let operand = self.scalar(value)?;
                if operand.ty == Type::F64 {
                    let nan = bool(self.b.unary(UnaryOp::FloatIsNan, operand.val));
                    let (yes, no) = self.split(nan);
                    if name.starts_with("break") {
                        reduction.leave(yes, totals);
                    } else {
                        reduction.skip(yes, totals);
                    }
                    self.go_on(no)?;
                }
                self.contribute_operand(reduction, operand, value.span, totals)
            }
            _ => refuse(
                expr.span,
                format!("{name} with {} arguments", args.len()),
                "write break_if(condition, value) or break_on_nan(value)",
            ),
        }
    }

    /// A choice, of which each arm contributes by itself.
    fn contribute_arms(
        &mut self,
        reduction: &mut Reduction,
        [test, then, otherwise]: [&Expr; 3],
        totals: &[Val],
    ) -> Lowered<()> {
        let (yes, no) = self.condition(test)?;
        for (states, arm) in [(yes, then), (no, otherwise)] {
            if let Some(state) = self.merge_into_one(states) {
                self.resume(state);
                match self.contribute(reduction, arm, totals) {
                    Ok(()) | Err(Stop::Diverged) => {}
                    Err(stop) => return Err(stop),
                }
            }
        }
        Ok(())
    }

    fn intrinsic<'e>(&self, expr: &'e Expr) -> Option<(String, &'e [Expr])> {
        let ExprKind::Call(call) = &expr.kind else {
            return None;
        };
        match self.env.resolve(&self.hir.free[call.callee.0]) {
            Binding::Intrinsic(name) if call.keywords.is_empty() => Some((name, &call.args)),
            _ => None,
        }
    }

    fn contribute_value(
        &mut self,
        reduction: &mut Reduction,
        expr: &Expr,
        totals: &[Val],
    ) -> Lowered<()> {
        let (yes, no) = match reduction.fold {
            Fold::Any => self.condition(expr)?,
            Fold::All => {
                let (yes, no) = self.condition(expr)?;
                (no, yes)
            }
            Fold::Sum => {
                let mark = (self.b.mark(), self.locals.clone());
                let operand = match (self.term(expr), &expr.kind) {
                    (
                        Err(Stop::Refusal(refusal)),
                        ExprKind::Ternary {
                            test,
                            then,
                            otherwise,
                        },
                    ) => {
                        // Arms of two types have no value, but each can be added.
                        self.b.rewind(&mark.0);
                        self.locals = mark.1;
                        let arms = [&**test, &**then, &**otherwise];
                        return match self.contribute_arms(reduction, arms, totals) {
                            Err(Stop::Refusal(_)) => Err(Stop::Refusal(refusal)),
                            done => done,
                        };
                    }
                    (operand, _) => operand?,
                };
                return self.contribute_operand(reduction, operand, expr.span, totals);
            }
            Fold::Product | Fold::Extreme(..) => {
                let operand = self.scalar(expr)?;
                return self.contribute_operand(reduction, operand, expr.span, totals);
            }
        };
        self.decide(reduction, yes);
        reduction.skip(no, totals);
        Ok(())
    }

    fn contribute_item(
        &mut self,
        reduction: &mut Reduction,
        item: Datum,
        at: Span,
        totals: &[Val],
    ) -> Lowered<()> {
        match item {
            Datum::Scalar(operand) => self.contribute_operand(reduction, operand, at, totals),
            other => {
                let what = super::state::name(&Kind::of_datum(&other));
                refuse(at, format!("a reduction of {what}"), "reduce numbers")
            }
        }
    }

    /// Paths on which `any` and `all` are settled.
    fn decide(&mut self, reduction: &mut Reduction, states: Vec<State>) {
        for state in states {
            self.resume(state);
            let settled = self.boolean(matches!(reduction.fold, Fold::Any));
            reduction.exits.push((self.b.current(), vec![settled]));
        }
    }

    /// Joins paths with their totals; the join is current.
    pub(super) fn join_edges(&mut self, edges: Vec<Edge>) -> Vec<Val> {
        if let [(block, totals)] = edges.as_slice() {
            self.b.switch_to(*block);
            return totals.clone();
        }
        let types: Vec<_> = edges[0].1.iter().map(|&val| self.b.type_of(val)).collect();
        let join = self.b.create_block(&types);
        for (block, totals) in edges {
            self.b.switch_to(block);
            self.b.jump(join, &totals);
        }
        self.b.switch_to(join);
        self.b.block_params(join).to_vec()
    }

    /// The names of a generator expression end with it.
    pub(super) fn unbind(&mut self, target: &Target) {
        match target {
            Target::Local(LocalId(local)) => self.locals[*local] = Slot::Unbound,
            Target::Tuple(targets, _) => targets.iter().for_each(|target| self.unbind(target)),
            Target::Element(..) => {}
        }
    }
}

impl Reduction {
    /// A path to the next round of the innermost loop.
    pub(super) fn next(&mut self, edge: Edge) {
        self.latches
            .last_mut()
            .expect("inside of a loop")
            .push(edge);
    }

    /// Paths to the next round with the totals as they were.
    fn skip(&mut self, states: Vec<State>, totals: &[Val]) {
        for state in states {
            self.next((state.block, totals.to_vec()));
        }
    }

    /// Paths out of the reduction with the totals as they were.
    fn leave(&mut self, states: Vec<State>, totals: &[Val]) {
        for state in states {
            self.exits.push((state.block, totals.to_vec()));
        }
    }

    pub(super) fn open_loop(&mut self) {
        self.latches.push(Vec::new());
    }

    pub(super) fn close_loop(&mut self) -> Vec<Edge> {
        self.latches.pop().expect("opened before")
    }
}
