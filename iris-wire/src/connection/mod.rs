//! A session with one peer, over one link after the other.
//!
//! ```text
//!            attach               READY of the peer
//!  Detached ---------> Opening --------------------> Open
//!     ^                   |                            |
//!     '---- link_lost, silence, another attach --------'
//!     |
//!     '--> Closed     no link within the time to resume, a broken rule, both have drained
//! ```
//!
//! What is sequenced is kept until the peer acknowledges it, and sent again after a reconnect
//! from where the peer says it is. So within a session every frame is handled once, and those
//! of a pair in order. When a session ends, everything without an acknowledgement comes back.
//!
//! The owner feeds a connection with input, time and commands, and after each of them takes
//! events and output until there are none. One connection is for one life of a peer.

mod beats;
mod command;
mod config;
mod credit;
mod event;
mod outbox;
mod reassembly;
mod receive;
mod transmit;
mod writer;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use config::Config;
pub use event::{AttachError, Backlog, Cost, Event, LinkError, LinkId, Lost, SendError, Violation};

use crate::frame::{ErrorCode, Extra, Frame, InputBuffer, Message, Trace};
use crate::handshake::{Authenticated, Peer};
use crate::limits::{HANDSHAKE_TIMEOUT, MAX_BODY};
use beats::Beats;
use credit::{Allowance, Grant};
use outbox::{Item, Outbox};
use reassembly::Reassembly;
use writer::Writer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Without a link; closed at that time, if there is one.
    Detached {
        until: Option<Instant>,
    },
    /// The peer has not said where to go on.
    Opening {
        by: Instant,
    },
    Open,
    Closed,
}

/// An end that was announced.
#[derive(Clone, Copy, Debug)]
struct Drain {
    reason: ErrorCode,
    /// This node has announced it; else only the peer has.
    ours: bool,
    until: Instant,
    /// This side has said that nothing more comes.
    said_last: bool,
    /// The peer has.
    heard_last: bool,
}

/// A long message whose fragments are all sent and not all acknowledged.
#[derive(Debug)]
struct LongSent {
    msg: u64,
    last_seq: u64,
    message: Message,
    trace: Option<Trace>,
}

/// The state of one session, and of the link that it has.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    peer: Peer,
    phase: Phase,
    link: LinkId,
    /// Zeros before the first READY of the peer.
    session: [u8; 16],
    /// What this side has said in its READY: the session that it remembers, or the one that an
    /// earlier link would have begun. The peer may have begun that, though its READY never came.
    said: [u8; 16],
    /// The id of the session that begins if the peers do not remember the same.
    candidate: [u8; 16],
    drain: Option<Drain>,
    events: VecDeque<Event>,

    // In.
    input: InputBuffer,
    rx_seq: u64,
    grant: Grant,
    reassembly: Reassembly,
    ack_at: Option<Instant>,
    unacked_bytes: usize,
    ack_now: bool,

    // Out.
    /// Frames without a number, encoded; they are said again on a new link where need be.
    control: Vec<u8>,
    outbox: Outbox,
    writer: Writer,
    allowance: Allowance,
    next_msg: u64,
    /// Sum of the lengths of the messages that are being sent in fragments.
    long_under_way: u64,
    long_sent: VecDeque<LongSent>,
    /// Bytes of small ones since the last fragment.
    small_run: usize,
    beats: Beats,
}

