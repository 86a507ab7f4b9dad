//! Supervisors at work: the pitfalls that others fell into, each as a test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Ear, PATIENCE, crash, gone, mortal};
use iris::supervise::{Backoff, Intensity};
use iris::{
    ChildSpec, ExitReason, Failure, Pid, Plan, Restart, Runtime, Shutdown, Step, Strategy,
    SuperviseError, SupervisorSpec, SystemMessage, handler,
};

/// A factory, and how often it was called.
fn counted() -> (
    Arc<AtomicUsize>,
    impl Fn(&Runtime) -> Result<Pid, Failure> + Send + Sync,
) {
    let calls = Arc::<AtomicUsize>::default();
    let count = calls.clone();
    let factory = move |rt: &Runtime| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(mortal(rt))
    };
    (calls, factory)
}

/// Restarts as often as they come, at once.
fn eager() -> SupervisorSpec {
    SupervisorSpec {
        intensity: Intensity::new(1_000_000, Duration::from_hours(1)),
        backoff: Backoff::NONE,
        ..SupervisorSpec::default()
    }
}

#[test]
fn d18_the_factory_is_called_only_to_restart() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (calls, factory) = counted();
    let pid = mortal(&rt);
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(rt.child_pids(), [pid]);
    crash(&rt, pid);
    let next = ear.successor(pid);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!((rt.child_pids(), rt.children_count()), (vec![next], 1));
}

#[test]
fn d21_names_and_paths_never_lead_to_the_dead_and_follow_to_the_successor() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let pid = mortal(&rt);
    rt.register("worker", pid).unwrap();
    rt.register_path("/svc/worker", pid).unwrap();
    let (enter, entered) = channel();
    let (leave, gate) = channel::<()>();
    let gate = Mutex::new((enter, gate));
    let factory = move |rt: &Runtime| {
        let gate = gate.lock().unwrap();
        gate.0.send(()).unwrap();
        gate.1.recv().ok();
        Ok(mortal(rt))
    };
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    crash(&rt, pid);
    entered.recv_timeout(PATIENCE).unwrap();
    // While the factory runs: nobody is there, and nobody else can take the name.
    assert_eq!(
        (rt.whereis("worker"), rt.whereis_path("/svc/worker")),
        (None, None)
    );
    assert_eq!(rt.list_children("/svc").unwrap(), []);
    let stranger = mortal(&rt);
    assert!(rt.register("worker", stranger).is_err());
    assert!(rt.register_path("/svc/worker", stranger).is_err());
    leave.send(()).unwrap();
    let next = ear.successor(pid);
    assert_eq!(rt.whereis("worker"), Some(next));
    assert_eq!(
        rt.list_children("/svc").unwrap(),
        [("/svc/worker".to_owned(), next)]
    );
}

#[test]
fn a_factory_may_have_another_thread_register_the_old_name() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let factory = |rt: &Runtime| {
        let old = iris::succeeding();
        thread::scope(|scope| {
            let make = || {
                let pid = mortal(rt);
                // It is for the successor, which only the factory's own thread is known to make.
                let alone = rt.register("svc", pid).is_ok();
                let lent = iris::succeed(old, || rt.register("svc", pid)).is_ok();
                assert_eq!((alone, lent), (old.is_none(), true));
                assert_eq!(iris::succeeding(), None);
                Ok(pid)
            };
            scope.spawn(make).join().unwrap()
        })
    };
    let pid = factory(&rt).unwrap();
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    crash(&rt, pid);
    let next = ear.successor(pid);
    assert_eq!(rt.whereis("svc"), Some(next));
}

#[test]
fn a_factory_may_register_the_old_name_itself() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let factory = |rt: &Runtime| {
        let deaf = handler(|_, _| Step::Stop(ExitReason::Crash.into()));
        Ok(rt.spawn(deaf).named("worker").start()?)
    };
    let mut pid = factory(&rt).unwrap();
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    for _ in 0..2 {
        crash(&rt, pid);
        pid = ear.successor(pid);
        assert_eq!(rt.whereis("worker"), Some(pid));
    }
}

