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
//! between a push and a stop or close, and answers whether the process must be scheduled:
//!
//! ```text
//!      63..62   61      60..32                         31..0
//!    +--------+--------+-----------------------------+------------------------------+
//!    |  gate  | asleep |  user messages ever pushed  |  node on top, 0 for none     |
//!    |        |        |  (modulo 2^29)              |  -> next -> next -> 0        |
//!    +--------+--------+-----------------------------+------------------------------+
//!     0 open, 1 draining, 2 stopping, 3 closed; it only goes up in one life
//!
//!    push    gate open?      (g, a, n, top)  ->  (g, 0, n + 1, new)    new.next = top
//!            and a was 1:    the pusher has the duty to see to it that somebody looks
//!    seal    gate below?     (g, a, n, top)  ->  (1, 0, n, stop)       stop.next = top
//!    take    top not 0?      (g, a, n, top)  ->  (g, a, n, 0)
//!    sleep   nothing there?  (g, 0, n, 0)    ->  (g, 1, n, 0)          by the runner
//!    wake                    (g, a, n, top)  ->  (g, 0, n, top)        for signals
//!    close                   (g, a, n, top)  ->  (3, a, n, 0)
//!    reopen                  (3, 1, n, 0)    ->  (0, 1, n + 1, 0)      another life
//! ```
//!
//! The count is of user messages, for that is what [`Mailbox::len`] tells; swaps and the
//! order to drain lie on the stack and do not count. Nobody sets it back when the stack is
//! taken. The runner counts what it hands out, and the difference is exact: there is no
//! moment at which messages have left one count and not reached the other.
//!
//! **One runner, no lost wake-up.** The duty to look is with nobody while `asleep` is set, and
//! with exactly one otherwise: whoever cleared the bit has it, and hands it on until a runner
//! sets the bit again. That is an exchange which succeeds only with an empty stack, so a
//! push comes before it and keeps the runner awake, or after it and finds it asleep. A
//! signal raises its flag and then exchanges the same word; the runner exchanges the word
//! and then looks at the flag: one of them sees the other.
//!
//! **Orderings.** A push is a release, a take an acquire; every exchange of the word is a
//! read-modify-write and so continues the release sequences of the pushes before it: a
//! take sees all nodes of the stack, not only the topmost. A push that is refused has
//! acquired what closed the gate, and one that wakes has acquired all that the runner did
//! before it slept. Who takes writes to the runner's line first what it is
//! about to take, so that for one who looks at the word and then at that line no message
//! is in neither.
//!
//! **Recycled nodes (ABA).** A producer may sleep between its look at the word and its
//! exchange, while the node that it saw on top is taken, freed, and pushed again. If the
//! exchange succeeds then, it is right: its node's `next` is the node that is on top *now*,
//! and the producer never looked into that one. The consumer takes the whole stack and
//! follows `next` only in nodes that are its own.
//!
//! **Recycled mailboxes.** A mailbox can serve one process after another; each has a number,
//! its life, which a sender names. Here the same sleeping producer must *not* succeed: it
//! would reach the successor. It looks at the word, then at the life, then exchanges the
//! word. A life that ends after the second look is followed by a word whose count is
//! higher by at least one, so the exchange fails, and the next look at the life tells why.
//! Signals, and all else that is rare, compare the life under the lock under which it ends.
//!
//! # The runner's line
//!
//! What was taken is turned around in steps of 256 and then handed out. Its words lie on a
//! cache line that producers do not write. Only the runner touches the nodes there, and a
//! runner that can prove to be the only one, a [`Consumer`], asks nobody. Others take a flag,
//! `busy`, for each look. In a bounded mailbox everybody does: a policy may let senders
//! evict what is oldest, and the runner waits for them.
//!
//! Who gives up on a process that does not come back from its handler closes its mailbox from
//! outside and leaves the runner's line alone.
//!
//! # Room
//!
//! A sender that a full mailbox has refused may wait until there is room. The mailbox keeps no
//! list of who waits, only a note that somebody does; whoever runs it looks at the note after
//! each message that it takes, and tells them. What is lost in such schemes is the wake-up
//! of a sender that looks, finds the mailbox full, and is overtaken by the runner on its way to
//! bed. Here the second look and the note are one turn, as each message taken out is one:
//!
//! ```text
//!    sender                                   runner
//!    put itself on the owner's list
//!    turn { raise the note; full? }           turn { take a message; count it }
//!    full: sleep                              note raised? tell those on the list
//! ```
//!
//! Turns come one after the other. If the runner's is the later one, then it sees the note; if
//! the sender's is, then it sees that there is room, and does not sleep. So the look at the note
//! is relaxed, and needs no fence. The end of a mailbox is no turn: there the sender asks the
//! gate after it has raised the note, and who closes it looks at the note afterwards, with a
//! fence between the two on either side.
//!
//! # The signal lane
//!
//! A queue behind a lock, for signals are rare, with a flag on the runner's line that says
//! whether to look. The flag is raised before the gate falls or the lock opens.

mod chain;
mod head;
mod letter;
mod mailbox;
mod node;
mod pool;
mod room;
mod runner;
mod sync;

pub use letter::Letter;
pub use mailbox::{Consumer, Mailbox, Popped, PushError, Refusal};
pub use room::Eviction;
