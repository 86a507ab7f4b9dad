//! The tasks that carry a session's bytes and look at its clock.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris_wire::connection::LinkId;
use tokio::select;
use tokio::time::{timeout, timeout_at};

use super::Session;
use crate::clock;
use crate::linger;
use crate::transport::{Sink, Source};

/// The two halves of a link.
pub(crate) type Halves = (Box<dyn Source>, Box<dyn Sink>);

/// Bytes of one write: what is not taken yet can still be overtaken.
const WRITE_BYTES: usize = 128 << 10;

/// What is sent so soon after another is not alone: a system call for each would cost more than
/// the writer's wake.
const ALONE: Duration = Duration::from_micros(30);

/// How often a session without time-outs looks for questions that nobody waits for any more.
const SWEEP: Duration = Duration::from_secs(1);

/// For how long a link that is not in use any more may take to say so.
const GOODBYE: Duration = Duration::from_secs(1);

/// Carries the peer's bytes in, until the link is lost.
pub(super) async fn read(session: Arc<Session>, link: LinkId, mut source: Box<dyn Source>) {
    let mut gone = pin!(gone(&session, link));
    loop {
        let received = select! {
            biased;
            received = source.receive() => received,
            // Without this a peer that has vanished would keep the socket for ever.
            () = &mut gone => return,
        };
        let now = clock::now();
        let Ok(Some(bytes)) = received else {
            session.lost(link, now);
            return;
        };
        let current = {
            let mut state = session.lock();
            let current = state.connection.link() == Some(link);
            if current {
                state.connection.handle_input(now, link, bytes);
                session.set_clock(&mut state);
            }
            current
        };
        if !current {
            return;
        }
        session.dispatch();
        session.wake_writer();
    }
}

/// A link's way out.
pub(super) struct Outlet {
    link: LinkId,
    sink: Box<dyn Sink>,
    /// Taken out of the connection, and not sent yet.
    chunks: Vec<Bytes>,
    /// When somebody else than the writer has sent last.
    used: Option<Instant>,
}

/// Carries this node's bytes out, until the link is lost. While it sleeps the outlet lies in the
/// session, for [`Session::write_now`].
///
/// ```text
///            nothing to send: flag up, outlet in the session
///   awake ---------------------------------------------------> asleep
///     ^      wake_writer: flag down, notice                      |  write_now: flag down,
///     '----------------------------------------------------------'  sends, flag up again
/// ```
///
/// Whoever takes the flag down has the duty to send, or to have the writer do it. It goes up under
/// the session's lock and with nothing to send, so that who adds something sees it.
pub(super) async fn write(session: Arc<Session>, link: LinkId, sink: Box<dyn Sink>) {
    let mut outlet = Outlet {
        link,
        sink,
        chunks: Vec::new(),
        used: None,
    };
    let mut gone = pin!(gone(&session, link));
    loop {
        let woken = session.output.notified();
        let (current, closed) = outlet.fill(&session);
        if !outlet.chunks.is_empty() {
            let sent = select! {
                biased;
                sent = outlet.sink.send(&mut outlet.chunks) => sent,
                () = &mut gone => return session.output.notify_one(),
            };
            if sent.is_err() {
                session.lost(link, clock::now());
                return;
            }
            continue;
        }
        // There may be room now.
        session.dispatch();
        if !current || closed {
            drop(timeout(GOODBYE, outlet.sink.close()).await);
            // Another link's writer may sleep on the same notice.
            session.output.notify_one();
            return;
        }
        if !session.park(outlet) {
            // A newer link's is there.
            session.output.notify_one();
            return;
        }
        woken.await;
        let mine = session.outlet().take_if(|outlet| outlet.link == link);
        let Some(mine) = mine else {
            // The outlet of a newer link is in its place.
            session.output.notify_one();
            return;
        };
        outlet = mine;
    }
}

impl Outlet {
    /// Takes what is to be sent, if all from before has left: whether the link is the session's,
    /// and whether the session is closed.
    fn fill(&mut self, session: &Session) -> (bool, bool) {
        let mut state = session.lock();
        let connection = &mut state.connection;
        if self.chunks.is_empty() {
            let now = clock::now();
            let bytes = connection.poll_transmit(now, self.link, WRITE_BYTES, &mut self.chunks);
            if bytes == 0 {
                session.writer_sleeps.store(true, Ordering::Release);
            }
        }
        let current = connection.link() == Some(self.link);
        let closed = connection.is_closed();
        session.set_clock(&mut state);
        (current, closed)
    }
}

impl Session {
    /// Closes the way out, if its writer sleeps or has ended.
    pub(crate) fn drop_outlet(&self) {
        let outlet = self.outlet().take();
        drop(outlet);
    }

    /// Leaves a way out for others to use; `false` if that of a newer link is there.
    fn park(&self, outlet: Outlet) -> bool {
        let mut place = self.outlet();
        if place.as_ref().is_some_and(|other| other.link > outlet.link) {
            return false;
        }
        *place = Some(outlet);
        true
    }

    fn outlet(&self) -> MutexGuard<'_, Option<Outlet>> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what there is on the calling thread if the writer sleeps: a lone question or answer is
    /// spared the way through another thread. What comes in quick succession the writer sends
    /// together.
    pub(super) fn write_now(&self) {
        linger::stay(&self.shared);
        if !self.writer_sleeps.load(Ordering::Acquire)
            || !self.writer_sleeps.swap(false, Ordering::AcqRel)
        {
            return;
        }
        if !self.try_write() {
            self.output.notify_one();
        }
    }

    /// Whether all is sent, and the writer may sleep on.
    fn try_write(&self) -> bool {
        let Ok(mut place) = self.outlet.try_lock() else {
            return false;
        };
        let Some(outlet) = place.as_mut() else {
            return false;
        };
        let now = clock::now();
        let since = outlet.used.map(|used| now.saturating_duration_since(used));
        if since.is_some_and(|since| since < ALONE) {
            return false;
        }
        outlet.used = Some(now);
        // Once with what there is, and once to find that there is no more.
        for _ in 0..2 {
            let (current, closed) = outlet.fill(self);
            if !current || closed {
                return false;
            }
            if outlet.chunks.is_empty() {
                return true;
            }
            if !outlet.sink.try_send(&mut outlet.chunks) {
                return false;
            }
        }
        false
    }
}

/// Completes once a link is not the one in use any more.
async fn gone(session: &Session, link: LinkId) {
    loop {
        let relinked = session.relinked.notified();
        if session.lock().connection.link() != Some(link) {
            return;
        }
        relinked.await;
    }
}

/// Looks at the clock for a session, until it is over.
pub(super) async fn watch_clock(session: Arc<Session>) {
    loop {
        let changed = session.timer.notified();
        let due = {
            let mut state = session.lock();
            if state.over {
                return;
            }
            let sweep = clock::now() + SWEEP;
            let due = state.connection.poll_timeout();
            let due = due.map_or(sweep, |due| due.min(sweep));
            state.clock_due = Some(due);
            due
        };
        if timeout_at(due.into(), changed).await.is_err() {
            session.on_time();
        } else {
            session.dispatch();
        }
    }
}
