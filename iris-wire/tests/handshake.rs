//! Introductions: golden, refused, slow, wrong.

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

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::world::{node, psk, shake_in};
use common::{encode, hex};
use expect_test::expect;
use iris_wire::Frame;
use iris_wire::frame::{AuthMethod, ErrorCode, FrameError, Hello};
use iris_wire::handshake::{
    Auth, Handshake, HandshakeConfig, HandshakeError, Progress, Role, feature,
};
use proptest::prelude::*;

#[test]
fn two_nodes_with_one_key_come_together_however_their_bytes_are_cut() {
    let now = Instant::now();
    for auth in [Auth::Tls, psk(7), Auth::Open] {
        for piece in [1, 7, usize::MAX] {
            let (d, a, _) = shake_in(
                now,
                &node(1, auth.clone()),
                &node(2, auth.clone()),
                1,
                piece,
            );
            let (d, a) = (d.unwrap().unwrap(), a.unwrap().unwrap());
            assert_eq!((d.role, a.role), (Role::Dialler, Role::Acceptor));
            assert_eq!(
                (d.peer.name.as_str(), a.peer.name.as_str()),
                ("node-2", "node-1")
            );
            assert_eq!(d.session, a.session);
            assert_ne!(d.session, [0; 16]);
            assert_eq!((d.method, d.peer.version), (auth.method(), 2));
            assert_eq!(d.peer.features, feature::ALL);
        }
    }
}

#[test]
fn the_bytes_of_a_handshake_stay_as_they_are() {
    let now = Instant::now();
    let (_, _, [dialler, acceptor]) = shake_in(now, &node(1, psk(7)), &node(2, psk(7)), 1, 99);
    expect!["10000000000000640002000200000000000000ff010101010101010101010101010101010000000000000001040000000080000000010000000003e80000753001010101010101010101010101010101010101010101010101010101010101010474657374066e6f64652d311100000000000021010192af4c7abcfd7566d0d7eb16f6975f2e7c54c5cfe79ef1ce2dfeaabdacb009"].assert_eq(&hex(&dialler));
    expect!["10000000000000640002000200000000000000ff020202020202020202020202020202020000000000000001040000000080000000010000000003e8000075305b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b0474657374066e6f64652d3211000000000000210166933997a4df3514d1de279946b2ff9de173faf8fd3171e3cdad7e8a9d003752"].assert_eq(&hex(&acceptor));
}

/// What both sides say if they differ as the closure has it.
fn refused(change: impl Fn(&mut HandshakeConfig, &mut HandshakeConfig)) -> (String, String) {
    let (mut d, mut a) = (node(1, psk(7)), node(2, psk(7)));
    change(&mut d, &mut a);
    let (d, a, _) = shake_in(Instant::now(), &d, &a, 1, 64);
    let text = |outcome: Option<Result<_, HandshakeError>>| match outcome {
        Some(Err(error)) => error.to_string(),
        other => format!("{other:?}"),
    };
    (text(d), text(a))
}

