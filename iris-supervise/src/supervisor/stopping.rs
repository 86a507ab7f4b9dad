//! How children are stopped, and what becomes of them then.

use std::time::Instant;

use iris_core::Pid;

use super::children::{Asked, Phase, Unit, Want};
use super::group::Group;
use super::{KILL_GRACE, Life, Supervisor, after};
use crate::child_spec::{Kind, Restart, Shutdown};
use crate::event::{Action, ChildNo, GaveUp, How};
use crate::strategy::Strategy;

impl Supervisor {
    pub(super) fn stop_child(
        &mut self,
        now: Instant,
        no: ChildNo,
        want: Want,
        actions: &mut Vec<Action>,
    ) {
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        if child.want != Want::Gone {
            child.want = want;
        }
        child.answer |= want == Want::Down;
        let (phase, kind) = (child.phase, child.kind);
        if let Some(group) = &mut self.group {
            group.to_start.remove(&no);
        }
        match (phase, kind) {
            (Phase::Down | Phase::Queued | Phase::Waiting(_), _) => {
                self.set_phase(no, Phase::Down);
                self.is_down(no, actions);
            }
            // A factory cannot be called back. What it starts is stopped when it is there.
            (Phase::Starting { .. }, Kind::Worker) => self.give_up_names(no, actions),
            (Phase::Starting { .. }, Kind::Supervisor) | (Phase::Running { .. }, _) => {
                self.ask_to_end(now, no, actions);
            }
            (Phase::Stopping { .. }, _) => {}
        }
        self.progress(now, actions);
    }

    /// Begins to stop a child that is there.
    pub(super) fn ask_to_end(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get(no) else {
            return;
        };
        let unit = child.phase.unit().unwrap_or(Unit::Supervisor);
        let deadline = match child.spec.shutdown {
            Shutdown::BrutalKill => return self.kill(now, no, unit, actions),
            Shutdown::Timeout(wait) => Some(after(now, wait)),
            Shutdown::Infinity => None,
        };
        let how = How::Shutdown;
        actions.push(match unit {
            Unit::Process(pid) => Action::Stop { pid, how },
            Unit::Supervisor => Action::StopSupervisor { child: no, how },
        });
        let how = Asked::Politely;
        self.set_phase(
            no,
            Phase::Stopping {
                unit,
                how,
                deadline,
            },
        );
    }

    fn kill(&mut self, now: Instant, no: ChildNo, unit: Unit, actions: &mut Vec<Action>) {
        let how = How::Kill;
        // A supervisor gives up on its own processes in time, so it needs no deadline.
        let deadline = match unit {
            Unit::Process(pid) => {
                actions.push(Action::Stop { pid, how });
                Some(now + KILL_GRACE)
            }
            Unit::Supervisor => {
                actions.push(Action::StopSupervisor { child: no, how });
                None
            }
        };
        let how = Asked::Killed;
        self.set_phase(
            no,
            Phase::Stopping {
                unit,
                how,
                deadline,
            },
        );
    }

    /// A child that was to go down is down: whoever waits for that is answered, and it
    /// comes back if it is to.
    pub(super) fn is_down(&mut self, no: ChildNo, actions: &mut Vec<Action>) {
        let closing = self.is_closing();
        let Some(child) = self.children.get_mut(no) else {
            return;
        };
        if std::mem::take(&mut child.answer) {
            actions.push(Action::Stopped { child: no });
        }
        let (want, temporary) = (child.want, child.spec.restart == Restart::Temporary);
        let in_group = self.group.as_ref().is_some_and(|group| group.starts(no));
        match want {
            Want::Gone => self.forget(no, actions),
            Want::Down | Want::Finished | Want::GaveUp => self.give_up_names(no, actions),
            Want::Up if closing && temporary => self.forget(no, actions),
            // Its names wait: this supervisor may begin anew.
            Want::Up if closing => {}
            Want::Up if in_group => self.set_phase(no, Phase::Queued),
            // It was stopped and started again before it was down.
            Want::Up => self.start(no, actions),
        }
    }

    /// Stops everything, in reverse order.
    pub(super) fn close(
        &mut self,
        now: Instant,
        gave_up: Option<GaveUp>,
        actions: &mut Vec<Action>,
    ) {
        if self.prepare_to_close(gave_up, actions) {
            let at_once = self.spec.strategy == Strategy::Pool;
            for no in self.children.numbers(ChildNo(0)..) {
                if at_once && matches!(self.phase(no), Some(Phase::Running { .. })) {
                    self.ask_to_end(now, no, actions);
                }
            }
            self.progress(now, actions);
        }
    }

    /// Kills everything, at once.
    pub(super) fn kill_all(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if !self.is_closing() && !self.prepare_to_close(None, actions) {
            return;
        }
        for no in self.children.numbers(ChildNo(0)..) {
            let Some(child) = self.children.get(no) else {
                continue;
            };
            match (child.phase, child.kind) {
                (Phase::Starting { .. }, Kind::Worker) => {
                    self.set_phase(no, Phase::Down);
                    self.is_down(no, actions);
                }
                (Phase::Starting { .. }, Kind::Supervisor) => {
                    self.kill(now, no, Unit::Supervisor, actions);
                }
                (
                    Phase::Running { unit, .. }
                    | Phase::Stopping {
                        unit,
                        how: Asked::Politely,
                        ..
                    },
                    _,
                ) => self.kill(now, no, unit, actions),
                _ => {}
            }
        }
        self.progress(now, actions);
    }

    /// Whether there is anything to close.
    fn prepare_to_close(&mut self, gave_up: Option<GaveUp>, actions: &mut Vec<Action>) -> bool {
        match self.life {
            Life::Closing(_) => return false,
            Life::Idle | Life::Closed => {
                self.life = Life::Closed;
                actions.push(Action::Done { gave_up });
                return false;
            }
            Life::Up => self.life = Life::Closing(gave_up),
        }
        self.beginning = false;
        let mut group = Group::default();
        for no in self.children.numbers(ChildNo(0)..) {
            match self.phase(no) {
                Some(phase) if phase.is_there() => {
                    group.to_stop.insert(no);
                }
                _ => self.set_phase(no, Phase::Down),
            }
        }
        self.group = Some(group);
        true
    }

    pub(super) fn timeout(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some((at, no)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, no));
            self.due(now, no, actions);
            self.progress(now, actions);
        }
    }

    /// The deadline of a child's phase has come.
    fn due(&mut self, now: Instant, no: ChildNo, actions: &mut Vec<Action>) {
        match self.phase(no) {
            Some(Phase::Waiting(_)) => self.start(no, actions),
            // Nobody waits for this start any more; should it succeed, it is killed.
            Some(Phase::Starting { .. }) => {
                self.set_phase(no, Phase::Down);
                self.is_down(no, actions);
            }
            Some(Phase::Stopping {
                unit,
                how: Asked::Politely,
                ..
            }) => self.kill(now, no, unit, actions),
            Some(Phase::Stopping {
                unit: Unit::Process(pid),
                ..
            }) => self.abandon(no, pid, actions),
            _ => {}
        }
    }

    /// Gives up on a process that was killed and does not end.
    fn abandon(&mut self, no: ChildNo, pid: Pid, actions: &mut Vec<Action>) {
        let how = How::Abandon;
        actions.push(Action::Stop { pid, how });
        self.children.unbind(pid);
        if let Some(child) = self.children.get_mut(no) {
            child.old = Some(pid);
        }
        self.set_phase(no, Phase::Down);
        self.is_down(no, actions);
    }
}
