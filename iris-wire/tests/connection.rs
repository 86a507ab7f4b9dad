//! One session: order, acknowledgement, resume, credit, fragments, heartbeats, ends.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_lossless,
    clippy::unwrap_used,
    reason = "numbers of tests are small"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::world::Pair;
use common::{bytes, encode, hex, name, pid};
use expect_test::expect;
use iris_core::ExitReason;
use iris_wire::connection::{
    AttachError, Connection, Event, LinkError, Lost, SendError, Violation,
};
use iris_wire::frame::{Decoded, ErrorCode, Refused};
use iris_wire::handshake::feature;
use iris_wire::limits::{MAX_BODY, MAX_DATA};
use iris_wire::{Frame, Message};

fn send(dst: u32, text: &str) -> Message {
    let data = Bytes::copy_from_slice(text.as_bytes());
    Message::Send {
        dst: pid(dst),
        src: Some(pid(100)),
        data,
    }
}

fn long(dst: u32, fill: u8, len: usize) -> Message {
    Message::Send {
        dst: pid(dst),
        src: Some(pid(100)),
        data: vec![fill; len].into(),
    }
}

fn frames(bytes: &[u8]) -> Vec<Decoded> {
    common::decode([bytes].into_iter()).unwrap()
}

fn lost(events: &[Event]) -> Vec<&Lost> {
    let lost = events.iter().filter_map(|event| match event {
        Event::Lost(lost) => Some(lost),
        _ => None,
    });
    lost.collect()
}

