//! Bounds of one side of a session.

use std::time::Duration;

use crate::frame::Hello;
use crate::limits::{MAX_BODY, MAX_DATA};

/// What a session may hold and how it behaves. The first five are what this node's
/// [`Hello`] has promised; [`Config::new`] takes them from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes that the peer may send beyond what was [released](super::Connection::release).
    pub credit_bytes: u32,
    /// Messages that the peer may send beyond what was released.
    pub credit_msgs: u32,
    /// The longest message that is taken.
    pub max_msg: u32,
    /// How often to send a ping.
    pub heartbeat: Duration,
    /// Whether messages may travel in fragments at all follows from the features of both; this
    /// is the most data in one, 64 KiB.
    pub fragment: usize,
    /// Bytes that may be on their way without an acknowledgement, and so the memory kept to send
    /// them again; 4 MiB.
    pub max_unacked: usize,
    /// Bytes of small messages that may wait for their turn; 8 MiB.
    pub max_queued_bytes: usize,
    /// Small messages that may wait for their turn; 65,536.
    pub max_queued_msgs: usize,
    /// Bytes of messages in fragments, and of small ones behind them, that may wait; 128 MiB.
    /// One message is always taken.
    pub max_queued_bulk: usize,
    /// Signals that may wait. They cannot be refused, so more of them end the session; 65,536.
    pub max_queued_signals: usize,
    /// How long an acknowledgement may wait for others; 20 ms.
    pub ack_delay: Duration,
    /// Bytes after which an acknowledgement does not wait; 128 KiB.
    pub ack_bytes: usize,
    /// The peer's guest lane counts as stalled after so long without progress; 5 s.
    pub stalled_after: Duration,
}

impl Config {
    /// The defaults beside the promises of `hello`.
    pub fn new(hello: &Hello) -> Self {
        Self {
            credit_bytes: hello.credit_bytes,
            credit_msgs: hello.credit_msgs,
            max_msg: hello.max_msg,
            heartbeat: Duration::from_millis(hello.hb_ms.into()),
            fragment: MAX_DATA,
            max_unacked: 4 << 20,
            max_queued_bytes: 8 << 20,
            max_queued_msgs: 65_536,
            max_queued_bulk: 128 << 20,
            max_queued_signals: 65_536,
            ack_delay: Duration::from_millis(20),
            ack_bytes: 128 * 1024,
            stalled_after: Duration::from_secs(5),
        }
    }

    /// The same, with values that nothing could work with brought into range.
    pub(super) fn checked(mut self) -> Self {
        self.fragment = self.fragment.clamp(1, MAX_DATA);
        self.max_unacked = self.max_unacked.max(4 * MAX_BODY);
        self.heartbeat = self.heartbeat.max(Duration::from_millis(10));
        self
    }
}
