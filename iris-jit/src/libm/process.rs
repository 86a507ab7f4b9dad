//! Functions of libm that a linker may take from elsewhere: Rust's own runtime brings a `cbrt`, which
//! rounds otherwise, and links it in place of the process's.

use std::sync::OnceLock;

use super::Fn1;

/// The process's `cbrt`; without one, the nearest thing to it.
pub(super) fn cbrt() -> Fn1 {
    static KNOWN: OnceLock<Fn1> = OnceLock::new();
    *KNOWN.get_or_init(|| found().unwrap_or(by_power))
}

extern "C" fn by_power(x: f64) -> f64 {
    x.cbrt()
}

#[cfg(target_os = "linux")]
fn found() -> Option<Fn1> {
    use std::ffi::{c_char, c_void};
    use std::ptr;

    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }

    // SAFETY: null is RTLD_DEFAULT here, and the name ends in a zero.
    let address = unsafe { dlsym(ptr::null_mut(), c"cbrt".as_ptr()) };
    if address.is_null() {
        return None;
    }
    // SAFETY: a C library's `cbrt` takes a double and gives one; it is never unloaded, as this very
    // library needs it.
    Some(unsafe { std::mem::transmute::<*mut c_void, Fn1>(address) })
}

#[cfg(not(target_os = "linux"))]
fn found() -> Option<Fn1> {
    None
}
