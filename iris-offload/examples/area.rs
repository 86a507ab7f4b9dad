//! Python text to machine code, or the reason why not: `cargo run -p iris-offload --example area`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use iris_jit::CraneliftCompiler;
use iris_offload::{Env, Program, Signature, Type, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let program = Program::parse("def area(r):\n    return math.pi * r ** 2\n", "area", 1)?;
    let compiler = CraneliftCompiler::new()?;
    let area = program.compile(&compiler, &Signature::new([Type::F64]), &Env::standard())?;
    println!("area(2.0) = {:?}", area.call(&[Value::F64(2.0)])?);

    let source = "def greet(name):\n    return f'hello {name}'\n";
    if let Err(refusal) = Program::parse(source, "greet", 1) {
        println!("{}", refusal.render(source));
    }
    Ok(())
}
