//! A link's first seconds: which protocol, and who is there.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iris_wire::NodeId;
use iris_wire::frame::ErrorCode;
use iris_wire::handshake::{Handshake, HandshakeConfig, HandshakeError, Progress, Role};
use iris_wire::legacy::{
    ClientConfig, ClientEvent, LegacyClient, LegacyServer, ServerConfig, ServerEvent, Sniff,
    Sniffed, UpgradeAnswer,
};
use iris_wire::limits::HANDSHAKE_TIMEOUT;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::error::MeshError;
use crate::gate::{Pass, Placed};
use crate::legacy::{self, LegacyPeer};
use crate::node::Shared;
use crate::session::{Halves, Session};
use crate::transport::{Incoming, Link};

/// The version of the framed protocol, as an upgrade announces it.
const UPGRADE: UpgradeAnswer = UpgradeAnswer {
    version: 2,
    flags: 0,
};

/// Who was reached.
#[derive(Clone)]
pub(crate) enum Reached {
    Session(Arc<Session>),
    Legacy(Arc<LegacyPeer>),
}

/// Why an accepted link came to nothing.
#[derive(Debug)]
enum Refused {
    Io(io::Error),
    Handshake(HandshakeError),
    Other(String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes an accepted link in, or closes it.
///
/// The task may be aborted at any point where it waits, for as long as the peer has not proved who
/// it is: its place is needed for another.
pub(crate) async fn accept(shared: Arc<Shared>, incoming: Incoming, pass: Pass) {
    let Incoming { from, open } = incoming;
    let greeted = async { greet(&shared, open.await?, pass).await };
    let admitted = timeout(HANDSHAKE_TIMEOUT, greeted).await;
    match admitted {
        Ok(Ok(None)) => {}
        // The original packets: as long as the dialler likes.
        Ok(Ok(Some(serve))) => legacy::serve(shared, serve).await,
        Ok(Err(Refused::Io(error))) => tracing::debug!(%from, %error, "a link was lost at once"),
        Ok(Err(Refused::Handshake(error))) => tracing::warn!(%from, %error, "a link was refused"),
        Ok(Err(Refused::Other(why))) => tracing::warn!(%from, %why, "a link was refused"),
        Err(_) => tracing::warn!(%from, "a link was refused: no introduction within 5 s"),
    }
}

/// What a link tells of the other end.
struct Proof {
    identity: Vec<String>,
    binding: Vec<u8>,
}

fn apart(link: Link) -> (Proof, Halves) {
    let proof = Proof {
        identity: link.identity,
        binding: link.binding,
    };
    (proof, (link.source, link.sink))
}

/// A dialler with the original packets.
pub(crate) struct Serve {
    pub(crate) server: LegacyServer,
    pub(crate) halves: Halves,
    pub(crate) pass: Pass,
    /// Notified when its place is needed for another.
    pub(crate) go: Arc<Notify>,
}

async fn greet(shared: &Arc<Shared>, link: Link, mut pass: Pass) -> Result<Option<Serve>, Refused> {
    let is_local = link.is_local;
    let (proof, mut halves) = apart(link);
    let mut sniff = Sniff::new();
    let sniffed = loop {
        let input = halves.0.receive().await?.ok_or_else(end_of_file)?;
        let sniffed = sniff.handle_input(input);
        if let Some(sniffed) = sniffed.map_err(|error| Refused::Other(error.to_string()))? {
            break sniffed;
        }
    };
    let rest = match sniffed {
        Sniffed::Framed(rest) => rest,
        Sniffed::Legacy(_, rest) => {
            let now = clock::now();
            let mut server = LegacyServer::new(now, ServerConfig::default());
            let legacy = |error: iris_wire::legacy::LegacyError| Refused::Other(error.to_string());
            server.handle_input(now, rest).map_err(legacy)?;
            // A probe comes first if it comes at all.
            match server.poll_event() {
                Some(ServerEvent::Probe { .. }) => {
                    let (answer, rest) = server.upgrade(UPGRADE);
                    halves.1.send(&mut vec![answer]).await?;
                    rest
                }
                first => {
                    shared.check_legacy(is_local).map_err(Refused::Other)?;
                    let Some(go) = pass.become_legacy() else {
                        return Ok(None);
                    };
                    legacy::first_event(shared, &mut server, first);
                    return Ok(Some(Serve {
                        server,
                        halves,
                        pass,
                        go,
                    }));
                }
            }
        }
    };
    framed_accept(shared, halves, rest, pass, &proof).await?;
    Ok(None)
}

fn end_of_file() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

async fn framed_accept(
    shared: &Arc<Shared>,
    mut halves: Halves,
    rest: Bytes,
    mut pass: Pass,
    proof: &Proof,
) -> Result<(), Refused> {
    let config = shared.handshake(&proof.binding);
    let made = Handshake::accept(clock::now(), config.clone(), shared.nonce());
    let mut handshake = made.map_err(|error| Refused::Other(error.to_string()))?;
    let mut input = rest;
    loop {
        let progress = handshake.handle_input(clock::now(), input);
        match progress {
            Err(error) => {
                say(&mut handshake, &mut halves).await?;
                return Err(Refused::Handshake(error));
            }
            Ok(Progress::Proven(peer)) => {
                // From here on the task is not aborted.
                if !pass.become_session() {
                    return Ok(());
                }
                let identity = shared.identify(&proof.identity, &peer);
                if let Err(why) = shared.vet(peer.node_id, &identity) {
                    shared.denied();
                    let why = format!("you are {identity}, {why}");
                    tracing::warn!(peer = %identity, %why, "a link was refused");
                    handshake.refuse(ErrorCode::Auth, why);
                    say(&mut handshake, &mut halves).await?;
                    return Ok(());
                }
                let admission = shared.admit(peer.node_id, peer.incarnation, Role::Acceptor);
                let admission = match admission {
                    Ok(admission) => admission,
                    Err(refusal) => {
                        handshake.refuse(refusal.code(), refusal.to_string());
                        say(&mut handshake, &mut halves).await?;
                        return Ok(());
                    }
                };
                let link = handshake.admit().expect("the dialler has proved itself");
                let mut attaching = Undo::new(shared, Shared::not_attached);
                attaching.node = Some(link.peer.node_id);
                say(&mut handshake, &mut halves).await?;
                let session = shared.session_for(admission, &config, &link.peer, identity, None);
                let Some(session) = session else {
                    return Ok(());
                };
                let (source, sink) = halves;
                let source = Box::new(Placed {
                    source,
                    _pass: pass,
                });
                session.attach(link, (source, sink));
                attaching.node = None;
                return Ok(());
            }
            Ok(_) => say(&mut handshake, &mut halves).await?,
        }
        input = halves.0.receive().await?.ok_or_else(end_of_file)?;
    }
}

/// Sends what the handshake has to say.
async fn say(handshake: &mut Handshake, halves: &mut Halves) -> io::Result<()> {
    let bytes = handshake.poll_transmit();
    if bytes.is_empty() {
        return Ok(());
    }
    halves.1.send(&mut vec![bytes]).await
}

/// Dials an address; whoever answers there is a peer from then on. With `again` pauses, after each of
/// which a link that was cut short is dialled again; who comes back by itself needs none.
pub(crate) async fn dial(
    shared: &Arc<Shared>,
    address: &str,
    again: &[Duration],
) -> Result<Reached, MeshError> {
    let after = shared.config.connect_timeout;
    let failed = |cause| MeshError::Connect {
        address: address.to_owned(),
        cause,
    };
    let once = async || {
        let link = shared.transport.connect(address).await.map_err(failed)?;
        let (proof, halves) = apart(link);
        if shared.transport.is_secure() || shared.config.secret.is_some() {
            // Nothing else would do, and who answers otherwise is none of ours.
            return framed_dial(shared, address, halves, Bytes::new(), &proof).await;
        }
        upgrade(shared, address, halves, &proof).await
    };
    let all = async {
        for &pause in again {
            match once().await {
                Err(error) if was_cut_short(&error) => {
                    tracing::debug!(%address, %error, "dialled again");
                    // Those that were turned away together do not come back together.
                    let part = u32::from(shared.nonce()[0]) + 1;
                    sleep(pause * part / 256).await;
                }
                done => return done,
            }
        }
        once().await
    };
    within(address, after, all).await
}

/// The longest pauses before the dials of a peer that closes a link without a word: it has no place
/// for so many at once, or is about to end.
pub(crate) const AGAIN: [Duration; 8] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
    Duration::from_secs(1),
];

/// Whether a link was closed before both knew each other, without a reason.
fn was_cut_short(error: &MeshError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let MeshError::Connect { cause, .. } = error else {
        return false;
    };
    matches!(
        cause.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

async fn within<T>(
    address: &str,
    after: Duration,
    work: impl Future<Output = Result<T, MeshError>>,
) -> Result<T, MeshError> {
    match timeout(after, work).await {
        Ok(done) => done,
        Err(_) => Err(MeshError::Timeout {
            address: address.to_owned(),
            after,
        }),
    }
}

/// A new connection to a peer that speaks the original packets only.
pub(crate) async fn redial_legacy(
    shared: &Arc<Shared>,
    address: &str,
) -> Result<(LegacyClient, Halves), MeshError> {
    let failed = |cause| MeshError::Connect {
        address: address.to_owned(),
        cause,
    };
    let connect = async {
        let link = shared.transport.connect(address).await.map_err(failed)?;
        let config = ClientConfig {
            dialect: shared.config.dialect,
            ..ClientConfig::default()
        };
        let client = LegacyClient::new(clock::now(), config);
        Ok((client, (link.source, link.sink)))
    };
    within(address, shared.config.connect_timeout, connect).await
}

/// Asks a peer in the original packets whether it can do better.
async fn upgrade(
    shared: &Arc<Shared>,
    address: &str,
    mut halves: Halves,
    proof: &Proof,
) -> Result<Reached, MeshError> {
    let failed = |cause| MeshError::Connect {
        address: address.to_owned(),
        cause,
    };
    let config = ClientConfig {
        dialect: shared.config.dialect,
        ..ClientConfig::default()
    };
    let mut client = LegacyClient::new(clock::now(), config);
    client.probe(clock::now(), &shared.hello_lite());
    let mut chunks = Vec::new();
    client.poll_transmit(&mut chunks);
    halves.1.send(&mut chunks).await.map_err(failed)?;
    loop {
        let input = halves.0.receive().await.map_err(failed)?;
        let input = input.ok_or_else(|| failed(end_of_file()))?;
        let read = client.handle_input(clock::now(), &input);
        read.map_err(|cause| MeshError::Legacy {
            address: address.to_owned(),
            cause,
        })?;
        match client.poll_event() {
            Some(ClientEvent::Upgraded(_)) => {
                let rest = client.into_rest();
                return framed_dial(shared, address, halves, rest, proof).await;
            }
            Some(_) => {
                let peer = shared.legacy_peer(address, client, halves);
                return Ok(Reached::Legacy(peer));
            }
            None => {}
        }
    }
}

async fn framed_dial(
    shared: &Arc<Shared>,
    address: &str,
    mut halves: Halves,
    rest: Bytes,
    proof: &Proof,
) -> Result<Reached, MeshError> {
    let io = |cause| MeshError::Connect {
        address: address.to_owned(),
        cause,
    };
    let handshake_failed = |cause| MeshError::Handshake {
        address: address.to_owned(),
        cause,
    };
    let config: HandshakeConfig = shared.handshake(&proof.binding);
    let made = Handshake::dial(clock::now(), config.clone(), shared.nonce());
    let mut handshake = made.map_err(|error| handshake_failed(error.into()))?;
    say(&mut handshake, &mut halves).await.map_err(io)?;
    let mut input = rest;
    // Also if the dial is given up: a dial that counts as under way keeps the peer's own out.
    let mut dialling = Undo::new(shared, Shared::dial_failed);
    loop {
        if !input.is_empty() {
            let progress = handshake.handle_input(clock::now(), input);
            if dialling.node.is_none()
                && let Some(peer) = handshake.peer()
            {
                dialling.node = Some(peer.node_id);
                shared.dialling(peer.node_id);
            }
            match progress {
                Err(error) => {
                    drop(say(&mut handshake, &mut halves).await);
                    let met = dialling.node;
                    drop(dialling);
                    if let Some(node) = met.filter(|_| is_duplicate(&error)) {
                        // Its own dial has won: that link is the one to use.
                        return shared.wait_for(node, address).await;
                    }
                    return Err(handshake_failed(error));
                }
                Ok(Progress::Done(link)) => {
                    let peer = link.peer.clone();
                    let identity = shared.identify(&proof.identity, &peer);
                    let refused = |why: &str| MeshError::Refused {
                        address: address.to_owned(),
                        peer: identity.to_string(),
                        why: why.to_owned(),
                    };
                    if let Err(why) = shared.vet(peer.node_id, &identity) {
                        shared.denied();
                        return Err(refused(why));
                    }
                    return match shared.admit(peer.node_id, peer.incarnation, Role::Dialler) {
                        Ok(admission) => {
                            let mut attaching = Undo::new(shared, Shared::not_attached);
                            attaching.node = Some(peer.node_id);
                            say(&mut handshake, &mut halves).await.map_err(io)?;
                            let who = identity.clone();
                            let session =
                                shared.session_for(admission, &config, &peer, who, Some(address));
                            let session = session
                                .ok_or_else(|| refused("which somebody else has proved to be"))?;
                            session.attach(*link, halves);
                            attaching.node = None;
                            Ok(Reached::Session(session))
                        }
                        Err(_) => shared.wait_for(peer.node_id, address).await,
                    };
                }
                Ok(_) => say(&mut handshake, &mut halves).await.map_err(io)?,
            }
        }
        let received = halves.0.receive().await.map_err(io)?;
        input = received.ok_or_else(|| io(end_of_file()))?;
    }
}

/// Takes back what was noted of a node, unless the node is taken out before.
struct Undo<'a> {
    shared: &'a Shared,
    node: Option<NodeId>,
    how: fn(&Shared, NodeId),
}

impl<'a> Undo<'a> {
    fn new(shared: &'a Shared, how: fn(&Shared, NodeId)) -> Self {
        let node = None;
        Self { shared, node, how }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.node {
            (self.how)(self.shared, node);
        }
    }
}

fn is_duplicate(error: &HandshakeError) -> bool {
    matches!(
        error,
        HandshakeError::Refused {
            code: ErrorCode::Duplicate,
            ..
        }
    )
}
