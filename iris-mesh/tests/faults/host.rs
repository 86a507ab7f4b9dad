//! One node in the simulation, and what it does all day.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use iris_core::ExitReason;
use iris_mesh::{Local, Node, NodeConfig, NodeId, Secret, Swim};
use iris_testkit::{Chaos, History, Life, Recorder, Rng};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::schedule::{Kind, Schedule};

/// What the nodes do now.
pub(crate) mod phase {
    /// They talk.
    pub(crate) const TALK: u8 = 0;
    /// All faults are over, and each must find each.
    pub(crate) const FIND: u8 = 1;
    /// All processes end.
    pub(crate) const END: u8 = 2;
}

/// The names of each node's processes; the mailbox of the last is slow.
const NAMES: [&str; 3] = ["a", "b", "slow"];

/// What the driver and the hosts share.
pub(crate) struct Shared {
    pub(crate) schedule: Schedule,
    pub(crate) history: Arc<History>,
    pub(crate) phase: AtomicU8,
    pub(crate) hosts: Vec<Host>,
}

/// What survives a crash.
pub(crate) struct Host {
    pub(crate) chaos: Arc<Chaos>,
    /// How often it was started.
    pub(crate) starts: AtomicU32,
    /// Nodes that it has found after the faults.
    pub(crate) found: AtomicUsize,
    /// It is to say goodbye.
    pub(crate) leave: AtomicBool,
    /// It has.
    pub(crate) left: AtomicBool,
    /// It is to dial this node, plus one.
    pub(crate) dial: AtomicUsize,
    recorder: Mutex<Option<Arc<Recorder>>>,
}

impl Host {
    pub(crate) fn new(chaos: Chaos) -> Self {
        Self {
            chaos: Arc::new(chaos),
            starts: AtomicU32::new(0),
            found: AtomicUsize::new(0),
            leave: AtomicBool::new(false),
            left: AtomicBool::new(false),
            dial: AtomicUsize::new(0),
            recorder: Mutex::default(),
        }
    }

