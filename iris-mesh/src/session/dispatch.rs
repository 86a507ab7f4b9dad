//! What a session's events mean here.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_core::{AskError, Exit, ExitReason, Pid};
use iris_wire::Event;
use iris_wire::connection::{Cost, LinkError, LinkId};
use iris_wire::frame::{Frame, Message, Name, Refused};

use super::{Session, Turn, Unresolved, Watched, resolved};
use crate::acl::MOST_LINKS;
use crate::clock;
use crate::held_up::Held;
use crate::local::{Delivered, Local, NodeEvent, answer};
use crate::members;

/// Events that are taken out at once.
const BATCH: usize = 512;

impl Session {
    /// Handles the events that there are, in order, one task at a time.
    pub(super) fn dispatch(self: &Arc<Self>) {
        let Some(local) = self.local() else { return };
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        let mut costs = Vec::new();
        loop {
            {
                let mut state = self.lock();
                for cost in costs.drain(..) {
                    state.connection.release(cost);
                }
                while events.len() < BATCH
                    && let Some(event) = state.connection.poll_event()
                {
                    events.push(event);
                }
            }
            if events.is_empty() {
                return;
            }
            turn.allowed = None;
            for event in events.drain(..) {
                self.handle(&*local, &mut turn, event, &mut costs);
            }
        }
    }

    fn handle(
        self: &Arc<Self>,
        local: &dyn Local,
        turn: &mut Turn,
        event: Event,
        costs: &mut Vec<Cost>,
    ) {
        match event {
            Event::Message {
                seq, message, cost, ..
            } => {
                if let Some(cost) = self.message(local, turn, seq, message, cost) {
                    costs.push(cost);
                }
            }
            Event::Signal { seq, frame } => match frame {
                Frame::Exit { from, to, exit } => self.exit_asked(local, seq, from, to, exit),
                frame => self.signalled(local, frame),
            },
            Event::Ready { resumed, .. } => {
                self.room.notify_waiters();
                if !resumed {
                    self.shared.members.met(self);
                    local.node_event(NodeEvent::Up {
                        node: Some(self.node),
                        name: self.called(),
                    });
                }
            }
            Event::Writable => self.room.notify_waiters(),
            Event::Undelivered { frame, certain, .. } => self.came_back(local, frame, certain),
            Event::NodeStalled { lane_age } => local.node_event(NodeEvent::Stalled {
                node: Some(self.node),
                name: self.called(),
                age: lane_age,
            }),
            Event::NodeMoving => local.node_event(NodeEvent::Moving {
                node: Some(self.node),
                name: self.called(),
            }),
            Event::LinkDown { reason, .. } => {
                tracing::info!(peer = %self.called(), %reason, "a link is down");
                self.relinked.notify_waiters();
                // One that was replaced is no loss.
                if reason != LinkError::Replaced {
                    self.shared.redial(self);
                }
            }
            Event::Lost(why) => self.end(&why),
            Event::Pong { round_trip } => local.node_event(NodeEvent::Heartbeat {
                name: self.called(),
                round_trip,
            }),
            Event::Swim(packet) => self.shared.members.packet(packet),
            // Credit of single processes, and farewells ask for
            // nothing here.
            _ => {}
        }
    }

    /// Gives the cost back, unless the message keeps it.
    fn message(
        self: &Arc<Self>,
        local: &dyn Local,
        turn: &mut Turn,
        seq: u64,
        message: Message,
        cost: Cost,
    ) -> Option<Cost> {
        match message {
            Message::Send { dst, data, .. } => {
                if turn.allowed == Some(dst) || self.may_reach(local, dst) {
                    turn.allowed = Some(dst);
                    return self.deliver(local, seq, dst, data, cost);
                }
                self.refuse(seq, Some(dst), Refused::Denied);
            }
            Message::SendName { name, .. } if !self.rights().send.includes(name.as_str()) => {
                self.refuse(seq, None, Refused::Denied);
            }
            Message::SendName { name, data, .. } => match local.whereis(name.as_str()) {
                Some(dst) => return self.deliver(local, seq, dst, data, cost),
                None => self.refuse(seq, None, Refused::NoPid),
            },
            Message::Call {
                req,
                dst,
                deadline_ms,
                data,
                ..
            } => self.asked(local, req, dst, deadline_ms, data),
            Message::Reply { req, status, data } => {
                let asked = self.lock().calls.remove(&req);
                if let Some(asked) = asked {
                    answer::tell(asked.question, asked.stand_in, status, data);
                }
            }
            _ => {}
        }
        Some(cost)
    }

