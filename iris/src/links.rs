//! Links and monitors: who hears of the end of a process.
//!
//! | `link(a, b)` | `link_propagating(a, b)` | `monitor(watcher, pid)` |
//! |---|---|---|
//! | both ways | both ways | one way |
//! | an EXIT message for the one that is left | the one that is left ends, too, unless it traps exits or the reason is `normal` | a DOWN message, exactly one |
//! | one for two processes | one for two processes | any number |
//!
//! A process that is stopping counts as dead: who links to it or monitors it then is told at
//! once, with reason `noproc`.
//!
//! The messages are [`Message::System`](iris_core::Message) and keep their place among the
//! messages of the process that ended: what it had sent before comes before. Plain
//! [`handler`](iris_core::handler)s pass them over; behaviors, async actors, pull actors and
//! observers receive them.

use iris_core::{MonitorRef, Pid};
use iris_supervise::{Demonitored, LinkKind};
use thiserror::Error;

use crate::runtime::Runtime;

/// Why a process is not monitored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The process that was to be told is not alive.
    #[error("no process with pid {0} is alive, to be told")]
    NoWatcher(Pid),
    /// The node of the process to be monitored cannot be reached.
    #[cfg(feature = "mesh")]
    #[error(transparent)]
    Mesh(#[from] crate::nodes::MeshError),
}

impl Runtime {
    /// Links two processes: each gets an EXIT message when the other ends, whatever the
    /// reason, and nobody is killed. Linking again changes nothing; `false` for a process and
    /// itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use iris::prelude::*;
    /// use iris::SystemMessage;
    ///
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(handler(|_, _| Step::stop())).start()?;
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let watcher = rt.receiver("watcher").start_pull(move |mut mailbox| {
    ///     tell.send(mailbox.recv_blocking(None)).ok();
    /// })?;
    /// rt.link(watcher, worker);
    /// rt.send(worker, &b"end"[..])?;
    /// let Ok(Message::System(SystemMessage::Exit(info))) = told.recv()? else { panic!() };
    /// assert_eq!((info.target, info.reason), (worker, ExitReason::Normal));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn link(&self, a: Pid, b: Pid) -> bool {
        self.link_as(a, b, LinkKind::Plain)
    }

    /// Links two processes as OTP does: when one ends for another reason than `normal`, the
    /// other ends for the same reason, unless it [traps exits](Self::trap_exit). A plain link
    /// between the two becomes one that propagates. `false` for a process and itself.
    pub fn link_propagating(&self, a: Pid, b: Pid) -> bool {
        self.link_as(a, b, LinkKind::Propagating)
    }

    fn link_as(&self, a: Pid, b: Pid, kind: LinkKind) -> bool {
        // Before the link: its exit signal, which may follow at once, is denied without.
        #[cfg(feature = "mesh")]
        self.tell_of_link(a, b, true);
        let inner = self.inner();
        inner.supervision.update(inner, |desk, todo| {
            desk.used = true;
            // An exit is reported to the desk, which is locked: a process that is alive now
            // has yet to be.
            let alive = |pid| self.is_alive(pid);
            desk.links
                .link(a, b, kind, alive, &mut todo.links)
                .is_some()
        })
    }

    /// Ends the link between two processes; `false` if there was none. Nothing of it reaches
    /// either from now on, though an EXIT message may be in a mailbox already.
    pub fn unlink(&self, a: Pid, b: Pid) -> bool {
        let unlinked = self.supervision().lock().links.unlink(a, b);
        #[cfg(feature = "mesh")]
        if unlinked {
            self.tell_of_link(a, b, false);
        }
        unlinked
    }

    /// Whether `pid` gets EXIT messages instead of ending with those that it is linked to;
    /// `false`, and no change, if it is not alive.
    pub fn trap_exit(&self, pid: Pid, traps: bool) -> bool {
        let mut desk = self.supervision().lock();
        let alive = self.is_alive(pid);
        if alive {
            desk.used = true;
            desk.links.trap_exit(pid, traps);
        }
        alive
    }

    /// Those that `pid` is linked to, in the order in which the links were made.
    pub fn linked_to(&self, pid: Pid) -> Vec<Pid> {
        self.supervision().lock().links.peers(pid)
    }

    /// `watcher` gets one DOWN message with this reference when `pid` ends; at once if it is
    /// dead already. Each call is a monitor of its own.
    ///
    /// # Errors
    ///
    /// [`MonitorError::NoWatcher`]: nobody would ever be told.
    pub fn monitor(&self, watcher: Pid, pid: Pid) -> Result<MonitorRef, MonitorError> {
        let inner = self.inner();
        inner.supervision.update(inner, |desk, todo| {
            // An exit is reported to the desk, which is locked: a watcher that is alive now takes
            // its monitors off with its end.
            let alive = |pid| self.is_alive(pid);
            if !alive(watcher) {
                return Err(MonitorError::NoWatcher(watcher));
            }
            desk.used = true;
            Ok(desk.monitors.monitor(watcher, pid, alive, &mut todo.downs))
        })
    }

    /// Takes a monitor off; `false` if there is none, or its DOWN is in the mailbox already.
    pub fn demonitor(&self, reference: MonitorRef) -> bool {
        let off = self.supervision().lock().monitors.demonitor(reference);
        off != Demonitored::Unknown
    }
}
