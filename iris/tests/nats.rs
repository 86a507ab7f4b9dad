//! Runtimes that talk to each other through a NATS server.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "nats")]

#[path = "../../iris-mesh/tests/nats_server/mod.rs"]
mod nats_server;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Heard, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use iris::nodes::{Nats, NatsConfig, NatsTls, Secret};
use iris::prelude::*;
use iris::{MeshError, NodeConfig, SystemMessage};
use nats_server::{Server, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const PATIENCE: Duration = Duration::from_secs(30);

fn node() -> NodeConfig {
    NodeConfig {
        secret: Some(Secret::new(b"what nobody else knows")),
        resume: PATIENCE,
        ..NodeConfig::default()
    }
}

fn runtime_with(nats: NatsConfig, node: NodeConfig) -> Runtime {
    let rt = Runtime::builder().workers(2).start().unwrap();
    rt.configure_mesh_over(node, Arc::new(Nats::new(nats).unwrap()));
    rt
}

fn runtime(server: &Server) -> Runtime {
    runtime_with(NatsConfig::at(&server.url()), node())
}

/// An actor that says what it receives.
fn ear(rt: &Runtime) -> Heard<Vec<u8>> {
    let (say, heard) = channel();
    let ear = handler(move |_, bytes| {
        say.send(bytes.to_vec()).ok();
        Step::Done
    });
    rt.spawn(ear).named("ear").start().unwrap();
    heard
}

fn echo(rt: &Runtime) {
    let echo = handler(|_, bytes| Step::Reply(bytes.into()));
    rt.spawn(echo).named("echo").start().unwrap();
}

/// An actor that says which of its monitors have fired, and why.
fn watcher(rt: &Runtime) -> (Pid, Heard<ExitReason>) {
    let (tell, told) = channel();
    let watcher = rt
        .receiver("watcher")
        .start_pull(move |mut mailbox: iris::Receiver| {
            while let Ok(message) = mailbox.recv_blocking(None) {
                if let Message::System(SystemMessage::Down { info, .. }) = message {
                    tell.send(info.reason).ok();
                }
            }
        })
        .unwrap();
    (watcher, told)
}

#[test]
fn messages_arrive_once_and_in_order_long_ones_too() {
    const MESSAGES: u32 = 20_000;
    let Some(server) = Server::start("") else {
        return;
    };
    let (here, there) = (runtime(&server), runtime(&server));
    let heard = ear(&here);
    let address = here.listen("nats:größe *.>").unwrap();
    assert_eq!(address, "nats:größe *.>");
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    for n in 0..MESSAGES {
        there.send(remote, n.to_be_bytes().to_vec()).unwrap();
    }
    let long: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    there.send(remote, long.clone()).unwrap();
    there.send(remote, &b"behind it"[..]).unwrap();
    for n in 0..MESSAGES {
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), n.to_be_bytes());
    }
    assert!(heard.recv_timeout(PATIENCE).unwrap() == long);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"behind it");
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
}

#[test]
fn a_remote_process_is_asked_and_its_end_heard_of_once() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (here, there) = (runtime(&server), runtime(&server));
    echo(&here);
    let address = here.listen("nats:").unwrap();
    let remote = there.resolve_remote(&address, "echo").unwrap().unwrap();
    for n in 0..200_u32 {
        let question = n.to_be_bytes().to_vec();
        let answer = there.ask(remote, question.clone()).wait().unwrap();
        assert_eq!(answer[..], question);
    }
    let (watcher, told) = watcher(&there);
    there.monitor(watcher, remote).unwrap();
    here.shutdown(Duration::from_secs(1));
    told.recv_timeout(PATIENCE).unwrap();
    assert!(there.join(remote, Some(PATIENCE)).unwrap());
    told.recv_timeout(Duration::from_millis(100)).unwrap_err();
    let error = there.resolve_remote(&address, "echo").unwrap_err();
    assert!(error.to_string().contains("no node listens"), "{error}");
}

