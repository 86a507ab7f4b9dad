//! The guest lane: the threads that run Python handlers.
//!
//! ```text
//!   ready ──► queue ──► leader: takes the GIL once, runs slices of many actors,
//!                       lets go after 10 ms or when the queue is empty
//!                          │ the same slice at two looks, 10 ms apart, and others wait
//!                          ▼
//!             watch: declares the lead vacant ──► a spare thread takes it
//! ```
//!
//! One thread leads; it keeps its Python thread state for life, since making a new one for
//! each message costs thirty times the call itself. A thread whose handler blocks loses
//! the lead and becomes a spare when the handler returns: a blocking handler costs a
//! thread, never the other actors. The watch thread never touches Python, so that a
//! handler that holds the GIL cannot stop it. A handler that waits for another actor's answer
//! gives the lead away by itself, with `step_aside`, before it waits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::c_long;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use iris::{BoxFuture, Parked, Ready, Scheduler, Shift};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::aio::context;
use crate::aio::lane::LoopLane;
use crate::pulse::Pulse;
use crate::watchdog::Watchdog;

/// The longest that the GIL is held over several slices. Below Python's switch interval of 5 ms:
/// a thread that waits for longer has the interpreter switch in the midst of a handler, which
/// then looks as if it blocked.
pub(crate) const HOLD: Duration = Duration::from_millis(4);

/// How long the leader stays away from the GIL after a few of these. Letting go wakes a thread that
/// waits for it, but that takes longer than taking it again, and who misses it waits from the
/// start: without a pause the main thread was kept waiting for whole seconds.
const PAUSE: Duration = Duration::from_micros(50);

/// After how many. A sender that gets its turn more often runs far ahead of the handlers, and what
/// it has sent out of the caches.
const HOLDS: u32 = 4;

/// How long a handler may run, at least, before the lane's other actors move to another
/// thread; at most twice as long.
const BLOCKED: Duration = Duration::from_millis(10);

/// Slices between two looks at the clock, which costs as much as a tenth of a short one.
const CLOCK_STRIDE: u32 = 4;

/// How many places ahead in the queue the memory of an actor is fetched.
const AHEAD: usize = 2;

/// When the watch looks again if it found the leader between two slices.
const SOON: Duration = Duration::from_millis(1);

/// How long a spare thread waits for something to do before it ends.
const SPARE_LIFE: Duration = Duration::from_secs(5);

/// Threads of one lane at most. Handlers that block beyond that wait for each other.
const MOST_THREADS: usize = 256;

/// Pull actors of one runtime at most: each is a thread of the operating system.
const MOST_ALONE: usize = 10_000;

/// Stack of a pull actor's thread: enough for a thousand nested calls on any Python.
const ALONE_STACK_BYTES: usize = 1 << 20;

/// Stack of a lane thread; reserved, not used, until a handler recurses.
pub(crate) const STACK_BYTES: usize = 8 << 20;

/// Runs the actors whose handlers are Python code.
pub(crate) struct GuestLane {
    shared: Arc<Shared>,
    /// Polls futures, which the lane's threads do not.
    rust: Arc<dyn Scheduler>,
    /// Runs coroutines that handlers here have returned.
    loop_lane: Arc<LoopLane>,
}

struct Shared {
    state: Mutex<LaneState>,
    /// For the leader: there is work.
    work: Condvar,
    /// For spares: the lead is vacant.
    vacancy: Condvar,
    /// For the watch: others wait while the leader is inside a handler.
    waiting: Condvar,
    /// For a shutdown: a thread has ended.
    ended: Condvar,
    watchdog: Arc<Watchdog>,
    /// The number of the slice that the leader is inside of; 0 between slices.
    slice: AtomicU64,
}

#[derive(Default)]
struct LaneState {
    ready: VecDeque<Ready>,
    leader: Option<u64>,
    leader_waits: bool,
    watched: bool,
    stopped: bool,
    threads: usize,
    /// Threads of pull actors.
    alone: usize,
    /// Threads of actors that are run apart from the lane.
    beside: usize,
    /// Of all threads that run handlers, for the watchdog.
    pulses: Vec<Arc<Pulse>>,
    /// What Python calls the threads: for interrupting those that are stuck at its exit.
    idents: Vec<c_long>,
    spares: usize,
    /// Numbers for threads and slices, never used twice.
    last_number: u64,
}

impl LaneState {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn others(&self) -> usize {
        self.alone + self.beside
    }
}

thread_local! {
    /// Of which lane the thread is one, and its number there.
    static PLACE: RefCell<Option<(Weak<Shared>, u64)>> = const { RefCell::new(None) };
}

