//! From our IR to Cranelift's.

mod arith;
mod counted;
mod diamond;
mod memory;
mod pin;
mod poll;
mod recursion;

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::{
    self as clif, AbiParam, BlockArg, FuncRef, InstBuilder, MemFlagsData, Signature, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};

use super::{backend, symbols};
use crate::compiler::{CompileError, status_of_shape};
use crate::ir::{
    BinaryOp, CheckedBinaryOp, Comparison, Function, GuardId, Inst, Op, Target, Terminator, Val,
};
use crate::passes::{Loops, Proof, Proofs};
use crate::types::{Type, Value};
use crate::verify;
use counted::{Counted, counted_loops};
use memory::Parts;
pub(super) use poll::{ask_signature, emit_ask};
use recursion::Recursion;
pub(super) use recursion::{emit_entry, recursive_result};

/// Writes the body of a verified function into `into`; with `inner` it is a recursive one, which
/// takes its arguments in registers and is `inner` itself.
pub(super) fn emit(
    function: &Function,
    proofs: &Proofs,
    module: &mut JITModule,
    into: &mut clif::Function,
    ask: Option<FuncId>,
    inner: Option<FuncId>,
) -> Result<(), CompileError> {
    let helpers = declare_helpers(function, module, into)?;
    let ask = ask.map(|id| module.declare_func_in_func(id, into));
    let inner = inner.map(|id| module.declare_func_in_func(id, into));
    let mut context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(into, &mut context);
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
        folded: vec![false; function.blocks().len()],
        constants: int_constants(function),
        compared: comparisons(function),
        twos: twos(function),
        carried: HashMap::new(),
        bails: vec![None; function.guards().len()],
        arrays: HashMap::new(),
        counted: counted_loops(function),
        fuel: None,
        ask,
        ret: None,
        recursion: None,
        only_if: None,
        proofs,
        proof: Proof::NONE,
        from_before: HashSet::new(),
        loops: Loops::of(function),
        pinned: HashMap::new(),
    };
    emitter.from_before = emitter.loops.floats_from_before(function);
    emitter.prepare_counted();
    match inner {
        Some(inner) => emitter.inner_prologue(inner),
        None => emitter.prologue(),
    }
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

fn int_constants(function: &Function) -> HashMap<Val, i64> {
    let insts = function.blocks().iter().flat_map(|block| &block.insts);
    let constants = insts.filter_map(|inst| match (inst.op, inst.result) {
        (Op::Const(Value::I64(value)), Some(result)) => Some((result, value)),
        _ => None,
    });
    constants.collect()
}

fn comparisons(function: &Function) -> HashMap<Val, (Comparison, Val, Val)> {
    let insts = function.blocks().iter().flat_map(|block| &block.insts);
    let found = insts.filter_map(|inst| match (inst.op, inst.result) {
        (Op::Compare(op, a, b), Some(result)) => Some((result, (op, a, b))),
        _ => None,
    });
    found.collect()
}

fn twos(function: &Function) -> HashSet<Val> {
    let insts = function.blocks().iter().flat_map(|block| &block.insts);
    let twos = insts.filter(|inst| inst.op == Op::Const(Value::F64(2.0)));
    twos.filter_map(|inst| inst.result).collect()
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
        if matches!(inst.op, Op::Poll(_) | Op::Recurse(..)) {
            continue;
        }
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
        Op::CheckedUnary(..) => (&[types::I64, types::I64], types::I32),
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

pub(super) fn clif_type(ty: Type) -> clif::Type {
    match ty {
        Type::I64 => types::I64,
        Type::F64 => types::F64,
        Type::Bool => types::I8,
        Type::Array(_) => unreachable!("arrays stay in the parts that the prologue loads"),
    }
}

struct Emitter<'a> {
    function: &'a Function,
    builder: FunctionBuilder<'a>,
    helpers: HashMap<String, FuncRef>,
    blocks: Vec<clif::Block>,
    values: Vec<Option<clif::Value>>,
    /// Blocks that are part of the one before them, see [`diamond`].
    folded: Vec<bool>,
    /// Integers that are known.
    constants: HashMap<Val, i64>,
    /// Constants of 2.0.
    twos: HashSet<Val>,
    /// What each comparison compares.
    compared: HashMap<Val, (Comparison, Val, Val)>,
    /// Parameters of the headers of counting loops.
    carried: HashMap<Val, Variable>,
    /// Where each guard leaves to, once one needs it.
    bails: Vec<Option<clif::Block>>,
    /// The parts of each array parameter.
    arrays: HashMap<Val, Parts>,
    /// Loops whose polls are done by their bounds, by header.
    counted: HashMap<usize, Counted>,
    /// Rounds of loops until the next poll, at least one, if there are polls.
    fuel: Option<Variable>,
    /// The function to poll with, if there are polls.
    ask: Option<FuncRef>,
    /// Where the result goes.
    ret: Option<clif::Value>,
    /// What a function that calls itself needs for that.
    recursion: Option<Recursion>,
    /// The condition under which what is emitted would be done at all, and whether it must hold
    /// or must not: only then its guards leave.
    only_if: Option<(clif::Value, bool)>,
    proofs: &'a Proofs,
    /// What is known of the instruction that is being emitted.
    proof: Proof,
    loops: Loops,
    /// Floats from before the loops that use them.
    from_before: HashSet<Val>,
    /// Constants that are kept in registers, by their bits.
    pinned: HashMap<u64, clif::Value>,
}

