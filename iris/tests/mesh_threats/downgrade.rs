//! Somebody on the way who would rather have the original packets, which prove nothing.

use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use iris::NodeConfig;
use iris::mesh::{Incoming, Link, Listener, Sink, Source, Tcp, Tls, Transport};

use super::certificates::Authority;
use super::raw::{answering, connect, resolve};
use super::{PATIENCE, echo, runtime, runtime_with, until, with_secret};

/// What an old node answers to the question whether it can do better.
const ZEROS: &[u8] = &[0; 8];

#[test]
fn a_node_with_a_secret_or_certificates_does_not_step_down() {
    let secret = runtime_with(with_secret(b"key"));
    let tls = runtime();
    let [authority, certificate, key] = Authority::new().issue(&["127.0.0.1"]);
    let certificates = Tls::from_pem(&authority, &certificate, &key).unwrap();
    tls.configure_mesh_over(NodeConfig::default(), Arc::new(certificates));
    for rt in [&secret, &tls] {
        let (address, heard) = answering(ZEROS);
        let error = rt.resolve_remote(&address, "echo").unwrap_err().to_string();
        assert!(error.contains(&address), "{error}");
        assert!(!rt.is_node_up(&address));
        let (nodes, bytes) = (rt.node().unwrap().peers(), heard.lock().unwrap().clone());
        assert_eq!(nodes, []);
        // Not even the name that it looks for has left.
        assert!(!bytes.windows(4).any(|four| four == b"echo"), "{bytes:?}");
        assert!(!bytes.windows(9).any(|it| it == b"iris.mesh"), "{bytes:?}");
    }
    // One without either takes it for an old node, on this machine.
    let (address, _) = answering(ZEROS);
    assert_eq!(runtime().resolve_remote(&address, "echo").unwrap(), None);
}

/// TCP whose peers all seem to be on other machines.
struct Elsewhere;

struct FromElsewhere(Box<dyn Listener>);

#[async_trait]
impl Transport for Elsewhere {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(FromElsewhere(Tcp.listen(address).await?)))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        Tcp.connect(address).await
    }
}

#[async_trait]
impl Listener for FromElsewhere {
    fn local_address(&self) -> String {
        self.0.local_address()
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        let Incoming { from, open } = self.0.accept().await?;
        let open = Box::pin(async move {
            let mut link = open.await?;
            link.is_local = false;
            Ok(link)
        });
        Ok(Incoming { from, open })
    }
}

#[test]
fn old_packets_from_other_machines_are_served_only_on_demand() {
    for allow_legacy in [false, true] {
        let rt = runtime();
        let config = NodeConfig {
            allow_legacy,
            insecure: true,
            ..NodeConfig::default()
        };
        rt.configure_mesh_over(config, Arc::new(Elsewhere));
        echo(&rt);
        let address = rt.listen("127.0.0.1:0").unwrap();
        for preface in [&b"\x01"[..], b""] {
            let mut stream = connect(&address);
            stream.write_all(preface).unwrap();
            let found = resolve(&mut stream, b"echo");
            assert_eq!(found.is_some(), allow_legacy, "{found:?}");
        }
        // New ones are served whoever they are: it was said to be insecure.
        let there = runtime();
        assert!(there.resolve_remote(&address, "echo").unwrap().is_some());
    }
}

#[test]
fn a_session_that_is_cut_does_not_step_down_when_it_is_dialled_again() {
    let here = runtime_with(with_secret(b"key"));
    echo(&here);
    let tap = super::raw::Tap::to(here.listen("127.0.0.1:0").unwrap());
    let there = runtime_with(NodeConfig {
        resume: PATIENCE,
        ..with_secret(b"key")
    });
    let remote = there.resolve_remote(&tap.address, "echo").unwrap().unwrap();
    tap.says_only(ZEROS);
    tap.cut();
    until("it has dialled again", || tap.count() > 2);
    assert_eq!(there.node().unwrap().peers(), []);
    // It does not even ask whether it could.
    let heard = tap.lied.lock().unwrap().clone();
    assert_eq!(heard[0], 0x10, "{heard:?}");
    assert!(!heard.windows(9).any(|it| it == b"iris.mesh"), "{heard:?}");
    // Once the way is honest again, so is the session.
    tap.is_honest();
    let answer = there.ask(remote, &b"still"[..]).wait().unwrap();
    assert_eq!(&answer[..], b"still");
}

/// Somebody in the middle who has a certificate of the authority, and not the secret.
async fn relay(tls: Arc<Tls>, mut listener: Box<dyn Listener>, target: String) {
    async fn carry(mut source: Box<dyn Source>, mut sink: Box<dyn Sink>) {
        while let Ok(Some(bytes)) = source.receive().await {
            if sink.send(&mut vec![bytes]).await.is_err() {
                return;
            }
        }
    }
    while let Ok(incoming) = listener.accept().await {
        let (Ok(near), Ok(far)) = (incoming.open.await, tls.connect(&target).await) else {
            continue;
        };
        tokio::spawn(carry(near.source, far.sink));
        tokio::spawn(carry(far.source, near.sink));
    }
}

#[test]
fn who_is_in_the_middle_cannot_pass_the_proof_of_a_secret_on() {
    let authority = Authority::new();
    let certificates = || {
        let [authority, certificate, key] = authority.issue(&["127.0.0.1"]);
        Arc::new(Tls::from_pem(&authority, &certificate, &key).unwrap())
    };
    let [here, there] = [(), ()].map(|()| {
        let rt = runtime();
        rt.configure_mesh_over(with_secret(b"key"), certificates());
        rt
    });
    echo(&here);
    let address = here.listen("127.0.0.1:0").unwrap();
    let middle = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let tls = certificates();
    let listener = middle.block_on(tls.listen("127.0.0.1:0")).unwrap();
    let at_middle = listener.local_address();
    middle.spawn(relay(tls, listener, address.clone()));
    let error = there.resolve_remote(&at_middle, "echo").unwrap_err();
    assert!(error.to_string().contains("(auth)"), "{error}");
    assert!(there.resolve_remote(&address, "echo").unwrap().is_some());
    middle.shutdown_background();
}
