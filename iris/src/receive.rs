//! Actors that receive: async ones, and ones on a thread of their own.
//!
//! ```text
//!   send ──► mailbox ──► Inbox::ready: keeps the right to receive, wakes who waits
//!                          │
//!            Receiver::recv takes it, receives, and gives it up when there is nothing
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use iris_core::{
    Behavior, BoxFuture, Context, Exit, ExitReason, Failure, Lane, Message, Payload, Pid, ReplyTo,
    State, Step,
};
use iris_sched::{OverflowPolicy, Process, Ready, Received, Scheduler, StopHook, Turn};

use crate::inside;
use crate::pace::Pace;
use crate::runtime::Runtime;
use crate::spawn::{SpawnBuilder, SpawnError};

/// What a receiving actor is in the process table: a name. Its code is elsewhere.
struct Receiving(String);

impl Behavior for Receiving {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::Done
    }

    fn name(&self) -> &str {
        &self.0
    }
}

/// The scheduler of one receiving actor: hands the right to receive to who waits for it.
#[derive(Default)]
struct Inbox {
    state: Mutex<InboxState>,
    arrived: Condvar,
}

#[derive(Default)]
struct InboxState {
    ready: Option<Ready>,
    waker: Option<Waker>,
    /// Whether the receiver has seen the order to stop.
    order_received: bool,
    /// What a receiver that was dropped had set aside, and how it was told to stop.
    left: Left,
    /// The actor's code has returned while the right to receive was on its way here.
    ended: Option<(Exit, Vec<Message>)>,
}

/// A message, and who waits for an answer to it.
type Letter = (Message, Option<ReplyTo>);

#[derive(Default)]
struct Left {
    turn: Option<Turn>,
    set_aside: VecDeque<Letter>,
    stopped: Option<Exit>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler for Inbox {
    fn ready(&self, process: Ready) {
        let mut state = self.lock();
        if let Some((exit, left)) = state.ended.take() {
            drop(state);
            return process.take_turn().end(exit, left);
        }
        state.ready = Some(process);
        let waker = state.waker.take();
        drop(state);
        self.arrived.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Never asked for: only handlers return futures.
    fn drive(&self, _: BoxFuture<()>) {}
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing came in time.
    #[error("no message came in time")]
    Timeout,
    /// The actor was told to stop. It gets nothing more; what is queued becomes dead letters.
    #[error("the actor was told to stop")]
    Closed,
    /// Who chooses has given up on a message; it stays where it is.
    #[error("choosing a message was given up")]
    Aborted,
}

/// What becomes of a message that a selective receive looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Receive it.
    Take,
    /// Leave it for a later receive.
    Leave,
    /// Leave it, and give up with [`RecvError::Aborted`].
    Abort,
}

impl From<bool> for Verdict {
    fn from(matches: bool) -> Self {
        if matches { Self::Take } else { Self::Leave }
    }
}

/// What was received.
#[derive(Debug)]
pub enum Mail {
    /// A user's bytes, as the sender has put them.
    InPlace(Payload),
    /// Any message.
    Message(Message),
}

impl From<Mail> for Message {
    fn from(mail: Mail) -> Self {
        match mail {
            Mail::InPlace(payload) => Self::User(payload.into_bytes()),
            Mail::Message(message) => message,
        }
    }
}

/// The receiving end of an actor's mailbox.
///
/// Messages come in the order of each sender. What [`selective`](Self::recv_matching)
/// receives pass over stays in its place for later ones.
pub struct Receiver {
    inbox: Arc<Inbox>,
    pid: Pid,
    /// Who waits for an answer to what was received last.
    reply: Option<ReplyTo>,
    turn: Option<Turn>,
    process: Option<Process>,
    set_aside: VecDeque<Letter>,
    /// User messages among them.
    mail_aside: usize,
    stopped: Option<Exit>,
    pace: Pace,
}

impl Receiver {
    /// Whose mailbox it is.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Answers who asked with the message that was received last; `false` if nobody did, or
    /// nobody waits any more. Who asked and has no answer by the next receive is told so.
    pub fn reply(&mut self, answer: impl Into<Payload>) -> bool {
        self.reply.take().is_some_and(|reply| reply.reply(answer))
    }

