//! The operations: each a total function of its operands, or guarded.

use super::{Args, GuardId, Val};
use crate::array::Elem;
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
    /// Says that the operand, a bool, is true: the front end knows, and passes may make use of it.
    Assume(Val),
    /// The second operand if the first, a bool, is true, else the third.
    Select(Val, Val, Val),
    /// Asks the hook of [`crate::poll`] now and then whether to go on; on each way round a loop.
    Poll(GuardId),
    /// A call of the function itself, which has one scalar result of this type. Ends the call if
    /// it would be too deep, or if the inner call ends so.
    Recurse(Args, Type, GuardId),
    /// Ends the call unless that many more calls of the function may be in each other here.
    Deeper(u32, GuardId),
    /// The length of a dimension of an array.
    Length(Val, u8),
    /// An index into a dimension of an array as Python understands it: a negative one counts from
    /// the end. Ends the call beyond the ends.
    Index(Val, u8, Val, GuardId),
    /// An element of an array at indices from 0, which are known to be within its lengths. Ends
    /// the call if an unsigned element does not fit.
    Load(Val, Place, GuardId),
    /// Writes an element, at a place as for `Load`. Ends the call if the value does not fit the
    /// element.
    Store(Val, Place, Val, GuardId),
}

/// Indices of an element: one for each dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// In an array of one dimension.
    At(Val),
    /// Row and column.
    Cell(Val, Val),
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
        /// Bits of an i64's magnitude, without leading zeros.
        IntBitLength = "int.bit_length",
        /// Ones among the bits of an i64's magnitude.
        IntBitCount = "int.bit_count",
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
        /// Sum modulo 2**64, where the front end knows that it fits.
        IntAddWrapping = "int.add_wrapping",
        /// Product modulo 2**64.
        IntMulWrapping = "int.mul_wrapping",
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
        /// The floor of the square root; none below zero.
        IntSqrt = "int.sqrt",
        /// The product of all from 1; none below zero.
        IntFactorial = "int.factorial",
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
        /// Greatest common divisor.
        IntGcd = "int.gcd",
        /// Least common multiple.
        IntLcm = "int.lcm",
        /// Ways to choose the second of the first; none for negative ones.
        IntComb = "int.comb",
        /// Ordered ways to choose the second of the first; none for negative ones.
        IntPerm = "int.perm",
        /// To so many digits behind the point: below zero, to a multiple of a power of ten.
        IntRound = "int.round",
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
    /// libm functions of one argument, by their C names, and those that Python computes itself.
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
        /// Cube root.
        Cbrt = "cbrt",
        /// Cosine of radians.
        Cos = "cos",
        /// Hyperbolic cosine.
        Cosh = "cosh",
        /// Error function.
        Erf = "erf",
        /// Complementary error function.
        Erfc = "erfc",
        /// e to a power.
        Exp = "exp",
        /// 2 to a power.
        Exp2 = "exp2",
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
        /// Gamma function, as Python computes it.
        Gamma = "gamma",
        /// Logarithm of the gamma function's magnitude, as Python computes it.
        Lgamma = "lgamma",
        /// The first part of `frexp`.
        Mantissa = "mantissa",
        /// The second part of `frexp`, as a float.
        Exponent = "exponent",
        /// Distance to the next float.
        Ulp = "ulp",
    }
}

ops! {
    /// libm functions of two arguments, by their C names, and those that Python computes itself.
    Math2 {
        /// Angle of the point (second, first).
        Atan2 = "atan2",
        /// Remainder with the sign of the first.
        Fmod = "fmod",
        /// Power.
        Pow = "pow",
        /// Remainder of the nearest quotient, ties to even.
        Remainder = "remainder",
        /// Length of a vector, as Python computes it from 3.10 on; NaN for subnormal numbers.
        Hypot = "hypot",
        /// The next float on the way to the second.
        Nextafter = "nextafter",
        /// The first times 2 to the second, a whole number.
        Scale = "scale",
        /// The first to so many digits behind the point, a whole number, as Python's `round`; NaN
        /// where that is not computed.
        RoundDigits = "round_digits",
    }
}

impl UnaryOp {
    /// Type of the operand and of the result.
    pub fn types(self) -> (Type, Type) {
        match self {
            Self::BoolToInt => (Type::Bool, Type::I64),
            Self::IntToFloat => (Type::I64, Type::F64),
            Self::IntFitsFloat => (Type::I64, Type::Bool),
            Self::IntNot | Self::IntBitLength | Self::IntBitCount => (Type::I64, Type::I64),
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
            Self::IntAddWrapping
            | Self::IntMulWrapping
            | Self::IntAnd
            | Self::IntOr
            | Self::IntXor => Type::I64,
            Self::BoolAnd | Self::BoolOr | Self::BoolXor => Type::Bool,
        }
    }
}

