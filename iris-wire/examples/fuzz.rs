//! Random and mutated input for every decoder: `cargo xtask fuzz wire` runs it.
//!
//! Arguments: how many calls, and the seed. The same seed gives the same inputs. A panic is a
//! finding, and its message names the call.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a program that prints figures"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_core::{ExitReason, Pid};
use iris_wire::connection::{Config, Connection, Event};
use iris_wire::frame::{AuthMethod, Beat, Extra, Refused, fuzz_decode};
use iris_wire::handshake::{Auth, Authenticated, Handshake, HandshakeConfig, Progress};
use iris_wire::legacy::{LegacyServer, ServerConfig, Sniff, Sniffed};
use iris_wire::{Frame, Message, Name, NodeId};

/// A small generator of numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % n
    }
}

/// Good input, to be made bad.
struct Corpus {
    frames: Vec<Vec<u8>>,
    legacy: Vec<Vec<u8>>,
}

impl Corpus {
    #[expect(clippy::too_many_lines, reason = "one of each frame")]
    fn new() -> Self {
        let pid = Pid::new(1, Pid::FIRST_GENERATION).unwrap();
        let (data, name) = (Bytes::from_static(b"data"), Name::try_from("svc").unwrap());
        let hello = HandshakeConfig::new(NodeId([1; 16]), 1, Auth::Open).hello;
        let beat = Beat {
            t: 1,
            rx_seq: 0,
            lane_age_ms: 9000,
        };
        let frames = [
            Frame::Hello(Box::new(hello)),
            Frame::Auth {
                method: AuthMethod::Open,
                mac: [0; 32],
            },
            Frame::Ready {
                session: [0; 16],
                rx_seq: 0,
            },
            Frame::GoAway {
                reason: iris_wire::frame::ErrorCode::Leaving,
                rx_seq: 0,
                drain_ms: 1,
            },
            Frame::Error {
                code: iris_wire::frame::ErrorCode::Auth,
                message: "no".to_owned(),
            },
            Frame::Ping(beat),
            Frame::Pong(beat),
            Frame::Ack { rx_seq: 0 },
            Frame::Message(Message::Send {
                dst: pid,
                src: None,
                data: data.clone(),
            }),
            Frame::Message(Message::SendName {
                name: name.clone(),
                src: None,
                data: data.clone(),
            }),
            Frame::Message(Message::Call {
                req: 1,
                dst: pid,
                src: Some(pid),
                deadline_ms: 1,
                data: data.clone(),
            }),
            Frame::Message(Message::Reply {
                req: 1,
                status: 0,
                data: data.clone(),
            }),
            Frame::Undelivered {
                of: 1,
                dst: Some(pid),
                reason: Refused::Full,
            },
            Frame::Cancel { req: 1 },
            Frame::FragFirst {
                msg: 1,
                total: 12,
                inner: 0x23,
                head: Bytes::from_static(&[0; 9]),
                data: data.clone(),
            },
            Frame::FragNext {
                msg: 1,
                data: data.clone(),
                last: false,
            },
            Frame::FragNext {
                msg: 1,
                data: data.clone(),
                last: true,
            },
            Frame::FragAbort {
                msg: 1,
                by_receiver: true,
                reason: Refused::Expired,
            },
            Frame::Credit {
                pid: None,
                limit_bytes: 1 << 40,
                limit_msgs: 1 << 40,
            },
            Frame::Monitor {
                monitor: 1,
                watcher: pid,
                target: pid,
            },
            Frame::Demonitor { monitor: 1 },
            Frame::Down {
                monitor: 1,
                target: pid,
                exit: ExitReason::Other("x".into()).into(),
            },
            Frame::Link { from: pid, to: pid },
            Frame::Unlink {
                id: 1,
                from: pid,
                to: pid,
            },
            Frame::UnlinkAck {
                id: 1,
                from: pid,
                to: pid,
            },
            Frame::Exit {
                from: pid,
                to: pid,
                exit: ExitReason::Killed.into(),
            },
            Frame::Resolve {
                req: 1,
                name: name.clone(),
            },
            Frame::Resolved {
                req: 1,
                status: 0,
                pid: Some(pid),
                incarnation: 1,
                lease_ms: 1,
            },
            Frame::WatchName {
                req: 1,
                prefix: Some(name.clone()),
            },
            Frame::NameEvent {
                req: 1,
                event: 0,
                pid: None,
                name: name.clone(),
            },
            Frame::Spawn {
                req: 1,
                parent: None,
                opts: 0,
                behavior: name,
                init: data.clone(),
            },
            Frame::Spawned {
                req: 1,
                status: 0,
                pid: Some(pid),
                text: "why".to_owned(),
            },
            Frame::Swim { data: data.clone() },
            Frame::NamesDelta { data: data.clone() },
            Frame::Extension { kind: 0x6F, data },
        ];
        let encode = |frame: &Frame| {
            let mut out = Vec::new();
            frame
                .encode(
                    Extra {
                        seq: 1,
                        ..Extra::default()
                    },
                    &mut out,
                )
                .unwrap();
            out
        };
        let legacy: [&[u8]; 6] = [
            b"\x01\x01\0\0\0\x03abc",
            b"\x01\0\0\x04\x01\0\0\0\0\x01\0\0\0\x04data",
            b"\x01\x02\x02",
            b"\x01\0\0\0\x03abc\x02",
            b"\0\0\x04\x01\0\0\0\0\x01\0\0\0\x04data",
            b"\x01\x01\0\0\0\x38\0iris.mesh/2;MDEyMzQ1Njc4OWFiY2RlZhEiM0RVZneI__________8",
        ];
        Self {
            frames: frames.iter().map(encode).collect(),
            legacy: legacy.map(<[u8]>::to_vec).into(),
        }
    }
}

