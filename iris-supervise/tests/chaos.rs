//! Anything at any time: processes that end or do not, factories that take long or fail,
//! users who stop and start and remove. After any sequence nobody is an orphan, no child
//! lives twice, every stop is answered and every kept name is handed over or freed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::{World, exit, failure, reason_for};
use iris_core::ExitReason;
use iris_supervise::{
    Backoff, Budget, ChildNo, ChildSpec, Event, Intensity, Restart, Shutdown, Status, Strategy,
    SupervisorId, SupervisorSpec,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::Strategy as Any;

/// One thing that happens; the index says to whom.
#[derive(Clone, Copy, Debug)]
enum Op {
    End(u8),
    Obey,
    Started,
    StartedDead,
    StartFails,
    Pass(u64),
    Stop,
    Start,
    Remove,
    Shutdown,
    Kill,
    Begin,
    Add(u8),
    AddSupervisor(u8),
    RemoveSupervisor,
}

fn op() -> impl Any<Value = Op> {
    prop_oneof![
        8 => (0..3_u8).prop_map(Op::End),
        8 => Just(Op::Obey),
        10 => Just(Op::Started),
        2 => Just(Op::StartedDead),
        3 => Just(Op::StartFails),
        6 => (0..4_000_u64).prop_map(Op::Pass),
        2 => Just(Op::Stop),
        2 => Just(Op::Start),
        1 => Just(Op::Remove),
        1 => Just(Op::Shutdown),
        1 => Just(Op::Kill),
        2 => Just(Op::Begin),
        5 => any::<u8>().prop_map(Op::Add),
        2 => any::<u8>().prop_map(Op::AddSupervisor),
        1 => Just(Op::RemoveSupervisor),
    ]
}

/// Any child, by the bits of a number.
fn child(id: &str, bits: u8) -> ChildSpec {
    let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][bits as usize % 3];
    let second = Duration::from_secs(1);
    let shutdown = [
        Shutdown::Timeout(second),
        Shutdown::BrutalKill,
        Shutdown::Infinity,
    ];
    let shutdown = shutdown[bits as usize / 3 % 3];
    ChildSpec::new(id).restart(restart).shutdown(shutdown)
}

/// Any supervisor, by the bits of a number.
fn supervisor(bits: u8) -> SupervisorSpec {
    let strategies = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
        Strategy::Pool,
    ];
    SupervisorSpec {
        strategy: strategies[bits as usize % 4],
        intensity: Intensity::new(u32::from(bits / 4 % 4), Duration::from_secs(5)),
        budget: [Budget::Shared, Budget::PerChild][bits as usize / 16 % 2],
        backoff: [Backoff::NONE, Backoff::default()][bits as usize / 32 % 2],
        start_attempts: [None, Some(3)][bits as usize / 64 % 2],
    }
}

struct Chaos {
    world: World,
    root: SupervisorId,
    supervisors: Vec<SupervisorId>,
    added: u32,
}

impl Chaos {
    fn new(bits: u8) -> Self {
        let mut world = World::new();
        world.obedient = false;
        world.prompt = false;
        world.overlapping_starts = true;
        let root = world.tree.add_root(supervisor(bits));
        world.tell(root, Event::Begin);
        let supervisors = vec![root];
        Self {
            world,
            root,
            supervisors,
            added: 0,
        }
    }

    fn any_supervisor(&self, which: Index) -> SupervisorId {
        *which.get(&self.supervisors)
    }

    fn any_child(&self, which: Index) -> Option<(SupervisorId, ChildNo)> {
        let all: Vec<_> = self
            .supervisors
            .iter()
            .flat_map(|id| {
                let children = self.world.tree.children(*id).into_iter();
                children.map(|(info, _)| (*id, info.child))
            })
            .collect();
        (!all.is_empty()).then(|| *which.get(&all))
    }

