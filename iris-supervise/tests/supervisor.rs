//! What supervisors do, one rule at a time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::{Duration, Instant};

use common::{World, eager, exit, failure, pid};
use iris_core::ExitReason;
use iris_supervise::supervisor::{KILL_GRACE, SHORTEST_RETRY};
use iris_supervise::{
    Action, AddError, Backoff, Budget, ChildSpec, Event, How, Intensity, Restart, Shutdown, Status,
    Strategy, Supervisor, SupervisorSpec,
};

const SECOND: Duration = Duration::from_secs(1);

/// Defaults, but no back-off.
fn unhurried() -> SupervisorSpec {
    SupervisorSpec {
        backoff: Backoff::NONE,
        ..SupervisorSpec::default()
    }
}

#[test]
fn children_begin_in_order_and_end_in_reverse() {
    let mut world = World::new();
    let root = world.tree.add_root(SupervisorSpec::default());
    for id in ["a", "b", "c"] {
        world.add(root, ChildSpec::new(id));
    }
    world.tell(root, Event::Begin);
    assert_eq!(world.take_log(), ["start a", "start b", "start c"]);
    assert!(world.take_actions().contains(&Action::Ready));
    world.tell(root, Event::Shutdown);
    assert_eq!(world.take_log(), ["shutdown c", "shutdown b", "shutdown a"]);
    assert_eq!(world.done, [(root, false)]);
    assert!(world.alive.is_empty());
}

#[test]
fn one_for_one_restarts_that_child_alone() {
    let (mut world, root) = World::with(unhurried(), &["a", "b", "c"]);
    let old = world.of("b").unwrap();
    world.crash("b");
    assert_eq!(world.take_log(), ["start b"]);
    assert_eq!(world.alive.len(), 3);
    let new = world.of("b").unwrap();
    assert_eq!(world.status(root, "b"), Some(Status::Running(Some(new))));
    let actions = world.take_actions();
    let handed_over = Action::HandOver { from: old, to: new };
    assert!(actions.contains(&handed_over), "{actions:?}");
}

/// D19: the siblings are stopped before they are started anew.
#[test]
fn one_for_all_stops_the_others_from_the_last_and_starts_all_from_the_first() {
    let (mut world, _) = World::with(eager(Strategy::OneForAll), &["a", "b", "c"]);
    world.crash("b");
    let log = world.take_log();
    assert_eq!(
        log,
        ["shutdown c", "shutdown a", "start a", "start b", "start c"]
    );
    assert_eq!(world.alive.len(), 3);
}

#[test]
fn rest_for_one_restarts_it_and_those_after_it() {
    let (mut world, _) = World::with(eager(Strategy::RestForOne), &["a", "b", "c", "d"]);
    world.crash("b");
    let log = world.take_log();
    assert_eq!(
        log,
        ["shutdown d", "shutdown c", "start b", "start c", "start d"]
    );
}

#[test]
fn the_strategy_of_the_child_that_ended_counts() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForOne));
    world.add(root, ChildSpec::new("a"));
    world.add(root, ChildSpec::new("b").strategy(Strategy::OneForAll));
    world.tell(root, Event::Begin);
    world.take_log();
    world.crash("a");
    assert_eq!(world.take_log(), ["start a"]);
    world.crash("b");
    assert_eq!(world.take_log(), ["shutdown a", "start a", "start b"]);
}

#[test]
fn the_restart_type_says_which_ends_are_the_end() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForOne));
    world.add(root, ChildSpec::new("permanent"));
    world.add(
        root,
        ChildSpec::new("transient").restart(Restart::Transient),
    );
    world.add(
        root,
        ChildSpec::new("temporary").restart(Restart::Temporary),
    );
    world.tell(root, Event::Begin);
    world.take_log();
    for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Killed] {
        world.end(world.of("permanent").unwrap(), reason);
        assert_eq!(world.take_log(), ["start permanent"]);
    }
    world.crash("transient");
    assert_eq!(world.take_log(), ["start transient"]);
    world.take_actions();
    let last = world.of("transient").unwrap();
    world.end(last, ExitReason::Normal);
    assert_eq!(world.take_actions(), [Action::GiveUpNames { pid: last }]);
    assert_eq!(world.status(root, "transient"), Some(Status::Finished));
    world.crash("temporary");
    assert_eq!(world.status(root, "temporary"), None, "it is forgotten");
    assert!(world.take_log().is_empty());
}