/// Gives the lead of the calling thread's lane to another thread, for a handler that is about
/// to wait for one of the actors behind it. Does nothing on other threads; `false` if there is
/// no thread left to take it.
pub(crate) fn step_aside() -> bool {
    let place = PLACE.with_borrow(Clone::clone);
    let Some((lane, me)) = place.and_then(|(lane, me)| Some((lane.upgrade()?, me))) else {
        return true;
    };
    let mut state = lane.lock();
    // The watch may have taken the lead away before.
    state.leader != Some(me) || Shared::hand_over(&lane, &mut state)
}

/// Why a leader stopped leading.
enum Relieved {
    /// The lead went to another thread while a handler blocked.
    Replaced,
    /// The lane or the interpreter is ending.
    Stopped,
}

impl GuestLane {
    /// Starts the lane's first thread and its watch.
    ///
    /// # Errors
    ///
    /// The operating system gave no thread.
    pub(crate) fn start(
        rust: Arc<dyn Scheduler>,
        loop_lane: Arc<LoopLane>,
        watchdog: Arc<Watchdog>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            vacancy: Condvar::new(),
            waiting: Condvar::new(),
            ended: Condvar::new(),
            slice: AtomicU64::new(0),
            watchdog,
        });
        Shared::add_thread(&shared, &mut shared.lock())?;
        let watched = Arc::clone(&shared);
        thread::Builder::new()
            .name("iris-lane-watch".to_owned())
            .stack_size(64 << 10)
            .spawn(move || watched.watch())
            .inspect_err(|_| shared.stop())?;
        Ok(Self {
            shared,
            rust,
            loop_lane,
        })
    }

    /// Runs `work` on a thread of its own that a shutdown waits for as for the lane's.
    ///
    /// # Errors
    ///
    /// There are too many, or the operating system gave no thread.
    pub(crate) fn run_alone(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.run_named("iris-pull", ALONE_STACK_BYTES, work)
    }

    /// As [`run_alone`](Self::run_alone), with another name and stack.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn run_named(
        &self,
        name: &'static str,
        stack_bytes: usize,
        work: Box<dyn FnOnce() + Send>,
    ) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.alone >= MOST_ALONE {
            let text = format!("{MOST_ALONE} pull actors are running, which is the limit");
            return Err(io::Error::other(text));
        }
        let own = Arc::clone(&self.shared);
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(stack_bytes)
            .spawn(move || {
                Python::try_attach(|py| {
                    let ident = thread_ident();
                    own.lock().idents.push(ident);
                    with_name(py, name, || py.detach(work));
                    own.lock().idents.retain(|known| *known != ident);
                });
                let mut state = own.lock();
                state.alone -= 1;
                drop(state);
                own.ended.notify_all();
            })?;
        state.alone += 1;
        Ok(())
    }

    /// Runs `work` on a thread of its own that runs handlers apart from the lane. The thread keeps
    /// its Python thread state and begins without the GIL; a shutdown waits for it as for the
    /// lane's.
    ///
    /// # Errors
    ///
    /// The lane was stopped, or the operating system gave no thread.
    pub(crate) fn run_beside(&self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.stopped {
            return Err(io::Error::other("the runtime was shut down"));
        }
        let own = Arc::clone(&self.shared);
        thread::Builder::new()
            .name("iris-own".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                own.with_thread_state("iris-own", work);
                own.lock().beside -= 1;
                own.ended.notify_all();
            })?;
        state.beside += 1;
        Ok(())
    }

    /// The watchdog was set: the watch looks at the new time.
    pub(crate) fn tell_watchdog(&self) {
        // Under the lock, or the watch may be about to wait for the old time.
        drop(self.shared.lock());
        self.shared.waiting.notify_all();
    }

    /// What tells for how long work has waited here without a slice having begun or ended. It looks
    /// when it is called, and so finds out late by as much as it is called seldom.
    pub(crate) fn age(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        let seen = Mutex::new(None::<(u64, Instant)>);
        move || {
            let Some(shared) = shared.upgrade() else {
                return Duration::ZERO;
            };
            let waits = !shared.lock().ready.is_empty();
            let slice = shared.slice.load(Ordering::Relaxed);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match &*seen {
                Some((known, since)) if waits && *known == slice => since.elapsed(),
                _ => {
                    *seen = waits.then(|| (slice, Instant::now()));
                    Duration::ZERO
                }
            }
        }
    }

    /// Threads of the lane, and of actors that are run apart from it, just now.
    pub(crate) fn threads(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.threads, state.beside)
    }

    /// Calls `work` with the GIL on the calling thread, which is none of the lane's; a shutdown
    /// waits for it as for those. `None` if the lane or the interpreter has ended.
    pub(crate) fn visit<T>(&self, work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
        let mut state = self.shared.lock();
        if state.stopped {
            return None;
        }
        state.alone += 1;
        drop(state);
        let done = Python::try_attach(|py| {
            let ident = thread_ident();
            self.shared.lock().idents.push(ident);
            let done = work(py);
            self.shared.lock().idents.retain(|known| *known != ident);
            done
        });
        self.shared.lock().alone -= 1;
        self.shared.ended.notify_all();
        done
    }

    /// Lets running handlers finish and ends the threads. Does not wait.
    pub(crate) fn stop(&self) {
        self.shared.stop();
        self.loop_lane.stop();
    }

    /// Blocks until all threads have ended, at most `timeout`; says whether they have.
    /// The caller must not hold the GIL, which they need to end.
    pub(crate) fn wait_ended(&self, timeout: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self
            .shared
            .ended
            .wait_timeout_while(state, timeout, |state| state.threads + state.others() > 0);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.threads + state.others() == 0
    }
}