impl Connection {
    /// A session that is to begin with `peer`, with no link yet. `config` must promise what the
    /// handshake's HELLO did.
    pub fn new(now: Instant, config: Config, peer: Peer) -> Self {
        let config = config.checked();
        Self {
            phase: Phase::Detached { until: None },
            link: LinkId(0),
            session: [0; 16],
            said: [0; 16],
            candidate: [0; 16],
            drain: None,
            events: VecDeque::new(),
            input: InputBuffer::new(MAX_BODY),
            rx_seq: 0,
            grant: Grant::new(config.credit_bytes, config.credit_msgs),
            reassembly: Reassembly::new(config.max_msg),
            ack_at: None,
            unacked_bytes: 0,
            ack_now: false,
            control: Vec::new(),
            outbox: Outbox::default(),
            writer: Writer::new(),
            allowance: Allowance::new(peer.credit_bytes, peer.credit_msgs),
            next_msg: 1,
            long_under_way: 0,
            long_sent: VecDeque::new(),
            small_run: 0,
            beats: Beats::new(now, config.heartbeat, config.stalled_after),
            config,
            peer,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether frames can flow.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether this session is over for good. What [`poll_transmit`](Self::poll_transmit) still
    /// gives is the last word to the peer.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// How much waits, here and for the peer.
    pub fn backlog(&self) -> Backlog {
        Backlog {
            queued_bytes: self.outbox.bytes(),
            queued_signals: self.outbox.signals(),
            unacked_bytes: self.writer.kept(),
        }
    }

    /// The link in use.
    pub fn link(&self) -> Option<LinkId> {
        match self.phase {
            Phase::Opening { .. } | Phase::Open => Some(self.link),
            _ => None,
        }
    }

    /// Gives the session a link, in place of one that it may have.
    ///
    /// # Errors
    ///
    /// The link is for another connection.
    pub fn attach(&mut self, now: Instant, link: Authenticated) -> Result<LinkId, AttachError> {
        if self.is_closed() {
            return Err(AttachError::Closed);
        }
        let same = (self.peer.node_id, self.peer.incarnation);
        if (link.peer.node_id, link.peer.incarnation) != same {
            return Err(AttachError::OtherPeer);
        }
        if let Some(link) = self.link() {
            self.events.push_back(Event::LinkDown {
                link,
                reason: LinkError::Replaced,
            });
        }
        self.link = LinkId(self.link.0 + 1);
        self.peer = link.peer;
        self.said = if self.session != [0; 16] {
            self.session
        } else if self.said != [0; 16] {
            self.said
        } else {
            self.candidate
        };
        self.candidate = link.session;
        self.phase = Phase::Opening {
            by: now + HANDSHAKE_TIMEOUT,
        };
        self.input = InputBuffer::new(MAX_BODY);
        self.control.clear();
        self.ack_at = None;
        self.ack_now = false;
        self.beats.restart(now, self.peer.heartbeat);
        let (session, rx_seq) = (self.said, self.rx_seq);
        self.say(&Frame::Ready { session, rx_seq });
        self.handle_input(now, self.link, link.rest);
        Ok(self.link)
    }

    /// The link is broken: closed by the peer, or an error of the transport. No effect unless it
    /// is the one in use.
    pub fn link_lost(&mut self, now: Instant, link: LinkId) {
        if self.link() == Some(link) {
            self.detach(now);
        }
    }

    fn detach(&mut self, now: Instant) {
        self.control.clear();
        if let Some(drain) = self.drain {
            let why = if drain.ours {
                Lost::Closed(drain.reason)
            } else {
                Lost::PeerLeft(drain.reason)
            };
            self.end(why, None);
        } else if self.peer.resume.is_zero() {
            self.end(
                Lost::Unreachable {
                    after: Duration::ZERO,
                },
                None,
            );
        } else {
            self.phase = Phase::Detached {
                until: Some(now + self.peer.resume),
            };
        }
    }

    /// Something that has happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else comes before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let drain = self.drain_until();
        let times = match self.phase {
            Phase::Closed => return None,
            Phase::Detached { until } => [until, drain, None, None],
            // Pings and fragments have to wait for READY: what cannot be done is not due.
            Phase::Opening { by } => [Some(by), drain, Some(self.beats.silent_at()), None],
            Phase::Open => [
                self.ack_at,
                drain,
                Some(self.beats.poll_timeout()),
                self.reassembly.poll_timeout(),
            ],
        };
        times.into_iter().flatten().min()
    }

    fn drain_until(&self) -> Option<Instant> {
        self.drain.map(|drain| drain.until)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(drain) = self.drain
            && drain.until <= now
            && !self.is_closed()
        {
            let why = if drain.ours {
                Lost::Closed(drain.reason)
            } else {
                Lost::PeerLeft(drain.reason)
            };
            self.end(why, None);
        }
        let down = match self.phase {
            Phase::Closed => return,
            Phase::Detached { until } => {
                if until.is_some_and(|until| until <= now) {
                    let after = self.peer.resume;
                    self.end(Lost::Unreachable { after }, None);
                }
                return;
            }
            Phase::Opening { by } if by <= now => Some(LinkError::NotReady {
                after: HANDSHAKE_TIMEOUT,
            }),
            _ if self.beats.is_silent(now) => Some(LinkError::Silent {
                after: self.beats.silence(),
            }),
            _ => None,
        };
        if let Some(reason) = down {
            self.events.push_back(Event::LinkDown {
                link: self.link,
                reason,
            });
            self.detach(now);
            return;
        }
        if self.phase == Phase::Open {
            self.handle_open_timeout(now);
        }
    }

    /// Appends a frame without a number to what goes out next.
    fn say(&mut self, frame: &Frame) {
        let encoded = frame.encode(Extra::default(), &mut self.control);
        // SWIM packets are the only ones that can be too long; the command checks them.
        debug_assert!(matches!(encoded, Ok(None)), "{frame:?}");
    }

    /// The session is over, with a last word to the peer if it is not to blame for silence.
    fn end(&mut self, why: Lost, last_word: Option<(ErrorCode, String)>) {
        self.give_back();
        self.control.clear();
        if let Some((code, message)) = last_word {
            self.say(&Frame::Error { code, message });
        }
        self.phase = Phase::Closed;
        self.events.push_back(Event::Lost(why));
    }

    /// Everything that was not acknowledged becomes an event, in order, and the session's state
    /// is that of the beginning.
    fn give_back(&mut self) {
        let acked = self.writer.acked();
        let writer = std::mem::replace(&mut self.writer, Writer::new());
        let mut long = std::mem::take(&mut self.long_sent);
        long.retain(|long| long.last_seq > acked);
        for (decoded, certain) in writer.into_unacked() {
            match decoded.frame {
                // A long message comes back whole, where its last fragment was.
                Frame::FragNext {
                    msg, last: true, ..
                } => {
                    let at = long.iter().position(|long| long.msg == msg);
                    if let Some(LongSent { message, trace, .. }) = at.and_then(|at| long.remove(at))
                    {
                        let frame = Frame::Message(message);
                        self.events.push_back(Event::Undelivered {
                            frame,
                            trace,
                            certain,
                        });
                    }
                }
                Frame::FragFirst { .. } | Frame::FragNext { .. } | Frame::FragAbort { .. } => {}
                frame => {
                    let trace = decoded.trace;
                    self.events.push_back(Event::Undelivered {
                        frame,
                        trace,
                        certain,
                    });
                }
            }
        }
        let outbox = std::mem::take(&mut self.outbox);
        for Item { frame, trace } in outbox.into_items() {
            // Of a long one that was begun nothing was delivered, either.
            self.events.push_back(Event::Undelivered {
                frame,
                trace,
                certain: true,
            });
        }
        self.rx_seq = 0;
        self.grant = Grant::new(self.config.credit_bytes, self.config.credit_msgs);
        self.reassembly = Reassembly::new(self.config.max_msg);
        self.ack_at = None;
        self.ack_now = false;
        self.unacked_bytes = 0;
        self.allowance = Allowance::new(self.peer.credit_bytes, self.peer.credit_msgs);
        self.long_under_way = 0;
        self.small_run = 0;
    }
}
