//! What supervisors of a tree want of each other.

use super::{
    Action, Actions, Event, How, Instant, Node, Step, SupervisorId, Tree, TreeAction, VecDeque,
};

type Steps = VecDeque<(SupervisorId, Step)>;

impl Tree {
    /// Lets one supervisor take a step, and others those that follow from it.
    pub(super) fn run(
        &mut self,
        now: Instant,
        id: SupervisorId,
        step: Step,
        actions: &mut Actions,
    ) {
        let mut steps = Steps::from([(id, step)]);
        while let Some((id, step)) = steps.pop_front() {
            let Some(node) = self.nodes.get_mut(&id) else {
                continue;
            };
            let mut wanted = Vec::new();
            let machine = &mut node.machine;
            let started = match &step {
                Step::Event(Event::ChildStarted { pid, .. }) => Some(*pid),
                _ => None,
            };
            match step {
                Step::Event(event) => machine.handle(now, event, &mut wanted),
                Step::Ready(child) => machine.supervisor_ready(now, child, &mut wanted),
                Step::Done(child, gave_up) => {
                    machine.supervisor_done(now, child, gave_up, &mut wanted);
                }
            }
            if let Some(pid) = started
                && machine.child_of(pid).is_some()
            {
                self.own(id, pid);
            }
            self.translate(id, wanted, &mut steps, actions);
        }
    }

    /// Like [`run`](Self::run), for what a supervisor wants already.
    pub(super) fn carry_on(
        &mut self,
        now: Instant,
        id: SupervisorId,
        wanted: Vec<Action>,
        actions: &mut Actions,
    ) {
        let mut steps = Steps::new();
        self.translate(id, wanted, &mut steps, actions);
        for (id, step) in steps {
            self.run(now, id, step, actions);
        }
    }

    /// Passes on what concerns the world, and turns the rest into steps of others.
    fn translate(
        &mut self,
        id: SupervisorId,
        wanted: Vec<Action>,
        steps: &mut Steps,
        actions: &mut Actions,
    ) {
        self.keep_timer(id);
        for action in wanted {
            match action {
                Action::StartSupervisor { child } => {
                    let below = self.below(id, child);
                    steps.extend(below.map(|below| (below, Step::Event(Event::Begin))));
                }
                Action::StopSupervisor { child, how } => {
                    let event = match how {
                        How::Shutdown => Event::Shutdown,
                        How::Kill | How::Abandon => Event::Kill,
                    };
                    let below = self.below(id, child);
                    steps.extend(below.map(|below| (below, Step::Event(event))));
                }
                Action::GiveUpNamesBelow { child } => {
                    if let Some(below) = self.below(id, child) {
                        self.release_names(below, actions);
                    }
                }
                Action::Ready if self.parent(id).is_some() => {
                    let parent = self.parent(id);
                    steps.extend(parent.map(|(above, child)| (above, Step::Ready(child))));
                }
                Action::Done { gave_up } if self.parent(id).is_some() => {
                    let parent = self.parent(id);
                    steps.extend(parent.map(|(above, child)| (above, Step::Done(child, gave_up))));
                }
                action => self.outward(id, action, actions),
            }
        }
    }

    fn outward(&mut self, id: SupervisorId, action: Action, actions: &mut Actions) {
        match &action {
            Action::Stop {
                pid,
                how: How::Abandon,
            } => {
                self.owners.remove(pid);
            }
            Action::Removed { child } => {
                if let Some(below) = self.below(id, *child) {
                    self.drop_node(below);
                }
            }
            Action::Done { .. } => {
                self.release_names(id, actions);
                if self.nodes.get(&id).is_some_and(|node| node.leaving) {
                    self.drop_node(id);
                }
            }
            _ => {}
        }
        actions.push(TreeAction {
            supervisor: id,
            action,
        });
    }

    fn release_names(&mut self, id: SupervisorId, actions: &mut Actions) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let mut wanted = Vec::new();
        node.machine.release_names(&mut wanted);
        for action in wanted {
            if let Action::GiveUpNamesBelow { child } = action {
                if let Some(below) = self.below(id, child) {
                    self.release_names(below, actions);
                }
            } else {
                self.outward(id, action, actions);
            }
        }
    }

    /// Forgets a supervisor that has ended, and those below it.
    fn drop_node(&mut self, id: SupervisorId) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        if let Some(at) = node.timer {
            self.timers.remove(&(at, id));
        }
        if let Some((above, child)) = node.parent
            && let Some(above) = self.nodes.get_mut(&above)
        {
            above.below.remove(&child);
        }
        // All of its children are down, so these are only watched.
        for pid in node.machine.pids() {
            self.unobserve(id, pid);
        }
        for below in node.below.into_values() {
            self.drop_node(below);
        }
    }

    fn below(&self, id: SupervisorId, child: super::ChildNo) -> Option<SupervisorId> {
        self.nodes.get(&id)?.below.get(&child).copied()
    }

    pub(super) fn parent(&self, id: SupervisorId) -> Option<(SupervisorId, super::ChildNo)> {
        self.nodes.get(&id)?.parent
    }

    fn keep_timer(&mut self, id: SupervisorId) {
        let Some(Node { machine, timer, .. }) = self.nodes.get_mut(&id) else {
            return;
        };
        let next = machine.next_timeout();
        if next == *timer {
            return;
        }
        if let Some(at) = std::mem::replace(timer, next) {
            self.timers.remove(&(at, id));
        }
        if let Some(at) = next {
            self.timers.insert((at, id));
        }
    }
}
