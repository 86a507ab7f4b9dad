//! One function's compiled code, by call signature, and the rules for using it.

use std::collections::BTreeMap;
use std::ffi::c_long;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use std::thread;

use iris::jit::CraneliftCompiler;
use iris::offload::{Compiled, Program, Refusal, Signature, Type, explain};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat};
use pyo3::{PyTraverseError, PyVisit};

use super::names::{Assumption, Scope};

/// Arguments that fit into a call's own stack frame; functions with more run as Python.
const MOST_PARAMS: usize = 16;

/// Signatures that one function is compiled for; calls with further ones run as Python.
const MOST_SIGNATURES: usize = 8;

/// What a result is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReturnType {
    Float,
    Int,
    Bool,
}

impl ReturnType {
    fn parse(word: &str) -> PyResult<Self> {
        match word {
            "float" => Ok(Self::Float),
            "int" => Ok(Self::Int),
            "bool" => Ok(Self::Bool),
            other => Err(PyValueError::new_err(format!(
                "return_type must be 'float', 'int', 'bool' or None, not {other:?}"
            ))),
        }
    }

    /// As `float(result)`, `int(result)` or `bool(result)`.
    fn convert(self, result: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
        let py = result.py();
        match self {
            Self::Float if result.is_exact_instance_of::<PyFloat>() => Ok(result),
            Self::Float => py.get_type::<PyFloat>().call1((result,)),
            Self::Int => py.get_type::<pyo3::types::PyInt>().call1((result,)),
            Self::Bool => Ok(pyo3::types::PyBool::new(py, result.is_truthy()?)
                .to_owned()
                .into_any()),
        }
    }
}

/// The code for one call signature, or why there is none.
struct Specialization {
    tags: Vec<Type>,
    code: Result<Compiled, Refusal>,
    assumptions: Vec<Assumption>,
}

/// A function, its code for each signature, and a record of why calls ran as Python.
#[pyclass(module = "iris._iris", frozen)]
pub(crate) struct Kernel {
    function: Py<PyAny>,
    /// The function's code object when it was read; another one is another function.
    code_object: Py<PyAny>,
    source: String,
    program: Result<Program, String>,
    return_type: Option<ReturnType>,
    /// Filled from the left. A hit is an atomic load and a compare, with no lock.
    specializations: [OnceLock<Specialization>; MOST_SIGNATURES],
    native: AtomicU64,
    python: AtomicU64,
    reasons: Mutex<BTreeMap<String, u64>>,
}

/// Why a call is to run as Python; `None` if that is on record already.
type Fallback = Option<String>;

#[pymethods]
impl Kernel {
    /// A kernel for `function`, whose `source` begins in `first_line`; `refusal` says why
    /// the source cannot be used.
    #[new]
    #[pyo3(signature = (function, name, source, first_line, refusal, return_type))]
    fn new(
        function: &Bound<'_, PyAny>,
        name: &str,
        source: String,
        first_line: u32,
        refusal: Option<String>,
        return_type: Option<&str>,
    ) -> PyResult<Self> {
        let program = match refusal {
            Some(reason) => Err(reason),
            None => on_own_stack(|| Program::parse(&source, name, first_line))
                .map_err(|refusal| format!("{name} runs as Python\n{}", refusal.render(&source))),
        };
        Ok(Self {
            code_object: function.getattr("__code__")?.unbind(),
            function: function.clone().unbind(),
            source,
            program,
            return_type: return_type.map(ReturnType::parse).transpose()?,
            specializations: Default::default(),
            native: AtomicU64::new(0),
            python: AtomicU64::new(0),
            reasons: Mutex::default(),
        })
    }

    /// How the function is compiled for each signature seen so far, and why calls ran as
    /// Python, in lines.
    fn explain(&self) -> String {
        let program = match &self.program {
            Ok(program) => program,
            Err(refusal) => return refusal.clone(),
        };
        let mut out = String::new();
        for known in self.known() {
            let signature = Signature::new(known.tags.clone());
            match &known.code {
                Ok(compiled) => out += &explain::compiled(compiled),
                Err(refusal) => {
                    out +=
                        &explain::refused(program.name(), Some(&signature), refusal, &self.source);
                }
            }
        }
        if out.is_empty() {
            out = format!(
                "{} has not been called: it is compiled by its first call\n",
                program.name()
            );
        }
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if !reasons.is_empty() {
            out += "calls that ran as Python:\n";
        }
        for (reason, count) in &*reasons {
            out.extend(["  ", &count.to_string(), " x ", reason, "\n"]);
        }
        out
    }