#[test]
fn a_group_takes_temporary_children_along_and_leaves_finished_ones_alone() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForAll));
    world.add(root, ChildSpec::new("a"));
    world.add(root, ChildSpec::new("b").restart(Restart::Temporary));
    world.add(root, ChildSpec::new("c").restart(Restart::Transient));
    world.tell(root, Event::Begin);
    world.end(world.of("c").unwrap(), ExitReason::Normal);
    world.take_log();
    world.crash("a");
    assert_eq!(world.take_log(), ["shutdown b", "start a"]);
    assert_eq!(world.status(root, "b"), None);
    assert_eq!(world.status(root, "c"), Some(Status::Finished));
}

/// D16: a child that ends at once is not restarted without end.
#[test]
fn one_restart_too_many_and_the_supervisor_gives_up() {
    let (mut world, root) = World::with(unhurried(), &["a", "b"]);
    for _ in 0..3 {
        world.crash("b");
        world.pass(SECOND);
    }
    assert!(world.gave_up.is_empty());
    world.take_log();
    world.crash("b");
    assert_eq!(world.take_log(), ["shutdown a"], "and b is not started");
    assert_eq!(world.done, [(root, true)]);
    assert!(world.alive.is_empty());
    assert_eq!(world.tree.next_timeout(), None);
}

/// P17: waits grow, and who gives up says what happened last.
#[test]
fn a_restart_storm_slows_down_and_is_reported_with_the_last_crash() {
    let (mut world, root) = World::with(SupervisorSpec::default(), &["a"]);
    let mut waits = Vec::new();
    while world.gave_up.is_empty() && waits.len() < 10 {
        let pid = world.of("a").unwrap();
        let before = world.now;
        let mut info = exit(pid, ExitReason::Crash);
        info.metadata = Some(Box::new(failure("disk full")));
        world.end_with(&info);
        while world.of("a").is_none() && world.tree.next_timeout().is_some() {
            world.pass(Duration::from_millis(1));
        }
        if world.of("a").is_some() {
            waits.push(world.now - before);
        }
    }
    let within = |from, to| Duration::from_millis(from)..=Duration::from_millis(to);
    assert_eq!(waits.len(), 3, "3 restarts in 5 s: {waits:?}");
    assert_eq!(waits[0], Duration::ZERO, "the first is immediate");
    assert!(within(50, 101).contains(&waits[1]), "{waits:?}");
    assert!(within(100, 201).contains(&waits[2]), "{waits:?}");
    let gave_up = &world.gave_up[0];
    assert_eq!(
        (&*gave_up.id, gave_up.restarts, gave_up.alone),
        ("a", 3, false)
    );
    let last = gave_up.last.as_ref().unwrap();
    assert_eq!(last.metadata, Some(Box::new(failure("disk full"))));
    assert_eq!(world.status(root, "a"), Some(Status::GaveUp));
}

#[test]
fn a_child_that_was_well_is_restarted_at_once_again() {
    let (mut world, _) = World::with(SupervisorSpec::default(), &["a"]);
    for _ in 0..20 {
        world.crash("a");
        assert!(world.of("a").is_some(), "at once");
        world.pass(Duration::from_secs(6));
    }
}

/// P17: a budget for each child.
#[test]
fn with_a_budget_per_child_one_bad_child_goes_alone() {
    let spec = SupervisorSpec {
        budget: Budget::PerChild,
        ..unhurried()
    };
    let (mut world, root) = World::with(spec, &["good", "bad"]);
    for _ in 0..3 {
        world.crash("bad");
        world.crash("good");
    }
    let last = world.of("bad").unwrap();
    world.crash("bad");
    assert!(world.gave_up[0].alone);
    assert_eq!(world.status(root, "bad"), Some(Status::GaveUp));
    let actions = world.take_actions();
    assert!(actions.contains(&Action::GiveUpNames { pid: last }));
    assert!(world.of("good").is_some() && world.done.is_empty());
    let child = world.no(root, "bad");
    world.tell(root, Event::StartChild { child });
    assert!(world.of("bad").is_some(), "a user may try again");
}

