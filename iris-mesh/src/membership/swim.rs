//! Membership by rumour: SWIM, as the `foca` crate implements it, in frames of the connections.

mod codec;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use foca::{Config, Foca, Identity, NoCustomBroadcast, Notification, PeriodicParams, Timer};
use iris_wire::NodeId;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep_until};

use super::{Action, Member, Membership};
use codec::SwimCodec;

/// How many beats a suspect has to say that it lives.
const SUSPICION: u32 = 4;
/// After how many beats a seed that does not belong to the mesh is dialled again, once others do.
const SEEDS_AGAIN: u32 = 10;
/// After how many beats those who were declared down are asked whether they live: so a mesh that
/// was cut in two heals.
const DOWN_AGAIN: u32 = 10;

/// A member as SWIM knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Swimmer {
    member: Member,
    /// How often it was declared down though it lived.
    returns: u16,
}

impl Identity for Swimmer {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        let returns = self.returns.checked_add(1)?;
        Some(Self {
            member: self.member.clone(),
            returns,
        })
    }

    fn addr(&self) -> NodeId {
        self.member.node
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        (self.member.incarnation, self.returns) > (other.member.incarnation, other.returns)
    }
}

/// What nodes tell each other of third ones: who joins tells some, those tell others. Each beat a
/// node asks another for a sign of life; if there is none, neither by way of three others, that
/// one is suspected, and down if it does not contradict within four beats. Order: the news of one
/// node may reach different nodes at different times, and its DOWN is always behind its UP.
///
/// A. Das, I. Gupta, A. Motivala: SWIM, 2002.
#[derive(Default)]
pub struct Swim {
    foca: Option<Foca<Swimmer, SwimCodec, SmallRng, NoCustomBroadcast>>,
    outbox: Outbox,
    seeds: Vec<String>,
    /// Who was found at a seed.
    at_seeds: HashMap<String, NodeId>,
    seeds_due: Option<Instant>,
    beat: Duration,
}

/// What foca wants, until it is done.
#[derive(Default)]
struct Outbox {
    actions: VecDeque<Action>,
    timers: BinaryHeap<Reverse<Due>>,
    timers_begun: u64,
    active: HashSet<NodeId>,
    /// Who was active once.
    down: HashMap<NodeId, Member>,
    leaving: bool,
}

struct Due {
    at: Instant,
    /// Keeps the order of those that are due at one time.
    number: u64,
    timer: Timer<Swimmer>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl foca::Runtime<Swimmer> for Outbox {
    fn notify(&mut self, notification: Notification<'_, Swimmer>) {
        match notification {
            Notification::MemberUp(swimmer) => self.up(&swimmer.member),
            Notification::MemberDown(swimmer) => {
                let member = swimmer.member.clone();
                self.active.remove(&member.node);
                self.down.insert(member.node, member.clone());
                let why = "the mesh has had no sign of life from it, or it has left".to_owned();
                self.actions.push_back(Action::Down { member, why });
            }
            // The same node in another life.
            Notification::Rename(old, new)
                if old.member != new.member && self.active.remove(&old.member.node) =>
            {
                let member = old.member.clone();
                let why = "it was started again".to_owned();
                self.actions.push_back(Action::Down { member, why });
                self.up(&new.member);
            }
            Notification::Rejoin(_) => {
                tracing::warn!("the mesh had declared this node down; it has come back");
            }
            Notification::Defunct if !self.leaving => {
                tracing::error!("the mesh has declared this node down for good; restart it");
            }
            _ => {}
        }
    }

    fn send_to(&mut self, to: Swimmer, data: &[u8]) {
        self.actions.push_back(Action::Send {
            to: to.member,
            packet: Bytes::copy_from_slice(data),
        });
    }

    fn submit_after(&mut self, timer: Timer<Swimmer>, after: Duration) {
        self.timers_begun += 1;
        self.timers.push(Reverse(Due {
            at: Instant::now() + after,
            number: self.timers_begun,
            timer,
        }));
    }
}

impl Outbox {
    fn up(&mut self, member: &Member) {
        self.down.remove(&member.node);
        if self.active.insert(member.node) {
            self.actions.push_back(Action::Up(member.clone()));
        }
    }
}

/// Three indirect probes and three rumours at a time, as memberlist does by default on a LAN.
fn config(beat: Duration) -> Config {
    const fn some(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).expect("not zero")
    }
    let each = |frequency: Duration, members: usize| {
        Some(PeriodicParams {
            frequency,
            num_members: some(members),
        })
    };
    Config {
        probe_period: beat,
        probe_rtt: beat / 2,
        num_indirect_probes: some(3),
        max_transmissions: NonZeroU8::new(10).expect("not zero"),
        suspect_to_down_after: beat * SUSPICION,
        remove_down_after: Some(Duration::from_hours(24)),
        max_packet_size: some(1400),
        notify_down_members: true,
        periodic_announce: each(beat * 30, 1),
        periodic_announce_to_down_members: each(beat * DOWN_AGAIN, 2),
        periodic_gossip: each(beat / 5, 3),
    }
}

