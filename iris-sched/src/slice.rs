//! One turn of a process: pop, handle, charge, until the budget or the time is spent.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, BehaviorVersion, BoxFuture, Context, Envelope, Exit, ExitReason, Exited, Failure,
    Lane, Message, Payload, ReplyTo, State, Step,
};
use iris_mailbox::{Letter, Popped};

use crate::cohort::{Cohort, Environment};
use crate::contain::{drop_contained, failure};
use crate::duty::Duty;
use crate::park::Parked;
use crate::process::{Process, Running};
use crate::rare::Idle;
use crate::shift::Held;
use crate::swap::group_version_before;

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

/// How a slice ended. Two words: it is handed on for each.
enum Outcome {
    /// The mailbox is empty.
    Idle,
    /// There is more to do, after others had their turn.
    Again,
    /// Something that is worth an allocation.
    Other(Box<Parting>),
}

/// Why a process is not run any further for now, or for good.
enum Parting {
    /// The handler waits for a future, and perhaps somebody for its answer.
    Await(BoxFuture<Step>, Option<ReplyTo>),
    /// The scheduler resumes it. Who waits for an answer, and how it ends afterwards if it does.
    Park(Option<ReplyTo>, Option<Exit>),
    /// The process is over, in this way; these are the messages that are left.
    Ended(Exit, Vec<Message>),
}

/// What follows from one message or order within a slice: the next one, or its end.
type Next = Option<Outcome>;

fn ended(exit: Exit, remaining: Vec<Message>) -> Outcome {
    Outcome::Other(Box::new(Parting::Ended(exit, remaining)))
}

/// What a slice may still spend.
struct Budget {
    reductions: u32,
    spent: u32,
    /// When the second message was taken. Not the first: many slices have no other.
    since: Option<Instant>,
    messages: u32,
    next_look: u32,
    /// Whether it is a virtual actor: asked once, for that is told on the line that producers
    /// write.
    is_virtual: bool,
    /// Whether the behavior took batches when the slice began. One that is swapped in meanwhile
    /// gets batches of one.
    takes_batches: bool,
}

