//! The connection to a NATS server, which all links of a transport share.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::{Client as Connection, ConnectErrorKind, Event, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::watch;

use super::config::Parsed;
use super::error::NatsError;
use super::packet::{DATA_HEADER, Packet};
use super::subject::Subjects;

/// Bytes of one NATS message, if the server takes so many: one write of a session.
const MESSAGE_BYTES: usize = (128 << 10) + DATA_HEADER;

/// The fewest that are of use.
const LEAST_MESSAGE_BYTES: usize = 1 << 10;

/// What all peers together may have sent that nobody has read yet; half of what a server keeps for
/// one client before it drops it as a slow consumer (`max_pending`, 64 MiB).
const WINDOWS_BYTES: u64 = 32 << 20;

/// The least and the most that one peer may. What is under way cannot be overtaken, so more than is
/// needed to keep the server busy does harm.
const WINDOW_BYTES: (u64, u64) = (64 << 10, 512 << 10);

/// Messages that wait to be read on one subject; more than fit into a window, which holds
/// [`DATA_HEADER`] and a byte for each, and the credit of the other direction.
const WAITING_MESSAGES: usize = 1 << 17;

/// The longest pause between two attempts to reach a server that was lost.
const RETRY: Duration = Duration::from_millis(500);

/// How often a silent server is asked whether it is there; after the second time without an answer
/// it is not.
const PING: Duration = Duration::from_secs(2);

/// What is known of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) up: bool,
    /// How often it was lost: what was under way may be lost with it.
    pub(super) lost: u64,
    /// What went wrong last.
    complaint: Option<Arc<str>>,
}

/// A client of a NATS server.
pub(super) struct Client {
    connection: Connection,
    pub(super) subjects: Subjects,
    /// For messages.
    pub(super) servers: String,
    life: watch::Receiver<Life>,
    links: AtomicUsize,
    /// Bytes of one message.
    pub(super) message_bytes: usize,
}

impl Client {
    pub(super) async fn connect(config: &Parsed, subjects: Subjects) -> Result<Self, NatsError> {
        let servers = config.shown();
        let (tell, life) = watch::channel(Life {
            up: true,
            ..Life::default()
        });
        // The client's tasks own it: when they are over, nobody tells any more.
        let tell = Arc::new(tell);
        let options = config
            .options()?
            .custom_inbox_prefix(subjects.inbox())
            .subscription_capacity(WAITING_MESSAGES)
            .ping_interval(PING)
            .reconnect_delay_callback(|attempt| {
                let pause = 10 << attempt.min(10);
                if attempt <= 1 {
                    Duration::ZERO
                } else {
                    Duration::from_millis(pause).min(RETRY)
                }
            })
            .event_callback(move |event| {
                tell.send_modify(|life| life.heard(&event));
                std::future::ready(())
            });
        let connected = async_nats::connect_with_options(config.servers.clone(), options).await;
        let connection = connected.map_err(|error| {
            let why = error.to_string();
            let servers = servers.clone();
            match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    let who = config.auth.who();
                    NatsError::Refused { servers, who, why }
                }
                _ => NatsError::Unreachable { servers, why },
            }
        })?;
        let limit = connection.server_info().max_payload;
        if limit < LEAST_MESSAGE_BYTES {
            return Err(NatsError::MaxPayload { servers, limit });
        }
        Ok(Self {
            connection,
            subjects,
            servers,
            life,
            links: AtomicUsize::new(0),
            message_bytes: limit.min(MESSAGE_BYTES),
        })
    }

    /// Whether its tasks have ended, with the threads that they ran on.
    pub(super) fn is_over(&self) -> bool {
        self.life.has_changed().is_err()
    }

    pub(super) fn life(&self) -> watch::Receiver<Life> {
        self.life.clone()
    }

    /// What went wrong last, as the end of a message.
    pub(super) fn hint(&self) -> String {
        let life = self.life.borrow();
        let complaint = life.complaint.as_deref();
        complaint.map_or_else(String::new, |text| format!(" (heard last: {text})"))
    }

    /// Messages would wait for who knows how long.
    pub(super) fn check_up(&self) -> Result<(), NatsError> {
        if self.life.borrow().up && !self.is_over() {
            return Ok(());
        }
        Err(self.away())
    }

    pub(super) fn away(&self) -> NatsError {
        NatsError::Away {
            servers: self.servers.clone(),
            hint: self.hint(),
        }
    }

    pub(super) async fn subscribe(&self, subject: Subject) -> Result<Subscriber, NatsError> {
        let subscribed = self.connection.subscribe(subject).await;
        subscribed.map_err(|_| self.away())
    }

    /// Hands a packet to the client's task. That it was sent does not say that it arrives.
    pub(super) async fn publish(
        &self,
        to: Subject,
        reply: Option<Subject>,
        packet: Bytes,
    ) -> Result<(), NatsError> {
        let published = match reply {
            Some(reply) => self.connection.publish_with_reply(to, reply, packet).await,
            None => self.connection.publish(to, packet).await,
        };
        published.map_err(|_| self.away())
    }

    /// Asks whoever listens at a subject, for `limit` at most.
    pub(super) async fn ask(&self, subject: Subject, packet: &Packet, limit: Duration) -> Asked {
        use async_nats::RequestErrorKind as Kind;
        let request = async_nats::Request::new()
            .payload(packet.encode())
            .timeout(Some(limit));
        match self.connection.send_request(subject, request).await {
            Ok(message) => Packet::decode(message.payload).map_or(Asked::Silence, Asked::Answer),
            Err(error) => match error.kind() {
                Kind::NoResponders => Asked::Nobody,
                Kind::TimedOut => Asked::Silence,
                _ => Asked::Failed(self.away()),
            },
        }
    }

    /// How much one peer may send that nobody has read yet.
    pub(super) fn window(&self) -> u64 {
        let links = self.links.load(Ordering::Relaxed).max(1) as u64;
        (WINDOWS_BYTES / links).clamp(WINDOW_BYTES.0, WINDOW_BYTES.1)
    }

    /// A link more; until the guard is dropped.
    pub(super) fn counted(self: &Arc<Self>) -> Counted {
        self.links.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }
}

/// What comes of a question.
pub(super) enum Asked {
    Answer(Packet),
    Nobody,
    Silence,
    Failed(NatsError),
}

/// A link that counts.
pub(super) struct Counted(Arc<Client>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.links.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Life {
    fn heard(&mut self, event: &Event) {
        match event {
            Event::Connected => self.up = true,
            Event::Disconnected => {
                self.up = false;
                self.lost += 1;
            }
            Event::Closed => self.up = false,
            Event::ServerError(error) => self.complaint = Some(error.to_string().into()),
            Event::ClientError(error) => self.complaint = Some(error.to_string().into()),
            Event::SlowConsumer(_) | Event::LameDuckMode | Event::Draining => return,
        }
        tracing::debug!(%event, "NATS");
        if matches!(event, Event::ServerError(_)) {
            tracing::warn!(%event, "the NATS server complains");
        }
    }
}

/// The next message; `None` if the client is over. Cancel safe.
pub(super) async fn next(messages: &mut Subscriber) -> Option<Message> {
    std::future::poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await
}

/// Whether it says that nobody is subscribed to what was published to.
pub(super) fn is_nobody(message: &Message) -> bool {
    message.status == Some(async_nats::StatusCode::NO_RESPONDERS)
}

/// A link that broke, as its halves tell it.
pub(super) fn broken(why: &str) -> io::Error {
    let why = why.to_owned();
    NatsError::Broken { why }.into()
}
