//! How a node is to be: names, secrets, certificates, limits, and who may do what.
//!
//! `lib/mesh_options.js` has refused by then what is of the wrong kind or out of range.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use iris::nodes::{
    Acl, Authority, AuthorityError, Expose, Names, NodeConfig, Peers, Rights, Rule, Secret, Tls,
};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error;
use crate::nats;

/// How the node is to be; times in seconds.
#[napi(object, object_to_js = false)]
pub struct MeshOptions {
    /// What it calls itself.
    pub name: Option<String>,
    /// What nodes must have in common to talk.
    pub cluster: Option<String>,
    /// The address at which others can dial it.
    pub advertise: Option<String>,
    /// A key that peers must know.
    pub secret: Option<Vec<u8>>,
    /// Paths of three PEM files: authority, certificate, key.
    pub tls: Option<Vec<String>>,
    /// Addresses of NATS servers, with commas between them.
    pub nats: Option<String>,
    /// The path of a credentials file for those.
    pub nats_credentials: Option<String>,
    /// Whether it listens beyond this machine without either.
    pub insecure: Option<bool>,
    /// `named` or `all`.
    pub expose: Option<String>,
    /// Whether peers may start registered behaviors.
    pub allow_spawn: Option<bool>,
    /// Whether nodes of the earlier release are served from other machines.
    pub allow_legacy: Option<bool>,
    /// Time between signs of life.
    pub heartbeat: Option<f64>,
    /// For how long a lost connection may come back.
    pub resume: Option<f64>,
    /// The most that a look-up takes.
    pub connect_timeout: Option<f64>,
    /// When a peer whose guest language makes no progress is reported.
    pub stalled_after: Option<f64>,
    /// Bytes.
    pub max_message: Option<u32>,
    /// What peers may do.
    pub acl: Option<Vec<RuleObject>>,
    /// Peers that are refused.
    pub deny: Option<Vec<String>>,
    /// Connections of others that may be open.
    pub max_links: Option<u32>,
    /// How many of them may not have said who they are.
    pub max_unproven: Option<u32>,
    /// The same, from one address.
    pub max_unproven_per_ip: Option<u32>,
}

/// All, nothing, or what has one of these prefixes.
type NamesObject = Either<bool, Vec<String>>;

/// What some peers may do.
#[napi(object, object_to_js = false)]
pub struct RuleObject {
    /// Whom it is for.
    pub peers: String,
    /// Send, ask, monitor and link.
    pub send: Option<NamesObject>,
    /// Look up.
    pub resolve: Option<NamesObject>,
    /// Publish for a mesh.
    pub register: Option<NamesObject>,
    /// Start registered behaviors.
    pub spawn: Option<NamesObject>,
    /// Send exit signals without a link.
    pub exit: Option<bool>,
}

fn names(names: Option<NamesObject>) -> Names {
    match names {
        Some(Either::A(true)) => Names::Everything,
        Some(Either::A(false)) | None => Names::Nothing,
        Some(Either::B(prefixes)) => Names::Under(prefixes),
    }
}

fn acl(rules: Vec<RuleObject>) -> Acl {
    let rule = |rule: RuleObject| Rule {
        peers: Peers::new(rule.peers),
        rights: Rights {
            send: names(rule.send),
            resolve: names(rule.resolve),
            register: names(rule.register),
            spawn: names(rule.spawn),
            exit: rule.exit.unwrap_or(false),
        },
    };
    Acl::new(rules.into_iter().map(rule))
}

fn deny(peers: Vec<String>) -> Vec<Peers> {
    peers.into_iter().map(Peers::new).collect()
}

pub(crate) fn expose(word: &str) -> Result<Expose> {
    match word {
        "named" => Ok(Expose::Named),
        "all" => Ok(Expose::All),
        other => Err(error::range(format!(
            "expose must be 'named' or 'all', not {other:?}"
        ))),
    }
}

/// Paths of the authority, the certificate and its key.
fn files(tls: Vec<String>) -> Result<[PathBuf; 3]> {
    let paths: Vec<_> = tls.into_iter().map(PathBuf::from).collect();
    paths
        .try_into()
        .map_err(|_| error::range("tls must be three paths: ca, cert and key"))
}

