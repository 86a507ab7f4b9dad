//! Links: two processes of which each hears when the other ends.
//!
//! | the end of one side | plain link | propagating link | propagating, and the other traps exits |
//! |---|---|---|---|
//! | `normal` | EXIT message | nothing | EXIT message |
//! | any other reason | EXIT message | the other side ends, too | EXIT message |
//! | it was dead when the link was made (`noproc`) | EXIT message | the other side ends, too | EXIT message |
//!
//! The propagating link is OTP's.
//!
//! **Invariant:** once [`Links::unlink`] has returned, nothing of that link reaches
//! either side any more. An exit is decided in [`Links::exited`] and carried out later,
//! when a lock may have been let go in between; so each action names its link, and
//! whoever carries it out [claims](Links::claim) it first. A claim and an unlink exclude
//! each other: whichever comes first wins.

use std::collections::{BTreeSet, HashMap, HashSet};

use iris_core::{ExitInfo, ExitReason, Pid};

/// One link, for as long as it exists and ever after: a link that is made again has
/// another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

/// What an exit does to the other side of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// It is told, and goes on.
    #[default]
    Plain,
    /// It ends as well, unless it traps exits or the reason is `normal`.
    Propagating,
}

/// What is to be done about a link. [Claimed](Links::claim) first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkAction {
    /// Put an EXIT message into a mailbox.
    Deliver {
        /// The link that brings it.
        link: LinkId,
        /// Whom to tell.
        to: Pid,
        /// What.
        info: ExitInfo,
    },
    /// End a process.
    Kill {
        /// The link that brings it.
        link: LinkId,
        /// Who is to end.
        pid: Pid,
        /// For which reason: that of the process at the other side.
        reason: ExitReason,
        /// Who caused it: the `from` of the exit that is to come.
        from: Pid,
    },
}

impl LinkAction {
    /// The link that brings it.
    pub fn link(&self) -> LinkId {
        match self {
            Self::Deliver { link, .. } | Self::Kill { link, .. } => *link,
        }
    }
}

/// The links of one runtime. All operations are O(log n) for each link that they touch.
///
/// # Examples
///
/// ```
/// use iris_core::{ExitInfo, ExitReason, Pid};
/// use iris_supervise::{LinkAction, LinkKind, Links};
///
/// let [a, b] = [1, 2].map(|slot| Pid::new(slot, Pid::FIRST_GENERATION).unwrap());
/// let (mut links, mut todo) = (Links::default(), Vec::new());
/// links.link(a, b, LinkKind::Plain, |_| true, &mut todo);
/// links.exited(&ExitInfo { from: a, target: a, reason: ExitReason::Crash, metadata: None }, &mut todo);
/// assert!(matches!(&todo[..], [LinkAction::Deliver { to, .. }] if *to == b));
/// assert!(links.claim(todo[0].link()));
/// ```
#[derive(Debug, Default)]
pub struct Links {
    by_id: HashMap<LinkId, Link>,
    of: HashMap<Pid, BTreeSet<LinkId>>,
    between: HashMap<(Pid, Pid), LinkId>,
    decided: Decided,
    trapping: HashSet<Pid>,
    /// Who was told to end, by whom and for which reason.
    causes: HashMap<Pid, (Pid, ExitReason)>,
    made: u64,
}

/// Exits that were decided and not claimed: by link, who hears of whom.
#[derive(Debug, Default)]
struct Decided {
    by_link: HashMap<LinkId, (Pid, Pid)>,
    by_receiver: HashMap<Pid, BTreeSet<LinkId>>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    sides: (Pid, Pid),
    kind: LinkKind,
}

impl Links {
    /// Links `a` and `b`. There is one link between two processes: linking again returns
    /// the same, which propagates if either call asked for that. A process is never
    /// linked to itself.
    ///
    /// `alive` is asked, for both, while no exit can be reported, which is while the
    /// caller has `self`. A side that is dead already is reported to the other at once,
    /// with reason `noproc`, and no link remains.
    pub fn link(
        &mut self,
        a: Pid,
        b: Pid,
        kind: LinkKind,
        alive: impl Fn(Pid) -> bool,
        actions: &mut Vec<LinkAction>,
    ) -> Option<LinkId> {
        if a == b {
            return None;
        }
        let sides = sorted(a, b);
        if let Some(id) = self.between.get(&sides) {
            if kind == LinkKind::Propagating
                && let Some(link) = self.by_id.get_mut(id)
            {
                link.kind = kind;
            }
            return Some(*id);
        }
        self.made += 1;
        let id = LinkId(self.made);
        let link = Link { sides, kind };
        match (alive(a), alive(b)) {
            (true, true) => self.insert(id, link),
            (true, false) => self.signal(id, link, a, &noproc(b), actions),
            (false, true) => self.signal(id, link, b, &noproc(a), actions),
            (false, false) => {}
        }
        Some(id)
    }

    /// Ends the link between `a` and `b`; whether there was one, or an exit of one that
    /// was not claimed yet and now never will be.
    pub fn unlink(&mut self, a: Pid, b: Pid) -> bool {
        let sides = sorted(a, b);
        if let Some(id) = self.between.get(&sides) {
            let id = *id;
            self.remove(id);
            return true;
        }
        let taken_back = [(a, b), (b, a)].map(|(to, of)| self.take_back(to, of));
        taken_back.contains(&true)
    }