    /// Into a mailbox, or behind what waits for room there.
    fn deliver(
        self: &Arc<Self>,
        local: &dyn Local,
        seq: u64,
        dst: Pid,
        data: Bytes,
        cost: Cost,
    ) -> Option<Cost> {
        let hold = |data| Held {
            session: self.clone(),
            life: self.lock().life,
            seq,
            data,
            cost,
        };
        let held_up = &self.shared.held_up;
        let data = held_up.queue_behind(dst, data, hold)?;
        match local.deliver(dst, data) {
            Delivered::Done => {}
            Delivered::Refused(why) => self.refuse(seq, Some(dst), why),
            Delivered::Wait(data) => {
                held_up.wait(&self.shared, dst, hold(data));
                return None;
            }
        }
        Some(cost)
    }

    /// A message that has waited for room is not taken after all.
    pub(crate) fn refuse_held(&self, local: &dyn Local, seq: u64, dst: Pid, why: Refused) {
        if self.is_over() {
            // The sender cannot be told.
            local.undelivered(Some(dst), Bytes::new());
        } else {
            self.refuse(seq, Some(dst), why);
        }
    }

    /// A message that has waited gives its credit back.
    pub(crate) fn release_held(&self, life: u64, cost: Cost) {
        let mut state = self.lock();
        if state.life == life {
            state.connection.release(cost);
            drop(state);
            self.wake_writer();
        }
    }

    fn refuse(&self, of: u64, dst: Option<Pid>, reason: Refused) {
        if reason == Refused::Denied {
            self.shared.denied();
        }
        self.signal(Frame::Undelivered { of, dst, reason }, None);
    }

    fn signalled(self: &Arc<Self>, local: &dyn Local, frame: Frame) {
        match frame {
            Frame::Undelivered { dst, reason, .. } => {
                let stand_in = dst.and_then(|dst| self.known_stand_in(dst));
                tracing::debug!(peer = %self.called(), ?reason, "the peer did not deliver");
                local.undelivered(stand_in, Bytes::new());
            }
            Frame::Cancel { req } => {
                let answering = self.lock().answering.remove(&req);
                if let Some(answering) = answering {
                    answering.give_up();
                }
            }
            Frame::Monitor {
                monitor,
                watcher,
                target,
            } => self.monitored(local, monitor, watcher, target),
            Frame::Demonitor { monitor } => {
                let watch = {
                    let mut state = self.lock();
                    let watch = state.by_reference.remove(&monitor);
                    watch.inspect(|watch| {
                        state.watches.remove(watch);
                    })
                };
                if let Some(watch) = watch {
                    self.shared.forget_watch(watch);
                    local.unwatch(watch);
                }
            }
            Frame::Down { monitor, exit, .. } => {
                let stand_in = {
                    let mut state = self.lock();
                    let pid = state.by_monitor.remove(&monitor);
                    pid.and_then(|pid| state.stand_ins.remove(&pid))
                };
                if let Some(stand_in) = stand_in {
                    local.close_stand_in(stand_in.pid, exit);
                }
            }
            Frame::Link { from, to } => self.linked(local, from, to),
            Frame::Unlink { id, from, to } => {
                self.lock().linked.unlink(from, to);
                self.signal(Frame::UnlinkAck { id, from, to }, None);
            }
            Frame::Resolve { req, name } => self.resolve_for(local, req, &name),
            Frame::Resolved {
                req, status, pid, ..
            } => {
                let waiting = self.lock().resolving.remove(&req);
                if let Some(waiting) = waiting {
                    let found = match status {
                        resolved::DENIED => Err(Unresolved::Denied),
                        _ => Ok(pid.filter(|_| status == resolved::FOUND)),
                    };
                    // Who asked may have given up.
                    let _ = waiting.send(found);
                }
            }
            Frame::Spawn {
                req,
                behavior,
                opts,
                init,
                ..
            } => self.spawn_for(local, req, &behavior, opts, init),
            Frame::Spawned {
                req,
                status,
                pid,
                text,
            } => self.spawned(req, status, pid, text),
            Frame::NamesDelta { data } => members::hear(&self.shared, self, &data),
            // Later versions: what this one does not do, it has not promised.
            _ => {}
        }
    }

    fn known_stand_in(&self, pid: Pid) -> Option<Pid> {
        self.lock().stand_ins.get(&pid).map(|known| known.pid)
    }

