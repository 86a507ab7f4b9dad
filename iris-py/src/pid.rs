//! Pids as Python gives them: plain numbers.

#![expect(unsafe_code, reason = "they are read with Python's own quick call")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// A pid as a number, of which the usual ones are read without a detour through bytes.
#[derive(Clone, Copy)]
pub(crate) struct RawPid(pub(crate) u64);

impl FromPyObject<'_, '_> for RawPid {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(number) = object.cast_exact::<PyInt>() {
            let mut overflow = 0;
            // SAFETY: it is an int, and the interpreter is attached.
            let value =
                unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &raw mut overflow) };
            if overflow == 0 && value >= 0 {
                return Ok(Self(value.cast_unsigned()));
            }
        }
        object.extract().map(Self)
    }
}
