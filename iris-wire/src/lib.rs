//! Frames of the mesh protocol and one connection's state, without I/O.
//!
//! **Invariant:** everything here is a function of bytes, commands and the time that is passed
//! in. Nothing sleeps, reads a clock, takes a lock, opens a socket or knows a process; nothing
//! that a peer sends makes it panic, or allocate before the bytes have arrived.
//!
//! `docs/PROTOCOL.md` describes the bytes.
//!
//! | module | says |
//! |---|---|
//! | [`frame`] | what nodes say to each other, as values and as bytes |
//! | [`legacy`] | the four original packets, both dialects, and the way up from them |
//! | [`handshake`] | two nodes introduce themselves, and prove it |
//! | [`connection`] | one session: order, acknowledgement, resume, credit, fragments, heartbeats |
//! | [`limits`] | sizes and times that the protocol fixes |

#![forbid(unsafe_code)]

mod assemble;
pub mod connection;
pub mod frame;
pub mod handshake;
pub mod legacy;
pub mod limits;

pub use connection::{Config, Connection, Event};
pub use frame::{Frame, FrameError, Message, Name, NodeId};
