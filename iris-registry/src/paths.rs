//! Hierarchical paths.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use iris_core::Pid;

use crate::registry::{LONGEST_NAME, RESERVED_PREFIX, RegisterError};
use crate::slots::{Holder, Slots};

/// Paths to processes. Not a thread-safe type: the registry locks it.
///
/// A path begins with `/`, has no empty segment and does not end with `/`; segments may
/// hold any other characters. Look-ups go through a hash map; beside it the paths stand
/// sorted, so that a branch is one range.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    slots: Slots,
    sorted: BTreeSet<Arc<str>>,
}

impl Paths {
    /// The path as it is stored, or `None` if it led to `pid` already.
    pub(crate) fn register(
        &mut self,
        path: &str,
        pid: Pid,
    ) -> Result<Option<Arc<str>>, RegisterError> {
        check(path)?;
        let placed = self.slots.place(path, pid)?;
        if let Some(path) = &placed {
            self.sorted.insert(Arc::clone(path));
        }
        Ok(placed)
    }

    pub(crate) fn free(&mut self, path: &str) -> Option<Holder> {
        self.sorted.remove(path);
        self.slots.free(path)
    }

    pub(crate) fn pass(&mut self, path: &str, to: Holder) {
        self.slots.pass(path, to);
    }

    pub(crate) fn whereis(&self, path: &str) -> Option<Pid> {
        self.slots.live(path)
    }

    /// Everything below `prefix` that leads somewhere, sorted by path.
    pub(crate) fn below(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        let branch = branch(prefix)?;
        Ok(self
            .sorted
            .range::<str, _>((Bound::Included(branch.as_str()), Bound::Unbounded))
            .take_while(|path| path.starts_with(&branch))
            .filter_map(|path| Some((path.to_string(), self.slots.live(path)?)))
            .collect())
    }

    /// What is one level below `prefix` and leads somewhere, sorted by path.
    pub(crate) fn directly_below(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        let branch = branch(prefix)?;
        let mut found = Vec::new();
        let mut from = Bound::Included(branch.clone());
        // Skips from child to child over all that lies below each, so that a branch with
        // few children and a million grandchildren is listed in O(children * log n).
        while let Some(path) = self.first_in(&from, &branch) {
            let rest = &path[branch.len()..];
            // '0' is the character after '/': the first path that is not below a child.
            // Paths like "child!" sort between "child" and "child/", so a child itself
            // is only stepped over, and its branch as a whole.
            from = if let Some(end) = rest.find('/') {
                Bound::Included(format!("{}0", &path[..branch.len() + end]))
            } else {
                if let Some(pid) = self.slots.live(path) {
                    found.push((path.to_owned(), pid));
                }
                Bound::Excluded(path.to_owned())
            };
        }
        Ok(found)
    }

    fn first_in(&self, from: &Bound<String>, branch: &str) -> Option<&str> {
        let from = from.as_ref().map(String::as_str);
        let path = self
            .sorted
            .range::<str, _>((from, Bound::Unbounded))
            .next()?;
        path.starts_with(branch).then_some(&**path)
    }
}

/// What all paths below `prefix` begin with.
fn branch(prefix: &str) -> Result<String, RegisterError> {
    check_prefix(prefix)?;
    Ok(if prefix == "/" {
        prefix.to_owned()
    } else {
        format!("{prefix}/")
    })
}

/// Whether `prefix` is a path or the root of them all.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), RegisterError> {
    if prefix == "/" { Ok(()) } else { check(prefix) }
}

fn check(path: &str) -> Result<(), RegisterError> {
    let (why, at) = if !path.starts_with('/') {
        ("it does not begin with '/'", 0)
    } else if path.len() > LONGEST_NAME {
        ("it is longer than 1024 bytes", LONGEST_NAME)
    } else if let Some(before) = path.find("//") {
        ("it has an empty segment", before + 1)
    } else if path.ends_with('/') {
        ("it ends with '/'", path.len() - 1)
    } else if path[1..].starts_with(RESERVED_PREFIX) {
        (
            "segments that begin with \"\\0iris.\" are the runtime's own",
            1,
        )
    } else {
        return Ok(());
    };
    Err(RegisterError::BadPath {
        path: path.to_owned(),
        why,
        at,
    })
}