#[test]
fn who_does_not_fit_is_told_why_and_what_helps() {
    let (d, a) = refused(|d, _| (d.hello.ver_min, d.hello.ver_max) = (3, 4));
    assert_eq!(
        a,
        "the peer speaks versions 3 to 4 of the mesh protocol, this node 2 to 2; \
         update the older of the two"
    );
    assert_eq!(
        d,
        "the peer refuses (version): this node speaks versions 2 to 2 of the mesh protocol, \
         you 3 to 4; update the older of the two"
    );

    let (d, a) = refused(|d, _| d.hello.cluster = "prod".to_owned());
    assert_eq!(
        a,
        "the peer belongs to the cluster \"prod\", this node to \"test\"; \
         configure the same cluster for both, or connect to another address"
    );
    assert_eq!(
        d,
        "the peer refuses (cluster): this node belongs to another cluster"
    );

    let (d, a) = refused(|d, _| d.auth = psk(8));
    assert!(
        a.starts_with("the peer does not know the shared key; give both"),
        "{a}"
    );
    assert_eq!(d, "the peer refuses (auth): the shared keys differ");

    let (d, a) = refused(|d, _| d.auth = Auth::Open);
    let same = "configure the same for both";
    assert_eq!(
        a,
        format!("the peer uses no authentication, this node a shared key; {same}")
    );
    assert!(d.ends_with(same), "{d}");

    let (d, a) = refused(|d, a| a.hello.node_id = d.hello.node_id);
    assert!(a.contains("a node does not dial itself"), "{a}");
    assert_eq!(d, "the peer refuses (own node): you have this node's id");

    let (d, a) = refused(|d, a| {
        d.hello.features = feature::RESUME;
        a.required = feature::CALLS;
    });
    assert!(a.contains("lacks the features 0x4"), "{a}");
    assert!(d.starts_with("the peer refuses (features)"), "{d}");

    let (_, a) = refused(|d, _| d.hello.credit_bytes = 1000);
    assert_eq!(
        a,
        "the peer announces 1000 as its credit in bytes, at least 131200 is needed"
    );
}

#[test]
fn the_features_of_both_count_and_the_shorter_time_to_resume() {
    let now = Instant::now();
    let (mut d, a) = (node(1, Auth::Open), node(2, Auth::Open));
    d.hello.features = feature::RESUME | 1 << 60;
    d.hello.resume_ms = 10;
    let (d, a, _) = shake_in(now, &d, &a, 1, 64);
    let (d, a) = (d.unwrap().unwrap(), a.unwrap().unwrap());
    assert_eq!(
        (d.peer.features, a.peer.features),
        (feature::RESUME, feature::RESUME)
    );
    let resume = Duration::from_millis(10);
    assert_eq!((d.peer.resume, a.peer.resume), (resume, resume));
}

#[test]
fn an_acceptor_says_nothing_of_the_key_before_the_dialler_has_shown_that_it_knows_it() {
    let now = Instant::now();
    let (_, _, [_, from_acceptor]) = shake_in(now, &node(1, psk(8)), &node(2, psk(7)), 1, 64);
    let frames = common::decode([&from_acceptor[..]].into_iter()).unwrap();
    assert!(matches!(frames[0].frame, Frame::Hello(_)));
    assert!(matches!(
        frames[1].frame,
        Frame::Error {
            code: ErrorCode::Auth,
            ..
        }
    ));
    assert_eq!(frames.len(), 2);
}

#[test]
fn a_recorded_handshake_does_not_open_another_connection() {
    let now = Instant::now();
    let (_, _, [dialler, _]) = shake_in(now, &node(1, psk(7)), &node(2, psk(7)), 1, 64);
    // The acceptor has another nonce now.
    let mut acceptor = Handshake::accept(now, node(2, psk(7)), [99; 32]).unwrap();
    assert_eq!(
        acceptor.handle_input(now, dialler.into()),
        Err(HandshakeError::Proof)
    );
    assert_eq!(acceptor.admit(), None);
}

#[test]
fn a_proof_sent_back_to_its_maker_proves_nothing() {
    let now = Instant::now();
    let mut dialler = Handshake::dial(now, node(1, psk(7)), [1; 32]).unwrap();
    let mut acceptor = Handshake::accept(now, node(2, psk(7)), [2; 32]).unwrap();
    acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
    dialler.handle_input(now, acceptor.poll_transmit()).unwrap();
    let proof = dialler.poll_transmit();
    assert_eq!(dialler.handle_input(now, proof), Err(HandshakeError::Proof));
}

#[test]
fn a_channel_binding_must_be_the_same_at_both_ends() {
    let (_, a) = refused(|d, _| {
        if let Auth::Psk { binding, .. } = &mut d.auth {
            *binding = b"another channel".to_vec();
        }
    });
    assert!(a.contains("a proxy that ends TLS"), "{a}");
}

