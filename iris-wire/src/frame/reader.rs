//! Fields out of a body, one after the other.

use bytes::{Buf, Bytes};
use iris_core::Pid;

use crate::frame::error::FrameError;
use crate::frame::name::{Name, NameError};

/// The rest of a body. Every method takes what it gives off the front.
#[derive(Debug)]
pub(crate) struct Reader {
    kind: u8,
    rest: Bytes,
}

impl Reader {
    #[inline]
    pub(crate) fn new(kind: u8, rest: Bytes) -> Self {
        Self { kind, rest }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let Some(&array) = self.rest.first_chunk::<N>() else {
            return Err(FrameError::Short { kind: self.kind });
        };
        self.rest.advance(N);
        Ok(array)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A pid that must be one.
    #[inline]
    pub(crate) fn pid(&mut self, field: &'static str) -> Result<Pid, FrameError> {
        let raw = self.u64()?;
        Pid::from_raw(raw).ok_or(FrameError::Field {
            kind: self.kind,
            field,
            value: raw,
        })
    }

    /// A pid, or 0 for none.
    #[inline]
    pub(crate) fn maybe_pid(&mut self, field: &'static str) -> Result<Option<Pid>, FrameError> {
        match self.u64()? {
            0 => Ok(None),
            raw => match Pid::from_raw(raw) {
                None => Err(FrameError::Field {
                    kind: self.kind,
                    field,
                    value: raw,
                }),
                pid => Ok(pid),
            },
        }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<Bytes, FrameError> {
        if len > self.rest.len() {
            return Err(FrameError::Short { kind: self.kind });
        }
        Ok(self.rest.split_to(len))
    }

    /// `len:2` and a name of as many bytes.
    pub(crate) fn name(&mut self) -> Result<Name, FrameError> {
        let len = self.u16()?;
        let bytes = self.take(usize::from(len))?;
        self.checked_name(bytes)
    }

    pub(crate) fn checked_name(&self, bytes: Bytes) -> Result<Name, FrameError> {
        Name::new(bytes).map_err(|error| FrameError::Name {
            kind: self.kind,
            error,
        })
    }

    /// `len` bytes of text, as a value of its own.
    pub(crate) fn text(&mut self, len: usize) -> Result<String, FrameError> {
        let bytes = self.take(len)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(FrameError::NotText { kind: self.kind }),
        }
    }

    /// `len` bytes of text without control characters, such as may stand in a log line; it may be
    /// empty.
    pub(crate) fn label(&mut self, len: usize) -> Result<String, FrameError> {
        let text = self.text(len)?;
        check_label(self.kind, &text)?;
        Ok(text)
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left, as data.
    #[inline]
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    /// Checks that nothing is left.
    #[inline]
    pub(crate) fn end(self) -> Result<(), FrameError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(FrameError::Trailing {
                kind: self.kind,
                extra,
            }),
        }
    }
}

/// Refuses control characters.
pub(crate) fn check_label(kind: u8, text: &str) -> Result<(), FrameError> {
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(control) => Err(FrameError::Name {
            kind,
            error: NameError::Control(control),
        }),
    }
}
