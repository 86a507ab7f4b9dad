//! Attacks on a node, one test for each threat. `docs/SECURITY.md` has the table of threats, defences
//! and tests.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

mod acl;
#[path = "../certificates/mod.rs"]
mod certificates;
mod downgrade;
mod flood;
mod forged;
mod pitfalls;
mod raw;

use std::sync::mpsc::{Receiver as Heard, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris::nodes::Secret;
use iris::prelude::*;
use iris::{Message, NodeConfig, Receiver};

/// Nothing takes so long, but on a machine that stands still.
const PATIENCE: Duration = Duration::from_mins(1);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
}

fn runtime_with(config: NodeConfig) -> Runtime {
    let rt = runtime();
    assert!(rt.configure_mesh(config));
    rt
}

fn with_secret(key: &[u8]) -> NodeConfig {
    NodeConfig {
        secret: Some(Secret::new(key)),
        ..NodeConfig::default()
    }
}

/// An actor that says what it receives.
fn ear(rt: &Runtime, name: &str) -> (Pid, Heard<Message>) {
    let (say, heard) = channel();
    let pid = rt
        .receiver(name)
        .start_pull(move |mut mailbox: Receiver| {
            while let Ok(message) = mailbox.recv_blocking(None) {
                if say.send(message).is_err() {
                    return;
                }
            }
        })
        .unwrap();
    rt.register(name, pid).unwrap();
    (pid, heard)
}

fn hear(heard: &Heard<Message>) -> Bytes {
    match heard.recv_timeout(PATIENCE).unwrap() {
        Message::User(data) => data,
        other => panic!("{other:?}"),
    }
}

fn echo(rt: &Runtime) {
    let echo = handler(|_, bytes| Step::Reply(bytes.into()));
    rt.spawn(echo).named("echo").start().unwrap();
}

/// An honest peer of the node at `address` asks its actor `echo`.
fn ask(from: &Runtime, address: &str, question: &[u8]) {
    let remote = from.resolve_remote(address, "echo").unwrap().unwrap();
    let answer = from.ask(remote, question.to_vec()).wait().unwrap();
    assert_eq!(&answer[..], question);
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}