/// Text, and whether it has certainly not arrived.
fn undelivered(events: &[Event]) -> Vec<(String, bool)> {
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

#[test]
fn a_whole_conversation_byte_by_byte() {
    let mut pair = Pair::new();
    let mut log = String::new();
    let mut step = |pair: &mut Pair, what: &str| {
        log.push_str(&format!("{what}\n"));
        loop {
            let mut any = false;
            for from in [0, 1] {
                let bytes = pair.output(from, MAX_DATA);
                if !bytes.is_empty() {
                    any = true;
                    let arrow = if from == 0 { "->" } else { "<-" };
                    for decoded in frames(&bytes) {
                        let kind = decoded.frame.kind();
                        log.push_str(&format!("  {arrow} {kind:02x} {}\n", decoded.seq));
                    }
                    log.push_str(&format!("     {}\n", hex(&bytes)));
                }
                pair.input(1 - from, &bytes);
            }
            if !any {
                return;
            }
        }
    };
    step(&mut pair, "ready");
    pair.conn(0).send(send(1, "one"), None).unwrap();
    pair.conn(0)
        .send(
            Message::SendName {
                name: name("svc"),
                src: None,
                data: bytes("two"),
            },
            Some(Box::new([7; 25])),
        )
        .unwrap();
    step(&mut pair, "two messages, one with a trace");
    let call = Message::Call {
        req: 1,
        dst: pid(1),
        src: Some(pid(100)),
        deadline_ms: 50,
        data: bytes("?"),
    };
    pair.conn(0).send(call, None).unwrap();
    step(&mut pair, "a question");
    pair.conn(1)
        .send(
            Message::Reply {
                req: 1,
                status: 0,
                data: bytes("!"),
            },
            None,
        )
        .unwrap();
    step(&mut pair, "its answer");
    pair.conn(0)
        .signal(
            Frame::Monitor {
                monitor: 5,
                watcher: pid(100),
                target: pid(1),
            },
            None,
        )
        .unwrap();
    step(&mut pair, "a monitor");
    let exit = ExitReason::Killed.into();
    let down = Frame::Down {
        monitor: 5,
        target: pid(1),
        exit,
    };
    pair.conn(1).signal(down, Some((pid(1), pid(100)))).unwrap();
    step(&mut pair, "and its end");
    let now = pair.now;
    pair.conn(0)
        .close(now, ErrorCode::Leaving, Duration::from_secs(1));
    step(&mut pair, "leaving, while acknowledgements are due");
    pair.now += Duration::from_millis(20);
    for at in [0, 1] {
        let now = pair.now;
        pair.conn(at).handle_timeout(now);
    }
    step(&mut pair, "20 ms later");
    assert!(pair.conn(0).is_closed());
    expect![[r#"
        ready
          -> 12 0
             1200000000000018000000000000000000000000000000000000000000000000
          <- 12 0
             1200000000000018000000000000000000000000000000000000000000000000
        two messages, one with a trace
          -> 20 1
          -> 21 2
             200000010000001b0000000000000001000401000000000100040100000000646f6e6521010001000000310707070707070707070707070707070707070707070707070700000000000000020000000000000000000373766374776f
        a question
          -> 22 3
             22000001000000250000000000000003000000000000000100040100000000010004010000000064000000323f
        its answer
          <- 23 1
             2300000100000012000000000000000100000000000000010021
        a monitor
          -> 38 4
             38000001000000200000000000000004000000000000000500040100000000640004010000000001
        and its end
          <- 3a 2
             3a0000010000001d0000000000000002000000000000000500040100000000010200000000
        leaving, while acknowledgements are due
          -> 13 0
             130000000000000e00000000000000000002000003e8
          <- 13 0
             130000000000000e0000000000000000000400000000
          -> 13 0
             130000000000000e0000000000000000000200000000
        20 ms later
          <- 17 0
             17000000000000080000000000000004
    "#]].assert_eq(&log);
}

#[test]
fn messages_arrive_once_and_in_order() {
    let mut pair = Pair::open();
    for number in 0..5000 {
        let message = send(number % 7, &number.to_string());
        pair.conn(0).send(message, None).unwrap();
    }
    pair.run();
    let expected: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    assert_eq!(pair.texts(1), expected);
}

#[test]
fn every_kind_of_signal_and_message_travels() {
    let mut pair = Pair::open();
    let mut expected = Vec::new();
    for frame in common::every_frame() {
        match &frame {
            Frame::Message(message) => pair.conn(0).send(message.clone(), None).unwrap(),
            frame if pair.conn(0).signal(frame.clone(), None).is_err() => continue,
            _ => {}
        }
        expected.push(frame);
    }
    assert_eq!(expected.len(), 26);
    pair.run();
    let mut got: Vec<Frame> = Vec::new();
    for event in &pair.sides[1].events {
        match event {
            Event::Message { message, .. } => got.push(Frame::Message(message.clone())),
            Event::Signal { frame, .. } => got.push(frame.clone()),
            _ => {}
        }
    }
    // Look-ups and the like overtake what was not encoded.
    let key = |frame: &Frame| (frame.kind(), format!("{frame:?}"));
    expected.sort_by_key(key);
    got.sort_by_key(key);
    assert_eq!(got, expected);
}

#[test]
fn a_small_message_overtakes_a_long_one_of_another_pair_and_waits_behind_that_of_its_own() {
    let mut pair = Pair::open();
    pair.conn(0)
        .send(long(1, b'L', 10 * MAX_DATA), None)
        .unwrap();
    // One fragment is on its way.
    let first = pair.output(0, MAX_DATA);
    assert_eq!(frames(&first)[0].frame.kind(), 0x28);
    pair.conn(0).send(send(1, "same pair"), None).unwrap();
    let link = Frame::Link {
        from: pid(100),
        to: pid(1),
    };
    pair.conn(0).signal(link.clone(), None).unwrap();
    pair.conn(0).send(send(2, "other pair"), None).unwrap();
    pair.input(1, &first);
    pair.run();
    let texts = pair.texts(1);
    assert_eq!(texts[0], "other pair");
    assert_eq!(texts[1].len(), 10 * MAX_DATA);
    assert_eq!(texts[2], "same pair");
    let last = pair.sides[1].events.last();
    assert!(matches!(last, Some(Event::Signal { frame, .. }) if *frame == link));
    // The pair is free again.
    pair.clear();
    pair.conn(0).send(send(1, "later"), None).unwrap();
    pair.run();
    assert_eq!(pair.texts(1), ["later"]);
}

#[test]
fn pairs_with_long_messages_take_turns() {
    let mut pair = Pair::open();
    for dst in [1, 2, 3] {
        pair.conn(0)
            .send(long(dst, b'0' + dst as u8, 3 * MAX_DATA), None)
            .unwrap();
    }
    let mut order = Vec::new();
    loop {
        let bytes = pair.output(0, 1);
        if bytes.is_empty() {
            break;
        }
        for decoded in frames(&bytes) {
            match decoded.frame {
                Frame::FragFirst { msg, .. } | Frame::FragNext { msg, .. } => order.push(msg),
                _ => {}
            }
        }
        pair.input(1, &bytes);
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    pair.run();
    assert_eq!(pair.texts(1).len(), 3);
}

#[test]
fn a_stream_of_small_ones_does_not_starve_a_long_one() {
    let mut pair = Pair::open();
    pair.conn(0)
        .send(long(1, b'L', 3 * MAX_DATA), None)
        .unwrap();
    let small = "s".repeat(1000);
    let mut polls = 0;
    while !pair.texts(1).iter().any(|text| text.starts_with('L')) {
        for _ in 0..100 {
            let _ = pair.conn(0).send(send(2, &small), None);
        }
        let bytes = pair.output(0, MAX_DATA);
        pair.input(1, &bytes);
        let back = pair.output(1, MAX_DATA);
        pair.input(0, &back);
        polls += 1;
        assert!(polls < 100, "it is never its turn");
    }
}

#[test]
fn the_longest_message_travels_and_a_longer_one_comes_back_at_once() {
    let mut pair = Pair::with(|node| node.hello.max_msg = 1 << 20, |_| {});
    pair.run();
    let error = pair
        .conn(0)
        .send(long(1, 1, (1 << 20) + 1), None)
        .unwrap_err();
    assert!(matches!(
        &error,
        SendError::TooLong {
            limit: 1_048_576,
            ..
        }
    ));
    assert_eq!(error.into_message().data().len(), (1 << 20) + 1);
    for len in [MAX_DATA - 1, MAX_DATA, MAX_DATA + 1, MAX_BODY, 1 << 20] {
        pair.clear();
        pair.conn(0).send(long(1, 1, len), None).unwrap();
        let named = Message::SendName {
            name: name(&"n".repeat(1024)),
            src: None,
            data: vec![2; len].into(),
        };
        pair.conn(0).send(named, Some(Box::new([7; 25]))).unwrap();
        pair.run();
        let mut lengths: Vec<usize> = pair.texts(1).iter().map(String::len).collect();
        lengths.dedup();
        assert_eq!(lengths, [len]);
        let traced = |event: &Event| matches!(event, Event::Message { trace: Some(_), .. });
        assert_eq!(
            pair.sides[1]
                .events
                .iter()
                .filter(|event| traced(event))
                .count(),
            1
        );
    }
}

#[test]
fn without_fragments_a_long_message_comes_back_at_once() {
    let mut pair = Pair::with(|node| node.hello.features &= !feature::FRAGMENTS, |_| {});
    pair.run();
    pair.conn(0).send(long(1, 1, MAX_DATA), None).unwrap();
    let error = pair
        .conn(0)
        .send(long(1, 1, MAX_DATA + 1), None)
        .unwrap_err();
    assert!(matches!(
        error,
        SendError::TooLong {
            limit: MAX_DATA,
            ..
        }
    ));
}

#[test]
fn a_sender_without_credit_waits_and_then_is_refused() {
    let mut pair = Pair::with(
        |node| node.hello.credit_msgs = 10,
        |it| it.max_queued_msgs = 20,
    );
    pair.sides[1].releases = false;
    pair.run();
    let refused =
        (0..100).find_map(|number| pair.conn(0).send(send(1, &number.to_string()), None).err());
    // Ten were paid for, twenty wait.
    let Some(SendError::WouldBlock { message }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(message.data()[..], *b"30");
    pair.run();
    assert_eq!(pair.texts(1).len(), 10);
    // The receiver gets rid of them, and the rest follows.
    pair.sides[1].releases = true;
    let costs: Vec<_> = pair.sides[1]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message { cost, .. } => Some(*cost),
            _ => None,
        })
        .collect();
    for cost in costs {
        pair.conn(1).release(cost);
    }
    pair.run();
    assert_eq!(pair.texts(1).len(), 30);
    assert!(pair.sides[0].events.contains(&Event::Writable));
}

#[test]
fn bytes_are_limited_as_well_and_signals_need_no_credit() {
    let mut pair = Pair::with(|node| node.hello.credit_bytes = 2 * MAX_BODY as u32, |_| {});
    pair.sides[1].releases = false;
    pair.run();
    for _ in 0..4 {
        pair.conn(0).send(long(1, 1, MAX_DATA), None).unwrap();
    }
    pair.run();
    assert_eq!(pair.texts(1).len(), 2);
    // Long ones leave a reserve for small ones.
    let name = Frame::Resolve {
        req: 1,
        name: name("svc"),
    };
    pair.conn(0).signal(name.clone(), None).unwrap();
    pair.run();
    let last = pair.sides[1].events.last();
    assert!(matches!(last, Some(Event::Signal { frame, .. }) if *frame == name));
}

#[test]
fn whole_messages_from_fragments_hold_the_sender_back_until_they_are_released() {
    let mut pair = Pair::with(
        |node| {
            node.hello.credit_bytes = 1 << 20;
            node.hello.max_msg = 4 << 20;
        },
        |_| {},
    );
    pair.sides[1].releases = false;
    pair.run();
    for dst in 1..=6 {
        pair.conn(0).send(long(dst, 1, 4 << 20), None).unwrap();
    }
    pair.run();
    // Two are whole, which is more than the window; the next has not come.
    assert_eq!(pair.texts(1).len(), 2);
    for _ in 0..2 {
        let costs: Vec<_> = pair.sides[1]
            .events
            .drain(..)
            .filter_map(|event| match event {
                Event::Message { cost, .. } => Some(cost),
                _ => None,
            })
            .collect();
        for cost in costs {
            pair.conn(1).release(cost);
        }
        pair.run();
        assert_eq!(pair.texts(1).len(), 2);
    }
}

#[test]
fn a_pause_within_a_long_message_is_limited() {
    let mut pair = Pair::open();
    pair.conn(0)
        .send(long(1, b'L', 4 * MAX_DATA), None)
        .unwrap();
    let first = pair.output(0, 1);
    pair.input(1, &first);
    // Heartbeats go on; fragments do not.
    let mut waited = Duration::ZERO;
    while !pair.sides[0]
        .events
        .iter()
        .any(|event| matches!(event, Event::Undelivered { .. }))
    {
        pair.now += Duration::from_secs(1);
        waited += Duration::from_secs(1);
        for at in [0, 1] {
            let now = pair.now;
            let ping = encode(&Frame::Ack { rx_seq: 0 }, 0);
            pair.input(at, &ping);
            pair.conn(at).handle_timeout(now);
        }
        let back = pair.output(1, MAX_DATA);
        pair.input(0, &back);
        assert!(waited <= Duration::from_secs(30));
    }
    assert_eq!(waited, Duration::from_secs(30));
    assert_eq!(
        undelivered(&pair.sides[0].events),
        [("LLLLLLLLL".to_owned(), true)]
    );
    // What the sender had encoded before it heard of it is passed over, and the pair goes on.
    pair.conn(0).send(send(1, "next"), None).unwrap();
    pair.run();
    assert_eq!(pair.texts(1), ["next"]);
    assert!(pair.conn(0).is_open() && pair.conn(1).is_open());
}

#[test]
fn a_resumed_session_loses_nothing_and_repeats_nothing() {
    // Cut after every number of bytes of a conversation that has all kinds of frames in it.
    let run = |cut: usize| {
        let mut pair = Pair::open();
        for number in 0..20 {
            pair.conn(0)
                .send(send(number % 3, &number.to_string()), None)
                .unwrap();
        }
        pair.conn(0)
            .send(long(3, b'L', MAX_DATA + 5000), None)
            .unwrap();
        pair.conn(0)
            .send(long(4, b'T', 5000), Some(Box::new([7; 25])))
            .unwrap();
        pair.conn(0)
            .signal(
                Frame::Link {
                    from: pid(1),
                    to: pid(2),
                },
                None,
            )
            .unwrap();
        let bytes = pair.output(0, 1 << 20);
        pair.input(1, &bytes[..cut.min(bytes.len())]);
        // The acknowledgement is lost in half of the cases.
        if cut % 2 == 0 {
            pair.now += Duration::from_millis(20);
            let now = pair.now;
            pair.conn(1).handle_timeout(now);
            let back = pair.output(1, 1 << 20);
            pair.input(0, &back);
        }
        pair.cut();
        pair.conn(0).send(send(1, "meanwhile"), None).unwrap();
        pair.reconnect();
        pair.run();
        let mut texts = pair.texts(1);
        texts.sort();
        let mut expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        expected.extend([
            "L".repeat(MAX_DATA + 5000),
            "T".repeat(5000),
            "meanwhile".to_owned(),
        ]);
        expected.sort();
        assert!(texts == expected, "cut at {cut}: {} messages", texts.len());
        let links = pair.sides[1].events.iter().filter(|event| {
            matches!(
                event,
                Event::Signal {
                    frame: Frame::Link { .. },
                    ..
                }
            )
        });
        assert_eq!(links.count(), 1, "cut at {cut}");
        for side in &pair.sides {
            let resumed = |event: &Event| matches!(event, Event::Ready { resumed: true, .. });
            assert!(side.events.iter().any(resumed));
            assert_eq!(lost(&side.events), [] as [&Lost; 0]);
        }
        // All is acknowledged in the end.
        pair.pass(Duration::from_millis(100));
        let now = pair.now;
        pair.conn(0).close(now, ErrorCode::Leaving, Duration::ZERO);
        pair.collect(0);
        assert_eq!(undelivered(&pair.sides[0].events), []);
        bytes.len()
    };
    let len = run(0);
    for cut in (1..2500)
        .chain((2500..len).step_by(997))
        .chain([len - 1, len])
    {
        run(cut);
    }
}

#[test]
fn without_a_new_link_in_time_everything_comes_back() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "arrived"), None).unwrap();
    pair.run();
    pair.pass(Duration::from_millis(20));
    pair.conn(0).send(send(1, "perhaps"), None).unwrap();
    pair.conn(0)
        .send(long(2, b'L', 2 * MAX_DATA), None)
        .unwrap();
    let lost_on_the_way = pair.output(0, 1 << 20);
    assert!(!lost_on_the_way.is_empty());
    pair.cut();
    pair.conn(0).send(send(1, "never"), None).unwrap();
    pair.conn(0)
        .signal(
            Frame::Link {
                from: pid(1),
                to: pid(2),
            },
            None,
        )
        .unwrap();
    pair.clear();
    pair.pass(Duration::from_secs(29));
    assert!(!pair.conn(0).is_closed());
    pair.pass(Duration::from_secs(1));
    assert!(pair.conn(0).is_closed() && pair.conn(1).is_closed());
    let events = &pair.sides[0].events;
    let expected = [("perhaps", false), ("LLLLLLLLL", false), ("never", true)];
    assert_eq!(
        undelivered(events),
        expected.map(|(text, certain)| (text.to_owned(), certain))
    );
    let is_link = |event: &Event| {
        matches!(
            event,
            Event::Undelivered {
                frame: Frame::Link { .. },
                certain: true,
                ..
            }
        )
    };
    assert!(events.iter().any(is_link));
    let after = Duration::from_secs(30);
    assert_eq!(
        events.last(),
        Some(&Event::Lost(Lost::Unreachable { after }))
    );
    assert_eq!(pair.conn(0).poll_timeout(), None);
    let error = pair.conn(0).send(send(1, "late"), None).unwrap_err();
    assert_eq!(
        error,
        SendError::Closed {
            message: Box::new(send(1, "late"))
        }
    );
}

