//! Two nodes, and what lies between them, as plain values.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_wire::connection::{Config, Connection, Event, LinkId, Lost};
use iris_wire::frame::Decoded;
use iris_wire::handshake::{
    Auth, Authenticated, Handshake, HandshakeConfig, HandshakeError, Mac, Progress,
};
use iris_wire::{Frame, Message, NodeId};

use super::pid;

/// A code that depends on every byte. No cryptography.
pub struct ToyMac(pub u64);

impl Mac for ToyMac {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut code = [0; 32];
        let mut state = self.0 ^ 0xcbf2_9ce4_8422_2325;
        for (at, byte) in message.iter().chain(&[0; 64]).enumerate() {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            code[at % 32] = (state >> 24) as u8;
        }
        code
    }
}

pub fn psk(key: u64) -> Auth {
    Auth::Psk {
        key: Arc::new(ToyMac(key)),
        binding: Vec::new(),
    }
}

pub fn node(id: u8, auth: Auth) -> HandshakeConfig {
    let mut config = HandshakeConfig::new(NodeId([id; 16]), 1, auth);
    config.hello.cluster = "test".to_owned();
    config.hello.name = format!("node-{id}");
    config
}

type Outcome = Result<Authenticated, HandshakeError>;

/// A whole handshake, in pieces of `piece` bytes: what either side comes to, and all bytes that
/// travelled, dialler's first.
pub fn shake_in(
    now: Instant,
    dialler: &HandshakeConfig,
    acceptor: &HandshakeConfig,
    nonce: u8,
    piece: usize,
) -> (Option<Outcome>, Option<Outcome>, [Vec<u8>; 2]) {
    let mut d = Handshake::dial(now, dialler.clone(), [nonce; 32]).unwrap();
    let mut a = Handshake::accept(now, acceptor.clone(), [nonce ^ 0x5A; 32]).unwrap();
    let (mut d_out, mut a_out) = (None, None);
    let mut bytes = [Vec::new(), Vec::new()];
    loop {
        let to_a = d.poll_transmit();
        bytes[0].extend_from_slice(&to_a);
        for piece in to_a.chunks(piece) {
            if a_out.is_some() {
                break;
            }
            match a.handle_input(now, Bytes::copy_from_slice(piece)) {
                Ok(Progress::Proven(peer)) => {
                    assert_eq!(Some(&peer), a.peer());
                    a_out = a.admit().map(Ok);
                }
                Ok(_) => {}
                Err(error) => a_out = Some(Err(error)),
            }
        }
        let to_d = a.poll_transmit();
        bytes[1].extend_from_slice(&to_d);
        for piece in to_d.chunks(piece) {
            if d_out.is_some() {
                break;
            }
            match d.handle_input(now, Bytes::copy_from_slice(piece)) {
                Ok(Progress::Done(done)) => d_out = Some(Ok(*done)),
                Ok(_) => {}
                Err(error) => d_out = Some(Err(error)),
            }
        }
        if to_a.is_empty() && to_d.is_empty() {
            return (d_out, a_out, bytes);
        }
    }
}

pub fn shake(
    now: Instant,
    dialler: &HandshakeConfig,
    acceptor: &HandshakeConfig,
    nonce: u8,
) -> (Authenticated, Authenticated) {
    let (d, a, _) = shake_in(now, dialler, acceptor, nonce, usize::MAX);
    (d.unwrap().unwrap(), a.unwrap().unwrap())
}

/// One end.
pub struct Side {
    pub conn: Connection,
    pub link: LinkId,
    pub events: Vec<Event>,
    /// Whether costs are released as events are taken.
    pub releases: bool,
}

/// Two ends, and a link without delay between them.
pub struct Pair {
    pub now: Instant,
    pub nodes: [HandshakeConfig; 2],
    pub sides: [Side; 2],
    nonce: u8,
}

impl Pair {
    pub fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    /// With other promises in the HELLOs, and other bounds.
    pub fn with(hello: impl Fn(&mut HandshakeConfig), bounds: impl Fn(&mut Config)) -> Self {
        let now = Instant::now();
        let mut nodes = [node(1, Auth::Open), node(2, Auth::Open)];
        nodes.iter_mut().for_each(hello);
        let (d, a) = shake(now, &nodes[0], &nodes[1], 1);
        let side = |node: &HandshakeConfig, auth: Authenticated| {
            let mut config = Config::new(&node.hello);
            bounds(&mut config);
            let mut conn = Connection::new(now, config, auth.peer.clone());
            let link = conn.attach(now, auth).unwrap();
            Side {
                conn,
                link,
                events: Vec::new(),
                releases: true,
            }
        };
        let sides = [side(&nodes[0], d), side(&nodes[1], a)];
        Self {
            now,
            nodes,
            sides,
            nonce: 1,
        }
    }

