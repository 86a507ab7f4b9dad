//! What is measured on what, how much of it, and what is to be reached.

/// An implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impl {
    /// Iris.
    Iris,
    /// Raw Tokio.
    Tokio,
    /// ractor.
    Ractor,
    /// kameo.
    Kameo,
    /// Iris in a program that links mimalloc.
    IrisMimalloc,
    /// Raw Tokio in a program that links mimalloc.
    TokioMimalloc,
}

impl Impl {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Iris,
        Self::Tokio,
        Self::Ractor,
        Self::Kameo,
        Self::IrisMimalloc,
        Self::TokioMimalloc,
    ];

    /// What it is called in the output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iris => "iris",
            Self::Tokio => "tokio",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::IrisMimalloc => "iris_mimalloc",
            Self::TokioMimalloc => "tokio_mimalloc",
        }
    }

    /// Whether its repetitions run in the program that links mimalloc.
    pub const fn wants_mimalloc(self) -> bool {
        matches!(self, Self::IrisMimalloc | Self::TokioMimalloc)
    }
}

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One producer, one actor.
    Tell,
    /// Two producers, one actor.
    TellTwo,
    /// One producer that never waits, one actor.
    TellFree,
    /// One producer, one actor, an allocation for each message.
    TellBytes,
    /// Two actors and one message.
    PingPong,
    /// A thousand actors and one message.
    Ring,
    /// One producer, very many actors.
    FanOut,
    /// A task that asks.
    Ask,
    /// Spawning 100,000 actors, and what they hold.
    Spawn,
    /// The same with a million.
    SpawnMillion,
    /// Light actors beside a hot one.
    Skew,
    /// Spawning 100,000 actors that receive, a task each, and what they hold.
    SpawnAsync,
    /// Hot swap under traffic.
    Swap,
    /// Hot swap of 100,000 actors at once.
    SwapGroup,
}

/// How much a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// For a first look.
    Quick,
    /// For figures that are quoted.
    Normal,
}

const PEERS: &[Impl] = &[Impl::Iris, Impl::Tokio, Impl::Ractor, Impl::Kameo];

impl Workload {
    /// All of them, in the order of the output.
    pub const ALL: [Self; 14] = [
        Self::Tell,
        Self::TellTwo,
        Self::TellFree,
        Self::TellBytes,
        Self::PingPong,
        Self::Ring,
        Self::FanOut,
        Self::Ask,
        Self::Spawn,
        Self::SpawnMillion,
        Self::SpawnAsync,
        Self::Skew,
        Self::Swap,
        Self::SwapGroup,
    ];

    /// One word, for command lines.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::TellTwo => "tell-two",
            Self::TellFree => "tell-free",
            Self::TellBytes => "tell-bytes",
            Self::PingPong => "ping-pong",
            Self::Ring => "ring",
            Self::FanOut => "fan-out",
            Self::Ask => "ask",
            Self::Spawn => "spawn",
            Self::SpawnMillion => "spawn-million",
            Self::SpawnAsync => "spawn-async",
            Self::Skew => "skew",
            Self::Swap => "swap",
            Self::SwapGroup => "swap-group",
        }
    }

    /// What it is called in the output.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Tell => "tell 1->1, 32 B",
            Self::TellTwo => "tell 2->1, 32 B",
            Self::TellFree => "tell 1->1, 32 B, free-running",
            Self::TellBytes => "tell 1->1, fresh Bytes",
            Self::PingPong => "ping-pong",
            Self::Ring => "ring of 1000",
            Self::FanOut => "fan-out to 100k",
            Self::Ask => "ask from a task",
            Self::Spawn => "spawn 100k",
            Self::SpawnMillion => "spawn 1M",
            Self::Skew => "100 light actors beside a hot one",
            Self::SpawnAsync => "spawn 100k async actors",
            Self::Swap => "hot swap under traffic",
            Self::SwapGroup => "hot swap of 100k at once",
        }
    }

    /// What is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::PingPong => "round trips",
            Self::Ring => "hops",
            Self::Ask => "asks",
            Self::Spawn | Self::SpawnMillion | Self::SpawnAsync => "actors",
            Self::Swap => "swaps",
            Self::SwapGroup => "actors swapped",
            _ => "messages",
        }
    }

    /// On what it runs, in the order of turns.
    pub const fn impls(self) -> &'static [Impl] {
        match self {
            Self::TellBytes => &[
                Impl::Iris,
                Impl::Tokio,
                Impl::IrisMimalloc,
                Impl::TokioMimalloc,
            ],
            Self::Swap | Self::SpawnAsync => &[Impl::Iris, Impl::Tokio],
            Self::SwapGroup => &[Impl::Iris],
            _ => PEERS,
        }
    }

    /// Whether it runs only when everything is asked for.
    pub const fn only_in_full(self) -> bool {
        matches!(self, Self::SpawnMillion)
    }

    /// What a reader of the figures must know.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Ask => Some("an idle actor of Iris answers on the thread of the task that asks"),
            Self::Swap => Some(
                "up to 65,536 swaps are on the way, as many as messages, among which they wait; \
                 tokio is a boxed handler that a message replaces; the goal is against the \
                 best figure of the earlier implementation, 136 k/s on the machine of the goals",
            ),
            Self::SwapGroup => Some(
                "100 swaps of the group, then a message to each of its 100,000 actors, which \
                 finds the last swap in force",
            ),
            _ => None,
        }
    }

    /// The goals of a workload.
    pub fn goals(self) -> impl Iterator<Item = &'static Goal> {
        GOALS.iter().filter(move |goal| goal.workload == self)
    }
}