impl Emitter<'_> {
    /// Loads the arguments in a block of its own, since a loop may return to our entry block.
    fn prologue(&mut self) {
        self.block_params();
        let start = self.builder.create_block();
        self.builder.append_block_params_for_function_params(start);
        self.builder.switch_to_block(start);
        let (args, ret) = match *self.builder.block_params(start) {
            [args, ret] => (args, ret),
            ref other => unreachable!("the entry signature has two parameters: {other:?}"),
        };
        self.ret = Some(ret);
        let mut loaded = Vec::with_capacity(self.function.params.len());
        let mut word = 0;
        for (index, &ty) in self.function.params.iter().enumerate() {
            if let Some(array) = ty.array() {
                let param = self.function.blocks()[0].params[index];
                let parts = self.parts(array, args, word);
                self.arrays.insert(param, parts);
            } else {
                loaded.push(BlockArg::Value(self.argument(ty, args, word)));
            }
            word += ty.words();
        }
        self.start_fuel();
        self.pin_constants();
        self.builder.ins().jump(self.blocks[0], &loaded);
    }

    fn block_params(&mut self) {
        for (index, data) in self.function.blocks().iter().enumerate() {
            for &param in &data.params {
                let ty = self.function.value_types[param.0 as usize];
                if ty.array().is_some() || self.carried.contains_key(&param) {
                    continue;
                }
                let ty = clif_type(ty);
                let value = self.builder.append_block_param(self.blocks[index], ty);
                self.values[param.0 as usize] = Some(value);
            }
        }
    }

    fn argument(&mut self, ty: Type, args: clif::Value, word: usize) -> clif::Value {
        let offset = i32::try_from(word * 8).expect("check_size bounds the parameters");
        let clif = if ty == Type::F64 {
            types::F64
        } else {
            types::I64
        };
        let flags = MemFlagsData::trusted();
        let value = self.builder.ins().load(clif, flags, args, offset);
        if ty != Type::Bool {
            return value;
        }
        let zero = self.int(0);
        self.builder.ins().icmp(IntCC::NotEqual, value, zero)
    }

    fn block(&mut self, index: usize) {
        if self.folded[index] {
            return;
        }
        let data = &self.function.blocks()[index];
        self.enter_counted(index);
        self.builder.switch_to_block(self.blocks[index]);
        self.refresh(index);
        let polls_by_bound = self.polls_by_bound(index);
        let is_header = self.counted.contains_key(&index);
        for (at, inst) in data.insts.iter().enumerate() {
            // What a counting loop's header does was done before it.
            if is_header || (polls_by_bound && matches!(inst.op, Op::Poll(_))) {
                continue;
            }
            self.inst(index, at, inst);
        }
        match data
            .terminator
            .as_ref()
            .expect("a verified block has a terminator")
        {
            Terminator::Jump(target) if self.turns_back(index, target) => {
                self.next_round(target);
            }
            Terminator::Jump(target) => {
                let (block, args) = self.target(index, target);
                self.builder.ins().jump(block, &args);
            }
            Terminator::Branch {
                cond,
                then,
                otherwise,
            } => {
                if let Some(diamond) = self.diamond(then, otherwise) {
                    self.join(index, *cond, &diamond);
                    for block in diamond.blocks {
                        self.folded[block] = true;
                    }
                    return;
                }
                if self.counted_branch(index) {
                    return;
                }
                let (then, then_args) = self.target(index, then);
                let (otherwise, otherwise_args) = self.target(index, otherwise);
                self.branch(
                    index,
                    *cond,
                    (then, &then_args),
                    (otherwise, &otherwise_args),
                );
            }
            Terminator::Return { shape, values } => self.return_values(*shape, values),
            Terminator::Bail(guard) => {
                let bail = self.bail(*guard);
                self.builder.ins().jump(bail, &[]);
            }
        }
    }

    /// Ends a block with a branch. Cranelift puts the second way right behind the block: where the
    /// branch may leave a loop, that is made the way that stays in it.
    fn branch(
        &mut self,
        from: usize,
        cond: Val,
        then: (clif::Block, &[BlockArg]),
        otherwise: (clif::Block, &[BlockArg]),
    ) {
        let ends = self.function.blocks()[from].terminator.iter();
        let mut targets = ends.flat_map(Terminator::targets);
        let mut leaves = || {
            let to = targets.next().map(|target| target.block.0 as usize);
            to.is_some_and(|to| self.loops.leaves(from, to))
        };
        let (out_first, out_second) = (leaves(), leaves());
        let (first, second, cond) = if out_second && !out_first {
            (otherwise, then, self.inverted(cond))
        } else {
            (then, otherwise, self.get(cond))
        };
        let ins = self.builder.ins();
        ins.brif(cond, first.0, first.1, second.0, second.1);
    }

    /// Whether a bool is false.
    fn inverted(&mut self, cond: Val) -> clif::Value {
        let Some(&(op, a, b)) = self.compared.get(&cond) else {
            let cond = self.get(cond);
            return self.not(cond);
        };
        self.read(&[a, b]);
        let (a, b) = (self.get(a), self.get(b));
        if self.builder.func.dfg.value_type(a) == types::F64 {
            let cc = float_cc(op).complement();
            self.builder.ins().fcmp(cc, a, b)
        } else {
            let cc = int_cc(op).complement();
            self.builder.ins().icmp(cc, a, b)
        }
    }

    fn inst(&mut self, block: usize, at: usize, inst: &Inst) {
        self.proof = self.proofs.of(block, at);
        let value = self.op(inst.op);
        self.proof = Proof::NONE;
        if let Some(result) = inst.result {
            let value = match value {
                Some(value) if self.from_before.contains(&result) => Some(self.pin(value)),
                value => value,
            };
            self.values[result.0 as usize] = value;
        }
    }

    fn return_values(&mut self, shape: usize, values: &[Val]) {
        if self.recursion.is_some() {
            let ok = self.builder.ins().iconst(types::I32, 0);
            let result = self.get(values[0]);
            self.builder.ins().return_(&[ok, result]);
            return;
        }
        let ret = self.ret.expect("set by the prologue");
        for (index, &value) in values.iter().enumerate() {
            let mut result = self.get(value);
            if self.function.value_types[value.0 as usize] == Type::Bool {
                result = self.builder.ins().uextend(types::I64, result);
            }
            let offset = i32::try_from(index * 8).expect("a result is small");
            self.builder
                .ins()
                .store(MemFlagsData::trusted(), result, ret, offset);
        }
        let status = i64::from(status_of_shape(shape).cast_signed());
        let status = self.builder.ins().iconst(types::I32, status);
        self.builder.ins().return_(&[status]);
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
            self.return_status(status);
        }
    }

    /// Ends the call without a result.
    fn return_status(&mut self, status: clif::Value) {
        if self.recursion.is_none() {
            self.builder.ins().return_(&[status]);
            return;
        }
        let nothing = match recursive_result(self.function) {
            Type::F64 => self.float(0.0),
            ty => self.builder.ins().iconst(clif_type(ty), 0),
        };
        self.builder.ins().return_(&[status, nothing]);
    }

    /// Where `from` goes to.
    fn target(&self, from: usize, target: &Target) -> (clif::Block, Vec<BlockArg>) {
        let args = target
            .args
            .iter()
            .map(|&arg| BlockArg::Value(self.get(arg)))
            .collect();
        (self.way(from, target.block.0 as usize), args)
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

    /// Where a guard leaves to.
    fn bail(&mut self, guard: GuardId) -> clif::Block {
        let slot = &mut self.bails[guard.0 as usize];
        match *slot {
            Some(bail) => bail,
            None => *slot.insert(self.builder.create_block()),
        }
    }

    /// Leaves through the guard unless `cond` is true.
    fn ensure(&mut self, cond: clif::Value, guard: GuardId) {
        let bail = self.bail(guard);
        let next = self.builder.create_block();
        if let Some((taken, if_true)) = self.only_if {
            // Asked off the way: where nothing fails, a guard costs no more than elsewhere.
            let doubt = self.builder.create_block();
            self.builder.ins().brif(cond, next, &[], doubt, &[]);
            self.builder.switch_to_block(doubt);
            self.builder.set_cold_block(doubt);
            let (yes, no) = if if_true { (bail, next) } else { (next, bail) };
            self.builder.ins().brif(taken, yes, &[], no, &[]);
        } else {
            self.builder.ins().brif(cond, next, &[], bail, &[]);
        }
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
            Op::Const(Value::F64(value)) => match self.pinned.get(&value.to_bits()) {
                Some(&pinned) => pinned,
                None => self.float(value),
            },
            Op::Const(Value::Bool(value)) => self.builder.ins().iconst(types::I8, i64::from(value)),
            Op::Unary(op, a) => self.unary(op, self.get(a)),
            Op::Binary(BinaryOp::FloatFloorDiv | BinaryOp::FloatMod, a, b) | Op::Math2(_, a, b) => {
                self.call(op, &[self.get(a), self.get(b)])
            }
            Op::Math1(_, a) => self.call(op, &[self.get(a)]),
            // The same bits, sooner.
            Op::Binary(BinaryOp::FloatMul, a, b) if self.is_two(a) || self.is_two(b) => {
                let operand = self.get(if self.is_two(a) { b } else { a });
                self.builder.ins().fadd(operand, operand)
            }
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
            Op::CheckedUnary(_, a, guard) if symbols::helper(op).is_some() => {
                self.checked_call(op, &[self.get(a)], guard)
            }
            Op::CheckedBinary(_, a, b, guard) if symbols::helper(op).is_some() => {
                self.checked_call(op, &[self.get(a), self.get(b)], guard)
            }
            Op::CheckedUnary(op, a, guard) => self.checked_unary(op, self.get(a), guard),
            Op::CheckedBinary(
                op @ (CheckedBinaryOp::IntFloorDiv | CheckedBinaryOp::IntMod),
                a,
                b,
                _,
            ) if self
                .constants
                .get(&b)
                .is_some_and(|by| !matches!(by, -1 | 0)) =>
            {
                let (a, by) = (self.get(a), self.constants[&b]);
                self.constant_division(op, a, by)
            }
            Op::CheckedBinary(op, a, b, guard)
                if !self.proof.never && self.is_cheap_with_constant(op, a, b) =>
            {
                let constant = |val| self.constants.get(val).copied();
                let (a, by) = match (constant(&b), constant(&a)) {
                    (Some(by), _) => (self.get(a), by),
                    (_, Some(by)) => (self.get(b), by),
                    _ => unreachable!("one of the operands is a constant"),
                };
                self.checked_with_constant(op, a, by, guard)
            }
            Op::CheckedBinary(op, a, b, guard) => {
                self.checked_binary(op, self.get(a), self.get(b), guard)
            }
            Op::Select(cond, a, b) => {
                let (cond, a, b) = (self.get(cond), self.get(a), self.get(b));
                self.builder.ins().select(cond, a, b)
            }
            Op::Recurse(args, _, guard) => self.recurse(args, guard),
            Op::Length(array, dim) => self.arrays[&array].shape[usize::from(dim)],
            Op::Index(array, dim, index, guard) => {
                let (len, index) = (self.arrays[&array].shape[usize::from(dim)], self.get(index));
                if self.proof.never {
                    index
                } else {
                    self.index(len, index, guard)
                }
            }
            Op::Load(array, place, guard) => self.load(array, place, guard),
            Op::Store(array, place, value, guard) => {
                self.store(array, place, self.get(value), guard);
                return None;
            }
            Op::Assume(_) => return None,
            Op::Deeper(levels, guard) => {
                self.ensure_depth(levels, guard);
                return None;
            }
            Op::Guard(..) if self.proof.never => return None,
            Op::Guard(cond, guard) => {
                self.ensure(self.get(cond), guard);
                return None;
            }
            Op::Poll(guard) => {
                self.poll(guard);
                return None;
            }
        })
    }

    fn is_two(&self, value: Val) -> bool {
        self.twos.contains(&value)
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
