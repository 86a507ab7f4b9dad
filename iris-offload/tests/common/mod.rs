//! Helpers of the tests.
#![allow(dead_code, reason = "each test binary uses its part")]

use iris_jit::{Compiled, Interpreter, NativeCompiler};
use iris_offload::{ArrayType, Bailout, Elem, Env, Program, Refusal, Signature, Type, Value};

/// Compiles `def f` of `source` for these types, with `env`, in both back ends.
pub(crate) fn compile_in(
    source: &str,
    types: &[Type],
    env: &Env,
) -> Result<(Compiled, Compiled), Refusal> {
    let program = Program::parse(source, "f", 1)?;
    let signature = Signature::new(types);
    let native = program.compile(&NativeCompiler::new().unwrap(), &signature, env)?;
    let oracle = program.compile(&Interpreter, &signature, env)?;
    Ok((native, oracle))
}

/// Calls `f` in both back ends, which must agree.
pub(crate) fn call_in(source: &str, args: &[Value], env: &Env) -> Result<Value, Bailout> {
    let types: Vec<Type> = args.iter().map(|arg| arg.ty()).collect();
    let (native, oracle) =
        compile_in(source, &types, env).unwrap_or_else(|r| panic!("{}", r.render(source)));
    let (found, expected) = (native.call(args), oracle.call(args));
    let same = match (&found, &expected) {
        (Ok(a), Ok(b)) => a.same(*b),
        (a, b) => a == b,
    };
    assert!(
        same,
        "{source}{args:?}: cranelift {found:?}, interpreter {expected:?}"
    );
    found
}

/// The source of a function of `x`, `y`, .. as many as `args` has.
pub(crate) fn expression(expr: &str, args: usize) -> String {
    let params = ["x", "y", "z"][..args].join(", ");
    format!("def f({params}):\n    return {expr}\n")
}

/// The value of an expression of `x`, `y`, `z` in the standard environment.
pub(crate) fn eval(expr: &str, args: &[Value]) -> Result<Value, Bailout> {
    call_in(&expression(expr, args.len()), args, &Env::standard())
}

/// The type of an array of `NumPy`'s.
pub(crate) fn numpy_array(elem: Elem, ndim: u8) -> Type {
    Type::Array(ArrayType {
        elem,
        ndim,
        contiguous: true,
        writable: true,
        numpy: true,
    })
}

/// The reason why an expression of `x`, `y`, `z` is refused for these types.
pub(crate) fn refusal(expr: &str, types: &[Type]) -> String {
    source_refusal(&expression(expr, types.len()), types)
}

/// The reason why `def f` of `source` is refused for these types.
pub(crate) fn source_refusal(source: &str, types: &[Type]) -> String {
    match compile_in(source, types, &Env::standard()) {
        Ok(_) => panic!("compiled:\n{source}"),
        Err(refusal) => refusal.reason.into_owned(),
    }
}
