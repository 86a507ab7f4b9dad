//! Names and node identities as they travel.

use std::fmt;

use bytes::Bytes;

use crate::limits::MAX_NAME;

/// The name of a process, a behavior or a node: 1 to 1,024 bytes of UTF-8 without control
/// characters, so that it can stand in a log line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Bytes);

/// Why some bytes are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing.
    #[error("a name is empty")]
    Empty,
    /// Longer than [`MAX_NAME`].
    #[error("a name of {len} bytes is longer than {MAX_NAME}")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
    /// Not UTF-8.
    #[error("a name is not UTF-8")]
    NotText,
    /// A control character.
    #[error("a name has the control character {0:?}")]
    Control(char),
}

impl Name {
    /// Checks `bytes`, without a copy.
    ///
    /// # Errors
    ///
    /// Why they are no name.
    pub fn new(bytes: Bytes) -> Result<Self, NameError> {
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > MAX_NAME {
            return Err(NameError::TooLong { len: bytes.len() });
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| NameError::NotText)?;
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(NameError::Control(control)),
            None => Ok(Self(bytes)),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when it was made")
    }

    /// The bytes of the text, shared.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Names one node of a cluster; random, or fixed by whoever runs it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_printable_text() {
        assert_eq!(
            Name::try_from("svc/zahlung-ß").unwrap().as_str(),
            "svc/zahlung-ß"
        );
        assert_eq!(Name::try_from(""), Err(NameError::Empty));
        assert_eq!(Name::try_from("\0iris.x"), Err(NameError::Control('\0')));
        assert_eq!(Name::try_from("a\nb"), Err(NameError::Control('\n')));
        assert_eq!(
            Name::new(Bytes::from_static(b"\xff")),
            Err(NameError::NotText)
        );
        assert!(Name::new(Bytes::from(vec![b'a'; MAX_NAME])).is_ok());
        let long = Name::new(Bytes::from(vec![b'a'; MAX_NAME + 1]));
        assert_eq!(long, Err(NameError::TooLong { len: 1025 }));
    }
}
