//! What a supervised process had waits for its successor, and never leads to the dead.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use iris_core::Pid;
use iris_registry::{MemoryRegistry, RegisterError, Registry};
use proptest::prelude::*;

fn pid(slot: u32) -> Pid {
    Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
}

/// A registry where process 1 has a name and a path, and has ended with a successor to come.
fn restarting() -> MemoryRegistry {
    let registry = MemoryRegistry::default();
    registry.register("auth", pid(1)).unwrap();
    registry.register_path("/svc/auth", pid(1)).unwrap();
    registry.reserve(pid(1));
    registry
}

#[test]
fn what_is_reserved_leads_nowhere_and_nobody_else_can_take_it() {
    let registry = restarting();
    assert_eq!(registry.whereis("auth"), None);
    assert_eq!(registry.whereis_path("/svc/auth"), None);
    assert!(registry.list_children("/svc").unwrap().is_empty());
    assert!(registry.list_children_direct("/svc").unwrap().is_empty());
    assert_eq!(registry.names_of(pid(1)), (vec![], vec![]));
    assert!(!registry.release("auth", pid(1)), "it leads nowhere");
    assert!(!registry.release_path("/svc/auth", pid(1)));

    let error = registry.register("auth", pid(2)).unwrap_err();
    let expected = RegisterError::Reserved {
        name: "auth".into(),
        of: pid(1),
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("being restarted"), "{error}");
    let error = registry.register_path("/svc/auth", pid(2)).unwrap_err();
    assert!(matches!(error, RegisterError::Reserved { .. }), "{error}");
    let reserved = (vec!["auth".to_owned()], vec!["/svc/auth".to_owned()]);
    assert_eq!(registry.reserved_after(pid(1)), reserved);
}

#[test]
fn a_restarted_child_keeps_its_names_and_paths() {
    let registry = restarting();
    assert_eq!(registry.hand_over(pid(1), pid(2)), 2);
    assert_eq!(registry.whereis("auth"), Some(pid(2)));
    assert_eq!(registry.whereis_path("/svc/auth"), Some(pid(2)));
    assert_eq!(
        registry.list_children("/").unwrap(),
        [("/svc/auth".to_owned(), pid(2))]
    );
    assert_eq!(registry.hand_over(pid(1), pid(3)), 0, "once only");
    registry.forget(pid(2));
    assert_eq!(
        registry.whereis("auth"),
        None,
        "they are the successor's own"
    );
    registry.register("auth", pid(4)).unwrap();
}

#[test]
fn without_a_successor_the_names_are_free_again() {
    let registry = restarting();
    assert_eq!(registry.release_reservation(pid(1)), 2);
    assert_eq!(registry.release_reservation(pid(1)), 0);
    assert_eq!(registry.reserved_after(pid(1)), (vec![], vec![]));
    registry.register("auth", pid(2)).unwrap();
    registry.register_path("/svc/auth", pid(2)).unwrap();
}

#[test]
fn a_late_end_of_the_old_process_takes_nothing_from_its_successor() {
    let registry = restarting();
    registry.forget(pid(1));
    assert_eq!(
        registry.hand_over(pid(1), pid(2)),
        2,
        "a process that was given up on may be forgotten before its successor is there"
    );
    registry.forget(pid(1));
    registry.reserve(pid(1));
    assert_eq!(registry.release_reservation(pid(1)), 0);
    assert_eq!(registry.whereis("auth"), Some(pid(2)));
}

#[test]
fn unregistering_frees_a_reserved_name_for_all() {
    let registry = restarting();
    assert_eq!(registry.unregister("auth"), Some(pid(1)));
    assert_eq!(registry.unregister_path("/svc/auth"), Some(pid(1)));
    assert_eq!(registry.hand_over(pid(1), pid(2)), 0);
    registry.register("auth", pid(3)).unwrap();
    assert_eq!(registry.whereis("auth"), Some(pid(3)));
}

