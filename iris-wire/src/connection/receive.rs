//! From the link's bytes to events.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::connection::reassembly::First;
use crate::connection::{Connection, Cost, Drain, Event, LinkId, Lost, Phase, Violation};
use crate::frame::reader::Reader;
use crate::frame::{
    Beat, Decoded, ErrorCode, Frame, FrameError, Message, RawFrame, Refused, Trace, header, kind,
};
use crate::limits::HEADER;

impl Connection {
    /// Takes bytes of the peer. Input of a link that is not in use any more is passed over.
    ///
    /// Whole frames in `input` are slices of it; hand it over in pieces of 64 KiB and more, as
    /// they are read.
    pub fn handle_input(&mut self, now: Instant, link: LinkId, input: Bytes) {
        if self.link() != Some(link) || input.is_empty() {
            return;
        }
        self.beats.heard(now);
        self.input.push(input);
        loop {
            let handled = match self.input.next() {
                Ok(None) => break,
                Ok(Some(raw)) => self.handle_frame(now, raw),
                Err(error) => Err(error.into()),
            };
            if let Err(violation) = handled {
                let last_word = (violation.code(), violation.to_string());
                self.end(Lost::Protocol(violation), Some(last_word));
            }
            if self.is_closed() {
                return;
            }
        }
        if self.unacked_bytes > 0 {
            if self.unacked_bytes >= self.config.ack_bytes {
                self.ack_now = true;
            }
            self.ack_at.get_or_insert(now + self.config.ack_delay);
        }
        self.check_drained();
    }

    #[inline]
    fn handle_frame(&mut self, now: Instant, raw: RawFrame) -> Result<(), Violation> {
        // Most frames by far are plain messages; the way around `Decoded` saves moving them.
        if raw.header.kind == kind::SEND && raw.header.flags == 0 && self.phase == Phase::Open {
            return self.handle_send(raw);
        }
        self.handle_any(now, raw)
    }

    #[inline]
    fn handle_send(&mut self, raw: RawFrame) -> Result<(), Violation> {
        let bytes = raw.header.len;
        let mut reader = Reader::new(kind::SEND, raw.body);
        let seq = reader.u64().map_err(Violation::Frame)?;
        let dst = reader.pid("dst").map_err(Violation::Frame)?;
        let src = reader.maybe_pid("src").map_err(Violation::Frame)?;
        if self.take_number(seq, kind::SEND, bytes)? {
            self.events.push_back(Event::Message {
                seq,
                message: Message::Send {
                    dst,
                    src,
                    data: reader.rest(),
                },
                trace: None,
                cost: Cost {
                    bytes,
                    in_fragments: false,
                },
            });
        }
        Ok(())
    }

    /// Counts a sequenced frame; `false` if it has come before.
    #[inline]
    fn take_number(&mut self, seq: u64, kind: u8, len: u32) -> Result<bool, Violation> {
        if seq != self.rx_seq + 1 {
            if seq <= self.rx_seq {
                return Ok(false);
            }
            return Err(Violation::Sequence {
                after: self.rx_seq,
                got: seq,
            });
        }
        if header::is_charged(kind) {
            let messages = u64::from(kind != kind::FRAG_NEXT);
            if !self.grant.charge(len, messages) {
                return Err(Violation::Credit);
            }
        }
        self.rx_seq = seq;
        self.unacked_bytes += HEADER + len as usize;
        Ok(true)
    }

    fn handle_any(&mut self, now: Instant, raw: RawFrame) -> Result<(), Violation> {
        let (kind, len) = (raw.header.kind, raw.header.len);
        let Decoded {
            seq,
            trace,
            ack,
            frame,
        } = raw.decode()?;
        if self.phase != Phase::Open {
            return self.handle_opening(now, frame);
        }
        self.ack_now |= ack;
        if !header::is_sequenced(kind) {
            return self.handle_session(now, frame);
        }
        if !self.take_number(seq, kind, len)? {
            return Ok(());
        }
        match frame {
            Frame::Message(message) => {
                let cost = Cost {
                    bytes: len,
                    in_fragments: false,
                };
                self.events.push_back(Event::Message {
                    seq,
                    message,
                    trace,
                    cost,
                });
                Ok(())
            }
            frame => self.handle_sequenced(now, seq, len, trace, frame),
        }
    }