impl Budget {
    fn of(duty: &mut Duty) -> Self {
        let takes_batches = duty.inside().0.as_batch().is_some();
        Self {
            takes_batches,
            reductions: duty.cell().budget(),
            spent: 0,
            since: None,
            messages: 0,
            next_look: CLOCK_STRIDE,
            is_virtual: duty.cell().is_virtual(),
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
    pub(crate) fn run_one(mut self, held: Held<'_>) {
        let mut budget = Budget::of(&mut self);
        budget.reductions = 1;
        self.run_within(budget, held);
    }

    /// Runs one slice.
    pub(crate) fn run_held(mut self, held: Held<'_>) {
        let budget = Budget::of(&mut self);
        self.run_within(budget, held);
    }

    fn run_within(mut self, mut budget: Budget, held: Held<'_>) {
        let env = &*held.cohort.env;
        self.cell().mailbox().set_running(true);
        let outcome = {
            let _running = Running::enter(self.pid());
            loop {
                let outcome = self.slice_guarded(&mut budget, held);
                // With a budget of one there is often nothing more to do, either.
                let may_sleep = match outcome {
                    Outcome::Idle => true,
                    Outcome::Again => budget.reductions == 1,
                    Outcome::Other(_) => false,
                };
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
        self.settle(held.cohort, outcome);
    }

    /// A slice; a panic in the user's code is an exit.
    #[inline]
    fn slice_guarded(&mut self, budget: &mut Budget, held: Held<'_>) -> Outcome {
        match catch_unwind(AssertUnwindSafe(|| self.slice(budget, held))) {
            Ok(outcome) => outcome,
            Err(payload) => self.panicked(failure(payload)),
        }
    }

    /// Hands the process on, according to how its slice ended.
    fn settle(self, cohort: &Cohort, outcome: Outcome) {
        let Outcome::Other(parting) = outcome else {
            self.cell().mailbox().set_running(false);
            self.cell().note_backlog(self.pid());
            return self.schedule(cohort);
        };
        match *parting {
            Parting::Await(future, reply) => {
                let future = Box::pin(self.wait_for(future, reply));
                cohort.scheduler.drive(future);
            }
            Parting::Park(reply, ending) => {
                cohort.scheduler.park(Parked::new(self, reply, ending));
            }
            Parting::Ended(exit, remaining) => {
                let _ends = cohort.env.activity.ends_with_this();
                self.report_exit(&cohort.env, exit, remaining);
            }
        }
    }

    /// Reports the end. The process is taken out of its cell, so the pipeline drops its state.
    pub(crate) fn report_exit(mut self, env: &Environment, exit: Exit, remaining: Vec<Message>) {
        let pid = self.pid();
        // The pipeline runs code of users, which must not wait for what this thread is to do.
        let _running = Running::enter(pid);
        self.cell().tell_all(pid);
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
            self.apply(step, reply).unwrap_or(Outcome::Again)
        };
        self.settle(&cohort, outcome);
    }

    /// What the future says, or `Step::Yield` as soon as the process is told to stop:
    /// the next slice then finds the order in the signal lane. A panic is an exit.
    async fn step_unless_stopped(&self, mut future: BoxFuture<Step>) -> Step {
        let step = self.wait_unless_stopped(&mut future).await;
        match catch_unwind(AssertUnwindSafe(|| drop(future))) {
            Ok(()) => step,
            Err(payload) => Step::Stop(Exit::panic(failure(payload))),
        }
    }

    async fn wait_unless_stopped(&self, future: &mut BoxFuture<Step>) -> Step {
        let process = Process::new(self.cell(), self.pid());
        let Some(interrupt) = process.interrupt() else {
            return Step::Yield;
        };
        if !self.cell().mailbox().is_alive() {
            // Stopped before there was anything to wake.
            return Step::Yield;
        }
        let mut interrupted = pin!(interrupt.notified());
        poll_fn(|cx| {
            if interrupted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Yield);
            }
            let _running = Running::enter(self.pid());
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => poll,
                Err(payload) => Poll::Ready(Step::Stop(Exit::panic(failure(payload)))),
            }
        })
        .await
    }

    #[inline]
    fn slice(&mut self, budget: &mut Budget, held: Held<'_>) -> Outcome {
        let env = &*held.cohort.env;
        loop {
            let next = match self.pop_step() {
                Popped::Letter(letter) => {
                    budget.take_one(env);
                    if self.cell().group_version() == held.cohort.group.version() {
                        if budget.takes_batches {
                            self.handle_batch(letter, budget, held)
                        } else {
                            self.handle_letter(letter, budget, held)
                        }
                    } else {
                        self.follow_group(letter, budget, held)
                    }
                }
                Popped::Signal => {
                    budget.take_one(env);
                    match self.consumer().take_signal() {
                        Some(signal) => self.handle_envelope(signal, budget, held),
                        // Closed from outside: the runtime has given the process up.
                        None => Some(self.ended(ExitReason::Killed.into())),
                    }
                }
                Popped::Empty => return Outcome::Idle,
                Popped::Unsorted => {
                    // After a burst the others need not wait until all of it is in order.
                    if budget.elapsed(env) >= SLICE_TIME {
                        return Outcome::Again;
                    }
                    continue;
                }
            };
            if let Some(outcome) = next {
                return outcome;
            }
            if budget.is_spent(env) {
                return Outcome::Again;
            }
        }
    }

