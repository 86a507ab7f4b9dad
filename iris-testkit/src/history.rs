//! What has happened to messages, monitors and questions, and whether it may.
//!
//! | a message | is |
//! |---|---|
//! | accepted | taken by a runtime, which answers for it from then on |
//! | delivered | in the mailbox of its process |
//! | held | with the runtime of its process, and waits for room in the mailbox |
//! | refused | not wanted by the runtime of its process, which must be reported |
//! | returned | a dead letter of the runtime that had accepted it |
//!
//! **Invariant** that is checked: of a message that was accepted by a life that has not crashed,
//! one of the others becomes true; it is delivered once at most, to its process, whole, and behind
//! those of the same pair that were accepted before; it is returned once at most; each refusal
//! is reported, to the sender's runtime or as a dead letter of its own. A monitor has one DOWN,
//! and a question one answer. Only a crash of the runtime that answers for it excuses a loss.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Rng, Witness};

/// One start of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// Which node.
    pub node: u8,
    /// Which start of it.
    pub start: u32,
}

/// What keeps its order: messages from one life to one process of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Who sends.
    pub from: Life,
    /// Where the process is.
    pub to: Life,
    /// Its pid there.
    pub process: u64,
}

/// The name of one message, which travels in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// Its pair.
    pub pair: Pair,
    /// From 1, in the order in which the messages of the pair were accepted.
    pub number: u32,
}

/// The bytes of a note.
const NOTE: usize = 1 + 4 + 1 + 4 + 8 + 4;

/// Bytes of the filling that are made at once.
const BLOCK: usize = 256;

impl Note {
    /// A message of `len` bytes, or of as many as the note needs. Every byte of it is checked
    /// when it is [decoded](Self::decode).
    pub fn encode(&self, len: usize) -> Bytes {
        let mut bytes = BytesMut::with_capacity(len.max(NOTE));
        for life in [self.pair.from, self.pair.to] {
            bytes.put_u8(life.node);
            bytes.put_u32(life.start);
        }
        bytes.put_u64(self.pair.process);
        bytes.put_u32(self.number);
        let mut block = self.filling(len);
        for (index, left) in (NOTE..len).step_by(BLOCK).enumerate() {
            number_block(&mut block, index);
            bytes.put_slice(&block[..BLOCK.min(len - left)]);
        }
        bytes.freeze()
    }

    /// What [`encode`](Self::encode) made; `None` if it is anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let life = |at: usize| {
            Some(Life {
                node: *bytes.get(at)?,
                start: u32::from_be_bytes(*bytes.get(at + 1..)?.first_chunk()?),
            })
        };
        let note = Self {
            pair: Pair {
                from: life(0)?,
                to: life(5)?,
                process: u64::from_be_bytes(*bytes.get(10..)?.first_chunk()?),
            },
            number: u32::from_be_bytes(*bytes.get(18..)?.first_chunk()?),
        };
        let mut block = note.filling(bytes.len());
        let mut blocks = bytes[NOTE..].chunks(BLOCK).enumerate();
        let filled = blocks.all(|(index, chunk)| {
            number_block(&mut block, index);
            chunk == &block[..chunk.len()]
        });
        filled.then_some(note)
    }

    /// What fills a message of this length, but for the numbers of the blocks.
    fn filling(&self, len: usize) -> [u8; BLOCK] {
        let mut rng = Rng::new(u64::from(self.number) << 32 ^ len as u64);
        let mut block = [0; BLOCK];
        for part in block.chunks_exact_mut(8) {
            part.copy_from_slice(&rng.draw().to_be_bytes());
        }
        block
    }
}

/// Blocks of the filling have numbers: one that is missing or at another place shows.
fn number_block(block: &mut [u8; BLOCK], index: usize) {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    block[..4].copy_from_slice(&index.to_be_bytes());
}

/// Something that must not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// A message was accepted, and nothing more is known of it.
    Lost(Note),
    /// A message was delivered again, or behind a later one of its pair.
    OutOfOrder {
        /// The message.
        note: Note,
        /// The last one that was delivered before.
        after: u32,
    },
    /// A message was delivered to another process.
    Misdelivered(Note),
    /// What was delivered or returned is no message that was accepted.
    Garbled(String),
    /// A message was returned twice.
    ReturnedTwice(Note),
    /// Fewer refusals were reported than there were.
    Unreported {
        /// Messages that were refused.
        refused: usize,
        /// Reports without a message.
        reported: usize,
    },
    /// A monitor had another number of DOWNs than one.
    Downs {
        /// Who monitors.
        life: Life,
        /// The monitor.
        monitor: u64,
        /// How many it had.
        downs: u32,
    },
    /// A question has no answer.
    Unanswered {
        /// Who asks.
        life: Life,
        /// The question.
        question: u64,
    },
    /// A question was handled more than once, or never and yet answered.
    Handled {
        /// Who asks.
        life: Life,
        /// The question.
        question: u64,
        /// How often it was handled.
        times: u32,
    },
    /// A schedule has a rule of its own that was broken.
    Other(String),
}

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Messages that were accepted.
    pub accepted: usize,
    /// Of them delivered.
    pub delivered: usize,
    /// Of them returned.
    pub returned: usize,
    /// Of them refused by the other side.
    pub refused: usize,
    /// Of them gone with the crash of the life that had accepted or held them.
    pub crashed: usize,
    /// Monitors that had their DOWN.
    pub downs: usize,
    /// Questions that were answered by who was asked.
    pub answered: usize,
    /// Questions that were answered with an error, or given up.
    pub failed: usize,
}

