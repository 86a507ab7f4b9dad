//! What a life does, in a file that outlives it.
//!
//! A file of records of 24 bytes, written in place as they change: the system has them once the
//! call is back, so `kill -9` takes nothing along. Numbers are big-endian.
//!
//! ```text
//! kind:1 node:1 start:2 (pad 4) process:8 first:4 last:4
//! ```
//!
//! | kind | says |
//! |---|---|
//! | 1 | messages `first..=last` of life (node, start) were delivered to the own process |
//! | 2 | messages for a process of life (node, start) were returned |
//! | 3 | messages 1 to `last` for a process of life (node, start) were accepted |
//! | 4 | messages of life (node, start) for an own process were refused |
//! | 5 | `first` monitors were opened and `last` of them had their DOWN |
//! | 6 | `first` refusals were reported to this life |
//! | 7 | `first` rules were broken: what, is in the file beside it |

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use iris_testkit::{Life, Note, Pair, Witness};

const DELIVERED: u8 = 1;
const RETURNED: u8 = 2;
const ACCEPTED: u8 = 3;
const REFUSED: u8 = 4;
const MONITORS: u8 = 5;
const REPORTS: u8 = 6;
const BREAKS: u8 = 7;

const RECORD: usize = 24;

/// The account of one life.
pub(crate) struct Journal {
    life: Life,
    state: Mutex<State>,
}

struct State {
    file: File,
    breaks: PathBuf,
    records: u64,
    /// The record that is written on, for each kind and pair.
    open: HashMap<(u8, Pair), Open>,
    monitors: HashSet<u64>,
    /// Whether there is a message that is accepted and neither delivered nor returned is not known
    /// here; how many were accepted and returned is.
    accepted: u64,
    delivered: u64,
    returned: u64,
}

#[derive(Clone, Copy)]
struct Open {
    at: u64,
    first: u32,
    last: u32,
}

impl Journal {
    pub(crate) fn create(life: Life, path: &Path) -> io::Result<Self> {
        Ok(Self {
            life,
            state: Mutex::new(State {
                file: File::create(path)?,
                breaks: path.with_extension("breaks"),
                records: 0,
                open: HashMap::new(),
                monitors: HashSet::new(),
                accepted: 0,
                delivered: 0,
                returned: 0,
            }),
        })
    }

    /// How many messages were accepted, delivered and returned here.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let state = self.lock();
        [state.accepted, state.delivered, state.returned]
    }

    /// Monitors that have no DOWN yet.
    pub(crate) fn open_monitors(&self) -> usize {
        self.lock().monitors.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pair that stands for the life itself.
    fn own(&self) -> Pair {
        Pair {
            from: self.life,
            to: self.life,
            process: 0,
        }
    }
}

impl State {
    /// Appends `number` to the range of a pair, or begins another.
    fn extend(&mut self, kind: u8, pair: Pair, number: u32) {
        let open = match self.open.get(&(kind, pair)) {
            Some(open) if open.last + 1 == number => Open {
                last: number,
                ..*open
            },
            _ => self.begin(number),
        };
        self.write(kind, pair, open);
    }

    /// Adds to the two counts of a record.
    fn count(&mut self, kind: u8, pair: Pair, first: i64, last: i64) {
        let known = self.open.get(&(kind, pair)).copied();
        let mut open = match known {
            Some(open) => open,
            None => Open {
                first: 0,
                ..self.begin(0)
            },
        };
        let add = |to: u32, more| to.checked_add_signed(i32::try_from(more).ok()?);
        open.first = add(open.first, first).expect("a count");
        open.last = add(open.last, last).expect("a count");
        self.write(kind, pair, open);
    }

    fn begin(&mut self, number: u32) -> Open {
        let at = self.records * RECORD as u64;
        self.records += 1;
        Open {
            at,
            first: number,
            last: number,
        }
    }

