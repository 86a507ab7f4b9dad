//! Random trees against OTP's rules, written down plainly: every end leads to the restarts
//! that they demand, and to no others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::World;
use iris_core::ExitReason;
use iris_supervise::{
    Backoff, ChildSpec, Event, Intensity, Restart, Shutdown, Strategy, SupervisorId, SupervisorSpec,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as Any;

const PERIOD: Duration = Duration::from_secs(5);

/// What a tree is made from.
#[derive(Clone, Debug)]
enum Plan {
    Worker(Restart),
    Supervisor(Restart, Plans),
}

#[derive(Clone, Debug)]
struct Plans {
    strategy: Strategy,
    intensity: u32,
    children: Vec<Plan>,
}

impl Plans {
    fn spec(&self) -> SupervisorSpec {
        SupervisorSpec {
            strategy: self.strategy,
            intensity: Intensity::new(self.intensity, PERIOD),
            backoff: Backoff::NONE,
            ..SupervisorSpec::default()
        }
    }

    fn grow(&self, id: &str, world: &mut World, me: SupervisorId) -> Supervises {
        let children = (0..).zip(&self.children);
        let children = children
            .map(|(no, plan): (u32, _)| Model::grow(plan, format!("{id}.{no}"), world, me))
            .collect();
        Supervises {
            strategy: self.strategy,
            intensity: self.intensity,
            restarts: Vec::new(),
            children,
        }
    }
}

fn plans() -> impl Any<Value = Plans> {
    let restart = prop_oneof![
        3 => Just(Restart::Permanent),
        2 => Just(Restart::Transient),
        1 => Just(Restart::Temporary),
    ];
    let worker = restart.clone().prop_map(Plan::Worker);
    let tree = worker.prop_recursive(3, 24, 5, move |inner| {
        (restart.clone(), group(inner))
            .prop_map(|(restart, plans)| Plan::Supervisor(restart, plans))
    });
    group(tree)
}

fn group(child: impl Any<Value = Plan>) -> impl Any<Value = Plans> {
    let strategy = prop_oneof![
        Just(Strategy::OneForOne),
        Just(Strategy::OneForAll),
        Just(Strategy::RestForOne),
    ];
    let children = prop::collection::vec(child, 1..5);
    (strategy, 0..4_u32, children).prop_map(|(strategy, intensity, children)| Plans {
        strategy,
        intensity,
        children,
    })
}

/// A child as the rules see it.
#[derive(Debug)]
struct Model {
    id: String,
    restart: Restart,
    state: State,
    lives: u32,
    supervises: Option<Supervises>,
}

#[derive(Debug)]
struct Supervises {
    strategy: Strategy,
    intensity: u32,
    restarts: Vec<Instant>,
    children: Vec<Model>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Up,
    Down,
    Gone,
}

impl Model {
    fn grow(plan: &Plan, id: String, world: &mut World, above: SupervisorId) -> Self {
        let (restart, supervises) = match plan {
            Plan::Worker(restart) => {
                world.add(above, ChildSpec::new(id.as_str()).restart(*restart));
                (*restart, None)
            }
            Plan::Supervisor(restart, plans) => {
                let child = ChildSpec::new(id.as_str()).restart(*restart);
                let child = child.shutdown(Shutdown::Infinity);
                let (now, spec, mut none) = (world.now, plans.spec(), Vec::new());
                let tree = &mut world.tree;
                let me = tree.add_supervisor(now, above, child, spec, &mut none);
                (*restart, Some(plans.grow(&id, world, me.unwrap())))
            }
        };
        Self {
            id,
            restart,
            state: State::Down,
            lives: 0,
            supervises,
        }
    }

    /// All of a tree, and its uppermost supervisor.
    fn root(plans: &Plans, world: &mut World) -> (Self, SupervisorId) {
        let root = world.tree.add_root(plans.spec());
        let model = Self {
            id: "top".to_owned(),
            restart: Restart::Permanent,
            state: State::Down,
            lives: 0,
            supervises: Some(plans.grow("top", world, root)),
        };
        (model, root)
    }

    fn start(&mut self) {
        self.state = State::Up;
        self.lives += 1;
        if let Some(it) = &mut self.supervises {
            it.restarts.clear();
            let children = it.children.iter_mut();
            children
                .filter(|child| child.state != State::Gone)
                .for_each(Self::start);
        }
    }

    fn stop(&mut self) {
        if self.state != State::Gone {
            self.state = if self.restart == Restart::Temporary {
                State::Gone
            } else {
                State::Down
            };
        }
        if let Some(it) = &mut self.supervises {
            it.children.iter_mut().for_each(|child| {
                // What has finished or gone stays what it is.
                if child.state == State::Up {
                    child.stop();
                }
            });
        }
    }

    /// The worker of this id ends. `true` if this supervisor gives up over it.
    fn ends(&mut self, id: &str, failed: bool, now: Instant) -> bool {
        let Some(it) = &mut self.supervises else {
            return false;
        };
        let inside = |child: &Self| id == child.id || id.starts_with(&format!("{}.", child.id));
        let Some(at) = it.children.iter().position(inside) else {
            return false;
        };
        let child = &mut it.children[at];
        let failed = if child.id == id {
            failed
        } else if child.ends(id, failed, now) {
            true
        } else {
            return false;
        };
        child.stop();
        let comes_back = match child.restart {
            Restart::Permanent => true,
            Restart::Transient => failed,
            Restart::Temporary => false,
        };
        if !comes_back {
            return false;
        }
        it.restarts.retain(|then| now - *then <= PERIOD);
        if it.restarts.len() >= it.intensity as usize {
            self.stop();
            return true;
        }
        it.restarts.push(now);
        let affected = match it.strategy {
            Strategy::OneForAll => 0..it.children.len(),
            Strategy::RestForOne => at..it.children.len(),
            Strategy::OneForOne | Strategy::Pool => at..at + 1,
        };
        let siblings = affected.start..affected.end;
        let mut back = vec![at];
        back.extend(siblings.filter(|no| it.children[*no].state == State::Up));
        for no in &back {
            it.children[*no].stop();
        }
        for no in back {
            let child = &mut it.children[no];
            if child.state == State::Down {
                child.start();
            }
        }
        false
    }

    /// Each worker that is up, with how often it was started.
    fn workers(&self, all: &mut BTreeMap<String, (bool, u32)>) {
        match &self.supervises {
            None => {
                all.insert(self.id.clone(), (self.state == State::Up, self.lives));
            }
            Some(it) => it.children.iter().for_each(|child| child.workers(all)),
        }
    }
}

/// What the world shows of the same.
fn observed(world: &World, starts: &BTreeMap<String, u32>) -> BTreeMap<String, (bool, u32)> {
    let workers = world.ids.values().map(|id| {
        let up = world.of(id).is_some();
        (id.clone(), (up, starts.get(id).copied().unwrap_or(0)))
    });
    workers.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_end_leads_to_the_restarts_that_the_rules_demand_and_to_no_others(
        plans in plans(),
        ends in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, 0..4_000_u64), 1..40),
    ) {
        let mut world = World::new();
        let (mut model, top) = Model::root(&plans, &mut world);
        let mut starts = BTreeMap::new();
        world.tell(top, Event::Begin);
        model.start();
        for (which, how, pause) in ends {
            world.pass(Duration::from_millis(pause));
            let alive: Vec<_> = world.alive.iter().map(|(pid, life)| (*pid, *life)).collect();
            if alive.is_empty() {
                break;
            }
            let (pid, life) = alive[which.index(alive.len())];
            let id = world.name(life.supervisor, life.child);
            let reason = [ExitReason::Crash, ExitReason::Panic, ExitReason::Normal, ExitReason::Killed];
            let reason = reason[usize::from(how)].clone();
            model.ends(&id, reason.is_failure(), world.now);
            world.end(pid, reason);
            for line in world.take_log() {
                if let Some(id) = line.strip_prefix("start ") {
                    *starts.entry(id.to_owned()).or_insert(0) += 1;
                }
            }
            let mut expected = BTreeMap::new();
            model.workers(&mut expected);
            prop_assert_eq!(observed(&world, &starts), expected, "after the end of {}", id);
            prop_assert!(world.starting.is_empty() && world.tree.next_timeout().is_none());
        }
        let gave_up = model.state != State::Up;
        prop_assert_eq!(world.done.len(), usize::from(gave_up));
    }
}
