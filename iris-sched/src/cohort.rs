//! What processes share: the runtime around them, their scheduler, and a behavior that is
//! swapped for all at once.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use iris_core::{Behavior, Clock, ExitSink, Host, Message, Pid};

use crate::activity::Activity;
use crate::scheduler::Scheduler;

/// What all processes of a runtime share.
pub struct Environment {
    /// The runtime, for handlers.
    pub host: Weak<dyn Host>,
    /// Where ends are reported.
    pub exits: Weak<dyn ExitSink>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Counts processes that have work.
    pub activity: Activity,
    /// Where messages go that were queued for a process which outlives its runtime.
    pub leftovers: Arc<Leftovers>,
}

/// Takes messages that nobody will handle, for the process that they were sent to.
pub type Leftovers = dyn Fn(Pid, Vec<Message>) + Send + Sync;

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}

/// Processes of one runtime on one scheduler. A process refers to it with one word.
pub struct Cohort {
    pub(crate) env: Arc<Environment>,
    pub(crate) scheduler: Arc<dyn Scheduler>,
    pub(crate) group: Group,
    /// What the scheduler says of itself.
    pub(crate) is_lent: bool,
    /// The number of a table that keeps it for as long as that lives; 0: none.
    keeper: AtomicU32,
}

impl Cohort {
    /// A cohort without processes.
    pub fn new(env: Arc<Environment>, scheduler: Arc<dyn Scheduler>) -> Arc<Self> {
        Arc::new(Self {
            is_lent: scheduler.lends(),
            env,
            scheduler,
            group: Group::default(),
            keeper: AtomicU32::new(0),
        })
    }

    /// Whether the table with this number keeps it.
    #[inline]
    pub(crate) fn is_kept_by(&self, table: u32) -> bool {
        self.keeper.load(Ordering::Relaxed) == table
    }

    /// The table with this number keeps it from now on.
    pub(crate) fn keep(&self, table: u32) {
        self.keeper.store(table, Ordering::Relaxed);
    }

    /// Swaps the behavior of all processes of the cohort with one store, and returns the
    /// number of swaps of this kind so far.
    ///
    /// Each takes the new one over before its next message, queued ones included, and hands
    /// its state to that behavior's `migrate` then. A process that is spawned later begins
    /// with what it is given. Costs the same for one process and for a million.
    pub fn swap_all(&self, behavior: Arc<dyn Behavior>) -> u32 {
        self.group.swap(behavior)
    }
}

impl fmt::Debug for Cohort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cohort")
            .field("group_version", &self.group.version())
            .finish_non_exhaustive()
    }
}

/// The behavior that all processes of a cohort are to take over.
#[derive(Default)]
pub(crate) struct Group {
    version: AtomicU32,
    current: ArcSwapOption<(u32, Arc<dyn Behavior>)>,
    swapping: Mutex<()>,
}

impl Group {
    /// How often the group was swapped. One load of a line that is hardly ever written.
    #[inline]
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// The behavior of the last swap and its number, at least what `version` said before.
    pub(crate) fn current(&self) -> Option<(u32, Arc<dyn Behavior>)> {
        self.current.load().as_deref().cloned()
    }

    fn swap(&self, behavior: Arc<dyn Behavior>) -> u32 {
        let _swapping = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version.load(Ordering::Relaxed) + 1;
        self.current.store(Some(Arc::new((version, behavior))));
        self.version.store(version, Ordering::Release);
        version
    }
}
