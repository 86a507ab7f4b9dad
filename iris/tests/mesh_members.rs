//! Runtimes that know each other through a mesh: who belongs to it, and who has a name in it.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

use std::sync::mpsc::{Receiver as Heard, channel};
use std::thread;
use std::time::{Duration, Instant};

use iris::nodes::StaticList;
use iris::prelude::*;
use iris::{Failure, MeshError, NodeConfig, NodeNews, Receiver, Strategy, SystemMessage};

const PATIENCE: Duration = Duration::from_secs(20);

/// A node whose signs of life are frequent, so that tests are short.
fn node(name: &str) -> (Runtime, String) {
    let rt = Runtime::builder().workers(2).start().unwrap();
    rt.configure_mesh(NodeConfig {
        name: name.to_owned(),
        heartbeat: Duration::from_millis(50),
        ..NodeConfig::default()
    });
    let address = rt.listen("127.0.0.1:0").unwrap();
    (rt, address)
}

fn echo(rt: &Runtime, name: &str, says: &'static [u8]) -> Pid {
    let echo = handler(move |_, _| Step::Reply(says.into()));
    rt.spawn(echo).named(name).start().unwrap()
}

fn ask(rt: &Runtime, pid: Pid) -> Vec<u8> {
    let asked = rt.ask(pid, &b"?"[..]).timeout(PATIENCE).wait();
    asked.unwrap().to_vec()
}

/// Hears what happens to other nodes.
fn news(rt: &Runtime) -> Heard<(NodeNews, String, String)> {
    let (say, heard) = channel();
    let pid = rt
        .receiver("news")
        .start_pull(move |mut mailbox: Receiver| {
            while let Ok(message) = mailbox.recv_blocking(None) {
                if let Message::System(SystemMessage::Node { news, node, detail }) = message {
                    say.send((news, node.to_string(), detail.to_string())).ok();
                }
            }
        })
        .unwrap();
    rt.watch_nodes(pid);
    heard
}

fn until_members(rt: &Runtime, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while rt.mesh_members().len() != count {
        assert!(Instant::now() < deadline, "{:?}", rt.mesh_members());
        thread::sleep(Duration::from_millis(2));
    }
}

fn until(heard: &Heard<(NodeNews, String, String)>, news: NodeNews, node: &str) -> String {
    loop {
        let (what, who, detail) = heard.recv_timeout(PATIENCE).unwrap();
        if what == news && who == node {
            return detail;
        }
    }
}

#[test]
fn nodes_that_know_one_seed_find_each_others_names() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    let (c, _) = node("c");
    // Named before and after joining.
    echo(&b, "early", b"b");
    assert!(!a.join_mesh([&seed]).unwrap(), "it is the first");
    assert!(b.join_mesh([&seed]).unwrap());
    assert!(c.join_mesh([&seed]).unwrap());
    let late = echo(&b, "late", b"b");
    b.register_path("/svc/late", late).unwrap();
    for rt in [&a, &c] {
        for name in ["early", "late", "/svc/late"] {
            let found = rt.lookup_within(name, PATIENCE).unwrap().unwrap();
            assert_eq!(ask(rt, found), b"b");
            assert_eq!(rt.lookup(name).unwrap(), Some(found));
        }
    }
    // c has heard of b from a only, and talks to it without a.
    a.shutdown(Duration::from_secs(1));
    assert_eq!(ask(&c, c.lookup("late").unwrap().unwrap()), b"b");
    assert_eq!(c.lookup("nobody").unwrap(), None);
    assert_eq!(
        c.lookup_within("nobody", Duration::from_millis(50))
            .unwrap(),
        None
    );
    // One's own names come first, and are not asked for elsewhere.
    let own = echo(&c, "own", b"c");
    assert_eq!(c.lookup("own").unwrap(), Some(own));
}

#[test]
fn a_name_that_is_given_up_or_whose_process_ends_is_found_no_more() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    let pid = echo(&a, "short", b"a");
    echo(&a, "given up", b"a");
    b.lookup_within("short", PATIENCE).unwrap().unwrap();
    b.lookup_within("given up", PATIENCE).unwrap().unwrap();
    a.stop(pid, ExitReason::Shutdown);
    assert!(a.join(pid, Some(PATIENCE)).unwrap());
    a.unregister("given up");
    echo(&a, "behind them", b"a");
    b.lookup_within("behind them", PATIENCE).unwrap().unwrap();
    assert_eq!(b.lookup("short").unwrap(), None);
    assert_eq!(b.lookup("given up").unwrap(), None);
}

