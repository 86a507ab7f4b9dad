//! Supervisors of supervisors, and of paths.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::{World, eager, exit, pid};
use iris_core::ExitReason;
use iris_supervise::{
    Action, AddError, Backoff, ChildSpec, Event, Intensity, PathScopes, ScopeError, Shutdown,
    Status, Strategy, SupervisorId, SupervisorSpec,
};

/// No restart is allowed: the first end is one too many.
fn strict() -> SupervisorSpec {
    SupervisorSpec {
        intensity: Intensity::new(0, Duration::from_secs(5)),
        backoff: Backoff::NONE,
        ..SupervisorSpec::default()
    }
}

fn below(world: &mut World, parent: SupervisorId, id: &str, spec: SupervisorSpec) -> SupervisorId {
    let child = ChildSpec::supervisor(id);
    let mut actions = Vec::new();
    let added = world
        .tree
        .add_supervisor(world.now, parent, child, spec, &mut actions);
    let no = world.no(parent, id);
    world.ids.insert((parent, no), id.to_owned());
    world.carry_out(actions);
    added.unwrap()
}

/// A tree `top [a, mid [b, c], d]`, begun.
fn tree(top: SupervisorSpec, mid: SupervisorSpec) -> (World, SupervisorId, SupervisorId) {
    let mut world = World::new();
    let root = world.tree.add_root(top);
    world.add(root, ChildSpec::new("a"));
    let middle = below(&mut world, root, "mid", mid);
    world.add(root, ChildSpec::new("d"));
    world.add(middle, ChildSpec::new("b"));
    world.add(middle, ChildSpec::new("c"));
    world.tell(root, Event::Begin);
    assert_eq!(
        world.take_log(),
        ["start a", "start b", "start c", "start d"]
    );
    (world, root, middle)
}

#[test]
fn a_tree_begins_in_order_and_ends_from_the_last_leaf() {
    let (mut world, root, middle) = tree(eager(Strategy::OneForOne), strict());
    assert!(world.take_actions().contains(&Action::Ready));
    assert_eq!(world.status(root, "mid"), Some(Status::Running(None)));
    assert_eq!(world.tree.children(root)[1].1, Some(middle));
    world.tell(root, Event::Shutdown);
    let log = world.take_log();
    assert_eq!(
        log,
        ["shutdown d", "shutdown c", "shutdown b", "shutdown a"]
    );
    assert_eq!(world.done, [(root, false)]);
}

#[test]
fn who_gives_up_is_started_anew_by_the_one_above() {
    let (mut world, root, middle) = tree(eager(Strategy::OneForOne), strict());
    let (b, c) = (world.of("b").unwrap(), world.of("c").unwrap());
    world.take_actions();
    world.crash("b");
    assert_eq!(world.take_log(), ["shutdown c", "start b", "start c"]);
    assert_eq!(world.gave_up.len(), 1);
    assert!(world.done.is_empty(), "only a root's end leaves the tree");
    let actions = world.take_actions();
    for (from, id) in [(b, "b"), (c, "c")] {
        let to = world.of(id).unwrap();
        let handed_over = Action::HandOver { from, to };
        assert!(
            actions.contains(&handed_over),
            "names outlive the supervisor: {actions:?}"
        );
    }
    let infos = world.tree.children(root);
    assert_eq!((infos[1].0.restarts, infos[1].1), (1, Some(middle)));
}

#[test]
fn giving_up_climbs_to_the_root_and_says_what_it_was() {
    let (mut world, root, _) = tree(strict(), strict());
    let last = world.of("b").unwrap();
    world.take_actions();
    world.crash("b");
    assert_eq!(world.take_log(), ["shutdown c", "shutdown d", "shutdown a"]);
    assert_eq!(world.done, [(root, true)]);
    assert!(world.alive.is_empty());
    let chain: Vec<_> = world.gave_up.iter().map(|it| &*it.id).collect();
    assert_eq!(chain, ["b", "mid"]);
    let reason = world.gave_up[1].last.as_ref().unwrap();
    assert_eq!(*reason, exit(last, ExitReason::Crash));
    let actions = world.take_actions();
    let freed = actions
        .iter()
        .filter(|it| matches!(it, Action::GiveUpNames { .. }));
    assert_eq!(freed.count(), 4, "all names are free: {actions:?}");
}

