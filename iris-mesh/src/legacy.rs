//! A peer that speaks the original packets: no acknowledgement, no monitors, one connection each
//! way.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use iris_core::{ExitReason, Pid};
use iris_wire::Name;
use iris_wire::legacy::{
    ClientEvent, LegacyClient, LegacySendError, LegacyServer, ServerEvent, Ticket,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout_at};

use crate::acl::Identity;
use crate::admit::Serve;
use crate::clock;
use crate::local::{Delivered, NodeEvent};
use crate::node::Shared;
use crate::remote::{Remote, Unsent};
use crate::session::Halves;
use crate::transport::{Sink, Source};

/// Pauses before the attempts to reach a lost peer again; after the last it is gone.
const REDIALS: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_secs(1),
];

/// The dialled side of a peer.
pub(crate) struct LegacyPeer {
    shared: Arc<Shared>,
    address: String,
    state: Mutex<State>,
    output: Notify,
    writer_sleeps: AtomicBool,
    room: Notify,
}

struct State {
    /// `None` while the connection is lost.
    client: Option<LegacyClient>,
    /// Counts connections: tasks of an earlier one end.
    link: u64,
    stand_ins: HashMap<Pid, Pid>,
    resolving: HashMap<Ticket, oneshot::Sender<Option<Pid>>>,
    over: bool,
}