    /// The peer's READY decides whether the session goes on.
    fn handle_opening(&mut self, now: Instant, frame: Frame) -> Result<(), Violation> {
        let (session, rx_seq) = match frame {
            Frame::Ready { session, rx_seq } => (session, rx_seq),
            Frame::Error { code, message } => {
                self.end(Lost::ByPeer { code, message }, None);
                return Ok(());
            }
            frame => {
                let (kind, why) = (frame.kind(), "the peer has not said READY");
                return Err(FrameError::Unexpected { kind, why }.into());
            }
        };
        let is_first = self.session == [0; 16];
        // A session that was never told of begins.
        let mut resumed = !is_first;
        if session == self.said && session != [0; 16] {
            self.session = session;
            self.writer.resume(rx_seq)?;
            self.drop_acked_long();
            let (limit_bytes, limit_msgs) = self.grant.say();
            self.say(&Frame::Credit {
                pid: None,
                limit_bytes,
                limit_msgs,
            });
        } else {
            if !is_first {
                self.give_back();
                self.events.push_back(Event::Lost(Lost::Forgotten));
            }
            self.session = self.candidate;
            resumed = false;
        }
        self.reassembly.restart(now);
        self.phase = Phase::Open;
        self.events.push_back(Event::Ready {
            link: self.link,
            resumed,
        });
        Ok(())
    }

