//! Arithmetic and comparisons of floats.

use std::marker::PhantomData;

use super::{Args, Body, Extra, Form, Kernel, Level, at};
use crate::ir::{BinaryOp, Comparison, UnaryOp};
use crate::vector::simd::{LANES, Simd};

/// How an operand is read.
trait Operand {
    /// # Safety
    ///
    /// `from` leads to a block of more than `lane` floats, or to one.
    unsafe fn at<S: Simd>(s: S, from: *const u64, lane: usize) -> S::F;
}

struct Block;
struct One;

impl Operand for Block {
    #[inline(always)]
    unsafe fn at<S: Simd>(s: S, from: *const u64, lane: usize) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load(from.cast::<f64>().add(lane)) }
    }
}

impl Operand for One {
    #[inline(always)]
    unsafe fn at<S: Simd>(s: S, from: *const u64, _: usize) -> S::F {
        // SAFETY: the caller's promise.
        s.splat(unsafe { from.cast::<f64>().read() })
    }
}

/// An operation on two vectors.
trait Op2 {
    fn apply<S: Simd>(s: S, a: S::F, b: S::F) -> S::F;
}

macro_rules! op2 {
    ($($name:ident = |$s:ident, $a:ident, $b:ident| $body:expr;)*) => {$(
        struct $name;
        impl Op2 for $name {
            #[inline(always)]
            fn apply<S: Simd>($s: S, $a: S::F, $b: S::F) -> S::F {
                $body
            }
        }
    )*};
}

op2! {
    Add = |s, a, b| s.add(a, b);
    Sub = |s, a, b| s.sub(a, b);
    Mul = |s, a, b| s.mul(a, b);
    Div = |s, a, b| s.div(a, b);
}

struct Binary<O, A, B>(PhantomData<(O, A, B)>);

impl<O: Op2, A: Operand, B: Operand> Body for Binary<O, A, B> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let mut lane = 0;
        while lane < args.lanes {
            // SAFETY: the caller's promise.
            unsafe {
                let (a, b) = (A::at(s, args.a, lane), B::at(s, args.b, lane));
                s.store(args.dst.cast::<f64>().add(lane), O::apply(s, a, b));
            }
            lane += LANES;
        }
        false
    }
}

/// An operation that there are vector instructions for.
pub(in crate::vector) fn binary(level: Level, op: BinaryOp, a: Form, b: Form) -> Option<Kernel> {
    fn forms<O: Op2>(level: Level, a: Form, b: Form) -> Kernel {
        match (a, b) {
            (Form::Block, Form::One) => at::<Binary<O, Block, One>>(level),
            (Form::One, Form::Block) => at::<Binary<O, One, Block>>(level),
            _ => at::<Binary<O, Block, Block>>(level),
        }
    }
    Some(match op {
        BinaryOp::FloatAdd => forms::<Add>(level, a, b),
        BinaryOp::FloatSub => forms::<Sub>(level, a, b),
        BinaryOp::FloatMul => forms::<Mul>(level, a, b),
        BinaryOp::FloatDiv => forms::<Div>(level, a, b),
        _ => return None,
    })
}

/// `O(a * b, c)`: two operations, each rounded, in one pass.
struct Fused<O, A, B, C>(PhantomData<(O, A, B, C)>);

impl<O: Op2, A: Operand, B: Operand, C: Operand> Body for Fused<O, A, B, C> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let mut lane = 0;
        while lane < args.lanes {
            // SAFETY: the caller's promise.
            unsafe {
                let product = s.mul(A::at(s, args.a, lane), B::at(s, args.b, lane));
                let c = C::at(s, args.c, lane);
                s.store(args.dst.cast::<f64>().add(lane), O::apply(s, product, c));
            }
            lane += LANES;
        }
        false
    }
}

op2! {
    SubFrom = |s, a, b| s.sub(b, a);
}

/// What follows a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::vector) enum Then {
    /// `a * b + c`
    Add,
    /// `a * b - c`
    Sub,
    /// `c - a * b`
    SubFrom,
}

/// A product and a sum, each rounded; `a` is a block.
pub(in crate::vector) fn fused(level: Level, then: Then, b: Form, c: Form) -> Kernel {
    fn forms<O: Op2>(level: Level, b: Form, c: Form) -> Kernel {
        match (b, c) {
            (Form::Block, Form::Block) => at::<Fused<O, Block, Block, Block>>(level),
            (Form::Block, Form::One) => at::<Fused<O, Block, Block, One>>(level),
            (Form::One, Form::Block) => at::<Fused<O, Block, One, Block>>(level),
            (Form::One, Form::One) => at::<Fused<O, Block, One, One>>(level),
        }
    }
    match then {
        Then::Add => forms::<Add>(level, b, c),
        Then::Sub => forms::<Sub>(level, b, c),
        Then::SubFrom => forms::<SubFrom>(level, b, c),
    }
}

/// `((a * x + c[0]) * x + c[1]) * x ..`, each operation rounded. Several vectors at a time, so that
/// one's operations fill the time in which another's are under way.
struct Horner<A>(PhantomData<A>);

const AT_ONCE: usize = 8;

