//! The 128 bytes that a process is made of.
//!
//! ```text
//!   line 1, written by producers         line 2, written by who runs the process
//!   +--------------------------------+   +--------------------------------+
//!   | head | life | capacity         |   | flags | taken | sorted | popped|
//!   | signals                        |   | behavior                       |
//!   | cohort                         |   | state                          |
//!   | rare (lock and pointer)        |   | handled                        |
//!   | owner | budget                 |   | version | group version        |
//!   +--------------------------------+   +--------------------------------+
//! ```
//!
//! What lies in the cells is not behind locks, but each field has a rule for who may touch it:
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `cohort` | who has the cell to itself, under the lock of `rare` | the holder of the duty to look; others under that lock |
//! | `behavior` | the holder of the duty, under the lock of `rare` | the holder of the duty; others under that lock, in a life that is not over |
//! | `state` | the holder of the duty | the holder of the duty |
//!
//! The *duty to look* is the mailbox's: exactly one has it, or nobody ([`iris_mailbox`] tells
//! how, and loom checks it). Here it is a [`Ready`](crate::Ready) or a [`Turn`](crate::Turn).
//! A cell is had to oneself between lives, and by whoever ends a life that nobody has the
//! duty in.

#![expect(
    unsafe_code,
    reason = "fields that the duty to look protects, not a lock"
)]

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iris_core::{Behavior, Pid, State};
use iris_mailbox::Mailbox;

use crate::cohort::Cohort;
use crate::contain::drop_contained;
use crate::process::ProcessOptions;
use crate::rare::Rare;

/// One process, or the place of one.
pub(crate) struct Cell(Mailbox<Shared, Private>);

const _: () = assert!(size_of::<Cell>() == 128, "a process is two cache lines");

/// On the producers' line.
struct Shared {
    cohort: UnsafeCell<Option<Arc<Cohort>>>,
    rare: Mutex<Option<Box<Rare>>>,
    /// The number of the table that the process is in.
    owner: AtomicU32,
    /// Reductions for each slice, and what kind of process it is.
    budget: AtomicU32,
}

/// On the line of whoever runs the process.
struct Private {
    behavior: UnsafeCell<Option<Arc<dyn Behavior>>>,
    state: UnsafeCell<Option<State>>,
    handled: AtomicU64,
    version: AtomicU32,
    group_version: AtomicU32,
}

// SAFETY: what is not atomic or locked is touched by one thread at a time, or only read by
// several, by the rules above; and all of it is `Send`, and `Sync` where several read it.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Sync for Private {}

/// Bits of the budget that tell what kind of process it is.
const VIRTUAL: u32 = 1 << 31;
const RECEIVES: u32 = 1 << 30;
const BUDGET: u32 = RECEIVES - 1;

impl Cell {
    /// A place that no process was ever in; the first will have the generation `life`.
    pub(crate) fn unborn(life: u32) -> Self {
        let shared = Shared {
            cohort: UnsafeCell::new(None),
            rare: Mutex::new(None),
            owner: AtomicU32::new(0),
            budget: AtomicU32::new(0),
        };
        let private = Private {
            behavior: UnsafeCell::new(None),
            state: UnsafeCell::new(None),
            handled: AtomicU64::new(0),
            version: AtomicU32::new(0),
            group_version: AtomicU32::new(0),
        };
        Self(Mailbox::unborn(life, shared, private))
    }

    #[inline]
    pub(crate) fn mailbox(&self) -> &Mailbox<impl Sized, impl Sized> {
        &self.0
    }

    fn shared(&self) -> &Shared {
        &self.0.beside_producers
    }

    fn private(&self) -> &Private {
        self.0.beside_runner()
    }

