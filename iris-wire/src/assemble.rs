//! Pieces of a byte stream, put together to packets.

use bytes::{Buf, Bytes};

/// The most that is reserved beyond what has arrived.
const STEP: usize = 64 * 1024;

/// What the beginning of a packet says about its length.
pub(crate) enum Need {
    /// That many bytes are needed to tell.
    AtLeast(usize),
    /// This is the length.
    Whole(usize),
}

/// A packet within one piece is a slice of it; one that is cut is collected in a buffer that
/// grows with what arrives.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// The beginning of a packet that an earlier piece ended in.
    partial: Vec<u8>,
    input: Bytes,
}

impl Assembler {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.input.is_empty() {
            self.input = piece;
        } else if !piece.is_empty() {
            let mut both = Vec::with_capacity(self.input.len() + piece.len());
            both.extend_from_slice(&self.input);
            both.extend_from_slice(&piece);
            self.input = both.into();
        }
    }

    /// The next packet, of the length that `need` reads from its beginning.
    #[inline]
    pub(crate) fn next<E>(
        &mut self,
        need: impl Fn(&[u8]) -> Result<Need, E>,
    ) -> Result<Option<Bytes>, E> {
        if !self.partial.is_empty() {
            return self.next_of_partial(need);
        }
        match need(&self.input)? {
            Need::Whole(len) if len <= self.input.len() => Ok(Some(self.input.split_to(len))),
            _ => {
                self.keep_rest();
                Ok(None)
            }
        }
    }

    #[cold]
    fn next_of_partial<E>(
        &mut self,
        need: impl Fn(&[u8]) -> Result<Need, E>,
    ) -> Result<Option<Bytes>, E> {
        loop {
            let (wanted, whole) = match need(&self.partial)? {
                Need::AtLeast(len) => (len, false),
                Need::Whole(len) => (len, true),
            };
            if !self.collect(wanted) {
                return Ok(None);
            }
            if whole {
                return Ok(Some(std::mem::take(&mut self.partial).into()));
            }
        }
    }

    /// Moves input behind the partial packet until it has `wanted` bytes; `false` if there are
    /// too few.
    fn collect(&mut self, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.partial.len());
        let taken = missing.min(self.input.len());
        if self.partial.capacity() - self.partial.len() < taken {
            // As much again as there is already, so that a megabyte is not copied too often.
            let ahead = missing.min(self.partial.len().clamp(64, STEP));
            self.partial.reserve_exact(taken.max(ahead));
        }
        self.partial.extend_from_slice(&self.input[..taken]);
        self.input.advance(taken);
        taken == missing
    }

    fn keep_rest(&mut self) {
        // Copied, so that a large piece is not kept alive for its last few bytes.
        self.partial.extend_from_slice(&self.input);
        self.input = Bytes::new();
    }

    /// All that has not been given out.
    pub(crate) fn into_rest(mut self) -> Bytes {
        if self.partial.is_empty() {
            return self.input;
        }
        self.partial.extend_from_slice(&self.input);
        self.partial.into()
    }

    /// Bytes of memory that it holds itself.
    pub(crate) fn allocated(&self) -> usize {
        self.partial.capacity()
    }
}
