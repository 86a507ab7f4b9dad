//! Nodes that prove who they are with certificates.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "mesh")]

mod certificates;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use iris::nodes::Tls;
use iris::prelude::*;
use iris::{MeshError, NodeConfig};

use certificates::Authority;

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
