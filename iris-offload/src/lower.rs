//! [`Hir`] and a call signature to the IR: Python's semantics, spelled out with guards.
//!
//! Types are inferred forward. A local name may have several types in the course of a function:
//! where paths with different types of a name that is still read meet, they stay apart, and what
//! follows is translated once for each combination of types (see `state`). Where a value has no
//! native result the IR gets a guard.

mod arguments;
mod arith;
mod array;
mod call;
mod condition;
mod expr;
mod inline;
mod iterate;
mod loops;
mod map;
mod math;
mod math_exact;
mod member;
mod method;
mod numpy;
mod reduce;
mod round;
mod state;
mod stmt;
mod while_call;

use std::rc::Rc;

use iris_jit::ir::{Function, FunctionBuilder, GuardKind, Span, Val};
use iris_jit::{Shape, Type, Value};

use crate::env::Env;
use crate::hir::Hir;
use crate::refusal::Refusal;
use crate::signature::Signature;
use loops::Frame;
use numpy::Maker;
use state::{Slot, State};

pub(crate) use map::is_map;
pub use while_call::ITERATION_CAP;

/// Translates a function for arguments of these types.
///
/// # Errors
///
/// The first thing that is not compiled.
pub fn lower(hir: &Hir, signature: &Signature, env: &Env) -> Result<Function, Refusal> {
    let types = signature.types();
    let taken = hir.taken().count();
    if types.len() != taken {
        return Err(Refusal::new(
            hir.span,
            format!(
                "{} takes {taken} arguments, given {}",
                hir.name,
                types.len()
            ),
            "pass every argument",
        ));
    }
    let built = if is_map(hir, signature) {
        lower_map(hir, signature, env)?
    } else {
        lower_function(hir, types, env)?
    };
    built.finish().map_err(|error| {
        // A bug of ours, but the caller still has the Python function to run.
        Refusal::new(
            hir.span,
            format!("internal error: {error}"),
            "report this function",
        )
    })
}

/// The result of a function that calls itself is assumed, and the assumption checked.
fn lower_function(hir: &Hir, types: &[Type], env: &Env) -> Result<FunctionBuilder, Refusal> {
    let mut first = None;
    for result in [Type::I64, Type::F64, Type::Bool] {
        let mut lowerer = Lowerer::new(hir, env, types);
        lowerer.result = types
            .iter()
            .all(|ty| ty.array().is_none())
            .then_some(result);
        lowerer.locals[..hir.params].fill(Slot::Bound(Datum::None));
        for (index, (param, &ty)) in hir.taken().zip(types).enumerate() {
            let val = lowerer.b.param(index);
            lowerer.locals[param] = Slot::Bound(Datum::of(val, ty));
        }
        let done = lowerer.function();
        let b = lowerer.b;
        if !lowerer.recursive {
            return done.map(|()| b);
        }
        match done {
            Ok(()) if b.returns() == [Shape::Scalar(result)] => return Ok(b),
            Ok(()) => {}
            Err(refusal) => first = first.or(Some(refusal)),
        }
    }
    let of_types = || {
        let mend = "return one type on every path";
        Refusal::new(hir.span, "a recursion with results of several types", mend)
    };
    Err(first.unwrap_or_else(of_types))
}

/// The type of the results shows while the body is translated: first floats are tried.
fn lower_map(hir: &Hir, signature: &Signature, env: &Env) -> Result<FunctionBuilder, Refusal> {
    let mut result = Type::F64;
    for _ in 0..2 {
        let mut types = signature.types().to_vec();
        types.push(map::out_param(result));
        let mut lowerer = Lowerer::new(hir, env, &types);
        match lowerer.map(signature) {
            Ok(()) | Err(Stop::Diverged) => return Ok(lowerer.b),
            Err(Stop::Refusal(refusal)) => return Err(refusal),
            Err(Stop::Retype(ty, _)) => result = ty,
        }
    }
    refuse(
        hir.span,
        "a map to several types",
        "return one type on every path",
    )
}

