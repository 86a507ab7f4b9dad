//! From the lanes to bytes for the link.

use std::time::Instant;

use bytes::Bytes;

use crate::connection::outbox::{Item, Progress};
use crate::connection::{Connection, Event, LinkId, LongSent, Phase};
use crate::frame::{Frame, Message};
use crate::limits::MAX_BODY;

/// Small messages of so many bytes may pass before a fragment has its turn all the same.
const SMALL_RUN: usize = 512 * 1024;

const LANE_CONTROL: u16 = 0;
const LANE_SMALL: u16 = 1;
const LANE_BULK: u16 = 2;

impl Connection {
    /// Adds to `out` what is to be sent over `link` now, about `max_bytes` at most, and gives
    /// its length; 0 if there is nothing, or if the link is not the one in use.
    ///
    /// Write it before asking for more, and keep the kernel's buffers short: what is not asked
    /// for yet can still be overtaken. 64 KiB at a time are plenty.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        link: LinkId,
        max_bytes: usize,
        out: &mut Vec<Bytes>,
    ) -> usize {
        if link != self.link || matches!(self.phase, Phase::Detached { .. }) {
            return 0;
        }
        let mut total = 0;
        if self.phase == Phase::Open {
            self.say_ack(now);
            self.check_drained();
        }
        if !self.control.is_empty() {
            let control = Bytes::copy_from_slice(&self.control);
            self.control.clear();
            total += control.len();
            out.push(control);
        }
        if self.phase == Phase::Open {
            while total < max_bytes && (self.writer.unsent() > 0 || self.encode_next()) {
                total += self.writer.take(max_bytes - total, out);
            }
            if self.outbox.poll_writable(&self.config) {
                self.events.push_back(Event::Writable);
            }
        }
        total
    }

    /// Encodes what comes next, up to a chunk of small ones or one fragment; `false` if nothing
    /// waits or may go.
    fn encode_next(&mut self) -> bool {
        if self.writer.kept() >= self.config.max_unacked {
            return false;
        }
        let mut any = false;
        while self.has_room()
            && let Some(frame) = self.outbox.control.pop_front()
        {
            self.put(&Item { frame, trace: None }, LANE_CONTROL);
            any = true;
        }
        if self.small_run >= SMALL_RUN && self.encode_bulk() {
            self.small_run = 0;
            return true;
        }
        let before = self.writer.unsent();
        while self.has_room() && self.encode_small() {
            any = true;
        }
        self.small_run += self.writer.unsent() - before;
        if any {
            return true;
        }
        self.small_run = 0;
        self.encode_bulk()
    }

    fn encode_small(&mut self) -> bool {
        let Some(item) = self.outbox.front_small() else {
            return false;
        };
        if let Frame::Message(message) = &item.frame
            && !self.allowance.pay(body_len(message, item))
        {
            return false;
        }
        let item = self.outbox.pop_small().expect("it was looked at above");
        self.put(&item, LANE_SMALL);
        true
    }

    /// One fragment, or one small item behind a long one, of the next pair that may.
    fn encode_bulk(&mut self) -> bool {
        for _ in 0..self.outbox.pairs() {
            if self.encode_turn() {
                return true;
            }
            self.outbox.rotate();
        }
        false
    }

    fn encode_turn(&mut self) -> bool {
        let fragment = self.config.fragment;
        let Some(queue) = self.outbox.turn() else {
            return false;
        };
        let Some(item) = queue.items.front() else {
            return false;
        };
        let Frame::Message(message) = &item.frame else {
            let item = self.outbox.pop_turn().expect("it was looked at above");
            self.put(&item, LANE_BULK);
            return true;
        };
        let data = message.data();
        let whole = body_len(message, item);
        if data.len() <= fragment && whole <= MAX_BODY {
            if !self.allowance.pay(whole) {
                return false;
            }
            let item = self.outbox.pop_turn().expect("it was looked at above");
            self.put(&item, LANE_BULK);
            // The rest of a pair's small ones go with it.
            return true;
        }
        let (frame, body, begins) = match queue.progress {
            None => {
                let budget = 2 * u64::from(self.peer.max_msg);
                if self.long_under_way > 0 && self.long_under_way + data.len() as u64 > budget {
                    return false;
                }
                let mut head = Vec::with_capacity(message.fields_len());
                message.put_fields(&mut head);
                let fixed = 23 + head.len() + if item.trace.is_some() { 25 } else { 0 };
                let len = fragment.min(MAX_BODY - fixed).min(data.len() - 1);
                let frame = Frame::FragFirst {
                    msg: self.next_msg,
                    total: u32::try_from(data.len()).expect("compared with the peer's limit"),
                    inner: message.kind(),
                    head: head.into(),
                    data: data.slice(..len),
                };
                (frame, fixed + len, true)
            }
            Some(Progress { msg, sent }) => {
                let len = fragment.min(data.len() - sent);
                let last = sent + len == data.len();
                let frame = Frame::FragNext {
                    msg,
                    data: data.slice(sent..sent + len),
                    last,
                };
                (frame, 16 + len, false)
            }
        };
        if !self.allowance.covers_fragment(body, begins) {
            return false;
        }
        self.allowance.pay_fragment(body, begins);
        let trace = if begins { item.trace.as_deref() } else { None };
        let seq = self
            .writer
            .put(&frame, trace, LANE_BULK)
            .expect("cut to fit");
        match frame {
            Frame::FragFirst {
                msg, data, total, ..
            } => {
                self.next_msg += 1;
                self.long_under_way += u64::from(total);
                queue.progress = Some(Progress {
                    msg,
                    sent: data.len(),
                });
            }
            Frame::FragNext {
                msg, last: true, ..
            } => {
                // If nothing waits behind it, its pair has left the ring, and that is a turn.
                let pairs = self.outbox.pairs();
                self.finish_long(msg, seq);
                if self.outbox.pairs() < pairs {
                    return true;
                }
            }
            Frame::FragNext { data, .. } => {
                if let Some(progress) = &mut queue.progress {
                    progress.sent += data.len();
                }
            }
            _ => {}
        }
        self.outbox.rotate();
        true
    }

    /// All fragments of the message at the front are sent: it is kept until they are
    /// acknowledged.
    fn finish_long(&mut self, msg: u64, last_seq: u64) {
        let item = self.outbox.pop_turn().expect("it is being sent");
        if let Frame::Message(message) = item.frame {
            self.long_under_way -= message.data().len() as u64;
            let trace = item.trace;
            self.long_sent.push_back(LongSent {
                msg,
                last_seq,
                message,
                trace,
            });
        }
    }

    fn put(&mut self, item: &Item, lane: u16) {
        let put = self.writer.put(&item.frame, item.trace.as_deref(), lane);
        debug_assert!(
            put.is_ok(),
            "lengths are checked before anything is queued: {put:?}"
        );
    }
}

/// The length of the body of a message that is not fragmented, which is what it costs.
fn body_len(message: &Message, item: &Item) -> usize {
    let trace = if item.trace.is_some() { 25 } else { 0 };
    8 + message.fields_len() + message.data().len() + trace
}
