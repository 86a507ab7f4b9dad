//! One turn of a process: pop, handle, charge, until the budget or the time is spent.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use iris_core::{
    BehaviorVersion, BoxFuture, Context, Envelope, Exit, ExitReason, Failure, Host, Message, Step,
};
use iris_mailbox::Popped;
use tokio::sync::Notify;

use crate::process::{Activation, Body, Process, Running};
use crate::scheduler::Ready;

/// How long a slice goes on taking messages: 25 microseconds. The clock is looked at every
/// four messages, so that up to three more may follow.
///
/// Short enough that a hundred light processes behind a busy one wait for a few slices
/// and not for its whole queue, long enough that the switch is below a percent of it.
pub const SLICE_TIME: Duration = Duration::from_micros(25);

/// Messages between two looks at the clock. A look costs about 30 ns.
const CLOCK_STRIDE: u32 = 4;

/// How a slice ended.
enum Outcome {
    /// The mailbox is empty.
    Idle,
    /// There is more to do, after others had their turn.
    Again,
    /// The handler waits for a future.
    Await(BoxFuture<Step>),
    /// The process is over.
    Ended,
}

/// What follows from one step or envelope within a slice.
enum Turn {
    Next,
    End(Outcome),
}

impl Process {
    pub(crate) fn run_slice(process: Arc<Self>) {
        process.word.start();
        let outcome = {
            let mut body = process.body.lock().unwrap_or_else(PoisonError::into_inner);
            let _running = Running::enter(process.pid);
            process.slice(&mut body)
        };
        Self::settle(process, outcome);
    }

    /// Hands the process on, according to how its slice ended.
    fn settle(process: Arc<Self>, outcome: Outcome) {
        match outcome {
            Outcome::Idle => {
                if process.word.finish() {
                    process.scheduler.clone().ready(Ready(process));
                } else {
                    process.env.activity.end();
                }
            }
            Outcome::Again => {
                process.word.requeue();
                process.scheduler.clone().ready(Ready(process));
            }
            Outcome::Await(future) => {
                let scheduler = process.scheduler.clone();
                scheduler.drive(Box::pin(process.wait_for(future)));
            }
            Outcome::Ended => process.env.activity.end(),
        }
    }

    /// The rest of a slice that had to wait. The state word says running all the while,
    /// so that messages queue up and nobody else runs the process.
    async fn wait_for(self: Arc<Self>, future: BoxFuture<Step>) {
        let step = self.step_unless_stopped(future).await;
        let outcome = {
            let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            let _running = Running::enter(self.pid);
            self.note_activity(&mut body);
            match self.apply(&mut body, step) {
                Turn::Next => Outcome::Again,
                Turn::End(outcome) => outcome,
            }
        };
        Self::settle(self, outcome);
    }

