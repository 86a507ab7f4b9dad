//! The port to machine code, and what it gives back.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use thiserror::Error;

use crate::array::ArrayRef;
use crate::cranelift::CodeMemory;
use crate::interp;
use crate::ir::{Function, Guard, GuardKind, Span};
use crate::types::{Prototype, Shape, Type, Value};
use crate::vector::Program;
use crate::verify::VerifyError;

/// Turns a function of the IR into something that can be called.
///
/// The front end calls it once per function and call signature, on the thread that made the first
/// such call (a guest's thread, which may hold the guest's lock) or on an idle one; several
/// threads may compile at once. A compile takes about a millisecond of CPU and a few system calls
/// for code memory; it may block on nothing else.
///
/// An implementor must give the function the meaning that [`interp::run`] gives it, bit for bit
/// (NaN payloads apart), must not trap or panic on any verified function, and must resolve no
/// symbol that it was not given.
pub trait Compiler: fmt::Debug + Send + Sync {
    /// The name of this back end in explanations.
    fn name(&self) -> &'static str;

    /// Verifies and compiles a function.
    ///
    /// # Errors
    ///
    /// If the function breaks a rule of the IR or the back end cannot take it.
    fn compile(&self, function: &Function) -> Result<Compiled, CompileError>;
}

/// Why a function was not compiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The function breaks a rule of the IR.
    #[error("malformed function: {0}")]
    Verify(#[from] VerifyError),
    /// This machine has no native back end.
    #[error("no native back end for this machine: {0}")]
    Unsupported(&'static str),
    /// The function has more parameters or guards than a call can carry.
    #[error("the function is too large")]
    TooLarge,
    /// The back end failed.
    #[error("back end: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Machine code refers to a symbol that was not registered.
    #[error("machine code needs the unknown symbol {symbol}")]
    UnknownSymbol {
        /// What the code refers to.
        symbol: String,
    },
}

/// Why a call gave no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Bailout {
    /// A guard fired: the caller runs the original function instead.
    #[error("{guard} at {span}")]
    Guard {
        /// Why.
        guard: GuardKind,
        /// Where.
        span: Span,
    },
    /// The arguments do not suit the parameters.
    #[error("expected arguments {expected:?}, given {given:?}")]
    Arguments {
        /// Types of the parameters.
        expected: Vec<Type>,
        /// Types of the arguments.
        given: Vec<Type>,
    },
    /// The result is no single value: see [`Compiled::call_with`].
    #[error("the result is {shape}, not one value")]
    NotScalar {
        /// What it is.
        shape: Shape,
    },
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A scalar.
    Scalar(Value),
    /// An array.
    Array(ArrayRef<'a>),
}

impl Arg<'_> {
    /// The type of this argument.
    pub fn ty(&self) -> Type {
        match self {
            Self::Scalar(value) => value.ty(),
            Self::Array(array) => Type::Array(array.ty()),
        }
    }

    fn push_words(&self, words: &mut Vec<u64>) {
        match self {
            Self::Scalar(value) => words.push(value.to_bits()),
            Self::Array(array) => words.extend(array.words()),
        }
    }
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its shape: one of the function's.
    pub shape: Shape,
    /// The values in it, in order.
    pub values: Vec<Value>,
}

impl Output {
    /// Whether both are the same values of the same types, as [`Value::same`] has it.
    pub fn same(&self, other: &Self) -> bool {
        let mut values = self.values.iter().zip(&other.values);
        self.shape == other.shape && values.all(|(a, b)| a.same(*b))
    }
}

impl Bailout {
    pub(crate) fn of(guard: Guard) -> Self {
        Self::Guard {
            guard: guard.kind,
            span: guard.span,
        }
    }
}

/// Entry of compiled code. Reads the words of the arguments from `args`; either writes the result
/// to `ret` and returns the number of its shape, marked with [`SHAPE`] unless it is 0, or returns
/// the number of the fired guard plus one.
pub(crate) type Entry = unsafe extern "C" fn(args: *const u64, ret: *mut u64) -> u32;

/// The bit that tells shapes other than the first from guards in a status.
pub(crate) const SHAPE: u32 = 1 << 31;

/// A callable function. Clones share the code, which is freed when the last of them drops.
///
/// It may be called from any thread, and from several at once.
#[derive(Clone)]
pub struct Compiled {
    inner: Arc<Inner>,
}

struct Inner {
    body: Body,
    backend: &'static str,
    name: String,
    prototype: Prototype,
    guards: Vec<Guard>,
    stores: Vec<usize>,
    loads: Vec<usize>,
    polls: bool,
    recursive: bool,
    ret_words: usize,
}

enum Body {
    /// The memory is held for its `Drop`: `entry` points into it.
    Native {
        entry: Entry,
        memory: Box<CodeMemory>,
    },
    Interpreted(Function),
    /// Where a block fails, the function itself is interpreted.
    Blocks {
        program: Box<Program>,
        function: Function,
    },
    /// The same code, with a number of threads instead of an estimate.
    OnThreads {
        blocks: Arc<Inner>,
        threads: NonZeroUsize,
    },
}

