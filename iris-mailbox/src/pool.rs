//! Where nodes come from and go back to: magazines of each thread over one depot.
//!
//! Static, one for the process, for two reasons. A node is freed by another thread than
//! the one that allocated it, nearly always, and a general allocator pays for that (177 ns
//! with glibc's); and 32-bit indices, which leave room for a count and a gate in a
//! mailbox's head word, must mean the same node to everybody. The memory is never given
//! back: it is what the fullest moment of all mailboxes together needed.
//!
//! ```text
//!    thread A                 depot (a stack of chunks)            thread B
//!   +--------+   refill    +-----------------------------+  full  +--------+
//!   | active | <---------- | tag:32 | first node:32      | <----- | active |
//!   | spare  |             +--------------|--------------+        | spare  |
//!   +--------+                 node -> node -> ... by `next`      +--------+
//!                               | link
//!                              node -> node -> ...
//! ```
//!
//! A magazine is a list of up to 128 nodes that one thread owns. An empty one is refilled
//! with a whole chunk from the depot or, if there is none, with nodes that were never
//! used; a full one goes to the depot as a chunk. So one depot operation pays for 128
//! messages.
//!
//! The depot is lock-free, so that a push never waits and the child of a `fork` finds no
//! lock held. Its head word carries a tag that each operation counts up: a thread that
//! read `link` of a chunk which was taken and brought back meanwhile fails its exchange.
//! (It would have to sleep through a multiple of 2^32 operations to be fooled.) The read
//! itself is of an atomic in memory that is never freed. Bringing back is a release and
//! taking is an acquire, which hands over the nodes of the chunk.

use crate::node::{Index, NONE};
use crate::sync::{AtomicU64, Ordering};

pub(crate) use self::store::{acquire, node, release};

/// The chunks that no thread holds.
#[derive(Debug)]
struct Depot(AtomicU64);

impl Depot {
    #[cfg(not(feature = "loom"))]
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Brings a chunk: a list of nodes that the caller owns, linked by `next`.
    fn put(&self, first: Index) {
        let link = &node(first).link;
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            link.store(top(seen), Ordering::Relaxed);
            match self.0.compare_exchange_weak(
                seen,
                successor(seen, first),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes a chunk; its nodes are the caller's then. [`NONE`] if there is none.
    fn take(&self) -> Index {
        let mut seen = self.0.load(Ordering::Acquire);
        while top(seen) != NONE {
            let below = node(top(seen)).link.load(Ordering::Relaxed);
            match self.0.compare_exchange_weak(
                seen,
                successor(seen, below),
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return top(seen),
                Err(now) => seen = now,
            }
        }
        NONE
    }
}

/// The first node of the chunk on top.
fn top(word: u64) -> Index {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let index = word as u32;
    index
}

/// The word after `word`: another chunk on top, and the next tag.
fn successor(word: u64, first: Index) -> u64 {
    let tag = (word >> 32).wrapping_add(1) << 32;
    tag | u64::from(first)
}

#[cfg(not(feature = "loom"))]
mod store {
    use std::alloc::{Layout, alloc, handle_alloc_error};
    use std::cell::Cell;
    use std::ptr::null_mut;
    use std::sync::atomic::AtomicPtr;

    use super::Depot;
    use crate::node::{Index, NONE, Node};
    use crate::sync::{AtomicU32, Ordering};

    /// Nodes in a magazine, and so in a chunk: 8 KiB, an eighth of a usual L1 cache for the
    /// two magazines of a thread.
    const MAGAZINE: u32 = 128;

    /// Nodes on a page: 4 MiB, of which the system provides what is used.
    const PAGE: u32 = 1 << 16;

    /// As many as 32-bit indices reach, so that a look into the table needs no check.
    const PAGES: usize = 1 << 16;

    /// All nodes that there can be. A mailbox counts its messages in 29 bits and must not
    /// overflow.
    const LIMIT: u32 = crate::head::COUNT_MASK;

    static TABLE: [AtomicPtr<Node>; PAGES] = [const { AtomicPtr::new(null_mut()) }; PAGES];

    /// The first index that nobody ever used. 0 is no node.
    static UNUSED: AtomicU32 = AtomicU32::new(1);

    static DEPOT: Depot = Depot::new();

    thread_local! {
        static MAGAZINES: Magazines = const {
            Magazines { active: List::EMPTY, spare: List::EMPTY }
        };
    }

    /// The page of an index, and its place there.
    #[inline]
    fn place(index: Index) -> (usize, u32) {
        ((index / PAGE) as usize, index % PAGE)
    }

    /// The node with an index that `fresh` has given out.
    #[inline]
    pub(crate) fn node(index: Index) -> &'static Node {
        debug_assert!(index != NONE && index < UNUSED.load(Ordering::Relaxed));
        let (page, offset) = place(index);
        // Acquire: an index may have travelled with weaker orderings than the page.
        let base = TABLE[page].load(Ordering::Acquire);
        debug_assert!(!base.is_null());
        // SAFETY: `fresh` published the page before it gave the index out, wrote all nodes
        // it gives out, and no page is ever freed. `place` stays inside of the page.
        unsafe { &*base.add(offset as usize) }
    }

    /// A node from the pool: the caller owns it, and it is empty.
    #[inline]
    pub(crate) fn acquire() -> (Index, &'static Node) {
        MAGAZINES
            .try_with(Magazines::acquire)
            // This thread is ending and has given its magazines back already.
            .unwrap_or_else(|_| split(refill()))
    }

    /// Gives an empty node back.
    ///
    /// # Safety
    ///
    /// The caller owns the node with this index, and does not use it afterwards.
    #[inline]
    pub(crate) unsafe fn release(index: Index, node: &'static Node) {
        let released =
            // SAFETY: the caller owns the node and gives it to the magazine.
            MAGAZINES.try_with(|magazines| unsafe { magazines.release(index, node) });
        if released.is_err() {
            // SAFETY: the node is the caller's, and goes to the depot as a chunk of one.
            unsafe { node.set_next(NONE) };
            DEPOT.put(index);
        }
    }

    /// A list of free nodes. `len` is never too small; it is too large for a chunk that a
    /// thread brought at its end with less than a full magazine.
    struct List {
        first: Cell<Index>,
        len: Cell<u32>,
    }

    impl List {
        #[expect(
            clippy::declare_interior_mutable_const,
            reason = "what a thread's lists begin as"
        )]
        const EMPTY: Self = Self {
            first: Cell::new(NONE),
            len: Cell::new(0),
        };

