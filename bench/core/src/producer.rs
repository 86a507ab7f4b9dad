//! Who sends: inside the runtime, as an actor or task, with the same window for all.

use std::sync::Arc;

use crate::role::Tally;

/// Messages between two looks at the window.
const BURST: u64 = 256;

/// How a producer holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// It never does.
    Free,
    /// It lets others run after each burst.
    Polite,
    /// It lets others run while more than this many messages are on the way; must be well
    /// above the 1,024 by which the target's progress may lag.
    Window(u64),
}

/// Sends a number of messages in turn to its targets.
#[derive(Debug)]
pub struct Producer<A> {
    /// The targets.
    pub to: Vec<A>,
    /// How many messages in all.
    pub total: u64,
    /// Producers of the same size that share the window.
    pub producers: u64,
    /// When to hold back.
    pub pressure: Pressure,
    /// Where the target shows how far it is.
    pub tally: Arc<Tally>,
    /// How many are sent.
    pub sent: u64,
}

/// What a producer does after a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next burst at once, where the implementation allows it.
    GoOn,
    /// The next burst after others had their turn.
    GiveWay,
    /// Nothing: all is sent.
    Finished,
}

impl<A> Producer<A> {
    /// Sends the next messages with `send`, unless the window is full.
    #[inline]
    pub fn burst(&mut self, mut send: impl FnMut(&A, u64)) -> Next {
        if self.window_is_full() {
            return Next::GiveWay;
        }
        let end = self.total.min(self.sent + BURST);
        // One target is the common case, without a division for each message.
        if let [to] = &*self.to {
            for word in self.sent..end {
                send(to, word);
            }
        } else {
            let targets = self.to.len() as u64;
            let mut at = usize::try_from(self.sent % targets).expect("it is below a length");
            for word in self.sent..end {
                send(&self.to[at], word);
                at += 1;
                if at == self.to.len() {
                    at = 0;
                }
            }
        }
        self.sent = end;
        if end == self.total {
            Next::Finished
        } else if self.pressure == Pressure::Polite || self.window_is_full() {
            Next::GiveWay
        } else {
            Next::GoOn
        }
    }

    fn window_is_full(&self) -> bool {
        match self.pressure {
            Pressure::Free | Pressure::Polite => false,
            Pressure::Window(window) => {
                (self.sent * self.producers).saturating_sub(self.tally.progress()) > window
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_gets_its_turn_and_the_total_is_exact() {
        let mut got = [0; 3];
        let mut producer = Producer {
            to: vec![0, 1, 2],
            total: 600,
            producers: 1,
            pressure: Pressure::Polite,
            tally: Tally::new(),
            sent: 0,
        };
        let mut bursts = 1;
        while producer.burst(|to: &usize, _| got[*to] += 1) != Next::Finished {
            bursts += 1;
        }
        assert_eq!(got, [200; 3]);
        assert_eq!(bursts, 3);
    }

    #[test]
    fn a_full_window_holds_the_producer_back() {
        let mut sent = 0;
        let mut producer = Producer {
            to: vec![()],
            total: 10_000,
            producers: 2,
            pressure: Pressure::Window(1_000),
            tally: Tally::new(),
            sent: 0,
        };
        for _ in 0..100 {
            producer.burst(|(), _| sent += 1);
        }
        assert_eq!(
            sent, 512,
            "with its twin it has more than a thousand on the way"
        );
    }
}
