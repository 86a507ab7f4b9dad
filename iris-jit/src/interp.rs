//! An interpreter of the IR: the oracle of the tests, and the back end where no other runs.

mod memory;

use crate::arith;
use crate::compiler::{Bailout, CompileError, Compiled, Compiler};
use crate::ir::{
    Args, BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, Function, GuardId, Op, Place,
    Target, Terminator, UnaryOp, Val,
};
use crate::libm;
use crate::poll;
use crate::types::{Type, Value};
use crate::verify::verify;
use crate::whole;
use memory::Array;

/// The portable adapter of [`Compiler`]: it "compiles" by keeping the IR.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter;

impl Compiler for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    fn compile(&self, function: &Function) -> Result<Compiled, CompileError> {
        verify(function)?;
        Ok(Compiled::interpreted(self.name(), function.clone()))
    }
}

/// Runs a verified function of scalars that gives one.
///
/// # Errors
///
/// The guard that fired, or the mismatch of arguments and parameters.
pub fn run(function: &Function, args: &[Value]) -> Result<Value, Bailout> {
    Interpreter
        .compile(function)
        .expect("the function is verified")
        .call(args)
}

/// Runs a verified function whose parameters `args` suit; gives a shape and its values.
///
/// # Safety
///
/// The words of arrays are those of live [`crate::ArrayRef`]s.
pub(crate) unsafe fn run_words(
    function: &Function,
    args: &[u64],
    depth: u64,
) -> Result<(usize, Vec<Value>), GuardId> {
    let mut frame = Frame {
        function,
        depth,
        values: vec![Value::Bool(false); function.value_types.len()],
        arrays: vec![None; function.value_types.len()],
    };
    frame.enter(args);
    let mut args: Vec<Value> = Vec::new();
    let mut index = 0;
    loop {
        let block = &function.blocks[index];
        for (&param, &arg) in block.params.iter().zip(&args) {
            frame.set(param, arg);
        }
        for inst in &block.insts {
            let value = frame.eval(inst.op)?;
            if let (Some(result), Some(value)) = (inst.result, value) {
                frame.set(result, value);
            }
        }
        let target: &Target = match block
            .terminator
            .as_ref()
            .expect("a verified block has a terminator")
        {
            Terminator::Return { shape, values } => {
                return Ok((
                    *shape,
                    values.iter().map(|&value| frame.get(value)).collect(),
                ));
            }
            Terminator::Bail(guard) => return Err(*guard),
            Terminator::Jump(target) => target,
            Terminator::Branch {
                cond,
                then,
                otherwise,
            } => {
                if frame.bool(*cond) {
                    then
                } else {
                    otherwise
                }
            }
        };
        args = target.args.iter().map(|&arg| frame.get(arg)).collect();
        index = target.block.0 as usize;
    }
}

struct Frame<'a> {
    function: &'a Function,
    /// How many calls of itself may still be in each other.
    depth: u64,
    values: Vec<Value>,
    arrays: Vec<Option<Array>>,
}

