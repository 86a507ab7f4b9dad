//! From pieces of a byte stream, however cut, to frames.

use bytes::{Buf, Bytes};

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
    /// The beginning of a frame that an earlier piece ended in.
    partial: Vec<u8>,
    input: Bytes,
    limit: usize,
}

impl InputBuffer {
    /// An empty buffer that refuses bodies above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            partial: Vec::new(),
            input: Bytes::new(),
            limit,
        }
    }

    /// Another limit from the next frame on: a peer that is known may send more.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds a piece. Free if all before it has been taken out, which is the rule: take frames
    /// out after each push.
    pub fn push(&mut self, piece: Bytes) {
        if self.input.is_empty() {
            self.input = piece;
        } else if !piece.is_empty() {
            let mut both = Vec::with_capacity(self.input.len() + piece.len());
            both.extend_from_slice(&self.input);
            both.extend_from_slice(&piece);
            self.input = both.into();
        }
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
        if !self.partial.is_empty() {
            return self.next_of_partial();
        }
        let Some(header) = Header::read(&self.input) else {
            self.keep_rest();
            return Ok(None);
        };
        let len = self.check(header)?;
        if self.input.len() < HEADER + len {
            self.keep_rest();
            return Ok(None);
        }
        self.input.advance(HEADER);
        let body = self.input.split_to(len);
        Ok(Some(RawFrame { header, body }))
    }

    /// What has arrived and belongs to no frame yet, for whoever takes over the connection.
    pub fn into_rest(mut self) -> Bytes {
        if self.partial.is_empty() {
            return self.input;
        }
        self.partial.extend_from_slice(&self.input);
        self.partial.into()
    }

    /// Bytes of memory that the buffer holds for itself.
    pub fn allocated(&self) -> usize {
        self.partial.capacity()
    }

    fn check(&self, header: Header) -> Result<usize, FrameError> {
        let len = header.len as usize;
        let limit = if header.kind == kind::HELLO {
            MAX_HELLO
        } else {
            self.limit
        };
        if len > limit {
            return Err(FrameError::TooLong {
                kind: header.kind,
                len,
                limit,
            });
        }
        Ok(len)
    }

    /// Moves up to `wanted` bytes of the input behind the partial frame, and says whether there
    /// were that many.
    fn collect(&mut self, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.partial.len());
        let taken = missing.min(self.input.len());
        self.partial.extend_from_slice(&self.input[..taken]);
        self.input.advance(taken);
        taken == missing
    }

    #[cold]
    fn next_of_partial(&mut self) -> Result<Option<RawFrame>, FrameError> {
        if !self.collect(HEADER) {
            return Ok(None);
        }
        let header = Header::read(&self.partial).expect("the header has just been completed");
        let len = self.check(header)?;
        if !self.collect(HEADER + len) {
            return Ok(None);
        }
        let mut body = Bytes::from(std::mem::take(&mut self.partial));
        body.advance(HEADER);
        Ok(Some(RawFrame { header, body }))
    }

    fn keep_rest(&mut self) {
        self.partial.extend_from_slice(&self.input);
        // A piece is not kept alive for its last few bytes.
        self.input = Bytes::new();
    }
}
