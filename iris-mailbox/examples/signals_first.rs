//! Signals overtake messages, and nothing is lost when a mailbox closes:
//! `cargo run -p iris-mailbox --example signals_first`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use iris_core::{Envelope, Lane, Message};
use iris_mailbox::{Mailbox, PushError};

fn main() -> Result<(), PushError> {
    let mailbox: Mailbox = Mailbox::new();
    for text in ["one", "two", "three"] {
        mailbox.push(Lane::User, Message::from(text.as_bytes()).into())?;
    }
    mailbox.push(Lane::Signal, Envelope::Wake)?;
    println!("{} messages", mailbox.len());
    println!("a signal first: {}", is_wake(mailbox.pop().as_ref()));
    println!("then a message: {}", !is_wake(mailbox.pop().as_ref()));
    println!("left: {:?}", mailbox.close());
    let late = Message::from(&b"late"[..]).into();
    println!("too late: {}", mailbox.push(Lane::User, late).is_err());
    Ok(())
}

fn is_wake(envelope: Option<&Envelope>) -> bool {
    matches!(envelope, Some(Envelope::Wake))
}
