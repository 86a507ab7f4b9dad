//! What `python -m iris doctor` asks of this machine.

use pyo3::prelude::*;

/// Vector extensions of this processor, by the names that compilers use.
#[pyfunction]
#[pyo3(name = "_cpu_features")]
pub(crate) fn cpu_features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look {
            ($($name:tt),*) => {
                $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })*
            };
        }
        look!(
            "sse4.1", "sse4.2", "avx", "avx2", "fma", "bmi2", "avx512f", "avx512dq"
        );
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! look {
            ($($name:tt),*) => {
                $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })*
            };
        }
        look!("neon", "fp16", "sve", "sve2");
    }
    found
}
