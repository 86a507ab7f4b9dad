//! What the names in a function mean to the running interpreter, and whether they still do.

use std::ptr;

use iris::offload::{Binding, Env, FreeName};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyModule, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

/// Where names of one function are looked up.
pub(crate) struct Scope<'py> {
    globals: Bound<'py, PyDict>,
    builtins: Bound<'py, PyDict>,
    math: Bound<'py, PyModule>,
    /// Names of closure variables with their cells.
    cells: Vec<(String, Bound<'py, PyAny>)>,
}

/// Something that compiled code took for granted.
pub(crate) enum Assumption {
    /// `dict[key]` is this object; with `None`, there is no such key.
    Entry {
        dict: Py<PyDict>,
        key: Py<PyString>,
        value: Option<Py<PyAny>>,
    },
    /// The module reads its attributes from its dict and from nowhere else.
    PlainModule { module: Py<PyModule> },
    /// The cell holds this object.
    Cell { cell: Py<PyAny>, value: Py<PyAny> },
}

impl Assumption {
    /// Whether it still holds. One dict look-up; the object itself is compared, not its
    /// value.
    #[inline]
    pub(crate) fn holds(&self, py: Python<'_>) -> bool {
        match self {
            Self::Entry { dict, key, value } => {
                let then = value.as_ref().map_or(ptr::null_mut(), Py::as_ptr);
                // SAFETY: both are live objects of these types, the interpreter is attached,
                // and the borrowed result is compared before anything else can run.
                let now = unsafe { ffi::PyDict_GetItemWithError(dict.as_ptr(), key.as_ptr()) };
                if now.is_null() && PyErr::take(py).is_some() {
                    // Another key's `__eq__` raised; it will raise again for the function.
                    return false;
                }
                ptr::eq(now, then)
            }
            Self::PlainModule { module } => is_plain_module(module.bind(py)),
            Self::Cell { cell, value } => cell
                .bind(py)
                .getattr("cell_contents")
                .is_ok_and(|now| ptr::eq(now.as_ptr(), value.as_ptr())),
        }
    }

    /// Shows the garbage collector what is held.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Entry { dict, value, .. } => {
                visit.call(dict)?;
                visit.call(value)
            }
            Self::PlainModule { module } => visit.call(module),
            Self::Cell { cell, value } => {
                visit.call(cell)?;
                visit.call(value)
            }
        }
    }

    /// The name that it is about, for explanations.
    pub(crate) fn name(&self, py: Python<'_>) -> String {
        match self {
            Self::Entry { key, .. } => key.bind(py).to_string(),
            Self::PlainModule { .. } => "a module's class".to_owned(),
            Self::Cell { .. } => "a closure variable".to_owned(),
        }
    }
}

impl<'py> Scope<'py> {
    pub(crate) fn of(function: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = function.py();
        let globals = plain_dict(function.getattr("__globals__")?)?;
        // The function's own, which need not be those that its globals name now.
        let builtins = match function.getattr_opt("__builtins__")? {
            Some(builtins) => plain_dict(builtins)?,
            None => Self::builtins_before_3_10(&globals)?,
        };
        let code = function.getattr("__code__")?;
        let names = code.getattr("co_freevars")?.extract::<Vec<String>>()?;
        let closure = function.getattr("__closure__")?;
        let cells = if closure.is_none() {
            Vec::new()
        } else {
            names
                .into_iter()
                .zip(closure.cast_into::<PyTuple>()?.iter())
                .collect()
        };
        let math = py.import("math")?;
        if !is_plain_module(&math) {
            return Err(PyTypeError::new_err("math is not a plain module"));
        }
        Ok(Self {
            globals,
            builtins,
            math,
            cells,
        })
    }

    fn builtins_before_3_10(globals: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        match globals.get_item("__builtins__")? {
            Some(module) if module.is_exact_instance_of::<PyModule>() => {
                Ok(module.cast_into::<PyModule>()?.dict())
            }
            Some(dict) => plain_dict(dict),
            None => Ok(globals.py().import("builtins")?.dict()),
        }
    }

