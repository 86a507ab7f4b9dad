//! One function's compiled code, by call signature, and the rules for using it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use iris::jit::NativeCompiler;
use iris::offload::{Compiled, Env, Program, Refusal, Signature, Type, explain};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::buffer::{Buffer, Flavor};
use super::invoke::{
    End, Given, Map, Place, call_on_arrays, flattened, given, mapped, run, scalar,
};
use super::names::{Assumption, Scope};
use super::premises::Premises;
use super::quantum::{Recipe, Speculation, Trial};
use super::stack::{SMALL_SOURCE, with_room};
use super::{helper, numpy, placed, quantum, running};

/// Arguments that fit into a call's own stack frame; functions with more run as Python.
const MOST_PARAMS: usize = 16;

/// Signatures that one function is compiled for; calls with further ones run as Python.
const MOST_SIGNATURES: usize = 16;

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

    /// The results of a map, each converted.
    #[cold]
    fn convert_array(self, results: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
        let module = results.py().import("iris._offload")?;
        module.getattr("_converted")?.call1((results, self.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Int => "int",
            Self::Bool => "bool",
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
    /// Types of the arguments that are not `None`.
    tags: Vec<Type>,
    /// Which are `None`, as a set of bits.
    nones: u32,
    code: Result<Compiled, Refusal>,
    premises: Premises,
    /// Made by the first call that may choose; `None` if there is but one variant.
    speculation: OnceLock<Option<Speculation>>,
}

/// A function, its code for each signature, and a record of why calls ran as Python.
#[pyclass(module = "iris._iris", frozen)]
pub(crate) struct Kernel {
    function: Py<PyAny>,
    /// The function's code object when it was read; another one is another function.
    code_object: Py<PyAny>,
    source: String,
    program: Result<Program, String>,
    /// Names that mean those of `iris.jit`, since nothing bound them when the function was made.
    jit_names: Vec<String>,
    return_type: Option<ReturnType>,
    /// Whether native workers run it, for callers that wait.
    pooled: bool,
    /// Whether the last bits of floats do not matter.
    fast_math: bool,
    /// Filled from the left. A hit is an atomic load and a compare, with no lock.
    specializations: [OnceLock<Specialization>; MOST_SIGNATURES],
    native: AtomicU64,
    python: AtomicU64,
    reasons: Mutex<BTreeMap<String, u64>>,
}

/// Why a call gives no native result.
pub(super) enum Miss {
    /// It is to run as Python; without a reason if that is on record already.
    Python(Option<String>),
    /// A map is to run as Python, one element after the other.
    Elements(String),
    /// The handler of a signal has raised.
    Raised(PyErr),
}

impl Miss {
    pub(super) fn python(reason: impl Into<String>) -> Self {
        Self::Python(Some(reason.into()))
    }
}

#[pymethods]
impl Kernel {
    /// A kernel for `function`, whose `source` begins in `first_line`; `refusal` says why
    /// the source cannot be used.
    #[new]
    #[pyo3(signature = (function, name, source, first_line, refusal, return_type, jit_names, pooled=false, fast_math=false))]
    #[expect(clippy::too_many_arguments, reason = "one caller, which names them")]
    fn new(
        function: &Bound<'_, PyAny>,
        name: &str,
        source: String,
        first_line: u32,
        refusal: Option<String>,
        return_type: Option<&str>,
        jit_names: Vec<String>,
        pooled: bool,
        fast_math: bool,
    ) -> PyResult<Self> {
        let program = match refusal {
            Some(reason) => Err(format!("{name} runs as Python: {reason}\n")),
            None => with_room(source.len() <= SMALL_SOURCE, || {
                Program::parse(&source, name, first_line)
            })
            .map_err(|refusal| format!("{name} runs as Python\n{}", refusal.render(&source))),
        };
        Ok(Self {
            code_object: function.getattr("__code__")?.unbind(),
            function: function.clone().unbind(),
            source,
            program,
            jit_names,
            return_type: return_type.map(ReturnType::parse).transpose()?,
            pooled,
            fast_math,
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
            out += &self.lines(program, known);
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
        self.known()
            .try_for_each(|known| known.premises.traverse(&visit))
    }

    /// Names that mean those of `iris.jit`.
    #[getter]
    fn _jit_names(&self) -> Vec<String> {
        self.jit_names.clone()
    }

    /// The type that results are converted to.
    #[getter]
    fn _return_type(&self) -> Option<&'static str> {
        self.return_type.map(ReturnType::name)
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
            Err(miss) => self.missed(py, args, miss),
        }
    }

    #[cold]
    fn missed<'py>(
        &self,
        py: Python<'py>,
        args: &[*mut ffi::PyObject],
        miss: Miss,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match miss {
            Miss::Python(reason) => {
                self.record(reason);
                Ok(None)
            }
            Miss::Raised(error) => {
                bump(&self.native);
                Err(error)
            }
            Miss::Elements(reason) => {
                self.record(Some(reason));
                // SAFETY: the interpreter passes live objects.
                let args = args
                    .iter()
                    .map(|&arg| unsafe { Bound::from_borrowed_ptr(py, arg) });
                let args = PyTuple::new(py, args.collect::<Vec<_>>())?;
                let named = self.keyword_only(args.len());
                let elementwise = py.import("iris._offload")?.getattr("_elementwise")?;
                elementwise
                    .call1((self.function.bind(py), args, named))
                    .and_then(|result| self.convert(result))
                    .map(Some)
            }
        }
    }

    /// A call by names, and perhaps with a place for the results of a map.
    pub(super) fn try_keywords<'py>(
        &self,
        py: Python<'py>,
        args: &[*mut ffi::PyObject],
        keywords: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(program) = &self.program else {
            self.record(None);
            return Ok(None);
        };
        let named = match placed::by_name(self.function.bind(py), program, args, keywords)? {
            Ok(named) => named,
            Err(miss) => return self.missed(py, &[], miss),
        };
        let args = &named.placed.args;
        match named.out {
            None => self.try_all(py, program, args),
            Some(out) => self.try_into_out(py, program, args, out),
        }
    }

    /// A call with an argument for each parameter.
    fn try_all<'py>(
        &self,
        py: Python<'py>,
        program: &Program,
        args: &[*mut ffi::PyObject],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.native_of_all(py, program, args) {
            Ok(result) => {
                bump(&self.native);
                self.convert(result).map(Some)
            }
            Err(miss) => self.missed(py, args, miss),
        }
    }

    fn try_into_out<'py>(
        &self,
        py: Python<'py>,
        program: &Program,
        args: &[*mut ffi::PyObject],
        out: *mut ffi::PyObject,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let array = |&arg: &*mut ffi::PyObject| {
            // SAFETY: the interpreter passes live objects.
            let object = unsafe { Bound::from_borrowed_ptr(py, arg) };
            Buffer::of(&object).is_some()
        };
        if !args.iter().any(array) {
            self.record(Some("out= without an array among the arguments".to_owned()));
            return Ok(None);
        }
        let Some(results) = self.try_all(py, program, args)? else {
            return Ok(None);
        };
        // SAFETY: as above.
        let out = unsafe { Bound::from_borrowed_ptr(py, out) };
        let into = py.import("iris._offload")?.getattr("_into")?;
        into.call1((out, results)).map(Some)
    }

    /// What the user asked a result to be made into; native and Python results alike.
    #[inline]
    pub(super) fn convert<'py>(&self, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.return_type {
            None => Ok(result),
            Some(return_type) => {
                let array = Buffer::of(&result).is_some();
                if array {
                    return_type.convert_array(result)
                } else {
                    return_type.convert(result)
                }
            }
        }
    }

    /// A call that the caller runs as Python.
    #[cold]
    pub(super) fn record(&self, reason: Option<String>) {
        bump(&self.python);
        if let Some(reason) = reason {
            let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
            *reasons.entry(reason).or_default() += 1;
        }
    }

    /// Names of the parameters that take the last of so many arguments by name only: of a call by
    /// position, none.
    fn keyword_only(&self, args: usize) -> &[String] {
        match &self.program {
            Ok(program) if program.params().len() == args => {
                &program.params()[args - program.keyword_only()..]
            }
            _ => &[],
        }
    }

    fn native_result<'py>(
        &self,
        py: Python<'py>,
        args: &[*mut ffi::PyObject],
    ) -> Result<Bound<'py, PyAny>, Miss> {
        let Ok(program) = &self.program else {
            return Err(Miss::Python(None));
        };
        if args.len() != program.params().len() || program.keyword_only() > 0 {
            let placed = placed::by_position(self.function.bind(py), program, args)?;
            return self.native_of_all(py, program, &placed.args);
        }
        self.native_of_all(py, program, args)
    }

    /// A call with an argument for each parameter.
    #[inline]
    fn native_of_all<'py>(
        &self,
        py: Python<'py>,
        program: &Program,
        args: &[*mut ffi::PyObject],
    ) -> Result<Bound<'py, PyAny>, Miss> {
        if args.len() > MOST_PARAMS {
            return Err(Miss::python(format!(
                "the function has more than {MOST_PARAMS} parameters"
            )));
        }
        let mut words = [0_u64; MOST_PARAMS + 2];
        let mut tags = [Type::I64; MOST_PARAMS];
        let (mut count, mut nones) = (0, 0_u32);
        for (index, &arg) in args.iter().enumerate() {
            // SAFETY: the interpreter passes live objects.
            let Some((tag, word)) = (unsafe { scalar(arg) }) else {
                if is_none(arg) {
                    nones |= 1 << index;
                    continue;
                }
                return self.with_arrays(py, program, args);
            };
            (tags[count], words[count]) = (tag, word);
            count += 1;
        }
        let known = self.specialized(py, program, &tags[..count], nones)?;
        let Ok(code) = &known.code else {
            return Err(Miss::Python(None));
        };
        self.check(py, known)?;
        if code.is_recursive() {
            words[count] = running::recursion_depth(py)
                .map_err(|_| Miss::python("the depth of the stack is not known"))?;
            words[count + 1] = running::stack_floor();
        }
        // SAFETY: `words` has one word for each parameter, of the type that `tags` says,
        // which is what the code was compiled for, and the bounds of a recursion.
        match unsafe { run(py, code, &words, self.place(true)) } {
            Ok(result) => Ok(result),
            Err(End::Bailout(bailout)) => Err(Miss::python(bailout.to_string())),
            Err(End::Other(miss)) => Err(miss),
        }
    }

    /// A call with arrays among its arguments.
    fn with_arrays<'py>(
        &self,
        py: Python<'py>,
        program: &Program,
        args: &[*mut ffi::PyObject],
    ) -> Result<Bound<'py, PyAny>, Miss> {
        let taken: Vec<_> = args.iter().copied().filter(|&arg| !is_none(arg)).collect();
        let nones = args.iter().enumerate().filter(|(_, arg)| is_none(**arg));
        let nones = nones.fold(0, |bits, (index, _)| bits | 1 << index);
        let mut given = given(py, args)?;
        let mut tags: Vec<Type> = given.iter().map(Given::tag).collect();
        let mut plane = None;
        if self.is_plane_map(program, &tags, nones) {
            plane = Some(flattened(py, &taken, &mut given)?);
            tags = given.iter().map(Given::tag).collect();
        }
        let known = self.specialized(py, program, &tags, nones)?;
        let Ok(code) = &known.code else {
            return Err(Miss::Python(None));
        };
        let buffers = || {
            given.iter().filter_map(|given| match given {
                Given::Scalar(..) | Given::Sequence(_) => None,
                Given::Array(buffer) => Some(buffer),
            })
        };
        let of_numpy = buffers().any(|buffer| buffer.flavor() == Flavor::Numpy);
        let out = code.prototype().params.get(given.len());
        if of_numpy && out.is_none() {
            // It may run code of Python's, hence before what the code took for granted is checked.
            numpy::check(py, &given)?;
        }
        self.check(py, known)?;
        if let Some(Type::Array(out)) = out {
            if given.iter().any(Given::is_sequence) {
                return Err(Miss::python(
                    "the function computes with a list or tuple as a whole (mend: for a result for \
                     each element pass array.array)",
                ));
            }
            let len = buffers().next().map_or(0, |buffer| buffer.shape()[0]);
            if buffers().any(|buffer| buffer.shape()[0] != len) {
                return Err(Miss::python("arrays of different lengths"));
            }
            let row = [len];
            let call = Map {
                elem: out.elem,
                shape: plane.as_ref().map_or(&row[..], |plane| &plane[..]),
                flavor: if of_numpy {
                    Flavor::Numpy
                } else {
                    Flavor::Plain
                },
                place: self.place(true),
            };
            let trial = self.trial(py, program, known, len);
            let code = trial.as_ref().map_or(code, Trial::code);
            let (result, took) = mapped(py, code, &given, &call)?;
            if let Some(trial) = trial {
                trial.end(took);
            }
            return result;
        }
        call_on_arrays(py, code, &given, self.pooled)
    }

    /// Whether a call is a map over arrays of two dimensions.
    fn is_plane_map(&self, program: &Program, tags: &[Type], nones: u32) -> bool {
        let plane = |tag: &Type| tag.array().is_some_and(|array| array.ndim == 2);
        // Code for two dimensions is that of a function that indexes them.
        let indexes = || {
            self.known()
                .any(|known| known.tags == tags && known.nones == nones && known.code.is_ok())
        };
        let is_map = || {
            let signature = Signature::new(tags);
            match nones {
                0 => program.is_map(&signature),
                _ => program.with_nones(nones).is_map(&signature),
            }
        };
        tags.iter().any(plane) && !indexes() && is_map()
    }

    /// The variant that a map of so many elements is to run, if there are several.
    fn trial<'a>(
        &self,
        py: Python<'_>,
        program: &Program,
        known: &'a Specialization,
        len: usize,
    ) -> Option<Trial<'a>> {
        if self.pooled || !quantum::enabled() {
            return None;
        }
        let speculation = known.speculation.get().or_else(|| {
            let code = known.code.as_ref().ok()?;
            let made = Speculation::of(code, || Recipe {
                program: program.with_nones(known.nones),
                signature: Signature::new(&known.tags[..]),
                env: self.environment(py, program).0,
            });
            // As in `specialized`: names may let go of the GIL.
            drop(known.speculation.set(made));
            known.speculation.get()
        });
        Some(speculation?.as_ref()?.trial(len))
    }

    fn place(&self, may_release: bool) -> Place {
        if self.pooled {
            Place::Worker
        } else {
            Place::Here { may_release }
        }
    }

    /// The code for these argument types, made if it is not there yet.
    #[inline]
    fn specialized(
        &self,
        py: Python<'_>,
        program: &Program,
        tags: &[Type],
        nones: u32,
    ) -> Result<&Specialization, Miss> {
        for slot in &self.specializations {
            let known = slot.get().unwrap_or_else(|| {
                // Not `get_or_init`: resolving names may let go of the GIL, and a thread
                // that waited here with the GIL would never get out. Who is second throws
                // its own work away.
                let made = self.specialize(py, program, tags, nones);
                drop(slot.set(made));
                slot.get().expect("it was set by this or another thread")
            });
            if known.tags == tags && known.nones == nones {
                return Ok(known);
            }
        }
        Err(Miss::python(format!(
            "it was called with more than {MOST_SIGNATURES} signatures"
        )))
    }

    #[cold]
    fn specialize(
        &self,
        py: Python<'_>,
        program: &Program,
        tags: &[Type],
        nones: u32,
    ) -> Specialization {
        let with_nones;
        let mut program = program;
        if nones != 0 {
            with_nones = program.with_nones(nones);
            program = &with_nones;
        }
        let (env, assumptions) = self.environment(py, program);
        let signature = Signature::new(tags);
        let small = self.source.len() <= SMALL_SOURCE && !env.has_helpers();
        let code = with_room(small, || match NativeCompiler::new() {
            Ok(compiler) => program.compile(&compiler, &signature, &env),
            Err(_) => program.compile(&iris::jit::Interpreter, &signature, &env),
        });
        let made = Specialization {
            tags: tags.to_vec(),
            nones,
            code,
            premises: Premises::new(py, assumptions),
            speculation: OnceLock::new(),
        };
        log(py, &self.lines(program, &made));
        made
    }

    /// What the function's names stand for now. Where they cannot be looked up as Python does it,
    /// none is known: the compiler refuses the first that it meets.
    fn environment(&self, py: Python<'_>, program: &Program) -> (Env, Vec<Assumption>) {
        let (mut env, assumptions) = helper::original(self.function.bind(py))
            .and_then(|function| Scope::of(&function, &self.jit_names))
            .and_then(|scope| scope.resolve(program.free_names(), 0))
            .unwrap_or_default();
        env.fast_math = self.fast_math;
        (env, assumptions)
    }

    /// What became of one signature.
    fn lines(&self, program: &Program, known: &Specialization) -> String {
        let mut lines = self.lines_of_types(program, known);
        let params = program.params().iter().enumerate();
        for (_, name) in params.filter(|(index, _)| known.nones >> index & 1 == 1) {
            lines.extend(["  with ", name, " = None\n"]);
        }
        lines
    }

    fn lines_of_types(&self, program: &Program, known: &Specialization) -> String {
        match &known.code {
            Ok(compiled) => {
                let mut lines = explain::compiled(compiled);
                if self.fast_math {
                    lines += "  fast math: the last bits of floats may differ from Python's\n";
                }
                if let Some(Some(speculation)) = known.speculation.get() {
                    lines += &speculation.lines();
                }
                lines
            }
            Err(refusal) => {
                let signature = Signature::new(known.tags.clone());
                explain::refused(program.name(), Some(&signature), refusal, &self.source)
            }
        }
    }

    /// Whether all that the code took for granted still holds.
    #[inline]
    fn check(&self, py: Python<'_>, known: &Specialization) -> Result<(), Miss> {
        if !self.same_code(py) {
            return Err(Miss::python("the function's __code__ was replaced"));
        }
        match known.premises.broken(py) {
            None => Ok(()),
            Some(broken) => Err(Miss::python(format!("{} was bound again", broken.name(py)))),
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

/// Logs a compilation, if the user wants that. A log that fails must not fail the call.
fn log(py: Python<'_>, lines: &str) {
    let logged = py
        .import("iris._jit_log")
        .and_then(|module| module.getattr("_compiled")?.call1((lines,)));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

#[inline]
fn is_none(value: *mut ffi::PyObject) -> bool {
    // SAFETY: `None` lives for ever; it is only compared with.
    std::ptr::eq(value, unsafe { ffi::Py_None() })
}

/// Counts a call. The GIL keeps other writers out, so this is no read-modify-write.
#[inline]
fn bump(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
