//! What a supervisor only looks at.

use std::collections::{BTreeMap, HashMap};

use iris_core::Pid;

/// Processes that are only observed, in the order in which that began.
#[derive(Debug, Default)]
pub(super) struct Watched {
    by_age: BTreeMap<u64, Pid>,
    age: HashMap<Pid, u64>,
    added: u64,
}

impl Watched {
    /// Whether it is new here.
    pub(super) fn add(&mut self, pid: Pid) -> bool {
        if self.age.contains_key(&pid) {
            return false;
        }
        self.added += 1;
        self.age.insert(pid, self.added);
        self.by_age.insert(self.added, pid);
        true
    }

    /// Whether it was here.
    pub(super) fn remove(&mut self, pid: Pid) -> bool {
        let age = self.age.remove(&pid);
        age.is_some_and(|age| self.by_age.remove(&age).is_some())
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.by_age.values().copied()
    }
}