        fn set(&self, first: Index, len: u32) {
            self.first.set(first);
            self.len.set(len);
        }
    }

    /// The free nodes of one thread. Two lists, so that a thread which allocates and frees
    /// in turns around the brim of one does not go to the depot each time.
    struct Magazines {
        active: List,
        spare: List,
    }

    impl Magazines {
        #[inline]
        fn acquire(&self) -> (Index, &'static Node) {
            if self.active.first.get() == NONE {
                self.reload();
            }
            let first = self.active.first.get();
            let node = node(first);
            // SAFETY: nodes in a magazine are its own.
            let rest = unsafe { node.next() };
            self.active.set(rest, self.active.len.get() - 1);
            (first, node)
        }

        /// # Safety
        ///
        /// The caller owns the node with this index and gives it to the magazines.
        #[inline]
        unsafe fn release(&self, index: Index, node: &'static Node) {
            if self.active.len.get() >= MAGAZINE {
                self.unload();
            }
            // SAFETY: the node is the magazine's now.
            unsafe { node.set_next(self.active.first.get()) };
            self.active.set(index, self.active.len.get() + 1);
        }

        #[cold]
        fn reload(&self) {
            if self.spare.first.get() == NONE {
                self.active.set(refill(), MAGAZINE);
            } else {
                self.active
                    .set(self.spare.first.get(), self.spare.len.get());
                self.spare.set(NONE, 0);
            }
        }

        #[cold]
        fn unload(&self) {
            if self.spare.first.get() != NONE {
                DEPOT.put(self.spare.first.get());
            }
            self.spare
                .set(self.active.first.get(), self.active.len.get());
            self.active.set(NONE, 0);
        }
    }

    impl Drop for Magazines {
        fn drop(&mut self) {
            for list in [&self.active, &self.spare] {
                if list.first.get() != NONE {
                    DEPOT.put(list.first.get());
                }
            }
        }
    }

    /// A chunk that the caller owns.
    #[cold]
    fn refill() -> Index {
        match DEPOT.take() {
            NONE => fresh(),
            first => first,
        }
    }

    /// The first node of a chunk that the caller owns; the others go back.
    #[cold]
    fn split(first: Index) -> (Index, &'static Node) {
        let node = node(first);
        // SAFETY: the nodes of the chunk are the caller's.
        let rest = unsafe { node.next() };
        if rest != NONE {
            DEPOT.put(rest);
        }
        (first, node)
    }

    /// A chunk of nodes that nobody ever used.
    ///
    /// # Panics
    ///
    /// With about half a billion messages (32 GiB of nodes) under way.
    #[cold]
    fn fresh() -> Index {
        let take = |first: u32| {
            let end = first.checked_add(MAGAZINE)?;
            (end <= LIMIT).then_some(end)
        };
        let first = UNUSED
            .try_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .expect("fewer than half a billion messages wait in all mailboxes together");
        let end = first + MAGAZINE;
        for index in first..end {
            let next = if index + 1 < end { index + 1 } else { NONE };
            let (page, offset) = place(index);
            let base = page_at(page);
            // SAFETY: the page is allocated, `offset` lies inside, and the index is this
            // thread's alone: nobody else has been given it.
            unsafe {
                let node = base.add(offset as usize);
                node.write(Node::new());
                (*node).set_next(next);
            }
        }
        first
    }

    /// The page, allocated if this is the first look at it.
    fn page_at(page: usize) -> *mut Node {
        let base = TABLE[page].load(Ordering::Acquire);
        if !base.is_null() {
            return base;
        }
        // Its memory is not touched here: of a large page the system provides what is used.
        let layout = Layout::array::<Node>(PAGE as usize).expect("4 MiB");
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "the layout asks for the alignment"
        )]
        // SAFETY: the layout is not empty.
        let new = unsafe { alloc(layout) }.cast::<Node>();
        if new.is_null() {
            handle_alloc_error(layout);
        }
        // Two threads may come here at once; the loser frees what it brought.
        match TABLE[page].compare_exchange(null_mut(), new, Ordering::Release, Ordering::Acquire) {
            Ok(_) => new,
            Err(base) => {
                // SAFETY: allocated above with this layout, and seen by nobody.
                unsafe { std::alloc::dealloc(new.cast(), layout) };
                base
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::mpsc;
        use std::thread;

        use iris_core::{Envelope, Lane};

        use super::*;
        use crate::Mailbox;

        /// Nodes that the tests of this crate which run beside these may need meanwhile.
        const OTHERS: u32 = 20 * MAGAZINE;

        #[test]
        fn what_one_thread_frees_another_gets_again() {
            let (send, receive) = mpsc::sync_channel(1);
            let before = UNUSED.load(Ordering::Relaxed);
            let producer = thread::spawn(move || {
                for _ in 0..100 {
                    send.send((0..1000).map(|_| acquire()).collect::<Vec<_>>())
                        .unwrap();
                }
            });
            for nodes in receive {
                for (index, node) in nodes {
                    // SAFETY: it was acquired by the producer and handed over.
                    unsafe { release(index, node) };
                }
            }
            producer.join().unwrap();
            let used = UNUSED.load(Ordering::Relaxed) - before;
            assert!(used <= 3000 + OTHERS, "{used} nodes for 3,000 at once");
        }

        #[test]
        fn a_dropped_mailbox_and_an_ending_thread_give_their_nodes_back() {
            let before = UNUSED.load(Ordering::Relaxed);
            for _ in 0..100 {
                thread::spawn(|| {
                    let mailbox = Mailbox::new();
                    for _ in 0..1000 {
                        mailbox.push(Lane::User, Envelope::Wake).unwrap();
                    }
                    assert!(mailbox.pop().is_some());
                    mailbox.push(Lane::User, Envelope::Wake).unwrap();
                })
                .join()
                .unwrap();
            }
            let used = UNUSED.load(Ordering::Relaxed) - before;
            assert!(
                used <= 1000 + OTHERS + 3000,
                "{used} nodes for 1,001 at once"
            );
        }

        #[test]
        fn indices_fill_the_pages_without_gap_or_overlap() {
            assert_eq!(place(1), (0, 1));
            assert_eq!(place(PAGE - 1), (0, PAGE - 1));
            assert_eq!(place(PAGE), (1, 0));
            assert!(place(LIMIT).0 < PAGES);
        }
    }
}

