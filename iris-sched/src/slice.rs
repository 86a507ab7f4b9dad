//! One turn of a process: pop, handle, charge, until the budget or the time is spent.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, BehaviorVersion, BoxFuture, Context, Envelope, Exit, ExitReason, Exited, Failure,
    Message, ReplyTo, Step,
};
use iris_mailbox::{Letter, Popped};

use crate::cohort::{Cohort, Environment};
use crate::duty::Duty;
use crate::process::{Process, Running};
use crate::rare::Idle;
use crate::shift::{Held, with_own};

/// How long a slice goes on taking messages: 25 microseconds. The clock is looked at every
/// four messages, so that up to three more may follow; while messages take less than a
/// microsecond, every sixteen.
///
/// Short enough that a hundred light processes behind a busy one wait for a few slices
/// and not for its whole queue, long enough that the switch is below a percent of it.
pub const SLICE_TIME: Duration = Duration::from_micros(25);

/// Messages between two looks at the clock, at first. A look costs about 30 ns.
const CLOCK_STRIDE: u32 = 4;

/// Messages between two looks at the clock while handlers take next to no time.
const LONGEST_STRIDE: u32 = 16;

/// How a slice ended.
enum Outcome {
    /// The mailbox is empty.
    Idle,
    /// There is more to do, after others had their turn.
    Again,
    /// The handler waits for a future, and perhaps somebody for its answer.
    Await(BoxFuture<Step>, Option<ReplyTo>),
    /// The process is over, in this way; these are the messages that are left.
    Ended(Exit, Vec<Message>),
}

/// What follows from one step or envelope within a slice.
enum Next {
    Message,
    End(Outcome),
}

/// What a slice may still spend.
struct Budget {
    reductions: u32,
    spent: u32,
    /// When the second message was taken. Not the first: many slices have no other.
    since: Option<Instant>,
    messages: u32,
    next_look: u32,
}

impl Budget {
    fn of(duty: &Duty) -> Self {
        Self {
            reductions: duty.cell().budget(),
            spent: 0,
            since: None,
            messages: 0,
            next_look: CLOCK_STRIDE,
        }
    }

    /// One more message or order is taken.
    #[inline]
    fn take_one(&mut self, env: &Environment) {
        if self.messages == 1 {
            self.since = Some(env.clock.now());
        }
        self.messages += 1;
    }

    /// Whether the slice is over after what was taken.
    #[inline]
    fn is_spent(&mut self, env: &Environment) -> bool {
        if self.spent >= self.reductions {
            return true;
        }
        self.messages >= self.next_look && self.is_over(env)
    }

    fn is_over(&mut self, env: &Environment) -> bool {
        let elapsed = self.elapsed(env);
        let is_quick = elapsed < Duration::from_micros(self.messages.into());
        let stride = if is_quick {
            LONGEST_STRIDE
        } else {
            CLOCK_STRIDE
        };
        self.next_look = self.messages + stride;
        elapsed >= SLICE_TIME
    }

    /// How long it has been since the second message was taken.
    fn elapsed(&mut self, env: &Environment) -> Duration {
        let now = env.clock.now();
        now.duration_since(*self.since.get_or_insert(now))
    }
}

impl Duty {
    /// Handles one message, or obeys one order, on a thread that is no scheduler's.
    pub(crate) fn run_one(self) {
        with_own(self, |duty, held| {
            let mut budget = Budget::of(&duty);
            budget.reductions = 1;
            duty.run_within(budget, held);
        });
    }

    /// Runs one slice.
    pub(crate) fn run_held(self, held: &Held) {
        let budget = Budget::of(&self);
        self.run_within(budget, held);
    }

    fn run_within(mut self, mut budget: Budget, held: &Held) {
        let env = &held.cohort.env;
        self.cell().mailbox().set_running(true);
        let outcome = {
            let _running = Running::enter(self.pid());
            loop {
                let outcome = self.slice(&mut budget, held);
                // With the budget spent there is often nothing more to do, either.
                let may_sleep = matches!(outcome, Outcome::Idle)
                    || (budget.reductions == 1 && matches!(outcome, Outcome::Again));
                if !may_sleep {
                    break outcome;
                }
                match self.sleep() {
                    Ok(()) => return env.activity.end(),
                    Err(awake) => self = awake,
                }
                if matches!(outcome, Outcome::Again) {
                    break outcome;
                }
            }
        };
        self.settle(&held.cohort, outcome);
    }

