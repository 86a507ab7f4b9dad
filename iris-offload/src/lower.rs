//! [`Hir`] and a call signature to the IR: Python's semantics, spelled out with guards.
//!
//! Types are inferred forward, once: the language has no loops yet. Where the type of a value
//! would depend on run-time values the function is refused; where a value has no native result
//! the IR gets a guard.

mod arith;
mod call;
mod expr;
mod math;
mod stmt;

use iris_jit::ir::{Function, FunctionBuilder, Span, Val};
use iris_jit::{Type, Value};

use crate::env::Env;
use crate::hir::Hir;
use crate::refusal::Refusal;
use crate::signature::Signature;

/// Translates a function for arguments of these types.
///
/// # Errors
///
/// The first thing that is not compiled.
pub fn lower(hir: &Hir, signature: &Signature, env: &Env) -> Result<Function, Refusal> {
    let types = signature.types();
    if types.len() != hir.params {
        return Err(Refusal::new(
            hir.span,
            format!(
                "{} takes {} arguments, given {}",
                hir.name,
                hir.params,
                types.len()
            ),
            "pass every argument",
        ));
    }
    // The type of the result is set by the first `return`.
    let builder = FunctionBuilder::new(&hir.name, types, Type::I64);
    let mut locals = vec![Slot::Unbound; hir.locals.len()];
    for (index, &ty) in types.iter().enumerate() {
        locals[index] = Slot::Bound(Operand {
            val: builder.param(index),
            ty,
            constant: None,
        });
    }
    let mut lowerer = Lowerer {
        hir,
        env,
        b: builder,
        locals,
        ret: None,
    };
    lowerer.function()?;
    lowerer.b.finish().map_err(|error| {
        // A bug of ours, but the caller still has the Python function to run.
        Refusal::new(
            hir.span,
            format!("internal error: {error}"),
            "report this function",
        )
    })
}

/// A value with its type, and the constant that it is, if known.
#[derive(Clone, Copy, Debug)]
struct Operand {
    val: Val,
    ty: Type,
    constant: Option<Value>,
}

impl Operand {
    fn constant_int(self) -> Option<i64> {
        match self.constant {
            Some(Value::I64(value)) => Some(value),
            _ => None,
        }
    }

    fn constant_float(self) -> Option<f64> {
        match self.constant {
            Some(Value::F64(value)) => Some(value),
            _ => None,
        }
    }
}

/// What is known of a local name at a place.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// Not assigned on any path.
    Unbound,
    /// Assigned on every path.
    Bound(Operand),
    /// Assigned on some paths only.
    PartlyBound,
    /// Assigned with different types.
    Mixed(Type, Type),
}

struct Lowerer<'a> {
    hir: &'a Hir,
    env: &'a Env,
    b: FunctionBuilder,
    locals: Vec<Slot>,
    ret: Option<Type>,
}

impl Lowerer<'_> {
    fn constant(&mut self, value: Value) -> Operand {
        let val = self.b.constant(value);
        Operand {
            val,
            ty: value.ty(),
            constant: Some(value),
        }
    }

    fn float(&mut self, value: f64) -> Val {
        self.b.constant(Value::F64(value))
    }

    fn int(&mut self, value: i64) -> Val {
        self.b.constant(Value::I64(value))
    }
}

fn int(val: Val) -> Operand {
    Operand {
        val,
        ty: Type::I64,
        constant: None,
    }
}

fn float(val: Val) -> Operand {
    Operand {
        val,
        ty: Type::F64,
        constant: None,
    }
}

fn bool(val: Val) -> Operand {
    Operand {
        val,
        ty: Type::Bool,
        constant: None,
    }
}

fn refuse<T>(
    span: Span,
    reason: impl Into<std::borrow::Cow<'static, str>>,
    mend: &'static str,
) -> Result<T, Refusal> {
    Err(Refusal::new(span, reason, mend))
}
