//! Two sessions and a network that delays, cuts and dials twice: nothing is lost, repeated or
//! reordered. Seeded; `IRIS_WIRE_SEEDS` and `IRIS_WIRE_FIRST` choose others than the first 1,000.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_lossless,
    clippy::unwrap_used,
    clippy::assigning_clones,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    clippy::new_without_default,
    clippy::missing_panics_doc,
    clippy::format_push_string,
    clippy::range_plus_one,
    clippy::format_collect,
    clippy::type_complexity,
    reason = "numbers of tests are small, and their tables long"
)]

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::world::{node, shake};
use common::{name, pid};
use iris_wire::connection::{Config, Connection, Cost, Event, LinkId, Lost};
use iris_wire::handshake::{Auth, Authenticated, HandshakeConfig, feature};
use iris_wire::limits::MAX_BODY;
use iris_wire::{Frame, Message};

/// A small generator of numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What a message says of itself: side, pair, number within the pair.
type Stamp = (u8, u8, u32);

#[derive(Debug, Default, PartialEq, Eq)]
struct Fate {
    arrived: u32,
    back: u32,
    back_for_certain: u32,
}

struct End {
    conn: Connection,
    link: LinkId,
    /// Bytes on their way to this end, over the link that they belong to.
    wire: VecDeque<(LinkId, Vec<u8>)>,
    /// Costs that are not released yet.
    held: Vec<Cost>,
    refused: u32,
    /// The last number that arrived of each pair.
    seen: BTreeMap<(u8, u8), u32>,
    next: BTreeMap<u8, u32>,
    lost: Vec<Lost>,
}

