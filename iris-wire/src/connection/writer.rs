//! Frames that have a number: encoded, kept until they are acknowledged, sent again.
//!
//! ```text
//!   acked              handed to the link        not yet            open
//!     |  record record record record   |  record record record  |  bytes...
//!        '----- sent_records -----'
//! ```
//!
//! A record is a run of whole frames; the data of the last may be shared with whoever sent it.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use iris_core::Pid;

use crate::connection::Violation;
use crate::frame::{Decoded, Extra, Frame, FrameError, Header, InputBuffer, flag, put_small_send};
use crate::limits::{HEADER, MAX_BODY};

/// A run of small frames is closed at this length.
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
struct Record {
    last: u64,
    head: Bytes,
    tail: Bytes,
    /// It was handed to some link at some time.
    tried: bool,
}

impl Record {
    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    next_seq: u64,
    acked: u64,
    /// The last number that any link has got: nothing beyond it can be acknowledged.
    tried: u64,
    records: VecDeque<Record>,
    sent_records: usize,
    open: Vec<u8>,
    /// Bytes in records and `open`: what is kept for the case of a lost link.
    kept: usize,
    /// Those of them that this link has not got.
    unsent: usize,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            next_seq: 1,
            acked: 0,
            tried: 0,
            records: VecDeque::new(),
            sent_records: 0,
            open: Vec::new(),
            kept: 0,
            unsent: 0,
        }
    }

    /// Bytes without an acknowledgement.
    #[inline]
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Bytes that the link has not got.
    #[inline]
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// The number of the last frame.
    fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Encodes a frame under the next number.
    pub(super) fn put(
        &mut self,
        frame: &Frame,
        trace: Option<&[u8; 25]>,
        lane: u16,
    ) -> Result<u64, FrameError> {
        let seq = self.next_seq;
        let before = self.open.len();
        let extra = Extra {
            seq,
            trace,
            ack: false,
            lane,
        };
        let tail = frame.encode(extra, &mut self.open)?;
        self.next_seq += 1;
        let len = self.open.len() - before + tail.as_ref().map_or(0, Bytes::len);
        self.kept += len;
        self.unsent += len;
        if tail.is_some() || self.open.len() >= CHUNK {
            self.seal(tail.unwrap_or_default());
        }
        Ok(seq)
    }

    /// A SEND of a few bytes.
    #[inline]
    pub(super) fn put_small(&mut self, dst: Pid, src: Option<Pid>, data: &[u8]) {
        if self.open.capacity() == 0 {
            self.open.reserve_exact(CHUNK + MAX_BODY / 8);
        }
        let before = self.open.len();
        put_small_send(self.next_seq, dst, src, data, &mut self.open);
        self.next_seq += 1;
        let len = self.open.len() - before;
        self.kept += len;
        self.unsent += len;
        if self.open.len() >= CHUNK {
            self.seal(Bytes::new());
        }
    }

    fn seal(&mut self, tail: Bytes) {
        // A few bytes do not deserve to keep a chunk, which is used again for the next.
        let head = if self.open.len() < CHUNK / 4 {
            let head = Bytes::copy_from_slice(&self.open);
            self.open.clear();
            head
        } else {
            Bytes::from(std::mem::take(&mut self.open))
        };
        self.records.push_back(Record {
            last: self.last_seq(),
            head,
            tail,
            tried: false,
        });
    }

    /// Hands up to about `budget` bytes to the link.
    pub(super) fn take(&mut self, budget: usize, out: &mut Vec<Bytes>) -> usize {
        if !self.open.is_empty() {
            self.seal(Bytes::new());
        }
        let mut taken = 0;
        while taken < budget
            && let Some(record) = self.records.get_mut(self.sent_records)
        {
            record.tried = true;
            self.tried = self.tried.max(record.last);
            taken += record.len();
            out.push(record.head.clone());
            if !record.tail.is_empty() {
                out.push(record.tail.clone());
            }
            self.sent_records += 1;
        }
        self.unsent -= taken;
        taken
    }

    /// The peer has all up to `rx_seq`.
    pub(super) fn ack(&mut self, rx_seq: u64) -> Result<(), Violation> {
        if rx_seq > self.tried {
            let (from, to) = (self.acked, self.tried);
            return Err(Violation::Ack {
                got: rx_seq,
                from,
                to,
            });
        }
        if rx_seq <= self.acked {
            return Ok(());
        }
        self.acked = rx_seq;
        while let Some(record) = self.records.front()
            && record.last <= rx_seq
        {
            self.kept -= record.len();
            match self.sent_records.checked_sub(1) {
                Some(left) => self.sent_records = left,
                // Not sent over this link, and the old one is closed: the peer lies, but nothing
                // breaks.
                None => self.unsent -= record.len(),
            }
            self.records.pop_front();
        }
        Ok(())
    }

    /// Begins to send again, after `rx_seq`.
    pub(super) fn resume(&mut self, rx_seq: u64) -> Result<(), Violation> {
        if rx_seq < self.acked {
            let (from, to) = (self.acked, self.tried);
            return Err(Violation::Ack {
                got: rx_seq,
                from,
                to,
            });
        }
        self.ack(rx_seq)?;
        self.sent_records = 0;
        if let Some(record) = self.records.front_mut() {
            self.kept -= skip(record, rx_seq);
        }
        self.unsent = self.kept;
        Ok(())
    }

    /// Everything was acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.kept == 0
    }

    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// What was not acknowledged, in order, and whether it was never tried.
    pub(super) fn into_unacked(mut self) -> Vec<(Decoded, bool)> {
        if !self.open.is_empty() {
            self.seal(Bytes::new());
        }
        if let Some(record) = self.records.front_mut() {
            skip(record, self.acked);
        }
        let mut frames = Vec::new();
        for record in self.records {
            let mut input = InputBuffer::new(MAX_BODY);
            input.push(record.head);
            let certain = !record.tried;
            let mut add = |input: &mut InputBuffer| {
                while let Ok(Some(raw)) = input.next() {
                    frames.extend(raw.decode().map(|decoded| (decoded, certain)));
                }
            };
            add(&mut input);
            input.push(record.tail);
            add(&mut input);
        }
        frames
    }
}

/// Drops the frames of a record up to `seq`, and gives their bytes.
fn skip(record: &mut Record, seq: u64) -> usize {
    let mut skipped = 0;
    while let Some(header) = Header::read(&record.head) {
        let at = HEADER
            + if header.flags & flag::TRACE == 0 {
                0
            } else {
                25
            };
        let Some(number) = record.head.get(at..).and_then(|bytes| bytes.first_chunk()) else {
            break;
        };
        if u64::from_be_bytes(*number) > seq {
            break;
        }
        let len = HEADER + header.len as usize;
        let of_head = len.min(record.head.len());
        record.head.advance(of_head);
        // Only the last frame reaches into the tail, and then to its end.
        record.tail.advance(len - of_head);
        skipped += len;
    }
    skipped
}
