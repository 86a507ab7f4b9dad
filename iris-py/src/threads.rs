//! Threads for actors that are run apart from the lane: `release_gil=True`.
//!
//! ```text
//!   spawn(release_gil=True) -- a seat is free --> a crew of one: the actor's own thread
//!                           -- all are taken ---> the pool: one crew for all the others
//!                                  \-- strict --> an error
//!
//!   ready --> crew's queue --> one of its threads: takes the GIL, runs slices, lets go
//! ```
//!
//! A crew is a scheduler with a queue and threads of its own, which begin when there is work for
//! them and end when there was none for a while. That an actor has one turn at a time is the
//! scheduler port's doing, here as anywhere, and so are its order and its mailbox. A crew of one
//! belongs to the cohort of its actor alone, and ends with it.
//!
//! Locks: a crew's before the lane's. Neither is held while anything of an actor's runs.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use iris::{BoxFuture, Cohort, Parked, Pid, Ready, Runtime, Scheduler, Shift};
use pyo3::prelude::*;

use crate::lane::{GuestLane, HOLD};
use crate::pulse::Pulse;

/// Actors of one runtime that have a thread to themselves, unless the user says otherwise.
pub(crate) const MAX_THREADS: usize = 256;

/// Threads for all others, unless the user says otherwise.
pub(crate) const POOL_SIZE: usize = 8;

/// More threads than this may not be asked for: operating systems give a program some ten
/// thousand.
pub(crate) const MOST: usize = 10_000;

/// How long a thread waits for something to do before it ends.
const IDLE_LIFE: Duration = Duration::from_secs(5);

/// The crews of one runtime.
pub(crate) struct OwnThreads {
    lane: Arc<GuestLane>,
    state: Mutex<Seats>,
    /// Made for the first actor that needs it.
    pool: OnceLock<Pool>,
}

struct Seats {
    max_threads: usize,
    pool_size: usize,
    strict: bool,
    taken: Vec<Taken>,
}

struct Taken {
    crew: Weak<Crew>,
    /// Known once it is spawned.
    pid: Option<Pid>,
}

struct Pool {
    crew: Arc<Crew>,
    cohort: Arc<Cohort>,
}

/// Where an actor is to be run.
pub(crate) struct Place {
    pub(crate) cohort: Arc<Cohort>,
    crew: Weak<Crew>,
}

/// All seats are taken, and there is to be no pool.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) max_threads: usize,
}

impl OwnThreads {
    pub(crate) fn new(lane: Arc<GuestLane>) -> Self {
        let seats = Seats {
            max_threads: MAX_THREADS,
            pool_size: POOL_SIZE,
            strict: false,
            taken: Vec::new(),
        };
        Self {
            lane,
            state: Mutex::new(seats),
            pool: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how many actors spawned from now on get a thread of their own, and how many
    /// threads the others share, which applies to those that are there, too.
    pub(crate) fn set_limits(&self, max_threads: usize, pool_size: usize) {
        let mut seats = self.lock();
        seats.max_threads = max_threads;
        seats.pool_size = pool_size;
        if let Some(pool) = self.pool.get() {
            pool.crew.set_limit(pool_size);
        }
    }

    pub(crate) fn set_strict(&self, strict: bool) {
        self.lock().strict = strict;
    }

    /// A place for one more actor.
    pub(crate) fn place(&self, runtime: &Runtime) -> Result<Place, Full> {
        let mut seats = self.lock();
        if seats.taken.len() >= seats.max_threads {
            // An actor leaves its table a moment before it leaves its thread.
            seats.taken.retain(|seat| seat.is_taken(runtime));
        }
        if seats.taken.len() < seats.max_threads {
            let crew = Arc::new(Crew::new(self.lane.clone(), 1));
            let place = Place {
                crew: Arc::downgrade(&crew),
                cohort: runtime.cohort_on(crew),
            };
            seats.taken.push(Taken {
                crew: place.crew.clone(),
                pid: None,
            });
            return Ok(place);
        }
        if seats.strict {
            let max_threads = seats.max_threads;
            return Err(Full { max_threads });
        }
        let pool = self.pool.get_or_init(|| {
            let crew = Arc::new(Crew::new(self.lane.clone(), seats.pool_size));
            let cohort = runtime.lasting_cohort(crew.clone());
            Pool { crew, cohort }
        });
        Ok(Place {
            cohort: pool.cohort.clone(),
            crew: Weak::new(),
        })
    }

    /// Whose place it is.
    pub(crate) fn seated(&self, place: &Weak<Crew>, pid: Pid) {
        let mut seats = self.lock();
        let seat = seats.taken.iter_mut().rev();
        if let Some(seat) = seat.into_iter().find(|seat| seat.crew.ptr_eq(place)) {
            seat.pid = Some(pid);
        }
    }

    /// Lets running handlers finish and ends the threads. Does not wait.
    pub(crate) fn stop(&self) {
        let crews: Vec<_> = self.lock().taken.iter().map(|t| t.crew.clone()).collect();
        let pool = self.pool.get().map(|pool| pool.crew.clone());
        for crew in crews.iter().filter_map(Weak::upgrade).chain(pool) {
            crew.shared.close();
        }
    }
}

impl Place {
    /// Names the seat, to be told later who took it; nothing for one in the pool.
    pub(crate) fn seat(&self) -> Weak<Crew> {
        self.crew.clone()
    }
}

impl Taken {
    fn is_taken(&self, runtime: &Runtime) -> bool {
        let has_left = |pid| matches!(runtime.join(pid, Some(Duration::ZERO)), Ok(true));
        self.crew.strong_count() > 0 && !self.pid.is_some_and(has_left)
    }
}

/// A queue of processes and the threads that run them. The threads end when it is dropped.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    lane: Arc<GuestLane>,
}

struct Shared {
    state: Mutex<CrewState>,
    work: Condvar,
}

struct CrewState {
    ready: VecDeque<Ready>,
    limit: usize,
    threads: usize,
    /// Threads that will look into the queue without being asked to, those that are just
    /// beginning included.
    idle: usize,
    closed: bool,
}

impl Crew {
    fn new(lane: Arc<GuestLane>, limit: usize) -> Self {
        let state = CrewState {
            ready: VecDeque::new(),
            limit,
            threads: 0,
            idle: 0,
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
        });
        Self { shared, lane }
    }

