//! The Node.js face of Iris: the Node-API module behind the package `iris`.
//!
//! It converts values, hands batches of messages to JavaScript and takes back what came of
//! them; rules about actors live in the facade and below. What users load is `index.js`, whose
//! class `NodeRuntime` checks arguments and holds the handlers.
//!
//! **Invariant:** JavaScript is called by the event loop only, which calls into here: nothing in
//! this crate calls a handler. One thread-safe function for each runtime wakes the loop, and it is
//! called only when its queue was empty.
//!
//! | module | says |
//! |---|---|
//! | [`lane`] | the queue of processes whose handlers are JavaScript, and what wakes the loop |
//! | [`wake`] | the thread-safe function |
//! | [`behavior`] | a handler as a behavior |
//! | [`hand`] | the messages that JavaScript has in hand |
//! | [`turn`] | a turn of the loop: collect, fill, settle |
//! | [`news`] | what else the loop is told: answers, ends, dead letters |
//! | [`core`] | the class behind `NodeRuntime` |
//! | [`raw`] | functions that are called for each message or batch |
//! | [`spawn`] | actors |
//! | [`send`] | messages, timers, questions |
//! | [`mailbox`] | actors that receive |
//! | [`observe`] | links, monitors, groups, observers |
//! | [`select`] | selective receives from observers |
//! | [`supervise`] | supervisors and factories |
//! | [`nodes`] | actors of other nodes |
//! | [`settings`] | how this node is to be: certificates, rules, limits |
//! | [`nats`] | links through NATS, where they are built in |
//! | [`watchdog`] | handlers that keep the loop |
//! | [`system`] | system messages as objects |
//! | [`context`] | asynchronous contexts that travel with messages |
//! | [`convert`] | pids and words |
//! | [`error`] | the one map from errors to codes |
//! | [`allocator`] | where memory comes from, and when it goes back |

#![expect(
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "the signatures that napi makes calls of"
)]
#![expect(
    missing_debug_implementations,
    reason = "nobody prints what only JavaScript sees"
)]

mod allocator;
mod behavior;
mod context;
mod convert;
mod core;
mod error;
mod hand;
mod lane;
mod mailbox;
mod nats;
mod news;
mod nodes;
mod observe;
mod raw;
mod select;
mod send;
mod settings;
mod spawn;
mod supervise;
mod system;
mod turn;
mod wake;
mod watchdog;
