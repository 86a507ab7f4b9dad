//! One session for each pair of nodes, one link for each session.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::frame::{ErrorCode, NodeId};
use crate::handshake::Role;
use crate::limits::HANDSHAKE_TIMEOUT;

/// Two links that come up within this time were dialled at the same time.
const SIMULTANEOUS: Duration = HANDSHAKE_TIMEOUT;

/// What to do with a peer that has proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing is known of it: make a [`Connection`](crate::Connection) and attach the link.
    New,
    /// Attach the link to the connection that is there. If that has a link, it is replaced.
    Resume,
    /// The node was restarted: close the connection that is there, and make a new one.
    Supersede,
}

/// Why a link is not wanted. Its text is for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is another link, which stays.
    #[error("there is a connection between the two nodes already; nothing is to be done")]
    Duplicate,
    /// A later life of the node is known.
    #[error(
        "a later start of this node (incarnation {known}) is known; a clock that was set back, \
         or two nodes with one id"
    )]
    Stale {
        /// The later one.
        known: u64,
    },
}

impl Refusal {
    /// The code for [`Handshake::refuse`](super::Handshake::refuse).
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Duplicate => ErrorCode::Duplicate,
            Self::Stale { .. } => ErrorCode::Stale,
        }
    }
}

#[derive(Debug, Default)]
struct Known {
    /// `None` while this node only dials it.
    incarnation: Option<u64>,
    attached: Option<(Role, Instant)>,
    dialled: Option<Instant>,
}

/// Who this node has sessions with. Both sides of every handshake ask it: the acceptor when the
/// dialler has proved who it is, the dialler when the handshake is done.
///
/// If two nodes dial each other at the same time, the link that the node with the lower id has
/// dialled stays; both come to the same result without another word. Otherwise a newer link
/// replaces an older one, whose other end has most likely gone unnoticed.
#[derive(Debug)]
pub struct Sessions {
    local: NodeId,
    known: HashMap<NodeId, Known>,
}

impl Sessions {
    /// None yet.
    pub fn new(local: NodeId) -> Self {
        Self {
            local,
            known: HashMap::new(),
        }
    }

    /// A node that this one dials has introduced itself
    /// ([`Handshake::peer`](super::Handshake::peer)).
    pub fn dialling(&mut self, now: Instant, peer: NodeId) {
        self.known.entry(peer).or_default().dialled = Some(now);
    }

    /// Whether to take a link in, and how. It counts as attached from then on.
    ///
    /// # Errors
    ///
    /// It is to be closed: the acceptor calls [`Handshake::refuse`](super::Handshake::refuse),
    /// the dialler just drops it.
    pub fn admit(
        &mut self,
        now: Instant,
        peer: NodeId,
        incarnation: u64,
        role: Role,
    ) -> Result<Admission, Refusal> {
        let ours_wins = self.local < peer;
        let known = self.known.entry(peer).or_default();
        let admission = match known.incarnation {
            Some(known) if incarnation < known => return Err(Refusal::Stale { known }),
            Some(known) if incarnation > known => Admission::Supersede,
            Some(_) => Admission::Resume,
            None => Admission::New,
        };
        let recent = |at: Instant| now.saturating_duration_since(at) < SIMULTANEOUS;
        // Another link of the other direction that is about as young as this one.
        let rival = match (known.attached, role) {
            // That of an earlier life is no rival.
            (Some(_), _) if admission == Admission::Supersede => None,
            (Some((other, at)), _) => (other != role && recent(at)).then_some(other),
            (None, Role::Acceptor) => known.dialled.is_some_and(recent).then_some(Role::Dialler),
            (None, Role::Dialler) => None,
        };
        if rival.is_some() && ours_wins != (role == Role::Dialler) {
            return Err(Refusal::Duplicate);
        }
        known.incarnation = Some(incarnation);
        known.attached = Some((role, now));
        if role == Role::Dialler {
            known.dialled = None;
        }
        Ok(admission)
    }

