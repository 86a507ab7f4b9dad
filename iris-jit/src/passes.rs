//! What is worked out about a function before machine code is made of it.
//!
//! [`proofs`] says of which instructions the guard can never fire, and what is known of their
//! operands. The function itself stays as it is: the interpreter runs what the front end built, and
//! tests compare the two.

mod counter;
mod facts;
mod inline;
mod interval;
mod loops;
mod proofs;
mod ranges;
mod recurrence;

pub(crate) use inline::with_calls_written_out;
pub(crate) use loops::Loops;
pub(crate) use proofs::{Proof, Proofs, proofs};
pub(crate) use recurrence::with_rounds_joined;