    /// How many calls ran natively and as Python.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("native", self.native.load(Ordering::Relaxed))?;
        dict.set_item("python", self.python.load(Ordering::Relaxed))?;
        Ok(dict)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let function = self.function.bind(py);
        Ok(format!("<offloaded {}>", function.getattr("__qualname__")?))
    }

    /// What the function itself has: `__code__`, `__defaults__` and so on.
    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.function.getattr(py, name)
    }

    /// Shows the garbage collector what is held. There is nothing to clear: every cycle
    /// goes through the callable or the function, which can be.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.code_object)?;
        let assumptions = self.known().flat_map(|known| &known.assumptions);
        assumptions
            .into_iter()
            .try_for_each(|assumption| assumption.traverse(&visit))
    }

    /// The plain function.
    #[getter]
    fn py(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }
}

impl Kernel {
    pub(super) fn function(&self) -> &Py<PyAny> {
        &self.function
    }

    /// Calls the function with positional arguments: native where that gives what Python
    /// gives, else `None` and the caller runs the function itself.
    #[inline]
    pub(super) fn try_native<'py>(
        &self,
        py: Python<'py>,
        args: &[*mut ffi::PyObject],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.native_result(py, args) {
            Ok(result) => {
                bump(&self.native);
                self.convert(result).map(Some)
            }
            Err(reason) => {
                self.record(reason);
                Ok(None)
            }
        }
    }

    /// What the user asked a result to be made into; native and Python results alike.
    #[inline]
    pub(super) fn convert<'py>(&self, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.return_type {
            None => Ok(result),
            Some(return_type) => return_type.convert(result),
        }
    }

    /// A call that the caller runs as Python.
    #[cold]
    pub(super) fn record(&self, reason: Fallback) {
        bump(&self.python);
        if let Some(reason) = reason {
            let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
            *reasons.entry(reason).or_default() += 1;
        }
    }

    fn native_result<'py>(
        &self,
        py: Python<'py>,
        args: &[*mut ffi::PyObject],
    ) -> Result<Bound<'py, PyAny>, Fallback> {
        let Ok(program) = &self.program else {
            return Err(None);
        };
        if args.len() != program.params().len() || args.len() > MOST_PARAMS {
            return Err(Some(
                "the call does not give each parameter one positional argument".into(),
            ));
        }
        let mut words = [0_u64; MOST_PARAMS];
        let mut tags = [Type::I64; MOST_PARAMS];
        for (index, &arg) in args.iter().enumerate() {
            // SAFETY: the interpreter passes live objects.
            let (tag, word) = unsafe { scalar(arg) }
                .ok_or_else(|| Some(format!("argument {} is no scalar of 64 bits", index + 1)))?;
            (tags[index], words[index]) = (tag, word);
        }
        let known = self.specialized(py, program, &tags[..args.len()])?;
        let Ok(code) = &known.code else {
            return Err(None);
        };
        self.check(py, known)?;
        let mut result = 0;
        // SAFETY: `words` has one word for each parameter, of the type that `tags` says,
        // which is what the code was compiled for; `result` is a word.
        let status = unsafe { code.call_raw(words.as_ptr(), &raw mut result) };
        if status != 0 {
            let bailout = code.bailout(status);
            return Err(Some(
                bailout.map_or_else(|| "unknown guard".into(), |why| why.to_string()),
            ));
        }
        // SAFETY: the interpreter is attached; the constructors return a new reference, or
        // null with MemoryError set.
        let object =
            unsafe { Bound::from_owned_ptr_or_err(py, object(code.prototype().ret, result)) };
        object.map_err(|_| Some("out of memory".into()))
    }

    /// The code for these argument types, made if it is not there yet.
    #[inline]
    fn specialized(
        &self,
        py: Python<'_>,
        program: &Program,
        tags: &[Type],
    ) -> Result<&Specialization, Fallback> {
        for slot in &self.specializations {
            let known = slot.get().unwrap_or_else(|| {
                // Not `get_or_init`: resolving names may let go of the GIL, and a thread
                // that waited here with the GIL would never get out. Who is second throws
                // its own work away.
                let made = self.specialize(py, program, tags);
                drop(slot.set(made));
                slot.get().expect("it was set by this or another thread")
            });
            if known.tags == tags {
                return Ok(known);
            }
        }
        Err(Some(format!(
            "it was called with more than {MOST_SIGNATURES} signatures"
        )))
    }

    #[cold]
    fn specialize(&self, py: Python<'_>, program: &Program, tags: &[Type]) -> Specialization {
        let resolved =
            Scope::of(self.function.bind(py)).and_then(|scope| scope.resolve(program.free_names()));
        // Where names cannot be looked up as Python does it, none is known: the compiler
        // refuses the first that it meets.
        let (env, assumptions) = resolved.unwrap_or_default();
        let signature = Signature::new(tags);
        let code = on_own_stack(|| match CraneliftCompiler::new() {
            Ok(compiler) => program.compile(&compiler, &signature, &env),
            Err(_) => program.compile(&iris::jit::Interpreter, &signature, &env),
        });
        Specialization {
            tags: tags.to_vec(),
            code,
            assumptions,
        }
    }

    /// Whether all that the code took for granted still holds.
    #[inline]
    fn check(&self, py: Python<'_>, known: &Specialization) -> Result<(), Fallback> {
        if !self.same_code(py) {
            return Err(Some("the function's __code__ was replaced".into()));
        }
        match known
            .assumptions
            .iter()
            .find(|assumption| !assumption.holds(py))
        {
            None => Ok(()),
            Some(broken) => Err(Some(format!("{} was bound again", broken.name(py)))),
        }
    }

    #[inline]
    fn same_code(&self, py: Python<'_>) -> bool {
        #[cfg(not(feature = "abi3"))]
        {
            let _ = py;
            // SAFETY: `function` is a function object, which `iris.offload` checks.
            let now = unsafe { ffi::PyFunction_GetCode(self.function.as_ptr()) };
            std::ptr::eq(now, self.code_object.as_ptr())
        }
        #[cfg(feature = "abi3")]
        {
            let now = self.function.bind(py).getattr("__code__");
            now.is_ok_and(|now| now.is(&self.code_object))
        }
    }

    fn known(&self) -> impl Iterator<Item = &Specialization> {
        self.specializations.iter().map_while(OnceLock::get)
    }
}

