//! Arrays of Python as arguments: the buffer protocol, checked before use.

use std::ffi::CStr;
use std::slice;

use iris::offload::{ArrayRef, ArrayType, Elem, Type};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyTuple, PyType};

use super::numpy;

/// What an array is to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Its elements are Python's own numbers.
    Plain,
    /// Its elements are `NumPy`'s.
    Numpy,
}

/// A lent buffer; given back on drop.
pub(crate) struct Buffer {
    /// In a box since it may hold pointers to itself: that of `bytes` has its lengths there.
    view: Box<ffi::Py_buffer>,
    ty: ArrayType,
    flavor: Flavor,
    /// Whether its rows are taken as one.
    flat: bool,
}

impl Buffer {
    /// The buffer of an array of a kind that is known; `None` for anything else.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> Option<Self> {
        let flavor = flavor(object)?;
        let mut view = Box::<ffi::Py_buffer>::new_uninit();
        // SAFETY: attached, `object` is live, and the view is read only if it was filled.
        let view = unsafe {
            let flags = ffi::PyBUF_FULL_RO;
            if ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) != 0 {
                ffi::PyErr_Clear();
                return None;
            }
            view.assume_init()
        };
        let mut buffer = Self {
            view,
            ty: ArrayType {
                elem: Elem::U8,
                ndim: 1,
                contiguous: true,
                writable: false,
                numpy: false,
            },
            flavor,
            flat: false,
        };
        buffer.ty = buffer.described()?;
        Some(buffer)
    }

    /// Its type, if it is one that compiled code understands.
    fn described(&self) -> Option<ArrayType> {
        let ndim = u8::try_from(self.view.ndim)
            .ok()
            .filter(|n| (1..=2).contains(n))?;
        if !self.view.suboffsets.is_null() || self.view.shape.is_null() {
            return None;
        }
        let elem = if self.view.format.is_null() {
            Elem::U8
        } else {
            // SAFETY: the exporter's format is a text that lives as long as the view.
            let format = unsafe { CStr::from_ptr(self.view.format) };
            elem(format, self.view.itemsize)?
        };
        if usize::try_from(self.view.itemsize).ok()? != elem.size() {
            return None;
        }
        // SAFETY: the view was filled by its exporter and is live.
        let contiguous =
            unsafe { ffi::PyBuffer_IsContiguous(&raw const *self.view, b'C'.cast_signed()) } != 0;
        if !contiguous && self.view.strides.is_null() {
            return None;
        }
        Some(ArrayType {
            elem,
            ndim,
            contiguous,
            writable: self.view.readonly == 0,
            numpy: self.flavor == Flavor::Numpy,
        })
    }

    pub(crate) fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Takes the rows of an array without gaps as one.
    pub(crate) fn flatten(&mut self) {
        assert!(self.ty.contiguous, "rows follow each other");
        self.flat = true;
        self.ty.ndim = 1;
    }

    pub(crate) fn ty(&self) -> ArrayType {
        self.ty
    }

    /// Lengths of the dimensions; 1 for one that is not there.
    pub(crate) fn shape(&self) -> [usize; 2] {
        let mut shape = [1, 1];
        if self.flat {
            let bytes = self.view.len.unsigned_abs();
            return [bytes / self.ty.elem.size(), 1];
        }
        for (dim, length) in shape.iter_mut().enumerate().take(self.ty.ndim.into()) {
            // SAFETY: `described` has checked that there are `ndim` lengths.
            *length = unsafe { *self.view.shape.add(dim) }.unsigned_abs();
        }
        shape
    }

    fn strides(&self) -> [isize; 2] {
        let mut strides = [self.view.itemsize; 2];
        if self.ty.contiguous {
            strides[0] *= if self.ty.ndim == 2 {
                self.shape()[1].cast_signed()
            } else {
                1
            };
            return strides;
        }
        for (dim, stride) in strides.iter_mut().enumerate().take(self.ty.ndim.into()) {
            // SAFETY: an array with gaps has strides, which `described` has checked.
            *stride = unsafe { *self.view.strides.add(dim) };
        }
        strides
    }

    pub(crate) fn array(&self) -> ArrayRef<'_> {
        let data = self.view.buf.cast::<u8>();
        // SAFETY: the exporter keeps the memory until the view is released, which borrows `self`;
        // shape, strides and type are those of the view.
        unsafe { ArrayRef::from_parts(self.ty, data, self.shape(), self.strides()) }
    }

    /// The bytes from the first to the last element, gaps included: where they start and how many.
    fn span(&self) -> (*mut u8, usize) {
        let (shape, strides) = (self.shape(), self.strides());
        let (mut below, mut above) = (0_isize, 0_isize);
        for dim in 0..usize::from(self.ty.ndim) {
            if shape[dim] == 0 {
                return (self.view.buf.cast(), 0);
            }
            let reach = strides[dim] * (shape[dim].cast_signed() - 1);
            below += reach.min(0);
            above += reach.max(0);
        }
        let bytes = above - below + self.view.itemsize;
        (
            self.view.buf.cast::<u8>().wrapping_offset(below),
            bytes.unsigned_abs(),
        )
    }

    /// Whether the two have bytes in common, or may have.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let ((one, one_bytes), (two, two_bytes)) = (self.span(), other.span());
        one.addr() < two.addr() + two_bytes && two.addr() < one.addr() + one_bytes
    }

    /// A copy of all its bytes, to undo writes with.
    pub(crate) fn copy(&self) -> Vec<u8> {
        let (start, bytes) = self.span();
        if bytes == 0 {
            return Vec::new();
        }
        // SAFETY: within the exporter's memory; the GIL keeps others from writing.
        unsafe { slice::from_raw_parts(start, bytes) }.to_vec()
    }

    /// Puts the bytes of a copy back.
    pub(crate) fn restore(&self, copy: &[u8]) {
        let (start, bytes) = self.span();
        assert_eq!(bytes, copy.len(), "a copy of this buffer");
        if bytes == 0 {
            return;
        }
        // SAFETY: as for `copy`; only arrays that may be written are.
        unsafe { start.copy_from_nonoverlapping(copy.as_ptr(), bytes) };
    }

    /// Whether its elements are ints of 64 bits that are no `numpy.int64`.
    pub(crate) fn is_other_int(&self) -> bool {
        const INT64: u8 = if cfg!(windows) { b'q' } else { b'l' };
        if self.flavor != Flavor::Numpy || self.ty.elem != Elem::I64 {
            return false;
        }
        // SAFETY: as in `described`, which has found a format of ints of 64 bits.
        let format = unsafe { CStr::from_ptr(self.view.format) };
        format.to_bytes().last() != Some(&INT64)
    }

    pub(crate) fn tag(&self) -> Type {
        Type::Array(self.ty)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: filled by `PyObject_GetBuffer`, and released once, attached.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.view) };
    }
}

