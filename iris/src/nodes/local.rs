//! This runtime as its node sees it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use iris_core::{
    AskError, BoxFuture, Exit, ExitInfo, ExitReason, Host, Message, NodeNews, Payload, Pid, Reply,
    SendError, SystemMessage,
};
use iris_mesh::{Delivered, Local, NodeEvent, Remote};
use iris_sched::OverflowPolicy;
use iris_wire::frame::Refused;

use super::behaviors;
use super::stand_in::{self, StandIn};
use crate::runtime::{Runtime, RuntimeRef};

/// Bytes up to which a message is copied out of what the network has read: a slice would keep all
/// of that.
const COPIED: usize = 4 << 10;

/// A runtime, held weakly.
pub(super) struct Ours(RuntimeRef);

impl Ours {
    pub(super) fn new(runtime: RuntimeRef) -> Self {
        Self(runtime)
    }

    fn runtime(&self) -> Option<Runtime> {
        self.0.upgrade()
    }
}

fn payload(data: Bytes) -> Payload {
    if data.len() <= COPIED {
        Payload::copy_of(&data)
    } else {
        data.into()
    }
}

fn refused(error: &SendError) -> Refused {
    match error {
        SendError::Full { .. } | SendError::Timeout { .. } | SendError::WouldBlock { .. } => {
            Refused::Full
        }
        _ => Refused::NoPid,
    }
}

impl Local for Ours {
    fn deliver(&self, to: Pid, data: Bytes) -> Delivered {
        let Some(runtime) = self.runtime() else {
            return Delivered::Refused(Refused::NoPid);
        };
        match runtime.try_send_payload(to, payload(data)) {
            Ok(()) => Delivered::Done,
            Err(SendError::WouldBlock {
                message: Message::User(data),
                ..
            }) => Delivered::Wait(data),
            Err(error) => Delivered::Refused(refused(&error)),
        }
    }

    fn deliver_later(&self, to: Pid, data: Bytes) -> BoxFuture<Result<(), Refused>> {
        let runtime = self.runtime();
        Box::pin(async move {
            let Some(runtime) = runtime else {
                return Err(Refused::NoPid);
            };
            let sent = runtime.send_async(to, data).await;
            sent.map_err(|error| refused(&error))
        })
    }

    fn ask(&self, to: Pid, data: Bytes) -> Result<Reply, AskError> {
        let runtime = self.runtime().ok_or(AskError::Dead(to))?;
        let asked = runtime.ask(to, payload(data)).queued().begin()?;
        Ok(asked.into_reply())
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.runtime()?.inner().found(name)
    }

    fn is_named(&self, pid: Pid) -> bool {
        self.runtime().is_some_and(|runtime| {
            let (names, paths) = runtime.inner().registry.names_of(pid);
            !names.is_empty() || !paths.is_empty()
        })
    }

    fn names_of(&self, pid: Pid) -> Vec<String> {
        let runtime = self.runtime();
        let known = runtime.map(|runtime| runtime.inner().registry.names_of(pid));
        known.map_or_else(Vec::new, |(names, paths)| [names, paths].concat())
    }

    fn is_alive(&self, pid: Pid) -> bool {
        self.runtime().is_some_and(|runtime| runtime.is_alive(pid))
    }

    fn spawn(&self, behavior: &str, init: Bytes) -> Option<BoxFuture<Result<Pid, String>>> {
        let runtime = self.runtime()?;
        let mesh = &runtime.inner().mesh;
        let factory = {
            let known = mesh.behaviors.read();
            known
                .unwrap_or_else(PoisonError::into_inner)
                .get(behavior)?
                .clone()
        };
        let handle = runtime.inner().handle().clone();
        let made = handle.spawn_blocking(move || behaviors::make(&runtime, &*factory, init));
        Some(Box::pin(async move {
            let gone = |_| "the runtime was shut down".to_owned();
            made.await.map_err(gone).and_then(|made| made)
        }))
    }

    fn is_stand_in(&self, pid: Pid) -> bool {
        self.runtime()
            .is_some_and(|runtime| runtime.is_stand_in(pid))
    }

    fn watch(&self, target: Pid, watch: u64) {
        let Some(runtime) = self.runtime() else {
            return;
        };
        let mesh = &runtime.inner().mesh;
        {
            let mut watched = mesh.watched();
            watched.by_pid.entry(target).or_default().push(watch);
            watched.by_watch.insert(watch, target);
        }
        // SeqCst here and in `exited`: either the exit sees this, or this sees the end.
        mesh.watches.fetch_add(1, Ordering::SeqCst);
        if runtime.is_alive(target) {
            return;
        }
        // Unless its exit has told already.
        if mesh.unwatch(watch)
            && let Ok(node) = runtime.node()
        {
            node.local_down(watch, ExitReason::NoProc.into());
        }
    }

