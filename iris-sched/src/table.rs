//! Pids to processes.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use iris_core::Pid;
use thiserror::Error;

use crate::process::Process;

const PAGE_SLOTS: usize = 1 << 12;
const PAGES: usize = 1 << 12;
const GENERATIONS: u32 = Pid::LAST_GENERATION - Pid::FIRST_GENERATION + 1;

type Page = Box<[ArcSwapOption<Process>]>;

/// The process table: slots in pages that are made when needed and never moved.
///
/// A look-up is one page load and one compare, with no lock and no hash. A slot that
/// becomes free is used again after all others that were free before it, under its next
/// generation; one that has been through all generations is retired. Generations start
/// at a random value, so that pids of two runtimes practically never coincide.
#[derive(Debug)]
pub struct Table {
    pages: Box<[OnceLock<Page>]>,
    free: Mutex<FreeSlots>,
    live: AtomicUsize,
    first_generation: u32,
}

#[derive(Debug, Default)]
struct FreeSlots {
    /// Slots with how often each was used, oldest first.
    reusable: VecDeque<(u32, u32)>,
    /// The first slot that was never used.
    fresh: u32,
}

/// All slots of the process table are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the process table is full: {limit} processes are alive")]
pub struct TableFull {
    /// How many processes one table holds.
    pub limit: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// Processes that one table can hold at a time: 16,777,216.
    pub const LIMIT: usize = PAGES * PAGE_SLOTS;

