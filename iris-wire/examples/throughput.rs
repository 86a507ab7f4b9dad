//! What one frame costs: `cargo run --release -p iris-wire --example throughput`.
//!
//! One thread, no network: messages are encoded by one session in batches of about 64 KiB and
//! decoded by another, acknowledgements and credit included. Each figure is the median of nine
//! rounds.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a program that prints figures"
)]

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use iris_core::Pid;
use iris_wire::connection::{Config, Connection, Event, LinkId};
use iris_wire::frame::InputBuffer;
use iris_wire::handshake::{Auth, Authenticated, Handshake, HandshakeConfig, Progress};
use iris_wire::limits::MAX_BODY;
use iris_wire::{Message, NodeId};

const ROUNDS: usize = 9;
const BATCH: usize = 64 * 1024;

struct Side {
    conn: Connection,
    link: LinkId,
}

fn pair(now: Instant) -> (Side, Side) {
    let nodes = [1, 2].map(|id| HandshakeConfig::new(NodeId([id; 16]), 1, Auth::Open));
    let mut dialler = Handshake::dial(now, nodes[0].clone(), [1; 32]).unwrap();
    let mut acceptor = Handshake::accept(now, nodes[1].clone(), [2; 32]).unwrap();
    acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
    dialler.handle_input(now, acceptor.poll_transmit()).unwrap();
    acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
    let accepted = acceptor.admit().unwrap();
    let Progress::Done(dialled) = dialler.handle_input(now, acceptor.poll_transmit()).unwrap()
    else {
        panic!("both have proved who they are");
    };
    let side = |node: &HandshakeConfig, auth: Authenticated| {
        let mut conn = Connection::new(now, Config::new(&node.hello), auth.peer.clone());
        let link = conn.attach(now, auth).unwrap();
        Side { conn, link }
    };
    let mut pair = (side(&nodes[0], *dialled), side(&nodes[1], accepted));
    carry(now, &mut pair.0, &mut pair.1);
    carry(now, &mut pair.1, &mut pair.0);
    pair
}

/// Output of one side as one piece, as a socket would give it.
fn output(now: Instant, side: &mut Side, chunks: &mut Vec<Bytes>) -> Bytes {
    side.conn.poll_transmit(now, side.link, BATCH, chunks);
    let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks.drain(..) {
        all.extend_from_slice(&chunk);
    }
    all.freeze()
}

fn carry(now: Instant, from: &mut Side, to: &mut Side) -> usize {
    let bytes = output(now, from, &mut Vec::new());
    to.conn.handle_input(now, to.link, bytes);
    take(to)
}

fn take(side: &mut Side) -> usize {
    let mut messages = 0;
    while let Some(event) = side.conn.poll_event() {
        if let Event::Message { message, cost, .. } = event {
            messages += 1;
            black_box(message.data().first());
            side.conn.release(cost);
        }
    }
    messages
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Nanoseconds a message for: encoding, copying as a socket would, and decoding.
fn session(len: usize, messages: usize) -> [f64; 3] {
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    let (dst, src) = (
        Pid::new(1, Pid::FIRST_GENERATION).unwrap(),
        Pid::new(2, 300_000),
    );
    let data = Bytes::from(vec![7; len]);
    let per_batch = (BATCH / (len + 32)).max(1);
    let mut figures = [const { Vec::new() }; 3];
    let mut chunks = Vec::new();
    for _ in 0..ROUNDS {
        let mut spent = [0.0; 3];
        let mut done = 0;
        while done < messages {
            let start = Instant::now();
            for _ in 0..per_batch {
                let sent = if len < 4096 {
                    a.conn.send_copy(dst, src, &data)
                } else {
                    a.conn.send(
                        Message::Send {
                            dst,
                            src,
                            data: data.clone(),
                        },
                        None,
                    )
                };
                sent.unwrap();
            }
            a.conn.poll_transmit(now, a.link, 2 * BATCH, &mut chunks);
            let encoded = Instant::now();
            let bytes = output(now, &mut a, &mut chunks);
            let copied = Instant::now();
            b.conn.handle_input(now, b.link, bytes);
            done += take(&mut b);
            let decoded = Instant::now();
            carry(now, &mut b, &mut a);
            spent[0] += (encoded - start).as_secs_f64();
            spent[1] += (copied - encoded).as_secs_f64();
            spent[2] += (decoded - copied).as_secs_f64();
        }
        for (figures, spent) in figures.iter_mut().zip(spent) {
            figures.push(spent * 1e9 / done as f64);
        }
    }
    figures.map(median)
}

/// Nanoseconds a frame for the decoder alone.
fn decoder(len: usize) -> f64 {
    let now = Instant::now();
    let (mut a, _b) = pair(now);
    let data = vec![7; len];
    let dst = Pid::new(1, Pid::FIRST_GENERATION).unwrap();
    let count = BATCH / (len + 32);
    for _ in 0..count {
        a.conn.send_copy(dst, None, &data).unwrap();
    }
    let bytes = output(now, &mut a, &mut Vec::new());
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut frames = 0;
        for _ in 0..200 {
            let mut input = InputBuffer::new(MAX_BODY);
            input.push(bytes.clone());
            while let Ok(Some(raw)) = input.next() {
                frames += usize::from(black_box(raw.decode()).is_ok());
            }
        }
        figures
            .push(start.elapsed().as_secs_f64() * 1e9 / f64::from(u32::try_from(frames).unwrap()));
    }
    median(figures)
}

fn main() {
    println!("frame alone, 32 bytes: {:.1} ns to decode", decoder(32));
    for (len, messages) in [
        (32, 400_000),
        (256, 200_000),
        (4096, 50_000),
        (65_536, 4_000),
    ] {
        let [encode, copy, decode] = session(len, messages);
        println!(
            "session, {len:>5} bytes: {encode:.1} ns to encode, {decode:.1} ns to decode and hand \
             out ({copy:.1} ns for a copy as a socket makes it)"
        );
    }
}
