//! What there is to know of a process, and of the runtime as a whole.

use iris_core::{DeadLetter, Pid};
use iris_sched::{OverflowPolicy, Process, Status};

use crate::exits::ExitCounts;
use crate::runtime::Runtime;

/// How a process comes by its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Its handler is called with each.
    Push,
    /// As `Push`, and activated by the first: see [`SpawnBuilder`](crate::SpawnBuilder).
    Virtual,
    /// Its code receives them, on a thread or a task of its own.
    Pull,
    /// It keeps them: see [`Runtime::observer`].
    Observer,
}

impl Kind {
    /// The word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Virtual => "virtual",
            Self::Pull => "pull",
            Self::Observer => "observer",
        }
    }
}

/// What a process is doing and has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Who it is.
    pub pid: Pid,
    /// How it comes by its messages.
    pub kind: Kind,
    /// What it is doing at this moment.
    pub status: Status,
    /// User messages not yet handed to the handler.
    pub mailbox_size: usize,
    /// How many of those may wait; `None`: any number.
    pub capacity: Option<u32>,
    /// What becomes of more; `None` without a capacity.
    pub overflow: Option<OverflowPolicy>,
    /// Messages handed to the handler so far.
    pub handled: u64,
    /// The behavior in force; the original is 1.
    pub behavior_version: u32,
    /// Its name.
    pub behavior: String,
    /// Names that lead to the process, sorted.
    pub names: Vec<String>,
    /// Paths that lead to the process, sorted.
    pub paths: Vec<String>,
    /// The process that it ends with.
    pub parent: Option<Pid>,
    /// The processes that end with it, oldest first.
    pub children: Vec<Pid>,
    /// Whether a supervisor looks after it.
    pub is_supervised: bool,
}

/// Messages that were accepted and will never be handled, by what came between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCounts {
    /// Their process ended.
    pub stopped: u64,
    /// A newer message took their place in a full mailbox.
    pub evicted: u64,
    /// A timer's message or a copy that a mailbox did not take.
    pub refused: u64,
}

/// A runtime at about one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Processes in the table, those that are ending included.
    pub processes: usize,
    /// Of those, the ones that have something to do.
    pub busy: usize,
    /// User messages not yet handed to a handler.
    pub queued: u64,
    /// Messages handed to the handlers of the processes in the table.
    pub handled: u64,
    /// Processes that have ended.
    pub exits: ExitCounts,
    /// Messages that nobody will handle.
    pub dead_letters: DeadLetterCounts,
}

impl Runtime {
    /// What a process is doing, or `None` if there is no such process.
    pub fn info(&self, pid: Pid) -> Option<ProcessInfo> {
        let process = self.live(pid)?;
        let (names, paths) = self.registry().names_of(pid);
        let (parent, mut children) = self.family().of(pid);
        // One that has just left the table leaves its family next.
        children.retain(|child| self.table().get(*child).is_some());
        let capacity = process.capacity();
        Some(ProcessInfo {
            pid,
            kind: self.kind(&process),
            status: process.status(),
            mailbox_size: process.mailbox_size(),
            capacity,
            overflow: capacity.map(|_| process.overflow_policy()),
            handled: process.handled(),
            behavior_version: process.behavior_version(),
            behavior: process.behavior_name(),
            names,
            paths,
            parent,
            children,
            is_supervised: self.supervision().is_supervised(pid),
        })
    }

    fn kind(&self, process: &Process) -> Kind {
        if process.receives() {
            Kind::Pull
        } else if process.is_virtual() {
            Kind::Virtual
        } else if self.observer_dropped(process.pid()).is_some() {
            Kind::Observer
        } else {
            Kind::Push
        }
    }

    /// Whether there is nothing to be done and nothing to come by itself: no process has work, and
    /// no timer waits. What others send changes that. Costs some 100 ns.
    pub fn is_idle(&self) -> bool {
        // The timers first: one that fires in between has made its target busy.
        self.timers().is_empty() && self.busy() == 0
    }

    /// Counts of the whole runtime. Costs a walk over all slots that were ever used; nothing
    /// stands still meanwhile.
    pub fn stats(&self) -> Stats {
        let processes = self.table().snapshot();
        let queued = processes
            .iter()
            .map(|process| process.mailbox_size() as u64);
        let handled = processes.iter().map(Process::handled);
        Stats {
            processes: self.process_count(),
            busy: self.busy(),
            queued: queued.sum(),
            handled: handled.sum(),
            exits: self.exit_counts(),
            dead_letters: self.dead_letter_counts(),
        }
    }

    /// Calls `hook` for each dead letter from now on, on the thread that buries it;
    /// replaces a hook that was set before. It must not block.
    pub fn on_dead_letter(&self, hook: impl Fn(&DeadLetter) + Send + Sync + 'static) {
        self.exits().set_hook(Some(std::sync::Arc::new(hook)));
    }

    /// Calls no hook for dead letters any more.
    pub fn forget_dead_letter_hook(&self) {
        self.exits().set_hook(None);
    }

    /// Messages that were accepted and will never be handled, since the runtime began.
    pub fn dead_letters(&self) -> u64 {
        self.exits().dead_letters()
    }

    /// The same by reason.
    pub fn dead_letter_counts(&self) -> DeadLetterCounts {
        let (all, evicted, refused) = self.exits().dead_letters_by_reason();
        DeadLetterCounts {
            stopped: all.saturating_sub(evicted + refused),
            evicted,
            refused,
        }
    }
}