impl CheckedUnaryOp {
    /// Type of the operand; the result is an i64.
    pub fn operand(self) -> Type {
        match self {
            Self::IntNeg | Self::IntAbs | Self::IntSqrt | Self::IntFactorial => Type::I64,
            Self::FloatToInt => Type::F64,
        }
    }
}

impl Op {
    /// Type of the value that the operation defines in a function with these types of values;
    /// `None` for one that defines none.
    pub fn result_type(self, types: &[Type]) -> Option<Type> {
        let type_of = |value: Val| types.get(value.0 as usize).copied();
        match self {
            Self::Const(value) => Some(value.ty()),
            Self::Unary(op, _) => Some(op.types().1),
            Self::Binary(op, ..) => Some(op.ty()),
            Self::Compare(..) => Some(Type::Bool),
            Self::Math1(..) | Self::Math2(..) => Some(Type::F64),
            Self::CheckedUnary(..)
            | Self::CheckedBinary(..)
            | Self::Length(..)
            | Self::Index(..) => Some(Type::I64),
            Self::Select(_, a, _) => type_of(a),
            Self::Recurse(_, ty, _) => Some(ty),
            Self::Load(array, ..) => Some(element_type(type_of(array)?.array()?.elem)),
            Self::Guard(..)
            | Self::Assume(_)
            | Self::Deeper(..)
            | Self::Poll(_)
            | Self::Store(..) => None,
        }
    }

    /// The operands, in order; those of a recursion are in its list.
    pub fn operands(self) -> impl Iterator<Item = Val> {
        let place = |place: Place| match place {
            Place::At(i) => (Some(i), None),
            Place::Cell(i, j) => (Some(i), Some(j)),
        };
        let operands = match self {
            Self::Const(_) | Self::Poll(_) | Self::Recurse(..) | Self::Deeper(..) => [None; 4],
            Self::Unary(_, a)
            | Self::Math1(_, a)
            | Self::CheckedUnary(_, a, _)
            | Self::Guard(a, _)
            | Self::Assume(a)
            | Self::Length(a, _) => [Some(a), None, None, None],
            Self::Binary(_, a, b)
            | Self::Compare(_, a, b)
            | Self::Math2(_, a, b)
            | Self::CheckedBinary(_, a, b, _)
            | Self::Index(a, _, b, _) => [Some(a), Some(b), None, None],
            Self::Select(a, b, c) => [Some(a), Some(b), Some(c), None],
            Self::Load(array, at, _) => [Some(array), place(at).0, place(at).1, None],
            Self::Store(array, at, value, _) => {
                [Some(array), place(at).0, place(at).1, Some(value)]
            }
        };
        operands.into_iter().flatten()
    }

    /// The operation on other operands; the list of a recursion stays.
    pub(crate) fn with_operands(self, of: impl Fn(Val) -> Val) -> Self {
        let place = |place: Place| match place {
            Place::At(i) => Place::At(of(i)),
            Place::Cell(i, j) => Place::Cell(of(i), of(j)),
        };
        match self {
            Self::Const(_) | Self::Poll(_) | Self::Recurse(..) | Self::Deeper(..) => self,
            Self::Unary(op, a) => Self::Unary(op, of(a)),
            Self::Binary(op, a, b) => Self::Binary(op, of(a), of(b)),
            Self::Compare(op, a, b) => Self::Compare(op, of(a), of(b)),
            Self::Math1(op, a) => Self::Math1(op, of(a)),
            Self::Math2(op, a, b) => Self::Math2(op, of(a), of(b)),
            Self::CheckedUnary(op, a, guard) => Self::CheckedUnary(op, of(a), guard),
            Self::CheckedBinary(op, a, b, guard) => Self::CheckedBinary(op, of(a), of(b), guard),
            Self::Guard(a, guard) => Self::Guard(of(a), guard),
            Self::Assume(a) => Self::Assume(of(a)),
            Self::Select(a, b, c) => Self::Select(of(a), of(b), of(c)),
            Self::Length(array, dim) => Self::Length(of(array), dim),
            Self::Index(array, dim, index, guard) => Self::Index(of(array), dim, of(index), guard),
            Self::Load(array, at, guard) => Self::Load(of(array), place(at), guard),
            Self::Store(array, at, value, guard) => {
                Self::Store(of(array), place(at), of(value), guard)
            }
        }
    }

    /// The guard that may fire here.
    pub fn guard(self) -> Option<GuardId> {
        match self {
            Self::CheckedUnary(.., guard)
            | Self::CheckedBinary(.., guard)
            | Self::Guard(_, guard)
            | Self::Poll(guard)
            | Self::Recurse(.., guard)
            | Self::Deeper(_, guard)
            | Self::Index(.., guard)
            | Self::Load(.., guard)
            | Self::Store(.., guard) => Some(guard),
            _ => None,
        }
    }
}

/// The type of an element as a value.
pub fn element_type(elem: Elem) -> Type {
    match elem {
        Elem::F64 | Elem::F32 => Type::F64,
        Elem::Bool => Type::Bool,
        _ => Type::I64,
    }
}
