//! Who waits for room in a full mailbox, and how they hear of it.
//!
//! The senders are on a list in the rare part of the process, in the order in which they came. The
//! mailbox knows that there are any, and who takes a message out of it looks at that
//! ([`iris_mailbox`] draws it, and loom checks it). The list has the lock of the rare part:
//!
//! ```text
//!    sender                              runner, after each message
//!    lock { list; await_room }           awaited? lock { first of the list, as many as there
//!    sleep, or push again                               is room for } wake them
//! ```
//!
//! As many are woken as there is room for, not all: the first in the list come first. One that was
//! woken and then does not use the room, for it was dropped or ran out of time, passes the word on.
//! All are woken when the process takes nothing more, or its policy or capacity changes.
//!
//! While the lock is held in a life that is not over, the cell does not begin another.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::MutexGuard;
use std::task::{Context, Poll, Waker};

use iris_core::{Envelope, Pid};
use iris_mailbox::{Letter, Popped};

use crate::cell::Cell;
use crate::duty::Duty;
use crate::overflow::OverflowPolicy;
use crate::process::Process;
use crate::rare::Rare;

/// What few bounded processes have beside the bound itself.
#[derive(Default)]
pub(crate) struct Bounds {
    policy: OverflowPolicy,
    /// What the capacity was set to, where some of it is taken by what was set aside.
    capacity: Option<u32>,
    last_ticket: u64,
    /// Senders that wait, oldest first.
    waiting: BTreeMap<u64, Waker>,
}

impl Bounds {
    fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    fn take_first(&mut self, count: u32) -> Vec<Waker> {
        let first = std::iter::from_fn(|| self.waiting.pop_first());
        first.take(count as usize).map(|(_, waker)| waker).collect()
    }
}

type Lock<'a> = MutexGuard<'a, Option<Box<Rare>>>;

impl Cell {
    /// The lock of the rare part, in a life that is not over.
    fn rare_of(&self, pid: Pid) -> Option<Lock<'_>> {
        let rare = self.rare();
        (self.mailbox().life() == pid.generation()).then_some(rare)
    }

    /// Wakes senders, if there is room for them. For who has seen that some wait.
    #[cold]
    pub(crate) fn tell_of_room(&self, pid: Pid) {
        self.wake_senders(pid, self.mailbox().room());
    }

    /// Wakes the senders that wait, whose wait has no point any more or another one: for who has
    /// changed that.
    pub(crate) fn tell_all(&self, pid: Pid) {
        if self.mailbox().is_room_awaited_after_all() {
            self.wake_senders(pid, u32::MAX);
        }
    }

    fn wake_senders(&self, pid: Pid, count: u32) {
        let Some(mut lock) = self.rare_of(pid) else {
            return;
        };
        let Some(bounds) = bounds_in(&mut lock) else {
            return;
        };
        let woken = bounds.take_first(count);
        if bounds.waiting.is_empty() {
            self.mailbox().forget_awaited();
        }
        drop(lock);
        // Code of others: not under the lock.
        woken.into_iter().for_each(Waker::wake);
    }
}

fn bounds_in<'a>(lock: &'a mut Lock<'_>) -> Option<&'a mut Bounds> {
    lock.as_deref_mut()?.bounds.as_deref_mut()
}

fn make_bounds_in<'a>(lock: &'a mut Lock<'_>) -> &'a mut Bounds {
    let rare = lock.get_or_insert_default();
    rare.bounds.get_or_insert_default()
}

impl Duty {
    /// Takes the next out of the mailbox, and tells those who wait for the room.
    #[inline]
    pub(crate) fn pop_step(&self) -> Popped {
        let popped = self.consumer().pop_step();
        if self.cell().mailbox().is_room_awaited() {
            self.cell().tell_of_room(self.pid());
        }
        popped
    }

    /// The next message if it is one that is `wanted` and nothing goes before it.
    pub(crate) fn pop_if(&self, wanted: impl FnOnce(&Envelope) -> bool) -> Option<Letter> {
        let popped = self.consumer().pop_if(wanted);
        if self.cell().mailbox().is_room_awaited() {
            self.cell().tell_of_room(self.pid());
        }
        popped
    }
}

impl Process {
    /// The bound on user messages that wait, or `None` for any number.
    pub fn capacity(&self) -> Option<u32> {
        let mut lock = self.cell().rare_of(self.pid())?;
        let declared = bounds_in(&mut lock).and_then(|bounds| bounds.capacity);
        declared.or_else(|| self.cell().mailbox().capacity())
    }

