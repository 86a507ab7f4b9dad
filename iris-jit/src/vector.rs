//! The back end for maps: blocks of elements, one kernel after the other.
//!
//! A map is a loop over arrays whose body computes one element from one element of each. Here it
//! becomes a list of steps. Each is a loop over a block of 512 elements, in vectors as wide as the
//! CPU has them, and writes a block that stays in the first cache. What is the same for all
//! elements is computed once. Guards are steps, too: a block in which one fails is computed again
//! by the interpreter, which finds the first element that ends the call.
//!
//! `exp`, `log`, `erfc`, `sin` and `cos` have vector versions that give libm's own bits, where the
//! libm is glibc's on x86-64 and `selftest` agrees; other functions of libm are called for each
//! element. No step contracts or reassociates. A call that is expected to take more than 200
//! microseconds runs on several threads, see [`set_threads`].
//!
//! `graph` reads a function, `program` makes steps of it and runs them, `kernels` are the
//! loops, `math` and `simd` what they are made of.

#![allow(
    clippy::inline_always,
    reason = "what is not inlined into a kernel is compiled without its instructions"
)]
#![allow(
    clippy::many_single_char_names,
    reason = "formulas have the names of their literature"
)]
#![allow(
    clippy::option_option,
    reason = "the outer one is that of the operator ?"
)]

mod graph;
mod kernels;
mod math;
mod program;
mod selftest;
mod simd;

use std::sync::OnceLock;

use crate::compiler::{CompileError, Compiled, Compiler};
use crate::cranelift::CraneliftCompiler;
use crate::ir::Function;
use crate::verify::verify;
use kernels::Level;
pub(crate) use program::Program;
pub use program::{set_threads, threads};

/// The name of this back end.
pub(crate) const NAME: &str = "block-vector";

/// Compiles maps to steps over blocks, and everything else with another compiler.
///
/// A map is a function whose one loop runs over all elements of arrays of one dimension, without
/// loops in its body, and stores one result for each.
#[derive(Clone, Debug)]
pub struct NativeCompiler {
    others: CraneliftCompiler,
    level: Level,
}

impl NativeCompiler {
    /// Describes the host CPU.
    ///
    /// # Errors
    ///
    /// If Cranelift has no back end for the host.
    pub fn new() -> Result<Self, CompileError> {
        static BEST: OnceLock<Level> = OnceLock::new();
        let best = || Level::all().pop().unwrap_or(Level::Portable);
        Ok(Self {
            others: CraneliftCompiler::new()?,
            level: *BEST.get_or_init(best),
        })
    }

    /// One for each set of vector instructions that this CPU has, the best last. For tests.
    ///
    /// # Errors
    ///
    /// If Cranelift has no back end for the host.
    pub fn of_each_level() -> Result<Vec<Self>, CompileError> {
        let others = CraneliftCompiler::new()?;
        let with = |level| Self {
            others: others.clone(),
            level,
        };
        Ok(Level::all().into_iter().map(with).collect())
    }
}

impl Compiler for NativeCompiler {
    fn name(&self) -> &'static str {
        "native"
    }

    fn compile(&self, function: &Function) -> Result<Compiled, CompileError> {
        verify(function)?;
        let program = graph::of(function);
        let program = program.and_then(|graph| Program::new(function, &graph, self.level));
        match program {
            Some(program) => Ok(Compiled::in_blocks(NAME, function, program)),
            None => self.others.compile(function),
        }
    }
}
