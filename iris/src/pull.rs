//! Pull actors: each has a thread of its own, where it may block.
//!
//! A thread is dear next to an actor of another kind, so their number has a limit and their
//! stacks are small.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use iris_core::{Exit, Pid};

use crate::receive::{Receiver, ReceiverBuilder};
use crate::spawn::SpawnError;

/// Pull actors of one runtime by default: 10,000. Each is a thread, and operating systems give
/// a program some ten thousand of those (32,768 on Linux, all others included).
pub const MOST_PULL_ACTORS: usize = 10_000;

/// Bytes of a pull actor's stack by default: 256 KiB. An eighth of what Rust gives a thread;
/// 10,000 of them are 2.5 GiB of addresses, of which only what is touched costs memory.
pub const PULL_STACK_BYTES: usize = 256 * 1024;

/// How many pull actors a runtime has and may have.
pub(crate) struct PullThreads {
    running: AtomicUsize,
    limit: usize,
    stack_bytes: usize,
}

/// The right to one thread, given back when dropped.
struct Place(Arc<PullThreads>);

impl PullThreads {
    pub(crate) fn new(limit: usize, stack_bytes: usize) -> Self {
        Self {
            running: AtomicUsize::new(0),
            limit,
            stack_bytes,
        }
    }

    fn take_place(self: &Arc<Self>) -> Result<Place, SpawnError> {
        let limit = self.limit;
        self.running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| {
                (running < limit).then_some(running + 1)
            })
            .map(|_| Place(self.clone()))
            .map_err(|_| SpawnError::TooManyPullActors { limit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ReceiverBuilder<'_> {
    /// Runs the actor on a thread of its own, where it may block: a pull actor.
    ///
    /// The process ends with what `body` returns (nothing stands for reason `normal`), or with
    /// `panic` if it panics. Told to stop, it gets [`RecvError::Closed`](crate::RecvError) from
    /// its receiver; nothing interrupts it while it is at something else. How many a runtime
    /// may have, and how large their stacks are, is up to
    /// [`Builder::pull_actors`](crate::Builder::pull_actors) and
    /// [`Builder::pull_stack_bytes`](crate::Builder::pull_stack_bytes).
    ///
    /// Costs a thread: some tens of microseconds, and the pages of its stack that it touches.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`]; [`SpawnError::TooManyPullActors`] beyond the runtime's limit and
    /// [`SpawnError::NoThread`] if the operating system gives no thread. Nothing is left of the
    /// actor then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let saga = rt.receiver("saga").start_pull(|mut mailbox| {
    ///     let order = mailbox.recv_blocking(None);
    ///     println!("starting with {order:?}");
    ///     match mailbox.recv_blocking(Some(Duration::from_secs(5))) {
    ///         Ok(_) => println!("confirmed"),
    ///         Err(error) => println!("not confirmed: {error}"),
    ///     }
    /// })?;
    /// rt.send(saga, &b"order"[..])?;
    /// rt.send(saga, &b"confirm"[..])?;
    /// assert_eq!(rt.join(saga, Some(Duration::from_secs(10))), Ok(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start_pull<R: Into<Exit>>(
        self,
        body: impl FnOnce(Receiver) -> R + Send + 'static,
    ) -> Result<Pid, SpawnError> {
        let threads = self.runtime().pull_threads();
        let place = threads.take_place()?;
        self.start_thread(
            |run| {
                thread::Builder::new()
                    .name("iris-pull".to_owned())
                    .stack_size(threads.stack_bytes)
                    .spawn(run)
                    .map(drop)
            },
            move |receiver| {
                // Before the process ends: who has joined it finds the place free.
                let _place = place;
                body(receiver).into()
            },
        )
    }
}