impl<A: Operand> Body for Horner<A> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let Extra::Count(count) = args.extra else {
            return true;
        };
        let (c, dst) = (args.c.cast::<f64>(), args.dst.cast::<f64>());
        let mut lane = 0;
        // SAFETY: the caller's promise; there are `count` coefficients.
        unsafe {
            while lane + AT_ONCE * LANES <= args.lanes {
                // Loops, not closures: those are functions without the vector instructions.
                let mut x = [s.splat(0.0); AT_ONCE];
                let mut sum = x;
                for i in 0..AT_ONCE {
                    x[i] = Block::at(s, args.b, lane + i * LANES);
                    sum[i] = A::at(s, args.a, lane + i * LANES);
                }
                for at in 0..count {
                    let c = s.splat(c.add(at).read());
                    for (sum, x) in sum.iter_mut().zip(x) {
                        *sum = s.add(s.mul(*sum, x), c);
                    }
                }
                for (i, sum) in sum.into_iter().enumerate() {
                    s.store(dst.add(lane + i * LANES), sum);
                }
                lane += AT_ONCE * LANES;
            }
            while lane < args.lanes {
                let (x, mut sum) = (Block::at(s, args.b, lane), A::at(s, args.a, lane));
                for at in 0..count {
                    sum = s.add(s.mul(sum, x), s.splat(c.add(at).read()));
                }
                s.store(dst.add(lane), sum);
                lane += LANES;
            }
        }
        false
    }
}

/// A polynomial in `b`; `c` leads to its coefficients, whose number is the extra.
pub(in crate::vector) fn horner(level: Level, a: Form) -> Kernel {
    match a {
        Form::Block => at::<Horner<Block>>(level),
        Form::One => at::<Horner<One>>(level),
    }
}

/// A comparison of vectors.
pub(super) trait Cmp {
    fn apply<S: Simd>(s: S, a: S::F, b: S::F) -> S::M;
}

macro_rules! cmp {
    ($($name:ident = |$s:ident, $a:ident, $b:ident| $body:expr;)*) => {$(
        pub(super) struct $name;
        impl Cmp for $name {
            #[inline(always)]
            fn apply<S: Simd>($s: S, $a: S::F, $b: S::F) -> S::M {
                $body
            }
        }
    )*};
}

cmp! {
    Eq = |s, a, b| s.eq(a, b);
    Ne = |s, a, b| s.not(s.eq(a, b));
    Lt = |s, a, b| s.lt(a, b);
    Le = |s, a, b| s.le(a, b);
    Gt = |s, a, b| s.lt(b, a);
    Ge = |s, a, b| s.le(b, a);
}

struct Compare<C, B>(PhantomData<(C, B)>);

impl<C: Cmp, B: Operand> Body for Compare<C, B> {
    #[inline(always)]
    unsafe fn run<S: Simd>(s: S, args: &Args) -> bool {
        let (yes, no) = (s.splat_words(u64::MAX), s.splat_words(0));
        let mut lane = 0;
        while lane < args.lanes {
            // SAFETY: the caller's promise.
            unsafe {
                let mask = C::apply(s, Block::at(s, args.a, lane), B::at(s, args.b, lane));
                let words = s.floats(s.select_words(mask, yes, no));
                s.store(args.dst.cast::<f64>().add(lane), words);
            }
            lane += LANES;
        }
        false
    }
}

/// A comparison of floats, of which `a` is a block.
pub(in crate::vector) fn compare(level: Level, op: Comparison, b: Form) -> Kernel {
    fn forms<C: Cmp>(level: Level, b: Form) -> Kernel {
        match b {
            Form::Block => at::<Compare<C, Block>>(level),
            Form::One => at::<Compare<C, One>>(level),
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

/// An operation on each word, as a loop that the compiler makes vectors of.
trait Op1 {
    fn apply(a: f64) -> u64;
}

macro_rules! op1 {
    ($($name:ident = |$a:ident| $body:expr;)*) => {$(
        struct $name;
        impl Op1 for $name {
            #[inline(always)]
            fn apply($a: f64) -> u64 {
                $body
            }
        }
    )*};
}

#[inline(always)]
fn truth(holds: bool) -> u64 {
    0_u64.wrapping_sub(u64::from(holds))
}

op1! {
    Neg = |a| (-a).to_bits();
    Abs = |a| a.abs().to_bits();
    Sqrt = |a| a.sqrt().to_bits();
    Floor = |a| a.floor().to_bits();
    Ceil = |a| a.ceil().to_bits();
    Trunc = |a| a.trunc().to_bits();
    Round = |a| a.round_ties_even().to_bits();
    IsNan = |a| truth(a.is_nan());
    IsInf = |a| truth(a.is_infinite());
    IsFinite = |a| truth(a.is_finite());
}

struct Unary<O>(PhantomData<O>);

impl<O: Op1> Body for Unary<O> {
    #[inline(always)]
    unsafe fn run<S: Simd>(_: S, args: &Args) -> bool {
        for lane in 0..args.lanes {
            // SAFETY: the caller's promise.
            unsafe {
                let a = args.a.cast::<f64>().add(lane).read();
                args.dst.add(lane).write(O::apply(a));
            }
        }
        false
    }
}

/// A total operation on a float.
pub(in crate::vector) fn unary(level: Level, op: UnaryOp) -> Option<Kernel> {
    Some(match op {
        UnaryOp::FloatNeg => at::<Unary<Neg>>(level),
        UnaryOp::FloatAbs => at::<Unary<Abs>>(level),
        UnaryOp::FloatSqrt => at::<Unary<Sqrt>>(level),
        UnaryOp::FloatFloor => at::<Unary<Floor>>(level),
        UnaryOp::FloatCeil => at::<Unary<Ceil>>(level),
        UnaryOp::FloatTrunc => at::<Unary<Trunc>>(level),
        UnaryOp::FloatRound => at::<Unary<Round>>(level),
        UnaryOp::FloatIsNan => at::<Unary<IsNan>>(level),
        UnaryOp::FloatIsInf => at::<Unary<IsInf>>(level),
        UnaryOp::FloatIsFinite => at::<Unary<IsFinite>>(level),
        _ => return None,
    })
}