impl Frame<'_> {
    /// Binds the parameters of the function.
    fn enter(&mut self, mut words: &[u64]) {
        let function = self.function;
        for (&param, &ty) in function.blocks[0].params.iter().zip(&function.params) {
            let (mine, rest) = words.split_at(ty.words());
            words = rest;
            match ty {
                Type::Array(ty) => self.arrays[param.0 as usize] = Some(Array::new(ty, mine)),
                _ => self.set(param, Value::from_bits(ty, mine[0])),
            }
        }
    }

    fn recurse(&self, args: Args, guard: GuardId) -> Result<Value, GuardId> {
        let levels = self.function.levels[args.0 as usize];
        let depth = self.depth.checked_sub(levels.into()).ok_or(guard)?;
        if !poll::go_on() {
            return Err(guard);
        }
        let args = &self.function.lists[args.0 as usize];
        let words: Vec<u64> = args.iter().map(|&arg| self.get(arg).to_bits()).collect();
        // SAFETY: a recursion has no arrays.
        let (_, values) = unsafe { run_words(self.function, &words, depth) }?;
        Ok(values[0])
    }

    fn array(&self, value: Val) -> Array {
        self.arrays[value.0 as usize].expect("verified as an array")
    }

    fn place(&self, place: Place) -> [i64; 2] {
        match place {
            Place::At(i) => [self.int(i), 0],
            Place::Cell(i, j) => [self.int(i), self.int(j)],
        }
    }

    fn get(&self, value: Val) -> Value {
        self.values[value.0 as usize]
    }

    fn set(&mut self, value: Val, to: Value) {
        self.values[value.0 as usize] = to;
    }

    fn int(&self, value: Val) -> i64 {
        match self.get(value) {
            Value::I64(value) => value,
            other => unreachable!("verified as i64, found {other:?}"),
        }
    }

    fn float(&self, value: Val) -> f64 {
        match self.get(value) {
            Value::F64(value) => value,
            other => unreachable!("verified as f64, found {other:?}"),
        }
    }

    fn bool(&self, value: Val) -> bool {
        match self.get(value) {
            Value::Bool(value) => value,
            other => unreachable!("verified as bool, found {other:?}"),
        }
    }

    fn eval(&self, op: Op) -> Result<Option<Value>, GuardId> {
        Ok(Some(match op {
            Op::Const(value) => value,
            Op::Unary(op, a) => self.unary(op, a),
            Op::Binary(op, a, b) => self.binary(op, a, b),
            Op::Compare(op, a, b) => Value::Bool(match self.get(a).ty() {
                Type::F64 => compare(op, &self.float(a), &self.float(b)),
                _ => compare(op, &self.int(a), &self.int(b)),
            }),
            Op::Math1(op, a) => Value::F64(libm::function1(op)(self.float(a))),
            Op::Math2(op, a, b) => Value::F64(libm::function2(op)(self.float(a), self.float(b))),
            Op::CheckedUnary(op, a, guard) => Value::I64(self.checked_unary(op, a).ok_or(guard)?),
            Op::CheckedBinary(op, a, b, guard) => {
                Value::I64(checked_binary(op, self.int(a), self.int(b)).ok_or(guard)?)
            }
            Op::Select(cond, a, b) => self.get(if self.bool(cond) { a } else { b }),
            Op::Recurse(args, _, guard) => self.recurse(args, guard)?,
            Op::Length(array, dim) => Value::I64(self.array(array).len(dim)),
            Op::Index(array, dim, index, guard) => {
                let len = self.array(array).len(dim);
                Value::I64(arith::index(len, self.int(index)).ok_or(guard)?)
            }
            Op::Load(array, place, guard) => {
                self.array(array).load(self.place(place)).ok_or(guard)?
            }
            Op::Store(array, place, value, guard) => {
                let stored = self.array(array).store(self.place(place), self.get(value));
                return stored.map(|()| None).ok_or(guard);
            }
            Op::Guard(cond, guard) => {
                return if self.bool(cond) {
                    Ok(None)
                } else {
                    Err(guard)
                };
            }
            Op::Deeper(levels, guard) => {
                let room = self.depth >= u64::from(levels);
                return if room { Ok(None) } else { Err(guard) };
            }
            Op::Assume(cond) => {
                debug_assert!(self.bool(cond), "an assumption of the front end");
                return Ok(None);
            }
            Op::Poll(guard) => {
                return if poll::go_on() { Ok(None) } else { Err(guard) };
            }
        }))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest float is what the IR asks for"
    )]
    fn unary(&self, op: UnaryOp, a: Val) -> Value {
        match op {
            UnaryOp::BoolToInt => Value::I64(i64::from(self.bool(a))),
            UnaryOp::IntToFloat => Value::F64(self.int(a) as f64),
            UnaryOp::IntFitsFloat => Value::Bool(arith::int_fits_float(self.int(a))),
            UnaryOp::IntNot => Value::I64(!self.int(a)),
            UnaryOp::FloatNeg => Value::F64(-self.float(a)),
            UnaryOp::FloatAbs => Value::F64(self.float(a).abs()),
            UnaryOp::FloatSqrt => Value::F64(self.float(a).sqrt()),
            UnaryOp::FloatFloor => Value::F64(self.float(a).floor()),
            UnaryOp::FloatCeil => Value::F64(self.float(a).ceil()),
            UnaryOp::FloatTrunc => Value::F64(self.float(a).trunc()),
            UnaryOp::FloatRound => Value::F64(self.float(a).round_ties_even()),
            UnaryOp::FloatIsNan => Value::Bool(self.float(a).is_nan()),
            UnaryOp::FloatIsInf => Value::Bool(self.float(a).is_infinite()),
            UnaryOp::FloatIsFinite => Value::Bool(self.float(a).is_finite()),
            UnaryOp::BoolNot => Value::Bool(!self.bool(a)),
            UnaryOp::IntBitLength => Value::I64(whole::bit_length(self.int(a))),
            UnaryOp::IntBitCount => Value::I64(whole::bit_count(self.int(a))),
        }
    }

    fn binary(&self, op: BinaryOp, a: Val, b: Val) -> Value {
        let floats = |f: fn(f64, f64) -> f64| Value::F64(f(self.float(a), self.float(b)));
        let ints = |f: fn(i64, i64) -> i64| Value::I64(f(self.int(a), self.int(b)));
        let bools = |f: fn(bool, bool) -> bool| Value::Bool(f(self.bool(a), self.bool(b)));
        match op {
            BinaryOp::FloatAdd => floats(|a, b| a + b),
            BinaryOp::FloatSub => floats(|a, b| a - b),
            BinaryOp::FloatMul => floats(|a, b| a * b),
            BinaryOp::FloatDiv => floats(|a, b| a / b),
            BinaryOp::FloatFloorDiv => floats(arith::float_floor_div),
            BinaryOp::FloatMod => floats(arith::float_mod),
            BinaryOp::FloatCopysign => floats(f64::copysign),
            BinaryOp::IntAddWrapping => ints(i64::wrapping_add),
            BinaryOp::IntMulWrapping => ints(i64::wrapping_mul),
            BinaryOp::IntAnd => ints(|a, b| a & b),
            BinaryOp::IntOr => ints(|a, b| a | b),
            BinaryOp::IntXor => ints(|a, b| a ^ b),
            BinaryOp::BoolAnd => bools(|a, b| a & b),
            BinaryOp::BoolOr => bools(|a, b| a | b),
            BinaryOp::BoolXor => bools(|a, b| a ^ b),
        }
    }

    fn checked_unary(&self, op: CheckedUnaryOp, a: Val) -> Option<i64> {
        match op {
            CheckedUnaryOp::IntNeg => self.int(a).checked_neg(),
            CheckedUnaryOp::IntAbs => self.int(a).checked_abs(),
            CheckedUnaryOp::FloatToInt => arith::float_to_int(self.float(a)),
            CheckedUnaryOp::IntSqrt => whole::isqrt(self.int(a)),
            CheckedUnaryOp::IntFactorial => whole::factorial(self.int(a)),
        }
    }
}

