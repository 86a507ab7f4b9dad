//! A supervisor for each path prefix.

use std::collections::BTreeMap;
use std::time::Instant;

use iris_core::Pid;
use thiserror::Error;

use crate::child_spec::{ChildSpec, SupervisorSpec};
use crate::event::{AddError, ChildNo};
use crate::supervisor::Supervisor;
use crate::tree::{SupervisorId, Tree, TreeAction};

/// Which supervisor of a [`Tree`] looks after which path prefix.
///
/// Only a layer: each of these supervisors is a root of its own, independent of those of
/// longer and shorter prefixes. Whether a text is a path is the registry's knowledge and
/// has been asked before.
///
/// # Examples
///
/// ```
/// use iris_core::Pid;
/// use iris_supervise::{PathScopes, SupervisorSpec, Tree};
///
/// let pid = Pid::new(1, Pid::FIRST_GENERATION).unwrap();
/// let (mut tree, mut scopes) = (Tree::new(42), PathScopes::default());
/// scopes.create(&mut tree, "/svc/test", SupervisorSpec::default())?;
/// scopes.watch(&mut tree, "/svc/test", pid)?;
/// assert_eq!(scopes.children(&tree, "/svc/test")?, [pid]);
/// # Ok::<(), iris_supervise::ScopeError>(())
/// ```
#[derive(Debug, Default)]
pub struct PathScopes {
    by_path: BTreeMap<Box<str>, SupervisorId>,
}

impl PathScopes {
    /// Makes a supervisor for `path`.
    ///
    /// # Errors
    ///
    /// [`ScopeError::Exists`].
    pub fn create(
        &mut self,
        tree: &mut Tree,
        path: &str,
        spec: SupervisorSpec,
    ) -> Result<SupervisorId, ScopeError> {
        if self.by_path.contains_key(path) {
            return Err(ScopeError::Exists { path: path.into() });
        }
        let id = tree.add_root(spec);
        self.by_path.insert(path.into(), id);
        Ok(id)
    }

    /// Removes the supervisor of `path`: its children are stopped for good, those that it
    /// only watched are left alone. `false` if there is none.
    pub fn remove(
        &mut self,
        now: Instant,
        tree: &mut Tree,
        path: &str,
        actions: &mut Vec<TreeAction>,
    ) -> bool {
        let id = self.by_path.remove(path);
        id.is_some_and(|id| tree.remove(now, id, actions))
    }

    /// Observes a process, which is never restarted for that. `false` if the supervisor
    /// has it already.
    ///
    /// Whether it is alive is asked afterwards, and its exit reported if it is not.
    ///
    /// # Errors
    ///
    /// [`ScopeError::NoScope`].
    pub fn watch(&self, tree: &mut Tree, path: &str, pid: Pid) -> Result<bool, ScopeError> {
        Ok(tree.watch(self.find(path)?, pid)?)
    }

    /// Supervises a process that runs; see [`Tree::adopt`].
    ///
    /// # Errors
    ///
    /// [`ScopeError::NoScope`], or as there.
    pub fn supervise(
        &self,
        now: Instant,
        tree: &mut Tree,
        path: &str,
        spec: ChildSpec,
        pid: Pid,
    ) -> Result<ChildNo, ScopeError> {
        Ok(tree.adopt(now, self.find(path)?, spec, pid)?)
    }

    /// The processes that the supervisor of `path` has: children in order, then those
    /// only watched.
    ///
    /// # Errors
    ///
    /// [`ScopeError::NoScope`].
    pub fn children(&self, tree: &Tree, path: &str) -> Result<Vec<Pid>, ScopeError> {
        let supervisor = tree.supervisor(self.find(path)?);
        Ok(supervisor.map(Supervisor::pids).unwrap_or_default())
    }

    /// The supervisor of exactly this path.
    pub fn supervisor(&self, path: &str) -> Option<SupervisorId> {
        self.by_path.get(path).copied()
    }

    /// All paths that have a supervisor, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(|path| &**path)
    }

    fn find(&self, path: &str) -> Result<SupervisorId, ScopeError> {
        self.supervisor(path)
            .ok_or_else(|| ScopeError::NoScope { path: path.into() })
    }
}

/// Why something cannot be done with the supervisor of a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// There is one already.
    #[error("path {path:?} has a supervisor already")]
    Exists {
        /// The path.
        path: String,
    },
    /// There is none.
    #[error("path {path:?} has no supervisor; create one first")]
    NoScope {
        /// The path.
        path: String,
    },
    /// The process cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
}
