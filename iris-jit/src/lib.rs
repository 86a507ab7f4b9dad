//! A numeric IR of guarded scalars and arrays, and machine code for it. Knows no actor and no Python.
//!
//! The invariant: a call either gives the exact result of the IR or ends in a [`Bailout`]; it
//! never wraps, traps, or rounds more than once per operation.
//!
//! Build a function with [`ir::FunctionBuilder`], hand it to a [`Compiler`], call the
//! [`Compiled`]. Reading order: [`types`], [`ir`], [`verify`], [`compiler`], [`interp`],
//! [`cranelift`], [`vector`], [`speculate`].

pub mod types;

pub mod array;

pub mod ir;

pub mod verify;

pub mod compiler;

mod arith;
mod libm;
mod passes;
mod whole;

pub mod poll;

pub mod interp;

pub mod cranelift;

pub mod vector;

pub mod speculate;

pub use array::{ArrayRef, ArrayType, Elem};
pub use compiler::{Arg, Bailout, CompileError, Compiled, Compiler, Output};
pub use cranelift::CraneliftCompiler;
pub use interp::Interpreter;
pub use types::{Prototype, Shape, Type, Value};
pub use vector::NativeCompiler;