struct World {
    now: Instant,
    dice: Dice,
    nodes: [HandshakeConfig; 2],
    ends: [End; 2],
    fates: BTreeMap<Stamp, Fate>,
    nonce: u64,
    max_len: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let now = Instant::now();
        let mut nodes = [node(1, Auth::Open), node(2, Auth::Open)];
        for node in &mut nodes {
            let hello = &mut node.hello;
            hello.credit_bytes = 2 * MAX_BODY as u32 + dice.below(1 << 18) as u32;
            hello.credit_msgs = 1 + dice.below(40) as u32;
            hello.max_msg = 300_000;
            hello.resume_ms = 20_000;
            if dice.one_in(10) {
                hello.features &= !feature::RESUME;
            }
        }
        let (a, b) = shake(now, &nodes[0], &nodes[1], 0);
        let fragment = 500 + dice.below(65_000) as usize;
        let unacked = dice.below(1 << 20) as usize;
        let end = |node: &HandshakeConfig, auth: Authenticated| {
            let mut config = Config::new(&node.hello);
            config.fragment = fragment;
            config.max_unacked = unacked;
            config.max_queued_msgs = 30;
            let mut conn = Connection::new(now, config, auth.peer.clone());
            let link = conn.attach(now, auth).unwrap();
            End {
                conn,
                link,
                wire: VecDeque::new(),
                held: Vec::new(),
                refused: 0,
                seen: BTreeMap::new(),
                next: BTreeMap::new(),
                lost: Vec::new(),
            }
        };
        let ends = [end(&nodes[0], a), end(&nodes[1], b)];
        let max_len = if dice.one_in(3) { 200_000 } else { 200 };
        Self {
            now,
            dice,
            nodes,
            ends,
            fates: BTreeMap::new(),
            nonce: 0,
            max_len,
        }
    }

    fn step(&mut self) {
        let at = self.dice.below(2) as usize;
        match self.dice.below(100) {
            0..40 => self.send(at),
            40..60 => self.transmit(at),
            60..85 => self.deliver(at),
            85..92 => self.release(at),
            92..97 => {
                self.now += Duration::from_millis(self.dice.below(400));
                self.tick();
            }
            97 => self.cut_one(at),
            98 => self.dial(),
            _ if self.dice.one_in(40) => {
                // Long enough for a session to end.
                self.now += Duration::from_secs(self.dice.below(25));
                self.tick();
            }
            _ => {}
        }
    }

    fn send(&mut self, at: usize) {
        let pair = self.dice.below(4) as u8;
        let number = *self.ends[at].next.entry(pair).or_default();
        let stamp = (at as u8, pair, number);
        let mut data = vec![stamp.0, stamp.1];
        data.extend_from_slice(&number.to_be_bytes());
        let len = self.dice.below(self.max_len) as usize;
        data.resize(6 + len, number as u8);
        let data = Bytes::from(data);
        let src = Some(pid(u32::from(pair)));
        let trace = self.dice.one_in(20).then(|| Box::new([9; 25]));
        let message = match pair {
            0 => Message::SendName {
                name: name("svc"),
                src,
                data,
            },
            1 => {
                let req = u64::from(number);
                Message::Call {
                    req,
                    dst: pid(9),
                    src,
                    deadline_ms: 0,
                    data,
                }
            }
            _ => Message::Send {
                dst: pid(10),
                src,
                data,
            },
        };
        let sent = match (&message, trace) {
            (Message::Send { dst, src, data }, None) if data.len() < 100 => {
                self.ends[at].conn.send_copy(*dst, *src, data)
            }
            (_, trace) => self.ends[at].conn.send(message, trace),
        };
        match sent {
            Ok(()) => {
                self.fates.insert(stamp, Fate::default());
                self.ends[at].next.insert(pair, number + 1);
                // A signal takes part in the order of its pair.
                if self.dice.one_in(10) && !self.ends[at].conn.is_closed() {
                    self.signal(at, pair);
                }
            }
            Err(_) => self.ends[at].refused += 1,
        }
    }

    fn signal(&mut self, at: usize, pair: u8) {
        let number = *self.ends[at].next.entry(pair).or_default();
        self.ends[at].next.insert(pair, number + 1);
        self.fates.insert((at as u8, pair, number), Fate::default());
        let monitor = u64::from(pair) << 32 | u64::from(number);
        let (dst, src) = (pid(if pair == 1 { 9 } else { 10 }), pid(u32::from(pair)));
        // A pair with a name has no pids to be ordered by; a DEMONITOR may overtake there.
        let frame = Frame::Demonitor { monitor };
        self.ends[at].conn.signal(frame, Some((src, dst))).unwrap();
        self.collect(at);
    }

    fn transmit(&mut self, from: usize) {
        let max = 1 + self.dice.below(100_000) as usize;
        let end = &mut self.ends[from];
        let mut out = Vec::new();
        end.conn.poll_transmit(self.now, end.link, max, &mut out);
        let bytes = out.concat();
        // Each dial attaches at both ends, so they number their links alike. If the other end has
        // a newer one, or none, nobody reads this.
        let link = self.ends[1 - from].link;
        if !bytes.is_empty() && self.ends[from].conn.link() == Some(link) {
            self.ends[1 - from].wire.push_back((link, bytes));
        }
        self.collect(from);
    }

    fn deliver(&mut self, to: usize) {
        let Some((link, mut bytes)) = self.ends[to].wire.pop_front() else {
            return;
        };
        let take = 1 + self.dice.below(bytes.len() as u64 * 2 + 1) as usize;
        let rest = bytes.split_off(take.min(bytes.len()));
        if !rest.is_empty() {
            self.ends[to].wire.push_front((link, rest));
        }
        self.ends[to]
            .conn
            .handle_input(self.now, link, bytes.into());
        self.collect(to);
    }

    fn release(&mut self, at: usize) {
        while !self.ends[at].held.is_empty() && !self.dice.one_in(8) {
            let which = self.dice.below(self.ends[at].held.len() as u64) as usize;
            let cost = self.ends[at].held.swap_remove(which);
            self.ends[at].conn.release(cost);
        }
    }

    fn tick(&mut self) {
        for at in [0, 1] {
            self.ends[at].conn.handle_timeout(self.now);
            self.collect(at);
        }
    }

    /// One end notices that its link is gone. What is on its way to the other still arrives, or
    /// does not.
    fn cut_one(&mut self, at: usize) {
        let link = self.ends[at].link;
        self.ends[at].conn.link_lost(self.now, link);
        self.ends[at].wire.clear();
        if self.dice.one_in(2) {
            // Cut within a frame.
            let other = &mut self.ends[1 - at].wire;
            if let Some((_, last)) = other.back_mut() {
                last.truncate(last.len() / 2);
            }
        }
        self.collect(at);
    }

    /// A new link, whatever either end thinks of the old one; sometimes two in a row.
    fn dial(&mut self) {
        for _ in 0..=self.dice.below(2) {
            if self.ends.iter().any(|end| end.conn.is_closed()) {
                return;
            }
            self.nonce += 1;
            let nonce = (self.nonce % 251) as u8;
            let (a, b) = shake(self.now, &self.nodes[0], &self.nodes[1], nonce);
            for (at, auth) in [a, b].into_iter().enumerate() {
                let end = &mut self.ends[at];
                end.wire.clear();
                end.link = end.conn.attach(self.now, auth).unwrap();
                self.collect(at);
            }
        }
    }

    fn collect(&mut self, at: usize) {
        while let Some(event) = self.ends[at].conn.poll_event() {
            match event {
                Event::Message { message, cost, .. } => {
                    self.ends[at].held.push(cost);
                    self.arrived(at, stamp_of(message.data()));
                }
                Event::Signal {
                    frame: Frame::Demonitor { monitor },
                    ..
                } => {
                    let (pair, number) = ((monitor >> 32) as u8, monitor as u32);
                    self.arrived(at, (1 - at as u8, pair, number));
                }
                Event::Undelivered { frame, certain, .. } => {
                    let stamp = match &frame {
                        Frame::Message(message) => stamp_of(message.data()),
                        Frame::Demonitor { monitor } => {
                            (at as u8, (monitor >> 32) as u8, *monitor as u32)
                        }
                        other => panic!("{other:?} was never sent"),
                    };
                    let fate = self.fates.get_mut(&stamp).expect("it was sent");
                    fate.back += 1;
                    fate.back_for_certain += u32::from(certain);
                }
                Event::Lost(lost) => {
                    assert!(
                        matches!(lost, Lost::Unreachable { .. } | Lost::Forgotten),
                        "neither end breaks a rule: {lost}"
                    );
                    self.ends[at].lost.push(lost);
                }
                _ => {}
            }
        }
    }

    fn arrived(&mut self, at: usize, stamp: Stamp) {
        let fate = self.fates.get_mut(&stamp).expect("it was sent");
        fate.arrived += 1;
        assert_eq!(fate.arrived, 1, "{stamp:?} arrives twice");
        if stamp.1 == 0 {
            // Signals and names are not one order.
            return;
        }
        let seen = self.ends[at].seen.insert((stamp.0, stamp.1), stamp.2);
        assert!(
            seen.is_none_or(|seen| seen < stamp.2),
            "{stamp:?} arrives after {seen:?}"
        );
    }

    /// The network is good again: everything arrives.
    fn settle(&mut self) {
        self.dial();
        for _ in 0..10_000 {
            let mut still = true;
            for at in [0, 1] {
                for cost in std::mem::take(&mut self.ends[at].held) {
                    self.ends[at].conn.release(cost);
                }
                let end = &mut self.ends[at];
                let mut out = Vec::new();
                end.conn
                    .poll_transmit(self.now, end.link, 1 << 20, &mut out);
                still &= out.is_empty();
                let link = self.ends[1 - at].link;
                self.ends[1 - at].wire.push_back((link, out.concat()));
                self.collect(at);
                while !self.ends[1 - at].wire.is_empty() {
                    self.deliver(1 - at);
                }
            }
            if still {
                return;
            }
            self.now += Duration::from_millis(20);
            self.tick();
        }
        panic!("it never comes to rest");
    }
}

