//! Results as Python objects.

use std::ffi::c_long;

use iris::offload::{Shape, Type};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The object that a result stands for; takes its words off `words`.
pub(crate) fn object<'py>(
    py: Python<'py>,
    shape: &Shape,
    words: &mut &[u64],
) -> PyResult<Bound<'py, PyAny>> {
    match shape {
        Shape::Scalar(ty) => {
            let (word, rest) = words.split_first().expect("a word for each value");
            *words = rest;
            scalar(py, *ty, *word)
        }
        Shape::Numpy(ty) => {
            let (word, rest) = words.split_first().expect("a word for each value");
            *words = rest;
            super::numpy::scalar(py, *ty, *word)
        }
        Shape::None => Ok(py.None().into_bound(py)),
        Shape::Tuple(items) => {
            let items = items.iter().map(|item| object(py, item, words));
            let items = items.collect::<PyResult<Vec<_>>>()?;
            Ok(PyTuple::new(py, items)?.into_any())
        }
    }
}

#[inline]
pub(crate) fn scalar(py: Python<'_>, ty: Type, word: u64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; each constructor gives a new reference, or null with an exception set.
    unsafe {
        let object = match ty {
            Type::F64 => ffi::PyFloat_FromDouble(f64::from_bits(word)),
            Type::I64 | Type::Array(_) => ffi::PyLong_FromLongLong(word.cast_signed()),
            Type::Bool => ffi::PyBool_FromLong(c_long::from(word != 0)),
        };
        Bound::from_owned_ptr_or_err(py, object)
    }
}