/// D17: what is stopped stays down, though any other end restarts.
#[test]
fn a_child_can_be_stopped_for_good() {
    let (mut world, root) = World::with(eager(Strategy::OneForAll), &["a", "b"]);
    let child = world.no(root, "a");
    world.end(world.of("a").unwrap(), ExitReason::Killed);
    assert!(
        world.of("a").is_some(),
        "a stop alone restarts a permanent child"
    );
    let last = world.of("a").unwrap();
    world.take_log();
    world.take_actions();
    world.tell(root, Event::StopChild { child });
    assert_eq!(world.take_log(), ["shutdown a"]);
    let actions = world.take_actions();
    assert!(actions.contains(&Action::Stopped { child }), "{actions:?}");
    assert!(actions.contains(&Action::GiveUpNames { pid: last }));
    world.crash("b");
    assert!(world.of("a").is_none() && world.of("b").is_some());
    world.tell(root, Event::StartChild { child });
    assert!(world.of("a").is_some());
    world.tell(root, Event::RemoveChild { child });
    assert_eq!(world.status(root, "a"), None);
    world.tell(root, Event::StopChild { child });
}

/// D17: removing the supervisor stops for good, too.
#[test]
fn a_removed_supervisor_takes_its_children_along_and_is_gone() {
    let (mut world, root) = World::with(eager(Strategy::OneForOne), &["a", "b"]);
    let watched = pid(900);
    world.tree.watch(root, watched).unwrap();
    let mut actions = Vec::new();
    assert!(world.tree.remove(world.now, root, &mut actions));
    world.carry_out(actions);
    assert_eq!(
        world.take_log(),
        ["shutdown b", "shutdown a"],
        "not what is watched"
    );
    assert!(world.tree.supervisor(root).is_none());
    assert_eq!(world.tree.watch(root, watched), Err(AddError::NoSupervisor));
    let mut actions = Vec::new();
    assert!(!world.tree.remove(world.now, root, &mut actions));
    world
        .tree
        .exited(world.now, &exit(watched, ExitReason::Crash), &mut actions);
    assert_eq!(actions, []);
}

/// D18: a process that runs is not started again to be supervised.
#[test]
fn adopting_calls_no_factory_until_the_process_ends() {
    let mut world = World::new();
    let root = world.tree.add_root(SupervisorSpec::default());
    let child = world
        .tree
        .adopt(world.now, root, ChildSpec::new("a"), pid(7));
    let child = child.unwrap();
    world.ids.insert((root, child), "a".into());
    assert!(world.actions.is_empty());
    assert_eq!(world.tree.owner(pid(7)), Some((root, child)));
    assert_eq!(world.tree.supervisor(root).unwrap().pids(), [pid(7)]);
    let twice = world
        .tree
        .adopt(world.now, root, ChildSpec::new("b"), pid(7));
    assert_eq!(twice, Err(AddError::Supervised { pid: pid(7) }));
    let same = world
        .tree
        .adopt(world.now, root, ChildSpec::new("a"), pid(8));
    assert_eq!(same, Err(AddError::IdTaken { id: "a".into() }));
    let info = exit(pid(7), ExitReason::Crash);
    world.end_with(&info);
    assert_eq!(world.take_log(), ["start a"]);
}

/// D20: watching neither restarts nor stops, and a factory must make something new.
#[test]
fn what_is_only_watched_is_listed_until_it_ends() {
    let (mut world, root) = World::with(SupervisorSpec::default(), &["a"]);
    let child = world.of("a").unwrap();
    assert_eq!(world.tree.watch(root, pid(900)), Ok(true));
    assert_eq!(world.tree.watch(root, pid(900)), Ok(false));
    assert_eq!(world.tree.watch(root, child), Ok(false), "it is a child");
    assert_eq!(
        world.tree.supervisor(root).unwrap().pids(),
        [child, pid(900)]
    );
    assert_eq!(world.tree.owner(pid(900)), None, "its names are not kept");
    world.take_actions();
    let info = exit(pid(900), ExitReason::Crash);
    world.end_with(&info);
    assert_eq!(world.take_actions(), [Action::Observed { info }]);
    assert_eq!(world.tree.supervisor(root).unwrap().pids(), [child]);
    assert!(world.take_log().is_empty());
}

