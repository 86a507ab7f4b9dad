//! Notices handlers that keep the event loop.
//!
//! JavaScript writes down whose handler it calls; a thread of this module's looks. It tells on the
//! standard error stream, since the loop, which everything in JavaScript needs, is what is kept. A
//! call is timed from the first look that finds it: it is told up to a quarter of the time too
//! late, never too early.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use iris::{Pid, RuntimeRef};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error;

/// Looks in the time after which a handler is told of.
const LOOKS: u32 = 4;

/// Where JavaScript writes: the lower and the upper half of the pid of the actor whose handler
/// runs, 0 for none, and a number that changes with each message. A look may find what was written
/// in part; it tells of what several looks have found.
type Place = [AtomicI32; 3];

/// The watch of one runtime.
pub(crate) struct Watchdog {
    place: Arc<Place>,
    state: Arc<(Mutex<WatchState>, Condvar)>,
}

#[derive(Default)]
struct WatchState {
    /// `None`: off.
    after: Option<Duration>,
    /// There is a thread that looks.
    is_watched: bool,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self {
            place: Arc::default(),
            state: Arc::default(),
        }
    }

    /// Has handlers told of that take so long; `None` turns it off.
    fn set(&self, runtime: &RuntimeRef, after: Option<Duration>) -> std::io::Result<()> {
        let mut state = lock(&self.state.0);
        state.after = after;
        self.state.1.notify_all();
        if after.is_some() && !state.is_watched {
            let watch = Watch {
                runtime: runtime.clone(),
                place: self.place.clone(),
                state: self.state.clone(),
            };
            let builder = thread::Builder::new().name("iris-watchdog".to_owned());
            builder.spawn(move || watch.run())?;
            state.is_watched = true;
        }
        Ok(())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        lock(&self.state.0).after = None;
        self.state.1.notify_all();
    }
}

fn lock(state: &Mutex<WatchState>) -> MutexGuard<'_, WatchState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread has.
struct Watch {
    runtime: RuntimeRef,
    place: Arc<Place>,
    state: Arc<(Mutex<WatchState>, Condvar)>,
}

/// A call that an earlier look has found.
struct Seen {
    pid: Pid,
    number: i32,
    since: Instant,
    /// When it is told of next.
    due: Duration,
}

impl Watch {
    /// Ends when it is turned off.
    fn run(self) {
        let (state, changed) = &*self.state;
        let mut seen: Option<Seen> = None;
        let mut locked = lock(state);
        loop {
            let Some(after) = locked.after else {
                locked.is_watched = false;
                return;
            };
            let look = (after / LOOKS).max(Duration::from_millis(1));
            let waited = changed.wait_timeout(locked, look);
            locked = waited.unwrap_or_else(PoisonError::into_inner).0;
            if locked.after == Some(after) {
                self.look(&mut seen, after);
            }
        }
    }

    fn look(&self, seen: &mut Option<Seen>, after: Duration) {
        let [low, high, number] = &*self.place;
        let number = number.load(Ordering::Relaxed);
        let raw = u64::from(high.load(Ordering::Relaxed).cast_unsigned()) << 32
            | u64::from(low.load(Ordering::Relaxed).cast_unsigned());
        let Some(pid) = Pid::from_raw(raw) else {
            *seen = None;
            return;
        };
        match seen {
            Some(known) if known.pid == pid && known.number == number => {
                let time = known.since.elapsed();
                if time >= known.due {
                    self.tell(pid, time);
                    // Again, but ever more seldom.
                    known.due = time * 2;
                }
            }
            _ => {
                *seen = Some(Seen {
                    pid,
                    number,
                    since: Instant::now(),
                    due: after,
                });
            }
        }
    }

    #[expect(
        clippy::print_stderr,
        reason = "JavaScript, which could tell it otherwise, does not run"
    )]
    fn tell(&self, pid: Pid, time: Duration) {
        let runtime = self.runtime.upgrade();
        let behavior = runtime.and_then(|runtime| Some(runtime.info(pid)?.behavior));
        let behavior = behavior.unwrap_or_default();
        eprintln!(
            "iris: actor {pid} ({behavior}) has been at one message for {time:.1?} and keeps the \
             event loop: timers, I/O and all other handlers of this thread wait for it. Let it \
             await, split the work, or give it to a worker thread; `node --inspect` shows where \
             it is."
        );
    }
}

#[napi]
impl Core {
    /// Where it is written down whose handler runs.
    #[napi(catch_unwind)]
    pub fn place<'env>(&self, env: &'env Env) -> Result<ArrayBuffer<'env>> {
        let place = Arc::into_raw(self.watchdog.place.clone());
        let bytes = place.cast_mut().cast::<u8>();
        // SAFETY: what the reference points to is there until JavaScript has let go of it, and
        // any bits are three numbers.
        unsafe {
            ArrayBuffer::from_external(env, bytes, size_of::<Place>(), place, |_, place| {
                drop(Arc::from_raw(place));
            })
        }
    }

    /// Has handlers told of that keep the loop for so many seconds; without, none is.
    #[napi(catch_unwind)]
    pub fn set_watchdog(&self, seconds: Option<f64>) -> Result<()> {
        let after = seconds.map(convert::seconds);
        let set = self.watchdog.set(&self.runtime.downgrade(), after);
        set.map_err(error::other)
    }
}
