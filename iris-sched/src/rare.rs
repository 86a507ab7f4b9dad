//! What hardly any process has: behind one pointer that is empty for all others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iris_core::{Message, Pid};
use tokio::sync::Notify;

use crate::cell::Kind;
use crate::process::{Activation, ProcessOptions};
use crate::room::Bounds;
use crate::swap::History;

/// Who wants to know that a process was told to stop at once.
pub type StopHook = dyn Fn(Pid) + Send + Sync;

/// Made when something in it is first needed.
#[derive(Default)]
pub(crate) struct Rare {
    /// Made with the first swap. Its lock also keeps the swaps of one lane in their order.
    pub(crate) history: Option<History>,
    /// The place of the behavior in force among all swaps of the process; 0: the original.
    pub(crate) swap_order: u64,
    /// Wakes what a process waits for, beside messages, when it is told to stop.
    pub(crate) interrupt: Option<Arc<Notify>>,
    /// Called when the process is told to stop at once.
    pub(crate) stop_hook: Option<Arc<StopHook>>,
    /// Of a virtual actor.
    pub(crate) idle: Option<Idle>,
    /// Messages that a receiving actor took out and passed over; they are still to be handled.
    pub(crate) set_aside: usize,
    /// Messages of a batch that its handler gave back unhandled, oldest first: dead letters when
    /// the process ends.
    pub(crate) given_back: Vec<Message>,
    /// How many user messages may wait until that is told next; 0: never told so far.
    pub(crate) high_water: usize,
    /// Of a bounded process that is not content with the default policy.
    pub(crate) bounds: Option<Box<Bounds>>,
}

/// When a virtual actor gives its state up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) timeout: Option<Duration>,
    pub(crate) reactivate: bool,
    /// Whether there is a state.
    pub(crate) active: bool,
    pub(crate) last_active: Option<Instant>,
}

impl Rare {
    /// What a process with these options has from the beginning.
    pub(crate) fn for_options(options: ProcessOptions) -> (Option<Box<Self>>, Kind) {
        let mut kind = Kind {
            is_virtual: false,
            receives: options.receives,
        };
        let Activation::Virtual {
            idle_timeout,
            reactivate,
        } = options.activation
        else {
            return (None, kind);
        };
        kind.is_virtual = true;
        let idle = Idle {
            timeout: idle_timeout,
            reactivate,
            active: false,
            last_active: None,
        };
        let rare = Self {
            idle: Some(idle),
            ..Self::default()
        };
        (Some(Box::new(rare)), kind)
    }
}
