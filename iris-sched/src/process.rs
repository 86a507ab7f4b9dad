//! Mailbox, behavior and state as one thing.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use iris_core::{
    Behavior, BehaviorVersion, Clock, Envelope, Exit, ExitSink, Exited, Host, Lane, Message, Pid,
    State,
};
use iris_mailbox::{Mailbox, PushError};
use tokio::sync::Notify;

use crate::activity::Activity;
use crate::scheduler::{Ready, Scheduler};
use crate::state::{Phase, StateWord};
use crate::swap::{History, RollbackError, Swap};

/// What all processes of a runtime share.
pub struct Environment {
    /// The runtime, for handlers.
    pub host: Weak<dyn Host>,
    /// Where ends are reported.
    pub exits: Weak<dyn ExitSink>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Counts processes that have work.
    pub activity: Activity,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}

/// When the state of a process is made, and when it is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// It lives until it ends.
    #[default]
    Permanent,
    /// A virtual actor: a reserved pid until the first message.
    Virtual {
        /// Give up after this long without a message; `None`: never.
        idle_timeout: Option<Duration>,
        /// What giving up means: `true` drops the state and keeps the pid, to be made
        /// anew by a later message; `false` ends the process.
        reactivate: bool,
    },
}

/// What a process is made of, beside its behavior.
#[derive(Clone, Copy, Debug)]
pub struct ProcessOptions {
    /// Reductions for each slice, at least 1.
    pub budget_reductions: u32,
    /// When its state comes and goes.
    pub activation: Activation,
    /// Whether its code receives by hand, through [`Turn`](crate::Turn)s. Such a process has
    /// no behavior that could be swapped.
    pub receives: bool,
}

impl Default for ProcessOptions {
    /// 100 reductions, permanent.
    fn default() -> Self {
        Self {
            budget_reductions: 100,
            activation: Activation::Permanent,
            receives: false,
        }
    }
}

/// What a process is doing, as `info` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// A virtual actor that is not activated.
    Reserved,
    /// Waiting for a message.
    Idle,
    /// In its scheduler's queue.
    Scheduled,
    /// Handling a message.
    Running,
    /// Ended.
    Exited,
}

impl Status {
    /// The word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Idle => "idle",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Exited => "exited",
        }
    }
}

/// One actor.
pub struct Process {
    pub(crate) pid: Pid,
    pub(crate) mailbox: Mailbox,
    pub(crate) word: StateWord,
    pub(crate) options: ProcessOptions,
    pub(crate) scheduler: Arc<dyn Scheduler>,
    pub(crate) env: Arc<Environment>,
    pub(crate) active: AtomicBool,
    pub(crate) handled: AtomicU64,
    /// Messages that a receiving actor took out and passed over; they are still to be handled.
    pub(crate) set_aside: AtomicUsize,
    /// The version in force, for readers outside; the runner keeps its own reference.
    pub(crate) in_force: ArcSwap<BehaviorVersion>,
    /// Made with the first swap. The lock also keeps the swaps of one lane in their order.
    history: Mutex<Option<Box<History>>>,
    /// Only the runner locks it, so it never waits.
    pub(crate) body: Mutex<Body>,
    /// Made when a handler first awaits; wakes the future's driver when the process is
    /// stopped.
    pub(crate) interrupt: OnceLock<Notify>,
}

/// What only the running thread touches.
pub(crate) struct Body {
    pub(crate) behavior: Arc<BehaviorVersion>,
    /// The place of that swap among all swaps of the process; 0 for the original.
    pub(crate) swap_order: u64,
    pub(crate) state: Option<State>,
    pub(crate) last_active: Option<Instant>,
}

thread_local! {
    static CURRENT: Cell<Option<Pid>> = const { Cell::new(None) };
}

/// The process whose handler the calling thread is inside of, if any.
pub fn current_pid() -> Option<Pid> {
    CURRENT.get()
}

/// Forgets whose handler the calling thread is inside of: for the child of a `fork` inside
/// a handler, which is no actor of anybody's.
pub fn forget_current_pid() {
    CURRENT.set(None);
}

/// Names the running process for as long as it lives.
pub(crate) struct Running(Option<Pid>);

