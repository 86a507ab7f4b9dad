//! A mailbox does what two plain queues and a gate do, whatever is asked of it.
#![cfg(not(feature = "loom"))]

use std::collections::VecDeque;

use iris_core::{Envelope, Exit, ExitInfo, ExitReason, Lane, Message, Pid, SystemMessage};
use iris_mailbox::{Mailbox, Popped, PushError};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Push(Lane, Kind),
    /// So many user messages: enough to be sorted in several steps.
    Burst(u16),
    Seal(Lane),
    Pop(u16),
    Step,
    Close,
    CloseIfEmpty,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    User,
    System,
    Wake,
}

fn op() -> impl Strategy<Value = Op> {
    let lane = || prop_oneof![3 => Just(Lane::User), 1 => Just(Lane::Signal)];
    let kind = prop_oneof![4 => Just(Kind::User), 1 => Just(Kind::System), 1 => Just(Kind::Wake)];
    prop_oneof![
        12 => (lane(), kind).prop_map(|(lane, kind)| Op::Push(lane, kind)),
        1 => (1_u16..4000).prop_map(Op::Burst),
        1 => lane().prop_map(Op::Seal),
        8 => (1_u16..4).prop_map(Op::Pop),
        1 => (1_u16..4000).prop_map(Op::Pop),
        4 => Just(Op::Step),
        1 => Just(Op::Close),
        2 => Just(Op::CloseIfEmpty),
    ]
}

/// What an envelope is, in a word that can be compared.
fn word(envelope: &Envelope) -> String {
    match envelope {
        Envelope::User(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
        Envelope::System(message) => format!("{:?}", Message::System((**message).clone())),
        Envelope::Stop(exit) => format!("stop {}", exit.reason),
        other => format!("{other:?}"),
    }
}

fn message_word(message: &Message) -> String {
    match message {
        Message::User(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

#[derive(Default)]
struct Model {
    signals: VecDeque<(String, Kind)>,
    user: VecDeque<(String, Kind)>,
    /// Open, draining, stopping, closed.
    gate: u8,
}

impl Model {
    fn push(&mut self, lane: Lane, word: String, kind: Kind) -> bool {
        let (queue, last_open) = match lane {
            Lane::User => (&mut self.user, 0),
            Lane::Signal => (&mut self.signals, 2),
        };
        let accepted = self.gate <= last_open;
        if accepted {
            queue.push_back((word, kind));
        }
        accepted
    }

    fn seal(&mut self, lane: Lane, word: String) -> bool {
        let (queue, gate) = match lane {
            Lane::User => (&mut self.user, 1),
            Lane::Signal => (&mut self.signals, 2),
        };
        let seals = self.gate < gate;
        if seals {
            self.gate = gate;
            queue.push_back((word, Kind::Wake));
        }
        seals
    }

    fn pop(&mut self) -> Option<String> {
        let first = self.signals.pop_front().or_else(|| self.user.pop_front());
        first.map(|(word, _)| word)
    }

    fn close(&mut self) -> Vec<String> {
        self.gate = 3;
        let all = self.signals.drain(..).chain(self.user.drain(..));
        all.filter(|(_, kind)| !matches!(kind, Kind::Wake))
            .map(|(word, _)| word)
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.user.is_empty()
    }

    fn len(&self) -> usize {
        let users = |(_, kind): &&(String, Kind)| matches!(kind, Kind::User);
        self.user.iter().filter(users).count()
    }
}

struct Pair {
    mailbox: Mailbox,
    model: Model,
    sent: u32,
}

impl Pair {
    fn push(&mut self, lane: Lane, kind: Kind) {
        self.sent += 1;
        let envelope = match kind {
            Kind::User => Envelope::from(Message::from(format!("m{}", self.sent).into_bytes())),
            Kind::Wake => Envelope::Wake,
            Kind::System => {
                let pid = Pid::new(self.sent, 1).expect("a pid");
                Envelope::from(Message::System(SystemMessage::Exit(ExitInfo {
                    from: pid,
                    target: pid,
                    reason: ExitReason::Crash,
                    metadata: None,
                })))
            }
        };
        let word = word(&envelope);
        // The model counts user messages in the user lane, as the mailbox does.
        let accepted = self.model.push(lane, word.clone(), kind);
        match self.mailbox.push(lane, envelope) {
            Ok(_) => assert!(accepted, "{word}"),
            Err(PushError(back, _)) => {
                assert!(!accepted, "{word}");
                assert_eq!(self::word(&back), word);
            }
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Push(lane, kind) => self.push(lane, kind),
            Op::Burst(count) => (0..count).for_each(|_| self.push(Lane::User, Kind::User)),
            Op::Seal(lane) => {
                let exit = Exit::from(ExitReason::Shutdown);
                let word = word(&Envelope::Stop(exit.clone()));
                assert_eq!(
                    self.mailbox.seal(lane, exit).is_some(),
                    self.model.seal(lane, word)
                );
            }
            Op::Pop(count) => {
                for _ in 0..count {
                    let popped = self.mailbox.pop();
                    assert_eq!(popped.as_ref().map(word), self.model.pop());
                }
            }
            Op::Step => match self.mailbox.pop_step() {
                Popped::Letter(letter) => {
                    assert_eq!(Some(word(letter.envelope())), self.model.pop());
                }
                Popped::Signal => {
                    let signal = self.mailbox.take_signal();
                    assert_eq!(signal.as_ref().map(word), self.model.pop());
                }
                Popped::Empty => assert!(self.model.is_empty()),
                Popped::Unsorted => assert!(self.model.user.len() > 256),
            },
            Op::Close => {
                let left: Vec<_> = self.mailbox.close().iter().map(message_word).collect();
                assert_eq!(left, self.model.close());
            }
            Op::CloseIfEmpty => {
                let closes = self.model.is_empty();
                assert_eq!(self.mailbox.close_if_empty(), closes);
                if closes {
                    self.model.gate = 3;
                }
            }
        }
        assert_eq!(self.mailbox.len(), self.model.len());
        assert_eq!(self.mailbox.is_empty(), self.model.is_empty());
        assert_eq!(self.mailbox.is_open(), self.model.gate == 0);
        assert_eq!(self.mailbox.is_alive(), self.model.gate < 2);
    }
}

proptest! {
    #[test]
    fn a_mailbox_is_two_queues_and_a_gate(ops in prop::collection::vec(op(), 1..80)) {
        let mut pair = Pair { mailbox: Mailbox::new(), model: Model::default(), sent: 0 };
        for op in &ops {
            pair.apply(op);
        }
    }
}
