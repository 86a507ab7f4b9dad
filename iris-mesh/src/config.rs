//! What a node is called, whom it trusts, how long it waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use iris_wire::handshake::{Auth, Mac};
use iris_wire::limits::DEFAULT_MAX_MESSAGE;
use iris_wire::{NodeId, legacy::Dialect};
use ring::hmac;

use crate::acl::{Acl, Peers};

/// Which local processes peers may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expose {
    /// Those that have a name, and those whose pid this node has given out itself.
    #[default]
    Named,
    /// All, for whoever knows or guesses a pid.
    All,
}

/// A key that all nodes of a cluster know, to prove themselves with.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// HMAC-SHA256 with these bytes as the key. Use 32 random ones.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl Mac for Secret {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut code = [0; 32];
        code.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        code
    }

    fn verify(&self, message: &[u8], code: &[u8; 32]) -> bool {
        hmac::verify(&self.0, message, code).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A node's settings. `NodeConfig::default()` is fit for one machine.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What it calls itself in logs of others; not unique.
    pub name: String,
    /// The cluster that it belongs to; nodes of another are refused.
    pub cluster: String,
    /// Which node it is; random unless given.
    pub node_id: Option<NodeId>,
    /// Which start of the node it is: a later one has a greater number, and takes the place of an
    /// earlier one at all peers. The time in microseconds unless given; where the clock may be set
    /// back, a count that outlives restarts is the better choice.
    pub incarnation: Option<u64>,
    /// The key that peers must know, if any.
    pub secret: Option<Secret>,
    /// Where nodes of the mesh that it joins can dial it; the address that was bound unless given.
    pub advertise: Option<String>,
    /// What peers may do, by who they have proved to be; unless given, whoever is admitted may do
    /// what [`Rights::ADMITTED`](crate::Rights::ADMITTED) says, and what
    /// [`allow_spawn`](Self::allow_spawn) adds.
    pub acl: Option<Acl>,
    /// Peers that are refused whatever they prove, such as those whose keys were stolen.
    pub deny: Vec<Peers>,
    /// Whether it may listen beyond this machine without TLS and without a key. The variable
    /// `IRIS_MESH_INSECURE=1` of the environment says so, too. Each start is logged as a warning.
    pub insecure: bool,
    /// Which local processes peers may reach.
    pub expose: Expose,
    /// Whether peers may start processes of the behaviors that are registered here; with an
    /// [`acl`](Self::acl) its `spawn` rights say so instead.
    pub allow_spawn: bool,
    /// Whether peers with the original packets are served that are not on this machine.
    pub allow_legacy: bool,
    /// How diallers of the original packets begin.
    pub dialect: Dialect,
    /// It sends something at least this often; a peer that is silent for three and a half times
    /// as long is gone. 1 s.
    pub heartbeat: Duration,
    /// For how long a lost connection may come back before all that hangs on it ends; 5 s.
    pub resume: Duration,
    /// How long dialling, with all that belongs to it, may take; 5 s.
    pub connect_timeout: Duration,
    /// The longest message that it takes, in bytes; 64 MiB.
    pub max_message: u32,
    /// A peer whose guest lane makes no progress for so long counts as stalled; 5 s.
    pub stalled_after: Duration,
    /// Its threads: each handful of busy peers needs one, and more than one cost each question and
    /// its answer a few wake-ups between them. 1 on a machine of two CPUs or less, else 2.
    pub threads: usize,
    /// How long a thread of the node stays awake for what follows on a question or an answer, at
    /// the price of that much of a CPU each time: waking it takes longer than most answers do. 50 us;
    /// none on a machine with one CPU.
    pub linger: Duration,
    /// Links that were accepted at one time; 1,024. Where there is no place for another, that of
    /// a link which has not proved who it is, or of an idle one with the original packets, is taken;
    /// sessions keep theirs.
    pub max_links: usize,
    /// Links at one time that have not proved who they are; 256. The oldest goes for a new one.
    pub max_unproven: usize,
    /// Those of one IP address (of IPv6, one network of 64 bits), this machine's own included; 16.
    /// The oldest goes for a new one, and a dialler whose link was closed so tries again.
    pub max_unproven_per_ip: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            name: String::new(),
            cluster: String::new(),
            node_id: None,
            incarnation: None,
            secret: None,
            advertise: None,
            acl: None,
            deny: Vec::new(),
            insecure: false,
            expose: Expose::default(),
            allow_spawn: false,
            allow_legacy: false,
            dialect: Dialect::default(),
            heartbeat: Duration::from_secs(1),
            resume: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            max_message: DEFAULT_MAX_MESSAGE,
            stalled_after: Duration::from_secs(5),
            threads: 1 + usize::from(cpus > 2),
            linger: Duration::from_micros(if cpus > 1 { 50 } else { 0 }),
            max_links: 1024,
            max_unproven: 256,
            max_unproven_per_ip: 16,
        }
    }
}

impl NodeConfig {
    pub(crate) fn auth(&self, secure_transport: bool, binding: &[u8]) -> Auth {
        match &self.secret {
            Some(secret) => Auth::Psk {
                key: Arc::new(secret.clone()),
                binding: binding.to_vec(),
            },
            None if secure_transport => Auth::Tls,
            None => Auth::Open,
        }
    }
}
