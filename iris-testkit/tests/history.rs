//! The history sees each thing that must not happen.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use iris_testkit::{Break, History, Life, Note, Pair, Witness as _};

const A: Life = Life { node: 0, start: 1 };
const B: Life = Life { node: 1, start: 1 };
const PAIR: Pair = Pair {
    from: A,
    to: B,
    process: 7,
};

/// What a history of three messages says after `then`, in which they have come and one was asked
/// for and monitored.
fn breaks(then: impl FnOnce(&History, [Note; 3])) -> Vec<Break> {
    let history = History::new();
    let notes = [(); 3].map(|()| history.accepted(PAIR));
    then(&history, notes);
    history.check().err().unwrap_or_default()
}

fn deliver(history: &History, note: Note) {
    history.delivered(B, 7, &note.encode(1_000));
}

#[test]
fn what_is_well_is_well() {
    let said = breaks(|history, [one, two, three]| {
        deliver(history, one);
        history.returned(&two.encode(0));
        history.held(&three.encode(50));
        assert!(!history.is_settled());
        deliver(history, three);
        assert!(history.is_settled());
        history.monitors(A, 1);
        history.down(A, 1);
        history.monitors(A, 2);
        history.forgets(A, 2);
        history.asks(A, 1);
        history.handles(A, 1);
        assert!(!history.is_settled());
        history.answered(A, 1, true);
    });
    assert_eq!(said, []);
}

#[test]
fn a_loss_is_seen_unless_who_answers_for_it_has_crashed() {
    let said = breaks(|history, [one, two, three]| {
        deliver(history, one);
        deliver(history, two);
        // With its node it is safe, and in the end it must be with its process.
        history.held(&three.encode(0));
    });
    let note = Note {
        pair: PAIR,
        number: 3,
    };
    assert_eq!(said, [Break::Lost(note)]);
    let crashed = breaks(|history, [one, two, three]| {
        deliver(history, one);
        deliver(history, two);
        history.held(&three.encode(0));
        history.crashed(B);
    });
    assert_eq!(crashed, []);
    let lost = breaks(|history, _| history.crashed(B));
    assert_eq!(lost.len(), 3, "{lost:?}");
    assert_eq!(breaks(|history, _| history.crashed(A)), []);
}

#[test]
fn repetition_and_disorder_are_seen() {
    let said = breaks(|history, [one, two, three]| {
        for note in [one, three, two, three] {
            deliver(history, note);
        }
    });
    let out = |number| Break::OutOfOrder {
        note: Note { pair: PAIR, number },
        after: 3,
    };
    assert_eq!(said, [out(2), out(3)]);
    let twice = breaks(|history, notes| {
        for note in notes {
            history.returned(&note.encode(0));
        }
        history.returned(&notes[0].encode(0));
    });
    assert!(matches!(twice[..], [Break::ReturnedTwice(_)]), "{twice:?}");
}

#[test]
fn what_is_not_whole_or_not_for_this_process_is_seen() {
    let said = breaks(|history, notes| {
        for note in notes {
            deliver(history, note);
        }
        let whole = notes[2].encode(100_000);
        for (from, to) in [(0, 99_999), (1, 100_000)] {
            history.delivered(B, 7, &whole[from..to]);
        }
        // Two pieces of a filling in each other's place.
        let mut turned = whole.to_vec();
        let (first, second) = turned.split_at_mut(66_000);
        first[5_000..15_000].swap_with_slice(&mut second[..10_000]);
        history.delivered(B, 7, &turned);
        history.delivered(B, 8, &whole);
        history.delivered(A, 7, &whole);
    });
    let garbled = |it: &&Break| matches!(it, Break::Garbled(_));
    assert_eq!(said.iter().filter(garbled).count(), 3, "{said:?}");
    let elsewhere = |it: &&Break| matches!(it, Break::Misdelivered(_));
    assert_eq!(said.iter().filter(elsewhere).count(), 2, "{said:?}");
}

#[test]
fn a_refusal_must_be_reported_by_somebody() {
    let refuse = |reports: usize| {
        breaks(|history, notes| {
            for note in notes {
                history.refused(&note.encode(0));
            }
            for _ in 0..reports {
                history.reported();
            }
        })
    };
    let unreported = Break::Unreported {
        refused: 3,
        reported: 2,
    };
    assert_eq!(refuse(2), [unreported]);
    assert_eq!(refuse(3), []);
}

#[test]
fn a_monitor_has_one_down_and_a_question_one_answer() {
    let said = breaks(|history, _| {
        history.crashed(A);
        for (monitor, downs) in [(1, 0), (2, 1), (3, 2)] {
            history.monitors(B, monitor);
            for _ in 0..downs {
                history.down(B, monitor);
            }
        }
        // Who has crashed hears nothing, but never hears twice.
        history.monitors(A, 4);
        history.asks(A, 5);
        history.asks(B, 6);
        history.asks(B, 7);
        history.answered(B, 7, true);
        history.asks(B, 8);
        history.answered(B, 8, false);
        history.handles(B, 8);
        history.handles(B, 8);
    });
    let downs: Vec<_> = said
        .iter()
        .filter_map(|it| match it {
            Break::Downs { monitor, downs, .. } => Some((*monitor, *downs)),
            _ => None,
        })
        .collect();
    assert_eq!(downs, [(1, 0), (3, 2)]);
    let unanswered = |it: &&Break| matches!(it, Break::Unanswered { question: 6, .. });
    assert_eq!(said.iter().filter(unanswered).count(), 1, "{said:?}");
    let handled = |it: &&Break| matches!(it, Break::Handled { .. });
    assert_eq!(said.iter().filter(handled).count(), 2, "{said:?}");
}
