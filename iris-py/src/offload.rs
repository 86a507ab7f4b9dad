//! Compiled functions as Python objects.
//!
//! `iris.offload` (in `iris/_offload.py`) reads and checks a function's source; a
//! [`kernel::Kernel`] compiles it for each signature that it is called with and knows
//! when the code may be used; a [`callable`] is what users hold and call.

mod callable;
mod kernel;
mod names;

use pyo3::prelude::*;

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<kernel::Kernel>()?;
    module.add_function(wrap_pyfunction!(callable::offloaded, module)?)?;
    module.add("OffloadedFunction", callable::offloaded_type(module.py())?)
}
