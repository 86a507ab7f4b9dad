//! The Python functions that a function calls.

use std::sync::Arc;

use iris::offload::{Binding, Helper, Program, Refusal};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyTuple};

use super::names::{Assumption, Scope, is_python_function};
use super::stack::with_room;

/// Most calls in each other; a recursion ends here.
const MOST_DEPTH: usize = 8;

/// A function written in Python, with what its own names mean, or why it is not compiled; `None`
/// for anything else.
pub(crate) fn read(
    value: &Bound<'_, PyAny>,
    depth: usize,
    assumptions: &mut Vec<Assumption>,
) -> PyResult<Option<Binding>> {
    let py = value.py();
    let Some((function, jit_names)) = plain(value)? else {
        return Ok(None);
    };
    let (source, first_line, refusal) = py
        .import("iris._offload")?
        .getattr("_read")?
        .call1((original(&function)?,))?
        .extract::<(String, u32, Option<String>)>()?;
    let code = function.getattr("__code__")?;
    let name = code.getattr("co_name")?.extract::<String>()?;
    let refusal = if depth == MOST_DEPTH {
        Some("a recursion through another function, or too many calls in each other".to_owned())
    } else {
        refusal
    };
    let program = match refusal {
        Some(reason) => Err(Refusal::of_whole(reason, "compute it in the caller")),
        None => with_room(false, || Program::parse(&source, &name, first_line)),
    };
    let program = match program {
        Ok(program) => program,
        Err(why) => {
            let why = Box::new(why);
            return Ok(Some(Binding::Uncompiled { name, why }));
        }
    };
    let defaults = function.getattr("__defaults__")?;
    assumptions.push(Assumption::Function {
        function: function.clone().unbind(),
        code: code.unbind(),
        defaults: defaults.clone().unbind(),
    });
    let scope = Scope::of(&original(&function)?, &jit_names)?;
    let (env, more) = scope.resolve(program.free_names(), depth + 1)?;
    assumptions.extend(more);
    let defaults = match defaults.cast_into::<PyTuple>() {
        Ok(values) => values.iter().map(|value| number(&value)).collect(),
        Err(_) => Vec::new(),
    };
    Ok(Some(Binding::Function(Arc::new(Helper {
        program,
        env,
        defaults,
    }))))
}

/// Whether a value is a function, or that function offloaded.
pub(crate) fn is_itself(value: &Bound<'_, PyAny>, function: &Bound<'_, PyAny>) -> PyResult<bool> {
    match plain(value)? {
        Some((plain, _)) => Ok(original(&plain)?.is(function)),
        None => Ok(false),
    }
}

/// The plain function behind a value, and the names in it that mean those of `iris.jit`.
fn plain<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<(Bound<'py, PyAny>, Vec<String>)>> {
    if is_python_function(value)? {
        return Ok(Some((value.clone(), Vec::new())));
    }
    let class = super::callable::offloaded_type(value.py())?;
    if !value.is_exact_instance(&class) {
        return Ok(None);
    }
    // One that converts its results is more than its function.
    if value.getattr("_return_type")?.is_none() {
        let names = value.getattr("_jit_names")?.extract()?;
        return Ok(Some((value.getattr("py")?, names)));
    }
    Ok(None)
}

/// The function that was written, of one that `iris.offload` has rewritten.
pub(crate) fn original<'py>(function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let written = function.getattr_opt("__iris_original__")?;
    Ok(written.unwrap_or_else(|| function.clone()))
}

fn number(value: &Bound<'_, PyAny>) -> Binding {
    if let Ok(value) = value.cast_exact::<PyBool>() {
        return Binding::Bool(value.is_true());
    }
    if let Ok(value) = value.cast_exact::<PyFloat>() {
        return Binding::Float(value.value());
    }
    if value.is_exact_instance_of::<PyInt>()
        && let Ok(value) = value.extract::<i64>()
    {
        return Binding::Int(value);
    }
    Binding::Other(crate::error::type_name(value))
}
