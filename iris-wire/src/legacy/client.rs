//! The dialling side of a connection with the original packets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use iris_core::Pid;

use crate::frame::Name;
use crate::legacy::{Dialect, HelloLite, LegacyError, UpgradeAnswer, packet};
use crate::limits::{LEGACY_PING, MAX_LEGACY_DATA};

/// Data of this length and more is not copied behind its head.
const SHARE_FROM: usize = 4 * 1024;

/// How a dialler behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How the peer wants it.
    pub dialect: Dialect,
    /// The most data in one packet; 1 MiB.
    pub max_data: usize,
    /// Pings after that long without a packet; 2 s. The release closes after 5 s.
    pub ping: Duration,
    /// How long after a message to ask for a sign that it was read; 100 ms.
    pub confirm: Duration,
    /// How long a reply may take; 5 s.
    pub reply: Duration,
    /// Bytes of messages that may be on their way without such a sign; 4 MiB.
    pub max_unconfirmed: usize,
    /// Whether a peer that declines the upgrade is an error instead of a peer with the original
    /// packets; `false`. Under TLS it must be `true`, or whoever sits between can make two nodes
    /// talk in the clear.
    pub require_upgrade: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            dialect: Dialect::Preface,
            max_data: MAX_LEGACY_DATA,
            ping: LEGACY_PING,
            confirm: Duration::from_millis(100),
            reply: Duration::from_secs(5),
            max_unconfirmed: 4 << 20,
            require_upgrade: false,
        }
    }
}

/// Names one question of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// What the acceptor has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Who has the name.
    Resolved {
        /// The question.
        ticket: Ticket,
        /// A pid of the peer, or `None` if nobody has it.
        pid: Option<Pid>,
    },
    /// The peer is an old one and the connection stays as it is.
    Declined,
    /// The peer is a new one. The connection is over for this machine:
    /// [`LegacyClient::into_rest`] gives what has arrived after the answer.
    Upgraded(UpgradeAnswer),
}

/// Why a message was not taken. It is inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LegacySendError {
    /// Longer than one packet may be.
    #[error("{} bytes are more than the {limit} that an original packet carries; the peer needs an upgrade for more", data.len())]
    TooLong {
        /// The bytes.
        data: Bytes,
        /// The limit.
        limit: usize,
    },
    /// Too much is on its way already.
    #[error("the peer has not read what was sent before; try again later")]
    WouldBlock {
        /// The bytes.
        data: Bytes,
    },
}

/// What the next bytes of the acceptor are.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Pid(Ticket),
    Probe,
    Pong,
}

#[derive(Debug)]
struct Request {
    expected: Expected,
    by: Instant,
    /// How many messages had been sent before it: its reply shows that they were read.
    covers: u64,
}

/// The dialling side: questions and messages in, bytes out; replies in, events out.
///
/// The original packets acknowledge nothing. But the acceptor reads them in order, so a reply
/// shows that everything before its request was read. Messages are kept until then, and whoever
/// loses the connection gets those [back](Self::into_unconfirmed) that no reply covers.
#[derive(Debug)]
pub struct LegacyClient {
    config: ClientConfig,
    input: BytesMut,
    requests: VecDeque<Request>,
    next_ticket: u64,
    unconfirmed: VecDeque<(Pid, Bytes)>,
    unconfirmed_bytes: usize,
    /// How many messages were sent, and how many of them a reply covers.
    sent: u64,
    confirmed: u64,
    events: VecDeque<ClientEvent>,
    out: BytesMut,
    chunks: Vec<Bytes>,
    ping_at: Instant,
    confirm_at: Option<Instant>,
}

impl LegacyClient {
    /// A connection that was just opened.
    pub fn new(now: Instant, config: ClientConfig) -> Self {
        let mut out = BytesMut::new();
        if config.dialect == Dialect::Preface {
            out.extend_from_slice(&[1]);
        }
        Self {
            input: BytesMut::new(),
            requests: VecDeque::new(),
            next_ticket: 0,
            unconfirmed: VecDeque::new(),
            unconfirmed_bytes: 0,
            sent: 0,
            confirmed: 0,
            events: VecDeque::new(),
            out,
            chunks: Vec::new(),
            ping_at: now + config.ping,
            confirm_at: None,
            config,
        }
    }

    /// Asks whether the peer can do better. Wait for [`ClientEvent::Declined`] or
    /// [`ClientEvent::Upgraded`] before anything else: what follows would be read as frames.
    pub fn probe(&mut self, now: Instant, hello: &HelloLite) {
        self.put_resolve(&hello.probe());
        self.request(now, Expected::Probe);
    }

