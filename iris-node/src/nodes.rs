//! Actors of other nodes.

use std::sync::Arc;
use std::time::Duration;

use iris::core::Pid;
use iris::nodes::{Expose, Membership, NodeConfig, Pending, Secret, StaticList, Swim, Tls};
use iris::{MeshError, Payload};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error::{self, Told};
use crate::news::{News, Outcome, Value};

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
    /// Whether it listens beyond this machine without either.
    pub insecure: Option<bool>,
    /// `named` or `all`.
    pub expose: Option<String>,
    /// Whether peers may start registered behaviors.
    pub allow_spawn: Option<bool>,
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
}

impl Core {
    /// Settles a promise with what a node was asked for.
    fn asked<T: Send + 'static>(
        &self,
        ticket: u32,
        begun: std::result::Result<Pending<T>, MeshError>,
        value: impl FnOnce(T) -> Value + Send + 'static,
    ) {
        self.tried(ticket, begun, |done| Ok(value(done)));
    }

    /// As `asked`, with what may come to nothing.
    fn tried<T: Send + 'static>(
        &self,
        ticket: u32,
        begun: std::result::Result<Pending<T>, MeshError>,
        outcome: impl FnOnce(T) -> Outcome + Send + 'static,
    ) {
        match begun {
            Ok(pending) => {
                let settled = async move {
                    let done = pending.await.map_err(|error| error::mesh(&error))?;
                    outcome(done)
                };
                self.promise(ticket, Box::pin(settled));
            }
            Err(error) => self.settle_now(ticket, Err(error::mesh(&error))),
        }
    }

    fn settle_now(&self, ticket: u32, outcome: Outcome) {
        self.lane.tell(News::Settled(ticket, outcome));
    }
}

fn found(pid: Option<Pid>) -> Value {
    pid.map_or(Value::Null, |pid| Value::Number(convert::number(pid)))
}

fn expose(word: &str) -> Result<Expose> {
    match word {
        "named" => Ok(Expose::Named),
        "all" => Ok(Expose::All),
        other => Err(error::range(format!(
            "expose must be 'named' or 'all', not {other:?}"
        ))),
    }
}

#[napi]
impl Core {
    /// Says how this node is to be, before the first call that needs it.
    #[napi(catch_unwind)]
    pub fn configure_mesh(&self, options: MeshOptions) -> Result<()> {
        let MeshOptions {
            name,
            cluster,
            advertise,
            secret,
            tls,
            insecure,
            expose,
            allow_spawn,
            heartbeat,
            resume,
            connect_timeout,
            stalled_after,
            max_message,
        } = options;
        let mut config = NodeConfig {
            name: name.unwrap_or_default(),
            cluster: cluster.unwrap_or_default(),
            advertise,
            secret: secret.map(|secret| Secret::new(&secret)),
            insecure: insecure.unwrap_or(false),
            allow_spawn: allow_spawn.unwrap_or(false),
            ..NodeConfig::default()
        };
        if let Some(word) = expose {
            config.expose = self::expose(&word)?;
        }
        let set = |place: &mut Duration, seconds: Option<f64>| {
            if let Some(seconds) = seconds {
                *place = convert::seconds(seconds);
            }
        };
        set(&mut config.heartbeat, heartbeat);
        set(&mut config.resume, resume);
        set(&mut config.connect_timeout, connect_timeout);
        set(&mut config.stalled_after, stalled_after);
        if let Some(max) = max_message {
            config.max_message = max;
        }
        let configured = match tls.as_deref() {
            None => self.runtime.configure_mesh(config),
            Some([authority, certificate, key]) => {
                let tls = Tls::from_files(authority, certificate, key);
                let tls = tls.map_err(|error| error::range(error.to_string()))?;
                self.runtime.configure_mesh_over(config, Arc::new(tls))
            }
            Some(_) => return Err(error::range("tls must be three paths: ca, cert and key")),
        };
        if configured {
            return Ok(());
        }
        Err(error::other(
            "the node of this runtime has been used already: call configureMesh() before listen() \
             and the other calls of the mesh",
        ))
    }

    /// Opens an address; settles a promise with the one that was bound.
    #[napi(catch_unwind)]
    pub fn listen(&self, ticket: u32, addr: String, insecure: bool) {
        self.asked(
            ticket,
            self.runtime.begin_listen(&addr, insecure),
            Value::Text,
        );
    }

    /// Whom peers reach.
    #[napi(catch_unwind)]
    pub fn expose(&self, word: String) -> Result<()> {
        let exposed = expose(&word)?;
        let node = self.runtime.node().map_err(|error| error::mesh(&error))?;
        node.expose(exposed);
        Ok(())
    }

    /// Settles a promise with the stand-in of who has a name at another node.
    #[napi(catch_unwind)]
    pub fn resolve_remote(&self, ticket: u32, addr: String, name: String) {
        self.asked(ticket, self.runtime.begin_resolve(&addr, &name), found);
    }

