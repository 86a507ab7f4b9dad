//! Every workload handles exactly what was sent, on every implementation. No time is asserted.

use bench_core::peers::{Asks, Iris, Kameo, Peer, Prepared, Ractor, Swaps, Tokio, TokioSwap};
use bench_core::producer::Pressure;
use bench_core::workloads::{self, WrongCount};
use bytes::Bytes;

type Outcome = Result<(), WrongCount>;

/// The workloads that every implementation has.
fn check<P: Peer>() -> Outcome {
    for (producers, pressure) in [
        (1, Pressure::Window(2_048)),
        (2, Pressure::Window(2_048)),
        (1, Pressure::Free),
    ] {
        let run = workloads::tell::<P>(producers, 6_000, pressure)?;
        assert_eq!((run.n, run.handled), (6_000, 6_000));
    }

    let run = workloads::ring::<P>(2, 50, 1)?;
    assert_eq!((run.n, run.handled), (50, 101), "ping-pong");
    let run = workloads::ring::<P>(20, 5, 20)?;
    assert_eq!((run.n, run.handled), (100, 101), "ring");

    let run = workloads::fan_out::<P>(300, 3)?;
    assert_eq!((run.n, run.handled), (900, 900));

    let run = workloads::spawn::<P>(200)?;
    assert_eq!((run.n, run.handled), (200, 200));
    Ok(())
}

fn check_skew<P: Peer>() -> Outcome {
    let run = workloads::skew::<P>(2, 200)?;
    assert_eq!(run.handled, 200);
    assert!(run.extras.iter().any(|(name, _)| *name == "p99_us"));
    Ok(())
}

fn check_ask<P: Asks>() -> Outcome {
    assert_eq!(workloads::ask::<P>(100)?.handled, 100);
    Ok(())
}

fn check_swap<P: Swaps>() -> Outcome {
    let run = workloads::swap::<P>(6_000, Pressure::Window(2_048))?;
    assert_eq!(run.handled, 6_001, "nothing is lost beside swaps");
    assert!(run.n >= 64);
    Ok(())
}

#[test]
fn iris_handles_all_that_is_sent() -> Outcome {
    check::<Iris<Prepared>>()?;
    check::<Iris<Bytes>>()?;
    check_skew::<Iris<Bytes>>()?;
    check_swap::<Iris<Prepared>>()?;
    Ok(())
}

#[test]
fn tokio_handles_all_that_is_sent() -> Outcome {
    check::<Tokio<[u64; 4]>>()?;
    check::<Tokio<Bytes>>()?;
    check_skew::<Tokio<[u64; 4]>>()?;
    check_ask::<Tokio<[u64; 4]>>()?;
    Ok(())
}

#[test]
fn tokio_with_swaps_by_hand_handles_all_that_is_sent() -> Outcome {
    check_swap::<TokioSwap>()?;
    Ok(())
}

#[test]
fn ractor_handles_all_that_is_sent() -> Outcome {
    check::<Ractor>()?;
    check_skew::<Ractor>()?;
    check_ask::<Ractor>()?;
    Ok(())
}

#[test]
fn kameo_handles_all_that_is_sent() -> Outcome {
    check::<Kameo>()?;
    check_skew::<Kameo>()?;
    check_ask::<Kameo>()?;
    Ok(())
}
