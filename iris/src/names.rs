//! Finding processes by name and by path.

use iris_core::{Message, Pid, SendError};
use iris_registry::{RegisterError, Registry};
use thiserror::Error;

use crate::runtime::Runtime;
use crate::supervision::is_succeeding;

impl Runtime {
    /// Sends to whom `name` leads to.
    ///
    /// # Errors
    ///
    /// The message comes back: whole if the name leads nowhere (`None`), or in the
    /// [`SendError`].
    pub fn send_named(
        &self,
        name: &str,
        message: impl Into<Message>,
    ) -> Result<(), NamedSendError> {
        match self.whereis(name) {
            Some(to) => self.send(to, message).map_err(NamedSendError::Send),
            None => Err(NamedSendError::NoName {
                name: name.to_owned(),
                message: message.into(),
            }),
        }
    }

    /// Makes `name` lead to `pid`.
    ///
    /// # Errors
    ///
    /// [`PlaceError`]: the process is not alive, or the name cannot be had.
    pub fn register(&self, name: &str, pid: Pid) -> Result<(), PlaceError> {
        self.place(
            pid,
            |registry| registry.register(name, pid),
            |registry, holder| registry.release(name, holder),
        )
    }

    /// Makes `path` lead to `pid`.
    ///
    /// # Errors
    ///
    /// [`PlaceError`]: the process is not alive, or the path cannot be had.
    pub fn register_path(&self, path: &str, pid: Pid) -> Result<(), PlaceError> {
        self.place(
            pid,
            |registry| registry.register_path(path, pid),
            |registry, holder| registry.release_path(path, holder),
        )
    }

    fn place(
        &self,
        pid: Pid,
        register: impl Fn(&dyn Registry) -> Result<(), RegisterError>,
        release: impl Fn(&dyn Registry, Pid) -> bool,
    ) -> Result<(), PlaceError> {
        let registry = self.registry();
        if !self.is_alive(pid) {
            return Err(PlaceError::NoProc(pid));
        }
        match register(registry) {
            // A holder that is stopping keeps its place in the table until its handler
            // returns, but no name: the successor need not wait.
            Err(RegisterError::NameTaken { holder, .. })
                if !self.is_alive(holder) && !self.supervision().is_supervised(holder) =>
            {
                release(registry, holder);
                register(registry)?;
            }
            // A factory that gives its process the names of the one before: they are about to
            // be handed over to it anyway.
            Err(RegisterError::Reserved { of, .. }) if is_succeeding(of) => {
                registry.hand_over(of, pid);
                register(registry)?;
            }
            other => other?,
        }
        if !self.is_alive(pid) {
            // It ended in between, perhaps after the pipeline had freed its names.
            release(registry, pid);
            return Err(PlaceError::NoProc(pid));
        }
        Ok(())
    }

    /// Frees `name`; whom it led to.
    pub fn unregister(&self, name: &str) -> Option<Pid> {
        self.registry().unregister(name)
    }

    /// Frees `path`; whom it led to.
    pub fn unregister_path(&self, path: &str) -> Option<Pid> {
        self.registry().unregister_path(path)
    }

    /// The live process that `name` leads to.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.registry()
            .whereis(name)
            .filter(|pid| self.is_alive(*pid))
    }

    /// The live process that `path` leads to.
    pub fn whereis_path(&self, path: &str) -> Option<Pid> {
        self.registry()
            .whereis_path(path)
            .filter(|pid| self.is_alive(*pid))
    }

    /// All live registrations below `prefix` at any depth, by path.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    pub fn list_children(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        let mut found = self.registry().list_children(prefix)?;
        found.retain(|(_, pid)| self.is_alive(*pid));
        Ok(found)
    }

    /// The live registrations exactly one level below `prefix`, by path.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`] if `prefix` is not a path.
    pub fn list_children_direct(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        let mut found = self.registry().list_children_direct(prefix)?;
        found.retain(|(_, pid)| self.is_alive(*pid));
        Ok(found)
    }
}

/// A process could not be registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// It is not alive.
    #[error("no process with pid {0} is alive; only live processes can be registered")]
    NoProc(Pid),
    /// The name or path cannot be had.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// A message for a name did not reach a mailbox; it comes back inside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NamedSendError {
    /// The name leads to no live process.
    #[error("no process is registered as {name:?}")]
    NoName {
        /// The name.
        name: String,
        /// What could not be sent.
        message: Message,
    },
    /// It leads to one that did not take the message.
    #[error(transparent)]
    Send(#[from] SendError),
}
