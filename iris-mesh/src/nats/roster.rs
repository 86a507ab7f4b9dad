//! Who is present, by what was announced and when. Without I/O: the time is an argument.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use iris_wire::NodeId;
use tokio::time::Instant;

use crate::membership::{Action, Member};

/// After how many announcements that have not come a member is down; as many beats as SWIM gives a
/// suspect.
const MISSED: u32 = 4;

/// How much longer the others have when this node has a connection again: theirs may take as long.
const GRACE: Duration = Duration::from_secs(2);

/// Members for whom a beat is the pause between two announcements; with more it grows, so that what
/// all of them hear does not grow with their number squared.
const MEMBERS_A_BEAT: usize = 64;

/// More are not believed in.
const MOST_MEMBERS: usize = 1 << 16;

/// The least and the most that is believed of a pause.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_hours(1));

/// The other members.
#[derive(Debug, Default)]
pub(super) struct Roster {
    known: HashMap<NodeId, Known>,
    /// When this node has heard itself.
    heard_oneself: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    member: Member,
    pause: Duration,
    /// When it is down, unless it is heard before.
    until: Instant,
}

impl Roster {
    /// How long this node may be silent.
    pub(super) fn pause(&self, beat: Duration) -> Duration {
        let times = 1 + self.known.len() / MEMBERS_A_BEAT;
        beat * u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// A member has said that it lives, and will say so again after `pause`.
    pub(super) fn alive(&mut self, now: Instant, member: Member, pause: Duration) -> Vec<Action> {
        let pause = pause.clamp(PAUSE.0, PAUSE.1);
        let until = now + pause * MISSED;
        let full = self.known.len() >= MOST_MEMBERS;
        match self.known.entry(member.node) {
            Entry::Vacant(_) if full => Vec::new(),
            Entry::Vacant(place) => {
                let known = Known {
                    member: member.clone(),
                    pause,
                    until,
                };
                place.insert(known);
                vec![Action::Up(member)]
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                // An old one of a node that has begun again may come late.
                if member.incarnation < known.member.incarnation {
                    return Vec::new();
                }
                known.pause = pause;
                known.until = until;
                if known.member == member {
                    return Vec::new();
                }
                let before = std::mem::replace(&mut known.member, member.clone());
                let mut actions = Vec::new();
                if before.incarnation < member.incarnation {
                    let why = "it was started again".to_owned();
                    actions.push(Action::Down {
                        member: before,
                        why,
                    });
                }
                actions.push(Action::Up(member));
                actions
            }
        }
    }

    /// A member leaves.
    pub(super) fn bye(&mut self, node: NodeId, incarnation: u64) -> Option<Action> {
        let known = self.known.get(&node)?;
        if known.member.incarnation > incarnation {
            return None;
        }
        let Known { member, .. } = self.known.remove(&node)?;
        let why = "it has left".to_owned();
        Some(Action::Down { member, why })
    }

    /// This node has heard what it said itself, so it would have heard others: those that have been
    /// silent for too long. If it had not heard itself for a while, the others are given time.
    pub(super) fn heard_oneself(&mut self, now: Instant, beat: Duration) -> Vec<Action> {
        let before = self.heard_oneself.replace(now);
        let pause = self.pause(beat);
        if before.is_none_or(|before| now > before + 2 * pause) {
            for known in self.known.values_mut() {
                known.until = known.until.max(now + known.pause * MISSED + GRACE);
            }
        }
        let silent = self.known.extract_if(|_, known| known.until <= now);
        silent
            .map(|(_, Known { member, .. })| {
                let why = format!("it has not announced itself {MISSED} times");
                Action::Down { member, why }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_secs(1);

    fn member(node: u8, incarnation: u64) -> Member {
        Member {
            node: NodeId([node; 16]),
            incarnation,
            address: format!("nats:{node}"),
        }
    }

    /// What happens, without the words.
    fn said(actions: impl IntoIterator<Item = Action>) -> Vec<(&'static str, u8, u64)> {
        let say = |action| match action {
            Action::Up(member) => ("up", member.node.0[0], member.incarnation),
            Action::Down { member, .. } => ("down", member.node.0[0], member.incarnation),
            other => panic!("{other:?}"),
        };
        actions.into_iter().map(say).collect()
    }

    /// Hears itself from `from` to `to`, every beat.
    fn hear(roster: &mut Roster, from: Instant, to: Instant) -> Vec<(&'static str, u8, u64)> {
        let mut all = Vec::new();
        let mut now = from;
        while now <= to {
            all.extend(said(roster.heard_oneself(now, BEAT)));
            now += BEAT;
        }
        all
    }

    #[test]
    fn who_is_silent_for_four_pauses_is_down_once() {
        let mut roster = Roster::default();
        let start = Instant::now();
        hear(&mut roster, start, start);
        assert_eq!(
            said(roster.alive(start, member(1, 7), BEAT)),
            [("up", 1, 7)]
        );
        let now = start + 3 * BEAT;
        assert_eq!(said(roster.alive(now, member(1, 7), BEAT)), []);
        // Its own pause counts.
        assert_eq!(
            said(roster.alive(start, member(2, 7), 3 * BEAT)),
            [("up", 2, 7)]
        );
        assert_eq!(hear(&mut roster, start + BEAT, start + 6 * BEAT), []);
        let heard = hear(&mut roster, start + 7 * BEAT, start + 11 * BEAT);
        assert_eq!(heard, [("down", 1, 7)]);
        let heard = hear(&mut roster, start + 12 * BEAT, start + 50 * BEAT);
        assert_eq!(heard, [("down", 2, 7)]);
        assert_eq!(
            said(roster.alive(start, member(1, 7), BEAT)),
            [("up", 1, 7)]
        );
    }

    #[test]
    fn nobody_is_down_for_what_could_not_be_heard() {
        let mut roster = Roster::default();
        let start = Instant::now();
        hear(&mut roster, start, start + 2 * BEAT);
        roster.alive(start + 2 * BEAT, member(1, 7), BEAT);
        let again = start + 100 * BEAT;
        assert_eq!(hear(&mut roster, again, again + 5 * BEAT), []);
        // Four pauses, and the grace.
        let heard = hear(&mut roster, again + 6 * BEAT, again + 6 * BEAT);
        assert_eq!(heard, [("down", 1, 7)]);
    }

    #[test]
    fn another_life_of_a_node_is_another_member() {
        let mut roster = Roster::default();
        let now = Instant::now();
        roster.alive(now, member(1, 7), BEAT);
        let again = roster.alive(now, member(1, 8), BEAT);
        assert_eq!(said(again), [("down", 1, 7), ("up", 1, 8)]);
        // Words of the old one come late.
        assert_eq!(said(roster.alive(now, member(1, 7), BEAT)), []);
        assert_eq!(roster.bye(NodeId([1; 16]), 7), None);
        assert_eq!(said(roster.bye(NodeId([1; 16]), 8)), [("down", 1, 8)]);
        assert_eq!(roster.bye(NodeId([1; 16]), 8), None);
    }

    #[test]
    fn the_more_members_the_longer_the_pause() {
        let mut roster = Roster::default();
        assert_eq!(roster.pause(BEAT), BEAT);
        for n in 0..200_u8 {
            roster.alive(Instant::now(), member(n, 1), Duration::ZERO);
        }
        assert_eq!(roster.pause(BEAT), 4 * BEAT);
    }
}
