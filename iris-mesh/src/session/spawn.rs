//! Processes that a peer starts here, and those that are started there.

use std::sync::Arc;

use bytes::Bytes;
use iris_core::Pid;
use iris_wire::frame::{Frame, FrameError, Name};
use iris_wire::handshake::feature;
use tokio::sync::oneshot;

use super::{Gone, Session};
use crate::error::NotSpawned;
use crate::local::Local;

/// What travels in [`Frame::Spawned`] as status.
mod status {
    pub(super) const RUNS: u8 = 0;
    pub(super) const UNKNOWN: u8 = 1;
    pub(super) const DENIED: u8 = 2;
    pub(super) const FAILED: u8 = 3;
}

/// What a peer says to an order.
pub(super) type Answer = Result<Pid, NotSpawned>;

/// What a peer is told.
fn spawned(req: u64, answer: Answer) -> Frame {
    let (status, pid, text) = match answer {
        Ok(pid) => (status::RUNS, Some(pid), String::new()),
        Err(NotSpawned::Unknown) => (status::UNKNOWN, None, String::new()),
        Err(NotSpawned::Denied) => (status::DENIED, None, String::new()),
        Err(other) => (status::FAILED, None, other.to_string()),
    };
    Frame::Spawned {
        req,
        status,
        pid,
        text,
    }
}

fn answer(status: u8, pid: Option<Pid>, text: String) -> Answer {
    match (status, pid) {
        (status::RUNS, Some(pid)) => Ok(pid),
        (status::UNKNOWN, _) => Err(NotSpawned::Unknown),
        (status::DENIED, _) => Err(NotSpawned::Denied),
        _ => Err(NotSpawned::Failed(text)),
    }
}

impl Session {
    /// Has the peer start a process of a behavior that it has registered.
    pub(crate) async fn spawn(
        self: &Arc<Self>,
        behavior: Name,
        init: Bytes,
    ) -> Result<Answer, Gone> {
        let (tell, told) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.over {
                return Err(Gone);
            }
            if state.connection.peer().features & feature::SPAWN == 0 {
                return Ok(Err(NotSpawned::Unsupported));
            }
            let req = state.number();
            let order = Frame::Spawn {
                req,
                parent: None,
                opts: 0,
                behavior,
                init,
            };
            match state.connection.signal(order, None) {
                Ok(()) => state.spawning.insert(req, tell),
                Err(FrameError::TooLong { .. }) => return Ok(Err(NotSpawned::TooLong)),
                Err(error) => return Ok(Err(NotSpawned::Failed(error.to_string()))),
            };
        }
        self.wake_writer();
        told.await.map_err(|_| Gone)
    }

    /// A peer wants a process started.
    pub(super) fn spawn_for(
        self: &Arc<Self>,
        local: &dyn Local,
        req: u64,
        behavior: &Name,
        opts: u16,
        init: Bytes,
    ) {
        let refused = |why| self.signal(spawned(req, Err(why)), None);
        if !self.rights().spawn.includes(behavior.as_str()) {
            self.shared.denied();
            return refused(NotSpawned::Denied);
        }
        if opts != 0 {
            // Who wants that links or monitors the process once it has its pid.
            return refused(NotSpawned::Unsupported);
        }
        let Some(started) = local.spawn(behavior.as_str(), init) else {
            return refused(NotSpawned::Unknown);
        };
        let session = self.clone();
        self.shared.spawn(async move {
            let answer = started.await.map_err(NotSpawned::Failed);
            if let (Ok(pid), Some(local)) = (&answer, session.local()) {
                session.shared.exports.give(&*local, *pid);
            }
            session.signal(spawned(req, answer), None);
        });
    }

    pub(super) fn spawned(&self, req: u64, status: u8, pid: Option<Pid>, text: String) {
        let waiting = self.lock().spawning.remove(&req);
        if let Some(waiting) = waiting {
            // Who asked may have given up.
            let _ = waiting.send(answer(status, pid, text));
        }
    }
}
