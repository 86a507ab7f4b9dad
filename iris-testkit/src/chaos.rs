//! Any transport, with faults.
//!
//! ```text
//!   sink.send --> [delay] --> [bytes left of this direction] --> inner sink
//!                                  | none left: cut, or silent from here on
//!   source.receive <-- [short read] <-- [delay] <-- [bytes left] <-- inner source
//! ```
//!
//! Each link draws its fate from the seed when it opens. A direction that is *cut* ends after a
//! number of bytes that does not care for frames, and takes the other direction along; one that
//! is *silent* swallows what follows and says nothing: the link is half-open.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use iris_mesh::{Incoming, Link, Listener, Sink, Source, Transport};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Rng;

/// Short reads of what has arrived at once.
const SHORT_READS: u32 = 16;

/// What may happen to links, and how likely. Chances are of a thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A dial does not come through: unreachable, as when the network between is down.
    pub unreachable: u64,
    /// A link is cut in one direction or the other.
    pub cut: u64,
    /// A link goes silent in one direction.
    pub silence: u64,
    /// After so many bytes of that direction.
    pub after_bytes: Range<u64>,
    /// What is received waits for up to so long.
    pub delay: Duration,
    /// What is received comes in pieces of at most so many bytes, but for the rest after
    /// sixteen of them; 0: as it is.
    pub pieces: u64,
}

impl Faults {
    /// Nothing happens.
    pub const NONE: Self = Self {
        unreachable: 0,
        cut: 0,
        silence: 0,
        after_bytes: 0..1,
        delay: Duration::ZERO,
        pieces: 0,
    };
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Cut,
    Silent,
}

/// A transport whose links fail as [`Faults`] say.
pub struct Chaos {
    inner: Arc<dyn Transport>,
    plan: Arc<Plan>,
}

struct Plan(Mutex<State>);

struct State {
    rng: Rng,
    faults: Faults,
    refused: HashSet<String>,
    links: Vec<Weak<Fate>>,
}

impl Chaos {
    /// `inner`, with faults that follow from `seed`.
    pub fn new(inner: Arc<dyn Transport>, seed: u64, faults: Faults) -> Self {
        Self {
            inner,
            plan: Arc::new(Plan(Mutex::new(State {
                rng: Rng::new(seed),
                faults,
                refused: HashSet::new(),
                links: Vec::new(),
            }))),
        }
    }

    /// What happens to links from now on. Those that are open keep their fate.
    pub fn set(&self, faults: Faults) {
        self.plan.lock().faults = faults;
    }

    /// Dials of this address are refused from now on, as where nobody listens; or not any more.
    pub fn refuse(&self, address: &str, refused: bool) {
        let mut state = self.plan.lock();
        if refused {
            state.refused.insert(address.to_owned());
        } else {
            state.refused.remove(address);
        }
    }

    /// Nothing more happens, open links included; what is silent already stays so.
    pub fn calm(&self) {
        let mut state = self.plan.lock();
        state.faults = Faults::NONE;
        state.refused.clear();
        for fate in state.links.iter().filter_map(Weak::upgrade) {
            fate.calm();
        }
    }

    /// How many links there are that somebody still has a half of.
    pub fn links(&self) -> usize {
        let state = self.plan.lock();
        let open = state.links.iter().filter(|link| link.strong_count() > 0);
        open.count()
    }

    /// Cuts all open links within the next `bytes` of a direction each.
    pub fn cut(&self, bytes: u64) {
        self.doom(End::Cut, bytes);
    }

    /// Silences one direction of all open links, within its next `bytes`.
    pub fn silence(&self, bytes: u64) {
        self.doom(End::Silent, bytes);
    }

    fn doom(&self, end: End, bytes: u64) {
        let mut state = self.plan.lock();
        let State { rng, links, .. } = &mut *state;
        links.retain(|link| link.strong_count() > 0);
        for fate in links.iter().filter_map(Weak::upgrade) {
            let left = rng.within(0..bytes + 1);
            fate.doom(rng.chance(500), left, end);
        }
    }
}

