//! Floats that stay in registers while a loop runs.
//!
//! Cranelift computes what has no effect where it is used, and makes constants anew each time: in a
//! loop that is work in every round. What was loaded from memory it leaves where it is. So such a float
//! goes through a slot of the frame once, as bits, which Cranelift does not see through.

use std::collections::HashSet;

use cranelift_codegen::ir::{
    self as clif, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, types,
};

use super::Emitter;
use crate::ir::Op;
use crate::types::Value;

/// Most constants that are kept; there are 16 registers.
const MOST_CONSTANTS: usize = 10;

impl Emitter<'_> {
    /// Keeps the constants that loops use. In the prologue.
    pub(super) fn pin_constants(&mut self) {
        let blocks = self.function.blocks().iter().enumerate();
        let in_loops = blocks.filter(|&(index, _)| self.loops.has(index));
        let mut seen = HashSet::new();
        let mut constants = Vec::new();
        for inst in in_loops.flat_map(|(_, block)| &block.insts) {
            if let Op::Const(Value::F64(value)) = inst.op {
                // Zero is made by one instruction that the processor does not even run.
                if value.to_bits() != 0 && seen.insert(value.to_bits()) {
                    constants.push(value);
                }
            }
        }
        for value in constants.into_iter().take(MOST_CONSTANTS) {
            let bits = self.int(value.to_bits().cast_signed());
            let pinned = self.through_memory(bits);
            self.pinned.insert(value.to_bits(), pinned);
        }
    }

    /// A float that is computed here and nowhere else.
    pub(super) fn pin(&mut self, value: clif::Value) -> clif::Value {
        let flags = MemFlagsData::new();
        let bits = self.builder.ins().bitcast(types::I64, flags, value);
        self.through_memory(bits)
    }

    fn through_memory(&mut self, bits: clif::Value) -> clif::Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
        let slot = self.builder.create_sized_stack_slot(slot);
        let ins = self.builder.ins();
        ins.stack_store(types::I64, bits, slot, 0);
        self.builder
            .ins()
            .stack_load(types::I64, types::F64, slot, 0)
    }
}