#[derive(Debug, Default)]
struct Line {
    accepted: u32,
    /// The last one.
    delivered: u32,
    fates: BTreeMap<u32, Fate>,
}

#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may become true, in any order"
)]
struct Fate {
    delivered: bool,
    held: bool,
    refused: bool,
    returned: bool,
}

#[derive(Debug, Default)]
struct Question {
    answered: Option<bool>,
    handled: u32,
}

#[derive(Debug, Default)]
struct Log {
    lines: BTreeMap<Pair, Line>,
    crashed: HashSet<Life>,
    /// Processes whose mailboxes have not always room.
    slow: HashSet<u64>,
    reports: usize,
    monitors: BTreeMap<(Life, u64), u32>,
    questions: HashMap<(Life, u64), Question>,
    breaks: Vec<Break>,
}

/// A record of what has happened, shared by all that takes part.
#[derive(Debug, Default)]
pub struct History(Mutex<Log>);

impl History {
    /// Nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life has ended without a word: what it had accepted, held or had to report is gone.
    pub fn crashed(&self, life: Life) {
        self.lock().crashed.insert(life);
    }

    /// Whether nothing is under way: every message has found its end, every question its answer.
    /// Monitors may wait.
    pub fn is_settled(&self) -> bool {
        let mut account = Account::default();
        let log = self.lock();
        let mut open = log.lost(&mut account);
        let answered = |(&(life, _), question): (&(Life, u64), &Question)| {
            question.answered.is_some() || log.crashed.contains(&life)
        };
        open.next().is_none() && log.questions.iter().all(answered)
    }

    /// How much has happened until now.
    pub fn account(&self) -> Account {
        let log = self.lock();
        let mut account = Account::default();
        let mut breaks = Vec::new();
        log.lost(&mut account).for_each(drop);
        log.check_monitors(&mut account, &mut breaks);
        log.check_questions(&mut account, &mut breaks);
        account
    }

    /// What must not have happened, at the end of all things: also that a monitor has no DOWN yet.
    ///
    /// # Errors
    ///
    /// Everything that has happened and must not.
    pub fn check(&self) -> Result<Account, Vec<Break>> {
        let log = self.lock();
        let mut account = Account::default();
        let mut breaks = log.breaks.clone();
        breaks.extend(log.lost(&mut account).map(Break::Lost));
        log.check_reports(&mut account, &mut breaks);
        log.check_monitors(&mut account, &mut breaks);
        log.check_questions(&mut account, &mut breaks);
        if breaks.is_empty() {
            Ok(account)
        } else {
            Err(breaks)
        }
    }

    fn mark(&self, data: &[u8], what: &str, mark: impl FnOnce(&mut Fate)) {
        let mut log = self.lock();
        if let Some(note) = log.known(data, what) {
            let line = log.lines.entry(note.pair).or_default();
            mark(line.fates.entry(note.number).or_default());
        }
    }
}

impl Witness for History {
    fn accepted(&self, pair: Pair) -> Note {
        let mut log = self.lock();
        let line = log.lines.entry(pair).or_default();
        line.accepted += 1;
        line.fates.insert(line.accepted, Fate::default());
        let number = line.accepted;
        Note { pair, number }
    }

    fn delivered(&self, at: Life, process: u64, data: &[u8]) {
        let mut log = self.lock();
        let Some(note) = log.known(data, "delivered") else {
            return;
        };
        if (note.pair.to, note.pair.process) != (at, process) {
            log.breaks.push(Break::Misdelivered(note));
            return;
        }
        let line = log.lines.entry(note.pair).or_default();
        let after = line.delivered;
        line.fates.entry(note.number).or_default().delivered = true;
        if note.number <= after {
            log.breaks.push(Break::OutOfOrder { note, after });
        } else {
            line.delivered = note.number;
        }
    }

    fn slow(&self, process: u64) {
        self.lock().slow.insert(process);
    }

    fn held(&self, data: &[u8]) {
        self.mark(data, "held", |fate| fate.held = true);
    }

    fn refused(&self, data: &[u8]) {
        self.mark(data, "refused", |fate| fate.refused = true);
    }

    fn returned(&self, data: &[u8]) {
        let mut log = self.lock();
        let Some(note) = log.known(data, "returned") else {
            return;
        };
        let line = log.lines.entry(note.pair).or_default();
        let fate = line.fates.entry(note.number).or_default();
        if std::mem::replace(&mut fate.returned, true) {
            log.breaks.push(Break::ReturnedTwice(note));
        }
    }

    fn reported(&self) {
        self.lock().reports += 1;
    }

