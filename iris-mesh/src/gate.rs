//! How many links peers may hold open, and which of them has to go if there are more.
//!
//! ```text
//!  accepted --> half-open ----> session     stays until its link is lost
//!                  |      '---> legacy      may go when there is no place
//!                  '--> closed  after 5 s, or when a younger one needs the place
//! ```
//!
//! An honest peer is half-open for milliseconds, one that means harm for as long as it can. So where
//! there is no place the oldest goes, and the newest gets its turn.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::transport::Source;

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Accepted links, whatever they are.
    pub(crate) links: usize,
    /// Links that have not proved who they are.
    pub(crate) half_open: usize,
    /// Those of one address.
    pub(crate) half_open_of_one: usize,
}

/// Where a link comes from: an IPv4 address, or a network of IPv6, which is what one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Origin {
    /// `None` for transports whose peers have no IP addresses.
    fn of(from: &str) -> Option<Self> {
        let address: std::net::SocketAddr = from.parse().ok()?;
        Some(match address.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let octets = ip.octets();
                Self::V6(std::array::from_fn(|at| octets[at]))
            }
        })
    }
}

#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    links: usize,
    /// By age.
    half_open: BTreeMap<u64, Waiting>,
    origins: HashMap<Origin, Vec<u64>>,
    /// By the time of their last packet, with what tells them to go.
    legacy: BTreeMap<u64, Arc<Notify>>,
    /// Links that had to go, or were not let in.
    turned_away: u64,
}

#[derive(Debug)]
struct Waiting {
    origin: Option<Origin>,
    /// `None` until the task that serves it runs.
    task: Option<AbortHandle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    HalfOpen,
    Legacy,
    Session,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Links that had to go, or were not let in, since the node was started.
    pub(crate) fn turned_away(&self) -> u64 {
        self.lock().turned_away
    }

    /// A place for a link that was accepted, if need be that of another; `None` if sessions have all.
    pub(crate) fn enter(self: &Arc<Self>, from: &str) -> Option<Pass> {
        let origin = Origin::of(from);
        let mut state = self.lock();
        let of_one = origin.and_then(|origin| state.origins.get(&origin));
        let oldest_of_one = of_one
            .filter(|ids| ids.len() >= self.limits.half_open_of_one.max(1))
            .and_then(|ids| ids.first().copied());
        let goes = if oldest_of_one.is_some() {
            oldest_of_one
        } else if state.half_open.len() >= self.limits.half_open.max(1) {
            state.half_open.keys().next().copied()
        } else {
            None
        };
        if let Some(goes) = goes {
            state.close_half_open(goes);
        } else if state.links >= self.limits.links.max(1) && !state.close_any() {
            state.count_turned_away();
            return None;
        }
        let id = state.number();
        state.links += 1;
        if let Some(origin) = origin {
            state.origins.entry(origin).or_default().push(id);
        }
        state.half_open.insert(id, Waiting { origin, task: None });
        Some(Pass {
            gate: self.clone(),
            id,
            kind: Kind::HalfOpen,
        })
    }

    /// The task that serves a link that was let in.
    pub(crate) fn serve(&self, id: u64, task: AbortHandle) {
        let mut state = self.lock();
        if let Some(waiting) = state.half_open.get_mut(&id) {
            waiting.task = Some(task);
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn count_turned_away(&mut self) {
        self.turned_away += 1;
        // Not a line for each: whoever floods a node is not to flood its log.
        if self.turned_away.is_power_of_two() {
            tracing::warn!(
                count = self.turned_away,
                "more links at once than there are places for: some were closed"
            );
        }
    }

    /// Takes one out of the half-open ones.
    fn take(&mut self, id: u64) -> Option<Waiting> {
        let waiting = self.half_open.remove(&id)?;
        if let Some(origin) = waiting.origin
            && let Some(ids) = self.origins.get_mut(&origin)
        {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.origins.remove(&origin);
            }
        }
        Some(waiting)
    }

    fn close_half_open(&mut self, id: u64) {
        if let Some(waiting) = self.take(id) {
            self.closed();
            // One that has not begun finds that its place is gone.
            if let Some(task) = waiting.task {
                task.abort();
            }
        }
    }

    /// Makes a place: of the oldest that is half-open, or the one with the original packets that has
    /// sent none for the longest time. Sessions stay.
    fn close_any(&mut self) -> bool {
        if let Some(&id) = self.half_open.keys().next() {
            self.close_half_open(id);
            return true;
        }
        let Some((_, go)) = self.legacy.pop_first() else {
            return false;
        };
        self.closed();
        go.notify_one();
        true
    }

    fn closed(&mut self) {
        self.links -= 1;
        self.count_turned_away();
    }
}

/// A link's place, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    id: u64,
    kind: Kind,
}