#[test]
fn a_factory_that_returns_a_process_known_already_has_failed() {
    let (mut world, root) = World::with(SupervisorSpec::default(), &["a", "b"]);
    let (old, other) = (world.of("a").unwrap(), world.of("b").unwrap());
    world.prompt = false;
    world.crash("a");
    for pid in [old, other] {
        let (supervisor, child, start) = world.starting.remove(0);
        world.take_actions();
        world.tell(supervisor, Event::ChildStarted { child, start, pid });
        let actions = world.take_actions();
        let [Action::Retry { failure, .. }] = &actions[..] else {
            panic!("{actions:?}");
        };
        assert!(failure.message.contains("not a new one"), "{failure}");
        world.pass(SECOND);
    }
    assert_eq!(world.alive.len(), 1, "b was not touched");
    world.answer(Ok(()));
    assert!(world.of("a").is_some());
    assert_eq!(world.status(root, "b"), Some(Status::Running(Some(other))));
}

/// D21, as far as supervision goes: each name that is kept is handed over or freed.
#[test]
fn names_are_handed_over_to_the_successor_or_freed() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    let mut kept = Vec::new();
    for round in 0..4 {
        let old = world.of("a").unwrap();
        assert!(world.tree.owner(old).is_some(), "so its names are reserved");
        world.crash("a");
        assert_eq!(world.tree.owner(old), None);
        let actions = world.take_actions();
        kept.push(old);
        for action in actions {
            match action {
                Action::HandOver { from, to } => {
                    assert_eq!(from, kept.pop().unwrap());
                    assert_eq!(Some(to), world.of("a"));
                }
                Action::GiveUpNames { pid } => assert_eq!(pid, kept.pop().unwrap()),
                _ => {}
            }
        }
        assert!(kept.is_empty(), "round {round}");
    }
    assert_eq!(world.done, [(root, true)], "the fourth time nobody came");
}

/// D22: a factory that fails is tried again and again, more and more slowly.
#[test]
fn a_failing_factory_is_retried_without_end_and_says_why() {
    let (mut world, root) = World::with(SupervisorSpec::default(), &["a"]);
    world.prompt = false;
    world.crash("a");
    world.take_actions();
    let mut waits = Vec::new();
    for attempt in 1..=50 {
        let before = world.now;
        world.answer(Err(failure("no database")));
        let actions = world.take_actions();
        let [
            Action::Retry {
                failed_starts,
                failure,
                at,
                ..
            },
        ] = &actions[..]
        else {
            panic!("{actions:?}");
        };
        assert_eq!(
            (*failed_starts, &*failure.message),
            (attempt, "no database")
        );
        waits.push(*at - before);
        world.pass(*at - before);
        world.take_actions();
        assert_eq!(world.starting.len(), 1);
    }
    assert!(waits[0] >= Duration::from_millis(50) && waits[0] <= Duration::from_millis(100));
    let cap = Duration::from_secs(15)..=Duration::from_secs(30);
    assert!(
        waits[20..].iter().all(|wait| cap.contains(wait)),
        "{waits:?}"
    );
    world.answer(Ok(()));
    assert!(matches!(world.status(root, "a"), Some(Status::Running(_))));
    assert!(world.gave_up.is_empty());
}

#[test]
fn a_limit_of_start_attempts_is_one_restart_too_many() {
    let spec = SupervisorSpec {
        start_attempts: Some(3),
        ..SupervisorSpec::default()
    };
    let (mut world, root) = World::with(spec, &["a", "b"]);
    world.prompt = false;
    world.crash("a");
    for _ in 0..3 {
        world.answer(Err(failure("no database")));
        world.pass(SECOND);
    }
    let gave_up = &world.gave_up[0];
    assert_eq!(gave_up.start_failure, Some(failure("no database")));
    assert_eq!(world.done, [(root, true)]);
}

#[test]
fn a_failed_start_never_spins() {
    let (mut world, _) = World::with(eager(Strategy::OneForOne), &["a"]);
    world.prompt = false;
    world.crash("a");
    world.take_actions();
    world.answer(Err(failure("no")));
    let wait = SHORTEST_RETRY;
    assert_eq!(world.tree.next_timeout(), Some(world.now + wait));
    world.pass(wait);
    assert_eq!(world.starting.len(), 1);
}

