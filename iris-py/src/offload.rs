//! Compiled functions as Python objects.
//!
//! `iris.offload` (in `iris/_offload.py`) reads and checks a function's source; a
//! [`kernel::Kernel`] compiles it for each signature that it is called with and knows
//! when the code may be used, [`invoke`] calls it; a [`callable`] is what users hold and call.
//! [`premises`] are what code took for granted, [`buffer`] lends arrays to a call, [`sequence`] lists
//! and tuples, [`running`] keeps a long one interruptible, [`pool`] has the workers of
//! `strategy="actor"`, [`quantum`] chooses among variants of a map, [`helper`] finds the functions
//! that a function calls, [`stack`] has room for the compiler, and [`result`] makes Python objects of what comes back.

mod buffer;
mod callable;
mod helper;
mod invoke;
mod kernel;
mod names;
mod numpy;
mod placed;
mod pool;
mod premises;
mod quantum;
mod result;
mod running;
mod sequence;
mod stack;

use pyo3::prelude::*;

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    running::set_hook();
    module.add_class::<kernel::Kernel>()?;
    module.add("_ITERATION_CAP", iris::offload::lower::ITERATION_CAP)?;
    module.add_function(wrap_pyfunction!(callable::offloaded, module)?)?;
    module.add_function(wrap_pyfunction!(quantum::set_quantum, module)?)?;
    module.add("OffloadedFunction", callable::offloaded_type(module.py())?)
}
