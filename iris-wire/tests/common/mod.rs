//! One of every frame, and bytes as text.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod world;

use std::fmt::Write;

use bytes::Bytes;
use iris_core::{Exit, ExitReason, Failure, Pid};
use iris_wire::frame::{AuthMethod, Beat, ErrorCode, Hello, InputBuffer, Refused};
use iris_wire::frame::{Decoded, Extra, FrameError};
use iris_wire::limits::MAX_BODY;
use iris_wire::{Frame, Message, Name, NodeId};

pub fn pid(slot: u32) -> Pid {
    Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

pub fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub fn hello(id: u8) -> Hello {
    Hello {
        ver_min: 2,
        ver_max: 2,
        features: 3,
        node_id: NodeId([id; 16]),
        incarnation: 7,
        max_msg: 64 << 20,
        credit_bytes: 8 << 20,
        credit_msgs: 65_536,
        hb_ms: 1000,
        resume_ms: 30_000,
        nonce: [id ^ 0xA5; 32],
        cluster: "prod".to_owned(),
        name: "node-1".to_owned(),
    }
}

/// One of every frame, in the order of their types.
pub fn every_frame() -> Vec<Frame> {
    let (a, b, data) = (pid(1), pid(2), || bytes("data"));
    let beat = Beat {
        t: 1,
        rx_seq: 2,
        lane_age_ms: 3,
    };
    let crash = Exit::crash(Failure {
        kind: "ValueError".to_owned(),
        message: "no".to_owned(),
        traceback: "line 1".to_owned(),
    });
    vec![
        Frame::Hello(Box::new(hello(1))),
        Frame::Auth {
            method: AuthMethod::Psk,
            mac: [0xEE; 32],
        },
        Frame::Ready {
            session: [9; 16],
            rx_seq: 5,
        },
        Frame::GoAway {
            reason: ErrorCode::Leaving,
            rx_seq: 5,
            drain_ms: 1000,
        },
        Frame::Error {
            code: ErrorCode::Version,
            message: "too old".to_owned(),
        },
        Frame::Ping(beat),
        Frame::Pong(beat),
        Frame::Ack { rx_seq: 6 },
        Frame::Message(Message::Send {
            dst: a,
            src: Some(b),
            data: data(),
        }),
        Frame::Message(Message::Send {
            dst: a,
            src: None,
            data: Bytes::new(),
        }),
        Frame::Message(Message::SendName {
            name: name("svc"),
            src: Some(b),
            data: data(),
        }),
        Frame::Message(Message::Call {
            req: 1,
            dst: a,
            src: Some(b),
            deadline_ms: 500,
            data: data(),
        }),
        Frame::Message(Message::Reply {
            req: 1,
            status: 0,
            data: data(),
        }),
        Frame::Undelivered {
            of: 4,
            dst: Some(a),
            reason: Refused::Full,
        },
        Frame::Cancel { req: 1 },
        Frame::FragFirst {
            msg: 1,
            total: 9,
            inner: 0x20,
            head: bytes("head"),
            data: data(),
        },
        Frame::FragNext {
            msg: 1,
            data: data(),
            last: false,
        },
        Frame::FragNext {
            msg: 1,
            data: bytes("e"),
            last: true,
        },
        Frame::FragAbort {
            msg: 1,
            by_receiver: true,
            reason: Refused::TooBig,
        },
        Frame::Credit {
            pid: None,
            limit_bytes: 1 << 40,
            limit_msgs: 10,
        },
        Frame::Credit {
            pid: Some(a),
            limit_bytes: 1,
            limit_msgs: 1,
        },
        Frame::Monitor {
            monitor: 3,
            watcher: a,
            target: b,
        },
        Frame::Demonitor { monitor: 3 },
        Frame::Down {
            monitor: 3,
            target: b,
            exit: ExitReason::Killed.into(),
        },
        Frame::Down {
            monitor: 3,
            target: b,
            exit: ExitReason::Other("bored".into()).into(),
        },
        Frame::Link { from: a, to: b },
        Frame::Unlink {
            id: 8,
            from: a,
            to: b,
        },
        Frame::UnlinkAck {
            id: 8,
            from: b,
            to: a,
        },
        Frame::Exit {
            from: a,
            to: b,
            exit: crash,
        },
        Frame::Resolve {
            req: 2,
            name: name("svc"),
        },
        Frame::Resolved {
            req: 2,
            status: 0,
            pid: Some(a),
            incarnation: 7,
            lease_ms: 1000,
        },
        Frame::WatchName {
            req: 3,
            prefix: Some(name("svc/")),
        },
        Frame::WatchName {
            req: 3,
            prefix: None,
        },
        Frame::NameEvent {
            req: 3,
            event: 0,
            pid: Some(a),
            name: name("svc/1"),
        },
        Frame::Spawn {
            req: 4,
            parent: Some(a),
            opts: 1,
            behavior: name("worker"),
            init: data(),
        },
        Frame::Spawned {
            req: 4,
            status: 0,
            pid: Some(b),
            text: String::new(),
        },
        Frame::Spawned {
            req: 5,
            status: 3,
            pid: None,
            text: "it raised".to_owned(),
        },
        Frame::Swim { data: data() },
        Frame::NamesDigest { data: data() },
        Frame::NamesDelta { data: data() },
        Frame::GroupsDelta { data: data() },
        Frame::Extension {
            kind: 0x61,
            data: data(),
        },
    ]
}

pub fn encode(frame: &Frame, seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let tail = frame
        .encode(
            Extra {
                seq,
                ..Extra::default()
            },
            &mut out,
        )
        .unwrap();
    out.extend_from_slice(&tail.unwrap_or_default());
    out
}

/// All frames of a stream that arrives in `pieces`.
pub fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Decoded>, FrameError> {
    let mut input = InputBuffer::new(MAX_BODY);
    let mut frames = Vec::new();
    for piece in pieces {
        input.push(Bytes::copy_from_slice(piece));
        while let Some(raw) = input.next()? {
            frames.push(raw.decode()?);
        }
    }
    Ok(frames)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter_map(|c| char::from(c).to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
