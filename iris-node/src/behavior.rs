//! A handler in JavaScript as a behavior: it puts messages into JavaScript's hand.

use std::sync::Arc;

use iris::{BatchBehavior, Behavior, Context, Exit, Failure, Message, Payload, State, Step};

use crate::hand::{ASKED, Mail};
use crate::lane::Lane;

/// Calls what is in a slot of the array of handlers, in that it says so to the loop; the process
/// is parked until the loop has.
pub(crate) struct JsBehavior {
    pub(crate) lane: Arc<Lane>,
    pub(crate) slot: u32,
    pub(crate) manner: Manner,
    pub(crate) name: String,
}

/// How a handler is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// With system messages, too.
    pub(crate) system: bool,
    /// With one message at a time: the mailbox has a bound, and what is in hand has left it.
    pub(crate) singly: bool,
    /// Bits that only JavaScript knows.
    pub(crate) flags: i32,
}

impl JsBehavior {
    fn hand_over_one(&self, cx: &mut Context<'_>, payload: Payload) -> Step {
        let payload = match cx.take_baggage() {
            Some(baggage) => payload.with_baggage(baggage),
            None => payload,
        };
        self.hand_over(cx, Mail::User(vec![payload]))
    }

    fn hand_over(&self, cx: &Context<'_>, mail: Mail) -> Step {
        if !self.lane.is_here() {
            // The behavior was swapped into a process of another scheduler, by who knows whom.
            return Step::Stop(Exit::crash(Failure {
                kind: "TypeError".to_owned(),
                message: "a handler in JavaScript runs on its event loop only".to_owned(),
                traceback: String::new(),
            }));
        }
        let asked = if cx.is_asked() { ASKED } else { 0 };
        let flags = self.manner.flags | asked;
        self.lane.hand().add(cx.pid(), self.slot, flags, mail);
        Step::Park
    }
}

impl Behavior for JsBehavior {
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        match message {
            Message::User(bytes) => self.hand_over_one(cx, bytes.into()),
            Message::System(news) if self.manner.system => {
                self.hand_over(cx, Mail::System(Box::new(news)))
            }
            _ => Step::Done,
        }
    }

    fn handle_in_place(&self, _: &mut State, cx: &mut Context<'_>, payload: &mut Payload) -> Step {
        self.hand_over_one(cx, std::mem::take(payload))
    }

    fn as_batch(&self) -> Option<&dyn BatchBehavior> {
        (!self.manner.singly).then_some(self)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl BatchBehavior for JsBehavior {
    fn handle_batch(&self, _: &mut State, cx: &mut Context<'_>, batch: Vec<Payload>) -> Step {
        self.hand_over(cx, Mail::User(batch))
    }
}

impl Drop for JsBehavior {
    fn drop(&mut self) {
        self.lane.free(self.slot);
    }
}
