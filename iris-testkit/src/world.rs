//! The smallest host that processes can live in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, Clock, DeadLetter, Envelope, Exit, ExitSink, Exited, Host, Lane, Message, Payload,
    Pid, SendError,
};
use iris_sched::{
    Activity, Cohort, Due, Environment, Process, ProcessOptions, PushError, Refusal, Scheduler,
    Table, Timers,
};

use crate::{ManualClock, StepScheduler};

/// A process table, a [`StepScheduler`] and a [`ManualClock`], with a record of all
/// exits.
///
/// # Examples
///
/// ```
/// use iris_core::{Step, handler};
/// use iris_testkit::World;
///
/// let world = World::new(1);
/// let pid = world.spawn(handler(|_, _| Step::stop()), Default::default());
/// world.send(pid, "anything").unwrap();
/// world.run();
/// assert_eq!(world.exits().len(), 1);
/// ```
#[derive(Debug)]
pub struct World {
    /// Runs the processes.
    pub scheduler: Arc<StepScheduler>,
    /// Tells the time.
    pub clock: Arc<ManualClock>,
    /// Finds the processes.
    pub table: Table,
    timers: Timers,
    env: Arc<Environment>,
    exits: Mutex<Vec<Exited>>,
    dead_letters: Mutex<Vec<DeadLetter>>,
}

impl World {
    /// An empty world whose interleavings follow from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        let clock = Arc::new(ManualClock::default());
        Arc::new_cyclic(|world: &Weak<Self>| Self {
            scheduler: Arc::new(StepScheduler::new(seed)),
            table: Table::new(),
            timers: Timers::new(clock.clone()),
            env: Arc::new(Environment {
                host: world.clone(),
                exits: world.clone(),
                clock: clock.clone(),
                activity: Activity::default(),
                leftovers: Arc::new(|_, _| {}),
            }),
            clock,
            exits: Mutex::default(),
            dead_letters: Mutex::default(),
        })
    }

    /// A new process.
    pub fn spawn(&self, behavior: impl Behavior, options: ProcessOptions) -> Pid {
        self.spawn_in(&self.cohort(), behavior, options)
    }

    /// A cohort whose processes this world runs.
    pub fn cohort(&self) -> Arc<Cohort> {
        Cohort::new(self.env.clone(), self.scheduler.clone())
    }

    /// As [`cohort`](Self::cohort), on another scheduler.
    pub fn cohort_on(&self, scheduler: Arc<dyn Scheduler>) -> Arc<Cohort> {
        Cohort::new(self.env.clone(), scheduler)
    }

    /// A new process of a cohort.
    pub fn spawn_in(
        &self,
        cohort: &Arc<Cohort>,
        behavior: impl Behavior,
        options: ProcessOptions,
    ) -> Pid {
        self.table
            .spawn(cohort.clone(), Arc::new(behavior), options)
            .expect("a test has fewer than 16 million processes")
    }

    /// The process itself.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn process(&self, pid: Pid) -> Process {
        self.table.get(pid).expect("the process has not ended")
    }

    /// Sends text.
    ///
    /// # Errors
    ///
    /// As [`Host::send`].
    pub fn send(&self, to: Pid, text: &'static str) -> Result<(), SendError> {
        Host::send(self, to, Message::from(text.as_bytes()))
    }

    /// Runs until nothing is left to do; says how many slices it took.
    pub fn run(&self) -> usize {
        self.scheduler.run_until_idle(100_000)
    }

    /// Moves time, delivers the wake-ups that are due and runs.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        for due in self.timers.take_due(self.clock.now()).0 {
            match due {
                Due::Wake(pid) => drop(
                    self.table
                        .get(pid)
                        .map(|process| process.signal(Envelope::Wake)),
                ),
                Due::Send(to, message) | Due::Tick(_, to, message) => {
                    drop(Host::send(self, to, message));
                }
            }
        }
        self.run();
    }

    /// The exits since the last call, in order.
    pub fn exits(&self) -> Vec<Exited> {
        std::mem::take(&mut lock(&self.exits))
    }

    /// What was lost over full mailboxes since the last call, in order. What processes that ended
    /// had queued is in their exits.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        std::mem::take(&mut lock(&self.dead_letters))
    }

    /// Processes that have work.
    pub fn busy(&self) -> usize {
        self.env.activity.busy()
    }
}

fn send_error(to: Pid, envelope: Envelope, refusal: Refusal, may_wait: bool) -> SendError {
    let message = envelope.into_message().expect("a message was sent");
    match refusal {
        Refusal::Over => SendError::NoProc { to, message },
        Refusal::Full if may_wait => SendError::WouldBlock { to, message },
        Refusal::Full => SendError::Full { to, message },
        _ => SendError::Closed { to, message },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host for World {
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
        let Err(PushError(envelope, refusal)) = self.table.push(to, Lane::User, message.into())
        else {
            return Ok(());
        };
        if refusal != Refusal::Full {
            return Err(send_error(to, envelope, refusal, false));
        }
        let lost = |letter| lock(&self.dead_letters).push(letter);
        let overflowed = self.table.overflow(to, envelope, &lost);
        overflowed.map_err(|overflowed| {
            let PushError(envelope, refusal) = overflowed.error;
            send_error(overflowed.at, envelope, refusal, overflowed.may_wait)
        })
    }

    fn send_payload(&self, to: Pid, payload: Payload) -> Result<(), SendError> {
        let sent = self.table.push(to, Lane::User, payload.into());
        sent.map_err(|PushError(envelope, refusal)| {
            let message = envelope.into_message().expect("a message was sent");
            match refusal {
                Refusal::Over => SendError::NoProc { to, message },
                Refusal::Full => SendError::Full { to, message },
                _ => SendError::Closed { to, message },
            }
        })
    }

    fn stop(&self, pid: Pid, exit: Exit) -> bool {
        self.table
            .get(pid)
            .is_some_and(|process| process.stop(Lane::Signal, exit))
    }

    fn is_alive(&self, pid: Pid) -> bool {
        self.table
            .get(pid)
            .is_some_and(|process| process.is_alive())
    }

    fn wake_at(&self, pid: Pid, at: Instant) {
        self.timers.wake_at(pid, at);
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

impl ExitSink for World {
    fn exited(&self, exited: Exited) {
        self.table.remove(exited.pid);
        lock(&self.exits).push(exited);
    }
}
