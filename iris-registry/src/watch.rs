//! Who wants to hear what happens below a path.

use std::collections::VecDeque;
use std::sync::Arc;

use iris_core::Pid;

use crate::groups::Gatherings;

/// Events that wait to be taken: at most 65,536, the cap of an observer's messages too.
///
/// A runtime takes them after each call that may cause some, so that a handful wait at
/// any time; the cap is for one that does not. About 100 bytes each.
pub const MOST_PATH_EVENTS: usize = 65_536;

/// Something happened below a watched prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathEvent {
    /// The prefix that is watched.
    pub prefix: Arc<str>,
    /// Who watches it, in the order in which they began to.
    pub watchers: Arc<[Pid]>,
    /// The path that it is about, somewhere below the prefix.
    pub path: Arc<str>,
    /// What became of it.
    pub change: PathChange,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathChange {
    /// It leads to a process now, and led nowhere before.
    Registered(Pid),
    /// Its process ended and will have a successor: it leads nowhere, and nobody else
    /// can take it.
    Reserved(Pid),
    /// It leads to a successor.
    HandedOver {
        /// Whom it led to before.
        from: Pid,
        /// Whom it leads to now.
        to: Pid,
    },
    /// It leads nowhere any more; this process had it.
    Unregistered(Pid),
}

/// What [`Registry::take_path_events`](crate::Registry::take_path_events) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathEvents {
    /// In the order in which they happened.
    pub events: Vec<PathEvent>,
    /// How many older ones were thrown away since the last time, because nobody had
    /// taken them and [`MOST_PATH_EVENTS`] were waiting.
    pub dropped: u64,
}

/// Watchers by prefix, and what they have not been told yet.
///
/// Events are queued under the registry's lock and not returned by the calls that cause
/// them: so they have one order, whichever threads those calls were on.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    pub(crate) by_prefix: Gatherings,
    waiting: VecDeque<PathEvent>,
    dropped: u64,
}

impl Watches {
    /// Queues an event for each watched prefix above `path`. O(segments); nothing if
    /// nobody watches anything.
    pub(crate) fn note(&mut self, path: &Arc<str>, change: PathChange) {
        if self.by_prefix.is_empty() {
            return;
        }
        for (end, _) in path.match_indices('/') {
            let prefix = if end == 0 { "/" } else { &path[..end] };
            let Some((prefix, watchers)) = self.by_prefix.get(prefix) else {
                continue;
            };
            if self.waiting.len() == MOST_PATH_EVENTS {
                self.waiting.pop_front();
                self.dropped += 1;
            }
            self.waiting.push_back(PathEvent {
                prefix: Arc::clone(prefix),
                watchers,
                path: Arc::clone(path),
                change,
            });
        }
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn take(&mut self) -> PathEvents {
        PathEvents {
            events: std::mem::take(&mut self.waiting).into(),
            dropped: std::mem::take(&mut self.dropped),
        }
    }
}
