//! What an element of a map costs in blocks and as machine code, in nanoseconds.
//!
//! `cargo run --release -p iris-offload --example map_backends`
#![expect(clippy::print_stdout, reason = "a measurement shows its figures")]

use std::error::Error;
use std::time::Instant;

use iris_jit::{Arg, ArrayRef, ArrayType, Compiler, CraneliftCompiler, Elem, NativeCompiler};
use iris_offload::{Env, Program, Signature, Type, Value};

const MAPS: [(&str, &str); 5] = [
    (
        "polynomial",
        "((((0.1 * x + y) * x - 0.3) * x + 0.4) * x - 0.5) * x + 0.6",
    ),
    ("exp*sin+log", "math.exp(-x) * math.sin(x) + math.log(x)"),
    ("erfc", "0.5 * math.erfc(-x / y)"),
    ("tan", "math.tan(x) + y"),
    ("branch", "x - y if x > y else y - x"),
];

fn main() -> Result<(), Box<dyn Error>> {
    iris_jit::vector::set_threads(1);
    let array = |writable| {
        Type::Array(ArrayType {
            elem: Elem::F64,
            ndim: 1,
            contiguous: true,
            writable,
            numpy: false,
        })
    };
    let (blocks, cranelift) = (NativeCompiler::new()?, CraneliftCompiler::new()?);
    println!(
        "{:14}{:>10}{:>10}{:>10}",
        "ns", "elements", "blocks", "code"
    );
    for (name, expression) in MAPS {
        let source = format!("def f(x, y):\n    return {expression}\n");
        let program = Program::parse(&source, "f", 1)?;
        let signature = Signature::new([array(true), Type::F64]);
        for len in [8, 512, 100_000_u32] {
            let mut xs: Vec<f64> = (0..len)
                .map(|n| 0.01 + f64::from(n % 1009) / 1009.0)
                .collect();
            let mut out = vec![0.0; xs.len()];
            let rounds = (2_000_000 / len).min(20_000);
            let compilers: [&dyn Compiler; 2] = [&blocks, &cranelift];
            let mut times = [f64::MAX; 2];
            for _ in 0..5 {
                for (compiler, time) in compilers.into_iter().zip(&mut times) {
                    let f = program.compile(compiler, &signature, &Env::standard())?;
                    let start = Instant::now();
                    for _ in 0..rounds {
                        let x = Arg::Array(ArrayRef::from(&mut xs[..]));
                        let y = Arg::Scalar(Value::F64(1.5));
                        f.call_with(&[x, y, Arg::Array(ArrayRef::from(&mut out[..]))])?;
                    }
                    let nanos = start.elapsed().as_secs_f64() * 1e9;
                    *time = time.min(nanos / f64::from(rounds) / f64::from(len));
                }
            }
            println!("{name:14}{len:>10}{:>10.2}{:>10.2}", times[0], times[1]);
        }
    }
    Ok(())
}
