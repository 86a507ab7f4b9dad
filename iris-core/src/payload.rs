//! A user's bytes on their way: inside the mailbox's own node if they are few.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::foreign::Foreign;

/// The bytes of one user message.
///
/// Up to [`INLINE`](Self::INLINE) bytes travel by value, without an allocation; more are
/// [`Bytes`], which are never copied, or stay in an object of a guest language
/// ([`Foreign`]). Which it is follows from how it was made: [`copy_of`](Self::copy_of) copies
/// what fits, a conversion keeps what it is given.
///
/// # Examples
///
/// ```
/// use iris_core::Payload;
///
/// let few = Payload::copy_of(b"forty bytes fit");
/// assert_eq!(&few[..5], b"forty");
/// assert!(few.is_inline() && !Payload::copy_of(&[0; 41]).is_inline());
/// ```
#[derive(Clone)]
pub struct Payload(Repr);

enum Repr {
    Inline {
        len: u8,
        bytes: [u8; Payload::INLINE],
    },
    Shared(Bytes),
    Foreign(Foreign),
    /// Boxed, for it is rare.
    Carrying(Box<(Payload, Baggage)>),
}

/// What travels along with a message for the handler, beside its bytes: something of a guest
/// language's, such as the sender's context variables. The runtime never looks inside. Whoever
/// takes the message for its bytes alone leaves it behind.
pub type Baggage = Arc<dyn Any + Send + Sync>;

impl Payload {
    /// The most bytes that travel without an allocation: what a node of one cache line has
    /// room for beside its link and a reply's address.
    pub const INLINE: usize = 40;

    /// A copy of `bytes`: by value up to [`INLINE`](Self::INLINE), else in an allocation.
    #[inline]
    pub fn copy_of(bytes: &[u8]) -> Self {
        if bytes.len() > Self::INLINE {
            return Self(Repr::Shared(Bytes::copy_from_slice(bytes)));
        }
        let mut inline = [0; Self::INLINE];
        inline[..bytes.len()].copy_from_slice(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "at most 40")]
        let len = bytes.len() as u8;
        Self(Repr::Inline { len, bytes: inline })
    }

    /// Whether the bytes travel by value.
    #[inline]
    pub fn is_inline(&self) -> bool {
        matches!(self.0, Repr::Inline { .. })
    }

    /// Whether a handler may look at the bytes where the sender has put them: by value, or in
    /// an object of a guest language.
    #[inline]
    pub fn is_in_place(&self) -> bool {
        matches!(self.0, Repr::Inline { .. } | Repr::Foreign(_))
    }

    /// The object of a guest language that the bytes live in, if they do.
    #[inline]
    pub fn foreign(&self) -> Option<&Foreign> {
        match &self.0 {
            Repr::Foreign(foreign) => Some(foreign),
            Repr::Carrying(carried) => carried.0.foreign(),
            _ => None,
        }
    }

    /// The bytes as a value to keep and share: free for what is shared already, an allocation
    /// and a copy for what came inline, an allocation for what lives in a guest's object.
    #[inline]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { len, bytes } => Bytes::copy_from_slice(&bytes[..usize::from(len)]),
            Repr::Shared(bytes) => bytes,
            Repr::Foreign(foreign) => Bytes::from_owner(foreign),
            Repr::Carrying(carried) => carried.0.into_bytes(),
        }
    }

    /// With something that travels along. Costs an allocation.
    #[must_use]
    pub fn with_baggage(self, baggage: Baggage) -> Self {
        Self(Repr::Carrying(Box::new((self, baggage))))
    }

    /// What travels along, if anything does.
    #[inline]
    pub fn baggage(&self) -> Option<&Baggage> {
        match &self.0 {
            Repr::Carrying(carried) => Some(&carried.1),
            _ => None,
        }
    }

    /// The payload alone, and what has travelled along.
    #[inline]
    pub fn unload(self) -> (Self, Option<Baggage>) {
        match self.0 {
            Repr::Carrying(carried) => (carried.0, Some(carried.1)),
            plain => (Self(plain), None),
        }
    }

    /// The shared bytes, or else the payload as it is.
    ///
    /// # Errors
    ///
    /// The payload, if it is [in place](Self::is_in_place).
    #[inline]
    pub fn try_into_shared(self) -> Result<Bytes, Self> {
        match self.0 {
            Repr::Shared(bytes) => Ok(bytes),
            Repr::Carrying(carried) => carried.0.try_into_shared(),
            in_place => Err(Self(in_place)),
        }
    }
}

impl Default for Payload {
    /// No bytes.
    fn default() -> Self {
        Self::copy_of(&[])
    }
}

impl Deref for Payload {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
            Repr::Foreign(foreign) => foreign.as_ref(),
            Repr::Carrying(carried) => &carried.0,
        }
    }
}

impl Clone for Repr {
    /// A guest's object is not shared, which needs its interpreter, but copied.
    fn clone(&self) -> Self {
        match self {
            Self::Inline { len, bytes } => Self::Inline {
                len: *len,
                bytes: *bytes,
            },
            Self::Shared(bytes) => Self::Shared(bytes.clone()),
            Self::Foreign(foreign) => Self::Shared(Bytes::copy_from_slice(foreign.as_ref())),
            Self::Carrying(carried) => Self::Carrying(carried.clone()),
        }
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for Payload {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Shared(bytes))
    }
}

impl From<Foreign> for Payload {
    #[inline]
    fn from(foreign: Foreign) -> Self {
        Self(Repr::Foreign(foreign))
    }
}

impl From<Vec<u8>> for Payload {
    /// Keeps the vector's allocation.
    fn from(bytes: Vec<u8>) -> Self {
        Self(Repr::Shared(bytes.into()))
    }
}

impl From<&'static [u8]> for Payload {
    /// Refers to the bytes, which live for ever.
    fn from(bytes: &'static [u8]) -> Self {
        Self(Repr::Shared(Bytes::from_static(bytes)))
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_around_the_limit_comes_back_as_it_went_in() {
        for len in [0, 1, 39, 40, 41, 4096] {
            let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
            let payload = Payload::copy_of(&bytes);
            assert_eq!(payload.is_inline(), len <= 40);
            assert_eq!(&payload[..], bytes);
            assert_eq!(payload.clone().into_bytes(), bytes);
            assert_eq!(payload.try_into_shared().is_ok(), len > 40);
        }
    }

    #[test]
    fn baggage_travels_with_bytes_of_any_length_and_changes_none() {
        for len in [0, 40, 41] {
            let bytes = vec![7; len];
            let payload = Payload::copy_of(&bytes).with_baggage(Arc::new(42_u8));
            assert!(!payload.is_inline());
            assert_eq!(&payload[..], bytes);
            assert_eq!(payload.clone().into_bytes(), bytes);
            let (payload, baggage) = payload.unload();
            assert_eq!(baggage.unwrap().downcast_ref(), Some(&42_u8));
            assert_eq!(&payload[..], bytes);
            assert!(payload.unload().1.is_none());
        }
    }

    #[test]
    fn shared_bytes_are_not_copied() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let payload = Payload::from(bytes.clone());
        assert_eq!(payload.into_bytes().as_ptr(), bytes.as_ptr());
    }
}
