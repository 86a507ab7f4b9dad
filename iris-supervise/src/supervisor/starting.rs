//! How children come to be.

use std::time::Instant;

use iris_core::{Failure, Pid};

use super::children::{Phase, Unit, Want};
use super::group::Group;
use super::{Life, SHORTEST_RETRY, Supervisor, after};
use crate::child_spec::{ChildSpec, Kind, Restart};
use crate::event::{Action, AddError, ChildNo, How, StartId, not_new};
use crate::intensity::Ring;

impl Supervisor {
    pub(super) fn begin(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.is_closing() {
            return;
        }
        let afresh = self.life != Life::Up;
        self.life = Life::Up;
        self.beginning = true;
        if afresh {
            self.ring.clear();
        }
        let mut group = self.group.take().unwrap_or_default();
        for no in self.children.numbers(ChildNo(0)..) {
            let Some(child) = self.children.get_mut(no) else {
                continue;
            };
            if afresh && child.want != Want::Down {
                child.want = Want::Up;
                child.in_a_row = 0;
                child.failed_starts = 0;
                child.ring = Ring::default();
            }
            if child.want == Want::Up && child.phase == Phase::Down {
                self.set_phase(no, Phase::Queued);
                group.to_start.insert(no);
            }
        }
        self.group = Some(group);
        self.progress(now, actions);
    }

    /// Adds a child that is a supervisor.
    pub(crate) fn add_supervisor(
        &mut self,
        now: Instant,
        spec: ChildSpec,
        actions: &mut Vec<Action>,
    ) -> Result<ChildNo, AddError> {
        let no = self.insert(spec, Kind::Supervisor)?;
        self.start_added(now, no, actions);
        Ok(no)
    }

    /// Starts a child that was added, or lets it wait for its group.
    pub(super) fn start_added(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) {
        if self.life != Life::Up {
            return;
        }
        match &mut self.group {
            Some(group) => {
                group.to_start.insert(no);
                self.set_phase(no, Phase::Queued);
                self.progress(now, actions);
            }
            None => self.start(no, actions),
        }
    }

    /// Asks for one start of a child that is not there.
    pub(super) fn start(&mut self, no: ChildNo, actions: &mut Vec<Action>) {
        self.starts += 1;
        let start = StartId(self.starts);
        let Some(child) = self.children.get(no) else {
            return;
        };
        actions.push(match child.kind {
            Kind::Worker => Action::Start {
                child: no,
                start,
                old: child.old,
            },
            Kind::Supervisor => Action::StartSupervisor { child: no },
        });
        let deadline = None;
        self.set_phase(no, Phase::Starting { start, deadline });
    }

    pub(super) fn started(
        &mut self,
        now: Instant,
        no: ChildNo,
        start: StartId,
        pid: Pid,
        actions: &mut Vec<Action>,
    ) {
        let bound = self.children.of_pid(pid).is_some();
        if !self.is_awaited(no, start) {
            // Its child was given up on or removed while it was being started. It must
            // not live on without anybody to look after it.
            if !bound {
                let how = How::Kill;
                actions.push(Action::Stop { pid, how });
            }
            return;
        }
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        if bound || child.old == Some(pid) {
            return self.start_failed(now, no, start, not_new(pid), actions);
        }
        if let Some(from) = child.old.take() {
            actions.push(Action::HandOver { from, to: pid });
        }
        self.is_there(now, no, Unit::Process(pid), actions);
    }

    /// A supervisor that is a child has started all of its own.
    pub(crate) fn supervisor_ready(
        &mut self,
        now: Instant,
        no: ChildNo,
        actions: &mut Vec<Action>,
    ) {
        if matches!(self.phase(no), Some(Phase::Starting { .. })) {
            self.is_there(now, no, Unit::Supervisor, actions);
        }
    }

    fn is_there(&mut self, now: Instant, no: ChildNo, unit: Unit, actions: &mut Vec<Action>) {
        self.run(now, no, unit);
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        child.failed_starts = 0;
        child.start_failure = None;
        // A stop that somebody waits for is carried out even if a start came after it.
        if child.want != Want::Up || child.answer {
            self.ask_to_end(now, no, actions);
        }
        self.progress(now, actions);
    }

    pub(super) fn start_failed(
        &mut self,
        now: Instant,
        no: ChildNo,
        start: StartId,
        failure: Failure,
        actions: &mut Vec<Action>,
    ) {
        if !self.is_awaited(no, start) {
            return;
        }
        let unwelcome = self.group.as_ref().is_some_and(|it| it.stops(no));
        self.set_phase(no, Phase::Down);
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        child.failed_starts += 1;
        child.start_failure = Some(failure.clone());
        let limit = self.spec.start_attempts;
        if unwelcome || child.want != Want::Up || child.answer {
            self.is_down(no, actions);
        } else if child.spec.restart == Restart::Temporary
            || limit.is_some_and(|limit| child.failed_starts >= limit)
        {
            self.give_up(now, no, actions);
        } else {
            let earlier = child.in_a_row.max(1);
            child.in_a_row = earlier.saturating_add(1);
            let failed_starts = child.failed_starts;
            let delay = self.spec.backoff.delay(earlier, &mut self.rng);
            let at = after(now, delay.max(SHORTEST_RETRY));
            self.set_phase(no, Phase::Waiting(at));
            actions.push(Action::Retry {
                child: no,
                failed_starts,
                failure,
                at,
            });
        }
        self.progress(now, actions);
    }

    pub(super) fn start_child(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) {
        let up = self.life == Life::Up;
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        if !up || child.want == Want::Gone {
            return;
        }
        child.want = Want::Up;
        child.in_a_row = 0;
        child.failed_starts = 0;
        child.ring = Ring::default();
        if child.phase == Phase::Down {
            self.start_added(now, no, actions);
        } else if let Some(group) = &mut self.group
            && group.stops(no)
        {
            group.to_start.insert(no);
        }
    }

    /// Whether an answer to this start of this child is what it waits for.
    fn is_awaited(&self, no: ChildNo, awaited: StartId) -> bool {
        matches!(self.phase(no), Some(Phase::Starting { start, .. }) if start == awaited)
    }

    /// Starts a child now or when its back-off is over.
    pub(super) fn schedule(
        &mut self,
        now: Instant,
        no: ChildNo,
        due: Instant,
        actions: &mut Vec<Action>,
    ) {
        if due > now {
            self.set_phase(no, Phase::Waiting(due));
        } else {
            self.start(no, actions);
        }
    }

    /// The group under way, or a new one.
    pub(super) fn group_mut(&mut self) -> &mut Group {
        self.group.get_or_insert_default()
    }
}