    /// What is about the connection itself.
    fn handle_session(&mut self, now: Instant, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Ack { rx_seq } => self.handle_ack(rx_seq)?,
            Frame::Ping(beat) => {
                self.handle_beat(beat)?;
                let pong = self.beats.pong(beat.t, self.rx_seq);
                self.say(&Frame::Pong(pong));
            }
            Frame::Pong(beat) => {
                self.handle_beat(beat)?;
                let round_trip = self.beats.round_trip(now, beat.t);
                self.events.push_back(Event::Pong { round_trip });
            }
            Frame::Credit {
                pid: None,
                limit_bytes,
                limit_msgs,
            } => {
                self.allowance.raise(limit_bytes, limit_msgs);
            }
            Frame::Credit {
                pid: Some(pid),
                limit_bytes,
                limit_msgs,
            } => {
                self.events.push_back(Event::PidCredit {
                    pid,
                    limit_bytes,
                    limit_msgs,
                });
            }
            Frame::Swim { data } => self.events.push_back(Event::Swim(data)),
            Frame::GoAway {
                reason,
                drain_ms,
                rx_seq,
            } => {
                self.handle_ack(rx_seq)?;
                self.handle_go_away(now, reason, Duration::from_millis(drain_ms.into()));
            }
            Frame::Error { code, message } => self.end(Lost::ByPeer { code, message }, None),
            Frame::Unknown { .. } => {}
            frame => {
                let (kind, why) = (frame.kind(), "the handshake is over");
                return Err(FrameError::Unexpected { kind, why }.into());
            }
        }
        Ok(())
    }

    fn handle_ack(&mut self, rx_seq: u64) -> Result<(), Violation> {
        self.writer.ack(rx_seq)?;
        self.drop_acked_long();
        Ok(())
    }

    fn drop_acked_long(&mut self) {
        let acked = self.writer.acked();
        while self
            .long_sent
            .front()
            .is_some_and(|long| long.last_seq <= acked)
        {
            self.long_sent.pop_front();
        }
    }

    fn handle_beat(&mut self, beat: Beat) -> Result<(), Violation> {
        self.events.extend(self.beats.lane_news(beat.lane_age_ms));
        self.handle_ack(beat.rx_seq)
    }

    fn handle_go_away(&mut self, now: Instant, reason: ErrorCode, drain: Duration) {
        match &mut self.drain {
            // The last one: nothing more comes.
            Some(known) if drain.is_zero() => known.heard_last = true,
            Some(known) => known.until = known.until.min(now + drain),
            None => {
                self.drain = Some(Drain {
                    reason,
                    ours: false,
                    until: now + drain,
                    said_last: false,
                    heard_last: drain.is_zero(),
                });
                self.events.push_back(Event::GoAway { reason, drain });
            }
        }
    }

    /// Sequenced, and no message in one piece.
    fn handle_sequenced(
        &mut self,
        now: Instant,
        seq: u64,
        len: u32,
        trace: Option<Trace>,
        frame: Frame,
    ) -> Result<(), Violation> {
        let frame = match frame {
            Frame::FragFirst {
                msg,
                total,
                inner,
                head,
                data,
            } => {
                let first = First {
                    seq,
                    msg,
                    total,
                    inner,
                    head,
                    trace,
                };
                self.reassembly.first(now, first, &data)?;
                self.free_fragment(len);
                return Ok(());
            }
            Frame::FragNext { msg, data, last } => {
                let whole = self.reassembly.next(now, msg, &data, last)?;
                if let Some(whole) = whole {
                    let cost = self.grant.complete(whole.total);
                    let (seq, message, trace) = (whole.seq, whole.message, whole.trace);
                    self.events.push_back(Event::Message {
                        seq,
                        message,
                        trace,
                        cost,
                    });
                }
                self.free_fragment(len);
                return Ok(());
            }
            Frame::FragAbort {
                msg,
                by_receiver: false,
                ..
            } => {
                if self.reassembly.abort(msg) {
                    self.grant.give_up();
                }
                return Ok(());
            }
            Frame::FragAbort {
                msg,
                by_receiver: true,
                reason,
            } => {
                self.handle_unwanted(msg, reason);
                return Ok(());
            }
            Frame::Unknown { .. } => return Ok(()),
            frame => frame,
        };
        self.events.push_back(Event::Signal { seq, frame });
        Ok(())
    }

    fn free_fragment(&mut self, len: u32) {
        self.grant.free_fragment(len);
        if let Some((limit_bytes, limit_msgs)) = self.grant.poll() {
            self.say(&Frame::Credit {
                pid: None,
                limit_bytes,
                limit_msgs,
            });
        }
    }

    /// The peer does not want the rest of a message of ours.
    fn handle_unwanted(&mut self, msg: u64, reason: Refused) {
        let (message, trace) = if let Some(item) = self.outbox.abort(msg) {
            let Frame::Message(message) = item.frame else {
                return;
            };
            self.long_under_way -= message.data().len() as u64;
            let abort = Frame::FragAbort {
                msg,
                by_receiver: false,
                reason: Refused::GivenUp,
            };
            self.outbox.push_signal(abort, None);
            (message, item.trace)
        } else if let Some(at) = self.long_sent.iter().position(|long| long.msg == msg) {
            let Some(long) = self.long_sent.remove(at) else {
                return;
            };
            (long.message, long.trace)
        } else {
            // Acknowledged, and so not at hand any more; the mesh counts it.
            let dst = None;
            let frame = Frame::Undelivered { of: 0, dst, reason };
            self.events.push_back(Event::Signal {
                seq: self.rx_seq,
                frame,
            });
            return;
        };
        let frame = Frame::Message(message);
        self.events.push_back(Event::Undelivered {
            frame,
            trace,
            certain: true,
        });
    }

    /// Acknowledges, if it is time to.
    pub(super) fn say_ack(&mut self, now: Instant) {
        if self.ack_now || self.ack_at.is_some_and(|at| at <= now) {
            let rx_seq = self.rx_seq;
            self.say(&Frame::Ack { rx_seq });
            self.acknowledged();
        }
    }

    fn acknowledged(&mut self) {
        self.ack_now = false;
        self.ack_at = None;
        self.unacked_bytes = 0;
    }

    /// What is due on an open link.
    pub(super) fn handle_open_timeout(&mut self, now: Instant) {
        if let Some(beat) = self.beats.poll_ping(now, self.rx_seq) {
            self.say(&Frame::Ping(beat));
            self.acknowledged();
        }
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack_now = true;
            self.ack_at = None;
        }
        // A sender without credit cannot go on, which is no fault of its own.
        if !self.grant.leaves_room() {
            if self.reassembly.poll_timeout().is_some_and(|at| at <= now) {
                self.reassembly.restart(now);
            }
            return;
        }
        while let Some(msg) = self.reassembly.handle_timeout(now) {
            self.grant.give_up();
            let abort = Frame::FragAbort {
                msg,
                by_receiver: true,
                reason: Refused::Expired,
            };
            self.outbox.push_signal(abort, None);
        }
    }
}
