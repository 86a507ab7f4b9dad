//! Nodes that prove who they are with certificates.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

mod certificates;
#[path = "certificates/wire.rs"]
mod wire;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use iris::nodes::{Tls, TlsError};
use iris::prelude::*;
use iris::{MeshError, NodeConfig};

use certificates::Authority;
use wire::Wire;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a node with these names uses.
fn issued(authority: &Authority, names: &[&str]) -> Tls {
    let [authority, certificate, key] = authority.issue(names);
    Tls::from_pem(&authority, &certificate, &key).unwrap()
}

fn runtime(tls: Option<Tls>) -> Runtime {
    let rt = Runtime::builder().workers(2).start().unwrap();
    if let Some(tls) = tls {
        rt.configure_mesh_over(NodeConfig::default(), Arc::new(tls));
    }
    rt
}

fn echo(rt: &Runtime) {
    let echo = handler(|_, bytes| Step::Reply(bytes.into()));
    rt.spawn(echo).named("echo").start().unwrap();
}

#[test]
fn nodes_with_certificates_of_one_authority_talk() {
    let authority = Authority::new();
    let hosts = ["localhost", "127.0.0.1"];
    let (here, there) = (
        runtime(Some(issued(&authority, &hosts))),
        runtime(Some(issued(&authority, &hosts))),
    );
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let remote = there.resolve_remote(&address, "echo").unwrap().unwrap();
    let long = vec![7; 1 << 20];
    assert_eq!(there.ask(remote, long.clone()).wait().unwrap()[..], long);
    // With TLS a node may listen to the world.
    here.listen("0.0.0.0:0").unwrap();
}

