//! The rules of the IR, checked before any back end sees a function.

mod order;

use thiserror::Error;

use crate::ir::{Args, Block, Function, Inst, Op, Place, Target, Terminator, Val, element_type};
use crate::types::{Shape, Type};
use order::{dominators, reverse_postorder};

pub(crate) use order::{emission_order, immediate_dominators};

/// The first rule that a function breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A function has no entry block, or its parameters differ from the function's.
    #[error("the entry block does not take the parameters of the function")]
    Entry,
    /// A block has no end.
    #[error("{0} has no terminator")]
    Unterminated(Block),
    /// No path leads to a block.
    #[error("{0} is unreachable")]
    Unreachable(Block),
    /// A branch goes to a block that does not exist.
    #[error("{from} goes to {to}, which does not exist")]
    NoSuchBlock {
        /// The block with the branch.
        from: Block,
        /// The missing block.
        to: Block,
    },
    /// A branch passes a wrong number of arguments.
    #[error("{from} passes {given} arguments to {to}, which takes {taken}")]
    Arity {
        /// The block with the branch.
        from: Block,
        /// Its target.
        to: Block,
        /// Number of arguments.
        given: usize,
        /// Number of parameters.
        taken: usize,
    },
    /// A value has another type than its use asks for.
    #[error("{value} is a {found} where {block} needs a {expected}")]
    TypeMismatch {
        /// The block with the use.
        block: Block,
        /// The value.
        value: Val,
        /// What the use asks for.
        expected: Type,
        /// What the value is.
        found: Type,
    },
    /// A comparison of bools.
    #[error("{0} compares bools")]
    ComparesBools(Block),
    /// A value is used where its definition may not have run, or does not exist.
    #[error("{value} is used in {block} before its definition")]
    NotDominated {
        /// The block with the use.
        block: Block,
        /// The value.
        value: Val,
    },
    /// A value has two definitions, or none of a type that its operation gives.
    #[error("{0} is not defined exactly once with its type")]
    Definition(Val),
    /// An instruction names a guard that does not exist, or its result does not suit it.
    #[error("{0} has a malformed instruction")]
    Malformed(Block),
    /// An array is passed between blocks.
    #[error("{0} is an array but no parameter of the function")]
    MovedArray(Val),
}

/// Checks the rules of the IR.
///
/// # Errors
///
/// The first broken rule.
pub fn verify(function: &Function) -> Result<(), VerifyError> {
    check_shape(function)?;
    let order = reverse_postorder(function);
    if let Some(index) = (0..function.blocks.len()).find(|index| !order.contains_block(*index)) {
        return Err(VerifyError::Unreachable(block_at(index)));
    }
    let idom = dominators(function, &order);
    let definitions = definitions(function)?;
    let checker = Checker {
        function,
        idom: &idom,
        definitions: &definitions,
    };
    for (index, _) in function.blocks.iter().enumerate() {
        checker.check_block(index)?;
    }
    Ok(())
}

/// Entry, terminators and targets: what the graph walks below rely on.
fn check_shape(function: &Function) -> Result<(), VerifyError> {
    let entry = function.blocks.first().ok_or(VerifyError::Entry)?;
    let types: Vec<_> = entry
        .params
        .iter()
        .filter_map(|&v| function.value_type(v))
        .collect();
    if types != function.params {
        return Err(VerifyError::Entry);
    }
    for (index, block) in function.blocks.iter().enumerate() {
        let from = block_at(index);
        let end = block
            .terminator
            .as_ref()
            .ok_or(VerifyError::Unterminated(from))?;
        for Target { block: to, args } in end.targets() {
            let target = function
                .blocks
                .get(to.0 as usize)
                .ok_or(VerifyError::NoSuchBlock { from, to: *to })?;
            let (given, taken) = (args.len(), target.params.len());
            if given != taken {
                return Err(VerifyError::Arity {
                    from,
                    to: *to,
                    given,
                    taken,
                });
            }
        }
    }
    Ok(())
}