impl GuestLane {
    /// Raises `SystemExit` in handlers that are still running: once the interpreter has
    /// begun to finalize, a thread that comes back to Python is killed in the midst of
    /// Rust code, which ends the process with an abort. A handler that waits in C code
    /// sees it when that returns.
    pub(crate) fn interrupt_handlers(&self, _: Python<'_>) {
        let idents = self.shared.lock().idents.clone();
        for ident in idents {
            // SAFETY: the interpreter is attached; an ident that has ended is ignored, and
            // SystemExit lives for ever.
            unsafe { ffi::PyThreadState_SetAsyncExc(ident, ffi::PyExc_SystemExit) };
        }
    }
}

impl Drop for GuestLane {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Scheduler for GuestLane {
    fn ready(&self, process: Ready) {
        let mut state = self.shared.lock();
        if state.stopped {
            // The runtime has been shut down; there is nobody left to run it.
            return;
        }
        state.ready.push_back(process);
        self.shared.watch_if_needed(&mut state);
        if std::mem::take(&mut state.leader_waits) {
            drop(state);
            self.shared.work.notify_one();
        }
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.rust.drive(future);
    }

    fn park(&self, parked: Parked) {
        self.loop_lane.park(parked);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_all();
        self.vacancy.notify_all();
        self.waiting.notify_all();
    }

    fn add_thread(shared: &Arc<Self>, state: &mut LaneState) -> io::Result<()> {
        let me = state.next_number();
        let own = Arc::clone(shared);
        thread::Builder::new()
            .name("iris-lane".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                PLACE.set(Some((Arc::downgrade(&own), me)));
                own.with_thread_state("iris-lane", || own.serve(me));
                own.lock().threads -= 1;
                own.ended.notify_all();
            })?;
        state.threads += 1;
        Ok(())
    }

    /// Calls `work` without the GIL, on a thread whose Python thread state lasts for all of it, and
    /// which `threading` knows by `name`.
    fn with_thread_state(&self, name: &str, work: impl FnOnce() + Send) {
        // The outer attach makes the thread state, the detach parks it: every attach inside
        // only takes the GIL. Without an interpreter there is nothing to run.
        Python::try_attach(|py| {
            let ident = thread_ident();
            let pulse = Pulse::of_this_thread(ident);
            let mut state = self.lock();
            state.idents.push(ident);
            state.pulses.push(pulse.clone());
            drop(state);
            if let Err(error) = context::begin_thread(py) {
                error.write_unraisable(py, None);
            }
            with_name(py, name, || py.detach(work));
            let mut state = self.lock();
            state.idents.retain(|known| *known != ident);
            state.pulses.retain(|known| !Arc::ptr_eq(known, &pulse));
        });
    }

    /// The life of a lane thread: lead when the lead is vacant, else be a spare.
    fn serve(&self, me: u64) {
        let mut state = self.lock();
        while !state.stopped {
            if state.leader.is_none() {
                state.leader = Some(me);
                drop(state);
                if let Relieved::Stopped = self.lead(me) {
                    return;
                }
                state = self.lock();
                continue;
            }
            state.spares += 1;
            let (after, timed_out) = self
                .vacancy
                .wait_timeout(state, SPARE_LIFE)
                .unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.spares -= 1;
            if timed_out.timed_out() && state.leader.is_some() {
                return;
            }
        }
    }

