//! Call signatures: what a function is specialised for.

use std::fmt;

use iris_jit::{Elem, Shape, Type};

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

/// What Python calls a type, with its article.
pub(crate) fn with_article(ty: Type) -> String {
    let name = python_name(ty);
    let article = if name.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

/// What Python calls a type.
pub(crate) fn python_name(ty: Type) -> &'static str {
    match ty {
        Type::I64 => "int",
        Type::F64 => "float",
        Type::Bool => "bool",
        Type::Array(array) if array.numpy => match array.elem {
            Elem::F64 => "NumPy array of f64",
            Elem::F32 => "NumPy array of f32",
            Elem::I8 => "NumPy array of i8",
            Elem::I16 => "NumPy array of i16",
            Elem::I32 => "NumPy array of i32",
            Elem::I64 => "NumPy array of i64",
            Elem::U8 => "NumPy array of u8",
            Elem::U16 => "NumPy array of u16",
            Elem::U32 => "NumPy array of u32",
            Elem::U64 => "NumPy array of u64",
            Elem::Bool => "NumPy array of bool",
        },
        Type::Array(array) => match array.elem {
            Elem::F64 => "array of f64",
            Elem::F32 => "array of f32",
            Elem::I8 => "array of i8",
            Elem::I16 => "array of i16",
            Elem::I32 => "array of i32",
            Elem::I64 => "array of i64",
            Elem::U8 => "array of u8",
            Elem::U16 => "array of u16",
            Elem::U32 => "array of u32",
            Elem::U64 => "array of u64",
            Elem::Bool => "array of bool",
        },
    }
}

/// What Python calls `NumPy`'s scalar of a type.
pub(crate) fn numpy_name(ty: Type) -> &'static str {
    match ty {
        Type::I64 => "numpy.int64",
        Type::F64 => "numpy.float64",
        Type::Bool => "numpy.bool",
        Type::Array(_) => "numpy.ndarray",
    }
}

/// What Python calls a result, in words.
pub(crate) fn shape_name(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(ty) => python_name(*ty).to_owned(),
        Shape::Numpy(ty) => numpy_name(*ty).to_owned(),
        Shape::None => "None".to_owned(),
        Shape::Tuple(items) => {
            let names: Vec<_> = items.iter().map(shape_name).collect();
            format!("({})", names.join(", "))
        }
    }
}