/// Where each value is defined: its block, and the instruction (`None` for a parameter).
type Definitions = Vec<Option<(usize, Option<usize>)>>;

fn definitions(function: &Function) -> Result<Definitions, VerifyError> {
    let mut found: Definitions = vec![None; function.value_types.len()];
    let mut define = |value: Val, at, ty: Option<Type>| {
        let slot = found
            .get_mut(value.0 as usize)
            .ok_or(VerifyError::Definition(value))?;
        let type_differs = ty.is_some_and(|ty| function.value_type(value) != Some(ty));
        if slot.replace(at).is_some() || type_differs {
            return Err(VerifyError::Definition(value));
        }
        Ok(())
    };
    for (block, data) in function.blocks.iter().enumerate() {
        for &param in &data.params {
            define(param, (block, None), None)?;
            let array = function.value_type(param).and_then(Type::array);
            if block > 0 && array.is_some() {
                return Err(VerifyError::MovedArray(param));
            }
        }
        for (at, Inst { op, result }) in data.insts.iter().enumerate() {
            match (*result, op.result_type(&function.value_types)) {
                (Some(value), Some(ty)) => define(value, (block, Some(at)), Some(ty))?,
                (None, None) => {}
                _ => return Err(VerifyError::Malformed(block_at(block))),
            }
        }
    }
    Ok(found)
}

struct Checker<'a> {
    function: &'a Function,
    idom: &'a [usize],
    definitions: &'a Definitions,
}

