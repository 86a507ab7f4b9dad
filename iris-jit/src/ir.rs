//! Typed SSA with guards: the one input of every back end.
//!
//! A function is a list of blocks with parameters; block 0 is the entry and its parameters are the
//! function's. Each value is defined once, before its uses. Where an operation has no result that
//! fits its type, a *guard* ends the call with a [`Guard`] instead of a value; nothing wraps,
//! traps or is undefined. Floats are strict IEEE 754: no pass and no back end may contract,
//! reassociate or fold `x - x`.

mod builder;
mod display;
mod op;

use std::fmt;

pub use builder::{FunctionBuilder, Mark};
pub use op::{
    BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, Math1, Math2, Op, Place, UnaryOp,
    element_type,
};

use crate::types::{Prototype, Shape, Type};

/// A place in source text, for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Line, from 1; 0 means unknown.
    pub line: u32,
    /// Column in characters, from 1; 0 means unknown.
    pub column: u32,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value of a function, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Val(pub(crate) u32);

/// A block of a function, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block(pub(crate) u32);

/// A list of arguments of a function, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Args(pub(crate) u32);

/// A guard of a function, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuardId(pub(crate) u32);

/// Why native code gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuardKind {
    /// An integer result does not fit 64 bits.
    Overflow,
    /// A divisor is zero, or zero has a negative power.
    ZeroDivision,
    /// An argument lies outside a function's domain.
    Domain,
    /// A finite argument has a result beyond the range of a float.
    Range,
    /// A float has no integer of 64 bits: NaN, infinite or too large.
    Conversion,
    /// An integer above 2**53 in magnitude meets a float where the exact value matters.
    Precision,
    /// A shift count is negative, or the shifted value does not fit.
    Shift,
    /// An integer has a negative power, which is a float.
    NegativePower,
    /// A result is NaN, whose sign depends on how each build of `CPython` propagates it.
    NanResult,
    /// An index lies outside its array.
    Index,
    /// A value has no place in an element of its array.
    Element,
    /// The program raises an exception of its own.
    Raise,
    /// A name is read before it is bound.
    Unbound,
    /// A value has another type than on the other paths.
    Type,
    /// A recursion is too deep for native code.
    Recursion,
    /// The caller's hook asks for an end, see [`crate::poll`].
    Interrupt,
    /// A loop has no end in sight.
    Cap,
    /// A float of `NumPy`'s is infinite or NaN, of which `NumPy` may warn.
    NumpyWarning,
}

impl fmt::Display for GuardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Overflow => "integer overflow",
            Self::ZeroDivision => "zero division",
            Self::Domain => "domain error",
            Self::Range => "float range error",
            Self::Conversion => "no 64-bit integer for a float",
            Self::Precision => "integer above 2**53",
            Self::Shift => "shift out of range",
            Self::NegativePower => "negative integer power",
            Self::NanResult => "NaN as the result",
            Self::Index => "index out of range",
            Self::Element => "no room in an element of the array",
            Self::Raise => "an exception of the function's own",
            Self::Unbound => "name read before its assignment",
            Self::Type => "value of a rarer type",
            Self::Recursion => "deep recursion",
            Self::Interrupt => "interrupted",
            Self::Cap => "iteration cap reached",
            Self::NumpyWarning => "NumPy's number that is not finite",
        })
    }
}

/// A way out of native code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guard {
    /// Why it fires.
    pub kind: GuardKind,
    /// The source that it protects.
    pub span: Span,
}

/// One instruction: an operation and the value that it defines, if any.
#[derive(Clone, Debug, PartialEq)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// The value that it defines; `None` for guards, polls and stores.
    pub result: Option<Val>,
}

/// A jump target with the arguments for the target's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The block to go to.
    pub block: Block,
    /// One value per parameter of `block`.
    pub args: Vec<Val>,
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Terminator {
    /// Go to a block.
    Jump(Target),
    /// Go to one of two blocks.
    Branch {
        /// A `bool`.
        cond: Val,
        /// Taken if `cond` is true.
        then: Target,
        /// Taken if `cond` is false.
        otherwise: Target,
    },
    /// End the call with a result.
    Return {
        /// Which of the function's shapes the result has.
        shape: usize,
        /// The values in it, in order.
        values: Vec<Val>,
    },
    /// End the call without a result.
    Bail(GuardId),
}

impl Terminator {
    /// The blocks that may follow.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let (first, second) = match self {
            Self::Jump(target) => (Some(target), None),
            Self::Branch {
                then, otherwise, ..
            } => (Some(then), Some(otherwise)),
            Self::Return { .. } | Self::Bail(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// A block: parameters, instructions, and an end.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockData {
    /// Values that the predecessors pass.
    pub params: Vec<Val>,
    /// Instructions, in order.
    pub insts: Vec<Inst>,
    /// The end; `None` only while the function is being built.
    pub terminator: Option<Terminator>,
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// A name for messages; it is not a symbol.
    pub name: String,
    /// Types of the parameters, in order.
    pub params: Vec<Type>,
    /// What a call can give.
    pub returns: Vec<Shape>,
    pub(crate) blocks: Vec<BlockData>,
    pub(crate) value_types: Vec<Type>,
    pub(crate) guards: Vec<Guard>,
    /// The arguments of calls of itself.
    pub(crate) lists: Vec<Vec<Val>>,
    /// By how many calls each of them is deeper than the call that it is in.
    pub(crate) levels: Vec<u32>,
}

impl Function {
    /// The blocks; the first is the entry.
    pub fn blocks(&self) -> &[BlockData] {
        &self.blocks
    }

    /// The guards, in the order of their numbers.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// What the function takes and gives.
    pub fn prototype(&self) -> Prototype {
        Prototype {
            params: self.params.clone(),
            returns: self.returns.clone(),
        }
    }

    /// The parameters that are arrays which the function writes to, by number.
    pub fn stores(&self) -> Vec<usize> {
        self.params_in(|op| match op {
            Op::Store(array, ..) => Some(array),
            _ => None,
        })
    }

    /// The parameters that are arrays of which the function reads elements, by number.
    pub fn loads(&self) -> Vec<usize> {
        self.params_in(|op| match op {
            Op::Load(array, ..) => Some(array),
            _ => None,
        })
    }

    fn params_in(&self, array_of: fn(Op) -> Option<Val>) -> Vec<usize> {
        let insts = self.blocks.iter().flat_map(|block| &block.insts);
        let found: Vec<Val> = insts.filter_map(|inst| array_of(inst.op)).collect();
        let params = self.blocks.first().map(|entry| &entry.params[..]);
        let params = params.unwrap_or_default().iter().enumerate();
        let used = params.filter(|(_, param)| found.contains(param));
        used.map(|(index, _)| index).collect()
    }

    /// Whether the function has a loop or a recursion, which poll.
    pub fn polls(&self) -> bool {
        let mut insts = self.blocks.iter().flat_map(|block| &block.insts);
        insts.any(|inst| matches!(inst.op, Op::Poll(_) | Op::Recurse(..)))
    }

    /// Whether the function calls itself.
    pub fn is_recursive(&self) -> bool {
        !self.lists.is_empty()
    }

    /// The type of a value, or `None` if the function has no such value.
    pub fn value_type(&self, value: Val) -> Option<Type> {
        self.value_types.get(value.0 as usize).copied()
    }
}
