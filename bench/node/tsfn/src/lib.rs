//! The plain way to bring messages to JavaScript from anywhere: a thread-safe function for each
//! actor, called once for each message, with a buffer of its own.

use napi::bindgen_prelude::{Buffer, Function, Result};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

type Handler = ThreadsafeFunction<Buffer, (), Buffer, napi::Status, false, true>;

/// An actor that is nothing but its handler.
#[napi]
pub struct Actor {
    handler: Option<Handler>,
}

#[napi]
impl Actor {
    /// Keeps no process alive.
    #[napi(constructor)]
    pub fn new(handler: Function<'_, Buffer, ()>) -> Result<Self> {
        let handler = handler.build_threadsafe_function().weak::<true>().build()?;
        Ok(Self {
            handler: Some(handler),
        })
    }

    /// Sends a copy; whether it was accepted.
    #[napi]
    pub fn send(&self, message: &[u8]) -> bool {
        let Some(handler) = &self.handler else {
            return false;
        };
        let status = handler.call(
            Buffer::from(message),
            ThreadsafeFunctionCallMode::NonBlocking,
        );
        status == napi::Status::Ok
    }

    /// Frees the function.
    #[napi]
    pub fn stop(&mut self) {
        self.handler = None;
    }
}