#[test]
fn siblings_wait_for_a_start_that_fails_and_those_before_it_stay() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForAll));
    for id in ["a", "b", "c"] {
        world.add(root, ChildSpec::new(id));
    }
    world.prompt = false;
    world.tell(root, Event::Begin);
    world.answer(Ok(()));
    world.answer(Err(failure("no")));
    assert_eq!(world.take_log(), ["start a", "start b"]);
    world.pass(SECOND);
    world.answer(Ok(()));
    world.answer(Ok(()));
    assert_eq!(world.take_log(), ["start b", "start c"]);
    assert_eq!(world.alive.len(), 3);
}

#[test]
fn a_stop_during_a_start_stops_what_comes_of_it() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    let old = world.of("a").unwrap();
    world.prompt = false;
    world.crash("a");
    let child = world.no(root, "a");
    world.take_actions();
    world.tell(root, Event::StopChild { child });
    assert_eq!(world.take_actions(), [Action::GiveUpNames { pid: old }]);
    world.answer(Ok(()));
    assert!(world.alive.is_empty());
    let actions = world.take_actions();
    assert!(actions.contains(&Action::Stopped { child }), "{actions:?}");
    assert_eq!(world.status(root, "a"), Some(Status::Stopped));
}

#[test]
fn a_stop_during_a_start_that_fails_is_answered() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    world.prompt = false;
    world.crash("a");
    let child = world.no(root, "a");
    world.tell(root, Event::StopChild { child });
    world.answer(Err(failure("no")));
    assert!(world.take_actions().contains(&Action::Stopped { child }));
    assert_eq!(world.tree.next_timeout(), None);
}

#[test]
fn a_stop_that_a_start_overtook_is_answered_too() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    world.prompt = false;
    world.crash("a");
    let child = world.no(root, "a");
    world.tell(root, Event::StopChild { child });
    world.tell(root, Event::StartChild { child });
    world.take_log();
    world.answer(Ok(()));
    assert_eq!(world.take_log(), ["shutdown a", "start a"]);
    assert!(world.take_actions().contains(&Action::Stopped { child }));
}

#[test]
fn a_stop_during_a_back_off_needs_no_process() {
    let (mut world, root) = World::with(SupervisorSpec::default(), &["a"]);
    world.crash("a");
    world.crash("a");
    assert_eq!(world.status(root, "a"), Some(Status::Waiting));
    let child = world.no(root, "a");
    world.tell(root, Event::StopChild { child });
    assert!(world.take_actions().contains(&Action::Stopped { child }));
    world.pass(Duration::from_mins(1));
    assert!(world.alive.is_empty());
}

#[test]
fn stopped_and_started_before_it_was_down_it_comes_back_once() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    world.obedient = false;
    let old = world.of("a").unwrap();
    let child = world.no(root, "a");
    world.tell(root, Event::StopChild { child });
    world.tell(root, Event::StartChild { child });
    assert_eq!(world.take_log(), ["shutdown a"]);
    world.end(old, ExitReason::Shutdown);
    assert_eq!(world.take_log(), ["start a"]);
    assert!(world.take_actions().contains(&Action::Stopped { child }));
}

#[test]
fn a_shutdown_does_not_wait_for_ever_for_a_start_and_kills_what_comes_late() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    world.prompt = false;
    world.crash("a");
    world.tell(root, Event::Shutdown);
    assert!(world.done.is_empty());
    world.pass(5 * SECOND);
    assert_eq!(world.done, [(root, false)]);
    world.take_log();
    world.answer(Ok(()));
    assert_eq!(world.take_log(), ["kill a"]);
    assert!(world.alive.is_empty());
    let mut actions = Vec::new();
    world.tree.remove(world.now, root, &mut actions);
    let event = Event::ChildStarted {
        child: world.ids.keys().next().unwrap().1,
        start: match world.actions.iter().find_map(|it| match it.action {
            Action::Start { start, .. } => Some(start),
            _ => None,
        }) {
            Some(start) => start,
            None => panic!("it was started"),
        },
        pid: pid(999),
    };
    let mut actions = Vec::new();
    world.tree.handle(world.now, root, event, &mut actions);
    let how = How::Kill;
    assert_eq!(actions[0].action, Action::Stop { pid: pid(999), how });
}

