//! Runs one schedule.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use iris_testkit::{Account, Break, Chaos, Faults, History, Simulated, Witness as _};
use turmoil::Sim;

use crate::host::{self, Host, Shared, phase};
use crate::schedule::{Event, Fault, Kind, Schedule};

/// The network's clock moves in such steps.
const TICK: Duration = Duration::from_millis(5);

/// Simulated time within which nodes find each other once all faults are over. The slowest of some
/// thousand schedules took 2.6 s.
const FOUND: Duration = Duration::from_secs(4);

/// The same for members of a mesh that have declared each other down: the slowest took 11 s.
const FOUND_AGAIN: Duration = Duration::from_secs(20);

/// Simulated time within which all is told then.
const TOLD: Duration = Duration::from_secs(30);

/// What went wrong, and in what schedule.
#[derive(Debug)]
pub(crate) struct Failure {
    schedule: Schedule,
    breaks: Vec<Break>,
}

/// Runs the schedule of a seed.
pub(crate) fn run(seed: u64, verbose: bool) -> Result<Account, Box<Failure>> {
    let schedule = Schedule::of(seed);
    if verbose {
        println!("{schedule:#?}");
    }
    let history = Arc::new(History::new());
    let hosts = (0..schedule.nodes).map(|index| {
        let seed = seed ^ (0xC0_FFEE << 16) ^ index as u64;
        Host::new(Chaos::new(
            Arc::new(Simulated),
            seed,
            schedule.links.clone(),
        ))
    });
    let shared = Arc::new(Shared {
        hosts: hosts.collect(),
        schedule,
        history,
        phase: AtomicU8::new(phase::TALK),
    });
    let mut driver = Driver::new(shared.clone());
    driver.talk();
    driver.heal();
    driver.find();
    driver.end();
    // The simulation goes first: what its end does to nodes is not of interest.
    let outcome = shared.history.check();
    drop(driver);
    outcome.map_err(|breaks| {
        let schedule = shared.schedule.clone();
        Box::new(Failure { schedule, breaks })
    })
}

struct Driver {
    sim: Sim<'static>,
    shared: Arc<Shared>,
    /// Hosts that do not run, or not in a way that counts.
    down: Vec<bool>,
}

impl Driver {
    fn new(shared: Arc<Shared>) -> Self {
        let schedule = &shared.schedule;
        let mut sim = turmoil::Builder::new()
            // What waits on a link that is held comes at once when it is let go of.
            .tcp_capacity(4096)
            .rng_seed(schedule.seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_hours(1))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(schedule.latency)
            .enable_random_order()
            .build();
        for index in 0..schedule.nodes {
            let shared = shared.clone();
            sim.host(format!("n{index}"), move || {
                host::live(shared.clone(), index)
            });
        }
        let down = vec![false; schedule.nodes];
        Self { sim, shared, down }
    }

    fn step(&mut self) {
        if let Err(error) = self.sim.step() {
            self.shared
                .history
                .breaks(format!("a host has failed: {error}"));
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).expect("no schedule is that long")
    }

    /// The part with the faults.
    fn talk(&mut self) {
        let mut coming = self.shared.schedule.events.clone();
        coming.reverse();
        let mut running: Vec<Event> = Vec::new();
        let last = coming.iter().map(|event| event.until).max().unwrap_or(0);
        let end = last.max(self.shared.schedule.active);
        while self.now() < end {
            self.step();
            let now = self.now();
            while let Some(event) = coming.pop_if(|event| event.at <= now) {
                self.begin(event.fault);
                running.push(event);
            }
            let over: Vec<Event> = running.extract_if(.., |event| event.until <= now).collect();
            for event in over {
                self.finish(event.fault);
            }
        }
    }

    fn begin(&mut self, fault: Fault) {
        let hosts = &self.shared.hosts;
        match fault {
            Fault::Partition(a, b) => self.sim.partition(name(a), name(b)),
            Fault::OneWay(a, b) => self.sim.partition_oneway(name(a), name(b)),
            Fault::Hold(a, b) => self.sim.hold(name(a), name(b)),
            Fault::Slow(a, b, millis) => {
                let latency = Duration::from_millis(millis);
                self.sim.set_link_latency(name(a), name(b), latency);
            }
            Fault::Cut(node) => hosts[node].chaos.cut(2_000),
            Fault::Silence(node) => hosts[node].chaos.silence(2_000),
            Fault::Strand(node) => hosts[node].chaos.set(Faults {
                unreachable: 1_000,
                ..self.shared.schedule.links.clone()
            }),
            Fault::DialEachOther(a, b) => {
                hosts[a].chaos.cut(0);
                hosts[b].chaos.cut(0);
                hosts[a].dial.store(b + 1, Ordering::Relaxed);
                hosts[b].dial.store(a + 1, Ordering::Relaxed);
            }
            Fault::Crash { node, quiet } => self.crash(node, quiet),
            Fault::Leave(node) => hosts[node].leave.store(true, Ordering::Relaxed),
        }
    }

