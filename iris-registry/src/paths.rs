//! Hierarchical paths.

use std::collections::BTreeMap;
use std::ops::Bound;

use iris_core::Pid;

use crate::registry::{LONGEST_NAME, RegisterError};

/// Paths to pids, sorted so that a branch is one range. Not a thread-safe type: the
/// registry locks it.
///
/// A path begins with `/`, has no empty segment and does not end with `/`; segments may
/// hold any other characters.
#[derive(Debug, Default)]
pub struct Paths(BTreeMap<Box<str>, Pid>);

impl Paths {
    /// See [`Registry::register_path`](crate::Registry::register_path). `true` if it is
    /// new.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn register(&mut self, path: &str, pid: Pid) -> Result<bool, RegisterError> {
        check(path)?;
        match self.0.get(path) {
            None => {
                self.0.insert(path.into(), pid);
                Ok(true)
            }
            Some(holder) if *holder == pid => Ok(false),
            Some(holder) => Err(RegisterError::NameTaken {
                name: path.to_owned(),
                holder: *holder,
            }),
        }
    }

    /// Frees a path.
    pub fn unregister(&mut self, path: &str) -> Option<Pid> {
        self.0.remove(path)
    }

    /// Whom it leads to.
    pub fn whereis(&self, path: &str) -> Option<Pid> {
        self.0.get(path).copied()
    }

    /// Everything below `prefix`, sorted by path.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`].
    pub fn below(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        let branch = branch(prefix)?;
        Ok(self
            .range(&branch)
            .map(|(path, pid)| (path.to_owned(), pid))
            .collect())
    }

    /// What is one level below `prefix`, sorted by path.
    ///
    /// # Errors
    ///
    /// [`RegisterError::BadPath`].
    pub fn directly_below(&self, prefix: &str) -> Result<Vec<(String, Pid)>, RegisterError> {
        let branch = branch(prefix)?;
        let mut found = Vec::new();
        let mut from = Bound::Included(branch.clone());
        // Skips from child to child over all that lies below each, so that a branch with
        // few children and a million grandchildren is listed in O(children * log n).
        while let Some((path, pid)) = self.first_in(&from, &branch) {
            let rest = &path[branch.len()..];
            let child = match rest.find('/') {
                None => {
                    found.push((path.to_owned(), pid));
                    path
                }
                Some(end) => &path[..branch.len() + end],
            };
            // '0' is the character after '/': the first path that is not below `child`.
            // Paths like "child!" sort between "child" and "child/", so a child itself
            // is only stepped over, and its branch as a whole.
            from = if child.len() == path.len() {
                Bound::Excluded(path.to_owned())
            } else {
                Bound::Included(format!("{child}0"))
            };
        }
        Ok(found)
    }

    fn first_in(&self, from: &Bound<String>, branch: &str) -> Option<(&str, Pid)> {
        let from = match from {
            Bound::Included(at) => Bound::Included(at.as_str()),
            Bound::Excluded(at) => Bound::Excluded(at.as_str()),
            Bound::Unbounded => Bound::Unbounded,
        };
        let (path, pid) = self.0.range::<str, _>((from, Bound::Unbounded)).next()?;
        path.starts_with(branch).then_some((&**path, *pid))
    }

    fn range<'a>(&'a self, branch: &'a str) -> impl Iterator<Item = (&'a str, Pid)> {
        self.0
            .range::<str, _>((Bound::Included(branch), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(branch))
            .map(|(path, pid)| (&**path, *pid))
    }
}

/// What all paths below `prefix` begin with.
fn branch(prefix: &str) -> Result<String, RegisterError> {
    if prefix == "/" {
        return Ok(prefix.to_owned());
    }
    check(prefix)?;
    Ok(format!("{prefix}/"))
}

fn check(path: &str) -> Result<(), RegisterError> {
    let why = if !path.starts_with('/') {
        "it does not begin with '/'"
    } else if path.len() > LONGEST_NAME {
        "it is longer than 1024 bytes"
    } else if path.ends_with('/') {
        "it ends with '/'"
    } else if path.contains("//") {
        "it has an empty segment"
    } else {
        return Ok(());
    };
    Err(RegisterError::BadPath {
        path: path.to_owned(),
        why,
    })
}