#[test]
fn five_seconds_are_the_limit_for_all_of_it() {
    let now = Instant::now();
    let mut acceptor = Handshake::accept(now, node(2, Auth::Open), [2; 32]).unwrap();
    let hello = Handshake::dial(now, node(1, Auth::Open), [1; 32])
        .unwrap()
        .poll_transmit();
    assert_eq!(acceptor.poll_timeout(), now + Duration::from_secs(5));
    // One byte a second.
    for (second, byte) in (0..5).zip(&hello) {
        let byte = Bytes::copy_from_slice(&[*byte]);
        let progress = acceptor.handle_input(now + Duration::from_secs(second), byte);
        assert_eq!(progress, Ok(Progress::Pending));
    }
    let late = acceptor
        .handle_input(now + Duration::from_secs(5), hello)
        .unwrap_err();
    let after = Duration::from_secs(5);
    assert_eq!(
        late,
        HandshakeError::Timeout {
            waiting: "introduction",
            after
        }
    );
    let said = common::decode([&acceptor.poll_transmit()[..]].into_iter()).unwrap();
    assert!(matches!(
        said[0].frame,
        Frame::Error {
            code: ErrorCode::Timeout,
            ..
        }
    ));
}

#[test]
fn what_is_no_introduction_is_refused_before_it_is_kept() {
    let now = Instant::now();
    let check = |bytes: &[u8], expected: FrameError| {
        let mut acceptor = Handshake::accept(now, node(2, Auth::Open), [2; 32]).unwrap();
        let error = acceptor
            .handle_input(now, Bytes::copy_from_slice(bytes))
            .unwrap_err();
        assert_eq!(error, HandshakeError::Frame(expected));
    };
    let long = |kind| FrameError::TooLong {
        kind,
        len: 4097,
        limit: 4096,
    };
    check(&[0x10, 0, 0, 0, 0, 0, 0x10, 1], long(0x10));
    check(&[0x20, 0, 0, 0, 0, 0, 0x10, 1], long(0x20));
    let why = "an introduction was waited for";
    let ack = encode(&Frame::Ack { rx_seq: 1 }, 0);
    check(&ack, FrameError::Unexpected { kind: 0x17, why });
}

#[test]
fn a_hello_of_a_later_version_may_be_longer() {
    let now = Instant::now();
    let mut hello = encode(&Frame::Hello(Box::new(common::hello(9))), 0);
    hello.extend_from_slice(b"what is new");
    let len = hello.len() - 8;
    hello[7] = u8::try_from(len).unwrap();
    let mut config = node(2, Auth::Open);
    config.hello.cluster = "prod".to_owned();
    let mut acceptor = Handshake::accept(now, config, [2; 32]).unwrap();
    assert_eq!(
        acceptor.handle_input(now, hello.into()),
        Ok(Progress::Pending)
    );
    assert_eq!(acceptor.peer().unwrap().name, "node-1");
}

#[test]
fn a_refusal_reaches_the_dialler() {
    let now = Instant::now();
    let mut dialler = Handshake::dial(now, node(1, Auth::Open), [1; 32]).unwrap();
    let mut acceptor = Handshake::accept(now, node(2, Auth::Open), [2; 32]).unwrap();
    acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
    dialler.handle_input(now, acceptor.poll_transmit()).unwrap();
    let proven = acceptor.handle_input(now, dialler.poll_transmit()).unwrap();
    assert!(matches!(proven, Progress::Proven(_)));
    acceptor.refuse(ErrorCode::Duplicate, "there is a connection already");
    assert_eq!(acceptor.admit(), None);
    let error = dialler
        .handle_input(now, acceptor.poll_transmit())
        .unwrap_err();
    let message = "there is a connection already".to_owned();
    assert_eq!(
        error,
        HandshakeError::Refused {
            code: ErrorCode::Duplicate,
            message
        }
    );
}

