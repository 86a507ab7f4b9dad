//! Building a function, block by block.

use super::{
    Args, BinaryOp, Block, BlockData, CheckedBinaryOp, CheckedUnaryOp, Comparison, Function, Guard,
    GuardId, GuardKind, Inst, Math1, Math2, Op, Place, Span, Target, Terminator, UnaryOp, Val,
};
use crate::types::{Shape, Type, Value};
use crate::verify::{VerifyError, verify};

/// Builds a [`Function`]; instructions go to the current block, at first the entry.
///
/// Operand types are checked by [`FunctionBuilder::finish`], not by each call.
///
/// # Examples
///
/// ```
/// use iris_jit::ir::{CheckedBinaryOp, FunctionBuilder, GuardKind, Span};
/// use iris_jit::{Type, Value, interp};
///
/// let mut b = FunctionBuilder::new("twice", &[Type::I64], Type::I64);
/// let x = b.param(0);
/// let sum = b.checked_binary(CheckedBinaryOp::IntAdd, x, x, GuardKind::Overflow, Span::default());
/// b.ret(sum);
/// let function = b.finish().unwrap();
/// assert_eq!(interp::run(&function, &[Value::I64(21)]).unwrap(), Value::I64(42));
/// ```
#[derive(Debug)]
pub struct FunctionBuilder {
    function: Function,
    current: Block,
}

impl FunctionBuilder {
    /// Starts a function of one result; its entry block is current.
    pub fn new(name: impl Into<String>, params: &[Type], ret: Type) -> Self {
        let mut builder = Self::open(name, params);
        builder.function.returns.push(Shape::Scalar(ret));
        builder
    }

    /// Starts a function whose results are those that it turns out to return.
    pub fn open(name: impl Into<String>, params: &[Type]) -> Self {
        let mut builder = Self {
            function: Function {
                name: name.into(),
                params: params.to_vec(),
                returns: Vec::new(),
                blocks: Vec::new(),
                value_types: Vec::new(),
                guards: Vec::new(),
                lists: Vec::new(),
                levels: Vec::new(),
            },
            current: Block(0),
        };
        builder.create_block(params);
        builder
    }

    /// The value of a parameter of the function.
    ///
    /// # Panics
    ///
    /// If there is no such parameter.
    pub fn param(&self, index: usize) -> Val {
        self.function.blocks[0].params[index]
    }

    /// Adds a block with parameters of these types; the current block stays.
    pub fn create_block(&mut self, params: &[Type]) -> Block {
        let params = params.iter().map(|&ty| self.new_value(ty)).collect();
        let block = Block(index_u32(self.function.blocks.len()));
        self.function.blocks.push(BlockData {
            params,
            insts: Vec::new(),
            terminator: None,
        });
        block
    }

    /// The parameters of a block.
    pub fn block_params(&self, block: Block) -> &[Val] {
        &self.function.blocks[block.0 as usize].params
    }

    /// Makes a block current.
    pub fn switch_to(&mut self, block: Block) {
        self.current = block;
    }

    /// The current block.
    pub fn current(&self) -> Block {
        self.current
    }

    /// The type of a value of this function.
    pub fn type_of(&self, value: Val) -> Type {
        self.function.value_types[value.0 as usize]
    }

    /// A constant.
    pub fn constant(&mut self, value: Value) -> Val {
        self.push(Op::Const(value))
    }

    /// A total operation on one operand.
    pub fn unary(&mut self, op: UnaryOp, a: Val) -> Val {
        self.push(Op::Unary(op, a))
    }

    /// A total operation on two operands.
    pub fn binary(&mut self, op: BinaryOp, a: Val, b: Val) -> Val {
        self.push(Op::Binary(op, a, b))
    }

    /// A comparison of two integers or two floats.
    pub fn compare(&mut self, op: Comparison, a: Val, b: Val) -> Val {
        self.push(Op::Compare(op, a, b))
    }

