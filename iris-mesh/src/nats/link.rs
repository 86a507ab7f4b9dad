//! One link: a subject for each direction.
//!
//! ```text
//! Sink --- DATA --------------------------------> subject of the peer's end
//!            never beyond the peer's CREDIT
//!
//! subject of this end --> pump --- bytes --> Source
//!                          |  '--- CREDIT of the peer --> Sink
//!                          '------ CLOSE, RESET, "nobody is there", connection lost
//! ```
//!
//! NATS delivers a message once or not at all, and says nothing of what it drops. So each DATA says how
//! many bytes came before: with the first that does not fit the link is broken, at both ends. The
//! session above gets another link, and goes on where it was.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Subject, Subscriber};
use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::client::{Client, Counted, broken};
use super::packet::{DATA_HEADER, Packet, begin_data};
use super::pump::pump;
use crate::transport::{Link, Sink, Source};

/// A peer that gives no credit for so long reads nothing any more.
const STALLED: Duration = Duration::from_secs(30);

/// For how long the last words of a link may wait to be taken by the client.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Credit for less than this is waited for, rather than sending crumbs.
const CRUMB_BYTES: usize = 1 << 10;

/// What the parts of a link share.
pub(super) struct Wire {
    pub(super) client: Arc<Client>,
    pub(super) own: Subject,
    peer: Subject,
    pub(super) state: watch::Sender<State>,
    /// How much the peer may send in all.
    pub(super) granted: AtomicU64,
    _counted: Counted,
}

#[derive(Default)]
pub(super) struct State {
    /// How much may be sent in all.
    pub(super) limit: u64,
    /// Why nothing works any more.
    pub(super) broken: Option<Arc<str>>,
    /// How much was sent in all, once nothing follows.
    pub(super) end: Option<u64>,
    /// The peer has closed, and everything before it is there.
    pub(super) finished: bool,
    /// Nobody reads any more.
    pub(super) unread: bool,
}

/// The end of a link that is still to be told who its peer is.
pub(super) struct End {
    client: Arc<Client>,
    pub(super) own: Subject,
    pub(super) messages: Subscriber,
    /// What the peer is granted with the news of this end.
    pub(super) granted: u64,
    /// How often the connection had been lost.
    lost: u64,
}

impl End {
    /// A new one, ready to hear.
    pub(super) async fn open(client: &Arc<Client>) -> io::Result<Self> {
        let lost = client.life().borrow().lost;
        client.check_up()?;
        let own = client.subjects.link()?;
        Ok(Self {
            client: client.clone(),
            messages: client.subscribe(own.clone()).await?,
            own,
            granted: client.window(),
            lost,
        })
    }

    /// Its link; `limit` is what the peer has granted.
    pub(super) fn link(self, peer: Subject, limit: u64, name: String) -> Link {
        let (state, _) = watch::channel(State {
            limit,
            ..State::default()
        });
        let wire = Arc::new(Wire {
            _counted: self.client.counted(),
            client: self.client,
            own: self.own,
            peer,
            state,
            granted: AtomicU64::new(self.granted),
        });
        // No more than what was granted.
        let (queue, arrived) = mpsc::unbounded_channel();
        tokio::spawn(pump(wire.clone(), self.messages, queue, self.lost));
        Link {
            peer: name,
            identity: Vec::new(),
            binding: Vec::new(),
            // Where the peer is only NATS knows.
            is_local: false,
            source: Box::new(Reading {
                wire: wire.clone(),
                arrived,
                read: 0,
            }),
            sink: Box::new(Writing {
                limit: wire.state.subscribe(),
                wire,
                sent: 0,
            }),
        }
    }
}

impl Wire {
    /// Why it is broken, as an error.
    fn fault(&self) -> Option<io::Error> {
        self.state.borrow().broken.as_deref().map(broken)
    }

