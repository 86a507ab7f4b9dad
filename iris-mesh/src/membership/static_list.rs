//! A mesh whose nodes are listed beforehand.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use iris_wire::NodeId;
use tokio::time::{Instant, sleep_until};

use super::{Action, Member, Membership};

/// Every address that was given is a member for as long as it can be reached; nobody else is. Nodes
/// do not tell each other of third ones, so each needs the whole list.
#[derive(Debug, Default)]
pub struct StaticList {
    own: Option<Member>,
    addresses: Vec<String>,
    up: HashMap<NodeId, Member>,
    actions: VecDeque<Action>,
    beat: Duration,
    due: Option<Instant>,
}

impl StaticList {
    /// An empty list: the addresses come with joining.
    pub fn new() -> Self {
        Self::default()
    }

    fn dial_missing(&mut self) {
        self.due = Some(Instant::now() + self.beat);
        for address in &self.addresses {
            if !self.up.values().any(|member| member.address == *address) {
                self.actions.push_back(Action::Dial(address.clone()));
            }
        }
    }
}

#[async_trait]
impl Membership for StaticList {
    fn join(&mut self, own: &Member, seeds: Vec<String>, beat: Duration) {
        for seed in seeds {
            if seed != own.address && !self.addresses.contains(&seed) {
                self.addresses.push(seed);
            }
        }
        self.own = Some(own.clone());
        self.beat = beat;
        self.dial_missing();
    }

    fn met(&mut self, peer: Member) {
        let itself = self.own.as_ref().is_some_and(|own| own.node == peer.node);
        if itself || !self.addresses.contains(&peer.address) {
            return;
        }
        let known = self.up.insert(peer.node, peer.clone());
        if known.is_none_or(|known| known.incarnation != peer.incarnation) {
            self.actions.push_back(Action::Up(peer));
        }
    }

    fn lost(&mut self, node: NodeId) {
        if let Some(member) = self.up.remove(&node) {
            let why = "the connection is lost".to_owned();
            self.actions.push_back(Action::Down { member, why });
            self.dial_missing();
        }
    }

    fn handle_packet(&mut self, _: &[u8]) {}

    fn leave(&mut self) -> Vec<Action> {
        self.due = None;
        Vec::new()
    }

    async fn next(&mut self) -> Action {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return action;
            }
            match self.due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
            self.dial_missing();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: u8, address: &str) -> Member {
        Member {
            node: NodeId([node; 16]),
            incarnation: 1,
            address: address.to_owned(),
        }
    }

    #[test]
    fn an_address_is_dialled_until_somebody_is_there_and_again_when_that_one_is_lost() {
        let mut list = StaticList::new();
        let seeds = ["a:1", "b:1", "a:1", "own:1"].map(String::from).to_vec();
        list.join(&member(1, "own:1"), seeds, Duration::from_secs(1));
        let dials = |list: &mut StaticList| std::mem::take(&mut list.actions);
        assert_eq!(
            dials(&mut list),
            [Action::Dial("a:1".into()), Action::Dial("b:1".into())]
        );
        list.met(member(2, "a:1"));
        list.met(member(2, "a:1"));
        list.met(member(3, "nobody has listed it:1"));
        assert_eq!(dials(&mut list), [Action::Up(member(2, "a:1"))]);
        list.dial_missing();
        assert_eq!(dials(&mut list), [Action::Dial("b:1".into())]);
        list.lost(NodeId([2; 16]));
        list.lost(NodeId([3; 16]));
        assert_eq!(dials(&mut list).len(), 3);
    }
}
