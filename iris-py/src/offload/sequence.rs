//! Lists and tuples as arguments: a copy of their elements, for functions that go through them.

use iris::offload::{ArrayRef, ArrayType, Elem, Type};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::invoke::scalar;

/// The elements of a list or a tuple, all of one type. Nobody writes to them.
pub(super) struct Sequence {
    elements: Elements,
    len: usize,
}

enum Elements {
    /// Floats, or ints of 64 bits.
    Words(Elem, Vec<u64>),
    /// A byte each.
    Bools(Vec<u8>),
}

/// Why a sequence is left to Python.
pub(super) enum Unfit {
    /// It is no list and no tuple, but perhaps something else that is understood.
    NoSequence,
    /// Its elements are not all floats, all ints of 64 bits, or all bools.
    Mixed,
}

impl Sequence {
    /// The elements of an exact `list` or `tuple`. An empty one counts as one of ints: no element
    /// of it is ever seen.
    pub(super) fn of(object: &Bound<'_, PyAny>) -> Result<Self, Unfit> {
        if let Ok(list) = object.cast_exact::<PyList>() {
            return Self::from_items(list.len(), |index| {
                // SAFETY: attached, and within the list: nothing between its length and here ran
                // anything of Python's. The reference is borrowed only for the read of a number.
                unsafe { ffi::PyList_GetItem(list.as_ptr(), index) }
            });
        }
        let tuple = object
            .cast_exact::<PyTuple>()
            .map_err(|_| Unfit::NoSequence)?;
        Self::from_items(tuple.len(), |index| {
            // SAFETY: as above; tuples do not change.
            unsafe { ffi::PyTuple_GetItem(tuple.as_ptr(), index) }
        })
    }

    fn from_items(
        len: usize,
        item: impl Fn(ffi::Py_ssize_t) -> *mut ffi::PyObject,
    ) -> Result<Self, Unfit> {
        let mut words = Vec::with_capacity(len);
        let mut kind = None;
        for index in 0..len.cast_signed() {
            // SAFETY: the item is live: the list holds it, and the GIL keeps others from it.
            let (ty, word) = unsafe { scalar(item(index)) }.ok_or(Unfit::Mixed)?;
            if *kind.get_or_insert(ty) != ty {
                return Err(Unfit::Mixed);
            }
            words.push(word);
        }
        let elements = match kind.unwrap_or(Type::I64) {
            Type::F64 => Elements::Words(Elem::F64, words),
            Type::I64 => Elements::Words(Elem::I64, words),
            Type::Bool => Elements::Bools(words.iter().map(|&word| u8::from(word != 0)).collect()),
            Type::Array(_) => return Err(Unfit::Mixed),
        };
        Ok(Self { elements, len })
    }

    fn ty(&self) -> ArrayType {
        ArrayType {
            elem: match &self.elements {
                Elements::Words(elem, _) => *elem,
                Elements::Bools(_) => Elem::Bool,
            },
            ndim: 1,
            contiguous: true,
            writable: false,
            numpy: false,
        }
    }

    pub(super) fn tag(&self) -> Type {
        Type::Array(self.ty())
    }

    pub(super) fn array(&self) -> ArrayRef<'_> {
        let (data, size) = match &self.elements {
            Elements::Words(_, words) => (words.as_ptr().cast::<u8>(), size_of::<u64>()),
            Elements::Bools(bytes) => (bytes.as_ptr(), size_of::<u8>()),
        };
        let strides = [size.cast_signed(); 2];
        // SAFETY: `len` elements of the type, one after the other, that live as long as `self`;
        // they are read only, as the type says.
        unsafe { ArrayRef::from_parts(self.ty(), data.cast_mut(), [self.len, 1], strides) }
    }
}