    pub(super) async fn publish(&self, packet: Bytes) -> io::Result<()> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        // With a reply subject the server says if nobody is there.
        let reply = Some(self.own.clone());
        let publish = self.client.publish(self.peer.clone(), reply, packet);
        let mut state = self.state.subscribe();
        select! {
            published = publish => Ok(published?),
            // The client takes nothing while it has no connection.
            _ = state.wait_for(|state| state.broken.is_some()) => {
                Err(self.fault().unwrap_or_else(|| broken("it is over")))
            }
        }
    }

    /// As [`publish`](Self::publish), when there is nobody left to whom a failure would matter.
    pub(super) async fn last_words(&self, packet: &Packet) {
        let publish = self
            .client
            .publish(self.peer.clone(), None, packet.encode());
        drop(timeout(LAST_WORDS, publish).await);
    }
}

/// The receiving half.
struct Reading {
    wire: Arc<Wire>,
    arrived: mpsc::UnboundedReceiver<Bytes>,
    /// How much of it was read.
    read: u64,
}

impl Reading {
    /// Tells the peer how much more it may send, if that is worth a message.
    async fn grant(&mut self) {
        let window = self.wire.client.window();
        let limit = self.read + window;
        let granted = self.wire.granted.load(Ordering::Relaxed);
        if limit < granted.saturating_add(window / 4) {
            return;
        }
        // First: the peer may use it at once.
        self.wire.granted.store(limit, Ordering::Relaxed);
        let credit = Packet::Credit { limit };
        if self.wire.publish(credit.encode()).await.is_err() {
            // The link is broken; what has arrived is read all the same.
            tracing::trace!(link = %self.wire.own, "no credit can be given");
        }
    }
}

#[async_trait]
impl Source for Reading {
    async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        // Before bytes are taken: this may be cancelled.
        self.grant().await;
        if let Some(bytes) = self.arrived.recv().await {
            self.read += (DATA_HEADER + bytes.len()) as u64;
            return Ok(Some(bytes));
        }
        let state = self.wire.state.borrow();
        if state.finished {
            return Ok(None);
        }
        Err(broken(state.broken.as_deref().unwrap_or("it is over")))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.wire.state.send_modify(|state| state.unread = true);
    }
}

/// The sending half.
struct Writing {
    wire: Arc<Wire>,
    limit: watch::Receiver<State>,
    /// How much was sent.
    sent: u64,
}

impl Writing {
    /// Waits for credit; gives how much data fits into the next message.
    async fn room(&mut self, waiting: usize) -> io::Result<usize> {
        let least = (DATA_HEADER + waiting.min(CRUMB_BYTES)) as u64;
        let (sent, wire) = (self.sent, &self.wire);
        let credit = self
            .limit
            .wait_for(|state| state.broken.is_some() || state.limit >= sent + least);
        let state = match timeout(STALLED, credit).await {
            Ok(Ok(state)) => state,
            Ok(Err(_)) => return Err(broken("it is over")),
            Err(_) => return Err(broken("the other end reads nothing any more")),
        };
        if let Some(why) = state.broken.as_deref() {
            return Err(broken(why));
        }
        let credit = usize::try_from(state.limit - sent).unwrap_or(usize::MAX);
        Ok(credit.min(wire.client.message_bytes) - DATA_HEADER)
    }

    fn end(&self) {
        let total = self.sent;
        self.wire.state.send_if_modified(|state| {
            let new = state.end.is_none();
            state.end.get_or_insert(total);
            new
        });
    }
}

#[async_trait]
impl Sink for Writing {
    async fn send(&mut self, chunks: &mut Vec<Bytes>) -> io::Result<()> {
        let mut rest: usize = chunks.iter().map(Bytes::len).sum();
        let mut chunks = chunks.drain(..);
        let mut chunk = Bytes::new();
        while rest > 0 {
            let mut room = self.room(rest).await?.min(rest);
            rest -= room;
            let mut packet = BytesMut::with_capacity(DATA_HEADER + room);
            begin_data(&mut packet, self.sent);
            while room > 0 {
                if chunk.is_empty() {
                    chunk = chunks.next().unwrap_or_default();
                    continue;
                }
                let part = room.min(chunk.len());
                packet.put_slice(&chunk[..part]);
                chunk.advance(part);
                room -= part;
            }
            let bytes = packet.len() as u64;
            self.wire.publish(packet.freeze()).await?;
            self.sent += bytes;
        }
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        // The pump tells the peer, after all that was sent.
        self.end();
        self.wire.fault().map_or(Ok(()), Err)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.end();
    }
}
