//! Arrays: addresses, loads and stores.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self as clif, InstBuilder, MemFlagsData, types};

use super::Emitter;
use crate::array::{ArrayType, Elem};
use crate::ir::{GuardId, Place, Val};

/// An array parameter as values of the prologue.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    ty: ArrayType,
    data: clif::Value,
    pub(super) shape: [clif::Value; 2],
    strides: [clif::Value; 2],
}

/// Elements may be unaligned, and other threads may write them, but they are always there.
fn flags() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

fn memory_type(elem: Elem) -> clif::Type {
    match elem {
        Elem::F64 => types::F64,
        Elem::F32 => types::F32,
        Elem::I64 | Elem::U64 => types::I64,
        Elem::I32 | Elem::U32 => types::I32,
        Elem::I16 | Elem::U16 => types::I16,
        Elem::I8 | Elem::U8 | Elem::Bool => types::I8,
    }
}

impl Emitter<'_> {
    /// Loads the words of an array argument, of which `word` is the first.
    pub(super) fn parts(&mut self, ty: ArrayType, args: clif::Value, word: usize) -> Parts {
        let mut load = |index: usize| {
            let offset = i32::try_from((word + index) * 8).expect("check_size bounds parameters");
            let ins = self.builder.ins();
            ins.load(types::I64, MemFlagsData::trusted(), args, offset)
        };
        let data = load(0);
        let (shape, strides) = if ty.ndim == 1 {
            ([load(1); 2], [load(2); 2])
        } else {
            ([load(1), load(2)], [load(3), load(4)])
        };
        Parts {
            ty,
            data,
            shape,
            strides,
        }
    }

    /// A negative index counts from the end.
    pub(super) fn index(
        &mut self,
        len: clif::Value,
        index: clif::Value,
        guard: GuardId,
    ) -> clif::Value {
        let index = if self.proof.operand.low >= 0 {
            index
        } else {
            let zero = self.int(0);
            let negative = self.builder.ins().icmp(IntCC::SignedLessThan, index, zero);
            let from_end = self.builder.ins().iadd(index, len);
            self.builder.ins().select(negative, from_end, index)
        };
        // As unsigned a negative number is beyond every length.
        let inside = self.builder.ins().icmp(IntCC::UnsignedLessThan, index, len);
        self.ensure(inside, guard);
        index
    }

    fn address(&mut self, parts: Parts, place: Place) -> clif::Value {
        let offset = match place {
            Place::At(i) => {
                let i = self.get(i);
                self.scaled(parts, i, 0)
            }
            Place::Cell(i, j) if parts.ty.contiguous => {
                let (i, j) = (self.get(i), self.get(j));
                let row = self.builder.ins().imul(i, parts.shape[1]);
                let at = self.builder.ins().iadd(row, j);
                self.scaled(parts, at, 1)
            }
            Place::Cell(i, j) => {
                let (i, j) = (self.get(i), self.get(j));
                let (down, right) = (self.scaled(parts, i, 0), self.scaled(parts, j, 1));
                self.builder.ins().iadd(down, right)
            }
        };
        self.builder.ins().iadd(parts.data, offset)
    }

    fn scaled(&mut self, parts: Parts, index: clif::Value, dim: usize) -> clif::Value {
        if !parts.ty.contiguous {
            return self.builder.ins().imul(index, parts.strides[dim]);
        }
        let shift = i64::from(parts.ty.elem.size().trailing_zeros());
        let shift = self.int(shift);
        self.builder.ins().ishl(index, shift)
    }

    pub(super) fn load(&mut self, array: Val, place: Place, guard: GuardId) -> clif::Value {
        let parts = self.arrays[&array];
        let (elem, address) = (parts.ty.elem, self.address(parts, place));
        let ins = self.builder.ins();
        let value = ins.load(memory_type(elem), flags(), address, 0);
        match elem {
            Elem::F64 | Elem::I64 => value,
            Elem::F32 => self.builder.ins().fpromote(types::F64, value),
            Elem::I8 | Elem::I16 | Elem::I32 => self.builder.ins().sextend(types::I64, value),
            Elem::U8 | Elem::U16 | Elem::U32 => self.builder.ins().uextend(types::I64, value),
            Elem::U64 => {
                let zero = self.int(0);
                let cc = IntCC::SignedGreaterThanOrEqual;
                let fits = self.builder.ins().icmp(cc, value, zero);
                self.ensure(fits, guard);
                value
            }
            Elem::Bool => {
                let zero = self.builder.ins().iconst(types::I8, 0);
                self.builder.ins().icmp(IntCC::NotEqual, value, zero)
            }
        }
    }

    pub(super) fn store(&mut self, array: Val, place: Place, value: clif::Value, at: GuardId) {
        let parts = self.arrays[&array];
        let elem = parts.ty.elem;
        let narrow = match elem {
            Elem::F64 | Elem::I64 | Elem::Bool => value,
            Elem::F32 => self.narrow_float(value, at),
            _ => self.narrow_int(elem, value, at),
        };
        let address = self.address(parts, place);
        self.builder.ins().store(flags(), narrow, address, 0);
    }

    fn narrow_float(&mut self, value: clif::Value, at: GuardId) -> clif::Value {
        let narrow = self.builder.ins().fdemote(types::F32, value);
        let infinity = self.builder.ins().f32const(f32::INFINITY);
        let magnitude = self.builder.ins().fabs(narrow);
        let lost = self.builder.ins().fcmp(FloatCC::Equal, magnitude, infinity);
        let (infinity, magnitude) = (self.float(f64::INFINITY), self.builder.ins().fabs(value));
        let finite = self
            .builder
            .ins()
            .fcmp(FloatCC::LessThan, magnitude, infinity);
        let overflow = self.builder.ins().band(lost, finite);
        self.refuse(overflow, at);
        narrow
    }

    fn narrow_int(&mut self, elem: Elem, value: clif::Value, at: GuardId) -> clif::Value {
        if !self.proof.never {
            self.ensure_fits(elem, value, at);
        }
        match memory_type(elem) {
            types::I64 => value,
            narrow => self.builder.ins().ireduce(narrow, value),
        }
    }

    fn ensure_fits(&mut self, elem: Elem, value: clif::Value, at: GuardId) {
        let (least, most) = elem.int_range().expect("floats and bools are done");
        // Shifted to start at 0, unsigned: one comparison for both ends.
        let (least, span) = (self.int(least), self.int(most.wrapping_sub(least)));
        let shifted = self.builder.ins().isub(value, least);
        let cc = IntCC::UnsignedLessThanOrEqual;
        let fits = self.builder.ins().icmp(cc, shifted, span);
        self.ensure(fits, at);
    }
}
