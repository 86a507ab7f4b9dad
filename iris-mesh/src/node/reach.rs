//! How a node comes to a session with another: by dialling, or by what there is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iris_wire::NodeId;
use iris_wire::legacy::LegacyClient;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncGuard};
use tokio::time::{sleep, timeout};

use super::{Known, Shared};
use crate::admit::{self, Reached};
use crate::clock;
use crate::error::MeshError;
use crate::legacy::LegacyPeer;
use crate::session::{Halves, Session};

/// The first and the longest pause between two dials of a lost peer.
const REDIAL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

impl Shared {
    pub(crate) fn dialling(&self, node: NodeId) {
        self.lock().admissions.dialling(clock::now(), node);
    }

    pub(crate) fn dial_failed(&self, node: NodeId) {
        self.lock().admissions.dial_failed(node);
    }

    /// The session with a node whose own dial has won.
    pub(crate) async fn wait_for(&self, node: NodeId, address: &str) -> Result<Reached, MeshError> {
        let after = self.config.connect_timeout;
        let wait = async {
            loop {
                let met = self.met.notified();
                if let Some(session) = self.live_session(node) {
                    session.set_address(address);
                    return Reached::Session(session);
                }
                met.await;
            }
        };
        let timed_out = |_| MeshError::Timeout {
            address: address.to_owned(),
            after,
        };
        timeout(after, wait).await.map_err(timed_out)
    }

    /// The peer at an address, dialled if there is none.
    pub(super) async fn reach(self: &Arc<Self>, address: &str) -> Result<Reached, MeshError> {
        let entry = self.entry(address);
        let known = entry.lock().await;
        self.reach_from(address, known, &admit::AGAIN).await
    }

    /// As [`reach`](Self::reach), unless it is being dialled already.
    pub(crate) async fn reach_once(
        self: &Arc<Self>,
        address: &str,
    ) -> Option<Result<Arc<Session>, MeshError>> {
        let entry = self.entry(address);
        let known = entry.try_lock().ok()?;
        Some(match self.reach_from(address, known, &[]).await {
            Ok(Reached::Session(session)) => Ok(session),
            Ok(Reached::Legacy(_)) => Err(MeshError::OnlyLegacy {
                address: address.to_owned(),
            }),
            Err(error) => Err(error),
        })
    }

    fn entry(&self, address: &str) -> Arc<AsyncMutex<Option<Known>>> {
        let mut table = self.lock();
        let entry = table.addresses.entry(address.to_owned());
        entry.or_default().clone()
    }

    async fn reach_from(
        self: &Arc<Self>,
        address: &str,
        mut known: AsyncGuard<'_, Option<Known>>,
        again: &[Duration],
    ) -> Result<Reached, MeshError> {
        self.check_open()?;
        match &*known {
            Some(Known::Node(node)) => {
                if let Some(session) = self.live_session(*node) {
                    return Ok(Reached::Session(session));
                }
            }
            Some(Known::Legacy(peer)) if !peer.is_over() => {
                return Ok(Reached::Legacy(peer.clone()));
            }
            _ => {}
        }
        let reached = admit::dial(self, address, again).await?;
        *known = Some(match &reached {
            Reached::Session(session) => Known::Node(session.node()),
            Reached::Legacy(peer) => Known::Legacy(peer.clone()),
        });
        Ok(reached)
    }

    /// A peer that has declined the upgrade.
    pub(crate) fn legacy_peer(
        self: &Arc<Self>,
        address: &str,
        client: LegacyClient,
        halves: Halves,
    ) -> Arc<LegacyPeer> {
        LegacyPeer::new(self.clone(), address, client, halves)
    }

    /// Tries to reach a lost peer with the original packets again; `false` if that failed.
    pub(crate) async fn redial_legacy(self: &Arc<Self>, peer: &Arc<LegacyPeer>) -> bool {
        if self.closing.load(Ordering::Relaxed) {
            return false;
        }
        match admit::redial_legacy(self, peer.address()).await {
            Ok((client, halves)) => {
                peer.attach(client, halves);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a peer cannot be reached yet");
                false
            }
        }
    }

    /// Dials a peer again whose link is lost, until the session has one or is over.
    pub(crate) fn redial(self: &Arc<Self>, session: &Arc<Session>) {
        let node = session.node();
        self.lock().admissions.detached(node);
        if !session.begin_redials() {
            return;
        }
        let (shared, session) = (self.clone(), session.clone());
        self.spawn(async move {
            let mut pause = REDIAL.0;
            while !shared.closing.load(Ordering::Relaxed)
                && !session.is_over()
                && !session.is_open()
            {
                sleep(pause).await;
                pause = (2 * pause).min(REDIAL.1);
                let address = session.address();
                if address.is_empty() || session.is_open() || session.is_over() {
                    continue;
                }
                match admit::dial(&shared, &address, &[]).await {
                    // A node listens for as long as it lives.
                    Err(MeshError::Connect { cause, .. })
                        if cause.kind() == io::ErrorKind::ConnectionRefused =>
                    {
                        session.give_up(&format!("nobody listens at {address} any more"));
                    }
                    Err(error) => tracing::debug!(%error, "a peer cannot be reached yet"),
                    Ok(_) => {}
                }
            }
            // A link that is lost meanwhile is not for another task: the session is asked again.
            if session.end_redials() && !shared.closing.load(Ordering::Relaxed) {
                shared.redial(&session);
            }
        });
    }
}
