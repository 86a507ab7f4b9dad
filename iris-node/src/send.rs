//! Messages, timers, questions and what is known of those who get them.

use std::ffi::CStr;
use std::num::NonZeroU32;
use std::sync::Arc;

use iris::{AskError, OverflowPolicy, Payload, SendError};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::context;
use crate::convert;
use crate::core::{Core, Shared};
use crate::error;
use crate::news::{News, Value};
use crate::raw::{self, Answer, Args, Raw};

/// What became of a message. As in `lib/runtime.js`.
const REFUSED: i32 = 0;
/// Accepted; whoever handles it is not woken through the loop.
const ACCEPTED: i32 = 1;
/// Accepted, and the loop has something to do.
const TURNS: i32 = 2;
/// It would have to wait for room.
const WOULD_BLOCK: i32 = 3;

/// Accepted, and the caller is to have the loop turn: nobody else has woken it.
const TURN_HERE: i32 = 4;

/// Puts the functions of this module into `object`.
pub(crate) fn define(env: &Env, object: &Object<'_>, shared: &Arc<Shared>) -> Result<()> {
    raw::define::<Send>(env, object, shared)?;
    raw::define::<SendFrom>(env, object, shared)?;
    raw::define::<Ask>(env, object, shared)
}

/// `send(pid, bytes)`: sends a copy; what became of it, as above.
struct Send;

impl Raw for Send {
    const NAME: &'static CStr = c"send";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let pid = args.number(0)?;
        let payload = Payload::copy_of(args.bytes(1)?);
        Ok(shared.send(pid, payload).into())
    }
}

/// `sendFrom(context, pid, bytes)`: as `send`, with the number of a context.
struct SendFrom;

impl Raw for SendFrom {
    const NAME: &'static CStr = c"sendFrom";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let (context, pid) = (args.count(0)?, args.number(1)?);
        let payload = Payload::copy_of(args.bytes(2)?);
        let payload = context::with(&shared.lane, payload, context);
        Ok(shared.send(pid, payload).into())
    }
}

/// `ask(ticket, pid, bytes, inside, context)`: asks, and settles a promise with the answer;
/// whether the caller is to have the loop turn. `inside` is the actor that asks, or 0, and
/// `context` the number of the context that it asks in, or 0.
struct Ask;

impl Raw for Ask {
    const NAME: &'static CStr = c"ask";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let (ticket, pid, inside) = (args.count(0)?, args.number(1)?, args.number(3)?);
        let payload = Payload::copy_of(args.bytes(2)?);
        let payload = context::with(&shared.lane, payload, args.count(4)?);
        let ((), turns) = shared
            .lane
            .without_waking(|| shared.ask(ticket, pid, payload, inside));
        Ok(Answer::Flag(turns))
    }
}

impl Shared {
    fn send(&self, pid: f64, payload: Payload) -> i32 {
        let Some(pid) = convert::pid(pid) else {
            return REFUSED;
        };
        let (sent, turns) = self
            .lane
            .without_waking(|| self.runtime.try_send_payload(pid, payload));
        match sent {
            _ if turns => TURN_HERE,
            Ok(()) if self.lane.is_signalled() => TURNS,
            Ok(()) => ACCEPTED,
            Err(SendError::WouldBlock { .. }) => WOULD_BLOCK,
            Err(_) => REFUSED,
        }
    }

    fn ask(&self, ticket: u32, pid: f64, question: Payload, inside: f64) {
        let begun = convert::pid(pid)
            .ok_or_else(|| error::told_dead(pid))
            .and_then(|to| {
                let ask = self.runtime.ask(to, question).queued();
                let ask = match convert::pid(inside) {
                    Some(asker) => ask.asked_by(asker),
                    None => ask,
                };
                ask.begin().map_err(|error| error::ask(&error))
            });
        match begun {
            Ok(question) => {
                let answer = async move {
                    let answer = question.await;
                    match answer {
                        Ok(answer) => Ok(Value::Bytes(answer)),
                        Err(AskError::Rejected { error, by }) => {
                            let text = format!("actor {by} answered with an error of its own");
                            Ok(Value::Rejection(*error, text))
                        }
                        Err(error) => Err(error::ask(&error)),
                    }
                };
                self.promise(ticket, Box::pin(answer));
            }
            Err(told) => self.lane.tell(News::Settled(ticket, Err(told))),
        }
    }
}

