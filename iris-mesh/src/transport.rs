//! The transport port.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;

use crate::membership::Membership;

/// Makes connections to other nodes: over TCP, TLS, memory or an existing engine.
///
/// Called by a node a few times for each peer, from its own tasks; so boxed futures are
/// no cost here. Every method must end with an error rather than wait for ever: the caller
/// sets the time-out by dropping the future.
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
    /// the handshake of a secure transport says. Refused
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)) says that the node that was there is
    /// gone for good: its session is not kept for a resume.
    async fn connect(&self, address: &str) -> io::Result<Link>;

    /// Whether both ends of its links have proved who they are, and nobody can listen.
    fn is_secure(&self) -> bool {
        false
    }

    /// Whether only this machine can reach what listens at `address`: peers need no proof then.
    /// Asked before [`listen`](Self::listen). By default, whether all that the host stands for is
    /// loopback.
    ///
    /// # Errors
    ///
    /// Not an address.
    async fn is_private(&self, address: &str) -> io::Result<bool> {
        let mut any = false;
        for address in tokio::net::lookup_host(address).await? {
            any = true;
            let ip = match address.ip() {
                IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
                ip @ IpAddr::V4(_) => ip,
            };
            if !ip.is_loopback() {
                return Ok(false);
            }
        }
        Ok(any)
    }

    /// A membership that knows nodes through the engine that its links go through, if that can do so.
    fn membership(&self) -> Option<Box<dyn Membership>> {
        None
    }
}

/// An open address.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Where peers can reach it.
    fn local_address(&self) -> String;

    /// The next peer that connects. Cancel safe, and quick: what takes turns with the peer is done
    /// when the link is opened.
    ///
    /// # Errors
    ///
    /// What the operating system says. An error may pass (too many open files), so the
    /// caller tries again after a pause.
    async fn accept(&mut self) -> io::Result<Incoming>;
}

/// A peer that has connected.
pub struct Incoming {
    /// Where from, for logs.
    pub from: String,
    /// The link, once the transport's own handshake is over.
    pub open: Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>,
}

impl Incoming {
    /// One whose link is there already.
    pub fn ready(link: Link) -> Self {
        Self {
            from: link.peer.clone(),
            open: Box::pin(async move { Ok(link) }),
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// One connection. Bytes arrive in the order in which they were sent, or not at all.
pub struct Link {
    /// Who is at the other end, for logs.
    pub peer: String,
    /// Who the other end has proved to be, with a certificate or what the transport has in its
    /// place: its names, and `sha256:` with the digest of the certificate in hexadecimal.
    pub identity: Vec<String>,
    /// What only the two ends of this connection know, such as a TLS exporter: a proof of a secret
    /// holds for this connection then, and not for another that somebody in between has made of it.
    /// Empty if there is nothing.
    pub binding: Vec<u8>,
    /// Whether the other end is this machine itself.
    pub is_local: bool,
    /// What the peer sends.
    pub source: Box<dyn Source>,
    /// What is sent to the peer.
    pub sink: Box<dyn Sink>,
}

/// The receiving half of a link.
#[async_trait]
pub trait Source: Send {
    /// Bytes as they come, at least one; `None` once the peer has closed. Cancel safe.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    async fn receive(&mut self) -> io::Result<Option<Bytes>>;
}

/// The sending half of a link.
#[async_trait]
pub trait Sink: Send {
    /// Sends all of `chunks` in order, in as few system calls as it can, and takes them out. A
    /// call that is cancelled has sent an unknown part.
    ///
    /// # Errors
    ///
    /// The connection is broken; an unknown part of the bytes has left.
    async fn send(&mut self, chunks: &mut Vec<Bytes>) -> io::Result<()>;

    /// Sends what it can at once, on any thread, and takes that out; whether nothing is left to be
    /// done. What is left is for [`send`](Self::send), an error too: it comes again there.
    fn try_send(&mut self, chunks: &mut Vec<Bytes>) -> bool {
        chunks.is_empty()
    }

    /// Says that nothing follows.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    async fn close(&mut self) -> io::Result<()>;
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.peer)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
