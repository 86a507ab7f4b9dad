//! The arguments of a call in the order of the parameters, defaults among them.

use iris::offload::Program;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::kernel::Miss;

/// One argument for each parameter: borrowed from the caller, or from the function's defaults, which
/// the last field keeps alive.
pub(super) struct Placed<'py> {
    pub(super) args: Vec<*mut ffi::PyObject>,
    _defaults: Vec<Bound<'py, PyAny>>,
}

/// What a call by names is.
pub(super) struct Named<'py> {
    pub(super) placed: Placed<'py>,
    /// What is given as `out` where no parameter has that name.
    pub(super) out: Option<*mut ffi::PyObject>,
}

/// The arguments of a call by position.
pub(super) fn by_position<'py>(
    function: &Bound<'py, PyAny>,
    program: &Program,
    args: &[*mut ffi::PyObject],
) -> Result<Placed<'py>, Miss> {
    let params = program.params().len();
    if args.len() > params - program.keyword_only() {
        return Err(Miss::python(
            "the call gives more arguments than there are parameters",
        ));
    }
    let mut placed = args.to_vec();
    placed.resize(params, std::ptr::null_mut());
    filled(function, program, placed)
}

/// The arguments of a call with `keywords`, whose values are the last of `args`.
pub(super) fn by_name<'py>(
    function: &Bound<'py, PyAny>,
    program: &Program,
    args: &[*mut ffi::PyObject],
    keywords: &Bound<'py, PyTuple>,
) -> PyResult<Result<Named<'py>, Miss>> {
    let (params, count) = (program.params(), args.len() - keywords.len());
    let mismatch = || Miss::python("the call's arguments are not those of the parameters");
    if count > params.len() - program.keyword_only() {
        return Ok(Err(mismatch()));
    }
    let mut placed = args[..count].to_vec();
    placed.resize(params.len(), std::ptr::null_mut());
    let mut out = None;
    for (keyword, &arg) in keywords.iter().zip(&args[count..]) {
        let name = keyword.extract::<String>()?;
        match params.iter().position(|param| *param == name) {
            Some(at) if at >= program.positional_only() && placed[at].is_null() => {
                placed[at] = arg;
            }
            None if name == "out" => out = Some(arg),
            _ => return Ok(Err(mismatch())),
        }
    }
    Ok(filled(function, program, placed).map(|placed| Named { placed, out }))
}

/// Adds the defaults where there is no argument.
fn filled<'py>(
    function: &Bound<'py, PyAny>,
    program: &Program,
    mut args: Vec<*mut ffi::PyObject>,
) -> Result<Placed<'py>, Miss> {
    let mut defaults = Vec::new();
    for (place, arg) in args.iter_mut().enumerate() {
        if arg.is_null() {
            let missing = || Miss::python("the call does not give each parameter an argument");
            let value = default(function, program, place).ok_or_else(missing)?;
            *arg = value.as_ptr();
            defaults.push(value);
        }
    }
    Ok(Placed {
        args,
        _defaults: defaults,
    })
}

/// What a parameter is where a call does not give it.
fn default<'py>(
    function: &Bound<'py, PyAny>,
    program: &Program,
    place: usize,
) -> Option<Bound<'py, PyAny>> {
    let positional = program.params().len() - program.keyword_only();
    if place >= positional {
        let defaults = function.getattr("__kwdefaults__").ok()?;
        let defaults = defaults.cast_into_exact::<PyDict>().ok()?;
        return defaults.get_item(&program.params()[place]).ok()?;
    }
    let defaults = function.getattr("__defaults__").ok()?;
    let defaults = defaults.cast_into::<PyTuple>().ok()?;
    let first = positional.checked_sub(defaults.len())?;
    defaults.get_item(place.checked_sub(first)?).ok()
}