    /// What all of `names` mean now, and what must go on holding for that.
    pub(crate) fn resolve(&self, names: &[FreeName]) -> PyResult<(Env, Vec<Assumption>)> {
        let mut env = Env::new();
        let mut assumptions = Vec::new();
        for name in names {
            let value = self.lookup(&name.name, &mut assumptions)?;
            let binding = match (&value, &name.attribute) {
                (None, _) => Binding::Unbound,
                (Some(value), None) => self.classify(value)?,
                (Some(value), Some(attribute)) if value.is(&self.math) => {
                    assumptions.push(Assumption::PlainModule {
                        module: self.math.clone().unbind(),
                    });
                    let found = entry(&self.math.dict(), attribute, &mut assumptions)?;
                    found.map_or(Ok(Binding::Unbound), |value| self.classify(&value))?
                }
                (Some(value), Some(_)) => Binding::Other(crate::error::type_name(value)),
            };
            env.bind(name.path(), binding);
        }
        Ok((env, assumptions))
    }

    /// As the interpreter does it: closure, then globals, then builtins.
    fn lookup(
        &self,
        name: &str,
        assumptions: &mut Vec<Assumption>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some((_, cell)) = self.cells.iter().find(|(known, _)| known == name) {
            // An empty cell raises, as the function itself would.
            let value = cell.getattr("cell_contents")?;
            assumptions.push(Assumption::Cell {
                cell: cell.clone().unbind(),
                value: value.clone().unbind(),
            });
            return Ok(Some(value));
        }
        match entry(&self.globals, name, assumptions)? {
            Some(value) => Ok(Some(value)),
            None => entry(&self.builtins, name, assumptions),
        }
    }

    fn classify(&self, value: &Bound<'py, PyAny>) -> PyResult<Binding> {
        let py = value.py();
        if value.is(&self.math) {
            return Ok(Binding::Module("math".to_owned()));
        }
        if let Ok(value) = value.cast_exact::<PyBool>() {
            return Ok(Binding::Bool(value.is_true()));
        }
        if let Ok(value) = value.cast_exact::<PyFloat>() {
            return Ok(Binding::Float(value.value()));
        }
        if value.is_exact_instance_of::<PyInt>() {
            let narrow = value.extract::<i64>().map(Binding::Int);
            return Ok(narrow.unwrap_or_else(|_| Binding::Other("int beyond 64 bits".to_owned())));
        }
        for class in [
            py.get_type::<PyBool>(),
            py.get_type::<PyInt>(),
            py.get_type::<PyFloat>(),
        ] {
            if value.is(&class) {
                return Ok(Binding::Builtin(class.name()?.to_string()));
            }
        }
        self.classify_function(value)
    }

    /// Functions written in C say themselves which module they belong to, and their names
    /// cannot be changed: `math.sin = math.cos` is recognized as `cos`.
    fn classify_function(&self, value: &Bound<'py, PyAny>) -> PyResult<Binding> {
        let py = value.py();
        if is_c_function(value) {
            let name = value.getattr("__name__")?.extract::<String>()?;
            let owner = value.getattr("__self__")?;
            if owner.is(&self.math) {
                return Ok(Binding::MathFn(name));
            }
            if owner.is(py.import("builtins")?) {
                return Ok(Binding::Builtin(name));
            }
        }
        Ok(Binding::Other(crate::error::type_name(value)))
    }
}

/// A dict that is looked up as one: not of a subclass, whose `__getitem__` Python would ask.
fn plain_dict(value: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyDict>> {
    value
        .cast_into_exact::<PyDict>()
        .map_err(|_| PyTypeError::new_err("names are looked up in something that is no plain dict"))
}

fn is_plain_module(module: &Bound<'_, PyModule>) -> bool {
    module.is_exact_instance_of::<PyModule>()
}

fn is_c_function(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: `value` is a live object.
    unsafe { ffi::PyCFunction_CheckExact(value.as_ptr()) != 0 }
}

/// `dict[key]`, with the assumption that it stays so.
fn entry<'py>(
    dict: &Bound<'py, PyDict>,
    key: &str,
    assumptions: &mut Vec<Assumption>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let key = PyString::intern(dict.py(), key);
    let value = dict.get_item(&key)?;
    assumptions.push(Assumption::Entry {
        dict: dict.clone().unbind(),
        key: key.unbind(),
        value: value.clone().map(Bound::unbind),
    });
    Ok(value)
}

/// Whether `value` is a function written in Python.
pub(crate) fn is_python_function(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let class = value.py().import("types")?.getattr("FunctionType")?;
    Ok(value.is_exact_instance(class.cast::<PyType>()?))
}
