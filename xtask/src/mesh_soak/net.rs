//! Places for the nodes of a soak: network namespaces where the machine allows them.
//!
//! ```text
//!   ns 0: eth0 10.231.0.1        ns 1: eth0 10.231.0.2        ns 2: eth0 10.231.0.3
//!          |                            |                            |
//!          '---- v0 ----- bridge namespace: br0 ----- v1 ------------'---- v2
//! ```
//!
//! A guardian removes them when this process ends, in whatever way: a shell in a process group of
//! its own, which waits for the end of its input and so needs no signal handler here.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::tools::Error;

/// Where nodes listen, each in its namespace, or all on this machine.
const PORT: u16 = 42_310;

/// The network of a soak.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    namespaces: Option<Namespaces>,
    /// Whether links can be slowed.
    netem: bool,
}

#[derive(Debug)]
struct Namespaces {
    prefix: String,
    guardian: Child,
}

impl Network {
    /// Namespaces for so many nodes; without the rights or the tools for them the nodes stand
    /// beside each other on loopback, and what is missing is printed.
    pub(crate) fn lay(nodes: usize) -> Result<Self, Error> {
        let mut network = Self {
            nodes,
            namespaces: None,
            netem: false,
        };
        let prefix = format!("iris-soak-{}", std::process::id());
        let names = (0..=nodes).map(|at| format!("{prefix}-{at}"));
        let names: Vec<_> = names.collect();
        let probe = ip(&["netns", "add", &names[0]]);
        if let Err(why) = probe {
            println!(
                "xtask: no network namespaces ({why}); nodes are killed, links are neither cut nor \
                 slowed (needs `ip` of iproute2, and root)"
            );
            return Ok(network);
        }
        let guardian = guard(&names)?;
        network.namespaces = Some(Namespaces { prefix, guardian });
        let missing = |why: String| Error::Missing(format!("the soak's network: {why}"));
        network.connect().map_err(missing)?;
        // Without the kernel's module `tc` alone is of no use.
        match network.slow(0, true).and_then(|()| network.slow(0, false)) {
            Ok(()) => network.netem = true,
            Err(why) => println!("xtask: no `tc netem` ({why}); links are cut, but not slowed"),
        }
        Ok(network)
    }

    /// The bridge is in the namespace behind those of the nodes.
    fn namespace(&self, at: usize) -> String {
        let prefix = self.namespaces.as_ref().map_or("", |all| &all.prefix);
        format!("{prefix}-{at}")
    }

    fn connect(&self) -> Result<(), String> {
        let bridge = self.namespace(self.nodes);
        ip(&["netns", "add", &bridge])?;
        ip(&["-n", &bridge, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &bridge, "link", "set", "br0", "up"])?;
        for at in 0..self.nodes {
            let own = self.namespace(at);
            if at > 0 {
                ip(&["netns", "add", &own])?;
            }
            let (port, address) = (format!("v{at}"), format!("{}/24", host(at)));
            ip(&[
                "-n", &bridge, "link", "add", &port, "type", "veth", "peer", "name", "eth0",
                "netns", &own,
            ])?;
            ip(&["-n", &bridge, "link", "set", &port, "master", "br0"])?;
            ip(&["-n", &bridge, "link", "set", &port, "up"])?;
            ip(&["-n", &own, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &own, "link", "set", "eth0", "up"])?;
            ip(&["-n", &own, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// Where a node listens.
    pub(crate) fn address(&self, node: usize) -> String {
        if self.namespaces.is_some() {
            return format!("{}:{PORT}", host(node));
        }
        let port = usize::from(PORT) + node;
        format!("127.0.0.1:{port}")
    }

    /// A command that runs `program` where a node stands; its process is that of the program.
    pub(crate) fn command(&self, node: usize, program: &std::path::Path) -> Command {
        if self.namespaces.is_none() {
            return Command::new(program);
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(node)]);
        command.arg(program);
        command
    }

    /// Whether links can be cut.
    pub(crate) fn can_cut(&self) -> bool {
        self.namespaces.is_some()
    }

    /// Whether links can be slowed.
    pub(crate) fn can_slow(&self) -> bool {
        self.netem
    }

    /// Takes a node's link down, or up again.
    pub(crate) fn cut(&self, node: usize, cut: bool) -> Result<(), String> {
        let bridge = self.namespace(self.nodes);
        let state = if cut { "down" } else { "up" };
        ip(&["-n", &bridge, "link", "set", &format!("v{node}"), state])
    }

    /// Makes what a node sends slow and lossy, or as it was.
    pub(crate) fn slow(&self, node: usize, slow: bool) -> Result<(), String> {
        let own = self.namespace(node);
        let mut args = vec!["-n", &own, "qdisc"];
        if slow {
            args.extend(["add", "dev", "eth0", "root", "netem"]);
            args.extend(["delay", "30ms", "10ms", "loss", "1%"]);
        } else {
            args.extend(["del", "dev", "eth0", "root"]);
        }
        run("tc", &args)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(Namespaces { guardian, .. }) = &mut self.namespaces {
            drop(guardian.stdin.take());
            drop(guardian.wait());
        }
    }
}

fn host(node: usize) -> String {
    format!("10.231.0.{}", node + 1)
}

/// Starts who removes the namespaces at the end.
fn guard(names: &[String]) -> Result<Child, Error> {
    let deletes: Vec<_> = names
        .iter()
        .map(|name| format!("ip netns del {name} 2>/dev/null"))
        .collect();
    let script = format!(
        "trap '' HUP INT TERM; cat >/dev/null; {}",
        deletes.join("; ")
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .stdin(Stdio::piped())
        // Ctrl-C is for the foreground's group.
        .process_group(0);
    let start = |source| Error::Start {
        program: "sh".into(),
        source,
    };
    let mut guardian = command.spawn().map_err(start)?;
    if let Some(stdin) = &mut guardian.stdin {
        drop(stdin.flush());
    }
    Ok(guardian)
}

fn ip(args: &[&str]) -> Result<(), String> {
    run("ip", args)
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|error| format!("`{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}`: {}", args.join(" "), why.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_namespaces_nodes_stand_on_loopback() {
        let network = Network {
            nodes: 3,
            namespaces: None,
            netem: false,
        };
        assert_eq!(network.address(2), "127.0.0.1:42312");
        assert!(!network.can_cut() && !network.can_slow());
        let command = network.command(1, std::path::Path::new("node"));
        assert_eq!(command.get_program(), "node");
    }

    #[test]
    fn a_tool_that_is_missing_is_named() {
        let why = run("iris-has-no-such-tool", &[]).expect_err("there is none");
        assert!(why.starts_with("`iris-has-no-such-tool`: "), "{why}");
    }
}
