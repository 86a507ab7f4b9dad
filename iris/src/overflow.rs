//! Bounded mailboxes from outside: policies, bounds, and sends that wait for room.
//!
//! Whoever sends without waiting comes through [`Host`]: handlers, timers, parts. A
//! [`Runtime`] waits on behalf of its user, unless the calling thread must not.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use iris_core::{DeadLetter, DeadLetterReason, Envelope, Host, Message, Payload, Pid, SendError};
use iris_mailbox::{PushError, Refusal};
use iris_sched::{OverflowError, OverflowPolicy, Overflowed, Room, current_pid};

use crate::inside;
use crate::park;
use crate::runtime::{Inner, Runtime};

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is one that runs actors from now on: nothing on it waits for room in a
/// mailbox. For the threads of a guest language's event loop.
pub fn mark_worker() {
    IS_WORKER.set(true);
}

/// Whether the calling thread may wait for room in the mailbox of `pid`. One that runs processes
/// may not, for the process that it waits for may be behind it; nor may the actor itself.
fn may_wait_for(pid: Pid) -> bool {
    current_pid().is_none() && !IS_WORKER.get() && !inside::is(pid)
}

impl Runtime {
    /// Changes what becomes of messages that find the mailbox of `pid` full; see
    /// [`OverflowPolicy`]. It holds for messages that are sent from now on, and for senders that
    /// wait. Forgotten with the process.
    ///
    /// # Errors
    ///
    /// [`OverflowError`]: the process or the target is not alive, the mailbox has no bound, or
    /// messages could go in a circle, through policies that were set before. The policy
    /// is what it was then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// use iris::OverflowPolicy;
    ///
    /// let rt = Runtime::new();
    /// let fallback = rt.spawn(handler(|_, _| Step::Done)).start()?;
    /// let primary = rt.spawn(handler(|_, _| Step::Done)).capacity(100).start()?;
    /// rt.set_overflow_policy(primary, OverflowPolicy::Redirect(fallback))?;
    /// rt.send(primary, &b"to one of them"[..])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_overflow_policy(
        &self,
        pid: Pid,
        policy: OverflowPolicy,
    ) -> Result<(), OverflowError> {
        self.table().set_overflow_policy(pid, policy)
    }

    /// The policy of a process; `None` if it is not alive or has no bound.
    pub fn overflow_policy(&self, pid: Pid) -> Option<OverflowPolicy> {
        let process = self
            .live(pid)
            .filter(|process| process.capacity().is_some());
        process.map(|process| process.overflow_policy())
    }

    /// Changes how many user messages may wait in the mailbox of a bounded process. More that
    /// wait already stay; senders that wait for room look again.
    ///
    /// # Errors
    ///
    /// [`OverflowError`]: the process is not alive, or has no bound.
    pub fn set_capacity(&self, pid: Pid, capacity: NonZeroU32) -> Result<(), OverflowError> {
        let process = self.live(pid).ok_or(OverflowError::NotAlive(pid))?;
        let set = process.set_capacity(capacity);
        set.then_some(()).ok_or(OverflowError::NotBounded(pid))
    }

    /// How many user messages may wait in the mailbox of `pid`; `None` if it is not alive or has
    /// no bound.
    pub fn capacity(&self, pid: Pid) -> Option<u32> {
        self.live(pid)?.capacity()
    }

    /// As [`send`](Self::send), but never waits.
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::WouldBlock`] where that would wait.
    #[inline]
    pub fn try_send(&self, to: Pid, message: impl Into<Message>) -> Result<(), SendError> {
        Host::send(self.inner(), to, message.into())
    }

    /// As [`try_send`](Self::try_send), for a payload that is made already.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn try_send_payload(&self, to: Pid, payload: Payload) -> Result<(), SendError> {
        Host::send_payload(self.inner(), to, payload)
    }

    /// As [`send`](Self::send), but waits for room no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::Timeout`].
    pub fn send_timeout(
        &self,
        to: Pid,
        message: impl Into<Message>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let sent = self.try_send(to, message);
        // A time beyond what the clock can tell never comes.
        sent.or_else(|error| self.send_waiting(to, error, Instant::now().checked_add(timeout)))
    }

    /// As [`send`](Self::send), for tasks: waits for room without keeping a thread, in the code of
    /// async actors and in futures of handlers, too. An actor that waits for room in its own
    /// mailbox waits for ever if it does nothing else meanwhile.
    ///
    /// Cancel safe in that a message is sent only when this returns; one whose future is dropped
    /// before is dropped with it.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// use iris::OverflowPolicy;
    ///
    /// let rt = Runtime::new();
    /// let slow = rt
    ///     .spawn(handler(|_, _| Step::Done))
    ///     .capacity(2)
    ///     .overflow(OverflowPolicy::Block)
    ///     .start()?;
    /// let own = rt.clone();
    /// let feeder = rt.spawn_actor(|_| async move {
    ///     for _ in 0..100 {
    ///         own.send_async(slow, &b"at its own pace"[..]).await.ok();
    ///     }
    /// });
    /// assert_eq!(rt.join(feeder, None), Ok(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn send_async(&self, to: Pid, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        match self.try_send(to, message) {
            Err(SendError::WouldBlock { to: at, message }) => {
                self.send_when_there_is_room(to, at, message).await
            }
            sent => sent,
        }
    }

    /// Goes on with a send that could not be done at once, until `deadline`: where it can be
    /// waited for, and the calling thread may.
    #[cold]
    pub(crate) fn send_waiting(
        &self,
        to: Pid,
        error: SendError,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        let SendError::WouldBlock { to: at, message } = error else {
            return Err(error);
        };
        if !may_wait_for(at) {
            return Err(SendError::WouldBlock { to: at, message });
        }
        let mut place = Place::default();
        let mut message = message;
        let mut at = at;
        loop {
            let room = self.room_of(&mut place, at);
            let in_time = room.is_none_or(|room| park::block_on(room, deadline).is_some());
            match self.try_send(to, message) {
                Err(SendError::WouldBlock { to, message }) if !in_time => {
                    return Err(SendError::Timeout { to, message });
                }
                Err(SendError::WouldBlock { to, message: back }) => {
                    if !may_wait_for(to) {
                        return Err(SendError::WouldBlock { to, message: back });
                    }
                    (at, message) = (to, back);
                }
                sent => return sent,
            }
        }
    }

    async fn send_when_there_is_room(
        &self,
        to: Pid,
        mut at: Pid,
        mut message: Message,
    ) -> Result<(), SendError> {
        let mut place = Place::default();
        loop {
            if let Some(room) = self.room_of(&mut place, at) {
                room.await;
            }
            match self.try_send(to, message) {
                Err(SendError::WouldBlock { to, message: back }) => (at, message) = (to, back),
                sent => return sent,
            }
        }
    }

    /// The wait for room at `at`, in the place that the sender has there already.
    fn room_of<'a>(&self, place: &'a mut Place, at: Pid) -> Option<&'a mut Room> {
        if place.0.as_ref().is_none_or(|(pid, _)| *pid != at) {
            let process = self.table().get(at)?;
            place.0 = Some((at, process.room()));
        }
        place.0.as_mut().map(|(_, room)| room)
    }
}