    /// A libm function of one argument.
    pub fn math1(&mut self, op: Math1, a: Val) -> Val {
        self.push(Op::Math1(op, a))
    }

    /// A libm function of two arguments.
    pub fn math2(&mut self, op: Math2, a: Val, b: Val) -> Val {
        self.push(Op::Math2(op, a, b))
    }

    /// An operation on one operand with its own guard.
    pub fn checked_unary(&mut self, op: CheckedUnaryOp, a: Val, kind: GuardKind, at: Span) -> Val {
        let guard = self.new_guard(kind, at);
        self.push(Op::CheckedUnary(op, a, guard))
    }

    /// An operation on two operands with its own guard.
    pub fn checked_binary(
        &mut self,
        op: CheckedBinaryOp,
        a: Val,
        b: Val,
        kind: GuardKind,
        at: Span,
    ) -> Val {
        let guard = self.new_guard(kind, at);
        self.push(Op::CheckedBinary(op, a, b, guard))
    }

    /// Ends the call unless `cond` is true.
    pub fn guard(&mut self, cond: Val, kind: GuardKind, at: Span) {
        let guard = self.new_guard(kind, at);
        self.effect(Op::Guard(cond, guard));
    }

    /// Says that `cond` is true here.
    pub fn assume(&mut self, cond: Val) {
        self.effect(Op::Assume(cond));
    }

    /// One of two values of one type.
    pub fn select(&mut self, cond: Val, then: Val, otherwise: Val) -> Val {
        self.push(Op::Select(cond, then, otherwise))
    }

    /// Asks now and then whether to go on.
    pub fn poll(&mut self, at: Span) {
        let guard = self.new_guard(GuardKind::Interrupt, at);
        self.effect(Op::Poll(guard));
    }

    /// A call of the function itself, whose one result has this type.
    pub fn recurse(&mut self, args: &[Val], ty: Type, at: Span) -> Val {
        let guard = self.new_guard(GuardKind::Recursion, at);
        let list = Args(index_u32(self.function.lists.len()));
        self.function.lists.push(args.to_vec());
        self.function.levels.push(1);
        self.push(Op::Recurse(list, ty, guard))
    }

    /// The results that the function has so far.
    pub fn returns(&self) -> &[Shape] {
        &self.function.returns
    }

    /// Whether the function calls itself so far.
    pub fn is_recursive(&self) -> bool {
        self.function.is_recursive()
    }

    /// The length of a dimension of an array.
    pub fn length(&mut self, array: Val, dim: u8) -> Val {
        self.push(Op::Length(array, dim))
    }

    /// An index as Python understands it, made one from 0 within the array.
    pub fn index(&mut self, array: Val, dim: u8, index: Val, at: Span) -> Val {
        let guard = self.new_guard(GuardKind::Index, at);
        self.push(Op::Index(array, dim, index, guard))
    }

    /// An element; its indices are within the array.
    pub fn load(&mut self, array: Val, place: Place, at: Span) -> Val {
        let guard = self.new_guard(GuardKind::Overflow, at);
        self.push(Op::Load(array, place, guard))
    }

    /// Writes an element; its indices are within the array.
    pub fn store(&mut self, array: Val, place: Place, value: Val, at: Span) {
        let guard = self.new_guard(GuardKind::Element, at);
        self.effect(Op::Store(array, place, value, guard));
    }

    /// Ends the current block without a result.
    pub fn bail(&mut self, kind: GuardKind, at: Span) {
        let guard = self.new_guard(kind, at);
        self.terminate(Terminator::Bail(guard));
    }

    /// The number of a shape among the function's results.
    pub fn shape(&mut self, shape: Shape) -> usize {
        let returns = &mut self.function.returns;
        returns
            .iter()
            .position(|known| *known == shape)
            .unwrap_or_else(|| {
                returns.push(shape);
                returns.len() - 1
            })
    }

