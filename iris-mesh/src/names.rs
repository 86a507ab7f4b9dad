//! Names across the mesh: each node publishes its own, and keeps what others publish.
//!
//! What a `NAMES_DELTA` carries:
//!
//! ```text
//! flags:1 (1: what was published before is void)  entry*
//! entry   len:2 name pid:8 (0: nobody has it any more)
//! ```
//!
//! It comes over the connection to the owner and from nobody else, in order and once, so nothing
//! has to be compared: a session begins with all names, and changes follow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use iris_core::Pid;
use iris_wire::{Name, NodeId};
use thiserror::Error;

/// Bytes after which another frame is begun.
const FRAME: usize = 32 << 10;

/// Names of one peer that are kept; more are passed over, with a warning.
pub(crate) const MOST_NAMES: usize = 1 << 20;

const FROM_SCRATCH: u8 = 1;

/// A change of one name: who has it now.
pub(crate) type Change = (Arc<str>, Option<Pid>);

/// Why a `NAMES_DELTA` cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NamesError {
    #[error("it ends too early")]
    Short,
    #[error("flags {0:#04x} are not known")]
    Flags(u8),
    #[error("it holds a name that is none")]
    Name,
    #[error("it holds a pid that is none")]
    Pid,
}

/// Changes as frames carry them.
pub(crate) fn encode<'a>(
    from_scratch: bool,
    changes: impl IntoIterator<Item = (&'a str, Option<Pid>)>,
) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut frame = BytesMut::new();
    frame.put_u8(if from_scratch { FROM_SCRATCH } else { 0 });
    for (name, holder) in changes {
        let Ok(len) = u16::try_from(name.len()) else {
            continue;
        };
        if frame.len() >= FRAME {
            frames.push(frame.split().freeze());
            frame.put_u8(0);
        }
        frame.put_u16(len);
        frame.put_slice(name.as_bytes());
        frame.put_u64(holder.map_or(0, Pid::raw));
    }
    frames.push(frame.freeze());
    frames
}

/// What [`encode`] has made: whether it begins anew, and the changes.
pub(crate) fn decode(mut data: &[u8]) -> Result<(bool, Vec<Change>), NamesError> {
    let flags = data.try_get_u8().map_err(|_| NamesError::Short)?;
    if flags & !FROM_SCRATCH != 0 {
        return Err(NamesError::Flags(flags));
    }
    let mut changes = Vec::new();
    while !data.is_empty() {
        let len = data.try_get_u16().map_err(|_| NamesError::Short)?;
        let name = data
            .split_off(..usize::from(len))
            .ok_or(NamesError::Short)?;
        let name = std::str::from_utf8(name).map_err(|_| NamesError::Name)?;
        Name::try_from(name).map_err(|_| NamesError::Name)?;
        let holder = match data.try_get_u64().map_err(|_| NamesError::Short)? {
            0 => None,
            raw => Some(Pid::from_raw(raw).ok_or(NamesError::Pid)?),
        };
        changes.push((name.into(), holder));
    }
    Ok((flags & FROM_SCRATCH != 0, changes))
}

/// Two holders of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) name: Arc<str>,
    /// Who had it first, as far as this node knows; `None` for this node.
    pub(crate) first: Option<NodeId>,
    pub(crate) second: Option<NodeId>,
}

/// Who has which name.
#[derive(Debug, Default)]
pub(crate) struct NameTable {
    own: BTreeMap<Arc<str>, Pid>,
    /// In the order in which this node has heard of them.
    of_others: HashMap<Arc<str>, Vec<(NodeId, Pid)>>,
    counts: HashMap<NodeId, usize>,
}

impl NameTable {
    /// Changes of this node's own names.
    pub(crate) fn publish(&mut self, (name, holder): Change) -> Option<Conflict> {
        match holder {
            None => {
                self.own.remove(&name);
                None
            }
            Some(pid) => {
                let new = self.own.insert(name.clone(), pid).is_none();
                let others = self.of_others.get(&name).filter(|_| new)?;
                let first = Some(others.first()?.0);
                Some(Conflict {
                    name,
                    first,
                    second: None,
                })
            }
        }
    }

    /// This node's own names, as a peer is told them at first: those that it may know of.
    pub(crate) fn snapshot(&self, may_know: impl Fn(&str) -> bool) -> Vec<Bytes> {
        let own = self.own.iter().filter(|(name, _)| may_know(name));
        encode(true, own.map(|(name, pid)| (&**name, Some(*pid))))
    }

    /// What a peer has published. Returns names that several nodes have now, and whether all were
    /// kept.
    pub(crate) fn hear(
        &mut self,
        from: NodeId,
        from_scratch: bool,
        changes: Vec<Change>,
    ) -> (Vec<Conflict>, bool) {
        let mut conflicts = Vec::new();
        let mut kept = true;
        if from_scratch {
            self.forget(from);
        }
        for (name, holder) in changes {
            let Some(pid) = holder else {
                self.withdraw(&name, from);
                continue;
            };
            let count = self.counts.entry(from).or_default();
            let holders = self.of_others.entry(name.clone()).or_default();
            if let Some(known) = holders.iter_mut().find(|(node, _)| *node == from) {
                known.1 = pid;
                continue;
            }
            let first = if self.own.contains_key(&name) {
                Some(None)
            } else {
                holders.first().map(|(node, _)| Some(*node))
            };
            if *count >= MOST_NAMES {
                kept = false;
                if holders.is_empty() {
                    self.of_others.remove(&name);
                }
                continue;
            }
            *count += 1;
            holders.push((from, pid));
            if let Some(first) = first {
                conflicts.push(Conflict {
                    name,
                    first,
                    second: Some(from),
                });
            }
        }
        (conflicts, kept)
    }

