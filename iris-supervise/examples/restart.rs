//! A crash and what follows: `cargo run -p iris-supervise --example restart`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Instant;

use iris_core::{ExitInfo, ExitReason, Pid};
use iris_supervise::{Action, ChildSpec, Event, Supervisor, SupervisorSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (now, mut actions) = (Instant::now(), Vec::new());
    let [first, second] = [1, 2].map(|slot| Pid::new(slot, Pid::FIRST_GENERATION));
    let (first, second) = first.zip(second).ok_or("no pid")?;
    let mut supervisor = Supervisor::new(SupervisorSpec::default(), 42);
    supervisor.adopt(now, ChildSpec::new("reader"), first)?;

    let info = ExitInfo {
        from: first,
        target: first,
        reason: ExitReason::Crash,
        metadata: None,
    };
    supervisor.handle(now, Event::ChildExited { info }, &mut actions);
    println!("after a crash: {actions:?}");
    for action in std::mem::take(&mut actions) {
        if let Action::Start { child, start, .. } = action {
            let pid = second;
            supervisor.handle(now, Event::ChildStarted { child, start, pid }, &mut actions);
        }
    }
    println!("after its restart: {actions:?}");
    println!("the children: {:?}", supervisor.pids());
    Ok(())
}