    /// What is in place is handled where its sender has put it; all else is taken out.
    #[inline]
    fn handle_letter(&mut self, mut letter: Letter, budget: &mut Budget, held: Held<'_>) -> Next {
        match letter.envelope_mut() {
            Envelope::User(payload, None) if payload.is_in_place() => {
                let is_inline = payload.is_inline();
                let cx = Context::new(self.pid(), held.host);
                let next = self.handle(cx, budget, held, |behavior, state, cx| {
                    Ok(behavior.handle_in_place(active(behavior, state), cx, payload))
                });
                if is_inline {
                    letter.discard();
                }
                next
            }
            _ => self.handle_envelope(letter.open(), budget, held),
        }
    }

    /// As many messages as there are and may be taken, the first of which is `letter`.
    #[cold]
    fn handle_batch(&mut self, letter: Letter, budget: &mut Budget, held: Held<'_>) -> Next {
        if !is_plain(letter.envelope()) || self.inside().0.as_batch().is_none() {
            return self.handle_letter(letter, budget, held);
        }
        let most = budget.reductions.saturating_sub(budget.spent).max(1);
        let mut batch = Vec::new();
        batch.extend(into_payload(letter.open()));
        while batch.len() < most as usize
            && let Some(letter) = self.pop_if(is_plain)
        {
            batch.extend(into_payload(letter.open()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most the budget")]
        let more = batch.len() as u32 - 1;
        budget.messages += more;
        budget.spent = budget.spent.saturating_add(more);
        self.cell().count_handled_more(more.into());
        let cx = Context::new(self.pid(), held.host);
        self.handle(cx, budget, held, |behavior, state, cx| {
            let batches = behavior.as_batch().expect("it was one just now");
            Ok(batches.handle_batch(active(behavior, state), cx, batch))
        })
    }

    fn handle_envelope(&mut self, envelope: Envelope, budget: &mut Budget, held: Held<'_>) -> Next {
        let cx = Context::new(self.pid(), held.host);
        match envelope {
            Envelope::User(payload, None) => {
                self.handle(cx, budget, held, |behavior, state, cx| {
                    Ok(handle_payload(
                        behavior,
                        active(behavior, state),
                        cx,
                        payload,
                    ))
                })
            }
            Envelope::User(payload, asker) => {
                // Guarded by itself, so that who asks learns of a panic.
                let cx = cx.asked(asker);
                self.handle(cx, budget, held, |behavior, state, cx| {
                    catch_unwind(AssertUnwindSafe(|| {
                        handle_payload(behavior, active(behavior, state), cx, payload)
                    }))
                })
            }
            Envelope::System(message) => self.handle(cx, budget, held, |behavior, state, cx| {
                let message = Message::System(*message);
                Ok(behavior.handle(active(behavior, state), cx, message))
            }),
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
        held: Held<'_>,
        call: impl FnOnce(&dyn Behavior, &mut Option<State>, &mut Context<'_>) -> Called,
    ) -> Next {
        self.cell().count_handled();
        let (behavior, state) = self.inside();
        let activates = state.is_none();
        let called = call(behavior, state, &mut cx);
        budget.spent = budget.spent.saturating_add(1).saturating_add(cx.spent());
        if budget.is_virtual {
            if activates {
                self.activated(held);
            }
            self.note_activity(&held.cohort.env);
        }
        match called {
            Ok(Step::Done) => None,
            Ok(step) => self.apply(step, cx.take_reply()),
            Err(payload) => {
                let failure = failure(payload);
                if let Some(reply) = cx.take_reply() {
                    reply.fail_over(failure.clone());
                }
                Some(self.panicked(failure))
            }
        }
    }

    /// What follows from a step. Who waits for an answer and gets none here is told so when
    /// `reply` is dropped.
    fn apply(&mut self, step: Step, reply: Option<ReplyTo>) -> Next {
        match step {
            Step::Done => None,
            Step::Yield => Some(Outcome::Again),
            Step::Await(future) => Some(Outcome::Other(Box::new(Parting::Await(future, reply)))),
            Step::Reply(answer) => {
                if let Some(reply) = reply {
                    reply.reply(answer);
                }
                None
            }
            Step::Stop(exit) => {
                if let (Some(reply), Some(failure)) = (reply, &exit.failure) {
                    reply.fail_over((**failure).clone());
                }
                // A future that panicked comes this way too; its state may be half done.
                if exit.reason == ExitReason::Panic {
                    self.forget_state();
                }
                Some(self.before_end(exit))
            }
            Step::Park => Some(Outcome::Other(Box::new(Parting::Park(reply, None)))),
            // Steps that a later version of the core adds mean nothing here yet.
            other => unreachable!("the core knows a step that its scheduler does not: {other:?}"),
        }
    }

    /// Everything in a mailbox that is not a message.
    fn obey(&mut self, order: Envelope, held: Held<'_>) -> Next {
        match order {
            Envelope::Swap { to, order } => self.swap_in(to, order),
            Envelope::Stop(exit) => Some(self.before_end(exit)),
            Envelope::Wake => self.give_up_if_idle(held),
            other => {
                unreachable!("the core knows an envelope that its scheduler does not: {other:?}")
            }
        }
    }

    fn swap_in(&mut self, next: BehaviorVersion, order: u64) -> Next {
        let newest = self
            .cell()
            .rare()
            .as_ref()
            .map_or(0, |rare| rare.swap_order);
        if order < newest {
            // A later swap has overtaken this one in the signal lane.
            return None;
        }
        let version = next.version;
        let after = self.take_over(next.behavior, version, Some(order));
        if self.cell().version() == version {
            // What the whole cohort was swapped to before that is no news any more.
            let before = group_version_before(order);
            let followed = self.cell().group_version().max(before);
            self.cell().set_group_version(followed);
        }
        after
    }

    /// The behavior of all the cohort was swapped since the last message: takes it over, and
    /// handles this one.
    #[cold]
    fn follow_group(&mut self, letter: Letter, budget: &mut Budget, held: Held<'_>) -> Next {
        if let Some((group_version, behavior)) = held.cohort.group.current() {
            self.cell().set_group_version(group_version);
            let version = group_version
                .saturating_add(1)
                .max(self.cell().version() + 1);
            if let Some(outcome) = self.take_over(behavior, version, None) {
                return Some(outcome.with_left(letter.open()));
            }
        }
        self.handle_letter(letter, budget, held)
    }

    /// Puts `next` in force, with the state that it makes of the present one. `order` is the
    /// place of a swap of the process's own.
    fn take_over(&mut self, next: Arc<dyn Behavior>, version: u32, order: Option<u64>) -> Next {
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
                    drop_contained(self.pid(), next);
                    return None;
                }
                Err(payload) => {
                    drop_contained(self.pid(), next);
                    return Some(self.panicked(failure(payload)));
                }
            }
        }
        self.replace_behavior(next, version, order);
        None
    }

    fn activated(&self, held: Held<'_>) {
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
    fn give_up_if_idle(&mut self, held: Held<'_>) -> Next {
        let idle = self.with_idle(|idle| *idle);
        let idle = idle.filter(|_| self.state().is_some())?;
        let (Some(timeout), Some(last_active)) = (idle.timeout, idle.last_active) else {
            return None;
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
            return None;
        }
        if !idle.reactivate {
            if self.consumer().close_if_empty() {
                return Some(ended(ExitReason::Normal.into(), Vec::new()));
            }
            self.activated(held);
            return None;
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
            Ok(()) => None,
            Err(payload) => Some(self.panicked(failure(payload))),
        }
    }

    #[cold]
    fn panicked(&mut self, failure: Failure) -> Outcome {
        self.forget_state();
        self.ended(Exit::panic(failure))
    }

    /// The end, or what the behavior has to do before it.
    fn before_end(&mut self, exit: Exit) -> Outcome {
        let at_once = !self.cell().mailbox().is_alive() || exit.reason.is_failure();
        let pid = self.pid();
        let (behavior, state) = self.inside();
        let Some(state) = state else {
            return self.ended(exit);
        };
        let asked = catch_unwind(AssertUnwindSafe(|| {
            behavior.before_stop(state, pid, &exit, at_once)
        }));
        match asked {
            Ok(Step::Park) => {
                // Nothing more is accepted. The order that this leaves behind is never taken.
                self.cell().seal(pid, Lane::Signal, exit.clone());
                Outcome::Other(Box::new(Parting::Park(None, Some(exit))))
            }
            Ok(_) => self.ended(exit),
            Err(payload) => self.panicked(failure(payload)),
        }
    }

    /// Goes on after the handler or the end was put off.
    pub(crate) fn resume(mut self, step: Step, mut reply: Option<ReplyTo>, ending: Option<Exit>) {
        let cohort = self.cohort().clone();
        if !self.cell().mailbox().is_alive()
            && let Some(reply) = reply.take_if(|_| matches!(step, Step::Yield))
        {
            reply.fail_dead();
        }
        let outcome = {
            let _running = Running::enter(self.pid());
            self.note_activity(&cohort.env);
            match ending {
                Some(exit) => Some(self.ended(exit)),
                None => self.apply(step, reply),
            }
        };
        match outcome {
            Some(outcome) => self.settle(&cohort, outcome),
            None => match self.sleep() {
                Ok(()) => cohort.env.activity.end(),
                Err(awake) => awake.settle(&cohort, Outcome::Again),
            },
        }
    }

    fn ended(&mut self, exit: Exit) -> Outcome {
        let mut remaining = self.take_given_back();
        remaining.extend(self.consumer().close());
        ended(exit, remaining)
    }

    /// What a handler has taken and not handled: the oldest of what is left when the process ends.
    pub(crate) fn give_back(&self, messages: Vec<Message>) {
        if !messages.is_empty() {
            self.cell().rare().get_or_insert_default().given_back = messages;
        }
    }

    fn take_given_back(&self) -> Vec<Message> {
        let mut rare = self.cell().rare();
        rare.as_deref_mut()
            .map(|rare| std::mem::take(&mut rare.given_back))
            .unwrap_or_default()
    }

    /// Drops a state that a panic left in an unknown condition.
    fn forget_state(&mut self) {
        let state = self.state().take();
        drop_contained(self.pid(), state);
    }
}

impl Outcome {
    /// With a message that was taken out and will not be handled after all.
    fn with_left(mut self, envelope: Envelope) -> Self {
        if let Self::Other(parting) = &mut self
            && let Parting::Ended(_, remaining) = &mut **parting
        {
            remaining.splice(0..0, envelope.into_message());
        }
        self
    }
}

/// Whether it is a message that nobody waits for an answer to.
fn is_plain(envelope: &Envelope) -> bool {
    matches!(envelope, Envelope::User(_, None))
}

fn into_payload(envelope: Envelope) -> Option<Payload> {
    match envelope {
        Envelope::User(payload, _) => Some(payload),
        _ => None,
    }
}

/// What came of a call of a handler, or the payload of its panic.
type Called = Result<Step, Box<dyn Any + Send>>;

/// The state, made if there is none.
#[inline]
fn active<'a>(behavior: &dyn Behavior, state: &'a mut Option<State>) -> &'a mut State {
    state.get_or_insert_with(|| behavior.init())
}

fn handle_payload(
    behavior: &dyn Behavior,
    state: &mut State,
    cx: &mut Context<'_>,
    payload: Payload,
) -> Step {
    let (payload, baggage) = payload.unload();
    if baggage.is_some() {
        cx.carry(baggage);
    }
    match payload.try_into_shared() {
        Err(mut in_place) => behavior.handle_in_place(state, cx, &mut in_place),
        Ok(bytes) => behavior.handle(state, cx, Message::User(bytes)),
    }
}