/// Where a sender waits. Kept until it has sent, so that it does not go to the end of the line
/// each time that another is faster.
#[derive(Default)]
struct Place(Option<(Pid, Room)>);

impl Inner {
    /// A mailbox has refused a message: what its policy makes of that.
    #[cold]
    pub(crate) fn refused(&self, to: Pid, error: PushError) -> Result<(), SendError> {
        let PushError(envelope, Refusal::Full) = error else {
            return Err(self.send_error(to, error));
        };
        self.overflow(to, envelope).map_err(|overflowed| {
            let Overflowed {
                at,
                error,
                may_wait,
            } = overflowed;
            if may_wait {
                let message = error.0.into_message().expect("a message was sent");
                return SendError::WouldBlock { to: at, message };
            }
            self.send_error(at, error)
        })
    }

    /// As [`Table::overflow`](iris_sched::Table::overflow), with what is lost made known.
    pub(crate) fn overflow(&self, to: Pid, envelope: Envelope) -> Result<(), Overflowed> {
        let lost = |letter: DeadLetter| self.exits.bury_one(&letter);
        self.table.overflow(to, envelope, &lost)
    }

    /// A timer's message. What is sent to a process that has just ended is no loss: its timers
    /// end with it. Everything else that is not taken is one, for nobody is there to give it
    /// back to. Whether it was taken.
    pub(crate) fn send_for_timer(&self, to: Pid, message: Message) -> bool {
        let error = match Host::send(self, to, message) {
            Ok(()) => return true,
            Err(SendError::ShutDown { .. }) => return false,
            Err(SendError::NoProc { to: at, .. } | SendError::Closed { to: at, .. })
                if at == to =>
            {
                return false;
            }
            Err(error) => error,
        };
        self.exits.bury_one(&DeadLetter {
            to: error.to(),
            message: error.into_message(),
            reason: DeadLetterReason::Refused,
        });
        false
    }
}
