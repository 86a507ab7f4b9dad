//! What the owner of a session wants.

use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_core::Pid;

use crate::connection::outbox::Pair;
use crate::connection::{Connection, Cost, Drain, Lost, Phase, SendError};
use crate::frame::{ErrorCode, Frame, FrameError, Message, SHARE_FROM, Trace};
use crate::handshake::feature;
use crate::limits::MAX_BODY;

/// Encoded bytes that may wait for the link; what comes beyond them waits as it is, where
/// control can overtake it.
const BACKLOG: usize = 128 * 1024;

impl Connection {
    /// Sends a message. It is handled once, behind all of the same pair of processes that were
    /// sent before, or it comes back as [`Event::Undelivered`](super::Event::Undelivered).
    ///
    /// Costs no allocation for a short message on an open link.
    ///
    /// # Errors
    ///
    /// The message comes back at once if it is longer than the peer takes, if too much waits
    /// already, or if the session is closed or closing.
    #[inline]
    pub fn send(&mut self, message: Message, trace: Option<Trace>) -> Result<(), SendError> {
        if let (Message::Send { dst, src, data }, None) = (&message, &trace)
            && data.len() < SHARE_FROM
            && self.send_at_once(*dst, *src, data)
        {
            return Ok(());
        }
        self.send_in_turn(message, trace)
    }

