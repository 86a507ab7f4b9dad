//! Functions of libm.

use std::marker::PhantomData;

use super::{Args, Body, Extra, Kernel, Level, at};
use crate::ir::Math1;
use crate::libm::{self, Fn1};
use crate::vector::math;
use crate::vector::simd::{LANES, Simd};

/// A vector function: results, and a bit for each lane that is left to libm.
trait Function {
    const SCALAR: Math1;

    /// Whether there are two kinds of arguments, with a function for each.
    const KINDS: bool = false;

    fn apply<S: Simd>(s: S, x: S::F) -> (S::F, u8);

    /// The lanes of the second kind.
    #[inline(always)]
    fn second<S: Simd>(_: S, _: S::F) -> u8 {
        0
    }

    /// For lanes of the first kind.
    #[inline(always)]
    fn apply_first<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
        Self::apply(s, x)
    }

    /// For lanes of the second kind.
    #[inline(always)]
    fn apply_second<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
        Self::apply(s, x)
    }
}

struct Vector<F>(PhantomData<F>);

/// Lanes that are looked at together: what kinds there are among them can be predicted, while that
/// of each vector could not.
const GROUP: usize = 8 * LANES;

/// Arguments or results of a group, with room for a vector that is written behind the last.
type Room = [f64; GROUP + LANES];

impl<F: Function> Body for Vector<F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let (from, to) = (args.a.cast::<f64>(), args.dst.cast::<f64>());
        let mut rooms = [[0.0; GROUP + LANES]; 4];
        let mut start = 0;
        while start < args.lanes {
            let count = GROUP.min(args.lanes - start);
            // SAFETY: the caller's promise.
            unsafe {
                let (from, to) = (from.add(start), to.add(start));
                let second = if F::KINDS {
                    kinds::<S, F>(s, from, count)
                } else {
                    0
                };
                if second == 0 {
                    each::<S, F, FIRST>(s, from, to, count);
                } else if second == u64::MAX >> (GROUP - count) {
                    each::<S, F, SECOND>(s, from, to, count);
                } else if S::COMPRESSES {
                    apart::<S, F>(s, from, to, count, second, &mut rooms);
                } else {
                    each::<S, F, ANY>(s, from, to, count);
                }
            }
            start += GROUP;
        }
        false
    }
}

/// Which lanes of a group are of the second kind.
///
/// # Safety
///
/// So many lanes are readable.
#[inline(always)]
unsafe fn kinds<S: Simd, F: Function>(s: S, from: *const f64, count: usize) -> u64 {
    let (mut second, mut lane) = (0, 0);
    while lane < count {
        // SAFETY: the caller's promise.
        let bits = F::second(s, unsafe { s.load(from.add(lane)) });
        second |= u64::from(bits) << lane;
        lane += LANES;
    }
    second
}

const ANY: u8 = 0;
const FIRST: u8 = 1;
const SECOND: u8 = 2;

/// A group of one kind, or of any.
///
/// # Safety
///
/// So many lanes, rounded up to vectors, are at both places, which are not the same.
#[inline(always)]
unsafe fn each<S: Simd, F: Function, const KIND: u8>(
    s: S,
    from: *const f64,
    to: *mut f64,
    count: usize,
) {
    // A bit for each lane.
    let (mut left, mut lane) = (0_u64, 0);
    while lane < count {
        // SAFETY: the caller's promise.
        unsafe {
            let x = s.load(from.add(lane));
            let (y, rest) = match KIND {
                FIRST => F::apply_first(s, x),
                SECOND => F::apply_second(s, x),
                _ => F::apply(s, x),
            };
            s.store(to.add(lane), y);
            left |= u64::from(rest) << lane;
        }
        lane += LANES;
    }
    // Lanes behind the last have something in them, but no result.
    left &= u64::MAX >> (GROUP - count);
    if left != 0 {
        // SAFETY: the caller's promise.
        unsafe { patch(from, to, left, F::SCALAR) };
    }
}

