//! Words that lead to processes, or wait for one.

use std::collections::HashMap;
use std::sync::Arc;

use iris_core::Pid;

use crate::registry::RegisterError;

/// Who has a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It leads to this process.
    Live(Pid),
    /// It leads nowhere, and is kept for the successor of this one.
    Reserved(Pid),
}

impl Holder {
    pub(crate) fn pid(self) -> Pid {
        match self {
            Self::Live(pid) | Self::Reserved(pid) => pid,
        }
    }
}

/// Words to holders, for names and for paths alike; what a word may be is checked before.
#[derive(Debug, Default)]
pub(crate) struct Slots(HashMap<Arc<str>, Holder>);

impl Slots {
    /// Makes `word` lead to `pid`. The word as it is stored, or `None` if it led there
    /// already.
    pub(crate) fn place(
        &mut self,
        word: &str,
        pid: Pid,
    ) -> Result<Option<Arc<str>>, RegisterError> {
        match self.0.get(word) {
            None => {
                let word: Arc<str> = word.into();
                self.0.insert(Arc::clone(&word), Holder::Live(pid));
                Ok(Some(word))
            }
            Some(Holder::Live(holder)) if *holder == pid => Ok(None),
            Some(Holder::Live(holder)) => Err(RegisterError::NameTaken {
                name: word.to_owned(),
                holder: *holder,
            }),
            Some(Holder::Reserved(of)) => Err(RegisterError::Reserved {
                name: word.to_owned(),
                of: *of,
            }),
        }
    }

    /// Frees `word`, whoever has it.
    pub(crate) fn free(&mut self, word: &str) -> Option<Holder> {
        self.0.remove(word)
    }

    /// Gives a word that exists to another holder.
    pub(crate) fn pass(&mut self, word: &str, to: Holder) {
        if let Some(holder) = self.0.get_mut(word) {
            *holder = to;
        }
    }

    /// Whom `word` leads to.
    pub(crate) fn live(&self, word: &str) -> Option<Pid> {
        match self.0.get(word)? {
            Holder::Live(pid) => Some(*pid),
            Holder::Reserved(_) => None,
        }
    }
}
