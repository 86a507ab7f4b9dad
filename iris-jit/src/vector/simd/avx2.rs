//! AVX2 and FMA: two registers of four lanes, truth values as words of ones and zeros.

#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

use std::arch::x86_64::*;

use super::Simd;

/// The CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(in crate::vector) struct Avx2(());

impl Avx2 {
    /// If the CPU has it.
    pub(in crate::vector) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
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

/// Intrinsics without pointers, on both halves; `Avx2` proves that the CPU has them.
macro_rules! instructions {
    ($(fn $name:ident $(<const $by:ident: u32>)? ($($arg:ident: $ty:ty),*) -> $ret:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name$(<const $by: u32>)?(self, $($arg: [$ty; 2]),*) -> [$ret; 2] {
            // SAFETY: no pointers; a `Self` is made only where `detect` has found the instructions.
            // Not a closure: that is a function without the instructions.
            unsafe {
                [
                    { $(let $arg = $arg[0];)* $body },
                    { $(let $arg = $arg[1];)* $body },
                ]
            }
        }
    )*};
}

impl Simd for Avx2 {
    type F = [__m256d; 2];
    type I = [__m256i; 2];
    type M = [__m256d; 2];

    #[inline(always)]
    unsafe fn load(self, from: *const f64) -> Self::F {
        // SAFETY: the caller's promise; the CPU has the instruction.
        unsafe { [_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))] }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f64, value: Self::F) {
        // SAFETY: the caller's promise; the CPU has the instruction.
        unsafe {
            _mm256_storeu_pd(to, value[0]);
            _mm256_storeu_pd(to.add(4), value[1]);
        }
    }

    instructions! {
        fn add(a: __m256d, b: __m256d) -> __m256d = _mm256_add_pd(a, b);
        fn sub(a: __m256d, b: __m256d) -> __m256d = _mm256_sub_pd(a, b);
        fn mul(a: __m256d, b: __m256d) -> __m256d = _mm256_mul_pd(a, b);
        fn div(a: __m256d, b: __m256d) -> __m256d = _mm256_div_pd(a, b);
        fn abs(a: __m256d) -> __m256d = _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
        fn fma(a: __m256d, b: __m256d, c: __m256d) -> __m256d = _mm256_fmadd_pd(a, b, c);
        fn eq(a: __m256d, b: __m256d) -> __m256d = _mm256_cmp_pd::<_CMP_EQ_OQ>(a, b);
        fn lt(a: __m256d, b: __m256d) -> __m256d = _mm256_cmp_pd::<_CMP_LT_OQ>(a, b);
        fn le(a: __m256d, b: __m256d) -> __m256d = _mm256_cmp_pd::<_CMP_LE_OQ>(a, b);
        fn select(mask: __m256d, a: __m256d, b: __m256d) -> __m256d = _mm256_blendv_pd(b, a, mask);
        fn and(a: __m256d, b: __m256d) -> __m256d = _mm256_and_pd(a, b);
        fn or(a: __m256d, b: __m256d) -> __m256d = _mm256_or_pd(a, b);
        fn not(a: __m256d) -> __m256d =
            _mm256_xor_pd(a, _mm256_castsi256_pd(_mm256_set1_epi64x(-1)));
        fn words(a: __m256d) -> __m256i = _mm256_castpd_si256(a);
        fn floats(a: __m256i) -> __m256d = _mm256_castsi256_pd(a);
        fn add_words(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi64(a, b);
        fn sub_words(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi64(a, b);
        fn and_words(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        fn xor_words(a: __m256i, b: __m256i) -> __m256i = _mm256_xor_si256(a, b);
        fn shl<const BY: u32>(a: __m256i) -> __m256i =
            _mm256_sll_epi64(a, _mm_cvtsi64_si128(i64::from(BY)));
        fn shr<const BY: u32>(a: __m256i) -> __m256i =
            _mm256_srl_epi64(a, _mm_cvtsi64_si128(i64::from(BY)));
    }

    #[inline(always)]
    fn splat(self, value: f64) -> Self::F {
        // SAFETY: no pointers; the CPU has the instruction.
        unsafe { [_mm256_set1_pd(value); 2] }
    }

    #[inline(always)]
    fn splat_words(self, value: u64) -> Self::I {
        // SAFETY: no pointers; the CPU has the instruction.
        unsafe { [_mm256_set1_epi64x(value.cast_signed()); 2] }
    }

    #[inline(always)]
    fn select_words(self, mask: Self::M, a: Self::I, b: Self::I) -> Self::I {
        self.words(self.select(mask, self.floats(a), self.floats(b)))
    }

    #[inline(always)]
    fn bits(self, mask: Self::M) -> u8 {
        // SAFETY: no pointers; the CPU has the instructions.
        let (low, high) = unsafe { (_mm256_movemask_pd(mask[0]), _mm256_movemask_pd(mask[1])) };
        // Four bits each.
        u8::try_from(low | high << 4).unwrap_or(0)
    }

    #[inline(always)]
    fn gather(self, table: &'static [u64; 128], index: Self::I) -> Self::I {
        let [a, b] = self.and_words(index, self.splat_words(127));
        let table = table.as_ptr().cast();
        // SAFETY: the CPU has the instruction, and the mask keeps the indices within the table.
        unsafe {
            [
                _mm256_i64gather_epi64::<8>(table, a),
                _mm256_i64gather_epi64::<8>(table, b),
            ]
        }
    }

    #[inline(always)]
    fn lookup(self, table: &'static [f64; 8], index: Self::I) -> Self::F {
        let [a, b] = self.and_words(index, self.splat_words(7));
        let table = table.as_ptr();
        // SAFETY: the CPU has the instruction, and the mask keeps the indices within the table.
        unsafe {
            [
                _mm256_i64gather_pd::<8>(table, a),
                _mm256_i64gather_pd::<8>(table, b),
            ]
        }
    }
}
