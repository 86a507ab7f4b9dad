//! Makes processes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use iris_core::{Behavior, ExitReason, Pid};
use iris_sched::{
    Activation, Cohort, OverflowError, OverflowPolicy, ProcessOptions, Scheduler, TableFull,
};
use thiserror::Error;

use crate::names::PlaceError;
use crate::runtime::Runtime;

/// A process that is about to be: `rt.spawn(behavior).budget(50).named("x").start()`.
#[must_use = "nothing is spawned until `start` is called"]
pub struct SpawnBuilder<'a> {
    runtime: &'a Runtime,
    behavior: Arc<dyn Behavior>,
    options: ProcessOptions,
    cohort: Arc<Cohort>,
    name: Option<&'a str>,
    path: Option<&'a str>,
    parent: Option<Pid>,
    capacity: Option<u32>,
    overflow: Option<OverflowPolicy>,
}

/// A process could not be spawned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A process must be given at least one reduction for each slice.
    #[error("the budget must be at least 1 reduction")]
    NoBudget,
    /// A mailbox that takes nothing is none.
    #[error("the capacity of a mailbox must be at least 1 message")]
    NoCapacity,
    /// Its mailbox could not be given the policy that it was to have.
    #[error(transparent)]
    Overflow(#[from] OverflowError),
    /// A pool must have somebody to do the work.
    #[error("a pool needs at least 1 worker")]
    NoWorkers,
    /// There are too many.
    #[error(transparent)]
    TableFull(#[from] TableFull),
    /// The name or path that it was to have cannot be had.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The operating system gave no thread for it, or a limit is reached.
    #[error("no thread for the actor: {0}")]
    NoThread(#[source] std::io::Error),
    /// All the threads that pull actors may have are in use.
    #[error(
        "{limit} pull actors have a thread each, and no more may: raise the limit of the \
         runtime's builder, or use async actors, which need none"
    )]
    TooManyPullActors {
        /// How many may have one at a time.
        limit: usize,
    },
    /// The parent that it was to have is not alive.
    #[error("the parent is not alive")]
    NoParent,
    /// The runtime has been shut down.
    #[error("the runtime has been shut down")]
    ShutDown,
}

impl<'a> SpawnBuilder<'a> {
    pub(crate) fn new(
        runtime: &'a Runtime,
        behavior: Arc<dyn Behavior>,
        cohort: Arc<Cohort>,
    ) -> Self {
        let options = ProcessOptions::default();
        Self {
            runtime,
            behavior,
            options,
            cohort,
            name: None,
            path: None,
            parent: None,
            capacity: None,
            overflow: None,
        }
    }

    /// Reductions for each slice; 100 by default. A smaller budget yields to others
    /// sooner.
    pub fn budget(mut self, reductions: u32) -> Self {
        self.options.budget_reductions = reductions;
        self
    }

    /// Has the mailbox take at most so many user messages that wait to be handled, at least 1;
    /// by default what the [runtime's builder](crate::Builder::mailbox_capacity) says. What becomes of more is up to
    /// [`overflow`](Self::overflow). System messages are not counted.
    pub fn capacity(mut self, messages: u32) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// What becomes of messages that find the mailbox full;
    /// [`DropNew`](OverflowPolicy::DropNew) by default. Needs a [`capacity`](Self::capacity).
    pub fn overflow(mut self, policy: OverflowPolicy) -> Self {
        self.overflow = Some(policy);
        self
    }

    /// Registers the process under a name before anybody can send to it.
    pub fn named(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// Registers the process under a path before anybody can send to it.
    pub fn at_path(mut self, path: &'a str) -> Self {
        self.path = Some(path);
        self
    }

    /// Makes it a child of `parent`, to end with it: when the parent ends, for whatever
    /// reason, the child is stopped (reason `shutdown`), and the parent's exit waits for it.
    pub fn child_of(mut self, parent: Pid) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Makes it a virtual actor: its state is made by the first message, and it ends
    /// (reason `normal`) after `idle_timeout` without one; `None`: never.
    pub fn virtual_actor(mut self, idle_timeout: Option<Duration>) -> Self {
        self.options.activation = Activation::Virtual {
            idle_timeout,
            reactivate: false,
        };
        self
    }

    /// Makes it a virtual actor that gives up only its state after `idle_timeout`, and
    /// is activated again by a later message to the same pid.
    pub fn reactivated_actor(mut self, idle_timeout: Option<Duration>) -> Self {
        self.options.activation = Activation::Virtual {
            idle_timeout,
            reactivate: true,
        };
        self
    }

    /// Makes it an actor that receives by hand.
    pub(crate) fn receiving(mut self) -> Self {
        self.options.receives = true;
        self
    }

    /// Has another scheduler run it: a guest language's lane.
    pub fn on(mut self, scheduler: Arc<dyn Scheduler>) -> Self {
        self.cohort = self.runtime.cohort_on(scheduler);
        self
    }

    /// Makes it one of a cohort of this runtime, whose scheduler runs it.
    pub fn of_cohort(mut self, cohort: Arc<Cohort>) -> Self {
        self.cohort = cohort;
        self
    }

    /// Spawns the process and returns its pid. Costs no thread and no task.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`]. A process that was already made for it is stopped then, and counts
    /// among the clean exits.
    pub fn start(self) -> Result<Pid, SpawnError> {
        if self.options.budget_reductions == 0 {
            return Err(SpawnError::NoBudget);
        }
        let Self {
            runtime,
            behavior,
            mut options,
            cohort,
            name,
            path,
            parent,
            capacity,
            overflow,
        } = self;
        options.capacity = capacity
            .map(|messages| NonZeroU32::new(messages).ok_or(SpawnError::NoCapacity))
            .transpose()?
            .or(runtime.inner().mailbox_capacity);
        if runtime.is_shut_down() {
            return Err(SpawnError::ShutDown);
        }
        let pid = runtime.table().spawn(cohort, behavior, options)?;
        // Before anybody knows the pid, or is the target of a policy of it.
        let bounded = overflow.map_or(Ok(()), |policy| runtime.set_overflow_policy(pid, policy));
        let adopted = parent.is_none_or(|parent| {
            let present = || runtime.table().get(pid).is_some();
            let family = runtime.family();
            family.adopt(parent, pid, || runtime.is_alive(parent), present)
        });
        let named = name.map_or(Ok(()), |name| runtime.register(name, pid));
        let placed =
            named.and_then(|()| path.map_or(Ok(()), |path| runtime.register_path(path, pid)));
        // A shutdown that began meanwhile may have missed the new process.
        let open = if runtime.is_shut_down() {
            Err(SpawnError::ShutDown)
        } else {
            Ok(())
        };
        let adopted = adopted.then_some(()).ok_or(SpawnError::NoParent);
        if let Err(error) = open
            .and(adopted)
            .and(bounded.map_err(SpawnError::from))
            .and(placed.map_err(SpawnError::from))
        {
            runtime.stop(pid, ExitReason::Killed);
            return Err(error);
        }
        Ok(pid)
    }
}

impl std::fmt::Debug for SpawnBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpawnBuilder")
            .field("behavior", &self.behavior.name())
            .field("options", &self.options)
            .field("name", &self.name)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