impl fmt::Debug for Swim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swim")
            .field("active", &self.outbox.active)
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}

impl Swim {
    /// A node that belongs to no mesh yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_foca<E: fmt::Display>(
        &mut self,
        work: impl FnOnce(
            &mut Foca<Swimmer, SwimCodec, SmallRng, NoCustomBroadcast>,
            &mut Outbox,
        ) -> Result<(), E>,
    ) {
        if let Some(foca) = &mut self.foca
            && let Err(error) = work(foca, &mut self.outbox)
        {
            // A packet of another version, or a late timer: SWIM lives with loss.
            tracing::debug!(%error, "a step of the membership protocol failed");
        }
    }

    fn announce(&mut self, member: Member) {
        let to = Swimmer { member, returns: 0 };
        self.with_foca(|foca, outbox| foca.announce(to, outbox));
    }

    fn dial_seeds(&mut self) {
        let alone = self.outbox.active.is_empty();
        let pause = if alone {
            self.beat
        } else {
            self.beat * SEEDS_AGAIN
        };
        self.seeds_due = Some(Instant::now() + pause);
        for seed in &self.seeds {
            let found = self.at_seeds.get(seed);
            if !found.is_some_and(|node| self.outbox.active.contains(node)) {
                self.outbox.actions.push_back(Action::Dial(seed.clone()));
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let timer = self.outbox.timers.peek().map(|Reverse(due)| due.at);
        match (timer, self.seeds_due) {
            (Some(timer), Some(seeds)) => Some(timer.min(seeds)),
            (timer, seeds) => timer.or(seeds),
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(due)) = self.outbox.timers.peek()
            && due.at <= now
        {
            if let Some(Reverse(due)) = self.outbox.timers.pop() {
                self.with_foca(|foca, outbox| foca.handle_timer(due.timer, outbox));
            }
        }
        if self.seeds_due.is_some_and(|due| due <= now) {
            self.dial_seeds();
        }
    }
}

#[async_trait]
impl Membership for Swim {
    fn join(&mut self, own: &Member, seeds: Vec<String>, beat: Duration) {
        self.beat = beat;
        if self.foca.is_none() {
            let identity = Swimmer {
                member: own.clone(),
                returns: 0,
            };
            let (high, low) = own.node.0.split_at(8);
            let half = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            // Whom it asks first is not for others to know beforehand, and not a secret.
            let rng = SmallRng::seed_from_u64(half(high) ^ half(low) ^ own.incarnation);
            self.foca = Some(Foca::new(identity, config(beat), rng, SwimCodec));
        }
        for seed in seeds {
            if seed != own.address && !self.seeds.contains(&seed) {
                self.seeds.push(seed);
            }
        }
        self.dial_seeds();
    }

    fn met(&mut self, peer: Member) {
        let is_seed = self.seeds.contains(&peer.address);
        if is_seed {
            self.at_seeds.insert(peer.address.clone(), peer.node);
        }
        if self.outbox.active.contains(&peer.node) {
            return;
        }
        if is_seed || self.outbox.down.contains_key(&peer.node) {
            self.announce(peer);
        }
    }

    fn lost(&mut self, _: NodeId) {
        // The next probes find out what has become of it.
    }

    fn handle_packet(&mut self, packet: &[u8]) {
        self.with_foca(|foca, outbox| foca.handle_data(packet, outbox));
    }

    fn leave(&mut self) -> Vec<Action> {
        self.outbox.actions.clear();
        self.outbox.leaving = true;
        self.with_foca(|foca, outbox| foca.leave_cluster(outbox));
        self.foca = None;
        self.seeds_due = None;
        self.outbox.timers.clear();
        self.outbox.actions.drain(..).collect()
    }

    async fn next(&mut self) -> Action {
        loop {
            if let Some(action) = self.outbox.actions.pop_front() {
                return action;
            }
            match self.next_due() {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
            self.on_time();
        }
    }
}

#[cfg(test)]
mod tests;