/// Changes a few bytes, cuts, repeats, or puts numbers at the edges into fields.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.below(4) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = dice.below(bytes.len());
        match dice.below(8) {
            0 | 1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = dice.next().to_be_bytes()[7],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, 0),
            5 => {
                let edges = [0, 1, 0x7F, 0x80, 0xFF];
                let edge = edges[dice.below(edges.len())];
                let end = (at + [1, 2, 4, 8][dice.below(4)]).min(bytes.len());
                bytes[at..end].fill(edge);
            }
            6 => bytes.extend_from_within(at..),
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes.truncate(512);
}

/// A session that was opened with good bytes, so that what follows reaches its depths.
struct Opened {
    now: Instant,
    config: Config,
    auth: Authenticated,
    ready: Vec<u8>,
}

impl Opened {
    fn new(now: Instant) -> Self {
        let nodes = [1, 2].map(|id| HandshakeConfig::new(NodeId([id; 16]), 1, Auth::Open));
        let mut dialler = Handshake::dial(now, nodes[0].clone(), [1; 32]).unwrap();
        let mut acceptor = Handshake::accept(now, nodes[1].clone(), [2; 32]).unwrap();
        acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
        dialler.handle_input(now, acceptor.poll_transmit()).unwrap();
        acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
        let auth = acceptor.admit().unwrap();
        let mut ready = Vec::new();
        let frame = Frame::Ready {
            session: [0; 16],
            rx_seq: 0,
        };
        frame.encode(Extra::default(), &mut ready).unwrap();
        Self {
            now,
            config: Config::new(&nodes[1].hello),
            auth,
            ready,
        }
    }

