//! How much may be sent: limits that the receiver raises as it gets rid of what has come.
//!
//! Everything is counted from the beginning of the session, on both sides alike: the length of
//! the bodies of charged frames, and messages. A limit that is lost with a link is said again
//! with the next.

use crate::connection::Cost;
use crate::limits::MAX_DATA;

/// The sender's side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    limit_bytes: u64,
    limit_msgs: u64,
    spent_bytes: u64,
    spent_msgs: u64,
    /// What fragments leave for small messages.
    reserve: u64,
}

impl Allowance {
    pub(super) fn new(bytes: u32, msgs: u32) -> Self {
        Self {
            limit_bytes: bytes.into(),
            limit_msgs: msgs.into(),
            reserve: u64::from(bytes / 8).min(MAX_DATA as u64),
            ..Self::default()
        }
    }

    pub(super) fn raise(&mut self, limit_bytes: u64, limit_msgs: u64) {
        self.limit_bytes = self.limit_bytes.max(limit_bytes);
        self.limit_msgs = self.limit_msgs.max(limit_msgs);
    }

    /// Pays for a message of `bytes`, if there is enough.
    #[inline]
    pub(super) fn pay(&mut self, bytes: usize) -> bool {
        let bytes = self.spent_bytes + bytes as u64;
        if bytes > self.limit_bytes || self.spent_msgs >= self.limit_msgs {
            return false;
        }
        self.spent_bytes = bytes;
        self.spent_msgs += 1;
        true
    }

    /// Whether a fragment of `bytes` can be paid for, and the reserve left; `first` ones count
    /// as a message.
    pub(super) fn covers_fragment(&self, bytes: usize, first: bool) -> bool {
        self.spent_bytes + bytes as u64 + self.reserve <= self.limit_bytes
            && (!first || self.spent_msgs < self.limit_msgs)
    }

    pub(super) fn pay_fragment(&mut self, bytes: usize, first: bool) {
        self.spent_bytes += bytes as u64;
        self.spent_msgs += u64::from(first);
    }
}

/// The receiver's side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    window_bytes: u64,
    window_msgs: u64,
    received_bytes: u64,
    received_msgs: u64,
    freed_bytes: u64,
    freed_msgs: u64,
    /// Bytes of whole messages from fragments that nobody has released. Fragments are freed as
    /// they come (what they are put together to has a bound of its own), so this holds back the
    /// limit instead.
    debt: u64,
    /// What the peer was told last.
    limit_bytes: u64,
    limit_msgs: u64,
}

impl Grant {
    pub(super) fn new(bytes: u32, msgs: u32) -> Self {
        Self {
            window_bytes: bytes.into(),
            window_msgs: msgs.into(),
            received_bytes: 0,
            received_msgs: 0,
            freed_bytes: 0,
            freed_msgs: 0,
            debt: 0,
            limit_bytes: bytes.into(),
            limit_msgs: msgs.into(),
        }
    }

    /// Charges a frame; `false` if the peer had no credit for it.
    #[inline]
    pub(super) fn charge(&mut self, bytes: u32, messages: u64) -> bool {
        self.received_bytes += u64::from(bytes);
        self.received_msgs += messages;
        self.received_bytes <= self.limit_bytes && self.received_msgs <= self.limit_msgs
    }

    /// A fragment has gone where it is put together.
    pub(super) fn free_fragment(&mut self, bytes: u32) {
        self.freed_bytes += u64::from(bytes);
    }

    /// A message from fragments is whole.
    pub(super) fn complete(&mut self, total: u32) -> Cost {
        self.debt += u64::from(total);
        Cost {
            bytes: total,
            in_fragments: true,
        }
    }

    /// A message from fragments was given up.
    pub(super) fn give_up(&mut self) {
        self.freed_msgs += 1;
    }

    #[inline]
    pub(super) fn release(&mut self, cost: Cost) {
        if cost.in_fragments {
            self.debt = self.debt.saturating_sub(cost.bytes.into());
        } else {
            self.freed_bytes += u64::from(cost.bytes);
        }
        self.freed_msgs += 1;
    }

    /// Whether the peer could send another fragment.
    pub(super) fn leaves_room(&self) -> bool {
        self.limit_bytes - self.received_bytes.min(self.limit_bytes) > 2 * MAX_DATA as u64
    }

    fn next_limits(&self) -> (u64, u64) {
        // A caller that releases twice must not grant more than the window.
        let bytes = self.freed_bytes.min(self.received_bytes) + self.window_bytes;
        let msgs = self.freed_msgs.min(self.received_msgs) + self.window_msgs;
        (
            bytes.saturating_sub(self.debt).max(self.limit_bytes),
            msgs.max(self.limit_msgs),
        )
    }

    /// New limits, once a quarter of the window has become free.
    #[inline]
    pub(super) fn poll(&mut self) -> Option<(u64, u64)> {
        let (bytes, msgs) = self.next_limits();
        if bytes - self.limit_bytes < self.window_bytes / 4
            && msgs - self.limit_msgs < (self.window_msgs / 4).max(1)
        {
            return None;
        }
        Some(self.say())
    }

    /// The limits of now, for a new link too.
    pub(super) fn say(&mut self) -> (u64, u64) {
        (self.limit_bytes, self.limit_msgs) = self.next_limits();
        (self.limit_bytes, self.limit_msgs)
    }
}
