//! Supervisors of path prefixes, and what the global one watches below a path.
//!
//! A path's supervisor is only found by the path: which processes it has is said one by one,
//! and they may be registered anywhere or nowhere. It is independent of those of longer and
//! shorter paths.

use iris_core::{Failure, Pid};
use iris_supervise::{ChildSpec, Strategy, SupervisorId};

use crate::runtime::Runtime;
use crate::supervision::desk::for_strangers;
use crate::supervisors::SuperviseError;

impl Runtime {
    /// Has the global supervisor watch the processes that are registered exactly one level
    /// below `prefix` at this moment, and returns how many it did not know. Watched processes
    /// are listed and never restarted.
    ///
    /// # Errors
    ///
    /// [`SuperviseError::Path`] if it is not a path, [`SuperviseError::ShutDown`].
    pub fn watch_path(&self, prefix: &str) -> Result<usize, SuperviseError> {
        let below = self.list_children_direct(prefix)?;
        self.change(|desk, todo| {
            let mut new = 0;
            for (_, pid) in below {
                new += usize::from(desk.tree.watch(desk.global, pid)?);
                if !self.is_alive(pid) {
                    desk.was_dead(self.inner(), pid, todo);
                }
            }
            Ok(new)
        })
    }

    /// Makes a supervisor for `path`. It gives up each of its children by itself.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]: that is no path, has a supervisor already, or the runtime has been
    /// shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(handler(|_, _| Step::Done)).at_path("/svc/test/one").start()?;
    /// rt.create_path_supervisor("/svc/test")?;
    /// rt.path_supervisor_watch("/svc/test", pid)?;
    /// assert_eq!(rt.path_supervisor_children("/svc/test")?, [pid]);
    /// assert!(rt.remove_path_supervisor("/svc/test"));
    /// assert!(rt.is_alive(pid), "it was only watched");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_path_supervisor(&self, path: &str) -> Result<SupervisorId, SuperviseError> {
        // The registry knows what a path is.
        self.registry().list_children_direct(path)?;
        self.change(|desk, _| {
            let id = desk.scopes.create(&mut desk.tree, path, for_strangers())?;
            desk.roots.insert(id);
            Ok(id)
        })
    }

    /// Has the supervisor of `path` watch a process, which is listed then and never restarted.
    /// `false` if it has it already.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]: the path has no supervisor, or the process is not alive.
    pub fn path_supervisor_watch(&self, path: &str, pid: Pid) -> Result<bool, SuperviseError> {
        self.change(|desk, todo| {
            if !self.is_alive(pid) {
                return Err(SuperviseError::NoProc(pid));
            }
            let added = desk.scopes.watch(&mut desk.tree, path, pid)?;
            if !self.is_alive(pid) {
                desk.was_dead(self.inner(), pid, todo);
            }
            Ok(added)
        })
    }

    /// The processes that the supervisor of `path` has: those that it restarts, and then
    /// those that it only watches.
    ///
    /// # Errors
    ///
    /// [`SuperviseError::Scope`] if the path has no supervisor.
    pub fn path_supervisor_children(&self, path: &str) -> Result<Vec<Pid>, SuperviseError> {
        let desk = self.supervision().lock();
        Ok(desk.scopes.children(&desk.tree, path)?)
    }

    /// The supervisor of exactly this path.
    pub fn path_supervisor(&self, path: &str) -> Option<SupervisorId> {
        self.supervision().lock().scopes.supervisor(path)
    }

    /// Has the supervisor of `path` look after a process that runs: it is restarted after any
    /// exit. `strategy` says who else is then. For other restart types see
    /// [`supervise`](Self::supervise).
    ///
    /// # Errors
    ///
    /// [`SuperviseError`].
    pub fn path_supervise_with_factory<F>(
        &self,
        path: &str,
        pid: Pid,
        factory: F,
        strategy: Strategy,
    ) -> Result<(), SuperviseError>
    where
        F: Fn(&Self) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        let spec = ChildSpec::new(pid.to_string()).strategy(strategy);
        self.path_supervise(path, pid, spec, factory)
    }

    /// As [`path_supervise_with_factory`](Self::path_supervise_with_factory), with all that
    /// can be said of a child.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`].
    pub fn path_supervise<F>(
        &self,
        path: &str,
        pid: Pid,
        spec: ChildSpec,
        factory: F,
    ) -> Result<(), SuperviseError>
    where
        F: Fn(&Self) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        let scope = self.path_supervisor(path).ok_or_else(|| {
            let path = path.to_owned();
            iris_supervise::ScopeError::NoScope { path }
        })?;
        self.supervise(scope, pid, spec, factory)
    }

    /// Removes the supervisor of `path`. Those that it would restart are stopped for good,
    /// those that it only watched go on. `false` if there is none.
    pub fn remove_path_supervisor(&self, path: &str) -> bool {
        let inner = self.inner();
        inner.supervision.update(inner, |desk, todo| {
            desk.scopes
                .remove(todo.now, &mut desk.tree, path, &mut todo.tree)
        })
    }
}
