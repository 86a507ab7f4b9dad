//! Links in a simulated network with a simulated clock.

use std::io;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use iris_mesh::{Incoming, Link, Listener, Sink, Source, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use turmoil::net::{TcpListener, TcpStream};

/// TCP as `turmoil` simulates it. To be used by the hosts of a `turmoil::Sim`, with nodes that were
/// started by [`Node::start_on`](iris_mesh::Node::start_on) on the host's runtime: then the clock of
/// the simulation governs the node, and the simulation's partitions, delays and crashes happen
/// to its links. Addresses are `host:port`; a node listens on `0.0.0.0:port`.
///
/// What a partition drops is not sent again, so that a link that was caught in one stays silent
/// in that direction: the worst that TCP can do. `Sim::hold` and `Sim::release` only delay. The
/// simulation refuses dials through a partition as it does where nobody listens; they are all
/// [unreachable](io::ErrorKind::HostUnreachable) here. What is truly to be refused says
/// [`Chaos::refuse`](crate::Chaos::refuse).
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated;

#[async_trait]
impl Transport for Simulated {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let listener = TcpListener::bind(address).await?;
        Ok(Box::new(Accepting(listener)))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        let unreachable = |_| io::Error::from(io::ErrorKind::HostUnreachable);
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        Ok(link(stream, address.to_owned()))
    }
}

struct Accepting(TcpListener);

#[async_trait]
impl Listener for Accepting {
    fn local_address(&self) -> String {
        let address = self.0.local_addr();
        address.map_or_else(|_| String::new(), |address| address.to_string())
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        let (stream, from) = self.0.accept().await?;
        Ok(Incoming::ready(link(stream, from.to_string())))
    }
}

fn link(stream: TcpStream, peer: String) -> Link {
    let (read, write) = stream.into_split();
    Link {
        peer,
        identity: Vec::new(),
        binding: Vec::new(),
        is_local: false,
        source: Box::new(Reading(read)),
        sink: Box::new(Writing(write)),
    }
}

struct Reading(OwnedReadHalf);

#[async_trait]
impl Source for Reading {
    async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        let mut buffer = BytesMut::with_capacity(16 << 10);
        match self.0.read_buf(&mut buffer).await? {
            0 => Ok(None),
            _ => Ok(Some(buffer.freeze())),
        }
    }
}

struct Writing(OwnedWriteHalf);

#[async_trait]
impl Sink for Writing {
    async fn send(&mut self, chunks: &mut Vec<Bytes>) -> io::Result<()> {
        // One segment for each call: the network delays segments, and a schedule's time goes into
        // their number.
        let whole = chunks.concat();
        chunks.clear();
        self.0.write_all(&whole).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
