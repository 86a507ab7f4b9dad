//! What a message brings along of its sender's asynchronous context.
//!
//! JavaScript keeps the contexts and gives them numbers; a message has the number, and tells the
//! lane when it is gone, whatever became of it.

use std::sync::{Arc, Weak};

use iris::Payload;

use crate::lane::Lane;

/// The number of a context, for as long as the message is there.
struct Sender {
    lane: Weak<Lane>,
    number: u32,
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.upgrade() {
            lane.let_go(self.number);
        }
    }
}

/// The payload with the context of that number; 0 is none.
pub(crate) fn with(lane: &Arc<Lane>, payload: Payload, number: u32) -> Payload {
    if number == 0 {
        return payload;
    }
    let lane = Arc::downgrade(lane);
    payload.with_baggage(Arc::new(Sender { lane, number }))
}

/// The number of the context that a payload has brought; 0 for none.
pub(crate) fn number(payload: &Payload) -> u32 {
    let sender = payload.baggage().and_then(|baggage| baggage.downcast_ref());
    sender.map_or(0, |sender: &Sender| sender.number)
}