    /// Ends the current block with a result of this shape.
    pub fn ret_shape(&mut self, shape: Shape, values: &[Val]) {
        let (shape, values) = (self.shape(shape), values.to_vec());
        self.terminate(Terminator::Return { shape, values });
    }

    /// A place to come back to with [`FunctionBuilder::rewind`].
    pub fn mark(&self) -> Mark {
        Mark {
            current: self.current,
            insts: self.function.blocks[self.current.0 as usize].insts.len(),
            blocks: self.function.blocks.len(),
            values: self.function.value_types.len(),
            guards: self.function.guards.len(),
            returns: self.function.returns.len(),
            lists: self.function.lists.len(),
        }
    }

    /// Forgets all that was built since the mark; only the block that was current then, and newer
    /// ones, may have been built since.
    pub fn rewind(&mut self, mark: &Mark) {
        let function = &mut self.function;
        function.blocks.truncate(mark.blocks);
        function.value_types.truncate(mark.values);
        function.guards.truncate(mark.guards);
        function.returns.truncate(mark.returns);
        function.lists.truncate(mark.lists);
        function.levels.truncate(mark.lists);
        let block = &mut function.blocks[mark.current.0 as usize];
        block.insts.truncate(mark.insts);
        block.terminator = None;
        self.current = mark.current;
    }

    /// How many instructions and blocks there are.
    pub fn size(&self) -> usize {
        self.function.value_types.len() + self.function.blocks.len()
    }

    /// Ends the current block with a jump.
    pub fn jump(&mut self, block: Block, args: &[Val]) {
        self.terminate(Terminator::Jump(Target {
            block,
            args: args.to_vec(),
        }));
    }

    /// Ends the current block with a branch.
    pub fn branch(&mut self, cond: Val, then: (Block, &[Val]), otherwise: (Block, &[Val])) {
        self.terminate(Terminator::Branch {
            cond,
            then: Target {
                block: then.0,
                args: then.1.to_vec(),
            },
            otherwise: Target {
                block: otherwise.0,
                args: otherwise.1.to_vec(),
            },
        });
    }

    /// Ends the current block with a value of the first result's type.
    pub fn ret(&mut self, value: Val) {
        let values = vec![value];
        self.terminate(Terminator::Return { shape: 0, values });
    }

    /// The verified function.
    ///
    /// # Errors
    ///
    /// If the function breaks a rule of the IR, see [`verify`].
    pub fn finish(self) -> Result<Function, VerifyError> {
        verify(&self.function)?;
        Ok(self.function)
    }

    fn block(&mut self) -> &mut BlockData {
        &mut self.function.blocks[self.current.0 as usize]
    }

    fn effect(&mut self, op: Op) {
        let result = None;
        self.block().insts.push(Inst { op, result });
    }

    fn push(&mut self, op: Op) -> Val {
        // Loading from what is no array is for the verifier to refuse.
        let ty = op.result_type(&self.function.value_types);
        let ty = ty.unwrap_or(Type::I64);
        let result = self.new_value(ty);
        self.block().insts.push(Inst {
            op,
            result: Some(result),
        });
        result
    }

    fn terminate(&mut self, terminator: Terminator) {
        let block = self.block();
        assert!(block.terminator.is_none(), "a block ends once");
        block.terminator = Some(terminator);
    }

    fn new_value(&mut self, ty: Type) -> Val {
        let value = Val(index_u32(self.function.value_types.len()));
        self.function.value_types.push(ty);
        value
    }

    fn new_guard(&mut self, kind: GuardKind, span: Span) -> GuardId {
        let guard = GuardId(index_u32(self.function.guards.len()));
        self.function.guards.push(Guard { kind, span });
        guard
    }
}

/// A state of a [`FunctionBuilder`].
#[derive(Debug)]
pub struct Mark {
    current: Block,
    insts: usize,
    blocks: usize,
    values: usize,
    guards: usize,
    returns: usize,
    lists: usize,
}

fn index_u32(len: usize) -> u32 {
    u32::try_from(len).expect("a function has fewer than 2**32 values")
}
