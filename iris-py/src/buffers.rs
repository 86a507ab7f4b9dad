//! Memory that is written in Python and reaches an actor without a copy.
//!
//! A [`Buffer`] is a `bytes` object that nobody has seen yet, so that it may be written to until
//! it is sent. From then on it is immutable for good: it is not sent while a view of it is in use,
//! and gives no view while or after it is sent.

use std::collections::HashMap;
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use iris::Pid;
use pyo3::exceptions::{PyBufferError, PyLookupError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyWeakrefMethods, PyWeakrefReference};

use crate::error;
use crate::fork::PerProcess;
use crate::handed;
use crate::overflow;
use crate::runtime::PyRuntime;

/// The most bytes of one buffer: 4 GiB.
const MOST_BYTES: i64 = 1 << 32;

/// A copy of anything that has the buffer protocol, as `bytes(memoryview(data))`.
pub(crate) fn copy_of(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let mut view = ffi::Py_buffer::new();
    // SAFETY: the interpreter is attached, and the view is ours to fill.
    let filled =
        unsafe { ffi::PyObject_GetBuffer(data.as_ptr(), &raw mut view, ffi::PyBUF_SIMPLE) };
    if filled == 0 {
        let len = usize::try_from(view.len).unwrap_or(0);
        let copy = if len == 0 {
            Bytes::new()
        } else {
            // SAFETY: the exporter promises so many bytes there until the view is released.
            Bytes::copy_from_slice(unsafe { std::slice::from_raw_parts(view.buf.cast(), len) })
        };
        // SAFETY: filled above, released once.
        unsafe { ffi::PyBuffer_Release(&raw mut view) };
        return Ok(copy);
    }
    // Not all in one piece, or no buffer at all.
    drop(PyErr::take(data.py()));
    let view = PyMemoryView::from(data).map_err(|_| error::not_bytes_like(data))?;
    let copy = view.call_method0("tobytes")?;
    Ok(Bytes::copy_from_slice(copy.cast::<PyBytes>()?.as_bytes()))
}

/// Memory that is written here and handed to an actor without a copy: see `allocate_buffer`.
///
/// It has the buffer protocol, so that `memoryview(buffer)`, `numpy.frombuffer(buffer)` or
/// `file.readinto(buffer)` write to it. `view` is a `memoryview` that sending releases by itself; all others
/// must be released before it is sent. Once it is sent it gives no view any more.
#[pyclass(module = "iris._iris", name = "Buffer", frozen, weakref)]
pub(crate) struct Buffer {
    /// What `send_buffer` also knows it by.
    #[pyo3(get)]
    id: u64,
    len: usize,
    held: Mutex<Held>,
}

struct Held {
    /// Taken out when it is sent.
    object: Option<Py<PyBytes>>,
    phase: Phase,
    /// Views that are in use.
    exports: usize,
    /// The one that `view` gives, while somebody has it.
    view: Option<Py<PyWeakrefReference>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Sending,
    Sent,
}

/// Buffers by their ids.
type Ids = HashMap<u64, Py<PyWeakrefReference>>;

static IDS: PerProcess<Mutex<Ids>> = PerProcess::new(Mutex::default);

/// Not of the process alone: a child may still have buffers from before it was forked.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

fn ids() -> MutexGuard<'static, Ids> {
    IDS.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `size` bytes, all zero, to be written and then sent with `Runtime.send_buffer`.