    /// Sends a copy of a few bytes; the fastest way.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_copy(&mut self, dst: Pid, src: Option<Pid>, data: &[u8]) -> Result<(), SendError> {
        if data.len() < SHARE_FROM && self.send_at_once(dst, src, data) {
            return Ok(());
        }
        self.send_in_turn(
            Message::Send {
                dst,
                src,
                data: Bytes::copy_from_slice(data),
            },
            None,
        )
    }

    /// Encodes a SEND, if nothing is before it and there is room and credit.
    #[inline]
    fn send_at_once(&mut self, dst: Pid, src: Option<Pid>, data: &[u8]) -> bool {
        if self.phase != Phase::Open
            || self.drain.is_some()
            || data.len() > self.config.fragment
            || data.len() > self.peer.max_msg as usize
            || !self.has_room()
            || !self
                .outbox
                .is_clear(|| Pair::Pids(src.map_or(0, Pid::raw), dst))
            || !self.allowance.pay(24 + data.len())
        {
            return false;
        }
        self.writer.put_small(dst, src, data);
        true
    }

    /// Whether more may be encoded now.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.writer.unsent() < BACKLOG && self.writer.kept() < self.config.max_unacked
    }

    fn send_in_turn(&mut self, message: Message, trace: Option<Trace>) -> Result<(), SendError> {
        if self.is_closed() || self.drain.is_some() {
            return Err(SendError::Closed {
                message: Box::new(message),
            });
        }
        let len = message.data().len();
        let body = 8 + message.fields_len() + len + if trace.is_some() { 25 } else { 0 };
        let long = len > self.config.fragment || body > MAX_BODY;
        let limit = if self.peer.features & feature::FRAGMENTS == 0 {
            (MAX_BODY - (body - len)).min(self.config.fragment)
        } else {
            usize::MAX
        };
        let limit = limit.min(self.peer.max_msg as usize);
        if len > limit {
            return Err(SendError::TooLong {
                message: Box::new(message),
                limit,
            });
        }
        self.outbox
            .push_message(&self.config, message, trace, long)
            .map_err(|message| SendError::WouldBlock {
                message: Box::new(message),
            })
    }

    /// Whether a message was refused for want of room, and there is none yet: an
    /// [`Event::Writable`](super::Event::Writable) comes when there is.
    pub fn is_congested(&self) -> bool {
        self.outbox.is_refusing()
    }

    /// Sends anything else that is sequenced: monitors, links, exits, questions for names,
    /// spawns, UNDELIVERED, CANCEL, digests and deltas, extensions. Such a frame needs no credit
    /// and is never refused.
    ///
    /// Signals between two processes keep their place among the messages of that pair. `order`
    /// names the pair where the frame does not: the target and the watcher of a DOWN, the
    /// watcher and the target of a DEMONITOR. Look-ups and watches of
    /// names, spawns, digests and deltas keep their order among each other, and overtake the rest.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`], or [`FrameError::Unexpected`] for frames that the connection
    /// itself sends and for messages. Nothing is sent then. On a connection that is closed the
    /// frame comes back as [`Event::Undelivered`](super::Event::Undelivered).
    pub fn signal(&mut self, frame: Frame, order: Option<(Pid, Pid)>) -> Result<(), FrameError> {
        check_signal(&frame)?;
        if self.is_closed() {
            let undelivered = super::Event::Undelivered {
                frame,
                trace: None,
                certain: true,
            };
            self.events.push_back(undelivered);
            return Ok(());
        }
        let pids = |from: Pid, to: Pid| Some(Pair::Pids(from.raw(), to));
        let pair = match &frame {
            Frame::Resolve { .. }
            | Frame::Resolved { .. }
            | Frame::WatchName { .. }
            | Frame::NameEvent { .. }
            | Frame::Spawn { .. }
            | Frame::Spawned { .. }
            | Frame::NamesDigest { .. }
            | Frame::NamesDelta { .. }
            | Frame::GroupsDelta { .. } => {
                self.outbox.control.push_back(frame);
                self.check_overflow();
                return Ok(());
            }
            Frame::Monitor {
                watcher: from,
                target: to,
                ..
            }
            | Frame::Link { from, to }
            | Frame::Unlink { from, to, .. }
            | Frame::UnlinkAck { from, to, .. }
            | Frame::Exit { from, to, .. } => pids(*from, *to),
            _ => order.and_then(|(from, to)| pids(from, to)),
        };
        self.outbox.push_signal(frame, pair);
        self.check_overflow();
        Ok(())
    }

    fn check_overflow(&mut self) {
        let limit = self.config.max_queued_signals;
        if self.outbox.signals() > limit {
            let message = format!("{limit} signals wait");
            self.end(
                Lost::Overflow { limit },
                Some((ErrorCode::Overflow, message)),
            );
        }
    }

    /// Sends a packet of the membership protocol, if the link is open: it may be lost.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`].
    pub fn swim(&mut self, data: Bytes) -> Result<(), FrameError> {
        check_length(&Frame::Swim { data: data.clone() })?;
        if self.phase == Phase::Open && self.control.len() < BACKLOG {
            // Copied, for these are short.
            let frame = Frame::Swim { data };
            let tail = frame.encode(super::Extra::default(), &mut self.control)?;
            self.control.extend_from_slice(&tail.unwrap_or_default());
        }
        Ok(())
    }

    /// Limits what one of this node's processes may be sent; what the peer does with it is up
    /// to its mesh. May be lost with the link.
    pub fn limit_pid(&mut self, pid: Pid, limit_bytes: u64, limit_msgs: u64) {
        if self.phase == Phase::Open {
            self.say(&Frame::Credit {
                pid: Some(pid),
                limit_bytes,
                limit_msgs,
            });
        }
    }

    /// A message is where it belongs, and the peer may send another for it.
    #[inline]
    pub fn release(&mut self, cost: Cost) {
        self.grant.release(cost);
        if let Some((limit_bytes, limit_msgs)) = self.grant.poll()
            && self.phase == Phase::Open
        {
            self.say(&Frame::Credit {
                pid: None,
                limit_bytes,
                limit_msgs,
            });
        }
    }

    /// For how long this node's guest lane has had work and made no progress; told with the next
    /// pings. Zero if it has none or moves.
    pub fn set_lane_age(&mut self, age: Duration) {
        self.beats.lane_age = age;
    }

    /// Ends the session. With a `drain` time, what waits is sent first, and the peer is told to
    /// do the same; sends are refused from now on. What is not acknowledged in the end comes
    /// back.
    pub fn close(&mut self, now: Instant, reason: ErrorCode, drain: Duration) {
        if self.is_closed() {
            return;
        }
        if drain.is_zero() || self.phase != Phase::Open {
            let word = (reason, "the node closes the connection".to_owned());
            self.end(Lost::Closed(reason), Some(word));
            return;
        }
        let until = now + drain;
        if let Some(drain) = &mut self.drain {
            drain.until = drain.until.min(until);
        } else {
            let drain_ms = u32::try_from(drain.as_millis()).unwrap_or(u32::MAX).max(1);
            let rx_seq = self.rx_seq;
            self.say(&Frame::GoAway {
                reason,
                rx_seq,
                drain_ms,
            });
            self.drain = Some(Drain {
                reason,
                ours: true,
                until,
                said_last: false,
                heard_last: false,
            });
        }
        self.check_drained();
    }

    /// Ends a session without a link now, instead of when the time to resume is over: the owner
    /// knows, from elsewhere, that the peer will not come back. Of no effect while there is a link.
    pub fn give_up(&mut self, why: String) {
        if matches!(self.phase, Phase::Detached { until: Some(_) }) {
            self.end(Lost::Gone { why }, None);
        }
    }

    /// Says that nothing more comes once that is so, and ends when the peer has said it, too.
    pub(super) fn check_drained(&mut self) {
        let Some(mut drain) = self.drain else { return };
        if self.phase != Phase::Open || !self.outbox.is_empty() || !self.writer.is_empty() {
            return;
        }
        if !drain.said_last {
            drain.said_last = true;
            self.drain = Some(drain);
            let (reason, rx_seq) = (drain.reason, self.rx_seq);
            self.say(&Frame::GoAway {
                reason,
                rx_seq,
                drain_ms: 0,
            });
        }
        if drain.ours && drain.heard_last {
            let last_word = std::mem::take(&mut self.control);
            self.end(Lost::Closed(drain.reason), None);
            self.control = last_word;
        }
    }
}

fn check_length(frame: &Frame) -> Result<(), FrameError> {
    frame
        .encode(super::Extra::default(), &mut Vec::new())
        .map(drop)
}

/// Whether a frame may be given to [`Connection::signal`].
fn check_signal(frame: &Frame) -> Result<(), FrameError> {
    let kind = frame.kind();
    match frame {
        Frame::Message(_)
        | Frame::FragFirst { .. }
        | Frame::FragNext { .. }
        | Frame::FragAbort { .. }
        | Frame::Unknown { .. } => Err(FrameError::Unexpected {
            kind,
            why: "it is no signal",
        }),
        _ if !crate::frame::header::is_sequenced(kind) => Err(FrameError::Unexpected {
            kind,
            why: "the connection sends it by itself",
        }),
        Frame::NamesDigest { .. }
        | Frame::NamesDelta { .. }
        | Frame::GroupsDelta { .. }
        | Frame::Extension { .. }
        | Frame::Spawn { .. } => check_length(frame),
        // Names and failures have limits of their own.
        _ => Ok(()),
    }
}
