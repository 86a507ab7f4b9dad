//! What went wrong between nodes of the earlier release and elsewhere.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Heard, channel};
use std::thread;
use std::time::{Duration, Instant};

use iris::prelude::*;
use iris::{DeadLetterReason, MeshError, NodeConfig, SendError};

use super::raw::{Tap, answering};
use super::{PATIENCE, ask, ear, echo, hear, runtime, runtime_with, until};

#[test]
fn two_spellings_of_an_address_are_one_peer() {
    let (here, there) = (runtime(), runtime());
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    let first = there.resolve_remote(&address, "ear").unwrap().unwrap();
    for spelling in [format!("localhost:{port}"), format!("127.0.0.1:0{port}")] {
        match there.resolve_remote(&spelling, "ear") {
            Ok(found) => assert_eq!(found, Some(first), "{spelling}"),
            // Not every system has the name, or takes the zero.
            Err(MeshError::Connect { .. }) => {}
            Err(error) => panic!("{spelling}: {error}"),
        }
    }
    assert_eq!(there.node().unwrap().peers().len(), 1);
    assert_eq!(here.node().unwrap().peers().len(), 1);
    there.send(first, &b"once"[..]).unwrap();
    assert_eq!(hear(&heard), &b"once"[..]);
}

#[test]
fn three_hundred_stand_ins_share_one_connection() {
    const PROCESSES: usize = 300;
    let (here, there) = (runtime(), runtime());
    let handled = Arc::new(AtomicU64::new(0));
    for n in 0..PROCESSES {
        let handled = handled.clone();
        let counting = handler(move |_, _| {
            handled.fetch_add(1, Ordering::SeqCst);
            Step::Done
        });
        here.spawn(counting).named(&n.to_string()).start().unwrap();
    }
    let tap = Tap::to(here.listen("127.0.0.1:0").unwrap());
    // The first sends come from eight threads at once.
    let senders: Vec<_> = (0..8)
        .map(|part| {
            let (there, address) = (there.clone(), tap.address.clone());
            thread::spawn(move || {
                for n in (0..PROCESSES).filter(|n| n % 8 == part) {
                    let found = there.resolve_remote(&address, &n.to_string());
                    there.send(found.unwrap().unwrap(), &b"x"[..]).unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    until("all have arrived", || {
        handled.load(Ordering::SeqCst) == PROCESSES as u64
    });
    assert_eq!(tap.count(), 1);
}

#[test]
fn a_slow_peer_holds_up_who_sends_and_memory_stays_bounded() {
    const MESSAGE: usize = 200 << 10;
    const MESSAGES: usize = 5_000;
    let (here, there) = (runtime(), runtime());
    let (go, gate) = channel::<()>();
    let read = Arc::new(AtomicU64::new(0));
    let counted = read.clone();
    let slow = here
        .receiver("slow")
        .capacity(1)
        .overflow(iris::OverflowPolicy::Block)
        .start_pull(move |mut mailbox: iris::Receiver| {
            gate.recv().ok();
            while mailbox.recv_blocking(None).is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        })
        .unwrap();
    here.register("slow", slow).unwrap();
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "slow").unwrap().unwrap();
    // One that must not wait is told.
    let mut sent = 0;
    let held_up = loop {
        assert!(sent < MESSAGES, "a gigabyte was taken without a sign");
        match there.try_send(remote, vec![0; MESSAGE]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(held_up, SendError::WouldBlock { .. }), "{held_up}");
    // One that may wait waits, and a time limit holds.
    let late = there.send_timeout(remote, vec![0; MESSAGE], Duration::from_millis(50));
    assert!(matches!(late, Err(SendError::Timeout { .. })), "{late:?}");
    let waiting = {
        let there = there.clone();
        thread::spawn(move || there.send(remote, vec![0; MESSAGE]))
    };
    // What is told to the node itself is not held up.
    assert!(there.is_node_up(&address));
    go.send(()).unwrap();
    waiting.join().unwrap().unwrap();
    until("all that was taken arrives", || {
        read.load(Ordering::SeqCst) == sent as u64 + 1
    });
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
    // And nobody is held up any more.
    until("there is room", || there.capacity(remote) > Some(1 << 16));
}

#[test]
fn a_port_that_is_taken_is_an_error_and_one_that_is_given_back_is_free() {
    let (first, second) = (runtime(), runtime());
    let address = first.listen("127.0.0.1:0").unwrap();
    for rt in [&first, &second] {
        let error = rt.listen(&address).unwrap_err();
        assert!(matches!(error, MeshError::Listen { .. }), "{error}");
        assert!(error.to_string().contains(&address), "{error}");
    }
    first.shutdown(Duration::ZERO);
    until("the port is free", || second.listen(&address).is_ok());
    echo(&second);
    ask(&runtime(), &address, b"mine");
}

#[test]
fn a_server_that_is_no_node_is_not_taken_for_one() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28 and more",
        &[0xFF; 64],
    ] {
        let (address, _) = answering(answer);
        let rt = runtime();
        let found = rt.resolve_remote(&address, "echo");
        assert!(found.is_err(), "{answer:?}: {found:?}");
        assert!(!rt.is_node_up(&address), "{answer:?}");
    }
}

/// A node of the earlier release, which closes a connection when `each` says so; it answers the
/// look-up of any name with a pid.
fn old_node(
    each: impl Fn(&mut TcpStream, usize) -> bool + Send + Sync + 'static,
) -> (String, Heard<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (say, heard) = channel();
    let each = Arc::new(each);
    thread::spawn(move || {
        for (count, mut stream) in listener.incoming().flatten().enumerate() {
            let (say, each) = (say.clone(), each.clone());
            thread::spawn(move || {
                let mut served = 0;
                let read = |stream: &mut TcpStream, n: usize| {
                    let mut bytes = vec![0; n];
                    stream.read_exact(&mut bytes).ok().map(|()| bytes)
                };
                let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
                read(&mut stream, 1)?;
                loop {
                    match read(&mut stream, 1)?[0] {
                        0 => {
                            let head = read(&mut stream, 12)?;
                            say.send(read(&mut stream, number(&head[8..]))?).ok()?;
                        }
                        1 => {
                            let len = read(&mut stream, 4)?;
                            let name = read(&mut stream, number(&len))?;
                            let known = !name.starts_with(b"\0");
                            let pid = if known { 1_u64 << 32 } else { 0 };
                            stream.write_all(&pid.to_be_bytes()).ok()?;
                            served += usize::from(known);
                        }
                        2 => stream.write_all(&[3]).ok()?,
                        _ => return None::<()>,
                    }
                    if served > 0 && !each(&mut stream, count) {
                        return None;
                    }
                }
            });
        }
    });
    (address, heard)
}

#[test]
fn messages_for_an_old_node_that_closes_idle_connections_arrive_or_are_dead_letters() {
    const MESSAGES: u64 = 1_000;
    // As the release does after 5 s; here while a message is on its way, which nobody reads.
    let (address, heard) = old_node(|stream, count| {
        if count == 0 {
            drop(stream.peek(&mut [0]));
        }
        count > 0
    });
    let rt = runtime();
    let remote = rt.resolve_remote(&address, "abc").unwrap().unwrap();
    let mut refused = 0;
    for n in 0..MESSAGES {
        let data = n.to_be_bytes().to_vec();
        refused += u64::from(rt.send(remote, data).is_err());
    }
    let mut arrived = 0;
    let began = Instant::now();
    while arrived + rt.dead_letters() + refused < MESSAGES {
        let heard = heard.recv_timeout(Duration::from_millis(10));
        arrived += u64::from(heard.is_ok());
        assert!(began.elapsed() < PATIENCE, "{arrived} arrived");
    }
    // The connection is made again.
    rt.send(remote, &b"again"[..]).unwrap();
    while heard.recv_timeout(PATIENCE).unwrap() != b"again" {}
}

#[test]
fn what_is_too_long_for_an_old_node_is_a_dead_letter() {
    let (address, heard) = old_node(|_, _| true);
    let rt = runtime();
    let remote = rt.resolve_remote(&address, "abc").unwrap().unwrap();
    let (tell, told) = channel();
    rt.on_dead_letter(move |letter| {
        let len = letter.message.as_user().map(bytes::Bytes::len);
        tell.send((letter.to, letter.reason, len)).ok();
    });
    rt.send(remote, vec![0; (1 << 20) + 1]).unwrap();
    let letter = told.recv_timeout(PATIENCE).unwrap();
    let len = Some((1 << 20) + 1);
    assert_eq!(letter, (remote, DeadLetterReason::Unreachable, len));
    rt.send(remote, vec![7; 1 << 20]).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap().len(), 1 << 20);
}

#[test]
fn a_node_that_nobody_listens_for_gives_the_message_back() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let rt = runtime();
    let pid = Pid::from_raw(1 << 52).unwrap();
    let error = rt.send_remote(&address, pid, &b"precious"[..]).unwrap_err();
    let iris::RemoteSendError::Unreachable { message, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        message.as_user().map(|data| &data[..]),
        Some(&b"precious"[..])
    );
    // It comes up: one failed dial has spoiled nothing.
    let late = runtime_with(NodeConfig::default());
    echo(&late);
    late.listen(&address).unwrap();
    ask(&rt, &address, b"up");
}