#[test]
fn a_successor_has_the_name_across_the_mesh() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    let first = echo(&a, "service", b"first");
    let old = b.lookup_within("service", PATIENCE).unwrap().unwrap();
    assert_eq!(ask(&b, old), b"first");
    a.unregister("service");
    echo(&a, "service", b"second");
    echo(&a, "behind it", b"a");
    b.lookup_within("behind it", PATIENCE).unwrap().unwrap();
    let new = b.lookup("service").unwrap().unwrap();
    assert_eq!(ask(&b, new), b"second");
    assert_eq!(ask(&b, old), b"first", "a pid stays whose it was");
    assert!(a.is_alive(first));
}

#[test]
fn a_name_that_two_nodes_give_is_told_and_nobody_loses_it() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    let (c, _) = node("c");
    let heard = news(&c);
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    assert!(c.join_mesh([&seed]).unwrap());
    echo(&a, "same", b"a");
    let found = c.lookup_within("same", PATIENCE).unwrap().unwrap();
    echo(&b, "same", b"b");
    let detail = until(&heard, NodeNews::NameConflict, "b");
    assert_eq!(detail, "a and b have both registered \"same\"");
    assert_eq!(c.lookup("same").unwrap(), Some(found), "the first stays");
    assert_eq!(ask(&c, found), b"a");
    assert_eq!(a.lookup("same").unwrap(), a.whereis("same"));
    assert_eq!(b.lookup("same").unwrap(), b.whereis("same"));
    // Once the first is gone, the second is found.
    a.unregister("same");
    echo(&a, "behind it", b"a");
    c.lookup_within("behind it", PATIENCE).unwrap().unwrap();
    assert_eq!(ask(&c, c.lookup("same").unwrap().unwrap()), b"b");
}

#[test]
fn who_leaves_and_who_is_restarted_is_told_and_found() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    let heard = news(&a);
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    echo(&b, "service", b"first life");
    let old = a.lookup_within("service", PATIENCE).unwrap().unwrap();
    until(&heard, NodeNews::Up, "b");
    b.shutdown(Duration::from_secs(1));
    until(&heard, NodeNews::Down, "b");
    assert_eq!(a.lookup("service").unwrap(), None);
    assert!(a.join(old, Some(PATIENCE)).unwrap(), "its stand-in ends");

    let (b, _) = node("b");
    echo(&b, "service", b"second life");
    assert!(b.join_mesh([&seed]).unwrap());
    until(&heard, NodeNews::Up, "b");
    let new = a.lookup_within("service", PATIENCE).unwrap().unwrap();
    assert_eq!(ask(&a, new), b"second life");
}

#[test]
fn nodes_start_in_any_order() {
    let (a, _) = node("a");
    let (b, b_address) = node("b");
    // Nobody listens at b's seed yet.
    let late = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let seed = late.local_addr().unwrap().to_string();
    drop(late);
    let joining = |rt: &Runtime| {
        let swim = Box::new(iris::nodes::Swim::new());
        rt.begin_join([&seed, &b_address], swim).unwrap()
    };
    let (a_joins, b_joins) = (joining(&a), joining(&b));
    assert!(a_joins.wait().unwrap());
    assert!(b_joins.wait().unwrap());
    let c = Runtime::builder().workers(2).start().unwrap();
    c.listen(&seed).unwrap();
    c.join_mesh([&seed]).unwrap();
    echo(&c, "seed", b"c");
    for rt in [&a, &b] {
        rt.lookup_within("seed", PATIENCE).unwrap().unwrap();
    }
}

#[test]
fn a_static_list_is_a_mesh_too() {
    let (a, a_address) = node("a");
    let (b, b_address) = node("b");
    let (c, c_address) = node("c");
    let all = [a_address, b_address, c_address];
    let join = |rt: &Runtime| rt.begin_join(&all, Box::new(StaticList::new())).unwrap();
    let joined = [join(&a), join(&b), join(&c)];
    for joined in joined {
        assert!(joined.wait().unwrap());
    }
    echo(&a, "a", b"a");
    for rt in [&b, &c] {
        let found = rt.lookup_within("a", PATIENCE).unwrap().unwrap();
        assert_eq!(ask(rt, found), b"a");
        until_members(rt, 2);
    }
}

