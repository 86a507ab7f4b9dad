//! Operations as instructions of Cranelift.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self as clif, InstBuilder, StackSlotData, StackSlotKind, types};

use super::Emitter;
use crate::ir::{BinaryOp, CheckedBinaryOp, CheckedUnaryOp, GuardId, Op, UnaryOp, Val};

impl Emitter<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, a: clif::Value) -> clif::Value {
        match op {
            UnaryOp::BoolToInt => self.builder.ins().uextend(types::I64, a),
            UnaryOp::IntToFloat => self.builder.ins().fcvt_from_sint(types::F64, a),
            UnaryOp::IntFitsFloat => {
                // a + 2**53 as unsigned: wrapping cannot land in the range from outside.
                let (limit, twice) = (self.int(1 << 53), self.int(1 << 54));
                let shifted = self.builder.ins().iadd(a, limit);
                self.builder
                    .ins()
                    .icmp(IntCC::UnsignedLessThanOrEqual, shifted, twice)
            }
            UnaryOp::IntNot => self.builder.ins().bnot(a),
            UnaryOp::FloatNeg => self.builder.ins().fneg(a),
            UnaryOp::FloatAbs => self.builder.ins().fabs(a),
            UnaryOp::FloatSqrt => self.builder.ins().sqrt(a),
            UnaryOp::FloatFloor => self.builder.ins().floor(a),
            UnaryOp::FloatCeil => self.builder.ins().ceil(a),
            UnaryOp::FloatTrunc => self.builder.ins().trunc(a),
            UnaryOp::FloatRound => self.builder.ins().nearest(a),
            UnaryOp::FloatIsNan => self.builder.ins().fcmp(FloatCC::Unordered, a, a),
            UnaryOp::FloatIsInf => self.compare_magnitude(FloatCC::Equal, a),
            UnaryOp::FloatIsFinite => self.compare_magnitude(FloatCC::LessThan, a),
            UnaryOp::BoolNot => self.not(a),
            // The magnitude as unsigned: that of the least integer is right too.
            UnaryOp::IntBitLength => {
                let magnitude = self.builder.ins().iabs(a);
                let zeros = self.builder.ins().clz(magnitude);
                let all = self.int(64);
                self.builder.ins().isub(all, zeros)
            }
            UnaryOp::IntBitCount => {
                let magnitude = self.builder.ins().iabs(a);
                self.builder.ins().popcnt(magnitude)
            }
        }
    }

    /// Compares `|a|` with infinity; false for NaN.
    fn compare_magnitude(&mut self, cc: FloatCC, a: clif::Value) -> clif::Value {
        let magnitude = self.builder.ins().fabs(a);
        let infinity = self.float(f64::INFINITY);
        self.builder.ins().fcmp(cc, magnitude, infinity)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: clif::Value, b: clif::Value) -> clif::Value {
        let ins = self.builder.ins();
        match op {
            BinaryOp::FloatAdd => ins.fadd(a, b),
            BinaryOp::FloatSub => ins.fsub(a, b),
            BinaryOp::FloatMul => ins.fmul(a, b),
            BinaryOp::FloatDiv => ins.fdiv(a, b),
            BinaryOp::FloatCopysign => ins.fcopysign(a, b),
            BinaryOp::IntAddWrapping => ins.iadd(a, b),
            BinaryOp::IntMulWrapping => ins.imul(a, b),
            BinaryOp::IntAnd | BinaryOp::BoolAnd => ins.band(a, b),
            BinaryOp::IntOr | BinaryOp::BoolOr => ins.bor(a, b),
            BinaryOp::IntXor | BinaryOp::BoolXor => ins.bxor(a, b),
            BinaryOp::FloatFloorDiv | BinaryOp::FloatMod => unreachable!("`op` calls a helper"),
        }
    }

    pub(super) fn checked_unary(
        &mut self,
        op: CheckedUnaryOp,
        a: clif::Value,
        at: GuardId,
    ) -> clif::Value {
        match op {
            CheckedUnaryOp::IntNeg | CheckedUnaryOp::IntAbs => {
                if !self.proof.never {
                    let least = self.int(i64::MIN);
                    let fine = self.builder.ins().icmp(IntCC::NotEqual, a, least);
                    self.ensure(fine, at);
                }
                match op {
                    CheckedUnaryOp::IntNeg => self.builder.ins().ineg(a),
                    _ => self.builder.ins().iabs(a),
                }
            }
            CheckedUnaryOp::FloatToInt => {
                // NaN fails both comparisons; 2**63 is a float but no i64.
                let (low, high) = (self.float(-TWO_63), self.float(TWO_63));
                let above = self.builder.ins().fcmp(FloatCC::GreaterThanOrEqual, a, low);
                self.ensure(above, at);
                let below = self.builder.ins().fcmp(FloatCC::LessThan, a, high);
                self.ensure(below, at);
                // The saturating form has no trap of its own.
                self.builder.ins().fcvt_to_sint_sat(types::I64, a)
            }
            CheckedUnaryOp::IntSqrt | CheckedUnaryOp::IntFactorial => {
                unreachable!("`op` calls a helper")
            }
        }
    }

    pub(super) fn checked_binary(
        &mut self,
        op: CheckedBinaryOp,
        a: clif::Value,
        b: clif::Value,
        at: GuardId,
    ) -> clif::Value {
        if self.proof.never {
            match op {
                CheckedBinaryOp::IntAdd => return self.builder.ins().iadd(a, b),
                CheckedBinaryOp::IntSub => return self.builder.ins().isub(a, b),
                CheckedBinaryOp::IntMul => return self.builder.ins().imul(a, b),
                CheckedBinaryOp::IntFloorDiv | CheckedBinaryOp::IntMod => {
                    return self.floored(op, a, b);
                }
                _ => {}
            }
        }
        let (result, overflow) = match op {
            CheckedBinaryOp::IntAdd => self.builder.ins().sadd_overflow(a, b),
            CheckedBinaryOp::IntSub => self.builder.ins().ssub_overflow(a, b),
            CheckedBinaryOp::IntMul => self.builder.ins().smul_overflow(a, b),
            CheckedBinaryOp::IntFloorDiv | CheckedBinaryOp::IntMod => {
                return self.int_division(op, a, b, at);
            }
            CheckedBinaryOp::IntShl | CheckedBinaryOp::IntShr => {
                return self.int_shift(op, a, b, at);
            }
            _ => unreachable!("`op` calls a helper"),
        };
        self.refuse(overflow, at);
        result
    }

    /// Whether a guarded operation has an operand that makes its guard one comparison.
    pub(super) fn is_cheap_with_constant(&self, op: CheckedBinaryOp, a: Val, b: Val) -> bool {
        let of = |val| self.constants.get(val).copied();
        match (op, of(&a), of(&b)) {
            (CheckedBinaryOp::IntAdd, Some(by), None)
            | (CheckedBinaryOp::IntAdd | CheckedBinaryOp::IntSub, None, Some(by)) => by != 0,
            (CheckedBinaryOp::IntMul, Some(by), None)
            | (CheckedBinaryOp::IntMul, None, Some(by)) => by > 1,
            _ => false,
        }
    }

    /// A sum is beyond 64 bits if it lies on the wrong side of its operand, a product if its operand
    /// lies outside of what the constant goes into. Such a comparison is one instruction with its
    /// branch; the flag of an overflow takes three.
    pub(super) fn checked_with_constant(
        &mut self,
        op: CheckedBinaryOp,
        a: clif::Value,
        by: i64,
        at: GuardId,
    ) -> clif::Value {
        let constant = self.int(by);
        if op == CheckedBinaryOp::IntMul {
            let least = self.proof.operand.low;
            let (low, high) = (i64::MIN / by, i64::MAX / by);
            if least < low {
                let low = self.int(low);
                let fits = self
                    .builder
                    .ins()
                    .icmp(IntCC::SignedGreaterThanOrEqual, a, low);
                self.ensure(fits, at);
            }
            let high = self.int(high);
            let fits = self
                .builder
                .ins()
                .icmp(IntCC::SignedLessThanOrEqual, a, high);
            self.ensure(fits, at);
            return self.times(a, by);
        }
        let (result, up) = match op {
            CheckedBinaryOp::IntAdd => (self.builder.ins().iadd(a, constant), by > 0),
            _ => (self.builder.ins().isub(a, constant), by < 0),
        };
        let cc = if up {
            IntCC::SignedGreaterThan
        } else {
            IntCC::SignedLessThan
        };
        let fits = self.builder.ins().icmp(cc, result, a);
        self.ensure(fits, at);
        result
    }

    /// A product that fits, by a constant.
    fn times(&mut self, a: clif::Value, by: i64) -> clif::Value {
        // One address computation where there is one.
        if let shift @ (1..=3) = (by - 1).trailing_zeros()
            && by - 1 == 1 << shift
        {
            let count = self.int(i64::from(shift));
            let scaled = self.builder.ins().ishl(a, count);
            return self.builder.ins().iadd(a, scaled);
        }
        let by = self.int(by);
        self.builder.ins().imul(a, by)
    }

    /// Division by a constant, which can neither fail nor overflow: not 0, nor -1.
    pub(super) fn constant_division(
        &mut self,
        op: CheckedBinaryOp,
        a: clif::Value,
        by: i64,
    ) -> clif::Value {
        if by > 0 && by.count_ones() == 1 {
            // In two's complement a shift rounds down, and a mask is the rest above it.
            return if op == CheckedBinaryOp::IntMod {
                let mask = self.int(by - 1);
                self.builder.ins().band(a, mask)
            } else {
                let shift = self.int(i64::from(by.trailing_zeros()));
                self.builder.ins().sshr(a, shift)
            };
        }
        let by = self.int(by);
        self.floored(op, a, by)
    }

    fn int_division(
        &mut self,
        op: CheckedBinaryOp,
        a: clif::Value,
        b: clif::Value,
        at: GuardId,
    ) -> clif::Value {
        let (zero, minus_one, least) = (self.int(0), self.int(-1), self.int(i64::MIN));
        let divides = self.builder.ins().icmp(IntCC::NotEqual, b, zero);
        self.ensure(divides, at);
        let by_minus_one = self.builder.ins().icmp(IntCC::Equal, b, minus_one);
        let of_least = self.builder.ins().icmp(IntCC::Equal, a, least);
        let overflow = self.builder.ins().band(by_minus_one, of_least);
        self.refuse(overflow, at);
        self.floored(op, a, b)
    }

    /// Floored division by what is neither 0 nor -1 below the least integer.
    fn floored(&mut self, op: CheckedBinaryOp, a: clif::Value, b: clif::Value) -> clif::Value {
        if self.proof.operand.low >= 0 && self.proof.divisor_is_positive {
            return match op {
                CheckedBinaryOp::IntMod => self.builder.ins().srem(a, b),
                _ => self.builder.ins().sdiv(a, b),
            };
        }
        let (zero, minus_one) = (self.int(0), self.int(-1));
        let quotient = self.builder.ins().sdiv(a, b);
        let product = self.builder.ins().imul(quotient, b);
        let remainder = self.builder.ins().isub(a, product);
        // Signs differ and something is left: the truncated quotient is one above the floor.
        let inexact = self.builder.ins().icmp(IntCC::NotEqual, remainder, zero);
        let signs = self.builder.ins().bxor(remainder, b);
        let differ = self.builder.ins().icmp(IntCC::SignedLessThan, signs, zero);
        let adjust = self.builder.ins().band(inexact, differ);
        if op == CheckedBinaryOp::IntMod {
            let up = self.builder.ins().iadd(remainder, b);
            return self.builder.ins().select(adjust, up, remainder);
        }
        let down = self.builder.ins().iadd(quotient, minus_one);
        self.builder.ins().select(adjust, down, quotient)
    }

    fn int_shift(
        &mut self,
        op: CheckedBinaryOp,
        a: clif::Value,
        count: clif::Value,
        at: GuardId,
    ) -> clif::Value {
        let (zero, most) = (self.int(0), self.int(63));
        if op == CheckedBinaryOp::IntShr {
            let fine = self
                .builder
                .ins()
                .icmp(IntCC::SignedGreaterThanOrEqual, count, zero);
            self.ensure(fine, at);
            let clamped = self.builder.ins().umin(count, most);
            return self.builder.ins().sshr(a, clamped);
        }
        let fine = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedLessThanOrEqual, count, most);
        self.ensure(fine, at);
        let shifted = self.builder.ins().ishl(a, count);
        let back = self.builder.ins().sshr(shifted, count);
        let exact = self.builder.ins().icmp(IntCC::Equal, back, a);
        self.ensure(exact, at);
        shifted
    }

    /// A helper that writes its result if there is one.
    pub(super) fn checked_call(
        &mut self,
        op: Op,
        args: &[clif::Value],
        at: GuardId,
    ) -> clif::Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
        let slot = self.builder.create_sized_stack_slot(slot);
        let out = self.builder.ins().stack_addr(types::I64, slot, 0);
        let args: Vec<_> = args.iter().copied().chain([out]).collect();
        let status = self.call(op, &args);
        let zero = self.builder.ins().iconst(types::I32, 0);
        let fine = self.builder.ins().icmp(IntCC::NotEqual, status, zero);
        self.ensure(fine, at);
        self.builder
            .ins()
            .stack_load(types::I64, types::I64, slot, 0)
    }
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;
