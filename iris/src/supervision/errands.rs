//! What is done after the lock.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use iris_core::{ExitInfo, ExitReason, Failure, Host, Pid};
use iris_supervise::{GaveUp, How};

use crate::runtime::Inner;
use crate::supervision::starts::Order;
use crate::supervision::{Factory, Supervision, Todo};

/// One of those things.
pub(crate) enum Errand {
    Start {
        order: Order,
        factory: Arc<Factory>,
    },
    Stop {
        pid: Pid,
        how: How,
    },
    /// A supervisor that stands under no other has ended: perhaps somebody waits for that.
    RootEnded,
    Retry {
        failed_starts: u32,
        failure: Failure,
        after: Duration,
    },
    Observed(ExitInfo),
    GaveUp(GaveUp),
}

impl Errand {
    pub(crate) fn ends_a_root(&self) -> bool {
        matches!(self, Self::RootEnded)
    }
}

impl Supervision {
    pub(crate) fn carry_out(&self, inner: &Inner, todo: Todo) {
        for errand in todo.errands {
            match errand {
                Errand::Start { order, factory } => self.start(inner, order, factory),
                Errand::Stop { pid, how } => stop(inner, pid, how),
                Errand::RootEnded => {}
                Errand::Retry {
                    failed_starts,
                    failure,
                    after,
                } => {
                    tracing::warn!(failed_starts, %failure, ?after, "a factory failed; it is tried again");
                }
                Errand::Observed(info) => {
                    tracing::info!(pid = info.target.raw(), reason = %info.reason, "a watched process ended");
                }
                Errand::GaveUp(report) => self.gave_up(inner, report),
            }
        }
        // Factories of children that are no more: the user's, and not under the lock.
        drop(todo.dropped);
    }

    fn gave_up(&self, inner: &Inner, report: GaveUp) {
        let reason = report.last.as_ref().map(|last| last.reason.to_string());
        let failure = report
            .last
            .as_ref()
            .and_then(|last| last.metadata.as_deref());
        let failure = report.start_failure.as_ref().or(failure);
        tracing::error!(
            child = &*report.id,
            restarts = report.restarts,
            alone = report.alone,
            last_reason = reason,
            last_failure = failure.map(tracing::field::display),
            "a supervised child ended too often and is given up"
        );
        let hook = self
            .hook
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(hook) = hook {
            // It may want a lock that others hold for long: Python's.
            inner.handle().spawn_blocking(move || hook(&report));
        }
    }
}

fn stop(inner: &Inner, pid: Pid, how: How) {
    match how {
        How::Shutdown => drop(Host::stop(inner, pid, ExitReason::Shutdown.into())),
        How::Kill => drop(Host::stop(inner, pid, ExitReason::Killed.into())),
        How::Abandon => inner.exits.abandon(inner, pid),
    }
}
