//! Actors that receive: `spawnWithMailbox`, and what `lib/mailbox.js` reads from.

use std::ffi::CStr;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use iris::{ApartEnd, Exit, ExitReason, Failure, Message, Payload, Receiver, RecvError, Verdict};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::{Core, Shared};
use crate::error;
use crate::lane::MailBell;
use crate::raw::{self, Answer, Args, Raw};
use crate::system::{self, SystemObject};
use crate::turn::{OWN_BUFFER_BYTES, int};

/// What there is of one.
pub(crate) struct Pull {
    /// Taken out while it is looked through: a matcher may come back here.
    receiver: Option<Receiver>,
    /// Set-aside messages that the wait in progress has looked at.
    seen: usize,
    /// Was received, and is fetched next.
    taken: Option<Message>,
    waker: Waker,
    end: ApartEnd,
}

/// A message that was received, as `lib/mailbox.js` reads it.
#[napi(object, object_from_js = false)]
pub struct MailObject<'env> {
    /// A user's bytes; empty for system messages.
    pub data: BufferSlice<'env>,
    /// News from the runtime.
    pub system: Option<SystemObject>,
}

/// What chooses a message.
pub(crate) type Matcher<'a> = Function<'a, FnArgs<(MailObject<'a>,)>, bool>;

pub(crate) fn mail<'env>(env: &Env, message: &Message) -> Result<MailObject<'env>> {
    Ok(match message {
        Message::User(bytes) => MailObject {
            data: BufferSlice::copy_from(env, bytes)?,
            system: None,
        },
        Message::System(news) => MailObject {
            data: BufferSlice::copy_from(env, [])?,
            system: Some(system::object(news)),
        },
        other => {
            return Err(error::other(format!(
                "a message of a later version: {other:?}"
            )));
        }
    })
}

/// Puts the functions of this module into `object`.
pub(crate) fn define(env: &Env, object: &Object<'_>, shared: &Arc<Shared>) -> Result<()> {
    raw::define::<Next>(env, object, shared)
}

/// `next(pid, again, arena, offset)`: takes the next message of an actor that receives, and writes
/// it into `arena` from `offset` on; its length. Below 0 that is [`NOTHING`], and then the loop is
/// told when there is something, or [`APART`].
pub(crate) struct Next;

/// There is no message.
const NOTHING: i32 = -1;
/// The message is [kept](Core::taken): news from the runtime, or it finds no room.
const APART: i32 = -2;

impl Raw for Next {
    const NAME: &'static CStr = c"next";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let (pid, again) = (args.number(0)?, args.flag(1)?);
        let offset = args.count(3)? as usize;
        // SAFETY: it is the only array.
        let arena = unsafe { args.elements::<u8>(2)? };
        let Some(message) = shared.take(pid, again, &mut |_| Verdict::Take)? else {
            return Ok(NOTHING.into());
        };
        if let Message::User(bytes) = &message
            && bytes.len() <= OWN_BUFFER_BYTES
            && let Some(place) = arena.get_mut(offset..offset + bytes.len())
        {
            place.copy_from_slice(bytes);
            return Ok(int(bytes.len()).into());
        }
        let pid = convert::somebody(pid)?;
        if let Some(pull) = shared.pulls().get_mut(&pid) {
            pull.taken = Some(message);
        }
        Ok(APART.into())
    }
}

impl Shared {
    /// Takes the next message that `choose` takes out of a mailbox. `again` goes on with a wait,
    /// and does not look at what that has seen.
    fn take(
        &self,
        pid: f64,
        again: bool,
        choose: &mut impl FnMut(&Message) -> Verdict,
    ) -> Result<Option<Message>> {
        let pid = convert::somebody(pid)?;
        let (mut receiver, waker, mut seen) = {
            let mut pulls = self.pulls();
            let pull = pulls.get_mut(&pid).ok_or_else(error::no_reply_now)?;
            let receiver = pull.receiver.take().ok_or_else(|| {
                error::other("the mailbox is being looked through by a matcher of its own")
            })?;
            let seen = if again { pull.seen } else { 0 };
            (receiver, pull.waker.clone(), seen)
        };
        let polled = receiver.poll_chosen(&waker, &mut seen, choose);
        if let Some(pull) = self.pulls().get_mut(&pid) {
            pull.receiver = Some(receiver);
            pull.seen = seen;
        }
        match polled {
            Poll::Ready(Ok(message)) => Ok(Some(message)),
            Poll::Ready(Err(RecvError::Closed)) => Err(error::no_reply_now()),
            Poll::Ready(Err(other)) => Err(error::other(other)),
            Poll::Pending => Ok(None),
        }
    }
}