    /// Begins a life: from now on whoever has its pid can send to it.
    ///
    /// # Safety
    ///
    /// The caller has the cell to itself: it got it from the arena.
    pub(crate) unsafe fn begin(
        &self,
        owner: u32,
        cohort: Arc<Cohort>,
        behavior: Arc<dyn Behavior>,
        options: ProcessOptions,
    ) {
        let (shared, private) = (self.shared(), self.private());
        let (rare, kind) = Rare::for_options(options);
        let budget = options.budget_reductions.min(BUDGET);
        shared.budget.store(budget | kind.bits(), Ordering::Relaxed);
        private.handled.store(0, Ordering::Relaxed);
        private.version.store(1, Ordering::Relaxed);
        let group_version = cohort.group.version();
        private
            .group_version
            .store(group_version, Ordering::Relaxed);
        let mut place = self.rare();
        // SAFETY: the caller has the cell to itself, and holds the lock.
        unsafe {
            *shared.cohort.get() = Some(cohort);
            *private.behavior.get() = Some(behavior);
        }
        *place = rare;
        drop(place);
        self.0.reopen(options.capacity);
        // Last, and read first by who walks over all cells: what is found is whole.
        shared.owner.store(owner, Ordering::Release);
    }

    /// Empties the cell of what the process has left in it.
    ///
    /// # Safety
    ///
    /// The caller has the cell to itself: the life is over and nobody has the duty.
    pub(crate) unsafe fn clear(&self, pid: Pid) {
        let mut place = self.rare();
        // SAFETY: the caller has the cell to itself, and holds the lock.
        let left = unsafe {
            (
                (*self.private().state.get()).take(),
                (*self.private().behavior.get()).take(),
                (*self.shared().cohort.get()).take(),
                place.take(),
            )
        };
        drop(place);
        // Code of users, which may panic; it must not take the caller along.
        drop_contained(pid, left);
    }

    /// The number of the table that the process is in.
    #[inline]
    pub(crate) fn owner(&self) -> u32 {
        self.shared().owner.load(Ordering::Acquire)
    }

    /// It is in no table any more.
    pub(crate) fn disown(&self) {
        self.shared().owner.store(0, Ordering::Relaxed);
    }

    /// Reductions for each slice.
    #[inline]
    pub(crate) fn budget(&self) -> u32 {
        self.shared().budget.load(Ordering::Relaxed) & BUDGET
    }

    /// Whether it is a virtual actor.
    #[inline]
    pub(crate) fn is_virtual(&self) -> bool {
        self.shared().budget.load(Ordering::Relaxed) & VIRTUAL != 0
    }

    /// Whether its code receives by hand.
    pub(crate) fn receives(&self) -> bool {
        self.shared().budget.load(Ordering::Relaxed) & RECEIVES != 0
    }

    /// Begins to load both lines. Nothing waits for what is loaded here.
    #[inline]
    pub(crate) fn prefetch(&self) {
        black_box(self.shared().budget.load(Ordering::Relaxed));
        black_box(self.private().version.load(Ordering::Relaxed));
    }

    /// Messages handed to the handler so far.
    pub(crate) fn handled(&self) -> u64 {
        self.private().handled.load(Ordering::Relaxed)
    }

