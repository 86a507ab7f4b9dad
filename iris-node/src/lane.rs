//! The lane: processes whose handlers are JavaScript, and what else the event loop is to hear of.
//!
//! ```text
//!   ready ──► queue ──► empty before? wake the loop once
//!                          │
//!        turn() in JavaScript: collect ─► fill ─► call handlers ─► settle, for a millisecond
//!                          │
//!            empty: the next one wakes again     not empty: again after a round of the loop
//! ```
//!
//! The environment's clean-up closes the lane before Node frees the thread-safe function; what is
//! queued by then is given up, and the processes that JavaScript has in hand are killed.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{mem, ptr};

use iris::{BoxFuture, Parked, Pid, Ready, Scheduler, StopHook};
use napi::sys;

use crate::hand::Hand;
use crate::news::News;
use crate::wake::Waker;

/// Dead letters that wait for a hook in JavaScript at most; more are counted only.
const MOST_LETTERS: usize = 10_000;

thread_local! {
    /// What `without_waking` has found, on the thread that is inside of it.
    static CALL: Cell<Call> = const { Cell::new(Call::NONE) };
}

/// A call of JavaScript's that has the loop turn by itself if need be.
#[derive(Clone, Copy)]
struct Call {
    /// For this lane. Compared only.
    lane: *const Lane,
    turns: bool,
}

impl Call {
    const NONE: Self = Self {
        lane: ptr::null(),
        turns: false,
    };
}

/// Runs the processes of one runtime whose handlers are JavaScript.
pub(crate) struct Lane {
    state: Mutex<LaneState>,
    /// Only the loop's thread looks into it, but for the end.
    hand: Mutex<Hand>,
    /// Whether the loop knows that there is something, or is about to look. Written under the lock.
    signalled: AtomicBool,
    /// Whether there are handlers or contexts that nobody has any more. Written under the lock.
    frees: AtomicBool,
    /// Whether the clean-up of the environment will close it.
    is_hooked: AtomicBool,
    /// Counts turns, for telling whether the loop makes progress.
    turns: AtomicU64,
    /// Tells the loop that a process was told to stop while its handler waits.
    stop_hook: Arc<StopHook>,
    /// Polls futures of Rust.
    rust: Arc<dyn Scheduler>,
    /// The thread of the loop.
    home: ThreadId,
}

#[derive(Default)]
struct LaneState {
    ready: VecDeque<Ready>,
    news: VecDeque<News>,
    /// Handlers that no process has any more.
    freed: Vec<u32>,
    /// Contexts that no message has any more.
    contexts: Vec<u32>,
    letters: usize,
    /// `None` once the lane is closed, and until it is open.
    waker: Option<Waker>,
}

impl Lane {
    pub(crate) fn new(rust: Arc<dyn Scheduler>) -> Arc<Self> {
        Arc::new_cyclic(|own: &Weak<Self>| {
            let lane = own.clone();
            Self {
                state: Mutex::default(),
                hand: Mutex::default(),
                signalled: AtomicBool::new(false),
                frees: AtomicBool::new(false),
                is_hooked: AtomicBool::new(false),
                turns: AtomicU64::new(0),
                stop_hook: Arc::new(move |pid| {
                    if let Some(lane) = lane.upgrade() {
                        lane.tell(News::Stopped(pid));
                    }
                }),
                rust,
                home: thread::current().id(),
            }
        })
    }