    /// An own dial has failed.
    pub fn dial_failed(&mut self, peer: NodeId) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.dialled = None;
            if known.incarnation.is_none() {
                self.known.remove(&peer);
            }
        }
    }

    /// The link of a session is lost; the session waits for another.
    pub fn detached(&mut self, peer: NodeId) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.attached = None;
        }
    }

    /// The session is closed.
    pub fn remove(&mut self, peer: NodeId) {
        self.known.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: NodeId = NodeId([1; 16]);
    const HIGH: NodeId = NodeId([2; 16]);

    #[test]
    fn of_two_simultaneous_dials_that_of_the_lower_id_stays_in_any_order() {
        let now = Instant::now();
        // Each event: which side sees which link come up. The low node's dial is link 1.
        let (low_1, low_2) = (Role::Dialler, Role::Acceptor);
        let (high_1, high_2) = (Role::Acceptor, Role::Dialler);
        for low_order in [[low_1, low_2], [low_2, low_1]] {
            for high_order in [[high_1, high_2], [high_2, high_1]] {
                let (mut low, mut high) = (Sessions::new(LOW), Sessions::new(HIGH));
                for role in low_order {
                    let _ = low.admit(now, HIGH, 1, role);
                }
                for role in high_order {
                    let _ = high.admit(now, LOW, 1, role);
                }
                assert_eq!(low.known[&HIGH].attached.map(|it| it.0), Some(low_1));
                assert_eq!(high.known[&LOW].attached.map(|it| it.0), Some(high_1));
            }
        }
    }

    #[test]
    fn a_dial_under_way_counts_as_a_rival() {
        let now = Instant::now();
        let mut low = Sessions::new(LOW);
        low.dialling(now, HIGH);
        assert_eq!(
            low.admit(now, HIGH, 1, Role::Acceptor),
            Err(Refusal::Duplicate)
        );
        low.dial_failed(HIGH);
        assert_eq!(low.admit(now, HIGH, 1, Role::Acceptor), Ok(Admission::New));
        let mut high = Sessions::new(HIGH);
        high.dialling(now, LOW);
        assert_eq!(high.admit(now, LOW, 1, Role::Acceptor), Ok(Admission::New));
    }

    #[test]
    fn a_redial_replaces_a_link_that_died_unnoticed() {
        let now = Instant::now();
        let later = now + SIMULTANEOUS;
        for (local, peer) in [(LOW, HIGH), (HIGH, LOW)] {
            for (old, new) in [
                (Role::Dialler, Role::Acceptor),
                (Role::Acceptor, Role::Dialler),
                (Role::Acceptor, Role::Acceptor),
            ] {
                let mut sessions = Sessions::new(local);
                assert_eq!(sessions.admit(now, peer, 1, old), Ok(Admission::New));
                assert_eq!(sessions.admit(later, peer, 1, new), Ok(Admission::Resume));
            }
        }
    }

    #[test]
    fn a_later_life_supersedes_and_an_earlier_one_is_refused() {
        let now = Instant::now();
        let mut sessions = Sessions::new(LOW);
        assert_eq!(
            sessions.admit(now, HIGH, 5, Role::Dialler),
            Ok(Admission::New)
        );
        assert_eq!(
            sessions.admit(now, HIGH, 6, Role::Acceptor),
            Ok(Admission::Supersede)
        );
        let stale = sessions.admit(now, HIGH, 5, Role::Acceptor);
        assert_eq!(stale, Err(Refusal::Stale { known: 6 }));
        sessions.detached(HIGH);
        assert_eq!(
            sessions.admit(now, HIGH, 6, Role::Acceptor),
            Ok(Admission::Resume)
        );
        sessions.remove(HIGH);
        assert_eq!(
            sessions.admit(now, HIGH, 6, Role::Acceptor),
            Ok(Admission::New)
        );
    }
}