impl LegacyPeer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        address: &str,
        client: LegacyClient,
        halves: Halves,
    ) -> Arc<Self> {
        let peer = Arc::new(Self {
            shared,
            address: address.to_owned(),
            state: Mutex::new(State {
                client: None,
                link: 0,
                stand_ins: HashMap::new(),
                resolving: HashMap::new(),
                over: false,
            }),
            output: Notify::new(),
            writer_sleeps: AtomicBool::new(false),
            room: Notify::new(),
        });
        peer.attach(client, halves);
        if let Some(local) = peer.shared.local() {
            local.node_event(NodeEvent::Up {
                node: None,
                name: address.to_owned(),
            });
        }
        peer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Whether there is a connection now.
    pub(crate) fn is_connected(&self) -> bool {
        self.lock().client.is_some()
    }

    /// Goes on with a new connection.
    pub(crate) fn attach(self: &Arc<Self>, client: LegacyClient, (source, sink): Halves) {
        let link = {
            let mut state = self.lock();
            state.client = Some(client);
            state.link += 1;
            state.link
        };
        self.shared.spawn(self.clone().read(link, source));
        self.shared.spawn(self.clone().write(link, sink));
        self.room.notify_waiters();
        self.wake();
    }

    fn wake(&self) {
        if self.writer_sleeps.swap(false, Ordering::AcqRel) {
            self.output.notify_one();
        }
    }

    /// Sends to a process of the peer.
    pub(crate) fn send(&self, to: Pid, data: Bytes) -> Result<(), Unsent> {
        let mut state = self.lock();
        if state.over {
            return Err(Unsent::Closed(data));
        }
        let Some(client) = &mut state.client else {
            return Err(Unsent::WouldBlock(data));
        };
        match client.send(clock::now(), to, data) {
            Ok(()) => {
                drop(state);
                self.wake();
                Ok(())
            }
            Err(LegacySendError::TooLong { data, limit }) => Err(Unsent::TooLong { data, limit }),
            Err(LegacySendError::WouldBlock { data }) => Err(Unsent::WouldBlock(data)),
        }
    }

    pub(crate) async fn writable(&self) {
        let room = self.room.notified();
        if self.is_over() {
            return;
        }
        room.await;
    }

    /// Who has this name at the peer.
    pub(crate) async fn resolve(&self, name: &Name) -> Option<Option<Pid>> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            let ticket = state.client.as_mut()?.resolve(clock::now(), name);
            state.resolving.insert(ticket, answer);
        }
        self.wake();
        answered.await.ok()
    }

    /// The local process that stands for one of the peer's.
    pub(crate) fn stand_in(self: &Arc<Self>, pid: Pid) -> Result<Pid, String> {
        let local = self.shared.local().ok_or("the runtime is gone")?;
        let mut state = self.lock();
        if state.over {
            return Err(format!("the connection to {} is over", self.address));
        }
        if let Some(&known) = state.stand_ins.get(&pid) {
            return Ok(known);
        }
        let stand_in = local.open_stand_in(Remote::of_legacy(self, pid))?;
        state.stand_ins.insert(pid, stand_in);
        Ok(stand_in)
    }

    pub(crate) fn forget(&self, pid: Pid, stand_in: Pid) {
        let mut state = self.lock();
        if state.stand_ins.get(&pid) == Some(&stand_in) {
            state.stand_ins.remove(&pid);
        }
    }

    async fn read(self: Arc<Self>, link: u64, mut source: Box<dyn Source>) {
        loop {
            let due = {
                let state = self.lock();
                match &state.client {
                    Some(client) if state.link == link => client.poll_timeout(),
                    _ => return,
                }
            };
            // A receive that is given up has taken nothing.
            let received = timeout_at(due.into(), source.receive()).await;
            let now = clock::now();
            let mut events = Vec::new();
            let alive = {
                let mut state = self.lock();
                let State {
                    client,
                    link: current,
                    ..
                } = &mut *state;
                let Some(client) = client.as_mut().filter(|_| *current == link) else {
                    return;
                };
                let alive = match received {
                    Err(_) => client.handle_timeout(now).is_ok(),
                    Ok(Ok(Some(bytes))) => client.handle_input(now, &bytes).is_ok(),
                    Ok(_) => false,
                };
                while let Some(event) = client.poll_event() {
                    events.push(event);
                }
                alive
            };
            for event in events {
                if let ClientEvent::Resolved { ticket, pid } = event {
                    let waiting = self.lock().resolving.remove(&ticket);
                    if let Some(waiting) = waiting {
                        let _ = waiting.send(pid);
                    }
                }
            }
            if !alive {
                return self.lost(link);
            }
            self.room.notify_waiters();
            self.wake();
        }
    }

    async fn write(self: Arc<Self>, link: u64, mut sink: Box<dyn Sink>) {
        let mut chunks = Vec::new();
        loop {
            let woken = self.output.notified();
            {
                let mut state = self.lock();
                let State {
                    client,
                    link: current,
                    ..
                } = &mut *state;
                let Some(client) = client.as_mut().filter(|_| *current == link) else {
                    // Another link's writer may sleep on the same notice.
                    self.output.notify_one();
                    return;
                };
                client.poll_transmit(&mut chunks);
                if chunks.is_empty() {
                    self.writer_sleeps.store(true, Ordering::Release);
                }
            }
            if chunks.is_empty() {
                woken.await;
            } else if sink.send(&mut chunks).await.is_err() {
                return self.lost(link);
            }
        }
    }

    /// The connection is lost: what nobody has confirmed is reported, and the peer dialled again.
    fn lost(self: &Arc<Self>, link: u64) {
        let lost = {
            let mut state = self.lock();
            if state.link != link {
                return;
            }
            state.resolving.clear();
            let client = state.client.take();
            client.map(|client| (client, state.stand_ins.clone()))
        };
        let Some((client, stand_ins)) = lost else {
            return;
        };
        self.output.notify_one();
        if let Some(local) = self.shared.local() {
            for (pid, data) in client.into_unconfirmed() {
                local.undelivered(stand_ins.get(&pid).copied(), data);
            }
        }
        let peer = self.clone();
        self.shared.spawn(async move {
            for pause in REDIALS {
                sleep(pause).await;
                if peer.shared.redial_legacy(&peer).await {
                    return;
                }
            }
            peer.end("it cannot be reached any more");
        });
    }

    /// Where it is dialled.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Nobody reaches it any more.
    pub(crate) fn end(&self, reason: &str) {
        let stand_ins = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.over, true) {
                return;
            }
            state.client = None;
            state.resolving.clear();
            std::mem::take(&mut state.stand_ins)
        };
        let Some(local) = self.shared.local() else {
            return;
        };
        for stand_in in stand_ins.into_values() {
            local.close_stand_in(stand_in, ExitReason::NoConnection.into());
        }
        local.node_event(NodeEvent::Down {
            node: None,
            name: self.address.clone(),
            reason: reason.to_owned(),
            left: false,
        });
        self.room.notify_waiters();
        self.output.notify_one();
    }
}

