//! A node that listens under a name.
//!
//! NATS lets any number of clients subscribe to a subject. Which of them has the name they settle
//! among themselves: who wants it, and who has it, says so (CLAIM) on the node's subject, and whoever
//! comes before answers (TAKEN). Who has it comes before who wants it; between two that both have it, which
//! happens when two parts of a NATS cluster find each other again, the lower number comes first, and the
//! other lets go and asks again.
//!
//! ```text
//! listen: does anybody answer? -- yes --> in use
//!           | no
//!         subscribe, CLAIM, and hear it oneself
//!           |-- TAKEN, or a stronger CLAIM --> in use
//!         Holding <-- nobody objects --- Asking
//!           |  every 30 s, and with each new connection: CLAIM
//!           '-- TAKEN, or a stronger CLAIM --> Yielded -- after 5 s: CLAIM --> Asking
//! ```

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subject, Subscriber};
use async_trait::async_trait;
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::client::{Asked, Client, Life, next};
use super::error::NatsError;
use super::link::End;
use super::packet::{Packet, VERSION};
use super::subject::{address_of, hex};
use crate::transport::{Incoming, Link, Listener};

/// How long an answer may take, and the way to the server and back.
const ANSWER: Duration = Duration::from_secs(2);

/// How long others have to object, once this client hears itself.
const OBJECTION: Duration = Duration::from_millis(100);

/// How often the holder of a name says so.
const REMINDER: Duration = Duration::from_secs(30);

/// When who has lost a name asks again.
const RETRY: Duration = Duration::from_secs(5);

/// Dials that come while a name is still being claimed.
const EARLY_DIALS: usize = 256;

/// An open name.
pub(super) struct Accepting {
    client: Arc<Client>,
    name: String,
    subject: Subject,
    id: [u8; 16],
    messages: Subscriber,
    early: VecDeque<Message>,
    hold: Hold,
    /// When the hold changes by itself.
    due: Instant,
    life: watch::Receiver<Life>,
    lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Asking,
    Holding,
    Yielded,
}

impl Accepting {
    /// Takes a name; an empty one stands for one that nobody has.
    pub(super) async fn open(client: Arc<Client>, name: &str) -> Result<Self, io::Error> {
        client.check_up()?;
        let id = client.subjects.id()?;
        let name = if name.is_empty() {
            hex(&id[..8])
        } else {
            name.to_owned()
        };
        let subject = client.subjects.node(&name);
        let in_use = || NatsError::InUse {
            address: address_of(&name),
        };
        let claim = Packet::Claim { id, held: false };
        match client.ask(subject.clone(), &claim, ANSWER).await {
            Asked::Answer(Packet::Taken { id: whose }) if whose == id => {
                return Err(in_use().into());
            }
            // Somebody may hear all subjects who is no node.
            Asked::Nobody | Asked::Silence | Asked::Answer(_) => {}
            Asked::Failed(error) => return Err(error.into()),
        }
        let messages = client.subscribe(subject.clone()).await?;
        let mut life = client.life();
        let lost = life.borrow_and_update().lost;
        let mut accepting = Self {
            client,
            name: name.clone(),
            subject,
            id,
            messages,
            early: VecDeque::new(),
            hold: Hold::Asking,
            due: Instant::now() + ANSWER,
            life,
            lost,
        };
        accepting.claim().await?;
        let mut heard = false;
        while accepting.hold == Hold::Asking {
            match timeout_at(accepting.due, next(&mut accepting.messages)).await {
                Ok(Some(message)) => {
                    if accepting.is_own_claim(&message) {
                        heard = true;
                        accepting.due = Instant::now() + OBJECTION;
                    } else if matches!(
                        Packet::decode(message.payload.clone()),
                        Some(Packet::Connect { .. })
                    ) {
                        if accepting.early.len() < EARLY_DIALS {
                            accepting.early.push_back(message);
                        }
                    } else {
                        accepting.settle(message).await;
                    }
                }
                Ok(None) => return Err(accepting.client.away().into()),
                Err(_) if heard => accepting.on_time().await,
                Err(_) => return Err(accepting.unheard().into()),
            }
        }
        if accepting.hold == Hold::Yielded {
            return Err(in_use().into());
        }
        Ok(accepting)
    }

    /// Why it does not hear itself.
    fn unheard(&self) -> NatsError {
        if let Err(away) = self.client.check_up() {
            return away;
        }
        NatsError::Permission {
            servers: self.client.servers.clone(),
            subject: self.subject.to_string(),
            all: self.client.subjects.all(),
            hint: self.client.hint(),
        }
    }