    fn set_limit(&self, limit: usize) {
        let mut state = self.shared.lock();
        state.limit = limit;
        while state.wants_thread() && self.add_thread(&mut state).is_ok() {}
        drop(state);
        // Some may be too many now.
        self.shared.work.notify_all();
    }

    fn add_thread(&self, state: &mut CrewState) -> io::Result<()> {
        let shared = self.shared.clone();
        self.lane.run_beside(move || shared.serve())?;
        state.threads += 1;
        state.idle += 1;
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Scheduler for Crew {
    fn ready(&self, process: Ready) {
        let mut state = self.shared.lock();
        if state.closed {
            // The runtime has been shut down; there is nobody left to run it.
            return;
        }
        state.ready.push_back(process);
        if state.wants_thread() && self.add_thread(&mut state).is_err() && state.threads == 0 {
            // No thread is to be had: the lane's are better than none.
            let stranded = std::mem::take(&mut state.ready);
            drop(state);
            for process in stranded {
                self.lane.ready(process);
            }
            return;
        }
        drop(state);
        self.shared.work.notify_one();
    }

    fn park(&self, parked: Parked) {
        self.lane.park(parked);
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.lane.drive(future);
    }
}

impl CrewState {
    fn wants_thread(&self) -> bool {
        self.ready.len() > self.idle && self.threads < self.limit
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, CrewState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// The life of a thread, without the GIL.
    fn serve(&self) {
        let mut state = self.lock();
        while let Some(found) = self.wait_for_work(state) {
            state = found;
            state.idle -= 1;
            drop(state);
            let ran = Python::try_attach(|_| self.run_ready());
            state = self.lock();
            state.idle += 1;
            if ran.is_none() {
                // The interpreter is gone.
                state.closed = true;
            }
        }
    }

    /// Until there is something in the queue; `None` if the thread is to end, which is then
    /// counted.
    fn wait_for_work<'a>(
        &self,
        mut state: MutexGuard<'a, CrewState>,
    ) -> Option<MutexGuard<'a, CrewState>> {
        let until = Instant::now() + IDLE_LIFE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !state.closed && !state.ready.is_empty() {
                return Some(state);
            }
            if state.closed || state.threads > state.limit || left.is_zero() {
                state.idle -= 1;
                state.threads -= 1;
                return None;
            }
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// With the GIL: slices until the queue is empty or the time is over.
    fn run_ready(&self) {
        let until = Instant::now() + HOLD;
        let pulse = Pulse::own();
        let mut shift = Shift::default();
        loop {
            let next = {
                let mut state = self.lock();
                if state.closed {
                    return;
                }
                state.ready.pop_front()
            };
            let Some(process) = next else {
                return;
            };
            let inside = pulse.as_ref().map(|pulse| pulse.enter(process.pid()));
            shift.run(process);
            drop(inside);
            if Instant::now() >= until {
                return;
            }
        }
    }
}