    /// Takes the reply to the message that was received last, to be answered later and from
    /// anywhere; `None` if nobody asked.
    pub fn take_reply(&mut self) -> Option<ReplyTo> {
        self.reply.take()
    }

    /// The next message, or `None` once the actor was told to stop. Cancel safe.
    pub async fn recv(&mut self) -> Option<Message> {
        self.recv_matching(|_| true).await
    }

    /// The first message for which `matches` holds, or `None` once the actor was told to
    /// stop. Messages before it are kept in their order. Cancel safe.
    pub async fn recv_matching(
        &mut self,
        mut matches: impl FnMut(&Message) -> bool,
    ) -> Option<Message> {
        // Only one that has mail can keep the others waiting, and an order to stop is not put
        // off: an actor that waits for anything else by then is dropped where it waits.
        if self.turn.as_ref().is_some_and(|turn| !turn.is_stopped()) {
            self.pace.spend().await;
        }
        let mut seen = 0;
        let received = poll_fn(|cx| {
            let mut verdict = |message: &Message| matches(message).into();
            self.poll_chosen(cx.waker(), &mut seen, &mut verdict)
        });
        received.await.ok()
    }

    /// As [`recv_matching`](Self::recv_matching), for those that poll by hand, and where choosing
    /// can fail. `waker` is woken when there is news; one at a time, the last. `seen` is 0 at the
    /// first poll, and for later ones what that has made of it.
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] and [`RecvError::Aborted`].
    pub fn poll_chosen(
        &mut self,
        waker: &Waker,
        seen: &mut usize,
        choose: &mut impl FnMut(&Message) -> Verdict,
    ) -> Poll<Result<Message, RecvError>> {
        loop {
            match self.poll_once(seen, choose) {
                Err(RecvError::Timeout) => {}
                other => return Poll::Ready(other),
            }
            let mut state = self.inbox.lock();
            let Some(ready) = state.ready.take() else {
                state.waker = Some(waker.clone());
                return Poll::Pending;
            };
            self.turn = Some(ready.take_turn());
        }
    }

    /// The next message; blocks the calling thread for it, at most `timeout` (`None`: for
    /// ever). Not for async actors, whose thread others need.
    ///
    /// # Errors
    ///
    /// [`RecvError`].
    pub fn recv_blocking(&mut self, timeout: Option<Duration>) -> Result<Message, RecvError> {
        self.recv_matching_blocking(|_| true, timeout)
    }

    /// As [`recv_matching`](Self::recv_matching), blocking.
    ///
    /// # Errors
    ///
    /// [`RecvError`].
    pub fn recv_matching_blocking(
        &mut self,
        mut matches: impl FnMut(&Message) -> bool,
        timeout: Option<Duration>,
    ) -> Result<Message, RecvError> {
        self.recv_chosen_blocking(|message| matches(message).into(), timeout)
    }

    /// As [`recv_matching_blocking`](Self::recv_matching_blocking), where choosing can fail.
    ///
    /// # Errors
    ///
    /// [`RecvError`].
    pub fn recv_chosen_blocking(
        &mut self,
        choose: impl FnMut(&Message) -> Verdict,
        timeout: Option<Duration>,
    ) -> Result<Message, RecvError> {
        self.recv_chosen_from(&mut 0, choose, timeout)
    }

