//! What goes wrong when: drawn from a seed.

use std::time::Duration;

use iris_testkit::{Faults, Rng};

/// What may be expected of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No fault lasts as long as a session waits, and nobody crashes or ends: nothing may come
    /// back, nobody may be reported down.
    Gentle,
    /// Faults last longer than sessions, and processes end.
    Harsh,
    /// The same, and nodes crash and start again.
    Crashing,
}

/// Who looks for whom when all faults are over. The ids of nodes are in the order of their
/// numbers, and which of two dials stays depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finders {
    All,
    /// Nodes look for those before them only.
    Higher,
    /// Nodes look for those behind them only.
    Lower,
}

impl Finders {
    pub(crate) fn looks(self, node: usize, other: usize) -> bool {
        match self {
            Self::All => node != other,
            Self::Higher => node > other,
            Self::Lower => node < other,
        }
    }
}

/// Something goes wrong, for as long as its [`Event`] lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What is sent between two nodes is dropped.
    Partition(usize, usize),
    /// What the first sends to the second is dropped.
    OneWay(usize, usize),
    /// What is sent between two nodes waits.
    Hold(usize, usize),
    /// What is sent between two nodes takes so many milliseconds.
    Slow(usize, usize, u64),
    /// A node ends without a word; with `quiet` not even its system closes the connections.
    Crash { node: usize, quiet: bool },
    /// A node says goodbye, ends, and starts again.
    Leave(usize),
    /// All links of a node are cut within their next bytes.
    Cut(usize),
    /// All links of a node go silent in one direction.
    Silence(usize),
    /// No dial of a node comes through.
    Strand(usize),
    /// Two nodes lose their links, and dial each other at the same time.
    DialEachOther(usize, usize),
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// From the start, in milliseconds.
    pub(crate) at: u64,
    /// Until then.
    pub(crate) until: u64,
    pub(crate) fault: Fault,
}

/// A whole test: the nodes, their links, and what happens to them.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) nodes: usize,
    /// Nodes prove themselves with a key; else they meet by the upgrade of the original packets.
    pub(crate) secret: bool,
    /// They join a mesh, and so keep each other connected.
    pub(crate) joined: bool,
    pub(crate) heartbeat: Duration,
    pub(crate) resume: Duration,
    pub(crate) latency: Duration,
    pub(crate) links: Faults,
    /// How long the nodes talk, in milliseconds.
    pub(crate) active: u64,
    pub(crate) finders: Finders,
    pub(crate) events: Vec<Event>,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let kind = match seed % 4 {
            0 => Kind::Gentle,
            1 => Kind::Harsh,
            _ => Kind::Crashing,
        };
        let nodes = if rng.chance(300) { 2 } else { 3 };
        let gentle = kind == Kind::Gentle;
        let resume = if gentle {
            60_000
        } else {
            rng.within(300..1_500)
        };
        let active = rng.within(1_000..2_500);
        let mut schedule = Self {
            seed,
            kind,
            nodes,
            secret: rng.chance(500),
            // A mesh gives up sooner who does not answer.
            joined: rng.chance(400) && !gentle,
            heartbeat: Duration::from_millis(rng.within(50..150)),
            resume: Duration::from_millis(resume),
            latency: Duration::from_millis(*rng.pick(&[2, 10, 40])),
            links: links(&mut rng),
            active,
            finders: *rng.pick(&[Finders::All, Finders::Higher, Finders::Lower]),
            events: Vec::new(),
        };
        for _ in 0..rng.within(1..7) {
            let event = schedule.event(&mut rng);
            schedule.events.push(event);
        }
        schedule.events.sort_by_key(|event| event.at);
        schedule
    }

    fn event(&self, rng: &mut Rng) -> Event {
        let nodes: Vec<usize> = (0..self.nodes).collect();
        let a = *rng.pick(&nodes);
        let others: Vec<usize> = nodes.into_iter().filter(|&node| node != a).collect();
        let b = *rng.pick(&others);
        let kinds = if self.kind == Kind::Crashing { 12 } else { 8 };
        let fault = match rng.within(0..kinds) {
            0 => Fault::Partition(a, b),
            1 => Fault::OneWay(a, b),
            2 => Fault::Hold(a, b),
            3 => Fault::Slow(a, b, rng.within(1..120)),
            4 => Fault::Cut(a),
            5 => Fault::Silence(a),
            6 => Fault::Strand(a),
            7 => Fault::DialEachOther(a, b),
            8 => Fault::Leave(a),
            _ => Fault::Crash {
                node: a,
                quiet: rng.chance(500),
            },
        };
        let at = rng.within(50..self.active);
        let lasts = if rng.chance(300) {
            rng.within(1..30)
        } else {
            rng.within(30..1_500)
        };
        let until = at + lasts;
        Event { at, until, fault }
    }
}

/// What single links suffer.
fn links(rng: &mut Rng) -> Faults {
    if rng.chance(300) {
        return Faults::NONE;
    }
    Faults {
        unreachable: *rng.pick(&[0, 0, 200]),
        cut: *rng.pick(&[0, 100, 400]),
        silence: *rng.pick(&[0, 0, 100, 300]),
        // Within the handshake, or later.
        after_bytes: 0..*rng.pick(&[50, 400, 20_000]),
        delay: Duration::from_millis(*rng.pick(&[0, 0, 5, 25])),
        pieces: *rng.pick(&[0, 1, 7, 100]),
    }
}