#[napi]
impl Core {
    /// As `sendFrom`, waiting for room: settles a promise. Who has to wait sends without the
    /// context.
    #[napi(catch_unwind)]
    pub fn send_async(&self, ticket: u32, context: u32, pid: f64, bytes: &[u8]) {
        let payload = context::with(&self.lane, Payload::copy_of(bytes), context);
        let Some(to) = convert::pid(pid) else {
            let settled = News::Settled(ticket, Ok(Value::Bool(false)));
            return self.lane.tell(settled);
        };
        let sent = self.runtime.try_send_payload(to, payload);
        let Err(SendError::WouldBlock { message, .. }) = sent else {
            let settled = News::Settled(ticket, Ok(Value::Bool(sent.is_ok())));
            return self.lane.tell(settled);
        };
        let runtime = self.runtime.clone();
        let sent = async move { Ok(Value::Bool(runtime.send_async(to, message).await.is_ok())) };
        self.promise(ticket, Box::pin(sent));
    }

    /// Sends later; the timer's number.
    #[napi(catch_unwind)]
    pub fn send_after(&self, pid: f64, after: f64, bytes: &[u8]) -> Result<f64> {
        let (runtime, pid) = self.live(pid)?;
        let message = Payload::copy_of(bytes).into_bytes();
        let timer = runtime.send_after(pid, convert::milliseconds(after), message);
        timer
            .map(|timer| convert::count(timer.raw()))
            .map_err(error::timer)
    }

    /// Sends again and again; the timer's number.
    #[napi(catch_unwind)]
    pub fn send_interval(&self, pid: f64, every: f64, bytes: &[u8]) -> Result<f64> {
        let (runtime, pid) = self.live(pid)?;
        let message = Payload::copy_of(bytes).into_bytes();
        let timer = runtime.send_interval(pid, convert::milliseconds(every), message);
        timer
            .map(|timer| convert::count(timer.raw()))
            .map_err(error::timer)
    }

    /// Whether a timer was still to fire.
    #[napi(catch_unwind)]
    pub fn cancel_timer(&self, timer: f64) -> bool {
        let timer = convert::whole(timer).and_then(iris::TimerId::from_raw);
        timer.is_some_and(|timer| self.runtime.cancel_timer(timer))
    }

    /// What becomes of messages that find a mailbox full.
    #[napi(catch_unwind)]
    pub fn set_overflow_policy(&self, pid: f64, policy: String, target: Option<f64>) -> Result<()> {
        let target = target.map(convert::somebody).transpose()?;
        let policy = OverflowPolicy::from_word(&policy, target);
        let policy = policy.map_err(|error| error::range(error.to_string()))?;
        let (runtime, pid) = self.live(pid)?;
        runtime
            .set_overflow_policy(pid, policy)
            .map_err(|error| error::overflow(&error))
    }

    /// Changes a bound.
    #[napi(catch_unwind)]
    pub fn set_capacity(&self, pid: f64, capacity: u32) -> Result<()> {
        let (runtime, pid) = self.live(pid)?;
        let capacity = NonZeroU32::new(capacity)
            .ok_or_else(|| error::range("a capacity must be at least 1"))?;
        runtime
            .set_capacity(pid, capacity)
            .map_err(|error| error::overflow(&error))
    }

    /// User messages in a mailbox. What is in hand has left it.
    #[napi(catch_unwind)]
    pub fn mailbox_size(&self, pid: f64) -> Option<f64> {
        let size = self.runtime.mailbox_size(convert::pid(pid)?)?;
        Some(convert::count(size as u64))
    }
}
