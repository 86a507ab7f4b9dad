//! What loops run over: ranges, arrays, and `enumerate` and `zip` of them.

use std::rc::Rc;

use iris_jit::ir::{BinaryOp, CheckedBinaryOp, Comparison, GuardKind, Place, Span, Val};
use iris_jit::{Type, Value};

use super::{Datum, Lowered, Lowerer, Operand, int, refuse};
use crate::env::Binding;
use crate::hir::{Call, Expr, ExprKind};
use crate::signature::with_article;

/// Something to run over, with its first position.
pub(super) struct Items {
    source: Source,
    /// The values that a loop carries from round to round, at the start.
    pub(super) start: Vec<Val>,
}

enum Source {
    /// By steps of 1 or -1 to a stop.
    Range {
        stop: Val,
        step: i64,
    },
    /// So many rounds by another step: a loop that counts them needs no look at the stop.
    Rounds {
        rounds: Val,
        step: Val,
        /// The numbers lie from the one to the other, and are never the stop.
        bounds: [Val; 2],
        stop: Val,
    },
    Array(Val),
    /// From the last element to the first.
    Backwards(Val),
    /// So few that each has code of its own: there is no position.
    Row(Rc<[Datum]>),
    /// The counter that the items get, and whether it is the position itself.
    Enumerate(Box<Items>, Counter),
    Zip(Vec<Items>),
}

impl Items {
    /// The items, where each gets code of its own.
    pub(super) fn row(&self) -> Option<&Rc<[Datum]>> {
        match &self.source {
            Source::Row(row) => Some(row),
            _ => None,
        }
    }

    fn of_row(row: Rc<[Datum]>) -> Self {
        let (source, start) = (Source::Row(row), Vec::new());
        Self { source, start }
    }
}

/// The arguments of a `range`, the step of 1 if it has none.
pub(super) struct Bounds {
    pub(super) start: Val,
    pub(super) stop: Val,
    pub(super) step: Operand,
}

#[derive(Clone, Copy)]
enum Counter {
    /// It counts from 0 over an array, whose position does so too.
    Position,
    /// The last of the carried values.
    Own,
}

