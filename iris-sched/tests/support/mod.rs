//! The smallest host whose processes run on worker threads.
#![allow(
    dead_code,
    reason = "each test and example that includes this uses its own part of it"
)]

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_core::{
    Behavior, Context, Exit, ExitSink, Exited, Host, Lane, Message, Pid, SendError, Step,
    SystemClock, handler,
};
use iris_mailbox::PushError;
use iris_sched::{Activity, Cohort, Environment, Process, ProcessOptions, Scheduler, Table};

/// How long a test waits for what must happen before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A process table in front of a scheduler, with a record of all exits.
pub(crate) struct Fabric {
    table: Table,
    cohort: Arc<Cohort>,
    env: Arc<Environment>,
    exits: Mutex<Vec<Exited>>,
}

impl Fabric {
    /// An empty one whose processes run on `scheduler`.
    pub(crate) fn on(scheduler: Arc<dyn Scheduler>) -> Arc<Self> {
        Arc::new_cyclic(|fabric: &Weak<Self>| {
            let env = Arc::new(Environment {
                host: fabric.clone(),
                exits: fabric.clone(),
                clock: Arc::new(SystemClock),
                activity: Activity::default(),
                leftovers: Arc::new(|_, _| {}),
            });
            Self {
                table: Table::new(),
                cohort: Cohort::new(env.clone(), scheduler),
                env,
                exits: Mutex::default(),
            }
        })
    }

    /// A new process that calls `f` with each message.
    pub(crate) fn spawn<F>(&self, f: F) -> Pid
    where
        F: Fn(&mut Context<'_>, Bytes) -> Step + Send + Sync + 'static,
    {
        self.spawn_with(ProcessOptions::default(), f)
    }

    /// A new process with options of its own.
    pub(crate) fn spawn_with<F>(&self, options: ProcessOptions, f: F) -> Pid
    where
        F: Fn(&mut Context<'_>, Bytes) -> Step + Send + Sync + 'static,
    {
        let behavior = Arc::new(handler(f));
        let spawned = self.table.spawn(self.cohort.clone(), behavior, options);
        spawned.expect("there is room for a test")
    }

    /// A new process with a behavior of any kind.
    pub(crate) fn spawn_behavior(&self, behavior: Arc<dyn Behavior>) -> Pid {
        let options = ProcessOptions::default();
        let spawned = self.table.spawn(self.cohort.clone(), behavior, options);
        spawned.expect("there is room for a test")
    }

    /// A process as others see it.
    pub(crate) fn process(&self, pid: Pid) -> Process {
        self.table.get(pid).expect("the process is there")
    }

    /// The ends so far.
    pub(crate) fn exits(&self) -> MutexGuard<'_, Vec<Exited>> {
        self.exits.lock().expect("nobody panics here")
    }

    /// Processes that have work.
    pub(crate) fn busy(&self) -> usize {
        self.env.activity.busy()
    }

    /// Sends an empty message from outside.
    pub(crate) fn poke(&self, to: Pid) {
        Host::send(self, to, Message::from(Bytes::new())).expect("the process is alive");
    }

    /// Waits until no process has work.
    pub(crate) fn wait_quiet(&self) -> bool {
        self.env.activity.wait_quiet(PATIENCE)
    }
}

impl Host for Fabric {
    fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
        let sent = self.table.push(to, Lane::User, message.into());
        sent.map_err(|PushError(envelope, _)| SendError::Closed {
            to,
            message: envelope.into_message().expect("a message was sent"),
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

    fn wake_at(&self, _: Pid, _: Instant) {}

    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl ExitSink for Fabric {
    fn exited(&self, exited: Exited) {
        self.table.remove(exited.pid);
        self.exits.lock().expect("nobody panics here").push(exited);
    }
}
