//! What cannot be delivered comes home: `cargo run -p iris-core --example given_back`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use iris_core::{Exit, ExitReason, Failure, Message, Pid, SendError};

fn main() {
    let to = Pid::new(7, Pid::FIRST_GENERATION).expect("the generation is in range");
    let message = Message::from(&b"precious"[..]);
    let error = SendError::NoProc { to, message };
    println!("{error}");
    println!("given back: {:?}", error.into_message());

    let panic = Exit::panic(Failure::from_panic(&"index out of bounds"));
    for exit in [Exit::from(ExitReason::Killed), panic] {
        println!("{}: failure {}", exit.reason, exit.reason.is_failure());
    }
}
