//! A hook that long native loops ask whether to go on.
//!
//! A loop asks about every [`INTERVAL`] rounds. The hook is where a binding looks for signals, or
//! lets other threads of its guest run.

use std::sync::atomic::{AtomicPtr, Ordering};

/// How many rounds of loops pass between two calls of the hook, about.
pub const INTERVAL: u32 = 1 << 12;

/// Whether the call may go on; called on the thread of the call, and where an element of a map is
/// in doubt on a thread that helps it. It must not unwind.
pub type Hook = fn() -> bool;

static HOOK: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets the hook of the process.
pub fn set_hook(hook: Hook) {
    HOOK.store(hook as *mut (), Ordering::Release);
}

/// Asks the hook; without one the answer is to go on.
pub(crate) fn go_on() -> bool {
    let hook = HOOK.load(Ordering::Acquire);
    if hook.is_null() {
        return true;
    }
    // SAFETY: only `set_hook` stores here, and what it stores is a `Hook`.
    let hook = unsafe { std::mem::transmute::<*mut (), Hook>(hook) };
    hook()
}
