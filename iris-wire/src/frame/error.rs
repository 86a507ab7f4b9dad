//! What is wrong with some bytes.

use crate::frame::codes::ErrorCode;
use crate::frame::name::NameError;

/// Bytes that are no frame. The connection that they came over cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header announces more than the type may have.
    #[error("a frame of type {kind:#04x} announces {len} bytes, {limit} are allowed")]
    TooLong {
        /// The type byte.
        kind: u8,
        /// What the header says, or a body would need.
        len: usize,
        /// The limit at this point of the connection.
        limit: usize,
    },
    /// The body ends before its fields do.
    #[error("the body of a frame of type {kind:#04x} ends too early")]
    Short {
        /// The type byte.
        kind: u8,
    },
    /// The body goes on after its last field.
    #[error("the body of a frame of type {kind:#04x} has {extra} bytes too many")]
    Trailing {
        /// The type byte.
        kind: u8,
        /// Bytes that no field takes.
        extra: usize,
    },
    /// A type that this version does not know, without the mark that it may be passed over.
    #[error("unknown frame type {kind:#04x}; the peer uses what was not agreed on")]
    UnknownType {
        /// The type byte.
        kind: u8,
    },
    /// Flags that this version does not know, or that do not fit the type.
    #[error("a frame of type {kind:#04x} has the flags {flags:#04x}, which it cannot have")]
    Flags {
        /// The type byte.
        kind: u8,
        /// The flags byte.
        flags: u8,
    },
    /// A field with a number that it cannot have.
    #[error("a frame of type {kind:#04x} has {value} as its {field}")]
    Field {
        /// The type byte.
        kind: u8,
        /// The field's name.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// A field that should be a name and is not.
    #[error("a frame of type {kind:#04x}: {error}")]
    Name {
        /// The type byte.
        kind: u8,
        /// What is wrong with the name.
        error: NameError,
    },
    /// Text that is not UTF-8.
    #[error("a frame of type {kind:#04x} has text that is not UTF-8")]
    NotText {
        /// The type byte.
        kind: u8,
    },
    /// A frame that cannot come at this point of the connection.
    #[error("a frame of type {kind:#04x} at the wrong time: {why}")]
    Unexpected {
        /// The type byte.
        kind: u8,
        /// What was waited for, or what is over.
        why: &'static str,
    },
}

impl FrameError {
    /// The code that tells the peer.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::TooLong,
            Self::UnknownType { .. } => ErrorCode::UnknownType,
            _ => ErrorCode::Malformed,
        }
    }
}
