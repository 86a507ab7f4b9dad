//! The right and the duty to run a process: who has it, and what it opens.

#![expect(unsafe_code, reason = "the duty stands for exclusive access to a cell")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use iris_core::{Behavior, Envelope, Exit, Host, Lane, Message, Pid, State};
use iris_mailbox::{Consumer, PushError, Refusal};

use crate::arena;
use crate::cell::Cell;
use crate::cohort::Cohort;
use crate::contain::drop_contained;
use crate::process::current_pid;
use crate::shift::{Held, with_own};
use crate::table::Table;

/// The right and the duty to run one slice of one process. One word.
///
/// There is never more than one for a process: that is what keeps two threads out of it.
/// One that is dropped unrun leaves the process unscheduled, with its messages, until the next
/// message to it schedules it again; a scheduler does that only when it shuts down.
///
/// **Invariant:** one exists where the mailbox's duty to look is with somebody, and only there:
/// it is made where a push, a signal or a seal has found the runner asleep, and unmade where the
/// mailbox is put to sleep.
pub struct Ready(Pid);

/// A place for one [`Ready`] that one thread fills and any thread empties.
#[derive(Debug, Default)]
pub(crate) struct ReadySlot(AtomicU64);

impl ReadySlot {
    /// Puts one into a slot that is empty. For the one thread that fills it, which knows.
    #[inline]
    pub(crate) fn fill(&self, process: Ready) {
        debug_assert_eq!(self.0.load(Ordering::Relaxed), 0, "the slot is empty");
        self.0
            .store(ManuallyDrop::new(process).0.raw(), Ordering::Release);
    }

    /// Takes it out, unless another thread has done so.
    #[inline]
    pub(crate) fn take(&self) -> Option<Ready> {
        // What was put in is taken out once: the exchange decides who gets it.
        Pid::from_raw(self.0.swap(0, Ordering::AcqRel)).map(Ready)
    }
}

/// The same with its cell at hand, for the length of a slice.
pub(crate) struct Duty {
    cell: &'static Cell,
    pid: Pid,
}

impl Ready {
    /// Whose turn it is.
    #[inline]
    pub fn pid(&self) -> Pid {
        self.0
    }

    /// Has the processor fetch what running it will need, for who has something else to do
    /// first: with very many processes none of it is in a cache.
    #[inline]
    pub fn prefetch(&self) {
        if let Some(cell) = arena::cell(self.0.slot()) {
            cell.prefetch();
        }
    }

    /// Runs one slice: until the mailbox is empty, or the process's budget or
    /// [`SLICE_TIME`](crate::SLICE_TIME) is spent. A process that has more to do comes
    /// back through [`Scheduler::ready`](crate::Scheduler::ready) before this returns.
    ///
    /// Never panics over user code: a panic ends the process.
    pub fn run(self) {
        self.run_guarded(|duty| with_own(duty, Duty::run_held));
    }

    #[inline]
    pub(crate) fn run_guarded(self, run: impl FnOnce(Duty)) {
        let pid = self.0;
        // Handlers are guarded one by one. What is left is a behavior or a state that
        // panics while it is dropped: it must not take the worker along.
        if catch_unwind(AssertUnwindSafe(|| run(self.duty()))).is_err() {
            tracing::error!(pid = pid.raw(), "a behavior panicked while it was dropped");
        }
    }

    #[inline]
    pub(crate) fn duty(self) -> Duty {
        let pid = ManuallyDrop::new(self).0;
        let cell = arena::cell(pid.slot()).expect("a process has a cell");
        Duty { cell, pid }
    }
}

impl Drop for Ready {
    #[cold]
    fn drop(&mut self) {
        drop(Self(self.0).duty());
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ready").field(&self.0).finish()
    }
}

