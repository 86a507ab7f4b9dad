//! Vectors of eight floats, once for each set of instructions that a CPU may have.
//!
//! A value of a [`Simd`] type proves that the CPU has the instructions, so its methods are safe.
//! They are all inlined: into a function that is compiled with those instructions enabled, each is
//! one or a few of them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;

/// Lanes of a vector.
pub(super) const LANES: usize = 8;

/// Vectors of floats, of 64-bit words and of truth values.
///
/// Arithmetic is IEEE 754's, each operation rounded once.
pub(super) trait Simd: Copy {
    /// Floats.
    type F: Copy;
    /// Words.
    type I: Copy;
    /// Truth values.
    type M: Copy;

    /// The eight floats at `from`.
    ///
    /// # Safety
    ///
    /// They are readable. No alignment is asked for.
    unsafe fn load(self, from: *const f64) -> Self::F;

    /// Writes eight floats.
    ///
    /// # Safety
    ///
    /// They are writable. No alignment is asked for.
    unsafe fn store(self, to: *mut f64, value: Self::F);

    fn splat(self, value: f64) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// `a * b + c` as the process's libm was compiled to compute it: rounded once where the CPU can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// False where one is NaN.
    fn eq(self, a: Self::F, b: Self::F) -> Self::M;
    /// False where one is NaN.
    fn lt(self, a: Self::F, b: Self::F) -> Self::M;
    /// False where one is NaN.
    fn le(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a` where `mask` is true, else `b`.
    fn select(self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F;

    fn and(self, a: Self::M, b: Self::M) -> Self::M;
    fn or(self, a: Self::M, b: Self::M) -> Self::M;
    fn not(self, a: Self::M) -> Self::M;
    /// A bit for each lane, the first in bit 0.
    fn bits(self, mask: Self::M) -> u8;

    fn words(self, a: Self::F) -> Self::I;
    fn floats(self, a: Self::I) -> Self::F;
    fn splat_words(self, value: u64) -> Self::I;
    fn add_words(self, a: Self::I, b: Self::I) -> Self::I;
    fn sub_words(self, a: Self::I, b: Self::I) -> Self::I;
    fn and_words(self, a: Self::I, b: Self::I) -> Self::I;
    fn xor_words(self, a: Self::I, b: Self::I) -> Self::I;
    fn shl<const BY: u32>(self, a: Self::I) -> Self::I;
    /// Zeros come in.
    fn shr<const BY: u32>(self, a: Self::I) -> Self::I;
    /// `a` where `mask` is true, else `b`.
    fn select_words(self, mask: Self::M, a: Self::I, b: Self::I) -> Self::I;

    /// Elements of a table; indices count modulo 128.
    fn gather(self, table: &'static [u64; 128], index: Self::I) -> Self::I;
    /// Elements of a small table; indices count modulo 8.
    fn lookup(self, table: &'static [f64; 8], index: Self::I) -> Self::F;

    /// Whether [`Simd::compress`] and [`Simd::expand`] take a few instructions.
    const COMPRESSES: bool = false;

    /// Writes the lanes of `mask` one after the other, and something behind them.
    ///
    /// # Safety
    ///
    /// A whole vector is writable.
    #[inline(always)]
    unsafe fn compress(self, to: *mut f64, mask: u8, value: Self::F) {
        let mut lanes = [0.0; LANES];
        // SAFETY: an array of that many, and the caller's promise.
        unsafe {
            self.store(lanes.as_mut_ptr(), value);
            let mut count = 0;
            for (lane, value) in lanes.into_iter().enumerate() {
                if mask >> lane & 1 != 0 {
                    to.add(count).write(value);
                    count += 1;
                }
            }
        }
    }

    /// `other`, but the lanes of `mask` are floats that lie one after the other.
    ///
    /// # Safety
    ///
    /// A whole vector is readable.
    #[inline(always)]
    unsafe fn expand(self, from: *const f64, mask: u8, other: Self::F) -> Self::F {
        let mut lanes = [0.0; LANES];
        // SAFETY: an array of that many, and the caller's promise.
        unsafe {
            self.store(lanes.as_mut_ptr(), other);
            let mut count = 0;
            for (lane, value) in lanes.iter_mut().enumerate() {
                if mask >> lane & 1 != 0 {
                    *value = from.add(count).read();
                    count += 1;
                }
            }
            self.load(lanes.as_ptr())
        }
    }
}