    /// As [`recv_chosen_blocking`](Self::recv_chosen_blocking), for who waits in steps: the next
    /// step, with the same `seen`, does not look again at the messages that this one has
    /// passed over. It begins at 0, and is good until another receive.
    ///
    /// # Errors
    ///
    /// [`RecvError`].
    pub fn recv_chosen_from(
        &mut self,
        seen: &mut usize,
        mut choose: impl FnMut(&Message) -> Verdict,
        timeout: Option<Duration>,
    ) -> Result<Message, RecvError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.poll_once(seen, &mut choose) {
                Err(RecvError::Timeout) => {}
                other => return other,
            }
            self.wait_for_turn(deadline)?;
        }
    }

    /// The next message if there is one, as its sender has put it: the quickest way, and it
    /// never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError::Timeout`] if there is none, or [`RecvError::Closed`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<Mail, RecvError> {
        if !self.set_aside.is_empty() || self.stopped.is_some() {
            let mut seen = 0;
            return self
                .poll_once(&mut seen, &mut |_| Verdict::Take)
                .map(Mail::Message);
        }
        // Who asked and was not answered by now is told so.
        self.reply = None;
        self.fetch_turn();
        let (mail, reply) = self.pop()?;
        self.reply = reply;
        Ok(mail)
    }

    /// As [`recv_blocking`](Self::recv_blocking), of a message as its sender has put it.
    ///
    /// # Errors
    ///
    /// [`RecvError`].
    pub fn recv_mail_blocking(&mut self, timeout: Option<Duration>) -> Result<Mail, RecvError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.try_recv() {
                Err(RecvError::Timeout) => self.wait_for_turn(deadline)?,
                other => return other,
            }
        }
    }

    /// Takes the turn if there is one and this has none.
    #[inline]
    fn fetch_turn(&mut self) {
        if self.turn.is_none() {
            self.turn = self.inbox.lock().ready.take().map(Ready::take_turn);
        }
    }

    /// Blocks until there may be something to receive.
    fn wait_for_turn(&mut self, deadline: Option<Instant>) -> Result<(), RecvError> {
        let mut state = self.inbox.lock();
        while state.ready.is_none() {
            let Some(deadline) = deadline else {
                let waited = self.inbox.arrived.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvError::Timeout);
            }
            let waited = self.inbox.arrived.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.turn = state.ready.take().map(Ready::take_turn);
        Ok(())
    }

    /// The next out of the mailbox. `Timeout` stands for nothing at present; the turn is given
    /// up then.
    #[inline]
    fn pop(&mut self) -> Result<(Mail, Option<ReplyTo>), RecvError> {
        while let Some(turn) = &mut self.turn {
            match turn.receive() {
                Received::User(payload, reply) => return Ok((Mail::InPlace(payload), reply)),
                Received::System(news) => {
                    return Ok((Mail::Message(Message::System(news)), None));
                }
                Received::Empty => self.turn = self.turn.take().and_then(Turn::rest),
                Received::Stop(exit) => {
                    self.stopped = Some(exit);
                    self.inbox.lock().order_received = true;
                    return Err(RecvError::Closed);
                }
            }
        }
        Err(RecvError::Timeout)
    }

    /// Looks through what was set aside, from `seen` on, and then through the mailbox.
    /// `Timeout` stands for nothing at present; the turn is given up then.
    fn poll_once(
        &mut self,
        seen: &mut usize,
        choose: &mut impl FnMut(&Message) -> Verdict,
    ) -> Result<Message, RecvError> {
        // Who asked and was not answered by now is told so.
        self.reply = None;
        if self.stopped.is_some() {
            return Err(RecvError::Closed);
        }
        self.fetch_turn();
        // An order to stop overtakes what was set aside, too.
        let stopped = self.turn.as_ref().is_some_and(Turn::is_stopped);
        while let Some((message, _)) = self.set_aside.get(*seen).filter(|_| !stopped) {
            match choose(message) {
                Verdict::Leave => *seen += 1,
                Verdict::Abort => return Err(RecvError::Aborted),
                Verdict::Take => {
                    let found = self.set_aside.remove(*seen);
                    let (message, reply) = found.ok_or(RecvError::Timeout)?;
                    self.mail_aside -= usize::from(message.as_user().is_some());
                    self.note_set_aside();
                    self.reply = reply;
                    return Ok(message);
                }
            }
        }
        loop {
            let (mail, reply) = self.pop()?;
            let message = Message::from(mail);
            let verdict = choose(&message);
            if verdict == Verdict::Take {
                self.reply = reply;
                return Ok(message);
            }
            self.mail_aside += usize::from(message.as_user().is_some());
            self.set_aside.push_back((message, reply));
            *seen = self.set_aside.len();
            self.note_set_aside();
            if verdict == Verdict::Abort {
                return Err(RecvError::Aborted);
            }
        }
    }

    fn note_set_aside(&self) {
        // Not through the turn, which a receiver does not have while its mailbox is empty.
        if let Some(process) = &self.process {
            process.set_aside(self.mail_aside);
        }
    }
}

