//! Who is told of every change of a name or path.

use std::fmt;
use std::sync::Arc;

use iris_core::Pid;

/// Told of every name and path that comes to lead to a process, or to nobody any more.
pub trait Follower: Send + Sync {
    /// `word`, a name or a path, leads to this process from now on, or nowhere.
    ///
    /// Called in the order of the changes, under the registry's lock: it must be quick, and must
    /// not call the registry.
    fn changed(&self, word: &Arc<str>, leads_to: Option<Pid>);
}

/// Hardly ever any.
#[derive(Default)]
pub(crate) struct Followers(Vec<Box<dyn Follower>>);

impl Followers {
    pub(crate) fn add(&mut self, follower: Box<dyn Follower>) {
        self.0.push(follower);
    }

    pub(crate) fn tell(&self, word: &Arc<str>, leads_to: Option<Pid>) {
        for follower in &self.0 {
            follower.changed(word, leads_to);
        }
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Followers({})", self.0.len())
    }
}
