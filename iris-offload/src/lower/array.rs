//! Arrays: elements, lengths, stores.

use iris_jit::ir::{self, Comparison, GuardKind, Place, Span, Val};
use iris_jit::{ArrayType, Elem, Type};

use super::numpy::is_known;
use super::{Datum, Lowered, Lowerer, Operand, int, refuse};
use crate::hir::{BinaryOp, Expr, ExprKind};
use crate::signature::with_article;

impl Lowerer<'_> {
    pub(super) fn array_type(&self, array: Val) -> ArrayType {
        let ty = self.b.type_of(array).array();
        ty.expect("a datum of an array holds an array")
    }

    /// An element at a place within the array.
    pub(super) fn load(&mut self, array: Val, place: Place, at: Span) -> Lowered<Operand> {
        let ty = self.array_type(array);
        if ty.numpy && !is_known(ty.elem) {
            return refuse(
                at,
                format!("an element of a NumPy array of {}", ty.elem),
                "pass memoryview(array), or an array of float64, int64 or bool",
            );
        }
        let val = self.b.load(array, place, at);
        let element = Operand::of(val, self.b.type_of(val));
        Ok(if ty.numpy { element.numpy() } else { element })
    }

    /// `base[index]`
    pub(super) fn subscript(&mut self, base: &Expr, index: &Expr, at: Span) -> Lowered<Datum> {
        match self.datum(base)? {
            Datum::Array(array) => {
                let place = self.place(array, index)?;
                self.load(array, place, at).map(Datum::Scalar)
            }
            Datum::Tuple(items) => {
                let place = self.value(index)?;
                let Some(at) = place.constant_int() else {
                    return self.choose(&items, place, index.span).map(Datum::Scalar);
                };
                let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let from_start = if at < 0 { at + len } else { at };
                let item = usize::try_from(from_start)
                    .ok()
                    .and_then(|at| items.get(at));
                match item {
                    Some(item) => Ok(item.clone()),
                    None => self.diverge(GuardKind::Index, index.span),
                }
            }
            Datum::Scalar(operand) => {
                let what = format!("an index into {}", with_article(operand.ty));
                refuse(base.span, what, "pass an array or the element")
            }
            Datum::None => refuse(base.span, "an index into None", "pass an array"),
        }
    }

    /// An item of a tuple of numbers of one type, by a computed index.
    fn choose(&mut self, items: &[Datum], index: Operand, at: Span) -> Lowered<Operand> {
        /// Most items: each is asked for.
        const MOST_ITEMS: usize = 32;
        let index = self.number(index);
        let mut row = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Datum::Scalar(item)
                    if row.first().is_none_or(|first: &Operand| {
                        (first.ty, first.maker) == (item.ty, item.maker)
                    }) =>
                {
                    row.push(*item);
                }
                _ => {
                    let mend = "index it with a constant";
                    return refuse(at, "a computed index into a tuple of several types", mend);
                }
            }
        }
        if index.ty != Type::I64 || row.len() > MOST_ITEMS {
            let what = "such an index into a tuple";
            return refuse(at, what, "pass an array, and an int to index it");
        }
        let Some(&first) = row.first() else {
            return self.diverge(GuardKind::Index, at);
        };
        let len = self.int(i64::try_from(row.len()).unwrap_or(i64::MAX));
        let least = self.int(-i64::try_from(row.len()).unwrap_or(i64::MAX));
        let zero = self.int(0);
        let above = self.b.compare(Comparison::Ge, index.val, least);
        let below = self.b.compare(Comparison::Lt, index.val, len);
        let within = self.b.binary(ir::BinaryOp::BoolAnd, above, below);
        self.b.guard(within, GuardKind::Index, at);
        let from_end = self.b.binary(ir::BinaryOp::IntAddWrapping, index.val, len);
        let negative = self.b.compare(Comparison::Lt, index.val, zero);
        let place = self.b.select(negative, from_end, index.val);
        let mut chosen = first.val;
        for (number, item) in (1..).zip(&row[1..]) {
            let number = self.int(number);
            let here = self.b.compare(Comparison::Eq, place, number);
            chosen = self.b.select(here, item.val, chosen);
        }
        Ok(Operand {
            val: chosen,
            constant: None,
            ..first
        })
    }

    /// The place that an index means, within the array or the call bails out.
    fn place(&mut self, array: Val, index: &Expr) -> Lowered<Place> {
        let ty = self.array_type(array);
        match (&index.kind, ty.ndim) {
            (ExprKind::Tuple(items), 2) if items.len() == 2 => {
                let (i, j) = (self.index_value(&items[0])?, self.index_value(&items[1])?);
                let i = self.b.index(array, 0, i, items[0].span);
                let j = self.b.index(array, 1, j, items[1].span);
                Ok(Place::Cell(i, j))
            }
            (ExprKind::Tuple(_), _) => {
                let mend = "give one index for each dimension";
                refuse(index.span, "an index of other dimensions", mend)
            }
            (_, 1) => {
                let i = self.index_value(index)?;
                Ok(Place::At(self.b.index(array, 0, i, index.span)))
            }
            _ => refuse(index.span, "a row of an array", "index it as x[i, j]"),
        }
    }

    fn index_value(&mut self, index: &Expr) -> Lowered<Val> {
        let value = self.scalar(index)?;
        match value.ty {
            Type::I64 => Ok(value.val),
            // NumPy takes a bool for a mask.
            Type::Bool => refuse(index.span, "an index of type bool", "convert with int()"),
            _ => refuse(index.span, "an index of type float", "convert with int()"),
        }
    }

    /// `len(array)`
    pub(super) fn length(&mut self, expr: &Expr) -> Lowered<Operand> {
        if let Some(call) = self.range_call(expr) {
            return self.range_length(call, expr.span);
        }
        let datum = match &expr.kind {
            ExprKind::List(items) => self.tuple(items)?,
            _ => self.datum(expr)?,
        };
        match datum {
            Datum::Array(array) => Ok(int(self.b.length(array, 0))),
            Datum::Tuple(items) => {
                let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
                Ok(self.constant(iris_jit::Value::I64(len)))
            }
            Datum::Scalar(_) | Datum::None => {
                refuse(expr.span, "len of what is no array", "pass an array")
            }
        }
    }

    /// `array[index] = datum`
    pub(super) fn store(
        &mut self,
        array: &Expr,
        index: &Expr,
        datum: &Datum,
        at: Span,
    ) -> Lowered<()> {
        let Datum::Array(val) = self.datum(array)? else {
            return refuse(
                array.span,
                "an assignment into what is no array",
                "pass an array",
            );
        };
        let place = self.place(val, index)?;
        let Datum::Scalar(operand) = datum else {
            return refuse(at, "a store of what is no number", "store a number");
        };
        self.store_at(val, place, *operand, at)
    }

    pub(super) fn store_at(
        &mut self,
        array: Val,
        place: Place,
        operand: Operand,
        at: Span,
    ) -> Lowered<()> {
        let ty = self.array_type(array);
        if !ty.writable {
            return self.diverge(GuardKind::Raise, at);
        }
        let val = match ty.elem {
            Elem::Bool if operand.ty == Type::Bool => operand.val,
            _ if operand.is_numpy() && operand.ty == Type::Bool => {
                let what = "a store of numpy.bool into numbers";
                return refuse(at, what, "convert with int()");
            }
            // Of NumPy's ints the conversion rounds once, ours twice.
            Elem::F32 if operand.is_numpy() => self.exact_float(operand.plain(), at),
            Elem::F64 | Elem::F32 => self.widen(operand.plain()).val,
            Elem::Bool => {
                let what = format!("a store of {} into bools", with_article(operand.ty));
                return refuse(at, what, "convert with bool()");
            }
            _ if operand.ty == Type::F64 => {
                let mend = "convert with int()";
                return refuse(at, "a store of a float into integers", mend);
            }
            _ => self.number(operand.plain()).val,
        };
        self.b.store(array, place, val, at);
        Ok(())
    }

    /// `array[index] op= value`, with the index evaluated once.
    pub(super) fn augment(
        &mut self,
        array: &Expr,
        index: &Expr,
        op: BinaryOp,
        value: &Expr,
        at: Span,
    ) -> Lowered<()> {
        let Datum::Array(val) = self.datum(array)? else {
            return refuse(
                array.span,
                "an assignment into what is no array",
                "pass an array",
            );
        };
        let place = self.place(val, index)?;
        let old = self.load(val, place, at)?;
        let value = self.scalar(value)?;
        let new = self.binary(op, old, value, at)?;
        let new = self.settled(new, at);
        self.store_at(val, place, new, at)
    }
}