    /// It has crashed: its runtime, for the last time.
    pub(crate) fn take(&self) -> Option<Arc<Recorder>> {
        let recorder = self.recorder.lock();
        recorder.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Shared {
    fn is(&self, phase: u8) -> bool {
        self.phase.load(Ordering::Relaxed) == phase
    }
}

/// Where a node listens.
pub(crate) fn address(node: usize) -> String {
    format!("n{node}:9000")
}

/// One life of one node.
pub(crate) async fn live(shared: Arc<Shared>, index: usize) -> turmoil::Result {
    let host = &shared.hosts[index];
    let schedule = &shared.schedule;
    let start = host.starts.fetch_add(1, Ordering::Relaxed) + 1;
    let number = u8::try_from(index)?;
    let life = Life {
        node: number,
        start,
    };
    let mut rng = Rng::new(schedule.seed ^ (u64::from(start) << 32) ^ (u64::from(number) << 48));
    let recorder = Recorder::new(life, shared.history.clone(), rng.draw());
    let config = NodeConfig {
        // Time that passes while tasks run is not this clock's.
        linger: Duration::ZERO,
        name: format!("n{index}"),
        node_id: Some(NodeId([number + 1; 16])),
        incarnation: Some(start.into()),
        secret: schedule.secret.then(|| Secret::new(b"known to all")),
        insecure: true,
        heartbeat: schedule.heartbeat,
        resume: schedule.resume,
        connect_timeout: Duration::from_secs(1),
        advertise: Some(address(index)),
        ..NodeConfig::default()
    };
    let local: Weak<dyn Local> = Arc::<Recorder>::downgrade(&recorder);
    let node = Node::start_on(config, host.chaos.clone(), local, Handle::current())?;
    let node = Arc::new(node);
    recorder.set_node(&node);
    for name in NAMES {
        recorder.spawn(name, name == "slow");
    }
    *host.recorder.lock().unwrap_or_else(PoisonError::into_inner) = Some(recorder.clone());
    host.left.store(false, Ordering::Relaxed);
    node.listen("0.0.0.0:9000", true).await?;
    if schedule.joined {
        join(&shared, index, &node);
    }

    let mut work = Work {
        shared: shared.clone(),
        index,
        recorder,
        node,
        rng,
    };
    while shared.is(phase::TALK) {
        if host.leave.swap(false, Ordering::Relaxed) {
            work.leave().await;
        }
        work.step().await;
    }
    work.find_all().await;
    while !shared.is(phase::END) {
        sleep(Duration::from_millis(10)).await;
    }
    for name in work.recorder.names() {
        work.recorder.exit(&name, &ExitReason::Normal);
    }
    // The simulation ends it.
    std::future::pending().await
}

/// Joins the mesh, and does not wait for it.
fn join(shared: &Shared, index: usize, node: &Arc<Node>) {
    let seeds = (0..shared.schedule.nodes).filter(|&other| other != index);
    let seeds = seeds.map(address).collect();
    let joining = node.clone();
    node.handle().spawn(async move {
        // Whether somebody was found is told by what follows.
        drop(joining.join(seeds, Box::new(Swim::new())).await);
    });
}

struct Work {
    shared: Arc<Shared>,
    index: usize,
    recorder: Arc<Recorder>,
    node: Arc<Node>,
    rng: Rng,
}

impl Work {
    async fn step(&mut self) {
        let dial = self.shared.hosts[self.index]
            .dial
            .swap(0, Ordering::Relaxed);
        if dial > 0 {
            self.resolve(dial - 1);
        }
        let pause = self.rng.within(1..40);
        sleep(Duration::from_millis(pause)).await;
        let stand_ins = self.recorder.stand_ins();
        let choice = self.rng.within(0..100);
        if stand_ins.is_empty() || choice < 8 {
            let other = self.other();
            return self.resolve(other);
        }
        let stand_in = *self.rng.pick(&stand_ins);
        match choice {
            8..75 => {
                for _ in 0..self.rng.within(1..6) {
                    let len = self.len();
                    self.recorder.send(stand_in, len);
                }
            }
            75..92 => {
                let patience = if self.shared.schedule.kind == Kind::Gentle || self.rng.chance(500)
                {
                    Duration::from_hours(1)
                } else {
                    Duration::from_millis(100)
                };
                self.recorder.ask(stand_in, patience);
            }
            _ if self.shared.schedule.kind == Kind::Gentle => {}
            92..94 => self.recorder.forget(stand_in),
            _ => {
                let name = *self.rng.pick(&NAMES);
                self.recorder.exit(name, &ExitReason::Crash);
                self.recorder.spawn(name, name == "slow");
            }
        }
    }

    fn other(&mut self) -> usize {
        let others: Vec<usize> = (0..self.shared.schedule.nodes)
            .filter(|&node| node != self.index)
            .collect();
        *self.rng.pick(&others)
    }

    /// Mostly short, sometimes in fragments.
    fn len(&mut self) -> usize {
        let most = match self.rng.within(0..1000) {
            0..900 => 100,
            900..995 => 8_000,
            _ => 200_000,
        };
        usize::try_from(self.rng.within(0..most)).unwrap_or(0)
    }

    /// Wants somebody, and does not wait for it.
    fn resolve(&mut self, other: usize) {
        let (node, name) = (self.node.clone(), *self.rng.pick(&NAMES));
        self.node.handle().spawn(async move {
            // It may fail as it likes.
            drop(node.resolve(&address(other), name).await);
        });
    }

    /// Says goodbye; nothing is done until the driver starts it again.
    async fn leave(&mut self) {
        self.node.close(Duration::from_millis(200)).await;
        self.shared.hosts[self.index]
            .left
            .store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }

    /// Finds a process of each node that it is to look for, and sends to it.
    async fn find_all(&mut self) {
        for other in 0..self.shared.schedule.nodes {
            if !self.shared.schedule.finders.looks(self.index, other) {
                continue;
            }
            loop {
                let found = self.node.resolve(&address(other), NAMES[0]).await;
                if let Ok(Some(stand_in)) = found
                    && self.recorder.send(stand_in, 64)
                {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
            self.shared.hosts[self.index]
                .found
                .fetch_add(1, Ordering::Relaxed);
        }
    }
}
