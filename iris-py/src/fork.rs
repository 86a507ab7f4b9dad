//! Noticing that the process was forked.
//!
//! Only the thread that called `fork` lives on in the child, so a runtime made before has
//! lost all its threads there: whatever it were asked to do would wait for ever or be lost.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

/// How many forks lie between this process and the one that loaded the module. A global,
/// since `fork` concerns the process and not one runtime.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Called by `os.register_at_fork` in each child.
#[pyfunction]
#[pyo3(name = "_after_fork_in_child")]
pub(crate) fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The process, as far as forks are concerned, that something was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birthplace(u64);

impl Birthplace {
    pub(crate) fn here() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is still that process.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}
