//! `cargo xtask soak --mesh`: three nodes in processes of their own, which are killed and cut off
//! from each other again and again, with an exact account of all messages and monitors at the
//! end.
//!
//! The first node is never killed: its account has no excuse, and its memory must stay flat.

mod account;
mod net;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::tools::{self, Error, Workspace};
use account::{Account, Life, Sum};
use net::Network;

const NODES: usize = 3;

/// All is told within this time after the faults, or it is lost.
const TOLD: Duration = Duration::from_mins(1);

/// Memory that the first node may gain between the second and the last quarter of a run: a
/// twentieth, and what an allocator may keep for itself.
const GROWTH: (u64, u64) = (20, 8 << 20);

/// Runs it for so many minutes.
pub(crate) fn run(workspace: &Workspace, minutes: u64, seed: u64) -> Result<(), Error> {
    println!("xtask: soak --mesh --minutes {minutes} --seed {seed}");
    let mut cargo = workspace.cargo(None);
    cargo.args(["build", "--release", "--locked", "--quiet"]);
    cargo.args(["-p", "iris-testkit", "--example", "soak_node"]);
    tools::run(&mut cargo, "the build of the soak's node")?;
    let dir = workspace.path("target/soak-mesh");
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;

    let mut soak = Soak {
        // Last: the nodes go before the places where they stand.
        nodes: Vec::new(),
        program: workspace.path("target/release/examples/soak_node"),
        dir,
        killed: Vec::new(),
        cuts: 0,
        slowed: 0,
        memory: Vec::new(),
        random: Random(seed),
        network: Network::lay(NODES)?,
    };
    for node in 0..NODES {
        let started = soak.start(node, 1)?;
        soak.nodes.push(started);
    }
    soak.disturb(Duration::from_mins(minutes))?;
    soak.finish()
}

struct Soak {
    nodes: Vec<Running>,
    program: PathBuf,
    dir: PathBuf,
    killed: Vec<Life>,
    cuts: usize,
    slowed: usize,
    /// Resident bytes of the first node, each second.
    memory: Vec<u64>,
    random: Random,
    network: Network,
}

/// A process of a node.
struct Running {
    life: Life,
    child: Child,
    said: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What happens to a link, and until when.
struct Disturbed {
    node: usize,
    until: Instant,
    slow: bool,
}

impl Soak {
    fn start(&self, node: usize, start: u16) -> Result<Running, Error> {
        let number = u8::try_from(node).expect("a few nodes");
        let life = (number, start);
        let mut command = self.network.command(node, &self.program);
        command.args([number.to_string(), start.to_string()]);
        command.arg(self.network.address(node));
        command.arg(file(&self.dir, life));
        for peer in (0..NODES).filter(|&peer| peer != node) {
            command.arg(self.network.address(peer));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let failed = |source| Error::Start {
            program: self.program.clone().into(),
            source,
        };
        let mut child = command.spawn().map_err(failed)?;
        let (say, said) = channel();
        let out = child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Running { life, child, said })
    }

    /// Kills nodes and cuts links for that long.
    fn disturb(&mut self, time: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        // Every 5 to 30 s; more often in a run of a few minutes.
        let scale = time.as_secs().clamp(60, 600);
        let pause =
            |random: &mut Random| Duration::from_millis(random.within(5_000, 30_000) * scale / 600);
        let mut next_kill = begun + pause(&mut self.random);
        let mut next_link = begun + pause(&mut self.random);
        let mut restart: Option<(usize, Instant)> = None;
        let mut disturbed: Option<Disturbed> = None;
        while begun.elapsed() < time {
            thread::sleep(Duration::from_millis(100));
            let now = Instant::now();
            self.look(begun)?;
            if let Some((node, at)) = restart
                && at <= now
            {
                let next = self.nodes[node].life.1 + 1;
                self.nodes[node] = self.start(node, next)?;
                restart = None;
            }
            if next_kill <= now && restart.is_none() {
                next_kill = now + pause(&mut self.random);
                let node = 1 + usize::try_from(self.random.within(0, 2)).unwrap_or(0);
                self.kill(node)?;
                // At once, or after the others have given it up.
                let down = self.random.within(0, 6_000);
                restart = Some((node, now + Duration::from_millis(down)));
            }
            if let Some(over) = disturbed.take_if(|it| it.until <= now) {
                self.link(&over, false)?;
            }
            if next_link <= now && disturbed.is_none() && self.network.can_cut() {
                next_link = now + pause(&mut self.random);
                let begins = Disturbed {
                    node: usize::try_from(self.random.within(0, 3)).unwrap_or(0),
                    until: now + Duration::from_millis(self.random.within(200, 8_000)),
                    slow: self.network.can_slow() && self.random.within(0, 3) == 0,
                };
                self.link(&begins, true)?;
                disturbed = Some(begins);
            }
        }
        if let Some(over) = disturbed {
            self.link(&over, false)?;
        }
        if let Some((node, _)) = restart {
            let next = self.nodes[node].life.1 + 1;
            self.nodes[node] = self.start(node, next)?;
        }
        Ok(())
    }