    /// Whether `pid` gets EXIT messages instead of ending with those it is linked to.
    pub fn trap_exit(&mut self, pid: Pid, traps: bool) {
        if traps {
            self.trapping.insert(pid);
        } else {
            self.trapping.remove(&pid);
        }
    }

    /// Whether `pid` traps exits; those that have ended do not.
    pub fn traps_exit(&self, pid: Pid) -> bool {
        self.trapping.contains(&pid)
    }

    /// `exit.target` has ended: its links end, the other sides hear of it in the order in
    /// which the links were made.
    pub fn exited(&mut self, exit: &ExitInfo, actions: &mut Vec<LinkAction>) {
        let ids = self.of.get(&exit.target).cloned().unwrap_or_default();
        for id in ids {
            if let Some(link) = self.remove(id) {
                self.signal(id, link, other(link.sides, exit.target), exit, actions);
            }
        }
        self.trapping.remove(&exit.target);
        self.causes.remove(&exit.target);
        for id in self.decided.to(exit.target) {
            self.decided.remove(id);
        }
    }

    /// Whether this action may be carried out: `true` once, and never after an
    /// [`unlink`](Self::unlink).
    ///
    /// Asked right before the EXIT becomes visible to its receiver: when it is put into
    /// the mailbox, with this machine locked until it is in; or, so that even an EXIT in
    /// the mailbox is taken back, when the receiver takes it out.
    pub fn claim(&mut self, link: LinkId) -> bool {
        self.decided.remove(link).is_some()
    }

    /// Who caused the exit of `pid` for `reason`, if a link did: the `from` of its
    /// [`ExitInfo`]. Asked before [`exited`](Self::exited) is called for it.
    pub fn cause_of(&self, pid: Pid, reason: &ExitReason) -> Option<Pid> {
        let (from, given) = self.causes.get(&pid)?;
        (given == reason).then_some(*from)
    }

    /// Those that `pid` is linked to, in the order in which the links were made.
    pub fn peers(&self, pid: Pid) -> Vec<Pid> {
        let ids = self.of.get(&pid).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
            .map(|link| other(link.sides, pid))
            .collect()
    }

    fn signal(
        &mut self,
        id: LinkId,
        link: Link,
        to: Pid,
        exit: &ExitInfo,
        actions: &mut Vec<LinkAction>,
    ) {
        let traps = link.kind == LinkKind::Plain || self.traps_exit(to);
        let action = if traps {
            LinkAction::Deliver {
                link: id,
                to,
                info: exit.clone(),
            }
        } else if exit.reason == ExitReason::Normal {
            return;
        } else {
            // The first that takes it along is the cause; it ends only once.
            let cause = (exit.target, exit.reason.clone());
            self.causes.entry(to).or_insert(cause);
            LinkAction::Kill {
                link: id,
                pid: to,
                reason: exit.reason.clone(),
                from: exit.target,
            }
        };
        self.decided.insert(id, to, exit.target);
        actions.push(action);
    }

    /// Forgets what is decided about the end of `of` and not claimed by `to`; whether
    /// there was anything.
    fn take_back(&mut self, to: Pid, of: Pid) -> bool {
        let mut found = false;
        for id in self.decided.to(to) {
            if self.decided.by_link.get(&id) == Some(&(to, of)) {
                self.decided.remove(id);
                found = true;
            }
        }
        if found && self.causes.get(&to).is_some_and(|(from, _)| *from == of) {
            self.causes.remove(&to);
        }
        found
    }

    fn insert(&mut self, id: LinkId, link: Link) {
        self.by_id.insert(id, link);
        self.between.insert(link.sides, id);
        for side in [link.sides.0, link.sides.1] {
            self.of.entry(side).or_default().insert(id);
        }
    }

    fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.by_id.remove(&id)?;
        self.between.remove(&link.sides);
        for side in [link.sides.0, link.sides.1] {
            if let Some(ids) = self.of.get_mut(&side) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.of.remove(&side);
                }
            }
        }
        Some(link)
    }
}

impl Decided {
    fn insert(&mut self, id: LinkId, to: Pid, of: Pid) {
        self.by_link.insert(id, (to, of));
        self.by_receiver.entry(to).or_default().insert(id);
    }

    fn remove(&mut self, id: LinkId) -> Option<(Pid, Pid)> {
        let (to, of) = self.by_link.remove(&id)?;
        if let Some(ids) = self.by_receiver.get_mut(&to) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_receiver.remove(&to);
            }
        }
        Some((to, of))
    }

    fn to(&self, to: Pid) -> BTreeSet<LinkId> {
        self.by_receiver.get(&to).cloned().unwrap_or_default()
    }
}

fn sorted(a: Pid, b: Pid) -> (Pid, Pid) {
    (a.min(b), a.max(b))
}

fn other(sides: (Pid, Pid), side: Pid) -> Pid {
    if sides.0 == side { sides.1 } else { sides.0 }
}

/// What is said of a process that had ended before anybody was tied to it.
pub(crate) fn noproc(pid: Pid) -> ExitInfo {
    ExitInfo {
        from: pid,
        target: pid,
        reason: ExitReason::NoProc,
        metadata: None,
    }
}
