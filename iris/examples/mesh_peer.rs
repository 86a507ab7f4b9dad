//! A node that does what its standard input says, a line at a time, for a test of meshes in which
//! nodes are written in different languages. `iris-node/test/peers` has the same in Python and
//! Node.js, and says what the lines are.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that says what it does"
)]

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use iris::prelude::*;
use iris::{NodeConfig, Payload, SystemMessage};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mesh_peer: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the standard input ends, so never longer than the parent.
fn serve() -> Done<()> {
    let name = std::env::args().nth(1).ok_or("an argument: the name")?;
    let rt = Runtime::new();
    rt.configure_mesh(NodeConfig {
        name: name.clone(),
        ..NodeConfig::default()
    });
    let own = name.clone();
    let echo = handler(move |_, bytes| {
        let answer = format!("{own}:{}", String::from_utf8_lossy(&bytes));
        Step::Reply(Payload::copy_of(answer.as_bytes()))
    });
    rt.spawn(echo).named(&format!("echo.{name}")).start()?;
    let ear = handler(|_, bytes| {
        println!("got {}", String::from_utf8_lossy(&bytes));
        Step::Done
    });
    rt.spawn(ear).named(&format!("ear.{name}")).start()?;
    let watcher = rt.spawn(Watcher).start()?;
    println!("at {}", rt.listen("127.0.0.1:0")?);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["join", seed] => {
                rt.join_mesh([seed])?;
                println!("joined");
            }
            ["resolve", address, name] => match rt.resolve_remote(address, name)? {
                Some(_) => println!("found"),
                None => println!("nobody"),
            },
            ["send", address, name, text] => {
                let pid = rt.resolve_remote(address, name)?.ok_or("nobody")?;
                let text = Payload::copy_of(text.as_bytes()).into_bytes();
                rt.send_remote(address, pid, text)?;
                println!("sent");
            }
            ["ask", name, text] => {
                let pid = rt.lookup_within(name, PATIENCE)?.ok_or("nobody")?;
                let question = Payload::copy_of(text.as_bytes());
                let answer = rt.ask(pid, question).timeout(PATIENCE).wait()?;
                println!("answer {}", String::from_utf8_lossy(&answer));
            }
            ["monitor", address, name] => {
                let pid = rt.resolve_remote(address, name)?.ok_or("nobody")?;
                rt.monitor_remote(watcher, address, pid)?;
                println!("monitors");
            }
            _ => return Err(format!("no such line: {line}").into()),
        }
    }
    rt.shutdown(Duration::ZERO);
    Ok(())
}

/// Says which ends it hears of.
struct Watcher;

impl Behavior for Watcher {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, message: Message) -> Step {
        if let Message::System(SystemMessage::Down { info, .. }) = message {
            println!("down {}", info.reason);
        }
        Step::Done
    }
}