#[test]
fn strangers_are_kept_out() {
    let authority = Authority::new();
    let here = runtime(Some(issued(&authority, &["127.0.0.1"])));
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let of_another = runtime(Some(issued(&Authority::new(), &["127.0.0.1"])));
    let without = runtime(None);
    for stranger in [&of_another, &without] {
        stranger.resolve_remote(&address, "echo").unwrap_err();
        assert!(!stranger.is_node_up(&address));
    }
    // The original packets prove nothing.
    let mut old = TcpStream::connect(&address).unwrap();
    old.set_read_timeout(Some(PATIENCE)).unwrap();
    old.write_all(b"\x01\x01\0\0\0\x04echo").unwrap();
    let mut answer = Vec::new();
    drop(old.read_to_end(&mut answer));
    assert!(!answer.windows(4).any(|four| four == [0, 4, 0, 0]));
    assert_eq!(here.node().unwrap().peers(), []);
    let friend = runtime(Some(issued(&authority, &["127.0.0.1"])));
    assert!(friend.resolve_remote(&address, "echo").unwrap().is_some());
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let here = runtime(Some(issued(&authority, &["elsewhere.example"])));
    let address = here.listen("127.0.0.1:0").unwrap();
    let there = runtime(Some(issued(&authority, &["127.0.0.1"])));
    let error = there.resolve_remote(&address, "echo").unwrap_err();
    assert!(matches!(error, MeshError::Connect { .. }));
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn certificates_are_replaced_while_nodes_run() {
    let (old, new) = (Authority::new(), Authority::new());
    let tls = Arc::new(issued(&old, &["127.0.0.1"]));
    let here = Runtime::builder().workers(2).start().unwrap();
    here.configure_mesh_over(NodeConfig::default(), tls.clone());
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let first = runtime(Some(issued(&old, &["127.0.0.1"])));
    let remote = first.resolve_remote(&address, "echo").unwrap().unwrap();
    let [authority, certificate, key] = new.issue(&["127.0.0.1"]);
    tls.replace(&authority, &certificate, &key).unwrap();
    let second = runtime(Some(issued(&new, &["127.0.0.1"])));
    let found = second.resolve_remote(&address, "echo").unwrap().unwrap();
    assert_eq!(&second.ask(found, &b"new"[..]).wait().unwrap()[..], b"new");
    // Connections that there are stay.
    assert_eq!(&first.ask(remote, &b"old"[..]).wait().unwrap()[..], b"old");
    let late = runtime(Some(issued(&old, &["127.0.0.1"])));
    late.resolve_remote(&address, "echo").unwrap_err();
}

#[test]
fn what_is_wrong_with_certificates_is_said() {
    let [authority, certificate, key] = Authority::new().issue(&["127.0.0.1"]);
    let [_, _, other_key] = Authority::new().issue(&["127.0.0.1"]);
    for (parts, text) in [
        (
            [&b"nothing"[..], &certificate, &key],
            "the authority: no certificate",
        ),
        (
            [&authority, b"nothing", &key],
            "the certificate: no certificate",
        ),
        ([&authority, &certificate, b"nothing"], "the key: "),
        ([&authority, &certificate, &other_key], "cannot be used"),
    ] {
        let error = Tls::from_pem(parts[0], parts[1], parts[2]).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    let error = Tls::from_files("/no/ca.pem", "/no/cert.pem", "/no/key.pem").unwrap_err();
    assert!(
        error.to_string().contains("cannot read /no/ca.pem"),
        "{error}"
    );
}

/// Both authorities, for as long as nodes of either are about.
fn both(parts: &[Vec<u8>; 3], other: &Authority) -> [Vec<u8>; 3] {
    let [authority, certificate, key] = parts.clone();
    let other = other.issue(&["127.0.0.1"])[0].clone();
    [[authority, other].concat(), certificate, key]
}

#[test]
fn certificates_rotate_under_load_and_nothing_that_was_accepted_is_lost() {
    const MESSAGES: u32 = 20_000;
    const ROTATIONS: usize = 30;
    let (old, new) = (Authority::new(), Authority::new());
    let [a, b] = ["iris://c/a", "iris://c/b"].map(|name| {
        let names = ["127.0.0.1", name];
        // The old one and the new one, where both are trusted; then the new one alone, and the old.
        let (first, last) = (old.issue(&names), new.issue(&names));
        [both(&first, &new), both(&last, &old), last, first]
    });
    let tls = [&a, &b].map(|all| {
        let [authority, certificate, key] = &all[0];
        Arc::new(Tls::from_pem(authority, certificate, key).unwrap())
    });
    let [here, there] = tls.clone().map(|tls| {
        let rt = Runtime::builder().workers(2).start().unwrap();
        rt.configure_mesh_over(
            NodeConfig {
                resume: PATIENCE,
                cluster: "c".to_owned(),
                ..NodeConfig::default()
            },
            tls,
        );
        rt
    });
    let (say, heard) = channel();
    let ear = handler(move |_, bytes| {
        say.send(bytes).ok();
        Step::Done
    });
    here.spawn(ear).named("ear").start().unwrap();
    let wire = Wire::to(here.listen("127.0.0.1:0").unwrap());
    let remote = there.resolve_remote(&wire.address, "ear").unwrap().unwrap();
    let sender = {
        let there = there.clone();
        thread::spawn(move || {
            for n in 0..MESSAGES {
                there.send(remote, n.to_be_bytes().to_vec()).unwrap();
                if n % 50 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    let mut rotations = 0;
    for n in 0..MESSAGES {
        let data = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(data[..4], n.to_be_bytes());
        if n as usize % (MESSAGES as usize / ROTATIONS) == 1 {
            // Both nodes show other certificates, of either authority in turn, and the link is cut, so
            // that they meet with them.
            for (tls, all) in tls.iter().zip([&a, &b]) {
                let [authority, certificate, key] = &all[1 - rotations % 2];
                tls.replace(authority, certificate, key).unwrap();
            }
            let before = wire.connections();
            wire.cut();
            let began = Instant::now();
            // Not before both have met again: a cut in the middle of a handshake proves nothing here.
            while wire.connections() == before || there.node().unwrap().peers().is_empty() {
                assert!(began.elapsed() < PATIENCE, "they meet again");
                thread::sleep(Duration::from_millis(1));
            }
            rotations += 1;
        }
    }
    sender.join().unwrap();
    // At last both trust the new authority alone.
    for (tls, all) in tls.iter().zip([&a, &b]) {
        let [authority, certificate, key] = &all[2];
        tls.replace(authority, certificate, key).unwrap();
    }
    wire.cut();
    there.send(remote, &b"last"[..]).unwrap();
    assert_eq!(&heard.recv_timeout(PATIENCE).unwrap()[..], b"last");
    assert!(rotations >= ROTATIONS);
    assert_eq!(there.dead_letters() + here.dead_letters(), 0);
    // Who has only the old certificate stays outside.
    let [authority, certificate, key] = &a[3];
    let late = runtime(Some(Tls::from_pem(authority, certificate, key).unwrap()));
    late.resolve_remote(&wire.address, "ear").unwrap_err();
}

#[test]
fn files_are_read_again() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = std::env::temp_dir().join(format!("iris-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = ["ca.pem", "node.pem", "node.key"].map(|file| folder.join(file));
    let write = |parts: &[Vec<u8>; 3]| {
        for (file, part) in files.iter().zip(parts) {
            std::fs::write(file, part).unwrap();
        }
    };
    write(&old.issue(&["127.0.0.1"]));
    let tls = Arc::new(Tls::from_files(&files[0], &files[1], &files[2]).unwrap());
    let here = Runtime::builder().workers(2).start().unwrap();
    here.configure_mesh_over(NodeConfig::default(), tls.clone());
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let meets = |authority: &Authority| {
        let peer = runtime(Some(issued(authority, &["127.0.0.1"])));
        peer.resolve_remote(&address, "echo").is_ok()
    };
    assert_eq!((meets(&old), meets(&new)), (true, false));
    write(&new.issue(&["127.0.0.1"]));
    assert_eq!((meets(&old), meets(&new)), (true, false));
    tls.reload().unwrap();
    assert_eq!((meets(&old), meets(&new)), (false, true));
    // Half of a renewal changes nothing.
    std::fs::write(&files[2], b"half a key").unwrap();
    tls.reload().unwrap_err();
    assert_eq!((meets(&old), meets(&new)), (false, true));
    std::fs::remove_dir_all(&folder).unwrap();
    let texts = issued(&new, &["127.0.0.1"]);
    assert!(matches!(texts.reload(), Err(TlsError::NoFiles)));
}
