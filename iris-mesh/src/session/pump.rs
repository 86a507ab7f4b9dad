//! The tasks that carry a session's bytes and look at its clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use iris_wire::connection::LinkId;
use tokio::time::timeout_at;

use super::Session;
use crate::transport::{Sink, Source};

/// The two halves of a link.
pub(crate) type Halves = (Box<dyn Source>, Box<dyn Sink>);

/// Bytes of one write: what is not taken yet can still be overtaken.
const WRITE_BYTES: usize = 128 << 10;

/// How often a session without time-outs looks for questions that nobody waits for any more.
const SWEEP: Duration = Duration::from_secs(1);

/// Carries the peer's bytes in, until the link is lost.
pub(super) async fn read(session: Arc<Session>, link: LinkId, mut source: Box<dyn Source>) {
    loop {
        let received = source.receive().await;
        let now = Instant::now();
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

/// Carries this node's bytes out, until the link is lost.
pub(super) async fn write(session: Arc<Session>, link: LinkId, mut sink: Box<dyn Sink>) {
    let mut chunks = Vec::new();
    loop {
        let woken = session.output.notified();
        let (bytes, current, closed) = {
            let mut state = session.lock();
            let connection = &mut state.connection;
            let bytes = connection.poll_transmit(Instant::now(), link, WRITE_BYTES, &mut chunks);
            if bytes == 0 {
                // Before the lock is let go of: who sends next sees it.
                session.writer_sleeps.store(true, Ordering::Release);
            }
            let current = connection.link() == Some(link);
            let closed = connection.is_closed();
            session.set_clock(&mut state);
            (bytes, current, closed)
        };
        if bytes > 0 {
            if sink.send(&mut chunks).await.is_err() {
                session.lost(link, Instant::now());
                return;
            }
            continue;
        }
        // There may be room now.
        session.dispatch();
        if !current || closed {
            drop(sink.close().await);
            // Another link's writer may sleep on the same notice.
            session.output.notify_one();
            return;
        }
        woken.await;
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
            let sweep = Instant::now() + SWEEP;
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
