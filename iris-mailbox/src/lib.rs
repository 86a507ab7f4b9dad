//! A two-lane queue: signals before user messages.
//!
//! A [`Mailbox`] holds what was sent to one process and not yet taken up by it. Any
//! thread pushes; the one thread that runs the process pops.
//!
//! **Invariant:** a message that was accepted comes out again, through [`Mailbox::pop`] or
//! in the remainder that [`Mailbox::close`] returns; what is not accepted comes back in
//! the [`PushError`].
//!
//! # The user lane
//!
//! A stack that any number of producers push on, and whose one consumer takes all of it at
//! once and turns it around. Its head is one word, so that one compare-and-swap decides
//! between a push and a stop or close:
//!
//! ```text
//!      63..62   61..32                            31..0
//!    +--------+---------------------------------+------------------------------+
//!    |  gate  |  user messages ever pushed      |  node on top, 0 for none     |
//!    |        |  (modulo 2^30)                  |  -> next -> next -> 0        |
//!    +--------+---------------------------------+------------------------------+
//!     0 open, 1 draining, 2 stopping, 3 closed; it only goes up
//!
//!    push    gate open?      (g, n, top)  ->  (g, n + 1, new)    new.next = top
//!    seal    gate below?     (g, n, top)  ->  (1, n, stop)       stop.next = top
//!    take    top not 0?      (g, n, top)  ->  (g, n, 0)
//!    close                   (g, n, top)  ->  (3, n, 0)
//! ```
//!
//! The count is of user messages, for that is what [`Mailbox::len`] tells; swaps and the
//! order to drain lie on the stack and do not count. Nobody sets it back when the stack is
//! taken. The runner counts what it hands out, and the difference is exact: there is no
//! moment at which messages have left one count and not reached the other.
//!
//! **Orderings.** A push is a release, a take an acquire; every exchange of the word is a
//! read-modify-write and so continues the release sequences of the pushes before it: a
//! take sees all nodes of the stack, not only the topmost. A push that is refused has
//! acquired what closed the gate. Who takes writes to the runner's line first what it is
//! about to take, so that for one who looks at the word and then at that line no message
//! is in neither.
//!
//! **Recycled nodes (ABA).** A producer may sleep between its look at the word and its
//! exchange, while the node that it saw on top is taken, freed, and pushed again. If the
//! exchange succeeds then, it is right: its node's `next` is the node that is on top *now*,
//! and the producer never looked into that one. The consumer takes the whole stack and
//! follows `next` only in nodes that are its own.
//!
//! # The runner's line
//!
//! What was taken is turned around in steps of 1024 and then handed out. Its words lie on a
//! cache line that producers do not write. Whoever touches the nodes holds its `busy` flag.
//! That is nearly always free: one thread runs a process, as the state word of iris-sched
//! sees to. But who gives up on a process that does not come back from its handler closes
//! its mailbox from outside, and the handler may come back at that moment. So it is a
//! flag in release builds, too, and never a question of memory safety; nobody waits for it.
//!
//! # The signal lane
//!
//! A queue behind a lock, for signals are rare, with a flag on the runner's line that says
//! whether to look. The flag is raised before the gate falls or the lock opens.

mod chain;
mod head;
mod mailbox;
mod node;
mod pool;
mod runner;
mod sync;

pub use mailbox::{Mailbox, Popped, PushError};
