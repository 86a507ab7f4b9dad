//! Lets test binaries find the interpreter's own libpython, and extension modules leave
//! its symbols open where the platform wants that said.

fn main() {
    // Some of what is called is only in newer interpreters.
    pyo3_build_config::use_pyo3_cfgs();
    pyo3_build_config::add_extension_module_link_args();
}