    fn write(&mut self, kind: u8, pair: Pair, open: Open) {
        self.open.insert((kind, pair), open);
        // Of the two lives of a pair one is the own.
        let other = if kind == RETURNED || kind == ACCEPTED {
            pair.to
        } else {
            pair.from
        };
        let mut record = [0; RECORD];
        record[0] = kind;
        record[1] = other.node;
        record[2..4].copy_from_slice(&u16::try_from(other.start).unwrap_or(0).to_be_bytes());
        record[8..16].copy_from_slice(&pair.process.to_be_bytes());
        record[16..20].copy_from_slice(&open.first.to_be_bytes());
        record[20..24].copy_from_slice(&open.last.to_be_bytes());
        self.file
            .write_all_at(&record, open.at)
            .expect("the account can be written");
    }

    fn breaks(&mut self, own: Pair, text: &str) {
        self.count(BREAKS, own, 1, 0);
        let file = File::options().append(true).create(true).open(&self.breaks);
        // The count says that there was one.
        drop(file.and_then(|mut file| writeln!(file, "{text}")));
    }
}

impl Witness for Journal {
    fn accepted(&self, pair: Pair) -> Note {
        let mut state = self.lock();
        state.accepted += 1;
        let known = state.open.get(&(ACCEPTED, pair)).copied();
        let number = known.map_or(1, |open| open.last + 1);
        state.extend(ACCEPTED, pair, number);
        Note { pair, number }
    }

    fn delivered(&self, at: Life, process: u64, data: &[u8]) {
        let own = self.own();
        let mut state = self.lock();
        let Some(note) = Note::decode(data) else {
            return state.breaks(own, &format!("{} garbled bytes were delivered", data.len()));
        };
        if (note.pair.to, note.pair.process) != (at, process) {
            return state.breaks(own, &format!("delivered to {at:?} {process}: {note:?}"));
        }
        let last = state
            .open
            .get(&(DELIVERED, note.pair))
            .map(|open| open.last);
        if last.is_some_and(|last| note.number <= last) {
            return state.breaks(own, &format!("behind {last:?}: {note:?}"));
        }
        state.delivered += 1;
        state.extend(DELIVERED, note.pair, note.number);
    }

    fn slow(&self, _: u64) {}

    fn held(&self, _: &[u8]) {}

    fn refused(&self, data: &[u8]) {
        let own = self.own();
        let mut state = self.lock();
        match Note::decode(data) {
            Some(note) => state.extend(REFUSED, note.pair, note.number),
            None => state.breaks(own, "garbled bytes were refused"),
        }
    }

    fn returned(&self, data: &[u8]) {
        let own = self.own();
        let mut state = self.lock();
        match Note::decode(data) {
            Some(note) => {
                state.returned += 1;
                state.extend(RETURNED, note.pair, note.number);
            }
            None => state.breaks(own, "garbled bytes were returned"),
        }
    }

    fn reported(&self) {
        let own = self.own();
        self.lock().count(REPORTS, own, 1, 0);
    }

    fn monitors(&self, _: Life, monitor: u64) {
        let own = self.own();
        let mut state = self.lock();
        state.monitors.insert(monitor);
        state.count(MONITORS, own, 1, 0);
    }

    fn forgets(&self, _: Life, monitor: u64) {
        let own = self.own();
        let mut state = self.lock();
        state.monitors.remove(&monitor);
        state.count(MONITORS, own, -1, 0);
    }

    fn down(&self, _: Life, monitor: u64) {
        let own = self.own();
        let mut state = self.lock();
        if state.monitors.remove(&monitor) {
            state.count(MONITORS, own, 0, 1);
        } else {
            state.breaks(own, &format!("a second DOWN of {monitor}"));
        }
    }

    fn asks(&self, _: Life, _: u64) {}

    fn handles(&self, _: Life, _: u64) {}

    fn answered(&self, _: Life, _: u64, _: bool) {}

    fn breaks(&self, text: String) {
        let own = self.own();
        self.lock().breaks(own, &text);
    }
}