    fn monitors(&self, life: Life, monitor: u64) {
        self.lock().monitors.insert((life, monitor), 0);
    }

    fn forgets(&self, life: Life, monitor: u64) {
        self.lock().monitors.remove(&(life, monitor));
    }

    fn down(&self, life: Life, monitor: u64) {
        let mut log = self.lock();
        if let Some(downs) = log.monitors.get_mut(&(life, monitor)) {
            *downs += 1;
        } else {
            let text = format!("a DOWN of {monitor} of {life:?}, which is no monitor");
            log.breaks.push(Break::Other(text));
        }
    }

    fn asks(&self, life: Life, question: u64) {
        let mut log = self.lock();
        log.questions.insert((life, question), Question::default());
    }

    fn handles(&self, life: Life, question: u64) {
        let mut log = self.lock();
        log.questions.entry((life, question)).or_default().handled += 1;
    }

    fn answered(&self, life: Life, question: u64, by_asked: bool) {
        let mut log = self.lock();
        let known = log.questions.entry((life, question)).or_default();
        if known.answered.replace(by_asked).is_some() {
            let text = format!("question {question} of {life:?} has two answers");
            log.breaks.push(Break::Other(text));
        }
    }

    fn breaks(&self, text: String) {
        self.lock().breaks.push(Break::Other(text));
    }
}

impl Log {
    /// The name of a message that was accepted.
    fn known(&mut self, data: &[u8], what: &str) -> Option<Note> {
        let note = Note::decode(data).filter(|note| {
            let line = self.lines.get(&note.pair);
            line.is_some_and(|line| (1..=line.accepted).contains(&note.number))
        });
        if note.is_none() {
            let text = format!("{what}: {} bytes that nobody has sent", data.len());
            self.breaks.push(Break::Garbled(text));
        }
        note
    }

    /// Messages of which nothing more is known than that they were accepted.
    fn lost<'a>(&'a self, account: &'a mut Account) -> impl Iterator<Item = Note> + use<'a> {
        let notes = self.lines.iter().flat_map(|(&pair, line)| {
            let fates = line.fates.iter();
            fates.map(move |(&number, &fate)| (Note { pair, number }, fate))
        });
        notes
            .filter(move |(note, fate)| {
                account.accepted += 1;
                account.delivered += usize::from(fate.delivered);
                account.returned += usize::from(fate.returned);
                account.refused += usize::from(fate.refused);
                let may_wait = fate.held || self.slow.contains(&note.pair.process);
                let excused = self.crashed.contains(&note.pair.from)
                    || (may_wait && self.crashed.contains(&note.pair.to));
                let lost = !(fate.delivered || fate.returned || fate.refused);
                account.crashed += usize::from(lost && excused);
                lost && !excused
            })
            .map(|(note, _)| note)
    }

    fn check_reports(&self, account: &mut Account, breaks: &mut Vec<Break>) {
        let mut refused = 0;
        for (pair, line) in &self.lines {
            if self.crashed.contains(&pair.from) || self.crashed.contains(&pair.to) {
                continue;
            }
            let unreturned = |fate: &&Fate| fate.refused && !fate.returned;
            refused += line.fates.values().filter(unreturned).count();
        }
        account.refused = account.refused.max(refused);
        let reported = self.reports;
        if reported < refused {
            breaks.push(Break::Unreported { refused, reported });
        }
    }

    fn check_monitors(&self, account: &mut Account, breaks: &mut Vec<Break>) {
        for (&(life, monitor), &downs) in &self.monitors {
            account.downs += usize::from(downs > 0);
            // Who has crashed hears no DOWN, and never two.
            if downs != 1 && (downs > 1 || !self.crashed.contains(&life)) {
                breaks.push(Break::Downs {
                    life,
                    monitor,
                    downs,
                });
            }
        }
    }

    fn check_questions(&self, account: &mut Account, breaks: &mut Vec<Break>) {
        for (&(life, question), known) in &self.questions {
            let times = known.handled;
            match known.answered {
                None if self.crashed.contains(&life) => {}
                None => breaks.push(Break::Unanswered { life, question }),
                Some(by_asked) => {
                    account.answered += usize::from(by_asked);
                    account.failed += usize::from(!by_asked);
                    if by_asked && times == 0 {
                        breaks.push(Break::Handled {
                            life,
                            question,
                            times,
                        });
                    }
                }
            }
            if times > 1 {
                breaks.push(Break::Handled {
                    life,
                    question,
                    times,
                });
            }
        }
    }
}

impl std::ops::AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.returned += other.returned;
        self.refused += other.refused;
        self.crashed += other.crashed;
        self.downs += other.downs;
        self.answered += other.answered;
        self.failed += other.failed;
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            delivered,
            returned,
            refused,
            crashed,
            downs,
            answered,
            failed,
        } = self;
        write!(
            f,
            "{accepted} messages accepted, {delivered} delivered, {returned} returned, \
             {refused} refused, {crashed} gone with a crash; {downs} DOWNs; \
             {answered} questions answered, {failed} not"
        )
    }
}
