//! Behaviors that other nodes may start by name, and processes started at others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use iris_core::{Failure, Pid};
use iris_mesh::MeshError;

use super::Pending;
use crate::runtime::Runtime;

/// Spawns a process from what a peer has given along.
pub(super) type Factory = dyn Fn(&Runtime, Bytes) -> Result<Pid, Failure> + Send + Sync;

impl Runtime {
    /// Makes a behavior that other nodes can [start here](Self::spawn_on), if
    /// [`NodeConfig::allow_spawn`](super::NodeConfig::allow_spawn) lets them. `factory` spawns a
    /// process, from up to 64 KiB that come with the order, and returns its pid; it runs where it
    /// may block. What it gives as an error, or panics with, is told to who asked. Code never
    /// comes over the wire.
    ///
    /// `false` if another was registered by that name, which is replaced.
    pub fn register_behavior<F>(&self, name: &str, factory: F) -> bool
    where
        F: Fn(&Self, Bytes) -> Result<Pid, Failure> + Send + Sync + 'static,
    {
        let mut known = self
            .inner()
            .mesh
            .behaviors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), Arc::new(factory)).is_none()
    }

    /// Has the node behind `address` start a process of a behavior that is
    /// [registered](Self::register_behavior) there; gives the pid of the local stand-in. Blocks for
    /// [`connect_timeout`](super::NodeConfig::connect_timeout), 5 s, at most.
    ///
    /// # Errors
    ///
    /// [`MeshError::NotSpawned`] says why not; after [`MeshError::Timeout`] and
    /// [`MeshError::Lost`] nobody knows whether it runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use iris::{NodeConfig, Runtime, Step, handler};
    ///
    /// let there = Runtime::new();
    /// there.configure_mesh(NodeConfig { allow_spawn: true, ..NodeConfig::default() });
    /// there.register_behavior("adder", |rt, init| {
    ///     let base = init.len();
    ///     let add = handler(move |_, bytes| Step::Reply(vec![0; base + bytes.len()].into()));
    ///     Ok(rt.spawn(add).start()?)
    /// });
    /// let address = there.listen("127.0.0.1:0")?;
    ///
    /// let here = Runtime::new();
    /// let adder = here.spawn_on(&address, "adder", &b"two"[..])?;
    /// assert_eq!(here.ask(adder, &b"four"[..]).wait()?.len(), 7);
    /// # here.shutdown(Duration::from_secs(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_on(
        &self,
        address: &str,
        behavior: &str,
        init: impl Into<Bytes>,
    ) -> Result<Pid, MeshError> {
        self.begin_spawn_on(address, behavior, init)?.wait()
    }

    /// As [`spawn_on`](Self::spawn_on), without waiting.
    ///
    /// # Errors
    ///
    /// As [`node`](Self::node); the others come out of the wait.
    pub fn begin_spawn_on(
        &self,
        address: &str,
        behavior: &str,
        init: impl Into<Bytes>,
    ) -> Result<Pending<Pid>, MeshError> {
        let (address, behavior, init) = (address.to_owned(), behavior.to_owned(), init.into());
        self.begin(|own| async move { own.node()?.spawn(&address, &behavior, init).await })
    }
}

/// Calls a factory, and says in one line what went wrong.
pub(super) fn make(runtime: &Runtime, factory: &Factory, init: Bytes) -> Result<Pid, String> {
    let made = catch_unwind(AssertUnwindSafe(|| factory(runtime, init)));
    let made = made.unwrap_or_else(|panic| Err(Failure::from_panic(&*panic)));
    made.map_err(|failure| {
        tracing::warn!(%failure, "a behavior could not be started for another node");
        failure.to_string()
    })
}
