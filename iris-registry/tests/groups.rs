//! Groups, and the watchers of paths.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use iris_core::Pid;
use iris_registry::watch::MOST_PATH_EVENTS;
use iris_registry::{MemoryRegistry, PathChange, PathEvents, RegisterError, Registry};
use proptest::prelude::*;

fn pid(slot: u32) -> Pid {
    Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
}

#[test]
fn members_stand_in_the_order_of_joining() {
    let registry = MemoryRegistry::default();
    for slot in [3, 1, 2] {
        assert!(registry.join("news", pid(slot)).unwrap());
    }
    assert!(!registry.join("news", pid(3)).unwrap(), "once only");
    assert_eq!(*registry.members("news"), [pid(3), pid(1), pid(2)]);
    assert!(registry.leave("news", pid(3)));
    assert!(!registry.leave("news", pid(3)));
    assert!(registry.join("news", pid(3)).unwrap());
    assert_eq!(*registry.members("news"), [pid(1), pid(2), pid(3)]);
    assert!(registry.members("nobody").is_empty());
}

#[test]
fn the_dead_leave_their_groups_and_empty_groups_vanish() {
    let registry = MemoryRegistry::default();
    for group in ["a", "b"] {
        registry.join(group, pid(1)).unwrap();
    }
    registry.join("b", pid(2)).unwrap();
    assert_eq!(registry.groups(), ["a", "b"]);
    registry.forget(pid(1));
    assert_eq!(registry.groups(), ["b"]);
    registry.reserve(pid(2));
    assert!(
        registry.groups().is_empty(),
        "a successor joins by itself, if at all"
    );
}

#[test]
fn a_group_s_name_is_a_name() {
    let registry = MemoryRegistry::default();
    for name in ["", "\0iris.x"] {
        let error = registry.join(name, pid(1)).unwrap_err();
        assert!(matches!(error, RegisterError::BadName { .. }), "{name:?}");
    }
}

#[test]
fn publishing_to_an_unchanged_group_copies_nothing() {
    let registry = MemoryRegistry::default();
    registry.join("news", pid(1)).unwrap();
    let first = registry.members("news");
    assert!(Arc::ptr_eq(&first, &registry.members("news")));
    registry.join("news", pid(2)).unwrap();
    assert_eq!(first.len(), 1, "a list that was given out does not change");
    assert_eq!(registry.members("news").len(), 2);
}

/// What watchers hear, as prefix, path and change.
fn news(registry: &MemoryRegistry) -> Vec<(String, String, PathChange)> {
    let taken = registry.take_path_events();
    assert_eq!(taken.dropped, 0);
    let events = taken.events.into_iter();
    events
        .map(|event| {
            (
                event.prefix.to_string(),
                event.path.to_string(),
                event.change,
            )
        })
        .collect()
}

#[test]
fn a_watcher_hears_all_that_happens_below_its_prefix() {
    let registry = MemoryRegistry::default();
    assert!(registry.watch_path("/svc", pid(9)).unwrap());
    assert!(!registry.watch_path("/svc", pid(9)).unwrap(), "once only");
    registry.register_path("/svc", pid(1)).unwrap();
    registry.register_path("/svc2/a", pid(1)).unwrap();
    assert!(
        news(&registry).is_empty(),
        "not the prefix itself, not its neighbour"
    );

    registry.register_path("/svc/a/b", pid(1)).unwrap();
    registry.register_path("/svc/a/b", pid(1)).unwrap();
    registry.reserve(pid(1));
    registry.hand_over(pid(1), pid(2));
    registry.unregister_path("/svc/a/b");
    let changes: Vec<_> = news(&registry)
        .into_iter()
        .map(|(_, _, change)| change)
        .collect();
    assert_eq!(
        changes,
        [
            PathChange::Registered(pid(1)),
            PathChange::Reserved(pid(1)),
            PathChange::HandedOver {
                from: pid(1),
                to: pid(2)
            },
            PathChange::Unregistered(pid(2)),
        ]
    );
    assert!(news(&registry).is_empty(), "each is taken once");
}

#[test]
fn an_end_without_successor_is_heard_too() {
    let registry = MemoryRegistry::default();
    registry.watch_path("/", pid(9)).unwrap();
    registry.register_path("/a", pid(1)).unwrap();
    registry.register_path("/b", pid(2)).unwrap();
    registry.reserve(pid(2));
    news(&registry);
    registry.forget(pid(1));
    registry.release_reservation(pid(2));
    let heard = [
        ("/".into(), "/a".into(), PathChange::Unregistered(pid(1))),
        ("/".into(), "/b".into(), PathChange::Unregistered(pid(2))),
    ];
    assert_eq!(news(&registry), heard);
}

#[test]
fn outer_watchers_hear_first_and_the_dead_hear_nothing() {
    let registry = MemoryRegistry::default();
    registry.watch_path("/a/b", pid(8)).unwrap();
    registry.watch_path("/", pid(9)).unwrap();
    registry.watch_path("/", pid(7)).unwrap();
    registry.register_path("/a/b/c", pid(1)).unwrap();
    let events = registry.take_path_events().events;
    let told: Vec<_> = events.iter().map(|event| event.watchers.to_vec()).collect();
    assert_eq!(told, [vec![pid(9), pid(7)], vec![pid(8)]]);

    registry.forget(pid(9));
    registry.forget(pid(7));
    assert!(registry.unwatch_path("/a/b", pid(8)));
    assert!(!registry.unwatch_path("/a/b", pid(8)));
    registry.register_path("/a/b/d", pid(1)).unwrap();
    assert!(registry.take_path_events().events.is_empty());
    assert!(registry.watch_path("a", pid(1)).is_err());
}

#[test]
fn events_that_nobody_takes_have_a_cap_and_a_count() {
    let registry = MemoryRegistry::default();
    registry.watch_path("/", pid(9)).unwrap();
    for _ in 0..MOST_PATH_EVENTS {
        registry.register_path("/a", pid(1)).unwrap();
        registry.unregister_path("/a");
    }
    let taken = registry.take_path_events();
    assert_eq!(taken.events.len(), MOST_PATH_EVENTS);
    assert_eq!(taken.dropped, MOST_PATH_EVENTS as u64);
    assert_eq!(registry.take_path_events(), PathEvents::default());
}

proptest! {
    #[test]
    fn groups_equal_plain_lists(steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..4_u32), 0..60)) {
        let names = ["x", "y", "z"];
        let registry = MemoryRegistry::default();
        let mut lists: [Vec<Pid>; 3] = Default::default();
        for (step, group, slot) in steps {
            let there = lists[group].contains(&pid(slot));
            match step {
                0 | 1 => {
                    prop_assert_eq!(registry.join(names[group], pid(slot)).unwrap(), !there);
                    if !there {
                        lists[group].push(pid(slot));
                    }
                }
                2 => {
                    prop_assert_eq!(registry.leave(names[group], pid(slot)), there);
                    lists[group].retain(|member| *member != pid(slot));
                }
                _ => {
                    registry.forget(pid(slot));
                    for list in &mut lists {
                        list.retain(|member| *member != pid(slot));
                    }
                }
            }
            for (name, list) in names.iter().zip(&lists) {
                prop_assert_eq!(&*registry.members(name), &**list);
            }
            let full: Vec<_> = names.iter().zip(&lists).filter(|(_, list)| !list.is_empty()).map(|(name, _)| *name).collect();
            prop_assert_eq!(registry.groups(), full);
        }
    }
}
