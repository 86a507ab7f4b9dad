//! Runtimes that talk to each other over TCP on loopback.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver as Heard, channel};
use std::time::Duration;

use bytes::Bytes;

use iris::prelude::*;
use iris::{
    AskError, DeadLetterReason, MeshError, NodeConfig, NodeNews, OverflowPolicy, Receiver,
    SystemMessage,
};
use iris_testkit::{LegacyDialect, LegacyPeer};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
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

fn hear(heard: &Heard<Message>) -> Message {
    heard.recv_timeout(PATIENCE).unwrap()
}

fn hear_down(heard: &Heard<Message>) -> (Pid, ExitReason) {
    loop {
        if let Message::System(SystemMessage::Down { info, .. }) = hear(heard) {
            return (info.target, info.reason);
        }
    }
}

#[test]
fn messages_to_a_remote_process_arrive_once_and_in_order() {
    let (here, there) = (runtime(), runtime());
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    assert_eq!(there.resolve_remote(&address, "ear").unwrap(), Some(remote));
    for n in 0..20_000_u32 {
        there.send(remote, n.to_string().into_bytes()).unwrap();
    }
    for n in 0..20_000_u32 {
        assert_eq!(hear(&heard), Message::from(n.to_string().into_bytes()));
    }
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
}

#[test]
fn a_message_of_sixteen_mebibytes_arrives_whole() {
    let (here, there) = (runtime(), runtime());
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    let long: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    there.send(remote, long.clone()).unwrap();
    there.send(remote, &b"behind it"[..]).unwrap();
    assert_eq!(hear(&heard), Message::from(long));
    assert_eq!(hear(&heard), Message::from(&b"behind it"[..]));
}

#[test]
fn a_message_that_is_too_long_is_a_dead_letter() {
    let (here, there) = (runtime(), runtime());
    here.configure_mesh(NodeConfig {
        max_message: 1 << 20,
        ..NodeConfig::default()
    });
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    let (tell, told) = channel();
    there.on_dead_letter(move |letter| {
        let len = letter.message.as_user().map(Bytes::len);
        tell.send((letter.to, letter.reason, len)).ok();
    });
    there.send(remote, vec![0; 2 << 20]).unwrap();
    let letter = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        letter,
        (remote, DeadLetterReason::Unreachable, Some(2 << 20))
    );
    // Who asks learns that it was the question, not the process.
    let asked = there.ask(remote, vec![0; 2 << 20]).wait();
    let Err(AskError::Handler { by, failure }) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!((by, &*failure.kind), (remote, "MessageTooLong"));
    assert!(failure.message.contains("2097152 bytes"), "{failure}");
    assert!(failure.message.contains("1048576"), "{failure}");
    assert!(there.is_alive(remote));
    there.send(remote, &b"short"[..]).unwrap();
    assert_eq!(hear(&heard), Message::from(&b"short"[..]));
}

#[test]
fn a_remote_process_is_asked_like_a_local_one() {
    let (here, there) = (runtime(), runtime());
    let upper = handler(|_, bytes| Step::Reply(bytes.to_ascii_uppercase().into()));
    here.spawn(upper).named("upper").start().unwrap();
    let mute = handler(|_, _| Step::Done);
    here.spawn(mute).named("mute").start().unwrap();
    let failing = handler(|_, _| panic!("as asked"));
    here.spawn(failing).named("failing").start().unwrap();
    let address = here.listen("127.0.0.1:0").unwrap();
    let find = |name: &str| there.resolve_remote(&address, name).unwrap().unwrap();
    let upper = find("upper");
    for _ in 0..100 {
        assert_eq!(
            &there.ask(upper, &b"hello"[..]).wait().unwrap()[..],
            b"HELLO"
        );
    }
    let long = vec![b'a'; 3 << 20];
    let answer = there.ask(upper, long).wait().unwrap();
    assert_eq!(answer.len(), 3 << 20);
    let mute = find("mute");
    assert_eq!(
        there.ask(mute, &b"?"[..]).wait(),
        Err(AskError::NoReply(mute))
    );
    let failing = find("failing");
    let failed = there.ask(failing, &b"?"[..]).wait().unwrap_err();
    assert!(
        matches!(&failed, AskError::Handler { by, failure }
        if *by == failing && failure.message == "as asked"),
        "{failed:?}"
    );
}

