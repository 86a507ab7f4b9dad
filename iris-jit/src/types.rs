//! The types of the IR, and scalar values.

use std::fmt;

use crate::array::ArrayType;

/// The type of a value of the IR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A signed 64-bit integer.
    I64,
    /// An IEEE 754 binary64 number.
    F64,
    /// A truth value; 0 or 1 where it crosses the call boundary.
    Bool,
    /// Memory of the caller's with numbers in it; parameters only.
    Array(ArrayType),
}

impl Type {
    /// How many 64-bit words an argument of this type takes at the call boundary.
    pub fn words(self) -> usize {
        match self {
            Self::I64 | Self::F64 | Self::Bool => 1,
            Self::Array(array) => array.words(),
        }
    }

    /// The type of the elements, if it is an array.
    pub fn array(self) -> Option<ArrayType> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I64 => f.pad("i64"),
            Self::F64 => f.pad("f64"),
            Self::Bool => f.pad("bool"),
            Self::Array(array) => write!(f, "{array}"),
        }
    }
}

/// A scalar value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A value of [`Type::I64`].
    I64(i64),
    /// A value of [`Type::F64`].
    F64(f64),
    /// A value of [`Type::Bool`].
    Bool(bool),
}

impl Value {
    /// The type of this value.
    pub fn ty(self) -> Type {
        match self {
            Self::I64(_) => Type::I64,
            Self::F64(_) => Type::F64,
            Self::Bool(_) => Type::Bool,
        }
    }

    /// The 64 bits that stand for this value at the call boundary.
    pub fn to_bits(self) -> u64 {
        match self {
            Self::I64(value) => value.cast_unsigned(),
            Self::F64(value) => value.to_bits(),
            Self::Bool(value) => u64::from(value),
        }
    }

    /// The value of type `ty` that `bits` stand for; any non-zero bits are a true `Bool`. An
    /// array is no value: its bits come back as an integer.
    pub fn from_bits(ty: Type, bits: u64) -> Self {
        match ty {
            Type::I64 | Type::Array(_) => Self::I64(bits.cast_signed()),
            Type::F64 => Self::F64(f64::from_bits(bits)),
            Type::Bool => Self::Bool(bits != 0),
        }
    }

    /// Whether both are the same value of the same type: zeros differ by sign, NaN equals NaN.
    pub fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::F64(a), Self::F64(b)) if a.is_nan() && b.is_nan() => true,
            _ => self.ty() == other.ty() && self.to_bits() == other.to_bits(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I64(value) => write!(f, "{value}"),
            // `{:?}` is the shortest text that reads back to the same bits, with a point.
            Self::F64(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// What a call can give.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One value.
    Scalar(Type),
    /// One value, which stands for `NumPy`'s scalar of that type: whoever calls makes it one.
    Numpy(Type),
    /// Nothing.
    None,
    /// Several results.
    Tuple(Vec<Shape>),
}

impl Shape {
    /// The types of the values in it, in order.
    pub fn scalars(&self) -> Vec<Type> {
        match self {
            Self::Scalar(ty) | Self::Numpy(ty) => vec![*ty],
            Self::None => Vec::new(),
            Self::Tuple(items) => items.iter().flat_map(Self::scalars).collect(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(ty) => write!(f, "{ty}"),
            Self::Numpy(ty) => write!(f, "numpy {ty}"),
            Self::None => f.write_str("none"),
            Self::Tuple(items) => {
                f.write_str("(")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// What a compiled function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prototype {
    /// Types of the parameters, in order.
    pub params: Vec<Type>,
    /// What a call can give: one of these.
    pub returns: Vec<Shape>,
}

impl Prototype {
    /// How many 64-bit words the arguments take.
    pub fn arg_words(&self) -> usize {
        self.params.iter().map(|param| param.words()).sum()
    }

    /// How many 64-bit words a result takes at most.
    pub fn ret_words(&self) -> usize {
        let widths = self.returns.iter().map(|shape| shape.scalars().len());
        widths.max().unwrap_or(0)
    }
}

impl fmt::Display for Prototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, param) in self.params.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{param}")?;
        }
        f.write_str(") -> ")?;
        for (index, shape) in self.returns.iter().enumerate() {
            let or = if index == 0 { "" } else { " | " };
            write!(f, "{or}{shape}")?;
        }
        if self.returns.is_empty() {
            f.write_str("never")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_tells_zeros_and_types_apart_but_not_nans() {
        assert!(Value::F64(f64::NAN).same(Value::F64(-f64::NAN)));
        assert!(!Value::F64(0.0).same(Value::F64(-0.0)));
        assert!(!Value::I64(1).same(Value::Bool(true)));
        assert!(!Value::I64(0).same(Value::F64(0.0)));
    }

    #[test]
    fn bits_read_back_to_the_value() {
        for value in [Value::I64(i64::MIN), Value::F64(-0.0), Value::Bool(true)] {
            assert!(Value::from_bits(value.ty(), value.to_bits()).same(value));
        }
    }
}
