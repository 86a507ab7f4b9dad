//! Processes that are started at other nodes, by the name of a behavior.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

use std::sync::mpsc::channel;
use std::time::Duration;

use iris::nodes::NotSpawned;
use iris::prelude::*;
use iris::{Failure, MeshError, NodeConfig};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime(allow_spawn: bool) -> (Runtime, String) {
    let rt = Runtime::builder().workers(2).start().unwrap();
    rt.configure_mesh(NodeConfig {
        allow_spawn,
        ..NodeConfig::default()
    });
    rt.register_behavior("greeter", |rt, init| {
        let greet = handler(move |_, name| {
            let mut greeting = init.to_vec();
            greeting.extend_from_slice(&name);
            Step::Reply(greeting.into())
        });
        Ok(rt.spawn(greet).start()?)
    });
    let address = rt.listen("127.0.0.1:0").unwrap();
    (rt, address)
}

fn why(here: &Runtime, address: &str, behavior: &str, init: Vec<u8>) -> NotSpawned {
    match here.spawn_on(address, behavior, init).unwrap_err() {
        MeshError::NotSpawned { why, .. } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn a_process_is_started_at_another_node_and_is_like_one_at_home() {
    let (there, address) = runtime(true);
    let (here, _) = runtime(false);
    let hello = here.spawn_on(&address, "greeter", &b"hello "[..]).unwrap();
    let bye = here.spawn_on(&address, "greeter", &b"bye "[..]).unwrap();
    assert_ne!(hello, bye);
    let ask = |pid| here.ask(pid, &b"you"[..]).timeout(PATIENCE).wait();
    assert_eq!(&ask(hello).unwrap()[..], b"hello you");
    assert_eq!(&ask(bye).unwrap()[..], b"bye you");
    drop(there);
    assert!(here.join(bye, Some(PATIENCE)).unwrap());
}

#[test]
fn it_is_started_only_where_that_is_allowed_and_only_what_is_registered() {
    let (there, closed) = runtime(false);
    let (open_node, open) = runtime(true);
    let (here, _) = runtime(false);
    assert_eq!(why(&here, &closed, "greeter", vec![]), NotSpawned::Denied);
    assert_eq!(there.node().unwrap().denied(), 1);
    assert_eq!(why(&here, &open, "grEEter", vec![]), NotSpawned::Unknown);
    let long = vec![0; 1 << 20];
    assert_eq!(why(&here, &open, "greeter", long), NotSpawned::TooLong);
    let error = here.spawn_on(&open, "", vec![]).unwrap_err();
    assert!(matches!(error, MeshError::Name(_)), "{error}");
    let error = here.spawn_on("127.0.0.1:1", "greeter", vec![]).unwrap_err();
    assert!(matches!(error, MeshError::Connect { .. }), "{error}");
    assert!(open_node.node().unwrap().denied() == 0);
}

#[test]
fn who_asks_is_told_why_a_factory_has_failed() {
    let (there, address) = runtime(true);
    let (here, _) = runtime(false);
    there.register_behavior("failing", |_, _| {
        Err(Failure {
            kind: "NoDisk".to_owned(),
            message: "x".repeat(5000),
            traceback: String::new(),
        })
    });
    there.register_behavior("panicking", |_, _| panic!("not today"));
    let NotSpawned::Failed(text) = why(&here, &address, "failing", vec![]) else {
        panic!("it has failed")
    };
    assert!(
        text.starts_with("NoDisk: xxx") && text.len() == 1024,
        "{text}"
    );
    let NotSpawned::Failed(text) = why(&here, &address, "panicking", vec![]) else {
        panic!("it has failed")
    };
    assert!(text.contains("not today"), "{text}");
    // The newest of a name counts.
    assert!(!there.register_behavior("failing", |rt, _| {
        Ok(rt.spawn(handler(|_, _| Step::Done)).start()?)
    }));
    here.spawn_on(&address, "failing", vec![]).unwrap();
}

#[test]
fn a_factory_that_blocks_holds_nobody_up() {
    let (there, address) = runtime(true);
    let (here, _) = runtime(false);
    let (release, released) = channel::<()>();
    let released = std::sync::Mutex::new(released);
    there.register_behavior("slow", move |rt, _| {
        // Ends when the test drops its end.
        let _ = released.lock().unwrap().recv();
        Ok(rt.spawn(handler(|_, _| Step::Done)).start()?)
    });
    let slow = here.begin_spawn_on(&address, "slow", vec![]).unwrap();
    let quick = here.spawn_on(&address, "greeter", vec![]).unwrap();
    let answer = here.ask(quick, &b"x"[..]).timeout(PATIENCE).wait();
    assert_eq!(&answer.unwrap()[..], b"x");
    drop(release);
    slow.wait().unwrap();
}