#[test]
fn a_session_that_the_peer_has_forgotten_is_lost_and_another_begins() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "perhaps"), None).unwrap();
    assert!(!pair.output(0, 1 << 20).is_empty());
    pair.cut();
    pair.conn(0).send(send(1, "never"), None).unwrap();
    pair.clear();
    // The same life of the peer, with another session.
    let now = pair.now;
    let peer = pair.conn(1).peer().clone();
    let config = iris_wire::Config::new(&pair.nodes[1].hello);
    pair.sides[1].conn = Connection::new(now, config, peer);
    pair.reconnect();
    pair.run();
    let events = &pair.sides[0].events;
    let expected = [("perhaps".to_owned(), false), ("never".to_owned(), true)];
    assert_eq!(undelivered(events), expected);
    assert_eq!(lost(events), [&Lost::Forgotten]);
    assert!(matches!(
        events.last(),
        Some(Event::Ready { resumed: false, .. })
    ));
    pair.conn(0).send(send(1, "new"), None).unwrap();
    pair.run();
    assert_eq!(pair.texts(1), ["new"]);
    assert_eq!(lost(&pair.sides[1].events), [] as [&Lost; 0]);
}

#[test]
fn peers_that_do_not_resume_lose_the_session_with_the_link() {
    let mut pair = Pair::with(|node| node.hello.resume_ms = 0, |_| {});
    pair.run();
    pair.conn(0).send(send(1, "perhaps"), None).unwrap();
    pair.output(0, 1 << 20);
    pair.cut();
    assert!(pair.conn(0).is_closed());
    assert_eq!(
        undelivered(&pair.sides[0].events),
        [("perhaps".to_owned(), false)]
    );
}

