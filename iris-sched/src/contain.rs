//! Code of users that runs where nobody expects it: while something of theirs is dropped.

use std::any::Any;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};

use iris_core::{Failure, Pid};

/// Drops what belongs to users; a panic is logged and goes no further.
pub(crate) fn drop_contained<T>(pid: Pid, value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        tracing::error!(pid = pid.raw(), failure = %failure(payload), "a panic in a drop");
    }
}

/// The failure that a caught panic stands for. What was thrown is the user's, too, and may
/// panic when it is dropped.
pub(crate) fn failure(payload: Box<dyn Any + Send>) -> Failure {
    let failure = Failure::from_panic(&*payload);
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // There has to be an end to it.
        forget(another);
    }
    failure
}
