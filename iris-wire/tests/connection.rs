//! One session while it lasts: order, acknowledgement, credit, fragments.

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

use std::time::Duration;

use common::world::{Pair, frames, long, send, undelivered};
use common::{bytes, encode, hex, name, pid};
use expect_test::expect;
use iris_core::ExitReason;
use iris_wire::connection::{Backlog, Event, SendError};
use iris_wire::frame::{ErrorCode, Refused};
use iris_wire::handshake::feature;
use iris_wire::limits::{MAX_BODY, MAX_DATA};
use iris_wire::{Frame, Message};

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
    assert_eq!(expected.len(), 27);
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

#[test]
fn long_messages_leave_credit_for_small_ones() {
    let mut pair = Pair::with(|node| node.hello.credit_bytes = 1 << 20, |_| {});
    pair.sides[1].releases = false;
    pair.run();
    // Of one pair, and so one after the other.
    for _ in 0..6 {
        let message = long(1, b'L', 500_000);
        pair.conn(0).send(message, None).unwrap();
    }
    pair.run();
    let whole = pair.texts(1).len();
    assert!(whole < 6, "the receiver holds the sender back");
    pair.conn(0).send(long(9, b's', 60_000), None).unwrap();
    pair.run();
    assert_eq!(pair.texts(1).len(), whole + 1);
    assert_eq!(pair.texts(1)[whole].len(), 60_000);
}

#[test]
fn what_waits_can_be_seen() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "on its way"), None).unwrap();
    pair.output(0, 1 << 20);
    pair.conn(0)
        .send(long(1, b'L', 2 * MAX_DATA), None)
        .unwrap();
    let backlog = pair.conn(0).backlog();
    assert_eq!(backlog.unacked_bytes, 8 + 24 + 10);
    assert!(backlog.queued_bytes >= 2 * MAX_DATA);
    pair.run();
    pair.pass(Duration::from_millis(20));
    assert_eq!(pair.conn(0).backlog(), Backlog::default());
}

#[test]
fn a_long_message_does_not_overtake_small_ones_of_its_pair() {
    let small = |number: usize| Message::Send {
        dst: pid(1),
        src: Some(pid(100)),
        data: format!("{number:0400}").into(),
    };
    // More small ones than a fragment waits for, by bytes, or than there is credit for.
    for credit in [65_536, 500] {
        let mut pair = Pair::with(|node| node.hello.credit_msgs = credit, |_| {});
        pair.run();
        pair.clear();
        for number in 0..8_000 {
            pair.conn(0).send(small(number), None).unwrap();
        }
        pair.conn(0)
            .send(long(1, b'L', 2 * MAX_DATA), None)
            .unwrap();
        pair.conn(0)
            .send(long(2, b'M', 2 * MAX_DATA), None)
            .unwrap();
        pair.conn(0).send(small(8_000), None).unwrap();
        pair.run();
        pair.pass(Duration::from_millis(100));
        let texts = pair.texts(1);
        assert_eq!(texts.len(), 8_003);
        let of_pair = texts.iter().filter(|text| !text.starts_with('M'));
        for (at, text) in of_pair.enumerate() {
            let expected = match at {
                8_000 => "L".repeat(2 * MAX_DATA),
                8_001 => format!("{:0400}", 8_000),
                at => format!("{at:0400}"),
            };
            assert!(*text == expected, "at {at}: {}", &text[..8]);
        }
        // One of another pair has its turn between them.
        let other = texts.iter().position(|text| text.starts_with('M'));
        assert!(other < Some(8_000));
    }
}
