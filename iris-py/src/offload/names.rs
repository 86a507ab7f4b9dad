//! What the names in a function mean to the running interpreter, and whether they still do.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use iris::offload::{Binding, Env, FreeName, INTRINSICS, selftest};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyModule, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

/// Where names of one function are looked up.
pub(crate) struct Scope<'py> {
    globals: Bound<'py, PyDict>,
    builtins: Bound<'py, PyDict>,
    math: Bound<'py, PyModule>,
    /// `iris.jit`.
    jit: Bound<'py, PyModule>,
    /// Names that mean those of `iris.jit`.
    jit_names: &'py [String],
    /// The function whose names these are.
    function: Bound<'py, PyAny>,
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
    /// A function that is called has this dict of defaults.
    KeywordDefaults {
        function: Py<PyAny>,
        dict: Py<PyAny>,
    },
    /// A function that is called has this code and these defaults.
    Function {
        function: Py<PyAny>,
        code: Py<PyAny>,
        defaults: Py<PyAny>,
    },
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
            Self::KeywordDefaults { function, dict } => {
                let now = function.bind(py).getattr("__kwdefaults__");
                now.is_ok_and(|now| now.is(dict))
            }
            Self::Function {
                function,
                code,
                defaults,
            } => {
                let is = |name: &str, then: &Py<PyAny>| {
                    let now = function.bind(py).getattr(name);
                    now.is_ok_and(|now| now.is(then))
                };
                is("__code__", code) && is("__defaults__", defaults)
            }
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
            Self::KeywordDefaults { function, dict } => {
                visit.call(function)?;
                visit.call(dict)
            }
            Self::Function {
                function,
                code,
                defaults,
            } => {
                visit.call(function)?;
                visit.call(code)?;
                visit.call(defaults)
            }
        }
    }

    /// The name that it is about, for explanations.
    pub(crate) fn name(&self, py: Python<'_>) -> String {
        match self {
            Self::Entry { key, .. } => key.bind(py).to_string(),
            Self::PlainModule { .. } => "a module's class".to_owned(),
            Self::Cell { .. } => "a closure variable".to_owned(),
            Self::Function { function, .. } | Self::KeywordDefaults { function, .. } => {
                function.bind(py).to_string()
            }
        }
    }
}

impl<'py> Scope<'py> {
    pub(crate) fn of(function: &Bound<'py, PyAny>, jit_names: &'py [String]) -> PyResult<Self> {
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
            jit: py.import("iris.jit")?,
            jit_names,
            function: function.clone(),
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

    /// What all of `names` mean now, and what must go on holding for that. `depth` counts the
    /// calls around the function whose names they are.
    pub(crate) fn resolve(
        &self,
        names: &[FreeName],
        depth: usize,
    ) -> PyResult<(Env, Vec<Assumption>)> {
        let py = self.math.py();
        let mut env = Env::new();
        let version = py.version_info();
        env.compensated_sum = version >= (3, 12);
        env.python = (version.major, version.minor);
        let mut assumptions = Vec::new();
        for name in names {
            if name.attribute.is_none() && self.jit_names.contains(&name.name) {
                let value = self.jit.dict().get_item(&name.name)?;
                let binding = value.map_or(Ok(Binding::Unbound), |value| self.classify(&value))?;
                env.bind(name.path(), binding);
                continue;
            }
            let value = self.lookup(&name.name, &mut assumptions)?;
            let binding = match (&value, &name.attribute) {
                (None, _) => Binding::Unbound,
                (Some(value), None) => self.meaning(value, depth, &mut assumptions)?,
                (Some(value), Some(attribute)) => match self.module(value) {
                    Some(module) => {
                        assumptions.push(Assumption::PlainModule {
                            module: module.clone().unbind(),
                        });
                        let found = entry(&module.dict(), attribute, &mut assumptions)?;
                        found.map_or(Ok(Binding::Unbound), |value| self.classify(&value))?
                    }
                    None => Binding::Other(crate::error::type_name(value)),
                },
            };
            if let Binding::MathFn(function) = &binding
                && selftest::is_asked(function)
                && self.is_doubtful(function)?
            {
                env.doubtful.insert(function.clone());
            }
            env.bind(name.path(), binding);
        }
        Ok((env, assumptions))
    }

    /// Whether a function of `math` gives other bits than compiled code would; asked once.
    fn is_doubtful(&self, function: &str) -> PyResult<bool> {
        static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&doubtful) = known().get(function) {
            return Ok(doubtful);
        }
        let py = self.math.py();
        let name = if function == "dist" {
            "hypot"
        } else {
            function
        };
        let python = self.math.getattr(name)?;
        let doubtful = selftest::differs(function, |args| {
            let result = python.call1(PyTuple::new(py, args).ok()?).ok()?;
            result.extract::<f64>().ok()
        });
        known().insert(function.to_owned(), doubtful);
        Ok(doubtful)
    }

    /// What the value of a name means: functions written in Python are read.
    fn meaning(
        &self,
        value: &Bound<'py, PyAny>,
        depth: usize,
        assumptions: &mut Vec<Assumption>,
    ) -> PyResult<Binding> {
        match self.classify(value)? {
            Binding::Other(ty) => {
                if depth == 0 && super::helper::is_itself(value, &self.function)? {
                    return Ok(Binding::Recursion);
                }
                let helper = super::helper::read(value, depth, assumptions)?;
                Ok(helper.unwrap_or(Binding::Other(ty)))
            }
            known => Ok(known),
        }
    }

    /// A module whose attributes have a meaning.
    fn module(&self, value: &Bound<'py, PyAny>) -> Option<&Bound<'py, PyModule>> {
        [&self.math, &self.jit]
            .into_iter()
            .find(|module| value.is(*module))
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
        if let Some(name) = self.intrinsic(value)? {
            return Ok(Binding::Intrinsic(name.to_owned()));
        }
        match super::helper::constant(value) {
            Binding::Other(_) if value.is_exact_instance_of::<PyInt>() => {
                return Ok(Binding::Other("int beyond 64 bits".to_owned()));
            }
            Binding::Other(_) => {}
            constant => return Ok(constant),
        }
        if value.is_exact_instance_of::<PyType>() {
            // Of the builtin types these compile; others are refused by their names.
            for name in [
                "bool",
                "int",
                "float",
                "range",
                "enumerate",
                "zip",
                "reversed",
                "map",
                "filter",
                "list",
                "tuple",
                "set",
                "dict",
                "str",
                "bytes",
                "complex",
                "slice",
            ] {
                if value.is(&py.import("builtins")?.getattr(name)?) {
                    return Ok(Binding::Builtin(name.to_owned()));
                }
            }
        }
        self.classify_function(value)
    }

    /// The name of `iris.jit` that a value is, if it is one of those that only compiled code knows.
    fn intrinsic(&self, value: &Bound<'py, PyAny>) -> PyResult<Option<&'static str>> {
        let dict = self.jit.dict();
        for name in INTRINSICS {
            if dict.get_item(name)?.is_some_and(|known| known.is(value)) {
                return Ok(Some(name));
            }
        }
        Ok(None)
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
pub(crate) fn plain_dict(value: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyDict>> {
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
pub(crate) fn entry<'py>(
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
