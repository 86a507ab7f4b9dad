//! Kernels: loops over blocks, compiled for each set of instructions.

mod float;
mod guard;
mod math;
mod memory;
mod word;

#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use super::simd::{Portable, Simd};
use crate::libm::{Fn1, Fn2};

pub(super) use float::{Then, binary, compare, fused, horner, unary};
pub(super) use guard::{MathErrors, guard, guard_compare, guard_math};
pub(super) use math::{libm1, libm2, math1};
pub(super) use memory::{load, store};
pub(super) use word::{
    bool_binary, bool_not, checked_binary, checked_unary, compare_ints, int_binary, int_not,
    select, slow_float,
};

/// The instructions that kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Whether a product and a sum are rounded once where a kernel asks for that.
    fn is_fused(self) -> bool {
        self != Self::Portable || Portable::FUSED
    }

    /// All that this CPU has; the best is last.
    pub(super) fn all() -> Vec<Self> {
        let levels = [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(|_| Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(|_| Self::Avx512),
        ];
        levels.into_iter().flatten().collect()
    }
}

/// What a kernel works on. Where an operand is one value for all lanes, its pointer leads to that.
pub(super) struct Args {
    pub(super) dst: *mut u64,
    pub(super) a: *const u64,
    pub(super) b: *const u64,
    pub(super) c: *const u64,
    /// Lanes: a multiple of [`super::simd::LANES`].
    pub(super) lanes: usize,
    pub(super) extra: Extra,
}

/// What else a kernel needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extra {
    None,
    /// How many.
    Count(usize),
    /// Distance of elements in memory in bytes.
    Stride(isize),
    Libm1(Fn1),
    Libm2(Fn2),
    Float(fn(f64, f64) -> f64),
}

/// Works on a block; tells whether a lane of it fails a guard.
///
/// # Safety
///
/// The pointers lead to what the kernel takes, the CPU has the instructions of its level, and
/// `dst` is none of the operands.
pub(super) type Kernel = unsafe fn(&Args) -> bool;

/// A loop over a block, to be compiled for each level.
pub(super) trait Body {
    /// # Safety
    ///
    /// As for [`Kernel`].
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool;
}

/// # Safety
///
/// As for [`Kernel`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
unsafe fn in_avx512<B: Body>(args: &Args) -> bool {
    // SAFETY: the caller's promise, which includes the instructions.
    unsafe { B::run(Avx512::assume(), args) }
}

/// # Safety
///
/// As for [`Kernel`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn in_avx2<B: Body>(args: &Args) -> bool {
    // SAFETY: the caller's promise, which includes the instructions.
    unsafe { B::run(Avx2::assume(), args) }
}

/// # Safety
///
/// As for [`Kernel`].
unsafe fn portably<B: Body>(args: &Args) -> bool {
    // SAFETY: the caller's promise.
    unsafe { B::run(Portable, args) }
}

fn at<B: Body>(level: Level) -> Kernel {
    match level {
        Level::Portable => portably::<B>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => in_avx2::<B>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => in_avx512::<B>,
    }
}

/// Whether an operand is a block or one value for all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Block,
    One,
}