impl Running {
    pub(crate) fn enter(pid: Pid) -> Self {
        Self(CURRENT.replace(Some(pid)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl Process {
    /// A process at rest: it runs when something is sent to it.
    pub fn new(
        pid: Pid,
        behavior: Arc<dyn Behavior>,
        options: ProcessOptions,
        scheduler: Arc<dyn Scheduler>,
        env: Arc<Environment>,
    ) -> Arc<Self> {
        let behavior = Arc::new(BehaviorVersion::original(behavior));
        Arc::new(Self {
            pid,
            mailbox: Mailbox::new(),
            word: StateWord::default(),
            options,
            scheduler,
            env,
            active: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            set_aside: AtomicUsize::new(0),
            in_force: ArcSwap::new(behavior.clone()),
            history: Mutex::new(None),
            body: Mutex::new(Body {
                behavior,
                swap_order: 0,
                state: None,
                last_active: None,
            }),
            interrupt: OnceLock::new(),
        })
    }

    /// Who it is.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Puts a message into the user lane and sees to it that the process runs.
    ///
    /// FIFO for each sender. Never waits.
    ///
    /// # Errors
    ///
    /// The message comes back if the process is ending.
    #[inline]
    pub fn send(self: &Arc<Self>, message: Message) -> Result<(), Message> {
        match self.push(Lane::User, Envelope::Message(message)) {
            Err(PushError(Envelope::Message(message))) => Err(message),
            // An envelope comes back as it went in; nothing else can be in there.
            Err(PushError(_)) | Ok(()) => Ok(()),
        }
    }

    /// Puts a system message or wake-up into the signal lane; `false` if the process
    /// has ended.
    pub fn signal(self: &Arc<Self>, envelope: Envelope) -> bool {
        self.push(Lane::Signal, envelope).is_ok()
    }

    /// Replaces the behavior and returns the new version's number, or `None` if the
    /// process is ending or receives by hand.
    ///
    /// In [`Lane::User`] the swap keeps its place among the messages: what was sent
    /// before is handled by the old behavior, what is sent after by the new. In
    /// [`Lane::Signal`] it applies to what is queued, too; a swap that still waits in the
    /// queue is older then and passed over when its turn comes.
    pub fn swap(self: &Arc<Self>, lane: Lane, behavior: Arc<dyn Behavior>) -> Option<u32> {
        let mut history = self.history();
        self.send_swap(
            lane,
            history
                .get_or_insert_with(|| Box::new(self.first_history()))
                .advance(behavior),
        )
    }

    /// Goes back to the behavior that was to be in force `steps` swaps ago, and returns its
    /// number. The original and the last 15 others are kept. A rollback is a swap: it takes
    /// its place among the messages, and the state is handed to that behavior's `migrate`.
    ///
    /// # Errors
    ///
    /// [`RollbackError`].
    pub fn roll_back(self: &Arc<Self>, lane: Lane, steps: usize) -> Result<u32, RollbackError> {
        let mut history = self.history();
        let history = history.get_or_insert_with(|| Box::new(self.first_history()));
        let swap = history.go_back(steps)?;
        self.send_swap(lane, swap).ok_or(RollbackError::NotAlive)
    }

    fn send_swap(self: &Arc<Self>, lane: Lane, swap: Swap<'_>) -> Option<u32> {
        // Sealed mailboxes still take signals, but a process on its way out, be it by
        // draining, is not swapped any more.
        if self.options.receives
            || !self.mailbox.is_open()
            || self.push(lane, swap.envelope()).is_err()
        {
            return None;
        }
        Some(swap.done())
    }

    fn history(&self) -> MutexGuard<'_, Option<Box<History>>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_history(&self) -> History {
        History::new(self.in_force.load_full())
    }

    /// Asks the process to end: after what is queued with [`Lane::User`], with its next
    /// look into the mailbox with [`Lane::Signal`]. `false` if it is ending already.
    pub fn stop(self: &Arc<Self>, lane: Lane, exit: Exit) -> bool {
        let sealed = self.mailbox.seal(lane, exit);
        if sealed {
            self.wake();
            if lane == Lane::Signal
                && let Some(interrupt) = self.interrupt.get()
            {
                interrupt.notify_one();
            }
        }
        sealed
    }

    /// Waits until the process is told to stop at once, which overtakes its messages.
    pub async fn told_to_stop(&self) {
        let interrupt = self.interrupt.get_or_init(Notify::new);
        // Told before there was anything to notify, or else the notification is kept.
        if self.mailbox.is_alive() {
            interrupt.notified().await;
        }
    }

    /// Closes the mailbox of a process that nobody will run again; what was in it.
    ///
    /// A receiving actor is woken, to find that nothing more will come.
    pub fn abandon(self: &Arc<Self>) -> Vec<Message> {
        let left = self.mailbox.close();
        if self.options.receives {
            self.wake();
        }
        left
    }

    /// Whether it can still handle what is queued: neither stopped nor ended.
    #[inline]
    pub fn is_alive(&self) -> bool {
        self.mailbox.is_alive()
    }

    /// User messages not yet handed to the handler.
    pub fn mailbox_size(&self) -> usize {
        self.mailbox.len() + self.set_aside.load(Ordering::Relaxed)
    }

    /// Messages handed to the handler so far, system messages included.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// The number of the behavior in force; the original is 1.
    pub fn behavior_version(&self) -> u32 {
        self.in_force.load().version
    }

    /// The name of the behavior in force.
    pub fn behavior_name(&self) -> String {
        self.in_force.load().behavior.name().to_owned()
    }

    /// What it is doing at this moment.
    pub fn status(&self) -> Status {
        match self.word.phase() {
            Phase::Idle => {
                let dormant = matches!(self.options.activation, Activation::Virtual { .. })
                    && !self.active.load(Ordering::Acquire);
                if dormant {
                    Status::Reserved
                } else {
                    Status::Idle
                }
            }
            Phase::Scheduled => Status::Scheduled,
            Phase::Running => Status::Running,
            Phase::Ended => Status::Exited,
        }
    }

    #[inline]
    fn push(self: &Arc<Self>, lane: Lane, envelope: Envelope) -> Result<(), PushError> {
        self.mailbox.push(lane, envelope)?;
        self.wake();
        Ok(())
    }

    #[inline]
    fn wake(self: &Arc<Self>) {
        if self.word.notify() {
            self.env.activity.begin();
            self.scheduler.ready(Ready(self.clone()));
        }
    }

    /// Reports the end. The body is handed over, so the state is dropped by the pipeline.
    pub(crate) fn report_exit(&self, body: &mut Body, exit: Exit, remaining: Vec<Message>) {
        self.word.end();
        let exited = Exited {
            pid: self.pid,
            exit,
            behavior: body.behavior.clone(),
            state: body.state.take(),
            remaining,
        };
        if let Some(exits) = self.env.exits.upgrade() {
            exits.exited(exited);
        } else if !exited.remaining.is_empty() {
            // Only what a receiving actor had set aside when its runtime was dropped.
            let count = exited.remaining.len();
            tracing::warn!(
                pid = self.pid.raw(),
                count,
                "messages outlived their runtime"
            );
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid)
            .field("status", &self.status())
            .field("mailbox_size", &self.mailbox_size())
            .finish_non_exhaustive()
    }
}
