//! The registry against its contract and against a plain model.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use iris_core::Pid;
use iris_registry::{MemoryRegistry, RegisterError, Registry};
use proptest::prelude::*;

fn pid(slot: u32) -> Pid {
    Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
}

fn paths(found: Vec<(String, Pid)>) -> Vec<String> {
    found.into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_name_leads_to_one_process() {
    let registry = MemoryRegistry::default();
    registry.register("auth", pid(1)).unwrap();
    registry
        .register("auth", pid(1))
        .expect("again for the same process is no change");
    let error = registry.register("auth", pid(2)).unwrap_err();
    assert_eq!(
        error,
        RegisterError::NameTaken {
            name: "auth".into(),
            holder: pid(1)
        }
    );
    assert_eq!(registry.unregister("auth"), Some(pid(1)));
    registry.register("auth", pid(2)).unwrap();
    registry.forget(pid(1));
    assert_eq!(
        registry.whereis("auth"),
        Some(pid(2)),
        "forgetting one leaves the other alone"
    );
}

#[test]
fn forgetting_a_process_frees_all_that_leads_to_it() {
    let registry = MemoryRegistry::default();
    for name in ["a", "b"] {
        registry.register(name, pid(1)).unwrap();
        registry
            .register_path(&format!("/x/{name}"), pid(1))
            .unwrap();
    }
    registry.unregister("a");
    assert_eq!(
        registry.names_of(pid(1)),
        (
            vec!["b".to_owned()],
            vec!["/x/a".to_owned(), "/x/b".to_owned()]
        )
    );
    registry.forget(pid(1));
    assert_eq!(registry.whereis("b"), None);
    assert!(registry.list_children("/").unwrap().is_empty());
    assert_eq!(registry.names_of(pid(1)), (vec![], vec![]));
}

#[test]
fn only_the_holder_s_name_is_released() {
    let registry = MemoryRegistry::default();
    registry.register("x", pid(1)).unwrap();
    registry.register_path("/x", pid(1)).unwrap();
    assert!(!registry.release("x", pid(2)) && !registry.release_path("/x", pid(2)));
    assert_eq!(registry.whereis("x"), Some(pid(1)));
    assert!(registry.release("x", pid(1)) && registry.release_path("/x", pid(1)));
    assert!(!registry.release("x", pid(1)) && !registry.release_path("/x", pid(1)));
    assert_eq!(registry.names_of(pid(1)), (vec![], vec![]));
}

#[test]
fn a_branch_is_not_its_neighbours() {
    let registry = MemoryRegistry::default();
    let all = [
        "/a", "/a!b", "/a/b", "/a/b!", "/a/b/c", "/a/b0", "/ab/c", "/b",
    ];
    for (slot, path) in (0..).zip(all) {
        registry.register_path(path, pid(slot)).unwrap();
    }
    assert_eq!(
        paths(registry.list_children("/a").unwrap()),
        ["/a/b", "/a/b!", "/a/b/c", "/a/b0"]
    );
    assert_eq!(
        paths(registry.list_children_direct("/a").unwrap()),
        ["/a/b", "/a/b!", "/a/b0"]
    );
    assert_eq!(
        paths(registry.list_children_direct("/").unwrap()),
        ["/a", "/a!b", "/b"]
    );
    assert_eq!(registry.list_children("/").unwrap().len(), all.len());
    assert!(registry.list_children("/nowhere").unwrap().is_empty());
}

#[test]
fn what_is_no_name_or_path_is_refused_with_the_reason() {
    let registry = MemoryRegistry::default();
    let long = "x".repeat(1025);
    for name in ["", "\0iris.mesh", long.as_str()] {
        let error = registry.register(name, pid(1)).unwrap_err();
        assert!(matches!(error, RegisterError::BadName { .. }), "{name:?}");
    }
    let long = format!("/{long}");
    let cases = [
        ("", 0),
        ("svc", 0),
        ("/svc/", 4),
        ("/svc//one", 5),
        ("//", 1),
        ("/", 0),
        ("/\0iris.mesh/x", 1),
        (long.as_str(), 1024),
    ];
    for (path, wrong_at) in cases {
        let error = registry.register_path(path, pid(1)).unwrap_err();
        let RegisterError::BadPath { at, .. } = error else {
            panic!("{path:?}: {error}");
        };
        assert_eq!(at, wrong_at, "{path:?}");
    }
    for prefix in ["", "svc", "/svc/", "//"] {
        assert!(registry.list_children(prefix).is_err(), "{prefix:?}");
        assert!(registry.list_children_direct(prefix).is_err(), "{prefix:?}");
    }
}

fn path() -> impl Strategy<Value = String> {
    // Characters on both sides of '/' in the alphabet, where a prefix search goes wrong.
    prop::collection::vec("[a.0!]{1,2}", 1..4).prop_map(|segments| {
        segments
            .iter()
            .fold(String::new(), |path, segment| format!("{path}/{segment}"))
    })
}

proptest! {
    #[test]
    fn listings_equal_a_full_scan(all in prop::collection::btree_map(path(), 0..9_u32, 0..40), prefix in path()) {
        let registry = MemoryRegistry::default();
        for (path, slot) in &all {
            registry.register_path(path, pid(*slot)).unwrap();
        }
        let below: BTreeMap<_, _> = all
            .iter()
            .filter(|(path, _)| path.starts_with(&format!("{prefix}/")))
            .collect();
        let direct: Vec<String> = below
            .keys()
            .filter(|path| !path[prefix.len() + 1..].contains('/'))
            .map(ToString::to_string)
            .collect();
        let all_below: Vec<String> = below.keys().map(ToString::to_string).collect();
        prop_assert_eq!(paths(registry.list_children(&prefix).unwrap()), all_below);
        prop_assert_eq!(paths(registry.list_children_direct(&prefix).unwrap()), direct);

        registry.forget(pid(3));
        let left = registry.list_children("/").unwrap();
        prop_assert!(left.iter().all(|(_, held)| *held != pid(3)));
        prop_assert_eq!(left.len(), all.values().filter(|slot| **slot != 3).count());
    }
}
