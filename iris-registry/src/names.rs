//! Flat names.

use std::collections::HashMap;

use iris_core::Pid;

use crate::registry::{LONGEST_NAME, RESERVED_PREFIX, RegisterError};

/// Names to pids. Not a thread-safe type: the registry locks it.
#[derive(Debug, Default)]
pub struct Names(HashMap<Box<str>, Pid>);

impl Names {
    /// See [`Registry::register`](crate::Registry::register). `true` if it is new.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn register(&mut self, name: &str, pid: Pid) -> Result<bool, RegisterError> {
        check(name)?;
        match self.0.get(name) {
            None => {
                self.0.insert(name.into(), pid);
                Ok(true)
            }
            Some(holder) if *holder == pid => Ok(false),
            Some(holder) => Err(RegisterError::NameTaken {
                name: name.to_owned(),
                holder: *holder,
            }),
        }
    }

    /// Frees a name.
    pub fn unregister(&mut self, name: &str) -> Option<Pid> {
        self.0.remove(name)
    }

    /// Whom it leads to.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.get(name).copied()
    }
}

fn check(name: &str) -> Result<(), RegisterError> {
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