/// Runs `work`, which asks nothing of Python, on a thread with a stack of its own: the
/// parser and the compiler recurse, and a thread of Python's may have as little as 32 KiB.
fn on_own_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK_BYTES: usize = 16 << 20;
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("iris-jit".to_owned())
            .stack_size(STACK_BYTES);
        let worker = worker
            .spawn_scoped(scope, work)
            .expect("the system has a thread to give");
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Counts a call. The GIL keeps other writers out, so this is no read-modify-write.
#[inline]
fn bump(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// The type and the bits of an exact `float`, `int` of 64 bits or `bool`.
///
/// # Safety
///
/// `value` is a live object and the interpreter is attached.
#[inline]
unsafe fn scalar(value: *mut ffi::PyObject) -> Option<(Type, u64)> {
    // SAFETY: the caller's promise covers all calls; the exact type is checked before each
    // access that relies on it.
    unsafe {
        if ffi::PyFloat_CheckExact(value) != 0 {
            return Some((Type::F64, ffi::PyFloat_AsDouble(value).to_bits()));
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

/// A new reference to the object that a result stands for, or null with an exception set.
///
/// # Safety
///
/// The interpreter is attached.
#[inline]
unsafe fn object(ty: Type, word: u64) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        match ty {
            Type::F64 => ffi::PyFloat_FromDouble(f64::from_bits(word)),
            Type::I64 => ffi::PyLong_FromLongLong(word.cast_signed()),
            Type::Bool => ffi::PyBool_FromLong(c_long::from(word != 0)),
        }
    }
}