#[test]
fn d17_stop_restarts_a_permanent_child_and_stop_child_ends_it_for_good() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (calls, factory) = counted();
    let pid = mortal(&rt);
    rt.register("worker", pid).unwrap();
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    rt.stop(pid, ExitReason::Killed);
    let next = ear.successor(pid);
    assert!(
        rt.stop_child(pid),
        "the one before is a name for the child, too"
    );
    gone(&rt, next);
    assert!(!rt.stop_child(next));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!((rt.children_count(), rt.whereis("worker")), (0, None));
    rt.register("worker", mortal(&rt)).unwrap();
    ear.is_silent(&rt);
}

#[test]
fn a_transient_child_that_is_stopped_stays_down_and_its_name_is_free() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (calls, factory) = counted();
    let pid = mortal(&rt);
    rt.register("worker", pid).unwrap();
    let spec = ChildSpec::new("worker").restart(Restart::Transient);
    rt.supervise(rt.global_supervisor(), pid, spec, factory)
        .unwrap();
    crash(&rt, pid);
    let next = ear.successor(pid);
    rt.stop(next, ExitReason::Killed);
    gone(&rt, next);
    assert_eq!(rt.whereis("worker"), None);
    rt.register("worker", mortal(&rt)).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// What a storm test needs: a child that dies at once, whatever it is.
fn stillborn(rt: &Runtime) -> Result<Pid, Failure> {
    let pid = rt.spawn(handler(|_, _| panic!("stillborn"))).start()?;
    rt.send(pid, &b"die"[..]).ok();
    Ok(pid)
}

#[test]
fn d16_p17_a_child_that_dies_at_once_is_given_up_alone_and_the_report_says_why() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (tell, told) = channel();
    rt.on_give_up(move |report| {
        tell.send(report.clone()).ok();
    });
    let (calls, factory) = counted();
    let well = mortal(&rt);
    rt.supervise_with_factory(well, factory, Strategy::OneForOne)
        .unwrap();
    let pid = mortal(&rt);
    rt.supervise_with_factory(pid, stillborn, Strategy::OneForOne)
        .unwrap();
    let started = Instant::now();
    crash(&rt, pid);
    let mut restarts = 0;
    let last = loop {
        match ear.system() {
            SystemMessage::Restarted { .. } => restarts += 1,
            SystemMessage::GaveUp { last, .. } => break last.expect("it ran"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(restarts, 3);
    // The first is immediate; then half of 100 and of 200 ms at least.
    assert!(started.elapsed() >= Duration::from_millis(150));
    assert_eq!(last.reason, ExitReason::Panic);
    assert_eq!(last.metadata.unwrap().message, "stillborn");
    let report = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((report.restarts, report.alone), (3, true));
    assert_eq!(
        (rt.child_pids(), calls.load(Ordering::SeqCst)),
        (vec![well], 0)
    );
}

#[test]
fn d19_one_for_all_stops_the_siblings_before_it_starts_them_again() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let alive = Arc::<Mutex<Vec<Pid>>>::default();
    let spec = SupervisorSpec {
        strategy: Strategy::OneForAll,
        ..eager()
    };
    let (started, starts) = channel();
    let child = |id: &'static str| {
        let (started, alive) = (started.clone(), alive.clone());
        let factory = move |rt: &Runtime| {
            let mut alive = alive.lock().unwrap();
            alive.retain(|pid| rt.is_alive(*pid));
            let pid = mortal(rt);
            alive.push(pid);
            started.send((id, pid, alive.len())).unwrap();
            Ok(pid)
        };
        (ChildSpec::new(id), factory)
    };
    let mut builder = rt.supervisor(spec);
    for id in ["a", "b", "c"] {
        let (spec, factory) = child(id);
        builder = builder.child(spec, factory);
    }
    builder.start().unwrap();
    let first: Vec<_> = (0..3)
        .map(|_| starts.recv_timeout(PATIENCE).unwrap())
        .collect();
    crash(&rt, first[1].1);
    let second: Vec<_> = (0..3)
        .map(|_| starts.recv_timeout(PATIENCE).unwrap())
        .collect();
    for (before, after) in first.iter().zip(&second) {
        assert_eq!(
            (before.0, before.2),
            (after.0, after.2),
            "in order, none beside its own kind"
        );
        assert!(!rt.is_alive(before.1));
        assert_eq!(ear.successor(before.1), after.1);
    }
    assert_eq!(alive.lock().unwrap().len(), 3);
}

