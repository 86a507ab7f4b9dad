//! How many messages an async actor receives before it lets others run.
//!
//! Nothing else makes it: a mailbox that always has mail never makes a task wait, and a task
//! that never waits keeps its worker thread.

use iris_sched::ProcessOptions;
use tokio::task::yield_now;

/// The budget of one async actor, and what is left of it.
#[derive(Debug)]
pub(crate) struct Pace {
    budget: u32,
    left: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(ProcessOptions::default().budget_reductions)
    }
}

impl Pace {
    pub(crate) fn new(budget: u32) -> Self {
        Self {
            budget,
            left: budget,
        }
    }

    /// Counts one receive, and lets others run first if the budget is spent. Cancel safe.
    pub(crate) async fn spend(&mut self) {
        if self.left == 0 {
            self.left = self.budget;
            yield_now().await;
        }
        self.left = self.left.saturating_sub(1);
    }
}