    /// Sends to an actor of another node; settles a promise with whether it was accepted.
    #[napi(catch_unwind)]
    pub fn send_remote(&self, ticket: u32, addr: String, pid: f64, bytes: &[u8]) {
        let Some(pid) = convert::pid(pid) else {
            return self.settle_now(ticket, Ok(Value::Bool(false)));
        };
        let (runtime, message) = (self.runtime.clone(), Payload::copy_of(bytes));
        self.asked(
            ticket,
            self.runtime.begin_remote(&addr, pid),
            move |stand_in| Value::Bool(runtime.try_send_payload(stand_in, message).is_ok()),
        );
    }

    /// Has `watcher` told of the end of an actor of another node; settles a promise with the
    /// monitor's number.
    #[napi(catch_unwind)]
    pub fn monitor_remote(&self, ticket: u32, addr: String, pid: f64, watcher: f64) {
        let (Some(pid), Some(watcher)) = (convert::pid(pid), convert::pid(watcher)) else {
            let told = Told::new("RANGE", "0 is no pid");
            return self.settle_now(ticket, Err(told));
        };
        let runtime = self.runtime.clone();
        self.tried(
            ticket,
            self.runtime.begin_remote(&addr, pid),
            move |stand_in| {
                let monitor = runtime.monitor(watcher, stand_in);
                let monitor = monitor.map_err(|error| error::monitor(&error))?;
                Ok(Value::Number(convert::count(monitor.raw())))
            },
        );
    }

    /// Settles a promise with whether a node answers.
    #[napi(catch_unwind)]
    pub fn is_node_up(&self, ticket: u32, addr: String) {
        self.asked(ticket, self.runtime.begin_is_up(&addr), Value::Bool);
    }

    /// Joins a mesh; settles a promise with whether another member is known.
    #[napi(catch_unwind)]
    pub fn join_mesh(&self, ticket: u32, seeds: Vec<String>, membership: String) -> Result<()> {
        let membership: Box<dyn Membership> = match membership.as_str() {
            "swim" => Box::new(Swim::new()),
            "static" => Box::new(StaticList::new()),
            other => {
                return Err(error::range(format!(
                    "membership must be 'swim' or 'static', not {other:?}"
                )));
            }
        };
        self.asked(
            ticket,
            self.runtime.begin_join(seeds, membership),
            Value::Bool,
        );
        Ok(())
    }

    /// Who has a name here or in the mesh.
    #[napi(catch_unwind)]
    pub fn lookup(&self, name: String) -> Result<Option<f64>> {
        let found = self.runtime.lookup(&name);
        let found = found.map_err(|error| error::mesh(&error))?;
        Ok(found.map(convert::number))
    }

    /// Settles a promise with who has a name, as soon as somebody has.
    #[napi(catch_unwind)]
    pub fn lookup_within(&self, ticket: u32, name: String, seconds: f64) {
        let patience = convert::seconds(seconds);
        self.asked(ticket, self.runtime.begin_lookup(&name, patience), found);
    }

    /// Has another node start a registered behavior; settles a promise with its stand-in.
    #[napi(catch_unwind)]
    pub fn spawn_on(&self, ticket: u32, addr: String, behavior: String, init: &[u8]) {
        let init = Payload::copy_of(init).into_bytes();
        let begun = self.runtime.begin_spawn_on(&addr, &behavior, init);
        self.asked(ticket, begun, |pid| Value::Number(convert::number(pid)));
    }

    /// The members of the mesh without this node: ids and addresses in turns.
    #[napi(catch_unwind)]
    pub fn mesh_members(&self) -> Vec<String> {
        let members = self.runtime.mesh_members().into_iter();
        members
            .flat_map(|member| [member.node.to_string(), member.address])
            .collect()
    }

    /// The nodes that there are connections to: ids and names in turns.
    #[napi(catch_unwind)]
    pub fn nodes(&self) -> Result<Vec<String>> {
        let node = self.runtime.node().map_err(|error| error::mesh(&error))?;
        let peers = node.peers().into_iter();
        Ok(peers
            .flat_map(|(id, name)| [id.to_string(), name])
            .collect())
    }

    /// Has an actor told what happens to other nodes; `false` if it is told.
    #[napi(catch_unwind)]
    pub fn watch_nodes(&self, pid: f64, heartbeats: bool) -> Result<bool> {
        let (runtime, pid) = self.live(pid)?;
        Ok(if heartbeats {
            runtime.watch_heartbeats(pid)
        } else {
            runtime.watch_nodes(pid)
        })
    }

    /// Allows other nodes to reach an actor that has no name by its pid.
    #[napi(catch_unwind)]
    pub fn export(&self, pid: f64) -> Result<()> {
        let (runtime, pid) = self.live(pid)?;
        let exported = runtime.export(pid);
        exported.map_err(|error| error::mesh(&error).into())
    }
}