    fn apply(&mut self, op: Op, which: Index) {
        let world = &mut self.world;
        match op {
            Op::End(how) if !world.alive.is_empty() => {
                let pids: Vec<_> = world.alive.keys().copied().collect();
                let reason = [ExitReason::Crash, ExitReason::Normal, ExitReason::Killed];
                world.end(*which.get(&pids), reason[usize::from(how)].clone());
            }
            Op::Obey => {
                let told: Vec<_> = world
                    .alive
                    .iter()
                    .filter_map(|(pid, it)| Some((*pid, it.told?)))
                    .collect();
                if !told.is_empty() {
                    let (pid, how) = *which.get(&told);
                    world.end(pid, reason_for(how));
                }
            }
            Op::Started | Op::StartedDead | Op::StartFails if !world.starting.is_empty() => {
                let at = which.index(world.starting.len());
                let supervisor = world.starting[at].0;
                let fails = matches!(op, Op::StartFails);
                let result = if fails { Err(failure("no")) } else { Ok(()) };
                let pid = world.answer_at(at, result);
                if let (Op::StartedDead, Some(pid)) = (op, pid) {
                    world.end(pid, ExitReason::NoProc);
                    // The same news on the other way, too late.
                    let info = exit(pid, ExitReason::Crash);
                    world.tell(supervisor, Event::ChildExited { info });
                }
            }
            Op::Pass(ms) => world.pass(Duration::from_millis(ms)),
            Op::Stop | Op::Start | Op::Remove => {
                if let Some((supervisor, child)) = self.any_child(which) {
                    let event = match op {
                        Op::Stop => Event::StopChild { child },
                        Op::Start => Event::StartChild { child },
                        _ => Event::RemoveChild { child },
                    };
                    self.world.tell(supervisor, event);
                }
            }
            Op::Shutdown => self.tell_any(which, Event::Shutdown),
            Op::Kill => self.tell_any(which, Event::Kill),
            Op::Begin => self.world.tell(self.root, Event::Begin),
            Op::Add(bits) => self.add(which, bits),
            Op::AddSupervisor(bits) => self.add_supervisor(which, bits),
            Op::RemoveSupervisor => {
                let id = self.any_supervisor(which);
                if id != self.root {
                    let mut actions = Vec::new();
                    self.world.tree.remove(self.world.now, id, &mut actions);
                    self.world.carry_out(actions);
                }
            }
            _ => {}
        }
        let tree = &self.world.tree;
        self.supervisors.retain(|id| tree.supervisor(*id).is_some());
        // Timers that are due at this very instant.
        self.world.pass(Duration::ZERO);
        self.world.check();
    }

    fn tell_any(&mut self, which: Index, event: Event) {
        self.world.tell(self.any_supervisor(which), event);
    }

    fn add(&mut self, which: Index, bits: u8) {
        let supervisor = self.any_supervisor(which);
        self.added += 1;
        let spec = child(&format!("child {}", self.added), bits);
        let world = &mut self.world;
        let mut actions = Vec::new();
        let added = world.tree.add(world.now, supervisor, spec, &mut actions);
        assert!(added.is_ok() || actions.is_empty());
        world.carry_out(actions);
    }

    fn add_supervisor(&mut self, which: Index, bits: u8) {
        let above = self.any_supervisor(which);
        self.added += 1;
        let child = child(&format!("supervisor {}", self.added), bits / 2);
        let (now, mut actions) = (self.world.now, Vec::new());
        let tree = &mut self.world.tree;
        let added = tree.add_supervisor(now, above, child, supervisor(bits), &mut actions);
        self.supervisors.extend(added);
        self.world.carry_out(actions);
    }

    /// Everybody does what is expected from now on, and all comes to rest.
    fn settle(&mut self) {
        let world = &mut self.world;
        world.obedient = true;
        world.prompt = true;
        loop {
            world.carry_out(Vec::new());
            let told = world
                .alive
                .iter()
                .find_map(|(pid, it)| Some((*pid, it.told?)));
            if let Some((pid, how)) = told {
                world.end(pid, reason_for(how));
            } else if world.tree.next_timeout().is_some() {
                world.pass(Duration::from_mins(1));
            } else {
                break;
            }
        }
    }

    fn check_at_rest(&mut self) {
        let world = &mut self.world;
        let mut there = Vec::new();
        for id in &self.supervisors {
            let up = world
                .tree
                .supervisor(*id)
                .is_some_and(iris_supervise::Supervisor::is_up);
            for (info, below) in world.tree.children(*id) {
                match info.status {
                    Status::Running(pid) => {
                        assert!(up, "{info:?}");
                        there.extend(pid);
                        let child_up = below.and_then(|below| world.tree.supervisor(below));
                        assert!(child_up.is_none_or(iris_supervise::Supervisor::is_up));
                    }
                    Status::Stopped | Status::Finished | Status::GaveUp => {}
                    other => panic!("{:?} is {other:?} at rest", info.id),
                }
            }
        }
        there.sort();
        let alive: Vec<_> = world.alive.keys().copied().collect();
        assert_eq!(there, alive, "whom the tree lists, and who lives");
        let tree = &world.tree;
        world
            .unanswered
            .retain(|(id, _)| tree.supervisor(*id).is_some());
        assert!(world.unanswered.is_empty(), "{:?}", world.unanswered);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn after_any_sequence_there_is_no_orphan_and_no_duplicate(
        bits in any::<u8>(),
        ops in prop::collection::vec((op(), any::<Index>()), 1..120),
    ) {
        let mut chaos = Chaos::new(bits);
        for (op, which) in ops {
            chaos.apply(op, which);
        }
        chaos.settle();
        chaos.check_at_rest();

        let root = chaos.root;
        chaos.world.tell(root, Event::Shutdown);
        chaos.settle();
        prop_assert!(chaos.world.alive.is_empty());
        prop_assert!(chaos.world.reserved.is_empty(), "names for nobody: {:?}", chaos.world.reserved);
        prop_assert_eq!(chaos.world.done.last(), Some(&(root, false)));
    }
}
