//! Actors of other nodes.

use iris::core::Pid;
use iris::nodes::{Membership, Pending, StaticList, Swim};
use iris::{MeshError, Payload};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error::{self, Told};
use crate::news::{News, Outcome, Value};
use crate::settings;

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

#[napi]
impl Core {
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
        let exposed = settings::expose(&word)?;
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
            "nats" => {
                let node = self.runtime.node().map_err(|error| error::mesh(&error))?;
                node.engine_membership().ok_or_else(|| {
                    error::range("membership 'nats' needs configureMesh({ nats: .. })")
                })?
            }
            other => {
                return Err(error::range(format!(
                    "membership must be 'swim', 'static' or 'nats', not {other:?}"
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