#[test]
fn names_that_do_not_fit_are_an_error_of_the_own_configuration() {
    let mut config = node(1, Auth::Open);
    config.hello.name = "n".repeat(256);
    let error = Handshake::dial(Instant::now(), config, [1; 32]).unwrap_err();
    assert!(matches!(error, FrameError::TooLong { kind: 0x10, .. }));
}

#[test]
fn names_that_could_forge_a_log_line_are_refused_at_both_ends() {
    let evil = "x\nERROR iris: all is lost";
    for cluster in [false, true] {
        let mut config = node(1, Auth::Open);
        let (own, text) = if cluster {
            (&mut config.hello.cluster, "cluster")
        } else {
            (&mut config.hello.name, "name")
        };
        *own = evil.to_owned();
        let error = Handshake::dial(Instant::now(), config.clone(), [1; 32]).unwrap_err();
        assert!(
            matches!(error, FrameError::Name { kind: 0x10, .. }),
            "{text}"
        );
        // One that does not look at its own name.
        let forged = encode(&Frame::Hello(Box::new(config.hello)), 0);
        let ours = node(2, Auth::Open);
        let mut acceptor = Handshake::accept(Instant::now(), ours, [2; 32]).unwrap();
        let refused = acceptor.handle_input(Instant::now(), forged.into());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("control character '\\n'"), "{refused}");
    }
    // Nor does the text of a refusal.
    let mut dialler = Handshake::dial(Instant::now(), node(1, Auth::Open), [1; 32]).unwrap();
    let refusal = Frame::Error {
        code: ErrorCode::Auth,
        message: evil.to_owned(),
    };
    let refusal = encode(&refusal, 0).into();
    let error = dialler.handle_input(Instant::now(), refusal).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    assert!(error.to_string().contains("x?ERROR iris"), "{error}");
}

#[test]
fn keys_do_not_appear_in_logs() {
    assert_eq!(format!("{:?}", psk(123_456)), "Auth(Psk)");
    assert_eq!(psk(1).method(), AuthMethod::Psk);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_change_of_a_handshake_on_its_way_is_noticed(
        at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let now = Instant::now();
        let (dialler, acceptor) = (node(1, psk(7)), node(2, psk(7)));
        let mut d = Handshake::dial(now, dialler, [1; 32]).unwrap();
        let mut a = Handshake::accept(now, acceptor, [2; 32]).unwrap();
        let mut hello = d.poll_transmit().to_vec();
        let at = at.index(hello.len());
        hello[at] ^= 1 << bit;
        // The lane says nothing, and is not signed.
        prop_assume!(!(2..4).contains(&at));
        // Nor is the wish for an acknowledgement, or the mark that a type may be passed over.
        prop_assume!(at != 1);
        if a.handle_input(now, hello.into()).is_ok() {
            let answer = a.poll_transmit();
            if !answer.is_empty() && d.handle_input(now, answer).is_ok() {
                prop_assert!(a.handle_input(now, d.poll_transmit()).is_err());
            }
        }
        prop_assert!(a.admit().is_none());
    }

    #[test]
    fn any_bytes_are_a_handshake_or_an_error(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let now = Instant::now();
        let mut a = Handshake::accept(now, node(2, psk(7)), [2; 32]).unwrap();
        let _ = a.handle_input(now, input.clone().into());
        let mut d = Handshake::dial(now, node(1, psk(7)), [2; 32]).unwrap();
        let _ = d.handle_input(now, input.into());
        prop_assert!(a.admit().is_none());
    }
}

#[test]
fn a_hello_has_a_fixed_part_of_90_bytes() {
    let Hello { cluster, name, .. } = common::hello(1);
    let bytes = encode(&Frame::Hello(Box::new(common::hello(1))), 0);
    assert_eq!(bytes.len(), 8 + 88 + 2 + cluster.len() + name.len());
}