    fn unwatch(&self, watch: u64) {
        if let Some(runtime) = self.runtime() {
            runtime.inner().mesh.unwatch(watch);
        }
    }

    fn open_stand_in(&self, remote: Remote) -> Result<Pid, String> {
        let runtime = self.runtime().ok_or("the runtime has ended")?;
        let behavior = StandIn {
            remote,
            runtime: self.0.clone(),
        };
        let spawned = runtime
            .spawn(behavior)
            .capacity(stand_in::ROOM.get())
            .overflow(OverflowPolicy::Block);
        let pid = spawned.start();
        let pid = pid.map_err(|error| error.to_string())?;
        // An exit that is linked to it is for the remote process.
        runtime.trap_exit(pid, true);
        Ok(pid)
    }

    fn close_stand_in(&self, stand_in: Pid, exit: Exit) {
        if let Some(runtime) = self.runtime() {
            // Behind what it has yet to send, which will be dead letters if nobody takes it.
            Host::stop(runtime.inner(), stand_in, exit);
        }
    }

    fn exit_signal(&self, from: Option<Pid>, to: Pid, exit: Exit) {
        let Some(runtime) = self.runtime() else {
            return;
        };
        let from = from.unwrap_or(to);
        let info = ExitInfo {
            from,
            target: from,
            reason: exit.reason,
            metadata: exit.failure,
        };
        // A process that is gone needs to hear nothing.
        let message = Message::System(SystemMessage::Exit(info));
        drop(Host::send(runtime.inner(), to, message));
    }

    fn undelivered(&self, stand_in: Option<Pid>, data: Bytes) {
        if let Some(runtime) = self.runtime() {
            let nobody = Pid::from_raw(1).expect("not zero");
            let to = stand_in.unwrap_or(nobody);
            runtime.unreachable_letter(to, Message::User(data));
        }
    }

    fn node_event(&self, event: NodeEvent) {
        let Some(runtime) = self.runtime() else {
            return;
        };
        let by_itself = matches!(event, NodeEvent::Down { left: true, .. });
        let (news, node, detail) = match event {
            NodeEvent::Up { name, .. } => (NodeNews::Up, name, String::new()),
            NodeEvent::Down { name, reason, .. } => (NodeNews::Down, name, reason),
            NodeEvent::Stalled { name, age, .. } => (NodeNews::Stalled, name, format!("{age:?}")),
            NodeEvent::Moving { name, .. } => (NodeNews::Moving, name, String::new()),
            NodeEvent::Heartbeat { name, round_trip } => {
                if runtime.inner().mesh.counts_beats.load(Ordering::Relaxed) == 0 {
                    return;
                }
                let millis = round_trip.as_secs_f64() * 1e3;
                (NodeNews::Heartbeat, name, format!("{millis:.3} ms"))
            }
            NodeEvent::NameConflict {
                name,
                first,
                second,
            } => {
                let detail = format!("{first} and {second} have both registered {name:?}");
                (NodeNews::NameConflict, second, detail)
            }
            _ => return,
        };
        match news {
            NodeNews::Up => tracing::info!(%node, "a node is up"),
            NodeNews::Down if by_itself => tracing::info!(%node, "a node has left"),
            NodeNews::Down => tracing::warn!(%node, reason = %detail, "a node is down"),
            NodeNews::Stalled => tracing::warn!(%node, age = %detail, "a node's guest is stalled"),
            NodeNews::Moving => tracing::info!(%node, "a node's guest moves again"),
            NodeNews::Heartbeat => {}
            NodeNews::NameConflict => tracing::warn!(%detail, "two nodes have the same name"),
        }
        let message = SystemMessage::Node {
            news,
            node: node.into(),
            detail: detail.into(),
        };
        let mut listeners = runtime
            .inner()
            .mesh
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| {
            if news == NodeNews::Heartbeat && !listener.beats {
                return true;
            }
            let message = Message::System(message.clone());
            let heard = Host::send(runtime.inner(), listener.pid, message).is_ok();
            if !heard && listener.beats {
                runtime
                    .inner()
                    .mesh
                    .counts_beats
                    .fetch_sub(1, Ordering::Relaxed);
            }
            heard
        });
    }

    fn lane_age(&self) -> Duration {
        let Some(runtime) = self.runtime() else {
            return Duration::ZERO;
        };
        let age = runtime
            .inner()
            .mesh
            .lane_age
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        age.map_or(Duration::ZERO, |age| age())
    }
}
