//! Fragments to messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;

use crate::connection::Violation;
use crate::frame::{Message, Trace, decode_head};
use crate::limits::FRAGMENT_GAP;

/// The most that is reserved beyond what has arrived, as long as little has.
const STEP: usize = 64 * 1024;

#[derive(Debug)]
struct Partial {
    seq: u64,
    message: Message,
    trace: Option<Trace>,
    total: u32,
    data: Vec<u8>,
    last_at: Instant,
}

/// A message that is whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) seq: u64,
    pub(super) message: Message,
    pub(super) trace: Option<Trace>,
    pub(super) total: u32,
}

/// What a `FRAG_FIRST` says.
pub(super) struct First {
    pub(super) seq: u64,
    pub(super) msg: u64,
    pub(super) total: u32,
    pub(super) inner: u8,
    pub(super) head: Bytes,
    pub(super) trace: Option<Trace>,
}

/// Messages of which not all fragments have come. Their totals together are at most twice the
/// longest message: a sender that keeps to it can have one of the longest under way, and others.
#[derive(Debug)]
pub(super) struct Reassembly {
    max_msg: u32,
    partials: BTreeMap<u64, Partial>,
    totals: u64,
    /// Given up here, while the sender goes on until it hears of it.
    abandoned: BTreeSet<u64>,
}

impl Reassembly {
    pub(super) fn new(max_msg: u32) -> Self {
        Self {
            max_msg,
            partials: BTreeMap::new(),
            totals: 0,
            abandoned: BTreeSet::new(),
        }
    }

    pub(super) fn first(
        &mut self,
        now: Instant,
        first: First,
        data: &[u8],
    ) -> Result<(), Violation> {
        let msg = first.msg;
        let wrong = |why| Violation::Fragment { msg, why };
        if first.total > self.max_msg {
            return Err(wrong("longer than this node takes"));
        }
        if self.totals + u64::from(first.total) > 2 * u64::from(self.max_msg) {
            return Err(wrong("too many at a time"));
        }
        if data.len() >= first.total as usize {
            return Err(wrong("the first fragment is all of it"));
        }
        let mut partial = Partial {
            seq: first.seq,
            message: decode_head(first.inner, first.head)?,
            trace: first.trace,
            total: first.total,
            data: Vec::new(),
            last_at: now,
        };
        partial.add(data);
        if self.partials.insert(msg, partial).is_some() {
            return Err(wrong("begins a second time"));
        }
        self.totals += u64::from(first.total);
        Ok(())
    }

    pub(super) fn next(
        &mut self,
        now: Instant,
        msg: u64,
        data: &[u8],
        last: bool,
    ) -> Result<Option<Whole>, Violation> {
        let wrong = |why| Err(Violation::Fragment { msg, why });
        let Some(partial) = self.partials.get_mut(&msg) else {
            if !self.abandoned.contains(&msg) {
                return wrong("goes on without a beginning");
            }
            if last {
                self.abandoned.remove(&msg);
            }
            return Ok(None);
        };
        if data.is_empty() {
            return wrong("an empty fragment");
        }
        let len = partial.data.len() + data.len();
        if len > partial.total as usize || last != (len == partial.total as usize) {
            return wrong("another length than announced");
        }
        partial.add(data);
        partial.last_at = now;
        if !last {
            return Ok(None);
        }
        let mut partial = self.partials.remove(&msg).expect("it was found above");
        self.totals -= u64::from(partial.total);
        *partial.message.data_mut() = partial.data.into();
        Ok(Some(Whole {
            seq: partial.seq,
            message: partial.message,
            trace: partial.trace,
            total: partial.total,
        }))
    }

    /// The sender gives a message up; whether it had begun.
    pub(super) fn abort(&mut self, msg: u64) -> bool {
        self.abandoned.remove(&msg);
        match self.partials.remove(&msg) {
            Some(partial) => {
                self.totals -= u64::from(partial.total);
                true
            }
            None => false,
        }
    }

    /// When the next message is given up.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let oldest = self.partials.values().map(|partial| partial.last_at).min();
        oldest.map(|at| at + FRAGMENT_GAP)
    }

    /// Gives up one message whose sender has paused for too long, and names it.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<u64> {
        let late = |partial: &Partial| partial.last_at + FRAGMENT_GAP <= now;
        let msg = self
            .partials
            .iter()
            .find(|(_, partial)| late(partial))
            .map(|(msg, _)| *msg)?;
        self.abort(msg);
        self.abandoned.insert(msg);
        Some(msg)
    }

    /// Nothing could come for a while: the pauses begin anew.
    pub(super) fn restart(&mut self, now: Instant) {
        for partial in self.partials.values_mut() {
            partial.last_at = now;
        }
    }
}

impl Partial {
    /// Grows with what arrives: never for the total alone, and by a quarter at most.
    fn add(&mut self, data: &[u8]) {
        let free = self.data.capacity() - self.data.len();
        if free < data.len() {
            let missing = self.total as usize - self.data.len();
            let ahead = missing.min((self.data.len() / 4).max(STEP));
            self.data.reserve_exact(ahead.max(data.len()));
        }
        self.data.extend_from_slice(data);
    }
}
