//! The account of a soak: what the files of all lives say, and whether that may be.
//!
//! The files are those of `iris-testkit/examples/soak_node/journal.rs`, where their form stands.

use std::collections::{BTreeMap, BTreeSet};

/// One start of one node.
pub(crate) type Life = (u8, u16);

/// From one life to one process of another.
type Pair = (Life, Life, u64);

/// Bytes of a record.
const RECORD: usize = 24;

/// What all lives say together.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Lives that were killed.
    pub(crate) killed: BTreeSet<Life>,
    accepted: BTreeMap<Pair, u32>,
    delivered: BTreeMap<Pair, Vec<(u32, u32)>>,
    /// Returned or refused.
    other: BTreeMap<Pair, Vec<(u32, u32)>>,
    monitors: BTreeMap<Life, (u32, u32)>,
    breaks: BTreeMap<Life, u32>,
}

/// The sum.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Messages that lives which were not killed had accepted.
    pub(crate) accepted: u64,
    /// Of those delivered.
    pub(crate) delivered: u64,
    /// Of those not delivered, but returned or refused.
    pub(crate) returned: u64,
    /// Of those gone with a life that was killed: it had them, and had not handled them.
    pub(crate) gone: u64,
    /// Messages that lives which were killed had accepted, and that were delivered.
    pub(crate) from_killed: u64,
    /// Monitors that had their DOWN.
    pub(crate) downs: u64,
    /// What must not be.
    pub(crate) breaks: Vec<String>,
}

impl Account {
    /// Adds the file of a life.
    pub(crate) fn read(&mut self, life: Life, file: &[u8]) {
        for record in file.chunks_exact(RECORD) {
            let number = |at: usize| {
                let bytes = record[at..at + 4].try_into();
                u32::from_be_bytes(bytes.expect("four bytes"))
            };
            let process = record[8..16].try_into().expect("eight bytes");
            let process = u64::from_be_bytes(process);
            let other = (record[1], u16::from_be_bytes([record[2], record[3]]));
            let (first, last) = (number(16), number(20));
            let (to_here, from_here) = ((other, life, process), (life, other, process));
            match record[0] {
                1 => self
                    .delivered
                    .entry(to_here)
                    .or_default()
                    .push((first, last)),
                2 => self.other.entry(from_here).or_default().push((first, last)),
                3 => {
                    self.accepted.insert(from_here, last);
                }
                4 => self.other.entry(to_here).or_default().push((first, last)),
                5 => {
                    self.monitors.insert(life, (first, last));
                }
                7 => {
                    self.breaks.insert(life, first);
                }
                _ => {}
            }
        }
    }

    /// Messages of lives that were not killed of which nothing is known, and their monitors without
    /// a DOWN: zeros once all is told.
    pub(crate) fn open(&self) -> (u64, u64) {
        let sum = self.sum();
        let monitors = self.monitors.iter();
        let open = monitors.filter(|(life, _)| !self.killed.contains(life));
        let open = open.map(|(_, (opened, downs))| u64::from(opened.saturating_sub(*downs)));
        // The files are read one after the other, while they are written.
        let known = sum.delivered + sum.returned + sum.gone;
        (sum.accepted.saturating_sub(known), open.sum())
    }

    /// Adds everything up.
    pub(crate) fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for (pair, ranges) in &self.delivered {
            // The ranges of a pair are in the order in which they were delivered.
            if ranges.windows(2).any(|two| two[1].0 <= two[0].1) {
                let text = format!("{pair:?} was delivered out of order: {ranges:?}");
                sum.breaks.push(text);
            }
            if self.killed.contains(&pair.0) {
                sum.from_killed += ranges.iter().map(|&it| len(it)).sum::<u64>();
            }
        }
        for (pair, &accepted) in &self.accepted {
            if !self.killed.contains(&pair.0) {
                self.add_pair(&mut sum, pair, accepted);
            }
        }
        for (life, (opened, downs)) in &self.monitors {
            sum.downs += u64::from(*downs);
            if opened != downs && !self.killed.contains(life) {
                let text = format!("{downs} DOWNs for {opened} monitors of {life:?}");
                sum.breaks.push(text);
            }
        }
        for (life, count) in &self.breaks {
            sum.breaks.push(format!("{life:?} tells of {count} breaks"));
        }
        sum
    }

    fn add_pair(&self, sum: &mut Sum, pair: &Pair, accepted: u32) {
        let none = Vec::new();
        let delivered = merged(self.delivered.get(pair).unwrap_or(&none).clone());
        let other = self.other.get(pair).unwrap_or(&none);
        let known = merged([&delivered[..], &other[..]].concat());
        let last = delivered.last().map_or(0, |range| range.1);
        let count = |ranges: &[(u32, u32)]| ranges.iter().map(|&it| len(it)).sum::<u64>();
        sum.accepted += u64::from(accepted);
        sum.delivered += count(&delivered);
        sum.returned += count(&known) - count(&delivered);
        for gap in gaps(&known, accepted) {
            // What follows on the last delivery may have been with the node that was killed.
            if self.killed.contains(&pair.1) && gap.0 == last + 1 {
                sum.gone += len(gap);
            } else {
                sum.breaks.push(format!("{pair:?} has lost {gap:?}"));
            }
        }
    }
}

