//! From our IR to Cranelift's.

mod arith;

use std::collections::HashMap;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    self as clif, AbiParam, BlockArg, FuncRef, InstBuilder, MemFlagsData, Signature, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::JITModule;
use cranelift_module::{Linkage, Module};

use super::{backend, symbols};
use crate::compiler::CompileError;
use crate::ir::{
    BinaryOp, CheckedBinaryOp, Comparison, Function, GuardId, Op, Target, Terminator, Val,
};
use crate::types::{Type, Value};
use crate::verify;

/// Writes the body of a verified function into `into`.
pub(super) fn emit(
    function: &Function,
    module: &mut JITModule,
    into: &mut clif::Function,
    context: &mut FunctionBuilderContext,
) -> Result<(), CompileError> {
    let helpers = declare_helpers(function, module, into)?;
    let mut builder = FunctionBuilder::new(into, context);
    let blocks: Vec<clif::Block> = function
        .blocks()
        .iter()
        .map(|_| builder.create_block())
        .collect();
    let mut emitter = Emitter {
        function,
        builder,
        helpers,
        blocks,
        values: vec![None; function.value_types.len()],
        bails: vec![None; function.guards().len()],
        ret: None,
    };
    emitter.prologue();
    // In this order a definition comes before every use that it dominates.
    for index in verify::emission_order(function) {
        emitter.block(index);
    }
    emitter.bail_blocks();
    let mut builder = emitter.builder;
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    Ok(())
}

/// Imports each helper once.
fn declare_helpers(
    function: &Function,
    module: &mut JITModule,
    into: &mut clif::Function,
) -> Result<HashMap<String, FuncRef>, CompileError> {
    let mut helpers = HashMap::new();
    for inst in function.blocks().iter().flat_map(|block| &block.insts) {
        let Some((name, _)) = symbols::helper(inst.op) else {
            continue;
        };
        if helpers.contains_key(&name) {
            continue;
        }
        let id = module
            .declare_function(&name, Linkage::Import, &helper_signature(module, inst.op))
            .map_err(backend)?;
        helpers.insert(name, module.declare_func_in_func(id, into));
    }
    Ok(helpers)
}

fn helper_signature(module: &JITModule, op: Op) -> Signature {
    let mut signature = module.make_signature();
    let (params, ret): (&[clif::Type], _) = match op {
        Op::CheckedBinary(..) => (&[types::I64, types::I64, types::I64], types::I32),
        Op::Math1(..) => (&[types::F64], types::F64),
        _ => (&[types::F64, types::F64], types::F64),
    };
    signature
        .params
        .extend(params.iter().copied().map(AbiParam::new));
    signature.returns.push(AbiParam::new(ret));
    signature
}

fn clif_type(ty: Type) -> clif::Type {
    match ty {
        Type::I64 => types::I64,
        Type::F64 => types::F64,
        Type::Bool => types::I8,
    }
}

struct Emitter<'a> {
    function: &'a Function,
    builder: FunctionBuilder<'a>,
    helpers: HashMap<String, FuncRef>,
    blocks: Vec<clif::Block>,
    values: Vec<Option<clif::Value>>,
    /// Where each guard leaves to, once one needs it.
    bails: Vec<Option<clif::Block>>,
    /// Where the result goes.
    ret: Option<clif::Value>,
}