impl Plan {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_dial(&self, address: &str) -> io::Result<()> {
        let mut state = self.lock();
        if state.refused.contains(address) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let chance = state.faults.unreachable;
        if state.rng.chance(chance) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        Ok(())
    }

    fn wrap(self: &Arc<Self>, link: Link) -> Link {
        let fate = Arc::new(Fate::default());
        let (rng, delay, pieces) = {
            let mut state = self.lock();
            let faults = state.faults.clone();
            let rng = &mut state.rng;
            for (chance, end) in [(faults.cut, End::Cut), (faults.silence, End::Silent)] {
                if rng.chance(chance) {
                    let left = rng.within(faults.after_bytes.clone());
                    fate.doom(rng.chance(500), left, end);
                }
            }
            let rng = rng.fork();
            state.links.push(Arc::downgrade(&fate));
            (rng, faults.delay, faults.pieces)
        };
        Link {
            source: Box::new(Receiving {
                inner: Some(link.source),
                fate: fate.clone(),
                rng,
                delay,
                pieces,
                held: None,
                short: 0,
            }),
            sink: Box::new(Sending {
                inner: Some(link.sink),
                fate,
            }),
            ..link
        }
    }
}

#[async_trait]
impl Transport for Chaos {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let (inner, plan) = (self.inner.listen(address).await?, self.plan.clone());
        Ok(Box::new(Accepting { inner, plan }))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        self.plan.may_dial(address)?;
        let link = self.inner.connect(address).await?;
        Ok(self.plan.wrap(link))
    }

    fn is_secure(&self) -> bool {
        self.inner.is_secure()
    }
}

struct Accepting {
    inner: Box<dyn Listener>,
    plan: Arc<Plan>,
}

#[async_trait]
impl Listener for Accepting {
    fn local_address(&self) -> String {
        self.inner.local_address()
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        let Incoming { from, open } = self.inner.accept().await?;
        let plan = self.plan.clone();
        Ok(Incoming {
            from,
            open: Box::pin(async move { Ok(plan.wrap(open.await?)) }),
        })
    }
}

/// What is to become of one link.
#[derive(Default)]
struct Fate {
    state: Mutex<Doom>,
    /// It has been cut.
    was_cut: Notify,
}

#[derive(Default)]
struct Doom {
    out: Option<(u64, End)>,
    back: Option<(u64, End)>,
    cut: bool,
    /// Nothing is delayed any more.
    calm: bool,
}

/// What may still pass.
enum Passes {
    All,
    /// The first so many bytes, before the direction ends.
    Some(usize, End),
}

impl Fate {
    fn lock(&self) -> MutexGuard<'_, Doom> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doom(&self, out: bool, left: u64, end: End) {
        let mut doom = self.lock();
        let direction = if out { &mut doom.out } else { &mut doom.back };
        direction.get_or_insert((left, end));
    }

    fn calm(&self) {
        let mut doom = self.lock();
        doom.calm = true;
        let Doom { out, back, .. } = &mut *doom;
        for direction in [out, back] {
            // One that is silent has nothing left, and stays so.
            direction.take_if(|(left, end)| *left > 0 || *end == End::Cut);
        }
    }

    fn is_calm(&self) -> bool {
        self.lock().calm
    }

    fn is_cut(&self) -> bool {
        self.lock().cut
    }

    fn cut(&self) {
        self.lock().cut = true;
        self.was_cut.notify_waiters();
    }

    fn pass(&self, out: bool, len: usize) -> Passes {
        let mut doom = self.lock();
        let direction = if out { &mut doom.out } else { &mut doom.back };
        let Some((left, end)) = direction else {
            return Passes::All;
        };
        let whole = len as u64;
        if whole < *left {
            *left -= whole;
            return Passes::All;
        }
        let passes = usize::try_from(*left).expect("no more than a length");
        *left = 0;
        Passes::Some(passes, *end)
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

struct Sending {
    /// Dropped with the cut, so that the peer sees it.
    inner: Option<Box<dyn Sink>>,
    fate: Arc<Fate>,
}

#[async_trait]
impl Sink for Sending {
    async fn send(&mut self, chunks: &mut Vec<Bytes>) -> io::Result<()> {
        if self.fate.is_cut() {
            self.inner = None;
        }
        let inner = self.inner.as_mut().ok_or_else(broken)?;
        let len = chunks.iter().map(Bytes::len).sum();
        let (passes, end) = match self.fate.pass(true, len) {
            Passes::All => return inner.send(chunks).await,
            Passes::Some(passes, end) => (passes, end),
        };
        truncate(chunks, passes);
        if passes > 0 {
            inner.send(chunks).await?;
        }
        if end == End::Silent {
            return Ok(());
        }
        self.inner = None;
        self.fate.cut();
        Err(broken())
    }

    async fn close(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Some(inner) => inner.close().await,
            None => Ok(()),
        }
    }
}

