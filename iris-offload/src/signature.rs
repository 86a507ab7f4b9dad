//! Call signatures: what a function is specialised for.

use std::fmt;

use iris_jit::Type;

/// Types of the arguments of a call, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signature(Vec<Type>);

impl Signature {
    /// The signature of these types.
    pub fn new(types: impl Into<Vec<Type>>) -> Self {
        Self(types.into())
    }

    /// The types, in order.
    pub fn types(&self) -> &[Type] {
        &self.0
    }
}

impl FromIterator<Type> for Signature {
    fn from_iter<I: IntoIterator<Item = Type>>(types: I) -> Self {
        Self(types.into_iter().collect())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|&ty| python_name(ty)).collect();
        write!(f, "({})", names.join(", "))
    }
}

/// What Python calls a type.
pub(crate) fn python_name(ty: Type) -> &'static str {
    match ty {
        Type::I64 => "int",
        Type::F64 => "float",
        Type::Bool => "bool",
    }
}
