//! The operations: each a total function of its operands, or guarded.

use super::{GuardId, Val};
use crate::types::{Type, Value};

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A constant.
    Const(Value),
    /// A total operation on one operand.
    Unary(UnaryOp, Val),
    /// A total operation on two operands.
    Binary(BinaryOp, Val, Val),
    /// A comparison of two integers or two floats.
    Compare(Comparison, Val, Val),
    /// A libm function of one float. NaN and infinite results are results: guard them.
    Math1(Math1, Val),
    /// A libm function of two floats. NaN and infinite results are results: guard them.
    Math2(Math2, Val, Val),
    /// An operation on one operand that ends the call where it has no result.
    CheckedUnary(CheckedUnaryOp, Val, GuardId),
    /// An operation on two operands that ends the call where it has no result.
    CheckedBinary(CheckedBinaryOp, Val, Val, GuardId),
    /// Ends the call if the operand, a bool, is false.
    Guard(Val, GuardId),
}

macro_rules! ops {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// All operations of this kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in printed IR.
            pub fn mnemonic(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

ops! {
    /// Total operations on one operand.
    UnaryOp {
        /// bool to 0 or 1.
        BoolToInt = "bool.to_int",
        /// i64 to the nearest float, ties to even.
        IntToFloat = "int.to_float",
        /// Whether an i64 is at most 2**53 in magnitude, hence exact as a float.
        IntFitsFloat = "int.fits_float",
        /// Bitwise complement.
        IntNot = "int.not",
        /// Flips the sign bit.
        FloatNeg = "float.neg",
        /// Clears the sign bit.
        FloatAbs = "float.abs",
        /// Square root; NaN below zero.
        FloatSqrt = "float.sqrt",
        /// Toward negative infinity.
        FloatFloor = "float.floor",
        /// Toward positive infinity.
        FloatCeil = "float.ceil",
        /// Toward zero.
        FloatTrunc = "float.trunc",
        /// To the nearest integral float, ties to even.
        FloatRound = "float.round",
        /// Whether NaN.
        FloatIsNan = "float.is_nan",
        /// Whether infinite.
        FloatIsInf = "float.is_inf",
        /// Whether neither NaN nor infinite.
        FloatIsFinite = "float.is_finite",
        /// Logical complement.
        BoolNot = "bool.not",
    }
}

ops! {
    /// Total operations on two operands.
    BinaryOp {
        /// IEEE sum.
        FloatAdd = "float.add",
        /// IEEE difference.
        FloatSub = "float.sub",
        /// IEEE product.
        FloatMul = "float.mul",
        /// IEEE quotient.
        FloatDiv = "float.div",
        /// Floored quotient as Python's `//`; guard a zero divisor.
        FloatFloorDiv = "float.floor_div",
        /// Remainder with the divisor's sign as Python's `%`; guard a zero divisor.
        FloatMod = "float.mod",
        /// The first with the sign of the second.
        FloatCopysign = "float.copysign",
        /// Bitwise and.
        IntAnd = "int.and",
        /// Bitwise or.
        IntOr = "int.or",
        /// Bitwise exclusive or.
        IntXor = "int.xor",
        /// Logical and; both operands are evaluated.
        BoolAnd = "bool.and",
        /// Logical or; both operands are evaluated.
        BoolOr = "bool.or",
        /// Logical exclusive or.
        BoolXor = "bool.xor",
    }
}

ops! {
    /// Operations on one operand without a result for some operands.
    CheckedUnaryOp {
        /// Negation; none for the least integer.
        IntNeg = "int.neg",
        /// Magnitude; none for the least integer.
        IntAbs = "int.abs",
        /// The integral part; none for NaN, infinities and beyond 64 bits.
        FloatToInt = "float.to_int",
    }
}

ops! {
    /// Integer operations without a result for some operands.
    CheckedBinaryOp {
        /// Sum.
        IntAdd = "int.add",
        /// Difference.
        IntSub = "int.sub",
        /// Product.
        IntMul = "int.mul",
        /// Floored quotient; none by zero, nor for the least integer by -1.
        IntFloorDiv = "int.floor_div",
        /// Remainder with the divisor's sign; none by zero, nor for the least integer by -1.
        IntMod = "int.mod",
        /// Power; none for negative exponents.
        IntPow = "int.pow",
        /// Left shift; none for negative counts and lost bits.
        IntShl = "int.shl",
        /// Right shift with sign; none for negative counts.
        IntShr = "int.shr",
    }
}

ops! {
    /// Comparisons; with a NaN operand only `Ne` is true.
    Comparison {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Le = "le",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Ge = "ge",
    }
}

ops! {
    /// libm functions of one argument, by their C names.
    Math1 {
        /// Arc cosine.
        Acos = "acos",
        /// Inverse hyperbolic cosine.
        Acosh = "acosh",
        /// Arc sine.
        Asin = "asin",
        /// Inverse hyperbolic sine.
        Asinh = "asinh",
        /// Arc tangent.
        Atan = "atan",
        /// Inverse hyperbolic tangent.
        Atanh = "atanh",
        /// Cosine of radians.
        Cos = "cos",
        /// Hyperbolic cosine.
        Cosh = "cosh",
        /// e to a power.
        Exp = "exp",
        /// e to a power, less one.
        Expm1 = "expm1",
        /// Natural logarithm.
        Log = "log",
        /// Decimal logarithm.
        Log10 = "log10",
        /// Natural logarithm of one more.
        Log1p = "log1p",
        /// Binary logarithm.
        Log2 = "log2",
        /// Sine of radians.
        Sin = "sin",
        /// Hyperbolic sine.
        Sinh = "sinh",
        /// Tangent of radians.
        Tan = "tan",
        /// Hyperbolic tangent.
        Tanh = "tanh",
    }
}

ops! {
    /// libm functions of two arguments, by their C names.
    Math2 {
        /// Angle of the point (second, first).
        Atan2 = "atan2",
        /// Remainder with the sign of the first.
        Fmod = "fmod",
        /// Power.
        Pow = "pow",
    }
}

impl UnaryOp {
    /// Type of the operand and of the result.
    pub fn types(self) -> (Type, Type) {
        match self {
            Self::BoolToInt => (Type::Bool, Type::I64),
            Self::IntToFloat => (Type::I64, Type::F64),
            Self::IntFitsFloat => (Type::I64, Type::Bool),
            Self::IntNot => (Type::I64, Type::I64),
            Self::FloatNeg
            | Self::FloatAbs
            | Self::FloatSqrt
            | Self::FloatFloor
            | Self::FloatCeil
            | Self::FloatTrunc
            | Self::FloatRound => (Type::F64, Type::F64),
            Self::FloatIsNan | Self::FloatIsInf | Self::FloatIsFinite => (Type::F64, Type::Bool),
            Self::BoolNot => (Type::Bool, Type::Bool),
        }
    }
}

impl BinaryOp {
    /// Type of both operands and of the result.
    pub fn ty(self) -> Type {
        match self {
            Self::FloatAdd
            | Self::FloatSub
            | Self::FloatMul
            | Self::FloatDiv
            | Self::FloatFloorDiv
            | Self::FloatMod
            | Self::FloatCopysign => Type::F64,
            Self::IntAnd | Self::IntOr | Self::IntXor => Type::I64,
            Self::BoolAnd | Self::BoolOr | Self::BoolXor => Type::Bool,
        }
    }
}

impl CheckedUnaryOp {
    /// Type of the operand; the result is an i64.
    pub fn operand(self) -> Type {
        match self {
            Self::IntNeg | Self::IntAbs => Type::I64,
            Self::FloatToInt => Type::F64,
        }
    }
}

impl Op {
    /// Type of the value that the operation defines; `None` for a guard.
    pub fn result_type(self) -> Option<Type> {
        match self {
            Self::Const(value) => Some(value.ty()),
            Self::Unary(op, _) => Some(op.types().1),
            Self::Binary(op, ..) => Some(op.ty()),
            Self::Compare(..) => Some(Type::Bool),
            Self::Math1(..) | Self::Math2(..) => Some(Type::F64),
            Self::CheckedUnary(..) | Self::CheckedBinary(..) => Some(Type::I64),
            Self::Guard(..) => None,
        }
    }

    /// The operands, in order.
    pub fn operands(self) -> impl Iterator<Item = Val> {
        let (first, second) = match self {
            Self::Const(_) => (None, None),
            Self::Unary(_, a)
            | Self::Math1(_, a)
            | Self::CheckedUnary(_, a, _)
            | Self::Guard(a, _) => (Some(a), None),
            Self::Binary(_, a, b)
            | Self::Compare(_, a, b)
            | Self::Math2(_, a, b)
            | Self::CheckedBinary(_, a, b, _) => (Some(a), Some(b)),
        };
        first.into_iter().chain(second)
    }

    /// The guard that may fire here.
    pub fn guard(self) -> Option<GuardId> {
        match self {
            Self::CheckedUnary(.., guard)
            | Self::CheckedBinary(.., guard)
            | Self::Guard(_, guard) => Some(guard),
            _ => None,
        }
    }
}
