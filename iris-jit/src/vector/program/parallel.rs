//! Long maps on several threads.
//!
//! Elements are shared out in chunks, in order, to whoever comes for more. The threads live for one
//! call: no pool has to be kept, or to survive a fork.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use super::run::{Call, End};
use super::{BLOCK, Program};

/// Elements of a chunk. A thread that is late is so by one chunk at most.
const CHUNK: usize = 16 * BLOCK;

/// A call that is expected to take less has one thread: to start another takes a tenth of it.
const WORTH_NANOS: f64 = 200_000.0;

/// Threads that one call has at most.
const MOST_THREADS: usize = 16;

/// The stack of a thread that helps.
const STACK_BYTES: usize = 512 << 10;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Sets how many threads a long map may have, the caller's included; 0, the default, stands for as
/// many as there are CPUs, and for what the environment variable `IRIS_JIT_THREADS` says. Never
/// more than 16.
pub fn set_threads(count: usize) {
    THREADS.store(count, Ordering::Relaxed);
}

/// How many threads a long map has, the caller's included.
pub fn threads() -> usize {
    static DEFAULT: OnceLock<usize> = OnceLock::new();
    let default = || {
        let said = std::env::var("IRIS_JIT_THREADS").ok();
        let said = said
            .and_then(|text| text.trim().parse().ok())
            .filter(|&count| count > 0);
        said.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    };
    let count = match THREADS.load(Ordering::Relaxed) {
        0 => *DEFAULT.get_or_init(default),
        count => count,
    };
    count.min(MOST_THREADS)
}

/// What the threads of a call share.
struct Shared {
    /// The next chunk that nobody has.
    next: AtomicUsize,
    /// Whether chunks that nobody has are left alone.
    stop: AtomicBool,
    /// The first chunk that ended the call, and how.
    first: Mutex<Option<(usize, End)>>,
}

impl Shared {
    fn end(&self, chunk: usize, end: End) {
        self.stop.store(true, Ordering::Relaxed);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none_or(|(earlier, _)| chunk < earlier) {
            *first = Some((chunk, end));
        }
    }
}

impl Program {
    /// How many threads a call on so many elements has.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn threads_for(&self, len: usize, wanted: Option<NonZeroUsize>) -> usize {
        let most = match wanted {
            Some(wanted) => wanted.get().min(MOST_THREADS),
            None if (len as f64) * self.cost < WORTH_NANOS => return 1,
            None => threads(),
        };
        most.min(len / (2 * CHUNK)).max(1)
    }

    /// Runs all elements on so many threads, of which one is the caller's.
    ///
    /// Chunks before one that ends the call are all computed, since they were given out before it.
    /// So the call ends as it would on one thread.
    ///
    /// # Safety
    ///
    /// As for [`Program::run`].
    pub(super) unsafe fn in_parallel(&self, call: Call<'_>, len: usize, threads: usize) -> End {
        let shared = Shared {
            // The caller has the first chunk: it asks the hook at least there.
            next: AtomicUsize::new(1),
            stop: AtomicBool::new(false),
            first: Mutex::new(None),
        };
        let take = || shared.next.fetch_add(1, Ordering::Relaxed);
        let work = |first: Option<usize>| {
            self.with_run(call, |run| {
                let mut chunk = first.unwrap_or_else(take);
                while chunk * CHUNK < len {
                    let elements = chunk * CHUNK..len.min((chunk + 1) * CHUNK);
                    // SAFETY: the caller's promise; each chunk is one thread's alone.
                    let end = unsafe { run.elements(elements, first.is_some()) };
                    if end != End::Done {
                        // An interruption stands before all that elements say.
                        let place = if end == End::Interrupted { 0 } else { chunk };
                        shared.end(place, end);
                    }
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    chunk = take();
                }
            });
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                let helper = thread::Builder::new()
                    .name("iris-jit-map".to_owned())
                    .stack_size(STACK_BYTES);
                // Without a thread to be had the others do its part.
                drop(helper.spawn_scoped(scope, || work(None)));
            }
            work(Some(0));
        });
        let first = shared
            .first
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        first.map_or(End::Done, |(_, end)| end)
    }
}
