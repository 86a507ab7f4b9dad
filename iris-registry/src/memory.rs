//! The adapter for one runtime, in memory.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use iris_core::Pid;

use crate::names::Names;
use crate::paths::Paths;
use crate::registry::{RegisterError, Registry};

/// Names and paths of one runtime, behind one lock that readers share.
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
}

#[derive(Debug, Default)]
struct Tables {
    names: Names,
    paths: Paths,
    held: HashMap<Pid, Held>,
}

/// What one process has, so that forgetting it needs no search.
#[derive(Debug, Default)]
struct Held {
    names: Vec<Box<str>>,
    paths: Vec<Box<str>>,
}

impl Tables {
    fn release(&mut self, pid: Pid, drop_one: impl FnOnce(&mut Held)) {
        if let Some(held) = self.held.get_mut(&pid) {
            drop_one(held);
            if held.names.is_empty() && held.paths.is_empty() {
                self.held.remove(&pid);
            }
        }
    }
}

impl MemoryRegistry {
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry for MemoryRegistry {
    fn register(&self, name: &str, pid: Pid) -> Result<(), RegisterError> {
        let mut tables = self.write();
        if tables.names.register(name, pid)? {
            tables.held.entry(pid).or_default().names.push(name.into());
        }
        Ok(())
    }

    fn unregister(&self, name: &str) -> Option<Pid> {
        let mut tables = self.write();
        let pid = tables.names.unregister(name)?;
        tables.release(pid, |held| held.names.retain(|held| **held != *name));
        Some(pid)
    }

    fn release(&self, name: &str, pid: Pid) -> bool {
        let mut tables = self.write();
        let held = tables.names.whereis(name) == Some(pid);
        if held {
            tables.names.unregister(name);
            tables.release(pid, |held| held.names.retain(|held| **held != *name));
        }
        held
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.read().names.whereis(name)
    }

    fn register_path(&self, path: &str, pid: Pid) -> Result<(), RegisterError> {
        let mut tables = self.write();
        if tables.paths.register(path, pid)? {
            tables.held.entry(pid).or_default().paths.push(path.into());
        }
        Ok(())
    }

    fn unregister_path(&self, path: &str) -> Option<Pid> {
        let mut tables = self.write();
        let pid = tables.paths.unregister(path)?;
        tables.release(pid, |held| held.paths.retain(|held| **held != *path));
        Some(pid)
    }

    fn release_path(&self, path: &str, pid: Pid) -> bool {
        let mut tables = self.write();
        let held = tables.paths.whereis(path) == Some(pid);
        if held {
            tables.paths.unregister(path);
            tables.release(pid, |held| held.paths.retain(|held| **held != *path));
        }
        held
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
        let tables = self.read();
        let Some(held) = tables.held.get(&pid) else {
            return Default::default();
        };
        let sorted = |words: &[Box<str>]| {
            let mut words: Vec<String> = words.iter().map(ToString::to_string).collect();
            words.sort();
            words
        };
        (sorted(&held.names), sorted(&held.paths))
    }

    fn forget(&self, pid: Pid) {
        let mut tables = self.write();
        let Some(held) = tables.held.remove(&pid) else {
            return;
        };
        for name in held.names {
            tables.names.unregister(&name);
        }
        for path in held.paths {
            tables.paths.unregister(&path);
        }
    }
}