    /// Changes the bound; `false` and no change if there is none, or the life is over. More
    /// messages that wait already stay. Senders that wait for room look again.
    pub fn set_capacity(&self, capacity: NonZeroU32) -> bool {
        let changed = self.fit(|rare| {
            let bounds = rare.bounds.get_or_insert_default();
            bounds.capacity = Some(capacity.get());
        });
        self.cell().tell_all(self.pid());
        changed
    }

    /// Notes how many messages the process's own code has taken out and set aside. They count as
    /// not handled, and in a bounded mailbox they take up room.
    pub fn set_aside(&self, messages: usize) {
        self.fit(|rare| rare.set_aside = messages);
        if self.cell().mailbox().is_room_awaited() {
            self.cell().tell_of_room(self.pid());
        }
    }

    /// Makes a change, and then has the mailbox leave the room that the capacity leaves beside
    /// what is set aside; whether the mailbox has bounds.
    fn fit(&self, change: impl FnOnce(&mut Rare)) -> bool {
        let Some(mut lock) = self.cell().rare_of(self.pid()) else {
            return false;
        };
        let rare = lock.get_or_insert_default();
        let Some(present) = self.cell().mailbox().capacity() else {
            change(rare);
            return false;
        };
        let bounds = rare.bounds.get_or_insert_default();
        bounds.capacity.get_or_insert(present);
        change(rare);
        let declared = rare.bounds.as_deref().and_then(|bounds| bounds.capacity);
        let set_aside = u32::try_from(rare.set_aside).unwrap_or(u32::MAX);
        let left = declared.unwrap_or(present).saturating_sub(set_aside);
        self.cell().mailbox().set_capacity(left)
    }

    /// What becomes of a message that finds the mailbox full.
    pub fn overflow_policy(&self) -> OverflowPolicy {
        let lock = self.cell().rare_of(self.pid());
        lock.and_then(|mut lock| bounds_in(&mut lock).map(|bounds| bounds.policy))
            .unwrap_or_default()
    }

    /// Sets the policy; `false` if the life is over. Senders that wait for room look again.
    pub(crate) fn set_overflow_policy(&self, policy: OverflowPolicy) -> bool {
        let Some(mut lock) = self.cell().rare_of(self.pid()) else {
            return false;
        };
        make_bounds_in(&mut lock).policy = policy;
        drop(lock);
        self.cell().tell_all(self.pid());
        true
    }

    /// Waits until it is worth while to send again to a process whose full mailbox has refused
    /// a message, and whose policy is to [block](OverflowPolicy::Block): there is room, or never
    /// will be, or the policy is another.
    ///
    /// It promises nothing: another sender may be faster. Polled again after that, it waits
    /// again, in the place that it had.
    pub fn room(&self) -> Room {
        Room {
            process: *self,
            ticket: None,
            waits: false,
        }
    }
}

/// A wait for room; see [`Process::room`]. Cancel safe: dropped, it leaves its room to the next.
#[must_use = "it waits when it is polled"]
pub struct Room {
    process: Process,
    ticket: Option<u64>,
    /// Whether it was put on the list and has not heard of room since.
    waits: bool,
}

impl Future for Room {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (cell, pid) = (self.process.cell(), self.process.pid());
        let Some(mut lock) = cell.rare_of(pid) else {
            return Poll::Ready(());
        };
        let bounds = make_bounds_in(&mut lock);
        let ticket = *self.ticket.get_or_insert_with(|| bounds.next_ticket());
        if self.waits {
            if let Some(waker) = bounds.waiting.get_mut(&ticket) {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            self.waits = false;
            return Poll::Ready(());
        }
        if bounds.policy != OverflowPolicy::Block {
            return Poll::Ready(());
        }
        // First on the list and then the last look: see the drawing.
        bounds.waiting.insert(ticket, cx.waker().clone());
        if cell.mailbox().await_room(pid.generation()) {
            self.waits = true;
            return Poll::Pending;
        }
        bounds.waiting.remove(&ticket);
        if bounds.waiting.is_empty() {
            cell.mailbox().forget_awaited();
        }
        Poll::Ready(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let (cell, pid) = (self.process.cell(), self.process.pid());
        let Some(ticket) = self.ticket else { return };
        if self.waits
            && let Some(mut lock) = cell.rare_of(pid)
            && let Some(bounds) = bounds_in(&mut lock)
        {
            let waited = bounds.waiting.remove(&ticket).is_some();
            if bounds.waiting.is_empty() {
                cell.mailbox().forget_awaited();
            }
            if waited {
                return;
            }
        }
        // It was told of room, and may not have used it.
        if cell.mailbox().is_room_awaited() {
            cell.tell_of_room(pid);
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("pid", &self.process.pid())
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}