#[test]
fn who_has_not_joined_is_told_no_names() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    let (stranger, _) = node("stranger");
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    echo(&a, "name", b"a");
    b.lookup_within("name", PATIENCE).unwrap().unwrap();
    assert!(stranger.resolve_remote(&seed, "name").unwrap().is_some());
    assert_eq!(stranger.lookup("name").unwrap(), None);
    let error = stranger.lookup_within("name", PATIENCE).unwrap_err();
    assert!(matches!(error, MeshError::NotJoined), "{error}");
    assert!(stranger.mesh_members().is_empty());
    until_members(&a, 1);
}

#[test]
fn a_node_that_nobody_can_dial_does_not_join() {
    let rt = Runtime::builder().workers(2).start().unwrap();
    let error = rt.join_mesh(["127.0.0.1:1"]).unwrap_err();
    assert!(matches!(error, MeshError::NotListening), "{error}");

    let wide = Runtime::builder().workers(2).start().unwrap();
    wide.configure_mesh(NodeConfig {
        insecure: true,
        ..NodeConfig::default()
    });
    wide.listen("0.0.0.0:0").unwrap();
    let error = wide.join_mesh(["127.0.0.1:1"]).unwrap_err();
    assert!(matches!(error, MeshError::NoAddress { .. }), "{error}");

    let told = Runtime::builder().workers(2).start().unwrap();
    told.configure_mesh(NodeConfig {
        insecure: true,
        advertise: Some("127.0.0.1:1".to_owned()),
        ..NodeConfig::default()
    });
    told.listen("0.0.0.0:0").unwrap();
    assert!(!told.join_mesh(["127.0.0.1:1"]).unwrap());
}

#[test]
fn a_stand_in_is_not_published() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    echo(&a, "original", b"a");
    let stand_in = b.lookup_within("original", PATIENCE).unwrap().unwrap();
    b.register("alias", stand_in).unwrap();
    echo(&b, "behind it", b"b");
    a.lookup_within("behind it", PATIENCE).unwrap().unwrap();
    assert_eq!(a.lookup("alias").unwrap(), None);
    assert_eq!(b.lookup("alias").unwrap(), Some(stand_in));
}

#[test]
fn a_supervisor_finds_the_successor_when_a_node_comes_back() {
    let (a, seed) = node("a");
    a.join_mesh([&seed]).unwrap();
    let serve = |says: &'static [u8]| {
        let (b, _) = node("b");
        echo(&b, "service", says);
        assert!(b.join_mesh([&seed]).unwrap());
        b
    };
    let b = serve(b"first life");
    let service = a.lookup_within("service", PATIENCE).unwrap().unwrap();
    a.register("the service", service).unwrap();
    // The factory waits until somebody has the name again.
    let find = |rt: &Runtime| {
        let found = rt.lookup_within("service", PATIENCE);
        found.ok().flatten().ok_or_else(Failure::default)
    };
    a.supervise_with_factory(service, find, Strategy::OneForOne)
        .unwrap();
    assert_eq!(ask(&a, a.whereis("the service").unwrap()), b"first life");
    b.shutdown(Duration::from_secs(1));
    let b = serve(b"second life");
    let deadline = Instant::now() + PATIENCE;
    let healed = loop {
        match a.whereis("the service") {
            Some(pid) if pid != service => break pid,
            _ => assert!(Instant::now() < deadline),
        }
        thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(ask(&a, healed), b"second life");
    drop(b);
}

#[test]
fn groups_hold_processes_of_other_nodes() {
    let (a, seed) = node("a");
    let (b, _) = node("b");
    a.join_mesh([&seed]).unwrap();
    assert!(b.join_mesh([&seed]).unwrap());
    let (say, heard) = channel();
    let said = say.clone();
    let ear = handler(move |_, bytes| {
        said.send(bytes.to_vec()).ok();
        Step::Done
    });
    b.spawn(ear).named("ear").start().unwrap();
    let near = handler(move |_, bytes| {
        say.send(bytes.to_vec()).ok();
        Step::Done
    });
    let near = a.spawn(near).start().unwrap();
    let far = a.lookup_within("ear", PATIENCE).unwrap().unwrap();
    a.join_group("ears", near).unwrap();
    a.join_group("ears", far).unwrap();
    assert_eq!(a.publish("ears", &b"hear"[..]), 2);
    for _ in 0..2 {
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"hear");
    }
    b.shutdown(Duration::from_secs(1));
    assert!(a.join(far, Some(PATIENCE)).unwrap());
    assert_eq!(a.members("ears"), [near]);
}
