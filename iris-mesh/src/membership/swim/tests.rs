//! Nodes that know each other by rumour only, on a clock that is moved by hand.

use super::*;

/// Swimmers whose packets arrive at once, but where the wires are cut.
struct Pool {
    swims: Vec<Swim>,
    news: Vec<Vec<(bool, NodeId)>>,
    /// Pairs whose packets are lost.
    cut: HashSet<(usize, usize)>,
    crashed: HashSet<usize>,
}

const BEAT: Duration = Duration::from_secs(1);

fn node(index: usize) -> NodeId {
    let mut id = [0; 16];
    id[15] = u8::try_from(index).unwrap();
    NodeId(id)
}

fn member(index: usize) -> Member {
    Member {
        node: node(index),
        incarnation: 1,
        address: format!("node{index}:1"),
    }
}

impl Pool {
    fn of(count: usize, seeds: &[usize]) -> Self {
        let seeds: Vec<_> = seeds.iter().map(|&seed| member(seed).address).collect();
        let swims = (0..count).map(|index| {
            let mut swim = Swim::new();
            swim.join(&member(index), seeds.clone(), BEAT);
            swim
        });
        Self {
            swims: swims.collect(),
            news: vec![Vec::new(); count],
            cut: HashSet::new(),
            crashed: HashSet::new(),
        }
    }

    fn passes(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from.min(to), from.max(to))) && !self.crashed.contains(&to)
    }

    /// Does all that is to be done now; `false` if that was nothing.
    fn act(&mut self) -> bool {
        let mut acted = false;
        for from in 0..self.swims.len() {
            while let Some(action) = self.swims[from].outbox.actions.pop_front() {
                if self.crashed.contains(&from) {
                    continue;
                }
                acted = true;
                match action {
                    Action::Dial(address) => {
                        let to = (0..self.swims.len()).find(|&to| member(to).address == address);
                        if let Some(to) = to.filter(|&to| self.passes(from, to)) {
                            self.swims[from].met(member(to));
                        }
                    }
                    Action::Send { to, packet } => {
                        let to = usize::from(to.node.0[15]);
                        if self.passes(from, to) {
                            self.swims[to].handle_packet(&packet);
                        }
                    }
                    Action::Up(member) => self.news[from].push((true, member.node)),
                    Action::Down { member, .. } => self.news[from].push((false, member.node)),
                }
            }
        }
        acted
    }

    async fn run(&mut self, beats: u32) {
        let end = Instant::now() + BEAT * beats;
        loop {
            while self.act() {}
            let due = self.swims.iter().filter_map(Swim::next_due).min().unwrap();
            if due > end {
                tokio::time::advance(end - Instant::now()).await;
                return;
            }
            tokio::time::advance(due.saturating_duration_since(Instant::now())).await;
            for (index, swim) in self.swims.iter_mut().enumerate() {
                if self.crashed.contains(&index) {
                    swim.outbox.timers.clear();
                    swim.seeds_due = None;
                } else {
                    swim.on_time();
                }
            }
        }
    }

    fn known_to(&self, index: usize) -> Vec<usize> {
        let mut known: Vec<_> = self.swims[index].outbox.active.iter().collect();
        known.sort_unstable();
        known.iter().map(|node| usize::from(node.0[15])).collect()
    }

    fn all_but(&self, index: usize) -> Vec<usize> {
        (0..self.swims.len())
            .filter(|&other| other != index && !self.crashed.contains(&other))
            .collect()
    }
}

fn paused<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

#[test]
fn all_who_know_one_seed_come_to_know_each_other() {
    paused(async {
        let mut pool = Pool::of(12, &[0]);
        pool.run(10).await;
        for index in 0..12 {
            assert_eq!(pool.known_to(index), pool.all_but(index), "node {index}");
            // Each was news once.
            assert_eq!(pool.news[index].len(), 11);
        }
    });
}

#[test]
fn a_seed_that_comes_late_is_found() {
    paused(async {
        let mut pool = Pool::of(3, &[0]);
        pool.cut.extend([(0, 1), (0, 2)]);
        pool.run(5).await;
        assert_eq!(pool.known_to(1), Vec::<usize>::new());
        pool.cut.clear();
        pool.run(5).await;
        assert_eq!(pool.known_to(1), [0, 2]);
    });
}

#[test]
fn a_crash_is_known_to_all_after_a_suspicion() {
    paused(async {
        let mut pool = Pool::of(8, &[0]);
        pool.run(10).await;
        pool.crashed.insert(5);
        pool.run(4).await;
        // Suspected by now, and nothing more.
        assert!(pool.news.iter().flatten().all(|(up, _)| *up));
        // Found within a round of probes in the worst case, doubted for four beats, told around.
        pool.run(12).await;
        for index in pool.all_but(5) {
            assert_eq!(
                pool.news[index].last(),
                Some(&(false, node(5))),
                "node {index}"
            );
            let downs = pool.news[index].iter().filter(|(up, _)| !up).count();
            assert_eq!(downs, 1);
        }
    });
}

#[test]
fn one_cut_wire_is_nobodys_end() {
    paused(async {
        let mut pool = Pool::of(5, &[0]);
        pool.run(10).await;
        pool.cut.insert((1, 2));
        pool.run(60).await;
        assert!(pool.news.iter().flatten().all(|(up, _)| *up));
    });
}

#[test]
fn a_mesh_that_was_cut_in_two_heals() {
    paused(async {
        let mut pool = Pool::of(6, &[0]);
        pool.run(10).await;
        let halves = (0..3).flat_map(|a| (3..6).map(move |b| (a, b)));
        pool.cut.extend(halves);
        pool.run(40).await;
        for index in 0..6 {
            let half: Vec<_> = (0..6).filter(|other| (other < &3) == (index < 3)).collect();
            let known = pool.known_to(index);
            assert!(known.iter().all(|other| half.contains(other)), "{known:?}");
        }
        pool.cut.clear();
        pool.run(60).await;
        for index in 0..6 {
            assert_eq!(pool.known_to(index), pool.all_but(index), "node {index}");
        }
    });
}

#[test]
fn who_leaves_is_gone_at_once() {
    paused(async {
        let mut pool = Pool::of(4, &[0]);
        pool.run(10).await;
        let farewell = pool.swims[3].leave();
        assert!(!farewell.is_empty());
        for action in farewell {
            if let Action::Send { to, packet } = action {
                pool.swims[usize::from(to.node.0[15])].handle_packet(&packet);
            }
        }
        pool.crashed.insert(3);
        pool.run(2).await;
        for index in 0..3 {
            assert_eq!(pool.news[index].last(), Some(&(false, node(3))));
        }
    });
}

#[test]
fn rubbish_changes_nothing() {
    paused(async {
        let mut pool = Pool::of(2, &[0]);
        pool.run(5).await;
        for len in 0..200_u8 {
            let byte = |at: u8| at.wrapping_mul(31).wrapping_add(len);
            let rubbish: Vec<u8> = (0..len).map(byte).collect();
            pool.swims[0].handle_packet(&rubbish);
        }
        pool.swims[0].handle_packet(&[0xff; 3000]);
        pool.run(20).await;
        assert_eq!(pool.known_to(0), [1]);
        assert_eq!(pool.news[0].len(), 1);
    });
}