/// Serves a dialler until it leaves.
pub(crate) async fn serve(shared: Arc<Shared>, serve: Serve) {
    let Serve {
        mut server,
        halves: (mut source, mut sink),
        mut pass,
        go,
    } = serve;
    loop {
        while let Some(event) = server.poll_event() {
            pass.heard();
            handle(&shared, &mut server, event).await;
        }
        // It goes only here, where all that has come is delivered.
        let reply = server.poll_transmit();
        if !reply.is_empty() {
            let due = server.poll_timeout().into();
            let mut chunks = vec![reply];
            // Who asks and does not read the answers is not waited for either.
            let sent = timeout_at(due, unless(&go, sink.send(&mut chunks))).await;
            if !matches!(sent, Ok(Some(Ok(())))) {
                return;
            }
        }
        let due = server.poll_timeout().into();
        let received = timeout_at(due, unless(&go, source.receive())).await;
        let now = clock::now();
        let read = match received {
            Err(_) => server.handle_timeout(now),
            Ok(Some(Ok(Some(bytes)))) => server.handle_input(now, bytes),
            Ok(_) => return,
        };
        if let Err(error) = read {
            tracing::warn!(%error, "a link with the original packets was closed");
            return;
        }
    }
}

/// Does `work` unless it is told to go: `None`.
async fn unless<T>(go: &Notify, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut go) = (pin!(work), pin!(go.notified()));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => go.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// What came before the link was known to be one of the original packets.
pub(crate) fn first_event(
    shared: &Arc<Shared>,
    server: &mut LegacyServer,
    event: Option<ServerEvent>,
) {
    if let Some(ServerEvent::Resolve { ticket, name }) = event {
        resolve(shared, server, ticket, &name);
    } else if let Some(ServerEvent::User { pid, data }) = event
        && let Some(waiting) = deliver(shared, pid, data)
    {
        shared.spawn(waiting);
    }
}

async fn handle(shared: &Arc<Shared>, server: &mut LegacyServer, event: ServerEvent) {
    match event {
        ServerEvent::Resolve { ticket, name } => resolve(shared, server, ticket, &name),
        ServerEvent::User { pid, data } => {
            if let Some(waiting) = deliver(shared, pid, data) {
                // There are no credits: the dialler waits with the mailbox, in the kernel.
                waiting.await;
            }
        }
        // Too late for an upgrade: what follows may be packets already.
        ServerEvent::Probe { ticket, .. } => drop(server.answer(ticket, None)),
        _ => {}
    }
}

fn resolve(shared: &Arc<Shared>, server: &mut LegacyServer, ticket: Ticket, name: &Name) {
    let allowed = shared.guard.rights(&Identity::NOBODY).resolve;
    let found = shared.local().and_then(|local| {
        if !allowed.includes(name.as_str()) {
            shared.denied();
            return None;
        }
        let pid = local.whereis(name.as_str())?;
        shared.exports.give(&*local, pid);
        Some(pid)
    });
    // What waits behind it is looked at with the next input.
    let _ = server.answer(ticket, found);
}

/// A message of a dialler; the rest of the delivery if there is no room.
fn deliver(
    shared: &Arc<Shared>,
    pid: Option<Pid>,
    data: Bytes,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let local = shared.local()?;
    let Some(pid) = pid else {
        local.undelivered(None, data);
        return None;
    };
    let rights = shared.guard.rights(&Identity::NOBODY);
    if !rights.reach(|| local.names_of(pid)) || !shared.exports.allows(&*local, pid) {
        shared.denied();
        return None;
    }
    match local.deliver(pid, data) {
        Delivered::Done => None,
        Delivered::Refused(why) => {
            tracing::debug!(pid = pid.raw(), ?why, "a message was not delivered");
            // The original packets have no way to tell the sender.
            local.undelivered(Some(pid), Bytes::new());
            None
        }
        Delivered::Wait(data) => {
            let later = local.deliver_later(pid, data);
            Some(async move {
                if later.await.is_err() {
                    local.undelivered(Some(pid), Bytes::new());
                }
            })
        }
    }
}
