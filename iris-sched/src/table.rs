//! Pids to processes.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use iris_core::{Behavior, Envelope, Host, Lane, Message, Pid};
use iris_mailbox::{PushError, Refusal};
use thiserror::Error;

use crate::arena;
use crate::cohort::Cohort;
use crate::duty;
use crate::process::{Process, ProcessOptions};

/// The process table of one runtime.
///
/// A look-up is one page load and one compare, with no lock, no hash and no count of
/// references. A slot that becomes free is used again after all others that were free before
/// it, under its next generation; one that has been through all generations is retired. The
/// slots are shared by all tables of a program, so that two of them never give out the same
/// pid; a table finds its own processes only.
#[derive(Debug)]
pub struct Table {
    number: u32,
    live: AtomicUsize,
    /// Held while the policy of a process is set: two at a time could make a circle.
    pub(crate) policies: Mutex<()>,
    kept: Mutex<Vec<Arc<Cohort>>>,
}

/// All slots of the process table are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the process table is full: {limit} processes are alive")]
pub struct TableFull {
    /// How many processes there can be at a time.
    pub limit: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// Processes that all tables of a program can hold at a time: 16,777,216.
    pub const LIMIT: usize = arena::LIMIT as usize;

    /// An empty table. Costs no memory; pages of 128 KiB are made as processes come.
    pub fn new() -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(1);
        Self {
            number: TABLES.fetch_add(1, Ordering::Relaxed),
            live: AtomicUsize::new(0),
            policies: Mutex::new(()),
            kept: Mutex::default(),
        }
    }

    /// Keeps a cohort for as long as this table lives. Messages to its processes in this table
    /// need not keep it then, which saves some 20 ns for each that wakes one. For the few
    /// cohorts that a runtime always has.
    pub fn keep(&self, cohort: &Arc<Cohort>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(cohort.clone());
        // Said after it is done: whoever believes it finds it so.
        cohort.keep(self.number);
    }

    /// Begins a process, at rest: it runs when something is sent to it.
    ///
    /// # Errors
    ///
    /// [`TableFull`] with [`LIMIT`](Self::LIMIT) processes alive.
    pub fn spawn(
        &self,
        cohort: Arc<Cohort>,
        behavior: Arc<dyn Behavior>,
        options: ProcessOptions,
    ) -> Result<Pid, TableFull> {
        // Before there is a process that somebody could remove.
        self.live.fetch_add(1, Ordering::Relaxed);
        let pid = duty::spawn(self.number, cohort, behavior, options);
        pid.ok_or_else(|| {
            self.live.fetch_sub(1, Ordering::Relaxed);
            TableFull { limit: Self::LIMIT }
        })
    }

    /// Puts an envelope into a lane of a process and sees to it that the process runs.
    ///
    /// FIFO for each sender and lane. Never waits.
    ///
    /// # Errors
    ///
    /// The envelope comes back, with the reason; [`Refusal::Over`] also stands for a process
    /// that never was.
    #[inline]
    pub fn push(&self, to: Pid, lane: Lane, envelope: Envelope) -> Result<(), PushError> {
        match arena::cell(to.slot()) {
            Some(cell) if cell.owner() == self.number => {
                if let Some(ready) = cell.push(to, lane, envelope)? {
                    ready.begin_in(self);
                }
                Ok(())
            }
            _ => Err(PushError(envelope, Refusal::Over)),
        }
    }

    /// As [`push`](Self::push) into the user lane, whether the mailbox has room or not.
    pub(crate) fn push_over(&self, to: Pid, envelope: Envelope) -> Result<(), PushError> {
        match arena::cell(to.slot()) {
            Some(cell) if cell.owner() == self.number => {
                if let Some(ready) = cell.push_over(to, envelope)? {
                    ready.begin_in(self);
                }
                Ok(())
            }
            _ => Err(PushError(envelope, Refusal::Over)),
        }
    }

    /// As [`push`](Self::push) into the user lane, of a copy of at most
    /// [`Payload::INLINE`](iris_core::Payload::INLINE) bytes.
    ///
    /// # Errors
    ///
    /// As there; the bytes are the caller's still.
    #[inline]
    pub fn push_inline(&self, to: Pid, bytes: &[u8]) -> Result<(), Refusal> {
        match arena::cell(to.slot()) {
            Some(cell) if cell.owner() == self.number => {
                if let Some(ready) = cell.push_inline(to, bytes)? {
                    ready.begin_in(self);
                }
                Ok(())
            }
            _ => Err(Refusal::Over),
        }
    }

    /// As [`push`](Self::push), for one who is going to wait for what comes of it: handles one
    /// message of an idle process on the calling thread, if its scheduler
    /// [lends](crate::Scheduler::lends) it and the thread is inside of no handler. `host` is the
    /// runtime, for that handler; its cohort must be one that this table [keeps](Self::keep).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_and_run(
        &self,
        to: Pid,
        envelope: Envelope,
        host: &dyn Host,
    ) -> Result<(), PushError> {
        match arena::cell(to.slot()) {
            Some(cell) if cell.owner() == self.number => {
                if let Some(ready) = cell.push(to, Lane::User, envelope)? {
                    ready.begin_here(self, host);
                }
                Ok(())
            }
            _ => Err(PushError(envelope, Refusal::Over)),
        }
    }

    /// As [`push_and_run`](Self::push_and_run), on whatever thread and inside of whatever
    /// handler: for a guest language, which knows that the thread may run its handlers.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_and_run_inside(
        &self,
        to: Pid,
        envelope: Envelope,
        host: &dyn Host,
    ) -> Result<(), PushError> {
        match arena::cell(to.slot()) {
            Some(cell) if cell.owner() == self.number => {
                if let Some(ready) = cell.push(to, Lane::User, envelope)? {
                    ready.begin_inside(self, host);
                }
                Ok(())
            }
            _ => Err(PushError(envelope, Refusal::Over)),
        }
    }

    /// No other table has it.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The process with this pid, unless it has been removed.
    #[inline]
    pub fn get(&self, pid: Pid) -> Option<Process> {
        let cell = arena::cell(pid.slot())?;
        let lives = cell.owner() == self.number && cell.mailbox().life() == pid.generation();
        lives.then(|| Process::new(cell, pid))
    }

    /// Takes a process out and frees its slot; `false` if it was not there. Its mailbox must
    /// be closed.
    ///
    /// A sender that found the process before cannot reach a successor in the same slot. What
    /// is in the middle of running it goes on until it looks into the mailbox; the slot is
    /// free only then.
    pub fn remove(&self, pid: Pid) -> bool {
        self.get(pid)
            .is_some_and(|process| process.remove(|| self.leave()))
    }

    /// Counts one out, before who waits for its end can see that it has come.
    fn leave(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes out a process that nobody will run again, or whose handler does not return: what
    /// was in its mailbox, and how many user messages beside that are in the hands of whoever
    /// runs it. Those come out when that one looks again, if it ever does: with the exit that
    /// it reports, or as [`leftovers`](crate::Environment::leftovers). `None` if it was not
    /// there.
    pub fn give_up(&self, pid: Pid) -> Option<(Vec<Message>, usize)> {
        self.get(pid)?.give_up(|| self.leave())
    }

    /// Processes in the table.
    pub fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether there is no process.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The processes at this moment, in the order of their slots. Walks all slots that
    /// were ever used; for shutdown and inspection, not for every day.
    pub fn snapshot(&self) -> Vec<Process> {
        arena::all()
            .filter(|(_, cell)| cell.owner() == self.number)
            .filter_map(|(slot, cell)| self.get(Pid::new(slot, cell.mailbox().life())?))
            .collect()
    }
}

