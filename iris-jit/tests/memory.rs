//! Code memory: never writable and executable at once, and freed with its function.
//!
//! A test binary of its own: the tests look at the whole process.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(target_os = "linux")]

use iris_jit::ir::{FunctionBuilder, Math1};
use iris_jit::{Compiled, Compiler, CraneliftCompiler, Type, Value};

fn sine(compiler: &CraneliftCompiler) -> Compiled {
    let mut b = FunctionBuilder::new("sine", &[Type::F64], Type::F64);
    let x = b.param(0);
    let y = b.math1(Math1::Sin, x);
    b.ret(y);
    compiler.compile(&b.finish().unwrap()).unwrap()
}

/// Sizes of the mappings with exactly these permissions and no file, in bytes.
fn anonymous_bytes(permissions: &str) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let size = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = fields[0].split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let wanted = fields[1].starts_with(permissions) && fields.len() == 5;
        if wanted {
            address(end) - address(start)
        } else {
            0
        }
    };
    maps.lines().map(size).sum()
}

#[test]
fn code_memory_is_never_writable_and_executable_and_ends_with_its_last_clone() {
    let compiler = CraneliftCompiler::new().unwrap();
    let before = anonymous_bytes("r-x");
    let functions: Vec<_> = (0..200).map(|_| sine(&compiler)).collect();
    assert!(
        anonymous_bytes("r-x") >= before + 200 * 4096,
        "each function has a page"
    );
    assert_eq!(anonymous_bytes("rwx"), 0);

    let kept = functions[7].clone();
    drop(functions);
    assert_eq!(
        anonymous_bytes("r-x"),
        before + 4096,
        "the clone keeps one page"
    );
    let caller = std::thread::spawn(move || kept.call(&[Value::F64(1.0)]));
    assert_eq!(caller.join().unwrap(), Ok(Value::F64(1.0_f64.sin())));
    assert_eq!(anonymous_bytes("r-x"), before);
}
