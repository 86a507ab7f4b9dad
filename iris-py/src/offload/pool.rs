//! The native workers of `strategy="actor"`: threads that run compiled code for callers who wait.
//!
//! Compiled code calls nothing of Python's and nothing of the pool's, so no job waits for another,
//! however deep calls are nested. The caller lets go of the GIL, heeds Ctrl-C, and returns only
//! when its job is done: what it has lent to it stays where it is.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use pyo3::prelude::*;

use super::running;
use crate::fork::Birthplace;
use crate::wait::SIGNAL_INTERVAL;

/// Stack of a worker: compiled recursion is bounded by it.
const STACK_BYTES: usize = 16 << 20;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    workers: usize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pool of this process. Looked up with the GIL, so that a fork never finds it locked.
fn pool(_: Python<'_>) -> Arc<Pool> {
    static POOL: Mutex<Option<(Birthplace, Arc<Pool>)>> = Mutex::new(None);
    let mut pool = locked(&POOL);
    // A forked child has none of its parent's threads.
    let (_, pool) = match pool.take_if(|(born, _)| born.is_here()) {
        Some(known) => pool.insert(known),
        None => pool.insert((Birthplace::here(), Arc::default())),
    };
    pool.clone()
}

/// Runs `work` on a worker and waits for it; the exception of a signal handler if one has
/// ended it.
pub(super) fn run<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let done = Arc::new((Mutex::new(None), Condvar::new()));
    let cancelled = Arc::new(AtomicBool::new(false));
    let (own_done, own_cancelled) = (done.clone(), cancelled.clone());
    let job = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(|| {
            running::cancellable(&own_cancelled, work)
        }));
        *locked(&own_done.0) = Some(result);
        own_done.1.notify_one();
    });
    if let Err(job) = pool(py).submit(job) {
        // Without a thread the caller is as good as any.
        job();
    }
    let mut raised = None;
    loop {
        let finished = py.detach(|| {
            let waited = done
                .1
                .wait_timeout_while(locked(&done.0), SIGNAL_INTERVAL, |done| done.is_none());
            waited.unwrap_or_else(PoisonError::into_inner).0.take()
        });
        match (finished, raised) {
            (Some(Ok(_)), Some(error)) => return Err(error),
            (Some(Ok(result)), None) => return Ok(result),
            (Some(Err(panic)), _) => resume_unwind(panic),
            (None, known) => raised = known.or_else(|| py.check_signals().err()),
        }
        if raised.is_some() {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl Pool {
    /// Queues a job; gives it back if there is no thread to do it.
    fn submit(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        let most = thread::available_parallelism().map_or(1, usize::from);
        let mut state = locked(&self.state);
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.workers >= most {
            self.work.notify_one();
            return Ok(());
        }
        let own = Arc::clone(self);
        let worker = thread::Builder::new()
            .name("iris-offload".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || own.serve());
        match worker {
            Ok(_) => state.workers += 1,
            Err(_) if state.workers > 0 => {}
            Err(_) => return Err(state.jobs.pop_back().expect("it was pushed above")),
        }
        Ok(())
    }

    fn serve(&self) {
        let mut state = locked(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = locked(&self.state);
                continue;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}
