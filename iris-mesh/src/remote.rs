//! A process of a peer, for who sends to it.

use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use iris_core::{BoxFuture, Exit, Pid, ReplyTo};

use crate::legacy::LegacyPeer;
use crate::session::Session;

/// A process of another node. Clones are the same process.
#[derive(Clone)]
pub struct Remote {
    peer: Peer,
    pid: Pid,
}

/// Who has it. Weak: a peer's stand-ins do not keep it.
#[derive(Clone)]
enum Peer {
    Session(Weak<Session>),
    Legacy(Weak<LegacyPeer>),
}

/// Why a message was not taken. It is inside.
#[derive(Debug)]
pub enum Unsent {
    /// Too much waits for the peer. Try again when it is [writable](Remote::writable).
    WouldBlock(Bytes),
    /// Longer than the peer takes.
    TooLong {
        /// The message.
        data: Bytes,
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer cannot be reached any more.
    Closed(Bytes),
}

impl Unsent {
    /// The message.
    pub fn into_data(self) -> Bytes {
        match self {
            Self::WouldBlock(data) | Self::TooLong { data, .. } | Self::Closed(data) => data,
        }
    }
}

impl Remote {
    pub(crate) fn of_session(session: &Arc<Session>, pid: Pid) -> Self {
        Self {
            peer: Peer::Session(Arc::downgrade(session)),
            pid,
        }
    }

    pub(crate) fn of_legacy(peer: &Arc<LegacyPeer>, pid: Pid) -> Self {
        Self {
            peer: Peer::Legacy(Arc::downgrade(peer)),
            pid,
        }
    }

    /// Its pid at its node.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a message: handled once, behind those that were sent before.
    ///
    /// # Errors
    ///
    /// The message comes back if the peer is gone, if too much waits for it, or if it is longer
    /// than the peer takes.
    pub fn send(&self, data: Bytes) -> Result<(), Unsent> {
        match &self.peer {
            Peer::Session(session) => match session.upgrade() {
                Some(session) => session.send(self.pid, data),
                None => Err(Unsent::Closed(data)),
            },
            Peer::Legacy(peer) => match peer.upgrade() {
                Some(peer) => peer.send(self.pid, data),
                None => Err(Unsent::Closed(data)),
            },
        }
    }

    /// As [`send`](Self::send), of a copy of a few bytes: the fastest way.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn send_copy(&self, data: &[u8]) -> Result<(), Unsent> {
        if let Peer::Session(session) = &self.peer
            && let Some(session) = session.upgrade()
        {
            return session.send_copy(self.pid, data);
        }
        self.send(Bytes::copy_from_slice(data))
    }

    /// Asks a question.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), with the question. A peer with the original packets answers
    /// nothing: the question then is answered with
    /// [`AskError::NoReply`](iris_core::AskError::NoReply), and sent all the same.
    pub fn ask(&self, data: Bytes, question: ReplyTo) -> Result<(), (Unsent, ReplyTo)> {
        match &self.peer {
            Peer::Session(session) => match session.upgrade() {
                Some(session) => session.ask(self.pid, data, question),
                None => Err((Unsent::Closed(data), question)),
            },
            Peer::Legacy(_) => self.send(data).map_err(|unsent| (unsent, question)),
        }
    }

    /// Waits until there may be room again.
    pub fn writable(&self) -> BoxFuture<()> {
        match &self.peer {
            Peer::Session(session) => match session.upgrade() {
                Some(session) => Box::pin(async move { session.writable().await }),
                None => Box::pin(async {}),
            },
            Peer::Legacy(peer) => match peer.upgrade() {
                Some(peer) => Box::pin(async move { peer.writable().await }),
                None => Box::pin(async {}),
            },
        }
    }

    /// A local process is linked to its stand-in from now on.
    pub fn link(&self, from: Pid) {
        self.set_linked(from, true);
    }

    /// It is no longer.
    pub fn unlink(&self, from: Pid) {
        self.set_linked(from, false);
    }

    fn set_linked(&self, from: Pid, linked: bool) {
        // The original packets have no links.
        if let Peer::Session(session) = &self.peer
            && let Some(session) = session.upgrade()
        {
            session.link(from, self.pid, linked);
        }
    }

    /// Tells it that a process that is linked to its stand-in has ended.
    pub fn exit(&self, from: Pid, exit: Exit) {
        if let Peer::Session(session) = &self.peer
            && let Some(session) = session.upgrade()
        {
            session.exit(from, self.pid, exit);
        }
    }

    /// Its stand-in has ended by itself, and is not to be told of its end.
    pub fn forget(&self, stand_in: Pid) {
        match &self.peer {
            Peer::Session(session) => {
                if let Some(session) = session.upgrade() {
                    session.forget(self.pid, stand_in);
                }
            }
            Peer::Legacy(peer) => {
                if let Some(peer) = peer.upgrade() {
                    peer.forget(self.pid, stand_in);
                }
            }
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.pid).finish()
    }
}
