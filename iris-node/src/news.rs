//! What the loop is told beside messages: answers, ends, dead letters.

use std::sync::mpsc::SyncSender;

use iris::{DeadLetter, Failure, Message, Payload, Pid};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::error::Told;
use crate::system::{self, SystemObject};

/// One thing to be told.
pub(crate) enum News {
    /// A promise is to be settled.
    Settled(u32, Outcome),
    /// There is news of the future, or the selection, with this ticket.
    Look(u32),
    /// There is something in the mailbox of an actor that receives.
    Mail(Pid),
    /// A process was told to stop while its handler waits for a promise, or that receives.
    Stopped(Pid),
    /// An actor has ended that wants to know.
    Ended(Pid),
    /// A factory is to be called.
    Factory(Box<FactoryCall>),
    /// A message that nobody will handle.
    Letter(Box<DeadLetter>),
    /// A supervised process that is given up, in words.
    GaveUp(String),
}

/// What a promise comes to.
pub(crate) type Outcome = std::result::Result<Value, Told>;

/// What JavaScript can be given from any thread.
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Bytes(Payload),
    /// What somebody has answered with as an error of its own.
    Rejection(Payload, String),
    /// What a shutdown has left behind: undelivered messages and stuck handlers.
    Report(f64, f64),
}

/// A factory that a thread of Rust waits for.
pub(crate) struct FactoryCall {
    /// The slot of the function.
    pub(crate) factory: u32,
    /// What another node has given along.
    pub(crate) init: Option<Payload>,
    /// Whom the new process succeeds.
    pub(crate) succeeds: Option<Pid>,
    /// Dropped if nobody will call it any more.
    pub(crate) answer: SyncSender<std::result::Result<Pid, Failure>>,
}

/// News as JavaScript reads it; `kind` as in `lib/lane.js`.
#[napi(object, object_from_js = false)]
pub struct NewsObject<'env> {
    /// Which of them.
    pub kind: i32,
    /// The ticket, pid or number that it is about.
    pub id: f64,
    /// What there is to tell.
    pub value: Option<Either5<bool, f64, String, BufferSlice<'env>, Vec<f64>>>,
    /// The code of an error.
    pub code: Option<String>,
    /// Why a message is dead.
    pub reason: Option<String>,
    /// A dead letter that was a system message.
    pub system: Option<SystemObject>,
}

impl NewsObject<'_> {
    fn new(kind: i32, id: f64) -> Self {
        Self {
            kind,
            id,
            value: None,
            code: None,
            reason: None,
            system: None,
        }
    }

    /// A promise to be settled.
    pub(crate) fn settled(env: &Env, ticket: u32, outcome: Outcome) -> Result<Self> {
        let mut object = Self::new(0, ticket.into());
        match outcome {
            Ok(value) => {
                object.value = match value {
                    Value::Null => None,
                    Value::Bool(flag) => Some(Either5::A(flag)),
                    Value::Number(number) => Some(Either5::B(number)),
                    Value::Text(text) => Some(Either5::C(text)),
                    Value::Bytes(bytes) => {
                        Some(Either5::D(BufferSlice::copy_from(env, &bytes[..])?))
                    }
                    Value::Rejection(bytes, text) => {
                        object.code = Some("REJECTED".to_owned());
                        object.reason = Some(text);
                        Some(Either5::D(BufferSlice::copy_from(env, &bytes[..])?))
                    }
                    Value::Report(undelivered, stuck) => Some(Either5::E(vec![undelivered, stuck])),
                }
            }
            Err(told) => {
                object.code = Some(told.code.to_owned());
                object.reason = Some(told.text);
            }
        }
        Ok(object)
    }

    pub(crate) fn mail(pid: Pid) -> Self {
        Self::new(1, convert::number(pid))
    }

    pub(crate) fn stopped(pid: Pid) -> Self {
        Self::new(2, convert::number(pid))
    }

    /// A factory to be called; `id` is what the answer goes to.
    pub(crate) fn factory(
        env: &Env,
        call: u32,
        factory: u32,
        init: Option<&Payload>,
    ) -> Result<Self> {
        let mut object = Self::new(3, call.into());
        object.reason = Some(factory.to_string());
        if let Some(init) = init {
            object.value = Some(Either5::D(BufferSlice::copy_from(env, &init[..])?));
        }
        Ok(object)
    }

    pub(crate) fn letter(env: &Env, letter: DeadLetter) -> Result<Self> {
        let mut object = Self::new(4, convert::number(letter.to));
        object.reason = Some(letter.reason.as_str().to_owned());
        match letter.message {
            Message::User(bytes) => {
                object.value = Some(Either5::D(BufferSlice::copy_from(env, bytes)?));
            }
            Message::System(news) => object.system = Some(system::object(&news)),
            // Of a later version of the core.
            _ => {}
        }
        Ok(object)
    }

    /// There may be something for who waits with this ticket.
    pub(crate) fn look(ticket: u32) -> Self {
        Self::new(6, ticket.into())
    }

    pub(crate) fn ended(pid: Pid) -> Self {
        Self::new(7, convert::number(pid))
    }

    pub(crate) fn gave_up(text: String) -> Self {
        let mut object = Self::new(5, 0.0);
        object.value = Some(Either5::C(text));
        object
    }
}
