//! What several children do together, one after the other.

use std::collections::BTreeSet;
use std::ops::RangeFrom;
use std::time::Instant;

use super::children::{Phase, Want};
use super::{Life, Supervisor, after};
use crate::child_spec::{Kind, Restart, Shutdown};
use crate::event::{Action, ChildNo};

/// Children to be stopped, the last first, and then children to be started, the first
/// first. One of them moves at a time.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) to_stop: BTreeSet<ChildNo>,
    pub(super) to_start: BTreeSet<ChildNo>,
    /// No start before this: the back-off of the child whose end was the cause.
    not_before: Option<Instant>,
}

impl Group {
    /// Whether this child is to go down.
    pub(super) fn stops(&self, no: ChildNo) -> bool {
        self.to_stop.contains(&no)
    }

    /// Whether this child is to come up after that.
    pub(super) fn starts(&self, no: ChildNo) -> bool {
        self.to_start.contains(&no)
    }

    pub(super) fn drop_out(&mut self, no: ChildNo) {
        self.to_stop.remove(&no);
        self.to_start.remove(&no);
    }
}

impl Supervisor {
    /// Restarts all children in this range together, for the end of one of them.
    pub(super) fn regroup(&mut self, range: RangeFrom<ChildNo>, due: Instant) {
        for no in self.children.numbers(range) {
            let Some(child) = self.children.get_mut(no) else {
                continue;
            };
            if child.want != Want::Up {
                continue;
            }
            // OTP's rule: a temporary child goes with the others and does not come back.
            let comes_back = child.spec.restart != Restart::Temporary;
            if !comes_back {
                child.want = Want::Gone;
            }
            if child.phase.is_there() {
                self.group_mut().to_stop.insert(no);
            } else if comes_back {
                self.set_phase(no, Phase::Queued);
            }
            if comes_back {
                self.group_mut().to_start.insert(no);
            }
        }
        let group = self.group_mut();
        group.not_before = group.not_before.max(Some(due));
    }

    /// Takes the next step of the group under way, if one can be taken.
    pub(super) fn progress(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some(group) = &mut self.group {
            let moved_on = if let Some(no) = group.to_stop.last().copied() {
                self.stop_next(now, no, actions)
            } else if let Some(no) = group.to_start.first().copied() {
                self.start_next(now, no, actions)
            } else {
                self.group = None;
                true
            };
            if !moved_on {
                return;
            }
        }
        if std::mem::take(&mut self.beginning) && self.life == Life::Up {
            actions.push(Action::Ready);
        }
        if let Life::Closing(gave_up) = &mut self.life {
            let gave_up = gave_up.take();
            self.life = Life::Closed;
            actions.push(Action::Done { gave_up });
        }
    }

    /// Whether this member need not be waited for any more.
    fn stop_next(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) -> bool {
        let Some(child) = self.children.get(no) else {
            self.group_mut().drop_out(no);
            return true;
        };
        match (child.phase, child.kind) {
            (Phase::Down | Phase::Queued | Phase::Waiting(_), _) => {
                self.group_mut().to_stop.remove(&no);
                true
            }
            (Phase::Running { .. }, _) | (Phase::Starting { .. }, Kind::Supervisor) => {
                self.ask_to_end(now, no, actions);
                false
            }
            // What is being started is stopped when it is there; only a shutdown does
            // not wait for that for ever.
            (Phase::Starting { start, deadline }, Kind::Worker) => {
                if !self.is_closing() || deadline.is_some() {
                    return false;
                }
                let deadline = match child.spec.shutdown {
                    Shutdown::Timeout(wait) => Some(after(now, wait)),
                    Shutdown::BrutalKill => Some(now),
                    Shutdown::Infinity => None,
                };
                self.set_phase(no, Phase::Starting { start, deadline });
                false
            }
            (Phase::Stopping { .. }, _) => false,
        }
    }

    /// Whether this member need not be waited for any more.
    fn start_next(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) -> bool {
        match self.phase(no) {
            Some(Phase::Queued) => {
                let not_before = self.group_mut().not_before.unwrap_or(now);
                self.schedule(now, no, not_before, actions);
                false
            }
            Some(Phase::Waiting(_) | Phase::Starting { .. } | Phase::Stopping { .. }) => false,
            Some(Phase::Running { .. } | Phase::Down) | None => {
                self.group_mut().drop_out(no);
                true
            }
        }
    }
}
