//! `NumPy`'s numbers: scalars as results, and when compiled code may stand for its arithmetic.

use iris::offload::Type;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::invoke::Given;
use super::kernel::Miss;

/// Versions whose rules for scalars are known and tested, first and last: (major, minor).
const KNOWN: [[(u32, u32); 2]; 2] = [[(1, 23), (1, 26)], [(2, 0), (2, 4)]];

/// What is asked of `NumPy` once.
struct Numpy {
    /// Why its numbers are not computed with, if they are not.
    unknown: Option<String>,
    float64: Py<PyType>,
    int64: Py<PyType>,
    bool: Py<PyType>,
    errors: Errors,
}

impl Numpy {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        static NUMPY: PyOnceLock<Numpy> = PyOnceLock::new();
        NUMPY.get_or_try_init(py, || Self::ask(py))
    }

    fn ask(py: Python<'_>) -> PyResult<Self> {
        let numpy = py.import("numpy")?;
        // The type of the elements, whatever the module's names mean by now.
        let scalar = |name: &str| -> PyResult<Py<PyType>> {
            let dtype = numpy.getattr("dtype")?.call1((name,))?;
            Ok(dtype.getattr("type")?.cast_into::<PyType>()?.unbind())
        };
        let version = numpy.getattr("__version__")?.extract::<String>()?;
        Ok(Self {
            unknown: unknown(&version),
            float64: scalar("float64")?,
            int64: scalar("int64")?,
            bool: scalar("bool")?,
            errors: Errors::of(&numpy)?,
        })
    }
}

fn unknown(version: &str) -> Option<String> {
    let mut parts = version.split('.').map(str::parse);
    let version_number = match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    };
    let known = KNOWN
        .iter()
        .any(|[first, last]| (first..=last).contains(&&version_number));
    if !known {
        return Some(format!(
            "elements of arrays of NumPy {version}, whose rules are not known \
             (mend: pass memoryview(array))"
        ));
    }
    // There an int of NumPy 1 has 32 bits if it meets a bool.
    let narrow = cfg!(windows) && version_number.0 < 2;
    (narrow || cfg!(not(target_pointer_width = "64"))).then(|| {
        "elements of NumPy arrays on this platform (mend: pass memoryview(array))".to_owned()
    })
}

/// Whether compiled code gives what `NumPy`'s arithmetic gives for these arguments.
pub(super) fn check(py: Python<'_>, given: &[Given]) -> Result<(), Miss> {
    let no_answer = |_| Miss::python("NumPy does not say what it is");
    let numpy = Numpy::get(py).map_err(no_answer)?;
    if let Some(reason) = &numpy.unknown {
        return Err(Miss::python(reason.as_str()));
    }
    let other_int = |given: &Given| match given {
        Given::Scalar(..) | Given::Sequence(_) => false,
        Given::Array(buffer) => buffer.is_other_int(),
    };
    if given.iter().any(other_int) {
        return Err(Miss::python(
            "a NumPy array of long long (mend: convert it with astype('int64'))",
        ));
    }
    // All else that NumPy may warn of ends native code; an underflow does not.
    if numpy.errors.ignore_underflows(py).map_err(no_answer)? {
        Ok(())
    } else {
        Err(Miss::python("NumPy is told to report underflows"))
    }
}

/// What `numpy.errstate` has set in this thread. The function for that takes a microsecond.
struct Errors {
    geterr: Py<PyAny>,
    /// `NumPy` 2 keeps the settings in an object that is never changed, only replaced: this gives
    /// the one in force.
    current: Option<Py<PyAny>>,
    /// One in which underflows are ignored, if one was met.
    quiet: PyOnceLock<Py<PyAny>>,
}

impl Errors {
    fn of(numpy: &Bound<'_, PyModule>) -> PyResult<Self> {
        let current = || {
            let umath = numpy.py().import("numpy._core.umath")?;
            umath.getattr("_extobj_contextvar")?.getattr("get")
        };
        Ok(Self {
            geterr: numpy.getattr("geterr")?.unbind(),
            current: current().ok().map(Bound::unbind),
            quiet: PyOnceLock::new(),
        })
    }

    fn ignore_underflows(&self, py: Python<'_>) -> PyResult<bool> {
        let current = self.current.as_ref().map(|get| get.bind(py).call0());
        let current = current.transpose()?;
        let known = current.as_ref().zip(self.quiet.get(py));
        if known.is_some_and(|(current, quiet)| current.is(quiet)) {
            return Ok(true);
        }
        let settings = self.geterr.bind(py).call0()?.cast_into::<PyDict>()?;
        let under = settings.get_item("under")?;
        let ignored = match under {
            Some(under) => under.eq("ignore")?,
            None => false,
        };
        if let (Some(current), true) = (current, ignored) {
            let _ = self.quiet.set(py, current.unbind());
        }
        Ok(ignored)
    }
}

/// `NumPy`'s scalar of this type and these bits.
pub(super) fn scalar(py: Python<'_>, ty: Type, word: u64) -> PyResult<Bound<'_, PyAny>> {
    let numpy = Numpy::get(py)?;
    let class = match ty {
        Type::F64 => &numpy.float64,
        Type::I64 | Type::Array(_) => &numpy.int64,
        Type::Bool => &numpy.bool,
    };
    class
        .bind(py)
        .call1((super::result::scalar(py, ty, word)?,))
}

/// Whether a type is `numpy.ndarray` itself.
pub(super) fn is_ndarray(class: &Bound<'_, PyType>) -> bool {
    static NDARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = class.py();
    if let Some(known) = NDARRAY.get(py) {
        return class.is(known);
    }
    // No import for the sake of an object that is none of NumPy's.
    let named = || -> PyResult<bool> {
        Ok(class.getattr("__module__")?.eq("numpy")? && class.name()? == "ndarray")
    };
    named().unwrap_or(false)
        && NDARRAY
            .import(py, "numpy", "ndarray")
            .is_ok_and(|ndarray| class.is(ndarray))
}
