//! Lets test binaries find the interpreter's own libpython, and extension modules leave
//! its symbols open where the platform wants that said.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