impl Checker<'_> {
    fn check_block(&self, index: usize) -> Result<(), VerifyError> {
        let data = &self.function.blocks[index];
        for (at, inst) in data.insts.iter().enumerate() {
            self.check_inst(index, at, inst.op)?;
        }
        let end = data.insts.len();
        match data
            .terminator
            .as_ref()
            .ok_or(VerifyError::Unterminated(block_at(index)))?
        {
            Terminator::Jump(_) => {}
            Terminator::Branch { cond, .. } => self.check_use(index, end, *cond, Type::Bool)?,
            Terminator::Return { shape, values } => self.check_return(index, *shape, values)?,
            Terminator::Bail(guard) => self.check_guard(index, guard.0)?,
        }
        for target in data.terminator.iter().flat_map(Terminator::targets) {
            let params = &self.function.blocks[target.block.0 as usize].params;
            for (&arg, &param) in target.args.iter().zip(params) {
                let ty = self
                    .function
                    .value_type(param)
                    .ok_or(VerifyError::Definition(param))?;
                if ty.array().is_some() {
                    return Err(VerifyError::MovedArray(arg));
                }
                self.check_use(index, end, arg, ty)?;
            }
        }
        Ok(())
    }

    fn check_return(&self, block: usize, shape: usize, values: &[Val]) -> Result<(), VerifyError> {
        let malformed = VerifyError::Malformed(block_at(block));
        let shape = self.function.returns.get(shape).ok_or(malformed.clone())?;
        let types = shape.scalars();
        if types.len() != values.len() || types.iter().any(|ty| ty.array().is_some()) {
            return Err(malformed);
        }
        let end = self.function.blocks[block].insts.len();
        let mut each = values.iter().zip(types);
        each.try_for_each(|(&value, ty)| self.check_use(block, end, value, ty))
    }

    fn check_guard(&self, block: usize, guard: u32) -> Result<(), VerifyError> {
        if (guard as usize) < self.function.guards.len() {
            return Ok(());
        }
        Err(VerifyError::Malformed(block_at(block)))
    }

    fn check_inst(&self, block: usize, at: usize, op: Op) -> Result<(), VerifyError> {
        if let Some(guard) = op.guard() {
            self.check_guard(block, guard.0)?;
        }
        let expected = match op {
            Op::Const(_) | Op::Poll(_) | Op::Deeper(..) => return Ok(()),
            Op::Unary(op, _) => op.types().0,
            Op::Binary(op, ..) => op.ty(),
            Op::Compare(_, a, _) => match self.function.value_type(a) {
                Some(Type::Bool) => return Err(VerifyError::ComparesBools(block_at(block))),
                Some(Type::Array(_)) => return Err(VerifyError::Malformed(block_at(block))),
                Some(ty) => ty,
                None => {
                    return Err(VerifyError::NotDominated {
                        block: block_at(block),
                        value: a,
                    });
                }
            },
            Op::Math1(..) | Op::Math2(..) => Type::F64,
            Op::CheckedUnary(op, ..) => op.operand(),
            Op::CheckedBinary(..) => Type::I64,
            Op::Guard(..) | Op::Assume(_) => Type::Bool,
            Op::Select(cond, a, b) => return self.check_select(block, at, [cond, a, b]),
            Op::Recurse(args, ty, _) => return self.check_recursion(block, at, args, ty),
            Op::Length(array, dim) => return self.check_array(block, at, array, dim),
            Op::Index(array, dim, index, _) => {
                self.check_array(block, at, array, dim)?;
                return self.check_use(block, at, index, Type::I64);
            }
            Op::Load(array, place, _) => return self.check_place(block, at, array, place),
            Op::Store(array, place, value, _) => {
                self.check_place(block, at, array, place)?;
                return self.check_stored(block, at, array, value);
            }
        };
        op.operands()
            .try_for_each(|operand| self.check_use(block, at, operand, expected))
    }

    fn check_recursion(
        &self,
        block: usize,
        at: usize,
        args: Args,
        ty: Type,
    ) -> Result<(), VerifyError> {
        let malformed = VerifyError::Malformed(block_at(block));
        let list = self.function.lists.get(args.0 as usize);
        let list = list.ok_or(malformed.clone())?;
        let params = &self.function.params;
        let scalars = params.iter().all(|param| param.array().is_none());
        let alone = self.function.returns == [Shape::Scalar(ty)];
        if !scalars || !alone || list.len() != params.len() {
            return Err(malformed);
        }
        let mut each = list.iter().zip(params);
        each.try_for_each(|(&arg, &param)| self.check_use(block, at, arg, param))
    }

    fn check_select(&self, block: usize, at: usize, of: [Val; 3]) -> Result<(), VerifyError> {
        let [cond, a, b] = of;
        self.check_use(block, at, cond, Type::Bool)?;
        match self.function.value_type(a) {
            Some(ty) if ty.array().is_none() => {
                self.check_use(block, at, a, ty)?;
                self.check_use(block, at, b, ty)
            }
            _ => Err(VerifyError::Malformed(block_at(block))),
        }
    }

    fn check_array(&self, block: usize, at: usize, array: Val, dim: u8) -> Result<(), VerifyError> {
        match self.function.value_type(array) {
            Some(Type::Array(ty)) if dim < ty.ndim && (1..=2).contains(&ty.ndim) => {
                self.check_use(block, at, array, Type::Array(ty))
            }
            _ => Err(VerifyError::Malformed(block_at(block))),
        }
    }

    fn check_place(
        &self,
        block: usize,
        at: usize,
        array: Val,
        place: Place,
    ) -> Result<(), VerifyError> {
        let ndim = self.function.value_type(array).and_then(Type::array);
        let (last, indices) = match place {
            Place::At(i) => (0, vec![i]),
            Place::Cell(i, j) => (1, vec![i, j]),
        };
        if ndim.is_none_or(|ty| usize::from(ty.ndim) != indices.len()) {
            return Err(VerifyError::Malformed(block_at(block)));
        }
        self.check_array(block, at, array, last)?;
        let mut each = indices.into_iter();
        each.try_for_each(|index| self.check_use(block, at, index, Type::I64))
    }

    fn check_stored(
        &self,
        block: usize,
        at: usize,
        array: Val,
        value: Val,
    ) -> Result<(), VerifyError> {
        match self.function.value_type(array).and_then(Type::array) {
            Some(ty) if ty.writable => self.check_use(block, at, value, element_type(ty.elem)),
            _ => Err(VerifyError::Malformed(block_at(block))),
        }
    }

    fn check_use(
        &self,
        block: usize,
        at: usize,
        value: Val,
        expected: Type,
    ) -> Result<(), VerifyError> {
        let name = block_at(block);
        let not_dominated = VerifyError::NotDominated { block: name, value };
        let Some((defined_in, inst)) = self.definitions.get(value.0 as usize).copied().flatten()
        else {
            return Err(not_dominated);
        };
        let visible = if defined_in == block {
            inst.is_none_or(|inst| inst < at)
        } else {
            self.dominates(defined_in, block)
        };
        if !visible {
            return Err(not_dominated);
        }
        let found = self.function.value_types[value.0 as usize];
        if found == expected {
            return Ok(());
        }
        Err(VerifyError::TypeMismatch {
            block: name,
            value,
            expected,
            found,
        })
    }

    fn dominates(&self, above: usize, mut block: usize) -> bool {
        while block != above {
            if block == 0 {
                return false;
            }
            block = self.idom[block];
        }
        true
    }
}

