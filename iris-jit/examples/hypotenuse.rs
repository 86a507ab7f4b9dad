//! Compiles `sqrt(x * x + y * y)` with a domain guard and calls it.

use iris_jit::ir::{BinaryOp, FunctionBuilder, GuardKind, Span, UnaryOp};
use iris_jit::{Compiler, CraneliftCompiler, Type, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut b = FunctionBuilder::new("hypotenuse", &[Type::F64, Type::F64], Type::F64);
    let (x, y) = (b.param(0), b.param(1));
    let xx = b.binary(BinaryOp::FloatMul, x, x);
    let yy = b.binary(BinaryOp::FloatMul, y, y);
    let sum = b.binary(BinaryOp::FloatAdd, xx, yy);
    let finite = b.unary(UnaryOp::FloatIsFinite, sum);
    b.guard(finite, GuardKind::Range, Span::default());
    let root = b.unary(UnaryOp::FloatSqrt, sum);
    b.ret(root);

    let hypotenuse = CraneliftCompiler::new()?.compile(&b.finish()?)?;
    assert_eq!(
        hypotenuse.call(&[Value::F64(3.0), Value::F64(4.0)])?,
        Value::F64(5.0)
    );
    assert!(
        hypotenuse
            .call(&[Value::F64(1e200), Value::F64(4.0)])
            .is_err()
    );
    Ok(())
}
