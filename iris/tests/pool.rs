//! Pools of workers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use iris::prelude::*;
use iris::{PoolSendError, SpawnError};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
}

/// Tells which worker handled a message.
fn telling() -> (impl Behavior, Receiver<Pid>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let behavior = handler(move |cx, _| {
        tell.lock().unwrap().send(cx.pid()).unwrap();
        Step::Done
    });
    (behavior, told)
}

fn shares(told: &Receiver<Pid>, messages: usize) -> HashMap<Pid, usize> {
    let mut shares = HashMap::new();
    for _ in 0..messages {
        let worker = told.recv_timeout(PATIENCE).unwrap();
        *shares.entry(worker).or_default() += 1;
    }
    shares
}

#[test]
fn each_worker_gets_its_turn() {
    let rt = runtime();
    let (behavior, told) = telling();
    let pool = rt.pool(behavior).size(3).start().unwrap();
    assert_eq!(pool.pids().len(), 3);
    (0..30).for_each(|_| pool.send(&b"x"[..]).unwrap());
    let shares = shares(&told, 30);
    for worker in pool.pids() {
        assert_eq!(shares[worker], 10);
    }
}

#[test]
fn the_dead_are_passed_over_and_the_last_gives_the_message_back() {
    let rt = runtime();
    let (behavior, told) = telling();
    let pool = rt.pool(behavior).start().unwrap();
    let workers = pool.pids().to_vec();
    assert_eq!(workers.len(), 4, "by default");
    for dead in &workers[..3] {
        rt.stop(*dead, ExitReason::Killed);
    }
    (0..8).for_each(|_| pool.send(&b"x"[..]).unwrap());
    assert_eq!(shares(&told, 8), HashMap::from([(workers[3], 8)]));

    assert_eq!(pool.stop(), 1, "one was alive");
    let error = pool.send(&b"precious"[..]).unwrap_err();
    let message = Message::from(&b"precious"[..]);
    assert_eq!(
        error,
        PoolSendError {
            workers: 4,
            message
        }
    );
    assert_eq!(pool.stop(), 0);
}

#[test]
fn the_workers_end_with_their_parent() {
    let rt = runtime();
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let (behavior, _told) = telling();
    let pool = rt.pool(behavior).size(2).child_of(parent).start().unwrap();
    assert_eq!(rt.info(parent).unwrap().children, pool.pids());
    rt.stop(parent, ExitReason::Killed);
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    pool.send(&b"late"[..]).unwrap_err();
}

#[test]
fn what_cannot_be_a_pool_leaves_nothing_behind() {
    let rt = runtime();
    let none = rt.pool(telling().0).size(0).start();
    assert!(matches!(none, Err(SpawnError::NoWorkers)));
    let idle = rt.pool(telling().0).budget(0).start();
    assert!(matches!(idle, Err(SpawnError::NoBudget)));

    // The parent ends while the pool is being made.
    let parent = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let make = |worker| {
        if worker == 2 {
            rt.stop(parent, ExitReason::Killed);
        }
        telling().0
    };
    let orphans = rt.pool_with(make).child_of(parent).start();
    assert!(matches!(orphans, Err(SpawnError::NoParent)));

    let make = |worker| {
        assert!(worker < 2, "on purpose");
        telling().0
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| rt.pool_with(make).start()));
    assert!(panicked.is_err());
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.process_count(), 0);
}

#[test]
fn workers_may_differ() {
    let rt = runtime();
    let (tell, told) = channel();
    let make = |worker: usize| {
        let tell = Mutex::new(tell.clone());
        handler(move |_, _| {
            tell.lock().unwrap().send(worker).unwrap();
            Step::Done
        })
    };
    let pool = rt.pool_with(make).size(3).start().unwrap();
    for _ in 0..3 {
        pool.send(&b"x"[..]).unwrap();
    }
    let mut workers: Vec<usize> = (0..3)
        .map(|_| told.recv_timeout(PATIENCE).unwrap())
        .collect();
    workers.sort_unstable();
    assert_eq!(workers, [0, 1, 2]);
}

#[test]
fn a_pool_does_not_keep_the_runtime() {
    let rt = runtime();
    let (behavior, told) = telling();
    let pool = rt.pool(behavior).start().unwrap();
    let inside = pool.clone();
    let dispatcher = handler(move |_, work| {
        inside.send(work).unwrap();
        Step::Done
    });
    let dispatcher = rt.spawn(dispatcher).start().unwrap();
    rt.send(dispatcher, &b"x"[..]).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    assert!(rt.wait_quiet(PATIENCE));
    drop(rt);
    let end = told.recv_timeout(PATIENCE);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected), "all are dropped");
    pool.send(&b"late"[..]).unwrap_err();
}
