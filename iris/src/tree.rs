//! All processes of a runtime as one tree of families.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use iris_core::Pid;
use iris_sched::{Process, Status};

use crate::runtime::Runtime;

/// Who is whose child, at about one moment: see [`Runtime::tree`].
///
/// Kept as a list in which each process stands before its children, so that a family may be
/// as deep as it likes. [`Display`](fmt::Display) draws it for a terminal, indented; at most
/// [`SHOWN_LINES`](Self::SHOWN_LINES) processes, and none below
/// [`SHOWN_DEPTH`](Self::SHOWN_DEPTH). It says how many it leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<TreeEntry>,
}

/// One process of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeEntry {
    /// Who it is.
    pub pid: Pid,
    /// The process that it ends with.
    pub parent: Option<Pid>,
    /// How many ancestors it has; 0 for a root.
    pub depth: usize,
    /// Names that lead to it, sorted.
    pub names: Vec<String>,
    /// Paths that lead to it, sorted.
    pub paths: Vec<String>,
    /// The name of its behavior.
    pub behavior: String,
    /// What it is doing. A parent whose exit waits for its children has `Exited` already.
    pub status: Status,
    /// User messages not yet handed to the handler.
    pub mailbox_size: usize,
}

impl Runtime {
    /// All processes, as a tree.
    ///
    /// Children stand by age, oldest first; roots in the order of their slots in the process
    /// table, which says nothing of their age. Nothing stands still meanwhile: each process is as
    /// it was at some moment during the call, and one that is being spawned or ends may be
    /// missing, or stand among the roots.
    ///
    /// Costs a walk over all slots that were ever used and a look-up of names for each process,
    /// O(slots + processes). Births and exits wait while the families are copied, a small part
    /// of it. For inspection, not for every day.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iris::prelude::*;
    /// let rt = Runtime::new();
    /// let root = rt.spawn(handler(|_, _| Step::Done)).named("root").start()?;
    /// let child = rt.spawn(handler(|_, _| Step::Done)).child_of(root).start()?;
    /// let tree = rt.tree();
    /// assert_eq!(tree.children_of(root).map(|entry| entry.pid).collect::<Vec<_>>(), [child]);
    /// println!("{tree}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tree(&self) -> Tree {
        let found = self.every_process();
        // After the processes: of one that has ended since, nobody is the child.
        let families = self.family().all();
        let children: HashSet<Pid> = families.values().flatten().copied().collect();
        let roots: Vec<Pid> = found.iter().map(|entry| entry.pid).collect();
        let mut by_pid: HashMap<Pid, TreeEntry> =
            found.into_iter().map(|entry| (entry.pid, entry)).collect();

        let mut entries = Vec::with_capacity(by_pid.len());
        let is_root = |pid: &Pid| !children.contains(pid);
        let mut stack: Vec<(Pid, Option<Pid>, usize)> = Vec::new();
        for root in roots.into_iter().filter(is_root) {
            stack.push((root, None, 0));
            while let Some((pid, parent, depth)) = stack.pop() {
                // One that was born after the look at the processes has no entry.
                let Some(entry) = by_pid.remove(&pid) else {
                    continue;
                };
                entries.push(TreeEntry {
                    parent,
                    depth,
                    ..entry
                });
                let children = families.get(&pid).into_iter().flatten().rev();
                stack.extend(children.map(|child| (*child, Some(pid), depth + 1)));
            }
        }
        Tree { entries }
    }

    /// Each process by itself, in the order of the slots.
    fn every_process(&self) -> Vec<TreeEntry> {
        let processes = self.table().snapshot();
        let pids = processes.iter().map(Process::pid);
        pids.filter_map(|pid| self.tree_entry(pid)).collect()
    }

    fn tree_entry(&self, pid: Pid) -> Option<TreeEntry> {
        let process = self.table().get(pid)?;
        let (names, paths) = self.registry().names_of(pid);
        // Code of users: one bad behavior must not hide all others.
        let behavior = catch_unwind(AssertUnwindSafe(|| process.behavior_name()));
        Some(TreeEntry {
            pid,
            parent: None,
            depth: 0,
            names,
            paths,
            behavior: behavior.unwrap_or_else(|_| "?".to_owned()),
            status: process.status(),
            mailbox_size: process.mailbox_size(),
        })
    }
}

impl Tree {
    /// Processes that are drawn: 1,000, a few screens of a terminal. All of them are in
    /// [`entries`](Self::entries).
    pub const SHOWN_LINES: usize = 1_000;

    /// Generations that are drawn: 16, about as far as a line can be indented and still be read.
    pub const SHOWN_DEPTH: usize = 16;

    /// All processes, each before its children; roots as [`Runtime::tree`] says, children by
    /// age, oldest first.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Those without a parent.
    pub fn roots(&self) -> impl Iterator<Item = &TreeEntry> {
        self.entries.iter().filter(|entry| entry.parent.is_none())
    }

    /// The children of a process, oldest first; none if it is not in the tree. O(processes).
    pub fn children_of(&self, pid: Pid) -> impl Iterator<Item = &TreeEntry> {
        let children = self.entries.iter();
        children.filter(move |entry| entry.parent == Some(pid))
    }

    /// What is known of one process. O(processes).
    pub fn get(&self, pid: Pid) -> Option<&TreeEntry> {
        self.entries.iter().find(|entry| entry.pid == pid)
    }

    /// For each entry, whether it is the youngest child of its parent, or the last root.
    fn lasts(&self) -> Vec<bool> {
        // From the end: a depth that was seen since the last shallower entry has a successor.
        let mut seen = Vec::new();
        let mut lasts: Vec<bool> = self
            .entries
            .iter()
            .rev()
            .map(|entry| {
                seen.resize(entry.depth + 1, false);
                !std::mem::replace(&mut seen[entry.depth], true)
            })
            .collect();
        lasts.reverse();
        lasts
    }
}

impl fmt::Display for TreeEntry {
    /// One line: pid, names and paths, behavior, status, and what is queued if anything is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)?;
        for name in self.names.iter().chain(&self.paths) {
            // Quoted, for a name may hold anything, what a terminal obeys included.
            write!(f, " {name:?}")?;
        }
        write!(
            f,
            " {} {}",
            self.behavior.escape_debug(),
            self.status.as_str()
        )?;
        match self.mailbox_size {
            0 => Ok(()),
            queued => write!(f, ", {queued} queued"),
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rails: Vec<&str> = Vec::new();
        let (mut shown, mut deeper) = (0, 0);
        for (entry, last) in self.entries.iter().zip(self.lasts()) {
            if entry.depth >= Self::SHOWN_DEPTH {
                deeper += 1;
                continue;
            }
            if shown == Self::SHOWN_LINES {
                break;
            }
            shown += 1;
            rails.truncate(entry.depth);
            rails.iter().try_for_each(|rail| f.write_str(rail))?;
            // Roots stand at the margin.
            let (branch, rail) = match (entry.depth, last) {
                (0, _) => ("", ""),
                (_, false) => ("├─ ", "│  "),
                (_, true) => ("└─ ", "   "),
            };
            writeln!(f, "{branch}{entry}")?;
            rails.push(rail);
        }
        if deeper > 0 {
            writeln!(f, "({deeper} more below generation {})", Self::SHOWN_DEPTH)?;
        }
        match self.entries.len() - shown - deeper {
            0 => Ok(()),
            more => writeln!(f, "({more} more)"),
        }
    }
}
