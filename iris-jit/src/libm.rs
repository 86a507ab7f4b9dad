//! The process's own libm, the one that `CPython` calls: another build of the same functions may
//! round differently, so neither Rust's nor Cranelift's versions will do. What `CPython` computes itself
//! is computed here as it does.

use crate::ir::{Math1, Math2};

#[expect(clippy::float_cmp, reason = "exact values are asked for")]
mod float;
#[expect(clippy::float_cmp, reason = "exact values are asked for")]
mod gamma;
mod norm;
mod process;
#[expect(clippy::float_cmp, reason = "exact values are asked for")]
mod round;

mod sys {
    #[cfg_attr(all(unix, not(target_vendor = "apple")), link(name = "m"))]
    unsafe extern "C" {
        pub(super) safe fn acos(x: f64) -> f64;
        pub(super) safe fn acosh(x: f64) -> f64;
        pub(super) safe fn asin(x: f64) -> f64;
        pub(super) safe fn asinh(x: f64) -> f64;
        pub(super) safe fn atan(x: f64) -> f64;
        pub(super) safe fn atan2(y: f64, x: f64) -> f64;
        pub(super) safe fn atanh(x: f64) -> f64;
        pub(super) safe fn cos(x: f64) -> f64;
        pub(super) safe fn exp2(x: f64) -> f64;
        pub(super) safe fn erfc(x: f64) -> f64;
        pub(super) safe fn erf(x: f64) -> f64;
        pub(super) safe fn cosh(x: f64) -> f64;
        pub(super) safe fn exp(x: f64) -> f64;
        pub(super) safe fn expm1(x: f64) -> f64;
        pub(super) safe fn fmod(x: f64, y: f64) -> f64;
        pub(super) safe fn ldexp(x: f64, by: i32) -> f64;
        pub(super) safe fn log(x: f64) -> f64;
        pub(super) safe fn log10(x: f64) -> f64;
        pub(super) safe fn log1p(x: f64) -> f64;
        pub(super) safe fn log2(x: f64) -> f64;
        pub(super) safe fn pow(x: f64, y: f64) -> f64;
        pub(super) safe fn sin(x: f64) -> f64;
        pub(super) safe fn sinh(x: f64) -> f64;
        pub(super) safe fn tan(x: f64) -> f64;
        pub(super) safe fn tanh(x: f64) -> f64;
    }
}

/// A libm function of one argument.
pub(crate) type Fn1 = extern "C" fn(f64) -> f64;

/// A libm function of two arguments.
pub(crate) type Fn2 = extern "C" fn(f64, f64) -> f64;

/// libm's `fmod`.
pub(crate) fn fmod(x: f64, y: f64) -> f64 {
    sys::fmod(x, y)
}

fn ldexp(x: f64, by: i32) -> f64 {
    sys::ldexp(x, by)
}

/// The function of one argument behind an operation.
pub(crate) fn function1(op: Math1) -> Fn1 {
    match op {
        Math1::Acos => sys::acos,
        Math1::Acosh => sys::acosh,
        Math1::Asin => sys::asin,
        Math1::Asinh => sys::asinh,
        Math1::Atan => sys::atan,
        Math1::Atanh => sys::atanh,
        Math1::Cos => sys::cos,
        Math1::Exp2 => sys::exp2,
        Math1::Erfc => sys::erfc,
        Math1::Erf => sys::erf,
        Math1::Cbrt => process::cbrt(),
        Math1::Cosh => sys::cosh,
        Math1::Exp => sys::exp,
        Math1::Expm1 => sys::expm1,
        Math1::Log => sys::log,
        Math1::Log10 => sys::log10,
        Math1::Log1p => sys::log1p,
        Math1::Log2 => sys::log2,
        Math1::Sin => sys::sin,
        Math1::Sinh => sys::sinh,
        Math1::Tan => sys::tan,
        Math1::Tanh => sys::tanh,
        Math1::Gamma => gamma::gamma,
        Math1::Lgamma => gamma::lgamma,
        Math1::Mantissa => float::mantissa,
        Math1::Exponent => float::exponent,
        Math1::Ulp => float::ulp,
    }
}

/// The function of two arguments behind an operation.
pub(crate) fn function2(op: Math2) -> Fn2 {
    match op {
        Math2::Atan2 => sys::atan2,
        Math2::Fmod => sys::fmod,
        Math2::Pow => sys::pow,
        Math2::Remainder => float::remainder,
        Math2::Hypot => norm::hypot,
        Math2::Nextafter => float::nextafter,
        Math2::Scale => float::scale,
        Math2::RoundDigits => round::round_digits,
    }
}