/// The element that a format of the `struct` module means, in this machine's order of bytes.
fn elem(format: &CStr, size: isize) -> Option<Elem> {
    let code = match format.to_bytes() {
        [code] | [b'@' | b'=', code] => *code,
        [b'<', code] if cfg!(target_endian = "little") => *code,
        [b'>', code] if cfg!(target_endian = "big") => *code,
        _ => return None,
    };
    Some(match (code, size) {
        (b'd', 8) => Elem::F64,
        (b'f', 4) => Elem::F32,
        (b'?', 1) => Elem::Bool,
        (b'b', 1) => Elem::I8,
        (b'B', 1) => Elem::U8,
        (b'h', 2) => Elem::I16,
        (b'H', 2) => Elem::U16,
        (b'i' | b'l', 4) => Elem::I32,
        (b'I' | b'L', 4) => Elem::U32,
        (b'q' | b'l', 8) => Elem::I64,
        (b'Q' | b'L', 8) => Elem::U64,
        _ => return None,
    })
}

/// Only the types themselves: a subclass may have elements of its own making.
fn flavor(object: &Bound<'_, PyAny>) -> Option<Flavor> {
    let py = object.py();
    let plain = object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyByteArray>()
        || object.is_exact_instance_of::<PyMemoryView>()
        || object.is_exact_instance(array_type(py)?);
    if plain {
        return Some(Flavor::Plain);
    }
    numpy::is_ndarray(&object.get_type()).then_some(Flavor::Numpy)
}

fn array_type(py: Python<'_>) -> Option<&Bound<'_, PyType>> {
    static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    ARRAY.import(py, "array", "array").ok()
}

/// A new array of this shape for the results of a map, of the kind that the arguments are of.
pub(crate) fn results<'py>(
    py: Python<'py>,
    elem: Elem,
    shape: &[usize],
    flavor: Flavor,
) -> PyResult<Bound<'py, PyAny>> {
    if flavor == Flavor::Numpy {
        let dtype = match elem {
            Elem::I64 => "int64",
            Elem::Bool => "bool",
            _ => "float64",
        };
        let shape = PyTuple::new(py, shape)?;
        return py.import("numpy")?.call_method1("empty", (shape, dtype));
    }
    let code = match elem {
        Elem::I64 => "q",
        Elem::Bool => "B",
        _ => "d",
    };
    let one = py.import("array")?.getattr("array")?.call1((code, [0]))?;
    one.mul(shape.iter().product::<usize>())
}