    /// Up and running, with nothing on record.
    pub fn open() -> Self {
        let mut pair = Self::new();
        pair.run();
        pair.clear();
        pair
    }

    pub fn clear(&mut self) {
        for side in &mut self.sides {
            side.events.clear();
        }
    }

    pub fn conn(&mut self, side: usize) -> &mut Connection {
        &mut self.sides[side].conn
    }

    /// What one side sends now.
    pub fn output(&mut self, from: usize, max: usize) -> Vec<u8> {
        let side = &mut self.sides[from];
        let mut out = Vec::new();
        side.conn.poll_transmit(self.now, side.link, max, &mut out);
        out.concat()
    }

    pub fn input(&mut self, to: usize, bytes: &[u8]) {
        let side = &mut self.sides[to];
        side.conn
            .handle_input(self.now, side.link, Bytes::copy_from_slice(bytes));
        self.collect(to);
    }

    pub fn collect(&mut self, at: usize) {
        let side = &mut self.sides[at];
        while let Some(event) = side.conn.poll_event() {
            if let (Event::Message { cost, .. }, true) = (&event, side.releases) {
                side.conn.release(*cost);
            }
            side.events.push(event);
        }
    }

    /// Carries everything until both are still.
    pub fn run(&mut self) {
        loop {
            let mut any = false;
            for from in [0, 1] {
                let bytes = self.output(from, 64 * 1024);
                any |= !bytes.is_empty();
                self.input(1 - from, &bytes);
                self.collect(from);
            }
            if !any {
                return;
            }
        }
    }

    /// Lets time pass in steps, with everything carried.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = self
                .sides
                .iter()
                .filter_map(|side| side.conn.poll_timeout())
                .min();
            self.now = next.unwrap_or(end).clamp(self.now, end);
            for at in [0, 1] {
                let now = self.now;
                self.conn(at).handle_timeout(now);
                self.collect(at);
            }
            self.run();
        }
    }

    /// Both notice that the link is gone; what was under way is lost.
    pub fn cut(&mut self) {
        for at in [0, 1] {
            let (now, link) = (self.now, self.sides[at].link);
            self.conn(at).link_lost(now, link);
            self.collect(at);
        }
    }

    /// A new link, dialled by side 0.
    pub fn reconnect(&mut self) {
        self.nonce = self.nonce.wrapping_add(1);
        let (d, a) = shake(self.now, &self.nodes[0], &self.nodes[1], self.nonce);
        for (at, auth) in [d, a].into_iter().enumerate() {
            let now = self.now;
            self.sides[at].link = self.conn(at).attach(now, auth).unwrap();
            self.collect(at);
        }
    }

    /// The data of all messages that one side has got.
    pub fn texts(&self, at: usize) -> Vec<String> {
        let texts = self.sides[at]
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Message { message, .. } => Some(message.data()),
                _ => None,
            });
        texts
            .map(|data| String::from_utf8_lossy(data).into_owned())
            .collect()
    }
}

pub fn send(dst: u32, text: &str) -> Message {
    let data = Bytes::copy_from_slice(text.as_bytes());
    Message::Send {
        dst: pid(dst),
        src: Some(pid(100)),
        data,
    }
}

pub fn long(dst: u32, fill: u8, len: usize) -> Message {
    Message::Send {
        dst: pid(dst),
        src: Some(pid(100)),
        data: vec![fill; len].into(),
    }
}

pub fn frames(bytes: &[u8]) -> Vec<Decoded> {
    super::decode([bytes].into_iter()).unwrap()
}

pub fn lost(events: &[Event]) -> Vec<&Lost> {
    let lost = events.iter().filter_map(|event| match event {
        Event::Lost(lost) => Some(lost),
        _ => None,
    });
    lost.collect()
}

/// Text, and whether it has certainly not arrived.
pub fn undelivered(events: &[Event]) -> Vec<(String, bool)> {
    let frames = events.iter().filter_map(|event| match event {
        Event::Undelivered {
            frame: Frame::Message(message),
            certain,
            ..
        } => {
            let data = &message.data()[..message.data().len().min(9)];
            Some((String::from_utf8_lossy(data).into_owned(), *certain))
        }
        _ => None,
    });
    frames.collect()
}