/// The figure that a goal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Operations per second; more is better.
    PerSec,
    /// Memory of the process; less is better.
    Rss,
    /// Another figure by its name; less is better.
    Less(&'static str),
}

/// What Iris is measured against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Anchor {
    /// Another implementation in the same run.
    Impl(Impl),
    /// A figure per second from elsewhere, and whose it is.
    Figure(f64, &'static str),
}

/// What is to be reached: as a ratio where larger is better.
#[derive(Debug)]
pub struct Goal {
    /// Of which workload.
    pub workload: Workload,
    /// What is measured, as a person reads it.
    pub what: &'static str,
    /// The figure.
    pub metric: Metric,
    /// Whose figure is ours.
    pub ours: Impl,
    /// Against what.
    pub against: Anchor,
    /// The ratio to reach.
    pub ratio: f64,
}

const fn per_sec(workload: Workload, against: Impl, ratio: f64) -> Goal {
    Goal {
        workload,
        what: "per second",
        metric: Metric::PerSec,
        ours: Impl::Iris,
        against: Anchor::Impl(against),
        ratio,
    }
}

/// The goals for the core. Absolute ones count as their ratio to the anchor's figure on the
/// machine that they were set on.
pub const GOALS: [Goal; 14] = [
    per_sec(Workload::Tell, Impl::Tokio, 3.5),
    per_sec(Workload::Tell, Impl::Ractor, 10.0),
    per_sec(Workload::TellBytes, Impl::Tokio, 1.5),
    Goal {
        ours: Impl::IrisMimalloc,
        ..per_sec(Workload::TellBytes, Impl::TokioMimalloc, 2.5)
    },
    per_sec(Workload::PingPong, Impl::Tokio, 3.5),
    per_sec(Workload::Ring, Impl::Tokio, 4.5),
    per_sec(Workload::FanOut, Impl::Tokio, 1.6),
    per_sec(Workload::Ask, Impl::Tokio, 3.0),
    Goal {
        what: "bytes per idle async actor",
        metric: Metric::Less("bytes_idle"),
        // 600 B where raw Tokio has 2,563 B.
        ..per_sec(Workload::SpawnAsync, Impl::Tokio, 4.27)
    },
    per_sec(Workload::Spawn, Impl::Tokio, 10.0),
    Goal {
        what: "bytes per idle actor",
        metric: Metric::Less("bytes_idle"),
        // 256 B where raw Tokio has 2,560 B.
        ..per_sec(Workload::Spawn, Impl::Tokio, 10.0)
    },
    Goal {
        what: "memory, each handled a message",
        metric: Metric::Rss,
        // 300 MB where ractor has 6.7 GB.
        ..per_sec(Workload::SpawnMillion, Impl::Ractor, 22.3)
    },
    Goal {
        what: "p99 latency",
        metric: Metric::Less("p99_us"),
        // 100 us where raw Tokio has 241 us.
        ..per_sec(Workload::Skew, Impl::Tokio, 2.41)
    },
    Goal {
        against: Anchor::Figure(136e3, "0.4.0"),
        // 1 M/s.
        ..per_sec(Workload::Swap, Impl::Tokio, 7.35)
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_about_implementations_that_its_workload_runs_on() {
        for goal in &GOALS {
            let impls = goal.workload.impls();
            assert!(impls.contains(&goal.ours), "{goal:?}");
            if let Anchor::Impl(against) = goal.against {
                assert!(impls.contains(&against), "{goal:?}");
            }
        }
    }

    #[test]
    fn ids_are_unique() {
        for workload in Workload::ALL {
            let same = |other: &&Workload| other.id() == workload.id();
            assert_eq!(Workload::ALL.iter().filter(same).count(), 1);
        }
    }
}
