//! Selective receives from observers: `lib/supervision.js` looks whenever the loop is told to.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use iris::{Message, RecvError, Selection, Verdict};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error;
use crate::lane::Waiter;
use crate::mailbox::{self, MailObject, Matcher};

#[napi]
impl Core {
    /// Begins a selective receive from an observer.
    #[napi(catch_unwind)]
    pub fn select_from(&self, ticket: u32, pid: f64) -> Result<()> {
        let target = convert::somebody(pid)?;
        let Some(selection) = self.runtime.select_from(target) else {
            return Err(if self.runtime.is_alive(target) {
                error::not_an_observer(pid)
            } else {
                error::no_reply_now()
            });
        };
        self.selections().insert(ticket, selection);
        Ok(())
    }

    /// The first message for which `matcher(message)` is true, or `null` if there is none: then the
    /// loop is told when there may be. What was looked at before is not looked at again.
    #[napi(catch_unwind)]
    pub fn select<'env>(
        &self,
        env: &'env Env,
        ticket: u32,
        matcher: Matcher<'_>,
    ) -> Result<Option<MailObject<'env>>> {
        // Taken out for as long as it looks: a matcher may come back here.
        let Some(mut selection) = self.take_selection(ticket) else {
            return Ok(None);
        };
        let mut thrown = None;
        let mut choose = |message: &Message| {
            let chosen =
                mailbox::mail(env, message).and_then(|mail| matcher.call(FnArgs::from((mail,))));
            chosen.map_or_else(
                |error| {
                    thrown = Some(error);
                    Verdict::Abort
                },
                Verdict::from,
            )
        };
        let waker = Waker::from(Arc::new(Waiter::new(&self.lane, ticket)));
        let polled = selection.poll(&waker, &mut choose);
        if let Some(thrown) = thrown {
            return Err(thrown);
        }
        match polled {
            Poll::Ready(Ok(message)) => mailbox::mail(env, &message).map(Some),
            Poll::Ready(Err(RecvError::Closed)) => Err(error::no_reply_now()),
            Poll::Ready(Err(other)) => Err(error::other(other)),
            Poll::Pending => {
                self.selections().insert(ticket, selection);
                Ok(None)
            }
        }
    }
}

impl Core {
    fn selections(&self) -> MutexGuard<'_, HashMap<u32, Selection>> {
        self.selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_selection(&self, ticket: u32) -> Option<Selection> {
        self.selections().remove(&ticket)
    }

    pub(crate) fn take_selections(&self) -> HashMap<u32, Selection> {
        mem::take(&mut *self.selections())
    }
}