    /// Feeds a session with `input`, cut in two, and looks whether it keeps its word.
    fn feed(&self, input: &[u8], cut: usize) {
        let now = self.now;
        let mut conn = Connection::new(now, self.config, self.auth.peer.clone());
        let link = conn.attach(now, self.auth.clone()).unwrap();
        conn.handle_input(now, link, Bytes::copy_from_slice(&self.ready));
        let (left, right) = input.split_at(cut.min(input.len()));
        let mut out = Vec::new();
        for piece in [left, right] {
            conn.handle_input(now, link, Bytes::copy_from_slice(piece));
            while let Some(event) = conn.poll_event() {
                if let Event::Message { cost, .. } = event {
                    conn.release(cost);
                }
            }
            conn.poll_transmit(now, link, 64 * 1024, &mut out);
        }
        conn.handle_timeout(now + Duration::from_secs(31));
        conn.poll_transmit(now, link, 64 * 1024, &mut out);
    }
}

fn call(dice: &mut Dice, corpus: &Corpus, opened: &Opened) -> usize {
    let mut input = Vec::new();
    match dice.below(16) {
        // Frames, one or a few of them, for the decoder alone.
        0..=9 => {
            for _ in 0..=dice.below(3) {
                input.extend_from_slice(&corpus.frames[dice.below(corpus.frames.len())]);
            }
            mutate(dice, &mut input);
            return fuzz_decode(&input);
        }
        // In order, for a session.
        10 | 11 => {
            for seq in 1..=1 + dice.below(4) {
                let at = input.len();
                input.extend_from_slice(&corpus.frames[2 + dice.below(corpus.frames.len() - 2)]);
                if input[at] >= 0x20 && dice.below(16) > 0 && input.len() > at + 16 {
                    input[at + 15] = seq.to_be_bytes()[7];
                }
            }
            if dice.below(4) > 0 {
                mutate(dice, &mut input);
            }
            opened.feed(&input, dice.below(64));
        }
        12 => {
            input.extend_from_slice(&corpus.frames[0]);
            input.extend_from_slice(&corpus.frames[1]);
            mutate(dice, &mut input);
            let config = HandshakeConfig::new(NodeId([2; 16]), 1, Auth::Open);
            let mut handshake = Handshake::accept(opened.now, config, [2; 32]).unwrap();
            if let Ok(Progress::Proven(_)) = handshake.handle_input(opened.now, input.into()) {
                handshake.admit().unwrap();
            }
        }
        13 | 14 => {
            for _ in 0..=dice.below(2) {
                input.extend_from_slice(&corpus.legacy[dice.below(corpus.legacy.len())]);
            }
            mutate(dice, &mut input);
            if let Ok(Some(Sniffed::Legacy(_, rest))) = Sniff::new().handle_input(input.into()) {
                let mut server = LegacyServer::new(opened.now, ServerConfig::default());
                let _ = server.handle_input(opened.now, rest);
            }
        }
        _ => {
            for _ in 0..dice.below(16) {
                input.extend_from_slice(&dice.next().to_be_bytes());
            }
            fuzz_decode(&input);
            opened.feed(&input, dice.below(64));
        }
    }
    0
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(calls)), Some(Ok(seed))) = (numbers.next(), numbers.next()) else {
        println!("two numbers are needed: calls, seed");
        return;
    };
    let (corpus, opened) = (Corpus::new(), Opened::new(Instant::now()));
    let (start, mut told, mut frames) = (Instant::now(), 0, 0_usize);
    for number in 0..calls {
        // Each call has a seed of its own, so that a finding can be looked at alone.
        let mut dice = Dice((seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        dice.next();
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut dice, &corpus, &opened)));
        let Ok(good) = outcome else {
            panic!("call {number} of seed {seed} is a finding");
        };
        frames += good;
        if number % (1 << 16) == 0 && start.elapsed().as_secs() >= told + 60 {
            told = start.elapsed().as_secs();
            println!("{number} calls after {told} s");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = calls as f64 / seconds;
    println!(
        "fuzz wire: {calls} calls, seed {seed}, {seconds:.1} s, {rate:.0} calls a second; \
         {frames} good frames, no finding"
    );
}