    fn lead(&self, me: u64) -> Relieved {
        let mut holds = 0;
        loop {
            let mut state = self.lock();
            while state.ready.is_empty() && !state.stopped {
                state.leader_waits = true;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped {
                return Relieved::Stopped;
            }
            drop(state);
            match Python::try_attach(|_| self.run_ready(me)) {
                Some(None) if self.lock().ready.is_empty() => holds = 0,
                Some(None) => {
                    holds = (holds + 1) % HOLDS;
                    if holds == 0 {
                        thread::sleep(PAUSE);
                    }
                }
                Some(Some(relieved)) => return relieved,
                None => return Relieved::Stopped,
            }
        }
    }

    /// With the GIL: slices until the queue is empty or the time is over.
    fn run_ready(&self, me: u64) -> Option<Relieved> {
        let until = Instant::now() + HOLD;
        let pulse = Pulse::own();
        let mut shift = Shift::default();
        for turn in 1_u32.. {
            let (ready, slice) = {
                let mut state = self.lock();
                if state.stopped {
                    return Some(Relieved::Stopped);
                }
                let ready = state.ready.pop_front()?;
                if let Some(later) = state.ready.get(AHEAD) {
                    later.prefetch();
                }
                let slice = state.next_number();
                self.slice.store(slice, Ordering::Relaxed);
                self.watch_if_needed(&mut state);
                (ready, slice)
            };
            let inside = pulse.as_ref().map(|pulse| pulse.enter(ready.pid()));
            shift.run(ready);
            drop(inside);
            // Another number means that the watch has given the lead away meanwhile, and
            // the word is its new holder's.
            let same = self
                .slice
                .compare_exchange(slice, 0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
            if !same && self.lock().leader != Some(me) {
                return Some(Relieved::Replaced);
            }
            if turn.is_multiple_of(CLOCK_STRIDE) && Instant::now() >= until {
                break;
            }
        }
        None
    }

    /// Wakes the watch if somebody waits while the leader is inside a slice.
    fn watch_if_needed(&self, state: &mut LaneState) {
        if !state.watched && !state.ready.is_empty() && self.slice.load(Ordering::Relaxed) != 0 {
            state.watched = true;
            self.waiting.notify_one();
        }
    }

    /// The watch thread: sleeps while nobody waits, but for the looks of the watchdog, and else
    /// looks every 10 ms whether the leader is still inside the same slice.
    fn watch(self: Arc<Self>) {
        let mut looks = self.watchdog.looks();
        let mut state = self.lock();
        while !state.stopped {
            let next_look = looks.look(&state.pulses);
            if !state.watched {
                state = match next_look {
                    Some(left) => {
                        let waited = self.waiting.wait_timeout(state, left);
                        waited.unwrap_or_else(PoisonError::into_inner).0
                    }
                    None => self
                        .waiting
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner),
                };
                continue;
            }
            let before = self.slice.load(Ordering::Relaxed);
            // Right after a hand-over the new leader is not inside a slice yet, but will be.
            let look_again = if before == 0 { SOON } else { BLOCKED };
            // Woken early only by a stop; a look too soon would do no harm.
            state = self
                .waiting
                .wait_timeout(state, look_again)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if state.ready.is_empty() {
                state.watched = false;
            } else if before != 0 && self.slice.load(Ordering::Relaxed) == before {
                Self::hand_over(&self, &mut state);
            }
        }
    }

    /// Takes the lead from a thread that is stuck in a handler; whether another can have it.
    fn hand_over(shared: &Arc<Self>, state: &mut LaneState) -> bool {
        let helped = state.spares > 0
            || (state.threads < MOST_THREADS && Self::add_thread(shared, state).is_ok());
        if helped {
            state.leader = None;
            shared.slice.store(0, Ordering::Relaxed);
            shared.vacancy.notify_one();
        }
        helped
    }
}

/// Calls `life`, for the length of which `threading` knows the calling thread by `name`.
fn with_name<T>(py: Python<'_>, name: &str, life: impl FnOnce() -> T) -> T {
    let call = |function: &str, arguments: Option<&str>| {
        let function = py.import("iris._threads")?.getattr(function)?;
        match arguments {
            Some(name) => function.call1((name,)),
            None => function.call0(),
        }
    };
    // A name is not worth an actor.
    if let Err(error) = call("name_thread", Some(name)) {
        error.write_unraisable(py, None);
    }
    let lived = life();
    call("forget_thread", None).ok();
    lived
}

/// What `threading.get_ident()` says on the calling thread, which must be attached.
pub(crate) fn thread_ident() -> c_long {
    // SAFETY: it asks the operating system only.
    let ident = unsafe { ffi::PyThread_get_thread_ident() };
    ident.cast_signed()
}