    async fn claim(&self) -> Result<(), NatsError> {
        let held = self.hold == Hold::Holding;
        let claim = Packet::Claim { id: self.id, held };
        let reply = Some(self.subject.clone());
        let publish = self
            .client
            .publish(self.subject.clone(), reply, claim.encode());
        match timeout(ANSWER, publish).await {
            Ok(done) => done,
            Err(_) => Err(self.client.away()),
        }
    }

    fn is_own_claim(&self, message: &Message) -> bool {
        let packet = Packet::decode(message.payload.clone());
        matches!(packet, Some(Packet::Claim { id, .. }) if id == self.id)
    }

    /// Changes the hold as others say.
    async fn settle(&mut self, message: Message) {
        match Packet::decode(message.payload) {
            Some(Packet::Taken { id }) if id == self.id => self.yield_name(),
            Some(Packet::Claim { id, held }) if id != self.id => {
                let ours = (self.hold == Hold::Holding, Reverse(self.id));
                if self.hold == Hold::Yielded {
                    return;
                }
                let taken = if (held, Reverse(id)) > ours {
                    self.yield_name();
                    // So that who asks need not wait whether anybody objects.
                    Packet::Taken { id: self.id }
                } else {
                    Packet::Taken { id }
                };
                if let Some(reply) = message.reply {
                    let publish = self.client.publish(reply, None, taken.encode());
                    drop(timeout(ANSWER, publish).await);
                }
            }
            _ => {}
        }
    }

    fn yield_name(&mut self) {
        if self.hold == Hold::Holding {
            tracing::error!(
                address = %address_of(&self.name),
                "another node has this name, too; this one does not answer until it is free"
            );
        }
        self.hold = Hold::Yielded;
        self.due = Instant::now() + RETRY;
    }

    /// The hold changes by itself.
    async fn on_time(&mut self) {
        let pause = match self.hold {
            Hold::Asking => {
                self.hold = Hold::Holding;
                REMINDER
            }
            Hold::Holding => REMINDER,
            Hold::Yielded => {
                self.hold = Hold::Asking;
                ANSWER
            }
        };
        self.due = Instant::now() + pause;
        if let Err(error) = self.claim().await {
            tracing::debug!(%error, "a name cannot be claimed now");
        }
    }

    /// A link for who dials, unless the name is another's.
    fn taken_up(&self, message: Message) -> Option<Incoming> {
        let Some(Packet::Connect { version, limit }) = Packet::decode(message.payload) else {
            return None;
        };
        let peer = message.reply?;
        if self.hold == Hold::Yielded {
            return None;
        }
        let client = self.client.clone();
        let from = format!("nats client {peer}");
        Some(Incoming {
            from: from.clone(),
            open: Box::pin(answer(client, peer, version, limit, from)),
        })
    }
}

/// Answers a dial.
async fn answer(
    client: Arc<Client>,
    peer: Subject,
    version: u8,
    limit: u64,
    from: String,
) -> io::Result<Link> {
    if version == 0 {
        let why = format!("version {version} of links is not known");
        let refuse = Packet::Refuse { why: why.clone() };
        client.publish(peer, None, refuse.encode()).await?;
        return Err(super::client::broken(&why));
    }
    let end = End::open(&client).await?;
    let accept = Packet::Accept {
        version: VERSION.min(version),
        limit: end.granted,
    };
    let reply = Some(end.own.clone());
    let publish = client.publish(peer.clone(), reply, accept.encode());
    publish.await?;
    Ok(end.link(peer, limit, from))
}

#[async_trait]
impl Listener for Accepting {
    fn local_address(&self) -> String {
        address_of(&self.name)
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        loop {
            if let Some(message) = self.early.pop_front() {
                if let Some(incoming) = self.taken_up(message) {
                    return Ok(incoming);
                }
                continue;
            }
            select! {
                message = next(&mut self.messages) => {
                    let Some(message) = message else {
                        return Err(io::ErrorKind::NotConnected.into());
                    };
                    match Packet::decode(message.payload.clone()) {
                        Some(Packet::Connect { .. }) => self.early.push_back(message),
                        _ => self.settle(message).await,
                    }
                }
                () = sleep_until(self.due) => self.on_time().await,
                changed = self.life.changed() => {
                    if changed.is_err() {
                        return Err(io::ErrorKind::NotConnected.into());
                    }
                    let (up, lost) = {
                        let life = self.life.borrow_and_update();
                        (life.up, life.lost)
                    };
                    if up && lost != self.lost {
                        // Somebody else may have taken the name meanwhile.
                        self.lost = lost;
                        self.due = Instant::now();
                    }
                }
            }
        }
    }
}
