//! The Python functions that a function calls.

use std::sync::Arc;

use iris::offload::{Binding, Helper, Program, Refusal};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyTuple};

use super::names::{Assumption, Scope, entry, is_python_function, plain_dict};
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
        Some(reason) if depth == MOST_DEPTH => {
            let mend = "write it as a loop, or as one function that calls itself";
            Err(Refusal::of_whole(reason, mend))
        }
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
    let keyword_defaults = keyword_defaults(&function, &program, assumptions)?;
    let scope = Scope::of(&original(&function)?, &jit_names)?;
    let (env, more) = scope.resolve(program.free_names(), depth + 1)?;
    assumptions.extend(more);
    let defaults = match defaults.cast_into::<PyTuple>() {
        Ok(values) => values.iter().map(|value| constant(&value)).collect(),
        Err(_) => Vec::new(),
    };
    Ok(Some(Binding::Function(Arc::new(Helper {
        program,
        env,
        defaults,
        keyword_defaults,
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

/// The defaults of parameters that can be given by name only: what the function's dict of them has
/// now, which may change in place.
fn keyword_defaults(
    function: &Bound<'_, PyAny>,
    program: &Program,
    assumptions: &mut Vec<Assumption>,
) -> PyResult<Vec<(String, Binding)>> {
    if program.keyword_only() == 0 {
        return Ok(Vec::new());
    }
    let dict = function.getattr("__kwdefaults__")?;
    assumptions.push(Assumption::KeywordDefaults {
        function: function.clone().unbind(),
        dict: dict.clone().unbind(),
    });
    if dict.is_none() {
        return Ok(Vec::new());
    }
    let dict = plain_dict(dict)?;
    let names = &program.params()[program.params().len() - program.keyword_only()..];
    let mut defaults = Vec::new();
    for name in names {
        if let Some(value) = entry(&dict, name, assumptions)? {
            defaults.push((name.clone(), constant(&value)));
        }
    }
    Ok(defaults)
}

/// A value that compiled code may hold: a number, `None`, or a short tuple of them.
pub(crate) fn constant(value: &Bound<'_, PyAny>) -> Binding {
    /// Most items of a tuple: each is a constant in the code.
    const MOST_ITEMS: usize = 256;
    if value.is_none() {
        return Binding::None;
    }
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
    if let Ok(tuple) = value.cast_exact::<PyTuple>()
        && tuple.len() <= MOST_ITEMS
    {
        let items: Vec<_> = tuple.iter().map(|item| scalar(&item)).collect();
        if items.iter().all(|item| !matches!(item, Binding::Other(_))) {
            return Binding::Tuple(items.into());
        }
    }
    Binding::Other(crate::error::type_name(value))
}

/// An item of a tuple: no tuple itself.
fn scalar(value: &Bound<'_, PyAny>) -> Binding {
    match constant(value) {
        Binding::Tuple(_) => Binding::Other(crate::error::type_name(value)),
        scalar => scalar,
    }
}