#[test]
fn d20_what_is_only_watched_is_listed_and_never_restarted() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (pid, deep) = (mortal(&rt), mortal(&rt));
    rt.register_path("/svc/one", pid).unwrap();
    rt.register_path("/svc/two/below", deep).unwrap();
    assert_eq!(rt.watch_path("/svc"), Ok(1));
    assert_eq!((rt.child_pids(), rt.children_count()), (vec![pid], 1));
    crash(&rt, pid);
    gone(&rt, pid);
    assert_eq!((rt.child_pids(), rt.children_count()), (vec![], 0));
    ear.is_silent(&rt);
}

#[test]
fn d20_a_factory_that_returns_the_dead_process_has_failed() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let pid = mortal(&rt);
    let calls = AtomicUsize::new(0);
    let factory = move |rt: &Runtime| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(if first { pid } else { mortal(rt) })
    };
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    crash(&rt, pid);
    let next = ear.successor(pid);
    assert_eq!(rt.child_pids(), [next]);
}

#[test]
fn d22_a_factory_that_fails_is_tried_again_until_it_does_not() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (pid, calls) = (mortal(&rt), AtomicUsize::new(0));
    rt.register("worker", pid).unwrap();
    let factory = move |rt: &Runtime| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("the factory panics"),
        1..4 => Err(Failure::default()),
        _ => Ok(mortal(rt)),
    };
    let spec = SupervisorSpec {
        backoff: Backoff::NONE,
        ..SupervisorSpec::default()
    };
    let supervisor = rt.supervisor(spec).start().unwrap();
    rt.supervise(supervisor, pid, ChildSpec::new("x"), factory)
        .unwrap();
    crash(&rt, pid);
    let next = ear.successor(pid);
    assert_eq!(rt.whereis("worker"), Some(next));
}

#[test]
fn a_factory_that_blocks_holds_up_nobody() {
    let rt = Runtime::builder().workers(1).start().unwrap();
    let ear = Ear::of_restarts(&rt);
    let (leave, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (stuck, quick) = (mortal(&rt), mortal(&rt));
    let blocks = move |rt: &Runtime| {
        gate.lock().unwrap().recv().ok();
        Ok(mortal(rt))
    };
    rt.supervise_with_factory(stuck, blocks, Strategy::OneForOne)
        .unwrap();
    rt.supervise_with_factory(quick, |rt| Ok(mortal(rt)), Strategy::OneForOne)
        .unwrap();
    crash(&rt, stuck);
    gone(&rt, stuck);
    crash(&rt, quick);
    ear.successor(quick);
    drop(leave);
    ear.successor(stuck);
}

#[test]
fn a_child_that_is_dead_when_its_factory_returns_is_restarted() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let supervisor = rt.supervisor(eager()).start().unwrap();
    let (pid, calls) = (mortal(&rt), AtomicUsize::new(0));
    rt.register("worker", pid).unwrap();
    let factory = move |rt: &Runtime| {
        let pid = mortal(rt);
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            crash(rt, pid);
            gone(rt, pid);
        }
        Ok(pid)
    };
    rt.supervise(supervisor, pid, ChildSpec::new("x"), factory)
        .unwrap();
    crash(&rt, pid);
    let dead = ear.successor(pid);
    let next = ear.successor(dead);
    assert_eq!(rt.whereis("worker"), Some(next));
    let children = rt.supervisor_children(supervisor);
    assert_eq!(
        children[0].last_reason,
        Some(ExitReason::Crash),
        "not `noproc`"
    );
}