    /// Whether the calling thread is the loop's.
    pub(crate) fn is_here(&self) -> bool {
        thread::current().id() == self.home
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop_hook(&self) -> &Arc<StopHook> {
        &self.stop_hook
    }

    /// Lets it wake the loop.
    pub(crate) fn open(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    /// Calls `with` with what wakes the loop, unless the lane is closed.
    pub(crate) fn with_waker<T>(&self, with: impl FnOnce(&Waker) -> T) -> Option<T> {
        self.lock().waker.as_ref().map(with)
    }

    /// Never wakes the loop again, and gives up what is queued and in hand. Called again, it does
    /// nothing.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let left = mem::take(&mut *state);
        drop(state);
        let hand = mem::take(&mut *self.hand());
        // Without the locks: this is the end of processes, and may be code of users.
        drop((left, hand));
    }

    /// Has the lane closed before the environment is torn down. Its clean-up hooks run last in,
    /// first out: this one must be added after the waker was made, whose own hook frees it.
    pub(crate) fn close_with(self: &Arc<Self>, env: sys::napi_env) {
        let lane = Arc::into_raw(self.clone());
        // SAFETY: the environment is live; the hook gets what it expects, once.
        let status = unsafe {
            sys::napi_add_env_cleanup_hook(env, Some(close_lane), lane.cast_mut().cast::<c_void>())
        };
        if status == sys::Status::napi_ok {
            self.is_hooked.store(true, Ordering::Relaxed);
        } else {
            // SAFETY: the hook was not added, so the reference is still this function's.
            drop(unsafe { Arc::from_raw(lane) });
        }
    }

    /// Closes it, and takes what `close_with` has added back.
    pub(crate) fn close_before(self: &Arc<Self>, env: sys::napi_env) {
        self.close();
        if !self.is_hooked.swap(false, Ordering::Relaxed) {
            return;
        }
        let lane = Arc::as_ptr(self);
        // SAFETY: the environment is live, and the hook was added for this lane; the reference that
        // it had is this function's, since the hook is not called any more.
        unsafe {
            sys::napi_remove_env_cleanup_hook(
                env,
                Some(close_lane),
                lane.cast_mut().cast::<c_void>(),
            );
            drop(Arc::from_raw(lane));
        }
    }

    /// Puts something into the queue, and wakes the loop if that has nothing to do.
    fn add(&self, add: impl FnOnce(&mut LaneState)) {
        let mut state = self.lock();
        if state.waker.is_none() {
            return;
        }
        add(&mut state);
        if !self.signalled.swap(true, Ordering::Relaxed)
            && !self.is_left_to_caller()
            && let Some(waker) = &state.waker
        {
            // Under the lock, so that it is not freed meanwhile.
            waker.wake();
        }
    }

    /// Whether the call that this is inside of has the loop turn, see
    /// [`without_waking`](Self::without_waking).
    fn is_left_to_caller(&self) -> bool {
        CALL.with(|call| {
            let here = ptr::eq(call.get().lane, self);
            if here {
                call.set(Call {
                    lane: self,
                    turns: true,
                });
            }
            here
        })
    }

    /// Calls `work` on the loop's thread. Where that would have woken the loop, it does not, and
    /// the result says so: the caller has JavaScript turn, which costs less than the system call.
    pub(crate) fn without_waking<T>(&self, work: impl FnOnce() -> T) -> (T, bool) {
        let outside = CALL.replace(Call {
            lane: self,
            turns: false,
        });
        let restore = Restore {
            lane: self,
            outside,
        };
        let result = work();
        let turns = CALL.get().turns;
        drop(restore);
        (result, turns)
    }

    /// Tells the loop something.
    pub(crate) fn tell(&self, news: News) {
        self.add(move |state| state.news.push_back(news));
    }

    /// Tells the hook of a dead letter, if not too many wait for that.
    pub(crate) fn tell_letter(&self, letter: News) {
        self.add(move |state| {
            if state.letters < MOST_LETTERS {
                state.letters += 1;
                state.news.push_back(letter);
            }
        });
    }

    /// What the loop is to be told.
    pub(crate) fn take_news(&self) -> VecDeque<News> {
        let mut state = self.lock();
        state.letters = 0;
        mem::take(&mut state.news)
    }

    /// No process has the handler in that slot any more. Does not wake the loop: the slot is free
    /// again with its next turn.
    pub(crate) fn free(&self, slot: u32) {
        let mut state = self.lock();
        if state.waker.is_some() {
            state.freed.push(slot);
            self.frees.store(true, Ordering::Relaxed);
        }
    }

    /// No message has that context any more. Does not wake the loop either.
    pub(crate) fn let_go(&self, context: u32) {
        let mut state = self.lock();
        if state.waker.is_some() {
            state.contexts.push(context);
            self.frees.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_freed(&self) -> bool {
        self.frees.load(Ordering::Relaxed)
    }

    /// Handlers that no process has any more, and contexts that no message has.
    pub(crate) fn take_freed(&self) -> (Vec<u32>, Vec<u32>) {
        let mut state = self.lock();
        self.frees.store(false, Ordering::Relaxed);
        (mem::take(&mut state.freed), mem::take(&mut state.contexts))
    }

    /// The next process to be run. `None` if there is none; then the loop is woken for the next
    /// one if it `rests` now and there is no news either.
    pub(crate) fn next(&self, rests: bool) -> Option<Ready> {
        let mut state = self.lock();
        let next = state.ready.pop_front();
        if next.is_none() && rests && state.news.is_empty() {
            self.signalled.store(false, Ordering::Relaxed);
        }
        next
    }

    /// Whether the loop is to turn, or is turning.
    pub(crate) fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// The loop has made a turn.
    pub(crate) fn count_turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// What tells for how long work has waited without a turn of the loop. It looks when it is
    /// called, and so finds out late by as much as it is called seldom.
    pub(crate) fn age(self: &Arc<Self>) -> impl Fn() -> Duration + Send + Sync + 'static {
        let lane = Arc::downgrade(self);
        let seen = Mutex::new(None::<(u64, Instant)>);
        move || {
            let Some(lane) = lane.upgrade() else {
                return Duration::ZERO;
            };
            let waits = lane.is_signalled();
            let turns = lane.turns.load(Ordering::Relaxed);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match &*seen {
                Some((known, since)) if waits && *known == turns => since.elapsed(),
                _ => {
                    *seen = waits.then(|| (turns, Instant::now()));
                    Duration::ZERO
                }
            }
        }
    }
}

/// Puts back what a call was inside of.
struct Restore<'a> {
    lane: &'a Lane,
    outside: Call,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let call = CALL.replace(self.outside);
        if call.turns && thread::panicking() {
            // Nobody will say so to the caller.
            self.lane.with_waker(Waker::wake);
        }
    }
}