/// The pool as loom explores it: a few nodes and no magazines, so that each message goes
/// through the depot and nodes are used again at once.
#[cfg(feature = "loom")]
mod store {
    use super::{Depot, successor};
    use crate::node::{Index, NONE, Node};
    use crate::sync::AtomicU64;

    const NODES: u32 = 5;

    struct Pool {
        nodes: Vec<Node>,
        depot: Depot,
    }

    loom::lazy_static! {
        static ref POOL: Pool = Pool {
            nodes: (1..=NODES).map(linked).collect(),
            depot: Depot(AtomicU64::new(successor(0, 1))),
        };
    }

    /// A node that is a chunk of its own, above the chunk with the next index.
    fn linked(index: Index) -> Node {
        let mut node = Node::new();
        let below = if index < NODES { index + 1 } else { NONE };
        node.link = crate::sync::AtomicU32::new(below);
        node
    }

    pub(crate) fn node(index: Index) -> &'static Node {
        &POOL.nodes[index as usize - 1]
    }

    pub(crate) fn acquire() -> (Index, &'static Node) {
        let index = POOL.depot.take();
        assert_ne!(
            index, NONE,
            "a model has at most {NODES} messages under way"
        );
        (index, node(index))
    }

    /// # Safety
    ///
    /// As the product's: nobody uses the node after this.
    pub(crate) unsafe fn release(index: Index, _: &'static Node) {
        POOL.depot.put(index);
    }
}
