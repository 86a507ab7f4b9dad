//! Nodes whose connections are cut again and again.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use iris::prelude::*;
use iris::{NodeConfig, SystemMessage};

const PATIENCE: Duration = Duration::from_secs(30);

/// A wire between two nodes that can be cut: in the middle of a frame, too.
struct Wire {
    address: String,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    /// New connections are refused.
    down: Arc<AtomicBool>,
    /// Bytes after which the next connection is cut; 0 for never.
    cut_after: Arc<AtomicU64>,
}

impl Wire {
    fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap().to_string(),
            ends: Arc::default(),
            down: Arc::default(),
            cut_after: Arc::default(),
        };
        let (ends, down, cut) = (wire.ends.clone(), wire.down.clone(), wire.cut_after.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if down.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                let mut known = ends.lock().unwrap();
                known.push(near.try_clone().unwrap());
                known.push(far.try_clone().unwrap());
                drop(known);
                let limit = cut.load(Ordering::SeqCst);
                let (near2, far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || carry(near, far, limit));
                thread::spawn(move || carry(far2, near2, 0));
            }
        });
        wire
    }

    /// Cuts all connections that there are.
    fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, limit: u64) {
    let mut buffer = vec![0; 32 << 10];
    let mut carried = 0;
    while let Ok(n) = from.read(&mut buffer) {
        let rest = usize::try_from(limit.saturating_sub(carried)).unwrap_or(usize::MAX);
        let n = if limit == 0 { n } else { n.min(rest) };
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            break;
        }
        carried += n as u64;
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

fn runtime(resume: Duration) -> Runtime {
    let rt = Runtime::builder().workers(2).start().unwrap();
    rt.configure_mesh(NodeConfig {
        resume,
        ..NodeConfig::default()
    });
    rt
}

/// A random number, the same for the same seed.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn what_is_sent_over_a_wire_that_is_cut_arrives_once_and_in_order() {
    const MESSAGES: u32 = 20_000;
    for seed in 1..=4_u64 {
        let (here, there) = (runtime(PATIENCE), runtime(PATIENCE));
        let (say, heard) = channel();
        let ear = handler(move |_, bytes| {
            say.send(bytes).ok();
            Step::Done
        });
        here.spawn(ear).named("ear").start().unwrap();
        let wire = Wire::to(here.listen("127.0.0.1:0").unwrap());
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let remote = there.resolve_remote(&wire.address, "ear").unwrap().unwrap();
        let sender = {
            let there = there.clone();
            thread::spawn(move || {
                for n in 0..MESSAGES {
                    // Some are long enough to travel in fragments.
                    let size = if n % 1_000 == 999 { 300_000 } else { 20 };
                    let mut data = n.to_be_bytes().to_vec();
                    data.resize(size, 7);
                    there.send(remote, data).unwrap();
                    if n % 200 == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        };
        let cutting = Arc::new(AtomicBool::new(true));
        let cutter = {
            let cutting = cutting.clone();
            thread::spawn(move || {
                let mut cuts = 0;
                while cutting.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5 + next(&mut random) % 40));
                    // Every other connection also ends by itself, somewhere in a frame.
                    let limit = next(&mut random) % 60_000;
                    wire.cut_after
                        .store(if cuts % 2 == 0 { limit } else { 0 }, Ordering::SeqCst);
                    wire.cut();
                    cuts += 1;
                }
                wire.cut_after.store(0, Ordering::SeqCst);
                (wire, cuts)
            })
        };
        let began = Instant::now();
        for n in 0..MESSAGES {
            if n == MESSAGES / 2 || began.elapsed() > Duration::from_secs(2) {
                cutting.store(false, Ordering::SeqCst);
            }
            let data = heard.recv_timeout(PATIENCE).unwrap();
            assert_eq!(data[..4], n.to_be_bytes(), "seed {seed}");
        }
        cutting.store(false, Ordering::SeqCst);
        sender.join().unwrap();
        let (_wire, cuts) = cutter.join().unwrap();
        assert!(cuts > 0, "seed {seed}");
        heard.recv_timeout(Duration::from_millis(20)).unwrap_err();
        assert_eq!(there.dead_letters() + here.dead_letters(), 0, "seed {seed}");
    }
}

