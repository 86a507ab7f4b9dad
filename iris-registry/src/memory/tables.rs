//! All that one registry knows, and who has what of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use iris_core::Pid;

use crate::follow::{Follower, Followers};
use crate::groups::Gatherings;
use crate::names::Names;
use crate::paths::Paths;
use crate::registry::RegisterError;
use crate::slots::Holder;
use crate::watch::{PathChange, Watches};

/// The tables, and beside them each process with what it has, so that forgetting it
/// needs no search.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) names: Names,
    pub(super) paths: Paths,
    pub(super) groups: Gatherings,
    pub(super) watches: Watches,
    followers: Followers,
    held: HashMap<Pid, Held>,
    reserved: HashMap<Pid, Places>,
}

/// Names and paths.
#[derive(Debug, Default)]
struct Places {
    names: BTreeSet<Arc<str>>,
    paths: BTreeSet<Arc<str>>,
}

/// What a process has.
#[derive(Debug, Default)]
struct Held {
    places: Places,
    groups: BTreeSet<Arc<str>>,
    watched: BTreeSet<Arc<str>>,
}

impl Places {
    fn len(&self) -> usize {
        self.names.len() + self.paths.len()
    }

    fn words(&self) -> (Vec<String>, Vec<String>) {
        let words = |set: &BTreeSet<Arc<str>>| set.iter().map(ToString::to_string).collect();
        (words(&self.names), words(&self.paths))
    }

    fn append(&mut self, mut other: Self) {
        self.names.append(&mut other.names);
        self.paths.append(&mut other.paths);
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.places.len() == 0 && self.groups.is_empty() && self.watched.is_empty()
    }
}

impl Tables {
    pub(super) fn register(&mut self, name: &str, pid: Pid) -> Result<(), RegisterError> {
        if let Some(name) = self.names.register(name, pid)? {
            self.followers.tell(&name, Some(pid));
            self.held.entry(pid).or_default().places.names.insert(name);
        }
        Ok(())
    }

    pub(super) fn unregister(&mut self, name: &str) -> Option<Pid> {
        let holder = self.names.free(name)?;
        self.followers.tell(&name.into(), None);
        self.take_from(holder, |places| places.names.remove(name));
        Some(holder.pid())
    }

    pub(super) fn register_path(&mut self, path: &str, pid: Pid) -> Result<(), RegisterError> {
        if let Some(path) = self.paths.register(path, pid)? {
            self.followers.tell(&path, Some(pid));
            self.watches.note(&path, PathChange::Registered(pid));
            self.held.entry(pid).or_default().places.paths.insert(path);
        }
        Ok(())
    }

    pub(super) fn unregister_path(&mut self, path: &str) -> Option<Pid> {
        let holder = self.paths.free(path)?;
        self.take_from(holder, |places| places.paths.remove(path));
        let change = PathChange::Unregistered(holder.pid());
        let path: Arc<str> = path.into();
        self.followers.tell(&path, None);
        self.watches.note(&path, change);
        Some(holder.pid())
    }

    pub(super) fn names_of(&self, pid: Pid) -> (Vec<String>, Vec<String>) {
        self.held
            .get(&pid)
            .map(|held| held.places.words())
            .unwrap_or_default()
    }

    pub(super) fn reserved_after(&self, old: Pid) -> (Vec<String>, Vec<String>) {
        self.reserved
            .get(&old)
            .map(Places::words)
            .unwrap_or_default()
    }

    pub(super) fn forget(&mut self, pid: Pid) {
        let places = self.depart(pid);
        self.free_all(pid, &places);
    }

    pub(super) fn reserve(&mut self, pid: Pid) {
        let places = self.depart(pid);
        if places.len() == 0 {
            return;
        }
        for name in &places.names {
            self.names.pass(name, Holder::Reserved(pid));
            self.followers.tell(name, None);
        }
        for path in &places.paths {
            self.paths.pass(path, Holder::Reserved(pid));
            self.followers.tell(path, None);
            self.watches.note(path, PathChange::Reserved(pid));
        }
        self.reserved.entry(pid).or_default().append(places);
    }

