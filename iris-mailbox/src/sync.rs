//! The standard library's atomics, locks and cells, or loom's where loom explores.

#[cfg(feature = "loom")]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(feature = "loom")]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(feature = "loom")]
pub(crate) use loom::sync::{Mutex, MutexGuard};

#[cfg(not(feature = "loom"))]
pub(crate) use self::real::UnsafeCell;
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(not(feature = "loom"))]
mod real {
    /// The standard cell with the interface of loom's, which tells reads from writes.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

/// Lets another thread go on that this one waits for.
#[cfg(feature = "loom")]
pub(crate) fn relax() {
    loom::thread::yield_now();
}

/// Lets another thread go on that this one waits for.
#[cfg(not(feature = "loom"))]
pub(crate) fn relax() {
    std::thread::yield_now();
}