#[test]
fn nothing_is_lost_when_the_server_is_killed_and_comes_back() {
    const MESSAGES: u32 = 30_000;
    let Some(mut server) = Server::start("") else {
        return;
    };
    let (here, there) = (runtime(&server), runtime(&server));
    let heard = ear(&here);
    let address = here.listen("nats:here").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    let sender = {
        let there = there.clone();
        thread::spawn(move || {
            for n in 0..MESSAGES {
                let size = if n % 1_000 == 999 { 300_000 } else { 20 };
                let mut data = n.to_be_bytes().to_vec();
                data.resize(size, 7);
                there.send(remote, data).unwrap();
                if n % 100 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    for n in 0..MESSAGES {
        // In the middle of the stream, whatever is under way.
        if [5_000, 12_000, 20_000].contains(&n) {
            server.kill();
            server.restart();
        }
        let data = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(data[..4], n.to_be_bytes());
    }
    sender.join().unwrap();
    heard.recv_timeout(Duration::from_millis(50)).unwrap_err();
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
}

/// A way to the server that can be cut.
struct Way {
    address: String,
    cut: Arc<AtomicBool>,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            address: format!("nats://{}", listener.local_addr().unwrap()),
            cut: Arc::default(),
            ends: Arc::default(),
        };
        let (cut, ends) = (way.cut.clone(), way.ends.clone());
        let target = server.url().replace("nats://", "");
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                let copies = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                ends.lock().unwrap().extend(copies);
                let (mut near2, mut far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (mut near, mut far) = (near, far);
                thread::spawn(move || {
                    drop(std::io::copy(&mut near, &mut far));
                    drop(far.shutdown(Shutdown::Both));
                });
                thread::spawn(move || {
                    drop(std::io::copy(&mut far2, &mut near2));
                    drop(near2.shutdown(Shutdown::Both));
                });
            }
        });
        way
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for end in self.ends.lock().unwrap().drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
    }

    fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_node_that_nats_does_not_know_for_a_while_is_waited_for() {
    let Some(server) = Server::start("") else {
        return;
    };
    let way = Way::to(&server);
    let here = runtime_with(NatsConfig::at(&way.address), node());
    let there = runtime(&server);
    let heard = ear(&here);
    let address = here.listen("nats:here").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    there.send(remote, &b"before"[..]).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"before");
    way.cut();
    there.send(remote, &b"meanwhile"[..]).unwrap();
    // Dialled again and again, with nobody there.
    heard.recv_timeout(Duration::from_secs(1)).unwrap_err();
    way.mend();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"meanwhile");
    assert!(there.is_alive(remote));
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
}

#[test]
fn of_a_server_that_does_not_come_back_every_message_is_accounted_for() {
    const MESSAGES: u64 = 5_000;
    let Some(mut server) = Server::start("") else {
        return;
    };
    let quick = || NodeConfig {
        resume: Duration::from_millis(200),
        ..node()
    };
    let at = || NatsConfig::at(&server.url());
    let (here, there) = (runtime_with(at(), quick()), runtime_with(at(), quick()));
    let handled = Arc::new(AtomicU64::new(0));
    let counted = handled.clone();
    let ear = handler(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Step::Done
    });
    here.spawn(ear).named("ear").start().unwrap();
    let address = here.listen("nats:here").unwrap();
    let remote = there.resolve_remote(&address, "ear").unwrap().unwrap();
    let (watcher, told) = watcher(&there);
    for _ in 0..5 {
        there.monitor(watcher, remote).unwrap();
    }
    let mut accepted = 0;
    for n in 0..MESSAGES {
        if n == MESSAGES / 2 {
            let began = Instant::now();
            while handled.load(Ordering::SeqCst) < MESSAGES / 4 {
                assert!(began.elapsed() < PATIENCE, "the first ones arrive");
                thread::sleep(Duration::from_millis(1));
            }
            server.kill();
        }
        match there.send(remote, n.to_be_bytes().to_vec()) {
            Ok(()) => accepted += 1,
            // It has ended meanwhile: the message is back.
            Err(_) => break,
        }
    }
    assert!(there.join(remote, Some(PATIENCE)).unwrap());
    for _ in 0..5 {
        assert_eq!(
            told.recv_timeout(PATIENCE).unwrap(),
            ExitReason::NoConnection
        );
    }
    told.recv_timeout(Duration::from_millis(50)).unwrap_err();
    let (handled, dead) = (handled.load(Ordering::SeqCst), there.dead_letters());
    // Of some nobody knows whether they arrived: they count as dead, too.
    assert!(
        handled + dead >= accepted,
        "{handled} + {dead} < {accepted}"
    );
    assert!(handled <= accepted && dead <= accepted, "{handled}, {dead}");
    let error = there
        .resolve_remote(&address, "ear")
        .unwrap_err()
        .to_string();
    assert!(error.contains("is lost, and tried again"), "{error}");
}

