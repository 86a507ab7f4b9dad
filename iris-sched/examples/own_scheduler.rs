//! A scheduler of one's own is a queue: it is handed the right to run, and runs when it likes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use iris_core::{BoxFuture, Step, handler};
use iris_sched::{ProcessOptions, Ready, Scheduler};
use iris_testkit::World;

#[derive(Default)]
struct Later(Mutex<VecDeque<Ready>>);

impl Scheduler for Later {
    fn ready(&self, process: Ready) {
        self.0.lock().expect("nobody panics").push_back(process);
    }

    fn drive(&self, _: BoxFuture<()>) {}
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() {
    let (world, later) = (World::new(1), Arc::new(Later::default()));
    let tell = handler(|_, bytes| {
        println!("handled {}", String::from_utf8_lossy(&bytes));
        Step::Done
    });
    let cohort = world.cohort_on(later.clone());
    let pid = world.spawn_in(&cohort, tell, ProcessOptions::default());
    for word in ["one", "two"] {
        world.send(pid, word).expect("it lives");
    }
    println!(
        "scheduled once: {}",
        later.0.lock().expect("nobody panics").len() == 1
    );
    while let Some(process) = { later.0.lock().expect("nobody panics").pop_front() } {
        process.run();
    }
}