impl MeshOptions {
    fn config(&mut self) -> Result<NodeConfig> {
        let mut config = NodeConfig {
            name: self.name.take().unwrap_or_default(),
            cluster: self.cluster.take().unwrap_or_default(),
            advertise: self.advertise.take(),
            secret: self.secret.take().map(|secret| Secret::new(&secret)),
            acl: self.acl.take().map(acl),
            deny: self.deny.take().map(deny).unwrap_or_default(),
            insecure: self.insecure.unwrap_or(false),
            allow_spawn: self.allow_spawn.unwrap_or(false),
            allow_legacy: self.allow_legacy.unwrap_or(false),
            ..NodeConfig::default()
        };
        if let Some(word) = &self.expose {
            config.expose = expose(word)?;
        }
        set(&mut config.heartbeat, self.heartbeat.map(convert::seconds));
        set(&mut config.resume, self.resume.map(convert::seconds));
        let timeout = self.connect_timeout.map(convert::seconds);
        set(&mut config.connect_timeout, timeout);
        let stalled: Option<Duration> = self.stalled_after.map(convert::seconds);
        set(&mut config.stalled_after, stalled);
        set(&mut config.max_message, self.max_message);
        let count = |limit: Option<u32>| limit.map(|limit| limit as usize);
        set(&mut config.max_links, count(self.max_links));
        set(&mut config.max_unproven, count(self.max_unproven));
        let per_ip = count(self.max_unproven_per_ip);
        set(&mut config.max_unproven_per_ip, per_ip);
        Ok(config)
    }
}

fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

#[napi]
impl Core {
    /// Says how this node is to be, before the first call that needs it.
    #[napi(catch_unwind)]
    pub fn configure_mesh(&self, mut options: MeshOptions) -> Result<()> {
        let config = options.config()?;
        let tls = options.tls.map(files).transpose()?;
        if let Some(servers) = options.nats {
            // The certificates are for the connection to the server then.
            let settings = nats::Settings {
                servers,
                credentials: options.nats_credentials.map(PathBuf::from),
                tls,
            };
            return configured(nats::configure(&self.runtime, config, settings)?);
        }
        let Some([authority, certificate, key]) = tls else {
            return configured(self.runtime.configure_mesh(config));
        };
        let tls = Tls::from_files(authority, certificate, key);
        let tls = Arc::new(tls.map_err(|error| error::range(error.to_string()))?);
        configured(self.runtime.configure_mesh_over(config, tls.clone()))?;
        *self.certificates() = Some(tls);
        Ok(())
    }

    /// Changes the rules; `null`: there are none.
    #[napi(catch_unwind)]
    pub fn set_mesh_acl(&self, rules: Option<Vec<RuleObject>>) -> Result<()> {
        let node = self.runtime.node().map_err(|error| error::mesh(&error))?;
        node.set_acl(rules.map(acl));
        Ok(())
    }

    /// Changes who is refused.
    #[napi(catch_unwind)]
    pub fn set_mesh_deny(&self, peers: Vec<String>) -> Result<()> {
        let node = self.runtime.node().map_err(|error| error::mesh(&error))?;
        node.set_deny(deny(peers));
        Ok(())
    }

    /// How often a peer wanted what it may not have.
    #[napi(catch_unwind)]
    pub fn mesh_denied(&self) -> Result<f64> {
        let node = self.runtime.node().map_err(|error| error::mesh(&error))?;
        Ok(convert::count(node.denied()))
    }

    /// Reads the certificates again, or others.
    #[napi(catch_unwind)]
    pub fn reload_tls(&self, tls: Option<Vec<String>>) -> Result<()> {
        let known = self.certificates().clone().ok_or_else(|| {
            error::other("this node has no certificates: configureMesh({ tls }) comes first")
        })?;
        let read = match tls.map(files).transpose()? {
            None => known.reload(),
            Some([authority, certificate, key]) => {
                known.replace_from_files(authority, certificate, key)
            }
        };
        read.map_err(|error| error::range(error.to_string()))
    }

    /// Makes a certificate and a key for a node in a folder, signed by the authority there; the
    /// paths of the authority's certificate, the node's and its key.
    #[napi(catch_unwind)]
    pub fn make_certificates(
        folder: String,
        node: String,
        cluster: String,
        hosts: Vec<String>,
        days: u32,
    ) -> Result<Vec<String>> {
        let valid = Duration::from_hours(24) * days;
        let authority = match Authority::create(&folder) {
            Err(AuthorityError::Exists(_)) => Authority::open(&folder),
            made => made,
        };
        let issued =
            authority.and_then(|authority| authority.issue(&cluster, &node, &hosts, valid));
        let issued = issued.map_err(|error| match error {
            AuthorityError::Io { .. } => error::other(error),
            other => error::range(other.to_string()),
        })?;
        let paths = [issued.authority, issued.certificate, issued.key];
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        Ok(paths.into_iter().map(path).collect())
    }
}

impl Core {
    /// Those that connections are made with.
    fn certificates(&self) -> MutexGuard<'_, Option<Arc<Tls>>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn configured(is_new: bool) -> Result<()> {
    if is_new {
        return Ok(());
    }
    Err(error::other(
        "the node of this runtime has been used already: call configureMesh() before listen() and \
         the other calls of the mesh",
    ))
}
