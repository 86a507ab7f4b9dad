//! What waits for its turn: three lanes.
//!
//! Control overtakes everything that is not encoded yet. Small messages and signals are one
//! queue. A message too long for a frame goes to the queue of its pair; the pairs take turns,
//! a fragment each. Whatever has a pair whose queue is not empty goes behind it there, so that
//! a pair keeps its order, and overtakes nobody; everything else passes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use iris_core::Pid;

use crate::connection::Config;
use crate::frame::{Frame, Message, Name, Trace};

/// Between whom order is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pair {
    Pids(u64, Pid),
    Name(u64, Name),
    /// The answer to a question is alone in its order.
    Answer(u64),
}

impl Pair {
    pub(super) fn of(message: &Message) -> Self {
        let raw = |src: &Option<Pid>| src.map_or(0, Pid::raw);
        match message {
            Message::Send { dst, src, .. } | Message::Call { dst, src, .. } => {
                Self::Pids(raw(src), *dst)
            }
            Message::SendName { name, src, .. } => Self::Name(raw(src), name.clone()),
            Message::Reply { req, .. } => Self::Answer(*req),
        }
    }
}

/// A frame that waits.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) frame: Frame,
    pub(super) trace: Option<Trace>,
}

impl Item {
    fn bytes(&self) -> usize {
        match &self.frame {
            Frame::Message(message) => message.data().len() + size_of::<Self>(),
            _ => size_of::<Self>(),
        }
    }

    fn is_message(&self) -> bool {
        matches!(self.frame, Frame::Message(_))
    }
}

/// How far the long message at the front of a pair's queue has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) msg: u64,
    pub(super) sent: usize,
}

#[derive(Debug, Default)]
pub(super) struct PairQueue {
    pub(super) items: VecDeque<Item>,
    pub(super) progress: Option<Progress>,
    /// So many small items must have left before: some of them are of this pair.
    after: u64,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) control: VecDeque<Frame>,
    small: VecDeque<Item>,
    small_bytes: usize,
    small_msgs: usize,
    /// Small items that have left.
    small_left: u64,
    pairs: HashMap<Pair, PairQueue>,
    ring: VecDeque<Pair>,
    bulk_bytes: usize,
    signals: usize,
    /// Somebody was refused and waits for room.
    refused: bool,
}

impl Outbox {
    /// Nothing waits in the way of a message of `pair`.
    #[inline]
    pub(super) fn is_clear(&self, pair: impl FnOnce() -> Pair) -> bool {
        self.small.is_empty() && (self.pairs.is_empty() || !self.pairs.contains_key(&pair()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.small.is_empty() && self.pairs.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.small_bytes + self.bulk_bytes
    }

    pub(super) fn signals(&self) -> usize {
        self.signals + self.control.len()
    }

    /// Puts a message into its lane, or gives it back if that is full.
    pub(super) fn push_message(
        &mut self,
        config: &Config,
        message: Message,
        trace: Option<Trace>,
        long: bool,
    ) -> Result<(), Message> {
        let len = message.data().len() + size_of::<Item>();
        let pair = Pair::of(&message);
        let behind = !self.pairs.is_empty() && self.pairs.contains_key(&pair);
        if long || behind {
            if self.bulk_bytes > 0 && self.bulk_bytes + len > config.max_queued_bulk {
                self.refused = true;
                return Err(message);
            }
            self.push_bulk(
                pair,
                Item {
                    frame: Frame::Message(message),
                    trace,
                },
            );
            return Ok(());
        }
        if self.small_msgs > 0
            && (self.small_bytes + len > config.max_queued_bytes
                || self.small_msgs >= config.max_queued_msgs)
        {
            self.refused = true;
            return Err(message);
        }
        self.small_bytes += len;
        self.small_msgs += 1;
        self.small.push_back(Item {
            frame: Frame::Message(message),
            trace,
        });
        Ok(())
    }

    /// Signals are not refused; the caller looks at [`signals`](Self::signals).
    pub(super) fn push_signal(&mut self, frame: Frame, pair: Option<Pair>) {
        self.signals += 1;
        let item = Item { frame, trace: None };
        match pair {
            Some(pair) if self.pairs.contains_key(&pair) => self.push_bulk(pair, item),
            _ => self.small.push_back(item),
        }
    }

    fn push_bulk(&mut self, pair: Pair, item: Item) {
        self.bulk_bytes += item.bytes();
        let queue = match self.pairs.entry(pair) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.ring.push_back(new.key().clone());
                // Signals do not say here which pair they keep their place in.
                let same = |item: &Item| match &item.frame {
                    Frame::Message(message) => Pair::of(message) == *new.key(),
                    _ => true,
                };
                let before = self.small.iter().rposition(same);
                let after = before.map_or(0, |at| self.small_left + at as u64 + 1);
                new.insert(PairQueue {
                    after,
                    ..PairQueue::default()
                })
            }
        };
        queue.items.push_back(item);
    }

