//! Parents and children: who ends with whom.
//!
//! A child ends before its parent does: when a parent's exit begins, its children are told
//! to stop, youngest first, and the parent's exit goes on when the last of them is gone. So
//! a tree ends from the leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use iris_core::{Exited, Pid};

/// The families of a runtime. Costs nothing for processes without parent and children.
#[derive(Default)]
pub(crate) struct Family {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By age, oldest first.
    children: HashMap<Pid, BTreeMap<u64, Pid>>,
    parents: HashMap<Pid, (Pid, u64)>,
    /// Parents whose exit waits for their children.
    ending: HashMap<Pid, Exited>,
    births: u64,
}

impl Family {
    /// Makes `child` a child of `parent` if `alive` says that the parent is; it is asked
    /// while no exit can begin. `present` says whether the child is in the table: one that has
    /// left it already has no end to come, for which its parent would wait.
    pub(crate) fn adopt(
        &self,
        parent: Pid,
        child: Pid,
        alive: impl FnOnce() -> bool,
        present: impl FnOnce() -> bool,
    ) -> bool {
        let mut inner = self.lock();
        // A parent's exit begins with its mailbox closed and takes this lock next. So either
        // it is seen here, or it will see the child.
        if !alive() {
            return false;
        }
        // A child leaves the table and takes this lock next. So either it is missed here, or
        // `gone` will find it.
        if !present() {
            return true;
        }
        inner.births += 1;
        let birth = inner.births;
        inner.parents.insert(child, (parent, birth));
        inner
            .children
            .entry(parent)
            .or_default()
            .insert(birth, child);
        true
    }

    /// An exit begins: it can be finished at once, or these children, youngest first, must
    /// be stopped, and [`gone`](Self::gone) gives the exit back after the last of them.
    pub(crate) fn begin_exit(&self, exited: Exited) -> Result<Exited, Vec<Pid>> {
        let mut inner = self.lock();
        let Some(children) = inner.children.get(&exited.pid) else {
            return Ok(exited);
        };
        let children = children.values().rev().copied().collect();
        inner.ending.insert(exited.pid, exited);
        Err(children)
    }

    /// A process is gone, from the table too. The exit of its parent, if that waited for this
    /// one.
    pub(crate) fn gone(&self, child: Pid) -> Option<Exited> {
        let mut inner = self.lock();
        let (parent, birth) = inner.parents.remove(&child)?;
        let siblings = inner.children.get_mut(&parent)?;
        siblings.remove(&birth);
        if !siblings.is_empty() {
            return None;
        }
        inner.children.remove(&parent);
        inner.ending.remove(&parent)
    }

    /// All exits that still wait, and the end of all families: for a runtime that gives up.
    pub(crate) fn give_up(&self) -> Vec<Exited> {
        let inner = std::mem::take(&mut *self.lock());
        inner.ending.into_values().collect()
    }

    /// The process that this one ends with.
    pub(crate) fn parent_of(&self, pid: Pid) -> Option<Pid> {
        self.lock().parents.get(&pid).map(|(parent, _)| *parent)
    }

    /// The parent, and the children by age, oldest first.
    pub(crate) fn of(&self, pid: Pid) -> (Option<Pid>, Vec<Pid>) {
        let inner = self.lock();
        let parent = inner.parents.get(&pid).map(|(parent, _)| *parent);
        let children = inner.children.get(&pid);
        (
            parent,
            children.map_or_else(Vec::new, |children| children.values().copied().collect()),
        )
    }

    /// All parents with their children by age, oldest first. Holds up births and exits while
    /// it copies them.
    pub(crate) fn all(&self) -> HashMap<Pid, Vec<Pid>> {
        let inner = self.lock();
        let families = inner.children.iter();
        families
            .map(|(parent, children)| (*parent, children.values().copied().collect()))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.children.is_empty() && inner.parents.is_empty() && inner.ending.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_is_gone_before_it_is_adopted_holds_nobody_up() {
        let family = Family::default();
        let pid = |slot| Pid::new(slot, Pid::FIRST_GENERATION).unwrap();
        let (parent, child) = (pid(1), pid(2));
        assert!(family.gone(child).is_none());
        assert!(family.adopt(parent, child, || true, || false));
        assert_eq!(family.of(parent), (None, Vec::new()));
    }
}
