//! Functions that call themselves.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod common;

use common::call_in;
use iris_jit::ir::GuardKind;
use iris_offload::{Bailout, Binding, Env, Value};

fn env() -> Env {
    let mut env = Env::standard();
    env.bind("f", Binding::Recursion);
    env
}

#[test]
fn a_recursion_is_native() {
    let fib = "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\n";
    assert_eq!(call_in(fib, &[Value::I64(15)], &env()), Ok(Value::I64(610)));
    let power = "def f(x, n):\n    if n == 0:\n        return 1.0\n    return x * f(x, n - 1)\n";
    let args = [Value::F64(2.0), Value::I64(10)];
    assert_eq!(call_in(power, &args, &env()), Ok(Value::F64(1024.0)));
    let odd = "def f(n):\n    if n == 0:\n        return False\n    return not f(n - 1)\n";
    assert_eq!(
        call_in(odd, &[Value::I64(7)], &env()),
        Ok(Value::Bool(true))
    );
}

#[test]
fn a_deep_recursion_and_a_guard_within_end_native_code() {
    let deep = "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\n";
    assert_eq!(
        call_in(deep, &[Value::I64(400)], &env()),
        Ok(Value::I64(400))
    );
    match call_in(deep, &[Value::I64(-1)], &env()) {
        Err(Bailout::Guard { guard, .. }) => assert_eq!(guard, GuardKind::Recursion),
        other => panic!("{other:?}"),
    }
    let divides = "def f(n):\n    return 1 // n if n < 1 else f(n - 1)\n";
    match call_in(divides, &[Value::I64(9)], &env()) {
        Err(Bailout::Guard { guard, .. }) => assert_eq!(guard, GuardKind::ZeroDivision),
        other => panic!("{other:?}"),
    }
}