    /// Asks who has `name`.
    pub fn resolve(&mut self, now: Instant, name: &Name) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.put_resolve(name.as_bytes());
        self.request(now, Expected::Pid(ticket));
        ticket
    }

    /// Sends a message. Whether `pid` exists, nobody says.
    ///
    /// # Errors
    ///
    /// The message comes back if it is too long, or if too much waits for a sign of the peer.
    pub fn send(&mut self, now: Instant, pid: Pid, data: Bytes) -> Result<(), LegacySendError> {
        let limit = self.config.max_data;
        if data.len() > limit {
            return Err(LegacySendError::TooLong { data, limit });
        }
        if self.unconfirmed_bytes > 0
            && self.unconfirmed_bytes + data.len() > self.config.max_unconfirmed
        {
            return Err(LegacySendError::WouldBlock { data });
        }
        self.out.extend_from_slice(&[packet::USER]);
        self.out.extend_from_slice(&pid.raw().to_be_bytes());
        self.put_len(data.len());
        if data.len() < SHARE_FROM {
            self.out.extend_from_slice(&data);
        } else {
            self.chunks.push(self.out.split().freeze());
            self.chunks.push(data.clone());
        }
        self.unconfirmed_bytes += data.len() + size_of::<(Pid, Bytes)>();
        self.unconfirmed.push_back((pid, data));
        self.sent += 1;
        self.ping_at = now + self.config.ping;
        if self.unconfirmed_bytes >= self.config.max_unconfirmed / 4 {
            self.confirm(now);
        } else {
            self.confirm_at.get_or_insert(now + self.config.confirm);
        }
        Ok(())
    }

    /// Takes bytes of the acceptor.
    ///
    /// # Errors
    ///
    /// They answer nothing. Redial; [`into_unconfirmed`](Self::into_unconfirmed) has the rest.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<(), LegacyError> {
        self.input.extend_from_slice(input);
        while !self.input.is_empty() {
            let request = self.requests.front().ok_or(LegacyError::UnexpectedReply)?;
            let reply = match request.expected {
                Expected::Pong if self.input[0] != packet::PONG => {
                    return Err(LegacyError::UnexpectedReply);
                }
                Expected::Pong => {
                    self.input.advance(1);
                    None
                }
                Expected::Pid(_) | Expected::Probe if self.input.len() < 8 => return Ok(()),
                Expected::Pid(_) | Expected::Probe => Some(self.input.get_u64()),
            };
            let request = self.requests.pop_front().expect("it was looked at above");
            self.confirm_up_to(now, request.covers);
            match (request.expected, reply) {
                (Expected::Pid(ticket), Some(raw)) => {
                    let pid = Pid::from_raw(raw);
                    if pid.is_none() && raw != 0 {
                        return Err(LegacyError::NotAPid { raw });
                    }
                    self.events.push_back(ClientEvent::Resolved { ticket, pid });
                }
                (Expected::Probe, Some(raw)) => match UpgradeAnswer::read(raw.to_be_bytes()) {
                    Some(answer) => {
                        self.events.push_back(ClientEvent::Upgraded(answer));
                        // The rest are frames.
                        return Ok(());
                    }
                    None if self.config.require_upgrade => return Err(LegacyError::NotUpgraded),
                    None => self.events.push_back(ClientEvent::Declined),
                },
                _ => {}
            }
        }
        Ok(())
    }

    /// What the acceptor has said, in order.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Adds what is to be sent to `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<Bytes>) {
        out.append(&mut self.chunks);
        if !self.out.is_empty() {
            out.push(self.out.split().freeze());
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Instant {
        let reply = self.requests.front().map(|request| request.by);
        [self.confirm_at, reply]
            .into_iter()
            .flatten()
            .fold(self.ping_at, Instant::min)
    }

    /// Looks at the time: pings when it is time to.
    ///
    /// # Errors
    ///
    /// [`LegacyError::Silent`]: a reply is late. Close the connection and redial.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LegacyError> {
        if self
            .requests
            .front()
            .is_some_and(|request| request.by <= now)
        {
            return Err(LegacyError::Silent {
                after: self.config.reply,
            });
        }
        if self.ping_at <= now || self.confirm_at.is_some_and(|at| at <= now) {
            self.confirm(now);
        }
        Ok(())
    }

    /// What has arrived after the answer to the probe.
    pub fn into_rest(self) -> Bytes {
        self.input.freeze()
    }

    /// The connection is lost: the messages of which nobody knows whether they were read, oldest
    /// first.
    pub fn into_unconfirmed(self) -> impl Iterator<Item = (Pid, Bytes)> {
        self.unconfirmed.into_iter()
    }

    /// Asks for a reply that covers all messages so far, unless one is under way.
    fn confirm(&mut self, now: Instant) {
        self.confirm_at = None;
        if self
            .requests
            .back()
            .is_none_or(|request| request.covers < self.sent)
        {
            self.out.extend_from_slice(&[packet::PING]);
            self.request(now, Expected::Pong);
        }
        self.ping_at = now + self.config.ping;
    }

    fn request(&mut self, now: Instant, expected: Expected) {
        let by = now + self.config.reply;
        self.requests.push_back(Request {
            expected,
            by,
            covers: self.sent,
        });
        self.ping_at = now + self.config.ping;
        self.confirm_at = None;
    }

    fn confirm_up_to(&mut self, now: Instant, covers: u64) {
        while self.confirmed < covers
            && let Some((_, data)) = self.unconfirmed.pop_front()
        {
            self.unconfirmed_bytes -= data.len() + size_of::<(Pid, Bytes)>();
            self.confirmed += 1;
        }
        let covered = self
            .requests
            .back()
            .is_some_and(|request| request.covers == self.sent);
        if !self.unconfirmed.is_empty() && !covered {
            self.confirm_at.get_or_insert(now + self.config.confirm);
        }
    }

    fn put_resolve(&mut self, name: &[u8]) {
        self.out.extend_from_slice(&[packet::RESOLVE]);
        self.put_len(name.len());
        self.out.extend_from_slice(name);
    }

    fn put_len(&mut self, len: usize) {
        let len = u32::try_from(len).expect("compared with a limit far below");
        self.out.extend_from_slice(&len.to_be_bytes());
    }
}
