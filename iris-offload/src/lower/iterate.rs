//! What loops run over: ranges, arrays, and `enumerate` and `zip` of them.

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
    /// The counter that the items get, and whether it is the position itself.
    Enumerate(Box<Items>, Counter),
    Zip(Vec<Items>),
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
            ("zip", [_, ..]) if positional => {
                let parts = call.args.iter().map(|part| self.items(part));
                let parts = parts.collect::<Lowered<Vec<_>>>()?;
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
        let mend = "loop over range(..), an array, or enumerate or zip of them";
        let array = match self.datum(iter)? {
            Datum::Array(array) => array,
            Datum::Scalar(operand) => {
                let what = format!("a loop over {}", with_article(operand.ty));
                return refuse(iter.span, what, mend);
            }
            Datum::Tuple(_) | Datum::None => {
                return refuse(iter.span, "such a loop is not compiled", mend);
            }
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

    fn range(&mut self, call: &Call, at: Span) -> Lowered<Items> {
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
            _ => unreachable!("`items` counts the arguments"),
        };
        let (start, stop) = (start.val, stop.val);
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
            Source::Array(array) => Datum::Scalar(self.load(*array, Place::At(at[0]), span)?),
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
