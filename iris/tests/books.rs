//! Random operations from several threads on the real runtime, with constant reuse of slots;
//! at the end the books must balance.
//!
//! `IRIS_BOOKS_OPERATIONS=n` does n operations on each thread.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use iris::prelude::*;
use iris::{AskError, SpawnError, handler};

const THREADS: u32 = 4;
const OPERATIONS: u32 = if cfg!(debug_assertions) { 4000 } else { 20_000 };

/// Processes that one thread lets live at a time.
const LIVE: usize = 40;

const PATIENCE: Duration = Duration::from_secs(20);
const PLANNED: &str = "a panic of the program";

/// Where one message has ended.
const NOWHERE: u8 = 0;
const HANDLED: u8 = 1;
const GIVEN_BACK: u8 = 2;
const DEAD: u8 = 3;

/// A message of a timer, which is nobody's loss if its process is gone.
const OF_TIMER: u32 = u32::MAX;

struct Books {
    /// By message.
    fates: Vec<AtomicU8>,
    sent: AtomicU32,
    /// Messages that ended twice.
    twice: AtomicU32,
    /// What the hook for dead letters was called for.
    dead: AtomicU64,
    spawned: AtomicU64,
    /// Processes to send to, of all threads.
    known: Mutex<Vec<Pid>>,
}

impl Books {
    fn enter(&self) -> u32 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }

    fn settle(&self, id: u32, fate: u8) {
        if id == OF_TIMER {
            return;
        }
        let before = self.fates[id as usize].swap(fate, Ordering::Relaxed);
        if before != NOWHERE {
            self.twice.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self, fate: u8) -> usize {
        let sent = self.sent.load(Ordering::Relaxed) as usize;
        let all = self.fates[..sent].iter();
        all.filter(|one| one.load(Ordering::Relaxed) == fate)
            .count()
    }
}

/// Four bytes that name the message, and what the handler is to do.
fn bytes(id: u32, todo: u8, length: usize) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.resize(length, todo);
    bytes
}

fn id_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().unwrap())
}

fn behavior(books: &Arc<Books>) -> impl Behavior {
    let books = books.clone();
    handler(move |cx, bytes| {
        books.settle(id_of(&bytes), HANDLED);
        match bytes[4] {
            0 => Step::stop(),
            1 => panic!("{PLANNED}"),
            2 => Step::Yield,
            3 => Step::Await(Box::pin(async { Step::Done })),
            4 => {
                let to = {
                    let known = books.known.lock().unwrap();
                    known[bytes.len() % known.len()]
                };
                let id = books.enter();
                if cx.send_bytes(to, &self::bytes(id, 9, 8)).is_err() {
                    books.settle(id, GIVEN_BACK);
                }
                Step::Done
            }
            _ => {
                cx.reply(bytes);
                Step::Done
            }
        }
    })
}

/// One thread of the test.
struct Worker {
    rt: Runtime,
    books: Arc<Books>,
    random: u64,
    own: Vec<Pid>,
    slots: HashSet<u32>,
}

impl Worker {
    /// Marsaglia's xorshift64.
    fn below(&mut self, end: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from(self.random >> 32).unwrap() % end
    }

    fn run(mut self, operations: u32) -> HashSet<u32> {
        for _ in 0..operations {
            match self.below(20) {
                0..4 => self.spawn(),
                4..12 => self.send(),
                12..14 => self.ask(),
                14 => drop(self.target().map(|pid| self.rt.drain(pid))),
                15 => drop(
                    self.target()
                        .map(|pid| self.rt.stop(pid, ExitReason::Killed)),
                ),
                16 => drop(self.target().map(|pid| {
                    let next = behavior(&self.books);
                    self.rt.hot_swap(pid, next)
                })),
                17 => drop(self.target().map(|pid| {
                    let next = behavior(&self.books);
                    self.rt.hot_swap_now(pid, next)
                })),
                18 => drop(self.target().map(|pid| {
                    let message = bytes(OF_TIMER, 9, 8);
                    self.rt.send_after(pid, Duration::from_micros(50), message)
                })),
                _ => drop(self.target().map(|pid| self.rt.info(pid))),
            }
        }
        for pid in self.own {
            self.rt.drain(pid);
        }
        self.slots
    }

    fn target(&mut self) -> Option<Pid> {
        let at = self.below(1000) as usize;
        let known = self.books.known.lock().unwrap();
        (!known.is_empty()).then(|| known[at % known.len()])
    }

    fn spawn(&mut self) {
        let kind = self.below(6);
        let parent = self.own.last().copied();
        let builder = self.rt.spawn(behavior(&self.books)).budget(1 + kind * 20);
        let idle = Some(Duration::from_millis(1));
        let builder = match (kind, parent) {
            (0, _) => builder.virtual_actor(idle),
            (1, _) => builder.reactivated_actor(idle),
            (2, Some(parent)) => builder.child_of(parent),
            _ => builder,
        };
        let started = builder.start();
        // One that was made for a parent that is gone is made and stopped.
        match started {
            Ok(_) | Err(SpawnError::NoParent) => {
                self.books.spawned.fetch_add(1, Ordering::Relaxed);
            }
            Err(SpawnError::ShutDown) => assert!(self.rt.is_shut_down()),
            Err(other) => panic!("{other}"),
        }
        let Ok(pid) = started else { return };
        self.slots.insert(pid.slot());
        self.own.push(pid);
        if self.own.len() > LIVE {
            self.rt.stop(self.own.remove(0), ExitReason::Killed);
        }
        let at = self.below(64) as usize;
        let mut known = self.books.known.lock().unwrap();
        if known.len() < 64 {
            known.push(pid);
        } else {
            known[at] = pid;
        }
    }