    fn withdraw(&mut self, name: &str, from: NodeId) {
        let Some(holders) = self.of_others.get_mut(name) else {
            return;
        };
        let before = holders.len();
        holders.retain(|(node, _)| *node != from);
        if holders.len() < before
            && let Some(count) = self.counts.get_mut(&from)
        {
            *count -= 1;
        }
        if holders.is_empty() {
            self.of_others.remove(name);
        }
    }

    /// A node is gone, and its names with it.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if self.counts.remove(&node).is_none_or(|count| count == 0) {
            return;
        }
        self.of_others.retain(|_, holders| {
            holders.retain(|(holder, _)| *holder != node);
            !holders.is_empty()
        });
    }

    /// Who else has a name, in the order in which this node has heard of them.
    pub(crate) fn holders(&self, name: &str) -> &[(NodeId, Pid)] {
        self.of_others.get(name).map_or(&[], Vec::as_slice)
    }

    /// All names of others.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, NodeId, Pid)> {
        let all = self.of_others.iter();
        all.flat_map(|(name, holders)| {
            let named = holders
                .iter()
                .map(|(node, pid)| (name.clone(), *node, *pid));
            named.collect::<Vec<_>>()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(slot: u32) -> Pid {
        Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
    }

    fn node(id: u8) -> NodeId {
        NodeId([id; 16])
    }

    fn here(name: &str, slot: u32) -> Change {
        (name.into(), Some(pid(slot)))
    }

    #[test]
    fn changes_come_out_as_they_went_in() {
        let changes = [("a", Some(pid(1))), ("/svc/ä", None), ("a", None)];
        let frames = encode(true, changes);
        assert_eq!(frames.len(), 1);
        let (from_scratch, read) = decode(&frames[0]).unwrap();
        assert!(from_scratch);
        let expected: Vec<Change> = changes.map(|(name, pid)| (name.into(), pid)).to_vec();
        assert_eq!(read, expected);
        // Cut anywhere but between entries it is an error.
        let whole = [1, 1 + 11, 1 + 11 + 17, frames[0].len()];
        for end in 0..frames[0].len() {
            let cut = decode(&frames[0][..end]);
            assert_eq!(cut.is_ok(), whole.contains(&end), "{end}");
        }
    }

    #[test]
    fn many_names_travel_in_several_frames_of_which_the_first_begins_anew() {
        let names: Vec<String> = (0..10_000).map(|n| format!("name/{n}")).collect();
        let frames = encode(true, names.iter().map(|name| (&**name, Some(pid(7)))));
        assert!(frames.len() > 3);
        let mut table = NameTable::default();
        table.hear(node(1), false, vec![here("old", 1)]);
        for (index, frame) in frames.iter().enumerate() {
            assert!(frame.len() < FRAME + 2048);
            let (from_scratch, changes) = decode(frame).unwrap();
            assert_eq!(from_scratch, index == 0);
            table.hear(node(1), from_scratch, changes);
        }
        assert_eq!(table.all().len(), 10_000);
        assert_eq!(table.holders("name/9999"), [(node(1), pid(7))]);
        assert!(table.holders("old").is_empty());
    }

    #[test]
    fn what_is_no_name_or_no_pid_is_refused() {
        assert_eq!(decode(&[]), Err(NamesError::Short));
        assert_eq!(decode(&[2]), Err(NamesError::Flags(2)));
        let entry = |name: &[u8], pid: u64| {
            let mut bytes = vec![0, 0, u8::try_from(name.len()).unwrap()];
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&pid.to_be_bytes());
            bytes
        };
        assert!(decode(&entry(b"x", 0)).is_ok());
        for bad in [&b""[..], b"a\nb", b"\xff", b"\0iris.x"] {
            assert_eq!(decode(&entry(bad, 1)), Err(NamesError::Name));
        }
        assert_eq!(decode(&entry(b"x", 1 << 53)), Err(NamesError::Pid));
    }

    #[test]
    fn the_first_holder_stays_the_first_and_each_conflict_is_told_once() {
        let mut table = NameTable::default();
        assert_eq!(table.hear(node(2), false, vec![here("x", 1)]).0, []);
        let conflict = |first: Option<u8>, second: Option<u8>| Conflict {
            name: "x".into(),
            first: first.map(node),
            second: second.map(node),
        };
        let told = table.hear(node(1), false, vec![here("x", 2)]).0;
        assert_eq!(told, [conflict(Some(2), Some(1))]);
        // A restarted process keeps its name: no news.
        assert_eq!(table.hear(node(1), false, vec![here("x", 3)]).0, []);
        let expected = [(node(2), pid(1)), (node(1), pid(3))];
        assert_eq!(table.holders("x"), expected);
        let told = table.publish(here("x", 9));
        assert_eq!(told, Some(conflict(Some(2), None)));
        assert_eq!(table.publish(here("x", 10)), None);
        let told = table.hear(node(3), false, vec![here("x", 4)]).0;
        assert_eq!(told, [conflict(None, Some(3))]);
        table.forget(node(2));
        assert_eq!(table.holders("x")[0], (node(1), pid(3)));
        table.hear(node(1), false, vec![("x".into(), None), ("x".into(), None)]);
        assert_eq!(table.holders("x"), [(node(3), pid(4))]);
    }
}
