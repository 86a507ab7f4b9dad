//! Which behaviors a process had, and how to get back to them.

use std::sync::Arc;

use iris_core::{Behavior, BehaviorVersion, Envelope};
use thiserror::Error;

/// Versions that a process keeps: the original and the last 15 others.
pub const KEPT_VERSIONS: usize = 16;

/// A process could not go back to an earlier behavior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// It is not there, or on its way out.
    #[error("the process is not alive")]
    NotAlive,
    /// Fewer versions lie before the last one.
    #[error("cannot go back {steps} versions: {available} are kept")]
    TooFar {
        /// How far it was to go back.
        steps: usize,
        /// How far it can.
        available: usize,
    },
}

/// The versions in the order in which they were to come into force, newest last.
///
/// Made with the first swap, since most processes never have one. What lies ahead of a
/// rollback is forgotten with it: to go back from there is to go further back.
#[derive(Debug)]
pub(crate) struct History {
    versions: Vec<BehaviorVersion>,
    /// Numbers are never used twice, rollbacks or not.
    newest: u32,
    swaps: u64,
}

impl History {
    pub(crate) fn new(original: BehaviorVersion) -> Self {
        Self {
            newest: original.version,
            versions: vec![original],
            swaps: 0,
        }
    }

    /// The behavior that is in force, or will be once all swaps are through.
    pub(crate) fn newest(&self) -> Arc<dyn Behavior> {
        let last = self.versions.last();
        last.expect("the original is kept for ever")
            .behavior
            .clone()
    }

    /// The swap to a new behavior, and what the history is once it is on its way.
    pub(crate) fn advance(&mut self, behavior: Arc<dyn Behavior>) -> Swap<'_> {
        let version = self.newest + 1;
        let to = BehaviorVersion { version, behavior };
        Swap {
            to,
            keep: self.versions.len(),
            history: self,
        }
    }

    /// The swap to an earlier behavior.
    pub(crate) fn go_back(&mut self, steps: usize) -> Result<Swap<'_>, RollbackError> {
        let available = self.versions.len() - 1;
        let at = available
            .checked_sub(steps)
            .ok_or(RollbackError::TooFar { steps, available })?;
        Ok(Swap {
            to: self.versions[at].clone(),
            keep: at,
            history: self,
        })
    }
}

/// How often the cohort was swapped before a swap of one process, from that one's order: the
/// low half, where it does not change which of two swaps is the later.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
pub(crate) fn group_version_before(order: u64) -> u32 {
    order as u32
}

/// A swap that is not on its way yet.
pub(crate) struct Swap<'a> {
    to: BehaviorVersion,
    keep: usize,
    history: &'a mut History,
}

impl Swap<'_> {
    /// `group_version` is how often the cohort of the process was swapped by now.
    pub(crate) fn envelope(&self, group_version: u32) -> Envelope {
        Envelope::Swap {
            to: self.to.clone(),
            order: (self.history.swaps + 1) << 32 | u64::from(group_version),
        }
    }

    /// It cannot be sent: the version, to be dropped with no lock held.
    pub(crate) fn undone(self) -> BehaviorVersion {
        self.to
    }

    /// It is on its way: the version's number, and what the history forgets with it. To be
    /// dropped with no lock held, for behaviors are the users'.
    pub(crate) fn done(self) -> (u32, Vec<BehaviorVersion>) {
        let Self { to, keep, history } = self;
        let version = to.version;
        history.swaps += 1;
        history.newest = history.newest.max(version);
        let mut forgotten = history.versions.split_off(keep);
        history.versions.push(to);
        if history.versions.len() > KEPT_VERSIONS {
            // The original is kept for ever.
            forgotten.push(history.versions.remove(1));
        }
        (version, forgotten)
    }
}
