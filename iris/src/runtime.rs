//! The runtime: what users hold.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, Envelope, Exit, ExitReason, Host, Lane, Message, Payload, Pid, SendError,
};
use iris_registry::Registry;
use iris_sched::{
    Activity, Cohort, Due, Environment, Process, RollbackError, Scheduler, Table, TimerId, Timers,
    TokioScheduler, current_pid,
};
use thiserror::Error;

use crate::ask::Waits;
use crate::builder::{Builder, StartError};
use crate::exits::{ExitCounts, Exits};
use crate::family::Family;
use crate::gone::Mourners;
use crate::inside;
use crate::observers::Logs;
use crate::overflow;
use crate::pull::PullThreads;
use crate::spawn::SpawnBuilder;
use crate::supervision::Supervision;
use crate::undertaker::Undertaker;

/// Actors, their scheduler and all that is around them. Cheap to clone.
///
/// Dropping the last clone ends the runtime's threads, and what is queued becomes dead
/// letters; [`shutdown`](Self::shutdown) waits for it. All methods may be called on any thread,
/// inside handlers too unless they say that they block.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Owned>,
}

/// What the user's clones share. Workers hold on to the parts for some slices at a time; with
/// the last clone gone they are told to end after the slice that they are in.
struct Owned(Arc<Inner>);

impl Deref for Owned {
    type Target = Inner;

    #[inline]
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.end_threads();
    }
}

/// A runtime that may have ended: see [`Runtime::downgrade`].
#[derive(Clone)]
pub struct RuntimeRef(Weak<Owned>);

impl RuntimeRef {
    /// Keeps it going for as long as it is held.
    pub fn upgrade(&self) -> Option<Runtime> {
        let inner = self.0.upgrade()?;
        Some(Runtime { inner })
    }
}

impl fmt::Debug for RuntimeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RuntimeRef").finish_non_exhaustive()
    }
}

/// The parts. They hold this one only weakly, so that it can end.
pub(crate) struct Inner {
    pub(crate) table: Table,
    pub(crate) registry: Box<dyn Registry>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) exits: Arc<Exits>,
    pub(crate) family: Family,
    pub(crate) undertaker: Undertaker,
    pub(crate) supervision: Supervision,
    pub(crate) logs: Arc<Logs>,
    pulls: Arc<PullThreads>,
    pub(crate) env: Arc<Environment>,
    pub(crate) waits: Arc<Waits>,
    pub(crate) mourners: Mourners,
    #[cfg(feature = "mesh")]
    pub(crate) mesh: crate::nodes::Mesh,
    handle: tokio::runtime::Handle,
    scheduler: Arc<TokioScheduler>,
    /// Of the Rust handlers that are in no other.
    cohort: Arc<Cohort>,
    /// Of the mailboxes of processes that are spawned without a word about it.
    pub(crate) mailbox_capacity: Option<NonZeroU32>,
    shut_down: AtomicBool,
    /// Taken out when the runtime is shut down or dropped.
    tokio: Mutex<Option<tokio::runtime::Runtime>>,
}

/// What a shutdown left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Messages that became dead letters, those behind stuck handlers included.
    pub undelivered: u64,
    /// Processes that were still inside a handler when the time was over.
    pub stuck: usize,
}

/// A process cannot be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It would wait for itself.
    #[error("process {0} cannot wait for its own end; return a stop from the handler instead")]
    Itself(Pid),
}

/// How long [`Runtime::shutdown`] waits at least for peers to say what has arrived, which takes them
/// a round trip.
#[cfg(feature = "mesh")]
const FAREWELL: Duration = Duration::from_millis(500);

/// How long [`Runtime::shutdown`] waits for running handlers once it has drained.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

