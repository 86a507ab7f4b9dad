//! What a thread holds on to while it runs one process after another.

use std::fmt;
use std::sync::Arc;

use iris_core::Host;

use crate::cohort::Cohort;
use crate::duty::{Duty, Ready};

/// What a slice needs of those around it.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) cohort: &'a Cohort,
    pub(crate) host: &'a dyn Host,
}

/// The runtime and the scheduler of the process that a thread has run last.
///
/// To count two references up and down for each slice, on lines that all workers write to,
/// costs more than the slice.
struct Kept {
    cohort: Arc<Cohort>,
    host: Arc<dyn Host>,
}

impl Kept {
    /// `None` if the runtime is being dropped.
    fn of(cohort: &Arc<Cohort>) -> Option<Self> {
        Some(Self {
            host: cohort.env.host.upgrade()?,
            cohort: cohort.clone(),
        })
    }

    #[inline]
    fn held(&self) -> Held<'_> {
        Held {
            cohort: &self.cohort,
            host: &*self.host,
        }
    }
}

/// Runs several slices on one thread, and holds on to the runtime whose process it ran last.
///
/// For schedulers. It must not live on while the thread waits for work: a runtime that is held
/// is not dropped.
#[derive(Default)]
pub struct Shift {
    kept: Option<Kept>,
}

impl Shift {
    /// Runs one slice, as [`Ready::run`] does.
    #[inline]
    pub fn run(&mut self, process: Ready) {
        process.run_guarded(|duty| {
            if let Some(kept) = &self.kept
                && Arc::ptr_eq(&kept.cohort, duty.cohort())
            {
                duty.run_held(kept.held());
            } else {
                self.run_other(duty);
            }
        });
    }

    #[cold]
    fn run_other(&mut self, duty: Duty) {
        // With the runtime being dropped the duty is dropped: to take out what is queued would
        // be to lose it, and so it stays for the runtime to bury.
        if let Some(kept) = Kept::of(duty.cohort()) {
            let kept = self.kept.insert(kept);
            duty.run_held(kept.held());
        }
    }
}

impl fmt::Debug for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shift")
            .field("is_holding", &self.kept.is_some())
            .finish()
    }
}

/// Runs `duty` with what belongs to its cohort, or drops it if the runtime is being dropped.
pub(crate) fn with_own(duty: Duty, run: impl FnOnce(Duty, Held<'_>)) {
    if let Some(kept) = Kept::of(duty.cohort()) {
        run(duty, kept.held());
    }
}
