//! AVX-512: one register of eight lanes, truth values in mask registers.

#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

use std::arch::x86_64::*;

use super::Simd;

/// The CPU has AVX-512F, DQ, VL and BW, as all of its kind that matter have, and AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(in crate::vector) struct Avx512(());

impl Avx512 {
    /// If the CPU has it. Systems that do not save these registers have it not.
    pub(in crate::vector) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }

    /// Where the CPU is known to have it.
    ///
    /// # Safety
    ///
    /// [`Self::detect`] finds it.
    pub(in crate::vector) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Intrinsics without pointers; `Avx512` proves that the CPU has them.
macro_rules! instructions {
    ($(fn $name:ident $(<const $by:ident: u32>)? ($($arg:ident: $ty:ty),*) -> $ret:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name$(<const $by: u32>)?(self, $($arg: $ty),*) -> $ret {
            // SAFETY: no pointers; a `Self` is made only where `detect` has found the instructions.
            unsafe { $body }
        }
    )*};
}

impl Simd for Avx512 {
    type F = __m512d;
    type I = __m512i;
    type M = __mmask8;

    #[inline(always)]
    unsafe fn load(self, from: *const f64) -> Self::F {
        // SAFETY: the caller's promise; the CPU has the instruction.
        unsafe { _mm512_loadu_pd(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f64, value: Self::F) {
        // SAFETY: the caller's promise; the CPU has the instruction.
        unsafe { _mm512_storeu_pd(to, value) }
    }

    instructions! {
        fn splat(value: f64) -> Self::F = _mm512_set1_pd(value);
        fn add(a: Self::F, b: Self::F) -> Self::F = _mm512_add_pd(a, b);
        fn sub(a: Self::F, b: Self::F) -> Self::F = _mm512_sub_pd(a, b);
        fn mul(a: Self::F, b: Self::F) -> Self::F = _mm512_mul_pd(a, b);
        fn div(a: Self::F, b: Self::F) -> Self::F = _mm512_div_pd(a, b);
        fn abs(a: Self::F) -> Self::F = _mm512_abs_pd(a);
        fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F = _mm512_fmadd_pd(a, b, c);
        fn eq(a: Self::F, b: Self::F) -> Self::M = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b);
        fn lt(a: Self::F, b: Self::F) -> Self::M = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b);
        fn le(a: Self::F, b: Self::F) -> Self::M = _mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b);
        fn select(mask: Self::M, a: Self::F, b: Self::F) -> Self::F = _mm512_mask_blend_pd(mask, b, a);
        fn words(a: Self::F) -> Self::I = _mm512_castpd_si512(a);
        fn floats(a: Self::I) -> Self::F = _mm512_castsi512_pd(a);
        fn splat_words(value: u64) -> Self::I = _mm512_set1_epi64(value.cast_signed());
        fn add_words(a: Self::I, b: Self::I) -> Self::I = _mm512_add_epi64(a, b);
        fn sub_words(a: Self::I, b: Self::I) -> Self::I = _mm512_sub_epi64(a, b);
        fn and_words(a: Self::I, b: Self::I) -> Self::I = _mm512_and_si512(a, b);
        fn xor_words(a: Self::I, b: Self::I) -> Self::I = _mm512_xor_si512(a, b);
        fn shl<const BY: u32>(a: Self::I) -> Self::I = _mm512_slli_epi64::<BY>(a);
        fn shr<const BY: u32>(a: Self::I) -> Self::I = _mm512_srli_epi64::<BY>(a);
        fn select_words(mask: Self::M, a: Self::I, b: Self::I) -> Self::I =
            _mm512_mask_blend_epi64(mask, b, a);
    }

    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        a & b
    }

    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        a | b
    }

    #[inline(always)]
    fn not(self, a: Self::M) -> Self::M {
        !a
    }

    #[inline(always)]
    fn bits(self, mask: Self::M) -> u8 {
        mask
    }

    #[inline(always)]
    fn gather(self, table: &'static [u64; 128], index: Self::I) -> Self::I {
        // SAFETY: the CPU has the instructions, and the mask keeps the indices within the table.
        unsafe {
            let index = _mm512_and_si512(index, _mm512_set1_epi64(127));
            _mm512_i64gather_epi64::<8>(index, table.as_ptr().cast())
        }
    }

    #[inline(always)]
    fn lookup(self, table: &'static [f64; 8], index: Self::I) -> Self::F {
        // SAFETY: the CPU has the instructions; all of the table is read, and the permutation
        // looks at the lowest three bits of an index.
        unsafe { _mm512_permutexvar_pd(index, _mm512_loadu_pd(table.as_ptr())) }
    }

    const COMPRESSES: bool = true;

    #[inline(always)]
    unsafe fn compress(self, to: *mut f64, mask: u8, value: Self::F) {
        // SAFETY: the caller's promise; the CPU has the instructions.
        unsafe { _mm512_storeu_pd(to, _mm512_maskz_compress_pd(mask, value)) }
    }

    #[inline(always)]
    unsafe fn expand(self, from: *const f64, mask: u8, other: Self::F) -> Self::F {
        // SAFETY: the caller's promise; the CPU has the instructions.
        unsafe { _mm512_mask_expand_pd(other, mask, _mm512_loadu_pd(from)) }
    }
}