    /// Hands the process on, according to how its slice ended.
    fn settle(self, cohort: &Cohort, outcome: Outcome) {
        let env = &cohort.env;
        match outcome {
            Outcome::Idle | Outcome::Again => {
                self.cell().mailbox().set_running(false);
                self.schedule(cohort);
            }
            Outcome::Await(future, reply) => {
                let future = Box::pin(self.wait_for(future, reply));
                cohort.scheduler.drive(future);
            }
            Outcome::Ended(exit, remaining) => {
                let _ends = env.activity.ends_with_this();
                self.report_exit(env, exit, remaining);
            }
        }
    }

    /// Reports the end. The process is taken out of its cell, so the pipeline drops its state.
    pub(crate) fn report_exit(mut self, env: &Environment, exit: Exit, remaining: Vec<Message>) {
        let pid = self.pid();
        let (behavior, state) = self.take_apart();
        // From here on the process may be removed and its place be used again.
        let _resigned = self.resign();
        let exited = Exited {
            pid,
            exit,
            behavior,
            state,
            remaining,
        };
        if let Some(exits) = env.exits.upgrade() {
            exits.exited(exited);
        } else if !exited.remaining.is_empty() {
            (env.leftovers)(pid, exited.remaining);
        }
    }

    /// The rest of a slice that had to wait. The duty stays here all the while, so that
    /// messages queue up and nobody else runs the process.
    async fn wait_for(mut self, future: BoxFuture<Step>, mut reply: Option<ReplyTo>) {
        let step = self.step_unless_stopped(future).await;
        let cohort = self.cohort().clone();
        if !self.cell().mailbox().is_alive()
            && let Some(reply) = reply.take_if(|_| matches!(step, Step::Yield))
        {
            reply.fail_dead();
        }
        let outcome = {
            let _running = Running::enter(self.pid());
            self.note_activity(&cohort.env);
            match self.apply(step, reply) {
                Next::Message => Outcome::Again,
                Next::End(outcome) => outcome,
            }
        };
        self.settle(&cohort, outcome);
    }