#[test]
fn a_newer_link_replaces_an_older_one_and_what_that_still_brings_is_void() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "once"), None).unwrap();
    let old = pair.output(0, 1 << 20);
    let old_link = pair.sides[1].link;
    pair.reconnect();
    let down = Event::LinkDown {
        link: old_link,
        reason: LinkError::Replaced,
    };
    assert!(pair.sides[1].events.contains(&down));
    let now = pair.now;
    pair.conn(1).handle_input(now, old_link, old.into());
    pair.conn(1).link_lost(now, old_link);
    assert_eq!(
        pair.conn(1)
            .poll_transmit(now, old_link, 1 << 20, &mut Vec::new()),
        0
    );
    pair.run();
    assert_eq!(pair.texts(1), ["once"]);
    assert!(pair.conn(1).is_open());
}

#[test]
fn a_link_to_another_life_of_the_peer_does_not_fit() {
    let mut pair = Pair::open();
    let mut other = pair.nodes[1].clone();
    other.hello.incarnation += 1;
    let (link, _) = common::world::shake(pair.now, &pair.nodes[0], &other, 9);
    let now = pair.now;
    assert_eq!(
        pair.conn(0).attach(now, link.clone()),
        Err(AttachError::OtherPeer)
    );
    pair.conn(0).close(now, ErrorCode::Stale, Duration::ZERO);
    assert_eq!(pair.conn(0).attach(now, link), Err(AttachError::Closed));
}