    /// An empty table; pages of 32 KiB are made as processes come.
    pub fn new() -> Self {
        let random = RandomState::new().build_hasher().finish();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "reduced to the range just before"
        )]
        let offset = (random % u64::from(GENERATIONS)) as u32;
        Self::with_first_generation(Pid::FIRST_GENERATION + offset)
    }

    fn with_first_generation(first_generation: u32) -> Self {
        Self {
            pages: std::iter::repeat_with(OnceLock::new).take(PAGES).collect(),
            free: Mutex::default(),
            live: AtomicUsize::new(0),
            first_generation,
        }
    }

    /// Gives a process a pid and a place. `make` is called once, with that pid, and
    /// without a lock.
    ///
    /// # Errors
    ///
    /// [`TableFull`] with [`LIMIT`](Self::LIMIT) processes alive.
    pub fn insert(&self, make: impl FnOnce(Pid) -> Arc<Process>) -> Result<Pid, TableFull> {
        let (slot, used) = self.take_slot().ok_or(TableFull { limit: Self::LIMIT })?;
        let generation = Pid::FIRST_GENERATION
            + (self.first_generation - Pid::FIRST_GENERATION + used) % GENERATIONS;
        let pid = Pid::new(slot, generation).expect("the generation is in a pid's range");
        let process = make(pid);
        self.slot_made(slot).store(Some(process));
        self.live.fetch_add(1, Ordering::Relaxed);
        Ok(pid)
    }

    /// The process with this pid, unless it has been removed.
    #[inline]
    pub fn get(&self, pid: Pid) -> Option<Arc<Process>> {
        let process = self.slot(pid.slot())?.load();
        process
            .as_ref()
            .filter(|process| process.pid() == pid)
            .cloned()
    }

    /// Calls `f` with the process of this pid, which is cheaper than [`get`](Self::get).
    #[inline]
    pub fn with<T>(&self, pid: Pid, f: impl FnOnce(&Arc<Process>) -> T) -> Option<T> {
        let process = self.slot(pid.slot())?.load();
        process
            .as_ref()
            .filter(|process| process.pid() == pid)
            .map(f)
    }

    /// Takes a process out and frees its slot. `None` if it was not there.
    ///
    /// A sender that found the process before still holds it, and finds its mailbox
    /// closed: it cannot reach a successor in the same slot.
    pub fn remove(&self, pid: Pid) -> Option<Arc<Process>> {
        let slot = self.slot(pid.slot())?;
        let current = slot.load_full().filter(|process| process.pid() == pid)?;
        let before = slot.compare_and_swap(&current, None);
        if !before
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, &current))
        {
            return None;
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.give_back(pid);
        Some(current)
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
    pub fn snapshot(&self) -> Vec<Arc<Process>> {
        let pages = self.pages.iter().map_while(OnceLock::get);
        pages
            .flat_map(|page| page.iter().filter_map(ArcSwapOption::load_full))
            .collect()
    }

    #[inline]
    fn slot(&self, slot: u32) -> Option<&ArcSwapOption<Process>> {
        let slot = slot as usize;
        Some(&self.pages.get(slot / PAGE_SLOTS)?.get()?[slot % PAGE_SLOTS])
    }

    fn slot_made(&self, slot: u32) -> &ArcSwapOption<Process> {
        let slot = slot as usize;
        let page = self.pages[slot / PAGE_SLOTS].get_or_init(|| {
            std::iter::repeat_with(ArcSwapOption::empty)
                .take(PAGE_SLOTS)
                .collect()
        });
        &page[slot % PAGE_SLOTS]
    }

    fn take_slot(&self) -> Option<(u32, u32)> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reused) = free.reusable.pop_front() {
            return Some(reused);
        }
        let slot = free.fresh;
        if slot as usize >= Self::LIMIT {
            return None;
        }
        free.fresh += 1;
        Some((slot, 0))
    }

    fn give_back(&self, pid: Pid) {
        let used = (pid.generation() + GENERATIONS - self.first_generation) % GENERATIONS + 1;
        if used < GENERATIONS {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.reusable.push_back((pid.slot(), used));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Weak;

    use iris_core::{
        BoxFuture, ExitSink, Exited, Host, Message, SendError, Step, SystemClock, handler,
    };

    use super::*;
    use crate::activity::Activity;
    use crate::process::{Environment, ProcessOptions};
    use crate::scheduler::{Ready, Scheduler};

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

    fn process(pid: Pid) -> Arc<Process> {
        let env = Arc::new(Environment {
            host: Weak::<Nobody>::new(),
            exits: Weak::<Nobody>::new(),
            clock: Arc::new(SystemClock),
            activity: Activity::default(),
        });
        let behavior = Arc::new(handler(|_, _| Step::Done));
        Process::new(
            pid,
            behavior,
            ProcessOptions::default(),
            Arc::new(Nobody),
            env,
        )
    }

    #[test]
    fn a_slot_used_again_has_another_pid() {
        let table = Table::new();
        let first = table.insert(process).unwrap();
        assert_eq!(table.remove(first).unwrap().pid(), first);
        let second = table.insert(process).unwrap();
        assert_eq!(first.slot(), second.slot());
        assert_ne!(first, second);
        assert!(table.get(first).is_none());
        assert!(table.get(second).is_some());
        assert!(table.remove(first).is_none(), "a pid is removed once");
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn thirty_thousand_short_lives_have_as_many_pids() {
        let table = Table::new();
        let pids: HashSet<Pid> = (0..30_000)
            .map(|_| {
                let pid = table.insert(process).unwrap();
                table.remove(pid).unwrap();
                pid
            })
            .collect();
        assert_eq!(pids.len(), 30_000);
    }

    #[test]
    fn generations_wrap_inside_their_range_and_then_the_slot_is_retired() {
        let table = Table::with_first_generation(Pid::LAST_GENERATION);
        let first = table.insert(process).unwrap();
        assert_eq!(first.generation(), Pid::LAST_GENERATION);
        table.remove(first).unwrap();
        let second = table.insert(process).unwrap();
        assert_eq!(second.generation(), Pid::FIRST_GENERATION);

        // Pretend that the slot has been through all generations but the last.
        table.remove(second).unwrap();
        table.free.lock().unwrap().reusable[0].1 = GENERATIONS - 1;
        let last = table.insert(process).unwrap();
        assert_eq!(last.slot(), first.slot());
        table.remove(last).unwrap();
        assert_ne!(table.insert(process).unwrap().slot(), first.slot());
    }

    #[test]
    fn two_runtimes_do_not_share_pids() {
        let first_pids: HashSet<Pid> = (0..8)
            .map(|_| Table::new().insert(process).unwrap())
            .collect();
        assert!(
            first_pids.len() > 1,
            "eight tables began with the same generation"
        );
    }

    #[test]
    fn processes_are_found_across_pages() {
        let table = Table::new();
        let pids: Vec<Pid> = (0..PAGE_SLOTS + 2)
            .map(|_| table.insert(process).unwrap())
            .collect();
        assert!(
            pids.iter()
                .all(|pid| table.get(*pid).is_some_and(|p| p.pid() == *pid))
        );
        assert_eq!(table.snapshot().len(), pids.len());
    }
}