    /// What the future says, or `Step::Yield` as soon as the process is told to stop:
    /// the next slice then finds the order in the signal lane. A panic is an exit.
    async fn step_unless_stopped(&self, future: BoxFuture<Step>) -> Step {
        let process = Process::new(self.cell(), self.pid());
        let Some(interrupt) = process.interrupt() else {
            return Step::Yield;
        };
        if !self.cell().mailbox().is_alive() {
            // Stopped before there was anything to wake.
            return Step::Yield;
        }
        let mut future = future;
        let mut interrupted = pin!(interrupt.notified());
        let step = poll_fn(|cx| {
            if interrupted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Yield);
            }
            let _running = Running::enter(self.pid());
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => poll,
                Err(payload) => {
                    Poll::Ready(Step::Stop(Exit::panic(Failure::from_panic(&*payload))))
                }
            }
        })
        .await;
        match catch_unwind(AssertUnwindSafe(|| drop(future))) {
            Ok(()) => step,
            Err(payload) => Step::Stop(Exit::panic(Failure::from_panic(&*payload))),
        }
    }

    fn slice(&mut self, budget: &mut Budget, held: &Held) -> Outcome {
        let env = &*held.cohort.env;
        loop {
            let popped = self.consumer().pop_step();
            let next = match popped {
                Popped::Letter(letter) => {
                    budget.take_one(env);
                    if self.cell().group_version() == held.cohort.group.version() {
                        self.handle_letter(letter, budget, held)
                    } else {
                        match self.follow_group(held) {
                            Next::Message => self.handle_letter(letter, budget, held),
                            end @ Next::End(_) => end.with_left(letter.open()),
                        }
                    }
                }
                Popped::Signal(signal) => {
                    budget.take_one(env);
                    self.handle_envelope(signal, budget, held)
                }
                // Closed from outside: the runtime has given the process up.
                Popped::Empty if self.cell().mailbox().is_closed() => {
                    break Outcome::Ended(ExitReason::Killed.into(), self.consumer().close());
                }
                Popped::Empty => break Outcome::Idle,
                Popped::Unsorted => {
                    // After a burst the others need not wait until all of it is in order.
                    if budget.elapsed(env) >= SLICE_TIME {
                        break Outcome::Again;
                    }
                    continue;
                }
            };
            if let Next::End(outcome) = next {
                break outcome;
            }
            if budget.is_spent(env) {
                break Outcome::Again;
            }
        }
    }

    /// A few bytes are handled where their sender has put them; all else is taken out.
    #[inline]
    fn handle_letter(&mut self, letter: Letter, budget: &mut Budget, held: &Held) -> Next {
        match letter.envelope() {
            Envelope::User(payload, None) if payload.is_inline() => {
                let cx = Context::new(self.pid(), &*held.host);
                self.handle(cx, budget, held, |behavior, state, cx| {
                    behavior.handle_inline(state, cx, payload)
                })
            }
            _ => self.handle_envelope(letter.open(), budget, held),
        }
    }

    fn handle_envelope(&mut self, envelope: Envelope, budget: &mut Budget, held: &Held) -> Next {
        match envelope {
            Envelope::User(payload, reply) => {
                let cx = Context::new(self.pid(), &*held.host).asked(reply);
                self.handle(cx, budget, held, |behavior, state, cx| {
                    match payload.try_into_shared() {
                        Err(inline) => behavior.handle_inline(state, cx, &inline),
                        Ok(bytes) => behavior.handle(state, cx, Message::User(bytes)),
                    }
                })
            }
            Envelope::System(message) => {
                let cx = Context::new(self.pid(), &*held.host);
                self.handle(cx, budget, held, |behavior, state, cx| {
                    behavior.handle(state, cx, Message::System(*message))
                })
            }
            order => self.obey(order, held),
        }
    }

    /// Starts the idle time anew, after each message, for a wake-up may be next in the
    /// mailbox; a look at the clock only for those that have an idle time.
    fn note_activity(&self, env: &Environment) {
        if self.cell().is_virtual() {
            self.with_idle(|idle| {
                if idle.timeout.is_some() {
                    idle.last_active = Some(env.clock.now());
                }
            });
        }
    }

    fn with_idle<T>(&self, f: impl FnOnce(&mut Idle) -> T) -> Option<T> {
        let mut rare = self.cell().rare();
        rare.as_deref_mut()?.idle.as_mut().map(f)
    }

    #[inline]
    fn handle(
        &mut self,
        mut cx: Context<'_>,
        budget: &mut Budget,
        held: &Held,
        call: impl FnOnce(&dyn Behavior, &mut iris_core::State, &mut Context<'_>) -> Step,
    ) -> Next {
        self.cell().count_handled();
        let (behavior, state) = self.inside();
        let activates = state.is_none();
        let step = catch_unwind(AssertUnwindSafe(|| {
            let state = state.get_or_insert_with(|| behavior.init());
            call(behavior, state, &mut cx)
        }));
        budget.spent = budget.spent.saturating_add(1).saturating_add(cx.spent());
        if self.cell().is_virtual() {
            if activates {
                self.activated(held);
            }
            self.note_activity(&held.cohort.env);
        }
        match step {
            Ok(Step::Done) => Next::Message,
            Ok(step) => self.apply(step, cx.take_reply()),
            Err(payload) => {
                let failure = Failure::from_panic(&*payload);
                if let Some(reply) = cx.take_reply() {
                    reply.fail_over(failure.clone());
                }
                self.panicked(failure)
            }
        }
    }

    /// What follows from a step. Who waits for an answer and gets none here is told so when
    /// `reply` is dropped.
    fn apply(&mut self, step: Step, reply: Option<ReplyTo>) -> Next {
        match step {
            Step::Done => Next::Message,
            Step::Yield => Next::End(Outcome::Again),
            Step::Await(future) => Next::End(Outcome::Await(future, reply)),
            Step::Reply(answer) => {
                if let Some(reply) = reply {
                    reply.reply(answer);
                }
                Next::Message
            }
            Step::Stop(exit) => {
                if let (Some(reply), Some(failure)) = (reply, &exit.failure) {
                    reply.fail_over((**failure).clone());
                }
                // A future that panicked comes this way too; its state may be half done.
                if exit.reason == ExitReason::Panic {
                    self.forget_state();
                }
                self.ended(exit)
            }
            // Steps that a later version of the core adds mean nothing here yet.
            other => unreachable!("the core knows a step that its scheduler does not: {other:?}"),
        }
    }

    /// Everything in a mailbox that is not a message.
    fn obey(&mut self, order: Envelope, held: &Held) -> Next {
        match order {
            Envelope::Swap { to, order } => self.swap_in(&to, order),
            Envelope::Stop(exit) => self.ended(exit),
            Envelope::Wake => self.give_up_if_idle(held),
            other => {
                unreachable!("the core knows an envelope that its scheduler does not: {other:?}")
            }
        }
    }

    fn swap_in(&mut self, next: &BehaviorVersion, order: u64) -> Next {
        let newest = self
            .cell()
            .rare()
            .as_ref()
            .map_or(0, |rare| rare.swap_order);
        if order < newest {
            // A later swap has overtaken this one in the signal lane.
            return Next::Message;
        }
        let after = self.take_over(next.behavior.clone(), next.version);
        if self.cell().version() == next.version {
            self.cell().rare().get_or_insert_default().swap_order = order;
        }
        after
    }

    /// The behavior of all the cohort was swapped since the last message.
    #[cold]
    fn follow_group(&mut self, held: &Held) -> Next {
        let Some((group_version, behavior)) = held.cohort.group.current() else {
            return Next::Message;
        };
        self.cell().set_group_version(group_version);
        let version = group_version
            .saturating_add(1)
            .max(self.cell().version() + 1);
        self.take_over(behavior, version)
    }

    /// Puts `next` in force, with the state that it makes of the present one.
    fn take_over(&mut self, next: Arc<dyn Behavior>, version: u32) -> Next {
        if let Some(old) = self.state().take() {
            let from = self.cell().version();
            match catch_unwind(AssertUnwindSafe(|| next.migrate(old, from))) {
                Ok(Ok(state)) => *self.state() = Some(state),
                Ok(Err(error)) => {
                    tracing::error!(
                        pid = self.pid().raw(), from, to = version, failure = %error.failure,
                        "the new behavior could not take over the state; the old one goes on"
                    );
                    *self.state() = Some(error.state);
                    return Next::Message;
                }
                Err(payload) => return self.panicked(Failure::from_panic(&*payload)),
            }
        }
        self.replace_behavior(next, version);
        Next::Message
    }

    fn activated(&self, held: &Held) {
        let timeout = self.with_idle(|idle| {
            idle.active = true;
            idle.timeout
        });
        let now = held.cohort.env.clock.now();
        if let Some(at) = timeout
            .flatten()
            .and_then(|timeout| now.checked_add(timeout))
        {
            held.host.wake_at(self.pid(), at);
        }
    }

    /// A virtual actor's wake-up: give up, or ask to be woken again.
    fn give_up_if_idle(&mut self, held: &Held) -> Next {
        let idle = self.with_idle(|idle| *idle);
        let Some(idle) = idle.filter(|_| self.state().is_some()) else {
            return Next::Message;
        };
        let (Some(timeout), Some(last_active)) = (idle.timeout, idle.last_active) else {
            return Next::Message;
        };
        let now = held.cohort.env.clock.now();
        let due = last_active.checked_add(timeout);
        if due.is_some_and(|at| now < at) || !self.cell().mailbox().is_empty() {
            // A queued message is activity that has not been noted yet.
            let at = due
                .filter(|at| *at > now)
                .or_else(|| now.checked_add(timeout));
            if let Some(at) = at {
                held.host.wake_at(self.pid(), at);
            }
            return Next::Message;
        }
        if !idle.reactivate {
            if self.consumer().close_if_empty() {
                return Next::End(Outcome::Ended(ExitReason::Normal.into(), Vec::new()));
            }
            self.activated(held);
            return Next::Message;
        }
        self.give_up_state()
    }

    /// Drops the state of a virtual actor that will be activated again.
    fn give_up_state(&mut self) -> Next {
        self.with_idle(|idle| idle.active = false);
        let behavior = self.behavior().clone();
        let mut state = self.state().take();
        let stopped = catch_unwind(AssertUnwindSafe(|| {
            if let Some(state) = &mut state {
                behavior.on_stop(state, &ExitReason::Normal.into());
            }
            drop(state);
        }));
        match stopped {
            Ok(()) => Next::Message,
            Err(payload) => self.panicked(Failure::from_panic(&*payload)),
        }
    }

    fn panicked(&mut self, failure: Failure) -> Next {
        self.forget_state();
        self.ended(Exit::panic(failure))
    }

    fn ended(&mut self, exit: Exit) -> Next {
        let remaining = self.consumer().close();
        Next::End(Outcome::Ended(exit, remaining))
    }

    /// Drops a state that a panic left in an unknown condition.
    fn forget_state(&mut self) {
        let state = self.state().take();
        // Dropping it may panic again; there is nothing left to say about it then.
        drop(catch_unwind(AssertUnwindSafe(|| drop(state))));
    }
}

impl Next {
    /// With a message that was taken out and will not be handled after all.
    fn with_left(self, envelope: Envelope) -> Self {
        match self {
            Self::End(Outcome::Ended(exit, mut remaining)) => {
                let message = envelope.into_message();
                remaining.splice(0..0, message);
                Self::End(Outcome::Ended(exit, remaining))
            }
            other => other,
        }
    }
}