#[test]
fn a_remote_end_is_a_local_one_with_its_reason() {
    let (here, there) = (runtime(), runtime());
    let address = here.listen("127.0.0.1:0").unwrap();
    let (watcher, heard) = ear(&there, "watcher");
    for (name, reason) in [
        ("normal", ExitReason::Normal),
        ("crash", ExitReason::Crash),
        ("panic", ExitReason::Panic),
        ("of its own", ExitReason::Other("of its own".into())),
    ] {
        let ends = reason.clone();
        let ending = handler(move |_, _| match ends {
            ExitReason::Panic => panic!("as asked"),
            _ => Step::Stop(ends.clone().into()),
        });
        here.spawn(ending).named(name).start().unwrap();
        let remote = there.resolve_remote(&address, name).unwrap().unwrap();
        there.monitor(watcher, remote).unwrap();
        there.send(remote, &b"end"[..]).unwrap();
        assert_eq!(hear_down(&heard), (remote, reason));
        assert!(there.join(remote, Some(PATIENCE)).unwrap());
        assert_eq!(there.resolve_remote(&address, name).unwrap(), None);
    }
}

#[test]
fn a_local_end_reaches_remote_processes_that_are_linked() {
    let (here, there) = (runtime(), runtime());
    let (far, heard) = ear(&here, "far");
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "far").unwrap().unwrap();
    let crashing = handler(|_, _| Step::Stop(ExitReason::Crash.into()));
    let near = there.spawn(crashing).start().unwrap();
    there.link_propagating(near, remote);
    there.send(near, &b"crash"[..]).unwrap();
    let Message::System(SystemMessage::Exit(info)) = hear(&heard) else {
        panic!("an EXIT")
    };
    assert_eq!(info.reason, ExitReason::Crash);
    assert!(here.is_alive(far));
}

#[test]
fn a_node_that_leaves_takes_its_stand_ins_along() {
    let there = runtime();
    let (watcher, heard) = ear(&there, "watcher");
    there.watch_nodes(watcher);
    let here = runtime();
    ear(&here, "ear").1.try_recv().unwrap_err();
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    there.monitor(watcher, remote).unwrap();
    assert!(there.is_node_up(&address));
    here.shutdown(Duration::from_secs(2));
    let mut news = Vec::new();
    let reason = loop {
        match hear(&heard) {
            Message::System(SystemMessage::Node { news: it, .. }) => news.push(it),
            Message::System(SystemMessage::Down { info, .. }) => break info.reason,
            other => panic!("{other:?}"),
        }
    };
    // Its processes end in order before the node goes.
    assert!(
        [ExitReason::Shutdown, ExitReason::NoConnection].contains(&reason),
        "{reason}"
    );
    while news.last() != Some(&NodeNews::Down) {
        if let Message::System(SystemMessage::Node { news: it, .. }) = hear(&heard) {
            news.push(it);
        }
    }
    assert_eq!(news, [NodeNews::Up, NodeNews::Down]);
    assert!(!there.is_node_up(&address));
    assert!(there.send(remote, &b"x"[..]).is_err());
}

#[test]
fn only_processes_with_a_name_or_a_known_pid_are_reached() {
    let (here, there) = (runtime(), runtime());
    let (say, heard) = channel();
    let secret = handler(move |_, bytes| {
        say.send(bytes).ok();
        Step::Done
    });
    let secret = here.spawn(secret).start().unwrap();
    let address = here.listen("127.0.0.1:0").unwrap();
    let guessed = there.remote(&address, secret).unwrap();
    there.send(guessed, &b"pwn"[..]).ok();
    // The monitor of its stand-in is denied, too.
    assert!(there.join(guessed, Some(PATIENCE)).unwrap());
    assert!(here.node().unwrap().denied() > 0);
    here.export(secret).unwrap();
    let known = there.remote(&address, secret).unwrap();
    there.send(known, &b"hello"[..]).unwrap();
    assert_eq!(&heard.recv_timeout(PATIENCE).unwrap()[..], b"hello");
}

