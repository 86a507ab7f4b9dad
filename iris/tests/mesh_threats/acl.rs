//! Rules: what a peer may do, by who it has proved to be.

use std::sync::Arc;
use std::sync::mpsc::channel;

use iris::nodes::{Acl, Identity, Names, Peers, Rights, Rule, Tls};
use iris::prelude::*;
use iris::wire::frame::{Frame, Refused};
use iris::wire::{Event, NodeId};
use iris::{AskError, DeadLetterReason, MeshError, Message, NodeConfig, SystemMessage};

use super::certificates::Authority;
use super::raw::{Framed, connect, resolve};
use super::{PATIENCE, ask, ear, echo, hear, runtime, runtime_with, until, with_secret};

const HOST: &str = "127.0.0.1";

fn under(prefix: &str) -> Names {
    Names::Under(vec![prefix.to_owned()])
}

fn rule(peers: &str, rights: Rights) -> Rule {
    Rule {
        peers: Peers::new(peers),
        rights,
    }
}

/// Everything a peer may do with actors whose names begin so.
fn guest(prefix: &str) -> Rights {
    Rights {
        send: under(prefix),
        resolve: under(prefix),
        ..Rights::default()
    }
}

/// A node with a certificate for `name`.
fn node(authority: &Authority, name: &str, config: NodeConfig) -> Runtime {
    let rt = runtime();
    let [authority, certificate, key] = authority.issue(&[HOST, name]);
    let tls = Tls::from_pem(&authority, &certificate, &key).unwrap();
    assert!(rt.configure_mesh_over(config, Arc::new(tls)));
    rt
}

fn with_rules(rules: impl IntoIterator<Item = Rule>) -> NodeConfig {
    NodeConfig {
        acl: Some(Acl::new(rules)),
        ..NodeConfig::default()
    }
}

