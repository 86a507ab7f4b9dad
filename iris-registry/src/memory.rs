//! The adapter for one runtime, in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use iris_core::Pid;

use crate::follow::Follower;
use crate::memory::tables::Tables;
use crate::names;
use crate::paths::check_prefix;
use crate::registry::{RegisterError, Registry};
use crate::watch::PathEvents;

mod tables;

/// Names, paths and groups of one runtime, behind one lock that readers share.
///
/// # Examples
///
/// ```
/// use iris_core::Pid;
/// use iris_registry::{MemoryRegistry, Registry};
///
/// let registry = MemoryRegistry::default();
/// let pid = Pid::new(0, Pid::FIRST_GENERATION).unwrap();
/// registry.register("auth", pid)?;
/// registry.register_path("/svc/auth/1", pid)?;
/// assert_eq!(registry.whereis("auth"), Some(pid));
/// assert_eq!(registry.list_children("/svc")?, [("/svc/auth/1".to_owned(), pid)]);
///
/// registry.forget(pid);
/// assert_eq!(registry.whereis("auth"), None);
/// # Ok::<(), iris_registry::RegisterError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    tables: RwLock<Tables>,
    /// Whether path events wait: so that asking for them costs no lock.
    news: AtomicBool,
}

impl MemoryRegistry {
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change that may concern watchers of paths.
    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let mut tables = self.write();
        let result = change(&mut tables);
        if tables.watches.has_events() {
            // Under the lock, as the clearing is: the flag follows the queue.
            self.news.store(true, Ordering::Release);
        }
        result
    }
}

impl Registry for MemoryRegistry {
    fn register(&self, name: &str, pid: Pid) -> Result<(), RegisterError> {
        self.write().register(name, pid)
    }

    fn unregister(&self, name: &str) -> Option<Pid> {
        self.write().unregister(name)
    }

    fn release(&self, name: &str, pid: Pid) -> bool {
        let mut tables = self.write();
        tables.names.whereis(name) == Some(pid) && tables.unregister(name).is_some()
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.read().names.whereis(name)
    }

    fn register_path(&self, path: &str, pid: Pid) -> Result<(), RegisterError> {
        self.change(|tables| tables.register_path(path, pid))
    }

    fn unregister_path(&self, path: &str) -> Option<Pid> {
        self.change(|tables| tables.unregister_path(path))
    }

    fn release_path(&self, path: &str, pid: Pid) -> bool {
        self.change(|tables| {
            tables.paths.whereis(path) == Some(pid) && tables.unregister_path(path).is_some()
        })
    }

    fn whereis_path(&self, path: &str) -> Option<Pid> {
        self.read().paths.whereis(path)
    }

    fn list_children(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        self.read().paths.below(prefix)
    }

    fn list_children_direct(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        self.read().paths.directly_below(prefix)
    }

    fn names_of(&self, pid: Pid) -> (Vec<String>, Vec<String>) {
        self.read().names_of(pid)
    }

    fn forget(&self, pid: Pid) {
        self.change(|tables| tables.forget(pid));
    }

    fn reserve(&self, pid: Pid) {
        self.change(|tables| tables.reserve(pid));
    }

    fn hand_over(&self, old: Pid, new: Pid) -> usize {
        self.change(|tables| tables.hand_over(old, new))
    }

    fn release_reservation(&self, old: Pid) -> usize {
        self.change(|tables| tables.release_reservation(old))
    }

    fn reserved_after(&self, old: Pid) -> (Vec<String>, Vec<String>) {
        self.read().reserved_after(old)
    }

    fn join(&self, group: &str, pid: Pid) -> Result<bool, RegisterError> {
        names::check(group)?;
        Ok(self.write().join(group, pid))
    }

    fn leave(&self, group: &str, pid: Pid) -> bool {
        self.write().leave(group, pid)
    }

    fn members(&self, group: &str) -> Arc<[Pid]> {
        self.read().groups.members(group).unwrap_or_default()
    }

    fn groups(&self) -> Vec<String> {
        self.read().groups.words()
    }

    fn watch_path(&self, prefix: &str, watcher: Pid) -> Result<bool, RegisterError> {
        check_prefix(prefix)?;
        Ok(self.write().watch(prefix, watcher))
    }

    fn unwatch_path(&self, prefix: &str, watcher: Pid) -> bool {
        self.write().unwatch(prefix, watcher)
    }

    fn follow(&self, follower: Box<dyn Follower>) {
        self.write().follow(follower);
    }

    fn take_path_events(&self) -> PathEvents {
        if !self.news.load(Ordering::Acquire) {
            return PathEvents::default();
        }
        let mut tables = self.write();
        self.news.store(false, Ordering::Release);
        tables.watches.take()
    }
}
