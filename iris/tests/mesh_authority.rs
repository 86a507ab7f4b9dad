//! Nodes with certificates of a cluster's own authority.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "authority")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iris::nodes::{Authority, AuthorityError, Issued, Tls};
use iris::prelude::*;
use iris::{MeshError, NodeConfig};

const DAY: Duration = Duration::from_hours(24);

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("iris-authority-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(folder))
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn issue(authority: &Authority, node: &str) -> Issued {
    let hosts = ["localhost", "127.0.0.1"];
    authority.issue("test", node, &hosts, 30 * DAY).unwrap()
}

fn runtime(issued: &Issued) -> Runtime {
    let tls = Tls::from_files(&issued.authority, &issued.certificate, &issued.key).unwrap();
    let rt = Runtime::builder().workers(2).start().unwrap();
    rt.configure_mesh_over(NodeConfig::default(), Arc::new(tls));
    rt
}

#[test]
fn nodes_of_one_authority_trust_each_other_and_nobody_else() {
    let (folder, other) = (Folder::new("one"), Folder::new("other"));
    let authority = Authority::create(&folder).unwrap();
    let stranger = Authority::create(&other).unwrap();
    let here = runtime(&issue(&authority, "here"));
    here.spawn(handler(|_, bytes| Step::Reply(bytes.into())))
        .named("echo")
        .start()
        .unwrap();
    let address = here.listen("127.0.0.1:0").unwrap();
    // The authority is as good when it is read from its folder.
    let again = Authority::open(&folder).unwrap();
    for issued in [issue(&authority, "there"), issue(&again, "elsewhere")] {
        let there = runtime(&issued);
        let echo = there.resolve_remote(&address, "echo").unwrap().unwrap();
        assert_eq!(&there.ask(echo, &b"x"[..]).wait().unwrap()[..], b"x");
    }
    let stranger = runtime(&issue(&stranger, "there"));
    let error = stranger.resolve_remote(&address, "echo").unwrap_err();
    assert!(matches!(error, MeshError::Connect { .. }), "{error}");
}

#[test]
fn a_node_cannot_sign_for_others() {
    let folder = Folder::new("leaf");
    let authority = Authority::create(&folder).unwrap();
    let leaf = issue(&authority, "leaf");
    // An authority made of a node's files.
    let forged = Folder::new("forged");
    std::fs::create_dir_all(&forged).unwrap();
    std::fs::copy(&leaf.certificate, forged.0.join("authority.pem")).unwrap();
    std::fs::copy(&leaf.key, forged.0.join("authority-key.pem")).unwrap();
    let forger = issue(&Authority::open(&forged).unwrap(), "forger");
    let here = runtime(&leaf);
    let address = here.listen("127.0.0.1:0").unwrap();
    let there = runtime(&Issued {
        authority: leaf.authority.clone(),
        ..forger
    });
    there.resolve_remote(&address, "x").unwrap_err();
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let authority = Authority::create(&folder).unwrap();
    let issued = issue(&authority, "node");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&issued.key), 0o600);
    assert_eq!(mode(&folder.0.join("authority-key.pem")), 0o600);
    // What is there already is replaced, with what it must not have.
    std::fs::set_permissions(&issued.key, PermissionsExt::from_mode(0o644)).unwrap();
    let before = std::fs::read(&issued.certificate).unwrap();
    assert_eq!(issue(&authority, "node"), issued);
    assert_eq!(mode(&issued.key), 0o600);
    assert_ne!(std::fs::read(&issued.certificate).unwrap(), before);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);
}

#[test]
fn what_no_certificate_can_say_is_refused() {
    let folder = Folder::new("names");
    let authority = Authority::create(&folder).unwrap();
    let error = Authority::create(&folder).unwrap_err();
    assert!(matches!(error, AuthorityError::Exists(_)), "{error}");
    let error = Authority::open(folder.0.join("nowhere")).unwrap_err();
    assert!(matches!(error, AuthorityError::Io { .. }), "{error}");
    let issue =
        |cluster: &str, node: &str, host: &str| authority.issue(cluster, node, &[host], DAY);
    for node in ["", "../up", "a/b", "authority", ".hidden", "größe", "a b"] {
        let error = issue("", node, "localhost").unwrap_err();
        assert!(matches!(error, AuthorityError::Name(_)), "{node}: {error}");
    }
    for (cluster, host) in [
        ("a/b", "localhost"),
        ("", ""),
        ("", "größe"),
        ("", "no host"),
    ] {
        let error = issue(cluster, "node", host).unwrap_err();
        assert!(matches!(error, AuthorityError::Name(_)), "{error}");
    }
    issue("", "node", "::1").unwrap();
}
