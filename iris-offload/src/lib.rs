//! Python function text to guarded machine code, without changing what it answers.
//!
//! The law: for every call the compiled function gives the value *and type* that the running
//! `CPython` gives (NaN as NaN, the sign of zero kept), or it bails out through a guard and the
//! caller runs the original function. What is not understood is refused with a [`Refusal`], never
//! guessed.
//!
//! The entry point is [`Program`]: parse once, ask which free names the text uses, compile per
//! call signature. Reading order: [`program`], [`parse`], [`hir`], [`mod@env`], [`lower`],
//! [`refusal`], [`explain`], [`selftest`].
#![forbid(unsafe_code)]

pub mod program;

pub mod parse;

pub mod hir;

mod live;

pub mod env;

pub mod signature;

pub mod lower;

pub mod refusal;

pub mod explain;

pub mod selftest;

pub use env::{Binding, Env, FreeName, Helper, INTRINSICS};
pub use iris_jit::{
    Arg, ArrayRef, ArrayType, Bailout, Compiled, Compiler, Elem, Output, Shape, Type, Value,
};
pub use program::Program;
pub use refusal::Refusal;
pub use signature::Signature;
