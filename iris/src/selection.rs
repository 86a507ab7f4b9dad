//! Selective receives from an observer without a thread that waits: for event loops.

use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};

use iris_core::{Message, Pid};

use crate::observers::{Cursor, Log, Looked};
use crate::receive::{RecvError, Verdict};
use crate::runtime::Runtime;

/// A selective receive from an observer that is under way: see [`Runtime::select_from`].
pub struct Selection {
    log: Arc<Log>,
    cursor: Cursor,
    /// By which its waker is found.
    number: u64,
}

impl Runtime {
    /// Begins a selective receive from an observer, to be [polled](Selection::poll); `None` if `pid`
    /// is no observer that is there.
    pub fn select_from(&self, pid: Pid) -> Option<Selection> {
        let log = self.log_of(pid)?;
        let number = {
            let mut state = log.lock();
            state.last_selection += 1;
            state.last_selection
        };
        Some(Selection {
            log,
            cursor: Cursor::default(),
            number,
        })
    }
}

impl Selection {
    /// Takes the first message that is chosen; what was looked at before and left is not looked at
    /// again. `choose` is called without any lock. If there is none, `waker` is woken once when that
    /// may be otherwise, instead of the one before.
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] if the observer has ended and nothing is left, [`RecvError::Aborted`].
    pub fn poll(
        &mut self,
        waker: &Waker,
        choose: &mut dyn FnMut(&Message) -> Verdict,
    ) -> Poll<Result<Message, RecvError>> {
        match self.log.look(&mut self.cursor, choose) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(Looked::Taken(message)) => Poll::Ready(Ok(message)),
            Ok(Looked::Nothing(state)) if state.closed => Poll::Ready(Err(RecvError::Closed)),
            Ok(Looked::Nothing(mut state)) => {
                let number = self.number;
                state.wakers.retain(|(one, _)| *one != number);
                state.wakers.push((number, waker.clone()));
                Poll::Pending
            }
        }
    }
}

impl Drop for Selection {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        let place = state.wakers.iter().position(|(one, _)| *one == self.number);
        let waker = place.map(|place| state.wakers.swap_remove(place));
        drop(state);
        // Without the lock: dropping it is somebody else's code.
        drop(waker);
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
