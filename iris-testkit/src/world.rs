//! The smallest host that processes can live in.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, Clock, Envelope, Exit, ExitSink, Exited, Host, Lane, Message, Pid, SendError,
};
use iris_sched::{Activity, Cohort, Due, Environment, Process, ProcessOptions, Table, Timers};

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
                Due::Send(to, message) => drop(Host::send(self, to, message)),
            }
        }
        self.run();
    }

    /// The exits since the last call, in order.
    pub fn exits(&self) -> Vec<Exited> {
        std::mem::take(&mut self.exits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Processes that have work.
    pub fn busy(&self) -> usize {
        self.env.activity.busy()
    }
}

impl Host for World {
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
        match self.table.get(to) {
            Some(process) => process
                .send(message)
                .map_err(|message| SendError::Closed { to, message }),
            None => Err(SendError::NoProc { to, message }),
        }
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
        self.exits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(exited);
    }
}
