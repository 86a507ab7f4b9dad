//! Groups: processes that hear the same messages.

use std::sync::Arc;

use bytes::Bytes;
use iris_core::{Message, Pid};

use crate::names::PlaceError;
use crate::runtime::Runtime;

impl Runtime {
    /// Makes `pid` the last member of `group`, which need not exist; `false` if it is one
    /// already. It leaves when it ends.
    ///
    /// # Errors
    ///
    /// [`PlaceError`]: the process is not alive, or the group's name is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// for _ in 0..3 {
    ///     let pid = rt.spawn(handler(|_, _| Step::Done)).start()?;
    ///     rt.join_group("weather", pid)?;
    /// }
    /// assert_eq!(rt.publish("weather", &b"rain"[..]), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_group(&self, group: &str, pid: Pid) -> Result<bool, PlaceError> {
        if !self.is_alive(pid) {
            return Err(PlaceError::NoProc(pid));
        }
        let joined = self.registry().join(group, pid)?;
        if !self.is_alive(pid) {
            // It ended in between, perhaps after the pipeline had taken it out.
            self.registry().leave(group, pid);
            return Err(PlaceError::NoProc(pid));
        }
        Ok(joined)
    }

    /// Takes `pid` out of `group`; whether it was a member.
    pub fn leave_group(&self, group: &str, pid: Pid) -> bool {
        self.registry().leave(group, pid)
    }

    /// The live members of `group` in the order of joining.
    pub fn members(&self, group: &str) -> Vec<Pid> {
        let members = self.registry().members(group);
        let alive = members.iter().filter(|pid| self.is_alive(**pid));
        alive.copied().collect()
    }

    /// Sends `message` to each member of `group` in the order of joining; how many took it.
    /// Never waits: a member that is full and has its senders wait takes nothing. The members
    /// share one copy of the bytes.
    pub fn publish(&self, group: &str, message: impl Into<Bytes>) -> usize {
        let message = message.into();
        let members: Arc<[Pid]> = self.registry().members(group);
        let send = |pid: &&Pid| {
            let sent = self.try_send(**pid, Message::User(message.clone()));
            sent.is_ok()
        };
        members.iter().filter(send).count()
    }

    /// All groups that have members, sorted.
    pub fn groups(&self) -> Vec<String> {
        self.registry().groups()
    }
}
