//! Links within a process, for tests and for several nodes in one program.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::io::{DuplexStream, duplex, split};
use tokio::sync::mpsc;

use crate::tcp::{Reading, Writing};
use crate::transport::{Incoming, Link, Listener, Transport};

/// Bytes on their way in each direction.
const BUFFER_BYTES: usize = 256 << 10;

/// A network of its own: only clones of it can reach each other. Addresses are any texts.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    open: Arc<Mutex<HashMap<String, mpsc::Sender<DuplexStream>>>>,
}

impl Memory {
    /// A network without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<DuplexStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Memory {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let mut open = self.lock();
        if open.get(address).is_some_and(|known| !known.is_closed()) {
            let text = format!("{address} is in use");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let (sender, incoming) = mpsc::channel(64);
        open.insert(address.to_owned(), sender);
        let address = address.to_owned();
        Ok(Box::new(Accepting { address, incoming }))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        let refused = || {
            let text = format!("nobody listens at {address}");
            io::Error::new(io::ErrorKind::ConnectionRefused, text)
        };
        let target = self.lock().get(address).cloned().ok_or_else(refused)?;
        let (ours, theirs) = duplex(BUFFER_BYTES);
        target.send(theirs).await.map_err(|_| refused())?;
        Ok(link(ours, address))
    }

    fn is_secure(&self) -> bool {
        true
    }
}

fn link(stream: DuplexStream, peer: &str) -> Link {
    let (read, write) = split(stream);
    Link {
        peer: peer.to_owned(),
        identity: Vec::new(),
        binding: Vec::new(),
        is_local: true,
        source: Box::new(Reading::new(read)),
        sink: Box::new(Writing(write)),
    }
}

struct Accepting {
    address: String,
    incoming: mpsc::Receiver<DuplexStream>,
}

#[async_trait]
impl Listener for Accepting {
    fn local_address(&self) -> String {
        self.address.clone()
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        match self.incoming.recv().await {
            Some(stream) => Ok(Incoming::ready(link(stream, "memory"))),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