    fn finish(&mut self, fault: Fault) {
        let schedule = &self.shared.schedule;
        match fault {
            Fault::Partition(a, b) => self.sim.repair(name(a), name(b)),
            Fault::OneWay(a, b) => self.sim.repair_oneway(name(a), name(b)),
            Fault::Hold(a, b) => self.sim.release(name(a), name(b)),
            Fault::Slow(a, b, _) => {
                self.sim
                    .set_link_latency(name(a), name(b), schedule.latency);
            }
            Fault::Strand(node) => {
                self.shared.hosts[node].chaos.set(schedule.links.clone());
            }
            Fault::Crash { node, .. } | Fault::Leave(node) => self.start(node),
            Fault::Cut(_) | Fault::Silence(_) | Fault::DialEachOther(..) => {}
        }
    }

    fn crash(&mut self, node: usize, quiet: bool) {
        if std::mem::replace(&mut self.down[node], true) {
            return;
        }
        let others: Vec<usize> = (0..self.down.len()).filter(|&it| it != node).collect();
        if quiet {
            // No connection is closed: as with a machine that loses its power.
            for &other in &others {
                self.sim.partition(name(node), name(other));
            }
        }
        self.sim.crash(name(node));
        if quiet {
            for &other in &others {
                self.sim.repair(name(node), name(other));
            }
        }
        if !quiet {
            // Its system lives, and says that nobody listens.
            self.refuse(node, true);
        }
        let host = &self.shared.hosts[node];
        // One that has said goodbye, and waited for the others to hear it, owes nothing.
        if let Some(recorder) = host.take() {
            self.shared.history.crashed(recorder.life());
        }
    }

    /// Whether the others are refused when they dial a node.
    fn refuse(&self, node: usize, refused: bool) {
        for host in &self.shared.hosts {
            host.chaos.refuse(&host::address(node), refused);
        }
    }

    /// Starts a node that is down, or one that is to leave.
    fn start(&mut self, node: usize) {
        if !self.down[node] {
            self.crash(node, false);
        }
        self.shared.hosts[node]
            .leave
            .store(false, Ordering::Relaxed);
        self.refuse(node, false);
        self.sim.bounce(name(node));
        self.down[node] = false;
    }

    /// Ends all faults.
    fn heal(&mut self) {
        for a in 0..self.down.len() {
            for b in 0..a {
                self.sim.release(name(a), name(b));
                self.sim.repair(name(a), name(b));
                self.sim
                    .set_link_latency(name(a), name(b), Duration::from_millis(1));
            }
            if self.down[a] {
                self.start(a);
            }
            self.shared.hosts[a].chaos.calm();
        }
        self.shared.phase.store(phase::FIND, Ordering::Relaxed);
    }

    /// Each node finds each.
    fn find(&mut self) {
        let shared = self.shared.clone();
        let all = || {
            let mut hosts = shared.hosts.iter().enumerate();
            hosts.all(|(index, host)| {
                let nodes = 0..shared.schedule.nodes;
                let wanted = nodes.filter(|&other| shared.schedule.finders.looks(index, other));
                host.found.load(Ordering::Relaxed) >= wanted.count()
            })
        };
        let patience = if shared.schedule.joined {
            FOUND_AGAIN
        } else {
            FOUND
        };
        if !self.wait(patience, all) {
            shared
                .history
                .breaks("nodes do not find each other".to_owned());
        }
        // A link that was lost is not kept, whatever its other end does: each pair needs one.
        let tidy = |host: &Host| host.chaos.links() < shared.schedule.nodes;
        if !self.wait(TOLD, || shared.hosts.iter().all(tidy)) {
            shared
                .history
                .breaks("links are kept that nobody uses".to_owned());
        }
        // What is lost is told by the check.
        self.wait(TOLD, || shared.history.is_settled());
        if shared.schedule.kind == Kind::Gentle {
            let account = shared.history.account();
            let Account {
                accepted,
                delivered,
                returned,
                downs,
                failed,
                ..
            } = account;
            if delivered != accepted || returned + downs + failed > 0 {
                shared.history.breaks(format!("not gentle: {account}"));
            }
        }
    }

    /// All processes end, and all monitors fire.
    fn end(&mut self) {
        self.shared.phase.store(phase::END, Ordering::Relaxed);
        let shared = self.shared.clone();
        self.wait(TOLD, || shared.history.check().is_ok());
    }

    /// Goes on until something is so; `false` if it does not come.
    fn wait(&mut self, patience: Duration, is_so: impl Fn() -> bool) -> bool {
        let until = self.sim.elapsed() + patience;
        while self.sim.elapsed() < until {
            for _ in 0..10 {
                self.step();
            }
            if is_so() {
                return true;
            }
        }
        false
    }
}

fn name(node: usize) -> String {
    format!("n{node}")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} breaks", self.breaks.len())?;
        for it in self.breaks.iter().take(10) {
            writeln!(f, "  {it:?}")?;
        }
        let schedule = &self.schedule;
        write!(
            f,
            "  {:?}, {} nodes, resume {:?}, {:?}, {:?}",
            schedule.kind, schedule.nodes, schedule.resume, schedule.links, schedule.events
        )
    }
}
