//! Monitors: a process that hears, once, when another ends.
//!
//! **Invariant:** a monitor gives exactly one DOWN, or none if it was taken off first;
//! its reference is never used again. As with links, a DOWN is decided in
//! [`Monitors::exited`], and [claimed](Monitors::claim) when it becomes visible.

use std::collections::{BTreeSet, HashMap};

use iris_core::{ExitInfo, MonitorRef, Pid};

use crate::links::noproc;

/// A DOWN message to be put into a mailbox. [Claimed](Monitors::claim) first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// The monitor that brings it.
    pub reference: MonitorRef,
    /// Whom to tell.
    pub to: Pid,
    /// What.
    pub info: ExitInfo,
}

/// What taking a monitor off came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demonitored {
    /// It was on: there will be no DOWN.
    Off,
    /// Its DOWN was decided and not claimed: it will not arrive.
    Flushed,
    /// There is no such monitor, or its DOWN was claimed already. In a runtime that
    /// claims when it puts DOWN into a mailbox, it may lie there.
    Unknown,
}

/// The monitors of one runtime. All operations are O(log n) for each monitor that they
/// touch.
///
/// # Examples
///
/// ```
/// use iris_core::Pid;
/// use iris_supervise::{Demonitored, Monitors};
///
/// let [watcher, target] = [1, 2].map(|slot| Pid::new(slot, Pid::FIRST_GENERATION).unwrap());
/// let (mut monitors, mut todo) = (Monitors::default(), Vec::new());
/// let reference = monitors.monitor(watcher, target, |_| true, &mut todo);
/// assert_eq!(monitors.demonitor(reference), Demonitored::Off);
/// ```
#[derive(Debug, Default)]
pub struct Monitors {
    by_reference: HashMap<MonitorRef, Monitor>,
    by_target: HashMap<Pid, BTreeSet<MonitorRef>>,
    by_watcher: HashMap<Pid, BTreeSet<MonitorRef>>,
    made: u64,
}

#[derive(Clone, Copy, Debug)]
struct Monitor {
    watcher: Pid,
    target: Pid,
    /// Its DOWN was decided, and waits to be claimed.
    decided: bool,
}

impl Monitors {
    /// `watcher` is told when `target` ends. Each call is a monitor of its own.
    ///
    /// `alive` is asked for the target while no exit can be reported, which is while the
    /// caller has `self`. If it is dead already, its DOWN with reason `noproc` is decided
    /// at once.
    pub fn monitor(
        &mut self,
        watcher: Pid,
        target: Pid,
        alive: impl Fn(Pid) -> bool,
        actions: &mut Vec<Down>,
    ) -> MonitorRef {
        self.made += 1;
        let reference = MonitorRef::from_raw(self.made);
        let decided = !alive(target);
        let monitor = Monitor {
            watcher,
            target,
            decided,
        };
        self.by_reference.insert(reference, monitor);
        self.by_watcher
            .entry(watcher)
            .or_default()
            .insert(reference);
        if decided {
            actions.push(Down {
                reference,
                to: watcher,
                info: noproc(target),
            });
        } else {
            self.by_target.entry(target).or_default().insert(reference);
        }
        reference
    }

    /// Takes a monitor off, and its DOWN back if nobody has claimed that yet.
    pub fn demonitor(&mut self, reference: MonitorRef) -> Demonitored {
        match self.remove(reference) {
            Some(monitor) if monitor.decided => Demonitored::Flushed,
            Some(_) => Demonitored::Off,
            None => Demonitored::Unknown,
        }
    }

    /// `exit.target` has ended: those who monitor it are told, in the order in which they
    /// began to; its own monitors end without a word.
    pub fn exited(&mut self, exit: &ExitInfo, actions: &mut Vec<Down>) {
        for reference in self.by_watcher.remove(&exit.target).unwrap_or_default() {
            self.remove(reference);
        }
        for reference in self.by_target.remove(&exit.target).unwrap_or_default() {
            let Some(monitor) = self.by_reference.get_mut(&reference) else {
                continue;
            };
            monitor.decided = true;
            actions.push(Down {
                reference,
                to: monitor.watcher,
                info: exit.clone(),
            });
        }
    }

    /// Whether this DOWN may be delivered: `true` once, and never after a
    /// [`demonitor`](Self::demonitor).
    ///
    /// Asked when DOWN is put into the mailbox, with this machine locked until it is in;
    /// or, so that [`demonitor`](Self::demonitor) takes back even what is in the mailbox,
    /// when the receiver takes it out.
    pub fn claim(&mut self, reference: MonitorRef) -> bool {
        let decided = self
            .by_reference
            .get(&reference)
            .is_some_and(|it| it.decided);
        decided && self.remove(reference).is_some()
    }

    /// Those who monitor `pid`, each as often as it does.
    pub fn watchers(&self, pid: Pid) -> Vec<Pid> {
        let references = self.by_target.get(&pid).into_iter().flatten();
        references
            .filter_map(|reference| self.by_reference.get(reference))
            .map(|monitor| monitor.watcher)
            .collect()
    }

    fn remove(&mut self, reference: MonitorRef) -> Option<Monitor> {
        let monitor = self.by_reference.remove(&reference)?;
        let indexes = [
            (&mut self.by_target, monitor.target),
            (&mut self.by_watcher, monitor.watcher),
        ];
        for (index, pid) in indexes {
            if let Some(references) = index.get_mut(&pid) {
                references.remove(&reference);
                if references.is_empty() {
                    index.remove(&pid);
                }
            }
        }
        Some(monitor)
    }
}