#[test]
fn who_does_not_end_in_time_is_killed_and_then_given_up_on() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForAll));
    world.add(root, ChildSpec::new("a"));
    let slow = Shutdown::Timeout(2 * SECOND);
    world.add(root, ChildSpec::new("b").shutdown(slow));
    world.add(root, ChildSpec::new("c").shutdown(Shutdown::BrutalKill));
    world.tell(root, Event::Begin);
    world.take_log();
    world.obedient = false;
    let c = world.of("c").unwrap();
    world.crash("a");
    assert_eq!(world.take_log(), ["kill c"]);
    world.pass(KILL_GRACE);
    assert_eq!(world.take_log(), ["abandon c", "shutdown b"]);
    world.pass(2 * SECOND);
    assert_eq!(world.take_log(), ["kill b"]);
    assert_eq!(world.tree.owner(c), None, "it is nobody's any more");
    let b = world.of("b").unwrap();
    world.end(b, ExitReason::Killed);
    assert_eq!(world.take_log(), ["start a", "start b", "start c"]);
}

#[test]
fn a_late_end_of_an_abandoned_process_changes_nothing() {
    let mut supervisor = Supervisor::new(eager(Strategy::OneForOne), 1);
    let (now, mut actions) = (Instant::now(), Vec::new());
    let spec = ChildSpec::new("a").shutdown(Shutdown::BrutalKill);
    let child = supervisor.adopt(now, spec, pid(1)).unwrap();
    supervisor.handle(now, Event::StopChild { child }, &mut actions);
    supervisor.handle(now, Event::StartChild { child }, &mut actions);
    actions.clear();
    supervisor.handle(now + KILL_GRACE, Event::Timer, &mut actions);
    let [
        Action::Stop {
            how: How::Abandon, ..
        },
        Action::Stopped { .. },
        Action::Start { .. },
    ] = actions[..]
    else {
        panic!("{actions:?}");
    };
    actions.clear();
    let info = exit(pid(1), ExitReason::Killed);
    supervisor.handle(now + KILL_GRACE, Event::ChildExited { info }, &mut actions);
    assert_eq!(actions, []);
    assert_eq!(supervisor.child_of(pid(1)), None);
}

#[test]
fn stopped_and_started_within_a_group_it_keeps_its_place() {
    let (mut world, root) = World::with(eager(Strategy::OneForAll), &["a", "b", "c"]);
    world.obedient = false;
    world.crash("a");
    let child = world.no(root, "b");
    world.tell(root, Event::StopChild { child });
    world.tell(root, Event::StartChild { child });
    world.end(world.of("b").unwrap(), ExitReason::Shutdown);
    assert_eq!(
        world.take_log(),
        ["shutdown c", "shutdown b"],
        "it waits for its turn"
    );
    world.end(world.of("c").unwrap(), ExitReason::Shutdown);
    assert_eq!(world.take_log(), ["start a", "start b", "start c"]);
}

#[test]
fn infinity_waits_as_long_as_it_takes() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForOne));
    world.add(root, ChildSpec::new("a").shutdown(Shutdown::Infinity));
    world.tell(root, Event::Begin);
    world.obedient = false;
    world.tell(root, Event::Shutdown);
    world.take_log();
    world.pass(Duration::from_hours(1));
    assert!(world.take_log().is_empty() && world.done.is_empty());
    world.tell(root, Event::Kill);
    assert_eq!(world.take_log(), ["kill a"], "a kill does not");
}

#[test]
fn a_child_that_ends_while_its_group_restarts_is_not_counted_or_started_twice() {
    let spec = SupervisorSpec {
        strategy: Strategy::OneForAll,
        intensity: Intensity::new(1, SECOND),
        ..unhurried()
    };
    let (mut world, _) = World::with(spec, &["a", "b", "c"]);
    world.obedient = false;
    world.crash("b");
    assert_eq!(world.take_log(), ["shutdown c"]);
    world.crash("a");
    world.crash("c");
    assert_eq!(world.take_log(), ["start a", "start b", "start c"]);
    assert!(world.gave_up.is_empty());
}