impl Drop for Receiver {
    /// The actor may go on without it; whoever drives the actor ends the process.
    fn drop(&mut self) {
        let left = Left {
            turn: self.turn.take(),
            set_aside: std::mem::take(&mut self.set_aside),
            stopped: self.stopped.take(),
        };
        self.inbox.lock().left = left;
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// Ends a receiving actor, when its code has returned.
struct Ender {
    inbox: Arc<Inbox>,
    process: Option<Process>,
}

impl Ender {
    /// `own` is how the code ended by itself; an order to stop that it has followed comes
    /// first.
    fn end(&self, own: Exit) {
        let Some(process) = self.process else {
            return;
        };
        let Left {
            turn,
            set_aside,
            stopped,
        } = std::mem::take(&mut self.inbox.lock().left);
        let exit = match stopped {
            Some(stopped) if !own.reason.is_failure() => stopped,
            _ => own,
        };
        let left = set_aside.into_iter().map(|(message, reply)| {
            if let Some(reply) = reply {
                reply.fail_dead();
            }
            message
        });
        if let Some(turn) = turn {
            return turn.end(exit, left);
        }
        let left = left.collect();
        // Without a turn the process is at rest, and an order to stop brings one; or whoever
        // has just sent to it brings it in a moment.
        process.stop(Lane::Signal, exit.clone());
        let mut inbox = self.inbox.lock();
        match inbox.ready.take() {
            Some(ready) => {
                drop(inbox);
                ready.take_turn().end(exit, left);
            }
            None => inbox.ended = Some((exit, left)),
        }
    }
}

/// What is left to do for an actor whose code the caller runs, see
/// [`start_apart`](ReceiverBuilder::start_apart). One that is dropped ends the process as killed.
pub struct ApartEnd(Option<Ender>);

impl ApartEnd {
    fn process(&self) -> Option<Process> {
        self.0.as_ref().and_then(|ender| ender.process)
    }

    /// Has `hook` called when the actor is told to stop at once, see
    /// [`Process::when_told_to_stop`].
    pub fn when_told_to_stop(&self, hook: &Arc<StopHook>) {
        if let Some(process) = self.process() {
            process.when_told_to_stop(hook);
        }
    }

    /// Whether the actor was told to stop at once, or has ended.
    pub fn is_stopped(&self) -> bool {
        !self.process().is_some_and(|process| process.is_alive())
    }

    /// Whether the actor has received the order to stop, and so may finish what it is at.
    pub fn order_received(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|ender| ender.inbox.lock().order_received)
    }

    /// Ends the process; `own` is how the code ended, if it was not told to.
    pub fn end(mut self, own: Exit) {
        if let Some(ender) = self.0.take() {
            ender.end(own);
        }
    }
}

impl Drop for ApartEnd {
    fn drop(&mut self) {
        if let Some(ender) = self.0.take() {
            ender.end(ExitReason::Killed.into());
        }
    }
}

impl fmt::Debug for ApartEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApartEnd").field(&self.process()).finish()
    }
}

impl Drop for Ender {
    /// What is left in the inbox refers to the process, and that to the inbox.
    fn drop(&mut self) {
        let mut state = self.inbox.lock();
        let ready = state.ready.take();
        let left = std::mem::take(&mut state.left);
        drop(state);
        drop((ready, left));
    }
}