#[test]
fn a_restart_of_all_takes_supervisors_along() {
    let (mut world, ..) = tree(eager(Strategy::OneForAll), strict());
    world.crash("d");
    let log = world.take_log();
    let stopped = ["shutdown c", "shutdown b", "shutdown a"];
    assert_eq!(log[..3], stopped);
    assert_eq!(log[3..], ["start a", "start b", "start c", "start d"]);
}

#[test]
fn a_new_life_of_a_supervisor_counts_from_zero() {
    let once = SupervisorSpec {
        intensity: Intensity::new(1, Duration::from_hours(1)),
        ..strict()
    };
    let (mut world, ..) = tree(eager(Strategy::OneForOne), once);
    world.crash("b");
    world.crash("b");
    assert_eq!(world.gave_up.len(), 1);
    world.crash("b");
    assert_eq!(world.gave_up.len(), 1, "one is allowed again");
}

#[test]
fn a_killed_supervisor_kills_its_own_at_once() {
    let (mut world, root, _) = tree(eager(Strategy::OneForOne), strict());
    world.obedient = false;
    world.tell(root, Event::Kill);
    let mut log = world.take_log();
    log.sort();
    assert_eq!(log, ["kill a", "kill b", "kill c", "kill d"]);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.done, [(root, false)], "and does not wait for ever");
    assert!(world.alive.is_empty());
}

#[test]
fn a_supervisor_with_a_time_out_is_killed_after_it() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForOne));
    let child = ChildSpec::new("mid").shutdown(Shutdown::Timeout(Duration::from_secs(1)));
    let mut actions = Vec::new();
    let spec = eager(Strategy::OneForOne);
    let middle = world
        .tree
        .add_supervisor(world.now, root, child, spec, &mut actions);
    world.add(
        middle.unwrap(),
        ChildSpec::new("a").shutdown(Shutdown::Infinity),
    );
    world.tell(root, Event::Begin);
    world.take_log();
    world.obedient = false;
    world.tell(root, Event::Shutdown);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.take_log(), ["shutdown a", "kill a", "abandon a"]);
    assert_eq!(world.done, [(root, false)]);
}

#[test]
fn removing_a_supervisor_below_leaves_nothing_of_it() {
    let (mut world, root, middle) = tree(eager(Strategy::OneForOne), strict());
    let last = world.of("b").unwrap();
    world.take_actions();
    let mut actions = Vec::new();
    assert!(world.tree.remove(world.now, middle, &mut actions));
    world.carry_out(actions);
    assert_eq!(world.take_log(), ["shutdown c", "shutdown b"]);
    assert!(world.tree.supervisor(middle).is_none());
    assert_eq!(world.status(root, "mid"), None);
    assert!(
        world
            .take_actions()
            .contains(&Action::GiveUpNames { pid: last })
    );
    assert_eq!(world.alive.len(), 2);
}

#[test]
fn a_supervisor_below_begins_with_the_one_above_only() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForOne));
    let middle = below(&mut world, root, "mid", eager(Strategy::OneForOne));
    world.add(middle, ChildSpec::new("a"));
    world.tell(middle, Event::Begin);
    assert!(world.take_log().is_empty());
    let adopted = world
        .tree
        .adopt(world.now, middle, ChildSpec::new("b"), pid(900));
    assert_eq!(adopted, Err(AddError::NotRunning));
    world.tell(root, Event::Begin);
    let late = below(&mut world, root, "late", eager(Strategy::OneForOne));
    world.add(late, ChildSpec::new("c"));
    assert_eq!(world.take_log(), ["start a", "start c"]);
}

#[test]
fn ending_what_is_not_there_starts_nothing() {
    let mut world = World::new();
    let root = world.tree.add_root(eager(Strategy::OneForOne));
    let middle = below(&mut world, root, "mid", eager(Strategy::OneForOne));
    world.tell(middle, Event::Shutdown);
    assert_eq!(world.status(root, "mid"), Some(Status::Stopped));
    assert!(world.take_log().is_empty() && world.done.is_empty());
}

