//! Peers that want what is not theirs: guessed pids, other people's names, recorded sessions.

use std::io::Write;

use iris::Pid;
use iris::nodes::Secret;
use iris::prelude::*;
use iris::wire::frame::{Frame, Refused};
use iris::wire::handshake::Auth;
use iris::wire::{Event, NodeId};
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::raw::{Framed, Tap, connect, read_to_end, resolve};
use super::{ask, ear, echo, hear, runtime, runtime_with, until, with_secret};

#[test]
fn a_message_to_the_first_ten_thousand_pids_reaches_nobody_and_each_is_answered() {
    const GUESSES: u32 = 10_000;
    let rt = runtime();
    let (say, heard) = channel();
    let mut generations = Vec::new();
    for _ in 0..100 {
        let say = say.clone();
        let listening = handler(move |_, bytes| {
            say.send(bytes).ok();
            Step::Done
        });
        generations.push(rt.spawn(listening).start().unwrap().generation());
    }
    let address = rt.listen("127.0.0.1:0").unwrap();
    let mut peer = Framed::dial(&address, &Framed::config(1)).unwrap();
    // It even knows the generation.
    for slot in 0..GUESSES {
        peer.send(Pid::new(slot, generations[0]).unwrap(), b"pwn");
    }
    peer.run("every guess is answered", |events| {
        events.len() > GUESSES as usize
    });
    let denied = peer.signals(|frame| match frame {
        Frame::Undelivered { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(denied, vec![Refused::Denied; GUESSES as usize]);
    assert_eq!(rt.node().unwrap().denied(), u64::from(GUESSES));
    heard.try_recv().unwrap_err();
}

#[test]
fn nobody_asks_monitors_or_signals_by_a_guessed_pid() {
    let rt = runtime();
    let secret = handler(|_, _| Step::Reply(b"secret".to_vec().into()));
    let target = rt.spawn(secret).start().unwrap();
    let address = rt.listen("127.0.0.1:0").unwrap();
    let mut peer = Framed::dial(&address, &Framed::config(1)).unwrap();
    peer.call(7, target);
    peer.signal(Frame::Monitor {
        monitor: 9,
        watcher: target,
        target,
    });
    peer.signal(Frame::Exit {
        from: target,
        to: target,
        exit: ExitReason::Killed.into(),
    });
    peer.run("an answer and a DOWN", |events| {
        let down = |event: &Event| {
            matches!(
                event,
                Event::Signal {
                    frame: Frame::Down { monitor: 9, .. },
                    ..
                }
            )
        };
        events.iter().any(down)
            && events
                .iter()
                .any(|event| matches!(event, Event::Message { .. }))
    });
    assert!(
        peer.events.iter().all(|event| match event {
            Event::Message { message, .. } => message.data().is_empty(),
            _ => true,
        }),
        "{:?}",
        peer.events
    );
    until("three refusals", || rt.node().unwrap().denied() == 3);
    assert!(rt.is_alive(target));
}

#[test]
fn a_recorded_session_does_not_open_another() {
    let key = b"0123456789abcdef0123456789abcdef";
    let here = runtime_with(with_secret(key));
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let tap = Tap::to(address.clone());
    let there = runtime_with(with_secret(key));
    let remote = there.resolve_remote(&tap.address, "ear").unwrap().unwrap();
    there.send(remote, &b"pay 100"[..]).unwrap();
    assert_eq!(hear(&heard), &b"pay 100"[..]);
    there.shutdown(super::PATIENCE);
    until("it has left", || here.node().unwrap().peers().is_empty());
    let recorded = tap.said.lock().unwrap().clone();
    assert!(recorded.windows(7).any(|seven| seven == b"pay 100"));
    for _ in 0..3 {
        let mut replay = connect(&address);
        drop(replay.write_all(&recorded));
        let answer = read_to_end(&mut replay);
        // Its own HELLO with another nonce, and a refusal in place of a proof.
        assert_eq!(answer[0], 0x10, "{answer:?}");
        let after =
            8 + usize::try_from(u32::from_be_bytes(answer[4..8].try_into().unwrap())).unwrap();
        assert_eq!(answer[after], 0x14, "{answer:?}");
        assert_eq!(here.node().unwrap().peers(), []);
    }
    heard.try_recv().unwrap_err();
}

#[test]
fn without_the_secret_nobody_learns_who_is_there() {
    let here = runtime_with(with_secret(b"the right one"));
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    for preface in [&b"\x01"[..], b""] {
        let mut stream = connect(&address);
        stream.write_all(preface).unwrap();
        assert_eq!(resolve(&mut stream, b"echo"), None);
    }
    for auth in [
        Auth::Open,
        Auth::Tls,
        Auth::Psk {
            key: Arc::new(Secret::new(b"a guess")),
            binding: Vec::new(),
        },
    ] {
        let mut config = Framed::config(1);
        config.auth = auth;
        let error = Framed::dial(&address, &config).map(|_| ()).unwrap_err();
        assert!(error.contains("(auth)"), "{error}");
    }
    ask(&runtime_with(with_secret(b"the right one")), &address, b"x");
}

#[test]
fn names_that_no_process_can_have_are_nobody_s() {
    let rt = runtime();
    echo(&rt);
    // Whatever it is called here, nobody asks for it so.
    drop(rt.register("ec\nho", rt.whereis("echo").unwrap()));
    let address = rt.listen("127.0.0.1:0").unwrap();
    let mut stream = connect(&address);
    stream.write_all(&[1]).unwrap();
    for name in [
        &b"ec\nho"[..],
        b"\x1b[31mecho",
        b"\xff\xfe",
        b"\0iris.mesh",
        b"\0iris.names",
        b"\xed\xa0\x80",
    ] {
        assert_eq!(resolve(&mut stream, name), Some(0), "{name:?}");
    }
    // The link goes on.
    assert_ne!(resolve(&mut stream, b"echo"), Some(0));
    for name in ["\0iris.names", "\0iris.mesh/2;"] {
        assert!(rt.register(name, Pid::from_raw(1 << 52).unwrap()).is_err());
    }
    // Longer than a name may be: refused at its length.
    let mut stream = connect(&address);
    stream.write_all(&[1]).unwrap();
    assert_eq!(resolve(&mut stream, &vec![b'x'; 1 << 20]), None);
}

#[test]
fn a_node_of_another_cluster_is_told_so_and_refused() {
    let here = runtime_with(iris::NodeConfig {
        cluster: "production".to_owned(),
        ..iris::NodeConfig::default()
    });
    let address = here.listen("127.0.0.1:0").unwrap();
    let mut config = Framed::config(1);
    config.hello.cluster = "staging".to_owned();
    let error = Framed::dial(&address, &config).map(|_| ()).unwrap_err();
    assert!(
        error.contains("another cluster") && !error.contains("production"),
        "{error}"
    );
    // And one of no version that both know.
    let mut config = Framed::config(2);
    config.hello.cluster = "production".to_owned();
    (config.hello.ver_min, config.hello.ver_max) = (7, 9);
    let error = Framed::dial(&address, &config).map(|_| ()).unwrap_err();
    assert!(error.contains('2') && error.contains('7'), "{error}");
    config.hello.node_id = NodeId([3; 16]);
    (config.hello.ver_min, config.hello.ver_max) = (2, 9);
    assert!(Framed::dial(&address, &config).is_ok());
}
