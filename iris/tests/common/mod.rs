//! What the tests of supervision share.
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use iris::{ExitReason, Message, Pid, Runtime, Step, SystemMessage, handler};

/// After this long something that should have happened is taken for lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What an actor receives, as the test sees it.
pub(crate) struct Ear {
    pub(crate) pid: Pid,
    heard: Receiver<Message>,
}

impl Ear {
    /// An actor that hands on all that it receives.
    pub(crate) fn new(rt: &Runtime) -> Self {
        let (tell, heard) = channel();
        let receiver = rt.receiver("ear");
        let pid = receiver.start_pull(move |mut mailbox| {
            while let Ok(message) = mailbox.recv_blocking(None) {
                if tell.send(message).is_err() {
                    break;
                }
            }
        });
        let pid = pid.expect("there are threads");
        Self { pid, heard }
    }

    /// An ear that hears of restarts.
    pub(crate) fn of_restarts(rt: &Runtime) -> Self {
        let ear = Self::new(rt);
        assert!(rt.watch_supervision(ear.pid));
        ear
    }

    pub(crate) fn next(&self) -> Message {
        self.heard.recv_timeout(PATIENCE).expect("a message came")
    }

    pub(crate) fn system(&self) -> SystemMessage {
        match self.next() {
            Message::System(news) => news,
            other => panic!("not a system message: {other:?}"),
        }
    }

    /// The successor of `old`.
    pub(crate) fn successor(&self, old: Pid) -> Pid {
        match self.system() {
            SystemMessage::Restarted { old: of, new } if of == old => new,
            other => panic!("not the restart of {old}: {other:?}"),
        }
    }

    /// Nothing came before this: what is sent now is heard next.
    pub(crate) fn is_silent(&self, rt: &Runtime) {
        rt.send(self.pid, &b"mark"[..]).expect("it is alive");
        assert_eq!(self.next(), Message::from(&b"mark"[..]));
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(
            self.heard.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

/// An actor that ends with the reason that it is sent.
pub(crate) fn mortal(rt: &Runtime) -> Pid {
    let mortal = handler(|_, bytes| {
        let reason = match &bytes[..] {
            b"crash" => ExitReason::Crash,
            b"normal" => ExitReason::Normal,
            b"panic" => panic!("as asked"),
            _ => return Step::Done,
        };
        Step::Stop(reason.into())
    });
    rt.spawn(mortal).start().expect("there is room")
}

pub(crate) fn crash(rt: &Runtime, pid: Pid) {
    rt.send(pid, &b"crash"[..]).expect("it is alive");
}

pub(crate) fn gone(rt: &Runtime, pid: Pid) {
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true), "{pid} ends");
}