impl Runtime {
    /// A runtime of default parts.
    ///
    /// # Panics
    ///
    /// If the operating system gives no threads; [`Builder::start`] gives an error instead.
    #[expect(
        clippy::new_without_default,
        reason = "it starts threads, which a default does not"
    )]
    pub fn new() -> Self {
        Builder::default()
            .start()
            .expect("the operating system gives threads")
    }

    /// A runtime of chosen parts.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(builder: Builder) -> Result<Self, StartError> {
        let Builder {
            workers,
            registry,
            clock,
            pull_actors,
            pull_stack_bytes,
            on_stop_deadline,
            mailbox_capacity,
            scheduler,
        } = builder;
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("iris-worker")
            .enable_time()
            .on_thread_start(overflow::mark_worker)
            .build()
            .map_err(StartError::Threads)?;
        let scheduler = scheduler.workers(workers).start(tokio.handle().clone());
        let scheduler = Arc::new(scheduler);
        let timers = Arc::new(Timers::new(clock.clone()));
        // Of any quality: it spreads restarts.
        let seed = BuildHasher::hash_one(&RandomState::new(), 0);
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let host = inner.clone();
            tokio.spawn(timers.clone().run(move |due| {
                if let Some(inner) = host.upgrade() {
                    inner.fire(due);
                }
            }));
            let exits = Arc::<Exits>::default();
            let last_resort = exits.clone();
            let env = Arc::new(Environment {
                host: inner.clone(),
                exits: inner.clone(),
                clock,
                activity: Activity::default(),
                leftovers: Arc::new(move |pid, left| {
                    last_resort.bury(pid, &ExitReason::Shutdown, left);
                }),
            });
            let cohort = Cohort::new(env.clone(), scheduler.clone());
            let table = Table::new();
            table.keep(&cohort);
            let supervision = Supervision::new(seed);
            tokio.spawn(Supervision::run_clock(supervision.bell(), inner.clone()));
            Inner {
                table,
                supervision,
                logs: Arc::default(),
                registry,
                timers,
                exits,
                family: Family::default(),
                undertaker: Undertaker::new(inner.clone(), on_stop_deadline),
                pulls: Arc::new(PullThreads::new(pull_actors, pull_stack_bytes)),
                waits: Arc::default(),
                mourners: Mourners::default(),
                #[cfg(feature = "mesh")]
                mesh: crate::nodes::Mesh::default(),
                handle: tokio.handle().clone(),
                cohort,
                env,
                scheduler,
                mailbox_capacity,
                shut_down: AtomicBool::new(false),
                tokio: Mutex::new(Some(tokio)),
            }
        });
        let inner = Arc::new(Owned(inner));
        let runtime = Self { inner };
        runtime.inner.supervision.belongs_to(runtime.downgrade());
        Ok(runtime)
    }

    /// The runtime without keeping it: for code that runs whenever, and must not be what the end
    /// of the runtime waits for.
    pub fn downgrade(&self) -> RuntimeRef {
        RuntimeRef(Arc::downgrade(&self.inner))
    }

    /// Begins a process: `rt.spawn(behavior).named("x").start()?`.
    pub fn spawn(&self, behavior: impl Behavior) -> SpawnBuilder<'_> {
        self.spawn_shared(Arc::new(behavior))
    }

    /// As [`spawn`](Self::spawn), for a behavior that several processes share.
    pub fn spawn_shared(&self, behavior: Arc<dyn Behavior>) -> SpawnBuilder<'_> {
        SpawnBuilder::new(self, behavior, self.inner.cohort.clone())
    }

    /// A cohort of Rust handlers: processes that share a behavior to be swapped for all of them
    /// at once. Spawn into it with [`of_cohort`](SpawnBuilder::of_cohort).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let fleet = rt.cohort();
    /// for _ in 0..1000 {
    ///     rt.spawn(handler(|_, _| Step::Done)).of_cohort(fleet.clone()).start()?;
    /// }
    /// // One store; each takes it over before its next message.
    /// fleet.swap_all(Arc::new(handler(|_, _| Step::stop())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cohort(&self) -> Arc<Cohort> {
        self.cohort_on(self.inner.scheduler.clone())
    }

    /// As [`cohort`](Self::cohort), on another scheduler.
    pub fn cohort_on(&self, scheduler: Arc<dyn Scheduler>) -> Arc<Cohort> {
        Cohort::new(self.inner.env.clone(), scheduler)
    }

    /// As [`cohort_on`](Self::cohort_on), kept for as long as the runtime lives: messages to its
    /// processes cost some 20 ns less. For the one scheduler of a guest language.
    pub fn lasting_cohort(&self, scheduler: Arc<dyn Scheduler>) -> Arc<Cohort> {
        let cohort = self.cohort_on(scheduler);
        self.inner.table.keep(&cohort);
        cohort
    }

    /// Puts `message` into the mailbox of `to`. FIFO for each sender.
    ///
    /// It waits if the mailbox of `to` has a bound, is full, and has the policy to
    /// [block](crate::OverflowPolicy::Block) senders: until there is room, `to` takes nothing
    /// more, or the policy is changed. Who waits longest comes first, unless somebody sends who
    /// need not wait. A thread that runs processes, inside handlers and async actors, never
    /// waits: [`send_async`](Self::send_async) is for those.
    ///
    /// # Errors
    ///
    /// The message comes back in the error: if `to` does not exist or is stopping; if the mailbox
    /// is full and its policy refuses what does not fit; and as [`SendError::WouldBlock`] to
    /// one who may not wait, in handlers or for room in the own mailbox.
    #[inline]
    pub fn send(&self, to: Pid, message: impl Into<Message>) -> Result<(), SendError> {
        let sent = Host::send(&**self.inner, to, message.into());
        sent.or_else(|error| self.send_waiting(to, error, None))
    }

    /// As [`send`](Self::send), of a copy of `bytes`. Up to [`Payload::INLINE`] bytes cost no
    /// allocation.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_bytes(&self, to: Pid, bytes: &[u8]) -> Result<(), SendError> {
        let sent = Host::send_bytes(&**self.inner, to, bytes);
        sent.or_else(|error| self.send_waiting(to, error, None))
    }

    /// As [`send`](Self::send), for a payload that is made already.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_payload(&self, to: Pid, payload: impl Into<Payload>) -> Result<(), SendError> {
        let sent = Host::send_payload(&**self.inner, to, payload.into());
        sent.or_else(|error| self.send_waiting(to, error, None))
    }

    /// Asks a process to end at once; `false` if it does not exist or is ending already.
    ///
    /// A handler that is running finishes first, one that awaits is dropped where it
    /// waits; what is queued becomes dead letters. From this call on the process is not
    /// alive and takes nothing more.
    pub fn stop(&self, pid: Pid, exit: impl Into<Exit>) -> bool {
        let exit = exit.into();
        match inside::whose() {
            Some(by) if by != pid => self.inner.supervision.stopped_by(by, pid, &exit, || {
                Host::stop(&**self.inner, pid, exit.clone())
            }),
            _ => Host::stop(&**self.inner, pid, exit),
        }
    }

    /// Asks a process to end after what is queued; reason `shutdown`. It takes nothing
    /// more from this call on. `false` if it does not exist or is ending already.
    pub fn drain(&self, pid: Pid) -> bool {
        let exit = Exit::from(ExitReason::Shutdown);
        self.inner
            .table
            .get(pid)
            .is_some_and(|process| process.stop(Lane::User, exit))
    }

    /// Blocks until the process has ended and all that follows from it is done, at most
    /// `timeout`; `None`: for ever. `true` if it has ended or never existed.
    ///
    /// # Errors
    ///
    /// [`JoinError::Itself`] if the calling thread is inside the code of `pid`.
    pub fn join(&self, pid: Pid, timeout: Option<Duration>) -> Result<bool, JoinError> {
        if inside::is(pid) {
            return Err(JoinError::Itself(pid));
        }
        let table = &self.inner.table;
        Ok(self
            .inner
            .exits
            .wait_gone(timeout, || table.get(pid).is_none()))
    }

    /// Whether `pid` exists and was not stopped. A process that drains is alive.
    pub fn is_alive(&self, pid: Pid) -> bool {
        Host::is_alive(&**self.inner, pid)
    }

    /// User messages not yet handed to the handler, or `None` if there is no such
    /// process.
    pub fn mailbox_size(&self, pid: Pid) -> Option<usize> {
        self.live(pid).map(|process| process.mailbox_size())
    }

    /// Replaces the behavior of a process and returns the new version's number, or `None`
    /// if there is no such process. The state survives, see [`Behavior::migrate`].
    ///
    /// The swap keeps its place among the messages: what was sent before is handled by
    /// the old behavior, what is sent after by the new.
    pub fn hot_swap(&self, pid: Pid, behavior: impl Behavior) -> Option<u32> {
        self.swap(Lane::User, pid, Arc::new(behavior))
    }

    /// As [`hot_swap`](Self::hot_swap), but what is queued is handled by the new
    /// behavior, too. It also replaces a swap that is still queued.
    pub fn hot_swap_now(&self, pid: Pid, behavior: impl Behavior) -> Option<u32> {
        self.swap(Lane::Signal, pid, Arc::new(behavior))
    }

    fn swap(&self, lane: Lane, pid: Pid, behavior: Arc<dyn Behavior>) -> Option<u32> {
        self.live(pid)?.swap(lane, behavior)
    }

    /// Goes back to the behavior before the last `steps` swaps and returns its number. The
    /// original and the last 15 others are kept; the rollback keeps its place among the
    /// messages as a swap does.
    ///
    /// # Errors
    ///
    /// [`RollbackError`]: there is no such process, or no version so far back.
    pub fn rollback_behavior(&self, pid: Pid, steps: usize) -> Result<u32, RollbackError> {
        let process = self.live(pid).ok_or(RollbackError::NotAlive)?;
        process.roll_back(Lane::User, steps)
    }

    /// The behavior that the last swap puts in force, though it may still wait among the
    /// messages; `None` if there is no such process.
    pub fn newest_behavior(&self, pid: Pid) -> Option<Arc<dyn Behavior>> {
        self.live(pid)?.newest_behavior()
    }

    /// The number of the behavior in force, or `None` if there is no such process.
    pub fn behavior_version(&self, pid: Pid) -> Option<u32> {
        self.live(pid).map(|process| process.behavior_version())
    }

    /// How many processes have ended since the runtime began.
    pub fn exit_counts(&self) -> ExitCounts {
        self.inner.exits.counts(self.inner.undertaker.late())
    }

    /// Processes in the table, those that are ending included.
    pub fn process_count(&self) -> usize {
        self.inner.table.len()
    }

    /// Blocks until no process has work, at most `timeout`; says whether it is quiet.
    /// Must not be called inside a handler: that is work.
    pub fn wait_quiet(&self, timeout: Duration) -> bool {
        self.inner.env.activity.wait_quiet(timeout)
    }

    /// Waits up to `drain` for all that is queued to be handled, then stops every process
    /// and waits up to 1 s more for handlers that are still running. Blocks; must not be
    /// called inside a handler. A second call finds nothing to do.
    ///
    /// Sends fail from the end of the draining on.
    pub fn shutdown(&self, drain: Duration) -> ShutdownReport {
        let before = self.dead_letters();
        #[cfg(feature = "mesh")]
        let drained_by = Instant::now() + drain;
        self.wait_quiet(drain);
        // What was handled may have sent to other nodes, which have to say that it has arrived.
        #[cfg(feature = "mesh")]
        self.close_mesh(
            drained_by
                .saturating_duration_since(Instant::now())
                .max(FAREWELL),
        );
        // First, or children that are stopped are started again.
        self.inner.supervision.close(&self.inner, STOP_PATIENCE);
        self.stop_all();
        let deadline = Instant::now() + STOP_PATIENCE;
        // A process that was being spawned meanwhile may have missed the first round.
        while self.process_count() > 0 && Instant::now() < deadline {
            self.stop_all();
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.wait_quiet(left) {
                break;
            }
        }
        // One that has left its handler and is being buried with a long queue is not stuck.
        let processes = self.inner.table.snapshot();
        let stuck = processes.iter().filter(|process| !process.is_over());
        let stuck = stuck.count() + self.inner.undertaker.at_work();
        self.inner.abandon_stuck();
        self.inner.end_threads();
        ShutdownReport {
            undelivered: self.dead_letters() - before + self.inner.exits.behind(),
            stuck,
        }
    }

    /// Refuses new processes and stops those that are there.
    fn stop_all(&self) {
        self.inner.shut_down.store(true, Ordering::SeqCst);
        for process in self.inner.table.snapshot() {
            process.stop(Lane::Signal, ExitReason::Shutdown.into());
        }
    }

    /// The actor of this runtime whose code the calling thread is inside of, if any: a handler,
    /// or the code of an actor that receives.
    pub fn inside(&self) -> Option<Pid> {
        inside::whose().filter(|pid| self.inner.table.get(*pid).is_some())
    }

    /// Whether the calling thread is inside a handler of this runtime.
    pub fn inside_handler(&self) -> bool {
        current_pid().is_some_and(|pid| self.inner.table.get(pid).is_some())
    }

    /// Whether [`shutdown`](Self::shutdown) has stopped taking work.
    pub fn is_shut_down(&self) -> bool {
        self.inner.is_shut_down()
    }

    /// Polls a future to its end on the runtime's own threads.
    pub(crate) fn drive(&self, future: iris_core::BoxFuture<()>) {
        self.inner.scheduler.drive(future);
    }

    /// The scheduler of Rust handlers. A guest language's scheduler has its futures polled
    /// by it, and does not keep the runtime alive by holding it.
    pub fn rust_scheduler(&self) -> Arc<dyn Scheduler> {
        self.inner.scheduler.clone()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn live(&self, pid: Pid) -> Option<Process> {
        self.inner.table.get(pid).filter(Process::is_alive)
    }

    pub(crate) fn as_host(&self) -> &dyn Host {
        &**self.inner
    }

    pub(crate) fn mourners(&self) -> &Mourners {
        &self.inner.mourners
    }

    pub(crate) fn exits(&self) -> &Exits {
        &self.inner.exits
    }

    /// Processes that have something to do.
    pub(crate) fn busy(&self) -> usize {
        self.inner.env.activity.busy()
    }

    pub(crate) fn waits(&self) -> &Arc<Waits> {
        &self.inner.waits
    }

    /// A timer of this runtime's, to be polled anywhere.
    pub(crate) fn sleep(&self, duration: Duration) -> Pin<Box<tokio::time::Sleep>> {
        let _context = self.inner.handle.enter();
        Box::pin(tokio::time::sleep(duration))
    }

    pub(crate) fn table(&self) -> &Table {
        &self.inner.table
    }

    pub(crate) fn family(&self) -> &Family {
        &self.inner.family
    }

    /// The runtime as its parts see it, without keeping it.
    pub fn host(&self) -> Weak<dyn Host> {
        let inner: Weak<Inner> = Arc::downgrade(&self.inner.0);
        inner
    }

    pub(crate) fn pull_threads(&self) -> Arc<PullThreads> {
        self.inner.pulls.clone()
    }

    #[cfg(test)]
    pub(crate) fn undertaker(&self) -> &Undertaker {
        &self.inner.undertaker
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.inner.timers
    }

    pub(crate) fn supervision(&self) -> &Supervision {
        &self.inner.supervision
    }

    pub(crate) fn registry(&self) -> &dyn Registry {
        &*self.inner.registry
    }
}

