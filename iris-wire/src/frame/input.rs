//! From pieces of a byte stream, however cut, to frames.

use bytes::{Buf, Bytes};

use crate::assemble::{Assembler, Need};
use crate::frame::error::FrameError;
use crate::frame::header::{Header, kind};
use crate::limits::{HEADER, MAX_HELLO};

/// One frame, not yet looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The header.
    pub header: Header,
    /// As many bytes as the header says, sharing the memory of the input.
    pub body: Bytes,
}

/// Collects input until there is a frame in it.
///
/// A frame that lies within one piece is a slice of that piece. One that is cut is collected in
/// a buffer that grows with what arrives, never with what a header announces: it holds at most
/// the bytes received and 64 KiB more.
#[derive(Debug)]
pub struct InputBuffer {
    bytes: Assembler,
    limit: usize,
}

impl InputBuffer {
    /// An empty buffer that refuses bodies above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Assembler::default(),
            limit,
        }
    }

    /// Adds a piece. Free if all before it has been taken out, which is the rule: take frames
    /// out after each push.
    pub fn push(&mut self, piece: Bytes) {
        self.bytes.push(piece);
    }

    /// The next whole frame; `None` until more arrives.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] as soon as a header says so, before any of its body is kept.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` is not the end, and it can fail"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<RawFrame>, FrameError> {
        let limit = self.limit;
        let whole = self.bytes.next(|bytes| {
            let Some(header) = Header::read(bytes) else {
                return Ok(Need::AtLeast(HEADER));
            };
            let len = header.len as usize;
            let limit = if header.kind == kind::HELLO {
                MAX_HELLO
            } else {
                limit
            };
            if len > limit {
                let kind = header.kind;
                return Err(FrameError::TooLong { kind, len, limit });
            }
            Ok(Need::Whole(HEADER + len))
        })?;
        Ok(whole.map(|mut body| {
            let header = Header::read(&body).expect("its length was read from it");
            body.advance(HEADER);
            RawFrame { header, body }
        }))
    }

    /// What has arrived and belongs to no frame yet, for whoever takes over the connection.
    pub fn into_rest(self) -> Bytes {
        self.bytes.into_rest()
    }

    /// Bytes of memory that the buffer holds for itself.
    pub fn allocated(&self) -> usize {
        self.bytes.allocated()
    }
}