#[test]
fn a_silent_peer_is_noticed_after_three_and_a_half_heartbeats() {
    let mut pair = Pair::open();
    let start = pair.now;
    let now = loop {
        let next = pair.conn(0).poll_timeout().unwrap();
        pair.conn(0).handle_timeout(next);
        pair.now = next;
        pair.output(0, 1 << 20);
        pair.collect(0);
        let down = |event: &Event| matches!(event, Event::LinkDown { .. });
        if pair.sides[0].events.iter().any(down) {
            break next;
        }
    };
    assert_eq!(now - start, Duration::from_millis(3500));
    let link = pair.sides[0].link;
    let reason = LinkError::Silent {
        after: Duration::from_millis(3500),
    };
    assert_eq!(
        pair.sides[0].events.last(),
        Some(&Event::LinkDown { link, reason })
    );
    // The session waits for another.
    pair.reconnect();
    pair.run();
    assert!(pair.conn(0).is_open());
}

#[test]
fn a_peer_that_answers_is_never_silent_and_its_round_trip_is_known() {
    let mut pair = Pair::open();
    pair.pass(Duration::from_secs(3600));
    assert!(pair.conn(0).is_open() && pair.conn(1).is_open());
    let pong = Event::Pong {
        round_trip: Duration::ZERO,
    };
    assert_eq!(
        pair.sides[0]
            .events
            .iter()
            .filter(|event| **event == pong)
            .count(),
        3600
    );
}

