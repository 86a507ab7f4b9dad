//! Questions of the peer, until local processes have answered them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use iris_core::{Answer, Failure, Pid, Reply};
use iris_wire::connection::SendError;
use iris_wire::frame::Message;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Session;
use crate::local::{Local, answer};

/// A question that is not answered yet.
pub(super) enum Answering {
    /// Its answer is sent by whoever answers.
    Open(Arc<Asked>),
    /// It is given up after a time.
    Limited(AbortHandle),
}

/// Sends an answer on, on the thread of who has answered: no other has to be woken for it.
pub(super) struct Asked {
    session: Weak<Session>,
    req: u64,
    reply: Mutex<Option<Reply>>,
}

impl Answering {
    /// Nobody waits for the answer any more.
    pub(super) fn give_up(self) {
        match self {
            Self::Open(asked) => drop(asked.lock().take()),
            Self::Limited(task) => task.abort(),
        }
    }
}

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        if let Some(answered) = self.look()
            && let Some(session) = self.session.upgrade()
        {
            session.lock().answering.remove(&self.req);
            session.queue_reply(self.req, answer::encode(answered));
            session.write_now();
        }
    }
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, Option<Reply>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, once; is woken for it if it is not there.
    fn look(self: &Arc<Self>) -> Option<Answer> {
        let waker = Waker::from(self.clone());
        let mut reply = self.lock();
        let pending = Pin::new(reply.as_mut()?);
        match pending.poll(&mut Context::from_waker(&waker)) {
            std::task::Poll::Ready(answer) => {
                *reply = None;
                Some(answer)
            }
            std::task::Poll::Pending => None,
        }
    }
}

impl Session {
    /// A question of the peer.
    pub(super) fn asked(
        self: &Arc<Self>,
        local: &dyn Local,
        req: u64,
        dst: Pid,
        deadline_ms: u32,
        data: Bytes,
    ) {
        if !self.may_reach(local, dst) {
            self.shared.denied();
            return self.reply(req, answer::denied());
        }
        let asked = match local.ask(dst, data) {
            Ok(asked) => asked,
            Err(error) => return self.reply(req, answer::encode(Err(error))),
        };
        if deadline_ms > 0 {
            let limit = Duration::from_millis(deadline_ms.into());
            return self.answer_within(req, limit, asked);
        }
        let asked = Arc::new(Asked {
            session: Arc::downgrade(self),
            req,
            reply: Mutex::new(Some(asked)),
        });
        {
            let mut state = self.lock();
            if state.over {
                return;
            }
            // Before the look: whoever answers takes it out.
            let answering = Answering::Open(asked.clone());
            state.answering.insert(req, answering);
        }
        if let Some(answered) = asked.look() {
            self.lock().answering.remove(&req);
            self.reply(req, answer::encode(answered));
        }
    }

    fn answer_within(self: &Arc<Self>, req: u64, limit: Duration, pending: Reply) {
        let session = self.clone();
        let task = self.shared.spawn(async move {
            let answered = timeout(limit, pending).await;
            session.lock().answering.remove(&req);
            if let Ok(answered) = answered {
                session.reply(req, answer::encode(answered));
            }
        });
        let mut state = self.lock();
        if !state.over && !task.is_finished() {
            let answering = Answering::Limited(task.abort_handle());
            state.answering.insert(req, answering);
        }
    }

    /// An answer finds its way even if there is no room for it now.
    fn reply(self: &Arc<Self>, req: u64, answer: (u8, Bytes)) {
        self.queue_reply(req, answer);
        self.wake_writer();
    }

    fn queue_reply(self: &Arc<Self>, req: u64, (status, data): (u8, Bytes)) {
        let message = Message::Reply { req, status, data };
        let sent = self.lock().connection.send(message, None);
        match sent {
            Err(SendError::WouldBlock { message }) => {
                self.shared.spawn(self.clone().reply_later(*message));
            }
            Err(SendError::TooLong { limit, .. }) => {
                let failure = Failure {
                    kind: "MessageTooLong".to_owned(),
                    message: format!("the answer is longer than the {limit} bytes that travel"),
                    traceback: String::new(),
                };
                self.queue_reply(req, answer::failed(&failure));
            }
            // It is on its way, or nobody is left to be told.
            Ok(()) | Err(_) => {}
        }
    }

    async fn reply_later(self: Arc<Self>, mut message: Message) {
        loop {
            self.writable().await;
            let sent = self.lock().connection.send(message, None);
            match sent {
                Err(SendError::WouldBlock { message: back }) => message = *back,
                _ => break,
            }
        }
        self.wake_writer();
    }
}
