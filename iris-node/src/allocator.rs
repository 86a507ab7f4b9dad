//! The allocator of the Node.js module.

use std::ffi::{c_int, c_long};

use mimalloc::MiMalloc;

// Messages are allocated by one thread and freed by another, which costs glibc's
// allocator about 180 ns and this one a tenth of that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Has freed pages go back to the system at once.
///
/// By default they do so 10 ms later, but only if the thread that had them allocates again: after a
/// burst of actors an idle process would keep them for ever.
pub(crate) fn give_back_at_once() {
    /// `mi_option_purge_delay`, in milliseconds; the bindings do not name it.
    const PURGE_DELAY: c_int = 15;
    const NONE: c_long = 0;
    // SAFETY: sets a number that the allocator reads; any thread may, at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NONE) };
}
