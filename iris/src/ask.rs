//! Questions: a message, and the wait for its answer.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
            place: Place::default(),
            asker: None,
            words: None,
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
    place: Place,
    /// Who asks, if it is not the process that the calling thread is inside of.
    asker: Option<Pid>,
    words: Option<Words>,
}

/// Where the handler may run.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// On the asking thread, if its scheduler lends it.
    #[default]
    Lent,
    Queued,
    /// On the asking thread, if the process is idle.
    Here,
}

/// What a question is called where a chain of waits is told.
struct Words {
    /// What the asker is doing, such as `A.pay`.
    doing: Box<str>,
    /// What it asks for, such as `B.check`.
    question: Box<str>,
}

impl Ask<'_> {
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
        self.place = Place::Queued;
        self
    }

    /// Runs the handler of an idle process on the asking thread, whatever its scheduler says and
    /// wherever that thread is: for a guest language, which knows that the thread may run its
    /// handlers. The process must be one of a [lasting cohort](Runtime::lasting_cohort).
    pub fn here(mut self) -> Self {
        self.place = Place::Here;
        self
    }

    /// In the name of `asker`, for code of it that runs where the runtime does not know it.
    pub fn asked_by(mut self, asker: Pid) -> Self {
        self.asker = Some(asker);
        self
    }

    /// What the asker is doing, and what it asks for: for the chain of [`AskError::Cycle`].
    pub fn described(mut self, doing: impl Into<Box<str>>, question: impl Into<Box<str>>) -> Self {
        self.words = Some(Words {
            doing: doing.into(),
            question: question.into(),
        });
        self
    }

    /// Asks now. The time-out is up to whoever waits.
    ///
    /// # Errors
    ///
    /// As [`Runtime::ask`], where it is known at once.
    pub fn begin(mut self) -> Result<Question, AskError> {
        let question = self.question.take();
        self.send(question.expect("a question is asked once"))
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

    fn send(&mut self, question: Payload) -> Result<Question, AskError> {
        let Self { runtime, to, .. } = *self;
        let wait = match self.asker.or_else(inside::whose) {
            Some(asker) => Some(runtime.waits().begin(asker, to, self.words.take())?),
            None => None,
        };
        let (reply_to, reply) = iris_core::question(to);
        let envelope = Envelope::User(question, Some(reply_to));
        let table = runtime.table();
        let pushed = match self.place {
            Place::Queued => table.push(to, iris_core::Lane::User, envelope),
            Place::Lent => table.push_and_run(to, envelope, runtime.as_host()),
            Place::Here => table.push_and_run_inside(to, envelope, runtime.as_host()),
        };
        let asked = match pushed {
            Ok(()) => Ok(()),
            Err(PushError(question, Refusal::Full)) => runtime.inner().overflow(to, question),
            Err(_) => return Err(AskError::Dead(to)),
        };
        match asked {
            Ok(()) => Ok(Question { reply, _wait: wait }),
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
    asked: Option<Question>,
    /// Made when the answer is not there at once.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// A question that was asked: a future of the answer, without a time-out. Dropping it gives the
/// answer up.
#[must_use = "the answer is in here"]
#[derive(Debug)]
pub struct Question {
    reply: Reply,
    _wait: Option<Wait>,
}

impl Question {
    /// The answer's end alone, for who asks in nobody's name.
    #[cfg(feature = "mesh")]
    pub(crate) fn into_reply(self) -> Reply {
        self.reply
    }

    /// Blocks the calling thread for the answer, at most `timeout`; `None`: it is not there yet.
    ///
    /// For threads that others do not need: the caller sees to it that whatever the thread runs
    /// beside the asker, if that is an actor, is run elsewhere meanwhile.
    pub fn wait(&mut self, timeout: Duration) -> Option<Answer> {
        let deadline = Instant::now().checked_add(timeout);
        park::block_on(&mut self.reply, deadline)
    }
}

impl Future for Question {
    type Output = Answer;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.reply).poll(cx)
    }
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
    of: Mutex<HashMap<Pid, Vec<Edge>>>,
}

/// A process waits for this one.
struct Edge {
    asked: Pid,
    words: Option<Words>,
}

impl Waits {
    /// `asker` begins to wait for `asked`.
    fn begin(
        self: &Arc<Self>,
        asker: Pid,
        asked: Pid,
        words: Option<Words>,
    ) -> Result<Wait, AskError> {
        let mut of = self.lock();
        let edge = Edge { asked, words };
        // Who is waited for in the end, and through whom.
        let mut reached: Vec<(usize, &Edge)> = vec![(usize::MAX, &edge)];
        let mut next = 0;
        while let Some((_, edge)) = reached.get(next).copied() {
            if edge.asked == asker {
                let chain = told(&reached, next, asker).into();
                return Err(AskError::Cycle { asked, chain });
            }
            for further in of.get(&edge.asked).into_iter().flatten() {
                if !reached.iter().any(|(_, seen)| seen.asked == further.asked) {
                    reached.push((next, further));
                }
            }
            next += 1;
        }
        of.entry(asker).or_default().push(edge);
        drop(of);
        Ok(Wait {
            waits: self.clone(),
            asker,
            asked,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, Vec<Edge>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way from `asker` back to itself, whose last step is `reached[at]` and first `reached[0]`,
/// the question that is not asked. Told from the one who has waited longest, as one reads a
/// stack: `A.pay -> B.check -> A.pay`.
fn told(reached: &[(usize, &Edge)], mut at: usize, asker: Pid) -> String {
    let mut steps = Vec::new();
    while let Some((before, edge)) = reached.get(at) {
        steps.push(*edge);
        at = *before;
    }
    // `steps` runs back from the last to the first, which is the new question.
    steps.reverse();
    let new = steps[0];
    let waiting = &steps[1..];
    let question = |edge: &Edge| match &edge.words {
        Some(words) => words.question.to_string(),
        None => edge.asked.to_string(),
    };
    let doing = |edge: &Edge, who: Pid| match &edge.words {
        Some(words) => words.doing.to_string(),
        None => who.to_string(),
    };
    let first = match waiting.first() {
        Some(edge) => doing(edge, new.asked),
        None => doing(new, asker),
    };
    let mut chain = vec![first];
    chain.extend(waiting.iter().map(|edge| question(edge)));
    chain.push(question(new));
    chain.join(" -> ")
}

/// One process waits for another, until this is dropped.
struct Wait {
    waits: Arc<Waits>,
    asker: Pid,
    asked: Pid,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut of = self.waits.lock();
        let Some(edges) = of.get_mut(&self.asker) else {
            return;
        };
        if let Some(at) = edges.iter().position(|edge| edge.asked == self.asked) {
            edges.swap_remove(at);
        }
        if edges.is_empty() {
            of.remove(&self.asker);
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("asker", &self.asker)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(slot: u32) -> Pid {
        Pid::new(slot, Pid::FIRST_GENERATION).unwrap()
    }

    fn wait(waits: &Arc<Waits>, asker: u32, asked: u32) -> Result<Wait, AskError> {
        waits.begin(pid(asker), pid(asked), None)
    }

    #[test]
    fn a_cycle_of_any_length_is_seen_and_a_diamond_is_none() {
        let waits = Arc::<Waits>::default();
        let _first = wait(&waits, 1, 2).unwrap();
        let _second = wait(&waits, 1, 3).unwrap();
        let _third = wait(&waits, 2, 4).unwrap();
        let fourth = wait(&waits, 3, 4).unwrap();
        let chain = |way: [u32; 4]| way.map(|slot| pid(slot).to_string()).join(" -> ").into();
        let cycle = AskError::Cycle {
            asked: pid(1),
            chain: chain([1, 2, 4, 1]),
        };
        assert_eq!(wait(&waits, 4, 1).err(), Some(cycle));
        assert!(matches!(
            wait(&waits, 5, 5),
            Err(AskError::Cycle { asked, .. }) if asked == pid(5)
        ));
        drop(fourth);
        assert!(wait(&waits, 4, 3).is_ok());
    }

    #[test]
    fn a_cycle_is_told_in_the_words_of_the_questions() {
        let words = |doing: &str, question: &str| {
            Some(Words {
                doing: doing.into(),
                question: question.into(),
            })
        };
        let chain = |error: Option<AskError>| match error {
            Some(AskError::Cycle { chain, .. }) => chain.into_string(),
            other => panic!("{other:?}"),
        };
        let waits = Arc::<Waits>::default();
        let first = waits.begin(pid(1), pid(2), words("A.pay", "B.check"));
        let back = waits.begin(pid(2), pid(1), words("B.check", "A.refund"));
        assert_eq!(chain(back.err()), "A.pay -> B.check -> A.refund");
        drop(first);
        let own = waits.begin(pid(1), pid(1), words("A.pay", "A.refund"));
        assert_eq!(chain(own.err()), "A.pay -> A.refund");
    }

    #[test]
    fn what_is_over_leaves_nothing_behind() {
        let waits = Arc::<Waits>::default();
        for _ in 0..2 {
            let _twice = [wait(&waits, 1, 2).unwrap(), wait(&waits, 1, 2).unwrap()];
        }
        assert!(waits.lock().is_empty());
    }
}