fn stamp_of(data: &[u8]) -> Stamp {
    (
        data[0],
        data[1],
        u32::from_be_bytes(data[2..6].try_into().unwrap()),
    )
}

fn run(seed: u64) -> (usize, u64) {
    let mut world = World::new(seed);
    for _ in 0..600 {
        world.step();
    }
    if !world.ends.iter().any(|end| end.conn.is_closed()) {
        world.settle();
    }
    // Whoever is left gets everything back.
    for at in [0, 1] {
        let now = world.now;
        world.ends[at]
            .conn
            .close(now, iris_wire::frame::ErrorCode::Leaving, Duration::ZERO);
        while let Some(event) = world.ends[at].conn.poll_event() {
            if let Event::Undelivered { frame, certain, .. } = event {
                let stamp = match &frame {
                    Frame::Message(message) => stamp_of(message.data()),
                    Frame::Demonitor { monitor } => {
                        (at as u8, (monitor >> 32) as u8, *monitor as u32)
                    }
                    other => panic!("{other:?} was never sent"),
                };
                let fate = world.fates.get_mut(&stamp).expect("it was sent");
                fate.back += 1;
                fate.back_for_certain += u32::from(certain);
            }
        }
    }
    let lossless = world.ends.iter().all(|end| end.lost.is_empty());
    for (stamp, fate) in &world.fates {
        assert!(
            fate.arrived + fate.back > 0,
            "seed {seed}: {stamp:?} is lost"
        );
        assert!(
            fate.back <= 1,
            "seed {seed}: {stamp:?} comes back {} times",
            fate.back
        );
        let both = fate.arrived > 0 && fate.back_for_certain > 0;
        assert!(
            !both,
            "seed {seed}: {stamp:?} arrived and certainly did not"
        );
        if lossless {
            assert_eq!((fate.arrived, fate.back), (1, 0), "seed {seed}: {stamp:?}");
        }
    }
    (world.fates.len(), u64::from(!lossless))
}

#[test]
fn nothing_is_lost_repeated_or_reordered_whatever_the_network_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first: u64 = number("IRIS_WIRE_FIRST").unwrap_or(1);
    let seeds: u64 = number("IRIS_WIRE_SEEDS").unwrap_or(1000);
    let some = |rest: u64| {
        let (mut messages, mut lossy) = (0, 0);
        for seed in (first..first + seeds).filter(|seed| seed % 2 == rest) {
            let outcome = std::panic::catch_unwind(|| run(seed));
            let (sent, lost) = outcome.unwrap_or_else(|_| panic!("seed {seed} fails"));
            messages += sent;
            lossy += lost;
        }
        (messages, lossy)
    };
    let (even, odd) = std::thread::scope(|scope| {
        let even = scope.spawn(|| some(0));
        let odd = some(1);
        (even.join().expect("see above which seed"), odd)
    });
    let (messages, lossy) = (even.0 + odd.0, even.1 + odd.1);
    println!("{seeds} schedules, {messages} messages, {lossy} with a session lost");
    // The schedules are to reach both kinds of ends.
    assert!(seeds < 1000 || (lossy > 50 && lossy < 900), "{lossy}");
}
