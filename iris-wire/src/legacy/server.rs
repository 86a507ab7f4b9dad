//! The accepting side of a connection with the original packets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_core::Pid;

use crate::frame::Name;
use crate::legacy::packet::{self, Packet, PacketInput};
use crate::legacy::{HelloLite, LegacyError, Ticket, UpgradeAnswer};
use crate::limits::{LEGACY_IDLE, MAX_LEGACY_DATA};

/// What an acceptor allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The most data in one packet; 1 MiB.
    pub max_data: usize,
    /// How long the dialler may be silent; 10 minutes. The release's 5 s lose the first
    /// messages after a pause.
    pub idle: Duration,
    /// How many requests may wait for their reply before no more input is looked at; 1,024.
    pub max_waiting: usize,
    /// Whether anything but a probe is an error; `false`.
    pub require_upgrade: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_data: MAX_LEGACY_DATA,
            idle: LEGACY_IDLE,
            max_waiting: 1024,
            require_upgrade: false,
        }
    }
}

/// What a dialler wants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A message. `pid` is `None` for a number that cannot be a pid; the message then is a dead
    /// letter. Original packets have no way to tell the sender.
    User {
        /// Who is to have it.
        pid: Option<Pid>,
        /// The bytes.
        data: Bytes,
    },
    /// Who has this name? To be answered with [`LegacyServer::answer`], in any order.
    Resolve {
        /// Which question it is.
        ticket: Ticket,
        /// The name.
        name: Name,
    },
    /// The dialler can do better. To be answered with [`LegacyServer::upgrade`], or with
    /// [`LegacyServer::answer`] and `None` to stay with the original packets.
    Probe {
        /// Which question it is.
        ticket: Ticket,
        /// Who asks.
        hello: HelloLite,
    },
}

/// A reply whose turn may not have come.
#[derive(Debug)]
enum Slot {
    Waiting,
    Pid(u64),
    Pong,
}

/// The accepting side: packets in, events out; answers in, replies out in the dialler's order.
#[derive(Debug)]
pub struct LegacyServer {
    config: ServerConfig,
    input: PacketInput,
    events: VecDeque<ServerEvent>,
    slots: VecDeque<Slot>,
    /// The ticket of the front of `slots`.
    first: u64,
    /// A probe waits for its answer: what follows may not be packets.
    probed: Option<Ticket>,
    out: Vec<u8>,
    idle_at: Instant,
}

impl LegacyServer {
    /// A connection whose dialect is known; `rest` of [`Sniffed`](super::Sniffed) is its first
    /// input. Both dialects are the same from there on.
    pub fn new(now: Instant, config: ServerConfig) -> Self {
        Self {
            input: PacketInput::new(config.max_data),
            events: VecDeque::new(),
            slots: VecDeque::new(),
            first: 0,
            probed: None,
            out: Vec::new(),
            idle_at: now + config.idle,
            config,
        }
    }

    /// Takes bytes of the dialler.
    ///
    /// # Errors
    ///
    /// They are no packets. What was understood before them can still be polled.
    pub fn handle_input(&mut self, now: Instant, input: Bytes) -> Result<(), LegacyError> {
        self.idle_at = now + self.config.idle;
        self.input.push(input);
        self.read()
    }

    /// Whether more input is of use now. While it is not, leave it to the kernel, whose buffers
    /// then slow the dialler down.
    pub fn wants_input(&self) -> bool {
        self.probed.is_none() && self.slots.len() < self.config.max_waiting
    }

    /// What the dialler wants, in its order.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Answers a question; `None` if nobody has the name. An unknown ticket does nothing.
    ///
    /// # Errors
    ///
    /// What waited behind the question is no packet.
    pub fn answer(&mut self, ticket: Ticket, pid: Option<Pid>) -> Result<(), LegacyError> {
        let at = ticket
            .0
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(slot @ Slot::Waiting) = at.and_then(|at| self.slots.get_mut(at)) {
            *slot = Slot::Pid(pid.map_or(0, Pid::raw));
        }
        if self.probed == Some(ticket) {
            self.probed = None;
        }
        self.release();
        self.read()
    }

    /// Agrees to a probe. The bytes to send come first (after replies that were ready), then
    /// what the dialler has sent after its probe, which are frames.
    ///
    /// A peer that probes while questions of its own wait is not one of ours; they are answered
    /// with none.
    pub fn upgrade(mut self, answer: UpgradeAnswer) -> (Bytes, Bytes) {
        for slot in &mut self.slots {
            if let Slot::Waiting = slot {
                *slot = Slot::Pid(0);
            }
        }
        // The probe is the last of them.
        self.slots.pop_back();
        self.release();
        self.out.extend_from_slice(&answer.bytes());
        (self.out.into(), self.input.into_rest())
    }

    /// Bytes to send; empty if there are none.
    pub fn poll_transmit(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Instant {
        self.idle_at
    }

    /// Looks at the time.
    ///
    /// # Errors
    ///
    /// [`LegacyError::Idle`]: close the connection.
    pub fn handle_timeout(&self, now: Instant) -> Result<(), LegacyError> {
        if now < self.idle_at {
            return Ok(());
        }
        Err(LegacyError::Idle {
            after: self.config.idle,
        })
    }

    /// Bytes of memory held for a packet that is not complete.
    pub fn allocated(&self) -> usize {
        self.input.allocated()
    }

    fn read(&mut self) -> Result<(), LegacyError> {
        while self.wants_input()
            && let Some(packet) = self.input.next()?
        {
            let is_probe = matches!(&packet, Packet::Resolve { name } if HelloLite::from_probe(name).is_some());
            if self.config.require_upgrade && !is_probe {
                return Err(LegacyError::NotUpgraded);
            }
            match packet {
                Packet::User { pid, data } => {
                    self.events.push_back(ServerEvent::User {
                        pid: Pid::from_raw(pid),
                        data,
                    });
                }
                Packet::Ping => {
                    self.slots.push_back(Slot::Pong);
                    self.release();
                }
                Packet::Resolve { name } => self.resolve(name),
            }
        }
        Ok(())
    }

    fn resolve(&mut self, name: Bytes) {
        let ticket = Ticket(self.first + self.slots.len() as u64);
        if let Some(hello) = HelloLite::from_probe(&name) {
            self.slots.push_back(Slot::Waiting);
            self.probed = Some(ticket);
            self.events.push_back(ServerEvent::Probe { ticket, hello });
        } else if let Ok(name) = Name::new(name) {
            self.slots.push_back(Slot::Waiting);
            self.events.push_back(ServerEvent::Resolve { ticket, name });
        } else {
            // No process of ours can have it.
            self.slots.push_back(Slot::Pid(0));
            self.release();
        }
    }

    /// Moves the replies whose turn it is to the output.
    fn release(&mut self) {
        while let Some(slot) = self.slots.front() {
            match slot {
                Slot::Waiting => return,
                Slot::Pid(raw) => self.out.extend_from_slice(&raw.to_be_bytes()),
                Slot::Pong => self.out.push(packet::PONG),
            }
            self.slots.pop_front();
            self.first += 1;
        }
    }
}