    fn send(&mut self) {
        let Some(to) = self.target() else { return };
        let todo = u8::try_from(self.below(12)).unwrap();
        let length = 5 + self.below(60) as usize;
        let id = self.books.enter();
        if let Err(refused) = self.rt.send_bytes(to, &bytes(id, todo, length)) {
            let message = refused.into_message();
            assert_eq!(id_of(message.as_user().unwrap()), id);
            self.books.settle(id, GIVEN_BACK);
        }
    }

    fn ask(&mut self) {
        let Some(to) = self.target() else { return };
        let id = self.books.enter();
        let is_queued = self.below(2) == 0;
        let ask = self.rt.ask(to, bytes(id, 9, 8)).timeout(PATIENCE);
        let ask = if is_queued { ask.queued() } else { ask };
        match ask.wait() {
            Ok(answer) => assert_eq!(id_of(&answer), id, "somebody else's answer"),
            // Not sent at all, or left over: the asker cannot tell, and has the bytes anyway.
            Err(AskError::Dead(pid)) => {
                assert_eq!(pid, to);
                let fate = &self.books.fates[id as usize];
                let sent = fate.compare_exchange(
                    NOWHERE,
                    GIVEN_BACK,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                assert_ne!(sent, Err(HANDLED));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// A runtime, its books, and threads that work on it.
fn begin(operations: u32) -> (Runtime, Arc<Books>, Vec<thread::JoinHandle<HashSet<u32>>>) {
    panic::set_hook(Box::new(|info| {
        // Thousands of those are part of the programs.
        if info.payload_as_str() != Some(PLANNED) {
            io::stderr().write_fmt(format_args!("{info}\n")).ok();
        }
    }));
    let most = 3 * THREADS * operations;
    let books = Arc::new(Books {
        fates: (0..most).map(|_| AtomicU8::new(NOWHERE)).collect(),
        sent: AtomicU32::new(0),
        twice: AtomicU32::new(0),
        dead: AtomicU64::new(0),
        spawned: AtomicU64::new(0),
        known: Mutex::default(),
    });
    let rt = Runtime::builder().workers(2).start().unwrap();
    let hears = books.clone();
    rt.on_dead_letter(move |letter| {
        hears.dead.fetch_add(1, Ordering::Relaxed);
        let id = id_of(letter.message.as_user().unwrap());
        if id != OF_TIMER {
            // The asker of a question that was left over may have noted it just before.
            let before = hears.fates[id as usize].swap(DEAD, Ordering::Relaxed);
            if before == HANDLED || before == DEAD {
                hears.twice.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let work = |seed: u32| {
        let worker = Worker {
            rt: rt.clone(),
            books: books.clone(),
            random: u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            own: Vec::new(),
            slots: HashSet::new(),
        };
        thread::spawn(move || worker.run(operations))
    };
    let workers = (1..=THREADS).map(work).collect();
    (rt, books, workers)
}

fn operations(default: u32) -> u32 {
    let asked_for = std::env::var("IRIS_BOOKS_OPERATIONS");
    asked_for.map_or(default, |n| n.parse().unwrap())
}

/// Ends the runtime. Each behavior refers to the books: with none left no cell is, no queue and
/// no future of any process.
fn assert_nothing_is_left(rt: Runtime, books: &Arc<Books>) {
    drop(rt);
    let since = Instant::now();
    while Arc::strong_count(books) > 1 {
        let left = Arc::strong_count(books) - 1;
        assert!(
            since.elapsed() < PATIENCE,
            "{left} behaviors are still there"
        );
        thread::yield_now();
    }
    assert_eq!(books.count(NOWHERE), 0, "messages unaccounted for");
    assert_eq!(books.twice.load(Ordering::Relaxed), 0, "more than one end");
    let ends = [HANDLED, GIVEN_BACK, DEAD].map(|fate| books.count(fate));
    let sent = books.sent.load(Ordering::Relaxed) as usize;
    assert_eq!(ends.iter().sum::<usize>(), sent);
    assert!(ends.iter().all(|count| *count > 0), "all of it was tried");
}

#[test]
fn whatever_several_threads_do_every_message_and_process_is_accounted_for() {
    let (rt, books, workers) = begin(operations(OPERATIONS));
    let mut slots = HashSet::new();
    for worker in workers {
        slots.extend(worker.join().unwrap());
    }
    let before = rt.dead_letters();
    let report = rt.shutdown(PATIENCE);
    assert_eq!(report.stuck, 0);
    assert_eq!(rt.dead_letters(), before + report.undelivered);
    assert_eq!(rt.dead_letters(), books.dead.load(Ordering::Relaxed));
    let exits = rt.exit_counts();
    assert_eq!(
        exits.clean + exits.failed,
        books.spawned.load(Ordering::Relaxed)
    );
    assert!(exits.clean > 0 && exits.failed > 0, "{exits:?}");
    assert_eq!((rt.process_count(), exits.late), (0, 0));
    assert_nothing_is_left(rt, &books);
    // Each thread keeps a few alive, and slots go round among what is free.
    assert!(slots.len() < 2000, "{} slots were used", slots.len());
}

#[test]
fn a_shutdown_in_the_middle_of_all_that_loses_nothing_either() {
    let operations = operations(OPERATIONS) / 8;
    for round in 1..=8 {
        let (rt, books, workers) = begin(operations);
        let enough = operations * THREADS * round / 16;
        while books.sent.load(Ordering::Relaxed) < enough {
            thread::yield_now();
        }
        rt.shutdown(Duration::ZERO);
        for worker in workers {
            worker.join().unwrap();
        }
        assert_nothing_is_left(rt, &books);
    }
}
