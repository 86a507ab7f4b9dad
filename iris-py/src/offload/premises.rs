//! All that one piece of compiled code took for granted, compared again at every call.
//!
//! `CPython` up to 3.12 gives a dict a number that no dict has had before whenever it changes. While
//! the dicts in which names were found have the numbers they had then, no name has another value:
//! one comparison for each dict in place of a look-up for each name.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicU64, Ordering};

use super::names::Assumption;

/// Assumptions that all have to hold.
#[derive(Default)]
pub(super) struct Premises {
    /// Entries of dicts.
    entries: Vec<Assumption>,
    others: Vec<Assumption>,
    /// The dicts of the entries, each once, with the number at which all entries held.
    dicts: Vec<(Py<PyDict>, AtomicU64)>,
}

impl Premises {
    pub(super) fn new(py: Python<'_>, all: Vec<Assumption>) -> Self {
        let mut premises = Self::default();
        for assumption in all {
            let Assumption::Entry { dict, .. } = &assumption else {
                premises.others.push(assumption);
                continue;
            };
            if !premises.dicts.iter().any(|(known, _)| known.is(dict)) {
                let never = AtomicU64::new(0);
                premises.dicts.push((dict.clone_ref(py), never));
            }
            premises.entries.push(assumption);
        }
        premises
    }

    /// The first that does not hold any more.
    #[inline]
    pub(super) fn broken(&self, py: Python<'_>) -> Option<&Assumption> {
        let same = |(dict, seen): &(Py<PyDict>, AtomicU64)| {
            version(dict).is_some_and(|now| now == seen.load(Ordering::Relaxed))
        };
        let broken = if self.dicts.iter().all(same) {
            None
        } else {
            self.broken_entry(py)
        };
        broken.or_else(|| self.others.iter().find(|other| !other.holds(py)))
    }

    fn broken_entry(&self, py: Python<'_>) -> Option<&Assumption> {
        // Taken before the look-ups: these may run code that changes a dict.
        let now: Vec<_> = self.dicts.iter().map(|(dict, _)| version(dict)).collect();
        let broken = self.entries.iter().find(|entry| !entry.holds(py));
        if broken.is_none() {
            for ((_, seen), now) in self.dicts.iter().zip(now) {
                seen.store(now.unwrap_or(0), Ordering::Relaxed);
            }
        }
        broken
    }

    /// Shows the garbage collector what is held.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let all = self.entries.iter().chain(&self.others);
        all.into_iter()
            .try_for_each(|assumption| assumption.traverse(visit))?;
        self.dicts.iter().try_for_each(|(dict, _)| visit.call(dict))
    }
}

/// The number of a dict's state, where there is one; never 0.
#[inline]
fn version(dict: &Py<PyDict>) -> Option<u64> {
    #[cfg(all(not(feature = "abi3"), not(Py_3_13)))]
    {
        #[cfg_attr(
            Py_3_12,
            expect(deprecated, reason = "3.12 still counts; later ones do not come here")
        )]
        // SAFETY: a live dict, whose layout this is in these versions; the GIL is held.
        let version = unsafe {
            let dict = dict.as_ptr().cast::<pyo3::ffi::PyDictObject>();
            (*dict).ma_version_tag
        };
        Some(version).filter(|&version| version != 0)
    }
    #[cfg(any(feature = "abi3", Py_3_13))]
    {
        let _ = dict;
        None
    }
}