#[test]
fn of_a_node_that_is_lost_every_message_is_accounted_for_and_each_monitor_hears_once() {
    const MESSAGES: u64 = 5_000;
    let resume = Duration::from_millis(100);
    let (here, there) = (runtime(resume), runtime(resume));
    let handled = Arc::new(AtomicU64::new(0));
    let counted = handled.clone();
    let ear = handler(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Step::Done
    });
    here.spawn(ear).named("ear").start().unwrap();
    let wire = Wire::to(here.listen("127.0.0.1:0").unwrap());
    let remote = there.resolve_remote(&wire.address, "ear").unwrap().unwrap();
    let (tell, told) = channel();
    let watcher = there
        .receiver("watcher")
        .start_pull(move |mut mailbox: iris::Receiver| {
            while let Ok(message) = mailbox.recv_blocking(None) {
                if let Message::System(SystemMessage::Down { reference, info }) = message {
                    tell.send((reference, info.reason)).ok();
                }
            }
        })
        .unwrap();
    let monitors: Vec<_> = (0..10)
        .map(|_| there.monitor(watcher, remote).unwrap())
        .collect();
    let mut accepted = 0;
    for n in 0..MESSAGES {
        if n == MESSAGES / 2 {
            let began = Instant::now();
            while handled.load(Ordering::SeqCst) < MESSAGES / 4 {
                assert!(began.elapsed() < PATIENCE, "the first ones arrive");
                thread::sleep(Duration::from_millis(1));
            }
            wire.down.store(true, Ordering::SeqCst);
            wire.cut();
        }
        match there.send(remote, n.to_be_bytes().to_vec()) {
            Ok(()) => accepted += 1,
            // It has ended meanwhile: the message is back.
            Err(_) => break,
        }
        if n % 100 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(there.join(remote, Some(PATIENCE)).unwrap());
    let mut heard: Vec<_> = (0..10)
        .map(|_| told.recv_timeout(PATIENCE).unwrap())
        .collect();
    told.recv_timeout(Duration::from_millis(50)).unwrap_err();
    assert!(
        heard
            .iter()
            .all(|(_, reason)| *reason == ExitReason::NoConnection)
    );
    heard.sort_by_key(|(reference, _)| *reference);
    let references: Vec<_> = heard.into_iter().map(|(reference, _)| reference).collect();
    assert_eq!(references, monitors);
    let dead = there.dead_letters();
    let handled = handled.load(Ordering::SeqCst);
    assert!(handled >= MESSAGES / 4, "{handled}");
    // Of some nobody knows whether they arrived: they count as dead, too.
    assert!(
        handled + dead >= accepted,
        "{handled} + {dead} < {accepted}"
    );
    assert!(
        handled <= accepted && dead <= accepted,
        "{handled}, {dead} of {accepted}"
    );
}

#[test]
fn two_nodes_that_dial_each_other_at_once_have_one_connection() {
    for _ in 0..10 {
        let (one, two) = (runtime(PATIENCE), runtime(PATIENCE));
        let echo = || handler(|_, bytes| Step::Reply(bytes.into()));
        one.spawn(echo()).named("echo").start().unwrap();
        two.spawn(echo()).named("echo").start().unwrap();
        let (at_one, at_two) = (
            one.listen("127.0.0.1:0").unwrap(),
            two.listen("127.0.0.1:0").unwrap(),
        );
        let ask = |rt: Runtime, address: String| {
            thread::spawn(move || {
                let remote = rt.resolve_remote(&address, "echo").unwrap().unwrap();
                for n in 0..50_u32 {
                    let question = n.to_be_bytes().to_vec();
                    let answer = rt.ask(remote, question.clone()).wait().unwrap();
                    assert_eq!(answer[..], question);
                }
            })
        };
        let (first, second) = (ask(one.clone(), at_two), ask(two.clone(), at_one));
        first.join().unwrap();
        second.join().unwrap();
        for rt in [&one, &two] {
            // None while the one takes the other's place.
            let began = Instant::now();
            while rt.node().unwrap().peers().is_empty() && began.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(rt.node().unwrap().peers().len(), 1);
        }
    }
}

#[test]
fn the_session_after_one_that_ended_is_resumed_like_the_first() {
    let resume = Duration::from_secs(5);
    let (here, there) = (runtime(resume), runtime(resume));
    let (say, heard) = channel();
    let ear = handler(move |_, bytes| {
        say.send(bytes).ok();
        Step::Done
    });
    here.spawn(ear).named("ear").start().unwrap();
    let wire = Wire::to(here.listen("127.0.0.1:0").unwrap());
    let first = there.resolve_remote(&wire.address, "ear").unwrap().unwrap();
    wire.down.store(true, Ordering::SeqCst);
    wire.cut();
    assert!(there.join(first, Some(PATIENCE)).unwrap());
    // Its last dial is still being waited for when the next session loses its link.
    wire.down.store(false, Ordering::SeqCst);
    let second = there.resolve_remote(&wire.address, "ear").unwrap().unwrap();
    there.send(second, &b"one"[..]).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap()[..], *b"one");
    wire.cut();
    there.send(second, &b"two"[..]).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap()[..], *b"two");
    assert!(there.is_alive(second));
    assert_eq!(there.dead_letters(), 0);
}