#[test]
fn a_shutdown_restarts_nobody_and_stops_the_last_first() {
    let rt = Runtime::new();
    let order = Arc::<Mutex<Vec<&str>>>::default();
    let (started, starts) = channel();
    let mut builder = rt.supervisor(SupervisorSpec::default());
    for id in ["a", "b", "c"] {
        let (order, started) = (order.clone(), started.clone());
        builder = builder.child(ChildSpec::new(id), move |rt| {
            let pid = rt.spawn(Farewell(id, order.clone())).start()?;
            rt.send(pid, &b"wake"[..]).ok();
            started.send(pid).ok();
            Ok(pid)
        });
    }
    builder.start().unwrap();
    for _ in 0..3 {
        starts.recv_timeout(PATIENCE).unwrap();
    }
    rt.shutdown(PATIENCE);
    assert_eq!(*order.lock().unwrap(), ["c", "b", "a"]);
    assert!(starts.try_recv().is_err(), "nobody came back");
    let refused = rt.supervise_with_factory(mortal_pid(), |rt| Ok(mortal(rt)), Strategy::OneForOne);
    assert_eq!(refused, Err(SuperviseError::ShutDown));
}

fn mortal_pid() -> Pid {
    Pid::new(7, Pid::FIRST_GENERATION).unwrap()
}

struct Farewell(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl iris::Behavior for Farewell {
    fn handle(&self, _: &mut iris::State, _: &mut iris::Context<'_>, _: iris::Message) -> Step {
        Step::Done
    }

    fn on_stop(&self, _: &mut iris::State, _: &iris::Exit) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn a_family_child_is_not_restarted_once_its_parent_is_gone() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let parent = mortal(&rt);
    let spawn = |rt: &Runtime| {
        Ok(rt
            .spawn(handler(|_, _| Step::Stop(ExitReason::Crash.into())))
            .start()?)
    };
    let child = rt.spawn(handler(|_, _| Step::Stop(ExitReason::Crash.into())));
    let child = child.child_of(parent).named("child").start().unwrap();
    rt.supervise_with_factory(child, spawn, Strategy::OneForOne)
        .unwrap();
    crash(&rt, child);
    // The successor has the same parent, though its factory says nothing of one.
    let next = ear.successor(child);
    assert_eq!(rt.info(next).unwrap().parent, Some(parent));
    crash(&rt, parent);
    gone(&rt, parent);
    assert!(!rt.is_alive(next));
    assert_eq!((rt.children_count(), rt.whereis("child")), (0, None));
    rt.register("child", mortal(&rt)).unwrap();
    ear.is_silent(&rt);
}

#[test]
fn a_child_whose_parent_dies_while_it_is_being_restarted_is_not() {
    let rt = Runtime::new();
    let parent = mortal(&rt);
    let child = rt.spawn(handler(|_, _| Step::Stop(ExitReason::Crash.into())));
    let child = child.child_of(parent).start().unwrap();
    let (enter, entered) = channel();
    let (leave, gate) = channel::<()>();
    let (made, makes) = channel();
    let gate = Mutex::new((enter, gate, made));
    let factory = move |rt: &Runtime| {
        let gate = gate.lock().unwrap();
        gate.0.send(()).unwrap();
        gate.1.recv().ok();
        let pid = mortal(rt);
        gate.2.send(pid).unwrap();
        Ok(pid)
    };
    rt.supervise_with_factory(child, factory, Strategy::OneForOne)
        .unwrap();
    crash(&rt, child);
    entered.recv_timeout(PATIENCE).unwrap();
    crash(&rt, parent);
    gone(&rt, parent);
    leave.send(()).unwrap();
    gone(&rt, makes.recv_timeout(PATIENCE).unwrap());
    assert_eq!(rt.children_count(), 0);
}

#[test]
fn a_path_supervisor_restarts_its_own_and_is_removed_with_them() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    rt.create_path_supervisor("/svc").unwrap();
    assert!(matches!(
        rt.create_path_supervisor("/svc"),
        Err(SuperviseError::Scope(_))
    ));
    assert!(matches!(
        rt.create_path_supervisor("svc"),
        Err(SuperviseError::Path(_))
    ));
    let (pid, watched) = (mortal(&rt), mortal(&rt));
    rt.register_path("/svc/one", pid).unwrap();
    rt.path_supervise_with_factory("/svc", pid, |rt| Ok(mortal(rt)), Strategy::OneForOne)
        .unwrap();
    assert_eq!(rt.path_supervisor_watch("/svc", watched), Ok(true));
    assert_eq!(rt.path_supervisor_watch("/svc", watched), Ok(false));
    crash(&rt, pid);
    let next = ear.successor(pid);
    assert_eq!(rt.path_supervisor_children("/svc"), Ok(vec![next, watched]));
    assert_eq!(
        (rt.child_pids(), rt.whereis_path("/svc/one")),
        (vec![], Some(next))
    );
    assert!(rt.remove_path_supervisor("/svc"));
    gone(&rt, next);
    assert!(rt.is_alive(watched));
    assert!(!rt.remove_path_supervisor("/svc"));
    assert!(rt.path_supervisor_children("/svc").is_err());
    ear.is_silent(&rt);
}

