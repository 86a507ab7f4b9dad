//! Questions: a message, and the wait for its answer.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use iris_core::{Answer, AskError, Envelope, Payload, Pid, Reply};
use iris_mailbox::{PushError, Refusal};
use tokio::time::Sleep;

use crate::inside;
use crate::park;
use crate::runtime::Runtime;

/// How long an asker waits unless it says otherwise, as with OTP's `gen_server:call`.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(5);

impl Runtime {
    /// Asks `to` a question: await what this returns, or [`wait`](Ask::wait) for it on a thread
    /// of one's own.
    ///
    /// The question is a user message like any other, FIFO with what the asker has sent before.
    /// The handler answers with [`Context::reply`](iris_core::Context::reply) or
    /// [`Step::Reply`](iris_core::Step::Reply), an actor that receives with
    /// [`Receiver::reply`](crate::Receiver::reply).
    ///
    /// A Rust handler of an idle process is run on the asking thread, which would only wait;
    /// then the time-out is looked at when the handler returns.
    /// [`queued`](Ask::queued) leaves it to the workers.
    ///
    /// A full mailbox does with a question what its [policy](crate::OverflowPolicy) says, but
    /// nobody waits for room with one: where that would be the policy, it is
    /// [full](AskError::Full). Who it was redirected to answers in the other's stead.
    ///
    /// # Errors
    ///
    /// The answer is an [`AskError`] if there is none: the process is [dead](AskError::Dead) or
    /// dies with the question queued, its mailbox is [full](AskError::Full), the
    /// [time-out](AskError::Timeout) of 5 s or [as given](Ask::timeout) is over, the
    /// [handler](AskError::Handler) failed or [did not reply](AskError::NoReply), or processes
    /// would wait for each other in a [cycle](AskError::Cycle).
    ///
    /// # Examples
    ///
    /// ```
    /// use iris::{Runtime, Step, handler};
    ///
    /// let rt = Runtime::new();
    /// let upper = rt.spawn(handler(|cx, bytes| {
    ///     cx.reply(bytes.to_ascii_uppercase());
    ///     Step::Done
    /// }));
    /// let upper = upper.start()?;
    /// assert_eq!(&rt.ask(upper, &b"hello"[..]).wait()?[..], b"HELLO");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask(&self, to: Pid, question: impl Into<Payload>) -> Ask<'_> {
        Ask {
            runtime: self,
            to,
            question: Some(question.into()),
            timeout: Some(ASK_TIMEOUT),
            queued: false,
        }
    }
}

/// A question that is about to be asked; nothing is sent until it is awaited or waited for.
#[must_use = "a question is not asked until it is awaited or waited for"]
pub struct Ask<'a> {
    runtime: &'a Runtime,
    to: Pid,
    /// There until it is asked.
    question: Option<Payload>,
    timeout: Option<Duration>,
    queued: bool,
}

impl<'a> Ask<'a> {
    /// Waits this long for the answer, instead of 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for ever.
    pub fn without_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Never runs the handler on the asking thread.
    pub fn queued(mut self) -> Self {
        self.queued = true;
        self
    }

    /// Asks, and blocks the calling thread for the answer.
    ///
    /// # Errors
    ///
    /// As [`Runtime::ask`], and [`AskError::WouldBlock`] inside a handler or the code of an
    /// async actor, whose thread others need.
    pub fn wait(mut self) -> Answer {
        if inside::is_shared_thread() {
            return Err(AskError::WouldBlock(self.to));
        }
        let (to, timeout) = (self.to, self.timeout);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let question = self.question.take();
        let question = question.expect("a question is asked once");
        let mut asked = self.send(question)?;
        let answer = park::block_on(&mut asked.reply, deadline);
        answer.unwrap_or(Err(AskError::Timeout(to)))
    }

    fn send(&mut self, question: Payload) -> Result<Asked<'a>, AskError> {
        let Self { runtime, to, .. } = *self;
        let wait = match inside::whose() {
            Some(asker) => Some(runtime.waits().begin(asker, to)?),
            None => None,
        };
        let (reply_to, reply) = iris_core::question(to);
        let envelope = Envelope::User(question, Some(reply_to));
        let table = runtime.table();
        let pushed = if self.queued {
            table.push(to, iris_core::Lane::User, envelope)
        } else {
            table.push_and_run(to, envelope, runtime.as_host())
        };
        let asked = match pushed {
            Ok(()) => Ok(()),
            Err(PushError(question, Refusal::Full)) => runtime.inner().overflow(to, question),
            Err(_) => return Err(AskError::Dead(to)),
        };
        match asked {
            Ok(()) => Ok(Asked { reply, _wait: wait }),
            Err(overflowed) if overflowed.error.1 == Refusal::Full => {
                Err(AskError::Full(overflowed.at))
            }
            Err(overflowed) => Err(AskError::Dead(overflowed.at)),
        }
    }
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("to", &self.to)
            .field("question", &self.question)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl<'a> IntoFuture for Ask<'a> {
    type Output = Answer;
    type IntoFuture = Asking<'a>;

    fn into_future(self) -> Asking<'a> {
        Asking {
            ask: self,
            asked: None,
            sleep: None,
        }
    }
}

