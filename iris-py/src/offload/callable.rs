//! The object that users call.
//!
//! A `#[pyclass]` with `__call__` costs 60 ns a call for its tuple of arguments; a type
//! with a vectorcall slot costs 12 ns, which is what a function of a few operations has
//! to be called at. So this one type is made by hand: a header, the slot, and references
//! to a [`Kernel`] and to the plain function. Everything that can be done in safe code is
//! done by the kernel.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::kernel::Kernel;
use super::names::is_python_function;

/// The layout that the interpreter sees. Only the interpreter frees it.
#[repr(C)]
struct Offloaded {
    head: ffi::PyObject,
    vectorcall: Option<ffi::vectorcallfunc>,
    /// Owned, a `Kernel`; null only before it is set and after it was cleared.
    kernel: *mut ffi::PyObject,
    /// The instance's `__dict__`, made by the interpreter when it is first needed.
    dict: *mut ffi::PyObject,
    weakrefs: *mut ffi::PyObject,
}

/// The type `iris.OffloadedFunction`.
pub(crate) fn offloaded_type(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.get_or_try_init(py, || make_type(py))
        .map(|class| class.bind(py).clone())
}

/// Makes a function into one that runs natively where it can.
///
/// `kernel` was made for it; names, docs and the rest are copied by the caller.
#[pyfunction]
#[pyo3(name = "_offloaded")]
pub(crate) fn offloaded<'py>(kernel: &Bound<'py, Kernel>) -> PyResult<Bound<'py, PyAny>> {
    let py = kernel.py();
    if !is_python_function(kernel.get().function().bind(py))? {
        return Err(PyTypeError::new_err(
            "offload needs a function written in Python",
        ));
    }
    let class = offloaded_type(py)?;
    // SAFETY: `class` is the type made below, whose instances have the layout `Offloaded`;
    // `PyType_GenericAlloc` zeroes what follows the header and starts tracking, which is
    // fine with null references. The new reference is checked for null.
    let object = unsafe {
        let object = ffi::PyType_GenericAlloc(class.as_ptr().cast(), 0);
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        let this = object.cast::<Offloaded>();
        (*this).vectorcall = Some(call);
        (*this).kernel = kernel.clone().into_ptr();
        Bound::from_owned_ptr(py, object)
    };
    Ok(object)
}

/// Runs a call natively, or as Python.
///
/// # Safety
///
/// Called by the interpreter by the rules of vectorcall.
unsafe extern "C" fn call(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let run = || {
        // SAFETY: the interpreter calls this attached.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the interpreter calls the slot of a live `Offloaded`.
        let Some(kernel) = (unsafe { kernel_of(py, &callable) }) else {
            PyRuntimeError::new_err("the function has been cleared").restore(py);
            return ptr::null_mut();
        };
        // SAFETY: as above: `args` holds that many live objects.
        let result = unsafe { call_kernel(py, kernel.get(), args, nargsf, kwnames) };
        result.map_or_else(
            |error| {
                error.restore(py);
                ptr::null_mut()
            },
            Bound::into_ptr,
        )
    };
    // A panic must not unwind into the interpreter's C code.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        // SAFETY: as above.
        let py = unsafe { Python::assume_attached() };
        PyRuntimeError::new_err("internal error while calling an offloaded function").restore(py);
        ptr::null_mut()
    })
}

/// The kernel of a live `Offloaded`, borrowed.
///
/// # Safety
///
/// `callable` is a live object of the type made here.
#[inline]
unsafe fn kernel_of<'a, 'py>(
    py: Python<'py>,
    callable: &'a *mut ffi::PyObject,
) -> Option<Borrowed<'a, 'py, Kernel>> {
    // SAFETY: the caller's promise; the kernel lives as long as the object or until the
    // garbage collector clears it, which cannot happen during a call on it.
    unsafe {
        let kernel = (*callable.cast::<Offloaded>()).kernel;
        let kernel = Borrowed::from_ptr_or_opt(py, kernel)?;
        Some(kernel.cast_unchecked::<Kernel>())
    }
}

