//! Whose code the calling thread is inside of, so that nobody waits for its own end.
//!
//! The scheduler knows it for handlers while they are called. The rest of an actor's code runs
//! outside of slices: actors that receive, and the futures that handlers wait for.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;

use iris_core::Pid;
use iris_sched::current_pid;

thread_local! {
    static ACTOR: Cell<Option<Pid>> = const { Cell::new(None) };
}

/// Names the actor for as long as it lives.
pub(crate) struct Inside(Option<Pid>);

/// From here on the calling thread is inside the code of `pid`.
pub(crate) fn enter(pid: Pid) -> Inside {
    Inside(ACTOR.replace(Some(pid)))
}

impl Drop for Inside {
    fn drop(&mut self) {
        ACTOR.set(self.0);
    }
}

/// Whether the calling thread is inside the code of `pid`.
pub(crate) fn is(pid: Pid) -> bool {
    current_pid() == Some(pid) || ACTOR.get() == Some(pid)
}

/// The actor whose code the calling thread is inside of, if any.
pub(crate) fn whose() -> Option<Pid> {
    current_pid().or_else(|| ACTOR.get())
}

/// Whether the calling thread has others to run: inside a handler, and in the code of an
/// actor that is a task.
pub(crate) fn is_shared_thread() -> bool {
    current_pid().is_some()
        || (ACTOR.get().is_some() && tokio::runtime::Handle::try_current().is_ok())
}

/// Polls a future as code of `pid`.
pub(crate) async fn scope<F: Future>(pid: Pid, mut future: Pin<Box<F>>) -> F::Output {
    poll_fn(|cx| {
        let _inside = enter(pid);
        future.as_mut().poll(cx)
    })
    .await
}
