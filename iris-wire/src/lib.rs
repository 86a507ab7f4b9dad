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
//!
//! # Examples
//!
//! Two nodes in one function; what a socket would carry is a value.
//!
//! ```
//! use std::time::Instant;
//!
//! use iris_core::Pid;
//! use iris_wire::handshake::{Auth, Handshake, HandshakeConfig, Progress};
//! use iris_wire::{Config, Connection, Event, Message, NodeId};
//!
//! let now = Instant::now();
//! let node = |id| HandshakeConfig::new(NodeId([id; 16]), 1, Auth::Open);
//! let (ours, theirs) = (Config::new(&node(1).hello), Config::new(&node(2).hello));
//!
//! // Who is there? A nonce is random where it is not an example.
//! let mut dialler = Handshake::dial(now, node(1), [1; 32])?;
//! let mut acceptor = Handshake::accept(now, node(2), [2; 32])?;
//! acceptor.handle_input(now, dialler.poll_transmit())?;
//! dialler.handle_input(now, acceptor.poll_transmit())?;
//! acceptor.handle_input(now, dialler.poll_transmit())?;
//! let accepted = acceptor.admit().expect("the dialler has proved who it is");
//! let Progress::Done(dialled) = dialler.handle_input(now, acceptor.poll_transmit())? else {
//!     panic!("and so has the acceptor");
//! };
//!
//! // A session each, and a link for it.
//! let mut a = Connection::new(now, ours, dialled.peer.clone());
//! let mut b = Connection::new(now, theirs, accepted.peer.clone());
//! let (at_a, at_b) = (a.attach(now, *dialled)?, b.attach(now, accepted)?);
//!
//! let dst = Pid::new(7, Pid::FIRST_GENERATION).unwrap();
//! a.send(Message::Send { dst, src: None, data: "hello".into() }, None)?;
//! for _ in 0..2 {
//!     let mut chunks = Vec::new();
//!     a.poll_transmit(now, at_a, 64 * 1024, &mut chunks);
//!     chunks.drain(..).for_each(|chunk| b.handle_input(now, at_b, chunk));
//!     b.poll_transmit(now, at_b, 64 * 1024, &mut chunks);
//!     chunks.drain(..).for_each(|chunk| a.handle_input(now, at_a, chunk));
//! }
//!
//! assert!(matches!(b.poll_event(), Some(Event::Ready { resumed: false, .. })));
//! let Some(Event::Message { message, cost, .. }) = b.poll_event() else {
//!     panic!("it has arrived");
//! };
//! assert_eq!(message.data()[..], *b"hello");
//! b.release(cost);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod assemble;
pub mod connection;
pub mod frame;
pub mod handshake;
pub mod legacy;
pub mod limits;

pub use connection::{Config, Connection, Event};
pub use frame::{Frame, FrameError, Message, Name, NodeId};