impl Drop for Table {
    /// Ends the processes that are still there: cells outlive their table.
    fn drop(&mut self) {
        for process in self.snapshot() {
            self.give_up(process.pid());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Weak;

    use iris_core::{BoxFuture, ExitSink, Exited, SendError, Step, SystemClock, handler};

    use super::*;
    use crate::activity::Activity;
    use crate::cohort::Environment;
    use crate::duty::Ready;
    use crate::scheduler::Scheduler;

    struct Nobody;

    impl Scheduler for Nobody {
        fn ready(&self, _: Ready) {}
        fn drive(&self, _: BoxFuture<()>) {}
    }

    impl Host for Nobody {
        fn send(&self, to: Pid, message: Message) -> Result<(), SendError> {
            Err(SendError::NoProc { to, message })
        }
        fn stop(&self, _: Pid, _: iris_core::Exit) -> bool {
            false
        }
        fn is_alive(&self, _: Pid) -> bool {
            false
        }
        fn wake_at(&self, _: Pid, _: std::time::Instant) {}
        fn now(&self) -> std::time::Instant {
            std::time::Instant::now()
        }
    }

    impl ExitSink for Nobody {
        fn exited(&self, _: Exited) {}
    }

    fn spawn(table: &Table) -> Pid {
        let env = Arc::new(Environment {
            host: Weak::<Nobody>::new(),
            exits: Weak::<Nobody>::new(),
            clock: Arc::new(SystemClock),
            activity: Activity::default(),
            leftovers: Arc::new(|_, _| {}),
        });
        let behavior = Arc::new(handler(|_, _| Step::Done));
        let cohort = Cohort::new(env, Arc::new(Nobody));
        let options = ProcessOptions::default();
        table.spawn(cohort, behavior, options).unwrap()
    }

    fn end(table: &Table, pid: Pid) -> bool {
        table.give_up(pid).is_some()
    }

    #[test]
    fn a_pid_leads_to_nobody_once_its_process_is_gone() {
        let table = Table::new();
        let first = spawn(&table);
        assert_eq!(table.get(first).unwrap().pid(), first);
        assert!(end(&table, first));
        assert!(table.get(first).is_none());
        assert!(!end(&table, first), "a pid is removed once");
        assert!(table.push(first, Lane::User, Envelope::Wake).is_err());
        assert!(table.is_empty());
    }

    #[test]
    fn thirty_thousand_short_lives_have_as_many_pids_in_a_few_slots() {
        let table = Table::new();
        let lives = || {
            let pid = spawn(&table);
            assert!(end(&table, pid));
            pid
        };
        let pids: HashSet<Pid> = std::iter::repeat_with(lives).take(30_000).collect();
        assert_eq!(pids.len(), 30_000);
        let slots: HashSet<u32> = pids.iter().map(|pid| pid.slot()).collect();
        assert!(slots.len() < 10_000, "{} slots", slots.len());
    }

    #[test]
    fn a_table_finds_its_own_processes_only() {
        let (one, other) = (Table::new(), Table::new());
        let pid = spawn(&one);
        assert!(other.get(pid).is_none());
        assert!(other.push(pid, Lane::User, Envelope::Wake).is_err());
        assert!(!other.remove(pid));
        assert_eq!((one.snapshot().len(), other.snapshot().len()), (1, 0));
        assert!(end(&one, pid));
        assert!(one.snapshot().is_empty());
    }
}