    /// A node that has ended by itself is a failure; the memory of the first one is noted.
    fn look(&mut self, begun: Instant) -> Result<(), Error> {
        for node in &mut self.nodes {
            let ended = node.child.try_wait();
            if let Ok(Some(status)) = ended
                && !self.killed.contains(&node.life)
            {
                let what = format!("node {:?}", node.life);
                return Err(Error::Status { what, status });
            }
        }
        if self.memory.len() < usize::try_from(begun.elapsed().as_secs()).unwrap_or(0) {
            self.memory.extend(resident(self.nodes[0].child.id()));
        }
        Ok(())
    }

    /// As `kill -9` does.
    fn kill(&mut self, node: usize) -> Result<(), Error> {
        let running = &mut self.nodes[node];
        self.killed.push(running.life);
        running.child.kill().map_err(Error::io("kill a node"))?;
        running.child.wait().map_err(Error::io("wait for a node"))?;
        Ok(())
    }

    fn link(&mut self, change: &Disturbed, begins: bool) -> Result<(), Error> {
        let changed = if change.slow {
            self.slowed += usize::from(begins);
            self.network.slow(change.node, begins)
        } else {
            self.cuts += usize::from(begins);
            self.network.cut(change.node, begins)
        };
        changed.map_err(|why| Error::Missing(format!("a link cannot be changed: {why}")))
    }

    fn tell(&mut self, word: &str) -> Result<(), Error> {
        for node in &mut self.nodes {
            let input = node.child.stdin.as_mut().expect("it is piped");
            writeln!(input, "{word}").map_err(Error::io("tell a node"))?;
        }
        Ok(())
    }

    fn account(&self) -> Account {
        let mut account = Account::default();
        account.killed.extend(self.killed.iter().copied());
        let lives = self
            .killed
            .iter()
            .chain(self.nodes.iter().map(|it| &it.life));
        for &life in lives {
            // A life may have been killed before it had a file.
            let bytes = fs::read(file(&self.dir, life)).unwrap_or_default();
            account.read(life, &bytes);
        }
        account
    }

    /// Everything comes to its end, and is added up.
    fn finish(mut self) -> Result<(), Error> {
        self.tell("quiet")?;
        self.wait(|soak| soak.account().open().0 == 0)?;
        self.tell("end")?;
        self.wait(|soak| soak.account().open() == (0, 0))?;
        let sum = self.account().sum();
        let words: usize = self.nodes.iter().map(|it| it.said.try_iter().count()).sum();
        println!(
            "{} messages accepted by nodes that lived: {} delivered, {} returned, {} gone with a \
             node that was killed; {} more delivered from nodes that were killed",
            sum.accepted, sum.delivered, sum.returned, sum.gone, sum.from_killed
        );
        println!(
            "{} kills, {} links cut, {} slowed; {} DOWNs; {words} signs of life",
            self.killed.len(),
            self.cuts,
            self.slowed,
            sum.downs
        );
        self.judge(sum)
    }

    fn judge(&self, mut sum: Sum) -> Result<(), Error> {
        let quarter = self.memory.len() / 4;
        if quarter > 0 {
            let quarters: Vec<u64> = self.memory.chunks_exact(quarter).map(median).collect();
            let kib: Vec<u64> = quarters.iter().map(|bytes| bytes >> 10).collect();
            println!("memory of the first node in KiB, by quarters of the run: {kib:?}");
            let (early, late) = (quarters[1], quarters[3]);
            if late > early + early / GROWTH.0 + GROWTH.1 {
                sum.breaks.push("memory is not flat".to_owned());
            }
        }
        if sum.delivered == 0 || sum.downs == 0 || (self.killed.is_empty() && self.cuts == 0) {
            sum.breaks.push("nothing has happened".to_owned());
        }
        for text in &sum.breaks {
            println!("  {text}");
        }
        match sum.breaks.len() {
            0 => Ok(()),
            count => Err(Error::Findings {
                check: "the soak",
                count,
            }),
        }
    }

    /// Waits until something is so, or for as long as it may take: then the sum tells.
    fn wait(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let begun = Instant::now();
        while begun.elapsed() < TOLD {
            self.look(begun)?;
            if is_so(self) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }
}

fn file(dir: &Path, (node, start): Life) -> PathBuf {
    dir.join(format!("{node}-{start}.account"))
}

/// The resident memory of a process in bytes, where the system tells.
fn resident(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn median(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    /// A number from `from` to below `to`.
    fn within(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        from + (mixed ^ (mixed >> 31)) % (to - from)
    }
}