/// # Safety
///
/// `args` and `kwnames` are as the vectorcall protocol wants them.
#[inline]
unsafe fn call_kernel<'py>(
    py: Python<'py>,
    kernel: &Kernel,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    if kwnames.is_null() {
        // SAFETY: the caller's promise; a call without arguments may pass null.
        let args = unsafe {
            let count = ffi::PyVectorcall_NARGS(nargsf).unsigned_abs();
            if count == 0 {
                &[]
            } else {
                slice::from_raw_parts(args, count)
            }
        };
        if let Some(result) = kernel.try_native(py, args)? {
            return Ok(result);
        }
    } else {
        // SAFETY: `kwnames` is a tuple of as many names as there are further arguments.
        let (names, args) = unsafe {
            let names = Bound::from_borrowed_ptr(py, kwnames).cast_into_unchecked::<PyTuple>();
            let count = ffi::PyVectorcall_NARGS(nargsf).unsigned_abs() + names.len();
            (names, slice::from_raw_parts(args, count))
        };
        if let Some(result) = kernel.try_keywords(py, args, &names)? {
            return Ok(result);
        }
    }
    // SAFETY: the very arguments of this call are passed on, by the same protocol.
    let result = unsafe {
        let result = ffi::PyObject_Vectorcall(kernel.function().as_ptr(), args, nargsf, kwnames);
        Bound::from_owned_ptr_or_err(py, result)
    }?;
    kernel.convert(result)
}

/// Makes a method of it when it is looked up on an instance, as functions do.
///
/// # Safety
///
/// Called by the interpreter as `tp_descr_get`.
unsafe extern "C" fn descr_get(
    this: *mut ffi::PyObject,
    instance: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: `this` is live; `instance` is live, null or None.
    unsafe {
        if instance.is_null() || ptr::eq(instance, ffi::Py_None()) {
            ffi::Py_INCREF(this);
            return this;
        }
        method(this, instance)
    }
}

/// # Safety
///
/// Both are live objects.
unsafe fn method(function: *mut ffi::PyObject, instance: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise, and the interpreter is attached inside a slot.
    unsafe {
        let py = Python::assume_attached();
        let function = Borrowed::from_ptr(py, function);
        let instance = Borrowed::from_ptr(py, instance);
        let bound = py
            .import("types")
            .and_then(|types| types.getattr("MethodType"))
            .and_then(|class| class.call1((function, instance)));
        bound.map_or_else(
            |error| {
                error.restore(py);
                ptr::null_mut()
            },
            Bound::into_ptr,
        )
    }
}

/// Reads an attribute from the kernel; `closure` is its name.
///
/// # Safety
///
/// Called by the interpreter as a getter of the type made here.
unsafe extern "C" fn from_kernel(
    this: *mut ffi::PyObject,
    closure: *mut c_void,
) -> *mut ffi::PyObject {
    // SAFETY: `this` is live, and `closure` one of the names in `make_type`.
    unsafe {
        let kernel = (*this.cast::<Offloaded>()).kernel;
        if kernel.is_null() {
            ffi::PyErr_SetString(ffi::PyExc_AttributeError, c"cleared".as_ptr());
            return ptr::null_mut();
        }
        ffi::PyObject_GetAttrString(kernel, closure.cast())
    }
}

/// # Safety
///
/// Called by the interpreter as `tp_repr`.
unsafe extern "C" fn repr(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: `this` is live; a null kernel gives the text `<NULL>`.
    unsafe { ffi::PyObject_Repr((*this.cast::<Offloaded>()).kernel) }
}

