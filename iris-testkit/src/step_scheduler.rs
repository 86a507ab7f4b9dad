//! A scheduler that runs when the test says so, in an order that a seed decides.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use iris_core::BoxFuture;
use iris_sched::{Ready, Scheduler};

/// Runs one slice for each [`step`](Self::step), on the calling thread.
///
/// Which of the ready processes goes next is drawn from the seed, so that different
/// seeds try different interleavings and one seed always tries the same.
#[derive(Debug)]
pub struct StepScheduler {
    inner: Mutex<Inner>,
}

struct Inner {
    ready: Vec<Ready>,
    futures: Vec<BoxFuture<()>>,
    random: u64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("ready", &self.ready)
            .field("futures", &self.futures.len())
            .finish_non_exhaustive()
    }
}

impl StepScheduler {
    /// A scheduler whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero in the generator below.
        let random = seed ^ 0x9E37_79B9_7F4A_7C15;
        Self {
            inner: Mutex::new(Inner {
                ready: Vec::new(),
                futures: Vec::new(),
                random,
            }),
        }
    }

    /// Runs one slice of one ready process or else polls all futures once; `false` if there was
    /// neither, or only futures that are not ready.
    pub fn step(&self) -> bool {
        let ready = {
            let mut inner = self.lock();
            if inner.ready.is_empty() {
                None
            } else {
                let at = inner.draw() % inner.ready.len();
                Some(inner.ready.swap_remove(at))
            }
        };
        // Without the lock: the slice may make other processes ready.
        match ready {
            Some(ready) => {
                ready.run();
                true
            }
            None => self.poll_one(),
        }
    }

    /// Steps until there is nothing left to do, at most `limit` times; says how many
    /// steps it took.
    ///
    /// # Panics
    ///
    /// If there still is something to do after `limit` steps: processes that keep each
    /// other busy for ever.
    pub fn run_until_idle(&self, limit: usize) -> usize {
        let steps = (0..limit).take_while(|_| self.step()).count();
        assert!(
            steps < limit || self.lock().ready.is_empty(),
            "still busy after {limit} steps"
        );
        steps
    }

    fn poll_one(&self) -> bool {
        let futures = std::mem::take(&mut self.lock().futures);
        let mut cx = Context::from_waker(Waker::noop());
        let mut progress = false;
        for mut future in futures {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(()) => progress = true,
                Poll::Pending => self.lock().futures.push(future),
            }
        }
        progress
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Marsaglia's xorshift64 ("Xorshift RNGs", 2003).
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 32).expect("32 bits fit")
    }
}

impl Scheduler for StepScheduler {
    fn ready(&self, process: Ready) {
        self.lock().ready.push(process);
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.lock().futures.push(future);
    }
}