impl Runtime {
    /// Begins an actor that receives by itself: finish with
    /// [`start_async`](ReceiverBuilder::start_async),
    /// [`start_pull`](ReceiverBuilder::start_pull) or, for threads of one's own,
    /// [`start_thread`](ReceiverBuilder::start_thread). `name` is what logs call it.
    pub fn receiver(&self, name: impl Into<String>) -> ReceiverBuilder<'_> {
        let inbox = Arc::new(Inbox::default());
        let builder = self.spawn(Receiving(name.into())).on(inbox.clone());
        ReceiverBuilder {
            runtime: self,
            builder: builder.receiving(),
            inbox,
            pace: Pace::default(),
        }
    }

    /// Spawns an async actor: one task, which ends with the future that `actor` returns.
    ///
    /// # Panics
    ///
    /// If the runtime has been shut down or 16 million processes are alive;
    /// [`receiver`](Self::receiver) gives errors instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let echo = rt.spawn_actor(|mut rx| async move {
    ///     while let Some(message) = rx.recv().await {
    ///         println!("{message:?}");
    ///     }
    /// });
    /// rt.send(echo, &b"hello"[..])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_actor<F, Fut>(&self, actor: F) -> Pid
    where
        F: FnOnce(Receiver) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let started = self.receiver(std::any::type_name::<F>()).start_async(actor);
        started.expect("the runtime has been shut down or is full")
    }

    /// As [`spawn_actor`](Self::spawn_actor), for an actor that ends with `parent`.
    ///
    /// # Panics
    ///
    /// As there, and if `parent` is not alive.
    pub fn spawn_child<F, Fut>(&self, parent: Pid, actor: F) -> Pid
    where
        F: FnOnce(Receiver) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let receiver = self.receiver(std::any::type_name::<F>()).child_of(parent);
        receiver
            .start_async(actor)
            .expect("the parent and the runtime are alive")
    }
}

/// A receiving actor that is about to be.
#[must_use = "nothing is spawned until it is started"]
#[derive(Debug)]
pub struct ReceiverBuilder<'a> {
    runtime: &'a Runtime,
    builder: SpawnBuilder<'a>,
    inbox: Arc<Inbox>,
    pace: Pace,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl<'a> ReceiverBuilder<'a> {
    pub(crate) fn runtime(&self) -> &'a Runtime {
        self.runtime
    }

    /// Registers the actor under a name before anybody can send to it.
    pub fn named(mut self, name: &'a str) -> Self {
        self.builder = self.builder.named(name);
        self
    }

    /// Has the mailbox take at most so many messages, as
    /// [`SpawnBuilder::capacity`]. What the actor has set aside takes up room; what a selective
    /// receive is just looking at does not.
    pub fn capacity(mut self, messages: u32) -> Self {
        self.builder = self.builder.capacity(messages);
        self
    }

    /// What becomes of messages that find the mailbox full, as [`SpawnBuilder::overflow`].
    pub fn overflow(mut self, policy: OverflowPolicy) -> Self {
        self.builder = self.builder.overflow(policy);
        self
    }

    /// Messages that an async actor receives before it lets others run; 100 by default. No
    /// effect on one that has a thread of its own.
    pub fn budget(mut self, messages: u32) -> Self {
        self.builder = self.builder.budget(messages);
        self.pace = Pace::new(messages);
        self
    }

    /// Makes it a child of `parent`, to end with it.
    pub fn child_of(mut self, parent: Pid) -> Self {
        self.builder = self.builder.child_of(parent);
        self
    }

    /// Runs the actor as a task on the runtime's threads.
    ///
    /// The process ends when the future does (reason `normal`) or panics (`panic`). Told to
    /// stop, the actor gets `None` from its receiver and may finish what it is at; one that
    /// waits for something else is dropped where it waits.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`].
    pub fn start_async<F, Fut>(self, actor: F) -> Result<Pid, SpawnError>
    where
        F: FnOnce(Receiver) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let runtime = self.runtime;
        let (pid, receiver, ender) = self.begin()?;
        let future = actor(receiver);
        runtime.drive(Box::pin(drive(pid, future, ender)));
        Ok(pid)
    }

    /// Hands the receiver to `start`, which must see to it that `body` runs on a thread of
    /// its own, once; the process ends with what `body` returns. The thread's stack, name
    /// and limits are the caller's.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`]; [`SpawnError::NoThread`] with what `start` says if it cannot.
    pub fn start_thread(
        self,
        start: impl FnOnce(Box<dyn FnOnce() + Send>) -> std::io::Result<()>,
        body: impl FnOnce(Receiver) -> Exit + Send + 'static,
    ) -> Result<Pid, SpawnError> {
        let (pid, receiver, ender) = self.begin()?;
        let inbox = ender.inbox.clone();
        let process = ender.process;
        let run = Box::new(move || {
            let inside = inside::enter(pid);
            let ended = catch_unwind(AssertUnwindSafe(|| body(receiver)));
            drop(inside);
            ender.end(ended.unwrap_or_else(|panic| Exit::panic(Failure::from_panic(&*panic))));
        });
        start(run).map_err(|error| {
            // The closure was dropped, and its receiver with it.
            Ender { inbox, process }.end(ExitReason::Killed.into());
            SpawnError::NoThread(error)
        })?;
        Ok(pid)
    }

    /// Leaves it to the caller to run the actor's code, wherever that runs: the receiver for it,
    /// and what ends the process when it is over.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`].
    pub fn start_apart(self) -> Result<(Receiver, ApartEnd), SpawnError> {
        let (_, receiver, ender) = self.begin()?;
        Ok((receiver, ApartEnd(Some(ender))))
    }

    fn begin(self) -> Result<(Pid, Receiver, Ender), SpawnError> {
        let Self {
            runtime,
            builder,
            inbox,
            pace,
        } = self;
        let pid = builder.start()?;
        let process = runtime.table().get(pid);
        let receiver = Receiver {
            inbox: inbox.clone(),
            pid,
            reply: None,
            turn: None,
            process,
            set_aside: VecDeque::new(),
            mail_aside: 0,
            stopped: None,
            pace,
        };
        Ok((pid, receiver, Ender { inbox, process }))
    }
}