#[test]
fn a_stalled_guest_lane_is_told_apart_from_a_dead_node() {
    let mut pair = Pair::open();
    pair.conn(0).set_lane_age(Duration::from_secs(4));
    pair.pass(Duration::from_secs(1));
    pair.conn(0).set_lane_age(Duration::from_secs(7));
    pair.pass(Duration::from_secs(2));
    pair.conn(0).set_lane_age(Duration::ZERO);
    pair.pass(Duration::from_secs(2));
    let news: Vec<&Event> = pair.sides[1]
        .events
        .iter()
        .filter(|event| !matches!(event, Event::Pong { .. }))
        .collect();
    let stalled = Event::NodeStalled {
        lane_age: Duration::from_secs(7),
    };
    assert_eq!(news, [&stalled, &Event::NodeMoving]);
    assert!(pair.conn(1).is_open());
}

#[test]
fn acknowledgements_are_delayed_and_travel_with_pings() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "one"), None).unwrap();
    pair.run();
    let due = pair.conn(1).poll_timeout().unwrap();
    assert_eq!(due - pair.now, Duration::from_millis(20));
    pair.now = due;
    pair.conn(1).handle_timeout(due);
    assert_eq!(
        frames(&pair.output(1, 100))[0].frame,
        Frame::Ack { rx_seq: 1 }
    );
    // Much input is acknowledged at once.
    pair.conn(0).send(long(1, 1, MAX_DATA), None).unwrap();
    pair.conn(0).send(long(1, 1, MAX_DATA), None).unwrap();
    let bytes = pair.output(0, 1 << 20);
    pair.input(1, &bytes);
    let said = frames(&pair.output(1, 1 << 20));
    assert!(
        said.iter()
            .any(|decoded| decoded.frame == Frame::Ack { rx_seq: 3 })
    );
}

#[test]
fn no_more_is_kept_for_a_resume_than_the_bound() {
    let mut pair = Pair::with(|_| {}, |it| it.max_unacked = 4 * MAX_BODY);
    pair.run();
    for _ in 0..20 {
        pair.conn(0).send(long(1, 1, MAX_DATA), None).unwrap();
    }
    // Nobody acknowledges.
    let sent: usize = (0..100).map(|_| pair.output(0, MAX_DATA).len()).sum();
    assert!(sent <= 5 * (MAX_BODY + 8), "{sent}");
}