impl Pass {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The peer has proved who it is; `false`: the place is another's already.
    #[must_use]
    pub(crate) fn become_session(&mut self) -> bool {
        let there = self.gate.lock().take(self.id).is_some();
        if there {
            self.kind = Kind::Session;
        }
        there
    }

    /// The peer speaks the original packets, and is let do so. What comes out is notified when the
    /// link has to go, which it may do between two packets. `None`: the place is another's
    /// already.
    #[must_use]
    pub(crate) fn become_legacy(&mut self) -> Option<Arc<Notify>> {
        let mut state = self.gate.lock();
        state.take(self.id)?;
        let go = Arc::new(Notify::new());
        state.legacy.insert(self.id, go.clone());
        self.kind = Kind::Legacy;
        Some(go)
    }

    /// A whole packet has come.
    pub(crate) fn heard(&mut self) {
        let mut state = self.gate.lock();
        if let Some(go) = state.legacy.remove(&self.id) {
            self.id = state.number();
            state.legacy.insert(self.id, go);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let there = match self.kind {
            Kind::HalfOpen => state.take(self.id).is_some(),
            Kind::Legacy => state.legacy.remove(&self.id).is_some(),
            Kind::Session => true,
        };
        if there {
            state.links -= 1;
        }
    }
}

/// The receiving half of a link that has a place.
pub(crate) struct Placed {
    pub(crate) source: Box<dyn Source>,
    pub(crate) _pass: Pass,
}

#[async_trait]
impl Source for Placed {
    async fn receive(&mut self) -> std::io::Result<Option<Bytes>> {
        self.source.receive().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(links: usize, half_open: usize, half_open_of_one: usize) -> Arc<Gate> {
        Gate::new(Limits {
            links,
            half_open,
            half_open_of_one,
        })
    }

    /// Whether the places are still theirs.
    fn hold(passes: &mut [Pass]) -> Vec<bool> {
        passes.iter_mut().map(Pass::become_session).collect()
    }

    fn has_to_go(go: &Notify) -> bool {
        let notified = std::pin::pin!(go.notified());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        notified.poll(&mut cx).is_ready()
    }

    #[test]
    fn of_one_address_the_oldest_goes_and_others_are_not_touched() {
        let gate = gate(100, 100, 2);
        let from = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:2", "10.0.0.1:3"];
        let mut passes: Vec<_> = from.map(|from| gate.enter(from).unwrap()).into();
        assert_eq!(gate.turned_away(), 1);
        assert_eq!(hold(&mut passes), [false, true, true, true]);
        drop(passes);
        assert_eq!(gate.lock().links, 0);
        assert!(gate.lock().origins.is_empty());
    }

    #[test]
    fn one_network_of_ipv6_is_one_address_and_a_mapped_address_is_its_own() {
        let gate = gate(100, 100, 1);
        let from = [
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
            "[::ffff:10.0.0.1]:1",
            "10.0.0.1:2",
            "no address",
            "no address",
        ];
        let mut passes: Vec<_> = from.map(|from| gate.enter(from).unwrap()).into();
        assert_eq!(hold(&mut passes), [false, true, false, true, true, true]);
    }

    #[test]
    fn when_all_are_half_open_the_oldest_of_all_goes() {
        let gate = gate(100, 3, 100);
        let mut passes: Vec<_> = (0..5)
            .map(|n| gate.enter(&format!("10.0.0.{n}:1")).unwrap())
            .collect();
        assert_eq!(hold(&mut passes), [false, false, true, true, true]);
    }

    #[test]
    fn sessions_keep_their_places_and_quiet_old_packets_do_not() {
        let gate = gate(3, 100, 100);
        let mut session = gate.enter("10.0.0.1:1").unwrap();
        assert!(session.become_session());
        let mut quiet = gate.enter("10.0.0.2:1").unwrap();
        let mut lively = gate.enter("10.0.0.3:1").unwrap();
        let [quiet_goes, lively_goes] =
            [&mut quiet, &mut lively].map(|pass| pass.become_legacy().unwrap());
        for pass in [&mut quiet, &mut lively] {
            pass.heard();
        }
        quiet.heard();
        lively.heard();
        let mut next = gate.enter("10.0.0.4:1").unwrap();
        assert!(has_to_go(&quiet_goes) && !has_to_go(&lively_goes));
        assert!(next.become_session());
        let mut last = gate.enter("10.0.0.5:1").unwrap();
        assert!(has_to_go(&lively_goes));
        assert!(last.become_session());
        // Sessions have all.
        assert!(gate.enter("10.0.0.6:1").is_none());
        assert_eq!(gate.turned_away(), 3);
        drop(session);
        assert!(gate.enter("10.0.0.6:1").is_some());
        drop((quiet, lively, next, last));
        assert_eq!(gate.lock().links, 0);
    }
}
