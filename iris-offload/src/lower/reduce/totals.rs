//! The running totals of a reduction: what they begin with, what an item does to them, and what they
//! come to.

use iris_jit::Type;
use iris_jit::ir::{BinaryOp, CheckedBinaryOp, Comparison, GuardKind, Span, UnaryOp, Val};

use super::{Fold, Reduction};
use crate::lower::numpy::Maker;
use crate::lower::{Lowered, Lowerer, Operand, Stop, refuse};
use crate::signature::with_article;

/// Totals of a float sum whose order does not matter: an addition takes four cycles.
const FAST_PARTS: usize = 4;

impl Lowerer<'_> {
    pub(super) fn reduction(
        &self,
        fold: Fold,
        ty: Type,
        maker: Maker,
        start: Option<Operand>,
    ) -> Reduction {
        let float_sum = matches!(fold, Fold::Sum) && ty == Type::F64;
        let float_product = matches!(fold, Fold::Product) && ty == Type::F64;
        let starts_so = start.is_some_and(|start| (start.ty, start.maker) == (ty, maker));
        Reduction {
            fold,
            ty,
            maker,
            parts: if float_sum && maker == Maker::Python && self.fast_math {
                FAST_PARTS
            } else {
                1
            },
            // Python's own floats only: a sum with NumPy's adds them one by one.
            compensated: float_sum
                && maker == Maker::Python
                && self.env.compensated_sum
                && !self.fast_math,
            counts: match fold {
                // The sum of nothing is what it starts with.
                Fold::Sum | Fold::Product => {
                    (float_sum || float_product || maker != Maker::Python) && !starts_so
                }
                Fold::Extreme(..) => true,
                Fold::Any | Fold::All => false,
            },
            exits: Vec::new(),
            latches: Vec::new(),
        }
    }

    /// The totals, the compensation if there is one, and whether there was an element if that counts.
    pub(super) fn first_totals(
        &mut self,
        reduction: &Reduction,
        start: Option<Operand>,
    ) -> Vec<Val> {
        let mut totals = vec![match (reduction.fold, reduction.ty) {
            (Fold::All, _) => self.boolean(true),
            (_, Type::Bool | Type::Array(_)) => self.boolean(false),
            (fold, Type::I64) => match (start, fold) {
                (Some(start), _) => start.val,
                (None, Fold::Product) => self.int(1),
                (None, _) => self.int(0),
            },
            (fold, Type::F64) => match (start, fold) {
                (Some(start), _) if start.ty == Type::F64 => start.val,
                (_, Fold::Product) => self.float(1.0),
                _ => self.float(0.0),
            },
        }];
        while totals.len() < reduction.parts {
            totals.push(self.float(0.0));
        }
        if reduction.compensated {
            totals.push(self.float(0.0));
        }
        if reduction.counts {
            totals.push(self.boolean(false));
        }
        totals
    }

    /// The result, once all loops are left.
    pub(super) fn total(&mut self, reduction: &Reduction, totals: &[Val], at: Span) -> Operand {
        if reduction.counts {
            let seen = totals[totals.len() - 1];
            let kind = match reduction.fold {
                Fold::Extreme(_, Some(default))
                    if (default.ty, default.maker) == (reduction.ty, reduction.maker) =>
                {
                    return Operand {
                        val: self.b.select(seen, totals[0], default.val),
                        constant: None,
                        ..default
                    };
                }
                Fold::Sum | Fold::Product | Fold::Extreme(_, Some(_)) => GuardKind::Type,
                _ => GuardKind::Raise,
            };
            self.b.guard(seen, kind, at);
        }
        let mut val = totals[0];
        if reduction.parts == FAST_PARTS {
            let pair = |this: &mut Self, a, b| this.b.binary(BinaryOp::FloatAdd, a, b);
            let (first, second) = (
                pair(self, totals[0], totals[1]),
                pair(self, totals[2], totals[3]),
            );
            val = pair(self, first, second);
        }
        if reduction.compensated {
            // An infinite or NaN compensation is that of an overflow, not of rounding.
            let finite = self.b.unary(UnaryOp::FloatIsFinite, totals[1]);
            let zero = self.float(0.0);
            let some = self.b.compare(Comparison::Ne, totals[1], zero);
            let counts = self.b.binary(BinaryOp::BoolAnd, finite, some);
            let corrected = self.b.binary(BinaryOp::FloatAdd, val, totals[1]);
            val = self.b.select(counts, corrected, val);
        }
        let total = Operand::of(val, reduction.ty).made_by(reduction.maker);
        if total.is_numpy() && matches!(reduction.fold, Fold::Sum) && total.ty == Type::F64 {
            // What is not finite has stayed so from the round on that made it.
            let maker = Maker::NumpyUnsettled;
            return Operand { maker, ..total };
        }
        total
    }

    pub(super) fn contribute_operand(
        &mut self,
        reduction: &mut Reduction,
        operand: Operand,
        at: Span,
        totals: &[Val],
    ) -> Lowered<()> {
        let totals = match reduction.fold {
            Fold::Any | Fold::All => {
                let (yes, no) = self.split(operand);
                let (settled, open) = match reduction.fold {
                    Fold::Any => (yes, no),
                    _ => (no, yes),
                };
                self.decide(reduction, settled);
                reduction.skip(open, totals);
                return Ok(());
            }
            Fold::Sum => self.add_to_total(reduction, operand, at, totals)?,
            Fold::Product => self.times_total(reduction, operand, at, totals)?,
            Fold::Extreme(better, _) => {
                if (operand.ty, operand.maker) != (reduction.ty, reduction.maker) {
                    return Err(Stop::Retype(operand.ty, operand.maker));
                }
                let best = Operand {
                    val: totals[0],
                    constant: None,
                    ..operand
                };
                let better = self.better(better, operand, best, at);
                let val = self.b.select(totals[1], better.val, operand.val);
                vec![val, self.boolean(true)]
            }
        };
        reduction.next((self.b.current(), totals));
        Ok(())
    }

    fn add_to_total(
        &mut self,
        reduction: &Reduction,
        operand: Operand,
        at: Span,
        totals: &[Val],
    ) -> Lowered<Vec<Val>> {
        if operand.is_numpy() || reduction.maker != Maker::Python {
            return self.add_numpy(reduction, operand, at, totals);
        }
        let operand = self.number(operand);
        match (reduction.ty, operand.ty) {
            (Type::I64, Type::I64) => {
                let (op, kind) = (CheckedBinaryOp::IntAdd, GuardKind::Overflow);
                let mut next = vec![self.b.checked_binary(op, totals[0], operand.val, kind, at)];
                if reduction.counts {
                    next.push(self.boolean(true));
                }
                return Ok(next);
            }
            (Type::I64, ty) => return Err(Stop::Retype(ty, Maker::Python)),
            (_, Type::F64) => {}
            (_, ty) => {
                let what = format!("a sum of floats with {} in it", with_article(ty));
                return refuse(at, what, "convert each element with float()");
            }
        }
        let (total, x) = (totals[0], operand.val);
        let sum = self.b.binary(BinaryOp::FloatAdd, total, x);
        // The totals take turns.
        let mut next = totals[1..reduction.parts].to_vec();
        next.push(sum);
        if reduction.compensated {
            next.push(self.compensation(total, x, sum, totals[1]));
        }
        if reduction.counts {
            next.push(self.boolean(true));
        }
        Ok(next)
    }

    /// Adds to a sum in which `NumPy`'s numbers are. It is theirs from the first of them on.
    fn add_numpy(
        &mut self,
        reduction: &Reduction,
        operand: Operand,
        at: Span,
        totals: &[Val],
    ) -> Lowered<Vec<Val>> {
        let ours = operand.maker == Maker::Python;
        // A bool is added as an int, which the sum starts with.
        let x = self.number(operand.plain());
        if reduction.maker == Maker::Python || (reduction.ty, x.ty) == (Type::I64, Type::F64) {
            let ty = match reduction.ty {
                Type::F64 => Type::F64,
                _ => x.ty,
            };
            return Err(Stop::Retype(ty, Maker::Numpy));
        }
        let mut next = Vec::with_capacity(2);
        if reduction.ty == Type::I64 {
            let (op, kind) = (CheckedBinaryOp::IntAdd, GuardKind::Overflow);
            next.push(self.b.checked_binary(op, totals[0], x.val, kind, at));
        } else {
            let first = ours || x.ty != Type::F64;
            if let (true, [_, seen]) = (first, totals) {
                // A sum that is an int or Python's float so far may have other digits.
                let some = self.truth_of(x);
                let zero = self.b.unary(UnaryOp::BoolNot, some);
                let fine = self.b.binary(BinaryOp::BoolOr, *seen, zero);
                self.b.guard(fine, GuardKind::Type, at);
            }
            let x = self.widen(x).val;
            next.push(self.b.binary(BinaryOp::FloatAdd, totals[0], x));
        }
        if let [_, seen] = totals {
            let settles = !ours && (reduction.ty == Type::I64 || operand.ty == Type::F64);
            next.push(if settles { self.boolean(true) } else { *seen });
        }
        Ok(next)
    }

    fn times_total(
        &mut self,
        reduction: &Reduction,
        operand: Operand,
        at: Span,
        totals: &[Val],
    ) -> Lowered<Vec<Val>> {
        if operand.is_numpy() {
            return refuse_product(operand, at);
        }
        let operand = self.number(operand);
        let mut next = vec![match (reduction.ty, operand.ty) {
            (Type::I64, Type::I64) => {
                let (op, kind) = (CheckedBinaryOp::IntMul, GuardKind::Overflow);
                self.b.checked_binary(op, totals[0], operand.val, kind, at)
            }
            (Type::I64, ty) => return Err(Stop::Retype(ty, Maker::Python)),
            (_, Type::F64) => self.b.binary(BinaryOp::FloatMul, totals[0], operand.val),
            (_, ty) => {
                let what = format!("a product of floats with {} in it", with_article(ty));
                return refuse(at, what, "convert each element with float()");
            }
        }];
        if reduction.counts {
            next.push(self.boolean(true));
        }
        Ok(next)
    }

    /// Neumaier's sum of what each addition rounds away, in `CPython`'s order of operations.
    fn compensation(&mut self, total: Val, x: Val, sum: Val, so_far: Val) -> Val {
        let total_abs = self.b.unary(UnaryOp::FloatAbs, total);
        let x_abs = self.b.unary(UnaryOp::FloatAbs, x);
        let larger = self.b.compare(Comparison::Ge, total_abs, x_abs);
        let lost = |this: &mut Self, big: Val, small: Val| {
            let difference = this.b.binary(BinaryOp::FloatSub, big, sum);
            this.b.binary(BinaryOp::FloatAdd, difference, small)
        };
        let (of_x, of_total) = (lost(self, total, x), lost(self, x, total));
        let lost = self.b.select(larger, of_x, of_total);
        self.b.binary(BinaryOp::FloatAdd, so_far, lost)
    }
}

#[cold]
pub(super) fn refuse_product<T>(operand: Operand, at: Span) -> Lowered<T> {
    let what = format!("a product with {}", operand.type_name());
    refuse(at, what, "convert with float() or int()")
}