/// What happens to a registry; small numbers, so that the steps meet.
#[derive(Clone, Copy, Debug)]
enum Op {
    Register(usize, u32),
    Unregister(usize),
    Forget(u32),
    Reserve(u32),
    HandOver(u32, u32),
    ReleaseReservation(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let word = 0..WORDS.len();
    let slot = 0..5_u32;
    prop_oneof![
        4 => (word.clone(), slot.clone()).prop_map(|(word, slot)| Op::Register(word, slot)),
        1 => word.prop_map(Op::Unregister),
        1 => slot.clone().prop_map(Op::Forget),
        2 => slot.clone().prop_map(Op::Reserve),
        2 => (slot.clone(), slot.clone()).prop_map(|(old, new)| Op::HandOver(old, new)),
        1 => slot.prop_map(Op::ReleaseReservation),
    ]
}

/// Names, and paths where they begin with '/'.
const WORDS: [&str; 6] = ["a", "b", "c", "/a", "/a/b", "/a/b/c"];

/// Each word's process, and whether it is only reserved after it.
type Model = BTreeMap<&'static str, (Pid, bool)>;

fn apply(model: &mut Model, registry: &MemoryRegistry, op: Op) {
    match op {
        Op::Register(word, slot) => {
            let (word, pid) = (WORDS[word], pid(slot));
            let result = if word.starts_with('/') {
                registry.register_path(word, pid)
            } else {
                registry.register(word, pid)
            };
            let fits = *model.entry(word).or_insert((pid, false)) == (pid, false);
            assert_eq!(result.is_ok(), fits, "{word} {result:?}");
        }
        Op::Unregister(word) => {
            let word = WORDS[word];
            let freed = if word.starts_with('/') {
                registry.unregister_path(word)
            } else {
                registry.unregister(word)
            };
            assert_eq!(freed, model.remove(word).map(|(pid, _)| pid));
        }
        Op::Forget(slot) => {
            registry.forget(pid(slot));
            model.retain(|_, held| *held != (pid(slot), false));
        }
        Op::Reserve(slot) => {
            registry.reserve(pid(slot));
            for held in model.values_mut().filter(|held| held.0 == pid(slot)) {
                held.1 = true;
            }
        }
        Op::HandOver(old, new) if old != new => {
            let moved = registry.hand_over(pid(old), pid(new));
            let mut expected = 0;
            for held in model.values_mut().filter(|held| held.0 == pid(old)) {
                *held = (pid(new), false);
                expected += 1;
            }
            assert_eq!(moved, expected);
        }
        Op::HandOver(old, new) => assert_eq!(registry.hand_over(pid(old), pid(new)), 0),
        Op::ReleaseReservation(slot) => {
            let before = model.len();
            model.retain(|_, held| *held != (pid(slot), true));
            let freed = registry.release_reservation(pid(slot));
            assert_eq!(freed, before - model.len());
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_steps_equals_a_plain_table(ops in prop::collection::vec(op(), 0..60)) {
        let registry = MemoryRegistry::default();
        let mut model = Model::new();
        for op in ops {
            apply(&mut model, &registry, op);
            for word in WORDS {
                let live = model.get(word).filter(|held| !held.1).map(|held| held.0);
                let found = if word.starts_with('/') {
                    registry.whereis_path(word)
                } else {
                    registry.whereis(word)
                };
                prop_assert_eq!(found, live, "{}", word);
            }
            for slot in 0..5 {
                let of = |reserved| {
                    let words = model.iter().filter(|(_, held)| **held == (pid(slot), reserved));
                    let (paths, names) = words
                        .map(|(word, _)| (*word).to_owned())
                        .partition::<Vec<_>, _>(|word| word.starts_with('/'));
                    (names, paths)
                };
                prop_assert_eq!(registry.names_of(pid(slot)), of(false));
                prop_assert_eq!(registry.reserved_after(pid(slot)), of(true));
            }
            let listed = registry.list_children("/").unwrap().len();
            let live = model.iter().filter(|(word, held)| word.starts_with('/') && !held.1);
            prop_assert_eq!(listed, live.count());
        }
    }
}