#[test]
fn nobody_listens_to_the_world_by_accident() {
    let rt = runtime();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = rt.listen(address).unwrap_err();
        assert!(matches!(error, MeshError::Insecure { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("TLS or a secret") && text.contains("insecure=True"),
            "{text}"
        );
    }
    let other = runtime();
    other.configure_mesh(NodeConfig {
        insecure: true,
        ..NodeConfig::default()
    });
    other.listen("0.0.0.0:0").unwrap();
    assert!(matches!(
        rt.listen("no such host:1").unwrap_err(),
        MeshError::Listen { .. }
    ));
    let address = rt.listen("127.0.0.1:0").unwrap();
    let busy = rt.listen(&address).unwrap_err();
    assert!(busy.to_string().contains("cannot listen at"), "{busy}");
}

#[test]
fn nodes_with_a_secret_talk_only_to_those_who_know_it() {
    let with = |secret: Option<&[u8]>| {
        let rt = runtime();
        rt.configure_mesh(NodeConfig {
            secret: secret.map(iris::nodes::Secret::new),
            ..NodeConfig::default()
        });
        rt
    };
    let here = with(Some(b"the right one"));
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let friend = with(Some(b"the right one"));
    let remote = friend.resolve_remote(&address, "ear").unwrap().unwrap();
    friend.send(remote, &b"hello"[..]).unwrap();
    assert_eq!(hear(&heard), Message::from(&b"hello"[..]));
    for stranger in [with(Some(b"a wrong one")), with(None)] {
        stranger.resolve_remote(&address, "ear").unwrap_err();
        assert!(!stranger.is_node_up(&address));
    }
}

#[test]
fn both_dialects_of_the_original_packets_are_served() {
    let rt = runtime();
    let (pid, heard) = ear(&rt, "svc");
    let address = rt.listen("127.0.0.1:0").unwrap();
    for dialect in [LegacyDialect::Preface, LegacyDialect::Bare] {
        let mut old = LegacyPeer::dial(&address, dialect).unwrap();
        assert_eq!(old.resolve("svc").unwrap(), pid.raw());
        assert_eq!(old.resolve("nobody").unwrap(), 0);
        old.send(pid.raw(), b"from the past").unwrap();
        old.ping().unwrap();
        assert_eq!(hear(&heard), Message::from(&b"from the past"[..]));
        // One that begins with a message.
        let mut other = LegacyPeer::dial(&address, dialect).unwrap();
        other.send(pid.raw(), b"at once").unwrap();
        assert_eq!(hear(&heard), Message::from(&b"at once"[..]));
    }
}

#[test]
fn pids_that_old_nodes_guess_reach_nobody() {
    let rt = runtime();
    let (_, heard) = ear(&rt, "svc");
    let (say, guessed) = channel();
    let secret = handler(move |_, bytes| {
        say.send(bytes).ok();
        Step::Done
    });
    let secret = rt.spawn(secret).start().unwrap();
    let address = rt.listen("127.0.0.1:0").unwrap();
    let mut old = LegacyPeer::dial(&address, LegacyDialect::Preface).unwrap();
    for slot in 0..10_000_u64 {
        old.send(secret.raw() & !0xFFFF_FFFF | slot, b"pwn")
            .unwrap();
    }
    old.ping().unwrap();
    guessed.try_recv().unwrap_err();
    // One has a name, which anybody may ask for.
    let named = heard.try_iter().count() as u64;
    assert!(named <= 1);
    assert_eq!(rt.node().unwrap().denied(), 10_000 - named);
}

#[test]
fn garbage_closes_a_link_and_nothing_else() {
    let rt = runtime();
    let (_, heard) = ear(&rt, "svc");
    let address = rt.listen("127.0.0.1:0").unwrap();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xFF; 64],
        &[3],
        &[0x10; 40],
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        // Whatever it says, it ends.
        drop(stream.read_to_end(&mut answer));
    }
    let there = runtime();
    let remote = there.resolve_remote(&address, "svc").unwrap().unwrap();
    there.send(remote, &b"alive"[..]).unwrap();
    assert_eq!(hear(&heard), Message::from(&b"alive"[..]));
}

