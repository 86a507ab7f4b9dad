//! The registry port.

use std::sync::Arc;

use iris_core::Pid;
use thiserror::Error;

use crate::follow::Follower;
use crate::watch::PathEvents;

/// Knows which process a name or a path leads to, and who is in a group.
///
/// Called by the runtime on any thread, for look-ups as often as once per message, so
/// `whereis` must be quick and must not wait for writers that call out. No method calls
/// back into the runtime. Whether a process is alive is the caller's knowledge: it
/// registers, hands over, joins and watches only for the living and looks again
/// afterwards; when a process ends it calls [`forget`](Self::forget), or [`reserve`](Self::reserve) if there
/// may be a successor.
///
/// What a name goes through (a path does too):
///
/// ```text
/// free -- register --> leads to A -- forget(A), unregister --> free
///                          | reserve(A)                          ^
///                          v                                     |
///                  reserved after A -- release_reservation(A) ---+
///                          | hand_over(A, B)
///                          v
///                      leads to B
/// ```
pub trait Registry: Send + Sync {
    /// Makes `name` lead to `pid`. Doing so again for the same pid changes nothing. O(1).
    ///
    /// # Errors
    ///
    /// [`RegisterError::NameTaken`] if it leads to another process,
    /// [`RegisterError::Reserved`] if it is kept for the successor of one,
    /// [`RegisterError::BadName`] if it is empty, too long or reserved.
    fn register(&self, name: &str, pid: Pid) -> Result<(), RegisterError>;

    /// Frees `name` and returns whom it led to, or after whom it was reserved.
    fn unregister(&self, name: &str) -> Option<Pid>;

    /// Frees `name` if it leads to `pid`; whether it did. What is reserved leads nowhere.
    fn release(&self, name: &str, pid: Pid) -> bool;

    /// Whom `name` leads to. O(1).
    fn whereis(&self, name: &str) -> Option<Pid>;

    /// Makes `path` lead to `pid`. Doing so again for the same pid changes nothing.
    /// O(log n).
    ///
    /// # Errors
    ///
    /// [`RegisterError::NameTaken`] if it leads to another process,
    /// [`RegisterError::Reserved`] if it is kept for the successor of one,
    /// [`RegisterError::BadPath`] if it is not a path.
    fn register_path(&self, path: &str, pid: Pid) -> Result<(), RegisterError>;

    /// Frees `path` and returns whom it led to, or after whom it was reserved.
    fn unregister_path(&self, path: &str) -> Option<Pid>;

    /// Frees `path` if it leads to `pid`; whether it did. What is reserved leads nowhere.
    fn release_path(&self, path: &str, pid: Pid) -> bool;

    /// Whom `path` leads to. O(1).
    fn whereis_path(&self, path: &str) -> Option<Pid>;

    /// All registrations below `prefix` at any depth, by path. The prefix itself is not
    /// among them; `/` is the prefix of everything. O(log n + what is listed).
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    fn list_children(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError>;

    /// The registrations exactly one level below `prefix`, by path. O(log n) for each
    /// child, however much lies below it.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    fn list_children_direct(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError>;

    /// The names and paths that lead to `pid`, each sorted.
    fn names_of(&self, pid: Pid) -> (Vec<String>, Vec<String>);

    /// `pid` has ended for good: frees its names and paths, and it leaves its groups and
    /// watches no more. O(what it has).
    ///
    /// What is already [reserved](Self::reserve) after it stays so: a process that is
    /// given up is forgotten when its handler returns at last, and by then a successor
    /// may be under way.
    fn forget(&self, pid: Pid);

    /// `pid` has ended and may have a successor: its names and paths lead nowhere, and
    /// nobody else can take them. It leaves its groups and watches no more. O(what it
    /// has).
    fn reserve(&self, pid: Pid);

    /// What is reserved after `old`, or leads to it still, leads to `new` from now on.
    /// Returns how many names and paths that are. O(what it is).
    fn hand_over(&self, old: Pid, new: Pid) -> usize;

    /// There will be no successor: frees what is reserved after `old`, and returns how
    /// many names and paths that are. O(what it is).
    fn release_reservation(&self, old: Pid) -> usize;

    /// The names and paths that are reserved after `old`, each sorted.
    fn reserved_after(&self, old: Pid) -> (Vec<String>, Vec<String>);

    /// `pid` becomes the last member of `group`, which need not exist. `false`, and no
    /// change, if it is a member already. O(log n).
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadName`] if the group's name is empty, too long or reserved.
    fn join(&self, group: &str, pid: Pid) -> Result<bool, RegisterError>;

    /// `pid` leaves `group`; whether it was a member. A group without members vanishes.
    /// O(log n).
    fn leave(&self, group: &str, pid: Pid) -> bool;

    /// The members of `group` in the order of joining; none if there is no such group.
    ///
    /// The list is shared with others who ask until somebody joins or leaves: O(1) for a
    /// group that does not change, else O(members).
    fn members(&self, group: &str) -> Arc<[Pid]>;

    /// All groups that have members, sorted.
    fn groups(&self) -> Vec<String>;

    /// `watcher` wants to hear what happens below `prefix`, at any depth. `false` if it
    /// does already. What is there at this moment is not told: list it afterwards.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    fn watch_path(&self, prefix: &str, watcher: Pid) -> Result<bool, RegisterError>;

    /// `watcher` wants to hear no more of `prefix`; whether it did.
    fn unwatch_path(&self, prefix: &str, watcher: Pid) -> bool;

    /// `follower` is told of every name and path from now on; first of those that lead to
    /// a process at this moment, in no particular order. For good: there is no way to
    /// end it.
    fn follow(&self, follower: Box<dyn Follower>);

    /// What watchers have not been told yet; for the caller to tell them, outside of
    /// any lock that others wait for.
    ///
    /// Taken after each call that may change a path. Who takes and tells on several
    /// threads keeps the order only by doing both under a lock of its own. Costs one
    /// atomic load when there is nothing.
    fn take_path_events(&self) -> PathEvents;
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
    /// It is kept for the successor of a supervised process that is being restarted.
    #[error("{name:?} is kept for the successor of process {of}, which is being restarted")]
    Reserved {
        /// The name or path.
        name: String,
        /// Whom it led to.
        of: Pid,
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
    #[error("{path:?} is not a path: {why} (at byte {at})")]
    BadPath {
        /// What was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
        /// Where: the offset of the first byte that is wrong, from 0.
        at: usize,
    },
}

/// Bytes of the longest name or path: 1,024, what the mesh protocol carries.
pub const LONGEST_NAME: usize = 1024;

/// What names of the runtime's own begin with; users cannot take them.
pub const RESERVED_PREFIX: &str = "\0iris.";