#[test]
fn leaving_lets_both_finish() {
    let mut pair = Pair::open();
    let now = pair.now;
    for number in 0..50 {
        pair.conn(0)
            .send(send(1, &number.to_string()), None)
            .unwrap();
        pair.conn(1)
            .send(send(1, &number.to_string()), None)
            .unwrap();
    }
    pair.conn(0)
        .send(long(1, b'L', 5 * MAX_DATA), None)
        .unwrap();
    pair.conn(0)
        .close(now, ErrorCode::Leaving, Duration::from_secs(5));
    let refused = pair.conn(0).send(send(1, "late"), None);
    assert!(matches!(refused, Err(SendError::Closed { .. })));
    pair.run();
    pair.pass(Duration::from_millis(100));
    assert_eq!((pair.texts(0).len(), pair.texts(1).len()), (50, 51));
    let refused = pair.conn(1).send(send(1, "late"), None);
    assert!(matches!(refused, Err(SendError::Closed { .. })));
    assert!(pair.conn(0).is_closed());
    let (reason, drain) = (ErrorCode::Leaving, Duration::from_secs(5));
    assert!(
        pair.sides[1]
            .events
            .contains(&Event::GoAway { reason, drain })
    );
    pair.cut();
    assert_eq!(lost(&pair.sides[0].events), [&Lost::Closed(reason)]);
    assert_eq!(lost(&pair.sides[1].events), [&Lost::PeerLeft(reason)]);
    for side in &pair.sides {
        assert_eq!(undelivered(&side.events), []);
    }
}

#[test]
fn leaving_does_not_wait_for_ever() {
    let mut pair = Pair::open();
    let now = pair.now;
    pair.conn(0).send(send(1, "stuck"), None).unwrap();
    pair.conn(0)
        .close(now, ErrorCode::Leaving, Duration::from_secs(1));
    assert_eq!(
        pair.conn(0).poll_timeout(),
        Some(now + Duration::from_secs(1))
    );
    pair.conn(0).handle_timeout(now + Duration::from_secs(1));
    pair.collect(0);
    assert!(pair.conn(0).is_closed());
    assert_eq!(
        undelivered(&pair.sides[0].events),
        [("stuck".to_owned(), true)]
    );
}

#[test]
fn more_signals_than_may_wait_end_the_session() {
    let mut pair = Pair::with(|_| {}, |it| it.max_queued_signals = 100);
    pair.run();
    pair.cut();
    for monitor in 0..101 {
        let frame = Frame::Monitor {
            monitor,
            watcher: pid(1),
            target: pid(2),
        };
        pair.conn(0).signal(frame, None).unwrap();
    }
    pair.collect(0);
    assert_eq!(
        lost(&pair.sides[0].events),
        [&Lost::Overflow { limit: 100 }]
    );
    let back = |event: &&Event| matches!(event, Event::Undelivered { certain: true, .. });
    assert_eq!(pair.sides[0].events.iter().filter(back).count(), 101);
}

#[test]
fn a_peer_that_breaks_the_rules_is_told_which_and_the_session_ends() {
    let check = |frames: &[(Frame, u64)], expected: Violation, code: ErrorCode| {
        let mut pair = Pair::with(|node| node.hello.credit_msgs = 2, |_| {});
        pair.run();
        pair.clear();
        for (frame, seq) in frames {
            let bytes = encode(frame, *seq);
            pair.input(1, &bytes);
        }
        assert_eq!(lost(&pair.sides[1].events), [&Lost::Protocol(expected)]);
        let last_word = pair.output(1, 1 << 20);
        pair.input(0, &last_word);
        let message = expected.to_string();
        assert_eq!(
            lost(&pair.sides[0].events),
            [&Lost::ByPeer { code, message }]
        );
    };
    let message = || Frame::Message(send(1, "x"));
    let first = |total| Frame::FragFirst {
        msg: 1,
        total,
        inner: 0x23,
        head: Bytes::from_static(&[0; 9]),
        data: bytes("four"),
    };
    let next = |data, last| Frame::FragNext {
        msg: 1,
        data: bytes(data),
        last,
    };
    let malformed = ErrorCode::Malformed;
    let fragment = |why| Violation::Fragment { msg: 1, why };

    let gap = Violation::Sequence { after: 1, got: 3 };
    check(&[(message(), 1), (message(), 3)], gap, ErrorCode::Sequence);
    let ack = Violation::Ack {
        got: 9,
        from: 0,
        to: 0,
    };
    check(&[(Frame::Ack { rx_seq: 9 }, 0)], ack, ErrorCode::Sequence);
    let ready = Frame::Ready {
        session: [0; 16],
        rx_seq: 0,
    };
    let why = "the handshake is over";
    let late = iris_wire::FrameError::Unexpected { kind: 0x12, why };
    check(&[(ready, 0)], Violation::Frame(late), malformed);
    check(
        &[(next("x", true), 1)],
        fragment("goes on without a beginning"),
        malformed,
    );
    check(
        &[(first(4), 1)],
        fragment("the first fragment is all of it"),
        malformed,
    );
    check(
        &[(first(u32::MAX), 1)],
        fragment("longer than this node takes"),
        malformed,
    );
    check(
        &[(first(9), 1), (first(9), 2)],
        fragment("begins a second time"),
        malformed,
    );
    let length = fragment("another length than announced");
    check(
        &[(first(9), 1), (next("too long", true), 2)],
        length,
        malformed,
    );
    check(&[(first(9), 1), (next("x", true), 2)], length, malformed);
    check(
        &[(first(9), 1), (next("five5", false), 2)],
        length,
        malformed,
    );
    check(
        &[(first(9), 1), (next("", false), 2)],
        fragment("an empty fragment"),
        malformed,
    );
}