#[test]
fn a_full_mailbox_slows_senders_down_and_loses_nothing() {
    let (here, there) = (runtime(), runtime());
    let (go, gate) = channel::<()>();
    let (say, heard) = channel();
    let slow = here
        .receiver("slow")
        .capacity(10)
        .overflow(OverflowPolicy::Block)
        .start_pull(move |mut mailbox: Receiver| {
            gate.recv().ok();
            while let Ok(Message::User(data)) = mailbox.recv_blocking(None) {
                if say.send(data).is_err() {
                    return;
                }
            }
        })
        .unwrap();
    here.register("slow", slow).unwrap();
    let (_, lively) = ear(&here, "lively");
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "slow").unwrap().unwrap();
    for n in 0..5_000_u32 {
        there.send(remote, n.to_string().into_bytes()).unwrap();
    }
    // Others are not held up by it.
    let other = there.resolve_remote(&address, "lively").unwrap().unwrap();
    there.send(other, &b"passes"[..]).unwrap();
    assert_eq!(hear(&lively), Message::from(&b"passes"[..]));
    go.send(()).unwrap();
    for n in 0..5_000_u32 {
        let data = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(data, n.to_string().into_bytes());
    }
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
}

#[test]
fn a_node_of_the_earlier_release_is_dialled() {
    const PID: u64 = 0x1_0000_0000;
    let old = LegacyPeer::serve(LegacyDialect::Preface, &[("abc", PID)]).unwrap();
    let address = old.address();
    let rt = runtime();
    assert!(rt.is_node_up(address));
    let remote = rt.resolve_remote(address, "abc").unwrap().unwrap();
    assert_eq!(rt.resolve_remote(address, "nobody").unwrap(), None);
    for n in 0..1_000_u32 {
        rt.send(remote, n.to_string().into_bytes()).unwrap();
    }
    for n in 0..1_000_u32 {
        assert_eq!(old.hear().unwrap(), (PID, n.to_string().into_bytes()));
    }
    // It answers no questions.
    let asked = rt.ask(remote, &b"?"[..]).wait();
    assert_eq!(asked, Err(AskError::NoReply(remote)));
    assert_eq!(old.hear().unwrap(), (PID, b"?".to_vec()));
    assert_eq!(rt.dead_letters(), 0);
}

#[test]
fn what_has_arrived_is_not_given_up_at_a_shutdown() {
    for first in ["here", "there"] {
        let (here, there) = (runtime(), runtime());
        let (_, heard) = ear(&here, "ear");
        let address = here.listen("127.0.0.1:0").unwrap();
        let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
        for n in 0..1_000_u32 {
            there.send(remote, n.to_be_bytes().to_vec()).unwrap();
        }
        for _ in 0..1_000 {
            hear(&heard);
        }
        // Without time to drain, and before the acknowledgement that waits for others.
        let order = if first == "here" {
            [&here, &there]
        } else {
            [&there, &here]
        };
        for rt in order {
            assert_eq!(rt.shutdown(Duration::ZERO).undelivered, 0, "{first} first");
        }
    }
}

#[test]
fn a_handler_does_not_wait_for_another_node() {
    let (here, there) = (runtime(), runtime());
    ear(&here, "ear").1.try_recv().unwrap_err();
    let address = here.listen("127.0.0.1:0").unwrap();
    let (tell, told) = channel();
    let own = there.clone();
    let asking = handler(move |_, _| {
        tell.send(own.resolve_remote(&address, "ear")).ok();
        Step::Done
    });
    let asking = there.spawn(asking).start().unwrap();
    there.send(asking, &b"now"[..]).unwrap();
    let error = told.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert!(matches!(error, MeshError::WouldBlock), "{error}");
}

#[test]
fn what_has_arrived_for_a_full_mailbox_outlives_its_connection() {
    const MESSAGES: u32 = 500;
    let (here, there) = (runtime(), runtime());
    let (go, gate) = channel::<()>();
    let (say, heard) = channel();
    let slow = here
        .receiver("slow")
        .capacity(1)
        .overflow(OverflowPolicy::Block)
        .start_pull(move |mut mailbox: Receiver| {
            gate.recv().ok();
            while let Ok(Message::User(data)) = mailbox.recv_blocking(None) {
                if say.send(data).is_err() {
                    return;
                }
            }
        })
        .unwrap();
    here.register("slow", slow).unwrap();
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "slow").unwrap().unwrap();
    for n in 0..MESSAGES {
        there.send(remote, n.to_be_bytes().to_vec()).unwrap();
    }
    // All that it has acknowledged is the other node's to deliver, although this one is gone.
    assert_eq!(there.shutdown(Duration::from_secs(5)).undelivered, 0);
    go.send(()).unwrap();
    for n in 0..MESSAGES {
        let data = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(data, n.to_be_bytes().to_vec());
    }
}