///
/// Raises `ValueError` for a size below 0 or above 4 GiB and `MemoryError` if there is not so much.
#[pyfunction]
pub(crate) fn allocate_buffer(py: Python<'_>, size: i64) -> PyResult<Bound<'_, Buffer>> {
    let len = usize::try_from(size).ok().filter(|_| size <= MOST_BYTES);
    let len = len.ok_or_else(|| {
        PyValueError::new_err(format!(
            "the size of a buffer must be 0 to {MOST_BYTES} bytes, not {size}"
        ))
    })?;
    // Made as a `bytes` object from the start, which is what the handler gets.
    let object = PyBytes::new_with(py, len, |_| Ok(()))?.unbind();
    let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
    let held = Held {
        object: Some(object),
        phase: Phase::Open,
        exports: 0,
        view: None,
    };
    let buffer = Buffer {
        id,
        len,
        held: Mutex::new(held),
    };
    let buffer = Bound::new(py, buffer)?;
    let weak = PyWeakrefReference::new(buffer.as_any())?.unbind();
    ids().insert(id, weak);
    Ok(buffer)
}

#[pymethods]
impl Buffer {
    /// A `memoryview` of it, to write with: the same one for as long as it is in use. Sending
    /// releases it: later use of it raises `ValueError`. Raises `BufferError` once it is sent.
    #[getter]
    fn view<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let known = slf
            .get()
            .lock()
            .view
            .as_ref()
            .map(|view| view.clone_ref(py));
        let known = known.and_then(|view| view.bind(py).upgrade());
        if let Some(view) = known
            // One that was released has no length.
            && view.len().is_ok()
        {
            return Ok(view);
        }
        let view = PyMemoryView::from(slf.as_any())?.into_any();
        let weak = PyWeakrefReference::new(&view)?.unbind();
        let old = slf.get().lock().view.replace(weak);
        drop(old);
        Ok(view)
    }

    /// Whether it was sent.
    #[getter]
    fn sent(&self) -> bool {
        self.lock().phase == Phase::Sent
    }

    fn __len__(&self) -> usize {
        self.len
    }

    fn __repr__(&self) -> String {
        let sent = if self.sent() { ", sent" } else { "" };
        format!("<iris.Buffer {} of {} bytes{sent}>", self.id, self.len)
    }

    /// # Safety
    ///
    /// Called by the interpreter, with a view to fill.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let mut held = slf.get().lock();
        let (Some(object), Phase::Open) = (&held.object, held.phase) else {
            // SAFETY: the interpreter gives a view to fill, or to mark as empty.
            unsafe { (*view).obj = ptr::null_mut() };
            return Err(PyBufferError::new_err(format!(
                "buffer {} was sent: its bytes are the receiver's",
                slf.get().id
            )));
        };
        // SAFETY: a `bytes` object that nobody else refers to may be written to. It stays for as
        // long as a view of it is counted: it is not sent before, and the view keeps this buffer.
        let filled = unsafe {
            let data = ffi::PyBytes_AsString(object.as_ptr());
            let len = ffi::PyBytes_Size(object.as_ptr());
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), data.cast(), len, 0, flags)
        };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        held.exports += 1;
        Ok(())
    }

    /// # Safety
    ///
    /// Called by the interpreter, once for each view that was filled.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.lock().exports -= 1;
    }
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bytes to be sent; no view can be had from now on.
    fn begin(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        let view = self.lock().view.take();
        if let Some(view) = view.and_then(|view| view.bind(py).upgrade()) {
            view.call_method0("release")?;
        }
        let mut held = self.lock();
        let (Some(object), Phase::Open) = (&held.object, held.phase) else {
            return Err(PyValueError::new_err(format!(
                "buffer {} was sent already; allocate another one",
                self.id
            )));
        };
        let object = object.clone_ref(py);
        if held.exports > 0 {
            return Err(PyBufferError::new_err(format!(
                "buffer {} has {} views that are in use: release them before it is sent (use its \
                 .view, which is released by itself, or a with block)",
                self.id, held.exports
            )));
        }
        held.phase = Phase::Sending;
        Ok(object)
    }

    /// What became of it.
    fn finish(&self, is_sent: bool) {
        let mut held = self.lock();
        if is_sent {
            held.phase = Phase::Sent;
            let object = held.object.take();
            drop(held);
            drop(object);
        } else {
            held.phase = Phase::Open;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let known = ids().remove(&self.id);
        drop(known);
    }
}

#[pymethods]
impl PyRuntime {
    /// Sends a buffer of `iris.allocate_buffer`, given as itself or by its `id`, without a copy:
    /// the handler gets its memory as `bytes`.
    ///
    /// Returns and waits as `send`. One that was accepted is the receiver's: its `view` is
    /// released, and it gives no other. One that was refused can be written and sent again. Raises
    /// `ValueError` if it was sent before, `LookupError` for an id that no buffer has,
    /// `BufferError` while views of it are in use.
    fn send_buffer(&self, py: Python<'_>, pid: u64, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid)?;
        let buffer = find(buffer)?;
        let object = buffer.get().begin(py)?;
        let sent = pid.map_or(Ok(false), |pid: Pid| {
            overflow::send(py, runtime, pid, handed::payload(object.bind(py)))
        });
        buffer.get().finish(matches!(sent, Ok(true)));
        sent
    }
}

fn find<'py>(buffer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Buffer>> {
    let py = buffer.py();
    if let Ok(buffer) = buffer.cast::<Buffer>() {
        return Ok(buffer.clone());
    }
    let Ok(id) = buffer.extract::<u64>() else {
        let kind = error::type_name(buffer);
        return Err(PyTypeError::new_err(format!(
            "send_buffer takes what allocate_buffer() returned, or its id, not {kind}"
        )));
    };
    let known = ids().get(&id).map(|weak| weak.clone_ref(py));
    let known = known.and_then(|weak| weak.bind(py).upgrade());
    let found = known.and_then(|buffer| buffer.cast_into::<Buffer>().ok());
    found.ok_or_else(|| {
        PyLookupError::new_err(format!(
            "there is no buffer with the id {id}: one lives as long as somebody refers to what \
             allocate_buffer() returned"
        ))
    })
}
