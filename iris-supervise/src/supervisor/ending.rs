//! What follows from the end of a child.

use std::sync::Arc;
use std::time::Instant;

use iris_core::{ExitInfo, ExitReason};

use super::children::{Phase, Unit, Want};
use super::{Supervisor, after};
use crate::child_spec::{Kind, Restart};
use crate::event::{Action, ChildNo, GaveUp};
use crate::intensity::Budget;
use crate::strategy::Strategy;

impl Supervisor {
    pub(super) fn exited(&mut self, now: Instant, info: ExitInfo, actions: &mut Vec<Action>) {
        if let Some(no) = self.children.unbind(info.target) {
            let reason = info.reason.clone();
            self.ended(now, no, &reason, Some(info), actions);
        } else if self.watched.remove(info.target) {
            actions.push(Action::Observed { info });
        }
    }

    /// A supervisor that is a child has ended: told to, or because it gave up, which
    /// counts as a failure of its own.
    pub(crate) fn supervisor_done(
        &mut self,
        now: Instant,
        no: ChildNo,
        gave_up: Option<GaveUp>,
        actions: &mut Vec<Action>,
    ) {
        let reason = match gave_up {
            Some(_) => ExitReason::Other("gave_up".into()),
            None => ExitReason::Shutdown,
        };
        self.ended(now, no, &reason, gave_up.and_then(|it| it.last), actions);
    }

    fn ended(
        &mut self,
        now: Instant,
        no: ChildNo,
        reason: &ExitReason,
        info: Option<ExitInfo>,
        actions: &mut Vec<Action>,
    ) {
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        let phase = child.phase;
        if !phase.is_there() {
            // A supervisor that was told to end while it was not there says so again.
            return;
        }
        child.last = info.or(child.last.take());
        if let Some(Unit::Process(pid)) = phase.unit() {
            child.old = Some(pid);
        }
        let since = match phase {
            Phase::Running { since, .. } => Some(since),
            // A supervisor that gave up before all of its children were there.
            Phase::Starting { .. } => Some(now),
            _ => None,
        };
        let applies = child.spec.restart.applies_to(reason);
        self.set_phase(no, Phase::Down);
        let stopping = self.group.as_ref().is_some_and(|it| it.stops(no));
        match since {
            Some(since) if !stopping && applies => self.restart(now, no, since, actions),
            Some(_) if !stopping => self.finished(no, actions),
            _ => self.is_down(no, actions),
        }
        self.progress(now, actions);
    }

    /// A child ended by itself and is to come back.
    fn restart(&mut self, now: Instant, no: ChildNo, since: Instant, actions: &mut Vec<Action>) {
        let spec = self.spec;
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        if now.saturating_duration_since(since) >= spec.backoff.reset_after {
            child.in_a_row = 0;
        }
        let ring = match spec.budget {
            Budget::Shared => &mut self.ring,
            Budget::PerChild => &mut child.ring,
        };
        if !ring.allows(spec.intensity, now) {
            return self.give_up(now, no, actions);
        }
        let delay = spec.backoff.delay(child.in_a_row, &mut self.rng);
        child.in_a_row = child.in_a_row.saturating_add(1);
        let due = after(now, delay);
        match child.spec.strategy.unwrap_or(spec.strategy) {
            Strategy::OneForOne | Strategy::Pool => self.schedule(now, no, due, actions),
            Strategy::OneForAll => self.regroup(ChildNo(0).., due),
            Strategy::RestForOne => self.regroup(no.., due),
        }
    }

    /// A child ended by itself, and that was that.
    fn finished(&mut self, no: ChildNo, actions: &mut Vec<Action>) {
        let strategy = self.spec.strategy;
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        if child.spec.restart == Restart::Temporary || strategy == Strategy::Pool {
            self.forget(no, actions);
        } else {
            child.want = Want::Finished;
            self.give_up_names(no, actions);
        }
    }

    /// One restart, or one failed start, too many.
    pub(super) fn give_up(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        let strategy = child.spec.strategy.unwrap_or(self.spec.strategy);
        let temporary = child.spec.restart == Restart::Temporary;
        let by_itself = matches!(strategy, Strategy::OneForOne | Strategy::Pool);
        let alone = temporary || self.spec.budget == Budget::PerChild && by_itself;
        child.want = Want::GaveUp;
        let report = GaveUp {
            child: no,
            id: Arc::clone(&child.spec.id),
            alone,
            restarts: child.restarts(),
            last: child.last.clone(),
            start_failure: child.start_failure.clone(),
        };
        actions.push(Action::GaveUp(report.clone()));
        if temporary {
            self.forget(no, actions);
        } else if alone {
            self.give_up_names(no, actions);
        } else {
            self.close(now, Some(report), actions);
        }
    }

    /// No successor will come: what is kept for one is free.
    pub(super) fn give_up_names(&mut self, no: ChildNo, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        match (child.kind, child.old.take()) {
            (Kind::Worker, Some(pid)) => actions.push(Action::GiveUpNames { pid }),
            (Kind::Worker, None) => {}
            (Kind::Supervisor, _) => actions.push(Action::GiveUpNamesBelow { child: no }),
        }
    }

    /// Frees what is kept for the children of a supervisor that has
    /// [ended](Action::Done) and will not begin anew. Until then their names wait for it.
    pub fn release_names(&mut self, actions: &mut Vec<Action>) {
        for no in self.children.numbers(ChildNo(0)..) {
            if self.phase(no).is_some_and(|phase| !phase.is_there()) {
                self.give_up_names(no, actions);
            }
        }
    }

    /// Forgets a child that is down.
    pub(super) fn forget(&mut self, no: ChildNo, actions: &mut Vec<Action>) {
        self.give_up_names(no, actions);
        if let Some(group) = &mut self.group {
            group.drop_out(no);
        }
        self.children.remove(no);
        actions.push(Action::Removed { child: no });
    }
}
