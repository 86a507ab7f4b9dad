//! A question and its answer: the slot between who asks and who replies.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use thiserror::Error;

use crate::exit::Failure;
use crate::payload::Payload;
use crate::pid::Pid;

/// A question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AskError {
    /// The process does not exist, or ended with the question still queued.
    #[error("process {0} is not alive")]
    Dead(Pid),
    /// The mailbox of the process is full, and its policy refuses what does not fit.
    #[error("the mailbox of process {0} is full")]
    Full(Pid),
    /// No answer came in time. One that comes later is dropped.
    #[error("process {0} did not answer in time")]
    Timeout(Pid),
    /// The asking process waits for itself, directly or through others.
    #[error("asking process {asked} would wait for the asker itself: {chain}")]
    Cycle {
        /// Who was to be asked.
        asked: Pid,
        /// Who waits for whose answer, such as `A.pay -> B.check -> A.pay`.
        chain: Box<str>,
    },
    /// Who was asked answered with an error of its own.
    #[error("process {by} answered with an error of its own")]
    Rejected {
        /// Who was asked.
        by: Pid,
        /// What the error is, in whatever form the two understand.
        error: Box<Payload>,
    },
    /// The handler failed over the question.
    #[error("process {by} failed over the question: {failure}")]
    Handler {
        /// Who was asked.
        by: Pid,
        /// What happened.
        failure: Box<Failure>,
    },
    /// Waiting here would keep a thread from the processes that it runs: inside a handler, and
    /// in the code of an async actor, await the answer instead.
    #[error("process {0} cannot be waited for on a thread that runs others; await the answer")]
    WouldBlock(Pid),
    /// The handler took the question and returned without an answer.
    #[error("process {0} did not reply to the question")]
    NoReply(Pid),
}

/// What an asker gets.
pub type Answer = Result<Payload, AskError>;

struct Slot {
    /// Who is asked: for the errors.
    asked: Pid,
    /// Whether there was an answer: for the answering side alone, to save it a lock.
    answered: AtomicBool,
    state: Mutex<SlotState>,
}

enum SlotState {
    Open(Option<Waker>),
    Answered(Answer),
    /// The answer was taken, or nobody waits for it any more.
    Done,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the answer to one question goes. Answers once; one that is dropped unanswered tells
/// the asker so.
///
/// A handler replies through [`Context::reply`](crate::Context::reply), or takes this with
/// [`Context::take_reply`](crate::Context::take_reply) to answer later, from anywhere.
pub struct ReplyTo(Arc<Slot>);

/// The asker's end: a future of the answer. Dropping it gives the answer up.
#[must_use = "the answer is in here"]
pub struct Reply {
    /// There until it is dropped.
    slot: Option<Arc<Slot>>,
    /// Whether the answer was taken: for this side alone, to save it a lock.
    is_done: bool,
}

thread_local! {
    /// The slot of the last question of this thread that is over: one who asks and waits, asks
    /// again, and saves an allocation.
    static USED: Cell<Option<Arc<Slot>>> = const { Cell::new(None) };
}

/// The slot that was kept, fit for another question.
#[inline]
fn used_slot(asked: Pid) -> Option<Arc<Slot>> {
    let mut slot = USED.try_with(Cell::take).ok()??;
    // Nobody else has it any more; that is how it was kept.
    let fresh = Arc::get_mut(&mut slot)?;
    fresh.asked = asked;
    *fresh.answered.get_mut() = false;
    let state = fresh
        .state
        .get_mut()
        .unwrap_or_else(PoisonError::into_inner);
    *state = SlotState::Open(None);
    Some(slot)
}

/// A question to `asked` that nobody has sent yet: where it will be answered, and where the
/// answer comes out. At most one allocation.
pub fn question(asked: Pid) -> (ReplyTo, Reply) {
    let slot = used_slot(asked).unwrap_or_else(|| {
        Arc::new(Slot {
            asked,
            answered: AtomicBool::new(false),
            state: Mutex::new(SlotState::Open(None)),
        })
    });
    let reply = Reply {
        slot: Some(slot.clone()),
        is_done: false,
    };
    (ReplyTo(slot), reply)
}

impl ReplyTo {
    /// Answers the question; `false` if nobody waits for the answer any more.
    pub fn reply(self, answer: impl Into<Payload>) -> bool {
        self.answer(Ok(answer.into()))
    }

    /// Tells the asker why there is no answer; `false` if nobody waits for it any more.
    pub fn fail(self, error: AskError) -> bool {
        self.answer(Err(error))
    }

    /// As [`fail`](Self::fail) with [`AskError::Handler`].
    pub fn fail_over(self, failure: Failure) -> bool {
        let by = self.asked();
        self.fail(AskError::Handler {
            by,
            failure: Box::new(failure),
        })
    }