impl Emitter<'_> {
    /// Loads the arguments in a block of its own, since a loop may return to our entry block.
    fn prologue(&mut self) {
        for (index, data) in self.function.blocks().iter().enumerate() {
            for &param in &data.params {
                let ty = clif_type(self.function.value_types[param.0 as usize]);
                let value = self.builder.append_block_param(self.blocks[index], ty);
                self.values[param.0 as usize] = Some(value);
            }
        }
        let start = self.builder.create_block();
        self.builder.append_block_params_for_function_params(start);
        self.builder.switch_to_block(start);
        let (args, ret) = match *self.builder.block_params(start) {
            [args, ret] => (args, ret),
            ref other => unreachable!("the entry signature has two parameters: {other:?}"),
        };
        self.ret = Some(ret);
        let flags = MemFlagsData::trusted();
        let mut loaded = Vec::with_capacity(self.function.params.len());
        for (index, ty) in self.function.params.iter().enumerate() {
            let offset = i32::try_from(index * 8).expect("check_size bounds the parameters");
            let word = if *ty == Type::F64 {
                types::F64
            } else {
                types::I64
            };
            let value = self.builder.ins().load(word, flags, args, offset);
            loaded.push(BlockArg::Value(match ty {
                Type::Bool => {
                    let zero = self.int(0);
                    self.builder.ins().icmp(IntCC::NotEqual, value, zero)
                }
                _ => value,
            }));
        }
        self.builder.ins().jump(self.blocks[0], &loaded);
    }

    fn block(&mut self, index: usize) {
        let data = &self.function.blocks()[index];
        self.builder.switch_to_block(self.blocks[index]);
        for inst in &data.insts {
            let value = self.op(inst.op);
            if let Some(result) = inst.result {
                self.values[result.0 as usize] = value;
            }
        }
        match data
            .terminator
            .as_ref()
            .expect("a verified block has a terminator")
        {
            Terminator::Jump(target) => {
                let (block, args) = self.target(target);
                self.builder.ins().jump(block, &args);
            }
            Terminator::Branch {
                cond,
                then,
                otherwise,
            } => {
                let cond = self.get(*cond);
                let (then, then_args) = self.target(then);
                let (otherwise, otherwise_args) = self.target(otherwise);
                self.builder
                    .ins()
                    .brif(cond, then, &then_args, otherwise, &otherwise_args);
            }
            Terminator::Return(value) => self.return_value(*value),
        }
    }

    fn return_value(&mut self, value: Val) {
        let (mut result, ret) = (self.get(value), self.ret.expect("set by the prologue"));
        if self.function.ret == Type::Bool {
            result = self.builder.ins().uextend(types::I64, result);
        }
        self.builder
            .ins()
            .store(MemFlagsData::trusted(), result, ret, 0);
        let ok = self.builder.ins().iconst(types::I32, 0);
        self.builder.ins().return_(&[ok]);
    }

    /// One cold block per guard: its status, and out.
    fn bail_blocks(&mut self) {
        for index in 0..self.bails.len() {
            let Some(block) = self.bails[index] else {
                continue;
            };
            self.builder.switch_to_block(block);
            self.builder.set_cold_block(block);
            let status = i64::try_from(index + 1).expect("check_size bounds the guards");
            let status = self.builder.ins().iconst(types::I32, status);
            self.builder.ins().return_(&[status]);
        }
    }

    fn target(&self, target: &Target) -> (clif::Block, Vec<BlockArg>) {
        let args = target
            .args
            .iter()
            .map(|&arg| BlockArg::Value(self.get(arg)))
            .collect();
        (self.blocks[target.block.0 as usize], args)
    }

    fn get(&self, value: Val) -> clif::Value {
        self.values[value.0 as usize].expect("a verified definition precedes its uses")
    }

    fn int(&mut self, value: i64) -> clif::Value {
        self.builder.ins().iconst(types::I64, value)
    }

    fn float(&mut self, value: f64) -> clif::Value {
        self.builder.ins().f64const(value)
    }

    /// Leaves through the guard unless `cond` is true.
    fn ensure(&mut self, cond: clif::Value, guard: GuardId) {
        let slot = &mut self.bails[guard.0 as usize];
        let bail = match *slot {
            Some(bail) => bail,
            None => *slot.insert(self.builder.create_block()),
        };
        let next = self.builder.create_block();
        self.builder.ins().brif(cond, next, &[], bail, &[]);
        self.builder.switch_to_block(next);
    }

    /// Leaves through the guard if `cond` is true.
    fn refuse(&mut self, cond: clif::Value, guard: GuardId) {
        let fine = self.not(cond);
        self.ensure(fine, guard);
    }

    fn not(&mut self, cond: clif::Value) -> clif::Value {
        let zero = self.builder.ins().iconst(types::I8, 0);
        self.builder.ins().icmp(IntCC::Equal, cond, zero)
    }

    fn op(&mut self, op: Op) -> Option<clif::Value> {
        Some(match op {
            Op::Const(Value::I64(value)) => self.int(value),
            Op::Const(Value::F64(value)) => self.float(value),
            Op::Const(Value::Bool(value)) => self.builder.ins().iconst(types::I8, i64::from(value)),
            Op::Unary(op, a) => self.unary(op, self.get(a)),
            Op::Binary(BinaryOp::FloatFloorDiv | BinaryOp::FloatMod, a, b) | Op::Math2(_, a, b) => {
                self.call(op, &[self.get(a), self.get(b)])
            }
            Op::Math1(_, a) => self.call(op, &[self.get(a)]),
            Op::Binary(op, a, b) => self.binary(op, self.get(a), self.get(b)),
            Op::Compare(op, a, b) => {
                let floats = self.function.value_types[a.0 as usize] == Type::F64;
                let (a, b) = (self.get(a), self.get(b));
                if floats {
                    self.builder.ins().fcmp(float_cc(op), a, b)
                } else {
                    self.builder.ins().icmp(int_cc(op), a, b)
                }
            }
            Op::CheckedUnary(op, a, guard) => self.checked_unary(op, self.get(a), guard),
            Op::CheckedBinary(CheckedBinaryOp::IntPow, a, b, guard) => {
                self.int_pow(op, self.get(a), self.get(b), guard)
            }
            Op::CheckedBinary(op, a, b, guard) => {
                self.checked_binary(op, self.get(a), self.get(b), guard)
            }
            Op::Guard(cond, guard) => {
                self.ensure(self.get(cond), guard);
                return None;
            }
        })
    }

    fn call(&mut self, op: Op, args: &[clif::Value]) -> clif::Value {
        let (name, _) = symbols::helper(op).expect("`op` sends operations with helpers here");
        let call = self.builder.ins().call(self.helpers[&name], args);
        self.builder.inst_results(call)[0]
    }
}

fn int_cc(op: Comparison) -> IntCC {
    match op {
        Comparison::Eq => IntCC::Equal,
        Comparison::Ne => IntCC::NotEqual,
        Comparison::Lt => IntCC::SignedLessThan,
        Comparison::Le => IntCC::SignedLessThanOrEqual,
        Comparison::Gt => IntCC::SignedGreaterThan,
        Comparison::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}

/// Ordered comparisons, except `Ne`, which Cranelift defines as "unordered or not equal".
fn float_cc(op: Comparison) -> FloatCC {
    match op {
        Comparison::Eq => FloatCC::Equal,
        Comparison::Ne => FloatCC::NotEqual,
        Comparison::Lt => FloatCC::LessThan,
        Comparison::Le => FloatCC::LessThanOrEqual,
        Comparison::Gt => FloatCC::GreaterThan,
        Comparison::Ge => FloatCC::GreaterThanOrEqual,
    }
}
