//! Groups of processes, for topics.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use iris_core::Pid;

/// Processes in the order in which they came, each once.
///
/// Coming and going are O(log n). The list is made when it is asked for and kept until
/// the next change, so that publishing to a group that does not change copies nothing.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_age: BTreeMap<u64, Pid>,
    age: HashMap<Pid, u64>,
    arrivals: u64,
    list: OnceLock<Arc<[Pid]>>,
}

impl Members {
    /// Whether it is new here.
    pub(crate) fn add(&mut self, pid: Pid) -> bool {
        if self.age.contains_key(&pid) {
            return false;
        }
        self.arrivals += 1;
        self.by_age.insert(self.arrivals, pid);
        self.age.insert(pid, self.arrivals);
        self.list.take();
        true
    }

    /// Whether it was here.
    pub(crate) fn remove(&mut self, pid: Pid) -> bool {
        let Some(age) = self.age.remove(&pid) else {
            return false;
        };
        self.by_age.remove(&age);
        self.list.take();
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.age.is_empty()
    }

    pub(crate) fn list(&self) -> Arc<[Pid]> {
        Arc::clone(
            self.list
                .get_or_init(|| self.by_age.values().copied().collect()),
        )
    }
}

/// Words to members: the groups, and the watchers of path prefixes.
#[derive(Debug, Default)]
pub(crate) struct Gatherings(HashMap<Arc<str>, Members>);

impl Gatherings {
    /// The word as it is stored, or `None` if `pid` was there already.
    pub(crate) fn join(&mut self, word: &str, pid: Pid) -> Option<Arc<str>> {
        let word: Arc<str> = self
            .0
            .get_key_value(word)
            .map_or_else(|| word.into(), |(known, _)| Arc::clone(known));
        let members = self.0.entry(Arc::clone(&word)).or_default();
        members.add(pid).then_some(word)
    }

    /// Whether `pid` was there. A word without members vanishes.
    pub(crate) fn leave(&mut self, word: &str, pid: Pid) -> bool {
        let Some(members) = self.0.get_mut(word) else {
            return false;
        };
        let was_there = members.remove(pid);
        if members.is_empty() {
            self.0.remove(word);
        }
        was_there
    }

    /// Who is there, in the order of joining; `None` if nobody is.
    pub(crate) fn members(&self, word: &str) -> Option<Arc<[Pid]>> {
        self.0.get(word).map(Members::list)
    }

    /// The word as it is stored and its members.
    pub(crate) fn get(&self, word: &str) -> Option<(&Arc<str>, Arc<[Pid]>)> {
        self.0
            .get_key_value(word)
            .map(|(word, members)| (word, members.list()))
    }

    /// All words that have members, sorted.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.0.keys().map(ToString::to_string).collect();
        words.sort();
        words
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
