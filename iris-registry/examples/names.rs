//! A name that outlives its process: `cargo run -p iris-registry --example names`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use iris_core::Pid;
use iris_registry::{MemoryRegistry, Registry};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = MemoryRegistry::default();
    let first = Pid::new(1, Pid::FIRST_GENERATION).ok_or("no pid")?;
    let second = Pid::new(2, Pid::FIRST_GENERATION).ok_or("no pid")?;
    registry.register_path("/svc/payment/1", first)?;
    registry.join("payments", first)?;
    registry.reserve(first);
    println!("restarting: {:?}", registry.whereis_path("/svc/payment/1"));
    registry.hand_over(first, second);
    println!("restarted:  {:?}", registry.list_children("/svc")?);
    println!("the topic:  {:?}", registry.members("payments"));
    Ok(())
}