    /// Whether the peer may reach a process at all.
    pub(super) fn may_reach(&self, local: &dyn Local, pid: Pid) -> bool {
        self.shared.exports.allows(local, pid) && self.rights().reach(|| local.names_of(pid))
    }

    fn linked(&self, local: &dyn Local, from: Pid, to: Pid) {
        // Where it is denied, so was the monitor that comes before it, and that is answered.
        if !self.may_reach(local, to) || !self.lock().linked.link(from, to) {
            self.shared.denied();
        }
    }

    /// An exit signal of the peer: along a link, or with the right to send any.
    fn exit_asked(&self, local: &dyn Local, seq: u64, from: Pid, to: Pid, exit: Exit) {
        let linked = self.lock().linked.unlink(from, to);
        if self.may_reach(local, to) && (linked || self.rights().exit) {
            local.exit_signal(self.known_stand_in(from), to, exit);
        } else {
            self.refuse(seq, Some(to), Refused::Denied);
        }
    }

    fn monitored(&self, local: &dyn Local, reference: u64, watcher: Pid, target: Pid) {
        let too_many = self.lock().watches.len() >= MOST_LINKS;
        if too_many || !self.may_reach(local, target) {
            self.shared.denied();
            let frame = Frame::Down {
                monitor: reference,
                target,
                exit: Exit::from(ExitReason::NoProc),
            };
            return self.signal(frame, Some((target, watcher)));
        }
        let watch = self.shared.new_watch(self.node);
        {
            let mut state = self.lock();
            if state.over {
                return;
            }
            state.by_reference.insert(reference, watch);
            let watched = Watched {
                reference,
                watcher,
                target,
            };
            state.watches.insert(watch, watched);
        }
        local.watch(target, watch);
    }

    fn resolve_for(&self, local: &dyn Local, req: u64, name: &Name) {
        let allowed = self.rights().resolve.includes(name.as_str());
        if !allowed {
            self.shared.denied();
        }
        let pid = local.whereis(name.as_str()).filter(|_| allowed);
        if let Some(pid) = pid {
            self.shared.exports.give(local, pid);
        }
        let status = match pid {
            Some(_) => resolved::FOUND,
            None if allowed => resolved::NONE,
            None => resolved::DENIED,
        };
        let frame = Frame::Resolved {
            req,
            status,
            pid,
            incarnation: self.shared.incarnation,
            lease_ms: 0,
        };
        self.signal(frame, None);
    }

    /// What was not delivered is given back to the runtime.
    fn came_back(&self, local: &dyn Local, frame: Frame, certain: bool) {
        match frame {
            Frame::Message(Message::Send { dst, data, .. }) => {
                let stand_in = self.known_stand_in(dst);
                tracing::debug!(peer = %self.called(), certain, "a message was not delivered");
                local.undelivered(stand_in, data);
            }
            Frame::Message(Message::SendName { data, .. }) => local.undelivered(None, data),
            Frame::Message(Message::Call { req, .. }) => {
                let asked = self.lock().calls.remove(&req);
                if let Some(asked) = asked {
                    local.unanswered(asked.question, AskError::Dead(asked.stand_in));
                }
            }
            // What this node has refused, and nobody may have heard of it: it counts here.
            Frame::Undelivered { dst, .. } => local.undelivered(dst, Bytes::new()),
            // Other signals end with the session: the monitors fire, names are asked for again.
            _ => {}
        }
    }

    /// The link is lost; the session waits for another, and dials if it can.
    pub(super) fn lost(self: &Arc<Self>, link: LinkId, now: Instant) {
        let was = {
            let mut state = self.lock();
            let was = state.connection.link() == Some(link);
            state.connection.link_lost(now, link);
            was
        };
        self.relinked.notify_waiters();
        self.dispatch();
        self.changed();
        if was && !self.is_over() {
            self.shared.redial(self);
        }
    }

    /// What is due.
    pub(super) fn on_time(self: &Arc<Self>) {
        let age = self
            .local()
            .map_or(Duration::ZERO, |local| local.lane_age());
        let given_up = {
            let mut state = self.lock();
            state.connection.set_lane_age(age);
            state.connection.handle_timeout(clock::now());
            let calls = &mut state.calls;
            let given_up: Vec<u64> = calls
                .iter()
                .filter(|(_, asked)| !asked.question.is_awaited())
                .map(|(&req, _)| req)
                .collect();
            for req in &given_up {
                calls.remove(req);
            }
            given_up
        };
        for req in given_up {
            self.signal(Frame::Cancel { req }, None);
        }
        self.dispatch();
        self.wake_writer();
    }
}