impl Lowerer<'_> {
    /// Evaluates what a loop runs over.
    pub(super) fn items(&mut self, iter: &Expr) -> Lowered<Items> {
        let ExprKind::Call(call) = &iter.kind else {
            return self.array_items(iter);
        };
        let Binding::Builtin(name) = self.env.resolve(&self.hir.free[call.callee.0]) else {
            return self.array_items(iter);
        };
        let positional = call.keywords.is_empty();
        match (name.as_str(), call.args.as_slice()) {
            ("range", [_] | [_, _] | [_, _, _]) if positional => self.range(call, iter.span),
            ("enumerate", [inner]) if positional => self.enumerate(inner, None),
            ("enumerate", [inner, start]) if positional => self.enumerate(inner, Some(start)),
            ("enumerate", [inner]) => match call.keywords.as_slice() {
                [(name, start)] if name == "start" => self.enumerate(inner, Some(start)),
                _ => refuse(
                    iter.span,
                    "such a call of enumerate",
                    "pass it a start only",
                ),
            },
            ("reversed", [inner]) if positional => self.reversed(inner, iter.span),
            ("zip", [_, ..]) if positional => {
                let parts = call.args.iter().map(|part| self.items(part));
                let parts = parts.collect::<Lowered<Vec<_>>>()?;
                let rows = parts.iter().filter_map(Items::row);
                let rows: Vec<_> = rows.cloned().collect();
                if rows.len() == parts.len() {
                    return Ok(Items::of_row(zipped(&rows)));
                }
                if !rows.is_empty() {
                    let mend = "zip arrays and ranges, or tuples alone";
                    return refuse(iter.span, "a zip of tuples and other things", mend);
                }
                let start = parts.iter().flat_map(|part| part.start.clone()).collect();
                Ok(Items {
                    source: Source::Zip(parts),
                    start,
                })
            }
            _ => self.array_items(iter),
        }
    }

    fn array_items(&mut self, iter: &Expr) -> Lowered<Items> {
        let mend = "loop over range(..), an array, a tuple, or enumerate or zip of them";
        let datum = match &iter.kind {
            ExprKind::List(items) => self.tuple(items)?,
            ExprKind::Generator(_) => {
                let what = "a loop over a generator expression";
                return refuse(iter.span, what, "write it as a loop");
            }
            _ => self.datum(iter)?,
        };
        let array = match datum {
            Datum::Array(array) => array,
            Datum::Tuple(row) => return Ok(Items::of_row(row)),
            Datum::Scalar(operand) => {
                let what = format!("a loop over {}", with_article(operand.ty));
                return refuse(iter.span, what, mend);
            }
            Datum::None => return refuse(iter.span, "a loop over None", mend),
        };
        if self.array_type(array).ndim != 1 {
            return refuse(
                iter.span,
                "a loop over rows",
                "loop over indices, as x[i, j]",
            );
        }
        let start = vec![self.int(0)];
        let source = Source::Array(array);
        Ok(Items { source, start })
    }

    /// `reversed(inner)`
    fn reversed(&mut self, inner: &Expr, at: Span) -> Lowered<Items> {
        if let Some(call) = self.range_call(inner) {
            return self.range_backwards(call, at);
        }
        if matches!(&inner.kind, ExprKind::Call(_) | ExprKind::Generator(_)) {
            let mend = "reverse a range, an array or a tuple";
            return refuse(inner.span, "reversed of a computed iterator", mend);
        }
        let items = self.array_items(inner)?;
        match items.source {
            Source::Row(row) => Ok(Items::of_row(row.iter().rev().cloned().collect())),
            Source::Array(array) => {
                let (len, minus_one) = (self.b.length(array, 0), self.int(-1));
                let last = self.b.binary(BinaryOp::IntAddWrapping, len, minus_one);
                let source = Source::Backwards(array);
                let start = vec![last];
                Ok(Items { source, start })
            }
            _ => unreachable!("`array_items` makes rows and arrays"),
        }
    }

    fn range_backwards(&mut self, call: &Call, at: Span) -> Lowered<Items> {
        let Bounds { start, stop, step } = self.bounds(call)?;
        let (sub, overflow) = (CheckedBinaryOp::IntSub, GuardKind::Overflow);
        match step.constant_int() {
            Some(0) => self.diverge(GuardKind::Raise, at),
            Some(step @ (1 | -1)) => {
                let by = self.int(step);
                // An empty range stays empty, as both ends move alike.
                let last = self.b.checked_binary(sub, stop, by, overflow, at);
                let before = self.b.checked_binary(sub, start, by, overflow, at);
                Ok(Items {
                    source: Source::Range {
                        stop: before,
                        step: -step,
                    },
                    start: vec![last],
                })
            }
            _ => {
                let (rounds, bounds) = self.rounds_of(start, stop, step, at);
                let (mul, add) = (CheckedBinaryOp::IntMul, CheckedBinaryOp::IntAdd);
                let minus_one = self.int(-1);
                let steps = self.b.binary(BinaryOp::IntAddWrapping, rounds, minus_one);
                let way = self.b.checked_binary(mul, steps, step.val, overflow, at);
                let last = self.b.checked_binary(add, start, way, overflow, at);
                let zero = self.int(0);
                let step = self.b.checked_binary(sub, zero, step.val, overflow, at);
                Ok(Items {
                    source: Source::Rounds {
                        rounds,
                        step,
                        bounds,
                        stop,
                    },
                    start: vec![zero, last],
                })
            }
        }
    }

    /// `len(range(..))`
    pub(super) fn range_length(&mut self, call: &Call, at: Span) -> Lowered<Operand> {
        let Bounds { start, stop, step } = self.bounds(call)?;
        if step.constant_int() == Some(0) {
            return self.diverge(GuardKind::Raise, at);
        }
        Ok(int(self.rounds_of(start, stop, step, at).0))
    }

    /// The arguments of a range.
    pub(super) fn bounds(&mut self, call: &Call) -> Lowered<Bounds> {
        let mut values = Vec::with_capacity(3);
        for arg in &call.args {
            let value = self.scalar(arg)?;
            if value.is_numpy() && value.ty == Type::Bool {
                return refuse(
                    arg.span,
                    "a range of numpy.bool",
                    "convert with int() first",
                );
            }
            let value = self.number(value.plain());
            if value.ty == Type::F64 {
                return refuse(arg.span, "a range of floats", "convert with int() first");
            }
            values.push(value);
        }
        let zero = self.constant(Value::I64(0));
        let one = self.constant(Value::I64(1));
        let (start, stop, step) = match *values.as_slice() {
            [stop] => (zero, stop, one),
            [start, stop] => (start, stop, one),
            [start, stop, step] => (start, stop, step),
            _ => unreachable!("the caller counts the arguments"),
        };
        let (start, stop) = (start.val, stop.val);
        Ok(Bounds { start, stop, step })
    }

    fn range(&mut self, call: &Call, at: Span) -> Lowered<Items> {
        let Bounds { start, stop, step } = self.bounds(call)?;
        match step.constant_int() {
            Some(0) => self.diverge(GuardKind::Raise, at),
            Some(step @ (1 | -1)) => Ok(Items {
                source: Source::Range { stop, step },
                start: vec![start],
            }),
            _ => {
                let (rounds, bounds) = self.rounds_of(start, stop, step, at);
                let step = step.val;
                Ok(Items {
                    source: Source::Rounds {
                        rounds,
                        step,
                        bounds,
                        stop,
                    },
                    start: vec![self.int(0), start],
                })
            }
        }
    }

    /// How many numbers there are from `start` by `step` before `stop`, and between which bounds.
    fn rounds_of(&mut self, start: Val, stop: Val, step: Operand, at: Span) -> (Val, [Val; 2]) {
        let (zero, one, minus_one) = (self.int(0), self.int(1), self.int(-1));
        let (sub, overflow) = (CheckedBinaryOp::IntSub, GuardKind::Overflow);
        let (from, to, by) = match step.constant_int() {
            Some(up @ 1..) => (start, stop, self.int(up)),
            Some(down) if down > i64::MIN => (stop, start, self.int(-down)),
            _ => {
                let some = self.b.compare(Comparison::Ne, step.val, zero);
                self.b.guard(some, GuardKind::Raise, at);
                let up = self.b.compare(Comparison::Gt, step.val, zero);
                let from = self.b.select(up, start, stop);
                let to = self.b.select(up, stop, start);
                let down = self.b.checked_binary(sub, zero, step.val, overflow, at);
                (from, to, self.b.select(up, step.val, down))
            }
        };
        let distance = self.b.checked_binary(sub, to, from, overflow, at);
        // Of a distance above 0 as often as `by` fits into what lies before its end, and once.
        let before = self.b.binary(BinaryOp::IntAddWrapping, distance, minus_one);
        let (div, zero_division) = (CheckedBinaryOp::IntFloorDiv, GuardKind::ZeroDivision);
        let fits = self.b.checked_binary(div, before, by, zero_division, at);
        let rounds = self.b.binary(BinaryOp::IntAddWrapping, fits, one);
        let some = self.b.compare(Comparison::Gt, distance, zero);
        (self.b.select(some, rounds, zero), [from, to])
    }

    fn enumerate(&mut self, inner: &Expr, start: Option<&Expr>) -> Lowered<Items> {
        let items = self.items(inner)?;
        let first = match start {
            Some(start) => {
                let value = self.value(start)?;
                if value.ty == Type::F64 {
                    return refuse(start.span, "a float to count from", "count from an int");
                }
                self.number(value)
            }
            None => self.constant(Value::I64(0)),
        };
        if let Some(row) = items.row().cloned() {
            return self.enumerated(&row, first, inner.span);
        }
        let mut start = items.start.clone();
        let counter = if let (Source::Array(_), Some(0)) = (&items.source, first.constant_int()) {
            Counter::Position
        } else {
            start.push(first.val);
            Counter::Own
        };
        let source = Source::Enumerate(Box::new(items), counter);
        Ok(Items { source, start })
    }

    /// `enumerate` of a row.
    fn enumerated(&mut self, row: &[Datum], first: Operand, at: Span) -> Lowered<Items> {
        let mut pairs = Vec::with_capacity(row.len());
        let (mut count, one) = (first, self.constant(Value::I64(1)));
        for (index, item) in row.iter().enumerate() {
            if index > 0 {
                count = match first.constant_int() {
                    Some(first) => {
                        let index = i64::try_from(index).unwrap_or(i64::MAX);
                        self.constant(Value::I64(first.saturating_add(index)))
                    }
                    None => self.binary(crate::hir::BinaryOp::Add, count, one, at)?,
                };
            }
            pairs.push(Datum::Tuple([Datum::Scalar(count), item.clone()].into()));
        }
        Ok(Items::of_row(pairs.into()))
    }

    /// Whether there is an item at a position.
    pub(super) fn more_items(&mut self, items: &Items, at: &[Val]) -> Val {
        match &items.source {
            Source::Range { stop, step: 1 } => self.b.compare(Comparison::Lt, at[0], *stop),
            Source::Range { stop, .. } => self.b.compare(Comparison::Gt, at[0], *stop),
            Source::Rounds { rounds, .. } => self.b.compare(Comparison::Lt, at[0], *rounds),
            Source::Array(array) => {
                let len = self.b.length(*array, 0);
                self.b.compare(Comparison::Lt, at[0], len)
            }
            Source::Backwards(_) => {
                let zero = self.int(0);
                self.b.compare(Comparison::Ge, at[0], zero)
            }
            Source::Row(_) => unreachable!("a row has no position"),
            Source::Enumerate(inner, _) => self.more_items(inner, at),
            Source::Zip(parts) => {
                let mut all: Option<Val> = None;
                let mut rest = at;
                for part in parts {
                    let (mine, others) = rest.split_at(part.start.len());
                    rest = others;
                    let more = self.more_items(part, mine);
                    all = Some(match all {
                        Some(all) => self.b.binary(BinaryOp::BoolAnd, all, more),
                        None => more,
                    });
                }
                all.expect("zip has arguments")
            }
        }
    }

    /// The item at a position that has one.
    pub(super) fn item(&mut self, items: &Items, at: &[Val], span: Span) -> Lowered<Datum> {
        Ok(match &items.source {
            Source::Range { .. } => Datum::Scalar(int(at[0])),
            Source::Rounds { bounds, stop, .. } => {
                for (op, limit) in [
                    (Comparison::Ge, bounds[0]),
                    (Comparison::Le, bounds[1]),
                    (Comparison::Ne, *stop),
                ] {
                    let holds = self.b.compare(op, at[1], limit);
                    self.b.assume(holds);
                }
                Datum::Scalar(int(at[1]))
            }
            Source::Array(array) | Source::Backwards(array) => {
                Datum::Scalar(self.load(*array, Place::At(at[0]), span)?)
            }
            Source::Row(_) => unreachable!("a row has no position"),
            Source::Enumerate(inner, counter) => {
                let count = match counter {
                    Counter::Position => at[0],
                    Counter::Own => at[at.len() - 1],
                };
                let item = self.item(inner, &at[..inner.start.len()], span)?;
                Datum::Tuple([Datum::Scalar(int(count)), item].into())
            }
            Source::Zip(parts) => {
                let mut rest = at;
                let mut row = Vec::with_capacity(parts.len());
                for part in parts {
                    let (mine, others) = rest.split_at(part.start.len());
                    rest = others;
                    row.push(self.item(part, mine, span)?);
                }
                Datum::Tuple(row.into())
            }
        })
    }

    /// The position behind one that has an item.
    pub(super) fn next_items(&mut self, items: &Items, at: &[Val], span: Span) -> Vec<Val> {
        match &items.source {
            Source::Range { step, .. } => vec![self.step_on(at[0], *step)],
            Source::Array(_) => vec![self.step_on(at[0], 1)],
            Source::Backwards(_) => vec![self.step_on(at[0], -1)],
            Source::Row(_) => unreachable!("a row has no position"),
            Source::Rounds { step, .. } => {
                // Behind the last item it may wrap: nobody looks at it there.
                let value = self.b.binary(BinaryOp::IntAddWrapping, at[1], *step);
                vec![self.step_on(at[0], 1), value]
            }
            Source::Enumerate(inner, counter) => {
                let mut next = self.next_items(inner, &at[..inner.start.len()], span);
                if let Counter::Own = counter {
                    let (one, count) = (self.int(1), at[at.len() - 1]);
                    let (op, kind) = (CheckedBinaryOp::IntAdd, GuardKind::Overflow);
                    next.push(self.b.checked_binary(op, count, one, kind, span));
                }
                next
            }
            Source::Zip(parts) => {
                let (mut rest, mut next) = (at, Vec::with_capacity(at.len()));
                for part in parts {
                    let (mine, others) = rest.split_at(part.start.len());
                    rest = others;
                    next.extend(self.next_items(part, mine, span));
                }
                next
            }
        }
    }

    /// One step towards a stop that lies ahead, which cannot overflow.
    fn step_on(&mut self, at: Val, step: i64) -> Val {
        let step = self.int(step);
        self.b.binary(BinaryOp::IntAddWrapping, at, step)
    }
}

/// `zip` of rows: as many as the shortest has.
fn zipped(rows: &[Rc<[Datum]>]) -> Rc<[Datum]> {
    let shortest = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let tuple = |at: usize| Datum::Tuple(rows.iter().map(|row| row[at].clone()).collect());
    (0..shortest).map(tuple).collect()
}
