//! Noticing that the process was forked.
//!
//! Only the thread that called `fork` lives on in the child, so a runtime made before has
//! lost all its threads there: whatever it were asked to do would wait for ever or be lost.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

/// How many forks lie between this process and the one that loaded the module. A global,
/// since `fork` concerns the process and not one runtime.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Called by `os.register_at_fork` in each child.
#[pyfunction]
#[pyo3(name = "_after_fork_in_child")]
pub(crate) fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    iris::forget_current_pid();
}

/// Something of which each process has one, made when it is first needed: a child begins with a
/// new one, since the locks of the old may be held for ever by threads that did not come along.
pub(crate) struct PerProcess<T> {
    made: AtomicPtr<Made<T>>,
    make: fn() -> T,
}

struct Made<T> {
    born: Birthplace,
    value: T,
}

impl<T: Sync + Send + 'static> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Self {
            made: AtomicPtr::new(ptr::null_mut()),
            make,
        }
    }

    /// The one of this process. It lives for ever.
    pub(crate) fn get(&self) -> &'static T {
        loop {
            let found = self.made.load(Ordering::Acquire);
            // SAFETY: what is stored was leaked below, and is only read from then on.
            if let Some(made) = unsafe { found.as_ref() }
                && made.born.is_here()
            {
                return &made.value;
            }
            let new = Box::into_raw(Box::new(Made {
                born: Birthplace::here(),
                value: (self.make)(),
            }));
            let stored =
                self.made
                    .compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire);
            if stored.is_err() {
                // SAFETY: it was made above and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }
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

/// Ends a child that a handler has forked and in which that handler has returned.
///
/// The thread that it is on was the lane's; to go on would be to handle messages that are
/// the parent's. As a thread's end is the end of such a process, so is the handler's: with
/// the status of a `SystemExit`, or 1 and a traceback for other exceptions.
pub(crate) fn leave_child(py: Python<'_>, raised: Option<PyErr>) -> ! {
    let status = raised.map_or(0, |raised| {
        if raised.is_instance_of::<PySystemExit>(py) {
            let code = raised.value(py).getattr("code");
            code.map_or(1, |code| {
                if code.is_none() {
                    0
                } else {
                    code.extract().unwrap_or(1)
                }
            })
        } else {
            raised.print(py);
            1
        }
    });
    let left = py.import("sys").and_then(|sys| {
        for stream in ["stdout", "stderr"] {
            sys.getattr(stream)?.call_method0("flush")?;
        }
        Ok(())
    });
    drop(left);
    drop(
        py.import("os")
            .and_then(|os| os.call_method1("_exit", (status,))),
    );
    std::process::abort()
}
