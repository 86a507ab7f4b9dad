//! Calls of compiled code: arguments in, a result or a reason out.

use std::time::Instant;

use iris::jit::speculate::Timed;
use iris::offload::{Bailout, Compiled, Elem, Shape, Type};
use pyo3::ffi;
use pyo3::prelude::*;

use super::buffer::{self, Buffer, Flavor};
use super::kernel::Miss;
use super::sequence::{Sequence, Unfit};
use super::{pool, result, running};

/// Values in a result that fits into a call's own stack frame.
const MOST_RESULTS: usize = 8;

/// An argument of a call.
pub(super) enum Given {
    Scalar(Type, u64),
    Array(Buffer),
    /// A list or tuple.
    Sequence(Sequence),
}

impl Given {
    pub(super) fn tag(&self) -> Type {
        match self {
            Self::Scalar(ty, _) => *ty,
            Self::Array(buffer) => buffer.tag(),
            Self::Sequence(sequence) => sequence.tag(),
        }
    }

    pub(super) fn is_sequence(&self) -> bool {
        matches!(self, Self::Sequence(_))
    }
}

/// The type and the bits of an exact `float`, `int` of 64 bits or `bool`.
///
/// # Safety
///
/// `value` is a live object and the interpreter is attached.
#[inline]
pub(super) unsafe fn scalar(value: *mut ffi::PyObject) -> Option<(Type, u64)> {
    // SAFETY: the caller's promise covers all calls; the exact type is checked before each
    // access that relies on it.
    unsafe {
        if ffi::PyFloat_CheckExact(value) != 0 {
            #[cfg(not(feature = "abi3"))]
            let float = ffi::PyFloat_AS_DOUBLE(value);
            #[cfg(feature = "abi3")]
            let float = ffi::PyFloat_AsDouble(value);
            return Some((Type::F64, float.to_bits()));
        }
        if ffi::PyLong_CheckExact(value) != 0 {
            let mut overflow = 0;
            let int = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow);
            return (overflow == 0).then_some((Type::I64, int.cast_unsigned()));
        }
        if ffi::PyBool_Check(value) != 0 {
            return Some((Type::Bool, u64::from(std::ptr::eq(value, ffi::Py_True()))));
        }
    }
    None
}

/// Why native code gave nothing.
pub(super) enum End {
    Bailout(Bailout),
    Other(Miss),
}

/// Which thread runs native code.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// The caller's, perhaps without the GIL.
    Here { may_release: bool },
    /// A native worker, while the caller waits without the GIL.
    Worker,
}

/// Runs native code on a worker: its status and values.
///
/// # Safety
///
/// `words` are those of the arguments that the code was compiled for, and what they refer to
/// stays until this returns.
unsafe fn call_on_worker(
    py: Python<'_>,
    code: &Compiled,
    words: &[u64],
) -> PyResult<(u32, [u64; MOST_RESULTS])> {
    let (code, mut words) = (code.clone(), words.to_vec());
    pool::run(py, move || {
        if code.is_recursive() {
            // The bound is that of the stack that the code runs on.
            let floor = code.prototype().arg_words() + 1;
            words[floor] = running::stack_floor();
        }
        let mut values = [0; MOST_RESULTS];
        // SAFETY: the caller's promise: `run` of the pool waits for this.
        let status = unsafe { code.call_raw(words.as_ptr(), values.as_mut_ptr()) };
        (status, values)
    })
}

/// Runs native code and makes the object of its result.
///
/// # Safety
///
/// `words` are those of the arguments that the code was compiled for.
#[inline]
pub(super) unsafe fn run<'py>(
    py: Python<'py>,
    code: &Compiled,
    words: &[u64],
    place: Place,
) -> Result<Bound<'py, PyAny>, End> {
    let mut values = [0_u64; MOST_RESULTS];
    if code.ret_words() > MOST_RESULTS {
        return Err(End::Other(Miss::python("a result of many values")));
    }
    // SAFETY: the caller's promise, and `values` has room for each shape.
    let mut call = || unsafe { code.call_raw(words.as_ptr(), values.as_mut_ptr()) };
    let raised = |error| End::Other(Miss::Raised(error));
    let status = match place {
        Place::Worker => {
            // SAFETY: the caller's promise.
            let done = unsafe { call_on_worker(py, code, words) };
            let (status, made) = done.map_err(raised)?;
            values = made;
            status
        }
        _ if !code.polls() => call(),
        Place::Here { may_release } => running::run(may_release, call).map_err(raised)?,
    };
    let Some(shape) = code.shape(status) else {
        let bailout = code.bailout(status).expect("a status names a guard");
        return Err(End::Bailout(bailout));
    };
    let object = match &code.prototype().returns[shape] {
        Shape::Scalar(ty) => result::scalar(py, *ty, values[0]),
        shape => result::object(py, shape, &mut values.as_slice()),
    };
    object.map_err(|_| End::Other(Miss::python("out of memory")))
}

