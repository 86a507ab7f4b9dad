//! Links through a NATS server, for fleets that outgrow a mesh of direct links: nodes need to reach
//! the server only, and each has one connection, whoever it talks to.
//!
//! A node listens under a name, `nats:alpha`, and is dialled by it; `nats:` alone gives it a name that
//! nobody has. A link is two subjects, and carries the same bytes as one over TCP
//! (`docs/PROTOCOL.md`, section 7).
//!
//! | NATS | here |
//! |---|---|
//! | drops what nobody is subscribed to, and what is under way when a connection is lost | each message says how many bytes came before it; the first gap breaks the link, and the session goes on over another |
//! | drops a client that reads too slowly | a peer sends no more than it has credit for |
//! | keeps nothing | what is not acknowledged is kept by the sessions, 4 MiB for each |
//! | lets anybody subscribe to a name | nodes settle who has it |
//!
//! **Trust.** TLS to a NATS server proves who the server is, and credentials prove which account a
//! client belongs to. Neither proves to one node who the other is, and the server reads all that passes.
//! So links are never taken for [secure](Transport::is_secure), nor for links within one machine, even if
//! the server is on it: nodes need a [secret](crate::NodeConfig::secret) to listen, or have to say that
//! the network is trusted. The secret proves the peer when a link begins; what keeps others from
//! writing into it afterwards is that its subjects are random and that only this cluster's account may
//! subscribe to and publish on `iris.CLUSTER.>`, which is the permission that nodes need.

mod client;
mod config;
mod error;
mod link;
mod listener;
mod packet;
mod presence;
mod pump;
mod roster;
mod subject;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub use config::{NatsAuth, NatsConfig, NatsTls};
pub use error::NatsError;
pub use presence::NatsPresence;

use crate::membership::Membership;
use crate::transport::{Link, Listener, Transport};
use client::{Client, is_nobody, next};
use config::Parsed;
use link::End;
use listener::Accepting;
use packet::{Packet, VERSION};
use subject::{Subjects, address_of, name_in};

/// How long a node that is there may take to answer a dial.
const ANSWER: Duration = Duration::from_secs(4);

/// Links through NATS. The connection is made with the first call, on the threads of the node that
/// makes it; when it is lost, all its links are, and it is tried again every half second. Clones share
/// it, and are for one node.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

struct Inner {
    config: Parsed,
    subjects: Subjects,
    client: Mutex<Option<Arc<Client>>>,
}

impl Nats {
    /// Reads the configuration; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`NatsError::Server`] for what is no address of a server.
    pub fn new(config: NatsConfig) -> Result<Self, NatsError> {
        let subjects = Subjects::of(&config.cluster);
        Ok(Self(Arc::new(Inner {
            config: Parsed::of(config)?,
            subjects,
            client: Mutex::new(None),
        })))
    }

    /// A membership of those that announce themselves through NATS, for a node whose links go through
    /// it or not.
    pub fn presence(&self) -> NatsPresence {
        NatsPresence::new(self.0.clone())
    }
}

impl Inner {
    /// The client, connected if it is not.
    async fn client(&self) -> Result<Arc<Client>, NatsError> {
        let mut known = self.client.lock().await;
        match &*known {
            Some(client) if !client.is_over() => Ok(client.clone()),
            _ => {
                let client = Client::connect(&self.config, self.subjects.clone()).await?;
                Ok(known.insert(Arc::new(client)).clone())
            }
        }
    }
}

#[async_trait]
impl Transport for Nats {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let name = name_in(address)?;
        let accepting = Accepting::open(self.0.client().await?, name).await?;
        Ok(Box::new(accepting))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        let name = name_in(address)?;
        let client = self.0.client().await?;
        let mut end = End::open(&client).await?;
        let connect = Packet::Connect {
            version: VERSION,
            limit: end.granted,
        };
        let node = client.subjects.node(name);
        let ask = async {
            let reply = Some(end.own.clone());
            client.publish(node, reply, connect.encode()).await?;
            Ok::<_, NatsError>(next(&mut end.messages).await)
        };
        let address = || address_of(name);
        let Ok(answer) = timeout(ANSWER, ask).await else {
            client.check_up()?;
            return Err(NatsError::Silent {
                address: address(),
                servers: client.servers.clone(),
                after: ANSWER,
                hint: client.hint(),
            }
            .into());
        };
        let answer = answer?.ok_or_else(|| client.away())?;
        if is_nobody(&answer) {
            return Err(NatsError::Nobody {
                address: address(),
                servers: client.servers.clone(),
            }
            .into());
        }
        match (Packet::decode(answer.payload), answer.reply) {
            (Some(Packet::Accept { limit, .. }), Some(peer)) => {
                Ok(end.link(peer, limit, address()))
            }
            (refused, _) => {
                let why = match refused {
                    Some(Packet::Refuse { why } | Packet::Reset { why }) => why,
                    _ => "its answer is not of this protocol".to_owned(),
                };
                let address = address();
                Err(NatsError::Unwanted { address, why }.into())
            }
        }
    }

    /// Who a peer is NATS does not prove.
    fn is_secure(&self) -> bool {
        false
    }

    /// Even a server on this machine may belong to a cluster that is not.
    async fn is_private(&self, address: &str) -> io::Result<bool> {
        name_in(address)?;
        Ok(false)
    }

    fn membership(&self) -> Option<Box<dyn Membership>> {
        Some(Box::new(self.presence()))
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("servers", &self.0.config.shown())
            .field("subjects", &self.0.subjects.all())
            .finish_non_exhaustive()
    }
}
