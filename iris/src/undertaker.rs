//! `on_stop` with a deadline.
//!
//! A function that runs cannot be taken off its thread, and whether a behavior overrides
//! `on_stop` cannot be asked. So it runs where the process ran, and what can be taken away is
//! the rest of the exit:
//!
//! ```text
//!   runner:  entrust the exit ──► on_stop ──► take it back ──► finish it
//!   watch:        past the deadline? ──► log ──► a thread of its own ──► finish it
//! ```
//!
//! Whoever takes the exit out finishes it, so it is finished once. The watch is one thread for
//! a runtime, started with the first `on_stop`. It runs no code of users, for a parent whose exit
//! goes on with its child's may have an `on_stop` that hangs, too.
//!
//! **Cost.** A process that has no state costs nothing. One that has costs two locks that
//! nobody holds for long and a look at the clock, some 100 ns. The watch is not woken for it:
//! it looks once in a deadline, and sleeps for good after one without any `on_stop`.
//!
//! What was thought of and left: to run each `on_stop` on a helper thread, where one that
//! hangs would not keep a worker, makes every exit wait for a thread; and an extra method by
//! which a behavior says that it has an `on_stop` is forgotten without anybody noticing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use iris_core::{Behavior, Exit, Exited, Failure, Pid, State};

use crate::runtime::Inner;

/// How long an `on_stop` may take by default: 5 s, what OTP gives a worker to shut down.
pub const ON_STOP_DEADLINE: Duration = Duration::from_secs(5);

const SHORTEST_DEADLINE: Duration = Duration::from_millis(1);

/// Runs what behaviors do at the end, and does not wait for it for ever.
pub(crate) struct Undertaker {
    office: Arc<Office>,
    runtime: Weak<Inner>,
}

struct Office {
    deadline: Duration,
    desk: Mutex<Desk>,
    bell: Condvar,
    late: AtomicU64,
}

#[derive(Default)]
struct Desk {
    /// Exits whose `on_stop` runs, oldest first. As many as there are threads that run
    /// processes, at most.
    entrusted: Vec<Entrusted>,
    last_ticket: u64,
    watch: Watch,
    /// Whether anything was entrusted since the watch last looked.
    used: bool,
    closed: bool,
}

struct Entrusted {
    ticket: u64,
    since: Instant,
    exited: Exited,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watch {
    #[default]
    NotStarted,
    Asleep,
    Awake,
}

impl Undertaker {
    pub(crate) fn new(runtime: Weak<Inner>, deadline: Duration) -> Self {
        let office = Office {
            // Without any time at all the watch would never rest.
            deadline: deadline.max(SHORTEST_DEADLINE),
            desk: Mutex::default(),
            bell: Condvar::new(),
            late: AtomicU64::new(0),
        };
        Self {
            office: Arc::new(office),
            runtime,
        }
    }

    /// Runs `on_stop` and drops the state, here. Returns the exit, to be finished, unless that
    /// took so long that somebody else sees to it.
    pub(crate) fn on_stop(&self, mut exited: Exited) -> Option<Exited> {
        let Some(last_rites) = LastRites::of(&mut exited) else {
            return Some(exited);
        };
        let ticket = self.entrust(exited);
        last_rites.run();
        self.office.take(ticket)
    }

    /// Runs `on_stop` on a thread of its own, and waits for it until the deadline: for exits
    /// that a runtime finishes which gives up, on whatever thread that happens to do so.
    pub(crate) fn on_stop_apart(&self, mut exited: Exited) -> Exited {
        let Some(last_rites) = LastRites::of(&mut exited) else {
            return exited;
        };
        let (done, waits) = channel();
        let run = move || {
            last_rites.run();
            // Nobody listens any more when it is late.
            done.send(()).ok();
        };
        match spawn("iris-on-stop", run) {
            Ok(()) if waits.recv_timeout(self.office.deadline).is_err() => {
                self.office.note_late(exited.pid);
            }
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "no thread for an on_stop, which is left out"),
        }
        exited
    }

    /// The exits whose `on_stop` still runs: for a runtime that gives up.
    pub(crate) fn give_up(&self) -> Vec<Exited> {
        let entrusted = std::mem::take(&mut self.office.lock().entrusted);
        entrusted.into_iter().map(|given| given.exited).collect()
    }

    /// Sends the watch home, with the other threads of a runtime. What ends later than that has
    /// been given up before, and nobody waits for it.
    pub(crate) fn close(&self) {
        self.office.lock().closed = true;
        self.office.bell.notify_one();
    }

    /// How many are inside an `on_stop` at this moment.
    pub(crate) fn at_work(&self) -> usize {
        self.office.lock().entrusted.len()
    }