/// A group of both kinds: each kind is packed into vectors of its own.
///
/// # Safety
///
/// As for `each`.
#[inline(always)]
unsafe fn apart<S: Simd, F: Function>(
    s: S,
    from: *const f64,
    to: *mut f64,
    count: usize,
    second: u64,
    rooms: &mut [Room; 4],
) {
    let [firsts, seconds, of_firsts, of_seconds] = rooms;
    let kinds = second.to_le_bytes();
    let kind = |lane: usize| kinds[lane / LANES];
    let ones = |mask: u8| mask.count_ones() as usize;
    let (mut a, mut b, mut lane) = (0, 0, 0);
    while lane < count {
        let kind = kind(lane);
        // SAFETY: the caller's promise; there are at most so many before `a` and `b`.
        unsafe {
            let x = s.load(from.add(lane));
            s.compress(firsts.as_mut_ptr().add(a), !kind, x);
            s.compress(seconds.as_mut_ptr().add(b), kind, x);
        }
        (a, b) = (a + ones(!kind), b + ones(kind));
        lane += LANES;
    }
    // SAFETY: rooms for so many.
    unsafe {
        each::<S, F, FIRST>(s, firsts.as_ptr(), of_firsts.as_mut_ptr(), a);
        each::<S, F, SECOND>(s, seconds.as_ptr(), of_seconds.as_mut_ptr(), b);
    }
    let (mut a, mut b, mut lane) = (0, 0, 0);
    while lane < count {
        let kind = kind(lane);
        // SAFETY: as above.
        unsafe {
            let y = s.expand(of_firsts.as_ptr().add(a), !kind, s.splat(0.0));
            let y = s.expand(of_seconds.as_ptr().add(b), kind, y);
            s.store(to.add(lane), y);
        }
        (a, b) = (a + ones(!kind), b + ones(kind));
        lane += LANES;
    }
}

/// Lets libm compute the lanes whose bits are set.
///
/// # Safety
///
/// There are such lanes at both places, which are not the same.
#[inline(never)]
unsafe fn patch(from: *const f64, to: *mut f64, mut left: u64, function: Math1) {
    let function = libm::function1(function);
    while left != 0 {
        let lane = left.trailing_zeros() as usize;
        // SAFETY: the caller's promise.
        unsafe { to.add(lane).write(function(from.add(lane).read())) };
        left &= left - 1;
    }
}

macro_rules! functions {
    ($($body:ident: $scalar:ident = $function:path;)*) => {$(
        struct $body;

        impl Function for $body {
            const SCALAR: Math1 = Math1::$scalar;

            #[inline(always)]
            fn apply<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
                $function(s, x)
            }
        }
    )*};
}

functions! {
    Exp: Exp = math::exp;
    Sin: Sin = math::sin;
    Cos: Cos = math::cos;
}

macro_rules! functions_of_kinds {
    ($($body:ident: $scalar:ident = $any:path, $second:path, $of_first:path, $of_second:path;)*) => {$(
        struct $body;

        impl Function for $body {
            const SCALAR: Math1 = Math1::$scalar;
            const KINDS: bool = true;

            #[inline(always)]
            fn apply<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
                $any(s, x)
            }

            #[inline(always)]
            fn second<S: Simd>(s: S, x: S::F) -> u8 {
                $second(s, x)
            }

            #[inline(always)]
            fn apply_first<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
                $of_first(s, x)
            }

            #[inline(always)]
            fn apply_second<S: Simd>(s: S, x: S::F) -> (S::F, u8) {
                $of_second(s, x)
            }
        }
    )*};
}

functions_of_kinds! {
    Log: Log = math::log, math::near_one, math::log_elsewhere, math::log_near_one;
    Erfc: Erfc = math::erfc, math::is_far, math::erfc_near, math::erfc_far;
}

/// A function that there are vectors for. It may give other bits than this process's libm: see
/// [`crate::vector::selftest`].
pub(in crate::vector) fn math1(level: Level, op: Math1) -> Option<Kernel> {
    Some(match op {
        Math1::Exp => at::<Vector<Exp>>(level),
        Math1::Log => at::<Vector<Log>>(level),
        Math1::Erfc => at::<Vector<Erfc>>(level),
        // Without fused multiplication they are not exact enough, and of another libm nobody
        // knows how exact it is.
        Math1::Sin | Math1::Cos if level.is_fused() && cfg!(target_env = "gnu") => match op {
            Math1::Sin => at::<Vector<Sin>>(level),
            _ => at::<Vector<Cos>>(level),
        },
        _ => return None,
    })
}

/// A function of libm for each lane; the extra is the function.
pub(in crate::vector) unsafe fn libm1(args: &Args) -> bool {
    let Extra::Libm1(function) = args.extra else {
        return true;
    };
    let function: Fn1 = function;
    for lane in 0..args.lanes {
        // SAFETY: the caller's promise.
        unsafe {
            let x = args.a.add(lane).cast::<f64>().read();
            args.dst.add(lane).cast::<f64>().write(function(x));
        }
    }
    false
}

/// A function of libm for each lane; the extra is the function.
pub(in crate::vector) unsafe fn libm2(args: &Args) -> bool {
    let Extra::Libm2(function) = args.extra else {
        return true;
    };
    for lane in 0..args.lanes {
        // SAFETY: the caller's promise.
        unsafe {
            let x = args.a.add(lane).cast::<f64>().read();
            let y = args.b.add(lane).cast::<f64>().read();
            args.dst.add(lane).cast::<f64>().write(function(x, y));
        }
    }
    false
}