#[test]
fn a_supervisor_that_gives_up_is_restarted_by_the_one_above() {
    let rt = Runtime::new();
    let (started, starts) = channel();
    let factory = move |rt: &Runtime| {
        let pid = mortal(rt);
        started.send(pid).unwrap();
        Ok(pid)
    };
    let strict = SupervisorSpec {
        intensity: Intensity::new(1, Duration::from_hours(1)),
        ..eager()
    };
    let below = Plan::new(strict).child(ChildSpec::new("worker"), factory);
    let above = rt
        .supervisor(eager())
        .supervisor(ChildSpec::supervisor("below"), below);
    let above = above.start().unwrap();
    // One restart is allowed; the next is the failure of the supervisor, which begins anew.
    for _ in 0..5 {
        crash(&rt, starts.recv_timeout(PATIENCE).unwrap());
    }
    let last = starts.recv_timeout(PATIENCE).unwrap();
    assert!(rt.remove_supervisor(above));
    gone(&rt, last);
    assert!(!rt.remove_supervisor(above));
}

#[test]
fn a_process_that_does_not_end_is_abandoned_and_its_name_goes_to_the_successor() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let (enter, entered) = channel::<()>();
    let (leave, gate) = channel::<()>();
    let stuck: Mutex<(Sender<()>, _)> = Mutex::new((enter, gate));
    let stuck = handler(move |_, _| {
        let stuck = stuck.lock().unwrap();
        stuck.0.send(()).ok();
        stuck.1.recv().ok();
        Step::Done
    });
    let spec = SupervisorSpec {
        strategy: Strategy::OneForAll,
        ..eager()
    };
    let supervisor = rt.supervisor(spec).start().unwrap();
    let (other, pid) = (mortal(&rt), rt.spawn(stuck).named("stuck").start().unwrap());
    rt.supervise(supervisor, other, ChildSpec::new("a"), |rt| Ok(mortal(rt)))
        .unwrap();
    let brutal = ChildSpec::new("b").shutdown(Shutdown::BrutalKill);
    rt.supervise(supervisor, pid, brutal, |rt| Ok(mortal(rt)))
        .unwrap();
    rt.send(pid, &b"hang"[..]).unwrap();
    entered.recv_timeout(PATIENCE).unwrap();
    crash(&rt, other);
    ear.successor(other);
    let next = ear.successor(pid);
    assert_eq!(rt.whereis("stuck"), Some(next));
    drop(leave);
    rt.shutdown(PATIENCE);
}

