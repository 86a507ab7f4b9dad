//! The one thread-safe function of a runtime: what wakes the event loop from any thread.

use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::*;
use napi::sys;

/// Wakes the loop. Not for use after it was dropped or its environment has been torn down; the
/// lane keeps it under a lock and drops it first, see [`Lane::close`](crate::lane::Lane::close).
#[derive(Debug)]
pub(crate) struct Waker(sys::napi_threadsafe_function);

// SAFETY: Node-API allows calls and releases of a thread-safe function from any thread.
unsafe impl Send for Waker {}

impl Waker {
    /// One that has the loop call `turn()`. It does not keep the process alive.
    pub(crate) fn new(env: &Env, turn: &Function<'_, (), ()>) -> Result<Self> {
        let mut function = ptr::null_mut();
        let name = env.create_string("iris")?;
        // SAFETY: the environment and the values are those of the call that this is inside of.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env.raw(),
                turn.raw(),
                ptr::null_mut(),
                name.raw(),
                // The lane calls it once for each time that its queue was empty.
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::null_mut(),
                Some(call_turn),
                &raw mut function,
            )
        };
        check(status, "no thread-safe function")?;
        let waker = Self(function);
        waker.hold(env, false)?;
        Ok(waker)
    }

    /// Has the loop call `turn()` soon. Never blocks.
    pub(crate) fn wake(&self) {
        // SAFETY: by this type's contract it is there. Refused is only what comes while the
        // environment ends, where nobody would handle it.
        unsafe {
            sys::napi_call_threadsafe_function(
                self.0,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            );
        }
    }

    /// Whether it keeps the process alive from now on. For the loop's thread.
    pub(crate) fn hold(&self, env: &Env, holds: bool) -> Result<()> {
        // SAFETY: by this type's contract it is there, and the caller is on the loop's thread.
        let status = unsafe {
            if holds {
                sys::napi_ref_threadsafe_function(env.raw(), self.0)
            } else {
                sys::napi_unref_threadsafe_function(env.raw(), self.0)
            }
        };
        check(status, "the thread-safe function is closing")
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        // SAFETY: by this type's contract it is there; nobody uses it afterwards.
        unsafe {
            sys::napi_release_threadsafe_function(
                self.0,
                sys::ThreadsafeFunctionReleaseMode::abort,
            );
        }
    }
}

/// Called by Node on the loop's thread. An exception stays pending, which Node then reports: it is
/// a defect of ours, since handlers are guarded in JavaScript.
unsafe extern "C" fn call_turn(
    env: sys::napi_env,
    turn: sys::napi_value,
    _context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() || turn.is_null() {
        // The environment is being torn down.
        return;
    }
    let mut this = ptr::null_mut();
    let mut returned = ptr::null_mut();
    // SAFETY: Node gives a live environment and the function that the waker was made with.
    unsafe {
        if sys::napi_get_undefined(env, &raw mut this) == sys::Status::napi_ok {
            sys::napi_call_function(env, this, turn, 0, ptr::null(), &raw mut returned);
        }
    }
}

fn check(status: sys::napi_status, what: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Error::new(Status::from(status), what.to_owned()))
}