    /// Counts a message. For the holder of the duty.
    #[inline]
    pub(crate) fn count_handled(&self) {
        // Only one thread writes, so no read-modify-write is needed.
        let handled = &self.private().handled;
        handled.store(
            handled.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    /// Counts so many more. For the holder of the duty.
    pub(crate) fn count_handled_more(&self, messages: u64) {
        let handled = &self.private().handled;
        handled.store(
            handled.load(Ordering::Relaxed).wrapping_add(messages),
            Ordering::Relaxed,
        );
    }

    /// The number of the behavior in force.
    pub(crate) fn version(&self) -> u32 {
        self.private().version.load(Ordering::Relaxed)
    }

    /// The version of the group's behavior that the process has taken over.
    #[inline]
    pub(crate) fn group_version(&self) -> u32 {
        self.private().group_version.load(Ordering::Relaxed)
    }

    pub(crate) fn set_group_version(&self, version: u32) {
        self.private()
            .group_version
            .store(version, Ordering::Relaxed);
    }

    /// What hardly any process has.
    pub(crate) fn rare(&self) -> MutexGuard<'_, Option<Box<Rare>>> {
        // No code of users runs under the lock, so a poisoned one is whole.
        let rare = &self.shared().rare;
        rare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom the process is one of.
    ///
    /// # Safety
    ///
    /// The caller has the duty to look for as long as it uses the reference.
    #[inline]
    pub(crate) unsafe fn cohort(&self) -> &Arc<Cohort> {
        // SAFETY: only written between lives, and the caller's duty keeps this one going.
        let cohort = unsafe { &*self.shared().cohort.get() };
        cohort.as_ref().expect("a living process has a cohort")
    }

    /// The behavior in force in this life; `None` if it is over.
    pub(crate) fn behavior_of(&self, life: u32) -> Option<Arc<dyn Behavior>> {
        let lock = self.rare();
        self.behavior_under(&lock, life)
    }

    /// As [`behavior_of`](Self::behavior_of), for who holds the lock already.
    pub(crate) fn behavior_under(
        &self,
        _lock: &MutexGuard<'_, Option<Box<Rare>>>,
        life: u32,
    ) -> Option<Arc<dyn Behavior>> {
        if self.0.life() != life {
            return None;
        }
        // SAFETY: written only under the lock, which is held.
        unsafe { (*self.private().behavior.get()).clone() }
    }

    /// How often the group was swapped that the process is one of.
    pub(crate) fn newest_group_version(&self, _lock: &MutexGuard<'_, Option<Box<Rare>>>) -> u32 {
        // SAFETY: written only under the lock, which is held.
        let cohort = unsafe { &*self.shared().cohort.get() };
        cohort.as_ref().map_or(0, |cohort| cohort.group.version())
    }

    /// Whether the process was taken apart, to report its end.
    ///
    /// # Safety
    ///
    /// The caller has the duty to look.
    pub(crate) unsafe fn is_apart(&self) -> bool {
        // SAFETY: only the holder of the duty writes, which is the caller; others only read.
        unsafe { (*self.private().behavior.get()).is_none() }
    }

    /// The behavior in force.
    ///
    /// # Safety
    ///
    /// The caller has the duty to look, and does not replace the behavior while it uses the
    /// reference.
    #[inline]
    pub(crate) unsafe fn behavior(&self) -> &Arc<dyn Behavior> {
        // SAFETY: only the holder of the duty writes, which is the caller; others only read.
        let behavior = unsafe { &*self.private().behavior.get() };
        behavior.as_ref().expect("a living process has a behavior")
    }

    /// Puts another behavior in force, or none at the end of a life; the one before.
    ///
    /// # Safety
    ///
    /// The caller has the duty to look, and no reference to the behavior.
    pub(crate) unsafe fn replace_behavior(
        &self,
        next: Option<Arc<dyn Behavior>>,
        version: u32,
        order: Option<u64>,
    ) -> Option<Arc<dyn Behavior>> {
        let mut rare = self.rare();
        if let Some(order) = order {
            rare.get_or_insert_default().swap_order = order;
        }
        self.private().version.store(version, Ordering::Relaxed);
        // SAFETY: the holder of the duty writes, under the lock, and nobody reads without it.
        unsafe { std::mem::replace(&mut *self.private().behavior.get(), next) }
    }

    /// What the process remembers.
    ///
    /// # Safety
    ///
    /// The caller has the duty to look, and this is the only reference at a time.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the duty to look makes it exclusive")]
    pub(crate) unsafe fn state(&self) -> &mut Option<State> {
        // SAFETY: only the holder of the duty touches the state, with one reference at a time.
        unsafe { &mut *self.private().state.get() }
    }
}

/// What kind of process it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kind {
    pub(crate) is_virtual: bool,
    pub(crate) receives: bool,
}

impl Kind {
    fn bits(self) -> u32 {
        let is_virtual = if self.is_virtual { VIRTUAL } else { 0 };
        let receives = if self.receives { RECEIVES } else { 0 };
        is_virtual | receives
    }
}
