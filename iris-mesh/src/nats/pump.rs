//! What a link hears: data for its source, credit for its sink, and its end.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::client::{is_nobody, next};
use super::link::{LAST_WORDS, Wire};
use super::packet::Packet;

/// For how long an end that has closed waits for the other to do so.
const LINGER: Duration = Duration::from_secs(10);

/// Why a link ends.
enum Fault {
    /// The peer knows, or is not there.
    Known(String),
    /// The peer has to be told.
    Ours(&'static str),
}

/// Takes in what comes, until both ends have closed or something is wrong.
pub(super) async fn pump(
    wire: Arc<Wire>,
    messages: Subscriber,
    queue: mpsc::UnboundedSender<Bytes>,
    lost: u64,
) {
    let mut pump = Pump {
        wire: wire.clone(),
        messages,
        queue: Some(queue),
        arrived: 0,
        told_end: None,
        lost,
    };
    let Err(fault) = pump.run().await else {
        return;
    };
    let why = match &fault {
        Fault::Known(why) => why.as_str(),
        Fault::Ours(why) => why,
    };
    tracing::debug!(link = %wire.own, why, "a link through NATS ends");
    wire.state
        .send_modify(|state| state.broken = Some(why.into()));
    // What has arrived is still read; then comes the error.
    pump.queue = None;
    if let Fault::Ours(why) = fault {
        let why = why.to_owned();
        wire.last_words(&Packet::Reset { why }).await;
    }
}

struct Pump {
    wire: Arc<Wire>,
    messages: Subscriber,
    /// To the source; gone when nothing follows.
    queue: Option<mpsc::UnboundedSender<Bytes>>,
    /// How much has come.
    arrived: u64,
    /// When the peer was told that nothing follows.
    told_end: Option<Instant>,
    /// How often the connection had been lost when the link began.
    lost: u64,
}

impl Pump {
    async fn run(&mut self) -> Result<(), Fault> {
        let wire = self.wire.clone();
        let mut state = wire.state.subscribe();
        let mut life = wire.client.life();
        // Both may have changed before they are looked at first.
        state.mark_changed();
        life.mark_changed();
        loop {
            let linger = async {
                match self.told_end {
                    Some(told) => sleep_until(told + LINGER).await,
                    None => pending().await,
                }
            };
            select! {
                message = next(&mut self.messages) => match message {
                    Some(message) => self.handle(message)?,
                    None => return Err(Fault::Known("the NATS client has ended".to_owned())),
                },
                changed = life.changed() => {
                    if changed.is_err() || life.borrow_and_update().lost != self.lost {
                        // Whatever was under way may be lost.
                        return Err(Fault::Ours("a connection to the NATS server was lost"));
                    }
                }
                _ = state.changed() => {
                    let (end, unread) = {
                        let state = state.borrow_and_update();
                        (state.end, state.unread)
                    };
                    if let (Some(total), None) = (end, self.told_end) {
                        self.told_end = Some(Instant::now());
                        let close = Packet::Close { total };
                        drop(timeout(LAST_WORDS, wire.publish(close.encode())).await);
                    }
                    if unread && self.queue.is_some() {
                        return Err(Fault::Ours("nobody reads at the other end any more"));
                    }
                }
                () = linger => return Err(Fault::Ours("the other end has closed long ago")),
            }
            if self.queue.is_none() && self.told_end.is_some() {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, message: Message) -> Result<(), Fault> {
        if is_nobody(&message) {
            return Err(Fault::Known("the other end is gone".to_owned()));
        }
        let bytes = message.payload.len() as u64;
        match Packet::decode(message.payload) {
            Some(Packet::Data { offset, data }) => {
                if offset != self.arrived {
                    return Err(Fault::Ours("a message was lost, or came out of order"));
                }
                self.arrived += bytes;
                if self.arrived > self.wire.granted.load(Ordering::Relaxed) {
                    return Err(Fault::Ours("more was sent than there was credit for"));
                }
                let queue = self.queue.as_ref();
                let queue = queue.ok_or(Fault::Ours("more came after the end"))?;
                // If nobody reads any more, the state says so, too.
                drop(queue.send(data));
            }
            Some(Packet::Credit { limit }) => {
                self.wire.state.send_if_modified(|state| {
                    let more = limit > state.limit;
                    state.limit = state.limit.max(limit);
                    more
                });
            }
            Some(Packet::Close { total }) => {
                if total != self.arrived {
                    return Err(Fault::Ours("the last messages were lost"));
                }
                self.wire.state.send_modify(|state| state.finished = true);
                self.queue = None;
            }
            Some(Packet::Reset { why }) => return Err(Fault::Known(why)),
            Some(Packet::Accept { .. }) => {
                tracing::warn!(
                    link = %self.wire.own,
                    "two nodes listen under one name; the first that answered is used"
                );
                if let Some(second) = message.reply {
                    let client = self.wire.client.clone();
                    let why = "another node answered first".to_owned();
                    tokio::spawn(async move {
                        let reset = Packet::Reset { why }.encode();
                        drop(timeout(LAST_WORDS, client.publish(second, None, reset)).await);
                    });
                }
            }
            _ => return Err(Fault::Ours("what came is not of this protocol")),
        }
        Ok(())
    }
}