fn len((first, last): (u32, u32)) -> u64 {
    u64::from(last) - u64::from(first) + 1
}

/// The same numbers in as few ranges as can be, in order.
fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.0 <= last.1.saturating_add(1) => last.1 = last.1.max(range.1),
            _ => merged.push(range),
        }
    }
    merged
}

/// What ranges leave out of 1 to `last`.
fn gaps(ranges: &[(u32, u32)], last: u32) -> Vec<(u32, u32)> {
    let mut next = 1;
    let mut gaps = Vec::new();
    for &(from, to) in ranges {
        if from > next {
            gaps.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= last {
        gaps.push((next, last));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Life = (0, 1);
    const B: Life = (1, 1);

    fn record(kind: u8, other: Life, process: u64, first: u32, last: u32) -> Vec<u8> {
        let mut record = vec![kind, other.0];
        record.extend(other.1.to_be_bytes());
        record.extend([0; 4]);
        record.extend(process.to_be_bytes());
        record.extend(first.to_be_bytes());
        record.extend(last.to_be_bytes());
        record
    }

    /// A has sent 100 messages to process 7 of B; what the files of both say beside.
    fn account(a: &[Vec<u8>], b: &[Vec<u8>]) -> Account {
        let mut account = Account::default();
        let accepted = record(3, B, 7, 1, 100);
        account.read(A, &[&accepted[..], &a.concat()].concat());
        account.read(B, &b.concat());
        account
    }

    #[test]
    fn all_that_was_accepted_is_delivered_returned_or_refused() {
        // What nobody had acknowledged is returned, although it was delivered.
        let a = [record(2, B, 7, 30, 60), record(5, A, 0, 3, 3)];
        let b = [
            record(1, A, 7, 1, 40),
            record(1, A, 7, 61, 90),
            record(4, A, 7, 91, 100),
        ];
        let account = account(&a, &b);
        assert_eq!(account.open(), (0, 0));
        let sum = account.sum();
        assert_eq!(sum.breaks, [""; 0]);
        assert_eq!((sum.accepted, sum.delivered, sum.returned), (100, 70, 30));
        assert_eq!(sum.downs, 3);
    }

    #[test]
    fn a_loss_is_found_unless_the_receiver_was_killed_with_it() {
        let b = [record(1, A, 7, 1, 40), record(1, A, 7, 43, 90)];
        let mut account = account(&[], &b);
        assert_eq!(account.open().0, 12);
        assert_eq!(account.sum().breaks.len(), 2);
        account.killed.insert(B);
        // The two in the middle are lost all the same.
        assert_eq!(account.sum().breaks.len(), 1);
        assert_eq!(account.sum().gone, 10);
        account.killed.insert(A);
        let sum = account.sum();
        assert_eq!(
            (sum.breaks.len(), sum.accepted, sum.from_killed),
            (0, 0, 88)
        );
    }

    #[test]
    fn disorder_and_missing_downs_are_found() {
        let whole = [record(1, A, 7, 50, 100), record(1, A, 7, 1, 49)];
        assert_eq!(account(&[], &whole).sum().breaks.len(), 1);
        let all = [record(1, A, 7, 1, 100)];
        let monitors = account(&[record(5, A, 0, 3, 2)], &all);
        assert_eq!(monitors.open(), (0, 1));
        assert_eq!(monitors.sum().breaks.len(), 1);
        let told = account(&[record(7, A, 0, 1, 0)], &all);
        assert_eq!(told.sum().breaks.len(), 1);
    }

    #[test]
    fn gaps_are_what_is_left() {
        let ranges = merged(vec![(8, 9), (1, 3), (4, 4), (2, 3)]);
        assert_eq!(ranges, [(1, 4), (8, 9)]);
        assert_eq!(gaps(&ranges, 12), [(5, 7), (10, 12)]);
        assert_eq!(gaps(&[], 2), [(1, 2)]);
        assert_eq!(gaps(&[(1, 2)], 2), []);
    }
}
