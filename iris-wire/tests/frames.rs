//! Frames as bytes: golden ones, cut ones, wrong ones.

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

use std::fmt::Write;

use bytes::Bytes;
use common::{decode, encode, every_frame, hex, pid};
use expect_test::expect;
use iris_wire::frame::{Extra, FrameError, InputBuffer, fuzz_decode, header};
use iris_wire::limits::{HEADER, MAX_BODY, MAX_DATA, MAX_HELLO};
use iris_wire::{Frame, Message};
use proptest::prelude::*;

#[test]
fn the_bytes_of_every_frame_stay_as_they_are() {
    let mut text = String::new();
    for frame in every_frame() {
        let bytes = encode(&frame, 0x0102);
        let (head, body) = bytes.split_at(HEADER);
        writeln!(text, "{} | {}", hex(head), hex(body)).unwrap();
    }
    expect![[r#"
        1000000000000064 | 000200020000000000000003010101010101010101010101010101010000000000000007040000000080000000010000000003e800007530a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a40470726f64066e6f64652d31
        1100000000000021 | 01eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
        1200000000000018 | 090909090909090909090909090909090000000000000005
        130000000000000e | 00000000000000000005000003e8
        140000000000000b | 00040007746f6f206f6c64
        1500000000000014 | 0000000000000001000000000000000200000003
        1600000000000014 | 0000000000000001000000000000000200000003
        1700000000000008 | 0000000000000006
        200000000000001c | 00000000000001020004010000000001000401000000000264617461
        2000000000000018 | 000000000000010200040100000000010000000000000000
        2100000000000019 | 00000000000001020004010000000002000373766364617461
        2200000000000028 | 0000000000000102000000000000000100040100000000010004010000000002000001f464617461
        2300000000000015 | 000000000000010200000000000000010064617461
        2400000000000019 | 00000000000001020000000000000004000401000000000101
        2500000000000010 | 00000000000001020000000000000001
        280000000000001f | 00000000000001020000000000000001000000092000046865616464617461
        2900000000000014 | 0000000000000102000000000000000164617461
        2908000000000011 | 0000000000000102000000000000000165
        2a00000000000012 | 000000000000010200000000000000010102
        3000000000000019 | 0000000000000000000000010000000000000000000000000a
        3000000000000019 | 01000401000000000100000000000000010000000000000001
        3800000000000020 | 0000000000000102000000000000000300040100000000010004010000000002
        3900000000000010 | 00000000000001020000000000000003
        3a0000000000001d | 0000000000000102000000000000000300040100000000020200000000
        3a00000000000025 | 00000000000001020000000000000003000401000000000208000000080005626f72656400
        3b00000000000018 | 000000000000010200040100000000010004010000000002
        3c00000000000020 | 0000000000000102000000000000000800040100000000010004010000000002
        3d00000000000020 | 0000000000000102000000000000000800040100000000020004010000000001
        3e00000000000038 | 000000000000010200040100000000010004010000000002040000001b000001000a56616c75654572726f72000000026e6f6c696e652031
        4000000000000015 | 000000000000010200000000000000020003737663
        4100000000000025 | 000000000000010200000000000000020000040100000000010000000000000007000003e8
        4200000000000014 | 000000000000010200000000000000037376632f
        4200000000000010 | 00000000000001020000000000000003
        430000000000001e | 000000000000010200000000000000030000040100000000017376632f31
        4800000000000026 | 00000000000001020000000000000004000401000000000100010006776f726b657264617461
        4900000000000019 | 00000000000001020000000000000004000004010000000002
        4900000000000022 | 00000000000001020000000000000005030000000000000000697420726169736564
        5000000000000004 | 64617461
        510000000000000c | 000000000000010264617461
        520000000000000c | 000000000000010264617461
        530000000000000c | 000000000000010264617461
        618000000000000c | 000000000000010264617461
    "#]].assert_eq(&text);
}

#[test]
fn every_frame_comes_back_wherever_its_bytes_are_cut() {
    let frames = every_frame();
    let mut stream = Vec::new();
    for (seq, frame) in (1..).zip(&frames) {
        stream.extend_from_slice(&encode(frame, seq));
    }
    let check = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let decoded = decode(pieces).unwrap();
        assert_eq!(decoded.len(), frames.len());
        for (seq, (decoded, frame)) in (1..).zip(decoded.iter().zip(&frames)) {
            assert_eq!(&decoded.frame, frame);
            assert_eq!(
                decoded.seq,
                if header::is_sequenced(frame.kind()) {
                    seq
                } else {
                    0
                }
            );
        }
    };
    for cut in 0..=stream.len() {
        let (left, right) = stream.split_at(cut);
        check(&mut [left, right].into_iter());
    }
    check(&mut stream.chunks(1));
}

#[test]
fn a_trace_and_the_wish_for_an_ack_travel_with_a_frame() {
    let frame = Frame::Cancel { req: 1 };
    let trace = [7; 25];
    let mut out = Vec::new();
    let extra = Extra {
        seq: 3,
        trace: Some(&trace),
        ack: true,
        lane: 1,
    };
    assert_eq!(frame.encode(extra, &mut out), Ok(None));
    let decoded = decode([&out[..]].into_iter()).unwrap().remove(0);
    assert_eq!(
        (decoded.seq, decoded.ack, &decoded.frame),
        (3, true, &frame)
    );
    assert_eq!(decoded.trace.as_deref(), Some(&trace));
}

#[test]
fn long_data_is_handed_on_and_not_copied() {
    let data = Bytes::from(vec![1; MAX_DATA]);
    let frame = Frame::Message(Message::Send {
        dst: pid(1),
        src: None,
        data: data.clone(),
    });
    let mut out = Vec::new();
    let tail = frame.encode(Extra::default(), &mut out).unwrap().unwrap();
    assert_eq!((out.len(), tail.as_ptr()), (HEADER + 24, data.as_ptr()));

    // And what arrives in one piece is a slice of that piece.
    let whole = Bytes::from(encode(&frame, 1));
    let mut input = InputBuffer::new(MAX_BODY);
    input.push(whole.clone());
    let decoded = input.next().unwrap().unwrap().decode().unwrap();
    let Frame::Message(message) = decoded.frame else {
        panic!("a message was sent")
    };
    assert_eq!(message.data().as_ptr(), whole[HEADER + 24..].as_ptr());
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_trace() {
    let data = Bytes::from(vec![1; MAX_BODY]);
    let frame = Frame::Message(Message::Send {
        dst: pid(1),
        src: None,
        data,
    });
    let mut out = vec![5];
    let error = frame.encode(Extra::default(), &mut out).unwrap_err();
    assert_eq!(
        error,
        FrameError::TooLong {
            kind: 0x20,
            len: MAX_BODY + 24,
            limit: MAX_BODY
        }
    );
    assert_eq!(out, [5]);
}

#[test]
fn a_header_that_promises_gigabytes_is_refused_at_once() {
    for (kind, limit) in [(0x10, MAX_HELLO), (0x20, MAX_BODY)] {
        let mut input = InputBuffer::new(MAX_BODY);
        input.push(Bytes::from(vec![kind, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]));
        let error = input.next().unwrap_err();
        assert_eq!(
            error,
            FrameError::TooLong {
                kind,
                len: u32::MAX as usize,
                limit
            }
        );
        assert!(input.allocated() <= HEADER);
    }
}

#[test]
fn a_body_is_not_allocated_before_it_arrives() {
    let mut stream = vec![0x20, 0, 0, 0];
    stream.extend_from_slice(&u32::try_from(MAX_BODY).unwrap().to_be_bytes());
    stream.resize(HEADER + MAX_BODY - 1, 0);
    let mut input = InputBuffer::new(MAX_BODY);
    for (received, byte) in (1..).zip(&stream) {
        input.push(Bytes::copy_from_slice(&[*byte]));
        assert_eq!(input.next(), Ok(None));
        assert!(
            input.allocated() <= received + received.clamp(64, 64 * 1024),
            "{received}"
        );
    }
}

#[test]
fn an_unknown_type_is_passed_over_only_if_it_is_marked() {
    let mut marked = vec![0x7F, 0x80, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0xAA];
    let decoded = decode([&marked[..]].into_iter()).unwrap().remove(0);
    assert_eq!(
        (decoded.frame, decoded.seq),
        (Frame::Unknown { kind: 0x7F }, 4)
    );
    marked[1] = 0;
    assert_eq!(
        decode([&marked[..]].into_iter()),
        Err(FrameError::UnknownType { kind: 0x7F })
    );
}

#[test]
fn wrong_bodies_are_told_apart() {
    let check = |text: &str, expected: FrameError| {
        assert_eq!(
            decode([&common::unhex(text)[..]].into_iter()),
            Err(expected),
            "{text}"
        );
    };
    check(
        "17 00 0000 00000007 00000000000000",
        FrameError::Short { kind: 0x17 },
    );
    let extra = FrameError::Trailing {
        kind: 0x17,
        extra: 1,
    };
    check("17 00 0000 00000009 0000000000000001 00", extra);
    check(
        "17 10 0000 00000008 0000000000000001",
        FrameError::Flags {
            kind: 0x17,
            flags: 0x10,
        },
    );
    check(
        "17 02 0000 00000008 0000000000000001",
        FrameError::Flags {
            kind: 0x17,
            flags: 2,
        },
    );
    check(
        "17 08 0000 00000008 0000000000000001",
        FrameError::Flags {
            kind: 0x17,
            flags: 8,
        },
    );
    check(
        "17 01 0000 00000008 0000000000000001",
        FrameError::Short { kind: 0x17 },
    );
    let zero = FrameError::Field {
        kind: 0x20,
        field: "dst",
        value: 0,
    };
    check(
        "20 00 0000 00000018 0000000000000001 0000000000000000 0000000000000000",
        zero,
    );
    let big = FrameError::Field {
        kind: 0x20,
        field: "src",
        value: 1 << 53,
    };
    check(
        "20 00 0000 00000018 0000000000000001 0000000000000001 0020000000000000",
        big,
    );
    let method = FrameError::Field {
        kind: 0x11,
        field: "method",
        value: 3,
    };
    check(
        &format!("11 00 0000 00000021 03 {}", "00".repeat(32)),
        method,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_decode(&bytes);
    }

    #[test]
    fn any_cuts_give_the_same_frames(
        picks in prop::collection::vec(0..every_frame().len(), 1..20),
        sizes in prop::collection::vec(1_usize..80, 1..60),
    ) {
        let all = every_frame();
        let stream: Vec<u8> =
            (1..).zip(&picks).flat_map(|(seq, &pick)| encode(&all[pick], seq)).collect();
        let whole = decode([&stream[..]].into_iter()).unwrap();
        let (mut pieces, mut rest, mut sizes) = (Vec::new(), &stream[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(decode(pieces.into_iter()).unwrap(), whole);
    }

    #[test]
    fn one_changed_byte_never_panics(
        pick in 0..every_frame().len(), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut bytes = encode(&every_frame()[pick], 1);
        let at = at.index(bytes.len());
        bytes[at] = to;
        fuzz_decode(&bytes);
    }
}
