//! Membership by presence: members announce themselves on a subject of the cluster.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subject};
use async_trait::async_trait;
use iris_wire::NodeId;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Inner;
use super::client::{Client, next};
use super::packet::Packet;
use super::roster::Roster;
use crate::membership::{Action, Member, Membership};

/// How long an announcement may wait to be taken by the client.
const TAKEN: Duration = Duration::from_secs(1);

/// Everybody says each beat (with more than 64 members less often) that it lives; who has not been
/// heard for four times that, or has said goodbye, is down. Who comes asks who is there. A node that
/// does not hear itself declares nobody down: it hears nobody then.
///
/// No seeds are needed. Members are those of the cluster that [`NatsConfig`](super::NatsConfig)
/// names; links between them may go through NATS or another way.
pub struct NatsPresence {
    nats: Arc<Inner>,
    /// To its task; closed when this node leaves.
    words: Option<mpsc::UnboundedSender<()>>,
    /// What the task wants done.
    tell: mpsc::UnboundedSender<Action>,
    actions: mpsc::UnboundedReceiver<Action>,
}

impl NatsPresence {
    pub(super) fn new(nats: Arc<Inner>) -> Self {
        let (tell, actions) = mpsc::unbounded_channel();
        Self {
            nats,
            words: None,
            tell,
            actions,
        }
    }
}

impl fmt::Debug for NatsPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsPresence").finish_non_exhaustive()
    }
}

#[async_trait]
impl Membership for NatsPresence {
    fn join(&mut self, own: &Member, _: Vec<String>, beat: Duration) {
        if self.words.is_none() {
            let (words, heard) = mpsc::unbounded_channel();
            self.words = Some(words);
            let present = Present {
                nats: self.nats.clone(),
                own: own.clone(),
                beat,
                roster: Roster::default(),
                tell: self.tell.clone(),
                words: heard,
            };
            // A task of its own: what `next` waits for may be dropped at any time.
            tokio::spawn(present.run());
        }
    }

    fn met(&mut self, _: Member) {}

    fn lost(&mut self, _: NodeId) {
        // Who is present can be reached again.
    }

    fn handle_packet(&mut self, _: &[u8]) {}

    fn leave(&mut self) -> Vec<Action> {
        // Its task says goodbye.
        self.words = None;
        Vec::new()
    }

    async fn next(&mut self) -> Action {
        match self.actions.recv().await {
            Some(action) => action,
            None => std::future::pending().await,
        }
    }
}

/// This node, present.
struct Present {
    nats: Arc<Inner>,
    own: Member,
    beat: Duration,
    roster: Roster,
    tell: mpsc::UnboundedSender<Action>,
    /// Says nothing, and closes when this node leaves.
    words: mpsc::UnboundedReceiver<()>,
}

/// Why a client is not heard any more.
enum Over {
    Left,
    Lost,
}

impl Present {
    async fn run(mut self) {
        loop {
            match self.listen().await {
                Ok(Over::Left) => return,
                Ok(Over::Lost) => {}
                Err(error) => tracing::warn!(%error, "nobody in the mesh is heard"),
            }
            select! {
                () = sleep(self.beat) => {}
                // There is nobody whom this node could tell that it leaves.
                _ = self.words.recv() => return,
            }
        }
    }

    /// Announces this node and hears others, for as long as there is a client.
    async fn listen(&mut self) -> io::Result<Over> {
        let client = self.nats.client().await?;
        let mut all = client.subscribe(client.subjects.presence()).await?;
        // Where those answer that this node asks.
        let own = client.subjects.link()?;
        let mut answers = client.subscribe(own.clone()).await?;
        let mut life = client.life();
        let mut lost = life.borrow_and_update().lost;
        self.announce(&client, Some(&own)).await;
        let mut due = Instant::now() + self.roster.pause(self.beat);
        loop {
            select! {
                message = next(&mut all) => match message {
                    Some(message) => self.hear(&client, message).await,
                    None => return Ok(Over::Lost),
                },
                message = next(&mut answers) => match message {
                    Some(message) => self.hear(&client, message).await,
                    None => return Ok(Over::Lost),
                },
                changed = life.changed() => {
                    let (up, now_lost) = {
                        let life = life.borrow_and_update();
                        (life.up, life.lost)
                    };
                    if changed.is_err() {
                        return Ok(Over::Lost);
                    }
                    if up && lost != now_lost {
                        lost = now_lost;
                        self.announce(&client, Some(&own)).await;
                    }
                }
                () = sleep_until(due) => {
                    due = Instant::now() + self.roster.pause(self.beat);
                    // Without a connection it would come too late.
                    if life.borrow().up {
                        self.announce(&client, None).await;
                    }
                }
                _ = self.words.recv() => {
                    let (node, incarnation) = (self.own.node, self.own.incarnation);
                    let bye = Packet::Bye { node, incarnation };
                    publish(&client, client.subjects.presence(), None, &bye).await;
                    return Ok(Over::Left);
                }
            }
        }
    }

    fn want(&self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            // Nobody hears it any more when the node is gone.
            let _ = self.tell.send(action);
        }
    }

    async fn hear(&mut self, client: &Client, message: Message) {
        match Packet::decode(message.payload) {
            Some(Packet::Alive { member, .. }) if member == self.own => {
                let actions = self.roster.heard_oneself(Instant::now(), self.beat);
                self.want(actions);
            }
            Some(Packet::Alive { member, pause }) if member.node != self.own.node => {
                let actions = self.roster.alive(Instant::now(), member, pause);
                self.want(actions);
                if let Some(asks) = message.reply {
                    let alive = self.alive();
                    publish(client, asks, None, &alive).await;
                }
            }
            Some(Packet::Bye { node, incarnation }) if node != self.own.node => {
                let action = self.roster.bye(node, incarnation);
                self.want(action);
            }
            // Its own goodbye, or the words of a later version.
            _ => {}
        }
    }

    fn alive(&self) -> Packet {
        Packet::Alive {
            member: self.own.clone(),
            pause: self.roster.pause(self.beat),
        }
    }

    /// Says that this node lives; with an `answer` all others say so there.
    async fn announce(&self, client: &Client, answer: Option<&Subject>) {
        let (to, alive) = (client.subjects.presence(), self.alive());
        publish(client, to, answer.cloned(), &alive).await;
    }
}

/// What is lost is said again.
async fn publish(client: &Client, to: Subject, reply: Option<Subject>, packet: &Packet) {
    drop(timeout(TAKEN, client.publish(to, reply, packet.encode())).await);
}
