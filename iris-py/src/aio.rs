//! Async actors: coroutines on the runtime's one asyncio loop thread.
//!
//! ```text
//!   ready ──► queue ──(one byte per batch)──► loop thread: a turn runs slices of many actors,
//!                                             for 1 ms at most, then lets the loop go round
//!   handler(data) ──► coroutine ──► over at once: the next message
//!                        │ yields
//!                        ▼
//!   HandlerTask waits for a future of asyncio's, or a Suspension; the process is parked
//! ```
//!
//! A message costs no `asyncio.Task`: its coroutine is stepped here, and only one that really
//! waits gets a task of its own, a [`HandlerTask`](task::HandlerTask), which asyncio takes for one
//! of a third party. Who sends never needs the GIL to wake the loop.
//!
//! | module | says |
//! |---|---|
//! | [`lane`] | the queue, the loop thread and its turns |
//! | [`bell`] | how a thread without the GIL wakes the loop |
//! | [`task`] | a coroutine, its steps and its end |
//! | [`protocol`] | what asyncio asks of a task |
//! | [`spare`] | the one task of coroutines that do not wait |
//! | [`awaited`] | answers that async actors await |
//! | [`deadlines`] | their time-outs |
//! | [`suspension`] | what a coroutine awaits that something other than asyncio brings |
//! | [`pull`] | async actors that receive |
//! | [`context`] | `contextvars` |

pub(crate) mod awaited;
mod bell;
pub(crate) mod context;
mod deadlines;
pub(crate) mod lane;
mod protocol;
pub(crate) mod pull;
mod spare;
pub(crate) mod suspension;
pub(crate) mod task;