impl Inner {
    /// The Tokio runtime.
    pub(crate) fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::SeqCst)
    }

    /// A timer's time has come.
    fn fire(&self, due: Due) {
        match due {
            Due::Wake(pid) => drop(self.table.push(pid, Lane::Signal, Envelope::Wake)),
            Due::Send(to, message) => {
                self.send_for_timer(to, message);
            }
            Due::Tick(timer, to, message) => self.tick(timer, to, message),
        }
    }

    /// Sends the next message of an interval, unless the one before still waits: who was held up
    /// for long gets one of those that it has missed, and not all of them at once.
    fn tick(&self, timer: TimerId, to: Pid, message: Message) {
        let Some(process) = self.table.get(to) else {
            return;
        };
        let last = self.timers.last_tick(timer);
        if last.is_some_and(|last| process.is_before(last)) {
            return;
        }
        if self.send_for_timer(to, message) {
            self.timers.note_tick(timer, process.end_of_queue());
        }
    }

    /// Gives up the processes that did not end in time: what they have queued is buried,
    /// and nobody waits for them any more.
    fn abandon_stuck(&self) {
        for exited in self.family.give_up() {
            // The families are gone: no parent waits any more.
            let exited = self.undertaker.on_stop_apart(exited);
            self.exits.conclude(self, exited);
        }
        for exited in self.undertaker.give_up() {
            self.exits.conclude(self, exited);
        }
        for process in self.table.snapshot() {
            self.exits.abandon(self, process.pid());
        }
    }

    /// Tells the runtime's own threads to end, and does not wait for them: the caller may
    /// be one of them.
    fn end_threads(&self) {
        #[cfg(feature = "mesh")]
        self.mesh.stop();
        self.supervision.forget_factories();
        self.scheduler.shut_down();
        self.undertaker.close();
        let tokio = self
            .tokio
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tokio) = tokio {
            tokio.shutdown_background();
        }
    }
}

impl Drop for Inner {
    /// What is still queued is nobody's to handle any more: it is counted and shown.
    fn drop(&mut self) {
        self.end_threads();
        self.abandon_stuck();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("processes", &self.process_count())
            .field("shut_down", &self.is_shut_down())
            .finish_non_exhaustive()
    }
}