/// The environment is about to be torn down.
unsafe extern "C" fn close_lane(lane: *mut c_void) {
    // SAFETY: `close_with` has given this hook a reference, and Node calls it once.
    let lane = unsafe { Arc::from_raw(lane.cast_const().cast::<Lane>()) };
    lane.is_hooked.store(false, Ordering::Relaxed);
    lane.close();
}

impl Scheduler for Lane {
    fn ready(&self, process: Ready) {
        self.add(move |state| state.ready.push_back(process));
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.rust.drive(future);
    }

    fn park(&self, parked: Parked) {
        if let Some(parked) = self.hand().keep(parked) {
            // Nothing of it is in hand, so nobody would go on with it.
            drop(parked);
        }
    }
}

impl Waiter {
    pub(crate) fn new(lane: &Arc<Lane>, ticket: u32) -> Self {
        Self {
            lane: Arc::downgrade(lane),
            ticket,
        }
    }
}

/// Has the loop look at a future when there is news of it.
pub(crate) struct Waiter {
    lane: Weak<Lane>,
    ticket: u32,
}

impl std::task::Wake for Waiter {
    fn wake(self: Arc<Self>) {
        if let Some(lane) = self.lane.upgrade() {
            lane.tell(News::Look(self.ticket));
        }
    }
}

/// Has the loop look into a mailbox when there is something in it.
pub(crate) struct MailBell {
    pub(crate) lane: Weak<Lane>,
    pub(crate) pid: Pid,
}

impl std::task::Wake for MailBell {
    fn wake(self: Arc<Self>) {
        if let Some(lane) = self.lane.upgrade() {
            lane.tell(News::Mail(self.pid));
        }
    }
}