    pub(super) fn hand_over(&mut self, old: Pid, new: Pid) -> usize {
        if old == new {
            return 0;
        }
        let mut places = self.reserved.remove(&old).unwrap_or_default();
        if let Some(held) = self.held.get_mut(&old) {
            places.append(std::mem::take(&mut held.places));
            if held.is_empty() {
                self.held.remove(&old);
            }
        }
        let count = places.len();
        if count == 0 {
            return 0;
        }
        for name in &places.names {
            self.names.pass(name, Holder::Live(new));
            self.followers.tell(name, Some(new));
        }
        for path in &places.paths {
            self.paths.pass(path, Holder::Live(new));
            self.followers.tell(path, Some(new));
            let change = PathChange::HandedOver { from: old, to: new };
            self.watches.note(path, change);
        }
        self.held.entry(new).or_default().places.append(places);
        count
    }

    pub(super) fn release_reservation(&mut self, old: Pid) -> usize {
        let places = self.reserved.remove(&old).unwrap_or_default();
        self.free_all(old, &places);
        places.len()
    }

    pub(super) fn follow(&mut self, follower: Box<dyn Follower>) {
        for (pid, held) in &self.held {
            for word in held.places.names.iter().chain(&held.places.paths) {
                follower.changed(word, Some(*pid));
            }
        }
        self.followers.add(follower);
    }

    pub(super) fn join(&mut self, group: &str, pid: Pid) -> bool {
        let Some(group) = self.groups.join(group, pid) else {
            return false;
        };
        self.held.entry(pid).or_default().groups.insert(group)
    }

    pub(super) fn leave(&mut self, group: &str, pid: Pid) -> bool {
        self.release(pid, |held| held.groups.remove(group));
        self.groups.leave(group, pid)
    }

    pub(super) fn watch(&mut self, prefix: &str, watcher: Pid) -> bool {
        let Some(prefix) = self.watches.by_prefix.join(prefix, watcher) else {
            return false;
        };
        self.held.entry(watcher).or_default().watched.insert(prefix)
    }

    pub(super) fn unwatch(&mut self, prefix: &str, watcher: Pid) -> bool {
        self.release(watcher, |held| held.watched.remove(prefix));
        self.watches.by_prefix.leave(prefix, watcher)
    }

    /// A process leaves its groups and watches no more. Returns its names and paths,
    /// which still stand in the tables.
    fn depart(&mut self, pid: Pid) -> Places {
        let Some(held) = self.held.remove(&pid) else {
            return Places::default();
        };
        for group in &held.groups {
            self.groups.leave(group, pid);
        }
        for prefix in &held.watched {
            self.watches.by_prefix.leave(prefix, pid);
        }
        held.places
    }

    fn free_all(&mut self, had: Pid, places: &Places) {
        for name in &places.names {
            self.names.free(name);
            self.followers.tell(name, None);
        }
        for path in &places.paths {
            self.paths.free(path);
            self.followers.tell(path, None);
            self.watches.note(path, PathChange::Unregistered(had));
        }
    }

    fn take_from(&mut self, holder: Holder, take: impl FnOnce(&mut Places) -> bool) {
        match holder {
            Holder::Live(pid) => self.release(pid, |held| take(&mut held.places)),
            Holder::Reserved(old) => {
                if let Some(places) = self.reserved.get_mut(&old) {
                    take(places);
                    if places.len() == 0 {
                        self.reserved.remove(&old);
                    }
                }
            }
        }
    }

    fn release(&mut self, pid: Pid, take: impl FnOnce(&mut Held) -> bool) {
        if let Some(held) = self.held.get_mut(&pid) {
            take(held);
            if held.is_empty() {
                self.held.remove(&pid);
            }
        }
    }
}
