//! The transport port.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;

/// Makes connections to other nodes: over TCP, TLS, memory or an existing engine.
///
/// Called by a node a few times for each peer, from its own tasks; so boxed futures are
/// no cost here. Every method must be cancel safe, and must end with an error rather
/// than wait for ever: the caller sets the time-out by dropping the future.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Opens `address` for peers. The address of the listener is the one that was bound,
    /// so port 0 is welcome.
    ///
    /// # Errors
    ///
    /// What the operating system says: the address is in use, not ours, not an address.
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>>;

    /// Connects to the peer at `address`.
    ///
    /// # Errors
    ///
    /// What the operating system says: refused, unreachable, not an address; and what
    /// the handshake of a secure transport says.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Duplex>>;
}

/// An open address.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Where peers can reach it.
    fn local_address(&self) -> String;

    /// The next peer that connects.
    ///
    /// # Errors
    ///
    /// What the operating system says. An error may pass (too many open files), so the
    /// caller tries again after a pause.
    async fn accept(&mut self) -> io::Result<Box<dyn Duplex>>;
}

/// One connection. Bytes arrive in the order in which they were sent, or not at all.
#[async_trait]
pub trait Duplex: Send {
    /// Who is at the other end, for logs and access rules.
    fn peer(&self) -> String;

    /// Bytes as they come, at least one; `None` once the peer has closed.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    async fn receive(&mut self) -> io::Result<Option<Bytes>>;

    /// Sends all of `chunks` in order, in as few system calls as it can.
    ///
    /// # Errors
    ///
    /// The connection is broken; an unknown part of the bytes has left.
    async fn send(&mut self, chunks: &[Bytes]) -> io::Result<()>;
}