/// # Safety
///
/// Called by the garbage collector.
unsafe extern "C" fn traverse(
    this: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes a live object; each reference that it owns is visited
    // once, its heap type too (since Python 3.9).
    unsafe {
        let object = &*this.cast::<Offloaded>();
        for reference in [ffi::Py_TYPE(this).cast(), object.kernel, object.dict] {
            if !reference.is_null() {
                let stop = visit(reference, arg);
                if stop != 0 {
                    return stop;
                }
            }
        }
    }
    0
}

/// # Safety
///
/// Called by the garbage collector and by `dealloc`.
unsafe extern "C" fn clear(this: *mut ffi::PyObject) -> c_int {
    // SAFETY: each field is emptied before its reference is given up, since that may run
    // code that looks at the object again.
    unsafe {
        let this = this.cast::<Offloaded>();
        let kernel = ptr::replace(&raw mut (*this).kernel, ptr::null_mut());
        let dict = ptr::replace(&raw mut (*this).dict, ptr::null_mut());
        ffi::Py_XDECREF(kernel);
        ffi::Py_XDECREF(dict);
    }
    0
}

/// # Safety
///
/// Called by the interpreter when the last reference is gone.
unsafe extern "C" fn dealloc(this: *mut ffi::PyObject) {
    // SAFETY: the order that the interpreter's documentation prescribes for heap types
    // with garbage collection: untrack, weak references, members, memory, type.
    unsafe {
        ffi::PyObject_GC_UnTrack(this.cast());
        if !(*this.cast::<Offloaded>()).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(this);
        }
        clear(this);
        let class = ffi::Py_TYPE(this);
        ffi::PyObject_GC_Del(this.cast());
        ffi::Py_DECREF(class.cast());
    }
}

fn make_type(py: Python<'_>) -> PyResult<Py<PyType>> {
    let offset = |name: &'static std::ffi::CStr, offset: usize| ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: ffi::Py_ssize_t::try_from(offset).expect("an offset in a small struct"),
        flags: ffi::Py_READONLY,
        doc: ptr::null(),
    };
    // The interpreter keeps pointers into both tables for as long as the type lives.
    let members = Box::leak(Box::new([
        offset(c"__vectorcalloffset__", offset_of!(Offloaded, vectorcall)),
        offset(c"__dictoffset__", offset_of!(Offloaded, dict)),
        offset(c"__weaklistoffset__", offset_of!(Offloaded, weakrefs)),
        // SAFETY: all zero is the end of the table.
        unsafe { std::mem::zeroed() },
    ]));
    let getter = |name: &'static std::ffi::CStr| ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(from_kernel),
        set: None,
        doc: ptr::null(),
        closure: name.as_ptr().cast_mut().cast(),
    };
    let getters = Box::leak(Box::new([
        getter(c"__code__"),
        getter(c"__defaults__"),
        getter(c"__kwdefaults__"),
        getter(c"__globals__"),
        getter(c"__closure__"),
        getter(c"stats"),
        getter(c"explain"),
        getter(c"py"),
        getter(c"_jit_names"),
        getter(c"_return_type"),
        ffi::PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(ffi::PyObject_GenericGetDict),
            set: Some(ffi::PyObject_GenericSetDict),
            doc: ptr::null(),
            closure: ptr::null_mut(),
        },
        // SAFETY: all zero is the end of the table.
        unsafe { std::mem::zeroed() },
    ]));
    let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
    let mut slots = [
        slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void),
        slot(ffi::Py_tp_descr_get, descr_get as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, getters.as_mut_ptr().cast()),
        slot(0, ptr::null_mut()),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_HAVE_VECTORCALL;
    let mut spec = ffi::PyType_Spec {
        name: c"iris.OffloadedFunction".as_ptr(),
        basicsize: c_int::try_from(size_of::<Offloaded>()).expect("a small struct"),
        itemsize: 0,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "all flags are in the low 32 bits"
        )]
        flags: flags as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec is complete and ended by a zero slot, the functions have the
    // signatures of their slots, and the tables behind pointers live for ever.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec)) }?;
    Ok(class.cast_into::<PyType>()?.unbind())
}
