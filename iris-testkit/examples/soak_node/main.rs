//! One node of `cargo xtask soak --mesh`, to be killed at any time.
//!
//! `soak_node NODE START ADDRESS JOURNAL PEER...` listens at ADDRESS, finds the processes of all
//! PEERs and sends them numbered messages. It does what it is told by lines on
//! its standard input, and says each second how far it is; at the end of its input it ends.
//!
//! | line | |
//! |---|---|
//! | `quiet` | sends nothing more |
//! | `end` | ends all its processes |

#![allow(
    clippy::print_stdout,
    reason = "what it says is read by the program that has started it"
)]

mod journal;

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iris_core::ExitReason;
use iris_mesh::{Local, Node, NodeConfig, NodeId, Secret, Tcp};
use iris_testkit::{Life, Recorder, Rng};
use tokio::time::{sleep, timeout};

use journal::Journal;

/// The processes of each node.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Messages to one process before the next has its turn, and the pause after all had theirs.
const BURST: u64 = 64;
const PAUSE: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [node, start, address, path, peers @ ..] = &args[..] else {
        return Err("usage: soak_node NODE START ADDRESS JOURNAL PEER...".into());
    };
    let life = Life {
        node: node.parse()?,
        start: start.parse()?,
    };
    let journal = Arc::new(Journal::create(life, Path::new(path))?);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let mut rng = Rng::new(u64::try_from(seed & u128::from(u64::MAX))?);
    let recorder = Recorder::new(life, journal.clone(), rng.draw());
    let config = NodeConfig {
        name: format!("n{node}"),
        node_id: Some(NodeId([life.node + 1; 16])),
        secret: Some(Secret::new(b"known to all of the soak")),
        // As many sessions end while a link is down as outlive it.
        resume: Duration::from_secs(3),
        heartbeat: Duration::from_millis(500),
        ..NodeConfig::default()
    };
    let local: Weak<dyn Local> = Arc::<Recorder>::downgrade(&recorder);
    let node = Arc::new(Node::start(config, Arc::new(Tcp), local)?);
    recorder.set_node(&node);
    for name in NAMES {
        recorder.spawn(name, false);
    }
    let told = Arc::new(Told::default());
    {
        let (told, recorder) = (told.clone(), recorder.clone());
        std::thread::spawn(move || listen_to(&told, &recorder));
    }
    let handle = node.handle().clone();
    let (address, peers) = (address.clone(), peers.to_vec());
    let listening = handle.spawn({
        let node = node.clone();
        async move { node.listen(&address, false).await }
    });
    for peer in peers {
        handle.spawn(find(node.clone(), recorder.clone(), told.clone(), peer));
    }
    handle.spawn(talk(recorder.clone(), told.clone(), rng));
    // This thread only tells; the first word shows that it listens.
    let (say, said) = std::sync::mpsc::channel();
    handle.spawn(async move { drop(say.send(listening.await)) });
    said.recv()???;
    loop {
        let [accepted, delivered, returned] = journal.counts();
        let open = journal.open_monitors();
        println!("counts {accepted} {delivered} {returned} {open}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[derive(Default)]
struct Told {
    quiet: AtomicBool,
}

/// Does what the lines say, and ends the process with them: nobody is left to end it.
#[expect(clippy::exit, reason = "who has started it is gone")]
fn listen_to(told: &Told, recorder: &Recorder) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.as_str() {
            "quiet" => told.quiet.store(true, Ordering::Relaxed),
            "end" => {
                for name in recorder.names() {
                    recorder.exit(&name, &ExitReason::Normal);
                }
            }
            _ => {}
        }
    }
    std::process::exit(0);
}

/// Keeps stand-ins for all processes of a peer.
async fn find(node: Arc<Node>, recorder: Arc<Recorder>, told: Arc<Told>, address: String) {
    while !told.quiet.load(Ordering::Relaxed) {
        for name in NAMES {
            // It may fail while the peer is down, and gives the same stand-in while that lives.
            let found = timeout(Duration::from_secs(5), node.resolve(&address, name));
            drop(found.await);
        }
        drop(recorder.take_events());
        sleep(Duration::from_millis(300)).await;
    }
}

/// Sends to all stand-ins in turn.
async fn talk(recorder: Arc<Recorder>, told: Arc<Told>, mut rng: Rng) {
    while !told.quiet.load(Ordering::Relaxed) {
        for stand_in in recorder.stand_ins() {
            for _ in 0..rng.within(1..BURST) {
                let len = match rng.within(0..10_000) {
                    0..9_000 => rng.within(22..100),
                    9_000..9_995 => rng.within(100..8_000),
                    _ => rng.within(64_000..400_000),
                };
                // What a peer does not take now is not sent, so that memory is bounded.
                if !recorder.has_room(stand_in) {
                    break;
                }
                if !recorder.send(stand_in, usize::try_from(len).unwrap_or(0)) {
                    break;
                }
            }
        }
        sleep(PAUSE).await;
    }
}