/// A question on its way, and the wait for the answer. Dropping it gives the answer up.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Asking<'a> {
    ask: Ask<'a>,
    asked: Option<Asked<'a>>,
    /// Made when the answer is not there at once.
    sleep: Option<Pin<Box<Sleep>>>,
}

struct Asked<'a> {
    reply: Reply,
    _wait: Option<Wait<'a>>,
}

impl Future for Asking<'_> {
    type Output = Answer;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let Self { ask, asked, sleep } = &mut *self;
        if let Some(question) = ask.question.take() {
            *asked = Some(ask.send(question)?);
        }
        let Some(waiting) = asked else {
            return Poll::Ready(Err(AskError::NoReply(ask.to)));
        };
        let mut polled = Pin::new(&mut waiting.reply).poll(cx);
        if polled.is_pending()
            && let Some(timeout) = ask.timeout
        {
            let sleep = sleep.get_or_insert_with(|| ask.runtime.sleep(timeout));
            if is_over(sleep, cx) {
                polled = Poll::Ready(Err(AskError::Timeout(ask.to)));
            }
        }
        if polled.is_ready() {
            *asked = None;
        }
        polled
    }
}

/// A timer whose runtime has ended is over, too; Tokio's own answer to that is a panic.
fn is_over(sleep: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> bool {
    let polled = catch_unwind(AssertUnwindSafe(|| sleep.as_mut().poll(cx)));
    polled.map_or(true, |polled| polled.is_ready())
}

impl fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("to", &self.ask.to)
            .finish_non_exhaustive()
    }
}

/// Which processes wait for whose answers, so that none waits for itself. Askers that are no
/// processes are not in it, and cost nothing.
#[derive(Default)]
pub(crate) struct Waits {
    /// An async actor may wait for several at a time.
    of: Mutex<HashMap<Pid, Vec<Pid>>>,
}

impl Waits {
    /// `asker` begins to wait for `asked`.
    fn begin(&self, asker: Pid, asked: Pid) -> Result<Wait<'_>, AskError> {
        let mut of = self.lock();
        let mut reached = vec![asked];
        let mut next = 0;
        while let Some(pid) = reached.get(next).copied() {
            if pid == asker {
                return Err(AskError::Cycle(asked));
            }
            next += 1;
            for further in of.get(&pid).into_iter().flatten() {
                if !reached.contains(further) {
                    reached.push(*further);
                }
            }
        }
        of.entry(asker).or_default().push(asked);
        drop(of);
        Ok(Wait {
            waits: self,
            asker,
            asked,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, Vec<Pid>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process waits for another, until this is dropped.
struct Wait<'a> {
    waits: &'a Waits,
    asker: Pid,
    asked: Pid,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut of = self.waits.lock();
        let Some(asked) = of.get_mut(&self.asker) else {
            return;
        };
        if let Some(at) = asked.iter().position(|pid| *pid == self.asked) {
            asked.swap_remove(at);
        }
        if asked.is_empty() {
            of.remove(&self.asker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(slot: u32) -> Pid {
        Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
    }

    #[test]
    fn a_cycle_of_any_length_is_seen_and_a_diamond_is_none() {
        let waits = Waits::default();
        let _first = waits.begin(pid(1), pid(2)).unwrap();
        let _second = waits.begin(pid(1), pid(3)).unwrap();
        let _third = waits.begin(pid(2), pid(4)).unwrap();
        let fourth = waits.begin(pid(3), pid(4)).unwrap();
        assert_eq!(
            waits.begin(pid(4), pid(1)).err(),
            Some(AskError::Cycle(pid(1)))
        );
        assert_eq!(
            waits.begin(pid(5), pid(5)).err(),
            Some(AskError::Cycle(pid(5)))
        );
        drop(fourth);
        assert!(waits.begin(pid(4), pid(3)).is_ok());
    }

    #[test]
    fn what_is_over_leaves_nothing_behind() {
        let waits = Waits::default();
        for _ in 0..2 {
            let _twice = [
                waits.begin(pid(1), pid(2)).unwrap(),
                waits.begin(pid(1), pid(2)).unwrap(),
            ];
        }
        assert!(waits.lock().is_empty());
    }
}