/// Keeps the first `len` bytes.
fn truncate(chunks: &mut Vec<Bytes>, mut len: usize) {
    chunks.retain_mut(|chunk| {
        chunk.truncate(len);
        len -= chunk.len();
        !chunk.is_empty()
    });
}

struct Receiving {
    inner: Option<Box<dyn Source>>,
    fate: Arc<Fate>,
    rng: Rng,
    delay: Duration,
    pieces: u64,
    /// What has come, and when it may be seen. Here, so that a call that is given up loses nothing.
    held: Option<(Instant, Bytes)>,
    /// How many pieces of it may still be short.
    short: u32,
}

#[async_trait]
impl Source for Receiving {
    async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let fate = self.fate.clone();
            // Before the look at the state: a cut in between is seen.
            let was_cut = fate.was_cut.notified();
            if fate.is_cut() {
                self.inner = None;
                return Err(broken());
            }
            if let Some((at, bytes)) = &mut self.held {
                sleep_until(*at).await;
                let most = if self.pieces == 0 || self.short == 0 {
                    u64::MAX
                } else {
                    self.short -= 1;
                    self.rng.within(1..self.pieces + 1)
                };
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                let piece = bytes.split_to(most.min(bytes.len()));
                if !bytes.has_remaining() {
                    self.held = None;
                }
                return Ok(Some(piece));
            }
            let inner = self.inner.as_mut().ok_or_else(broken)?;
            let received = tokio::select! {
                received = inner.receive() => received?,
                () = was_cut => continue,
            };
            let Some(mut bytes) = received else {
                return self.end_of_file().await;
            };
            if let Passes::Some(passes, end) = self.fate.pass(false, bytes.len()) {
                bytes.truncate(passes);
                if end == End::Cut {
                    // What has arrived before is seen first.
                    self.fate.cut();
                    if bytes.is_empty() {
                        continue;
                    }
                    self.inner = None;
                    return Ok(Some(bytes));
                }
            }
            if !bytes.is_empty() {
                let most = u64::try_from(self.delay.as_micros()).unwrap_or(u64::MAX);
                let micros = if most == 0 || self.fate.is_calm() {
                    0
                } else {
                    self.rng.within(0..most)
                };
                self.short = SHORT_READS;
                self.held = Some((Instant::now() + Duration::from_micros(micros), bytes));
            }
        }
    }
}

impl Receiving {
    /// The peer has closed, of which a silent link knows nothing.
    async fn end_of_file(&mut self) -> io::Result<Option<Bytes>> {
        while matches!(self.fate.lock().back, Some((0, End::Silent))) {
            sleep(Duration::from_hours(1)).await;
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Chaos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chaos")
            .field("faults", &self.plan.lock().faults)
            .finish_non_exhaustive()
    }
}
