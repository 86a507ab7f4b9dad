//! A follower knows at any time what the registry knows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use iris_core::Pid;
use iris_registry::{Follower, MemoryRegistry, Registry};
use proptest::prelude::*;

#[derive(Clone, Default)]
struct Copy(Arc<Mutex<HashMap<Arc<str>, Pid>>>);

impl Follower for Copy {
    fn changed(&self, word: &Arc<str>, leads_to: Option<Pid>) {
        let mut known = self.0.lock().unwrap();
        match leads_to {
            Some(pid) => known.insert(Arc::clone(word), pid),
            None => known.remove(word),
        };
    }
}

impl Copy {
    fn whereis(&self, word: &str) -> Option<Pid> {
        self.0.lock().unwrap().get(word).copied()
    }
}

fn pid(slot: u8) -> Pid {
    Pid::new(u32::from(slot), Pid::FIRST_GENERATION).unwrap()
}

const WORDS: [&str; 4] = ["a", "b", "/a", "/a/b"];

fn act(registry: &MemoryRegistry, (action, word, one, two): (u8, usize, u8, u8)) {
    let word = WORDS[word];
    let is_path = word.starts_with('/');
    let (one, two) = (pid(one), pid(two));
    match action {
        0..=3 if is_path => drop(registry.register_path(word, one)),
        0..=3 => drop(registry.register(word, one)),
        4 if is_path => drop(registry.unregister_path(word)),
        4 => drop(registry.unregister(word)),
        5 if is_path => drop(registry.release_path(word, one)),
        5 => drop(registry.release(word, one)),
        6 => registry.forget(one),
        7 => registry.reserve(one),
        8 => drop(registry.hand_over(one, two)),
        _ => drop(registry.release_reservation(one)),
    }
}

proptest! {
    #[test]
    fn what_a_follower_hears_is_what_is_there(
        before in prop::collection::vec((0..10_u8, 0..4_usize, 0..4_u8, 0..4_u8), 0..20),
        after in prop::collection::vec((0..10_u8, 0..4_usize, 0..4_u8, 0..4_u8), 0..60),
    ) {
        let registry = MemoryRegistry::default();
        let copy = Copy::default();
        for action in before {
            act(&registry, action);
        }
        registry.follow(Box::new(copy.clone()));
        for action in after {
            for word in WORDS {
                let there = if word.starts_with('/') {
                    registry.whereis_path(word)
                } else {
                    registry.whereis(word)
                };
                prop_assert_eq!(copy.whereis(word), there, "{}", word);
            }
            act(&registry, action);
        }
    }
}