    /// What the future says, or `Step::Yield` as soon as the process is told to stop:
    /// the next slice then finds the order in the signal lane. A panic is an exit.
    async fn step_unless_stopped(&self, future: BoxFuture<Step>) -> Step {
        let interrupt = self.interrupt.get_or_init(Notify::new);
        if !self.mailbox.is_alive() {
            // Stopped before there was anything to wake.
            return Step::Yield;
        }
        let mut future = future;
        let mut interrupted = pin!(interrupt.notified());
        let step = poll_fn(|cx| {
            if interrupted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Yield);
            }
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

    fn slice(&self, body: &mut Body) -> Outcome {
        let Some(host) = self.env.host.upgrade() else {
            // The runtime is being dropped, and buries what is queued: to take it out here
            // would be to lose it.
            self.word.end();
            return Outcome::Ended;
        };
        let started = self.env.clock.now();
        let mut spent = 0;
        let mut until_look = CLOCK_STRIDE;
        loop {
            let envelope = match self.mailbox.pop_step() {
                Popped::Envelope(envelope) => envelope,
                Popped::Empty => break Outcome::Idle,
                Popped::Unsorted => {
                    // After a burst the others need not wait until all of it is in order.
                    if self.env.clock.now().duration_since(started) >= SLICE_TIME {
                        break Outcome::Again;
                    }
                    continue;
                }
            };
            let turn = match envelope {
                Envelope::Message(message) => {
                    self.handle(body, &*host, message, started, &mut spent)
                }
                other => self.obey(body, &*host, other),
            };
            if let Turn::End(outcome) = turn {
                break outcome;
            }
            until_look -= 1;
            if spent >= self.options.budget_reductions {
                break Outcome::Again;
            }
            if until_look == 0 {
                if self.env.clock.now().duration_since(started) >= SLICE_TIME {
                    break Outcome::Again;
                }
                until_look = CLOCK_STRIDE;
            }
        }
    }

    /// Starts the idle time anew, after each message, for a wake-up may be next in the
    /// mailbox; a look at the clock only for those that have an idle time.
    fn note_activity(&self, body: &mut Body) {
        if self.idle_timeout().is_some() {
            body.last_active = Some(self.env.clock.now());
        }
    }

    fn handle(
        &self,
        body: &mut Body,
        host: &dyn Host,
        message: Message,
        now: Instant,
        spent: &mut u32,
    ) -> Turn {
        self.handled.fetch_add(1, Ordering::Relaxed);
        let Body {
            behavior, state, ..
        } = body;
        let mut cx = Context::new(self.pid, host);
        let activates = state.is_none();
        let step = catch_unwind(AssertUnwindSafe(|| {
            let state = state.get_or_insert_with(|| behavior.behavior.init());
            behavior.behavior.handle(state, &mut cx, message)
        }));
        *spent = spent.saturating_add(1).saturating_add(cx.spent());
        if activates {
            self.activated(host, now);
        }
        self.note_activity(body);
        match step {
            Ok(step) => self.apply(body, step),
            Err(payload) => self.panicked(body, &*payload),
        }
    }

    fn apply(&self, body: &mut Body, step: Step) -> Turn {
        match step {
            Step::Done => Turn::Next,
            Step::Yield => Turn::End(Outcome::Again),
            Step::Await(future) => Turn::End(Outcome::Await(future)),
            Step::Stop(exit) => {
                // A future that panicked comes this way too; its state may be half done.
                if exit.reason == ExitReason::Panic {
                    forget_state(body);
                }
                self.ended(body, exit)
            }
            // Steps that a later version of the core adds mean nothing here yet.
            other => unreachable!("the core knows a step that its scheduler does not: {other:?}"),
        }
    }

    /// Everything in a mailbox that is not a message.
    fn obey(&self, body: &mut Body, host: &dyn Host, envelope: Envelope) -> Turn {
        match envelope {
            Envelope::Swap { to, order } => self.swap_in(body, to, order),
            Envelope::Stop(exit) => self.ended(body, exit),
            Envelope::Wake => self.give_up_if_idle(body, host),
            other => {
                unreachable!("the core knows an envelope that its scheduler does not: {other:?}")
            }
        }
    }

    fn swap_in(&self, body: &mut Body, next: Arc<BehaviorVersion>, order: u64) -> Turn {
        if order < body.swap_order {
            // A later swap has overtaken this one in the signal lane.
            return Turn::Next;
        }
        if let Some(old) = body.state.take() {
            let from = body.behavior.version;
            match catch_unwind(AssertUnwindSafe(|| next.behavior.migrate(old, from))) {
                Ok(Ok(state)) => body.state = Some(state),
                Ok(Err(error)) => {
                    tracing::error!(
                        pid = self.pid.raw(), from, to = next.version, failure = %error.failure,
                        "the new behavior could not take over the state; the old one goes on"
                    );
                    body.state = Some(error.state);
                    return Turn::Next;
                }
                Err(payload) => return self.panicked(body, &*payload),
            }
        }
        body.behavior = next.clone();
        body.swap_order = order;
        self.in_force.store(next);
        Turn::Next
    }

    fn idle_timeout(&self) -> Option<Duration> {
        match self.options.activation {
            Activation::Virtual { idle_timeout, .. } => idle_timeout,
            Activation::Permanent => None,
        }
    }

    fn activated(&self, host: &dyn Host, now: Instant) {
        self.active.store(true, Ordering::Release);
        if let Some(at) = self
            .idle_timeout()
            .and_then(|timeout| now.checked_add(timeout))
        {
            host.wake_at(self.pid, at);
        }
    }

    /// A virtual actor's wake-up: give up, or ask to be woken again.
    fn give_up_if_idle(&self, body: &mut Body, host: &dyn Host) -> Turn {
        let Activation::Virtual {
            idle_timeout: Some(timeout),
            reactivate,
        } = self.options.activation
        else {
            return Turn::Next;
        };
        let (Some(_), Some(last_active)) = (&body.state, body.last_active) else {
            return Turn::Next;
        };
        let due = last_active.checked_add(timeout);
        if due.is_some_and(|at| self.env.clock.now() < at) || !self.mailbox.is_empty() {
            // A queued message is activity that has not been noted yet.
            let from = self.env.clock.now();
            let at = due
                .filter(|at| *at > from)
                .or_else(|| from.checked_add(timeout));
            if let Some(at) = at {
                host.wake_at(self.pid, at);
            }
            return Turn::Next;
        }
        if !reactivate {
            return if self.mailbox.close_if_empty() {
                self.report_exit(body, ExitReason::Normal.into(), Vec::new());
                Turn::End(Outcome::Ended)
            } else {
                self.activated(host, self.env.clock.now());
                Turn::Next
            };
        }
        let mut state = body.state.take();
        self.active.store(false, Ordering::Release);
        let behavior = body.behavior.clone();
        let stopped = catch_unwind(AssertUnwindSafe(|| {
            if let Some(state) = &mut state {
                behavior.behavior.on_stop(state, &ExitReason::Normal.into());
            }
            drop(state);
        }));
        match stopped {
            Ok(()) => Turn::Next,
            Err(payload) => self.panicked(body, &*payload),
        }
    }

    fn panicked(&self, body: &mut Body, payload: &(dyn std::any::Any + Send)) -> Turn {
        forget_state(body);
        self.ended(body, Exit::panic(Failure::from_panic(payload)))
    }

    fn ended(&self, body: &mut Body, exit: Exit) -> Turn {
        let remaining = self.mailbox.close();
        self.report_exit(body, exit, remaining);
        Turn::End(Outcome::Ended)
    }
}

/// Drops a state that a panic left in an unknown condition.
fn forget_state(body: &mut Body) {
    let state = body.state.take();
    // Dropping it may panic again; there is nothing left to say about it then.
    drop(catch_unwind(AssertUnwindSafe(|| drop(state))));
}
