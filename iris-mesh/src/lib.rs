//! Nodes talking to nodes over a transport.
//!
//! This version holds the [`Transport`] port; no adapter is built yet and no node
//! listens. What travels over a transport is `iris-wire`'s business, who may speak to
//! whom is this crate's.

#![forbid(unsafe_code)]

mod transport;

pub use transport::{Duplex, Listener, Transport};