fn block_at(index: usize) -> Block {
    Block(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{BinaryOp, Comparison, FunctionBuilder};
    use crate::types::Value;

    fn builder(params: &[Type], ret: Type) -> FunctionBuilder {
        FunctionBuilder::new("f", params, ret)
    }

    #[test]
    fn an_operand_of_another_type_is_refused() {
        let mut b = builder(&[Type::I64], Type::F64);
        let x = b.param(0);
        let sum = b.binary(BinaryOp::FloatAdd, x, x);
        b.ret(sum);
        assert!(matches!(b.finish(), Err(VerifyError::TypeMismatch { .. })));
    }

    #[test]
    fn a_result_of_another_type_is_refused() {
        let mut b = builder(&[Type::I64], Type::F64);
        let x = b.param(0);
        b.ret(x);
        assert!(matches!(b.finish(), Err(VerifyError::TypeMismatch { .. })));
    }

    #[test]
    fn a_value_of_one_arm_is_not_visible_after_the_join() {
        let mut b = builder(&[Type::Bool], Type::I64);
        let (then, join) = (b.create_block(&[]), b.create_block(&[]));
        b.branch(b.param(0), (then, &[]), (join, &[]));
        b.switch_to(then);
        let one = b.constant(Value::I64(1));
        b.jump(join, &[]);
        b.switch_to(join);
        b.ret(one);
        assert!(matches!(b.finish(), Err(VerifyError::NotDominated { .. })));
    }

    #[test]
    fn an_unfinished_or_unreachable_block_is_refused() {
        assert!(matches!(
            builder(&[], Type::I64).finish(),
            Err(VerifyError::Unterminated(_))
        ));
        let mut b = builder(&[Type::I64], Type::I64);
        b.ret(b.param(0));
        let island = b.create_block(&[]);
        b.switch_to(island);
        b.ret(b.param(0));
        assert_eq!(b.finish(), Err(VerifyError::Unreachable(island)));
    }

    #[test]
    fn arguments_must_suit_the_parameters() {
        let mut b = builder(&[Type::I64], Type::I64);
        let next = b.create_block(&[Type::I64]);
        b.jump(next, &[]);
        b.switch_to(next);
        b.ret(b.param(0));
        assert!(matches!(
            b.finish(),
            Err(VerifyError::Arity {
                given: 0,
                taken: 1,
                ..
            })
        ));
    }

    #[test]
    fn bools_have_no_order() {
        let mut b = builder(&[Type::Bool], Type::Bool);
        let less = b.compare(Comparison::Lt, b.param(0), b.param(0));
        b.ret(less);
        assert!(matches!(b.finish(), Err(VerifyError::ComparesBools(_))));
    }
}
