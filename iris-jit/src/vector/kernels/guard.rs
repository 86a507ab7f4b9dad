//! Guards: whether a lane fails.

use std::marker::PhantomData;

use super::float::{Cmp, Eq, Ge, Gt, Le, Lt, Ne};
use super::{Args, Body, Form, Kernel, Level, at};
use crate::ir::Comparison;
use crate::vector::simd::{LANES, Simd};

/// Fails where a truth value is false.
struct Plain;

impl Body for Plain {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        let mut all = u64::MAX;
        for lane in 0..args.lanes {
            // SAFETY: the caller's promise.
            all &= unsafe { args.a.add(lane).read() };
        }
        all != u64::MAX
    }
}

/// Fails where a truth value is false.
pub(in crate::vector) fn guard(level: Level) -> Kernel {
    at::<Plain>(level)
}

struct Holds<C, const ONE: bool>(PhantomData<C>);

impl<C: Cmp, const ONE: bool> Body for Holds<C, ONE> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let (a, b) = (args.a.cast::<f64>(), args.b.cast::<f64>());
        let mut all = u8::MAX;
        let mut lane = 0;
        while lane < args.lanes {
            // SAFETY: the caller's promise.
            let (a, b) = unsafe {
                let b = if ONE {
                    s.splat(b.read())
                } else {
                    s.load(b.add(lane))
                };
                (s.load(a.add(lane)), b)
            };
            all &= s.bits(C::apply(s, a, b));
            lane += LANES;
        }
        all != u8::MAX
    }
}

/// Fails where a comparison of floats does not hold; `a` is a block.
pub(in crate::vector) fn guard_compare(level: Level, op: Comparison, b: Form) -> Kernel {
    fn forms<C: Cmp>(level: Level, b: Form) -> Kernel {
        match b {
            Form::Block => at::<Holds<C, false>>(level),
            Form::One => at::<Holds<C, true>>(level),
        }
    }
    match op {
        Comparison::Eq => forms::<Eq>(level, b),
        Comparison::Ne => forms::<Ne>(level, b),
        Comparison::Lt => forms::<Lt>(level, b),
        Comparison::Le => forms::<Le>(level, b),
        Comparison::Gt => forms::<Gt>(level, b),
        Comparison::Ge => forms::<Ge>(level, b),
    }
}

/// Which results of a function are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::vector) enum MathErrors {
    /// NaN of what is not NaN.
    Nan,
    /// An infinity of what is finite.
    Infinity,
    /// Both.
    Both,
}

/// `a` are the results, `b` the arguments.
struct Math<const NAN: bool, const INFINITY: bool>;

impl<const NAN: bool, const INFINITY: bool> Body for Math<NAN, INFINITY> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let (results, of) = (args.a.cast::<f64>(), args.b.cast::<f64>());
        let mut all = u8::MAX;
        let mut lane = 0;
        while lane < args.lanes {
            // SAFETY: the caller's promise.
            let y = unsafe { s.load(results.add(lane)) };
            let fine = if NAN && INFINITY {
                s.lt(s.abs(y), s.splat(f64::INFINITY))
            } else if NAN {
                s.eq(y, y)
            } else {
                s.not(s.eq(s.abs(y), s.splat(f64::INFINITY)))
            };
            let fine = s.bits(fine);
            if fine != u8::MAX {
                // SAFETY: as above.
                let x = unsafe { s.load(of.add(lane)) };
                let (nan, infinite) = (s.not(s.eq(y, y)), s.eq(s.abs(y), s.splat(f64::INFINITY)));
                let domain = s.and(nan, s.eq(x, x));
                let range = s.and(infinite, s.lt(s.abs(x), s.splat(f64::INFINITY)));
                if NAN {
                    all &= !s.bits(domain);
                }
                if INFINITY {
                    all &= !s.bits(range);
                }
            }
            lane += LANES;
        }
        all != u8::MAX
    }
}

/// Fails where the result `a` of a function of `b` is an error.
pub(in crate::vector) fn guard_math(level: Level, errors: MathErrors) -> Kernel {
    match errors {
        MathErrors::Nan => at::<Math<true, false>>(level),
        MathErrors::Infinity => at::<Math<false, true>>(level),
        MathErrors::Both => at::<Math<true, true>>(level),
    }
}