impl Duty {
    #[inline]
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    #[inline]
    pub(crate) fn cell(&self) -> &'static Cell {
        self.cell
    }

    /// The mailbox, to take out of.
    #[inline]
    pub(crate) fn consumer(&self) -> Consumer<'_, impl Sized, impl Sized> {
        // SAFETY: the duty is this one's, and nobody takes out of a cell's mailbox without it
        // but those who evict.
        unsafe { self.cell.mailbox().consumer() }
    }

    #[inline]
    pub(crate) fn cohort(&self) -> &Arc<Cohort> {
        // SAFETY: the duty is this one's, and lives as long as the reference.
        unsafe { self.cell.cohort() }
    }

    #[inline]
    pub(crate) fn behavior(&self) -> &Arc<dyn Behavior> {
        // SAFETY: the duty is this one's; to replace the behavior takes it mutably.
        unsafe { self.cell.behavior() }
    }

    /// The behavior in force and what it remembers.
    #[inline]
    pub(crate) fn inside(&mut self) -> (&dyn Behavior, &mut Option<State>) {
        // SAFETY: the duty is this one's, borrowed mutably for both references; to replace
        // the behavior takes it mutably, too.
        unsafe { (&**self.cell.behavior(), self.cell.state()) }
    }

    /// What the process remembers.
    #[inline]
    pub(crate) fn state(&mut self) -> &mut Option<State> {
        self.inside().1
    }

    /// Puts another behavior in force, by a swap of the process's own in that place or by one
    /// of its cohort.
    pub(crate) fn replace_behavior(
        &mut self,
        next: Arc<dyn Behavior>,
        version: u32,
        order: Option<u64>,
    ) {
        // SAFETY: the duty is this one's, and borrowed mutably.
        let before = unsafe { self.cell.replace_behavior(Some(next), version, order) };
        drop_contained(self.pid, before);
    }

    /// Whether the end of the process is reported already.
    fn is_apart(&self) -> bool {
        // SAFETY: the duty is this one's.
        unsafe { self.cell.is_apart() }
    }

    /// Takes what the process is out of its cell.
    pub(crate) fn take_apart(&mut self) -> (Arc<dyn Behavior>, Option<State>) {
        let state = self.state().take();
        // SAFETY: the duty is this one's, and borrowed mutably.
        let behavior = unsafe { self.cell.replace_behavior(None, 0, None) };
        (behavior.expect("a process ends once"), state)
    }

    /// Puts the process to sleep if there is nothing to do; the duty is nobody's then.
    ///
    /// # Errors
    ///
    /// The duty, if something has come.
    #[inline]
    pub(crate) fn sleep(self) -> Result<(), Self> {
        let this = ManuallyDrop::new(self);
        this.cell.mailbox().set_running(false);
        if this.cell.mailbox().sleep_in(this.pid.generation()) {
            return Ok(());
        }
        this.cell.mailbox().set_running(true);
        Err(ManuallyDrop::into_inner(this))
    }

    /// Hands the duty to the scheduler, through a cohort that somebody keeps for so long.
    #[inline]
    pub(crate) fn schedule(self, cohort: &Cohort) {
        cohort.scheduler.ready(self.into());
    }

    /// Hands the duty of a process that begins to have work to its scheduler.
    pub(crate) fn begin(self) {
        // The process may end, and its cohort with it, before the scheduler returns.
        let cohort = self.cohort().clone();
        cohort.env.activity.begin();
        self.schedule(&cohort);
    }

    /// As [`begin`](Self::begin), for the table that the process is in.
    #[inline]
    pub(crate) fn begin_in(self, table: &Table) {
        let cohort = self.cohort();
        if !cohort.is_kept_by(table.number()) {
            return self.begin();
        }
        let cohort: *const Cohort = &raw const **cohort;
        // SAFETY: this table keeps the cohort for as long as it lives, and it is borrowed for
        // as long as this call.
        let cohort = unsafe { &*cohort };
        cohort.env.activity.begin();
        self.schedule(cohort);
    }

    /// As [`begin_in`](Self::begin_in), but handles one message on the calling thread if that is
    /// inside of no process, and the scheduler lends its processes out.
    pub(crate) fn begin_here(self, table: &Table, host: &dyn Host) {
        if current_pid().is_some() || !self.cohort().is_lent {
            return self.begin_in(table);
        }
        self.begin_inside(table, host);
    }

    /// As [`begin_here`](Self::begin_here), wherever the calling thread is and whatever the
    /// scheduler lends.
    pub(crate) fn begin_inside(self, table: &Table, host: &dyn Host) {
        let cohort = self.cohort();
        if !cohort.is_kept_by(table.number()) {
            return self.begin_in(table);
        }
        let cohort: *const Cohort = &raw const **cohort;
        // SAFETY: as in `begin_in`.
        let cohort = unsafe { &*cohort };
        cohort.env.activity.begin();
        let pid = self.pid;
        let run = || self.run_one(Held { cohort, host });
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            tracing::error!(pid = pid.raw(), "a behavior panicked while it was dropped");
        }
    }

    /// Gives the duty up at the end of the process, whose mailbox is closed. What is left is
    /// buried if the process was removed before, so that nobody else will do it.
    pub(crate) fn resign(self) -> Resigned {
        let this = ManuallyDrop::new(self);
        if this.cell.mailbox().resign(this.pid.generation()) {
            return Resigned(None);
        }
        Resigned(Some((this.cell, this.pid)))
    }
}

