//! Arrays, which the compiler may make vectors of. The one implementation outside x86-64.

use super::{LANES, Simd};

/// What every CPU has.
#[derive(Clone, Copy, Debug)]
pub(in crate::vector) struct Portable;

impl Portable {
    /// Whether `fma` rounds once: where that is one instruction of every CPU of the architecture.
    pub(in crate::vector) const FUSED: bool =
        cfg!(any(target_arch = "aarch64", target_feature = "fma"));
}

/// An array of a value for each lane. A loop, since calls of closures are not sure to be inlined.
macro_rules! each {
    ($first:expr, |$lane:ident| $value:expr) => {{
        let mut values = [$first; LANES];
        for $lane in 0..LANES {
            values[$lane] = $value;
        }
        values
    }};
}

impl Simd for Portable {
    type F = [f64; LANES];
    type I = [u64; LANES];
    type M = [bool; LANES];

    #[inline(always)]
    unsafe fn load(self, from: *const f64) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f64, value: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self::F>().write_unaligned(value) }
    }

    #[inline(always)]
    fn splat(self, value: f64) -> Self::F {
        [value; LANES]
    }

    #[inline(always)]
    fn splat_words(self, value: u64) -> Self::I {
        [value; LANES]
    }

    #[inline(always)]
    fn bits(self, mask: Self::M) -> u8 {
        let mut bits = 0;
        for (lane, &set) in mask.iter().enumerate() {
            bits |= u8::from(set) << lane;
        }
        bits
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        each!(0.0, |lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        each!(0.0, |lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        each!(0.0, |lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        each!(0.0, |lane| a[lane] / b[lane])
    }

    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        each!(0.0, |lane| a[lane].abs())
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each!(0.0, |lane| {
            if Self::FUSED {
                a[lane].mul_add(b[lane], c[lane])
            } else {
                a[lane] * b[lane] + c[lane]
            }
        })
    }

    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        each!(false, |lane| a[lane] == b[lane])
    }

    #[inline(always)]
    fn lt(self, a: Self::F, b: Self::F) -> Self::M {
        each!(false, |lane| a[lane] < b[lane])
    }

    #[inline(always)]
    fn le(self, a: Self::F, b: Self::F) -> Self::M {
        each!(false, |lane| a[lane] <= b[lane])
    }

    #[inline(always)]
    fn select(self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F {
        each!(0.0, |lane| if mask[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn select_words(self, mask: Self::M, a: Self::I, b: Self::I) -> Self::I {
        each!(0, |lane| if mask[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        each!(false, |lane| a[lane] & b[lane])
    }

    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        each!(false, |lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn not(self, a: Self::M) -> Self::M {
        each!(false, |lane| !a[lane])
    }

    #[inline(always)]
    fn words(self, a: Self::F) -> Self::I {
        each!(0, |lane| a[lane].to_bits())
    }

    #[inline(always)]
    fn floats(self, a: Self::I) -> Self::F {
        each!(0.0, |lane| f64::from_bits(a[lane]))
    }

    #[inline(always)]
    fn add_words(self, a: Self::I, b: Self::I) -> Self::I {
        each!(0, |lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn sub_words(self, a: Self::I, b: Self::I) -> Self::I {
        each!(0, |lane| a[lane].wrapping_sub(b[lane]))
    }

    #[inline(always)]
    fn and_words(self, a: Self::I, b: Self::I) -> Self::I {
        each!(0, |lane| a[lane] & b[lane])
    }

    #[inline(always)]
    fn xor_words(self, a: Self::I, b: Self::I) -> Self::I {
        each!(0, |lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn shl<const BY: u32>(self, a: Self::I) -> Self::I {
        each!(0, |lane| a[lane] << BY)
    }

    #[inline(always)]
    fn shr<const BY: u32>(self, a: Self::I) -> Self::I {
        each!(0, |lane| a[lane] >> BY)
    }

    #[inline(always)]
    fn gather(self, table: &'static [u64; 128], index: Self::I) -> Self::I {
        each!(0, |lane| table[(index[lane] % 128) as usize])
    }

    #[inline(always)]
    fn lookup(self, table: &'static [f64; 8], index: Self::I) -> Self::F {
        each!(0.0, |lane| table[(index[lane] % 8) as usize])
    }
}