/// A member of a mesh whose nodes announce themselves.
fn member(url: &str, name: &str, heartbeat: Duration) -> Runtime {
    let nats = Nats::new(NatsConfig::at(url)).unwrap();
    let rt = Runtime::builder().workers(2).start().unwrap();
    let node = NodeConfig {
        name: name.to_owned(),
        heartbeat,
        ..node()
    };
    rt.configure_mesh_over(node, Arc::new(nats.clone()));
    rt.listen(&format!("nats:{name}")).unwrap();
    let seeds: [&str; 0] = [];
    let joined = rt.begin_join(seeds, Box::new(nats.presence())).unwrap();
    assert!(!joined.wait().unwrap(), "nobody is waited for");
    rt
}

fn until_members(rt: &Runtime, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while rt.mesh_members().len() != count {
        assert!(Instant::now() < deadline, "{:?}", rt.mesh_members());
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn nodes_that_announce_themselves_find_each_other_and_each_others_names() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let way = Way::to(&server);
    let beat = Duration::from_millis(50);
    let one = member(&server.url(), "one", beat);
    let two = member(&server.url(), "two", beat);
    let three = member(&way.address, "three", beat);
    for rt in [&one, &two, &three] {
        until_members(rt, 2);
    }
    echo(&three);
    let found = one.lookup_within("echo", PATIENCE).unwrap().unwrap();
    assert_eq!(one.ask(found, &b"hello"[..]).wait().unwrap()[..], *b"hello");
    // Who is silent is down; nobody is for the one that hears nothing.
    way.cut();
    for rt in [&one, &two] {
        until_members(rt, 1);
    }
    assert_eq!(three.mesh_members().len(), 2);
    way.mend();
    for rt in [&one, &two, &three] {
        until_members(rt, 2);
    }
    assert!(one.lookup_within("echo", PATIENCE).unwrap().is_some());

    // Nobody is down because this node hears nobody.
    server.kill();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(one.mesh_members().len(), 2);
    assert_eq!(three.mesh_members().len(), 2);
    server.restart();
    for rt in [&one, &two, &three] {
        until_members(rt, 2);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = one.lookup_within("echo", PATIENCE).unwrap().unwrap();
        // It may have to be found again, if it was away for too long.
        match one.ask(found, &b"again"[..]).timeout(PATIENCE).wait() {
            Ok(answer) => break assert_eq!(answer[..], *b"again"),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

#[test]
fn a_node_that_leaves_says_goodbye() {
    let Some(server) = Server::start("") else {
        return;
    };
    // Longer than anybody waits here: nothing but words is heard.
    let beat = Duration::from_mins(1);
    let one = member(&server.url(), "one", beat);
    let two = member(&server.url(), "two", beat);
    until_members(&one, 1);
    until_members(&two, 1);
    two.shutdown(Duration::from_secs(1));
    until_members(&one, 0);
}

#[test]
fn nats_alone_proves_nothing_about_a_peer() {
    let Some(server) = Server::start("") else {
        return;
    };
    let without = |insecure| NodeConfig {
        insecure,
        ..NodeConfig::default()
    };
    let at = || NatsConfig::at(&server.url());
    let open = runtime_with(at(), without(false));
    let error = open.listen("nats:open").unwrap_err();
    assert!(matches!(error, MeshError::Insecure { .. }), "{error}");
    assert!(error.to_string().contains("a secret (TLS to"), "{error}");

    let (here, there) = (
        runtime_with(at(), without(true)),
        runtime_with(at(), without(false)),
    );
    echo(&here);
    let address = here.listen("nats:trusting").unwrap();
    let remote = there.resolve_remote(&address, "echo").unwrap().unwrap();
    assert_eq!(
        there.ask(remote, &b"hello"[..]).wait().unwrap()[..],
        *b"hello"
    );

    let strict = runtime(&server);
    echo(&strict);
    let address = strict.listen("nats:strict").unwrap();
    let stranger = NodeConfig {
        secret: Some(Secret::new(b"another")),
        ..NodeConfig::default()
    };
    for config in [stranger, without(true)] {
        let rt = runtime_with(at(), config);
        assert!(!rt.is_node_up(&address));
        rt.resolve_remote(&address, "echo").unwrap_err();
    }
    assert!(runtime(&server).is_node_up(&address));
}

#[test]
fn what_is_wrong_with_the_server_is_said_at_once() {
    let Some(server) = Server::start("authorization { user: node, password: pw }") else {
        return;
    };
    let began = Instant::now();
    let rt = runtime_with(NatsConfig::at(&server.url_as("node:wrong@")), node());
    let error = rt.listen("nats:a").unwrap_err().to_string();
    assert!(error.contains("refuses this user and password"), "{error}");
    let error = rt.resolve_remote("nats:a", "x").unwrap_err().to_string();
    assert!(error.contains("refuses this user and password"), "{error}");
    let rt = runtime_with(NatsConfig::at(&server.url_as("node:pw@")), node());
    rt.listen("nats:a").unwrap();
    let error = rt.listen("nats:a").unwrap_err();
    assert!(matches!(error, MeshError::Listen { .. }), "{error}");
    assert!(
        error.to_string().contains("another node listens"),
        "{error}"
    );

    let nowhere = format!("nats://127.0.0.1:{}", free_port());
    let rt = runtime_with(NatsConfig::at(&nowhere), node());
    let error = rt.listen("nats:a").unwrap_err().to_string();
    assert!(
        error.contains("no NATS server can be reached at nats://127.0.0.1"),
        "{error}"
    );
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn the_connection_to_the_server_may_be_tls() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let [ca, cert, key] = [issuer.pem(), certificate.pem(), key.serialize_pem()];
    let files: [(&str, &[u8]); 3] = [
        ("ca.pem", ca.as_bytes()),
        ("cert.pem", cert.as_bytes()),
        ("key.pem", key.as_bytes()),
    ];
    let config = r#"tls { cert_file: "DIR/cert.pem", key_file: "DIR/key.pem", ca_file: "DIR/ca.pem", verify: true }"#;
    let Some(server) = Server::start_with(config, &files) else {
        return;
    };
    let with = |tls| NatsConfig {
        tls: Some(tls),
        ..NatsConfig::at(&server.url())
    };
    let trusted = || NatsTls {
        authority: Some(server.file("ca.pem")),
        certificate: Some((server.file("cert.pem"), server.file("key.pem"))),
    };
    let (here, there) = (
        runtime_with(with(trusted()), node()),
        runtime_with(with(trusted()), node()),
    );
    echo(&here);
    let address = here.listen("nats:tls").unwrap();
    let remote = there.resolve_remote(&address, "echo").unwrap().unwrap();
    assert_eq!(
        there.ask(remote, &b"hello"[..]).wait().unwrap()[..],
        *b"hello"
    );
    // It proves nothing of a node behind it.
    let open = runtime_with(with(trusted()), NodeConfig::default());
    let error = open.listen("nats:open").unwrap_err();
    assert!(matches!(error, MeshError::Insecure { .. }), "{error}");
    let unknown = NatsTls {
        authority: None,
        ..trusted()
    };
    let error = runtime_with(with(unknown), node())
        .listen("nats:x")
        .unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}