/// Why lowering of a part ends early.
enum Stop {
    /// The function is not compiled.
    Refusal(Refusal),
    /// Control never comes behind this part: the current block has ended.
    Diverged,
    /// A running total or a result has another type than tried: start over with this one.
    Retype(Type, Maker),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

type Lowered<T> = Result<T, Stop>;

/// A scalar with its type, the constant that it is, if known, and whose number it is.
#[derive(Clone, Copy, Debug)]
struct Operand {
    val: Val,
    ty: Type,
    /// Of Python's numbers only.
    constant: Option<Value>,
    maker: Maker,
}

impl Operand {
    /// Python's number, of which nothing is known.
    fn of(val: Val, ty: Type) -> Self {
        Self {
            val,
            ty,
            constant: None,
            maker: Maker::Python,
        }
    }

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

    /// Whether it is true, if that is known.
    fn constant_truth(self) -> Option<bool> {
        self.constant.map(|constant| match constant {
            Value::I64(value) => value != 0,
            Value::F64(value) => value != 0.0,
            Value::Bool(value) => value,
        })
    }
}

/// What an expression gives.
#[derive(Clone, Debug)]
enum Datum {
    Scalar(Operand),
    None,
    Tuple(Rc<[Datum]>),
    /// An array parameter.
    Array(Val),
}

impl Datum {
    fn of(val: Val, ty: Type) -> Self {
        match ty {
            Type::Array(_) => Self::Array(val),
            _ => Self::Scalar(Operand::of(val, ty)),
        }
    }
}

struct Lowerer<'a> {
    hir: &'a Hir,
    env: &'a Env,
    b: FunctionBuilder,
    locals: Vec<Slot>,
    /// The loops around the current statement.
    frames: Vec<Frame>,
    /// The calls that are being inlined, the innermost last.
    calls: Vec<inline::Inlined<'a>>,
    /// Statements translated so far.
    statements: usize,
    /// What a call of the function itself is taken to give.
    result: Option<Type>,
    /// Whether there is such a call.
    recursive: bool,
    /// Whether the last bits of floats do not matter.
    fast_math: bool,
}

impl<'a> Lowerer<'a> {
    fn new(hir: &'a Hir, env: &'a Env, params: &[Type]) -> Self {
        Self {
            hir,
            env,
            b: FunctionBuilder::open(&hir.name, params),
            locals: vec![Slot::Unbound; hir.locals.len()],
            frames: Vec::new(),
            calls: Vec::new(),
            statements: 0,
            result: None,
            recursive: false,
            fast_math: env.fast_math,
        }
    }
}

impl Lowerer<'_> {
    fn constant(&mut self, value: Value) -> Operand {
        let val = self.b.constant(value);
        Operand {
            constant: Some(value),
            ..Operand::of(val, value.ty())
        }
    }

    fn float(&mut self, value: f64) -> Val {
        self.b.constant(Value::F64(value))
    }

    fn int(&mut self, value: i64) -> Val {
        self.b.constant(Value::I64(value))
    }

    fn boolean(&mut self, value: bool) -> Val {
        self.b.constant(Value::Bool(value))
    }

    /// Ends native code here.
    fn diverge<T>(&mut self, kind: GuardKind, at: Span) -> Lowered<T> {
        self.b.bail(kind, at);
        Err(Stop::Diverged)
    }

    fn state(&self) -> State {
        State {
            block: self.b.current(),
            locals: self.locals.clone(),
        }
    }
}

fn int(val: Val) -> Operand {
    Operand::of(val, Type::I64)
}

fn float(val: Val) -> Operand {
    Operand::of(val, Type::F64)
}

fn bool(val: Val) -> Operand {
    Operand::of(val, Type::Bool)
}

fn refuse<T, E: From<Refusal>>(
    span: Span,
    reason: impl Into<std::borrow::Cow<'static, str>>,
    mend: &'static str,
) -> Result<T, E> {
    Err(Refusal::new(span, reason, mend).into())
}
