//! What time it is for a node.

use std::time::Instant;

/// Now, by the clock of the runtime that the caller runs on: a simulation moves that clock by
/// itself, and the sleeps of a node follow it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