#[test]
fn a_peer_reaches_what_its_rule_names_and_hears_of_each_refusal() {
    let authority = Authority::new();
    let rules = [
        rule("iris://c/web-*", guest("public.")),
        rule("iris://c/*", Rights::ADMITTED),
    ];
    let here = node(&authority, "iris://c/here", with_rules(rules));
    let (_, public) = ear(&here, "public.ear");
    let (private_pid, private) = ear(&here, "private.ear");
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let denied = || here.node().unwrap().denied();

    let web = node(&authority, "iris://c/web-1", NodeConfig::default());
    let allowed = web.resolve_remote(&address, "public.ear").unwrap().unwrap();
    web.send(allowed, &b"hello"[..]).unwrap();
    assert_eq!(hear(&public), &b"hello"[..]);
    // A look-up says that it is refused, and not whether the name exists.
    for name in ["private.ear", "private.nobody"] {
        let error = web.resolve_remote(&address, name).unwrap_err();
        assert!(matches!(error, MeshError::Denied { .. }), "{error}");
    }
    assert_eq!(denied(), 2);
    // By its pid, which it knows from elsewhere: the monitor of its stand-in ends that.
    let (watcher, heard) = ear(&web, "watcher");
    let known = web.remote(&address, private_pid).unwrap();
    web.monitor(watcher, known).unwrap();
    match heard.recv_timeout(PATIENCE).unwrap() {
        Message::System(SystemMessage::Down { info, .. }) => {
            assert_eq!((info.target, info.reason), (known, ExitReason::NoProc));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(denied(), 3);
    private.try_recv().unwrap_err();

    // The second rule is for another.
    let db = node(&authority, "iris://c/db", NodeConfig::default());
    let found = db.resolve_remote(&address, "private.ear").unwrap().unwrap();
    db.send(found, &b"from db"[..]).unwrap();
    assert_eq!(hear(&private), &b"from db"[..]);
    ask(&db, &address, b"asked");
    // None is for the third.
    let stranger = node(&authority, "iris://d/web-1", NodeConfig::default());
    let error = stranger.resolve_remote(&address, "public.ear").unwrap_err();
    assert!(matches!(error, MeshError::Denied { .. }), "{error}");
}

#[test]
fn each_refusal_of_a_frame_is_answered() {
    let here = runtime_with(with_rules([rule("*", guest("public."))]));
    let (private, heard) = ear(&here, "private");
    let (public, open) = ear(&here, "public.ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let mut peer = Framed::dial(&address, &Framed::config(1)).unwrap();
    peer.send(private, b"1");
    peer.send_name("private", b"2");
    peer.call(3, private);
    let watcher = Pid::from_raw(1 << 52).unwrap();
    peer.signal(Frame::Monitor {
        monitor: 4,
        watcher,
        target: private,
    });
    peer.signal(Frame::Resolve {
        req: 5,
        name: iris::wire::Name::try_from("private").unwrap(),
    });
    peer.signal(exit(watcher, private));
    peer.send(public, b"7");
    peer.send_name("public.ear", b"8");
    let answers = |peer: &Framed| {
        peer.signals(|frame| match frame {
            Frame::Undelivered { reason, .. } => Some(format!("{reason:?}")),
            Frame::Down { monitor, .. } => Some(format!("DOWN {monitor}")),
            Frame::Resolved { status, pid, .. } => Some(format!("{status} {pid:?}")),
            _ => None,
        })
    };
    peer.run("all are answered", |events| {
        let counts = |event: &&Event| !matches!(event, Event::Ready { .. });
        events.iter().filter(counts).count() >= 6
    });
    let mut answers = answers(&peer);
    answers.sort();
    let denied = format!("{:?}", Refused::Denied);
    let expected = ["2 None", &denied, &denied, &denied, "DOWN 4"].map(str::to_owned);
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(answers, expected);
    assert!(peer.events.iter().any(|event| matches!(
        event,
        Event::Message {
            message: iris::wire::Message::Reply {
                req: 3,
                status: 7,
                ..
            },
            ..
        }
    )));
    assert_eq!(here.node().unwrap().denied(), 6);
    assert_eq!(
        (hear(&open), hear(&open)),
        (b"7"[..].into(), b"8"[..].into())
    );
    heard.try_recv().unwrap_err();
}

fn exit(from: Pid, to: Pid) -> Frame {
    Frame::Exit {
        from,
        to,
        exit: ExitReason::Killed.into(),
    }
}

#[test]
fn exit_signals_come_along_links_or_with_the_right_to_send_any() {
    for may_exit in [false, true] {
        let rights = Rights {
            exit: may_exit,
            ..Rights::ADMITTED
        };
        let here = runtime_with(with_rules([rule("*", rights)]));
        let (target, heard) = ear(&here, "target");
        let address = here.listen("127.0.0.1:0").unwrap();
        let mut peer = Framed::dial(&address, &Framed::config(1)).unwrap();
        peer.run("both are ready", |events| !events.is_empty());
        let [linked, unlinked, stranger] = [1, 2, 3].map(|n| Pid::from_raw((1 << 52) + n).unwrap());
        for from in [linked, unlinked] {
            peer.signal(Frame::Link { from, to: target });
        }
        peer.signal(Frame::Unlink {
            id: 1,
            from: unlinked,
            to: target,
        });
        for from in [linked, unlinked, stranger, linked] {
            peer.signal(exit(from, target));
        }
        peer.send(target, b"end");
        // All of it leaves before the first look at what has come.
        peer.run("it is sent", |_| true);
        let mut exits = 0;
        loop {
            match heard.recv_timeout(PATIENCE).unwrap() {
                Message::System(SystemMessage::Exit(_)) => exits += 1,
                Message::User(_) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(exits, if may_exit { 4 } else { 1 });
        let node = here.node().unwrap();
        assert_eq!(node.denied(), if may_exit { 0 } else { 3 });
    }
}

#[test]
fn processes_that_are_linked_across_nodes_hear_of_each_other_by_default() {
    let (here, there) = (runtime(), runtime());
    let (far, heard) = ear(&here, "far");
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "far").unwrap().unwrap();
    let crash = || handler(|_, _| Step::Stop(ExitReason::Crash.into()));
    let [near, other] = [crash(), crash()].map(|it| there.spawn(it).start().unwrap());
    assert!(there.link(near, remote) && there.link(other, remote));
    assert!(there.unlink(other, remote));
    there.send(other, &b"crash"[..]).unwrap();
    assert!(there.join(other, Some(PATIENCE)).unwrap());
    there.send(near, &b"crash"[..]).unwrap();
    let Message::System(SystemMessage::Exit(info)) = heard.recv_timeout(PATIENCE).unwrap() else {
        panic!("an EXIT");
    };
    assert_eq!(info.reason, ExitReason::Crash);
    there.send(remote, &b"and no more"[..]).unwrap();
    assert_eq!(hear(&heard), &b"and no more"[..]);
    assert!(here.is_alive(far));
    assert_eq!(here.node().unwrap().denied(), 0);
}

#[test]
fn rules_say_who_publishes_which_name_and_starts_what() {
    let peer = |name: &str| Identity::new(&[name.to_owned()], None);
    let rt = runtime_with(with_rules([
        rule(
            "iris://c/auth-*",
            Rights {
                register: under("auth/"),
                spawn: Names::Under(vec!["worker".to_owned(), "reader".to_owned()]),
                ..Rights::default()
            },
        ),
        rule("iris://c/root", Rights::ADMITTED),
    ]));
    let node = rt.node().unwrap();
    let (auth, root) = (peer("iris://c/auth-1"), peer("iris://c/root"));
    for (who, name, expected) in [
        (&auth, "auth/login", true),
        (&auth, "billing", false),
        (&auth, "xauth/login", false),
        (&root, "billing", true),
        (&peer("iris://c/web"), "auth/login", false),
        (&Identity::NOBODY, "auth/login", false),
    ] {
        assert_eq!(node.may_register(who, name), expected, "{who} {name}");
    }
    for (who, behavior, expected) in [
        (&auth, "worker", true),
        (&auth, "reader.v2", true),
        (&auth, "shell", false),
        (&root, "worker", false),
        (&Identity::NOBODY, "worker", false),
    ] {
        assert_eq!(node.may_spawn(who, behavior), expected, "{who} {behavior}");
    }
    // Without rules: names, and no processes.
    let open = runtime();
    let node = open.node().unwrap();
    assert!(node.may_register(&Identity::NOBODY, "x"));
    assert!(!node.may_spawn(&root, "worker"));
}

#[test]
fn a_peer_starts_what_its_rule_names() {
    for (config, expected) in [
        (NodeConfig::default(), [false, false]),
        (
            NodeConfig {
                allow_spawn: true,
                ..NodeConfig::default()
            },
            [true, true],
        ),
        (
            NodeConfig {
                // The rules alone count.
                allow_spawn: true,
                ..with_rules([rule(
                    "*",
                    Rights {
                        spawn: under("worker"),
                        ..Rights::ADMITTED
                    },
                )])
            },
            [true, false],
        ),
    ] {
        let here = runtime_with(config);
        for name in ["worker", "shell"] {
            here.register_behavior(name, |rt, _| {
                Ok(rt.spawn(handler(|_, _| Step::Done)).start()?)
            });
        }
        let address = here.listen("127.0.0.1:0").unwrap();
        let there = runtime();
        let started = ["worker", "shell"].map(|it| there.spawn_on(&address, it, &b""[..]).is_ok());
        assert_eq!(started, expected);
        let refused = expected.iter().filter(|allowed| !**allowed).count();
        assert_eq!(here.node().unwrap().denied(), refused as u64);
    }
}

#[test]
fn a_name_that_a_peer_may_not_publish_is_not_found() {
    let here = runtime_with(with_rules([rule(
        "*",
        Rights {
            register: under("theirs."),
            ..Rights::ADMITTED
        },
    )]));
    let there = runtime();
    let seed = here.listen("127.0.0.1:0").unwrap();
    here.join_mesh([&seed]).unwrap();
    there.listen("127.0.0.1:0").unwrap();
    assert!(there.join_mesh([&seed]).unwrap());
    ear(&there, "theirs.early").1.try_recv().unwrap_err();
    ear(&there, "bank").1.try_recv().unwrap_err();
    ear(&there, "theirs.late").1.try_recv().unwrap_err();
    let late = here.lookup_within("theirs.late", PATIENCE).unwrap();
    assert!(late.is_some());
    assert!(here.lookup("theirs.early").unwrap().is_some());
    assert_eq!(here.lookup("bank").unwrap(), None);
    assert_eq!(here.node().unwrap().denied(), 1);
}

#[test]
fn a_name_that_a_peer_may_not_look_up_is_not_told_to_it() {
    let here = runtime_with(with_rules([rule("*", guest("public."))]));
    let there = runtime();
    let seed = here.listen("127.0.0.1:0").unwrap();
    here.join_mesh([&seed]).unwrap();
    ear(&here, "private.early").1.try_recv().unwrap_err();
    ear(&here, "public.early").1.try_recv().unwrap_err();
    there.listen("127.0.0.1:0").unwrap();
    assert!(there.join_mesh([&seed]).unwrap());
    let early = there.lookup_within("public.early", PATIENCE).unwrap();
    assert!(early.is_some());
    ear(&here, "private.late").1.try_recv().unwrap_err();
    ear(&here, "public.late").1.try_recv().unwrap_err();
    let late = there.lookup_within("public.late", PATIENCE).unwrap();
    assert!(late.is_some());
    let names = there.node().unwrap().names();
    let mut names: Vec<_> = names.iter().map(|(name, ..)| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["public.early", "public.late"]);
}

#[test]
fn what_a_node_calls_itself_counts_only_with_a_secret() {
    let rules = || [rule("trusted", Rights::ADMITTED)];
    for secret in [false, true] {
        let base = || {
            if secret {
                with_secret(b"key")
            } else {
                NodeConfig::default()
            }
        };
        let here = runtime_with(NodeConfig {
            acl: Some(Acl::new(rules())),
            ..base()
        });
        echo(&here);
        let address = here.listen("127.0.0.1:0").unwrap();
        for (name, known) in [("trusted", secret), ("other", false), ("", false)] {
            let there = runtime_with(NodeConfig {
                name: name.to_owned(),
                ..base()
            });
            let found = there.resolve_remote(&address, "echo");
            assert_eq!(found.is_ok(), known, "{name} {secret}: {found:?}");
        }
    }
    // Nor do the original packets say who sends them.
    let here = runtime_with(with_rules(rules()));
    let (pid, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let mut stream = connect(&address);
    std::io::Write::write_all(&mut stream, b"\x01").unwrap();
    assert_eq!(resolve(&mut stream, b"ear"), Some(0));
    let message = [&[0][..], &pid.raw().to_be_bytes(), &[0, 0, 0, 1, b'x']].concat();
    std::io::Write::write_all(&mut stream, &message).unwrap();
    assert_eq!(resolve(&mut stream, b"ear"), Some(0));
    assert_eq!(here.node().unwrap().denied(), 3);
    heard.try_recv().unwrap_err();
}

#[test]
fn who_is_denied_is_refused_by_either_side_and_at_once() {
    let authority = Authority::new();
    let denying = |pattern: &str| NodeConfig {
        deny: vec![Peers::new(pattern)],
        ..NodeConfig::default()
    };
    let here = node(&authority, "iris://c/here", denying("iris://c/stolen"));
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let stolen = node(&authority, "iris://c/stolen", NodeConfig::default());
    let error = stolen.resolve_remote(&address, "echo").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("you are iris://c/stolen, which this node denies"),
        "{error}"
    );
    // Who dials it says so, too.
    echo(&stolen);
    let at_stolen = stolen.listen("127.0.0.1:0").unwrap();
    let error = here.resolve_remote(&at_stolen, "echo").unwrap_err();
    assert!(matches!(error, MeshError::Refused { .. }), "{error}");
    assert_eq!(here.node().unwrap().denied(), 2);
    let friend = node(&authority, "iris://c/friend", NodeConfig::default());
    ask(&friend, &address, b"x");
    // The key of the friend is stolen, too: its session ends, and it does not come back.
    let remote = friend.resolve_remote(&address, "echo").unwrap().unwrap();
    here.node()
        .unwrap()
        .set_deny(vec![Peers::new("iris://c/friend")]);
    assert!(friend.join(remote, Some(PATIENCE)).unwrap());
    friend.resolve_remote(&address, "echo").unwrap_err();
    assert_eq!(here.node().unwrap().peers(), []);
    // The first one is not denied any more.
    ask(&stolen, &address, b"back");
}

#[test]
fn a_certificate_is_good_for_its_own_cluster() {
    let authority = Authority::new();
    let in_cluster = |cluster: &str| NodeConfig {
        cluster: cluster.to_owned(),
        ..NodeConfig::default()
    };
    let here = node(&authority, "iris://prod/here", in_cluster("prod"));
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    // It says that it belongs here, and its certificate does not.
    let staging = node(&authority, "iris://staging/web", in_cluster("prod"));
    let error = staging.resolve_remote(&address, "echo").unwrap_err();
    assert!(error.to_string().contains("another cluster"), "{error}");
    let prod = node(&authority, "iris://prod/web", in_cluster("prod"));
    ask(&prod, &address, b"x");
}

#[test]
fn nobody_takes_over_the_session_of_another_node() {
    let authority = Authority::new();
    let id = NodeId([9; 16]);
    let as_nine = || NodeConfig {
        node_id: Some(id),
        ..NodeConfig::default()
    };
    let here = node(&authority, "iris://c/here", NodeConfig::default());
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let honest = node(&authority, "iris://c/honest", as_nine());
    let (_, heard) = ear(&honest, "ear");
    let at_honest = honest.listen("127.0.0.1:0").unwrap();
    let remote = here.resolve_remote(&at_honest, "ear").unwrap().unwrap();
    // Started later, so its incarnation is the higher one.
    let thief = node(&authority, "iris://c/thief", as_nine());
    let error = thief.resolve_remote(&address, "echo").unwrap_err();
    assert!(error.to_string().contains("somebody else"), "{error}");
    here.send(remote, &b"for honest"[..]).unwrap();
    assert_eq!(hear(&heard), &b"for honest"[..]);
    let known = here.node().unwrap().identity(id).unwrap();
    assert_eq!(known.names(), ["iris://c/honest"]);
}

#[test]
fn rules_change_while_a_node_runs() {
    let here = runtime();
    let (_, heard) = ear(&here, "ear");
    let address = here.listen("127.0.0.1:0").unwrap();
    let there = runtime();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    let (tell, told) = channel();
    there.on_dead_letter(move |letter| {
        tell.send((letter.to, letter.reason)).ok();
    });
    there.send(remote, &b"before"[..]).unwrap();
    assert_eq!(hear(&heard), &b"before"[..]);
    here.node().unwrap().set_acl(Some(Acl::new([])));
    there.send(remote, &b"meanwhile"[..]).unwrap();
    let letter = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(letter, (remote, DeadLetterReason::Unreachable));
    let asked = there.ask(remote, &b"?"[..]).wait();
    assert_eq!(asked, Err(AskError::Dead(remote)));
    here.node().unwrap().set_acl(None);
    there.send(remote, &b"after"[..]).unwrap();
    assert_eq!(hear(&heard), &b"after"[..]);
    until("two refusals", || here.node().unwrap().denied() == 2);
}