/// The arguments of a call that are scalars, arrays and sequences: all but `None`.
pub(super) fn given(py: Python<'_>, args: &[*mut ffi::PyObject]) -> Result<Vec<Given>, Miss> {
    let one = |(index, &arg): (usize, &*mut ffi::PyObject)| {
        // SAFETY: the interpreter passes live objects.
        if let Some((ty, word)) = unsafe { scalar(arg) } {
            return Ok(Given::Scalar(ty, word));
        }
        // SAFETY: as above.
        let object = unsafe { Bound::from_borrowed_ptr(py, arg) };
        let number = index + 1;
        match Sequence::of(&object) {
            Ok(sequence) => return Ok(Given::Sequence(sequence)),
            Err(Unfit::Mixed) => {
                return Err(Miss::python(format!(
                    "argument {number} is a list or tuple that is not of floats alone, of ints of \
                     64 bits alone or of bools alone"
                )));
            }
            Err(Unfit::NoSequence) => {}
        }
        let buffer = Buffer::of(&object).map(Given::Array);
        buffer.ok_or_else(|| {
            Miss::python(format!(
                "argument {number} is no scalar of 64 bits, no list and no known array"
            ))
        })
    };
    // SAFETY: `None` lives for ever; it is only compared with.
    let none = unsafe { ffi::Py_None() };
    let args = args.iter().enumerate();
    args.filter(|(_, arg)| !std::ptr::eq(**arg, none))
        .map(one)
        .collect()
}

/// Makes the arrays of a map over two dimensions those of one over all elements, row by row; gives
/// the shape of the results.
pub(super) fn flattened(
    py: Python<'_>,
    args: &[*mut ffi::PyObject],
    given: &mut [Given],
) -> Result<[usize; 2], Miss> {
    let mut shape = None;
    for (given, &arg) in given.iter_mut().zip(args) {
        let Given::Array(buffer) = given else {
            continue;
        };
        if buffer.flavor() != Flavor::Numpy || buffer.ty().ndim != 2 {
            return Err(Miss::python(
                "a map over two dimensions of other arrays than NumPy's",
            ));
        }
        if *shape.get_or_insert(buffer.shape()) != buffer.shape() {
            return Err(Miss::python("arrays of different shapes"));
        }
        if !buffer.ty().contiguous {
            // SAFETY: the interpreter passes live objects.
            let object = unsafe { Bound::from_borrowed_ptr(py, arg) };
            let copy = py
                .import("numpy")
                .and_then(|numpy| numpy.call_method1("ascontiguousarray", (object,)))
                .map_err(Miss::Raised)?;
            *buffer = Buffer::of(&copy).ok_or_else(|| Miss::python("no buffer of a copy"))?;
        }
        buffer.flatten();
    }
    Ok(shape.unwrap_or_default())
}

fn words_of(given: &[Given]) -> Vec<u64> {
    let mut words = Vec::new();
    for given in given {
        match given {
            Given::Scalar(_, word) => words.push(*word),
            Given::Array(buffer) => words.extend(buffer.array().words()),
            Given::Sequence(sequence) => words.extend(sequence.array().words()),
        }
    }
    words
}

/// Whether a function reads of an array that it writes to. If it does not, what was written when it
/// gives up need not be undone: starting over as Python writes the same again, and then the rest.
fn is_read(code: &Compiled, given: &[Given], array: usize) -> bool {
    let Given::Array(buffer) = &given[array] else {
        return false;
    };
    code.loads().contains(&array)
        || given.iter().enumerate().any(|(index, other)| match other {
            Given::Array(other) => index != array && buffer.overlaps(other),
            Given::Scalar(..) | Given::Sequence(_) => false,
        })
}

/// Calls code that may write to its arguments: if it gives up, what it wrote is undone where it reads
/// that, too, and the function can start over as Python.
pub(super) fn call_on_arrays<'py>(
    py: Python<'py>,
    code: &Compiled,
    given: &[Given],
    pooled: bool,
) -> Result<Bound<'py, PyAny>, Miss> {
    let written = code
        .stores()
        .iter()
        .filter_map(|&index| match &given[index] {
            Given::Array(buffer) if is_read(code, given, index) => Some((buffer, buffer.copy())),
            _ => None,
        });
    let copies: Vec<_> = written.collect();
    let may_release = code.stores().is_empty();
    let place = if pooled && may_release {
        Place::Worker
    } else {
        // Who else sees an array that is written to must not see it in between.
        Place::Here { may_release }
    };
    // SAFETY: the words are those of the arguments that the tags were made of, whose buffers are
    // lent until the end of this function.
    let end = match unsafe { run(py, code, &words_of(given), place) } {
        Ok(result) => return Ok(result),
        Err(end) => end,
    };
    for (buffer, copy) in &copies {
        buffer.restore(copy);
    }
    Err(match end {
        End::Bailout(bailout) => Miss::python(bailout.to_string()),
        End::Other(miss) => miss,
    })
}

/// A call of a map.
pub(super) struct Map<'a> {
    /// What its results are.
    pub(super) elem: Elem,
    /// How many in each dimension.
    pub(super) shape: &'a [usize],
    /// Whose array they get into.
    pub(super) flavor: Flavor,
    pub(super) place: Place,
}

/// Calls a map; gives the array of its results, and how long it took.
pub(super) fn mapped<'py>(
    py: Python<'py>,
    code: &Compiled,
    given: &[Given],
    call: &Map<'_>,
) -> Result<(Result<Bound<'py, PyAny>, Miss>, Timed), Miss> {
    let results = buffer::results(py, call.elem, call.shape, call.flavor).map_err(Miss::Raised)?;
    let mut words = words_of(given);
    let Some(mut bytes) = Buffer::of(&results) else {
        return Err(Miss::python("no buffer for the results"));
    };
    bytes.flatten();
    words.extend(bytes.array().words());
    let begin = Instant::now();
    // SAFETY: the words are those of the arguments that the tags were made of, and of an array for
    // as many results of the type that the code gives; all are lent until the end of this function.
    let end = unsafe { run(py, code, &words, call.place) };
    let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(match end {
        Ok(_) => (Ok(results), Timed::Done(took)),
        Err(End::Bailout(bailout)) => (Err(Miss::Elements(bailout.to_string())), Timed::Failed),
        Err(End::Other(miss)) => (Err(miss), Timed::Failed),
    })
}
