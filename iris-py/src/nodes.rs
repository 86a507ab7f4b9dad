//! Processes of other nodes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iris::nodes::{Expose, Membership, NodeConfig, Pending, Secret, StaticList, Swim, Tls};
use iris::{MeshError, MonitorRef, Pid};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::convert;
use crate::error;
use crate::nats;
use crate::runtime::PyRuntime;
use crate::wait::SIGNAL_INTERVAL;

/// Waits for a node, without the GIL and open to Ctrl-C.
fn waited<T: Send>(py: Python<'_>, pending: Result<Pending<T>, MeshError>) -> PyResult<T> {
    let mut pending = pending.map_err(|error| error::mesh(py, &error))?;
    loop {
        if let Some(done) = py.detach(|| pending.wait_for(SIGNAL_INTERVAL)) {
            return done.map_err(|error| error::mesh(py, &error));
        }
        py.check_signals()?;
    }
}

fn expose(word: &str) -> PyResult<Expose> {
    match word {
        "named" => Ok(Expose::Named),
        "all" => Ok(Expose::All),
        other => Err(PyValueError::new_err(format!(
            "expose must be 'named' or 'all', not {other:?}"
        ))),
    }
}

/// A time in seconds that a node can work with.
fn seconds(name: &str, value: f64, least: f64) -> PyResult<Duration> {
    let fits = value >= least && value <= 86_400.0;
    fits.then(|| Duration::from_secs_f64(value)).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{name} must be from {least} to 86400 seconds, not {value}"
        ))
    })
}

/// One address or several: a text alone would else be a list of letters.
fn addresses(seeds: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(one) = seeds.extract() {
        return Ok(vec![one]);
    }
    seeds.extract().map_err(|_| {
        let kind = error::type_name(seeds);
        PyTypeError::new_err(format!(
            "seeds must be an address, a str, or a list of such, not {kind}"
        ))
    })
}

impl PyRuntime {
    fn configure(
        &self,
        py: Python<'_>,
        config: NodeConfig,
        tls: Option<[PathBuf; 3]>,
        nats: Option<nats::Settings<'_>>,
    ) -> PyResult<()> {
        let runtime = self.runtime(py)?;
        // With NATS they are for the connection to the server.
        let tls = tls
            .filter(|_| nats.is_none())
            .map(|[authority, certificate, key]| {
                let tls = Tls::from_files(authority, certificate, key);
                tls.map(Arc::new)
                    .map_err(|error| PyValueError::new_err(error.to_string()))
            });
        let tls = tls.transpose()?;
        let configured = match (nats, tls.clone()) {
            (Some(nats), _) => nats::configure(runtime, config, nats)?,
            (None, None) => runtime.configure_mesh(config),
            (None, Some(tls)) => runtime.configure_mesh_over(config, tls),
        };
        if configured {
            *self.tls() = tls;
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "the node of this runtime has been used already: call configure_mesh() before \
             listen() and the other calls of the mesh",
        ))
    }
}

