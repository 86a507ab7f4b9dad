//! Flat names.

use std::sync::Arc;

use iris_core::Pid;

use crate::registry::{LONGEST_NAME, RESERVED_PREFIX, RegisterError};
use crate::slots::{Holder, Slots};

/// Names to processes. Not a thread-safe type: the registry locks it.
#[derive(Debug, Default)]
pub(crate) struct Names(Slots);

impl Names {
    /// The name as it is stored, or `None` if it led to `pid` already.
    pub(crate) fn register(
        &mut self,
        name: &str,
        pid: Pid,
    ) -> Result<Option<Arc<str>>, RegisterError> {
        check(name)?;
        self.0.place(name, pid)
    }

    pub(crate) fn free(&mut self, name: &str) -> Option<Holder> {
        self.0.free(name)
    }

    pub(crate) fn pass(&mut self, name: &str, to: Holder) {
        self.0.pass(name, to);
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.live(name)
    }
}

/// Whether users may give this name, to a process or to a group.
pub(crate) fn check(name: &str) -> Result<(), RegisterError> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > LONGEST_NAME {
        "it is longer than 1024 bytes"
    } else if name.starts_with(RESERVED_PREFIX) {
        "names that begin with \"\\0iris.\" are the runtime's own"
    } else {
        return Ok(());
    };
    Err(RegisterError::BadName {
        name: name.to_owned(),
        why,
    })
}
