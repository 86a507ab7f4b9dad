//! Functions that call themselves.
//!
//! Such a function is compiled twice: as an inner one with its arguments in registers, which
//! returns a status and a value, and as an entry that calls it. Each call counts down the depth
//! that is left, looks that the stack has room, and polls now and then; the words for the latter
//! two lie in the entry's frame and are shared by all calls.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self as clif, BlockArg, FuncRef, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Module};

use super::Emitter;
use crate::ir::{Args, Function, GuardId};
use crate::poll;
use crate::types::{Shape, Type};

/// What an inner function needs to call itself.
#[derive(Clone, Copy)]
pub(super) struct Recursion {
    inner: FuncRef,
    depth: clif::Value,
    /// Address of the floor of the stack, and behind it of the rounds until the next poll.
    shared: clif::Value,
}

const FLOOR: i32 = 0;
const FUEL: i32 = 8;

/// The type of the one result of a function that calls itself.
pub(in crate::cranelift) fn recursive_result(function: &Function) -> Type {
    match function.returns.as_slice() {
        [Shape::Scalar(ty)] => *ty,
        other => unreachable!("verified to have one scalar result: {other:?}"),
    }
}

/// Writes the entry of a recursive function, which calls `inner`.
pub(in crate::cranelift) fn emit_entry(
    function: &Function,
    module: &mut JITModule,
    into: &mut clif::Function,
    inner: FuncId,
) {
    let inner = module.declare_func_in_func(inner, into);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(into, &mut context);
    let start = b.create_block();
    b.append_block_params_for_function_params(start);
    b.switch_to_block(start);
    let (words, ret) = (b.block_params(start)[0], b.block_params(start)[1]);
    let flags = MemFlagsData::trusted();
    let offset = |index: usize| i32::try_from(index * 8).expect("check_size bounds the parameters");
    let mut args = Vec::new();
    for (index, &ty) in function.params.iter().enumerate() {
        let clif = if ty == Type::F64 {
            types::F64
        } else {
            types::I64
        };
        let value = b.ins().load(clif, flags, words, offset(index));
        args.push(if ty == Type::Bool {
            let zero = b.ins().iconst(types::I64, 0);
            b.ins().icmp(IntCC::NotEqual, value, zero)
        } else {
            value
        });
    }
    let count = function.params.len();
    args.push(b.ins().load(types::I64, flags, words, offset(count)));
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 3);
    let slot = b.create_sized_stack_slot(slot);
    let shared = b.ins().stack_addr(types::I64, slot, 0);
    let floor = b.ins().load(types::I64, flags, words, offset(count + 1));
    b.ins().store(flags, floor, shared, FLOOR);
    let full = b.ins().iconst(types::I64, i64::from(poll::INTERVAL));
    b.ins().store(flags, full, shared, FUEL);
    args.push(shared);
    let call = b.ins().call(inner, &args);
    let (status, mut value) = (b.inst_results(call)[0], b.inst_results(call)[1]);
    if recursive_result(function) == Type::Bool {
        value = b.ins().uextend(types::I64, value);
    }
    b.ins().store(flags, value, ret, 0);
    b.ins().return_(&[status]);
    b.seal_all_blocks();
    b.finalize(module.target_config());
}

impl Emitter<'_> {
    pub(super) fn inner_prologue(&mut self, inner: FuncRef) {
        self.block_params();
        let start = self.builder.create_block();
        self.builder.append_block_params_for_function_params(start);
        self.builder.switch_to_block(start);
        let params = self.builder.block_params(start).to_vec();
        let (args, rest) = params.split_at(self.function.params.len());
        self.recursion = Some(Recursion {
            inner,
            depth: rest[0],
            shared: rest[1],
        });
        let args: Vec<_> = args.iter().map(|&arg| BlockArg::Value(arg)).collect();
        self.start_fuel();
        self.builder.ins().jump(self.blocks[0], &args);
    }

    pub(super) fn recurse(&mut self, args: Args, guard: GuardId) -> clif::Value {
        let recursion = self.recursion.expect("only recursive functions recurse");
        let levels = self.function.levels[args.0 as usize];
        self.ensure_depth(levels, guard);
        let flags = MemFlagsData::trusted();
        let shared = recursion.shared;
        let floor = self.builder.ins().load(types::I64, flags, shared, FLOOR);
        let here = self.builder.ins().get_stack_pointer(types::I64);
        let room = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, here, floor);
        self.ensure(room, guard);
        self.poll_recursion(shared, guard);

        let list = &self.function.lists[args.0 as usize];
        let mut args: Vec<_> = list.iter().map(|&arg| self.get(arg)).collect();
        let deeper = -i64::from(levels);
        args.push(self.builder.ins().iadd_imm_s(recursion.depth, deeper));
        args.push(shared);
        let call = self.builder.ins().call(recursion.inner, &args);
        let results = self.builder.inst_results(call);
        let (status, value) = (results[0], results[1]);
        let (ended, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(ended);
        self.builder.ins().brif(status, ended, &[], next, &[]);
        self.builder.switch_to_block(ended);
        self.return_status(status);
        self.builder.switch_to_block(next);
        value
    }

    /// Leaves through the guard unless that many more calls may be in each other.
    pub(super) fn ensure_depth(&mut self, levels: u32, guard: GuardId) {
        let recursion = self.recursion.expect("only recursive functions recurse");
        let levels = self.int(levels.into());
        let cc = IntCC::UnsignedGreaterThanOrEqual;
        let left = self.builder.ins().icmp(cc, recursion.depth, levels);
        self.ensure(left, guard);
    }

    fn poll_recursion(&mut self, shared: clif::Value, guard: GuardId) {
        let flags = MemFlagsData::trusted();
        let left = self.builder.ins().load(types::I64, flags, shared, FUEL);
        let left = self.builder.ins().iadd_imm_s(left, -1);
        self.builder.ins().store(flags, left, shared, FUEL);
        let (ask, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(ask);
        self.builder.ins().brif(left, next, &[], ask, &[]);
        self.builder.switch_to_block(ask);
        let full = self.int(i64::from(poll::INTERVAL));
        self.builder.ins().store(flags, full, shared, FUEL);
        self.ask(guard);
        self.builder.ins().jump(next, &[]);
        self.builder.switch_to_block(next);
    }
}
