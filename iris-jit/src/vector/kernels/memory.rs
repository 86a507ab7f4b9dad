//! Between arrays and blocks.

use std::marker::PhantomData;

use super::{Args, Body, Extra, Kernel, Level, at};
use crate::array::Elem;
use crate::vector::simd::Simd;

/// An element as a word; `None` where an i64 does not hold it.
trait Element: Copy {
    fn word(self) -> Option<u64>;
}

macro_rules! elements {
    ($($ty:ty: |$value:ident| $body:expr;)*) => {$(
        impl Element for $ty {
            #[inline(always)]
            fn word(self) -> Option<u64> {
                let $value = self;
                $body
            }
        }
    )*};
}

elements! {
    f64: |value| Some(value.to_bits());
    f32: |value| Some(f64::from(value).to_bits());
    i8: |value| Some(i64::from(value).cast_unsigned());
    i16: |value| Some(i64::from(value).cast_unsigned());
    i32: |value| Some(i64::from(value).cast_unsigned());
    i64: |value| Some(value.cast_unsigned());
    u8: |value| Some(value.into());
    u16: |value| Some(value.into());
    u32: |value| Some(value.into());
    u64: |value| (value >> 63 == 0).then_some(value);
    Truth: |value| Some(0_u64.wrapping_sub(u64::from(value.0 != 0)));
}

/// A byte that is true unless it is 0.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Truth(u8);

/// Elements one after the other.
struct Packed<T>(PhantomData<T>);

impl<T: Element> Body for Packed<T> {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        let mut failed = false;
        for lane in 0..args.lanes {
            // SAFETY: the caller's promise; elements may be unaligned.
            unsafe {
                let word = args.a.cast::<T>().add(lane).read_unaligned().word();
                failed |= word.is_none();
                args.dst.add(lane).write(word.unwrap_or(0));
            }
        }
        failed
    }
}

/// Elements at a distance, which is the extra.
struct Strided<T>(PhantomData<T>);

impl<T: Element> Body for Strided<T> {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        let Extra::Stride(stride) = args.extra else {
            return true;
        };
        let mut failed = false;
        for lane in 0..args.lanes {
            // SAFETY: the caller's promise; elements may be unaligned. Addresses wrap only where
            // they lead nowhere.
            unsafe {
                let at = args
                    .a
                    .wrapping_byte_offset(stride.wrapping_mul(lane.cast_signed()));
                let word = at.cast::<T>().read_unaligned().word();
                failed |= word.is_none();
                args.dst.add(lane).write(word.unwrap_or(0));
            }
        }
        failed
    }
}

/// Elements to words; any number of lanes. Fails where a word does not hold one.
pub(in crate::vector) fn load(level: Level, elem: Elem, contiguous: bool) -> Kernel {
    fn of<T: Element>(level: Level, contiguous: bool) -> Kernel {
        if contiguous {
            at::<Packed<T>>(level)
        } else {
            at::<Strided<T>>(level)
        }
    }
    match elem {
        Elem::F64 => of::<f64>(level, contiguous),
        Elem::F32 => of::<f32>(level, contiguous),
        Elem::I8 => of::<i8>(level, contiguous),
        Elem::I16 => of::<i16>(level, contiguous),
        Elem::I32 => of::<i32>(level, contiguous),
        Elem::I64 => of::<i64>(level, contiguous),
        Elem::U8 => of::<u8>(level, contiguous),
        Elem::U16 => of::<u16>(level, contiguous),
        Elem::U32 => of::<u32>(level, contiguous),
        Elem::U64 => of::<u64>(level, contiguous),
        Elem::Bool => of::<Truth>(level, contiguous),
    }
}

/// Words as they are.
struct Words;

impl Body for Words {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        // SAFETY: the caller's promise; elements may be unaligned.
        unsafe {
            let (from, to) = (args.a.cast::<u8>(), args.dst.cast::<u8>());
            std::ptr::copy_nonoverlapping(from, to, args.lanes * size_of::<u64>());
        }
        false
    }
}

/// Truth values to bytes.
struct Bytes;

impl Body for Bytes {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        for lane in 0..args.lanes {
            // SAFETY: the caller's promise.
            unsafe {
                let byte = args.a.add(lane).read() & 1;
                args.dst.cast::<u8>().add(lane).write(byte as u8);
            }
        }
        false
    }
}

/// Words to elements one after the other; any number of lanes.
pub(in crate::vector) fn store(level: Level, elem: Elem) -> Option<Kernel> {
    match elem {
        Elem::F64 | Elem::I64 => Some(at::<Words>(level)),
        Elem::Bool => Some(at::<Bytes>(level)),
        _ => None,
    }
}
