//! `bytes` objects that travel from Python to Python as they are.

#![expect(unsafe_code, reason = "an object is known by its address on its way")]

use std::mem;
use std::ptr::{self, NonNull};

use bytes::Bytes;
use iris::{Foreign, Keeper, Object, Payload};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Knows objects by their addresses. Not empty, so that no other keeper shares its address.
struct PyBytesKeeper(#[expect(dead_code, reason = "it gives the keeper an address")] u8);

/// **Invariant:** private to this module, and each of its objects is the address of a `bytes`
/// with one reference that is the object's.
static KEEPER: PyBytesKeeper = PyBytesKeeper(0);

impl Keeper for PyBytesKeeper {
    fn bytes<'a>(&self, object: &'a Object) -> &'a [u8] {
        let object = address(object);
        // SAFETY: by the invariant it is a live `bytes`, which never changes, nor do its
        // bytes move; to look at them needs no interpreter.
        unsafe {
            let start = ffi::PyBytes_AsString(object).cast::<u8>();
            let len = (*object.cast::<ffi::PyVarObject>()).ob_size;
            std::slice::from_raw_parts(start, len.cast_unsigned())
        }
    }

    fn let_go(&self, object: &Object) {
        // SAFETY: the reference is this object's, which is not used any more. `Py` is a
        // `NonNull` to the object, and drops it with or without the GIL.
        let object: Py<PyBytes> =
            unsafe { mem::transmute(NonNull::new_unchecked(address(object))) };
        drop(object);
    }
}

fn address(object: &Object) -> *mut ffi::PyObject {
    ptr::with_exposed_provenance_mut(object.get())
}

/// A message that is `data` itself.
#[inline]
pub(crate) fn payload(data: &Bound<'_, PyBytes>) -> Payload {
    let address = data.clone().into_ptr().expose_provenance();
    Foreign::new(address, &KEEPER).into()
}

/// From so many bytes on, to refer to an object is cheaper than to copy it.
const WORTH_SHARING: usize = 4096;

/// The bytes of an object that stays as it is, for those who need them as such: shared if there are
/// many, else a copy.
pub(crate) fn bytes(data: &Bound<'_, PyBytes>) -> Bytes {
    if data.as_bytes().len() < WORTH_SHARING {
        return Bytes::copy_from_slice(data.as_bytes());
    }
    payload(data).into_bytes()
}

/// What was sent: the object itself, or a `bytes` of what came from elsewhere.
#[inline]
pub(crate) fn object<'py>(py: Python<'py>, payload: &Payload) -> Bound<'py, PyBytes> {
    let kept = payload
        .foreign()
        .and_then(|foreign| foreign.kept_by(&KEEPER));
    match kept {
        // SAFETY: by the invariant it is a live `bytes`.
        Some(object) => unsafe {
            Bound::from_borrowed_ptr(py, address(object)).cast_into_unchecked()
        },
        None => PyBytes::new(py, payload),
    }
}
