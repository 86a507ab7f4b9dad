//! One session over many links: resume, heartbeats, ends, broken rules.

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

use bytes::Bytes;
use common::world::{Pair, long, lost, send, undelivered};
use common::{bytes, encode, pid};
use iris_wire::Frame;
use iris_wire::connection::{
    AttachError, Connection, Event, LinkError, Lost, SendError, Violation,
};
use iris_wire::frame::ErrorCode;
use iris_wire::limits::MAX_DATA;

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
        if cut.is_multiple_of(2) {
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
fn a_session_that_one_side_has_begun_is_not_lost_with_the_link_that_began_it() {
    // As when both dial at once: the one has heard READY, the other only of the next link.
    let mut pair = Pair::new();
    let ready = pair.output(1, 1 << 20);
    pair.input(0, &ready);
    pair.conn(0).send(send(1, "early"), None).unwrap();
    assert!(!pair.output(0, 1 << 20).is_empty());
    pair.reconnect();
    pair.run();
    assert_eq!(pair.texts(1), ["early"]);
    assert_eq!(lost(&pair.sides[0].events), [] as [&Lost; 0]);
    assert_eq!(lost(&pair.sides[1].events), [] as [&Lost; 0]);
    let begun = |side: &common::world::Side| {
        let ready = side.events.iter().filter_map(|event| match event {
            Event::Ready { resumed, .. } => Some(*resumed),
            _ => None,
        });
        ready.collect::<Vec<_>>()
    };
    // Each tells its owner of one beginning.
    assert_eq!(begun(&pair.sides[0]), [false, true]);
    assert_eq!(begun(&pair.sides[1]), [false]);
}

#[test]
fn a_session_that_neither_side_has_begun_begins_on_the_next_link() {
    let mut pair = Pair::new();
    pair.reconnect();
    pair.conn(1).send(send(1, "hello"), None).unwrap();
    pair.run();
    assert_eq!(pair.texts(0), ["hello"]);
    for side in &pair.sides {
        assert_eq!(lost(&side.events), [] as [&Lost; 0]);
        let begun = Event::Ready {
            link: side.link,
            resumed: false,
        };
        assert!(side.events.contains(&begun));
    }
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
fn a_session_is_given_up_only_while_it_waits_for_a_link() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "perhaps"), None).unwrap();
    pair.output(0, 1 << 20);
    pair.conn(0).give_up("it is well".to_owned());
    assert!(!pair.conn(0).is_closed());
    pair.cut();
    assert!(!pair.conn(0).is_closed());
    pair.conn(0).give_up("nobody is there".to_owned());
    pair.collect(0);
    assert!(pair.conn(0).is_closed());
    let events = &pair.sides[0].events;
    assert_eq!(undelivered(events), [("perhaps".to_owned(), false)]);
    let why = "nobody is there".to_owned();
    assert_eq!(lost(events), [&Lost::Gone { why }]);
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
    pair.pass(Duration::from_hours(1));
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
        let mut pair = Pair::with(|node| node.hello.credit_msgs = 10, |_| {});
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
    let part = |msg| Frame::FragFirst {
        msg,
        total: 64 << 20,
        inner: 0x23,
        head: Bytes::from_static(&[0; 9]),
        data: bytes("four"),
    };
    let why = "too many at a time";
    let many = Violation::Fragment { msg: 3, why };
    check(&[(part(1), 1), (part(2), 2), (part(3), 3)], many, malformed);
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
fn nothing_can_be_acknowledged_before_it_is_sent() {
    let mut pair = Pair::open();
    pair.conn(0).send(send(1, "not sent"), None).unwrap();
    let early = encode(&Frame::Ack { rx_seq: 1 }, 0);
    pair.input(0, &early);
    let (got, from, to) = (1, 0, 0);
    let violation = Violation::Ack { got, from, to };
    assert_eq!(lost(&pair.sides[0].events), [&Lost::Protocol(violation)]);
    let back = [("not sent".to_owned(), true)];
    assert_eq!(undelivered(&pair.sides[0].events), back);
}

#[test]
fn what_has_to_wait_for_ready_is_not_due() {
    let mut pair = Pair::open();
    // The peer has begun a long message, whose rest has a time.
    pair.conn(1)
        .send(long(3, b'L', 4 * MAX_DATA), None)
        .unwrap();
    let first = pair.output(1, MAX_DATA);
    pair.input(0, &first);
    pair.cut();
    pair.reconnect();
    // Nothing comes over the new link.
    let mut times = 0;
    while let Some(due) = pair.conn(0).poll_timeout() {
        pair.now = pair.now.max(due);
        let now = pair.now;
        pair.conn(0).handle_timeout(now);
        pair.output(0, MAX_DATA);
        let next = pair.conn(0).poll_timeout();
        assert!(next.is_none_or(|next| next > now), "due again at once");
        times += 1;
    }
    assert!(pair.conn(0).is_closed());
    assert!(times < 10, "{times}");
}
