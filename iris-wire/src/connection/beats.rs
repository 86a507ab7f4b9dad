//! Signs of life, given and expected.

use std::time::{Duration, Instant};

use crate::connection::Event;
use crate::frame::Beat;

/// A peer is silent after seven halves of its heartbeat: three that were lost or late, and half
/// of one for the way.
const SILENT_HALVES: u32 = 7;

#[derive(Debug)]
pub(super) struct Beats {
    origin: Instant,
    heartbeat: Duration,
    stalled_after: Duration,
    peer_heartbeat: Duration,
    /// How old this node's guest lane is.
    pub(super) lane_age: Duration,
    peer_stalled: bool,
    ping_at: Instant,
    last_input: Instant,
}

impl Beats {
    pub(super) fn new(now: Instant, heartbeat: Duration, stalled_after: Duration) -> Self {
        Self {
            origin: now,
            heartbeat,
            stalled_after,
            peer_heartbeat: heartbeat,
            lane_age: Duration::ZERO,
            peer_stalled: false,
            ping_at: now + heartbeat,
            last_input: now,
        }
    }

    /// A new link is up.
    pub(super) fn restart(&mut self, now: Instant, peer_heartbeat: Duration) {
        self.peer_heartbeat = peer_heartbeat;
        self.last_input = now;
        self.ping_at = now + self.heartbeat;
    }

    #[inline]
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_input = now;
    }

    pub(super) fn silence(&self) -> Duration {
        self.peer_heartbeat * SILENT_HALVES / 2
    }

    /// When the peer counts as silent.
    pub(super) fn silent_at(&self) -> Instant {
        self.last_input + self.silence()
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.silent_at() <= now
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.ping_at.min(self.silent_at())
    }

    /// The ping that is due, if one is.
    pub(super) fn poll_ping(&mut self, now: Instant, rx_seq: u64) -> Option<Beat> {
        if now < self.ping_at {
            return None;
        }
        self.ping_at = now + self.heartbeat;
        Some(self.beat(self.micros(now), rx_seq))
    }

    /// What answers a ping.
    pub(super) fn pong(&self, t: u64, rx_seq: u64) -> Beat {
        self.beat(t, rx_seq)
    }

    fn beat(&self, t: u64, rx_seq: u64) -> Beat {
        let lane_age_ms = u32::try_from(self.lane_age.as_millis()).unwrap_or(u32::MAX);
        Beat {
            t,
            rx_seq,
            lane_age_ms,
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.origin);
        u64::try_from(age.as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn round_trip(&self, now: Instant, t: u64) -> Duration {
        Duration::from_micros(self.micros(now).saturating_sub(t))
    }

    /// What the peer says of its guest lane, if that is news.
    pub(super) fn lane_news(&mut self, lane_age_ms: u32) -> Option<Event> {
        let lane_age = Duration::from_millis(lane_age_ms.into());
        let stalled = lane_age >= self.stalled_after;
        if stalled == std::mem::replace(&mut self.peer_stalled, stalled) {
            return None;
        }
        Some(if stalled {
            Event::NodeStalled { lane_age }
        } else {
            Event::NodeMoving
        })
    }
}
