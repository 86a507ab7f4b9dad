//! The program behind `cargo xtask bench core`; `child` among its arguments makes it one
//! repetition.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    bench_core::parent::main(&args)
}