#[test]
fn a_group_waits_for_the_back_off_of_the_child_that_ended() {
    let spec = SupervisorSpec {
        strategy: Strategy::OneForAll,
        ..SupervisorSpec::default()
    };
    let (mut world, root) = World::with(spec, &["a", "b"]);
    world.crash("b");
    assert_eq!(world.take_log(), ["shutdown a", "start a", "start b"]);
    world.crash("b");
    assert_eq!(
        world.take_log(),
        ["shutdown a"],
        "stopped at once, started later"
    );
    assert_eq!(world.status(root, "b"), Some(Status::Waiting));
    world.pass(Duration::from_millis(100));
    assert_eq!(world.take_log(), ["start a", "start b"]);
}

#[test]
fn a_second_end_during_the_starts_begins_them_anew() {
    let (mut world, _) = World::with(eager(Strategy::OneForAll), &["a", "b"]);
    world.prompt = false;
    world.crash("a");
    world.answer(Ok(()));
    assert_eq!(world.take_log(), ["shutdown b", "start a", "start b"]);
    world.crash("a");
    assert!(
        world.take_log().is_empty(),
        "b is being started, and cannot be called back"
    );
    world.answer(Ok(()));
    assert_eq!(world.take_log(), ["shutdown b", "start a"]);
    world.answer(Ok(()));
    world.answer(Ok(()));
    assert_eq!(world.take_log(), ["start b"]);
    assert_eq!(world.alive.len(), 2);
}

#[test]
fn a_late_exit_of_an_old_incarnation_is_passed_over() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    let old = world.of("a").unwrap();
    world.crash("a");
    let present = world.of("a").unwrap();
    world.take_actions();
    let info = exit(old, ExitReason::Crash);
    world.end_with(&info);
    assert!(world.take_actions().is_empty());
    assert_eq!(
        world.status(root, "a"),
        Some(Status::Running(Some(present)))
    );
}

#[test]
fn an_end_that_came_before_the_news_of_the_start_is_made_up_for() {
    let (mut world, _) = World::with(unhurried(), &["a"]);
    world.prompt = false;
    world.crash("a");
    let (supervisor, child, start) = world.starting.remove(0);
    let info = exit(pid(500), ExitReason::Crash);
    world.end_with(&info);
    let pid = pid(500);
    world.tell(supervisor, Event::ChildStarted { child, start, pid });
    let info = exit(pid, ExitReason::NoProc);
    world.end_with(&info);
    assert_eq!(world.starting.len(), 1, "it is started again");
}

#[test]
fn a_pool_stops_all_at_once_and_forgets_who_is_not_restarted() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::Pool));
    for id in ["1", "2", "3"] {
        world.add(root, ChildSpec::new(id).restart(Restart::Transient));
    }
    world.tell(root, Event::Begin);
    world.add(root, ChildSpec::new("4").restart(Restart::Transient));
    world.end(world.of("1").unwrap(), ExitReason::Normal);
    assert_eq!(world.status(root, "1"), None);
    world.crash("2");
    assert_eq!(world.alive.len(), 3);
    world.take_log();
    world.obedient = false;
    world.tell(root, Event::Shutdown);
    assert_eq!(world.take_log().len(), 3);
    for pid in world.alive.keys().copied().collect::<Vec<_>>() {
        world.end(pid, ExitReason::Shutdown);
    }
    assert_eq!(world.done, [(root, false)]);
}

#[test]
fn nobody_is_added_while_it_shuts_down() {
    let (mut world, root) = World::with(unhurried(), &["a"]);
    world.obedient = false;
    world.tell(root, Event::Shutdown);
    let mut actions = Vec::new();
    let added = world
        .tree
        .add(world.now, root, ChildSpec::new("b"), &mut actions);
    assert_eq!(added, Err(AddError::NotRunning));
}

#[test]
fn waits_beyond_all_time_are_no_panic() {
    let spec = SupervisorSpec {
        backoff: Backoff {
            base: Duration::MAX,
            cap: Duration::MAX,
            ..Backoff::default()
        },
        ..SupervisorSpec::default()
    };
    let mut world = World::new();
    let root = world.tree.add_root(spec);
    world.add(
        root,
        ChildSpec::new("a").shutdown(Shutdown::Timeout(Duration::MAX)),
    );
    world.tell(root, Event::Begin);
    world.crash("a");
    world.crash("a");
    assert_eq!(world.status(root, "a"), Some(Status::Waiting));
    let child = world.no(root, "a");
    world.tell(root, Event::StartChild { child });
    world.tell(root, Event::Shutdown);
    assert_eq!(world.done, [(root, false)]);
}