#[test]
fn a_factory_cannot_return_the_child_of_another_supervisor() {
    let (mut world, root, middle) = tree(eager(Strategy::OneForOne), eager(Strategy::OneForOne));
    let b = world.of("b").unwrap();
    world.prompt = false;
    world.crash("a");
    let (supervisor, child, start) = world.starting.remove(0);
    world.take_actions();
    world.tell(
        supervisor,
        Event::ChildStarted {
            child,
            start,
            pid: b,
        },
    );
    let actions = world.take_actions();
    assert!(matches!(actions[..], [Action::Retry { .. }]), "{actions:?}");
    assert_eq!(world.tree.owner(b), Some((middle, world.no(middle, "b"))));
    assert_eq!(world.status(root, "a"), Some(Status::Waiting));
}

#[test]
fn a_root_that_gave_up_can_be_used_again() {
    let mut world = World::new();
    let root = world.tree.add_root(strict());
    let adopted = world
        .tree
        .adopt(world.now, root, ChildSpec::new("a"), pid(900));
    adopted.unwrap();
    let info = exit(pid(900), ExitReason::Crash);
    world.end_with(&info);
    assert_eq!(world.done, [(root, true)]);
    let adopted = world
        .tree
        .adopt(world.now, root, ChildSpec::new("b"), pid(901));
    adopted.unwrap();
    assert_eq!(world.tree.supervisor(root).unwrap().pids(), [pid(901)]);
    assert_eq!(world.status(root, "a"), Some(Status::GaveUp));
}

#[test]
fn a_path_has_one_supervisor_that_others_do_not_touch() {
    let (mut world, mut scopes) = (World::new(), PathScopes::default());
    let spec = eager(Strategy::OneForAll);
    for path in ["/svc", "/svc/a"] {
        scopes.create(&mut world.tree, path, spec).unwrap();
    }
    let path = "/svc".to_owned();
    let twice = scopes.create(&mut world.tree, &path, spec);
    assert_eq!(twice, Err(ScopeError::Exists { path }));
    assert_eq!(scopes.paths().collect::<Vec<_>>(), ["/svc", "/svc/a"]);

    let now = world.now;
    let child = ChildSpec::new("worker");
    scopes
        .supervise(now, &mut world.tree, "/svc/a", child, pid(1))
        .unwrap();
    scopes.watch(&mut world.tree, "/svc/a", pid(2)).unwrap();
    scopes.watch(&mut world.tree, "/svc", pid(1)).unwrap();
    assert_eq!(
        scopes.children(&world.tree, "/svc/a"),
        Ok(vec![pid(1), pid(2)])
    );
    assert_eq!(scopes.children(&world.tree, "/svc"), Ok(vec![pid(1)]));

    let mut actions = Vec::new();
    world
        .tree
        .exited(now, &exit(pid(1), ExitReason::Crash), &mut actions);
    assert!(matches!(actions[0].action, Action::Start { .. }));
    assert!(
        matches!(actions[1].action, Action::Observed { .. }),
        "the other only looks on"
    );
    assert_eq!(actions.len(), 2);
    assert_eq!(scopes.children(&world.tree, "/svc/a"), Ok(vec![pid(2)]));
}

#[test]
fn removing_the_supervisor_of_a_path_stops_its_children_and_not_the_watched() {
    let (mut world, mut scopes) = (World::new(), PathScopes::default());
    let path = "/svc";
    scopes
        .create(&mut world.tree, path, SupervisorSpec::default())
        .unwrap();
    let now = world.now;
    scopes
        .supervise(now, &mut world.tree, path, ChildSpec::new("x"), pid(1))
        .unwrap();
    scopes.watch(&mut world.tree, path, pid(2)).unwrap();
    let mut actions = Vec::new();
    assert!(scopes.remove(now, &mut world.tree, path, &mut actions));
    let stops: Vec<_> = actions
        .iter()
        .filter_map(|it| match it.action {
            Action::Stop { pid, .. } => Some(pid),
            _ => None,
        })
        .collect();
    assert_eq!(stops, [pid(1)]);
    actions.clear();
    world
        .tree
        .exited(now, &exit(pid(1), ExitReason::Shutdown), &mut actions);
    let started = actions
        .iter()
        .any(|it| matches!(it.action, Action::Start { .. }));
    assert!(!started, "for good: {actions:?}");
    assert!(!scopes.remove(now, &mut world.tree, path, &mut actions));
    let path = path.to_owned();
    assert_eq!(
        scopes.children(&world.tree, &path),
        Err(ScopeError::NoScope { path })
    );
}