#[pymethods]
impl PyRuntime {
    /// Says how this runtime's node is to be, before the first call that needs it.
    ///
    /// `name` is what it calls itself in the logs of others, `cluster` what nodes must have in
    /// common to talk. `advertise` is the address at which nodes of a mesh can dial it, if that is not
    /// the one that `listen` returns. `secret` (bytes, 32 random ones) is a key that peers must know.
    /// `tls` has the paths of three PEM files: the authority that peers' certificates are checked
    /// against, the node's own certificate, which names the hosts at which it is dialled, and its key.
    /// Without either a node listens on this machine only unless `insecure=True`. `expose` is
    /// `"named"`: peers reach actors that have a name, and those whose pid this node has given out; or
    /// `"all"`. `allow_spawn` lets peers start what is registered with `register_behavior`.
    ///
    /// `acl` says what peers may do, by who they have proved to be: a list of rules, of which the
    /// first whose `"peers"` fits holds, such as `{"peers": "iris://prod/web-*", "send": ["public."],
    /// "resolve": ["public."]}`. `"peers"` is the URI `iris://cluster/node` of a certificate, a DNS name
    /// of one without, or with a secret the `name` that the peer goes by; `*` is any characters, and
    /// alone everybody. `"send"` (and ask, monitor, link), `"resolve"`, `"register"` (publish for a
    /// mesh) and `"spawn"` are `True`, `False` or prefixes of names; `"exit"` (exit signals without a
    /// link) is a bool; what is left out is not granted. Without `acl` a peer may do all but spawn and
    /// exit; with it, whom no rule fits nothing. `deny` lists peers that are refused, also by
    /// `"sha256:.."`, the digest of one certificate.
    ///
    /// `allow_legacy` serves nodes of the earlier release from other machines, too. `heartbeat` is in
    /// seconds, 1 by default: a peer that is silent for three and a half times as long is gone.
    /// `resume`, 5 s by default, is for how long a lost connection may come back before all that
    /// hangs on it ends. `connect_timeout`, 5 s, is the most that a look-up takes. A peer
    /// whose Python makes no progress for `stalled_after`, 5 s, while actors there have messages, is
    /// reported as stalled (`watch_nodes`); its heartbeats do not need Python. `max_message`,
    /// in bytes, is 64 MiB. `max_links`, 1,024, is how many connections of others may be open,
    /// `max_unproven`, 256, how many of them may not have said who they are, and
    /// `max_unproven_per_ip`, 16, from one address; more close the oldest.
    ///
    /// With `nats`, addresses of NATS servers such as `"nats://user:password@host:4222"` with commas
    /// between them, nodes reach each other through those: they `listen` and are dialled at
    /// `"nats:NAME"`. `nats_credentials` is the path of a credentials file; `tls` is for the connection
    /// to the server then, and proves nothing to peers, so a `secret` is needed. NATS is
    /// built in only where iris was built with the feature `nats`.
    ///
    /// Raises `RuntimeError` once the node has been used, or if NATS is not built in, `ValueError` for
    /// values out of range.
    #[pyo3(signature = (*, name="", cluster="", advertise=None, secret=None, tls=None, nats=None, nats_credentials=None, insecure=false, expose="named", allow_spawn=false, allow_legacy=false, heartbeat=1.0, resume=5.0, connect_timeout=5.0, stalled_after=5.0, max_message=None, acl=None, deny=None, max_links=1024, max_unproven=256, max_unproven_per_ip=16))]
    #[expect(
        clippy::too_many_arguments,
        reason = "Python's keyword arguments, which it names"
    )]
    fn configure_mesh(
        &self,
        py: Python<'_>,
        name: &str,
        cluster: &str,
        advertise: Option<String>,
        secret: Option<&[u8]>,
        tls: Option<[PathBuf; 3]>,
        nats: Option<&str>,
        nats_credentials: Option<PathBuf>,
        insecure: bool,
        expose: &str,
        allow_spawn: bool,
        allow_legacy: bool,
        heartbeat: f64,
        resume: f64,
        connect_timeout: f64,
        stalled_after: f64,
        max_message: Option<u32>,
        acl: Option<&Bound<'_, PyAny>>,
        deny: Option<&Bound<'_, PyAny>>,
        max_links: usize,
        max_unproven: usize,
        max_unproven_per_ip: usize,
    ) -> PyResult<()> {
        for (what, text) in [("name", name), ("cluster", cluster)] {
            if text.len() > 255 {
                return Err(PyValueError::new_err(format!(
                    "{what} must have 255 bytes at most, not {}",
                    text.len()
                )));
            }
            if let Some(control) = text.chars().find(|c| c.is_control()) {
                return Err(PyValueError::new_err(format!(
                    "{what} must not have the control character {control:?}"
                )));
            }
        }
        for (what, limit) in [
            ("max_links", max_links),
            ("max_unproven", max_unproven),
            ("max_unproven_per_ip", max_unproven_per_ip),
        ] {
            if limit == 0 {
                return Err(PyValueError::new_err(format!("{what} must be at least 1")));
            }
        }
        if secret.is_some_and(<[u8]>::is_empty) {
            return Err(PyValueError::new_err("secret must not be empty"));
        }
        let mut config = NodeConfig {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            advertise,
            secret: secret.map(Secret::new),
            acl: acl.map(crate::acl::acl).transpose()?,
            deny: deny.map(crate::acl::deny).transpose()?.unwrap_or_default(),
            max_links,
            max_unproven,
            max_unproven_per_ip,
            insecure,
            expose: self::expose(expose)?,
            allow_spawn,
            allow_legacy,
            heartbeat: seconds("heartbeat", heartbeat, 0.01)?,
            resume: seconds("resume", resume, 0.0)?,
            connect_timeout: seconds("connect_timeout", connect_timeout, 0.001)?,
            stalled_after: seconds("stalled_after", stalled_after, 0.01)?,
            ..NodeConfig::default()
        };
        if let Some(max) = max_message {
            config.max_message = max;
        }
        let Some(servers) = nats else {
            return self.configure(py, config, tls, None);
        };
        let settings = nats::Settings {
            servers,
            credentials: nats_credentials,
            tls,
        };
        self.configure(py, config, None, Some(settings))
    }

    /// Opens an address such as `"127.0.0.1:9000"` for other nodes; returns the address that was
    /// bound, so port 0 is welcome.
    ///
    /// Beyond this machine peers have to prove who they are (`configure_mesh(secret=..)`), unless
    /// `insecure=True` says that the network is trusted. `tls` and `expose` as for `configure_mesh`.
    ///
    /// Raises `MeshError` if the address cannot be had, or if anybody on the network could send.
    #[pyo3(signature = (addr, *, tls=None, insecure=false, expose=None))]
    fn listen(
        &self,
        py: Python<'_>,
        addr: &str,
        tls: Option<[PathBuf; 3]>,
        insecure: bool,
        expose: Option<&str>,
    ) -> PyResult<String> {
        let runtime = self.runtime(py)?;
        let expose = expose.map(self::expose).transpose()?;
        if tls.is_some() {
            self.configure(py, NodeConfig::default(), tls, None)?;
        }
        let bound = waited(py, runtime.begin_listen(addr, insecure))?;
        if let Some(expose) = expose {
            let node = runtime.node().map_err(|error| error::mesh(py, &error))?;
            node.expose(expose);
        }
        Ok(bound)
    }

    /// The pid of the local actor that stands for whoever has `name`, or is at that path, at the
    /// node behind `addr`; `None` if nobody has it there.
    ///
    /// What the stand-in receives goes to the remote actor; it ends when that does, for the same
    /// reason, or with `noconnection` when the node cannot be reached any more. `send`, `call`,
    /// `ask`, `monitor` and `link` work with its pid as with any other.
    ///
    /// Waits without the GIL for 5 s at most; in coroutines use `resolve_remote_py`. Raises
    /// `MeshError` if the node cannot be asked.
    fn resolve_remote(&self, py: Python<'_>, addr: &str, name: &str) -> PyResult<Option<u64>> {
        let found = waited(py, self.runtime(py)?.begin_resolve(addr, name))?;
        Ok(found.map(Pid::raw))
    }

    /// Sends to an actor of the node behind `addr`: `pid` is its own pid there, or that of its
    /// stand-in here. `False` if the stand-in has ended. Raises `MeshError` if the node cannot be
    /// reached.
    ///
    /// That it was sent does not say that it was handled: a message that cannot be delivered
    /// becomes a dead letter.
    fn send_remote(
        &self,
        py: Python<'_>,
        addr: &str,
        pid: u64,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let (runtime, pid) = self.target(py, pid)?;
        let Some(pid) = pid else { return Ok(false) };
        let message = convert::payload(data)?;
        let stand_in = waited(py, runtime.begin_remote(addr, pid))?;
        let sent = py.detach(|| runtime.send_payload(stand_in, message));
        Ok(sent.is_ok())
    }

    /// `watcher`, or the actor that calls this, gets one DOWN system message when an actor of the
    /// node behind `addr` ends or cannot be reached any more; `pid` as for `send_remote`. Returns
    /// the monitor's reference. Raises `MeshError` if the node cannot be reached, `DeadActorError` if
    /// nobody has the pid of the watcher, `TypeError` outside of actors without a `watcher`.
    #[pyo3(signature = (addr, pid, watcher=None))]
    fn monitor_remote(
        &self,
        py: Python<'_>,
        addr: &str,
        pid: u64,
        watcher: Option<u64>,
    ) -> PyResult<u64> {
        let (runtime, pid) = self.target(py, pid)?;
        let pid = pid.ok_or_else(|| PyValueError::new_err("0 is no pid"))?;
        let watcher = match watcher {
            Some(watcher) => self.live_target(py, watcher)?.1,
            None => runtime.inside().ok_or_else(|| {
                PyTypeError::new_err(
                    "monitor_remote() outside of actors needs watcher=, the actor that is told",
                )
            })?,
        };
        let stand_in = waited(py, runtime.begin_remote(addr, pid))?;
        let monitor = runtime.monitor(watcher, stand_in);
        monitor
            .map(MonitorRef::raw)
            .map_err(|error| error::monitor(py, &error))
    }

    /// Whether the node behind `addr` answers now; dials it if there is no connection.
    fn is_node_up(&self, py: Python<'_>, addr: &str) -> PyResult<bool> {
        waited(py, self.runtime(py)?.begin_is_up(addr))
    }

    /// Joins the mesh that the nodes at `seeds` belong to: an address, or several of which one that
    /// answers is enough. This node must `listen` already. From then on members stay connected,
    /// `watch_nodes` tells who comes and goes, and `lookup` finds what is registered at any of them.
    ///
    /// `True` once another member is known. `False` if there is none within `connect_timeout`, 5 s, or
    /// if this node is the only seed: the seeds are tried on until they answer, so nodes may start in
    /// any order. Waits without the GIL. Called again, it adds seeds.
    ///
    /// With `membership="swim"` members tell each other of third ones, and one that is silent is
    /// suspected for four heartbeats before it is given up; with `"static"` the addresses in `seeds`
    /// are all that there is. With `"nats"`, which needs `configure_mesh(nats=..)`, nodes announce
    /// themselves through NATS, and `seeds` may be `[]`: then nobody is waited for.
    ///
    /// Raises `MeshError` if this node does not listen, or listens at all addresses and
    /// `configure_mesh(advertise=..)` does not say which one others can dial.
    #[pyo3(signature = (seeds, *, membership="swim"))]
    fn join_mesh(
        &self,
        py: Python<'_>,
        seeds: &Bound<'_, PyAny>,
        membership: &str,
    ) -> PyResult<bool> {
        // Those that announce themselves are found without.
        let by_itself = membership == "nats";
        let membership: Box<dyn Membership> = match membership {
            "swim" => Box::new(Swim::new()),
            "static" => Box::new(StaticList::new()),
            "nats" => {
                let runtime = self.runtime(py)?;
                let node = runtime.node().map_err(|error| error::mesh(py, &error))?;
                node.engine_membership().ok_or_else(|| {
                    PyValueError::new_err("membership='nats' needs configure_mesh(nats=..)")
                })?
            }
            other => {
                return Err(PyValueError::new_err(format!(
                    "membership must be 'swim', 'static' or 'nats', not {other:?}"
                )));
            }
        };
        let seeds = addresses(seeds)?;
        if seeds.is_empty() && !by_itself {
            return Err(PyValueError::new_err(
                "seeds must name at least one address; the first node of a mesh gives its own",
            ));
        }
        waited(py, self.runtime(py)?.begin_join(seeds, membership))
    }

    /// Who has `name`, or is at that path, here or at a node of the mesh: an actor of this runtime
    /// first, then the stand-in of who is at another node. `None` if nobody is known to have it.
    ///
    /// Asks nobody, so it may be called in handlers; a name that was registered a moment ago at
    /// another node may not have been heard of yet. With a `timeout` in seconds it waits until
    /// somebody has the name, without the GIL; in coroutines use `lookup_async`.
    ///
    /// Two nodes that give the same name both keep it, the one heard of first is found, and
    /// `watch_nodes` tells of it with `NAME_CONFLICT`. Raises `MeshError` if it is to wait and
    /// `join_mesh` was not called.
    #[pyo3(signature = (name, timeout=None))]
    fn lookup(&self, py: Python<'_>, name: &str, timeout: Option<f64>) -> PyResult<Option<u64>> {
        let runtime = self.runtime(py)?;
        let found = match timeout {
            None => py
                .detach(|| runtime.lookup(name))
                .map_err(|error| error::mesh(py, &error))?,
            Some(timeout) => {
                let timeout = seconds("timeout", timeout, 0.0)?;
                waited(py, runtime.begin_lookup(name, timeout))?
            }
        };
        Ok(found.map(Pid::raw))
    }

    /// Makes a behavior that other nodes can start here with `spawn_on`, if
    /// `configure_mesh(allow_spawn=True)` lets them. `factory(init)` gets the bytes that come with the
    /// order, spawns an actor and returns its pid, on a thread of its own where it may block; what it
    /// raises is logged here, and told to who asked. Code never comes over the wire.
    ///
    /// `False` if another was registered by that name, which is replaced. Raises `TypeError` for a
    /// factory that is not callable.
    fn register_behavior(
        &self,
        py: Python<'_>,
        name: &str,
        factory: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let factory = self.behavior_factory(factory)?;
        Ok(self.runtime(py)?.register_behavior(name, factory))
    }

    /// Has the node behind `addr` start an actor of a behavior that is registered there, with up to
    /// 64 KiB of `init`; returns the pid of the local stand-in, to be monitored, linked or stopped like
    /// any other.
    ///
    /// Waits without the GIL for `connect_timeout`, 5 s, at most. Raises `MeshError`, which says why
    /// not; if no answer came in time nobody knows whether the actor runs.
    #[pyo3(signature = (addr, behavior, init=None))]
    fn spawn_on(
        &self,
        py: Python<'_>,
        addr: &str,
        behavior: &str,
        init: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let init = init.map(convert::payload).transpose()?.unwrap_or_default();
        let pending = self.runtime(py)?.begin_spawn_on(addr, behavior, init);
        Ok(waited(py, pending)?.raw())
    }

    /// The members of the mesh that this node knows, without itself: pairs of an id and an address.
    fn mesh_members(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        let members = self.runtime(py)?.mesh_members().into_iter();
        Ok(members
            .map(|member| (member.node.to_string(), member.address))
            .collect())
    }

    /// `pid` gets a system message `NODE_UP`, `NODE_DOWN`, `NODE_STALLED` or `NODE_MOVING` with the
    /// `node`'s name when something happens to another node, and `NAME_CONFLICT` with a `detail` when
    /// two have given the same name. With `heartbeats=True` also `HEARTBEAT` for each sign of life of
    /// each node, one a second unless configured otherwise, with the round trip as `detail`. `False` if
    /// it does so already.
    #[pyo3(signature = (pid, *, heartbeats=false))]
    fn watch_nodes(&self, py: Python<'_>, pid: u64, heartbeats: bool) -> PyResult<bool> {
        let (runtime, pid) = self.live_target(py, pid)?;
        Ok(if heartbeats {
            runtime.watch_heartbeats(pid)
        } else {
            runtime.watch_nodes(pid)
        })
    }

    /// Allows other nodes to reach an actor that has no name by its pid.
    fn export(&self, py: Python<'_>, pid: u64) -> PyResult<()> {
        let (runtime, pid) = self.live_target(py, pid)?;
        runtime.export(pid).map_err(|error| error::mesh(py, &error))
    }

    /// Changes the rules of `configure_mesh(acl=..)`; `None`: there are none. They hold for all that
    /// peers want from now on.
    fn set_mesh_acl(&self, py: Python<'_>, acl: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let acl = acl.map(crate::acl::acl).transpose()?;
        let node = self.runtime(py)?.node();
        node.map_err(|error| error::mesh(py, &error))?.set_acl(acl);
        Ok(())
    }

    /// Changes who is refused, `configure_mesh(deny=..)`. Connections with peers that are refused now
    /// end at once.
    fn set_mesh_deny(&self, py: Python<'_>, deny: &Bound<'_, PyAny>) -> PyResult<()> {
        let deny = crate::acl::deny(deny)?;
        let node = self.runtime(py)?.node();
        let node = node.map_err(|error| error::mesh(py, &error))?;
        py.detach(|| node.set_deny(deny));
        Ok(())
    }

    /// How often a peer wanted what it may not have.
    fn mesh_denied(&self, py: Python<'_>) -> PyResult<u64> {
        let node = self.runtime(py)?.node();
        Ok(node.map_err(|error| error::mesh(py, &error))?.denied())
    }

    /// Reads the certificates again, from the files of `configure_mesh(tls=..)` or from these. They
    /// hold for connections that are made from now on; those that there are stay.
    ///
    /// Raises `ValueError` if they cannot be used, and nothing has changed then; `RuntimeError` if
    /// the node has no certificates.
    #[pyo3(signature = (tls=None))]
    fn reload_tls(&self, py: Python<'_>, tls: Option<[PathBuf; 3]>) -> PyResult<()> {
        self.runtime(py)?;
        let known = self.tls().clone().ok_or_else(|| {
            PyRuntimeError::new_err(
                "this node has no certificates: configure_mesh(tls=..) comes first",
            )
        })?;
        let read = py.detach(|| match tls {
            None => known.reload(),
            Some([authority, certificate, key]) => {
                known.replace_from_files(authority, certificate, key)
            }
        });
        read.map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The nodes that there are connections to: pairs of an id and what they call themselves.
    fn nodes(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        let runtime = self.runtime(py)?;
        let node = runtime.node().map_err(|error| error::mesh(py, &error))?;
        let peers = node.peers().into_iter();
        Ok(peers.map(|(id, name)| (id.to_string(), name)).collect())
    }
}