/// Polls an async actor to its end, and ends its process.
async fn drive(pid: Pid, future: impl Future<Output = ()>, ender: Ender) {
    let mut future = Box::pin(future);
    let process = ender.process;
    let mut stop_order = pin!(async {
        if let Some(process) = process {
            process.told_to_stop().await;
        }
    });
    let mut ordered = false;
    let ended = poll_fn(|cx| {
        ordered = ordered || stop_order.as_mut().poll(cx).is_ready();
        let inside = inside::enter(pid);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        drop(inside);
        match polled {
            Ok(Poll::Ready(())) => return Poll::Ready(Exit::default()),
            Err(panic) => return Poll::Ready(Exit::panic(Failure::from_panic(&*panic))),
            Ok(Poll::Pending) => {}
        }
        // An actor that waits for a message has just received the order, and may finish what
        // it is at. One that has not is at something else, and ends there.
        if ordered && !ender.inbox.lock().order_received {
            return Poll::Ready(ExitReason::Killed.into());
        }
        Poll::Pending
    })
    .await;
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
    ender.end(match dropped {
        Ok(()) => ended,
        Err(panic) => Exit::panic(Failure::from_panic(&*panic)),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what it should hand on.
    #[derive(Default)]
    struct OnItsWay(Mutex<Option<Ready>>);

    impl Scheduler for OnItsWay {
        fn ready(&self, process: Ready) {
            *self.0.lock().unwrap() = Some(process);
        }

        fn drive(&self, _: BoxFuture<()>) {}
    }

    #[test]
    fn an_actor_ends_with_the_wake_up_that_was_on_its_way_when_its_code_returned() {
        let rt = Runtime::new();
        let on_its_way = Arc::new(OnItsWay::default());
        let spawn = rt.spawn(Receiving("actor".to_owned()));
        let pid = spawn.on(on_its_way.clone()).receiving().start().unwrap();
        let inbox = Arc::new(Inbox::default());
        let ender = Ender {
            inbox: inbox.clone(),
            process: rt.table().get(pid),
        };
        rt.send_bytes(pid, b"sent").unwrap();
        ender.end(Exit::default());
        assert_eq!(rt.exit_counts().clean, 0, "somebody else has its turn");
        let ready = on_its_way.0.lock().unwrap().take().unwrap();
        inbox.ready(ready);
        assert_eq!(rt.join(pid, Some(Duration::ZERO)), Ok(true));
        assert_eq!((rt.exit_counts().clean, rt.dead_letters()), (1, 1));
    }
}
