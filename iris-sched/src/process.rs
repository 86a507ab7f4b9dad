//! A process as others see it.

use std::cell::Cell as ThreadCell;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use iris_core::{Behavior, BehaviorVersion, Envelope, Exit, Lane, Message, Pid};
use tokio::sync::Notify;

use crate::cell::Cell;
use crate::contain::drop_contained;
use crate::duty;
use crate::rare::{Rare, StopHook};
use crate::swap::{History, RollbackError};

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
    /// Reductions for each slice, at least 1 and at most 2^30 - 1.
    pub budget_reductions: u32,
    /// When its state comes and goes.
    pub activation: Activation,
    /// User messages that may wait, beyond which a message is refused; `None`: any number.
    pub capacity: Option<NonZeroU32>,
    /// Whether its code receives by hand, through [`Turn`](crate::Turn)s. Such a process has
    /// no behavior that could be swapped.
    pub receives: bool,
}

impl Default for ProcessOptions {
    /// 100 reductions, permanent, unbounded.
    fn default() -> Self {
        Self {
            budget_reductions: 100,
            activation: Activation::Permanent,
            capacity: None,
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

/// One actor, for as long as it lives and after: a process that has ended refuses what is
/// asked of it, and its successor in the same place is never meant. Two words, to copy.
#[derive(Clone, Copy)]
pub struct Process {
    cell: &'static Cell,
    pid: Pid,
}

thread_local! {
    static CURRENT: ThreadCell<Option<Pid>> = const { ThreadCell::new(None) };
}

/// The process whose handler the calling thread is inside of, if any.
pub fn current_pid() -> Option<Pid> {
    CURRENT.get()
}

/// Runs `code` as code of `pid`, for those who run it outside of slices.
#[inline]
pub fn run_as<T>(pid: Pid, code: impl FnOnce() -> T) -> T {
    let _running = Running::enter(pid);
    code()
}

/// Forgets whose handler the calling thread is inside of: for the child of a `fork` inside
/// a handler, which is no actor of anybody's.
pub fn forget_current_pid() {
    CURRENT.set(None);
}

/// Names the running process for as long as it lives.
pub(crate) struct Running(Option<Pid>);

impl Running {
    #[inline]
    pub(crate) fn enter(pid: Pid) -> Self {
        Self(CURRENT.replace(Some(pid)))
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl Process {
    #[inline]
    pub(crate) fn new(cell: &'static Cell, pid: Pid) -> Self {
        Self { cell, pid }
    }

    /// Who it is.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn cell(&self) -> &'static Cell {
        self.cell
    }

    fn life(&self) -> u32 {
        self.pid.generation()
    }

    /// Puts a message into the user lane and sees to it that the process runs.
    ///
    /// FIFO for each sender. Never waits.
    ///
    /// # Errors
    ///
    /// The message comes back if the process is ending.
    #[inline]
    pub fn send(&self, message: Message) -> Result<(), Message> {
        match self.cell.push(self.pid, Lane::User, message.into()) {
            Ok(ready) => {
                if let Some(ready) = ready {
                    ready.begin();
                }
                Ok(())
            }
            Err(error) => Err(error.0.into_message().expect("it was a message")),
        }
    }

    /// Puts a system message or wake-up into the signal lane; `false` if the process
    /// has ended.
    pub fn signal(&self, envelope: Envelope) -> bool {
        self.push(Lane::Signal, envelope)
    }

    fn push(&self, lane: Lane, envelope: Envelope) -> bool {
        let pushed = self.cell.push(self.pid, lane, envelope);
        if let Ok(Some(ready)) = pushed {
            ready.begin();
            return true;
        }
        pushed.is_ok()
    }

    /// Replaces the behavior and returns the new version's number, or `None` if the
    /// process is ending or receives by hand.
    ///
    /// In [`Lane::User`] the swap keeps its place among the messages: what was sent
    /// before is handled by the old behavior, what is sent after by the new. In
    /// [`Lane::Signal`] it applies to what is queued, too; a swap that still waits in the
    /// queue is older then and passed over when its turn comes.
    pub fn swap(&self, lane: Lane, behavior: Arc<dyn Behavior>) -> Option<u32> {
        self.swap_by(lane, |history| Ok(history.advance(behavior)))
            .ok()
    }

    /// Goes back to the behavior that was to be in force `steps` swaps ago, and returns its
    /// number. The original and the last 15 others are kept. A rollback is a swap: it takes
    /// its place among the messages, and the state is handed to that behavior's `migrate`.
    ///
    /// # Errors
    ///
    /// [`RollbackError`].
    pub fn roll_back(&self, lane: Lane, steps: usize) -> Result<u32, RollbackError> {
        self.swap_by(lane, |history| history.go_back(steps))
    }

    fn swap_by(
        &self,
        lane: Lane,
        next: impl FnOnce(&mut History) -> Result<crate::swap::Swap<'_>, RollbackError>,
    ) -> Result<u32, RollbackError> {
        // Sealed mailboxes still take signals, but a process on its way out, be it by
        // draining, is not swapped any more.
        if self.cell.receives() || !self.cell.mailbox().is_open() {
            return Err(RollbackError::NotAlive);
        }
        let mut lock = self.cell.rare();
        let in_force = self.cell.behavior_under(&lock, self.life());
        let behavior = in_force.ok_or(RollbackError::NotAlive)?;
        let version = self.cell.version();
        let group_version = self.cell.newest_group_version(&lock);
        let rare = lock.get_or_insert_default();
        let history = rare
            .history
            .get_or_insert_with(|| History::new(BehaviorVersion { version, behavior }));
        let swap = next(history)?;
        let pushed = match self.cell.push(self.pid, lane, swap.envelope(group_version)) {
            Ok(ready) => Ok((ready, swap.done())),
            Err(refused) => Err((refused, swap.undone())),
        };
        drop(lock);
        let (ready, (version, forgotten)) = pushed.map_err(|refused| {
            drop_contained(self.pid, refused);
            RollbackError::NotAlive
        })?;
        if let Some(ready) = ready {
            ready.begin();
        }
        drop_contained(self.pid, forgotten);
        Ok(version)
    }

    /// Asks the process to end: after what is queued with [`Lane::User`], with its next
    /// look into the mailbox with [`Lane::Signal`]. `false` if it is ending already.
    pub fn stop(&self, lane: Lane, exit: Exit) -> bool {
        if !self.cell.seal(self.pid, lane, exit) {
            return false;
        }
        if lane == Lane::Signal {
            let told = self.rare(|rare| (rare.interrupt.clone(), rare.stop_hook.clone()));
            let (interrupt, hook) = told.unwrap_or_default();
            if let Some(interrupt) = interrupt {
                interrupt.notify_one();
            }
            if let Some(hook) = hook {
                hook(self.pid);
            }
        }
        true
    }

    /// Waits until the process is told to stop at once, which overtakes its messages, or has
    /// ended.
    pub async fn told_to_stop(self) {
        let Some(interrupt) = self.interrupt() else {
            return;
        };
        // Told before there was anything to notify, or else the notification is kept.
        if self.is_alive() {
            interrupt.notified().await;
        }
    }

    /// Has `hook` called when the process is told to stop at once, on the thread that does so,
    /// which it must not block; here and now if it was told already. A process has one hook for
    /// its life, the first.
    pub fn when_told_to_stop(&self, hook: &Arc<StopHook>) {
        let mut rare = self.cell.rare();
        if self.cell.mailbox().life() != self.life() {
            return;
        }
        let rare = rare.get_or_insert_default();
        rare.stop_hook.get_or_insert_with(|| hook.clone());
        // Sealed before the hook is looked for: one of the two sees the other.
    }

    /// What is notified when the process is told to stop; `None` if it has ended.
    pub(crate) fn interrupt(&self) -> Option<Arc<Notify>> {
        let mut rare = self.cell.rare();
        if self.cell.mailbox().life() != self.life() {
            return None;
        }
        let rare = rare.get_or_insert_default();
        Some(rare.interrupt.get_or_insert_default().clone())
    }

    /// Whether it can still handle what is queued: neither stopped nor ended.
    #[inline]
    pub fn is_alive(&self) -> bool {
        // The gate before the life: of a successor's gate nobody asked.
        self.cell.mailbox().is_alive() && self.cell.mailbox().life() == self.life()
    }

    /// Whether its handler will never be called again.
    pub fn is_over(&self) -> bool {
        self.cell.mailbox().is_closed() || self.cell.mailbox().life() != self.life()
    }

    /// Whether its code receives by hand, through [`Turn`](crate::Turn)s.
    pub fn receives(&self) -> bool {
        self.look(Cell::receives).unwrap_or(false)
    }

    /// Whether it is activated by its first message.
    pub fn is_virtual(&self) -> bool {
        self.look(Cell::is_virtual).unwrap_or(false)
    }

    /// User messages not yet handed to the handler; 0 once it has ended.
    pub fn mailbox_size(&self) -> usize {
        let queued = self.look(|cell| cell.mailbox().len()).unwrap_or(0);
        queued + self.rare(|rare| rare.set_aside).unwrap_or(0)
    }

    /// How many user messages will have been taken out, modulo 2^32, once those that wait now
    /// are.
    pub fn end_of_queue(&self) -> u32 {
        let end = self.look(|cell| {
            let mailbox = cell.mailbox();
            #[expect(clippy::cast_possible_truncation, reason = "a mailbox holds fewer")]
            let waiting = mailbox.len() as u32;
            mailbox.popped().wrapping_add(waiting)
        });
        end.unwrap_or(0)
    }

    /// Whether some of those are still there that waited when that was the
    /// [end](Self::end_of_queue).
    pub fn is_before(&self, end: u32) -> bool {
        let popped = self.look(|cell| cell.mailbox().popped());
        popped.is_some_and(|popped| popped.wrapping_sub(end).cast_signed() < 0)
    }

    /// Messages handed to the handler so far, system messages included; 0 once it has left
    /// its table.
    pub fn handled(&self) -> u64 {
        self.look(Cell::handled).unwrap_or(0)
    }

    /// The number of the behavior in force; the original is 1, and 0 stands for none.
    pub fn behavior_version(&self) -> u32 {
        self.look(Cell::version).unwrap_or(0)
    }

    /// The name of the behavior in force; empty once it has ended.
    pub fn behavior_name(&self) -> String {
        let behavior = self.cell.behavior_of(self.life());
        behavior.map_or_else(String::new, |behavior| behavior.name().to_owned())
    }

    /// The behavior that the last swap puts in force, though it may still wait in the queue;
    /// `None` once the process has ended.
    pub fn newest_behavior(&self) -> Option<Arc<dyn Behavior>> {
        let swapped = self.rare(|rare| rare.history.as_ref().map(History::newest));
        let swapped = swapped.flatten();
        swapped.or_else(|| self.cell.behavior_of(self.life()))
    }

    /// What it is doing at this moment.
    pub fn status(&self) -> Status {
        self.look(|cell| {
            let mailbox = cell.mailbox();
            if mailbox.is_closed() {
                Status::Exited
            } else if mailbox.is_running() {
                Status::Running
            } else if !mailbox.is_asleep() {
                Status::Scheduled
            } else if cell.is_virtual() && !self.is_active() {
                Status::Reserved
            } else {
                Status::Idle
            }
        })
        .unwrap_or(Status::Exited)
    }

    fn is_active(&self) -> bool {
        self.rare(|rare| rare.idle.is_some_and(|idle| idle.active))
            .unwrap_or(false)
    }

    /// What `read` says, if the life was not over afterwards.
    fn look<T>(&self, read: impl FnOnce(&Cell) -> T) -> Option<T> {
        let seen = read(self.cell);
        (self.cell.mailbox().life() == self.life()).then_some(seen)
    }

    /// What is in the rare part of this life, if there is one.
    fn rare<T>(&self, read: impl FnOnce(&mut Rare) -> T) -> Option<T> {
        let mut rare = self.cell.rare();
        if self.cell.mailbox().life() != self.life() {
            return None;
        }
        rare.as_deref_mut().map(read)
    }

    /// Ends its life: its pid leads to nobody from now on; `false` if it was over. The mailbox
    /// must be closed.
    pub(crate) fn remove(&self, leave: impl FnOnce()) -> bool {
        duty::remove(self.cell, self.pid, leave)
    }

    /// As [`remove`](Self::remove), whatever it is doing; see [`Table::give_up`].
    ///
    /// [`Table::give_up`]: crate::Table::give_up
    pub(crate) fn give_up(&self, leave: impl FnOnce()) -> Option<(Vec<Message>, usize)> {
        duty::give_up(self.cell, self.pid, leave)
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