#[test]
fn two_thousand_crashes_leave_nothing_behind() {
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let supervisor = rt.supervisor(eager()).start().unwrap();
    let mut pid = mortal(&rt);
    rt.register("worker", pid).unwrap();
    rt.supervise(supervisor, pid, ChildSpec::new("x"), |rt| Ok(mortal(rt)))
        .unwrap();
    for _ in 0..2_000 {
        let old = pid;
        crash(&rt, old);
        pid = ear.successor(old);
        gone(&rt, old);
    }
    assert_eq!(rt.whereis("worker"), Some(pid));
    assert_eq!(rt.process_count(), 2);
}

#[test]
fn crashes_on_several_threads_leave_every_name_with_the_one_that_lives() {
    const CHILDREN: usize = 8;
    const CRASHES: usize = 100;
    let rt = Runtime::new();
    let ear = Ear::of_restarts(&rt);
    let supervisor = rt.supervisor(eager()).start().unwrap();
    let names: Vec<String> = (0..CHILDREN).map(|child| child.to_string()).collect();
    for name in &names {
        let pid = mortal(&rt);
        rt.register(name, pid).unwrap();
        let spec = ChildSpec::new(name.as_str());
        rt.supervise(supervisor, pid, spec, |rt| Ok(mortal(rt)))
            .unwrap();
        crash(&rt, pid);
    }
    let mut left = [CRASHES - 1; CHILDREN];
    let mut child_of = std::collections::HashMap::new();
    for _ in 0..CHILDREN * CRASHES {
        let SystemMessage::Restarted { old, new } = ear.system() else {
            panic!("not a restart");
        };
        // A successor may be there before the one before has left the table.
        gone(&rt, old);
        let child = child_of.remove(&old).unwrap_or_else(|| {
            names
                .iter()
                .position(|name| rt.whereis(name) == Some(new))
                .unwrap()
        });
        child_of.insert(new, child);
        if left[child] > 0 {
            left[child] -= 1;
            crash(&rt, new);
        }
    }
    let children = rt.supervisor_children(supervisor);
    for (name, child) in names.iter().zip(children) {
        assert_eq!(rt.whereis(name), child.status.pid(), "{name}");
        assert_eq!(child.restarts, CRASHES as u64);
    }
    assert_eq!(rt.process_count(), CHILDREN + 1);
}

#[test]
fn a_runtime_that_is_dropped_gives_back_what_factories_hold() {
    let held = Arc::new(());
    let rt = Runtime::new();
    let (ear, pid) = (Ear::of_restarts(&rt), mortal(&rt));
    let own = held.clone();
    let factory = move |rt: &Runtime| {
        let _ = &own;
        Ok(mortal(rt))
    };
    rt.supervise_with_factory(pid, factory, Strategy::OneForOne)
        .unwrap();
    crash(&rt, pid);
    let next = ear.successor(pid);
    assert!(rt.is_alive(next));
    drop(rt);
    let seen = Instant::now();
    // The thread that called the factory lets go of it right after.
    while Arc::strong_count(&held) > 1 {
        assert!(seen.elapsed() < PATIENCE, "somebody still has it");
        thread::yield_now();
    }
}

#[test]
fn an_end_that_a_link_brought_counts_as_a_crash_and_has_its_cause() {
    let rt = Runtime::new();
    let (ear, restarts) = (Ear::new(&rt), Ear::of_restarts(&rt));
    let (a, b) = (mortal(&rt), mortal(&rt));
    rt.supervise_with_factory(b, |rt| Ok(mortal(rt)), Strategy::OneForOne)
        .unwrap();
    rt.link_propagating(a, b);
    rt.monitor(ear.pid, b).unwrap();
    crash(&rt, a);
    let SystemMessage::Down { info, .. } = ear.system() else {
        panic!("not a DOWN");
    };
    assert_eq!((info.from, info.reason), (a, ExitReason::Crash));
    restarts.successor(b);
}