    pub(super) fn front_small(&self) -> Option<&Item> {
        self.small.front()
    }

    pub(super) fn pop_small(&mut self) -> Option<Item> {
        let item = self.small.pop_front()?;
        self.small_left += 1;
        if item.is_message() {
            self.small_bytes -= item.bytes();
            self.small_msgs -= 1;
        } else {
            self.signals -= 1;
        }
        Some(item)
    }

    /// How many pairs take turns.
    pub(super) fn pairs(&self) -> usize {
        self.ring.len()
    }

    /// The pair whose turn it is; `None` while small items of it wait, which were sent before.
    pub(super) fn turn(&mut self) -> Option<&mut PairQueue> {
        let pair = self.ring.front()?;
        let queue = self.pairs.get_mut(pair)?;
        (queue.after <= self.small_left).then_some(queue)
    }

    /// The front of the pair whose turn it is, taken out. The pair leaves the ring with its last
    /// item; what comes for it then is small again.
    pub(super) fn pop_turn(&mut self) -> Option<Item> {
        let pair = self.ring.front()?;
        let queue = self.pairs.get_mut(pair)?;
        let item = queue.items.pop_front()?;
        queue.progress = None;
        self.bulk_bytes -= item.bytes();
        if !item.is_message() {
            self.signals -= 1;
        }
        if queue.items.is_empty() {
            self.pairs.remove(pair);
            self.ring.pop_front();
        }
        Some(item)
    }

    /// The turn goes to the next pair.
    pub(super) fn rotate(&mut self) {
        if self.ring.len() > 1 {
            self.ring.rotate_left(1);
        }
    }

    /// Takes out the message of which `msg` is being sent.
    pub(super) fn abort(&mut self, msg: u64) -> Option<Item> {
        let at = self.ring.iter().position(|pair| {
            let progress = self.pairs.get(pair).and_then(|queue| queue.progress);
            progress.is_some_and(|progress| progress.msg == msg)
        })?;
        self.ring.rotate_left(at);
        self.pop_turn()
    }

    /// Whether to tell that there is room, since somebody was refused and half of it is free.
    pub(super) fn poll_writable(&mut self, config: &Config) -> bool {
        let free = self.small_bytes <= config.max_queued_bytes / 2
            && self.small_msgs <= config.max_queued_msgs / 2
            && self.bulk_bytes <= config.max_queued_bulk / 2;
        free && std::mem::take(&mut self.refused)
    }

    /// Whether somebody was refused and has not been told of room yet.
    pub(super) fn is_refusing(&self) -> bool {
        self.refused
    }

    /// Everything, in an order that keeps that of each pair.
    pub(super) fn into_items(mut self) -> impl Iterator<Item = Item> {
        let control = self
            .control
            .into_iter()
            .map(|frame| Item { frame, trace: None });
        // A pair's small ones from before its long one are in `small`.
        let pairs: Vec<_> = self
            .ring
            .into_iter()
            .filter_map(|it| self.pairs.remove(&it))
            .collect();
        control
            .chain(self.small)
            .chain(pairs.into_iter().flat_map(|queue| queue.items))
    }
}
