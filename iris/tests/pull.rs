//! Pull actors: the limit of their number, and their stacks.

use std::sync::mpsc::channel;
use std::time::Duration;

use iris::prelude::*;
use iris::{Receiver, SpawnError};

const PATIENCE: Duration = Duration::from_secs(20);

fn until_told(mut mailbox: Receiver) {
    while mailbox.recv_blocking(None).is_ok() {}
}

#[test]
fn beyond_the_limit_a_pull_actor_is_refused_and_leaves_nothing_behind() {
    let rt = Runtime::builder()
        .workers(1)
        .pull_actors(2)
        .start()
        .unwrap();
    let start = || rt.receiver("pull").start_pull(until_told);
    let first = start().unwrap();
    start().unwrap();
    let error = start().unwrap_err();
    assert!(matches!(error, SpawnError::TooManyPullActors { limit: 2 }));
    assert_eq!(
        error.to_string(),
        "2 pull actors have a thread each, and no more may: raise the limit of the runtime's \
         builder, or use async actors, which need none"
    );
    assert_eq!(rt.process_count(), 2);

    rt.stop(first, ExitReason::Killed);
    assert_eq!(rt.join(first, Some(PATIENCE)), Ok(true));
    start().expect("a place is free by the time that the end can be seen");
    assert!(start().is_err());
}

#[test]
fn a_place_comes_back_from_those_that_panic_or_never_begin() {
    let rt = Runtime::builder()
        .workers(1)
        .pull_actors(1)
        .start()
        .unwrap();
    let bad = rt.receiver("bad");
    let bad = bad.start_pull(|_| -> () { panic!("on purpose") }).unwrap();
    assert_eq!(rt.join(bad, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.exit_counts().failed, 1);

    let orphan = rt.receiver("orphan").child_of(bad).start_pull(until_told);
    assert!(matches!(orphan, Err(SpawnError::NoParent)));
    rt.receiver("last").start_pull(until_told).unwrap();
}

#[test]
fn a_stack_that_nobody_can_give_is_an_error() {
    let rt = Runtime::builder()
        .workers(1)
        .pull_actors(1)
        .pull_stack_bytes(usize::MAX / 2)
        .start()
        .unwrap();
    let error = rt.receiver("huge").start_pull(until_told).unwrap_err();
    assert!(matches!(error, SpawnError::NoThread(_)), "{error}");
    let again = rt.receiver("huge").start_pull(until_told).unwrap_err();
    assert!(
        matches!(again, SpawnError::NoThread(_)),
        "the place is back"
    );
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn the_stack_is_as_large_as_asked_for() {
    /// Touches `depth` KiB of stack.
    fn deep(depth: usize) -> u64 {
        let frame = std::hint::black_box([1_u8; 1024]);
        if depth == 0 {
            return 0;
        }
        deep(depth - 1) + u64::from(frame[depth % frame.len()])
    }
    let rt = Runtime::builder()
        .workers(1)
        .pull_stack_bytes(64 << 20)
        .start()
        .unwrap();
    let (say, heard) = channel();
    // More than the default would bear.
    let body = move |_: Receiver| say.send(deep(2048)).unwrap();
    rt.receiver("deep").start_pull(body).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), 2048);
}

#[test]
fn how_it_ends_is_what_its_body_returns() {
    let rt = Runtime::builder().workers(1).start().unwrap();
    let clean = rt.receiver("clean").start_pull(|_| ()).unwrap();
    let crash = rt
        .receiver("crash")
        .start_pull(|_| Exit::from(ExitReason::Crash))
        .unwrap();
    for pid in [clean, crash] {
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    let counts = rt.exit_counts();
    assert_eq!((counts.clean, counts.failed), (1, 1));
}
