//! The faults happen, where and how they are said to.

#![cfg(feature = "mesh")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iris_mesh::{Link, Memory, Transport};
use iris_testkit::{Chaos, Faults};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A runtime whose clock goes on at once when all wait: time-outs cost no time.
fn simulated() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// A link through chaos, and its other end, which is as it should be.
async fn pair(seed: u64, faults: Faults) -> (Chaos, Link, Link) {
    let memory = Arc::new(Memory::new());
    let mut listener = memory.listen("there").await.unwrap();
    let chaos = Chaos::new(memory, seed, faults);
    let near = chaos.connect("there").await.unwrap();
    let far = listener.accept().await.unwrap().open.await.unwrap();
    (chaos, near, far)
}

/// All that comes until the link ends; whether it ended, and did so well.
async fn read(link: &mut Link) -> (Vec<u8>, Option<bool>) {
    let mut bytes = Vec::new();
    loop {
        match timeout(PATIENCE, link.source.receive()).await {
            Ok(Ok(Some(piece))) => bytes.extend(piece),
            Ok(Ok(None)) => return (bytes, Some(true)),
            Ok(Err(_)) => return (bytes, Some(false)),
            Err(_) => return (bytes, None),
        }
    }
}

fn numbered(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn without_faults_everything_passes() {
    simulated().block_on(async {
        let (_chaos, mut near, mut far) = pair(1, Faults::NONE).await;
        near.sink
            .send(&mut vec![numbered(9), numbered(1000)])
            .await
            .unwrap();
        near.sink.close().await.unwrap();
        let sent = [numbered(9), numbered(1000)].concat();
        assert_eq!(read(&mut far).await, (sent, Some(true)));
    });
}

#[test]
fn a_cut_falls_anywhere_and_takes_both_directions() {
    let mut lengths = Vec::new();
    for seed in 0..200 {
        simulated().block_on(async {
            let faults = Faults {
                cut: 1000,
                after_bytes: 0..100,
                ..Faults::NONE
            };
            let (_chaos, mut near, mut far) = pair(seed, faults).await;
            let sent = near.sink.send(&mut vec![numbered(60), numbered(60)]).await;
            if sent.is_err() {
                assert_eq!(read(&mut near).await, (Vec::new(), Some(false)));
                let whole = [numbered(60), numbered(60)].concat();
                let (came, end) = read(&mut far).await;
                assert!(end.is_some() && came.len() < 100 && whole.starts_with(&came));
                lengths.push(came.len());
            } else {
                far.sink.send(&mut vec![numbered(120)]).await.unwrap();
                let (came, end) = read(&mut near).await;
                assert!(end == Some(false) && came.len() < 100);
                assert!(numbered(120).starts_with(&came));
                lengths.push(came.len());
                near.sink.send(&mut vec![numbered(1)]).await.unwrap_err();
            }
        });
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 60, "{lengths:?}");
    assert!(lengths[0] == 0 && lengths[lengths.len() - 1] > 90);
}

#[test]
fn a_half_open_link_swallows_one_direction_and_says_nothing() {
    let mut directions = [0; 2];
    for seed in 0..40 {
        simulated().block_on(async {
            let faults = Faults {
                silence: 1000,
                after_bytes: 10..11,
                ..Faults::NONE
            };
            let (chaos, mut near, mut far) = pair(seed, faults).await;
            chaos.calm();
            let (chaos, mut near2, mut far2) = pair(seed, Faults::NONE).await;
            chaos.silence(0);
            for (near, far) in [(&mut near, &mut far), (&mut near2, &mut far2)] {
                near.sink.send(&mut vec![numbered(50)]).await.unwrap();
                far.sink.send(&mut vec![numbered(50)]).await.unwrap();
            }
            // One that was to become so is calm, and one that is so stays so.
            assert_eq!(read(&mut far).await.0.len(), 50);
            assert_eq!(read(&mut near).await.0.len(), 50);
            let there = read(&mut far2).await;
            let back = read(&mut near2).await;
            let silent = usize::from(there.0.is_empty());
            directions[silent] += 1;
            assert_eq!((there.1, back.1), (None, None));
            assert_eq!(there.0.len() + back.0.len(), 50);
        });
    }
    assert!(directions.iter().all(|&count| count > 5), "{directions:?}");
}

#[test]
fn reads_are_short_and_late_and_whole() {
    simulated().block_on(async {
        let faults = Faults {
            delay: Duration::from_millis(50),
            pieces: 7,
            ..Faults::NONE
        };
        let (_chaos, mut near, mut far) = pair(3, faults).await;
        far.sink.send(&mut vec![numbered(500)]).await.unwrap();
        let begun = tokio::time::Instant::now();
        let mut came = Vec::new();
        let mut short = 0;
        while came.len() < 500 {
            // A wait that is given up loses nothing.
            let patience = Duration::from_millis(1);
            if let Ok(piece) = timeout(patience, near.source.receive()).await {
                let piece = piece.unwrap().unwrap();
                short += usize::from(piece.len() <= 7);
                came.extend(piece);
            }
        }
        assert_eq!(came, numbered(500));
        assert!(short >= 16);
        assert!(begun.elapsed() > Duration::from_millis(1));
    });
}

#[test]
fn dials_fail_as_is_said() {
    simulated().block_on(async {
        let memory = Arc::new(Memory::new());
        let _listener = memory.listen("there").await.unwrap();
        let chaos = Chaos::new(memory, 5, Faults::NONE);
        chaos.set(Faults {
            unreachable: 1000,
            ..Faults::NONE
        });
        let error = chaos.connect("there").await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable);
        chaos.refuse("there", true);
        let error = chaos.connect("there").await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        chaos.calm();
        assert_eq!(chaos.links(), 0);
        let link = chaos.connect("there").await.unwrap();
        assert_eq!(chaos.links(), 1);
        drop(link);
        assert_eq!(chaos.links(), 0);
    });
}