pub(crate) fn checked_binary(op: CheckedBinaryOp, a: i64, b: i64) -> Option<i64> {
    match op {
        CheckedBinaryOp::IntAdd => a.checked_add(b),
        CheckedBinaryOp::IntSub => a.checked_sub(b),
        CheckedBinaryOp::IntMul => a.checked_mul(b),
        CheckedBinaryOp::IntFloorDiv => arith::int_floor_div(a, b),
        CheckedBinaryOp::IntMod => arith::int_mod(a, b),
        CheckedBinaryOp::IntPow => arith::int_pow(a, b),
        CheckedBinaryOp::IntShl => arith::int_shl(a, b),
        CheckedBinaryOp::IntShr => arith::int_shr(a, b),
        CheckedBinaryOp::IntGcd => whole::gcd(a, b),
        CheckedBinaryOp::IntLcm => whole::lcm(a, b),
        CheckedBinaryOp::IntComb => whole::comb(a, b),
        CheckedBinaryOp::IntPerm => whole::perm(a, b),
        CheckedBinaryOp::IntRound => whole::round(a, b),
    }
}

pub(crate) fn compare<T: PartialOrd>(op: Comparison, a: &T, b: &T) -> bool {
    match op {
        Comparison::Eq => a == b,
        Comparison::Ne => a != b,
        Comparison::Lt => a < b,
        Comparison::Le => a <= b,
        Comparison::Gt => a > b,
        Comparison::Ge => a >= b,
    }
}