    /// Exits that went on without their `on_stop`, since the runtime began.
    pub(crate) fn late(&self) -> u64 {
        self.office.late.load(Ordering::Relaxed)
    }

    fn entrust(&self, exited: Exited) -> u64 {
        let since = Instant::now();
        let mut desk = self.office.lock();
        desk.last_ticket += 1;
        let ticket = desk.last_ticket;
        desk.entrusted.push(Entrusted {
            ticket,
            since,
            exited,
        });
        desk.used = true;
        match desk.watch {
            Watch::Awake => {}
            Watch::Asleep => {
                desk.watch = Watch::Awake;
                self.office.bell.notify_one();
            }
            Watch::NotStarted if desk.closed => {}
            Watch::NotStarted => {
                let (office, runtime) = (self.office.clone(), self.runtime.clone());
                match spawn("iris-watch", move || office.watch(&runtime)) {
                    Ok(()) => desk.watch = Watch::Awake,
                    Err(error) => tracing::error!(%error, "on_stop has no deadline"),
                }
            }
        }
        ticket
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        self.close();
    }
}

impl Office {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, ticket: u64) -> Option<Exited> {
        let entrusted = &mut self.lock().entrusted;
        let at = entrusted.iter().position(|given| given.ticket == ticket)?;
        Some(entrusted.remove(at).exited)
    }

    fn note_late(&self, pid: Pid) {
        self.late.fetch_add(1, Ordering::Relaxed);
        let deadline = self.deadline;
        tracing::error!(
            pid = pid.raw(),
            ?deadline,
            "on_stop did not return in time; the exit goes on without it"
        );
    }

    /// The watch, until the runtime is shut down or dropped.
    fn watch(self: &Arc<Self>, runtime: &Weak<Inner>) {
        let mut desk = self.lock();
        while !desk.closed {
            let now = Instant::now();
            for ticket in desk.overdue(now, self.deadline) {
                let (office, runtime) = (self.clone(), runtime.clone());
                // Without a thread it is tried again after another deadline.
                if let Err(error) =
                    spawn("iris-undertaker", move || office.finish(ticket, &runtime))
                {
                    tracing::error!(%error, "an on_stop is late, and its exit has no thread");
                }
            }
            desk = if let Some(after) = desk.next_look(now, self.deadline) {
                let waited = self.bell.wait_timeout(desk, after);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                desk.watch = Watch::Asleep;
                let waited = self.bell.wait(desk);
                waited.unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Finishes an exit whose `on_stop` is late, unless that has returned after all.
    fn finish(&self, ticket: u64, runtime: &Weak<Inner>) {
        let Some(inner) = runtime.upgrade() else {
            return;
        };
        if let Some(exited) = self.take(ticket) {
            self.note_late(exited.pid);
            inner.exits.go_on(&inner, exited);
        }
    }
}

impl Desk {
    /// Those that are past the deadline; their time begins anew.
    fn overdue(&mut self, now: Instant, deadline: Duration) -> Vec<u64> {
        let late = |given: &&mut Entrusted| now.saturating_duration_since(given.since) >= deadline;
        let overdue = self.entrusted.iter_mut().filter(late).map(|given| {
            given.since = now;
            given.ticket
        });
        overdue.collect()
    }

    /// When the watch has to look again; never, if a whole deadline went by without any work.
    fn next_look(&mut self, now: Instant, deadline: Duration) -> Option<Duration> {
        let since = self.entrusted.iter().map(|given| given.since).min();
        if let Some(since) = since {
            return Some(deadline.saturating_sub(now.saturating_duration_since(since)));
        }
        std::mem::take(&mut self.used).then_some(deadline)
    }
}

/// All that an `on_stop` needs; it owns it, so that it can go on alone.
struct LastRites {
    pid: Pid,
    exit: Exit,
    behavior: Arc<dyn Behavior>,
    state: State,
}

impl LastRites {
    /// Takes the state out; a process that has none has no `on_stop` either.
    fn of(exited: &mut Exited) -> Option<Self> {
        Some(Self {
            state: exited.state.take()?,
            pid: exited.pid,
            exit: exited.exit.clone(),
            behavior: exited.behavior.clone(),
        })
    }

    fn run(self) {
        let Self {
            pid,
            exit,
            behavior,
            mut state,
        } = self;
        contain(pid, "on_stop panicked", || {
            behavior.on_stop(&mut state, &exit);
        });
        contain(pid, "a state panicked while it was dropped", || drop(state));
        contain(pid, DROPPED, || drop(behavior));
    }
}

/// What to say of a behavior that is not even dropped in peace.
pub(crate) const DROPPED: &str = "a behavior panicked while it was dropped";

/// What to say of a message like that.
pub(crate) const DROPPED_MESSAGE: &str = "a message panicked while it was dropped";

/// Runs code of users in the middle of an exit, which goes on if that panics.
pub(crate) fn contain(pid: Pid, what: &str, run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        let failure = Failure::from_panic(&*payload);
        tracing::error!(pid = pid.raw(), %failure, "{what}; the exit goes on");
        // What was thrown is the user's, too. There has to be an end to it.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use iris_core::{Context, ExitReason, Message, Step};

    use super::*;
    use crate::Runtime;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Hangs at its end until the test lets go.
    struct Hangs(Mutex<(Sender<()>, Receiver<()>)>);

    impl Behavior for Hangs {
        fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
            Step::Done
        }

        fn on_stop(&self, _: &mut State, _: &Exit) {
            let gate = self.0.lock().expect("only this locks it");
            gate.0.send(()).expect("the test listens");
            // An error means that the test is over.
            gate.1.recv().ok();
        }
    }

    fn hanging(rt: &Runtime) -> (Pid, Receiver<()>, Sender<()>) {
        let (enter, entered) = channel();
        let (release, gate) = channel();
        let hangs = Hangs(Mutex::new((enter, gate)));
        let pid = rt.spawn(hangs).named("x").at_path("/x").start();
        let pid = pid.expect("the name is free");
        rt.send(pid, &b"wake up"[..]).expect("it is alive");
        assert!(rt.wait_quiet(PATIENCE));
        (pid, entered, release)
    }

    fn watch_is(rt: &Runtime, state: Watch) -> bool {
        let seen = Instant::now();
        while rt.undertaker().office.lock().watch != state {
            if seen.elapsed() > PATIENCE {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    #[test]
    fn names_and_timers_are_there_until_on_stop_returns_or_is_late() {
        for late in [false, true] {
            let deadline = if late {
                Duration::from_millis(20)
            } else {
                Duration::from_hours(1)
            };
            let builder = Runtime::builder().workers(2).on_stop_deadline(deadline);
            let rt = builder.start().expect("there are threads");
            let (pid, entered, release) = hanging(&rt);
            let hour = Duration::from_hours(1);
            rt.send_after(pid, hour, &b"later"[..])
                .expect("it is alive");
            rt.stop(pid, ExitReason::Killed);
            entered.recv_timeout(PATIENCE).expect("on_stop runs");
            let release = if late {
                Some(release)
            } else {
                assert_eq!(rt.registry().whereis("x"), Some(pid));
                assert_eq!(rt.registry().whereis_path("/x"), Some(pid));
                assert_eq!(rt.timers().len(), 1);
                drop(release);
                None
            };
            assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
            assert_eq!(rt.registry().whereis("x"), None);
            assert_eq!(rt.registry().whereis_path("/x"), None);
            assert_eq!(rt.timers().len(), 0);
            assert_eq!(rt.exit_counts().late, u64::from(late));
            drop(release);
        }
    }

    #[test]
    fn the_watch_sleeps_when_there_is_nothing_to_watch_and_wakes_again() {
        let deadline = Duration::from_millis(20);
        let builder = Runtime::builder().workers(2).on_stop_deadline(deadline);
        let rt = builder.start().expect("there are threads");
        assert!(watch_is(&rt, Watch::NotStarted));
        for _ in 0..2 {
            let (pid, entered, release) = hanging(&rt);
            rt.stop(pid, ExitReason::Killed);
            entered.recv_timeout(PATIENCE).expect("on_stop runs");
            assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
            drop(release);
            assert!(watch_is(&rt, Watch::Asleep));
        }
        assert_eq!(rt.exit_counts().late, 2);
    }

    #[test]
    fn the_watch_ends_with_a_shutdown_and_with_the_runtime() {
        for shuts_down in [false, true] {
            let rt = Runtime::builder().workers(1).start();
            let rt = rt.expect("there are threads");
            let (pid, entered, release) = hanging(&rt);
            rt.stop(pid, ExitReason::Killed);
            entered.recv_timeout(PATIENCE).expect("on_stop runs");
            drop(release);
            assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
            let office = Arc::downgrade(&rt.undertaker().office);
            assert_eq!(office.strong_count(), 2, "the watch has it, too");
            let kept = if shuts_down {
                rt.shutdown(PATIENCE);
                Some(rt)
            } else {
                drop(rt);
                None
            };
            let seen = Instant::now();
            while office.strong_count() > usize::from(kept.is_some()) {
                assert!(seen.elapsed() < PATIENCE, "a thread still has it");
                thread::yield_now();
            }
        }
    }
}
