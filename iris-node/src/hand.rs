//! The messages that JavaScript has in hand.
//!
//! ```text
//!   collect: slices add entries, whose processes are parked
//!   fill:    their bytes go into the arena, their shape into the index
//!   handlers run; each outcome that is not plain is noted here
//!   settle:  processes go on; those whose handlers wait for a promise are apart by then
//! ```

use std::collections::HashMap;
use std::mem;

use iris::{Exit, Message, Parked, Payload, Pid, Process, ReplyTo, Step, SystemMessage};

/// Somebody waits for the answer to the message. As in `lib/handling.js`.
pub(crate) const ASKED: i32 = 1;

/// A message has brought a [context](crate::context). As in `lib/handling.js`.
pub(crate) const CARRIES: i32 = 4;

/// What was taken out of the mailbox of one process.
pub(crate) enum Mail {
    User(Vec<Payload>),
    System(Box<SystemMessage>),
}

/// What one process has in JavaScript's hand.
pub(crate) struct Entry {
    pub(crate) pid: Pid,
    pub(crate) slot: u32,
    pub(crate) flags: i32,
    pub(crate) mail: Mail,
    /// There as soon as the slice that has added the entry is over.
    parked: Option<Parked>,
    end: End,
}

/// What the handler has come to.
#[derive(Default)]
pub(crate) enum End {
    /// All of it is handled.
    #[default]
    Done,
    /// The question is answered.
    Reply(Payload),
    /// The process ends, with so many messages handled.
    Stop(Exit, usize),
    /// It was told to end, with so many messages handled.
    Told(usize),
}

/// All of that.
#[derive(Default)]
pub(crate) struct Hand {
    /// The batch that the loop is at, or collects.
    entries: Vec<Entry>,
    spare: Vec<Entry>,
    messages: usize,
    bytes: usize,
    /// Processes whose handlers wait for a promise.
    waiting: HashMap<Pid, Entry>,
}

impl Hand {
    /// Adds what a slice has taken; its process is [kept](Self::keep) next.
    pub(crate) fn add(&mut self, pid: Pid, slot: u32, mut flags: i32, mail: Mail) {
        match &mail {
            Mail::User(batch) => {
                self.messages += batch.len();
                for one in batch {
                    self.bytes += one.len();
                    if one.baggage().is_some() {
                        flags |= CARRIES;
                    }
                }
            }
            Mail::System(_) => self.messages += 1,
        }
        self.entries.push(Entry {
            pid,
            slot,
            flags,
            mail,
            parked: None,
            end: End::Done,
        });
    }

    /// Keeps the process of the entry that was added last; gives one back that has none.
    pub(crate) fn keep(&mut self, parked: Parked) -> Option<Parked> {
        match self.entries.last_mut() {
            Some(last) if last.pid == parked.pid() && last.parked.is_none() => {
                last.parked = Some(parked);
                None
            }
            _ => Some(parked),
        }
    }

    /// Entries, messages and bytes of the batch.
    pub(crate) fn size(&self) -> (usize, usize, usize) {
        (self.entries.len(), self.messages, self.bytes)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What a handler has come to, in the batch or after having waited; a process that has waited
    /// is given out, to be [settled](settle).
    pub(crate) fn note(&mut self, entry: Option<usize>, pid: Pid, end: End) -> Option<Entry> {
        if let Some(entry) = entry {
            if let Some(entry) = self.entries.get_mut(entry) {
                entry.end = end;
            }
            return None;
        }
        let mut waited = self.waiting.remove(&pid)?;
        waited.end = end;
        Some(waited)
    }

    /// What an entry of the batch has, or a process that waits.
    pub(crate) fn mail(&mut self, entry: Option<usize>, pid: Option<Pid>) -> Option<&mut Mail> {
        let entry = match entry {
            Some(entry) => self.entries.get_mut(entry)?,
            None => self.waiting.get_mut(&pid?)?,
        };
        Some(&mut entry.mail)
    }

    /// Who waits for the answer of a process in hand, which is given out once.
    pub(crate) fn take_reply(&mut self, pid: Pid) -> Option<ReplyTo> {
        let here = |entry: &&mut Entry| entry.pid == pid && entry.parked.is_some();
        let waiting = self.waiting.get_mut(&pid);
        let entry = waiting.or_else(|| self.entries.iter_mut().find(here))?;
        entry.parked.as_mut()?.take_reply()
    }

    /// Whether the process of an entry was told to stop at once.
    pub(crate) fn is_stopped(&self, entry: usize) -> bool {
        let parked = self
            .entries
            .get(entry)
            .and_then(|entry| entry.parked.as_ref());
        parked.is_some_and(Parked::is_stopped)
    }

    /// Takes an entry out of the batch whose handler waits for a promise: it is settled by itself.
    pub(crate) fn set_apart(&mut self, entry: usize) -> Option<Process> {
        let entry = self.entries.get_mut(entry)?;
        let parked = entry.parked.take()?;
        let process = parked.process();
        let apart = Entry {
            pid: entry.pid,
            slot: entry.slot,
            flags: entry.flags,
            mail: mem::replace(&mut entry.mail, Mail::User(Vec::new())),
            parked: Some(parked),
            end: End::Done,
        };
        self.waiting.insert(apart.pid, apart);
        Some(process)
    }

    /// The batch, to be settled.
    pub(crate) fn take_batch(&mut self) -> Vec<Entry> {
        (self.messages, self.bytes) = (0, 0);
        mem::replace(&mut self.entries, mem::take(&mut self.spare))
    }

    /// Keeps the emptied batch's memory for a later one.
    pub(crate) fn give_spare(&mut self, spare: Vec<Entry>) {
        if spare.capacity() <= 4096 {
            self.spare = spare;
        }
    }

    /// The process of one that waits.
    pub(crate) fn waiting(&self, pid: Pid) -> Option<&Parked> {
        self.waiting.get(&pid)?.parked.as_ref()
    }
}

/// Has the process of an entry go on. Must be called without the lane's locks: it may be its end.
pub(crate) fn settle(entry: Entry) {
    let Entry {
        mail, parked, end, ..
    } = entry;
    let Some(parked) = parked else {
        return;
    };
    match end {
        End::Done => parked.resume(Step::Done),
        End::Reply(answer) => parked.resume(Step::Reply(answer)),
        End::Stop(exit, handled) => parked.resume_short(Step::Stop(exit), rest(mail, handled)),
        // An order to stop comes next, and who asked is told that nobody will answer.
        End::Told(handled) => parked.resume_short(Step::Yield, rest(mail, handled)),
    }
}

/// What was not handled.
fn rest(mail: Mail, handled: usize) -> Vec<Message> {
    match mail {
        Mail::User(batch) => {
            let rest = batch.into_iter().skip(handled);
            rest.map(|payload| Message::User(payload.into_bytes()))
                .collect()
        }
        Mail::System(news) if handled == 0 => vec![Message::System(*news)],
        Mail::System(_) => Vec::new(),
    }
}
