//! The registry port.

use iris_core::Pid;
use thiserror::Error;

/// Knows which process a name or a path leads to.
///
/// Called by the runtime on any thread, for look-ups as often as once per message, so
/// `whereis` must be quick and must not wait for writers that call out. No method calls
/// back into the runtime. Whether a process is alive is the caller's knowledge: it
/// forgets a process when that ends, and checks before it hands out what was found.
pub trait Registry: Send + Sync {
    /// Makes `name` lead to `pid`. Doing so again for the same pid changes nothing.
    ///
    /// # Errors
    ///
    /// [`RegisterError::NameTaken`] if it leads to another process,
    /// [`RegisterError::BadName`] if it is empty, too long or reserved.
    fn register(&self, name: &str, pid: Pid) -> Result<(), RegisterError>;

    /// Frees `name` and returns whom it led to.
    fn unregister(&self, name: &str) -> Option<Pid>;

    /// Frees `name` if it leads to `pid`; whether it did.
    fn release(&self, name: &str, pid: Pid) -> bool;

    /// Whom `name` leads to. O(1).
    fn whereis(&self, name: &str) -> Option<Pid>;

    /// Makes `path` lead to `pid`. Doing so again for the same pid changes nothing.
    ///
    /// # Errors
    ///
    /// [`RegisterError::NameTaken`] if it leads to another process,
    /// [`RegisterError::BadPath`] if it is not a path.
    fn register_path(&self, path: &str, pid: Pid) -> Result<(), RegisterError>;

    /// Frees `path` and returns whom it led to.
    fn unregister_path(&self, path: &str) -> Option<Pid>;

    /// Frees `path` if it leads to `pid`; whether it did.
    fn release_path(&self, path: &str, pid: Pid) -> bool;

    /// Whom `path` leads to. O(log n).
    fn whereis_path(&self, path: &str) -> Option<Pid>;

    /// All registrations below `prefix` at any depth, by path. The prefix itself is not
    /// among them; `/` is the prefix of everything. O(log n + what is listed).
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    fn list_children(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError>;

    /// The registrations exactly one level below `prefix`, by path.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    fn list_children_direct(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError>;

    /// The names and paths that lead to `pid`, each sorted.
    fn names_of(&self, pid: Pid) -> (Vec<String>, Vec<String>);

    /// Frees all names and paths of `pid`. O(what it has).
    fn forget(&self, pid: Pid);
}

/// Why a name or path could not be registered or listed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// It leads to another process.
    #[error("{name:?} is taken by process {holder}; unregister it first or choose another")]
    NameTaken {
        /// The name or path.
        name: String,
        /// Whom it leads to.
        holder: Pid,
    },
    /// It cannot be a name.
    #[error("{name:?} is not a name: {why}")]
    BadName {
        /// What was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be a path.
    #[error("{path:?} is not a path: {why}")]
    BadPath {
        /// What was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Bytes of the longest name or path: 1,024, what the mesh protocol carries.
pub const LONGEST_NAME: usize = 1024;

/// What names of the runtime's own begin with; users cannot take them.
pub const RESERVED_PREFIX: &str = "\0iris.";
