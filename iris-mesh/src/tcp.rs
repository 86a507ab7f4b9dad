//! Links over TCP.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::transport::{Incoming, Link, Listener, Sink, Source, Transport};

/// Bytes that the kernel keeps for each direction. What lies there cannot be overtaken: with
/// buffers of their own size a small message waits behind megabytes.
const KERNEL_BYTES: u32 = 256 << 10;

/// Most bytes of one read.
const READ_BYTES: usize = 256 << 10;

/// Most pieces of one write.
const PIECES: usize = 64;

/// Plain TCP: for loopback, and for networks that nobody else is in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

#[async_trait]
impl Transport for Tcp {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(Accepting(bind(address).await?)))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        let stream = dial(address).await?;
        link(stream)
    }
}

/// Opens an address: the first of those that a name stands for that can be had.
pub(crate) async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut failed = no_address(address);
    for address in lookup_host(address).await? {
        match open(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    // Where a node listened a moment ago, it may listen again.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Connects to the first of the addresses that a name stands for that answers.
pub(crate) async fn dial(address: &str) -> io::Result<TcpStream> {
    let mut failed = no_address(address);
    for address in lookup_host(address).await? {
        match socket(address)?.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn no_address(address: &str) -> io::Error {
    let text = format!("{address} stands for no address");
    io::Error::new(io::ErrorKind::AddrNotAvailable, text)
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Accepted sockets have what the listening one has.
    socket.set_send_buffer_size(KERNEL_BYTES)?;
    socket.set_recv_buffer_size(KERNEL_BYTES)?;
    Ok(socket)
}

/// A link over a stream that is connected.
pub(crate) fn link(stream: TcpStream) -> io::Result<Link> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let (read, write) = stream.into_split();
    Ok(Link {
        peer: peer.to_string(),
        identity: Vec::new(),
        binding: Vec::new(),
        is_local: peer.ip().is_loopback(),
        source: Box::new(Reading::new(read)),
        sink: Box::new(Writing(write)),
    })
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
        // Who has reset the connection meanwhile has no address any more: an error of this link,
        // and none of the listener.
        Ok(Incoming {
            from: from.to_string(),
            open: Box::pin(async move { link(stream) }),
        })
    }
}

/// The receiving half of a stream.
pub(crate) struct Reading<R> {
    stream: R,
    buffer: BytesMut,
}

impl<R> Reading<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }
}

#[async_trait]
impl<R: AsyncRead + Unpin + Send> Source for Reading<R> {
    async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        // Memory of earlier reads that nobody looks at any more is used again.
        if self.buffer.capacity() < READ_BYTES / 8 {
            self.buffer.reserve(READ_BYTES);
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Ok(None),
            _ => Ok(Some(self.buffer.split().freeze())),
        }
    }
}

/// What one system call takes.
fn pieces(chunks: &[Bytes]) -> Vec<IoSlice<'_>> {
    let pieces = chunks.iter().take(PIECES);
    pieces.map(|chunk| IoSlice::new(chunk)).collect()
}

/// Takes the first `bytes` out.
fn take_out(chunks: &mut Vec<Bytes>, mut bytes: usize) {
    let mut first = 0;
    while first < chunks.len() && bytes >= chunks[first].len() {
        bytes -= chunks[first].len();
        first += 1;
    }
    chunks.drain(..first);
    if let Some(chunk) = chunks.first_mut() {
        chunk.advance(bytes);
    }
}

/// The sending half of a stream.
pub(crate) struct Writing<W>(pub(crate) W);

#[async_trait]
impl<W: AsyncWrite + Unpin + Send> Sink for Writing<W> {
    async fn send(&mut self, chunks: &mut Vec<Bytes>) -> io::Result<()> {
        while !chunks.is_empty() {
            let written = {
                let pieces = pieces(chunks);
                self.0.write_vectored(&pieces).await?
            };
            if written == 0 && chunks.iter().any(|chunk| !chunk.is_empty()) {
                return Err(io::ErrorKind::WriteZero.into());
            }
            take_out(chunks, written);
        }
        self.0.flush().await
    }

    fn try_send(&mut self, chunks: &mut Vec<Bytes>) -> bool {
        // Whoever sends the rest polls again, and is woken.
        let mut cx = Context::from_waker(Waker::noop());
        while !chunks.is_empty() {
            let polled = {
                let pieces = pieces(chunks);
                Pin::new(&mut self.0).poll_write_vectored(&mut cx, &pieces)
            };
            match polled {
                Poll::Ready(Ok(written @ 1..)) => take_out(chunks, written),
                _ => return false,
            }
        }
        matches!(
            Pin::new(&mut self.0).poll_flush(&mut cx),
            Poll::Ready(Ok(()))
        )
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