    /// As [`fail`](Self::fail) with [`AskError::Rejected`].
    pub fn reject(self, error: impl Into<Payload>) -> bool {
        let by = self.asked();
        let error = Box::new(error.into());
        self.fail(AskError::Rejected { by, error })
    }

    /// As [`fail`](Self::fail) with [`AskError::Dead`].
    pub fn fail_dead(self) -> bool {
        let asked = self.asked();
        self.fail(AskError::Dead(asked))
    }

    /// Who is asked.
    pub fn asked(&self) -> Pid {
        self.0.asked
    }

    /// Whether somebody still waits for the answer.
    pub fn is_awaited(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Open(_))
    }

    fn answer(&self, answer: Answer) -> bool {
        self.0.answered.store(true, Ordering::Relaxed);
        let mut state = self.0.lock();
        if !matches!(*state, SlotState::Open(_)) {
            return false;
        }
        let before = std::mem::replace(&mut *state, SlotState::Answered(answer));
        drop(state);
        if let SlotState::Open(Some(waker)) = before {
            waker.wake();
        }
        true
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if !self.0.answered.load(Ordering::Relaxed) {
            self.answer(Err(AskError::NoReply(self.0.asked)));
        }
    }
}

impl Reply {
    #[inline]
    fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("only its drop empties it")
    }

    /// The answer, if it is there already; the question itself otherwise.
    ///
    /// # Errors
    ///
    /// This reply, to wait on.
    pub fn try_take(mut self) -> Result<Answer, Self> {
        self.take(|| None).ok_or(self)
    }

    /// The answer; else leaves the waker that `waker` makes.
    #[inline]
    fn take(&mut self, waker: impl FnOnce() -> Option<Waker>) -> Option<Answer> {
        if self.is_done {
            return Some(Err(AskError::NoReply(self.slot().asked)));
        }
        let mut state = self.slot().lock();
        match &mut *state {
            SlotState::Open(place) => {
                if let Some(waker) = waker() {
                    *place = Some(waker);
                }
                return None;
            }
            SlotState::Answered(_) | SlotState::Done => {}
        }
        let answered = std::mem::replace(&mut *state, SlotState::Done);
        drop(state);
        self.is_done = true;
        match answered {
            SlotState::Answered(answer) => Some(answer),
            SlotState::Open(_) | SlotState::Done => Some(Err(AskError::NoReply(self.slot().asked))),
        }
    }
}

impl Future for Reply {
    type Output = Answer;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.take(|| Some(cx.waker().clone())) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

impl Drop for Reply {
    #[inline]
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else {
            return;
        };
        if !self.is_done {
            let unread = std::mem::replace(&mut *slot.lock(), SlotState::Done);
            drop(unread);
        } else if Arc::strong_count(&slot) == 1 {
            // The other side is done with it, too. A thread that is ending keeps nothing.
            let _ = USED.try_with(|used| used.set(Some(slot)));
        }
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReplyTo").field(&self.0.asked).finish()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.slot().asked).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid() -> Pid {
        Pid::new(1, Pid::FIRST_GENERATION).unwrap()
    }

    fn taken(reply: Reply) -> Answer {
        reply.try_take().expect("it is answered")
    }

    #[test]
    fn an_answer_arrives_once() {
        let (to, reply) = question(pid());
        let reply = reply.try_take().unwrap_err();
        assert!(to.is_awaited());
        assert!(to.reply(Payload::copy_of(b"42")));
        assert_eq!(&taken(reply).unwrap()[..], b"42");
    }

    #[test]
    fn a_question_that_is_dropped_says_so() {
        let (to, reply) = question(pid());
        drop(to);
        assert_eq!(taken(reply), Err(AskError::NoReply(pid())));
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_given_up() {
        let (to, reply) = question(pid());
        drop(reply);
        assert!(!to.is_awaited());
        assert!(!to.reply(Payload::copy_of(b"late")));
    }

    #[test]
    fn a_slot_that_is_used_again_knows_nothing_of_its_last_question() {
        let (to, reply) = question(pid());
        let slot = Arc::as_ptr(&to.0);
        to.reply(Payload::copy_of(b"first"));
        drop(taken(reply));
        let other = Pid::new(2, Pid::FIRST_GENERATION).unwrap();
        let (to, reply) = question(other);
        assert_eq!(Arc::as_ptr(&to.0), slot);
        assert!(to.is_awaited() && to.asked() == other);
        drop(to);
        assert_eq!(taken(reply), Err(AskError::NoReply(other)));
    }

    #[test]
    fn who_waits_is_woken() {
        let (to, mut reply) = question(pid());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut reply).poll(&mut cx).is_pending());
        to.fail_dead();
        assert_eq!(
            Pin::new(&mut reply).poll(&mut cx),
            Poll::Ready(Err(AskError::Dead(pid())))
        );
    }
}
