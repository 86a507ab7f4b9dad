//! Loom tries all interleavings of pushing and going to sleep: `cargo test -p iris-sched
//! --features loom --test loom_sleepers --release`.
#![cfg(feature = "loom")]

use std::sync::Arc;

use iris_sched::tokio::sleepers::Sleepers;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// Places for work that say nothing about order, so that all order comes from the protocol.
struct Model {
    sleepers: Sleepers,
    queue: Vec<AtomicBool>,
    /// Who was woken since it was last polled.
    woken: Vec<AtomicBool>,
}

impl Model {
    /// Nobody has lain down yet: the workers' threads are to start.
    fn new(workers: usize, places: usize) -> Arc<Self> {
        let sleepers = Sleepers::new(workers);
        for worker in 0..workers {
            assert!(!sleepers.get_up(worker), "nobody picked it");
        }
        let flags = |count| (0..count).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self {
            sleepers,
            queue: flags(places),
            woken: flags(workers),
        })
    }

    fn push(&self, place: usize) {
        self.queue[place].store(true, Ordering::Relaxed);
        self.wake(self.sleepers.pick());
    }

    fn wake(&self, worker: Option<usize>) {
        if let Some(worker) = worker {
            self.woken[worker].swap(true, Ordering::AcqRel);
        }
    }

    fn take(&self) -> bool {
        let full = |place: &&AtomicBool| place.load(Ordering::Relaxed);
        let mut places = self.queue.iter().filter(full);
        places.any(|place| place.swap(false, Ordering::Relaxed))
    }

    fn has_work(&self) -> bool {
        self.queue.iter().any(|place| place.load(Ordering::Relaxed))
    }

    fn found(&self) {
        if self.sleepers.found() && self.has_work() {
            self.wake(self.sleepers.pick());
        }
    }

    /// A task that is polled, and again if it was woken meanwhile, as Tokio does.
    fn run(&self, worker: usize) {
        self.poll(worker);
        while self.woken[worker].swap(false, Ordering::AcqRel) {
            self.sleepers.get_up(worker);
            self.poll(worker);
        }
    }

    /// A searching worker: until it sleeps.
    fn poll(&self, worker: usize) {
        loop {
            if self.take() {
                self.found();
                self.sleepers.search();
                continue;
            }
            self.sleepers.lie_down(worker);
            if !self.has_work() {
                return;
            }
            self.sleepers.get_up(worker);
        }
    }

    /// With all threads gone: if anything is queued, somebody is woken and not yet polled.
    fn check(&self) {
        let somebody_comes = self.woken.iter().any(|woken| woken.load(Ordering::Relaxed));
        assert!(
            !self.has_work() || somebody_comes,
            "something is queued and all workers sleep"
        );
    }
}

/// All interleavings with up to three preemptions, of which there are many enough.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn nothing_is_queued_with_the_only_worker_asleep() {
    check(|| {
        let model = Model::new(1, 2);
        let worker = {
            let model = model.clone();
            thread::spawn(move || model.run(0))
        };
        model.push(0);
        model.push(1);
        worker.join().unwrap();
        model.check();
    });
}

#[test]
fn nothing_is_queued_with_both_workers_asleep() {
    check(|| {
        let model = Model::new(2, 2);
        let workers = [0, 1].map(|worker| {
            let model = model.clone();
            thread::spawn(move || model.run(worker))
        });
        model.push(0);
        model.push(1);
        for worker in workers {
            worker.join().unwrap();
        }
        model.check();
    });
}

#[test]
fn what_was_left_to_a_searcher_is_passed_on_when_its_handler_blocks() {
    check(|| {
        let model = Model::new(2, 2);
        // Asleep from the beginning.
        model.run(1);
        let worker = {
            let model = model.clone();
            thread::spawn(move || {
                if model.take() {
                    model.found();
                    // Here it would run a slice that never ends.
                } else {
                    model.run(0);
                }
            })
        };
        model.push(0);
        model.push(1);
        worker.join().unwrap();
        model.check();
    });
}

#[test]
fn two_pushes_at_once_wake_a_sleeper() {
    check(|| {
        let model = Model::new(1, 2);
        model.run(0);
        let other = {
            let model = model.clone();
            thread::spawn(move || model.push(1))
        };
        model.push(0);
        other.join().unwrap();
        model.check();
    });
}
