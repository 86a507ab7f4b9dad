//! What a dialler sends, out of a byte stream.

use bytes::{Buf, Bytes};

use crate::assemble::{Assembler, Need};
use crate::legacy::LegacyError;
use crate::limits::MAX_NAME;

pub(super) const USER: u8 = 0;
pub(super) const RESOLVE: u8 = 1;
pub(super) const PING: u8 = 2;
pub(super) const PONG: u8 = 3;

const USER_HEAD: usize = 13;
const RESOLVE_HEAD: usize = 5;

/// A packet of a dialler.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    User { pid: u64, data: Bytes },
    Resolve { name: Bytes },
    Ping,
}

#[derive(Debug)]
pub(super) struct PacketInput {
    bytes: Assembler,
    max_data: usize,
}

impl PacketInput {
    pub(super) fn new(max_data: usize) -> Self {
        Self {
            bytes: Assembler::default(),
            max_data,
        }
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes.push(piece);
    }

    pub(super) fn next(&mut self) -> Result<Option<Packet>, LegacyError> {
        let max_data = self.max_data;
        let whole = self.bytes.next(|bytes| need(bytes, max_data))?;
        Ok(whole.map(|mut bytes| match bytes.get_u8() {
            USER => {
                let pid = bytes.get_u64();
                bytes.advance(4);
                Packet::User { pid, data: bytes }
            }
            RESOLVE => {
                bytes.advance(4);
                Packet::Resolve { name: bytes }
            }
            _ => Packet::Ping,
        }))
    }

    pub(super) fn into_rest(self) -> Bytes {
        self.bytes.into_rest()
    }

    pub(super) fn allocated(&self) -> usize {
        self.bytes.allocated()
    }
}

fn need(bytes: &[u8], max_data: usize) -> Result<Need, LegacyError> {
    let Some(&kind) = bytes.first() else {
        return Ok(Need::AtLeast(1));
    };
    let (head, limit) = match kind {
        USER => (USER_HEAD, max_data),
        RESOLVE => (RESOLVE_HEAD, MAX_NAME),
        PING => return Ok(Need::Whole(1)),
        PONG => return Err(LegacyError::Pong),
        kind => return Err(LegacyError::UnknownType { kind }),
    };
    let Some(len) = bytes.get(head - 4..).and_then(|bytes| bytes.first_chunk()) else {
        return Ok(Need::AtLeast(head));
    };
    let len = u32::from_be_bytes(*len);
    if len as usize <= limit {
        return Ok(Need::Whole(head + len as usize));
    }
    Err(match kind {
        USER => LegacyError::DataTooLong { len, limit },
        _ => LegacyError::NameTooLong { len },
    })
}