#[test]
fn more_than_was_granted_ends_the_session() {
    let mut pair = Pair::with(|node| node.hello.credit_msgs = 2, |_| {});
    pair.sides[1].releases = false;
    pair.run();
    for seq in 1..=3 {
        let bytes = encode(&Frame::Message(send(1, "x")), seq);
        pair.input(1, &bytes);
    }
    assert_eq!(
        lost(&pair.sides[1].events),
        [&Lost::Protocol(Violation::Credit)]
    );
}

#[test]
fn a_frame_that_comes_twice_is_handled_once() {
    let mut pair = Pair::open();
    let bytes = encode(&Frame::Message(send(1, "once")), 1);
    pair.input(1, &bytes);
    pair.input(1, &bytes);
    assert_eq!(pair.texts(1), ["once"]);
    assert!(pair.conn(1).is_open());
}

#[test]
fn nothing_counts_before_ready() {
    let mut pair = Pair::new();
    let bytes = encode(&Frame::Message(send(1, "early")), 1);
    pair.input(1, &bytes);
    let why = "the peer has not said READY";
    let early = iris_wire::FrameError::Unexpected { kind: 0x20, why };
    assert_eq!(
        lost(&pair.sides[1].events),
        [&Lost::Protocol(Violation::Frame(early))]
    );
}

#[test]
fn a_peer_that_is_never_ready_does_not_hold_the_link() {
    let mut pair = Pair::with(|node| node.hello.hb_ms = 60_000, |_| {});
    let now = pair.now + Duration::from_secs(5);
    pair.conn(0).handle_timeout(now);
    pair.collect(0);
    let reason = LinkError::NotReady {
        after: Duration::from_secs(5),
    };
    let link = pair.sides[0].link;
    assert_eq!(
        pair.sides[0].events.last(),
        Some(&Event::LinkDown { link, reason })
    );
}

#[test]
fn what_a_receiver_cannot_deliver_it_says() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "x"), None).unwrap();
    pair.run();
    let Some(Event::Message { seq, .. }) = pair.sides[1].events.last() else {
        panic!("it came")
    };
    let frame = Frame::Undelivered {
        of: *seq,
        dst: Some(pid(1)),
        reason: Refused::NoPid,
    };
    pair.conn(1).signal(frame.clone(), None).unwrap();
    pair.run();
    let last = pair.sides[0].events.last();
    assert!(matches!(last, Some(Event::Signal { frame: got, .. }) if *got == frame));
}

#[test]
fn membership_packets_travel_beside_the_session_and_may_be_lost() {
    let mut pair = Pair::open();
    pair.conn(0).swim(bytes("hello")).unwrap();
    pair.run();
    assert_eq!(pair.sides[1].events, [Event::Swim(bytes("hello"))]);
    assert!(pair.conn(0).swim(vec![0; MAX_BODY + 1].into()).is_err());
    pair.cut();
    pair.conn(0).swim(bytes("nobody hears it")).unwrap();
    pair.reconnect();
    pair.run();
    let swim = |event: &&Event| matches!(event, Event::Swim(_));
    assert_eq!(pair.sides[1].events.iter().filter(swim).count(), 1);
}

#[test]
fn a_process_can_be_limited_by_itself() {
    let mut pair = Pair::open();
    pair.conn(0).limit_pid(pid(1), 10, 2);
    pair.run();
    let expected = Event::PidCredit {
        pid: pid(1),
        limit_bytes: 10,
        limit_msgs: 2,
    };
    assert_eq!(pair.sides[1].events, [expected]);
}