impl Compiled {
    pub(crate) fn native(
        backend: &'static str,
        function: &Function,
        entry: Entry,
        memory: CodeMemory,
    ) -> Self {
        Self::new(
            backend,
            function,
            Body::Native {
                entry,
                memory: Box::new(memory),
            },
        )
    }

    pub(crate) fn interpreted(backend: &'static str, function: Function) -> Self {
        let copy = function.clone();
        Self::new(backend, &copy, Body::Interpreted(function))
    }

    pub(crate) fn in_blocks(backend: &'static str, function: &Function, program: Program) -> Self {
        let body = Body::Blocks {
            program: Box::new(program),
            function: function.clone(),
        };
        Self::new(backend, function, body)
    }

    /// The same map with so many threads for each call, the caller's included, where there are
    /// elements enough; `None` if it is no map of block vectors. Both share the code.
    #[must_use]
    pub fn on_threads(&self, threads: NonZeroUsize) -> Option<Self> {
        let Body::Blocks { function, .. } = &self.inner.body else {
            return None;
        };
        let blocks = self.inner.clone();
        let body = Body::OnThreads { blocks, threads };
        Some(Self::new(self.inner.backend, function, body))
    }

    fn new(backend: &'static str, function: &Function, body: Body) -> Self {
        let inner = Inner {
            body,
            backend,
            name: function.name.clone(),
            prototype: function.prototype(),
            guards: function.guards.clone(),
            stores: function.stores(),
            loads: function.loads(),
            polls: function.polls(),
            recursive: function.is_recursive(),
            ret_words: function.prototype().ret_words(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Calls a function of scalars that gives one.
    ///
    /// # Errors
    ///
    /// The guard that fired, or the mismatch of arguments and parameters.
    pub fn call(&self, args: &[Value]) -> Result<Value, Bailout> {
        let args: Vec<Arg<'_>> = args.iter().copied().map(Arg::Scalar).collect();
        let Output { shape, values } = self.call_with(&args)?;
        match (&shape, values.as_slice()) {
            (Shape::Scalar(_), &[value]) => Ok(value),
            _ => Err(Bailout::NotScalar { shape }),
        }
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// The guard that fired, or the mismatch of arguments and parameters.
    pub fn call_with(&self, args: &[Arg<'_>]) -> Result<Output, Bailout> {
        let Prototype { params, returns } = &self.inner.prototype;
        if !args.iter().map(Arg::ty).eq(params.iter().copied()) {
            return Err(Bailout::Arguments {
                expected: params.clone(),
                given: args.iter().map(Arg::ty).collect(),
            });
        }
        let mut words = Vec::new();
        for arg in args {
            arg.push_words(&mut words);
        }
        if self.inner.recursive {
            // Small beside the stack of any thread that calls from Rust.
            const DEPTH: u64 = 500;
            const STACK_BYTES: u64 = 128 << 10;
            words.push(DEPTH);
            words.push((&raw const words).addr() as u64 - STACK_BYTES);
        }
        let mut result = vec![0; self.inner.prototype.ret_words().max(1)];
        // SAFETY: `words` has the words of each parameter's type, arrays by the contract of
        // `ArrayRef`, and `result` is long enough for each shape.
        let status = unsafe { self.call_raw(words.as_ptr(), result.as_mut_ptr()) };
        let Some(shape) = self.shape(status) else {
            return Err(self.bailout(status).expect("a status names a guard"));
        };
        let shape = returns[shape].clone();
        let values = shape.scalars().into_iter().zip(result);
        let values = values
            .map(|(ty, bits)| Value::from_bits(ty, bits))
            .collect();
        Ok(Output { shape, values })
    }

    /// Calls the function without checks: reads the words of the arguments from `args` (see
    /// [`Value::to_bits`] and [`ArrayRef::words`]); gives a status for [`Compiled::shape`] and
    /// [`Compiled::bailout`]. The values of a result are written to `ret`; 0 is the first shape.
    ///
    /// # Safety
    ///
    /// `args` points to [`Prototype::arg_words`] readable words, which stand for values of the
    /// parameters' types, arrays with the promise of [`ArrayRef::from_parts`]; `ret` points to
    /// [`Prototype::ret_words`] writable words. If the function [calls
    /// itself](Compiled::is_recursive), two more words follow: how many calls may be in each other,
    /// and the lowest address that the stack may grow down to.
    #[inline]
    pub unsafe fn call_raw(&self, args: *const u64, ret: *mut u64) -> u32 {
        match &self.inner.body {
            // SAFETY: the caller keeps the contract of `Entry`; `self` keeps the code alive.
            Body::Native { entry, .. } => unsafe { entry(args, ret) },
            Body::Blocks { program, function } => {
                let count = self.inner.prototype.arg_words();
                // SAFETY: the caller gave that many readable words, which suit the parameters.
                unsafe { program.run(function, std::slice::from_raw_parts(args, count), None) }
            }
            Body::OnThreads { blocks, threads } => {
                let Body::Blocks { program, function } = &blocks.body else {
                    unreachable!("`on_threads` makes it of blocks only")
                };
                let count = self.inner.prototype.arg_words();
                // SAFETY: as above.
                let args = unsafe { std::slice::from_raw_parts(args, count) };
                // SAFETY: as above.
                unsafe { program.run(function, args, Some(*threads)) }
            }
            Body::Interpreted(function) => {
                let count = self.inner.prototype.arg_words();
                let words: Vec<u64> = (0..count)
                    // SAFETY: the caller gave that many readable words.
                    .map(|index| unsafe { *args.add(index) })
                    .collect();
                let depth = if self.inner.recursive {
                    // SAFETY: the word behind the arguments of a function that calls itself.
                    unsafe { *args.add(count) }
                } else {
                    0
                };
                // SAFETY: the caller's promise for arrays.
                match unsafe { interp::run_words(function, &words, depth) } {
                    Ok((shape, values)) => {
                        for (index, value) in values.iter().enumerate() {
                            // SAFETY: the caller gave a writable word for each value.
                            unsafe { *ret.add(index) = value.to_bits() };
                        }
                        status_of_shape(shape)
                    }
                    Err(guard) => guard.0 + 1,
                }
            }
        }
    }

    /// The index in [`Prototype::returns`] of the result behind a status of
    /// [`Compiled::call_raw`]; `None` if the call gave none.
    #[inline]
    pub fn shape(&self, status: u32) -> Option<usize> {
        match status {
            0 => Some(0),
            _ => (status & SHAPE != 0).then_some((status & !SHAPE) as usize),
        }
    }

    /// The guard behind a status of [`Compiled::call_raw`]; `None` for results and unknown numbers.
    pub fn bailout(&self, status: u32) -> Option<Bailout> {
        let index = status.checked_sub(1)? as usize;
        self.inner.guards.get(index).copied().map(Bailout::of)
    }

    /// The name of the function.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What the function takes and gives.
    #[inline]
    pub fn prototype(&self) -> &Prototype {
        &self.inner.prototype
    }

    /// How many 64-bit words a result takes at most: [`Prototype::ret_words`], worked out once.
    #[inline]
    pub fn ret_words(&self) -> usize {
        self.inner.ret_words
    }

    /// The guards, in the order of their statuses.
    pub fn guards(&self) -> &[Guard] {
        &self.inner.guards
    }

    /// The parameters that are arrays which it writes to, by number. A call that ends in a bailout
    /// may have written already.
    pub fn stores(&self) -> &[usize] {
        &self.inner.stores
    }

    /// The parameters that are arrays of which it reads elements, by number.
    pub fn loads(&self) -> &[usize] {
        &self.inner.loads
    }

    /// Whether it calls itself.
    #[inline]
    pub fn is_recursive(&self) -> bool {
        self.inner.recursive
    }

    /// Whether it may run long: it has a loop or a recursion that asks the hook of [`crate::poll`].
    #[inline]
    pub fn polls(&self) -> bool {
        self.inner.polls
    }

    /// The name of the back end that made it.
    pub fn backend(&self) -> &'static str {
        self.inner.backend
    }

    /// Size of the machine code in bytes, or of the steps of a map; 0 if interpreted.
    pub fn code_bytes(&self) -> usize {
        self.inner.code_bytes()
    }
}

impl Inner {
    fn code_bytes(&self) -> usize {
        match &self.body {
            Body::Native { memory, .. } => memory.code_bytes(),
            Body::Blocks { program, .. } => program.bytes(),
            Body::Interpreted(_) => 0,
            Body::OnThreads { blocks, .. } => blocks.code_bytes(),
        }
    }
}

/// The status of a result of this shape.
pub(crate) fn status_of_shape(shape: usize) -> u32 {
    match u32::try_from(shape).unwrap_or(u32::MAX >> 1) {
        0 => 0,
        shape => shape | SHAPE,
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("name", &self.inner.name)
            .field("prototype", &self.inner.prototype)
            .field("backend", &self.inner.backend)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::Interpreter;
    use crate::ir::FunctionBuilder;

    #[test]
    fn a_call_checks_arity_and_types() {
        let mut b = FunctionBuilder::new("id", &[Type::I64], Type::I64);
        b.ret(b.param(0));
        let id = Interpreter.compile(&b.finish().unwrap()).unwrap();
        assert_eq!(id.call(&[Value::I64(3)]), Ok(Value::I64(3)));
        for args in [&[][..], &[Value::F64(3.0)], &[Value::I64(1), Value::I64(2)]] {
            assert!(
                matches!(id.call(args), Err(Bailout::Arguments { .. })),
                "{args:?}"
            );
        }
        assert_eq!(id.bailout(0), None);
        assert_eq!(id.bailout(1), None);
    }

    #[test]
    fn compiled_code_crosses_threads() {
        fn assert_send_sync<T: Send + Sync>() {}
        assert_send_sync::<Compiled>();
    }
}
