//! Polls: a countdown in a register, and now and then a call.
//!
//! An ordinary call in a loop would make the register allocator keep floats in memory all through
//! it. So the call goes to a small function of its own that saves every register.

use cranelift_codegen::ir::{
    self as clif, AbiParam, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind,
    types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::JITModule;
use cranelift_module::{Linkage, Module};

use super::Emitter;
use crate::compiler::CompileError;
use crate::cranelift::{backend, symbols};
use crate::ir::{GuardId, Op};
use crate::poll;

/// One pointer, to where the answer is written: this convention knows no results.
pub(in crate::cranelift) fn ask_signature() -> Signature {
    let mut signature = Signature::new(CallConv::PreserveAll);
    signature.params.push(AbiParam::new(types::I64));
    signature
}

/// Writes the function that asks the hook.
pub(in crate::cranelift) fn emit_ask(
    module: &mut JITModule,
    into: &mut clif::Function,
) -> Result<(), CompileError> {
    let mut signature = module.make_signature();
    signature.returns.push(AbiParam::new(types::I32));
    let (name, _) = symbols::poll_helper();
    let helper = module
        .declare_function(&name, Linkage::Import, &signature)
        .map_err(backend)?;
    let helper = module.declare_func_in_func(helper, into);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(into, &mut context);
    let start = b.create_block();
    b.append_block_params_for_function_params(start);
    b.switch_to_block(start);
    let answer = b.block_params(start)[0];
    let call = b.ins().call(helper, &[]);
    let go_on = b.inst_results(call)[0];
    b.ins().store(MemFlagsData::trusted(), go_on, answer, 0);
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(module.target_config());
    Ok(())
}

impl Emitter<'_> {
    pub(super) fn start_fuel(&mut self) {
        let mut insts = self.function.blocks().iter().flat_map(|block| &block.insts);
        if insts.any(|inst| matches!(inst.op, Op::Poll(_))) {
            let fuel = self.builder.declare_var(types::I64);
            let full = self.int(i64::from(poll::INTERVAL));
            self.builder.def_var(fuel, full);
            self.fuel = Some(fuel);
        }
    }

    /// Counts down, and asks the hook at 0.
    pub(super) fn poll(&mut self, guard: GuardId) {
        let fuel = self.fuel.expect("started for functions with polls");
        let left = self.builder.use_var(fuel);
        let left = self.builder.ins().iadd_imm_s(left, -1);
        self.builder.def_var(fuel, left);
        let (ask, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(ask);
        self.builder.ins().brif(left, next, &[], ask, &[]);
        self.builder.switch_to_block(ask);
        let full = self.int(i64::from(poll::INTERVAL));
        self.builder.def_var(fuel, full);
        self.ask(guard);
        self.builder.ins().jump(next, &[]);
        self.builder.switch_to_block(next);
    }

    /// Leaves through the guard if the hook says so.
    pub(super) fn ask(&mut self, guard: GuardId) {
        let ask = self.ask.expect("compiled for functions that poll");
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
        let slot = self.builder.create_sized_stack_slot(slot);
        let answer = self.builder.ins().stack_addr(types::I64, slot, 0);
        self.builder.ins().call(ask, &[answer]);
        let go_on = self
            .builder
            .ins()
            .stack_load(types::I64, types::I32, slot, 0);
        self.ensure(go_on, guard);
    }
}
