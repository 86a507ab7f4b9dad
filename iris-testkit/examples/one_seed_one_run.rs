//! One seed is one run, and an hour takes no time:
//! `cargo run -p iris-testkit --example one_seed_one_run`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iris_core::{Pid, Step, handler};
use iris_sched::{Activation, ProcessOptions};
use iris_testkit::World;

const HOUR: Duration = Duration::from_hours(1);

/// Who ran when, and how many have ended after an hour without a message.
fn run(seed: u64) -> (Vec<usize>, usize) {
    let world = World::new(seed);
    let order = Arc::new(Mutex::new(Vec::new()));
    let spawn = |number| {
        let order = order.clone();
        let options = ProcessOptions {
            activation: Activation::Virtual {
                idle_timeout: Some(HOUR),
                reactivate: false,
            },
            ..ProcessOptions::default()
        };
        let note = handler(move |_, _| {
            let mut order = order.lock().unwrap_or_else(PoisonError::into_inner);
            order.push(number);
            Step::Done
        });
        world.spawn(note, options)
    };
    let pids: Vec<Pid> = (0..20).map(spawn).collect();
    for pid in pids {
        world.send(pid, "run").expect("nobody has ended yet");
    }
    world.run();
    world.advance(HOUR);
    let order = order.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (order, world.exits().len())
}

fn main() {
    let (order, ended) = run(1);
    println!("{} ran, and {ended} ended after an idle hour", order.len());
    println!("seed 1 again: same order {}", run(1).0 == order);
    println!("seed 2: same order {}", run(2).0 == order);
}
