//! The port to machine code, and what it gives back.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::cranelift::CodeMemory;
use crate::interp;
use crate::ir::{Function, Guard, GuardKind, Span};
use crate::types::{Prototype, Type, Value};
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
}

impl Bailout {
    pub(crate) fn of(guard: Guard) -> Self {
        Self::Guard {
            guard: guard.kind,
            span: guard.span,
        }
    }
}

/// Entry of compiled code. Reads one 64-bit word per parameter from `args`; either writes the
/// result to `ret` and returns 0, or returns the number of the fired guard plus one.
pub(crate) type Entry = unsafe extern "C" fn(args: *const u64, ret: *mut u64) -> u32;

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
}

enum Body {
    /// The memory is held for its `Drop`: `entry` points into it.
    Native {
        entry: Entry,
        memory: Box<CodeMemory>,
    },
    Interpreted(Function),
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

    fn new(backend: &'static str, function: &Function, body: Body) -> Self {
        let inner = Inner {
            body,
            backend,
            name: function.name.clone(),
            prototype: function.prototype(),
            guards: function.guards.clone(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// The guard that fired, or the mismatch of arguments and parameters.
    pub fn call(&self, args: &[Value]) -> Result<Value, Bailout> {
        let Prototype { params, ret } = &self.inner.prototype;
        if !args.iter().map(|arg| arg.ty()).eq(params.iter().copied()) {
            return Err(Bailout::Arguments {
                expected: params.clone(),
                given: args.iter().map(|arg| arg.ty()).collect(),
            });
        }
        let words: Vec<u64> = args.iter().map(|arg| arg.to_bits()).collect();
        let mut result = 0;
        // SAFETY: `words` has one word per parameter, of its type, and `result` is writable.
        match unsafe { self.call_raw(words.as_ptr(), &raw mut result) } {
            0 => Ok(Value::from_bits(*ret, result)),
            status => Err(self.bailout(status).expect("a status names a guard")),
        }
    }

    /// Calls the function without checks: reads one word per parameter from `args` (see
    /// [`Value::to_bits`]); writes the result to `ret` and returns 0, or leaves `ret` alone and
    /// returns a status for [`Compiled::bailout`].
    ///
    /// # Safety
    ///
    /// `args` points to as many readable words as [`Compiled::prototype`] has parameters, each the
    /// bits of a value of the parameter's type, and `ret` to a writable word.
    #[inline]
    pub unsafe fn call_raw(&self, args: *const u64, ret: *mut u64) -> u32 {
        match &self.inner.body {
            // SAFETY: the caller keeps the contract of `Entry`; `self` keeps the code alive.
            Body::Native { entry, .. } => unsafe { entry(args, ret) },
            Body::Interpreted(function) => {
                let word = |(index, &ty): (usize, &Type)| {
                    // SAFETY: the caller gave one readable word per parameter.
                    Value::from_bits(ty, unsafe { *args.add(index) })
                };
                let args: Vec<Value> = function.params.iter().enumerate().map(word).collect();
                match interp::run_unchecked(function, &args) {
                    Ok(value) => {
                        // SAFETY: the caller gave a writable word.
                        unsafe { *ret = value.to_bits() };
                        0
                    }
                    Err(guard) => guard.0 + 1,
                }
            }
        }
    }

    /// The guard behind a status of [`Compiled::call_raw`]; `None` for 0 and unknown numbers.
    pub fn bailout(&self, status: u32) -> Option<Bailout> {
        let index = status.checked_sub(1)? as usize;
        self.inner.guards.get(index).copied().map(Bailout::of)
    }

    /// The name of the function.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What the function takes and gives.
    pub fn prototype(&self) -> &Prototype {
        &self.inner.prototype
    }

    /// The guards, in the order of their statuses.
    pub fn guards(&self) -> &[Guard] {
        &self.inner.guards
    }

    /// The name of the back end that made it.
    pub fn backend(&self) -> &'static str {
        self.inner.backend
    }

    /// Size of the machine code in bytes; 0 if interpreted.
    pub fn code_bytes(&self) -> usize {
        match &self.inner.body {
            Body::Native { memory, .. } => memory.code_bytes(),
            Body::Interpreted(_) => 0,
        }
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
