//! Messages of peers that wait for room in the mailboxes of local processes.
//!
//! One queue for each mailbox, for all sessions: what a session brings waits behind what an earlier
//! one with the same node has brought. What waits keeps its credit, so that who sends more than is
//! read is slowed down, and nobody else.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use iris_core::Pid;
use iris_wire::connection::Cost;

use crate::node::Shared;
use crate::session::Session;

#[derive(Default)]
pub(crate) struct HeldUp {
    /// Whether there are any: hardly ever.
    any: AtomicBool,
    /// An empty queue is one whose last message is being delivered.
    queues: Mutex<HashMap<Pid, VecDeque<Held>>>,
}

/// A message that waits.
pub(crate) struct Held {
    pub(crate) session: Arc<Session>,
    /// Which life of the session it belongs to: credit of an earlier one is void.
    pub(crate) life: u64,
    pub(crate) seq: u64,
    pub(crate) data: Bytes,
    pub(crate) cost: Cost,
}

impl HeldUp {
    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, VecDeque<Held>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message behind those that wait for the same mailbox; it comes back if there are none.
    pub(crate) fn queue_behind(
        &self,
        dst: Pid,
        data: Bytes,
        hold: impl FnOnce(Bytes) -> Held,
    ) -> Option<Bytes> {
        // Only who delivers for this session could have put something before this message, and
        // that is the calling thread.
        if !self.any.load(Ordering::Acquire) {
            return Some(data);
        }
        match self.lock().get_mut(&dst) {
            Some(queue) => {
                queue.push_back(hold(data));
                None
            }
            None => Some(data),
        }
    }

    /// A message has found no room.
    pub(crate) fn wait(&self, shared: &Arc<Shared>, dst: Pid, held: Held) {
        let is_first = {
            let mut queues = self.lock();
            self.any.store(true, Ordering::Release);
            let queue = queues.entry(dst);
            let is_first = matches!(queue, std::collections::hash_map::Entry::Vacant(_));
            queue.or_default().push_back(held);
            is_first
        };
        if is_first {
            shared.spawn(deliver(shared.clone(), dst));
        }
    }

    fn next(&self, dst: Pid) -> Option<Held> {
        let mut queues = self.lock();
        let next = queues.get_mut(&dst).and_then(VecDeque::pop_front);
        if next.is_none() {
            queues.remove(&dst);
            self.any.store(!queues.is_empty(), Ordering::Release);
        }
        next
    }
}

/// Delivers what waits for one mailbox, one after the other.
async fn deliver(shared: Arc<Shared>, dst: Pid) {
    while let Some(held) = shared.held_up.next(dst) {
        let Some(local) = shared.local() else { return };
        let delivered = local.deliver_later(dst, held.data).await;
        if let Err(why) = delivered {
            held.session.refuse_held(&*local, held.seq, dst, why);
        }
        held.session.release_held(held.life, held.cost);
    }
}
