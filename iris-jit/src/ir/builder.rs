//! Building a function, block by block.

use super::{
    BinaryOp, Block, BlockData, CheckedBinaryOp, CheckedUnaryOp, Comparison, Function, Guard,
    GuardId, GuardKind, Inst, Math1, Math2, Op, Span, Target, Terminator, UnaryOp, Val,
};
use crate::types::{Type, Value};
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
    /// Starts a function; its entry block is current.
    pub fn new(name: impl Into<String>, params: &[Type], ret: Type) -> Self {
        let mut builder = Self {
            function: Function {
                name: name.into(),
                params: params.to_vec(),
                ret,
                blocks: Vec::new(),
                value_types: Vec::new(),
                guards: Vec::new(),
            },
            current: Block(0),
        };
        builder.create_block(params);
        builder
    }

    /// Changes the type of the result, for a front end that learns it on the way.
    pub fn set_ret(&mut self, ret: Type) {
        self.function.ret = ret;
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
        self.block().insts.push(Inst {
            op: Op::Guard(cond, guard),
            result: None,
        });
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

    /// Ends the current block with a result.
    pub fn ret(&mut self, value: Val) {
        self.terminate(Terminator::Return(value));
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

    fn push(&mut self, op: Op) -> Val {
        let ty = op.result_type().expect("guards do not come here");
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

fn index_u32(len: usize) -> u32 {
    u32::try_from(len).expect("a function has fewer than 2**32 values")
}