#[napi]
impl Core {
    /// Spawns an actor whose code JavaScript runs; its pid.
    #[napi(catch_unwind)]
    pub fn spawn_pull(
        &self,
        behavior: String,
        budget: u32,
        capacity: Option<u32>,
        name: Option<String>,
        parent: Option<f64>,
    ) -> Result<f64> {
        let mut builder = self.runtime.receiver(behavior).budget(budget);
        if let Some(capacity) = capacity {
            builder = builder.capacity(capacity);
        }
        if let Some(name) = &name {
            builder = builder.named(name);
        }
        if let Some(parent) = parent {
            builder = builder.child_of(convert::somebody(parent)?);
        }
        let started = builder.start_apart();
        let (receiver, end) = started.map_err(|error| error::spawn(&error))?;
        let pid = receiver.pid();
        let bell = MailBell {
            lane: Arc::downgrade(&self.lane),
            pid,
        };
        end.when_told_to_stop(self.lane.stop_hook());
        let told = end.is_stopped();
        let pull = Pull {
            receiver: Some(receiver),
            seen: 0,
            taken: None,
            waker: Waker::from(Arc::new(bell)),
            end,
        };
        self.pulls().insert(pid, pull);
        if told {
            // Before there was a hook.
            self.lane.tell(crate::news::News::Stopped(pid));
        }
        Ok(convert::number(pid))
    }

    /// The next message for which `matcher(message)` is true; `null` if there is none, and then the
    /// loop is told when there may be. `again` goes on with a wait, and does not look at what that
    /// has seen.
    #[napi(catch_unwind)]
    pub fn receive<'env>(
        &self,
        env: &'env Env,
        pid: f64,
        again: bool,
        matcher: Matcher<'_>,
    ) -> Result<Option<MailObject<'env>>> {
        let mut thrown = None;
        let taken = self.take(pid, again, &mut |message| {
            let chosen = mail(env, message).and_then(|mail| matcher.call(FnArgs::from((mail,))));
            match chosen {
                Ok(matches) => Verdict::from(matches),
                Err(error) => {
                    thrown = Some(error);
                    Verdict::Abort
                }
            }
        });
        if let Some(thrown) = thrown {
            return Err(thrown);
        }
        taken?.map(|message| mail(env, &message)).transpose()
    }

    /// The message that [`next`](Next) has taken and not written.
    #[napi(catch_unwind)]
    pub fn taken<'env>(&self, env: &'env Env, pid: f64) -> Result<Option<MailObject<'env>>> {
        let taken = convert::pid(pid).and_then(|pid| {
            let mut pulls = self.pulls();
            pulls.get_mut(&pid).and_then(|pull| pull.taken.take())
        });
        taken.map(|message| mail(env, &message)).transpose()
    }

    /// Answers who asked with the message that was received last; whether anybody did, and waits.
    #[napi(catch_unwind)]
    pub fn reply(&self, pid: f64, bytes: &[u8]) -> bool {
        let Some(pid) = convert::pid(pid) else {
            return false;
        };
        let mut pulls = self.pulls();
        let receiver = pulls.get_mut(&pid).and_then(|pull| pull.receiver.as_mut());
        receiver.is_some_and(|receiver| receiver.reply(Payload::copy_of(bytes)))
    }

    /// Whether the actor has received the order to stop, and so may finish what it is at.
    #[napi(catch_unwind)]
    pub fn pull_heard(&self, pid: f64) -> bool {
        let pid = convert::pid(pid);
        pid.is_some_and(|pid| {
            let pulls = self.pulls();
            pulls
                .get(&pid)
                .is_some_and(|pull| pull.end.order_received())
        })
    }

    /// The actor's code is over: `how` is 0 for its end, 1 if it threw, as the texts say, 2 if it
    /// was stopped while it waited for something else.
    #[napi(catch_unwind)]
    pub fn pull_ended(&self, pid: f64, how: i32, kind: String, message: String, stack: String) {
        let Some(pid) = convert::pid(pid) else {
            return;
        };
        let Some(pull) = self.pulls().remove(&pid) else {
            return;
        };
        let Pull { receiver, end, .. } = pull;
        if let Some(mut receiver) = receiver {
            if end.is_stopped() {
                // It learns how it was told to stop.
                receiver.recv_blocking(Some(Duration::ZERO)).ok();
            }
            drop(receiver);
        }
        let exit = match how {
            0 => Exit::default(),
            1 => Exit::crash(Failure {
                kind,
                message,
                traceback: stack,
            }),
            _ => ExitReason::Killed.into(),
        };
        end.end(exit);
    }
}
