//! Short forms of the builders, for programs that were written from Iris's description.
//!
//! | short form | long form |
//! |---|---|
//! | [`send_user`](Runtime::send_user) | [`rt.send(pid, bytes)`](Runtime::send) |
//! | [`spawn_child_with_budget`](Runtime::spawn_child_with_budget) | [`rt.receiver(name)`](Runtime::receiver)`.child_of(parent).budget(n).start_async(actor)` |
//! | [`spawn_child_handler_with_budget`](Runtime::spawn_child_handler_with_budget) | [`rt.spawn`](Runtime::spawn)`(async_handler(f)).child_of(parent).budget(n).start()` |
//! | [`spawn_virtual_handler_with_budget`](Runtime::spawn_virtual_handler_with_budget) | [`rt.spawn`](Runtime::spawn)`(async_handler(f)).virtual_actor(idle).budget(n).start()` |
//!
//! The long forms give errors where the short ones that spawn panic.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use iris_core::{Message, Pid, SendError, Step};

use crate::async_handler::async_handler;
use crate::receive::Receiver;
use crate::runtime::Runtime;

impl Runtime {
    /// Sends bytes, text or what else can be [`Bytes`]. As [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// The message comes back in the error if `to` does not exist or is stopping.
    pub fn send_user(&self, to: Pid, payload: impl Into<Bytes>) -> Result<(), SendError> {
        self.send(to, Message::User(payload.into()))
    }

    /// As [`spawn_child`](Self::spawn_child), for an actor that lets others run after every
    /// `budget` messages.
    ///
    /// # Panics
    ///
    /// As there, and if `budget` is 0.
    pub fn spawn_child_with_budget<F, Fut>(&self, parent: Pid, actor: F, budget: u32) -> Pid
    where
        F: FnOnce(Receiver) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let receiver = self.receiver(std::any::type_name::<F>()).child_of(parent);
        let started = receiver.budget(budget).start_async(actor);
        started.expect("the parent and the runtime are alive, and there is a budget")
    }

    /// Spawns a process that ends with `parent` and calls `handler` for each message, one at a
    /// time: see [`async_handler`](fn@crate::async_handler). `budget` is reductions for each slice.
    ///
    /// # Panics
    ///
    /// If `parent` is not alive, the runtime has been shut down or is full, or `budget` is 0.
    pub fn spawn_child_handler_with_budget<F, Fut>(
        &self,
        parent: Pid,
        handler: F,
        budget: u32,
    ) -> Pid
    where
        F: Fn(Message) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Step>,
    {
        let builder = self.spawn(async_handler(handler)).child_of(parent);
        let started = builder.budget(budget).start();
        started.expect("the parent and the runtime are alive, and there is a budget")
    }

    /// Reserves a pid for a process that its first message activates and that calls `handler`
    /// for each, one at a time: see [`async_handler`](fn@crate::async_handler). It ends (reason `normal`) after
    /// `idle_timeout` without a message; `None`: never. `budget` is reductions for each slice.
    ///
    /// # Panics
    ///
    /// If the runtime has been shut down or is full, or `budget` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let pid = rt.spawn_virtual_handler_with_budget(
    ///     |message| async move { println!("{message:?}") },
    ///     100,
    ///     Some(Duration::from_millis(500)),
    /// );
    /// rt.send_user(pid, "hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_virtual_handler_with_budget<F, Fut>(
        &self,
        handler: F,
        budget: u32,
        idle_timeout: Option<Duration>,
    ) -> Pid
    where
        F: Fn(Message) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Step>,
    {
        let builder = self
            .spawn(async_handler(handler))
            .virtual_actor(idle_timeout);
        let started = builder.budget(budget).start();
        started.expect("the runtime is alive and has room, and there is a budget")
    }
}