/// That the duty is given up; buries what is left of a process that was removed before.
#[must_use = "it buries when it is dropped"]
pub(crate) struct Resigned(Option<(&'static Cell, Pid)>);

impl Drop for Resigned {
    fn drop(&mut self) {
        if let Some((cell, pid)) = self.0.take() {
            // SAFETY: the life was over when the last duty in it was given up, and nobody else
            // buries then.
            unsafe { bury(cell, pid) };
        }
    }
}

impl From<Duty> for Ready {
    #[inline]
    fn from(duty: Duty) -> Self {
        Self(ManuallyDrop::new(duty).pid)
    }
}

impl Drop for Duty {
    #[cold]
    fn drop(&mut self) {
        let cohort = self.cohort().clone();
        let pid = self.pid;
        let _ends = cohort.env.activity.ends_with_this();
        // Given up from outside, it is buried here, and what had been taken up already is left.
        if let Err(left) = self.consumer().leave(pid.generation()) {
            drop(Resigned(Some((self.cell, pid))));
            if !left.is_empty() {
                (cohort.env.leftovers)(pid, left);
            }
        }
    }
}

/// Empties a cell whose life is over, and frees its slot.
///
/// # Safety
///
/// The life of `pid` has been ended and nobody has the duty, and nobody else does this.
unsafe fn bury(cell: &'static Cell, pid: Pid) {
    // SAFETY: by this function's contract the caller has the cell to itself.
    unsafe { cell.clear(pid) };
    arena::give_back(pid.slot(), arena::next_life(pid.generation()));
}

/// Begins a process in a slot of its own. `None` if there is none.
pub(crate) fn spawn(
    owner: u32,
    cohort: Arc<Cohort>,
    behavior: Arc<dyn Behavior>,
    options: crate::ProcessOptions,
) -> Option<Pid> {
    let (slot, cell) = arena::take()?;
    let pid = Pid::new(slot, cell.mailbox().life()).expect("a life is a generation");
    // SAFETY: the arena has given the slot to this thread alone.
    unsafe { cell.begin(owner, cohort, behavior, options) };
    Some(pid)
}

/// Ends the life of a process, whose mailbox is closed; `false` if it was over.
pub(crate) fn remove(cell: &'static Cell, pid: Pid, leave: impl FnOnce()) -> bool {
    let asleep = end_life(cell, pid, leave);
    if asleep == Some(true) {
        // SAFETY: this thread has just ended the life, in which nobody had the duty; and
        // nobody gets it any more, since the mailbox is closed.
        unsafe { bury(cell, pid) };
    }
    asleep.is_some()
}

/// Ends the life of a process that nobody will run again, or whose handler does not return:
/// what was in its mailbox, and how many user messages are beside that in the hands of
/// whoever runs it. `None` if the life was over.
pub(crate) fn give_up(
    cell: &'static Cell,
    pid: Pid,
    leave: impl FnOnce(),
) -> Option<(Vec<Message>, usize)> {
    let (mut left, behind) = cell.mailbox().close_from_outside(pid.generation());
    cell.tell_all(pid);
    if cell.receives()
        && let Some(duty) = cell.wake(pid)
    {
        if duty.is_apart() {
            // Its end is reported already.
            drop(duty.resign());
        } else {
            // It receives that nothing more will come.
            duty.begin();
        }
    }
    if !end_life(cell, pid, leave)? {
        return Some((left, behind));
    }
    // SAFETY: as in `remove`; so this thread may take out, too.
    let consumer = unsafe { cell.mailbox().consumer() };
    left.extend(consumer.close());
    // SAFETY: as in `remove`.
    unsafe { bury(cell, pid) };
    Some((left, 0))
}

/// Ends a life, and calls `leave` before anybody can see that; whether nobody had the duty, or `None`
/// if the life was over.
fn end_life(cell: &'static Cell, pid: Pid, leave: impl FnOnce()) -> Option<bool> {
    let life = pid.generation();
    // Before the next life: one who walks over all cells must not take it for begun.
    let mailbox = cell.mailbox();
    mailbox.end_life_with(life, arena::next_life(life), || {
        cell.disown();
        leave();
    })
}

impl Cell {
    /// Adds to a lane of the process with this pid; its turn, if the caller must see to it.
    #[inline]
    pub(crate) fn push(
        &'static self,
        pid: Pid,
        lane: Lane,
        envelope: Envelope,
    ) -> Result<Option<Duty>, PushError> {
        let wake = self.mailbox().push_in(pid.generation(), lane, envelope)?;
        Ok(wake.then(|| Duty { cell: self, pid }))
    }

    /// As [`push`](Self::push) into the user lane, whether there is room or not.
    pub(crate) fn push_over(
        &'static self,
        pid: Pid,
        envelope: Envelope,
    ) -> Result<Option<Duty>, PushError> {
        let wake = self.mailbox().push_over(pid.generation(), envelope)?;
        Ok(wake.then(|| Duty { cell: self, pid }))
    }

    /// Adds a few bytes to the user lane; as [`push`](Self::push).
    #[inline]
    pub(crate) fn push_inline(
        &'static self,
        pid: Pid,
        bytes: &[u8],
    ) -> Result<Option<Duty>, Refusal> {
        let wake = self.mailbox().push_inline(pid.generation(), bytes)?;
        Ok(wake.then(|| Duty { cell: self, pid }))
    }

    /// The turn of the process with this pid, if nobody has it.
    pub(crate) fn wake(&'static self, pid: Pid) -> Option<Duty> {
        let wake = self.mailbox().wake_in(pid.generation());
        wake.then(|| Duty { cell: self, pid })
    }

    /// Seals the mailbox of the process with this pid, and sees to it that the process runs;
    /// `false` if it was sealed.
    pub(crate) fn seal(&'static self, pid: Pid, lane: Lane, exit: Exit) -> bool {
        let wake = self.mailbox().seal_in(pid.generation(), lane, exit);
        if wake == Some(true) {
            Duty { cell: self, pid }.begin();
        }
        self.tell_all(pid);
        wake.is_some()
    }
}
