//! Room on the stack for the parser and the compiler, which recurse.

use std::panic::resume_unwind;
use std::thread;

/// The most bytes of source text that are worked on where the caller is, given [`ENOUGH`].
pub(super) const SMALL_SOURCE: usize = 4 << 10;

/// Bytes of stack that are ample for a small source: at most 200 levels of brackets and blocks.
const ENOUGH: usize = 4 << 20;

/// Stack of a thread of its own.
const STACK_BYTES: usize = 16 << 20;

/// Runs `work`, which asks nothing of Python: here if it is `small` and the stack has room, else on a
/// thread with a stack of its own, since a thread of Python's may have as little as 32 KiB. Starting a
/// thread costs more than a small function takes to compile.
pub(super) fn with_room<T: Send>(small: bool, work: impl FnOnce() -> T + Send) -> T {
    if small && room() >= ENOUGH {
        return work();
    }
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("iris-jit".to_owned())
            .stack_size(STACK_BYTES);
        let worker = worker
            .spawn_scoped(scope, work)
            .expect("the system has a thread to give");
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Bytes of stack that this thread has left; 0 if that is not known.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn room() -> usize {
    use std::cell::Cell;
    use std::ffi::{c_int, c_ulong, c_void};

    /// As large as glibc's on every architecture, and as aligned.
    #[repr(C, align(16))]
    struct Attributes([u8; 128]);

    unsafe extern "C" {
        fn pthread_self() -> c_ulong;
        fn pthread_getattr_np(thread: c_ulong, attributes: *mut Attributes) -> c_int;
        fn pthread_attr_getstack(
            attributes: *const Attributes,
            lowest: *mut *mut c_void,
            bytes: *mut usize,
        ) -> c_int;
        fn pthread_attr_destroy(attributes: *mut Attributes) -> c_int;
    }

    thread_local! {
        static LOWEST: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let lowest = LOWEST.get().unwrap_or_else(|| {
        let mut attributes = Attributes([0; 128]);
        let (mut lowest, mut bytes) = (std::ptr::null_mut(), 0);
        // SAFETY: glibc fills the attributes of the calling thread, reads them, and frees what it
        // has put there; the type is larger than glibc's own. On an error nothing is read.
        let found = unsafe {
            pthread_getattr_np(pthread_self(), &raw mut attributes) == 0 && {
                let got =
                    pthread_attr_getstack(&raw const attributes, &raw mut lowest, &raw mut bytes);
                pthread_attr_destroy(&raw mut attributes);
                got == 0
            }
        };
        let lowest = if found { lowest.addr() } else { usize::MAX };
        LOWEST.set(Some(lowest));
        lowest
    });
    let here = 0_u8;
    (&raw const here).addr().saturating_sub(lowest)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn room() -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_stack_has_no_room_and_a_large_one_has() {
        let room_of = |bytes: usize| {
            let worker = thread::Builder::new().stack_size(bytes);
            worker.spawn(room).unwrap().join().unwrap()
        };
        assert!(room_of(256 << 10) <= 256 << 10);
        let large = room_of(16 << 20);
        assert!(large == 0 || large > 12 << 20, "{large}");
    }
}
