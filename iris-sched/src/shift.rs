//! What a thread holds on to while it runs one process after another.

use std::fmt;
use std::sync::Arc;

use iris_core::Host;

use crate::cohort::Cohort;
use crate::duty::{Duty, Ready};

/// The runtime and the scheduler of the process that a thread has run last.
///
/// A slice needs both, and to count two references up and down for each slice, on lines that
/// all workers write to, cost more than the slice.
pub(crate) struct Held {
    pub(crate) cohort: Arc<Cohort>,
    pub(crate) host: Arc<dyn Host>,
}

impl Held {
    /// `None` if the runtime is being dropped.
    fn of(cohort: &Arc<Cohort>) -> Option<Self> {
        Some(Self {
            host: cohort.env.host.upgrade()?,
            cohort: cohort.clone(),
        })
    }
}

/// Runs several slices on one thread, and holds on to the runtime whose process it ran last.
///
/// For schedulers. It must not live on while the thread waits for work: a runtime that is held
/// is not dropped.
#[derive(Default)]
pub struct Shift {
    held: Option<Held>,
}

impl Shift {
    /// Runs one slice, as [`Ready::run`] does.
    #[inline]
    pub fn run(&mut self, process: Ready) {
        process.run_guarded(|duty| {
            if let Some(held) = &self.held
                && Arc::ptr_eq(&held.cohort, duty.cohort())
            {
                duty.run_held(held);
            } else {
                self.run_other(duty);
            }
        });
    }

    #[cold]
    fn run_other(&mut self, duty: Duty) {
        // With the runtime being dropped the duty is dropped: to take out what is queued would
        // be to lose it, and so it stays for the runtime to bury.
        let Some(held) = Held::of(duty.cohort()) else {
            return;
        };
        let held = self.held.insert(held);
        duty.run_held(held);
    }
}

impl fmt::Debug for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shift")
            .field("is_holding", &self.held.is_some())
            .finish()
    }
}

/// Runs `duty` with what belongs to its cohort, or drops it if the runtime is being dropped.
pub(crate) fn with_own(duty: Duty, run: impl FnOnce(Duty, &Held)) {
    if let Some(held) = Held::of(duty.cohort()) {
        run(duty, &held);
    }
}
