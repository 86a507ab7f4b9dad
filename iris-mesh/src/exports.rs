//! Which local processes peers may reach.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use iris_core::Pid;

use crate::config::Expose;
use crate::local::Local;

/// Pids that peers were told. Anything else on the wire is a guess.
#[derive(Debug)]
pub(crate) struct Exports {
    all: AtomicBool,
    given: Mutex<Given>,
}

#[derive(Debug)]
struct Given {
    pids: HashSet<Pid>,
    /// Those of ended processes are thrown out when there are so many.
    sweep_at: usize,
}

/// Entries below which nothing is swept.
const FEW: usize = 1024;

impl Exports {
    pub(crate) fn new(expose: Expose) -> Self {
        Self {
            all: AtomicBool::new(expose == Expose::All),
            given: Mutex::new(Given {
                pids: HashSet::new(),
                sweep_at: FEW,
            }),
        }
    }

    pub(crate) fn expose(&self, expose: Expose) {
        self.all.store(expose == Expose::All, Ordering::Relaxed);
    }

    fn all(&self) -> bool {
        self.all.load(Ordering::Relaxed)
    }

    /// A peer is told this pid.
    pub(crate) fn give(&self, local: &dyn Local, pid: Pid) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.pids.insert(pid);
        if given.pids.len() >= given.sweep_at {
            given.pids.retain(|&pid| local.is_alive(pid));
            given.sweep_at = (2 * given.pids.len()).max(FEW);
        }
    }

    /// Whether a peer may reach this process.
    pub(crate) fn allows(&self, local: &dyn Local, pid: Pid) -> bool {
        if self.all() {
            return true;
        }
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let told = given.pids.contains(&pid);
        drop(given);
        told || local.is_named(pid)
    }
}
